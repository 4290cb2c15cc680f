//! `storage/<namespace>/<pod>/<id>.json`: what lies in one store, whatever kind of store it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::collect::{CollectError, Done};
use crate::model::Outcome;

/// Names of neighbours and deleted objects that are kept.
pub(super) const NAMES_MAX: usize = 100;
/// Folders that are summed up one by one.
const FOLDERS_MAX: usize = 500;

/// One listing, as it stands in the bundle.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Which of the system's stores: `private`, `public`, ...
    pub id: String,
    /// `s3` or `file`.
    pub kind: String,
    /// Bucket, or directory.
    pub place: String,
    /// What all names begin with; it is left out of them.
    pub prefix: String,
    /// Region of the bucket, where it is known.
    pub region: Option<String>,
    /// Endpoint, where it is not the default one.
    pub endpoint: Option<String>,
    /// Artifact that named the place.
    pub found_in: String,
    /// Who listed it: `casefile`, or the command that ran in the pod.
    pub listed_by: String,
    /// Who asked; none for files.
    pub identity: Option<Identity>,
    /// What is there.
    pub listing: Listing,
    /// Versions, where there are any and they may be listed.
    pub versions: Option<Result<Versions, Fault>>,
    /// Why nothing, or not all, could be listed.
    pub fault: Option<Fault>,
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Account, empty where it is not known.
    pub account: String,
    /// Name of the user or role, empty where it is not known.
    pub arn: String,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Identity {
    /// An identity that is not known.
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { account: String::new(), arn: String::new(), reason: Some(reason.into()) }
    }
}

/// Why a store could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The store's own word, such as `AccessDenied`, or ours.
    pub code: String,
    /// What happened and what to try.
    pub text: String,
}

/// What lies below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The objects, in the order of the store.
    pub objects: Vec<Object>,
    /// Whether these are all.
    pub complete: bool,
    /// Requests, or commands, that it took.
    pub requests: u32,
    /// Lines of a command that could not be understood.
    pub unreadable: u64,
    /// What stands beside the prefix: other prefixes of the bucket.
    pub siblings: Vec<String>,
}

/// One object or file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Name below the prefix.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// When it was written last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Storage class, such as `STANDARD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Rights of a file, in octal or as `ls` prints them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Versions below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Whether all were counted.
    pub complete: bool,
    /// Versions, current ones among them.
    pub versions: u64,
    /// Versions that are not current.
    pub superseded: u64,
    /// Bytes of versions that are not current.
    pub superseded_bytes: i64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Names of what is deleted now; the first hundred.
    pub deleted: Vec<String>,
}

impl Document {
    /// Notes why nothing could be listed, unless that was noted better already.
    pub(in crate::collect) fn close(&mut self, result: &Result<(), CollectError>) {
        if let Err(error) = result
            && self.fault.is_none()
        {
            self.fault = Some(Fault { code: error.outcome().as_str().to_owned(), text: error.to_string() });
        }
    }

    /// How a listing ended.
    pub(in crate::collect) fn done(&self) -> Done {
        match &self.fault {
            Some(fault) => Done::with(Outcome::Truncated, fault.text.clone()),
            None if !self.listing.complete => {
                let text = format!("only the first {} objects were looked at", self.listing.objects.len());
                Done::with(Outcome::Truncated, text)
            }
            None if self.listing.objects.is_empty() => {
                Done::with(Outcome::Empty, format!("nothing is below {}", self.prefix))
            }
            None => Done::ok(),
        }
    }

