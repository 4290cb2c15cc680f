//! Which bucket or directory a store is, out of the configuration that was collected a moment ago.

use serde_json::Value;

use super::wiring::Wiring;
use crate::collect::placeholder::Values;
use crate::collect::s3::{Document, Place};
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

impl Found {
    /// The listing of it before anything was asked.
    pub(in crate::collect) fn document(&self, storage: &Storage) -> Document {
        Document {
            id: storage.id.clone(),
            kind: if self.kind == Kind::Bucket { "s3" } else { "file" }.to_owned(),
            place: self.place.clone(),
            prefix: self.prefix.clone(),
            endpoint: self.endpoint.clone(),
            found_in: self.found_in.clone(),
            listed_by: "casefile".to_owned(),
            ..Document::default()
        }
    }

    /// What to ask of an object store, where it is a bucket.
    pub(in crate::collect) fn place(&self, storage: &Storage) -> Place {
        Place {
            bucket: self.place.clone(),
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            sts_endpoint: self.sts_endpoint.clone(),
            anonymous: storage.anonymous,
            limit: storage.limit_objects,
        }
    }
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
        let Some(mut document) = document else {
            looked.push(format!("{path} cannot be decoded"));
            continue;
        };
        let in_file = read(storage, values, wiring, &document, &path);
        // What a server says that it runs with has its variables in it.
        if path.ends_with(".toml") {
            wiring.overlay(&mut document, storage.env.as_deref());
        }
        let Some(mut found) = read(storage, values, wiring, &document, &path) else {
            looked.push(format!("{path} names none"));
            continue;
        };
        if let Some(process) = wiring.process().filter(|_| in_file.as_ref() != Some(&found)) {
            process.clone_into(&mut found.found_in);
        }
        return Ok(found);
    }
    let named = read(storage, values, wiring, &Value::Null, "parameters");
    let mut document = Value::Null;
    wiring.overlay(&mut document, storage.env.as_deref());
    let source = wiring.process().filter(|_| named.is_none()).unwrap_or("parameters");
    read(storage, values, wiring, &document, source).ok_or_else(|| {
        CollectError::NotApplicable(format!("no bucket or directory is known for it: {}", looked.join(", ")))
    })
}

/// The place that one document, or a parameter, names.
fn read(storage: &Storage, values: &Values, wiring: &Wiring, document: &Value, source: &str) -> Option<Found> {
    let get = |places: &[String]| places.iter().find_map(|place| one(place, values, wiring, document));
    let (kind, place, prefixes) = match (get(&storage.bucket), get(&storage.directory)) {
        (Some(bucket), _) => (Kind::Bucket, bucket, &storage.bucket_prefix),
        (None, Some(directory)) => (Kind::Directory, directory, &storage.directory_prefix),
        (None, None) => return None,
    };
    // An empty variable is one that is not set, for the SDK as well.
    let filled = |places: &[String]| get(places).filter(|value| !value.is_empty());
    Some(Found {
        kind,
        place,
        prefix: get(prefixes).unwrap_or_else(|| storage.default_prefix.clone()),
        region: filled(&storage.region),
        endpoint: filled(&storage.endpoint),
        sts_endpoint: filled(&storage.sts_endpoint),
        found_in: source.to_owned(),
    })
}

/// A value of the document, of a parameter, or of a variable. An empty prefix is a value, an empty bucket is none; a template
/// that nobody filled in is none either.
fn one(place: &str, values: &Values, wiring: &Wiring, document: &Value) -> Option<String> {
    let value = if place.starts_with('/') {
        document.pointer(place)?.as_str()?.to_owned()
    } else if let Some(name) = place.strip_prefix('$') {
        wiring.variable(name).filter(|value| !value.is_empty())?.to_owned()
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
        let found = read(&storage, &values, &Wiring::default(), &bucket, "x").unwrap();
        assert_eq!((found.kind, found.place.as_str(), found.prefix.as_str()), (Kind::Bucket, "b", "PRIV-p3"));
        assert_eq!((found.region.as_deref(), found.endpoint), (Some("eu-west-1"), None));
        let file = json!({"private_vault": {"storage": {"file": {"path": "/keys", "prefix": null}}}});
        let found = read(&storage, &values, &Wiring::default(), &file, "x").unwrap();
        assert_eq!((found.kind, found.place.as_str(), found.prefix.as_str()), (Kind::Directory, "/keys", "PRIV"));
        assert_eq!(read(&storage, &values, &Wiring::default(), &json!({"private_vault": null}), "x"), None);
        let template = json!({"private_vault": {"storage": {"s3": {"bucket": "${BUCKET}"}}}});
        assert_eq!(read(&storage, &values, &Wiring::default(), &template, "x"), None);
    }

    #[test]
    fn variables_of_the_sdk_count_where_the_configuration_says_nothing() {
        let (storage, values) = private();
        let variables =
            [("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_S3", "http://s3"), ("AWS_REGION", "eu-west-3")];
        let variables = variables.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let wiring = Wiring::of_process(BTreeMap::from(variables), "env.json".to_owned());
        let bucket = json!({"aws": {"region": "eu-west-1"}, "private_vault": {"storage": {"s3": {"bucket": "b"}}}});
        let found = read(&storage, &values, &wiring, &bucket, "x").unwrap();
        assert_eq!((found.region.as_deref(), found.endpoint.as_deref()), (Some("eu-west-1"), Some("http://s3")));
        assert_eq!(found.sts_endpoint.as_deref(), Some("http://all"));
    }

    #[test]
    fn documents_are_decoded_by_their_name() {
        assert_eq!(decode("a.json", br#""{\"a\": 1}""#).unwrap()["a"], 1);
        assert_eq!(decode("a.toml", b"a = 1").unwrap()["a"], 1);
        assert_eq!(decode("a.toml", b"= ="), None);
    }
}
