//! Logs, commands and ports of pods.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use casefile::bundle::{Entry, Store, StoreError, layout};
use casefile::serve::synthetic::SyntheticCluster;
use casefile::serve::{ServeError, Server};
use futures::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, LogParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{CORE, Cluster, DEADLINE, NS, store};

fn pods(cluster: &Cluster) -> Api<Pod> {
    Api::default_namespaced(cluster.client.clone())
}

#[tokio::test]
async fn logs_are_cut_as_recorded() {
    let cluster = Cluster::recorded().await;
    let log = |query: &str| {
        let path = format!("pods/{CORE}/log?container=kms-core{query}");
        let cluster = &cluster;
        async move { cluster.in_ns(&path).await }
    };
    let all = log("").await;
    assert_eq!((all.status, all.header("content-type")), (200, "text/plain"));
    let tail = log("&tailLines=2").await;
    assert_eq!(tail.text().lines().count(), 2);
    assert!(all.text().ends_with(tail.text()));
    assert_eq!(log("&tailLines=0").await.text(), "");
    // Recorded at 06:32:42; the last two lines are of 06:32:07 and 06:32:27.
    let since = log("&sinceSeconds=25").await;
    assert_eq!(since.text().lines().count(), 1);
    assert!(since.text().starts_with("2026-11-21T06:32:27.000000Z  WARN"));
    assert_eq!(log("&sinceTime=2026-11-21T06:32:07Z").await.text().lines().count(), 2);
    let limited = log("&limitBytes=100").await;
    assert_eq!(limited.body, all.body[..100]);
    let stamped = log("&timestamps=true&tailLines=1").await;
    let (stamp, line) = stamped.text().split_once(' ').unwrap();
    assert!(stamp.starts_with("2026-11-21T06:32:27.") && stamp.len() == 30, "{stamp}");
    assert_eq!(line, since.text());
    assert_eq!(log("&tailLines=x").await.status, 400);
    let unnamed = cluster.in_ns(&format!("pods/{CORE}/log")).await;
    assert_eq!(unnamed.body, all.body);
}

#[tokio::test]
async fn logs_that_are_not_there_are_told_as_recorded() {
    let cluster = Cluster::recorded().await;
    for (path, message) in [
        (format!("pods/{CORE}/log?container=zzz"), format!("container zzz is not valid for pod {CORE}")),
        (
            format!("pods/{CORE}/log?container=kms-core&previous=true"),
            format!("previous terminated container \"kms-core\" in pod \"{CORE}\" not found"),
        ),
        (
            "pods/kms-badimage/log".to_owned(),
            "container \"main\" in pod \"kms-badimage\" is waiting to start: trying and failing to pull image"
                .to_owned(),
        ),
    ] {
        let answer = cluster.in_ns(&path).await;
        assert_eq!((answer.status, &answer.json()["message"]), (400, &json!(message)), "{path}");
    }
    let unscheduled = cluster.in_ns("pods/kms-unschedulable/log").await;
    assert_eq!((unscheduled.status, unscheduled.text()), (204, ""));
    assert_eq!(cluster.in_ns("pods/nope/log").await.status, 404);
    let params = LogParams { previous: true, ..LogParams::default() };
    let previous = pods(&cluster).logs("kms-oom", &params).await.unwrap();
    assert!(previous.starts_with("unable to retrieve container logs for containerd://"));
}

#[tokio::test]
async fn a_pod_of_several_containers_asks_which() {
    let dir = tempfile::tempdir().unwrap();
    let pod = json!({
        "metadata": {"name": "two", "namespace": "a"},
        "spec": {"nodeName": "n", "containers": [{"name": "x"}, {"name": "y"}], "initContainers": [{"name": "i"}]},
    });
    let path = dir.path().join(layout::objects("", "pods", Some("a")));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, json!({"kind": "PodList", "apiVersion": "v1", "items": [pod]}).to_string()).unwrap();
    // Without discovery documents the kinds come from the objects.
    let cluster = Cluster::start(Server::builder(store(dir.path()))).await;
    let answer = cluster.get("/api/v1/namespaces/a/pods/two/log").await;
    assert_eq!(
        answer.json()["message"],
        "a container name must be specified for pod two, choose one of: [x y] or one of the init containers: [i]"
    );
    let gone = cluster.get("/api/v1/namespaces/a/pods/two/log?container=x").await;
    assert_eq!(gone.json()["message"], "container \"x\" in pod \"two\" is not available");
}

