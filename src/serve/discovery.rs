//! What kinds the server has: from `groups.json` and `resources.json`, or from the objects where those are missing.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::http::{Format, Response, json as respond, json_as};
use crate::bundle::{Store, layout};

/// How many bytes of a discovery document are read.
const DISCOVERY_LIMIT: u64 = 32 << 20;
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Usage is served from files of its own.
pub(super) const METRICS_GROUP: &str = "metrics.k8s.io";

/// One kind in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// For example `Pod`.
    pub(super) kind: String,
    /// Whether its objects are in namespaces.
    pub(super) namespaced: bool,
}

/// All groups, versions and kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    /// `APIGroup`s without the core group, in the order of the server.
    groups: Vec<Value>,
    /// `APIResource`s by `groupVersion`.
    resources: BTreeMap<String, Vec<Value>>,
}

impl Catalog {
    /// Reads the catalog of a store. `usage` adds the metrics API to a catalog without it.
    pub(super) fn read(store: &dyn Store, usage: bool) -> Self {
        let document = |path: &str| -> Vec<Value> {
            let bytes = store.read(path, DISCOVERY_LIMIT).unwrap_or_default();
            match serde_json::from_slice(&bytes) {
                Ok(Value::Array(items)) => items,
                // The server's own list objects are as good as the arrays of the layout.
                Ok(Value::Object(mut list)) => match list.remove("groups").or_else(|| list.remove("items")) {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            }
        };
        let mut catalog = Self::default();
        for list in document(layout::RESOURCES) {
            let (Some(version), Some(resources)) = (list["groupVersion"].as_str(), list["resources"].as_array()) else {
                continue;
            };
            let named = resources.iter().filter(|r| r["name"].is_string() && r["kind"].is_string());
            catalog.resources.entry(version.to_owned()).or_default().extend(named.cloned());
        }
        if catalog.resources.is_empty() {
            catalog.derive(store);
        }
        if usage && !catalog.resources.keys().any(|v| v.starts_with(METRICS_GROUP)) {
            let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]});
            catalog.resources.insert(
                format!("{METRICS_GROUP}/v1beta1"),
                vec![resource("nodes", "NodeMetrics", false), resource("pods", "PodMetrics", true)],
            );
        }
        catalog.groups = document(layout::GROUPS);
        catalog.groups.retain(|g| g["name"].as_str().is_some_and(|n| !n.is_empty()) && g["versions"].is_array());
        catalog.complete_groups();
        catalog
    }

    /// Kinds of the stored lists themselves.
    fn derive(&mut self, store: &dyn Store) {
        let mut seen = BTreeMap::new();
        for entry in store.entries() {
            if let Some((group, plural, namespace)) = layout::parse_objects(&entry.path) {
                seen.entry((group, plural)).or_insert((entry.path.clone(), namespace.is_some()));
            }
        }
        for ((group, plural), (path, namespaced)) in seen {
            let list: Value = store
                .read(&path, DISCOVERY_LIMIT)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default();
            let first = &list["items"][0];
            let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
            let kind = text(&first["kind"]).or_else(|| {
                text(&list["kind"]).and_then(|k| k.strip_suffix("List").map(str::to_owned)).filter(|k| !k.is_empty())
            });
            let version = text(&first["apiVersion"]).or_else(|| text(&list["apiVersion"])).filter(|v| {
                // A generic `v1` `List` does not tell the version of a group's kind.
                group.is_empty() || v.starts_with(&format!("{group}/"))
            });
            let default = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
            self.resources.entry(version.unwrap_or(default)).or_default().push(json!({
                "name": plural,
                "singularName": "",
                "namespaced": namespaced,
                "kind": kind.unwrap_or_else(|| plural.clone()),
                "verbs": ["get", "list", "watch"],
            }));
        }
    }

    /// Adds the groups that have resources but no entry.
    fn complete_groups(&mut self) {
        let mut missing: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for group_version in self.resources.keys() {
            let Some((group, version)) = group_version.split_once('/') else { continue };
            if !self.groups.iter().any(|g| g["name"] == group) {
                missing
                    .entry(group.to_owned())
                    .or_default()
                    .push(json!({"groupVersion": group_version, "version": version}));
            }
        }
        for (name, mut versions) in missing {
            versions.sort_by_cached_key(|v| std::cmp::Reverse(rank(v["version"].as_str().unwrap_or(""))));
            let preferred = versions.first().cloned().unwrap_or_default();
            self.groups.push(json!({"name": name, "versions": versions, "preferredVersion": preferred}));
        }
    }

    /// One kind, if the server has it.
    pub(super) fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Kind> {
        let resource = self.resources.get(&group_version(group, version))?.iter().find(|r| r["name"] == plural)?;
        Some(Kind {
            kind: resource["kind"].as_str()?.to_owned(),
            namespaced: resource["namespaced"].as_bool().unwrap_or(false),
        })
    }

    /// Answers `/api`.
    pub(super) fn core_versions(&self, format: Format, address: &str) -> Response {
        if format == Format::Discovery {
            let versions = [json!({"version": "v1", "resources": self.aggregated("v1"), "freshness": "Current"})];
            return aggregated_list(&json!([{"metadata": {}, "versions": versions}]));
        }
        let addresses = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
        let body = json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses});
        respond(StatusCode::OK, &body)
    }

    /// Answers `/apis`.
    pub(super) fn groups(&self, format: Format) -> Response {
        if format != Format::Discovery {
            let groups: Vec<Value> = self.groups.iter().map(|g| Value::Object(bare(g))).collect();
            return respond(StatusCode::OK, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}));
        }
        let items: Vec<Value> = self
            .groups
            .iter()
            .map(|group| {
                let versions: Vec<Value> = versions(group)
                    .map(|(group_version, version)| {
                        let resources = self.aggregated(group_version);
                        json!({"version": version, "resources": resources, "freshness": "Current"})
                    })
                    .collect();
                json!({"metadata": {"name": group["name"]}, "versions": versions})
            })
            .collect();
        aggregated_list(&items.into())
    }

    /// Answers `/apis/<group>`.
    pub(super) fn group(&self, name: &str) -> Option<Response> {
        let group = self.groups.iter().find(|g| g["name"] == name)?;
        let mut body = Map::new();
        body.insert("kind".into(), "APIGroup".into());
        body.insert("apiVersion".into(), "v1".into());
        body.extend(bare(group));
        Some(respond(StatusCode::OK, &Value::Object(body)))
    }

    /// Answers `/api/v1` and `/apis/<group>/<version>`.
    pub(super) fn resources(&self, group: &str, version: &str) -> Option<Response> {
        let group_version = group_version(group, version);
        let resources = self.resources.get(&group_version)?;
        let body = if group.is_empty() {
            json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources})
        } else {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
        };
        Some(respond(StatusCode::OK, &body))
    }

    /// The resources of one version as aggregated discovery nests them: subresources below their parent.
    fn aggregated(&self, group_version: &str) -> Vec<Value> {
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        // The real server leaves out the group of its own kinds and names that of custom ones.
        let builtin = group.is_empty() || !group.contains('.') || group.ends_with(".k8s.io");
        let response_kind = |resource: &Value| {
            let own = |name: &str, inherited: &str| match resource[name].as_str() {
                Some(text) if !text.is_empty() => text.to_owned(),
                _ if builtin => String::new(),
                _ => inherited.to_owned(),
            };
            json!({"group": own("group", group), "version": own("version", version), "kind": resource["kind"]})
        };
        let mut parents: Vec<Value> = Vec::new();
        for resource in self.resources.get(group_version).into_iter().flatten() {
            let name = resource["name"].as_str().unwrap_or("");
            let Some((parent, sub)) = name.split_once('/') else {
                let namespaced = resource["namespaced"].as_bool().unwrap_or(false);
                let mut item = json!({
                    "resource": name,
                    "responseKind": response_kind(resource),
                    "scope": if namespaced { "Namespaced" } else { "Cluster" },
                    "singularResource": resource["singularName"].as_str().unwrap_or(""),
                    "verbs": resource["verbs"],
                });
                for field in ["shortNames", "categories"] {
                    if resource[field].is_array() {
                        item[field] = resource[field].clone();
                    }
                }
                parents.push(item);
                continue;
            };
            let item = json!({"subresource": sub, "responseKind": response_kind(resource), "verbs": resource["verbs"]});
            if let Some(found) = parents.iter_mut().find(|p| p["resource"] == parent) {
                match found["subresources"].as_array_mut() {
                    Some(list) => list.push(item),
                    None => found["subresources"] = json!([item]),
                }
            }
        }
        parents
    }
}

