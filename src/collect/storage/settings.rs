//! Which bucket or directory a store is, out of the configuration that was collected a moment ago.

use serde_json::Value;

use super::wiring::Wiring;
use crate::collect::placeholder::Values;
use crate::collect::{CollectError, Sink};
use crate::profile::Storage;

/// Configurations are read up to this size.
const CONFIG_MAX: u64 = 8 << 20;
/// Where lists of ConfigMaps stand.
const CONFIG_MAPS: &str = "cluster-resources/configmaps/";

/// A place that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::collect) struct Found {
    pub(in crate::collect) kind: Kind,
    /// Bucket or directory.
    pub(in crate::collect) place: String,
    pub(in crate::collect) prefix: String,
    pub(in crate::collect) region: Option<String>,
    pub(in crate::collect) endpoint: Option<String>,
    pub(in crate::collect) sts_endpoint: Option<String>,
    /// The artifact that named it, or `parameters`.
    pub(in crate::collect) found_in: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::collect) enum Kind {
    Bucket,
    Directory,
}

/// Looks a store up in what has been collected; the first source that names it is believed.
///
/// # Errors
/// [`CollectError::NotApplicable`] when no source names it; the text says which were looked at.
pub(in crate::collect) fn find(
    sink: &Sink,
    storage: &Storage,
    values: &Values,
    wiring: &Wiring,
) -> Result<Found, CollectError> {
    let mut looked = Vec::new();
    let sources = storage.from.iter().map(|template| values.fill(template)).collect::<Result<Vec<_>, _>>()?;
    for path in sources {
        let Some(bytes) = sink.collected(&path, CONFIG_MAX) else {
            looked.push(format!("{path} is not there"));
            continue;
        };
        let document = if path.starts_with(CONFIG_MAPS) {
            wiring.configuration(&bytes, storage.env.as_deref())
        } else {
            decode(&path, &bytes)
        };
        let Some(document) = document else {
            looked.push(format!("{path} cannot be decoded"));
            continue;
        };
        if let Some(found) = read(storage, values, &document, &path) {
            return Ok(found);
        }
        looked.push(format!("{path} names none"));
    }
    read(storage, values, &Value::Null, "parameters").ok_or_else(|| {
        CollectError::NotApplicable(format!("no bucket or directory is known for it: {}", looked.join(", ")))
    })
}

/// The place that one document, or a parameter, names.
fn read(storage: &Storage, values: &Values, document: &Value, source: &str) -> Option<Found> {
    let get = |places: &[String]| places.iter().find_map(|place| one(place, values, document));
    let (kind, place, prefixes) = match (get(&storage.bucket), get(&storage.directory)) {
        (Some(bucket), _) => (Kind::Bucket, bucket, &storage.bucket_prefix),
        (None, Some(directory)) => (Kind::Directory, directory, &storage.directory_prefix),
        (None, None) => return None,
    };
    Some(Found {
        kind,
        place,
        prefix: get(prefixes).unwrap_or_else(|| storage.default_prefix.clone()),
        region: get(&storage.region).filter(|r| !r.is_empty()),
        endpoint: get(&storage.endpoint).filter(|e| !e.is_empty()),
        sts_endpoint: get(&storage.sts_endpoint).filter(|e| !e.is_empty()),
        found_in: source.to_owned(),
    })
}

/// A value of the document, or of a parameter. An empty prefix is a value, an empty bucket is none; a template that nobody
/// filled in is none either.
fn one(place: &str, values: &Values, document: &Value) -> Option<String> {
    let value = if place.starts_with('/') {
        document.pointer(place)?.as_str()?.to_owned()
    } else {
        values.fill(place).ok().filter(|value| !value.is_empty())?
    };
    (!value.contains("${")).then_some(value)
}

/// JSON, JSON inside of a JSON text, or TOML.
fn decode(path: &str, bytes: &[u8]) -> Option<Value> {
    if path.ends_with(".toml") {
        return toml::from_str(std::str::from_utf8(bytes).ok()?).ok();
    }
    match serde_json::from_slice(bytes).ok()? {
        Value::String(inner) => serde_json::from_str(&inner).ok(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn private() -> (Storage, Values) {
        let profile = crate::profile::find_builtin("kms").unwrap();
        let storage = profile.storage.iter().find(|s| s.id == "private").unwrap().clone();
        (storage, Values::of(profile, &BTreeMap::new()).within("n", "p", ""))
    }

    #[test]
    fn buckets_and_directories_are_found_with_their_defaults() {
        let (storage, values) = private();
        let bucket = json!({"aws": {"region": "eu-west-1", "s3_endpoint": null}, "private_vault": {"storage": {"s3": {"bucket": "b", "prefix": "PRIV-p3"}}}});
        let found = read(&storage, &values, &bucket, "x").unwrap();
        assert_eq!((found.kind, found.place.as_str(), found.prefix.as_str()), (Kind::Bucket, "b", "PRIV-p3"));
        assert_eq!((found.region.as_deref(), found.endpoint), (Some("eu-west-1"), None));
        let file = json!({"private_vault": {"storage": {"file": {"path": "/keys", "prefix": null}}}});
        let found = read(&storage, &values, &file, "x").unwrap();
        assert_eq!((found.kind, found.place.as_str(), found.prefix.as_str()), (Kind::Directory, "/keys", "PRIV"));
        assert_eq!(read(&storage, &values, &json!({"private_vault": null}), "x"), None);
        let template = json!({"private_vault": {"storage": {"s3": {"bucket": "${BUCKET}"}}}});
        assert_eq!(read(&storage, &values, &template, "x"), None);
    }

    #[test]
    fn documents_are_decoded_by_their_name() {
        assert_eq!(decode("a.json", br#""{\"a\": 1}""#).unwrap()["a"], 1);
        assert_eq!(decode("a.toml", b"a = 1").unwrap()["a"], 1);
        assert_eq!(decode("a.toml", b"= ="), None);
    }
}
