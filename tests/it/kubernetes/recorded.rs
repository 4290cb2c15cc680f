//! The recorded cluster, served over HTTP; and a real one where there is one.

use std::path::Path;
use std::sync::Arc;

use casefile::bundle::DirStore;
use casefile::collect::kubernetes::{Cluster, ConnectOptions};
use casefile::model::Outcome;
use casefile::profile;
use casefile::serve::{Denial, Fault, FaultKind, Running, Server};

use super::run::{Run, collect, collect_from, connect, generic, kms, limits};

const NS: &str = "kms-decentralized";

async fn serve(faults: Vec<Fault>, deny: Vec<Denial>) -> Running {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/recorded");
    let store = Arc::new(DirStore::open(&root).unwrap());
    Server::builder(store).faults(faults).deny(deny).page_limit(5).start().await.unwrap()
}

fn failures(run: &Run) -> Vec<String> {
    run.result
        .ledger
        .iter()
        .filter(|e| matches!(e.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Forbidden))
        .map(|e| format!("{} {:?}", e.item, e.reason))
        .collect()
}

#[tokio::test]
async fn the_recorded_cluster_is_collected_whole() {
    let server = serve(Vec::new(), Vec::new()).await;
    let cluster = connect(server.addr()).await.unwrap();
    let detection = cluster.detect(profile::builtin(), &[]).await.unwrap();
    assert_eq!((detection.profile.as_str(), detection.namespaces.as_slice()), ("kms", [NS.to_owned()].as_slice()));

    let run = collect_from(&cluster, NS, &generic(), &[], limits()).await;
    assert_eq!(failures(&run), Vec::<String>::new());
    assert!(run.names(&format!("cluster-resources/pods/{NS}.json")).contains(&"kms-party-3-core-0".to_owned()));
    assert!(run.text(&format!("tables/{NS}/pods.txt")).starts_with("NAME "));
    let events = run.json(&format!("cluster-resources/events/{NS}.json"));
    let times: Vec<&str> =
        events["items"].as_array().unwrap().iter().filter_map(|e| e["lastTimestamp"].as_str()).collect();
    assert!(times.len() > 10 && times.is_sorted(), "{times:?}");
    assert!(!run.items().iter().any(|i| i.contains("events.events.k8s.io")));
    let log = run.text(&format!("cluster-resources/pods/logs/{NS}/kms-party-3-core-0/kms-core.log"));
    assert!(log.lines().count() > 1);
    assert_eq!(run.outcome("usage/stats/real-0").0, Outcome::Ok);
    assert!(run.text(&format!("usage/{NS}.txt")).contains("kms-oom"));
    assert_eq!(run.result.clocks[0].source, "kube-apiserver");
    assert!(run.result.clocks[0].offset_ms.abs() <= run.result.clocks[0].uncertainty_ms, "{:?}", run.result.clocks);
    assert_eq!(run.result.notes["kubernetes_version"], "v1.36.2");
    assert!(server.requests().iter().all(|r| r.method == "GET"), "something was not a GET");
}

