//! Whether the peers of a pod can be reached: the rows of `peers/<namespace>/<pod>/reachability.json`.

use std::sync::Arc;

use serde_json::Value;

use super::value::{int, list, string, text, time, yes};
use super::{At, Key};
use crate::model::time::Timestamp;
use crate::triage::finding::Place;

/// Rows that are kept of one table.
const ROWS_MAX: usize = 1_000;

/// One peer and what was tried.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) at: At,
    pub(crate) pod: Key,
    /// Id of the peer, empty when the source gave none.
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: i64,
    /// Name that its certificate must have.
    pub(crate) identity: String,
    /// Whether it is the party itself.
    pub(crate) own: bool,
    pub(crate) verdict: String,
    pub(crate) rcode: String,
    /// Where the connection went.
    pub(crate) address: String,
    pub(crate) latency_ms: f64,
    /// Why it failed.
    pub(crate) error: String,
    pub(crate) problems: Vec<String>,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
    /// What a program inside of the pod says; none when there is none.
    pub(crate) inside_connected: Option<bool>,
    pub(crate) inside_resolved: Option<bool>,
}

/// `peers/<namespace>/<pod>/reachability.json`: namespace and pod.
pub(super) fn parse_path(path: &str) -> Option<Key> {
    let rest = path.strip_prefix("peers/")?.strip_suffix("/reachability.json")?;
    let (namespace, pod) = rest.split_once('/')?;
    (!pod.contains('/')).then(|| (namespace.to_owned(), pod.to_owned()))
}

/// The rows of a table.
pub(super) fn parse(path: &Arc<str>, pod: &Key, table: &Value) -> Vec<Probe> {
    let row = |(i, row): (usize, &Value)| {
        let errors = ["/tls/error", "/tcp/error", "/dns/error"].map(|pointer| text(row, pointer));
        Probe {
            at: At { path: Arc::clone(path), place: Place::Pointer(format!("/peers/{i}")) },
            pod: pod.clone(),
            id: string(row, "/id"),
            host: string(row, "/host"),
            port: int(row, "/port").unwrap_or_default(),
            identity: string(row, "/identity"),
            own: yes(row, "/own"),
            verdict: string(row, "/verdict"),
            rcode: string(row, "/dns/rcode"),
            address: string(row, "/tcp/address"),
            latency_ms: row.pointer("/tcp/latency_ms").and_then(Value::as_f64).unwrap_or_default(),
            error: errors.iter().find(|e| !e.is_empty()).map_or_else(String::new, |e| (*e).to_owned()),
            problems: list(row, "/tls/problems").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            subject: string(row, "/tls/chain/0/subject"),
            issuer: string(row, "/tls/chain/0/issuer"),
            not_before: time(row, "/tls/chain/0/not_before"),
            not_after: time(row, "/tls/chain/0/not_after"),
            inside_connected: row.pointer("/inside/connected").and_then(Value::as_bool),
            inside_resolved: row.pointer("/inside/resolved").and_then(Value::as_bool),
        }
    };
    list(table, "/peers").iter().enumerate().take(ROWS_MAX).map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_facts_whatever_is_missing() {
        let table = json!({"peers": [
            {"id": "2", "host": "p2", "port": 50001, "verdict": "tls-problem", "dns": {"rcode": "NOERROR"},
                "tcp": {"address": "10.0.0.2:50001", "result": "open", "latency_ms": 1.5, "error": null},
                "tls": {"problems": ["expired"], "chain": [{"subject": "CN=p2", "not_after": "2020-01-01T00:00:00Z"}]},
                "inside": {"connected": false}},
            {}]});
        let rows = parse(&Arc::from("p"), &Key::default(), &table);
        let first = &rows[0];
        assert_eq!((first.id.as_str(), first.port, first.latency_ms), ("2", 50001, 1.5));
        assert_eq!((first.problems.as_slice(), first.inside_connected), (&["expired".to_owned()][..], Some(false)));
        assert!(first.not_after.is_some() && first.inside_resolved.is_none());
        assert_eq!(rows[1].at.place, Place::Pointer("/peers/1".to_owned()));
        assert_eq!(parse_path("peers/n/p/reachability.json"), Some(("n".to_owned(), "p".to_owned())));
    }
}
