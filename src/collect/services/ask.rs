//! One question to an HTTP service, as an item of its own.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::http::Http;
use super::item::put_json;
use super::scrub;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Keep, Lane, Sink};
use crate::model::{Kept, Outcome, Truncation};
use crate::redact::Format;

/// Largest document that is read as a whole. Lists of thousands of targets stay below it.
pub(super) const DOCUMENT_MAX: usize = 8 << 20;
/// Largest text that is passed through.
const TEXT_MAX: u64 = 16 << 20;

/// Longest line of a text.
const LINE_MAX: usize = 1 << 20;

/// What becomes of an answer.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A JSON document that is kept as it came.
    Raw,
    /// A JSON document of which only a part may be kept. An error keeps nothing of it.
    Json(fn(Value) -> Result<Value, CollectError>),
    /// Text that is passed through piece by piece, whatever its status.
    Text,
}

/// A question.
pub(super) struct Ask {
    /// Last part of the item's id.
    pub(super) id: String,
    /// Path with its query.
    pub(super) path: String,
    /// Body of a POST that reads.
    pub(super) body: Option<Value>,
    /// The artifact.
    pub(super) file: String,
    pub(super) shape: Shape,
    pub(super) what: &'static str,
}

impl Ask {
    pub(super) fn get(id: &str, path: &str, file: String, shape: Shape, what: &'static str) -> Self {
        Self { id: id.to_owned(), path: path.to_owned(), body: None, file, shape, what }
    }

    /// The item that asks it. `source` is the first part of its id, such as `services/prometheus`.
    pub(super) fn item(self, source: &str, collector: &'static str, http: &Arc<Http>) -> Arc<dyn Item> {
        let id = format!("{source}/{}", self.id);
        let what = self.what;
        let asked = Asked { http: Arc::clone(http), ask: self };
        Arc::new(SourceItem::new(&id, collector, what, Lane::Probe, asked))
    }
}

struct Asked {
    http: Arc<Http>,
    ask: Ask,
}

impl Asked {
    async fn document(&self, sink: &Sink) -> Result<Done, CollectError> {
        let Ask { path, body, file, shape, .. } = &self.ask;
        let reply = match body {
            None => self.http.get(sink, path, DOCUMENT_MAX).await?,
            Some(body) => self.http.read_by_post(sink, path, body, DOCUMENT_MAX).await?,
        };
        if let Some(refusal) = reply.refusal() {
            return Err(refusal);
        }
        let document = reply.json()?;
        match shape {
            Shape::Json(shape) => put_json(sink, file, &shape(document)?)?,
            _ => sink.put(file, Format::Json, &reply.body)?,
        }
        Ok(Done::ok())
    }

    async fn text(&self, sink: &Sink) -> Result<Done, CollectError> {
        let stream = self.http.open(sink, &self.ask.path).await?;
        pass(stream, sink, &self.ask.file).await
    }
}

/// Passes an answer through into an artifact.
pub(super) async fn pass(mut stream: super::http::Stream<'_>, sink: &Sink, path: &str) -> Result<Done, CollectError> {
    let status = stream.status();
    if matches!(status, 401 | 403 | 404 | 405) {
        return Err(stream.refusal().await);
    }
    let mut file = sink.create(path, Format::of_path(path), Keep::Oldest(TEXT_MAX))?;
    let mut broke = None;
    let mut held = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(chunk)) => {
                held.extend_from_slice(&chunk);
                // Whole lines, so that no URL is cut in two; a line without an end goes as it is.
                let end = memchr::memrchr(b'\n', &held).map_or(0, |at| at + 1);
                let end = if end == 0 && held.len() > LINE_MAX { held.len() } else { end };
                file.write(&scrub::clean_lines(&held[..end]))?;
                held.drain(..end);
            }
            Ok(None) => break,
            Err(error) => {
                broke = Some(error);
                break;
            }
        }
        if file.is_full() {
            break;
        }
    }
    file.write(&scrub::clean_lines(&held))?;
    let said = (!(200..300).contains(&status)).then(|| format!("HTTP {status}"));
    match broke {
        Some(error) if file.received() == 0 => Err(error),
        Some(error) => {
            file.finish(Some(Truncation {
                reason: "connection-lost".to_owned(),
                dropped_bytes: None,
                kept: Kept::Oldest,
            }))?;
            Ok(Done::with(Outcome::Truncated, error.to_string()))
        }
        None => {
            let full = file.is_full();
            let cut =
                full.then(|| Truncation { reason: "size-limit".to_owned(), dropped_bytes: None, kept: Kept::Oldest });
            file.finish(cut)?;
            let outcome = if full { Outcome::Truncated } else { Outcome::Ok };
            let limit = full.then(|| format!("only the first {} MiB are kept", TEXT_MAX >> 20));
            Ok(Done { outcome, reason: limit.or(said), spawn: Vec::new() })
        }
    }
}

impl Source for Asked {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        match self.ask.shape {
            Shape::Text => self.text(sink).boxed(),
            _ => self.document(sink).boxed(),
        }
    }
}
