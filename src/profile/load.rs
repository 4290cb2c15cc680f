//! Reading a profile and refusing a broken one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Profile, services};

/// Most samples of one endpoint in one run.
const SAMPLES_MAX: u32 = 10;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No built-in profile has this id, and no directory has this name.
    #[error("there is no profile `{id}`; the built-in ones are {known} (try: casefile profiles list)")]
    Unknown {
        /// What the user asked for.
        id: String,
        /// The ids that exist.
        known: String,
    },
    /// `profile.toml` cannot be read.
    #[error("cannot read the profile {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `profile.toml` is not a profile. The text has line, column and key.
    #[error("{origin}: {reason}")]
    Malformed {
        /// The file.
        origin: String,
        /// What is wrong.
        reason: String,
    },
}

/// Parses the text of a `profile.toml`; `origin` names it in errors.
///
/// # Errors
/// When the text is not TOML, has an unknown or missing key, or contradicts itself.
pub fn parse(origin: &str, text: &str) -> Result<Profile, ProfileError> {
    let malformed = |reason: String| ProfileError::Malformed { origin: origin.to_owned(), reason };
    let profile: Profile = toml::from_str(text).map_err(|e| malformed(e.to_string().trim_end().to_owned()))?;
    if profile.schema != 1 {
        return Err(malformed(format!("schema = {} is not known; this version reads schema 1", profile.schema)));
    }
    let mut seen = BTreeSet::new();
    let ids = profile.exec.iter().map(|e| ("exec", &e.id)).chain(profile.http.iter().map(|h| ("http", &h.id)));
    let ids = ids.chain(profile.endpoint.iter().map(|e| ("endpoint", &e.id)));
    let ids = ids.chain(profile.files.iter().map(|f| ("files", &f.id)));
    let ids = ids.chain(profile.storage.iter().map(|s| ("storage", &s.id)));
    let ids = ids.chain(profile.grpc.iter().map(|g| ("grpc", &g.id)));
    let ids = ids.chain(profile.probe.iter().map(|p| ("probe", &p.id)));
    for (family, id) in ids {
        if !seen.insert((family, id)) {
            return Err(malformed(format!("[[{family}]] id = \"{id}\" stands twice")));
        }
    }
    for exec in &profile.exec {
        if exec.command.is_empty() {
            return Err(malformed(format!("[[exec]] id = \"{}\": command is empty", exec.id)));
        }
    }
    for exec in &profile.exec {
        let uses = exec.command.iter().any(|word| word.contains("{target}"));
        if uses != exec.target.is_some() {
            return Err(malformed(format!(
                "[[exec]] id = \"{}\": target and {{target}} in command go together",
                exec.id
            )));
        }
    }
    for exec in &profile.exec {
        let uses = exec.command.iter().any(|word| word.contains("{forwarded}"));
        let here = exec.forward.is_some();
        if uses != here || here && (exec.host || exec.target.is_some() || !exec.containers.is_empty()) {
            return Err(malformed(format!(
                "[[exec]] id = \"{}\": forward and {{forwarded}} in command go together, without host, target and containers",
                exec.id
            )));
        }
    }
    for http in &profile.http {
        if !http.path.starts_with('/') {
            return Err(malformed(format!("[[http]] id = \"{}\": path must begin with a slash", http.id)));
        }
        if !(1..=SAMPLES_MAX).contains(&http.samples) {
            return Err(malformed(format!("[[http]] id = \"{}\": samples must be 1 to {SAMPLES_MAX}", http.id)));
        }
        length(&http.interval).map_err(|e| malformed(format!("[[http]] id = \"{}\": interval {e}", http.id)))?;
    }
    for grpc in &profile.grpc {
        let wrong = |what: &str| malformed(format!("[[grpc]] id = \"{}\": {what}", grpc.id));
        match (&grpc.pods, &grpc.endpoint) {
            (Some(_), Some(_)) | (None, None) => return Err(wrong("needs either pods or endpoint")),
            (Some(_), None) if grpc.port == 0 => return Err(wrong("needs the port of the pods")),
            (None, Some(_)) if grpc.host => return Err(wrong("host = true goes with pods and port")),
            _ => {}
        }
        if grpc.methods.is_empty() {
            return Err(wrong("methods is empty"));
        }
        length(&grpc.timeout).map_err(|e| wrong(&format!("timeout {e}")))?;
    }
    for probe in &profile.probe {
        let wrong = |what: &str| malformed(format!("[[probe]] id = \"{}\": {what}", probe.id));
        if probe.targets.is_empty() {
            return Err(wrong("targets is empty"));
        }
        length(&probe.timeout).map_err(|e| wrong(&format!("timeout {e}")))?;
    }
    for source in &profile.health_order {
        let known = source.split_once('/').is_some_and(|(family, id)| seen.iter().any(|s| s.0 == family && s.1 == id));
        if !known {
            let what = "is neither grpc/<id>, exec/<id> nor http/<id> of this profile";
            return Err(malformed(format!("health_order: `{source}` {what}")));
        }
    }
    let on_host = profile.exec.iter().any(|e| e.host)
        || profile.http.iter().any(|h| h.host)
        || profile.grpc.iter().any(|g| g.host)
        || profile.probe.iter().any(|p| p.host)
        || profile.storage.iter().any(|s| s.host);
    match &profile.host.program {
        Some(program) => program.check().map_err(malformed)?,
        None if on_host => return Err(malformed("host = true needs a [host.program]".to_owned())),
        None => {}
    }
    services::check(&profile).map_err(malformed)?;
    for storage in &profile.storage {
        storage.check().map_err(|why| malformed(format!("[[storage]] id = \"{}\": {why}", storage.id)))?;
    }
    for (name, parameter) in &profile.parameters {
        if let Some(pattern) = &parameter.pattern {
            regex::Regex::new(pattern).map_err(|e| malformed(format!("[parameters.{name}] pattern: {e}")))?;
        }
    }
    Ok(profile)
}

