//! The stored lists: found by kind and namespace, parsed once, kept while they are small.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::discovery::METRICS_GROUP;
use super::events;
use super::status::Status;
use crate::bundle::{Store, layout};

/// A list file above this is refused; its text and its objects are in memory at once.
const LIST_LIMIT: u64 = 512 << 20;
/// Text of the lists whose objects are kept.
const CACHE_LIMIT: u64 = 64 << 20;

/// One object with what lists are sorted and filtered by.
#[derive(Debug)]
pub(super) struct Object {
    /// Empty for a kind without namespaces.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
    /// The object as it is stored.
    pub(super) value: Value,
}

impl Object {
    /// Where the object sorts in a list: by name, or over all namespaces by namespace and name.
    pub(super) fn key(&self, all: bool) -> String {
        if all && !self.namespace.is_empty() { format!("{}/{}", self.namespace, self.name) } else { self.name.clone() }
    }
}

/// The objects of one list file.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Resource version of the list, 0 when it has none.
    pub(super) version: i64,
    /// Sorted by namespace and name.
    pub(super) objects: Vec<Object>,
}

impl List {
    /// The same list with other objects in the places of its own.
    fn map(&self, convert: impl Fn(&Value) -> Value) -> Self {
        let object =
            |o: &Object| Object { namespace: o.namespace.clone(), name: o.name.clone(), value: convert(&o.value) };
        Self { version: self.version, objects: self.objects.iter().map(object).collect() }
    }
}

/// Namespace (none: the kind has none, or the file holds all) and path of a list file.
type Files = Vec<(Option<String>, String)>;

/// All lists of a store.
pub(super) struct Objects {
    store: Arc<dyn Store>,
    files: BTreeMap<(String, String), Files>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    lists: HashMap<String, (u64, Arc<List>)>,
    order: VecDeque<String>,
    size: u64,
}

impl Objects {
    /// Finds the list files of a store.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let mut files: BTreeMap<(String, String), Files> = BTreeMap::new();
        for entry in store.entries() {
            let found = layout::parse_objects(&entry.path).or_else(|| usage(&entry.path));
            if let Some((group, plural, namespace)) = found {
                files.entry((group, plural)).or_default().push((namespace, entry.path.clone()));
            }
        }
        Self { store, files, cache: Mutex::default() }
    }

    /// Whether there are any lists of a group.
    pub(super) fn has_group(&self, group: &str) -> bool {
        self.files.keys().any(|(g, _)| g == group)
    }

    /// Whether there is a list in which objects of a kind and namespace would be.
    pub(super) fn has_list(&self, group: &str, plural: &str, namespace: Option<&str>) -> bool {
        let group = if group == events::GROUP && plural == "events" { "" } else { group };
        let files = self.files.get(&(group.to_owned(), plural.to_owned()));
        files
            .into_iter()
            .flatten()
            .any(|(owner, _)| namespace.is_none() || owner.is_none() || owner.as_deref() == namespace)
    }

    /// The lists in which objects of a kind and namespace may be.
    ///
    /// # Errors
    /// When a list cannot be read or is not JSON.
    pub(super) fn lists(&self, group: &str, plural: &str, namespace: Option<&str>) -> Result<Vec<Arc<List>>, Status> {
        let files = self.files.get(&(group.to_owned(), plural.to_owned()));
        if files.is_none() && group == events::GROUP && plural == "events" {
            let lists = self.lists("", "events", namespace)?;
            return Ok(lists.iter().map(|list| Arc::new(list.map(events::converted))).collect());
        }
        files
            .into_iter()
            .flatten()
            .filter(|(owner, _)| namespace.is_none() || owner.is_none() || owner.as_deref() == namespace)
            .map(|(owner, path)| self.list(path, owner.as_deref()))
            .collect()
    }

    /// One object.
    ///
    /// # Errors
    /// As [`Self::lists`].
    pub(super) fn get(
        &self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<(Arc<List>, usize)>, Status> {
        for list in self.lists(group, plural, namespace)? {
            let wanted = namespace.unwrap_or("");
            if let Ok(at) =
                list.objects.binary_search_by(|o| (o.namespace.as_str(), o.name.as_str()).cmp(&(wanted, name)))
            {
                return Ok(Some((list, at)));
            }
        }
        Ok(None)
    }

    fn list(&self, path: &str, namespace: Option<&str>) -> Result<Arc<List>, Status> {
        if let Some((_, list)) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).lists.get(path) {
            return Ok(Arc::clone(list));
        }
        let bytes = self
            .store
            .read(path, LIST_LIMIT + 1)
            .map_err(|e| Status::internal(&format!("cannot read {path} of the bundle: {e}")))?;
        let size = bytes.len() as u64;
        if size > LIST_LIMIT {
            return Err(Status::internal(&format!("{path} of the bundle is larger than {LIST_LIMIT} bytes")));
        }
        let document: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Status::internal(&format!("{path} of the bundle is not JSON: {e}")))?;
        drop(bytes);
        let list = Arc::new(parse(document, namespace));
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).keep(path, size, &list);
        Ok(list)
    }
}

