//! The fixtures are consistent: what one file says about another is so, and every incident fits its base.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::bundle::{DirStore, Store, layout};
use casefile::serve::Server;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::support::cli::Casefile;

const BASES: [&str; 3] = ["kms", "recorded", "web"];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn fixtures() -> Fixtures {
    Fixtures::new(Box::new(DirStore::open(&dir()).unwrap())).unwrap()
}

/// A base, or an incident over one.
struct Cluster {
    name: String,
    store: MemStore,
    objects: Vec<Object>,
}

/// The bases and all incidents. They are many, so they are read once for all tests.
fn clusters() -> &'static [Cluster] {
    static CLUSTERS: LazyLock<Vec<Cluster>> = LazyLock::new(|| {
        let fixtures = fixtures();
        let bases = BASES.iter().map(|base| (format!("base {base}"), fixtures.base(base).unwrap()));
        let incidents = fixtures.incidents().iter().map(|i| (i.name.clone(), fixtures.cluster(&i.name).unwrap()));
        let all = bases.chain(incidents);
        all.map(|(name, store)| Cluster { objects: objects(&store), name, store }).collect()
    });
    &CLUSTERS
}

fn json(store: &MemStore, path: &str) -> Value {
    serde_json::from_slice(store.get(path).unwrap()).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// One object of a list.
struct Object {
    path: String,
    kind: String,
    namespace: String,
    value: Value,
}

impl Object {
    fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }
}

/// All objects of a cluster.
fn objects(store: &MemStore) -> Vec<Object> {
    let mut objects = Vec::new();
    for entry in store.entries() {
        let Some((_, _, namespace)) = layout::parse_objects(&entry.path) else { continue };
        let list = json(store, &entry.path);
        let kind = list["kind"].as_str().and_then(|k| k.strip_suffix("List")).map(str::to_owned);
        let kind = kind.unwrap_or_else(|| panic!("{} is no list", entry.path));
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{} has no items", entry.path));
        objects.extend(items.iter().map(|value| Object {
            path: entry.path.clone(),
            kind: kind.clone(),
            namespace: namespace.clone().unwrap_or_default(),
            value: value.clone(),
        }));
    }
    objects
}

fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Name and status of every container that a pod's specification has.
fn containers(pod: &Value) -> BTreeMap<&str, Option<&Value>> {
    let mut all = BTreeMap::new();
    for (spec, status) in
        [("/spec/initContainers", "/status/initContainerStatuses"), ("/spec/containers", "/status/containerStatuses")]
    {
        for container in array(pod, spec) {
            let name = container["name"].as_str().unwrap();
            all.insert(name, array(pod, status).iter().find(|s| s["name"] == name));
        }
    }
    all
}

#[test]
fn every_list_holds_whole_objects_once() {
    for Cluster { name: cluster, objects, .. } in clusters() {
        let (mut names, mut uids) = (BTreeSet::new(), BTreeSet::new());
        for object in objects {
            let place = format!("{cluster}: {}: {} {}", object.path, object.kind, object.name());
            let metadata = &object.value["metadata"];
            assert!(!object.name().is_empty(), "{place} has no name");
            assert_eq!(metadata["namespace"].as_str().unwrap_or_default(), object.namespace, "{place}");
            assert!(
                metadata["creationTimestamp"].as_str().is_some_and(|t| t.parse::<DateTime<Utc>>().is_ok()),
                "{place}"
            );
            assert_eq!(object.uid().len(), 36, "{place}");
            assert!(names.insert((object.path.clone(), object.name().to_owned())), "{place} is there twice");
            assert!(uids.insert(object.uid().to_owned()), "the uid of {place} is not unique");
        }
        assert!(names.len() > 30, "{cluster} has {} objects", names.len());
    }
}

