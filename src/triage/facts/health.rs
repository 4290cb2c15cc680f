//! The health of a KMS: what its core answered over gRPC, or what `kms-health-check --format json` prints behind a few
//! lines of its own. Both become the same fact.

use std::sync::Arc;

use serde_json::Value;

use super::value::{int, list, string, text, yes};
use super::{At, Facts, Key};
use crate::triage::finding::Place;

/// Who told it, the best source first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The core itself.
    Grpc,
    /// The operators' tool, which hides what went wrong with a call.
    Tool,
}

impl Source {
    /// The name that rules see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Tool => "kms-health-check",
        }
    }
}

/// One health document.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    path: Arc<str>,
    /// The pod in which the check ran, or the pod that was asked.
    pub(crate) pod: Key,
    pub(crate) source: Source,
    pub(crate) connected: bool,
    /// Why there is no connection.
    pub(crate) connect_error: String,
    /// None when the endpoint did not say.
    pub(crate) keys_available: Option<bool>,
    pub(crate) key_error: String,
    pub(crate) key_ids: usize,
    /// None when the endpoint gave no contexts at all.
    pub(crate) contexts: Option<Vec<Context>>,
    /// Why it gave none, where the source says so.
    pub(crate) contexts_error: String,
    /// Requests that failed: which store, which id, why.
    pub(crate) failed_requests: Vec<FailedRequest>,
    /// Beginning of each line that is quoted, with its number.
    lines: Vec<(String, u64)>,
}

/// A request whose failure is hidden from the client that made it.
#[derive(Debug, Clone)]
pub(crate) struct FailedRequest {
    pub(crate) store: String,
    pub(crate) id: String,
    pub(crate) error: String,
}

/// What one party sees of its network.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) id: String,
    pub(crate) party: i64,
    pub(crate) required: i64,
    pub(crate) reachable: i64,
    /// The program's own word.
    pub(crate) health: String,
    pub(crate) peers: Vec<Peer>,
}

/// One peer, as seen from here.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) id: i64,
    pub(crate) endpoint: String,
    pub(crate) reachable: bool,
    /// Milliseconds until it answered, or until the attempt failed.
    pub(crate) latency_ms: Option<u64>,
    pub(crate) error: String,
}

impl Context {
    /// All parties, this one among them.
    pub(crate) fn nodes(&self) -> i64 {
        i64::try_from(self.peers.len()).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The status by the arithmetic of the server, which goes by the number of parties and not by the configured
    /// threshold: of 13, all are optimal, 9 healthy, 6 degraded, and exactly the 5 that are needed are unhealthy.
    pub(crate) fn status(&self) -> &'static str {
        status(self.nodes(), self.reachable)
    }
}

fn status(nodes: i64, reachable: i64) -> &'static str {
    if reachable >= nodes {
        "optimal"
    } else if reachable > 2 * nodes / 3 {
        "healthy"
    } else if reachable > nodes / 3 + 1 {
        "degraded"
    } else {
        "unhealthy"
    }
}

impl Facts {
    /// Whether no better source spoke about the same core. The tool runs in another pod, so a namespace is as near as it gets.
    pub(crate) fn is_best_health(&self, health: &Health) -> bool {
        let rank = |h: &Health| (h.contexts.is_none(), h.source);
        let mut same = self.health.iter().filter(|h| h.pod.0 == health.pod.0 && h.connected);
        match health.source {
            Source::Tool => same.all(|h| rank(h) >= rank(health)),
            // Each core speaks for itself.
            Source::Grpc => same.all(|h| h.source == Source::Grpc || rank(h) >= rank(health)),
        }
    }
}

impl Health {
    /// Where it begins to speak of its contexts.
    pub(crate) fn at_contexts(&self) -> At {
        self.at(match self.source {
            Source::Grpc => "GetHealthStatus",
            Source::Tool => "\"context_info\"",
        })
    }

