//! Changes of single objects in the lists of a base.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::Store;
use super::{MemStore, OverlayError};

/// Most bytes of one file of an overlay.
const FILE_MAX: u64 = 16 << 20;

/// What an incident changes in its base.
#[derive(Clone, Default)]
pub struct Overlay {
    files: MemStore,
    patches: Vec<Patch>,
}

/// One change. Exactly one of `merge`, `remove`, `append` and `delete` is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// The file of the base.
    file: String,
    /// JSON pointer to the array in it; `/items` when not given.
    #[serde(rename = "in")]
    list: Option<String>,
    /// Which element of the array: `name`, `namespace` and `uid` mean those of the metadata, a key that begins with `/`
    /// is a JSON pointer, any other key is a field of the element. None: the whole document.
    select: Option<Map<String, Value>>,
    /// JSON pointer inside what was selected, to the value that `merge` changes.
    at: Option<String>,
    /// A merge patch (RFC 7386).
    merge: Option<Value>,
    /// Removes the selected element.
    #[serde(default)]
    remove: bool,
    /// Elements that join the array at its end.
    append: Option<Vec<Value>>,
    /// Removes the file.
    #[serde(default)]
    delete: bool,
}

impl Overlay {
    /// Reads `files/`, `patch.json` and `patches/*.json` below a directory of a store; patches apply in the order of
    /// their files' names.
    ///
    /// # Errors
    /// When a file cannot be read or is not a list of patches.
    pub fn read(store: &dyn Store, dir: &str) -> Result<Self, OverlayError> {
        let mut overlay = Self { files: MemStore::below(store, &format!("{dir}/files/"))?, patches: Vec::new() };
        let single = format!("{dir}/patch.json");
        let many = format!("{dir}/patches/");
        for entry in store.entries().iter().filter(|e| e.path == single || e.path.starts_with(&many)) {
            let bytes = store.read(&entry.path, FILE_MAX)?;
            let patches: Vec<Patch> =
                serde_json::from_slice(&bytes).map_err(|e| OverlayError::format(&entry.path, e))?;
            overlay.patches.extend(patches);
        }
        Ok(overlay)
    }

    /// Applies the whole files first, then the patches.
    ///
    /// # Errors
    /// When a patch names a file, an element or a place that does not exist.
    pub fn apply(&self, base: &mut MemStore) -> Result<(), OverlayError> {
        for entry in self.files.entries() {
            base.insert(entry.path.clone(), self.files.read(&entry.path, FILE_MAX)?);
        }
        self.patches.iter().try_for_each(|patch| patch.apply(base))
    }
}

impl Patch {
    fn apply(&self, base: &mut MemStore) -> Result<(), OverlayError> {
        let fail = |reason: &str| OverlayError::patch(&self.file, reason);
        let bytes = base.get(&self.file).ok_or_else(|| fail("the base has no such file"))?;
        let actions = [self.merge.is_some(), self.remove, self.append.is_some(), self.delete];
        if actions.iter().filter(|a| **a).count() != 1 {
            return Err(fail("a patch needs exactly one of merge, remove, append and delete"));
        }
        if self.delete {
            base.remove(&self.file);
            return Ok(());
        }
        let mut document: Value = serde_json::from_slice(bytes).map_err(|e| OverlayError::patch(&self.file, e))?;
        self.change(&mut document)?;
        let mut text = serde_json::to_vec_pretty(&document).map_err(|e| OverlayError::patch(&self.file, e))?;
        text.push(b'\n');
        base.insert(self.file.clone(), text);
        Ok(())
    }

    fn change(&self, document: &mut Value) -> Result<(), OverlayError> {
        let fail = |reason: String| OverlayError::patch(&self.file, reason);
        let pointer = self.list.as_deref().unwrap_or("/items");
        let selected = if self.append.is_none() && self.select.is_none() {
            if self.remove {
                return Err(fail("remove needs select".to_owned()));
            }
            document
        } else {
            let list = document.pointer_mut(pointer).and_then(Value::as_array_mut);
            let list = list.ok_or_else(|| fail(format!("there is no array at {pointer}")))?;
            if let Some(objects) = &self.append {
                list.extend(objects.iter().cloned());
                return Ok(());
            }
            let select = self.select.as_ref().map_or_else(|| Value::Null, |s| Value::Object(s.clone()));
            let index = list.iter().position(|element| self.selects(element));
            let index = index.ok_or_else(|| fail(format!("nothing at {pointer} is {select}")))?;
            if self.remove {
                list.remove(index);
                return Ok(());
            }
            &mut list[index]
        };
        let Some(patch) = &self.merge else { return Ok(()) };
        let place = match self.at.as_deref() {
            None => selected,
            Some(at) => selected.pointer_mut(at).ok_or_else(|| fail(format!("there is nothing at {at}")))?,
        };
        merge(place, patch);
        Ok(())
    }