#[test]
fn discovery_knows_every_kind() {
    for Cluster { name: cluster, store, .. } in clusters() {
        let lists = json(store, layout::RESOURCES);
        let known: BTreeSet<(String, String)> = (lists.as_array().unwrap().iter())
            .flat_map(|list| {
                let version = list["groupVersion"].as_str().unwrap();
                let group = version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
                array(list, "/resources").iter().map(move |r| (group.clone(), r["name"].as_str().unwrap().to_owned()))
            })
            .collect();
        for entry in store.entries() {
            if let Some((group, plural, _)) = layout::parse_objects(&entry.path) {
                assert!(known.contains(&(group, plural)), "{cluster}: discovery does not know {}", entry.path);
            }
        }
        let groups: BTreeSet<String> = (json(store, layout::GROUPS).as_array().unwrap().iter())
            .map(|g| g["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(groups, known.into_iter().map(|(group, _)| group).collect(), "{cluster}");
    }
}

/// The nodes whose kubelet does not answer: nobody can read a log there.
fn lost_nodes(objects: &[Object]) -> BTreeSet<String> {
    let nodes = objects.iter().filter(|o| o.kind == "Node");
    let silent = |o: &&Object| {
        array(&o.value, "/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "Unknown")
    };
    nodes.filter(silent).map(|o| o.name().to_owned()).collect()
}

#[test]
fn logs_belong_to_containers() {
    for Cluster { name: cluster, store, objects } in clusters() {
        let pods: Vec<&Object> = objects.iter().filter(|o| o.kind == "Pod").collect();
        let mut found = BTreeSet::new();
        for entry in store.entries() {
            let Some((namespace, pod, container, previous)) = layout::parse_log(&entry.path) else { continue };
            let place = format!("{cluster}: {}", entry.path);
            let pod = pods.iter().find(|p| p.namespace == namespace && p.name() == pod);
            let pod = pod.unwrap_or_else(|| panic!("{place}: no such pod"));
            let all = containers(&pod.value);
            let status = all.get(container).unwrap_or_else(|| panic!("{place}: no such container"));
            let status = status.unwrap_or_else(|| panic!("{place}: the container has no status"));
            if previous {
                assert!(status["lastState"]["terminated"].is_object(), "{place}: the container never ended");
            }
            found.insert((namespace.to_owned(), pod.name().to_owned(), container.to_owned()));
        }
        // The recording took the logs of a few pods only, and in some incidents nobody may read logs.
        if cluster == "base recorded" || cluster.starts_with("forbidden-") {
            continue;
        }
        let lost = lost_nodes(objects);
        for pod in pods.iter().filter(|p| !p.value["spec"]["nodeName"].as_str().is_some_and(|n| lost.contains(n))) {
            for (container, status) in containers(&pod.value) {
                let Some(status) = status else { continue };
                let ran = !status["state"]["waiting"].is_object() || status["lastState"]["terminated"].is_object();
                let key = (pod.namespace.clone(), pod.name().to_owned(), container.to_owned());
                assert_eq!(found.contains(&key), ran, "{cluster}: {key:?}");
            }
        }
    }
}

#[test]
fn references_resolve() {
    for Cluster { name: cluster, objects, .. } in clusters() {
        let all = objects;
        let known: BTreeMap<&str, &Object> = all.iter().map(|o| (o.uid(), o)).collect();
        let kinds: BTreeSet<&str> = all.iter().map(|o| o.kind.as_str()).collect();
        let check = |from: &Object, reference: &Value| {
            let place = format!("{cluster}: {} {}: {reference}", from.kind, from.name());
            let (kind, name) = (reference["kind"].as_str().unwrap(), reference["name"].as_str().unwrap());
            let target =
                known.get(reference["uid"].as_str().unwrap()).unwrap_or_else(|| panic!("{place}: no such uid"));
            assert_eq!((target.kind.as_str(), target.name()), (kind, name), "{place}");
        };
        for object in all {
            array(&object.value, "/metadata/ownerReferences").iter().for_each(|owner| check(object, owner));
            let involved = &object.value["involvedObject"];
            // What was preempted is gone, and its event is all that is left of it.
            let gone = object.value["reason"] == "Preempted";
            if !gone && involved["kind"].as_str().is_some_and(|kind| kinds.contains(kind)) {
                check(object, involved);
            }
            for subset in array(&object.value, "/subsets") {
                for pointer in ["/addresses", "/notReadyAddresses"] {
                    for address in array(subset, pointer).iter().filter(|a| a["targetRef"].is_object()) {
                        check(object, &address["targetRef"]);
                    }
                }
            }
            for endpoint in array(&object.value, "/endpoints").iter().filter(|e| e["targetRef"].is_object()) {
                check(object, &endpoint["targetRef"]);
            }
            if let Some(node) = object.value.pointer("/spec/nodeName").and_then(Value::as_str) {
                let found = all.iter().any(|o| o.kind == "Node" && o.name() == node);
                assert!(found, "{cluster}: {} runs on {node}, which does not exist", object.name());
            }
        }
    }
}

#[test]
fn usage_is_of_pods_that_run() {
    for Cluster { name: cluster, store, objects } in clusters() {
        let all = objects;
        for entry in store.entries() {
            let Some(namespace) = entry.path.strip_prefix("usage/pods/").and_then(|p| p.strip_suffix(".json")) else {
                continue;
            };
            for usage in array(&json(store, &entry.path), "/items") {
                let name = usage["metadata"]["name"].as_str().unwrap();
                let pod = all.iter().find(|o| o.kind == "Pod" && o.namespace == namespace && o.name() == name);
                let pod = pod.unwrap_or_else(|| panic!("{cluster}: {}: {name} does not exist", entry.path));
                let known = containers(&pod.value);
                for container in array(usage, "/containers") {
                    assert!(known.contains_key(container["name"].as_str().unwrap()), "{cluster}: {name}: {container}");
                }
            }
        }
    }
}

#[tokio::test]
async fn replays_are_of_containers_that_exist_and_can_be_served() {
    let fixtures = fixtures();
    for Cluster { name: cluster, store, objects } in clusters() {
        let all = objects;
        let replay = json(store, "replay.json");
        for answer in array(&replay, "/exec").iter().chain(array(&replay, "/proxy")) {
            let (namespace, name) = answer["pods"].as_str().unwrap().split_once('/').unwrap();
            let pod = all.iter().find(|o| o.kind == "Pod" && o.namespace == namespace && o.name() == name);
            let pod = pod.unwrap_or_else(|| panic!("{cluster}: {answer}: no such pod"));
            if let Some(container) = answer["container"].as_str() {
                assert!(containers(&pod.value).contains_key(container), "{cluster}: {answer}");
            }
            for file in ["stdout_file", "stderr_file", "body_file"] {
                if let Some(file) = answer[file].as_str() {
                    assert!(store.contains(file), "{cluster}: {answer}");
                }
            }
        }
        // Only the demo serves incidents.
        if fixtures.find(cluster).is_ok_and(|i| !i.expect.demo) {
            continue;
        }
        let server = Server::builder(Arc::new(store.clone())).start().await;
        server.unwrap_or_else(|e| panic!("{cluster}: {e}")).shutdown().await;
    }
}

/// Every RFC 3339 time in a text.
fn times(text: &str) -> impl Iterator<Item = DateTime<Utc>> + '_ {
    static SHAPE: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z").unwrap());
    let found: Vec<DateTime<Utc>> = SHAPE.find_iter(text).map(|m| m.as_str().parse().unwrap()).collect();
    found.into_iter()
}

#[test]
fn nothing_happened_after_now() {
    for Cluster { name: cluster, store, .. } in clusters() {
        let now: DateTime<Utc> = json(store, "replay.json")["now"].as_str().unwrap().parse().unwrap();
        let mut last = DateTime::<Utc>::MIN_UTC;
        for entry in store.entries() {
            for at in times(&String::from_utf8_lossy(store.get(&entry.path).unwrap())) {
                assert!(at <= now, "{cluster}: {}: {at} is after {now}", entry.path);
                last = last.max(at);
            }
        }
        assert!(now - last < TimeDelta::minutes(1), "{cluster}: the last trace is from {last}, now is {now}");
    }
}

/// All bytes of a store, and what is hidden in its Secrets.
fn haystack(store: &MemStore) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in store.entries() {
        all.extend_from_slice(store.get(&entry.path).unwrap());
        all.push(b'\n');
    }
    for secret in objects(store).iter().filter(|o| o.kind == "Secret") {
        for value in secret.value["data"].as_object().unwrap().values() {
            let mut bytes = BASE64.decode(value.as_str().unwrap()).unwrap();
            // A helm release is base64 of gzip inside of the base64 of the Secret.
            if secret.value["type"] == "helm.sh/release.v1" {
                let inner = BASE64.decode(&bytes).unwrap();
                bytes.clear();
                flate2::read::GzDecoder::new(&inner[..]).read_to_end(&mut bytes).unwrap();
            }
            all.extend_from_slice(&bytes);
            all.push(b'\n');
        }
    }
    all
}

#[test]
fn every_planted_secret_is_in_the_base() {
    let planted = std::fs::read_to_string(dir().join("secrets/planted.txt")).unwrap();
    let base = haystack(&fixtures().base("kms").unwrap());
    let planted: BTreeSet<&str> = planted.lines().collect();
    assert!(planted.len() >= 15, "{} secrets", planted.len());
    for secret in planted {
        assert!(secret.len() >= 16, "{secret} is too short to be looked for");
        assert!(memchr::memmem::find(&base, secret.as_bytes()).is_some(), "{secret} is nowhere in the base");
    }
}

#[test]
fn the_bases_are_healthy() {
    let fixtures = fixtures();
    looks_healthy(&fixtures.base("web").unwrap());
    let base = fixtures.base("kms").unwrap();
    looks_healthy(&base);
    let health = String::from_utf8(base.get("replay/kms-health-check-live.txt").unwrap().to_vec()).unwrap();
    assert!(health.starts_with("Initializing configuration") && health.contains("\"nodes_reachable\": 13"));
}

fn looks_healthy(base: &MemStore) {
    for object in objects(base) {
        let place = format!("{} {}", object.kind, object.name());
        assert_ne!(object.value["type"], "Warning", "{place}: {}", object.value["message"]);
        if object.kind == "Pod" && object.value["status"]["phase"] != "Succeeded" {
            for condition in array(&object.value, "/status/conditions") {
                assert_eq!(condition["status"], "True", "{place}: {condition}");
            }
        }
    }
    for entry in base.entries().iter().filter(|e| layout::parse_log(&e.path).is_some()) {
        let log = String::from_utf8(base.get(&entry.path).unwrap().to_vec()).unwrap();
        for line in log.lines() {
            assert!(!line.contains("ERROR") && !line.contains("panicked"), "{}: {line}", entry.path);
        }
    }
}

#[test]
fn incidents_say_what_they_show() {
    let fixtures = fixtures();
    let names: Vec<&str> = fixtures.incidents().iter().map(|i| i.name.as_str()).collect();
    for name in ["healthy", "crash-loop", "oom-kill", "unschedulable", "image-pull", "init-job-failed"] {
        assert!(names.contains(&name), "{name} is missing");
    }
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "a name is used twice: {names:?}");
    for incident in fixtures.incidents() {
        let (name, expect) = (&incident.name, &incident.expect);
        let Cluster { store: cluster, objects, .. } = clusters().iter().find(|c| c.name == *name).unwrap();
        let base = fixtures.base(&expect.base).unwrap();
        let same = cluster.entries().iter().all(|e| cluster.get(&e.path) == base.get(&e.path))
            && cluster.entries().len() == base.entries().len();
        assert_eq!(
            same,
            ["healthy", "healthy-guide-file-storage", "healthy-web"].contains(&&**name),
            "{name}: only a healthy incident has an empty overlay"
        );
        assert!(!expect.title.is_empty() && expect.description.len() < 140, "{name}");
        for status in &expect.status {
            assert!(["optimal", "healthy", "degraded", "unhealthy", "unknown"].contains(&status.as_str()), "{name}");
        }
        assert!(expect.must.iter().all(|rule| !expect.must_not.contains(rule)), "{name}");
        assert_eq!(expect.root_cause.is_some(), expect.root_subject.is_some(), "{name}");
        if let (Some(cause), Some(subject)) = (&expect.root_cause, &expect.root_subject) {
            assert!(expect.must.contains(cause), "{name}: {cause} must be found");
            // What is no object of the cluster: a version of an API, a clock, an endpoint, a peer.
            let outside = ["api/", "clock/", "endpoint/", "peer/"].iter().any(|kind| subject.starts_with(kind));
            let found = outside
                || (objects.iter())
                    .any(|o| format!("{}/{}/{}", o.kind.to_lowercase(), o.namespace, o.name()) == *subject);
            assert!(found, "{name}: {subject} does not exist");
        }
    }
}

