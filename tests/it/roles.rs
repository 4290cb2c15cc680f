//! Bindings of roles that do not exist, and what has to be listed before that can be said.

use casefile::bundle::overlay::MemStore;
use casefile::model::{ItemId, LedgerEntry, Outcome};
use casefile::triage::{self, Finding, Severity, manifest_of};
use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn list(kind: &str, items: &Value) -> Vec<u8> {
    serde_json::to_vec(&json!({"apiVersion": RBAC, "kind": format!("{kind}List"), "metadata": {}, "items": items}))
        .unwrap()
}

/// A binding in namespace `n`.
fn binding(role_kind: &str, role: &str, subject: &Value) -> Vec<u8> {
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role});
    list(
        "RoleBinding",
        &json!([{"metadata": {"name": "b", "namespace": "n"}, "subjects": [subject], "roleRef": reference}]),
    )
}

/// Findings about bindings of a bundle with these files and these outcomes of items.
fn found(files: &[(&str, Vec<u8>)], ledger: &[(&str, Outcome)]) -> Vec<Finding> {
    let mut store = MemStore::default();
    let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"serviceAccountName": "api", "containers": []},
        "status": {"phase": "Running"}});
    let pods = json!({"apiVersion": "v1", "kind": "PodList", "items": [pod]});
    store.insert("cluster-resources/pods/n.json", serde_json::to_vec(&pods).unwrap());
    for (path, content) in files {
        store.insert(*path, content.clone());
    }
    let (mut manifest, _) = manifest_of(&store, None).unwrap();
    manifest.ledger.extend(ledger.iter().map(|(item, outcome)| LedgerEntry {
        item: ItemId::new(*item),
        collector: String::new(),
        outcome: *outcome,
        reason: None,
        started: None,
        duration_ms: 0,
        attempts: 1,
        bytes: 0,
        artifacts: Vec::new(),
    }));
    let triage = triage::run(&store, &manifest).unwrap();
    triage.findings.into_iter().filter(|f| f.rule == "role-missing").collect()
}

const BINDINGS: &str = "cluster-resources/rolebindings/n.json";
const ROLES: &str = "cluster-resources/roles/n.json";
const CLUSTER_ROLES: &str = "cluster-resources/clusterroles.json";

fn role(name: &str) -> Vec<u8> {
    list("Role", &json!([{"metadata": {"name": name, "namespace": "n"}, "rules": []}]))
}

fn api() -> Value {
    json!({"kind": "ServiceAccount", "name": "api", "namespace": "n"})
}

#[test]
fn a_binding_of_a_missing_role_is_found() {
    let found = found(&[(BINDINGS, binding("Role", "gone", &api())), (ROLES, role("other"))], &[]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].subjects[0].to_string().as_str()), (Severity::Warning, "rolebinding/n/b"));
    assert!(found[0].title.contains("gives Role gone, which does not exist"), "{}", found[0].title);
    assert_eq!(found[0].evidence[0].path, BINDINGS);
}

#[test]
fn nothing_is_said_about_roles_that_are_there_or_were_not_listed() {
    let binds = |kind: &str, role: &str| (BINDINGS, binding(kind, role, &api()));
    for files in [
        vec![binds("Role", "there"), (ROLES, role("there"))],
        // Not collected, or of another kind than what was.
        vec![binds("Role", "gone")],
        vec![binds("ClusterRole", "gone"), (ROLES, role("gone"))],
        vec![binds("Role", "gone"), (CLUSTER_ROLES, list("ClusterRole", &json!([])))],
        vec![binds("Strange", "gone"), (ROLES, role("x")), (CLUSTER_ROLES, list("ClusterRole", &json!([])))],
    ] {
        assert!(found(&files, &[]).is_empty(), "{:?}", files.iter().map(|f| f.0).collect::<Vec<_>>());
    }
    // A list that broke off does not show all.
    let files = [binds("Role", "gone"), (ROLES, role("other"))];
    for outcome in [Outcome::Truncated, Outcome::TimedOut, Outcome::Cancelled] {
        assert!(found(&files, &[("kubernetes/roles.rbac.authorization.k8s.io/n", outcome)]).is_empty(), "{outcome:?}");
    }
    assert_eq!(found(&files, &[("kubernetes/roles.rbac.authorization.k8s.io/n", Outcome::Ok)]).len(), 1);
}

#[test]
fn an_empty_list_is_a_list() {
    let files = [(BINDINGS, binding("Role", "gone", &api()))];
    assert_eq!(found(&files, &[("kubernetes/roles.rbac.authorization.k8s.io/n", Outcome::Empty)]).len(), 1);
    assert!(found(&files, &[("kubernetes/roles.rbac.authorization.k8s.io/n", Outcome::Forbidden)]).is_empty());
}

#[test]
fn what_nobody_here_uses_is_no_warning() {
    let severity = |subject: Value| {
        let files =
            [(BINDINGS, binding("ClusterRole", "gone", &subject)), (CLUSTER_ROLES, list("ClusterRole", &json!([])))];
        found(&files, &[])[0].severity
    };
    assert_eq!(severity(json!({"kind": "User", "name": "jane"})), Severity::Info);
    assert_eq!(severity(json!({"kind": "ServiceAccount", "name": "other", "namespace": "n"})), Severity::Info);
    assert_eq!(severity(json!({"kind": "ServiceAccount", "name": "api"})), Severity::Warning, "of its own namespace");
    assert_eq!(severity(json!({"kind": "Group", "name": "system:serviceaccounts:n"})), Severity::Warning);
}