/// Checks a length of time that has no parameter in it.
fn length(text: &str) -> Result<(), String> {
    if text.contains('{') {
        return Ok(());
    }
    humantime::parse_duration(text)
        .map(|_| ())
        .map_err(|e| format!("`{text}` is no length of time: {e} (write 500ms, 30s or 5m)"))
}

/// Loads `profile.toml` from a directory.
///
/// # Errors
/// As [`parse`], and when the file cannot be read.
pub fn load_dir(dir: &Path) -> Result<Profile, ProfileError> {
    let path = dir.join("profile.toml");
    let text = std::fs::read_to_string(&path).map_err(|source| ProfileError::Io { path: path.clone(), source })?;
    parse(&path.display().to_string(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "schema = 1\nid = \"x\"\ntitle = \"X\"\nprefix = \"x\"\n";

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("p.toml", &format!("{HEAD}[kubernetes]\nnamespace = [\"a\"]\n")).unwrap_err().to_string();
        assert!(error.starts_with("p.toml: "), "{error}");
        assert!(error.contains("line 6") && error.contains("namespace"), "{error}");
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, want) in [
            ("[[http]]\nid=\"a\"\npods=\"a=b\"\nport=1\npath=\"x\"\nartifact=\"x\"\nwhy=\"x\"\n", "slash"),
            ("[[exec]]\nid=\"a\"\npods=\"a=b\"\ncommand=[]\nartifact=\"x\"\nwhy=\"x\"\n", "empty"),
            (
                "[[exec]]\nid=\"a\"\npods=\"a=b\"\nforward=\"1\"\ncommand=[\"x\"]\nartifact=\"x\"\nwhy=\"x\"\n",
                "forward",
            ),
            ("[[exec]]\nid=\"a\"\npods=\"a=b\"\ncommand=[\"x\", \"{target}\"]\nartifact=\"x\"\nwhy=\"x\"\n", "target"),
            ("[parameters.p]\ndescription=\"d\"\npattern=\"(\"\n", "pattern"),
            ("[[http]]\nid=\"a\"\npods=\"a=b\"\nport=1\npath=\"/\"\nartifact=\"x\"\nwhy=\"x\"\nsamples=0\n", "samples"),
            (
                "[[http]]\nid=\"a\"\npods=\"a=b\"\nport=1\npath=\"/\"\nartifact=\"x\"\nwhy=\"x\"\ninterval=\"soon\"\n",
                "500ms",
            ),
            ("[[grpc]]\nid=\"a\"\nmethods=[\"health\"]\nartifact=\"x\"\nwhy=\"x\"\n", "either pods or endpoint"),
            ("[[grpc]]\nid=\"a\"\npods=\"a=b\"\nmethods=[\"health\"]\nartifact=\"x\"\nwhy=\"x\"\n", "port"),
            ("[[grpc]]\nid=\"a\"\nendpoint=\"a:1\"\nmethods=[]\nartifact=\"x\"\nwhy=\"x\"\n", "methods is empty"),
            ("[[grpc]]\nid=\"a\"\nendpoint=\"a:1\"\nmethods=[\"write\"]\nartifact=\"x\"\nwhy=\"x\"\n", "write"),
        ] {
            let error = parse("p.toml", &format!("{HEAD}{text}")).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let error = parse("p.toml", &format!("{HEAD}health_order = [\"http/none\"]\n")).unwrap_err().to_string();
        assert!(error.contains("http/none"), "{error}");
    }
}
