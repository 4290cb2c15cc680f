//! Where a source is, and as whom it is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Url;
use zeroize::Zeroizing;

use crate::collect::CollectError;
use crate::collect::placeholder::Values;
use crate::profile;

/// Most sources that one `url` may name.
const TARGETS_MAX: usize = 64;

/// What the command line reads from outside and hands in: this module never looks at the environment itself.
#[derive(Debug, Clone, Default)]
pub struct Ambient {
    /// The variables of [`VARIABLES`] that are set.
    pub env: BTreeMap<String, String>,
    /// Home directory, for `.pgpass` and service files.
    pub home: Option<PathBuf>,
    /// Name of the user that runs the program.
    pub user: Option<String>,
    /// Parameters that the user set; the others have their defaults.
    pub named: Vec<String>,
}

/// The variables that sources may use, as the usual client of each source does.
pub const VARIABLES: [&str; 21] = [
    "CONTAINER_HOST",
    "DOCKER_CERT_PATH",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSYSCONFDIR",
    "PGUSER",
    "USER",
    "LOGNAME",
    "XDG_RUNTIME_DIR",
];

impl Ambient {
    /// A variable that is set and not empty.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

/// Whether somebody named this endpoint, or the profile guesses it. A guess that nothing answers at means that the
/// service is not here; a named endpoint that nothing answers at is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A default of the profile or of the client.
    Guessed,
    /// Set by the user, the environment or a configuration file.
    Named,
}

/// A password or token. It has no `Debug` that shows it.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Credentials, resolved.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    pub(super) basic: Option<(String, Secret)>,
    pub(super) token: Option<Secret>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

/// One source to ask over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Part of the directory: empty for the only source of its kind.
    pub(super) name: String,
    /// Without user and password.
    pub(super) url: Url,
    pub(super) credentials: Credentials,
    pub(super) origin: Origin,
}

/// Parameters and what of them the user set.
pub(super) struct Resolver<'a> {
    pub(super) values: &'a Values,
    pub(super) named: &'a [String],
}

impl Resolver<'_> {
    /// Fills a template.
    pub(super) fn fill(&self, template: &str) -> Result<String, CollectError> {
        self.values.fill(template)
    }

    /// Fills a template whose parameter may be missing.
    pub(super) fn optional(&self, template: Option<&String>) -> Option<String> {
        template.and_then(|t| self.values.fill(t).ok()).filter(|v| !v.is_empty())
    }

    /// Whether a template holds something that the user set.
    pub(super) fn origin(&self, template: &str) -> Origin {
        let named = self.named.iter().any(|name| template.contains(&format!("{{{name}}}")));
        if named { Origin::Named } else { Origin::Guessed }
    }

    pub(super) fn credentials(&self, auth: &profile::Auth) -> Credentials {
        let path = |t: &Option<String>| self.optional(t.as_ref()).map(PathBuf::from);
        let password = self.optional(auth.password.as_ref()).map(Secret::new);
        Credentials {
            basic: self.optional(auth.user.as_ref()).map(|user| (user, password.unwrap_or_else(|| Secret::new("")))),
            token: self.optional(auth.token.as_ref()).map(Secret::new),
            ca_file: path(&auth.ca_file),
            cert_file: path(&auth.cert_file),
            key_file: path(&auth.key_file),
        }
    }

    /// The sources that a `url` names.
    pub(super) fn targets(
        &self,
        own_name: &str,
        template: &str,
        auth: &profile::Auth,
    ) -> Result<Vec<Target>, CollectError> {
        let filled = self.fill(template)?;
        let parts: Vec<&str> = filled.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
        if parts.is_empty() {
            return Err(CollectError::NotApplicable(
                "no address is set for it (try: casefile profiles show)".to_owned(),
            ));
        }
        if parts.len() > TARGETS_MAX {
            return Err(CollectError::Failed(format!("more than {TARGETS_MAX} addresses (try: fewer of them)")));
        }
        let single = parts.len() == 1;
        let mut targets: Vec<Target> = Vec::new();
        for part in parts {
            let (name, url) = named_url(part);
            let mut url = parse_url(url)?;
            let mut credentials = self.credentials(auth);
            if let Some(basic) = take_userinfo(&mut url) {
                credentials.basic = Some(basic);
            }
            let own = match (name, single) {
                (Some(name), _) => name.to_owned(),
                (None, true) => String::new(),
                (None, false) => authority(&url).replace(':', "_"),
            };
            let mut full = [own_name, own.as_str()].into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join("-");
            if targets.iter().any(|t| t.name == full) {
                full = format!("{full}-{}", targets.len() + 1);
            }
            targets.push(Target { name: full, url, credentials, origin: self.origin(template) });
        }
        Ok(targets)
    }
}