    /// Where the tool ran, in words.
    pub(crate) fn place(&self) -> String {
        let pod = &self.pod.1;
        if self.path.ends_with(LOCAL) {
            format!("run beside casefile, against pod {pod},")
        } else {
            format!("in pod {pod}")
        }
    }

    /// The first line that holds this text.
    pub(crate) fn at(&self, what: &str) -> At {
        let line = self.lines.iter().find(|(text, _)| text.contains(what)).map_or(1, |(_, n)| *n);
        At { path: Arc::clone(&self.path), place: Place::Line(line) }
    }
}

/// What the program wrote that runs beside casefile and not in a pod.
const LOCAL: &str = "/kms-health-check-local.txt";

/// `health/<namespace>/<pod>/kms-health-check.txt`, the same with `-local`, or `grpc.json`: namespace, pod and what it is.
pub(super) fn parse_path(path: &str) -> Option<(Key, Source)> {
    let rest = path.strip_prefix("health/")?;
    let tool = rest.strip_suffix("/kms-health-check.txt").or_else(|| rest.strip_suffix(LOCAL));
    let (rest, source) = match tool {
        Some(rest) => (rest, Source::Tool),
        None => (rest.strip_suffix("/grpc.json")?, Source::Grpc),
    };
    let (namespace, pod) = rest.split_once('/')?;
    (!pod.contains('/')).then(|| ((namespace.to_owned(), pod.to_owned()), source))
}

/// Reads a document; none when there is none in it, or nothing about a KMS.
pub(super) fn parse(path: &str, pod: Key, source: Source, output: &str) -> Option<Health> {
    let mut health = match source {
        Source::Tool => tool(output)?,
        Source::Grpc => grpc(&serde_json::from_str(output).ok()?)?,
    };
    health.path = Arc::from(path);
    health.pod = pod;
    health.lines = output.lines().zip(1..).map(|(line, n)| (line.chars().take(200).collect(), n)).collect();
    for context in health.contexts.iter_mut().flatten() {
        // They come from a hash map.
        context.peers.sort_by_key(|p| p.id);
    }
    Some(health)
}

fn nothing(source: Source) -> Health {
    Health {
        path: Arc::from(""),
        pod: Key::default(),
        source,
        connected: false,
        connect_error: String::new(),
        keys_available: None,
        key_error: String::new(),
        key_ids: 0,
        contexts: None,
        contexts_error: String::new(),
        failed_requests: Vec::new(),
        lines: Vec::new(),
    }
}

/// Failed requests that are kept.
const FAILED_MAX: usize = 100;

/// The answers of a core.
fn grpc(document: &Value) -> Option<Health> {
    let calls = list(document, "/calls");
    let call = |method: &str| calls.iter().find(|c| text(c, "/method").ends_with(method));
    let failure = |c: &Value| format!("{}: {}", text(c, "/code"), text(c, "/message"));
    let (status, keys) = (call("/GetHealthStatus"), call("/GetKeyMaterialAvailability"));
    let mut health = nothing(Source::Grpc);
    let error = text(document, "/error");
    if calls.is_empty() || !yes(document, "/connected") {
        // That the port could not be forwarded says nothing about the core; that nobody listens does.
        if !error.contains("refused") {
            return None;
        }
        error.clone_into(&mut health.connect_error);
        return Some(health);
    }
    status.or(keys)?;
    health.connected = true;
    if let Some(keys) = keys {
        let ok = text(keys, "/code") == "OK";
        health.keys_available = Some(ok);
        health.key_ids = list(keys, "/response/fheKeyIds").len();
        if !ok {
            health.key_error = failure(keys);
        }
    }
    if let Some(status) = status {
        if text(status, "/code") == "OK" {
            health.contexts = Some(list(status, "/response/peersFromAllContexts").iter().map(grpc_context).collect());
        } else {
            health.contexts_error = failure(status);
        }
    }
    let stores = calls.iter().filter(|c| text(c, "/method").ends_with("/ListRequests"));
    let failed = stores.flat_map(|c| list(c, "/response/requests")).filter(|r| text(r, "/status") == "FAILED");
    health.failed_requests = failed
        .take(FAILED_MAX)
        .map(|r| FailedRequest {
            store: string(r, "/metaStoreType"),
            id: string(r, "/requestId"),
            error: string(r, "/errorMessage"),
        })
        .collect();
    Some(health)
}