#[test]
fn fixtures_are_small_and_say_nothing_about_where_they_come_from() {
    let files = DirStore::open(&dir()).unwrap();
    let size: u64 = files.entries().iter().map(|e| e.size).sum();
    assert!(size < 6 << 20, "fixtures have {size} bytes");
    for entry in
        files.entries().iter().filter(|e| !e.path.starts_with("clusters/recorded") && !e.path.starts_with("secrets"))
    {
        let text = String::from_utf8(files.read(&entry.path, entry.size).unwrap()).unwrap();
        for trace in ["/srv/", "/work/", "/tmp/", "kms.test", "127.0.1.", "openshift", "busybox"] {
            let allowed =
                trace == "/tmp/" && ["/metrics-server", "/coredns"].iter().any(|log| entry.path.contains(log));
            assert!(allowed || !text.contains(trace), "{} has {trace}", entry.path);
        }
    }
}

#[test]
fn the_list_names_every_incident() {
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_casefile")).args(args).output().unwrap();
    let listed = run(&["demo", "--list"]);
    assert!(listed.status.success());
    let text = String::from_utf8(listed.stdout).unwrap();
    let listed: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let fixtures = fixtures();
    let offered = fixtures.incidents().iter().filter(|i| i.expect.demo);
    let names: Vec<&str> = offered.map(|i| i.name.as_str()).collect();
    assert_eq!(listed, names);
    assert!(names.len() >= 10, "{names:?}");
    let listed: Value = serde_json::from_slice(&run(&["demo", "--list", "--format", "json"]).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), names.len());

    let wrong = run(&["demo", "crashloop"]);
    assert_eq!(wrong.status.code(), Some(2));
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(error.contains("did you mean `crash-loop`?"), "{error}");
}

