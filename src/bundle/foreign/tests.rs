use std::io::Read;

use proptest::prelude::*;
use serde_json::Value;

use super::convert::TrimNul;
use super::*;
use crate::bundle::overlay::MemStore;

const POD_A: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: n\n";

fn adapted(files: &[(&str, &str)]) -> Box<dyn Store> {
    let mut store = MemStore::new();
    for (path, text) in files {
        store.insert(*path, text.as_bytes());
    }
    adapt(Box::new(store))
}

fn paths(store: &dyn Store) -> Vec<&str> {
    store.entries().iter().map(|e| e.path.as_str()).collect()
}

fn json(store: &dyn Store, path: &str) -> Value {
    serde_json::from_slice(&store.read(path, 1 << 20).unwrap()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn other_stores_stay_as_they_are() {
    let manifest = adapted(&[("manifest.json", "{}"), ("namespaces/n/core/pods.yaml", "")]);
    assert_eq!(paths(&*manifest), ["manifest.json", "namespaces/n/core/pods.yaml"]);
    let ours = adapted(&[("cluster-resources/pods/n.json", "{}"), ("notes.txt", "")]);
    assert!(ours.problems().is_empty());
}

#[test]
fn objects_of_lists_and_of_files_are_merged_and_counted_once() {
    let list =
        "apiVersion: v1\nitems:\n- metadata:\n    name: a\n    namespace: n\n- metadata:\n    name: b\nkind: PodList\n";
    let store = adapted(&[
        ("must-gather.local/img/namespaces/n/core/pods.yaml", list),
        ("must-gather.local/img/namespaces/n/pods/a/a.yaml", POD_A),
        ("must-gather.local/img/namespaces/n/pods/c/c.yaml", &POD_A.replace(": a", ": c")),
        ("must-gather.local/timestamp", "x"),
    ]);
    assert_eq!(paths(&*store), ["cluster-resources/pods/n.json", "must-gather.local/timestamp"]);
    let pods = json(&*store, "cluster-resources/pods/n.json");
    assert_eq!(names(&pods), ["a", "b", "c"]);
    assert_eq!((pods["kind"].as_str(), pods["apiVersion"].as_str()), (Some("PodList"), Some("v1")));
    assert!(store.problems()[0].contains("a must-gather"), "{:?}", store.problems());
    assert!(store.damage().is_empty());
}

#[test]
fn what_cannot_be_decoded_is_told_and_costs_itself() {
    let store = adapted(&[
        ("namespaces/n/v1/pod/a.yaml", POD_A),
        ("namespaces/n/v1/pod/b.yaml", "metadata: ["),
        ("namespaces/n/v1/pod/c.yaml", "kind: Pod\n"),
        ("namespaces/n/v1/pod/d.yaml", &POD_A.replace(": a", ": d")),
    ]);
    let pods = json(&*store, "cluster-resources/pods/n.json");
    assert_eq!(names(&pods), ["a", "d"]);
    let damage = store.damage();
    assert_eq!(damage.len(), 2, "{damage:?}");
    assert!(damage.iter().all(|(path, _)| path == "cluster-resources/pods/n.json"));
    assert!(damage.iter().any(|(_, why)| why.contains("pod/b.yaml")), "{damage:?}");
    // Reading again finds the same.
    json(&*store, "cluster-resources/pods/n.json");
    assert_eq!(store.damage(), damage);
}

#[test]
fn a_list_without_objects_has_its_kind() {
    let store = adapted(&[("namespaces/n/apps/deployments.yaml", "apiVersion: v1\nitems: []\nkind: DeploymentList\n")]);
    let list = json(&*store, "cluster-resources/deployments/n.json");
    assert_eq!((list["kind"].as_str(), list["apiVersion"].as_str()), (Some("DeploymentList"), Some("apps/v1")));
    assert!(names(&list).is_empty());
}

#[test]
fn files_cannot_pose_as_ours() {
    let store = adapted(&[
        ("namespaces/n/core/pods.yaml", "items: []\n"),
        ("triage.json", "{}"),
        ("usage/nodes.json", "{}"),
        ("cluster-resources/nodes.json", "{}"),
        ("other.txt", ""),
    ]);
    assert_eq!(paths(&*store), ["cluster-resources/pods/n.json", "other.txt"]);
    assert!(store.problems().iter().any(|p| p.starts_with("3 files are not shown")), "{:?}", store.problems());
}

#[test]
fn failures_of_the_tool_are_told() {
    let store = adapted(&[
        ("analysis.json", "[]"),
        ("cluster-resources/pods/n.json", "[]"),
        ("cluster-resources/secrets-errors.json", "{\"n\":\"secrets is forbidden\"}"),
        ("cluster-resources/pvcs-errors.json", "{}"),
    ]);
    let told: Vec<_> = store.problems().iter().filter(|p| p.contains("could not be collected")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("secrets is forbidden"));
    // The error must not be taken for a list of a kind.
    assert!(layout::parse_objects("cluster-resources/secrets-errors.json").is_none());
}

#[test]
fn versions_become_ours() {
    let store = adapted(&[("version.yaml", "gitVersion: v1.36.2\nmajor: '1'\n"), ("cluster/v1/node/a.yaml", POD_A)]);
    let version = json(&*store, layout::CLUSTER_VERSION);
    assert_eq!((version["string"].as_str(), version["info"]["major"].as_str()), (Some("v1.36.2"), Some("1")));
}

#[test]
fn one_nul_at_the_end_is_left_out() {
    for (content, want) in [
        (vec![], vec![]),
        (vec![0], vec![]),
        (vec![0, 0], vec![0]),
        (b"a\0b\0".to_vec(), b"a\0b".to_vec()),
        (vec![b'x'; 32 << 10], vec![b'x'; 32 << 10]),
        ([vec![b'x'; (32 << 10) - 1], vec![0]].concat(), vec![b'x'; (32 << 10) - 1]),
        ([vec![b'x'; 32 << 10], vec![0]].concat(), vec![b'x'; 32 << 10]),
    ] {
        for step in [1, 7, 1 << 16] {
            let mut reader = TrimNul::new(content.as_slice());
            let (mut out, mut buffer) = (Vec::new(), vec![9; step]);
            loop {
                let n = reader.read(&mut buffer).unwrap();
                if n == 0 {
                    break;
                }
                out.extend_from_slice(&buffer[..n]);
            }
            assert_eq!(out, want, "{} bytes", content.len());
        }
    }
}

/// A path of words that mean something in one of the layouts.
fn path() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "namespaces",
        "cluster-scoped-resources",
        "cluster",
        "cluster-resources",
        "core",
        "apps",
        "apps-v1",
        "v1",
        "pod",
        "pods",
        "n",
        "c",
        "logs",
        "usage",
    ]);
    let name = prop::sample::select(vec![
        "pods.yaml",
        "pods.json",
        "n.yaml",
        "nodes.json",
        "replication-controllers.json",
        "logs.txt",
        "current.log",
        "analysis.json",
        "pods-errors.json",
        "version.yaml",
    ]);
    (prop::collection::vec(word, 0..6), name).prop_map(|(mut words, name)| {
        words.push(name);
        words.join("/")
    })
}

proptest! {
    #[test]
    fn any_tree_can_be_read(
        files in prop::collection::btree_map(
            path(),
            "(items:\n)?(- )?(metadata: \\{name: [a-c]\\}\n|kind: PodList\n|[\\[\\{\"]|==== START logs for container c of pod n/n ====\n){0,4}",
            0..12,
        )
    ) {
        let mut store = MemStore::new();
        for (path, text) in &files {
            store.insert(path.as_str(), text.as_bytes());
        }
        let store = adapt(Box::new(store));
        prop_assert!(store.entries().windows(2).all(|pair| pair[0].path < pair[1].path));
        prop_assert!(store.entries().len() <= 2 * files.len());
        for entry in store.entries() {
            let bytes = store.read(&entry.path, 1 << 20).unwrap();
            prop_assert!(crate::bundle::reader::safe(entry.path.as_bytes()).is_some());
            // Whatever it was made from, a list that was put together is a list.
            if store.origin().is_some() && layout::parse_objects(&entry.path).is_some() && bytes.ends_with(b"\n]}\n") {
                prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
            }
        }
    }
}
