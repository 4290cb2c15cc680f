//! Alertmanager, through its v2 API.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::ask::{Ask, DOCUMENT_MAX, Shape};
use super::http::Http;
use super::item::{directory, note_connection, put_json};
use super::scrub::{self, People};
use super::target::Target;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Sink};

const COLLECTOR: &str = "services/alertmanager";

struct Alertmanager {
    target: Target,
    dir: String,
    timeout: Duration,
}

/// The item of a server.
pub(super) fn item(target: Target, timeout: Duration) -> Arc<dyn Item> {
    let dir = directory("alertmanager", &target.name);
    let what = format!("Alertmanager at {}: alerts, silences, receivers, whether notifications leave", target.url);
    Arc::new(SourceItem::new(&dir, COLLECTOR, what, Lane::Discover, Alertmanager { target, dir: dir.clone(), timeout }))
}

impl Alertmanager {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let http = Arc::new(Http::new(&self.target, self.timeout)?);
        let first = http.get(sink, "/api/v2/status", DOCUMENT_MAX).await;
        note_connection(sink, &self.dir, &http, first.as_ref())?;
        let reply = first?;
        if let Some(refusal) = reply.refusal() {
            return Err(refusal);
        }
        let status = reply.json()?;
        if status.get("versionInfo").is_none() {
            return Err(CollectError::Failed(format!("{} answers, but is no Alertmanager", http.shown())));
        }
        put_json(sink, &format!("{}/status.json", self.dir), &kept_status(status))?;
        let document = |id: &str, path: &str, shape: Shape, what: &'static str| {
            Ask::get(id, path, format!("{}/{id}.json", self.dir), shape, what)
        };
        let asks = [
            document(
                "alerts",
                "/api/v2/alerts",
                Shape::Json(cleaned),
                "Alerts, and whether they are silenced or inhibited",
            ),
            document("groups", "/api/v2/alerts/groups", Shape::Json(cleaned), "How alerts are grouped and routed"),
            document("silences", "/api/v2/silences", Shape::Json(silences), "Silences, without the people behind them"),
            document("receivers", "/api/v2/receivers", Shape::Raw, "Names of receivers"),
            Ask::get(
                "metrics",
                "/metrics",
                format!("{}/metrics.prom", self.dir),
                Shape::Text,
                "Failed notifications, reloads",
            ),
        ];
        Ok(Done::ok().and_spawn(asks.into_iter().map(|ask| ask.item(&self.dir, COLLECTOR, &http)).collect()))
    }
}

impl Source for Alertmanager {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

/// The status with its configuration sanitised. One that is no YAML is not kept, and the reason takes its place.
fn kept_status(mut status: Value) -> Value {
    let original = status.pointer("/config/original").and_then(Value::as_str).unwrap_or_default();
    let config = scrub::config(original).unwrap_or_else(|e| json!({"not_kept": e.to_string()}));
    status["config"] = config;
    status
}

fn cleaned(mut answer: Value) -> Result<Value, CollectError> {
    scrub::clean_document(&mut answer);
    Ok(answer)
}

/// Silences: their makers by number, of comments the length.
fn silences(answer: Value) -> Result<Value, CollectError> {
    let Value::Array(mut list) = answer else {
        return Err(CollectError::Failed("the list of silences is no list".to_owned()));
    };
    let mut people = People::default();
    for silence in &mut list {
        let Some(silence) = silence.as_object_mut() else { continue };
        if let Some(maker) = silence.get("createdBy").and_then(Value::as_str).map(str::to_owned) {
            silence.insert("createdBy".to_owned(), json!(people.number(&maker)));
        }
        if let Some(comment) = silence.remove("comment") {
            silence.insert("comment_length".to_owned(), json!(comment.as_str().map_or(0, |c| c.chars().count())));
        }
    }
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silences_do_not_name_people() {
        let answer = json!([{"id": "1", "createdBy": "planted@example.com", "comment": "ask planted", "matchers": []},
            {"id": "2", "createdBy": "planted@example.com"}]);
        let kept = silences(answer).unwrap();
        assert!(!kept.to_string().contains("planted"), "{kept}");
        assert_eq!(kept[0]["createdBy"], kept[1]["createdBy"]);
        assert_eq!(kept[0]["comment_length"], 11);
        assert!(silences(json!({})).is_err());
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_not_kept() {
        let kept = kept_status(json!({"config": {"original": "a: [planted"}, "uptime": "x"}));
        assert!(!kept.to_string().contains("planted") && kept.to_string().contains("no YAML"), "{kept}");
    }
}
