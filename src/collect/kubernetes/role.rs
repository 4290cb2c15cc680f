//! A minimal role for exactly the rights that a plan needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Access;

/// Rights by API group and set of verbs, as RBAC rules have them.
type Rules = BTreeMap<(String, Vec<String>), BTreeSet<String>>;

/// Verbs by API group and resource.
type Verbs<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>;

/// YAML of a `ClusterRole` for cluster-wide rights and one `Role` for each namespace, all called `name`, with the
/// command that binds them in a comment above each.
#[must_use]
pub fn role_yaml(accesses: &[Access], name: &str) -> String {
    let mut scopes: BTreeMap<Option<&str>, Verbs<'_>> = BTreeMap::new();
    for access in accesses {
        let scope = scopes.entry(access.namespace.as_deref()).or_default();
        scope.entry((&access.group, &access.resource)).or_default().insert(&access.verb);
    }
    let mut documents = Vec::new();
    for (namespace, resources) in scopes {
        let mut rules: Rules = BTreeMap::new();
        for ((group, resource), verbs) in resources {
            let verbs = verbs.into_iter().map(str::to_owned).collect();
            rules.entry((group.to_owned(), verbs)).or_default().insert(resource.to_owned());
        }
        documents.push(document(namespace, name, &rules));
    }
    documents.join("---\n")
}

fn document(namespace: Option<&str>, name: &str, rules: &Rules) -> String {
    let (kind, place, bind) = match namespace {
        Some(n) => (
            "Role",
            format!("  namespace: {}\n", quoted(n)),
            format!("kubectl create rolebinding {name} -n {n} --role={name} --user=USER"),
        ),
        None => (
            "ClusterRole",
            String::new(),
            format!("kubectl create clusterrolebinding {name} --clusterrole={name} --user=USER"),
        ),
    };
    let mut text = format!(
        "# To bind it (or with --serviceaccount=NAMESPACE:NAME): {}\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\n\
         metadata:\n  name: {}\n{place}rules:\n",
        bind.replace(['\n', '\r'], " "),
        quoted(name)
    );
    for ((group, verbs), resources) in rules {
        let (paths, resources): (Vec<_>, Vec<_>) = resources.iter().partition(|r| r.starts_with('/'));
        if !resources.is_empty() {
            text.push_str(&format!("- apiGroups: [{}]\n", quoted(group)));
            text.push_str(&format!("  resources: [{}]\n", list(resources.into_iter())));
            text.push_str(&format!("  verbs: [{}]\n", list(verbs.iter())));
        }
        if !paths.is_empty() {
            text.push_str(&format!("- nonResourceURLs: [{}]\n", list(paths.into_iter())));
            text.push_str(&format!("  verbs: [{}]\n", list(verbs.iter())));
        }
    }
    text
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|n| quoted(n)).collect::<Vec<_>>().join(", ")
}

/// A JSON string, which is a YAML string whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_grouped_by_scope_group_and_verbs() {
        let accesses = [
            Access::new("list", "", "pods", Some("kms")),
            Access::new("list", "", "services", Some("kms")),
            Access::new("get", "", "pods/log", Some("kms")),
            Access::new("create", "", "pods/exec", Some("kms")),
            Access::new("get", "", "pods/exec", Some("kms")),
            Access::new("list", "", "pods", Some("kms")),
            Access::new("list", "apps", "deployments", Some("kms")),
            Access::new("list", "", "nodes", None),
            Access::new("get", "", "/metrics", None),
        ];
        let yaml = role_yaml(&accesses, "casefile");
        let documents: Vec<serde_json::Value> =
            yaml.split("---\n").map(|d| serde_saphyr::from_str(d).unwrap()).collect();
        assert_eq!(documents[0]["kind"], "ClusterRole");
        assert_eq!(
            documents[0]["rules"],
            serde_json::json!([
                {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
            ])
        );
        assert_eq!(documents[1]["metadata"], serde_json::json!({"name": "casefile", "namespace": "kms"}));
        assert_eq!(
            documents[1]["rules"],
            serde_json::json!([
                {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
                {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
            ])
        );
        assert!(yaml.contains("kubectl create rolebinding casefile -n kms"));
    }
}