#[tokio::test]
async fn commands_and_endpoints_of_the_profile_are_asked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms");
    let server = Server::builder(Arc::new(DirStore::open(&root).unwrap())).start().await.unwrap();
    let profile = kms();
    let run = collect(server.addr(), NS, &profile, &["exec/", "http/"], limits()).await;
    let probes: Vec<String> =
        run.items().into_iter().filter(|i| i.starts_with("exec/") || i.starts_with("http/")).collect();
    assert!(probes.len() >= profile.http.len() + 2, "{probes:#?}");
    let bad = |i: &String| matches!(i.split(' ').nth(1), Some("failed" | "timed-out"));
    assert!(!probes.iter().any(bad), "{probes:#?}");
    let core = "kms-party-3-core-3";
    assert!(!run.text(&format!("metrics/{NS}/{core}.prom")).is_empty());
    assert!(run.text(&format!("ports/{NS}/{core}/netstat.txt")).contains("9646"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_measured() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/recorded");
    let store = Arc::new(DirStore::open(&root).unwrap());
    let server = Server::builder(store).date_offset(chrono::TimeDelta::seconds(90)).start().await.unwrap();
    let run = collect(server.addr(), NS, &generic(), &["kubernetes/clock"], limits()).await;
    let clock = &run.result.clocks[0];
    assert!((clock.offset_ms - 90_000).abs() <= clock.uncertainty_ms, "{clock:?}");
}

#[tokio::test]
async fn pages_that_expire_are_read_on() {
    let pods = format!("/api/v1/namespaces/{NS}/pods");
    let server = serve(vec![Fault::on(&pods, FaultKind::Expire).query("continue=").times(1)], Vec::new()).await;
    let whole = serve(Vec::new(), Vec::new()).await;
    let path = format!("cluster-resources/pods/{NS}.json");
    let expired = collect(server.addr(), NS, &generic(), &["none"], limits()).await;
    let plain = collect(whole.addr(), NS, &generic(), &["none"], limits()).await;
    assert!(plain.names(&path).len() > 5, "the list has one page only");
    assert_eq!(expired.names(&path), plain.names(&path));
    assert!(server.requests().iter().any(|r| r.status == 410));
}

#[tokio::test]
async fn an_unreliable_server_costs_time_and_not_data() {
    let faults = vec![
        Fault::on("/api/v1/namespaces/*/configmaps", FaultKind::Reset).times(1),
        Fault::on("/api/v1/namespaces/*/services", FaultKind::Garbage).times(1),
        Fault::on("/api/v1/namespaces/*/endpoints", FaultKind::CutAfter(300)).times(1),
        Fault::on("/api/v1/namespaces/*/events", FaultKind::Status { code: 429, retry_after: Some(1) }).times(1),
        Fault::on("/apis/apps/*/statefulsets", FaultKind::Status { code: 500, retry_after: None }).times(1),
        Fault::on("/apis/apps/*/deployments", FaultKind::EndAfter(200)).times(1),
    ];
    let server = serve(faults, Vec::new()).await;
    let run = collect(server.addr(), NS, &generic(), &["kubernetes/"], limits()).await;
    assert_eq!(failures(&run), Vec::<String>::new());
    assert!(!run.items().iter().any(|i| i.contains("truncated")), "{:#?}", run.items());
}

#[tokio::test]
async fn missing_rights_are_told_one_by_one() {
    let deny =
        vec![Denial::new("list", "", "secrets"), Denial::new("list", "", "nodes"), Denial::new("get", "", "pods/log")];
    let server = serve(Vec::new(), deny).await;
    let run = collect(server.addr(), NS, &generic(), &[], limits()).await;
    for item in [format!("kubernetes/secrets/{NS}"), "kubernetes/nodes".to_owned()] {
        assert_eq!(run.outcome(&item).0, Outcome::Forbidden, "{item}");
    }
    assert!(run.items().iter().filter(|i| i.starts_with("logs/")).all(|i| i.contains("forbidden")));
    assert_eq!(run.outcome(&format!("kubernetes/pods/{NS}")).0, Outcome::Ok);
}

#[tokio::test]
#[ignore = "needs CASEFILE_TEST_KUBECONFIG"]
async fn a_real_cluster_is_collected() {
    let path = std::env::var_os("CASEFILE_TEST_KUBECONFIG").expect("CASEFILE_TEST_KUBECONFIG names a kubeconfig");
    let options = ConnectOptions { kubeconfig: Some(path.into()), ..ConnectOptions::default() };
    let cluster = Cluster::connect(options).await.unwrap();
    let detection = cluster.detect(profile::builtin(), &[]).await.unwrap();
    let chosen = profile::find_builtin(&detection.profile).unwrap().clone();
    let run = collect_from(&cluster, &detection.namespaces[0], &chosen, &[], limits()).await;
    assert_eq!(run.outcome("kubernetes/version").0, Outcome::Ok);
    assert!(run.items().iter().any(|i| i.starts_with("kubernetes/pods/")));
}