/// Counts what is read of a cluster.
struct Counted(SyntheticCluster, Arc<AtomicU64>);

impl Store for Counted {
    fn entries(&self) -> &[Entry] {
        self.0.entries()
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        struct Reader<'a>(Box<dyn Read + Send + 'a>, Arc<AtomicU64>);
        impl Read for Reader<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.read(buffer)?;
                self.1.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
        }
        Ok(Box::new(Reader(self.0.open(path)?, Arc::clone(&self.1))))
    }
}

#[tokio::test]
async fn a_large_log_streams_at_the_clients_pace() {
    let read = Arc::new(AtomicU64::new(0));
    let size = 1_u64 << 30;
    let synthetic = SyntheticCluster::new(1, size, 1);
    let cluster = Cluster::start(Server::builder(Arc::new(Counted(synthetic, Arc::clone(&read))))).await;
    let before = read.load(Ordering::Relaxed);
    let request = Request::get("/api/v1/namespaces/kms-00000/pods/kms-core-0000000/log").body(Vec::new()).unwrap();
    let response = cluster.client.send(request.map(Into::into)).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(!body.next().await.unwrap().unwrap().is_empty());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ahead = read.load(Ordering::Relaxed) - before;
    assert!(ahead < 16 << 20, "{ahead} bytes were read for a client that reads nothing");
    drop(body);
    // Without its client the log is soon not read any further.
    let started = std::time::Instant::now();
    loop {
        let before = read.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
        if read.load(Ordering::Relaxed) == before {
            break;
        }
        assert!(started.elapsed() < DEADLINE, "a log without a client is still read");
    }
    assert!(read.load(Ordering::Relaxed) < size / 2);
}

/// Runs a command: stdout, stderr, and the status as JSON.
async fn exec(cluster: &Cluster, command: &[&str]) -> (String, String, serde_json::Value) {
    let params = AttachParams::default().container("kms-core").stderr(true);
    let mut process = pods(cluster).exec(CORE, command.iter().copied(), &params).await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let status = process.take_status().unwrap();
    tokio::join!(async { stdout.read_to_string(&mut out).await.unwrap() }, async {
        stderr.read_to_string(&mut err).await.unwrap()
    });
    let status = tokio::time::timeout(DEADLINE, status).await.unwrap().unwrap();
    (out, err, serde_json::to_value(status).unwrap())
}

#[tokio::test]
async fn commands_answer_as_recorded() {
    let cluster = Cluster::recorded().await;
    let (out, err, status) = exec(&cluster, &["sh", "-c", "echo out; echo err >&2"]).await;
    assert_eq!((out.as_str(), err.as_str(), &status["status"]), ("out\n", "err\n", &json!("Success")));
    let (out, _, status) = exec(&cluster, &["sh", "-c", "echo bye; exit 3"]).await;
    assert_eq!(out, "bye\n");
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
    let (_, _, status) = exec(&cluster, &["no-such-program", "--flag"]).await;
    assert_eq!((&status["reason"], &status["code"]), (&json!("InternalError"), &json!(500)));
    let message = status["message"].as_str().unwrap();
    assert!(message.ends_with("exec: \"no-such-program\": executable file not found in $PATH: unknown"), "{message}");
}

