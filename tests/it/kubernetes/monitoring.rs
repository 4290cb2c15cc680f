//! The Prometheus of a cluster: found by its service, asked through the API server or over a forwarded port.

use std::path::Path;
use std::sync::Arc;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::model::Outcome;
use casefile::serve::{Builder, Denial, Server};
use serde_json::{Value, json};

use super::fake::{Fake, Reply};
use super::run::{Run, collect, kms, limits};

const NS: &str = "kms-decentralized";
const ITEM: &str = "services/prometheus";

/// A healthy cluster with these services and one pod of a Prometheus in a namespace.
fn cluster(namespace: &str, services: Value) -> MemStore {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap();
    let mut store = fixtures.cluster("healthy").unwrap();
    let mut list = |plural: &str, kind: &str, items: Value| {
        let list = json!({"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": items});
        store.insert(format!("cluster-resources/{plural}/{namespace}.json"), serde_json::to_vec(&list).unwrap());
    };
    list("services", "ServiceList", services);
    list(
        "pods",
        "PodList",
        json!([{"metadata": {"name": "prometheus-k8s-0", "namespace": namespace, "labels": {"app.kubernetes.io/name": "prometheus"}},
            "spec": {"nodeName": "node-1", "containers": [{"name": "prometheus", "ports": [{"name": "web", "containerPort": 9090}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.9"}}]),
    );
    let mut replay: Value = serde_json::from_slice(store.get("replay.json").unwrap()).unwrap();
    let answers = replay["proxy"].as_array_mut().unwrap();
    for (path, data) in [
        ("/api/v1/status/buildinfo", json!({"version": "3.5.0"})),
        ("/api/v1/status/config", json!({"yaml": "global: {}\nscrape_configs:\n- job_name: kms\n"})),
        (
            "/api/v1/targets",
            json!({"activeTargets": [{"labels": {"job": "kms"}, "health": "down", "lastError": "refused"}]}),
        ),
        ("/api/v1/alerts", json!({"alerts": [{"labels": {"alertname": "KmsDown"}, "state": "firing"}]})),
        ("/api/v1/rules", json!({"groups": []})),
        ("/api/v1/query", json!({"resultType": "vector", "result": []})),
        ("/api/v1/query_range", json!({"resultType": "matrix", "result": []})),
    ] {
        let body = json!({"status": "success", "data": data}).to_string();
        answers.push(json!({"pods": format!("{namespace}/prometheus-k8s-0"), "port": 9090, "path": path,
            "content_type": "application/json", "body": body}));
    }
    answers.push(json!({"pods": format!("{namespace}/prometheus-k8s-0"), "port": 9090, "path": "/-/ready",
        "status": 503, "body": "Service Unavailable"}));
    store.insert("replay.json".to_owned(), serde_json::to_vec(&replay).unwrap());
    store
}

/// The service that an operator's release makes, and those beside it.
fn services(namespace: &str) -> Value {
    let service = |name: &str, labels: Value, ip: &str| {
        json!({"metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"clusterIP": ip, "selector": {"app.kubernetes.io/name": "prometheus"},
                "ports": [{"name": "web", "port": 9090, "targetPort": "web"}]}})
    };
    json!([
        service("alertmanager-prometheus", json!({"app": "prometheus"}), "10.96.0.3"),
        service("prometheus-k8s", json!({"app.kubernetes.io/name": "prometheus"}), "10.96.0.2"),
        service("prometheus-operated", json!({"operated-prometheus": "true"}), "None"),
    ])
}

/// What a run leaves, and which paths it asked for.
async fn run(store: MemStore, change: impl FnOnce(Builder) -> Builder) -> (Run, Vec<String>) {
    let server = change(Server::builder(Arc::new(store))).start().await.unwrap();
    let run = collect(server.addr(), NS, &kms(), &["services/"], limits()).await;
    (run, server.requests().into_iter().map(|r| r.path).collect())
}

fn deny(resource: &str) -> Denial {
    Denial::new("*", "", resource)
}

fn assert_asked(run: &Run) {
    assert_eq!(run.json("services/prometheus/buildinfo.json")["version"], "3.5.0");
    assert_eq!(run.json("services/prometheus/targets.json")["activeTargets"][0]["health"], "down");
    assert_eq!(run.json("services/prometheus/alerts.json")["data"]["alerts"][0]["state"], "firing");
    assert!(run.text("services/prometheus/config.json").contains("kms"));
    assert_eq!(run.text("services/prometheus/ready.txt"), "Service Unavailable");
    assert_eq!(run.outcome("services/prometheus/tsdb").0, Outcome::NotFound);
    assert!(run.files.contains_key("services/prometheus/series/kms_rate_limiter_usage.json"));
    assert_eq!(run.json("services/prometheus/connection.json")["reachable"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_anywhere_and_asked_through_the_api_server() {
    let (run, paths) = run(cluster("elsewhere", services("elsewhere")), |b| b).await;
    let said = "found as service elsewhere/prometheus-k8s:9090; not asked: elsewhere/prometheus-operated:9090";
    assert_eq!(run.outcome(ITEM), (Outcome::Ok, said.to_owned()));
    assert_asked(&run);
    assert!(paths.iter().any(|p| p.contains("/services/prometheus-k8s:9090/proxy/api/v1/rules")), "{paths:#?}");
    assert!(!paths.iter().any(|p| p.contains("portforward")), "{paths:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_proxy_is_refused_a_port_is_forwarded() {
    let (run, paths) = run(cluster("monitoring", services("monitoring")), |b| b.deny([deny("services/proxy")])).await;
    assert_eq!(run.outcome(ITEM).0, Outcome::Ok, "{:#?}", run.items());
    assert_asked(&run);
    let proxied = paths.iter().filter(|p| p.contains("/proxy/")).count();
    assert_eq!(proxied, 1, "what was refused is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_list_all_namespaces_the_usual_ones_are_looked_through() {
    let all = || deny("services").in_namespace("");
    let (near, _) = run(cluster("monitoring", services("monitoring")), |b| b.deny([all()])).await;
    assert_eq!(near.outcome(ITEM).0, Outcome::Ok, "{:#?}", near.items());
    assert_asked(&near);
    let (far, _) = run(cluster("elsewhere", services("elsewhere")), |b| b.deny([all()])).await;
    assert_eq!(far.outcome(ITEM).0, Outcome::NotApplicable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_one_is_no_failure() {
    let (run, paths) = run(cluster("monitoring", json!([])), |b| b).await;
    let (outcome, reason) = run.outcome(ITEM);
    assert_eq!(outcome, Outcome::NotApplicable);
    assert!(reason.contains("try: --set prometheus=URL"), "{reason}");
    assert!(!run.files.keys().any(|path| path.starts_with("services/")), "{:#?}", run.files.keys());
    assert!(!paths.iter().any(|p| p.contains("/proxy/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told() {
    let (unlisted, _) = run(cluster("monitoring", services("monitoring")), |b| b.deny([deny("services")])).await;
    assert_eq!(unlisted.outcome(ITEM).0, Outcome::Forbidden);
    let both = [deny("services/proxy"), deny("pods/portforward")];
    let (unasked, _) = run(cluster("monitoring", services("monitoring")), |b| b.deny(both)).await;
    let (outcome, reason) = unasked.outcome(ITEM);
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("services/proxy") && reason.contains("over a forwarded port"), "{reason}");
    assert_eq!(unasked.json("services/prometheus/connection.json")["reachable"], false);
}

/// A cluster with one Prometheus whose port is called this; `answer` gives what stands behind the proxy, by scheme and path.
async fn behind(port: Value, answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> (Run, Vec<String>) {
    let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {}, "items": [
        {"metadata": {"name": "prometheus-k8s", "namespace": "monitoring", "labels": {"app.kubernetes.io/name": "prometheus"}},
            "spec": {"clusterIP": "10.96.0.2", "selector": {"a": "b"}, "ports": [port]}}]});
    let fake = Fake::start(move |ask| {
        if ask.path == "/api/v1/services" {
            return Some(Reply::json(&list));
        }
        let rest = ask.path.strip_prefix("/api/v1/namespaces/monitoring/services/")?;
        let (service, path) = rest.split_once("/proxy")?;
        let scheme = if service.starts_with("https:prometheus-k8s:") { "https" } else { "http" };
        Some(answer(scheme, path))
    })
    .await;
    let run = collect(fake.addr, NS, &kms(), &["services/"], limits()).await;
    (run, fake.asked())
}

fn data(path: &str) -> Reply {
    let data = if path.ends_with("buildinfo") { json!({"version": "3.5.0"}) } else { json!({}) };
    Reply::json(&json!({"status": "success", "data": data}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_with_tls_is_asked_as_one() {
    let said = |scheme: &str, path: &str| match scheme {
        "https" => data(path),
        _ => Reply::Text(400, "text/plain", b"Client sent an HTTP request to an HTTPS server.\n".to_vec()),
    };
    // By its name at once, and by what it answers where nothing else says so.
    for (port, plain) in [(json!({"name": "https", "port": 9091}), 0), (json!({"name": "web", "port": 9091}), 1)] {
        let (run, asked) = behind(port, said).await;
        assert_eq!(run.outcome(ITEM).0, Outcome::Ok, "{:#?}", run.items());
        assert_eq!(run.json("services/prometheus/buildinfo.json")["version"], "3.5.0");
        let count = |part: &str| asked.iter().filter(|path| path.contains(part)).count();
        assert_eq!(count("/services/prometheus-k8s:9091/proxy"), plain, "{asked:#?}");
        assert!(count("/services/https:prometheus-k8s:9091/proxy/api/v1/rules") == 1, "{asked:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_told_with_what_to_try() {
    let advice = "(try: --set prometheus=URL, and the parameter prometheus_token with @FILE for its token)";
    for status in [302, 401, 403] {
        let login = move |_: &str, _: &str| Reply::Text(status, "text/html", b"<a href=/login>Found</a>".to_vec());
        let (run, asked) = behind(json!({"name": "https", "port": 9091}), login).await;
        let (outcome, reason) = run.outcome(ITEM);
        assert_eq!(outcome, Outcome::Forbidden, "{reason}");
        assert_eq!(reason, format!("service monitoring/prometheus-k8s:9091 asks for a login: HTTP {status} {advice}"));
        assert_eq!(asked.iter().filter(|path| path.contains("/proxy/")).count(), 1, "{asked:#?}");
        let connection = run.json("services/prometheus/connection.json");
        assert_eq!((&connection["reachable"], &connection["http_status"]), (&json!(true), &json!(status)));
    }
    // What the API server itself refuses is another thing, and TLS is not tried over a forwarded port.
    let refused = |_: &str, _: &str| Reply::status(403, "services \"prometheus-k8s\" is forbidden: no right");
    let (run, _) = behind(json!({"name": "https", "port": 9091}), refused).await;
    let (outcome, reason) = run.outcome(ITEM);
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("no right") && reason.contains("speaks TLS") && reason.ends_with(advice), "{reason}");
}
