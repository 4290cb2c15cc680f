//! Events of an engine: what was started, died, was killed, became unhealthy.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::http::Http;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Keep, Lane, Sink};
use crate::model::Outcome;
use crate::redact::Format;

/// Bytes of events that are kept, the newest ones.
const KEPT: u64 = 4 << 20;
/// Longest line that is decoded.
const LINE_MAX: usize = 1 << 20;
/// Attributes that are kept; labels and images' histories are not.
const ATTRIBUTES: [&str; 8] = [
    "name",
    "image",
    "exitCode",
    "signal",
    "execDuration",
    "container",
    "com.docker.compose.project",
    "com.docker.compose.service",
];

/// The item that reads events of the given age or younger.
pub(super) fn item(http: &Arc<Http>, dir: &str, since: Duration) -> Arc<dyn Item> {
    let source = Events { http: Arc::clone(http), file: format!("{dir}/events.jsonl"), since };
    let what = format!("Events of the last {}", humantime::format_duration(since));
    Arc::new(SourceItem::new(&format!("{dir}/events"), "services/docker", what, Lane::State, source))
}

struct Events {
    http: Arc<Http>,
    file: String,
    since: Duration,
}

impl Events {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let now = chrono::Utc::now();
        let from = now - chrono::Duration::from_std(self.since).unwrap_or_default();
        // The end makes the engine close the stream.
        let path = format!("/events?since={}&until={}", from.timestamp(), now.timestamp());
        let mut stream = self.http.open(sink, &path).await?;
        if !(200..300).contains(&stream.status()) {
            return Err(stream.refusal().await);
        }
        let mut file = sink.create(&self.file, Format::Json, Keep::Newest(KEPT))?;
        let mut line = Vec::new();
        let mut odd = 0_u64;
        while let Some(chunk) = stream.next().await? {
            for piece in chunk.split_inclusive(|b| *b == b'\n') {
                line.extend_from_slice(piece);
                if line.len() > LINE_MAX {
                    return Err(CollectError::Failed("the engine sent an event without an end".to_owned()));
                }
                if line.ends_with(b"\n") {
                    odd += u64::from(!write(&mut file, &line)?);
                    line.clear();
                }
            }
        }
        odd += u64::from(!write(&mut file, &line)?);
        let empty = file.received() == 0;
        file.finish(None)?;
        Ok(match (odd, empty) {
            (0, false) => Done::ok(),
            (0, true) => Done::with(Outcome::Empty, "nothing happened in this time"),
            (odd, _) => Done::with(Outcome::Truncated, format!("{odd} events could not be decoded")),
        })
    }
}

/// Writes what is kept of one event; false when it cannot be decoded.
fn write(file: &mut crate::collect::Artifact, line: &[u8]) -> Result<bool, CollectError> {
    if line.trim_ascii().is_empty() {
        return Ok(true);
    }
    let Ok(event) = serde_json::from_slice::<Value>(line) else { return Ok(false) };
    file.write(format!("{}\n", kept(&event)).as_bytes())?;
    Ok(true)
}

/// The parts of an event that do not hold commands, labels or environment.
fn kept(event: &Value) -> Value {
    let action = event.get("Action").or_else(|| event.get("status")).and_then(Value::as_str).unwrap_or_default();
    // `exec_create: <command line>`; `health_status: unhealthy` stays whole.
    let action = if action.starts_with("exec_") { action.split(':').next().unwrap_or_default() } else { action };
    let attributes = event.pointer("/Actor/Attributes");
    let attributes: serde_json::Map<String, Value> =
        ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), attributes?.get(*name)?.clone()))).collect();
    json!({
        "time": event.get("time"),
        "type": event.get("Type"),
        "action": action,
        "id": event.pointer("/Actor/ID"),
        "attributes": attributes,
    })
}

impl Source for Events {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_and_labels_do_not_stay() {
        let event = json!({"Type": "container", "Action": "exec_create: sh -c login Hunter2xyz", "time": 1,
            "Actor": {"ID": "a", "Attributes": {"name": "n", "secret-label": "Hunter2xyz", "exitCode": "137"}}});
        let text = kept(&event).to_string();
        assert!(!text.contains("Hunter2"), "{text}");
        assert!(text.contains(r#""action":"exec_create""#) && text.contains(r#""exitCode":"137""#), "{text}");
        assert_eq!(kept(&json!({"Action": "health_status: unhealthy"}))["action"], "health_status: unhealthy");
    }
}
