//! What the items of services share, and the file that says whether the source was there.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::http::{Http, Reply};
use crate::collect::source::Source;
use crate::collect::{CollectError, Done, Sink};
use crate::redact::Format;

/// A source that cannot even be named, such as one whose parameter is not set.
pub(super) struct Unusable(pub(super) std::sync::Mutex<Option<CollectError>>);

impl Source for Unusable {
    fn collect<'a>(&'a self, _: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        Box::pin(async {
            let error = self.0.lock().ok().and_then(|mut e| e.take());
            Err(error.unwrap_or_else(|| CollectError::NotApplicable("it cannot be asked".to_owned())))
        })
    }
}

/// Directory of a source: `services/<kind>` or `services/<kind>-<name>`.
pub(super) fn directory(kind: &str, name: &str) -> String {
    if name.is_empty() { format!("services/{kind}") } else { format!("services/{kind}-{name}") }
}

/// Writes `connection.json`: the direct probe of a source, which triage believes over what others say of it.
pub(super) fn note_connection(
    sink: &Sink,
    dir: &str,
    http: &Http,
    result: Result<&Reply, &CollectError>,
) -> Result<(), CollectError> {
    let address = http.shown();
    let document = match result {
        Ok(reply) => json!({
            "address": address,
            "reachable": true,
            "http_status": reply.status,
            "took_ms": u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX),
            "tls": reply.tls,
        }),
        Err(error) => json!({
            "address": address,
            "reachable": false,
            "outcome": error.outcome(),
            "error": error.to_string(),
            "tls": http.tls().map(|shown| shown.facts()),
        }),
    };
    put_json(sink, &format!("{dir}/connection.json"), &document)
}

/// Writes a JSON document of our own.
pub(super) fn put_json(sink: &Sink, path: &str, document: &Value) -> Result<(), CollectError> {
    let mut text = format!("{document:#}").into_bytes();
    text.push(b'\n');
    sink.put(path, Format::Json, &text)
}
