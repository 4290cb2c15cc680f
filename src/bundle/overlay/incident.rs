//! Bases and incidents by name.

use serde::Deserialize;

use super::super::Store;
use super::{MemStore, Overlay, OverlayError};
use crate::model::time::Timestamp;

/// Most bytes of an `expect.toml`.
const DESCRIPTION_MAX: u64 = 64 << 10;
/// Most bytes of a `replay.json`.
const REPLAY_MAX: u64 = 16 << 20;
const REPLAY: &str = "replay.json";
const BASES: &str = "clusters/";
const INCIDENTS: &str = "incidents/";
const OVERLAYS: &str = "overlays/";
const EXPECT: &str = "/expect.toml";

/// Recorded clusters and the incidents over them.
pub struct Fixtures {
    store: Box<dyn Store>,
    incidents: Vec<Incident>,
}

/// One incident: what it shows and over which base.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Name of its directory.
    pub name: String,
    /// Its directory: `incidents/<family>/<name>`.
    pub dir: String,
    /// The content of `expect.toml`.
    pub expect: Expect,
}

/// What triage must say about an incident.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Name of the base below `clusters/`.
    pub base: String,
    /// Overlays of `overlays/` that come before its own, in this order.
    #[serde(default)]
    pub overlays: Vec<String>,
    /// A few words.
    pub title: String,
    /// One line for `casefile demo --list`.
    pub description: String,
    /// Overall status: `optimal`, `healthy`, `degraded`, `unhealthy` or `unknown`; several where more than one is right.
    pub status: Vec<String>,
    /// Rule of the root cause; none when nothing is wrong.
    pub root_cause: Option<String>,
    /// Subject of the root cause: `pod/kms/core-0`.
    pub root_subject: Option<String>,
    /// Rules that must find something.
    #[serde(default)]
    pub must: Vec<String>,
    /// Rules that must not.
    #[serde(default)]
    pub must_not: Vec<String>,
    /// Whether `casefile demo` offers it: not while triage cannot see what it shows.
    #[serde(default = "yes")]
    pub demo: bool,
}

fn yes() -> bool {
    true
}

/// The one field of a base's `replay.json` that is needed here.
#[derive(Debug, Deserialize)]
struct Recorded {
    /// When the state was so: the "now" of the cluster, RFC 3339.
    now: Timestamp,
}

