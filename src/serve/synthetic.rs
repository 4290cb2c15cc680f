//! A cluster of any size that is made up as it is read: for benchmarks and for tests of bounded memory.

use std::io::{self, Read};

use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use crate::bundle::{Entry, Store, StoreError, layout};
use crate::model::time::{Timestamp, rfc3339};

use super::replay;

/// Pods of one namespace.
const PODS_IN_NAMESPACE: u64 = 50;
/// When the first line of every log was written, in seconds since 1970: 2026-11-21T00:00:00Z.
const FIRST_LINE: i64 = 1_795_219_200;
/// How long a log goes back, whatever its size.
const SPAN_MS: u64 = 6 * 3600 * 1000;
/// One line in so many has a planted secret.
const SECRET_EVERY: u64 = 997;
/// About what a line is long, to spread the lines over the time.
const LINE: u64 = 230;
const CONTAINER: &str = "kms-core";

/// A KMS-like cluster with `pods` pods, each with `log_bytes` of log, on `nodes` nodes.
///
/// The same numbers give the same bytes. Nothing is held in memory but the list of paths. Logs look like those of a
/// program with structured logging, and one line in 997, among them the 10th, has a secret from [`Self::planted`].
pub struct SyntheticCluster {
    pods: u64,
    log_bytes: u64,
    nodes: u64,
    entries: Vec<Entry>,
}

impl SyntheticCluster {
    /// A cluster of a size; there is at least one node.
    #[must_use]
    pub fn new(pods: u64, log_bytes: u64, nodes: u64) -> Self {
        let mut cluster = Self { pods, log_bytes, nodes: nodes.max(1), entries: Vec::new() };
        let mut paths: Vec<(String, u64)> = cluster
            .documents()
            .into_iter()
            .map(|path| {
                let size = cluster.document(&path).map_or(0, |document| document.to_string().len() as u64);
                (path, size)
            })
            .collect();
        for namespace in 0..cluster.namespaces() {
            let mut list = cluster.pod_list(namespace);
            let size = io::copy(&mut list, &mut io::sink()).unwrap_or(0);
            paths.push((layout::objects("", "pods", Some(&namespace_name(namespace))), size));
        }
        paths.extend((0..pods).map(|pod| {
            let path = layout::log(&namespace_name(pod / PODS_IN_NAMESPACE), &pod_name(pod), CONTAINER, false);
            (path, log_bytes)
        }));
        cluster.entries = paths.into_iter().map(|(path, size)| Entry { path, size }).collect();
        cluster.entries.sort();
        cluster
    }

    /// The secrets in the log of one pod. None of them may be in a bundle.
    #[must_use]
    pub fn planted(pod: u64) -> [String; 3] {
        let mut random = Random::new(pod ^ 0x5ec7_e700);
        let mut text = |count: usize, alphabet: &[u8]| random.text(count, alphabet);
        let (upper, mixed, hex) = (
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
            b"0123456789abcdef",
        );
        [format!("AKIA{}", text(16, upper)), text(40, mixed), format!("0x{}", text(64, hex))]
    }

    /// Names of the namespaces.
    #[must_use]
    pub fn namespace_names(&self) -> Vec<String> {
        (0..self.namespaces()).map(namespace_name).collect()
    }

    fn namespaces(&self) -> u64 {
        self.pods.div_ceil(PODS_IN_NAMESPACE)
    }

    /// Paths of what is small.
    fn documents(&self) -> Vec<String> {
        [layout::CLUSTER_VERSION, layout::GROUPS, layout::RESOURCES, replay::FILE]
            .map(str::to_owned)
            .into_iter()
            .chain(["nodes", "namespaces"].map(|plural| layout::objects("", plural, None)))
            .collect()
    }

