//! Logs of containers, the newest part kept.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::super::ask::DOCUMENT_MAX;
use super::super::http::Http;
use super::frames::Frames;
use super::inspect::Container;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Keep, Lane, Limits, Sink};
use crate::model::{Kept, Outcome, Truncation};
use crate::redact::Format;

/// Shortest line that is expected on average, so that asking for the last lines fills the limit.
const LINE_BYTES: u64 = 50;

/// The item that reads a container's log.
pub(super) fn item(http: &Arc<Http>, dir: &str, container: &Container) -> Arc<dyn Item> {
    let source =
        Log { http: Arc::clone(http), file: format!("{dir}/logs/{}.log", container.name), id: container.id.clone() };
    let lane = if container.running { Lane::Logs } else { Lane::FailedLogs };
    let what = format!("Log of container {}", container.name);
    Arc::new(SourceItem::new(&format!("{dir}/logs/{}", container.name), "services/docker", what, lane, source))
}

struct Log {
    http: Arc<Http>,
    file: String,
    id: String,
}

impl Log {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let state = self.http.get(sink, &format!("/containers/{}/json", self.id), DOCUMENT_MAX).await?;
        if let Some(refusal) = state.refusal() {
            return Err(refusal);
        }
        let terminal = state.json()?.pointer("/Config/Tty").and_then(Value::as_bool).unwrap_or(false);
        let limits = sink.limits();
        let most = limits.log_limit / LINE_BYTES;
        let tail = limits.tail.unwrap_or(u64::MAX).min(most.max(1));
        let mut stream = self.http.open(sink, &path(&self.id, tail, limits)).await?;
        if !(200..300).contains(&stream.status()) {
            let error = stream.refusal().await;
            return Err(if error.to_string().contains("logging driver") {
                CollectError::NotApplicable(error.to_string())
            } else {
                error
            });
        }
        let raw = terminal && !stream.content_type().contains("multiplexed");
        let mut frames = Frames::new(raw);
        let mut file = sink.create(&self.file, Format::Text, Keep::Newest(limits.log_limit))?;
        let mut payload = Vec::new();
        let mut lines = 0_u64;
        let broke = loop {
            let chunk = match stream.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) if frames.is_whole() => break None,
                Ok(None) => break Some("the log ends inside of a frame".to_owned()),
                Err(error) => break Some(error.to_string()),
            };
            payload.clear();
            let end = frames.push(&chunk, &mut payload);
            lines += memchr::memchr_iter(b'\n', &payload).count() as u64;
            file.write(&payload)?;
            if let Err(why) = end {
                break Some(why.to_owned());
            }
        };
        let received = file.received();
        match broke {
            Some(why) if received == 0 => Err(CollectError::Failed(why)),
            Some(why) => {
                file.finish(Some(cut("connection-lost")))?;
                Ok(Done::with(Outcome::Truncated, why))
            }
            None if received == 0 => {
                file.finish(None)?;
                Ok(Done::with(Outcome::Empty, "the container wrote nothing in this time"))
            }
            None => {
                let limited = limits.tail.is_none_or(|asked| asked > most) && lines >= most;
                file.finish(limited.then(|| cut("log-limit")))?;
                Ok(Done::ok())
            }
        }
    }
}

fn cut(reason: &str) -> Truncation {
    Truncation { reason: reason.to_owned(), dropped_bytes: None, kept: Kept::Newest }
}

fn path(id: &str, tail: u64, limits: &Limits) -> String {
    let mut path = format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1&tail={tail}");
    if let Some(since) = limits.since {
        let from = chrono::Utc::now() - chrono::Duration::from_std(since).unwrap_or_default();
        path.push_str(&format!("&since={}", from.timestamp()));
    }
    path
}

impl Source for Log {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}