#[tokio::test]
async fn commands_that_cannot_run_are_refused() {
    let cluster = Cluster::recorded().await;
    let upgrade = |pod: &str| {
        Request::get(format!("/api/v1/namespaces/{NS}/pods/{pod}/exec?container=main&stdout=true&command=true"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "v5.channel.k8s.io")
            .body(Vec::new())
            .unwrap()
    };
    let waiting = cluster.send(upgrade("kms-badimage")).await.unwrap();
    assert_eq!((waiting.status, waiting.text()), (500, "container not found (\"main\")"));
    let unscheduled = cluster.send(upgrade("kms-unschedulable")).await.unwrap();
    assert_eq!(unscheduled.status, 400);
    assert_eq!(unscheduled.json()["message"], "pod kms-unschedulable does not have a host assigned");
    let plain = cluster.in_ns(&format!("pods/{CORE}/exec?container=kms-core&command=true")).await;
    assert_eq!((plain.status, &plain.json()["message"]), (400, &json!("Upgrade request required")));
}

#[tokio::test]
async fn a_command_can_hang_and_the_client_can_leave() {
    let dir = tempfile::tempdir().unwrap();
    let pod = json!({
        "metadata": {"name": "p", "namespace": NS},
        "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
        "status": {"containerStatuses": [{"name": "c", "state": {"running": {}}}]},
    });
    let path = dir.path().join(layout::objects("", "pods", Some(NS)));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, json!([pod]).to_string()).unwrap();
    let replay = json!({"exec": [
        {"pods": "*/p", "command": ["hang"], "hang": true},
        {"pods": "*/p", "command": ["big"], "stdout_file": "big.txt"},
    ]});
    std::fs::write(dir.path().join("big.txt"), "x".repeat(1 << 20)).unwrap();
    std::fs::write(dir.path().join("replay.json"), replay.to_string()).unwrap();
    let cluster = Cluster::start(Server::builder(store(dir.path()))).await;
    let params = AttachParams::default().stderr(false);
    let mut process = pods(&cluster).exec("p", ["hang"], &params).await.unwrap();
    let mut stdout = process.stdout().unwrap();
    let mut buffer = [0; 1];
    assert!(tokio::time::timeout(Duration::from_millis(300), stdout.read(&mut buffer)).await.is_err());
    process.abort();
    let mut process = pods(&cluster).exec("p", ["big"], &params).await.unwrap();
    let mut bytes = Vec::new();
    process.stdout().unwrap().read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 1 << 20);
}

#[tokio::test]
async fn a_replay_file_with_a_mistake_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("replay.json"), r#"{"exce": []}"#).unwrap();
    let error = Server::builder(store(dir.path())).start().await.err().unwrap();
    assert!(matches!(&error, ServeError::Replay { .. }), "{error}");
    assert!(error.to_string().contains("unknown field `exce`"));
}

#[tokio::test]
async fn ports_answer_as_recorded() {
    let cluster = Cluster::recorded().await;
    let metrics = cluster.in_ns(&format!("pods/{CORE}:9646/proxy/metrics")).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("kms_operations_total{operation=\"keygen_request\"} 3\n"));
    assert_eq!(cluster.in_ns(&format!("pods/{CORE}:9646/proxy/health")).await.text(), "ok\n");
    let refused = cluster.in_ns(&format!("pods/{CORE}:50100/proxy/")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.json()["message"],
        "error trying to reach service: dial tcp 10.245.0.11:50100: connect: connection refused"
    );
    let pending = cluster.in_ns("pods/kms-unschedulable:9646/proxy/metrics").await;
    assert_eq!((pending.status, &pending.json()["message"]), (400, &json!("address not allowed")));
    let stats = cluster.get("/api/v1/nodes/real-0/proxy/stats/summary").await;
    assert_eq!((stats.status, &stats.json()["node"]["nodeName"]), (200, &json!("real-0")));
    assert_eq!(cluster.get("/api/v1/nodes/absent/proxy/stats/summary").await.status, 404);
}

#[tokio::test]
async fn ports_can_be_forwarded() {
    let cluster = Cluster::recorded().await;
    let mut forwarder = pods(&cluster).portforward(CORE, &[9646, 50100]).await.unwrap();
    let refused = forwarder.take_error(50100).unwrap();
    let mut stream = forwarder.take_stream(9646).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("kms_operations_total"));
    let refused = tokio::time::timeout(DEADLINE, refused).await.unwrap().unwrap();
    assert!(refused.contains("connection refused"), "{refused}");
}
