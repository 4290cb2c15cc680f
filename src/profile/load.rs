//! Reading a profile and refusing a broken one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Profile, services};

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
    for http in &profile.http {
        if !http.path.starts_with('/') {
            return Err(malformed(format!("[[http]] id = \"{}\": path must begin with a slash", http.id)));
        }
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
            ("[[exec]]\nid=\"a\"\npods=\"a=b\"\ncommand=[\"x\", \"{target}\"]\nartifact=\"x\"\nwhy=\"x\"\n", "target"),
            ("[parameters.p]\ndescription=\"d\"\npattern=\"(\"\n", "pattern"),
        ] {
            let error = parse("p.toml", &format!("{HEAD}{text}")).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
