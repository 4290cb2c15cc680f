//! A manifest for bundles that have none: archives of other tools.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::bundle::{Store, StoreError, format, layout};
use crate::model::time::Timestamp;
use crate::model::{Manifest, RunStatus, SCHEMA_VERSION, Tool};

/// Manifests are read up to this size.
const MANIFEST_MAX: u64 = 256 << 20;
/// Bytes of one list in which the newest time is looked for.
const LOOK_MAX: u64 = 64 << 20;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `manifest.json` is damaged.
    #[error("manifest.json cannot be decoded: {0} (try: casefile verify BUNDLE)")]
    Malformed(String),
    /// The bundle was made by a newer version.
    #[error(
        "the bundle has format version {0}, and this version of casefile reads up to {SCHEMA_VERSION}; use a newer casefile"
    )]
    TooNew(u32),
}

/// The manifest of a bundle, and whether it was made up because the bundle has none.
///
/// # Errors
/// When the manifest is there and cannot be used.
pub fn manifest_of(store: &dyn Store, profile: Option<&str>) -> Result<(Manifest, bool), ManifestError> {
    if !store.contains(format::MANIFEST) {
        return Ok((made_up(store, profile)?, true));
    }
    let bytes = store.read(format::MANIFEST, MANIFEST_MAX)?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| ManifestError::Malformed(e.to_string()))?;
    let version = value.get("schema_version").and_then(serde_json::Value::as_u64).unwrap_or_default();
    if version > u64::from(SCHEMA_VERSION) {
        return Err(ManifestError::TooNew(u32::try_from(version).unwrap_or(u32::MAX)));
    }
    let mut manifest: Manifest = serde_json::from_value(value).map_err(|e| ManifestError::Malformed(e.to_string()))?;
    if let Some(profile) = profile {
        profile.clone_into(&mut manifest.profile);
    }
    Ok((manifest, false))
}

/// The smallest manifest that triage needs, for a bundle that has none or whose own cannot be read. "Now" is the newest time
/// that stands in the lists of pods and events.
///
/// # Errors
/// When the bundle cannot be read.
pub fn made_up(store: &dyn Store, profile: Option<&str>) -> Result<Manifest, StoreError> {
    let mut newest: Option<Timestamp> = None;
    let mut namespaces = BTreeSet::new();
    let mut kms = false;
    for entry in store.entries() {
        let Some((group, plural, namespace)) = layout::parse_objects(&entry.path) else { continue };
        if !group.is_empty() || !matches!(plural.as_str(), "pods" | "events") {
            continue;
        }
        namespaces.extend(namespace);
        let mut text = Vec::new();
        if store.open(&entry.path)?.take(LOOK_MAX).read_to_end(&mut text).is_err() {
            continue;
        }
        newest = newest.max(newest_time(&text));
        kms |= plural == "pods" && memchr::memmem::find(&text, b"kms-core").is_some();
    }
    let now = newest.unwrap_or_default();
    let guess = if kms { "kms" } else { "kubernetes" };
    Ok(Manifest {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "unknown".to_owned(), version: String::new() },
        status: RunStatus::Finished,
        profile: profile.unwrap_or(guess).to_owned(),
        parameters: BTreeMap::new(),
        namespaces: namespaces.into_iter().collect(),
        case: None,
        started: now,
        finished: now,
        clocks: Vec::new(),
        notes: BTreeMap::from([("manifest".to_owned(), "made up by triage: the bundle has none".into())]),
        ledger: Vec::new(),
        files: Vec::new(),
    })
}

/// The newest time of the form `"2026-11-21T06:32:38` in a text. Certificates and tokens that end in the future stand in
/// other lists than those that are looked at.
fn newest_time(text: &[u8]) -> Option<Timestamp> {
    let mut newest = None;
    for at in memchr::memchr_iter(b'"', text) {
        let Some(word) = text.get(at + 1..at + 20) else { break };
        if word[4] != b'-' || word[10] != b'T' || !word[0].is_ascii_digit() {
            continue;
        }
        let word = std::str::from_utf8(word).ok();
        newest = newest.max(word.and_then(|w| chrono::NaiveDateTime::parse_from_str(w, "%Y-%m-%dT%H:%M:%S").ok()));
    }
    newest.map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_time_is_found() {
        let text = br#"{"a":"2026-11-21T06:32:38Z","b":"2026-11-21T06:32:39.5Z","c":"x2027-01-01T00:00:00Z","d":"202"#;
        assert_eq!(newest_time(text).map(crate::model::time::rfc3339).as_deref(), Some("2026-11-21T06:32:39Z"));
        assert_eq!(newest_time(b"\"\""), None);
    }
}
