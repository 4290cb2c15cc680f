//! The item of a source, and the file that says whether the source was there.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::http::{Http, Reply};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Effect, ItemId};
use crate::redact::Format;

/// What asks one source.
pub(super) trait Source: Send + Sync {
    /// Asks it.
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>>;
}

/// One source, or one question to it, as an item.
pub(super) struct ServiceItem<S> {
    id: ItemId,
    collector: &'static str,
    what: String,
    lane: Lane,
    source: S,
}

impl<S: Source> ServiceItem<S> {
    pub(super) fn new(id: &str, collector: &'static str, what: impl Into<String>, lane: Lane, source: S) -> Self {
        Self { id: ItemId::new(id), collector, what: what.into(), lane, source }
    }
}

impl<S: Source> Item for ServiceItem<S> {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        self.collector
    }

    fn describe(&self) -> String {
        self.what.clone()
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.source.collect(sink)
    }
}

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
