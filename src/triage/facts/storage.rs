//! What lies in the buckets and directories of a system: `storage/<namespace>/<pod>/<id>.json`.

use std::sync::Arc;

use serde_json::Value;

use super::value::{int, list, string, time};
use super::{At, Key, inside};
use crate::model::time::Timestamp;
use crate::triage::finding::{Evidence, Place};
use crate::triage::text;

/// Objects that are kept of one store.
const OBJECTS_MAX: usize = 50_000;

/// One store of one pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vault {
    path: Arc<str>,
    pub(crate) pod: Key,
    /// `private`, `public`, ...
    pub(crate) id: String,
    /// `s3` or `file`.
    pub(crate) kind: String,
    /// Bucket or directory.
    pub(crate) place: String,
    pub(crate) prefix: String,
    /// Code and text of what kept it from being listed, or from being listed to its end.
    pub(crate) fault: Option<(String, String)>,
    /// Whether the objects are all there are.
    pub(crate) complete: bool,
    pub(crate) objects: Vec<Stored>,
    /// Other prefixes of the bucket.
    pub(crate) siblings: Vec<String>,
    /// Names whose newest version is a delete marker.
    pub(crate) deleted: Vec<String>,
}

/// One object or file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) size: i64,
    pub(crate) mode: String,
    pub(crate) modified: Option<Timestamp>,
}

impl Vault {
    /// Where it stands in the bundle.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a name that is not among the objects does not exist.
    pub(crate) fn is_whole(&self) -> bool {
        self.complete && self.fault.is_none()
    }

    /// `s3://bucket/prefix/` or the directory.
    pub(crate) fn shown(&self) -> String {
        if self.kind == "file" {
            format!("{}/{}", self.place.trim_end_matches('/'), self.prefix)
        } else {
            format!("s3://{}/{}", self.place, self.prefix)
        }
    }

    /// Evidence from one object.
    pub(crate) fn object(&self, index: usize) -> Evidence {
        let excerpt = self.objects.get(index).map_or_else(String::new, |o| format!("{} ({} bytes)", o.name, o.size));
        self.at(&format!("/objects/{index}"), &excerpt)
    }

    /// Evidence from a part of the document.
    pub(crate) fn at(&self, pointer: &str, excerpt: &str) -> Evidence {
        At { path: Arc::clone(&self.path), place: Place::Pointer(pointer.to_owned()) }.evidence(excerpt)
    }

    /// `Context 1, SigningKey 1`: objects of each folder.
    pub(crate) fn folders(&self) -> String {
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for object in &self.objects {
            *counts.entry(object.name.split('/').next().unwrap_or_default()).or_default() += 1;
        }
        counts.iter().map(|(folder, n)| format!("{folder} {n}")).collect::<Vec<_>>().join(", ")
    }

    /// The names in a folder, each with its index: `FheKeyInfo` has `FheKeyInfo/<epoch>/<id>` and `FheKeyInfo/<id>`.
    pub(crate) fn folder<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.objects
            .iter()
            .enumerate()
            .filter_map(move |(i, object)| Some((i, object.name.strip_prefix(folder)?.strip_prefix('/')?)))
    }
}

/// `storage/<namespace>/<pod>/<id>.json`: the pod.
pub(super) fn parse_path(path: &str) -> Option<Key> {
    let (pod, file) = inside::parse_path(path, "storage")?;
    file.ends_with(".json").then_some(pod)
}

/// Reads one document.
pub(super) fn parse(path: &Arc<str>, pod: Key, value: &Value) -> Vault {
    let fault = value.get("fault").map(|fault| (string(fault, "/code"), text::line(&string(fault, "/text"), 300)));
    let names = |at: &str| list(value, at).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Vault {
        path: Arc::clone(path),
        pod,
        id: string(value, "/id"),
        kind: string(value, "/kind"),
        place: string(value, if value.get("bucket").is_some() { "/bucket" } else { "/directory" }),
        prefix: string(value, "/prefix"),
        fault,
        complete: value.get("complete").and_then(Value::as_bool).unwrap_or_default(),
        objects: list(value, "/objects")
            .iter()
            .take(OBJECTS_MAX)
            .map(|o| Stored {
                // A prefix that was configured with a slash gives names that begin with one.
                name: string(o, "/name").trim_start_matches('/').to_owned(),
                size: int(o, "/size").unwrap_or_default(),
                mode: string(o, "/mode"),
                modified: time(o, "/modified"),
            })
            .collect(),
        siblings: names("/siblings"),
        deleted: names("/versions/deleted"),
    }
}