    fn document(&self, path: &str) -> Option<Value> {
        let list = |kind: &str, items: Vec<Value>| json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1000"}, "items": items});
        let resource = |name: &str, kind: &str, namespaced: bool, verbs: &[&str]| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs});
        let read = ["get", "list", "watch"];
        match path {
            layout::CLUSTER_VERSION => Some(json!({
                "info": {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"},
                "string": "v1.36.0",
            })),
            layout::GROUPS => Some(json!([])),
            layout::RESOURCES => Some(json!([{
                "kind": "APIResourceList",
                "groupVersion": "v1",
                "resources": [
                    resource("events", "Event", true, &read),
                    resource("namespaces", "Namespace", false, &read),
                    resource("nodes", "Node", false, &read),
                    resource("pods", "Pod", true, &read),
                    resource("pods/exec", "PodExecOptions", true, &["create", "get"]),
                    resource("pods/log", "Pod", true, &["get"]),
                ],
            }])),
            replay::FILE => Some(json!({"now": rfc3339(at(SPAN_MS))})),
            _ if path == layout::objects("", "nodes", None) => {
                Some(list("NodeList", (0..self.nodes).map(node).collect()))
            }
            _ if path == layout::objects("", "namespaces", None) => {
                let namespace = |n: u64| {
                    json!({
                        "metadata": {"name": namespace_name(n), "creationTimestamp": rfc3339(at(0))},
                        "status": {"phase": "Active"},
                    })
                };
                Some(list("NamespaceList", (0..self.namespaces()).map(namespace).collect()))
            }
            _ => None,
        }
    }

    /// The list of one namespace's pods, made pod by pod.
    fn pod_list(&self, namespace: u64) -> impl Read + Send + use<> {
        let (nodes, first) = (self.nodes, namespace * PODS_IN_NAMESPACE);
        let last = (first + PODS_IN_NAMESPACE).min(self.pods);
        let mut next = first;
        let mut state = 0;
        Generated::new(move || {
            if state == 0 {
                state = 1;
                let head = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1000"},"items":["#;
                return Some(head.as_bytes().to_vec());
            }
            if next < last {
                let comma = if next == first { "" } else { "," };
                let item = format!("{comma}{}", pod(next, nodes));
                next += 1;
                return Some(item.into_bytes());
            }
            (std::mem::replace(&mut state, 2) == 1).then(|| b"]}".to_vec())
        })
    }
}

impl Store for SyntheticCluster {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        if !self.contains(path) {
            return Err(StoreError::NotFound(path.to_owned()));
        }
        if let Some(document) = self.document(path) {
            return Ok(Box::new(io::Cursor::new(document.to_string().into_bytes())));
        }
        if let Some((_, pod, ..)) = layout::parse_log(path) {
            let number = pod.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            return Ok(Box::new(log(number, self.log_bytes).take(self.log_bytes)));
        }
        let namespace = path.rsplit(['-', '/']).next().and_then(|n| n.strip_suffix(".json")?.parse().ok());
        Ok(Box::new(self.pod_list(namespace.unwrap_or(0))))
    }
}

fn namespace_name(number: u64) -> String {
    format!("kms-{number:05}")
}

fn pod_name(number: u64) -> String {
    format!("kms-core-{number:07}")
}

fn at(milliseconds: u64) -> Timestamp {
    let start = DateTime::from_timestamp(FIRST_LINE, 0).unwrap_or_default();
    start + TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(0))
}

fn uid(kind: u64, number: u64) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn node(number: u64) -> Value {
    json!({
        "metadata": {"name": format!("node-{number:05}"), "uid": uid(1, number), "creationTimestamp": rfc3339(at(0))},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Linux", "architecture": "amd64"},
        },
    })
}

fn pod(number: u64, nodes: u64) -> Value {
    let started = rfc3339(at(0));
    json!({
        "metadata": {
            "name": pod_name(number),
            "namespace": namespace_name(number / PODS_IN_NAMESPACE),
            "uid": uid(2, number),
            "creationTimestamp": started,
            "labels": {"app": "kms-core", "party": (number % 13 + 1).to_string()},
        },
        "spec": {
            "nodeName": format!("node-{:05}", number % nodes),
            "containers": [{
                "name": CONTAINER,
                "image": "registry.example.com/kms/core-service:v0.14.1",
                "ports": [{"name": "metrics", "containerPort": 9646}],
                "resources": {"limits": {"memory": "4Gi"}},
            }],
        },
        "status": {
            "phase": "Running",
            "podIP": format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
            "startTime": started,
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{
                "name": CONTAINER,
                "ready": true,
                "started": true,
                "restartCount": 0,
                "containerID": format!("containerd://{number:064x}"),
                "state": {"running": {"startedAt": started}},
            }],
        },
    })
}

/// The endless log of one pod; its reader stops at the wanted size.
fn log(pod: u64, bytes: u64) -> impl Read + Send {
    let step = (SPAN_MS * LINE / bytes.max(LINE)).max(1);
    let secrets = SyntheticCluster::planted(pod);
    let mut number = 0_u64;
    Generated::new(move || {
        let mut block = String::with_capacity(32 << 10);
        while block.len() < 31 << 10 {
            line(&mut block, pod, number, at((number * step).min(SPAN_MS)), &secrets);
            number += 1;
        }
        Some(block.into_bytes())
    })
}

