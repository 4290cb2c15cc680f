//! How long the whole KMS profile takes when one peer swallows packets, the core waits for it, and the object store is slow.
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use casefile::model::Outcome;
use casefile::serve::Peers;
use serde_json::Value;

use super::probe::black_hole_at;
use super::s3;
use super::support::cli::Casefile;
use super::support::cluster::{Cluster, fixture};
use super::support::grpc::{self, Core};

const NS: &str = "kms-decentralized";
const POD: &str = "kms-party-3-core-3";
/// Deadline of a gRPC call, the longest one of the run.
const LONGEST: Duration = Duration::from_secs(15);
/// Time of each answer of the object store.
const SLOW: Duration = Duration::from_millis(100);
const PORT: u16 = 50001;

/// Where the service of a peer leads.
fn leads(party: u32) -> String {
    let path = format!("cluster-resources/services/{NS}.json");
    let list: Value = serde_json::from_slice(&fixture("clusters/kms").read(&path, 1 << 20).unwrap()).unwrap();
    let name = format!("mpc-node-{party}");
    let service = list["items"].as_array().unwrap().iter().find(|s| s["metadata"]["name"] == name).unwrap();
    service["spec"]["externalName"].as_str().unwrap().to_lowercase()
}

#[test]
#[ignore = "measures time; .ci/run runs it"]
fn long_the_whole_profile_ends_with_its_longest_deadline() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (core, store, peers, _hole) = runtime.block_on(async {
        let store = s3::Store::slow(SLOW, |_| None).await;
        for n in 0..20 {
            store.put(&format!("mpc-vault-private-1a2b3c4d/PRIV-p3/CrsInfo/{n:064x}"), b"x");
        }
        store.put("mpc-vault-private-1a2b3c4d/PRIV-p3/SigningKey/60b7", b"x");
        store.put("mpc-vault-public-1a2b3c4d/PUB-p3/VerfKey/60b7", b"x");
        store.put("mpc-vault-backup-1a2b3c4d/BACKUP-p3/SigningKey/60b7", b"x");
        let peers = Peers::start(PORT, BTreeSet::from([leads(4)])).await.unwrap();
        let hole = black_hole_at(SocketAddr::from((peers.nobody(), PORT))).await;
        (grpc::start(Core::Slow).await, store, peers, hole)
    });
    let cluster = Cluster::start(fixture("clusters/kms"), |b| b.forward(&format!("{NS}/{POD}"), 50100, core));
    let began = Instant::now();
    let ran = Casefile::new(&["collect", "--profile", "kms", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .args(&["--set", &format!("dns_server={}", peers.dns())])
        .args(&["--set", &format!("grpc_timeout={}s", LONGEST.as_secs()), "--set", "metrics_interval=10s"])
        .env("AWS_ENDPOINT_URL", format!("http://{}", store.addr))
        .env("AWS_ACCESS_KEY_ID", s3::KEY)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET)
        .run();
    let took = began.elapsed();
    let bundle = ran.bundle();
    let run = (bundle.manifest.finished - bundle.manifest.started).to_std().unwrap();
    let slowest = bundle.manifest.ledger.iter().max_by_key(|e| e.duration_ms).unwrap();
    println!(
        "the run took {:.1} s and the program {:.1} s, {:.2} and {:.2} of the longest deadline of {} s; slowest: {} with {:.1} s",
        run.as_secs_f64(),
        took.as_secs_f64(),
        run.as_secs_f64() / LONGEST.as_secs_f64(),
        took.as_secs_f64() / LONGEST.as_secs_f64(),
        LONGEST.as_secs(),
        slowest.item,
        Duration::from_millis(slowest.duration_ms).as_secs_f64(),
    );
    // Nothing is lost over the speed: each slow part was really there and is accounted for.
    let table: Value = serde_json::from_str(&bundle.text(&format!("peers/{NS}/{POD}/reachability.json"))).unwrap();
    let verdict = |verdict: &str| table["peers"].as_array().unwrap().iter().filter(|p| p["verdict"] == verdict).count();
    assert_eq!((verdict("black-holed"), verdict("refused")), (1, 0), "{table:#}");
    assert_eq!(bundle.outcome(&format!("storage/{NS}/{POD}/private")), Outcome::Ok.as_str());
    assert!(bundle.text(&format!("health/{NS}/{POD}/grpc.json")).contains("DEADLINE_EXCEEDED"));
    assert!(store.requests().iter().filter(|r| r.contains("list-type=2")).count() >= 5, "{:?}", store.requests());
    // One deadline behind the other would take several times as long; how close the run comes to one is a figure to read.
    assert!(run <= LONGEST * 3, "the run took {run:?}, as if one deadline waited for another");
}