impl Cache {
    fn keep(&mut self, path: &str, size: u64, list: &Arc<List>) {
        if size > CACHE_LIMIT || self.lists.contains_key(path) {
            return;
        }
        while self.size + size > CACHE_LIMIT {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((freed, _)) = self.lists.remove(&oldest) {
                self.size -= freed;
            }
        }
        self.size += size;
        self.order.push_back(path.to_owned());
        self.lists.insert(path.to_owned(), (size, Arc::clone(list)));
    }
}

/// Usage files as lists of the metrics API.
fn usage(path: &str) -> Option<(String, String, Option<String>)> {
    if path == layout::NODE_USAGE {
        return Some((METRICS_GROUP.to_owned(), "nodes".to_owned(), None));
    }
    let namespace = path.strip_prefix("usage/pods/")?.strip_suffix(".json")?;
    (layout::pod_usage(namespace) == path)
        .then(|| (METRICS_GROUP.to_owned(), "pods".to_owned(), Some(namespace.to_owned())))
}

/// The namespace of a bundle's pods when they are all in one.
#[must_use]
pub fn only_namespace(store: &dyn Store) -> Option<String> {
    let mut namespaces = store.entries().iter().filter_map(|entry| match layout::parse_objects(&entry.path)? {
        (group, plural, Some(namespace)) if group.is_empty() && plural == "pods" => Some(namespace),
        _ => None,
    });
    let first = namespaces.next()?;
    namespaces.all(|other| other == first).then_some(first)
}

/// Takes a typed list, or a plain array of objects, apart. What is no object with a name is left out.
fn parse(document: Value, namespace: Option<&str>) -> List {
    let version = document["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0);
    let items = match document {
        Value::Array(items) => items,
        Value::Object(mut list) => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut objects: Vec<Object> = items
        .into_iter()
        .filter_map(|value| {
            let metadata = &value["metadata"];
            let name = metadata["name"].as_str()?.to_owned();
            let namespace = metadata["namespace"].as_str().or(namespace).unwrap_or("").to_owned();
            Some(Object { namespace, name, value })
        })
        .collect();
    objects.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    List { version, objects }
}

/// An object as a single one is answered: with its type in front, which typed lists leave out.
pub(super) fn typed(value: &Value, kind: &str, api_version: &str) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), value.get("kind").cloned().unwrap_or_else(|| kind.into()));
    object.insert("apiVersion".into(), value.get("apiVersion").cloned().unwrap_or_else(|| api_version.into()));
    for (name, field) in value.as_object().into_iter().flatten() {
        if name != "kind" && name != "apiVersion" {
            object.insert(name.clone(), field.clone());
        }
    }
    Value::Object(object)
}