#[test]
fn the_demo_shows_its_stores_and_its_releases() {
    let ran = Casefile::new(&["demo", "healthy", "--no-progress", "--quiet"]).run().code(0);
    let bundle = ran.bundle();
    let stores = bundle.triage().stores;
    let ids: Vec<&str> = stores.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["backup", "private", "public"]);
    assert!(stores.iter().all(|s| s.complete && s.fault.is_none()), "{stores:?}");
    assert!(stores[1].folders.contains("EpochData 1") && stores[1].place == "s3://mpc-vault-private-1a2b3c4d/PRIV-p3/");
    let summary = bundle.text("SUMMARY.md");
    assert!(summary.contains("## Stores") && summary.contains("EpochData 1"), "{summary}");
    assert!(bundle.text("report.html").contains("<section id=\"stores\">"), "the page has the table");
    // The embedded parties have certificates, for the names that the configuration wants.
    let path = "peers/kms-decentralized/kms-party-3-core-3/reachability.json";
    let table: Value = serde_json::from_str(&bundle.text(path)).unwrap();
    let shown = array(&table, "/peers").iter().filter(|p| p["own"] == false && p["verdict"] != "not-resolvable-here");
    for peer in shown {
        assert_eq!(peer["verdict"], "reachable", "{peer:#}");
        let chain = &peer["tls"]["chain"][0];
        assert_eq!(
            (&chain["common_name"], &peer["tls"]["asks_for_certificate"]),
            (&peer["identity"], &Value::Bool(true))
        );
        assert!(chain["not_after"].is_string(), "{peer:#}");
    }
    // The record of a release says what was installed, and nothing of its values.
    let secrets: Value =
        serde_json::from_str(&bundle.text("cluster-resources/secrets/kms-decentralized.json")).unwrap();
    let release = secrets["items"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|s| s["metadata"]["annotations"]["casefile/helm-release"].as_str().map(str::to_owned));
    let release = release.expect("the newest release record is described");
    assert!(release.contains("\"chart\":\"kms-core\"") && release.contains("\"revision\":2"), "{release}");
}
