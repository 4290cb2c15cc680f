//! Real bundles of several parties, collected from a cluster each, and compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::triage::network::{Network, State};
use serde_json::{Value, json};

use crate::support::cli::Casefile;
use crate::support::cluster::Cluster;

/// Parties of the network of the fixtures.
const N: u32 = 13;
const HEALTH: &str = "replay/kms-health-check-live.txt";
const KEY: &str = "correlation-key-of-at-least-32-bytes!";
/// Runs at the same time.
const WORKERS: usize = 3;
const OTHER_KEY: &str = "another-correlation-key-of-32-bytes-and-more";

/// The cluster of a party that does not reach some of the others. The odd one out has another version, and another name for a peer.
fn cluster(party: u32, lost: &[u32], is_odd: bool) -> MemStore {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap();
    let mut store = fixtures.cluster("healthy").unwrap();
    let text = String::from_utf8(store.get(HEALTH).unwrap().to_vec()).unwrap();
    let at = text.find("\n{\n").unwrap() + 1;
    let mut health: Value = serde_json::from_str(&text[at..]).unwrap();
    let context = &mut health["context_info"][0];
    context["self_node_info"]["my_party_id"] = json!(party);
    context["self_node_info"]["nodes_reachable"] = json!(N as usize - lost.len());
    let row = |id: u32| {
        let error = if lost.contains(&id) { "Timeout after 20 s" } else { "" };
        json!({"peer_id": id, "endpoint": format!("mpc-node-{id}.kms-decentralized.svc.cluster.local"),
            "reachable": error.is_empty(), "latency_ms": 12, "error": error})
    };
    context["peers_status"] = (1..=N).filter(|id| *id != party).map(row).collect();
    let health = format!("{}{}\n", &text[..at], serde_json::to_string_pretty(&health).unwrap());
    store.insert(HEALTH.to_owned(), health.into_bytes());
    let mut replay: Value = serde_json::from_slice(store.get("replay.json").unwrap()).unwrap();
    // The health document speaks for the party; the recorded answer over gRPC is another party's.
    let grpc = replay["grpc"].as_array_mut().unwrap();
    grpc.retain(|entry| !entry["method"].as_str().unwrap().ends_with("/GetHealthStatus"));
    if is_odd {
        let answers = replay["proxy"].as_array_mut().unwrap();
        let mut answers = answers.iter_mut().filter(|a| a["path"] == "/version").peekable();
        assert!(answers.peek().is_some());
        for answer in answers {
            answer["body"] = json!("0.12.3-0");
        }
        for file in ["replay/config.json", "replay/kms-server.toml"] {
            let config = String::from_utf8(store.get(file).unwrap().to_vec()).unwrap();
            assert!(config.contains("mpc-node-7."), "{file}");
            store.insert(file.to_owned(), config.replace("mpc-node-7.", "mpc-node-of-old-7.").into_bytes());
        }
    }
    store.insert("replay.json".to_owned(), serde_json::to_vec(&replay).unwrap());
    store
}

/// Collects the bundle of a party into a directory.
fn collect(dir: &Path, party: u32, store: MemStore, key: &str) -> PathBuf {
    let cluster = Cluster::start(Arc::new(store), |builder| builder);
    let (bundle, file) = (dir.join(format!("party-{party}.tar.gz")), dir.join(format!("key-{party}")));
    std::fs::write(&file, key).unwrap();
    let id = format!("party_id={party}");
    let call = Casefile::new(&["collect", "--no-progress", "--profile", "kms", "--set", &id])
        // Peers and buckets are nowhere, and finding that out takes its time.
        .args(&["--skip", "probe/*", "--skip", "storage/*"])
        .over_kms(&cluster)
        .args(&["--correlation-key"])
        .arg(&file)
        .args(&["--output"])
        .arg(&bundle);
    let ran = call.run();
    assert!(bundle.is_file(), "party {party}: {}", ran.stderr());
    bundle
}