/// `NAME=URL` or `URL`. A `=` inside of a URL is no name.
fn named_url(part: &str) -> (Option<&str>, &str) {
    match part.split_once('=') {
        Some((name, url)) if !name.is_empty() && !name.contains([':', '/', '?']) => (Some(name), url),
        _ => (None, part),
    }
}

/// A base URL; `host:port` counts as one of HTTP.
pub(super) fn parse_url(text: &str) -> Result<Url, CollectError> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // The text may hold a password, so the error does not repeat it.
    let bad = |why: String| CollectError::Failed(format!("an address is no URL: {why} (try: http://HOST:PORT)"));
    let mut url = Url::parse(&full).map_err(|e| bad(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad(format!("scheme {} or its host is not usable", url.scheme())));
    }
    url.set_fragment(None);
    url.set_query(None);
    Ok(url)
}

fn take_userinfo(url: &mut Url) -> Option<(String, Secret)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decoded(text);
    let basic = (decode(url.username()), Secret::new(decode(url.password().unwrap_or_default())));
    // Both fail only for URLs without a host, which were refused.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(basic)
}

/// Decodes `%XX`; bytes that give no UTF-8 are replaced.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Host and port of a URL, for people and names.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(set: &str, auth: &profile::Auth) -> Result<Vec<Target>, CollectError> {
        let text = "schema = 1\nid = \"x\"\ntitle = \"X\"\nprefix = \"x\"\n[parameters.url]\ndescription = \"d\"\n";
        let profile = profile::parse("p", text).unwrap();
        let values = Values::of(&profile, &BTreeMap::from([("url".to_owned(), set.to_owned())]));
        Resolver { values: &values, named: &["url".to_owned()] }.targets("", "{url}", auth)
    }

    #[test]
    fn a_list_gives_one_source_each() {
        let found = targets("node-1=http://a:8081, b:9,https://c/base?x=1", &profile::Auth::default()).unwrap();
        let shown: Vec<String> = found.iter().map(|t| format!("{} {}", t.name, t.url)).collect();
        assert_eq!(shown, ["node-1 http://a:8081/", "b_9 http://b:9/", "c_443 https://c/base"]);
        assert!(found.iter().all(|t| t.origin == Origin::Named));
        assert_eq!(targets("a:1", &profile::Auth::default()).unwrap()[0].name, "");
    }

    #[test]
    fn user_and_password_leave_the_address() {
        let found = targets("http://us%65r:p%40ss@h:1", &profile::Auth::default()).unwrap();
        assert_eq!(found[0].url.as_str(), "http://h:1/");
        let (user, password) = found[0].credentials.basic.clone().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("user", "p@ss"));
        assert!(!format!("{:?}", found[0]).contains("p@ss"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in ["ftp://u:Hunter2xyz@h", "http://u:Hunter2xyz@:x", "http://"] {
            let error = targets(text, &profile::Auth::default()).unwrap_err();
            assert!(!error.to_string().contains("Hunter2"), "{error}");
            assert!(error.to_string().contains("try:"), "{error}");
        }
        assert!(matches!(targets(" , ", &profile::Auth::default()), Err(CollectError::NotApplicable(_))));
    }
}
