//! Where a pod takes its settings from: variables and ConfigMaps, as its specification says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// Documents of ConfigMaps are read up to this size.
const DOCUMENT_MAX: usize = 1 << 20;
/// Tables of a document are joined so deep.
const DEPTH_MAX: usize = 32;

/// The settings of a pod that are known without asking it.
#[derive(Debug, Clone, Default)]
pub(in crate::collect) struct Wiring {
    /// Variables with a value in the specification.
    literal: BTreeMap<String, String>,
    /// Variable, ConfigMap and key.
    refs: Vec<(String, String, String)>,
    /// ConfigMaps all of whose keys are variables.
    whole: Vec<String>,
    /// All ConfigMaps of the pod.
    maps: BTreeSet<String>,
    /// The artifact with the variables of a process; they are those that it runs with, so they win over its files.
    process: Option<String>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<ConfigMap>,
}

#[derive(Deserialize)]
struct ConfigMap {
    metadata: Metadata,
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl Wiring {
    /// Reads the specification of a pod.
    pub(in crate::collect) fn of(pod: &Value) -> Self {
        let mut wiring = Self::default();
        let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let spec = pod.get("spec").cloned().unwrap_or_default();
        for container in [list(&spec, "initContainers"), list(&spec, "containers")].concat() {
            for var in list(&container, "env") {
                let Some(name) = text(&var, "/name") else { continue };
                if let Some(value) = text(&var, "/value") {
                    wiring.literal.insert(name, value);
                } else if let (Some(map), Some(key)) =
                    (text(&var, "/valueFrom/configMapKeyRef/name"), text(&var, "/valueFrom/configMapKeyRef/key"))
                {
                    wiring.maps.insert(map.clone());
                    wiring.refs.push((name, map, key));
                }
            }
            for source in list(&container, "envFrom") {
                let Some(map) = text(&source, "/configMapRef/name") else { continue };
                wiring.maps.insert(map.clone());
                wiring.whole.push(map);
            }
        }
        for volume in list(&spec, "volumes") {
            wiring.maps.extend(text(&volume, "/configMap/name"));
        }
        wiring
    }

    /// A process with these variables, out of this artifact.
    pub(in crate::collect) fn of_process(variables: BTreeMap<String, String>, artifact: String) -> Self {
        Self { literal: variables, process: Some(artifact), ..Self::default() }
    }

    /// The artifact with the variables of a process.
    pub(super) fn process(&self) -> Option<&str> {
        self.process.as_deref()
    }

    /// A variable of the program, where its value is known.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.literal.get(name).map(String::as_str)
    }

    /// Puts the variables of a process over the document of its configuration file.
    pub(super) fn overlay(&self, document: &mut Value, prefix: Option<&str>) {
        if let (Some(_), Some(prefix)) = (&self.process, prefix) {
            overlay(document, &self.literal, prefix);
        }
    }

    /// The configuration that a list of ConfigMaps gives this pod: all TOML documents of its ConfigMaps joined, with
    /// `${VARIABLES}` filled in, and overridden by variables such as `PREFIX__A__B`.
    pub(super) fn configuration(&self, list: &[u8], prefix: Option<&str>) -> Option<Value> {
        let list: List = serde_json::from_slice(list).ok()?;
        let maps: BTreeMap<String, BTreeMap<String, String>> = list
            .items
            .into_iter()
            .filter(|map| self.maps.contains(&map.metadata.name))
            .map(|map| (map.metadata.name, map.data.unwrap_or_default()))
            .collect();
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        for map in &self.whole {
            env.extend(maps.get(map).cloned().unwrap_or_default());
        }
        for (name, map, key) in &self.refs {
            if let Some(value) = maps.get(map).and_then(|data| data.get(key)) {
                env.insert(name.clone(), value.clone());
            }
        }
        env.extend(self.literal.clone());
        let mut all = Value::Object(serde_json::Map::new());
        for (name, text) in maps.values().flatten() {
            if name.ends_with(".toml") && text.len() <= DOCUMENT_MAX {
                join(&mut all, document(text, &env).unwrap_or_default(), 0);
            }
        }
        if let Some(prefix) = prefix {
            overlay(&mut all, &env, prefix);
        }
        Some(all)
    }
}

/// Sets what variables such as `PREFIX__A__B` say.
fn overlay(document: &mut Value, env: &BTreeMap<String, String>, prefix: &str) {
    for (name, value) in env {
        let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("__")) else { continue };
        set(document, &path.to_ascii_lowercase(), value);
    }
}

/// A TOML document with its variables filled in. One that is not known stays as it is inside of a text; elsewhere it would
/// break the document, and becomes 0.
fn document(text: &str, env: &BTreeMap<String, String>) -> Option<Value> {
    let filled = fill(text, |name| env.get(name).cloned());
    toml::from_str(&filled).or_else(|_| toml::from_str(&fill(&filled, |_| Some("0".to_owned())))).ok()
}

fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("${") {
        let (before, tail) = rest.split_at(open);
        out.push_str(before);
        let found =
            tail.find('}').filter(|close| *close < 200).and_then(|close| Some((value(&tail[2..close])?, close)));
        match found {
            Some((value, close)) => {
                out.push_str(&value);
                rest = &tail[close + 1..];
            }
            None => {
                out.push_str("${");
                rest = &tail[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Puts the members of one document into another; what came first stays where both have a value.
fn join(all: &mut Value, more: Value, depth: usize) {
    let (Value::Object(all), Value::Object(more)) = (all, more) else { return };
    for (key, value) in more {
        match all.get_mut(&key) {
            None => {
                all.insert(key, value);
            }
            Some(known) if depth < DEPTH_MAX => join(known, value, depth + 1),
            Some(_) => {}
        }
    }
}

/// Sets `a__b__c`.
fn set(all: &mut Value, path: &str, value: &str) {
    let mut at = all;
    for part in path.split("__").take(DEPTH_MAX) {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(part).or_insert(Value::Null);
    }
    *at = Value::String(value.to_owned());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"spec": {
            "containers": [{"env": [
                {"name": "BUCKET", "valueFrom": {"configMapKeyRef": {"name": "party", "key": "B"}}},
                {"name": "APP__VAULT__PREFIX", "value": "from-env"},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}],
            "volumes": [{"configMap": {"name": "files"}}, {"emptyDir": {}}]}})
    }

    #[test]
    fn templates_are_filled_and_variables_override_them() {
        let list = json!({"items": [
            {"metadata": {"name": "party"}, "data": {"B": "bucket-1"}},
            {"metadata": {"name": "files"}, "data": {
                "a.toml": "id = ${UNKNOWN}\n[vault]\nbucket = \"${BUCKET}\"\nprefix = \"in-file\"\n",
                "b.toml": "[aws]\nregion = \"eu-west-1\"\n",
                "broken.toml": "= ="}},
            {"metadata": {"name": "other"}, "data": {"c.toml": "[vault]\nbucket = \"not ours\"\n"}}]});
        let found = Wiring::of(&pod()).configuration(list.to_string().as_bytes(), Some("APP")).unwrap();
        assert_eq!(found["vault"], json!({"bucket": "bucket-1", "prefix": "from-env"}));
        assert_eq!(found["aws"]["region"], "eu-west-1");
        assert!(Wiring::default().configuration(b"not json", None).is_none());
    }

    proptest! {
        #[test]
        fn any_template_is_filled(text in "[${}a-z =\"\\n]{0,60}") {
            let _ = document(&text, &BTreeMap::from([("a".to_owned(), "x".to_owned())]));
        }
    }
}
