//! Which kinds the server has.

use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Answer, Cluster, escaped};
use crate::collect::CollectError;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
const JSON: &str = "application/json";
/// Clusters with thousands of custom kinds stay below this.
const SIZE_MAX: usize = 64 << 20;
/// Legacy documents asked for at the same time.
const PARALLEL: usize = 8;

/// Everything that the server serves, in the order in which it lists it; the core group first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Discovery {
    pub(super) groups: Vec<Group>,
    /// Group versions whose own server does not answer.
    pub(super) silent: Vec<String>,
}

/// One API group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// Empty for the core group.
    pub(super) name: String,
    /// The preferred version first.
    pub(super) versions: Vec<Version>,
}

/// One version of a group, with its resources in the shape of an `APIResource`, subresources included.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) resources: Vec<Value>,
}

/// One kind that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `jobs.batch`.
    pub(super) fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Path of the list.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", escaped(&self.version))
        } else {
            format!("/apis/{}/{}", escaped(&self.group), escaped(&self.version))
        };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{}/{}", escaped(namespace), escaped(&self.plural)),
            None => format!("{root}/{}", escaped(&self.plural)),
        }
    }
}

impl Discovery {
    /// Asks the server, in two requests where it knows aggregated discovery, else in one for each group version.
    pub(super) async fn fetch(cluster: &Cluster) -> Result<Self, CollectError> {
        let core = document(cluster, "/api", AGGREGATED).await?;
        let named = document(cluster, "/apis", AGGREGATED).await?;
        let mut all = Self::default();
        for (root, answer) in [("/api", core), ("/apis", named)] {
            if answer.get("kind").and_then(Value::as_str) == Some("APIGroupDiscoveryList") {
                all.add_aggregated(&answer);
            } else {
                all.add_legacy(cluster, root, &answer).await;
            }
        }
        if all.groups.is_empty() {
            return Err(CollectError::Failed("the server lists no API groups".to_owned()));
        }
        Ok(all)
    }

    fn add_aggregated(&mut self, list: &Value) {
        for item in array(list, "items") {
            let name = item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let mut versions = Vec::new();
            for version in array(item, "versions") {
                let Some(number) = text(version, "version") else { continue };
                if text(version, "freshness") == Some("Stale") {
                    self.silent.push(group_version(name, number));
                }
                let resources = array(version, "resources").iter().flat_map(api_resources).collect();
                versions.push(Version { name: number.to_owned(), resources });
            }
            self.groups.push(Group { name: name.to_owned(), versions });
        }
    }

    /// Adds the groups of `APIVersions` or of an `APIGroupList`. A group version that cannot be read costs itself.
    async fn add_legacy(&mut self, cluster: &Cluster, root: &str, list: &Value) {
        let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
        if root == "/api" {
            let versions = array(list, "versions").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            wanted.push((String::new(), versions));
        }
        for group in array(list, "groups") {
            let Some(name) = text(group, "name") else { continue };
            let preferred = group.pointer("/preferredVersion/version").and_then(Value::as_str);
            let mut versions: Vec<String> =
                array(group, "versions").iter().filter_map(|v| text(v, "version")).map(str::to_owned).collect();
            versions.sort_by_key(|v| Some(v.as_str()) != preferred);
            wanted.push((name.to_owned(), versions));
        }
        let paths: Vec<(usize, String, String)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(at, (name, versions))| {
                versions.iter().map(move |v| {
                    let path = if name.is_empty() {
                        format!("{root}/{}", escaped(v))
                    } else {
                        format!("{root}/{}/{}", escaped(name), escaped(v))
                    };
                    (at, v.clone(), path)
                })
            })
            .collect();
        let answers: Vec<_> = futures::stream::iter(paths)
            .map(|(at, version, path)| async move { (at, version, document(cluster, &path, JSON).await) })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut groups: Vec<Group> =
            wanted.iter().map(|(name, _)| Group { name: name.clone(), versions: Vec::new() }).collect();
        for (at, version, answer) in answers {
            match answer {
                Ok(list) => {
                    groups[at].versions.push(Version { name: version, resources: array(&list, "resources").to_vec() });
                }
                Err(_) => self.silent.push(group_version(&wanted[at].0, &version)),
            }
        }
        self.groups.extend(groups.into_iter().filter(|g| !g.versions.is_empty()));
    }

    /// Every kind that can be listed, once: in the first version of its group that has it.
    pub(super) fn listable(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for group in &self.groups {
            let first = kinds.len();
            for version in &group.versions {
                for resource in &version.resources {
                    let Ok(resource) = ApiResource::deserialize(resource) else { continue };
                    let known = kinds[first..].iter().any(|k| k.plural == resource.name);
                    if known || resource.name.contains('/') || !resource.verbs.iter().any(|v| v == "list") {
                        continue;
                    }
                    kinds.push(Kind {
                        group: group.name.clone(),
                        version: version.name.clone(),
                        plural: resource.name,
                        kind: resource.kind,
                        namespaced: resource.namespaced,
                    });
                }
            }
        }
        kinds
    }

    /// Whether a kind exists.
    pub(super) fn has(&self, group: &str, plural: &str) -> bool {
        self.groups
            .iter()
            .filter(|g| g.name == group)
            .flat_map(|g| &g.versions)
            .flat_map(|v| &v.resources)
            .any(|r| text(r, "name") == Some(plural))
    }

    /// The groups as an array of `APIGroup`, without the core group, as `/apis` lists them.
    pub(super) fn groups_document(&self) -> Value {
        let groups = self.groups.iter().filter(|g| !g.name.is_empty()).map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|v| json!({"groupVersion": group_version(&group.name, &v.name), "version": v.name}))
                .collect();
            let preferred = versions.first().cloned().unwrap_or(Value::Null);
            json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
        });
        Value::Array(groups.collect())
    }

    /// The resources as an array of `APIResourceList`; the core one has no `apiVersion`, which some readers want so.
    pub(super) fn resources_document(&self) -> Value {
        let mut lists = Vec::new();
        for group in &self.groups {
            for version in &group.versions {
                let mut list = json!({
                    "kind": "APIResourceList",
                    "groupVersion": group_version(&group.name, &version.name),
                    "resources": version.resources,
                });
                if !group.name.is_empty() {
                    list["apiVersion"] = "v1".into();
                }
                lists.push(list);
            }
        }
        Value::Array(lists)
    }
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