    /// The document as JSON, with one object a line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let bytes: i64 = self.listing.objects.iter().map(|o| o.size).fold(0, i64::saturating_add);
        let mut head = vec![
            ("id", json!(self.id)),
            ("kind", json!(self.kind)),
            (if self.kind == "file" { "directory" } else { "bucket" }, json!(self.place)),
            ("prefix", json!(self.prefix)),
        ];
        let mut optional = |name, value: Option<Value>| head.extend(value.map(|v| (name, v)));
        optional("region", self.region.as_ref().map(|r| json!(r)));
        optional("endpoint", self.endpoint.as_ref().map(|e| json!(e)));
        optional("found_in", Some(json!(self.found_in)));
        optional("listed_by", Some(json!(self.listed_by)));
        optional("identity", self.identity.as_ref().map(|i| json!(i)));
        optional("fault", self.fault.as_ref().map(|f| json!(f)));
        optional("complete", Some(json!(self.listing.complete)));
        optional("requests", Some(json!(self.listing.requests)));
        optional("objects_seen", Some(json!(self.listing.objects.len())));
        optional("bytes_seen", Some(json!(bytes)));
        optional("unreadable_lines", (self.listing.unreadable > 0).then(|| json!(self.listing.unreadable)));
        optional(
            "versions",
            self.versions.as_ref().map(|v| match v {
                Ok(versions) => json!(versions),
                Err(fault) => json!({"fault": fault}),
            }),
        );
        optional("siblings", Some(json!(self.listing.siblings)));
        let mut out = b"{\n".to_vec();
        for (name, value) in head {
            out.extend_from_slice(format!(" {}: {value},\n", json!(name)).as_bytes());
        }
        rows(&mut out, "folders", self.folders().iter());
        out.extend_from_slice(b",\n");
        rows(&mut out, "objects", self.listing.objects.iter().map(|o| json!(o)).collect::<Vec<_>>().iter());
        out.extend_from_slice(b"\n}\n");
        out
    }

    /// Counts, bytes, oldest and newest of each folder.
    fn folders(&self) -> Vec<Value> {
        let mut folders: BTreeMap<&str, Folder<'_>> = BTreeMap::new();
        for object in &self.listing.objects {
            let name = object.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folders.len() >= FOLDERS_MAX && !folders.contains_key(name) {
                continue;
            }
            folders.entry(name).or_default().add(object);
        }
        let row = |(name, f): (&str, Folder<'_>)| json!({"name": name, "objects": f.objects, "bytes": f.bytes, "empty": f.empty, "oldest": f.oldest, "newest": f.newest});
        folders.into_iter().map(row).collect()
    }
}

#[derive(Default)]
struct Folder<'a> {
    objects: u64,
    bytes: i64,
    empty: u64,
    oldest: Option<&'a str>,
    newest: Option<&'a str>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, object: &'a Object) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(object.size);
        self.empty += u64::from(object.size == 0);
        // RFC 3339 in UTC sorts as text.
        if let Some(at) = object.modified.as_deref() {
            self.oldest = Some(self.oldest.map_or(at, |o| o.min(at)));
            self.newest = Some(self.newest.map_or(at, |n| n.max(at)));
        }
    }
}

/// `"name": [` and one element a line.
fn rows<'a>(out: &mut Vec<u8>, name: &str, values: impl Iterator<Item = &'a Value>) {
    out.extend_from_slice(format!(" {}: [", json!(name)).as_bytes());
    let mut separator = "\n  ";
    for value in values {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(value.to_string().as_bytes());
        separator = ",\n  ";
    }
    out.extend_from_slice(b"\n ]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_summed_up_and_each_object_has_a_line() {
        let object = |name: &str, size, at: &str| Object {
            name: name.to_owned(),
            size,
            modified: Some(at.to_owned()),
            ..Object::default()
        };
        let listing = Listing {
            objects: vec![
                object("A/x", 5, "2026-01-02T00:00:00Z"),
                object("A/y", 0, "2026-01-01T00:00:00Z"),
                object("z", 1, "2026-01-03T00:00:00Z"),
            ],
            complete: true,
            requests: 1,
            ..Listing::default()
        };
        let document = Document { id: "private".into(), kind: "s3".into(), listing, ..Document::default() };
        let text = String::from_utf8(document.to_json()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["folders"][1],
            json!({"name": "A", "objects": 2, "bytes": 5, "empty": 1, "oldest": "2026-01-01T00:00:00Z", "newest": "2026-01-02T00:00:00Z"})
        );
        assert_eq!(value["folders"][0]["name"], "");
        assert_eq!(value["bytes_seen"], 6);
        assert!(
            text.lines().any(|l| l.trim() == r#"{"name":"z","size":1,"modified":"2026-01-03T00:00:00Z"}"#),
            "{text}"
        );
        let empty = Document::default().to_json();
        assert!(serde_json::from_slice::<Value>(&empty).unwrap()["objects"].as_array().unwrap().is_empty());
    }
}
