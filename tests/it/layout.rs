//! What other readers find in a bundle that the program collected: what `sbctl` and `troubleshoot-live` look for, what
//! our own server gives back when such a bundle is collected again, and what `kubectl` shows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use casefile::bundle::overlay::MemStore;
use casefile::bundle::{self, Store, layout};
use serde_json::Value;

use crate::support::cli::{Bundle, Casefile, Ran};
use crate::support::cluster::{Cluster, fixture};

const NS: &str = "kms-decentralized";
const CORE: &str = "kms-party-3-core-0";
const ROOT: &str = "cluster-resources/";
const FILE_MAX: u64 = 64 << 20;
/// A container that was restarted, and what it said before.
const RESTARTED: (&str, &str) = ("kms-oom", "hog");
const LAST_WORDS: &str = "2026-11-21T06:31:00Z allocating 64 MiB\n2026-11-21T06:31:01Z allocating 128 MiB\n";

/// The recorded cluster with the log of a container before its restart, which the real kubelet had lost, and with
/// objects of a custom kind.
fn cluster() -> Cluster {
    let mut store = MemStore::below(&*fixture("clusters/recorded"), "").unwrap();
    store.insert(layout::log(NS, RESTARTED.0, RESTARTED.1, true), LAST_WORDS.as_bytes());
    let parties = serde_json::json!({
        "kind": "KmsPartyList", "apiVersion": "kms.example.com/v1alpha1", "metadata": {"resourceVersion": "1"},
        "items": [{"apiVersion": "kms.example.com/v1alpha1", "kind": "KmsParty",
            "metadata": {"name": "party-3", "namespace": NS, "uid": "0b5c4a0e-0000-4000-8000-000000000003"},
            "spec": {"partyId": 3}}],
    });
    store.insert(layout::objects("kms.example.com", "kmsparties", Some(NS)), parties.to_string().into_bytes());
    Cluster::start(Arc::new(store), |b| b)
}

fn collect(cluster: &Cluster) -> Ran {
    // What programs inside of pods say is in no bundle as an object, so a served bundle cannot say it again.
    let skip = ["collect", "--skip", "grpc/*", "--skip", "probe/*"];
    Casefile::new(&skip).over_kms(cluster).run()
}

/// What GNU tar says: kind of entry and path.
fn listed(archive: &Path) -> Vec<(char, String)> {
    let output = Command::new("tar").arg("tvzf").arg(archive).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|l| (l.chars().next().unwrap(), l.split_whitespace().nth(5).unwrap().to_owned())).collect()
}

