//! A server that misbehaves as it is told to.

use std::time::{Duration, Instant};

use casefile::serve::{Fault, FaultKind};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{CORE, Cluster, NS};

const PODS: &str = "/api/v1/namespaces/kms-decentralized/pods";

async fn with(fault: Fault) -> Cluster {
    Cluster::with(|b| b.faults([fault])).await
}

#[tokio::test]
async fn errors_are_those_of_the_real_server() {
    let status = |code, retry_after| FaultKind::Status { code, retry_after };
    let cluster = Cluster::with(|b| {
        b.user("viewer").faults([
            Fault::on(PODS, status(429, Some(1))).times(2),
            Fault::on("*/events", status(500, None)),
            Fault::on("*/services", status(403, None)),
            Fault::on("*/nodes/x", status(404, None)),
        ])
    })
    .await;
    let busy = cluster.get(PODS).await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, "1"));
    assert_eq!(busy.text(), "Too many requests, please try again later.\n");
    assert_eq!(cluster.get(PODS).await.status, 429);
    assert_eq!(cluster.get(PODS).await.status, 200);
    assert_eq!(cluster.in_ns("events").await.json()["reason"], "InternalError");
    let forbidden = cluster.in_ns("services").await.json();
    assert!(forbidden["message"].as_str().unwrap().starts_with("services is forbidden: User \"viewer\" cannot list"));
    assert_eq!(cluster.get("/api/v1/nodes/x").await.json()["message"], "nodes \"x\" not found");
    let codes: Vec<u16> = cluster.server.requests().iter().map(|r| r.status).collect();
    assert_eq!(codes, [429, 429, 200, 500, 403, 404]);
}

#[tokio::test]
async fn answers_come_late_slowly_or_not_at_all() {
    let cluster = with(Fault::on(PODS, FaultKind::Latency(Duration::from_millis(200)))).await;
    let started = Instant::now();
    assert_eq!(cluster.get(PODS).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(200));

    let drip = FaultKind::SlowDrip { bytes: 1, every: Duration::from_millis(20) };
    let cluster = with(Fault::on("/readyz", drip)).await;
    let started = Instant::now();
    assert_eq!(cluster.get("/readyz").await.text(), "ok");
    assert!(started.elapsed() >= Duration::from_millis(40));

    let cluster = with(Fault::on(PODS, FaultKind::Hang)).await;
    let asked = tokio::time::timeout(Duration::from_millis(300), cluster.get(PODS)).await;
    assert!(asked.is_err(), "an answer came");
    // A server that hangs can be stopped.
    let started = Instant::now();
    cluster.server.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn connections_break_and_bodies_end() {
    let request = || Request::get(PODS).body(Vec::new()).unwrap();
    let cluster = with(Fault::on(PODS, FaultKind::Reset)).await;
    assert!(cluster.send(request()).await.is_err());
    assert_eq!(cluster.server.requests()[0].status, 0);
    let cluster = with(Fault::on(PODS, FaultKind::CutAfter(1000))).await;
    assert!(cluster.send(request()).await.is_err());
    let cluster = with(Fault::on(PODS, FaultKind::Garbage)).await;
    assert!(serde_json::from_slice::<serde_json::Value>(&cluster.send(request()).await.unwrap().body).is_err());
    let cluster = with(Fault::on("*/log", FaultKind::EndAfter(50)).method("GET")).await;
    let log = cluster.in_ns(&format!("pods/{CORE}/log?container=kms-core")).await;
    assert_eq!((log.status, log.body.len()), (200, 50));
}

#[tokio::test]
async fn the_clock_of_the_server_can_be_wrong() {
    let cluster = Cluster::with(|b| b.date_offset(chrono::TimeDelta::hours(-3))).await;
    let date = cluster.get("/version").await.header("date").to_owned();
    let at = chrono::DateTime::parse_from_rfc2822(&date).unwrap();
    let behind = chrono::Utc::now() - at.to_utc();
    assert!((behind - chrono::TimeDelta::hours(3)).num_seconds().abs() < 5, "{date}");
}

#[tokio::test]
async fn requests_are_remembered() {
    let cluster = Cluster::recorded().await;
    let request = Request::get(format!("/api/v1/namespaces/{NS}/pods?limit=1"))
        .header("impersonate-user", "auditor")
        .header("user-agent", "test/1")
        .body(Vec::new())
        .unwrap();
    cluster.send(request).await.unwrap();
    let requests = cluster.server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", PODS));
    assert_eq!((requests[0].query.as_str(), requests[0].user_agent.as_str()), ("limit=1", "test/1"));
    assert_eq!((requests[0].impersonate.as_deref(), requests[0].status), (Some("auditor"), 200));
}

/// Sends bytes as they are; what comes back until the server closes the connection.
async fn raw(cluster: &Cluster, bytes: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(cluster.server.addr()).await.unwrap();
    // The server may close before everything is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    // A reset after the answer is an end as well.
    let _ = read.expect("the server keeps a broken connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn broken_requests_end_their_connection_only() {
    let cluster = Cluster::recorded().await;
    let long = format!("GET /version HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET /version HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(500));
    for (bytes, status) in [(long, "431"), (many, "431"), ("nonsense\r\n\r\n".to_owned(), "400")] {
        let answer = raw(&cluster, bytes.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let traversal =
        "GET /api/v1/namespaces/../pods/..%2f..%2fetc/log HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(raw(&cluster, traversal.as_bytes()).await.starts_with("HTTP/1.1 404"));
    let request =
        Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").body(vec![b' '; 2 << 20]).unwrap();
    // The answer may be lost, because the server does not read the rest.
    assert!(cluster.send(request).await.map_or(true, |answer| answer.status == 400));
    assert_eq!(cluster.get("/readyz").await.text(), "ok");
}