    fn selects(&self, element: &Value) -> bool {
        self.select.iter().flatten().all(|(key, wanted)| {
            let found = match key.as_str() {
                "name" | "namespace" | "uid" => element.get("metadata").and_then(|m| m.get(key)),
                pointer if pointer.starts_with('/') => element.pointer(pointer),
                field => element.get(field),
            };
            found == Some(wanted)
        })
    }
}

/// Applies a merge patch (RFC 7386): objects merge key by key, null removes a key, everything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, change) in changes {
        if change.is_null() {
            // Not `swap_remove`: the order of keys is the order that people read.
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn base() -> MemStore {
        let mut store = MemStore::new();
        let pods = json!({"kind": "PodList", "items": [
            {"metadata": {"name": "a", "namespace": "n"}, "status": {"containers": [{"name": "x", "restarts": 0}]}},
            {"metadata": {"name": "b", "namespace": "n"}},
        ]});
        store.insert("pods.json", pods.to_string().into_bytes());
        store.insert("replay.json", &br#"{"proxy":[{"path":"/a","status":200},{"path":"/b","status":200}]}"#[..]);
        store
    }

    fn patched(patches: &Value) -> Result<MemStore, OverlayError> {
        let mut overlay = MemStore::new();
        overlay.insert("i/patch.json", patches.to_string().into_bytes());
        overlay.insert("i/files/new.txt", &b"new"[..]);
        let mut store = base();
        Overlay::read(&overlay, "i")?.apply(&mut store)?;
        Ok(store)
    }

    fn json_of(store: &MemStore, path: &str) -> Value {
        serde_json::from_slice(store.get(path).unwrap()).unwrap()
    }

    #[test]
    fn objects_change_leave_and_join() {
        let store = patched(&json!([
            {"file": "pods.json", "select": {"name": "a"}, "at": "/status/containers/0", "merge": {"restarts": 7}},
            {"file": "pods.json", "select": {"name": "b", "namespace": "n"}, "remove": true},
            {"file": "pods.json", "append": [{"metadata": {"name": "c"}}]},
            {"file": "replay.json", "in": "/proxy", "select": {"path": "/b"}, "merge": {"status": 503}},
        ]))
        .unwrap();
        let pods = json_of(&store, "pods.json");
        assert_eq!(pods["items"][0]["status"]["containers"][0], json!({"name": "x", "restarts": 7}));
        assert_eq!(pods["items"][1]["metadata"]["name"], "c");
        assert_eq!(pods["items"].as_array().unwrap().len(), 2);
        assert_eq!(json_of(&store, "replay.json")["proxy"][1]["status"], 503);
        assert_eq!(store.get("new.txt"), Some(&b"new"[..]));
        assert!(!patched(&json!([{"file": "pods.json", "delete": true}])).unwrap().contains("pods.json"));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (patch, reason) in [
            (json!({"file": "none.json", "merge": {}}), "no such file"),
            (json!({"file": "pods.json", "select": {"name": "z"}, "merge": {}}), "nothing at /items"),
            (
                json!({"file": "pods.json", "select": {"name": "a"}, "at": "/status/none", "merge": {}}),
                "nothing at /status/none",
            ),
            (json!({"file": "pods.json", "select": {"name": "a"}}), "exactly one"),
            (json!({"file": "pods.json", "remove": true}), "remove needs select"),
            (json!({"file": "pods.json", "remove": true, "append": []}), "exactly one"),
            (json!({"file": "replay.json", "append": []}), "no array at /items"),
            (json!({"file": "pods.json", "merg": {}}), "unknown field"),
        ] {
            let error = patched(&json!([patch])).err().unwrap().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn merge_patches_follow_the_examples_of_the_rfc() {
        for (target, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target;
            merge(&mut merged, &patch);
            assert_eq!(merged, want);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// The same as a definition: what the result is at each key.
    fn defined(target: &Value, patch: &Value) -> Value {
        let Value::Object(changes) = patch else { return patch.clone() };
        let empty = Map::new();
        let old = target.as_object().unwrap_or(&empty);
        let kept = old.iter().filter(|(key, _)| !changes.contains_key(*key)).map(|(k, v)| (k.clone(), v.clone()));
        let changed = changes
            .iter()
            .filter(|(_, change)| !change.is_null())
            .map(|(key, change)| (key.clone(), defined(old.get(key).unwrap_or(&Value::Null), change)));
        Value::Object(kept.chain(changed).collect())
    }

    proptest! {
        #[test]
        fn merging_is_what_the_definition_says_and_twice_is_once(target in value(), patch in value()) {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            prop_assert_eq!(&merged, &defined(&target, &patch));
            let once = merged.clone();
            merge(&mut merged, &patch);
            prop_assert_eq!(merged, once);
        }

        #[test]
        fn any_bytes_as_patches_give_patches_or_an_error(text in ".{0,200}") {
            let mut store = MemStore::new();
            store.insert("i/patch.json", text.into_bytes());
            if let Ok(overlay) = Overlay::read(&store, "i") {
                prop_assert!(overlay.patches.is_empty());
            }
        }
    }
}