impl Fixtures {
    /// Finds the incidents in a store that has `clusters/` and `incidents/`.
    ///
    /// # Errors
    /// When an `expect.toml` cannot be read.
    pub fn new(store: Box<dyn Store>) -> Result<Self, OverlayError> {
        let mut incidents = Vec::new();
        for entry in store.entries() {
            let Some(dir) = entry.path.strip_suffix(EXPECT).filter(|dir| dir.starts_with(INCIDENTS)) else { continue };
            let text = text(&*store, &entry.path)?;
            let expect = toml::from_str(&text).map_err(|e| OverlayError::format(&entry.path, e))?;
            let name = dir.rsplit('/').next().unwrap_or(dir).to_owned();
            incidents.push(Incident { name, dir: dir.to_owned(), expect });
        }
        incidents.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { store, incidents })
    }

    /// All incidents, sorted by name.
    #[must_use]
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// The incident of this name.
    ///
    /// # Errors
    /// When there is none; the error names those that exist.
    pub fn find(&self, name: &str) -> Result<&Incident, OverlayError> {
        self.incidents.iter().find(|i| i.name == name).ok_or_else(|| OverlayError::Unknown {
            kind: "incident",
            name: name.to_owned(),
            known: self.incidents.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// A base without any incident.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn base(&self, name: &str) -> Result<MemStore, OverlayError> {
        let base = MemStore::below(&*self.store, &format!("{BASES}{name}/"))?;
        if base.entries().is_empty() {
            let mut known: Vec<&str> =
                (self.store.entries().iter()).filter_map(|e| e.path.strip_prefix(BASES)?.split('/').next()).collect();
            known.dedup();
            return Err(OverlayError::Unknown { kind: "base", name: name.to_owned(), known: known.join(", ") });
        }
        Ok(base)
    }

    /// The cluster of an incident: its base with its overlay.
    ///
    /// # Errors
    /// When there is no such incident, or its overlay does not fit its base.
    pub fn cluster(&self, incident: &str) -> Result<MemStore, OverlayError> {
        let incident = self.find(incident)?;
        let mut cluster = self.base(&incident.expect.base)?;
        for name in &incident.expect.overlays {
            let dir = format!("{OVERLAYS}{name}");
            if !self.store.entries().iter().any(|e| e.path.strip_prefix(&dir).is_some_and(|r| r.starts_with('/'))) {
                let mut known: Vec<&str> = (self.store.entries().iter())
                    .filter_map(|e| e.path.strip_prefix(OVERLAYS)?.split('/').next())
                    .collect();
                known.dedup();
                return Err(OverlayError::Unknown { kind: "overlay", name: name.clone(), known: known.join(", ") });
            }
            Overlay::read(&*self.store, &dir)?.apply(&mut cluster)?;
        }
        Overlay::read(&*self.store, &incident.dir)?.apply(&mut cluster)?;
        Ok(cluster)
    }

    /// When a base was recorded: the "now" of its cluster.
    ///
    /// # Errors
    /// When the base has no `replay.json`, or no time in it.
    pub fn now(&self, base: &str) -> Result<Timestamp, OverlayError> {
        let path = format!("{BASES}{base}/{REPLAY}");
        let bytes = self.store.read(&path, REPLAY_MAX)?;
        let recorded: Recorded = serde_json::from_slice(&bytes).map_err(|e| OverlayError::format(&path, e))?;
        Ok(recorded.now)
    }
}

fn text(store: &dyn Store, path: &str) -> Result<String, OverlayError> {
    String::from_utf8(store.read(path, DESCRIPTION_MAX)?).map_err(|e| OverlayError::format(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures(expect: &str) -> Result<Fixtures, OverlayError> {
        let mut store = MemStore::new();
        store.insert("clusters/a/replay.json", &br#"{"now":"2026-11-21T06:32:42Z","exec":[]}"#[..]);
        store.insert("clusters/a/pods.json", &b"{\"items\":[]}"[..]);
        store.insert("incidents/k/bad/expect.toml", expect.as_bytes());
        store.insert("incidents/k/bad/patch.json", &br#"[{"file":"pods.json","append":[1]}]"#[..]);
        Fixtures::new(Box::new(store))
    }

    const EXPECT: &str = "base = \"a\"\ntitle = \"B\"\ndescription = \"C\"\nstatus = [\"degraded\"]\n";

    #[test]
    fn an_incident_is_its_base_with_changes() {
        let fixtures = fixtures(EXPECT).unwrap();
        let pods = |store: &MemStore| {
            String::from_utf8_lossy(store.get("pods.json").unwrap()).replace(char::is_whitespace, "")
        };
        assert_eq!(pods(&fixtures.cluster("bad").unwrap()), "{\"items\":[1]}");
        assert_eq!(pods(&fixtures.base("a").unwrap()), "{\"items\":[]}");
        assert_eq!(crate::model::time::rfc3339(fixtures.now("a").unwrap()), "2026-11-21T06:32:42Z");
    }

    #[test]
    fn unknown_names_are_told_the_known_ones() {
        let fixtures = fixtures(EXPECT).unwrap();
        assert_eq!(fixtures.cluster("x").err().unwrap().to_string(), "there is no incident `x`; there are: bad");
        assert_eq!(fixtures.base("x").err().unwrap().to_string(), "there is no base `x`; there are: a");
    }

    #[test]
    fn shared_overlays_come_first() {
        let with = |overlays: &str| {
            let mut store = MemStore::new();
            store.insert("clusters/a/replay.json", &br#"{"now":"2026-11-21T06:32:42Z"}"#[..]);
            store.insert("clusters/a/x", &b"base"[..]);
            store.insert("overlays/one/files/x", &b"one"[..]);
            store.insert("overlays/one/files/y", &b"one"[..]);
            store.insert("incidents/k/i/expect.toml", format!("{EXPECT}overlays = [\"{overlays}\"]\n").into_bytes());
            store.insert("incidents/k/i/files/x", &b"own"[..]);
            Fixtures::new(Box::new(store)).unwrap().cluster("i")
        };
        let cluster = with("one").unwrap();
        assert_eq!((cluster.get("x"), cluster.get("y")), (Some(&b"own"[..]), Some(&b"one"[..])));
        assert_eq!(with("two").err().unwrap().to_string(), "there is no overlay `two`; there are: one");
    }

    #[test]
    fn a_malformed_description_names_its_file() {
        let error = fixtures("base = 1").err().unwrap().to_string();
        assert!(error.contains("incidents/k/bad/expect.toml"), "{error}");
    }
}