fn json(bundle: &Bundle, path: &str) -> Value {
    serde_json::from_str(&bundle.text(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn paths(bundle: &Bundle) -> Vec<&str> {
    bundle.store.entries().iter().map(|e| e.path.as_str()).collect()
}

#[test]
fn everything_is_a_plain_file_below_one_top_directory() {
    let ran = collect(&cluster());
    let entries = listed(&ran.archive());
    assert!(entries.len() > 50);
    let tops: BTreeSet<&str> = entries.iter().map(|(_, path)| path.split('/').next().unwrap()).collect();
    assert_eq!(tops.len(), 1, "{tops:?}");
    // Readers of other tools drop links.
    assert!(entries.iter().all(|(kind, _)| *kind == '-'), "{entries:?}");
    let names: BTreeSet<String> = entries.iter().map(|(_, path)| path.to_lowercase()).collect();
    assert_eq!(names.len(), entries.len(), "two names differ in case only");
    // They take the first directory and the first file of these names.
    let named = |name: &str| {
        let dirs = entries.iter().filter_map(|(_, p)| p.match_indices(name).next().map(|(at, _)| &p[..at]));
        dirs.collect::<BTreeSet<_>>().len()
    };
    assert_eq!((named("/cluster-resources/"), named("/cluster_version.json")), (1, 1));
}

#[test]
fn only_lists_and_logs_are_below_cluster_resources() {
    let bundle = collect(&cluster()).bundle();
    for path in paths(&bundle) {
        let Some(rest) = path.strip_prefix(ROOT) else {
            assert!(!path.starts_with("pod-logs/"), "{path}");
            continue;
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let fine = match parts[..] {
            ["pods", "logs", namespace, _, log] => namespace == NS && log.ends_with(".log"),
            [file] | [_, file] | ["custom-resources", _, file] => file.ends_with(".json"),
            _ => false,
        };
        assert!(fine, "{path}");
        // The readers skip these, so nothing may be called so that is worth reading.
        assert!(!rest.contains("-errors.") && parts[0] != "auth-cani-list", "{path}");
    }
}

#[test]
fn discovery_is_what_the_readers_decode() {
    let bundle = collect(&cluster()).bundle();
    let groups = json(&bundle, layout::GROUPS);
    for group in groups.as_array().unwrap() {
        assert!(group.get("kind").is_none() && group.get("apiVersion").is_none(), "{group}");
        let name = group["name"].as_str().unwrap();
        assert!(!name.is_empty() && !group["versions"].as_array().unwrap().is_empty(), "{group}");
        for version in group["versions"].as_array().unwrap().iter().chain([&group["preferredVersion"]]) {
            let short = version["version"].as_str().unwrap();
            assert_eq!(version["groupVersion"], format!("{name}/{short}").as_str());
        }
    }
    let resources = json(&bundle, layout::RESOURCES);
    let resources = resources.as_array().unwrap();
    let core = resources.iter().find(|r| r["groupVersion"] == "v1").unwrap();
    // With the key, the reader does not find the core group.
    assert!(core.get("apiVersion").is_none(), "{:?}", core.as_object().unwrap().keys().collect::<Vec<_>>());
    for list in resources {
        assert!(list["groupVersion"].is_string());
        for resource in list["resources"].as_array().unwrap() {
            assert!(resource["name"].is_string() && resource["kind"].is_string(), "{resource}");
            assert!(resource["namespaced"].is_boolean() && resource["verbs"].is_array(), "{resource}");
        }
    }
    let version = json(&bundle, layout::CLUSTER_VERSION);
    assert_eq!(version.as_object().unwrap().keys().collect::<Vec<_>>(), ["info", "string"]);
    assert_eq!((&version["string"], &version["info"]["gitVersion"]), (&"v1.36.2".into(), &"v1.36.2".into()));
    assert_eq!((&version["info"]["major"], &version["info"]["minor"]), (&"1".into(), &"36".into()));
}

#[test]
fn lists_are_typed_and_their_items_too() {
    let bundle = collect(&cluster()).bundle();
    let mut lists = 0;
    for path in paths(&bundle) {
        let Some((group, plural, namespace)) = layout::parse_objects(path) else { continue };
        let list = json(&bundle, path);
        let kind = list["kind"].as_str().unwrap().strip_suffix("List").unwrap().to_owned();
        let version = list["apiVersion"].as_str().unwrap().to_owned();
        assert!(!kind.is_empty(), "{path}");
        assert_eq!(version.split_once('/').map_or("", |(group, _)| group), group, "{path}");
        let items = list["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{path}: an empty list says nothing that the ledger does not");
        for item in items {
            assert_eq!((item["kind"].as_str(), item["apiVersion"].as_str()), (Some(&*kind), Some(&*version)), "{path}");
            assert_eq!(item["metadata"]["namespace"].as_str(), namespace.as_deref(), "{path}");
            assert!(item["metadata"]["name"].is_string() && item["metadata"].get("managedFields").is_none(), "{path}");
        }
        lists += 1;
        assert!(!plural.is_empty());
    }
    assert!(lists > 15, "{lists} lists");
}

/// Where `sbctl` looks for the lists of a kind: by names of its own, by the plural, and among the custom resources.
fn places(group: &str, plural: &str, namespace: Option<&str>) -> Vec<String> {
    let own = match (group, plural) {
        ("", "persistentvolumeclaims") => "pvcs",
        ("", "persistentvolumes") => "pvs",
        ("", "resourcequotas") => "resource-quota",
        ("networking.k8s.io", "ingresses") => "ingress",
        ("networking.k8s.io", "networkpolicies") => "network-policy",
        ("storage.k8s.io", "storageclasses") => "storage-classes",
        ("apiextensions.k8s.io", "customresourcedefinitions") => "custom-resource-definitions",
        _ => plural,
    };
    let custom = format!("custom-resources/{plural}.{group}");
    let tail = namespace.map(|n| format!("/{n}")).unwrap_or_default();
    [own, plural, &custom].map(|stem| format!("{ROOT}{stem}{tail}.json")).to_vec()
}

#[test]
fn every_object_of_the_cluster_is_where_the_readers_look() {
    let cluster = cluster();
    let bundle = collect(&cluster).bundle();
    let recorded = fixture("clusters/recorded");
    let mut wanted: BTreeMap<(String, String, Option<String>), usize> = BTreeMap::new();
    for entry in recorded.entries() {
        let Some(key) = layout::parse_objects(&entry.path) else { continue };
        // Their own names differ from all three; no reader of other tools finds these, in any bundle.
        if key.1 == "poddisruptionbudgets" {
            continue;
        }
        let list: Value = serde_json::from_slice(&recorded.read(&entry.path, FILE_MAX).unwrap()).unwrap();
        let count = list["items"].as_array().unwrap().len();
        if count > 0 && key.2.as_deref().is_none_or(|n| n == NS) {
            wanted.insert(key, count);
        }
    }
    wanted.insert(("kms.example.com".into(), "kmsparties".into(), Some(NS.into())), 1);
    assert!(wanted.len() > 15, "{wanted:?}");
    for ((group, plural, namespace), count) in wanted {
        let places = places(&group, &plural, namespace.as_deref());
        let found: Vec<&String> = places.iter().filter(|p| bundle.store.contains(p)).collect();
        assert!(!found.is_empty(), "none of {places:?}");
        assert_eq!(json(&bundle, found[0])["items"].as_array().unwrap().len(), count, "{}", found[0]);
    }
}

#[test]
fn logs_are_where_the_readers_look() {
    let ran = collect(&cluster());
    let bundle = ran.bundle();
    let dir = format!("{ROOT}pods/logs/{NS}");
    assert_eq!(bundle.text(&format!("{dir}/kms-oom/hog-previous.log")), LAST_WORDS);
    assert!(bundle.text(&format!("{dir}/{CORE}/kms-core.log")).ends_with("Still waiting to receive from party 9\n"));
    assert!(bundle.store.contains(&format!("{dir}/{CORE}/kms-core-init-load-env.log")));
    // A log is named after a container that its pod has.
    let pods = json(&bundle, &layout::objects("", "pods", Some(NS)));
    for (namespace, pod, container, _) in paths(&bundle).into_iter().filter_map(layout::parse_log) {
        let object = pods["items"].as_array().unwrap().iter().find(|p| p["metadata"]["name"] == pod).unwrap();
        let specs = ["containers", "initContainers", "ephemeralContainers"].map(|sort| object["spec"][sort].as_array());
        assert!(specs.into_iter().flatten().flatten().any(|c| c["name"] == container), "{namespace}/{pod}/{container}");
    }
}

/// Whether a second bundle cannot have what the first one has: what programs in pods answered is not served again, the
/// ages in tables are counted from another time, and what the run itself writes is about the run.
fn is_of_the_run(path: &str) -> bool {
    let top = path.split('/').next().unwrap();
    matches!(top, "config" | "health" | "metrics" | "peers" | "ports" | "host" | "tables") || !path.contains('/')
}

#[test]
fn a_bundle_that_is_served_and_collected_again_is_the_same() {
    let (first, second) = twice();
    let of = |bundle: &Bundle| -> BTreeSet<String> {
        paths(bundle).into_iter().filter(|p| !is_of_the_run(p)).map(str::to_owned).collect()
    };
    assert_eq!(of(&first), of(&second));
    let mut compared = 0;
    for path in of(&first) {
        assert_eq!(first.text(&path), second.text(&path), "{path}");
        compared += 1;
    }
    assert!(compared > 25, "{compared} files");
    for path in paths(&first).into_iter().filter(|p| p.starts_with("tables/")) {
        let names = |bundle: &Bundle| -> Vec<String> {
            bundle.text(path).lines().map(|l| l.split_whitespace().next().unwrap_or_default().to_owned()).collect()
        };
        // The first column of events is an age.
        if !path.ends_with("/events.txt") {
            assert_eq!(names(&first), names(&second), "{path}");
        }
        assert_eq!(first.text(path).lines().count(), second.text(path).lines().count(), "{path}");
    }
    let root = |bundle: &Bundle| bundle.triage().root().map(|f| f.id.clone());
    assert!(root(&first).is_some());
    assert_eq!(root(&first), root(&second));
    assert_eq!(first.triage().status, second.triage().status);
}

#[test]
fn nothing_is_redacted_twice() {
    let (first, second) = twice();
    let report = |bundle: &Bundle| json(bundle, "redaction.json");
    assert!(report(&first)["rules"].as_object().unwrap().len() > 3);
    let rules = report(&second)["rules"].as_object().unwrap().clone();
    assert!(rules.is_empty(), "{rules:?}");
    assert_eq!(report(&second)["distinct"], 0);
}

/// Two bundles: of the cluster, and of the first bundle, served.
fn twice() -> (Bundle, Bundle) {
    let ran = collect(&cluster());
    let first = ran.bundle();
    let again = Cluster::start(Arc::from(bundle::open(&ran.archive()).unwrap()), |b| b);
    let second = collect(&again).code(3).bundle();
    (first, second)
}

/// `kubectl` with the server of a collected bundle.
struct Kubectl {
    cluster: Cluster,
    home: tempfile::TempDir,
}

impl Kubectl {
    fn on_a_collected_bundle() -> Self {
        let ran = collect(&cluster());
        let archive: PathBuf = ran.archive();
        let store: Arc<dyn Store> = Arc::from(bundle::open(&archive).unwrap());
        Self { cluster: Cluster::start(store, |b| b.namespace(NS)), home: tempfile::tempdir().unwrap() }
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = Command::new("kubectl")
            .args(args)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HOME", self.home.path())
            .output()
            .expect("kubectl is not on the PATH");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
#[ignore = "needs kubectl 1.32 or newer"]
fn kubectl_gets_the_objects_of_a_collected_bundle() {
    let kubectl = Kubectl::on_a_collected_bundle();
    let pods = kubectl.ok(&["get", "pods"]);
    assert_eq!(pods.lines().count(), 10, "{pods}");
    assert!(pods.contains("CrashLoopBackOff") && pods.contains("ImagePullBackOff"), "{pods}");
    assert!(kubectl.ok(&["get", "nodes"]).contains("real-0"));
    assert!(kubectl.ok(&["get", "kmsparties"]).contains("party-3"));
    assert!(kubectl.ok(&["get", "pvc,sts,deploy,job,svc,cm,sa"]).contains("persistentvolumeclaim/keys-"));
    // Of a Secret there are names, keys and a description.
    let secret = kubectl.ok(&["get", "secrets", "-o", "yaml"]);
    assert!(secret.contains("casefile/secret-data") && !secret.contains("PLANTED"), "{secret}");
    let warnings = kubectl.ok(&["get", "events", "--field-selector", "type=Warning,involvedObject.name=kms-badprobe"]);
    assert!(warnings.contains("Unhealthy"), "{warnings}");
    assert!(kubectl.ok(&["version"]).contains("Server Version: v1.36.2"));
    assert!(kubectl.ok(&["top", "pods"]).contains(CORE));
}

#[test]
#[ignore = "needs kubectl 1.32 or newer"]
fn kubectl_describes_the_objects_of_a_collected_bundle() {
    let kubectl = Kubectl::on_a_collected_bundle();
    let pod = kubectl.ok(&["describe", "pod", "kms-badprobe"]);
    for part in ["Exit Code:    137", "Liveness probe failed", "Node:             real-0/"] {
        assert!(pod.contains(part), "{part}\n{pod}");
    }
    assert!(kubectl.ok(&["describe", "node", "real-0"]).contains("Non-terminated Pods:"));
    assert!(kubectl.ok(&["describe", "sts", "kms-party-3-core"]).contains("1 Running / 0 Waiting"));
}

#[test]
#[ignore = "needs kubectl 1.32 or newer"]
fn kubectl_shows_the_logs_of_a_collected_bundle() {
    let kubectl = Kubectl::on_a_collected_bundle();
    assert_eq!(kubectl.ok(&["logs", "kms-oom", "--previous"]), LAST_WORDS);
    let tail = kubectl.ok(&["logs", CORE, "-c", "kms-core", "--tail", "1"]);
    assert!(tail.ends_with("Still waiting to receive from party 9\n"), "{tail}");
    assert!(kubectl.ok(&["logs", CORE, "--all-containers"]).contains("Initializing configuration with prefix"));
}