/// How a version is preferred: stable ones first, then beta, then alpha, each by its numbers.
fn rank(version: &str) -> (u8, u32, u32) {
    let (stability, (major, minor)) = match version {
        v if v.contains("alpha") => (0, v.split_once("alpha").unwrap_or((v, ""))),
        v if v.contains("beta") => (1, v.split_once("beta").unwrap_or((v, ""))),
        v => (2, (v, "")),
    };
    (stability, major.trim_start_matches('v').parse().unwrap_or(0), minor.parse().unwrap_or(0))
}

/// `v1` or `apps/v1`.
pub(super) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn aggregated_list(items: &Value) -> Response {
    let body = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    json_as(StatusCode::OK, AGGREGATED, &body)
}

/// A group without the type of its own that it has outside of a list.
fn bare(group: &Value) -> Map<String, Value> {
    let mut group = group.as_object().cloned().unwrap_or_default();
    group.shift_remove("kind");
    group.shift_remove("apiVersion");
    group
}

fn versions(group: &Value) -> impl Iterator<Item = (&str, &str)> {
    group["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| Some((v["groupVersion"].as_str()?, v["version"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::DirStore;

    #[test]
    fn versions_are_preferred_as_the_server_does() {
        let mut versions = ["v1alpha1", "v2beta1", "v1", "v1beta2", "v2", "v1beta10"];
        versions.sort_by_key(|v| std::cmp::Reverse(rank(v)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta10", "v1beta2", "v1alpha1"]);
    }

    #[test]
    fn kinds_come_from_objects_where_discovery_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("cluster-resources/pods/a.json", r#"{"kind":"PodList","apiVersion":"v1","items":[]}"#),
            (
                "cluster-resources/pvcs/a.json",
                r#"{"kind":"List","apiVersion":"v1","items":[{"kind":"PersistentVolumeClaim"}]}"#,
            ),
            ("cluster-resources/deployments/a.json", r#"{"kind":"DeploymentList","apiVersion":"apps/v1"}"#),
            ("cluster-resources/custom-resources/parties.kms.example.com.json", "not JSON"),
        ] {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let catalog = Catalog::read(&DirStore::open(dir.path()).unwrap(), true);
        let kind = |group: &str, version: &str, plural: &str| {
            catalog.kind(group, version, plural).map(|k| (k.kind, k.namespaced))
        };
        assert_eq!(kind("", "v1", "pods"), Some(("Pod".into(), true)));
        assert_eq!(kind("", "v1", "persistentvolumeclaims"), Some(("PersistentVolumeClaim".into(), true)));
        assert_eq!(kind("apps", "v1", "deployments"), Some(("Deployment".into(), true)));
        assert_eq!(kind("kms.example.com", "v1", "parties"), Some(("parties".into(), false)));
        assert_eq!(kind("metrics.k8s.io", "v1beta1", "pods"), Some(("PodMetrics".into(), true)));
        assert_eq!(kind("", "v1", "secrets"), None);
        assert!(catalog.group("apps").is_some());
    }
}
