//! Nodes that speak JSON-RPC over HTTP, within a small budget of calls.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::http::{Http, Reply};
use super::item::{directory, note_connection, put_json};
use super::target::Target;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::Outcome;
use crate::profile;

/// Calls to one node, the second reading included. Nodes count calls before they look at credentials.
const CALLS_MAX: usize = 10;
/// Largest answer that is kept.
const ANSWER_MAX: usize = 256 << 10;
/// Wait before the first method is asked again.
const SECOND_READING: Duration = Duration::from_secs(3);

struct Node {
    target: Target,
    dir: String,
    methods: Vec<String>,
    timeout: Duration,
}

/// The item of a node.
pub(super) fn item(own: &profile::JsonRpc, target: Target, timeout: Duration) -> Arc<dyn Item> {
    let dir = directory("jsonrpc", &target.name);
    let what = format!("At most {CALLS_MAX} reads over JSON-RPC at {}", target.url);
    // The schema refuses other methods; a profile made in memory is checked here as well.
    let methods = own.methods.iter().filter(|m| profile::is_read_method(m)).take(CALLS_MAX - 1).cloned().collect();
    Arc::new(SourceItem::new(
        &dir,
        "services/jsonrpc",
        what,
        Lane::Probe,
        Node { target, dir: dir.clone(), methods, timeout },
    ))
}

/// What a call gave.
enum Answer {
    Result(Value),
    /// The node does not know the method.
    Unknown(String),
    Refused(String),
    Throttled(String),
    Failed(String),
}

impl Node {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let http = Http::new(&self.target, self.timeout)?;
        let mut calls = Vec::new();
        let mut stop = None;
        let mut results = 0;
        let mut queue: Vec<(&str, bool)> = self.methods.iter().map(|m| (m.as_str(), false)).collect();
        queue.extend(self.methods.first().map(|m| (m.as_str(), true)));
        for (number, (method, again)) in queue.into_iter().enumerate() {
            if again {
                if results == 0 {
                    break;
                }
                tokio::time::sleep(SECOND_READING).await;
            }
            let body = json!({"jsonrpc": "2.0", "id": number + 1, "method": method, "params": []});
            let reply = http.read_by_post(sink, "/", &body, ANSWER_MAX).await;
            if number == 0 {
                note_connection(sink, &self.dir, &http, reply.as_ref())?;
            }
            let reply = match reply {
                Ok(reply) => reply,
                Err(error) if number == 0 => return Err(error),
                Err(error) => {
                    calls.push(json!({"method": method, "outcome": error.outcome(), "error": error.to_string()}));
                    stop = Some(error.to_string());
                    break;
                }
            };
            let took = u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX);
            let mut call = json!({"method": method, "http_status": reply.status, "took_ms": took});
            match read(&reply) {
                Answer::Result(value) => {
                    results += 1;
                    call["outcome"] = json!("ok");
                    call["result"] = value;
                }
                Answer::Unknown(text) => {
                    call["outcome"] = json!("not-applicable");
                    call["error"] = json!(text);
                }
                Answer::Refused(text) => {
                    call["outcome"] = json!("forbidden");
                    call["error"] = json!(text);
                    stop = Some(format!("{} refuses the credentials: {text}", http.shown()));
                }
                Answer::Throttled(text) => {
                    call["outcome"] = json!("throttled");
                    call["error"] = json!(text);
                    stop = Some(format!("{} asks to slow down: {text}", http.shown()));
                }
                Answer::Failed(text) => {
                    call["outcome"] = json!("failed");
                    call["error"] = json!(text);
                }
            }
            let refused = call["outcome"] == "forbidden";
            calls.push(call);
            if stop.is_some() {
                self.write(sink, &http, &calls)?;
                let reason = stop.take().unwrap_or_default();
                return if refused {
                    Err(CollectError::Forbidden(reason))
                } else {
                    Ok(Done::with(Outcome::Truncated, reason))
                };
            }
        }
        let failed = calls.iter().filter(|c| c["outcome"] == "failed").count();
        self.write(sink, &http, &calls)?;
        match (stop, failed, results) {
            (Some(reason), _, _) => Ok(Done::with(Outcome::Truncated, reason)),
            (None, 0, 0) => Ok(Done::with(Outcome::NotApplicable, "the node knows none of these methods")),
            (None, 0, _) => Ok(Done::ok()),
            (None, failed, 0) => Err(CollectError::Failed(format!("all {failed} calls failed; calls.json says how"))),
            (None, failed, _) => {
                Ok(Done::with(Outcome::Truncated, format!("{failed} calls failed; calls.json says how")))
            }
        }
    }

    fn write(&self, sink: &Sink, http: &Http, calls: &[Value]) -> Result<(), CollectError> {
        let document = json!({"address": http.shown(), "calls": calls});
        put_json(sink, &format!("{}/calls.json", self.dir), &document)
    }
}

/// Reads an answer of either kind: an envelope of JSON-RPC, or `{"result": ...}` and `{"error": "..."}`.
fn read(reply: &Reply) -> Answer {
    let body = reply.json();
    let error = body.as_ref().ok().and_then(|b| b.get("error")).filter(|e| !e.is_null());
    let code = error.and_then(|e| e.get("code")).and_then(Value::as_i64);
    let text = error
        .and_then(|e| e.as_str().or_else(|| e.get("message").and_then(Value::as_str)))
        .map_or_else(|| reply.excerpt(), str::to_owned);
    match (reply.status, &body) {
        (401 | 403, _) => Answer::Refused(text),
        (429, _) => Answer::Throttled(text),
        _ if code == Some(-32601) || text.to_ascii_lowercase().contains("unknown method") => Answer::Unknown(text),
        (200..=299, Ok(body)) if error.is_none() && body.get("result").is_some() => {
            Answer::Result(body.get("result").cloned().unwrap_or_default())
        }
        (200..=299, Err(error)) => Answer::Failed(error.to_string()),
        (status, _) => Answer::Failed(format!("HTTP {status}: {text}")),
    }
}

impl Source for Node {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(status: u16, body: &str) -> &'static str {
        let reply = Reply { status, body: body.as_bytes().to_vec(), cut: false, took: Duration::ZERO, tls: None };
        match read(&reply) {
            Answer::Result(_) => "result",
            Answer::Unknown(_) => "unknown",
            Answer::Refused(_) => "refused",
            Answer::Throttled(_) => "throttled",
            Answer::Failed(_) => "failed",
        }
    }

    #[test]
    fn answers_of_both_kinds_are_read() {
        for (status, body, want) in [
            (200, r#"{"result":51230}"#, "result"),
            (200, r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#, "result"),
            (200, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#, "unknown"),
            (400, r#"{"error":"unknown method"}"#, "unknown"),
            (401, r#"{"error":"auth required"}"#, "refused"),
            (429, r#"{"error":"rate limited"}"#, "throttled"),
            (500, r#"{"error":"boom"}"#, "failed"),
            (200, "<html>", "failed"),
            (200, "{}", "failed"),
        ] {
            assert_eq!(word(status, body), want, "{body}");
        }
    }
}
