//! The rights that `doctor` and `plan` name for the Prometheus of a cluster, which runs in another namespace, if anywhere.

use std::path::Path;
use std::sync::Arc;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::serve::Denial;
use serde_json::{Value, json};

use crate::support::cli::Casefile;
use crate::support::cluster::Cluster;

/// A healthy party's cluster that has these namespaces beside its own.
fn cluster(others: &[&str]) -> MemStore {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap();
    let mut store = fixtures.cluster("healthy").unwrap();
    let names = ["kms-decentralized"].iter().chain(others);
    let items: Vec<Value> =
        names.map(|n| json!({"metadata": {"name": n, "uid": n}, "status": {"phase": "Active"}})).collect();
    let list =
        json!({"apiVersion": "v1", "kind": "NamespaceList", "metadata": {"resourceVersion": "1"}, "items": items});
    store.insert("cluster-resources/namespaces.json".to_owned(), serde_json::to_vec(&list).unwrap());
    store
}

fn doctor(cluster: &Cluster, args: &[&str]) -> Casefile {
    Casefile::new(&["doctor", "--profile", "kms"]).args(args).env("KUBECONFIG", cluster.kubeconfig())
}

/// The documents of a role, comments left out.
fn roles(text: &str) -> Vec<Value> {
    text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

#[test]
fn a_role_is_for_namespaces_that_exist() {
    let cluster = Cluster::start(Arc::new(cluster(&["default", "monitoring"])), |b| b);
    let text = doctor(&cluster, &["--role"]).run().code(0).stdout();
    let roles_of = roles(&text);
    let places: Vec<&str> = roles_of.iter().filter_map(|r| r["metadata"]["namespace"].as_str()).collect();
    assert_eq!(places, ["default", "kms-decentralized", "monitoring"], "{text}");
    let ask = json!([{"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}]);
    assert!(roles_of.iter().any(|r| r["metadata"]["namespace"] == "monitoring" && r["rules"] == ask), "{text}");
    // To find it, services are listed everywhere.
    let everywhere = roles_of[0]["rules"].as_array().unwrap().clone();
    let lists = |rule: &Value| {
        rule["verbs"] == json!(["list"]) && rule["resources"].as_array().unwrap().contains(&json!("services"))
    };
    assert!(everywhere.iter().any(lists), "{text}");
    let said = "# Left out: get services/proxy (namespace observability): the namespace does not exist\n";
    assert!(text.starts_with(said), "{text}");

    let ran = doctor(&cluster, &[]).run().code(0);
    let text = ran.stdout();
    let line = |start: &str, place: &str| {
        text.lines().any(|l| l.starts_with(start) && l.contains("services/proxy") && l.contains(place))
    };
    assert!(line("ok ", "(namespace monitoring)") && line("-  ", "(namespace observability) not asked"), "{text}");
    let shown: Value = serde_json::from_str(&doctor(&cluster, &["--format", "json"]).run().code(0).stdout()).unwrap();
    assert_eq!(shown["left_out"][0]["access"]["namespace"], "observability");
}

#[test]
fn a_namespace_that_cannot_be_seen_is_left_out_with_the_reason() {
    let hidden = |b: casefile::serve::Builder| b.deny([Denial::new("get", "", "namespaces")]);
    let cluster = Cluster::start(Arc::new(cluster(&["monitoring", "observability"])), hidden);
    let text = doctor(&cluster, &["--role"]).run().code(0).stdout();
    let left: Vec<&str> = text.lines().filter(|l| l.starts_with("# Left out: ")).collect();
    assert_eq!(left.len(), 3, "{text}");
    assert!(left.iter().all(|l| l.contains("whether the namespace exists cannot be seen")), "{text}");
    assert_eq!(roles(&text).len(), 2);
}

#[test]
fn the_plan_names_the_rights_for_a_prometheus() {
    let cluster = Cluster::start(Arc::new(cluster(&[])), |b| b);
    let ran = Casefile::new(&["plan", "--profile", "kms", "--format", "json"]).env("KUBECONFIG", cluster.kubeconfig());
    let plan: Value = serde_json::from_str(&ran.run().code(0).stdout()).unwrap();
    let item = plan["items"].as_array().unwrap().iter().find(|i| i["item"] == "services/prometheus").unwrap();
    let access = item["access"].as_array().unwrap();
    let has = |verb: &str, resource: &str, namespace: Value| {
        access.iter().any(|a| {
            a["verb"] == verb && a["resource"] == resource && a.get("namespace").unwrap_or(&Value::Null) == &namespace
        })
    };
    assert!(has("list", "services", Value::Null), "{access:#?}");
    for namespace in ["kms-decentralized", "monitoring", "observability"] {
        assert!(has("get", "services/proxy", json!(namespace)), "{namespace}: {access:#?}");
    }
    // A Prometheus whose address is given needs no right of the cluster.
    let set = ["--set", "prometheus=http://127.0.0.1:9"];
    let ran = Casefile::new(&["plan", "--profile", "kms", "--format", "json"])
        .args(&set)
        .env("KUBECONFIG", cluster.kubeconfig());
    let text = ran.run().code(0).stdout();
    assert!(!text.contains("services/proxy"), "{text}");
}
