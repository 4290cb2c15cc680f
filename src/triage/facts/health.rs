//! The health document of a KMS, as `kms-health-check --format json` prints it behind a few lines of its own.

use std::sync::Arc;

use serde_json::Value;

use super::value::{int, list, string, text, yes};
use super::{At, Key};
use crate::triage::finding::Place;

/// One health document.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    path: Arc<str>,
    /// The pod in which the check ran.
    pub(crate) pod: Key,
    pub(crate) connected: bool,
    /// Why there is no connection.
    pub(crate) connect_error: String,
    /// None when the endpoint did not say.
    pub(crate) keys_available: Option<bool>,
    pub(crate) key_error: String,
    pub(crate) key_ids: usize,
    /// None when the endpoint gave no contexts at all.
    pub(crate) contexts: Option<Vec<Context>>,
    /// Beginning of each line that is quoted, with its number.
    lines: Vec<(String, u64)>,
}

/// What one party sees of its network.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) party: i64,
    pub(crate) required: i64,
    pub(crate) reachable: i64,
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

impl Health {
    /// The first line that holds this text.
    pub(crate) fn at(&self, what: &str) -> At {
        let line = self.lines.iter().find(|(text, _)| text.contains(what)).map_or(1, |(_, n)| *n);
        At { path: Arc::clone(&self.path), place: Place::Line(line) }
    }
}

/// `health/<namespace>/<pod>/kms-health-check.txt`: namespace and pod.
pub(super) fn parse_path(path: &str) -> Option<Key> {
    let rest = path.strip_prefix("health/")?.strip_suffix("/kms-health-check.txt")?;
    let (namespace, pod) = rest.split_once('/')?;
    (!pod.contains('/')).then(|| (namespace.to_owned(), pod.to_owned()))
}

/// Reads the output of the check; none when there is no document in it.
pub(super) fn parse(path: &str, pod: Key, output: &str) -> Option<Health> {
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
                party: int(c, "/self_node_info/my_party_id").unwrap_or_default(),
                required: int(c, "/self_node_info/threshold_required").unwrap_or_default(),
                reachable: int(c, "/self_node_info/nodes_reachable").unwrap_or_default(),
                health: string(c, "/context_health"),
                peers: list(c, "/peers_status")
                    .iter()
                    .map(|p| Peer {
                        id: int(p, "/peer_id").unwrap_or_default(),
                        endpoint: string(p, "/endpoint"),
                        reachable: yes(p, "/reachable"),
                        latency_ms: p.pointer("/latency_ms").and_then(Value::as_u64),
                        error: text(p, "/error").trim_start_matches("Error : ").to_owned(),
                    })
                    .collect(),
            })
            .collect()
    });
    Some(Health {
        path: Arc::from(path),
        pod,
        connected: yes(&value, "/connectivity/reachable"),
        connect_error: string(&value, "/connectivity/error"),
        keys_available: value.pointer("/key_material/available").and_then(Value::as_bool),
        key_error: string(&value, "/key_material/error"),
        key_ids: list(&value, "/key_material/fhe_key_ids").len(),
        contexts,
        lines: output.lines().zip(1..).map(|(line, n)| (line.chars().take(200).collect(), n)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_behind_other_lines() {
        let text = "Initializing\n{\n \"connectivity\": {\"reachable\": true},\n \"context_info\": null\n}\nbye";
        let health = parse("p", (String::new(), String::new()), text).unwrap();
        assert!(health.connected && health.contexts.is_none());
        assert_eq!(health.at("connectivity").place, Place::Line(3));
        assert_eq!(parse_path("health/ns/pod/kms-health-check.txt"), Some(("ns".to_owned(), "pod".to_owned())));
        assert_eq!(parse_path("health/ns/pod/http-live.txt"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|\n|\\{|\\})*") {
            let _ = parse("p", (String::new(), String::new()), &text);
        }
    }
}