const TARGETS: [(&str, &str); 6] = [
    ("kms_lib::engine::threshold::service", "core/service/src/engine/threshold/service/session.rs:88"),
    ("threshold_networking::sending_service", "core/threshold-networking/src/sending_service/session.rs:40"),
    ("kms_lib::vault::storage::s3", "core/service/src/vault/storage/s3.rs:211"),
    ("kms_grpc::rpc", "core/grpc/src/rpc.rs:57"),
    ("tower_http::trace::on_response", "tower-http/src/trace/on_response.rs:114"),
    ("sqlx::query", "sqlx-core/src/logger.rs:143"),
];
const MESSAGES: [&str; 8] = [
    "Starting key generation for session",
    "ciphertext decrypted successfully, returning share",
    "Still waiting to receive from party",
    "finished processing request",
    "stored object under key material prefix",
    "block processed, moving the cursor forward",
    "retrying after a transient error: connection reset by peer",
    "summary of preprocessing: triples and randoms are ready",
];

fn line(out: &mut String, pod: u64, number: u64, at: Timestamp, secrets: &[String; 3]) {
    use std::fmt::Write as _;
    let mut random = Random::new(pod.wrapping_mul(0x9e37_79b9) ^ number);
    let time = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let level = ["INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"][random.below(6)];
    let (target, place) = TARGETS[random.below(TARGETS.len())];
    let message = MESSAGES[random.below(MESSAGES.len())];
    let (id, latency, thread) = (random.text(64, b"0123456789abcdef"), random.below(5000), random.below(32));
    let party = random.below(13) + 1;
    // Writing to a string cannot fail.
    let _ = if number % SECRET_EVERY == 9 {
        let [key, token, private] = secrets;
        match number / SECRET_EVERY % 3 {
            0 => writeln!(
                out,
                "{time}  INFO main ThreadId(01) kms_init: {place}: AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={token}"
            ),
            1 => writeln!(
                out,
                "{{\"timestamp\":\"{time}\",\"level\":\"DEBUG\",\"fields\":{{\"message\":\"request\",\"authorization\":\"Bearer {token}\"}},\"target\":\"{target}\"}}"
            ),
            _ => writeln!(out, "{time} DEBUG main ThreadId(01) {target}: {place}: loaded wallet private_key={private}"),
        }
    } else if random.below(2) == 0 {
        writeln!(
            out,
            "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"fields\":{{\"message\":\"{message}\",\"request_id\":\"{id}\",\
             \"party\":{party},\"latency_ms\":{latency}}},\"target\":\"{target}\",\"threadId\":\"ThreadId({thread})\"}}"
        )
    } else {
        writeln!(
            out,
            "{time} {level:>5} tokio-rt-worker ThreadId({thread:02}) {target}: {place}: {message} {party} request_id={id} latency_ms={latency}"
        )
    };
}

/// SplitMix64: small, fast, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    fn text(&mut self, count: usize, alphabet: &[u8]) -> String {
        (0..count).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

/// Reads pieces that are made one after another.
struct Generated<F> {
    make: F,
    piece: Vec<u8>,
    at: usize,
}

impl<F: FnMut() -> Option<Vec<u8>>> Generated<F> {
    fn new(make: F) -> Self {
        Self { make, piece: Vec::new(), at: 0 }
    }
}

impl<F: FnMut() -> Option<Vec<u8>>> Read for Generated<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Some(piece) = (self.make)() else { return Ok(0) };
            (self.piece, self.at) = (piece, 0);
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_true_and_bytes_are_always_the_same() {
        let (one, two) = (SyntheticCluster::new(120, 300_000, 3), SyntheticCluster::new(120, 300_000, 3));
        assert!(one.entries().is_sorted());
        assert_eq!(one.entries(), two.entries());
        assert_eq!(one.namespace_names().len(), 3);
        for entry in one.entries().iter().filter(|e| e.path.contains("0000007") || !e.path.contains("/logs/")) {
            let bytes = one.read(&entry.path, u64::MAX).unwrap();
            assert_eq!(bytes.len() as u64, entry.size, "{}", entry.path);
            assert_eq!(bytes, two.read(&entry.path, u64::MAX).unwrap());
            if entry.path.ends_with(".json") {
                serde_json::from_slice::<Value>(&bytes).unwrap();
            }
        }
        assert!(one.open("nope").is_err());
    }

    #[test]
    fn logs_have_the_planted_secrets() {
        let cluster = SyntheticCluster::new(2, 1 << 20, 1);
        let log = cluster.read(&layout::log("kms-00000", "kms-core-0000001", CONTAINER, false), u64::MAX).unwrap();
        let text = String::from_utf8(log).unwrap();
        for secret in SyntheticCluster::planted(1) {
            assert!(text.contains(&secret), "{secret}");
        }
        assert!(!text.contains(&SyntheticCluster::planted(0)[0]));
        assert!(text.lines().nth(9).unwrap().contains("AWS_SECRET_ACCESS_KEY="));
    }
}