fn grpc_context(c: &Value) -> Context {
    let health = match text(c, "/status") {
        "HEALTH_STATUS_OPTIMAL" => "Optimal",
        "HEALTH_STATUS_HEALTHY" => "Healthy",
        "HEALTH_STATUS_DEGRADED" => "Degraded",
        "HEALTH_STATUS_UNHEALTHY" => "Unhealthy",
        _ => "",
    };
    Context {
        id: string(c, "/contextId/requestId"),
        party: int(c, "/myPartyId").unwrap_or_default(),
        required: int(c, "/thresholdRequired").unwrap_or_default(),
        reachable: int(c, "/nodesReachable").unwrap_or_default(),
        health: health.to_owned(),
        peers: list(c, "/peers").iter().map(|p| peer(p, "/peerId", "/latencyMs")).collect(),
    }
}

fn peer(p: &Value, id: &str, latency: &str) -> Peer {
    Peer {
        id: int(p, id).unwrap_or_default(),
        endpoint: string(p, "/endpoint"),
        reachable: yes(p, "/reachable"),
        latency_ms: p.pointer(latency).and_then(Value::as_u64),
        error: text(p, "/error").trim_start_matches("Error : ").to_owned(),
    }
}

/// The output of the operators' tool.
fn tool(output: &str) -> Option<Health> {
    // The document begins with the first line that is nothing but a brace.
    let mut offset = 0;
    let mut begin = None;
    for line in output.split_inclusive('\n') {
        if line.trim_end() == "{" {
            begin = Some(offset);
            break;
        }
        offset += line.len();
    }
    let document = &output[begin?..];
    let value: Value = serde_json::Deserializer::from_str(document).into_iter().next()?.ok()?;
    let contexts = value.get("context_info").and_then(Value::as_array).map(|contexts| {
        contexts
            .iter()
            .map(|c| Context {
                id: string(c, "/context_id/request_id"),
                party: int(c, "/self_node_info/my_party_id").unwrap_or_default(),
                required: int(c, "/self_node_info/threshold_required").unwrap_or_default(),
                reachable: int(c, "/self_node_info/nodes_reachable").unwrap_or_default(),
                health: string(c, "/context_health"),
                peers: list(c, "/peers_status").iter().map(|p| peer(p, "/peer_id", "/latency_ms")).collect(),
            })
            .collect()
    });
    Some(Health {
        connected: yes(&value, "/connectivity/reachable"),
        connect_error: string(&value, "/connectivity/error"),
        keys_available: value.pointer("/key_material/available").and_then(Value::as_bool),
        key_error: string(&value, "/key_material/error"),
        key_ids: list(&value, "/key_material/fhe_key_ids").len(),
        contexts,
        ..nothing(Source::Tool)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_behind_other_lines() {
        let text = "Initializing\n{\n \"connectivity\": {\"reachable\": true},\n \"context_info\": null\n}\nbye";
        let health = parse("p", Key::default(), Source::Tool, text).unwrap();
        assert!(health.connected && health.contexts.is_none());
        assert_eq!(health.at("connectivity").place, Place::Line(3));
        let pod = ("ns".to_owned(), "pod".to_owned());
        assert_eq!(parse_path("health/ns/pod/kms-health-check.txt"), Some((pod.clone(), Source::Tool)));
        assert_eq!(parse_path("health/ns/pod/kms-health-check-local.txt"), Some((pod.clone(), Source::Tool)));
        assert_eq!(parse_path("health/ns/pod/grpc.json"), Some((pod, Source::Grpc)));
        assert_eq!(parse_path("health/ns/pod/http-live.txt"), None);
    }

    #[test]
    fn the_status_follows_the_arithmetic_of_the_server() {
        let thirteen: Vec<&str> = (0..=13).map(|r| status(13, r)).collect();
        let mut want = vec!["unhealthy"; 6];
        want.extend(["degraded"; 3]);
        want.extend(["healthy"; 4]);
        want.push("optimal");
        assert_eq!(thirteen, want);
        let four: Vec<&str> = (0..=4).map(|r| status(4, r)).collect();
        assert_eq!(four, ["unhealthy", "unhealthy", "unhealthy", "healthy", "optimal"]);
        assert_eq!(status(1, 1), "optimal");
    }

    #[test]
    fn the_answers_of_a_core_are_the_same_fact() {
        let call = |method: &str, code: &str, response: &str| {
            format!(r#"{{"method":"a.B/{method}","code":"{code}","message":"m","response":{response}}}"#)
        };
        let document = |calls: &[String]| format!(r#"{{"connected":true,"calls":[{}]}}"#, calls.join(","));
        let context = r#"{"peersFromAllContexts":[{"contextId":{"requestId":"07"},"myPartyId":1,"thresholdRequired":5,
            "nodesReachable":12,"status":"HEALTH_STATUS_HEALTHY","peers":[
            {"peerId":3,"endpoint":"c","reachable":false,"latencyMs":0,"error":"Error : tcp connect error"},
            {"peerId":2,"endpoint":"b","reachable":true,"latencyMs":7,"error":""}]}]}"#;
        let failed = r#"{"requests":[{"requestId":"06","metaStoreType":"PUBLIC_DECRYPTION","status":"FAILED","errorMessage":"why"},
            {"requestId":"05","metaStoreType":"PUBLIC_DECRYPTION","status":"COMPLETED"}]}"#;
        let read = |text: &str| parse("p", Key::default(), Source::Grpc, text);
        let health = read(&document(&[
            call("GetHealthStatus", "OK", context),
            call("GetKeyMaterialAvailability", "OK", r#"{"fheKeyIds":["04"]}"#),
            call("ListRequests", "OK", failed),
        ]))
        .unwrap();
        assert!(health.connected && health.keys_available == Some(true) && health.key_ids == 1);
        let network = &health.contexts.as_ref().unwrap()[0];
        assert_eq!((network.id.as_str(), network.party, network.health.as_str()), ("07", 1, "Healthy"));
        let peers: Vec<_> = network.peers.iter().map(|p| (p.id, p.latency_ms, p.error.as_str())).collect();
        assert_eq!(peers, [(2, Some(7), ""), (3, Some(0), "tcp connect error")]);
        assert_eq!((health.failed_requests.len(), health.failed_requests[0].error.as_str()), (1, "why"));

        let health = read(&document(&[call("GetHealthStatus", "DEADLINE_EXCEEDED", "null")])).unwrap();
        assert_eq!((health.contexts.is_none(), health.contexts_error.as_str()), (true, "DEADLINE_EXCEEDED: m"));
        // Without the right to forward ports nothing is known of the core; a port that refuses is known.
        assert!(read(r#"{"connected":false,"error":"HTTP 403: forbidden","calls":[]}"#).is_none());
        let refused = read(r#"{"connected":false,"error":"dial tcp4 127.0.0.1:50100: connection refused","calls":[]}"#);
        assert!(!refused.unwrap().connected);
        assert!(read(&document(&[call("Check", "OK", "{}")])).is_none(), "another program");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|\n|\\{|\\})*") {
            let _ = parse("p", Key::default(), Source::Tool, &text);
            let _ = parse("p", Key::default(), Source::Grpc, &text);
        }
    }
}