/// An aggregated resource and its subresources in the shape of `APIResource`.
fn api_resources(resource: &Value) -> Vec<Value> {
    let Some(name) = text(resource, "resource") else { return Vec::new() };
    let namespaced = text(resource, "scope") == Some("Namespaced");
    let mut all = Vec::new();
    if let Some(kind) = resource.pointer("/responseKind/kind") {
        let mut own = json!({
            "name": name,
            "singularName": resource.get("singularResource").cloned().unwrap_or_default(),
            "namespaced": namespaced,
            "kind": kind,
            "verbs": array(resource, "verbs"),
        });
        for key in ["shortNames", "categories"] {
            if let Some(value) = resource.get(key) {
                own[key] = value.clone();
            }
        }
        all.push(own);
    }
    for sub in array(resource, "subresources") {
        let Some(sub_name) = text(sub, "subresource") else { continue };
        all.push(json!({
            "name": format!("{name}/{sub_name}"),
            "singularName": "",
            "namespaced": namespaced,
            "kind": sub.pointer("/responseKind/kind").cloned().unwrap_or_default(),
            "verbs": array(sub, "verbs"),
        }));
    }
    all
}

async fn document(cluster: &Cluster, path: &str, accept: &str) -> Result<Value, CollectError> {
    let answer: Answer<Vec<u8>> = cluster.get(None, path, accept, SIZE_MAX).await;
    let body = answer?.map_err(super::answer::Refusal::into_error)?;
    serde_json::from_slice(&body).map_err(|e| CollectError::Failed(format!("discovery at {path} is not JSON: {e}")))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregated() -> Discovery {
        let mut all = Discovery::default();
        all.add_aggregated(&json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {}, "versions": [{"version": "v1", "freshness": "Current", "resources": [
                {"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced", "verbs": ["get", "list"],
                 "subresources": [{"subresource": "log", "responseKind": {"kind": "Pod"}, "verbs": ["get", "list"]}]},
                {"resource": "bindings", "responseKind": {"kind": "Binding"}, "scope": "Namespaced", "verbs": ["create"]}]}]},
            {"metadata": {"name": "autoscaling"}, "versions": [
                {"version": "v2", "resources": [{"resource": "hpas", "responseKind": {"kind": "H"}, "scope": "Namespaced", "verbs": ["list"]}]},
                {"version": "v1", "resources": [
                    {"resource": "hpas", "responseKind": {"kind": "H"}, "scope": "Namespaced", "verbs": ["list"]},
                    {"resource": "old", "responseKind": {"kind": "Old"}, "scope": "Cluster", "verbs": ["list"]}]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale", "resources": []}]},
        ]}));
        all
    }

    #[test]
    fn each_kind_is_listed_once_in_its_best_version() {
        let names: Vec<String> = aggregated()
            .listable()
            .iter()
            .map(|k| format!("{} {}", k.full_name(), k.path(k.namespaced.then_some("a"))))
            .collect();
        assert_eq!(
            names,
            [
                "pods /api/v1/namespaces/a/pods",
                "hpas.autoscaling /apis/autoscaling/v2/namespaces/a/hpas",
                "old.autoscaling /apis/autoscaling/v1/old",
            ]
        );
        assert_eq!(aggregated().silent, ["metrics.k8s.io/v1beta1"]);
        assert!(aggregated().has("", "pods") && !aggregated().has("events.k8s.io", "events"));
    }

    #[test]
    fn documents_have_the_legacy_shape() {
        let all = aggregated();
        let resources = all.resources_document();
        assert_eq!(resources[0].get("apiVersion"), None);
        assert_eq!(resources[0]["resources"][1]["name"], "pods/log");
        assert_eq!(resources[1]["apiVersion"], "v1");
        assert_eq!(resources[1]["groupVersion"], "autoscaling/v2");
        let groups = all.groups_document();
        assert_eq!(groups[0]["preferredVersion"]["groupVersion"], "autoscaling/v2");
    }
}