fn compare(bundles: &[PathBuf]) -> Network {
    let call = bundles.iter().fold(Casefile::new(&["triage", "--format", "json"]), Casefile::arg);
    let ran = call.run();
    serde_json::from_str(&ran.stdout()).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr()))
}

fn state(network: &Network, from: u32, to: u32) -> State {
    let row = network.matrix.iter().find(|r| r.from == from.to_string());
    let cell = row.and_then(|r| r.cells.iter().find(|c| c.to == to.to_string()));
    cell.unwrap_or_else(|| panic!("no cell {from} {to} in {:#?}", network.matrix)).state
}

/// Parties that findings of a rule are about.
fn about<'a>(network: &'a Network, rule: &str) -> Vec<&'a str> {
    let found = network.findings.iter().filter(|f| f.rule == rule);
    found.flat_map(|f| f.subjects.iter().map(casefile::triage::Subject::name)).collect()
}

/// Bundles of these parties: nobody reaches 5, 2 does not reach 4, 4 has another version and another name for 7, and 3 redacts under
/// a key of its own.
fn bundles(dir: &Path, parties: std::ops::RangeInclusive<u32>) -> Vec<PathBuf> {
    let one = |party: u32| {
        let mut lost: Vec<u32> = [5].into_iter().filter(|id| *id != party).collect();
        lost.extend((party == 2).then_some(4));
        let store = cluster(party, &lost, party == 4);
        collect(dir, party, store, if party == 3 { OTHER_KEY } else { KEY })
    };
    let parties: Vec<u32> = parties.collect();
    // Much of a run is waiting, for the program to start and for its connections.
    std::thread::scope(|scope| {
        let workers: Vec<_> = (parties.chunks(parties.len().div_ceil(WORKERS)))
            .map(|some| scope.spawn(move || some.iter().map(|party| one(*party)).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn check(network: &Network) {
    assert_eq!(about(network, "network-party-unreachable"), ["5"], "{:#?}", network.findings);
    assert_eq!(about(network, "network-one-way"), ["2", "4"]);
    assert_eq!(about(network, "network-versions-differ"), ["4"]);
    assert_eq!(about(network, "network-peer-lists-differ"), ["4"]);
    assert_eq!(network.findings.iter().filter(|f| f.rule == "network-not-comparable").count(), 1);
    let cells = [(2, 4), (4, 2), (1, 5), (1, 1)].map(|(from, to)| state(network, from, to));
    assert_eq!(cells, [State::Unreachable, State::Reachable, State::Unreachable, State::Itself]);
}

fn names(network: &Network) -> Vec<&str> {
    network.parties.iter().map(|p| p.party.as_str()).collect()
}

#[test]
fn bundles_of_thirteen_parties_become_one_view() {
    let dir = tempfile::tempdir().unwrap();
    let bundles = bundles(dir.path(), 1..=N);
    let all = compare(&bundles);
    assert_eq!(names(&all), (1..=N).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(all.missing.is_empty(), "{:?}", all.missing);
    check(&all);

    // One party did not send its bundle.
    let without: Vec<PathBuf> = bundles.iter().filter(|b| !b.ends_with("party-5.tar.gz")).cloned().collect();
    let missing = compare(&without);
    assert_eq!((missing.parties.len(), missing.missing.as_slice()), (12, &["5".to_owned()][..]));
    check(&missing);

    // Four of them.
    let four = compare(&bundles[..4]);
    assert_eq!(names(&four), ["1", "2", "3", "4"]);
    check(&four);
    assert!(four.missing.contains(&"5".to_owned()) && four.missing.len() == 9, "{:?}", four.missing);

    // Two are the fewest, and neither is in the majority.
    let two = compare(&bundles[..2]);
    assert_eq!(names(&two), ["1", "2"]);
    assert_eq!((state(&two, 1, 2), state(&two, 2, 1)), (State::Reachable, State::Reachable));
    assert!(about(&two, "network-versions-differ").is_empty());
}
