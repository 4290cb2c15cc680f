//! etcd, through the HTTP gateway of its members: health, version, status, members, alarms, and names of keys.
//!
//! Values are never read, and nothing is written: of the gateway's POST calls only those that read are sent.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use super::http::{Http, Reply};
use super::item::{directory, note_connection, put_json};
use super::metrics;
use super::scrub;
use super::target::{Target, authority};
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Limits, Sink};
use crate::model::Outcome;
use crate::redact::Format;

const COLLECTOR: &str = "services/etcd";
/// Calls that need a leader hang without one; they get this long at most.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// Keys that are named under one prefix; all are counted.
const KEYS_MAX: u64 = 500;
const SMALL: usize = 1 << 20;
const METRICS_MAX: usize = 8 << 20;

struct Etcd {
    members: Vec<Target>,
    dir: String,
    prefixes: Vec<String>,
    timeout: Duration,
}

/// The item of a cluster.
pub(super) fn item(name: &str, members: Vec<Target>, prefixes: &[String], limits: &Limits) -> Arc<dyn Item> {
    let dir = directory("etcd", name);
    let what = format!("etcd: health and status of {} members, alarms, names of keys", members.len());
    let timeout = limits.request_timeout.min(ANSWER_MAX);
    let source = Etcd { members, dir: dir.clone(), prefixes: prefixes.to_vec(), timeout };
    Arc::new(SourceItem::new(&dir, COLLECTOR, what, Lane::Probe, source))
}

/// What one member said.
struct Member<'a> {
    http: Http,
    target: &'a Target,
    health: Result<Reply, CollectError>,
}

impl Etcd {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let mut members = Vec::new();
        for target in &self.members {
            members.push((target, Http::new(target, self.timeout)?));
        }
        let asked = members.into_iter().map(|(target, http)| async move {
            let health = http.get(sink, "/health", SMALL).await;
            Member { http, target, health }
        });
        let members = join_all(asked).await;
        let mut problems = Vec::new();
        for result in join_all(members.iter().map(|m| self.member(sink, m))).await {
            problems.extend(result?);
        }
        let Some(first) = members.iter().find(|m| m.health.is_ok()) else {
            let Some(member) = members.into_iter().next() else {
                return Err(CollectError::NotApplicable("no member is named".to_owned()));
            };
            note_connection(sink, &self.dir, &member.http, member.health.as_ref())?;
            return match member.health {
                Err(error) => Err(error),
                Ok(_) => Err(CollectError::Failed("no member answers".to_owned())),
            };
        };
        note_connection(sink, &self.dir, &first.http, first.health.as_ref())?;
        problems.extend(self.cluster(sink, &first.http).await?);
        if problems.is_empty() {
            return Ok(Done::ok());
        }
        Ok(Done::with(Outcome::Truncated, problems.join("; ")))
    }

    /// Writes what a member says of itself; gives what could not be asked.
    async fn member(&self, sink: &Sink, member: &Member<'_>) -> Result<Option<String>, CollectError> {
        let Member { http, target, health } = member;
        let name = authority(&target.url).replace(':', "_");
        let mut document = json!({"endpoint": http.shown(), "name": target.name});
        let health = match health {
            Ok(health) => health,
            Err(error) => {
                document["reachable"] = json!(false);
                document["error"] = json!(error.to_string());
                put_json(sink, &format!("{}/members/{name}.json", self.dir), &document)?;
                return Ok(Some(error.to_string()));
            }
        };
        document["reachable"] = json!(true);
        document["health"] =
            json!({"http_status": health.status, "body": health.json().unwrap_or_else(|_| json!(health.excerpt()))});
        for (part, path) in [("version", "/version"), ("status", "/v3/maintenance/status")] {
            let reply = if part == "version" {
                http.get(sink, path, SMALL).await
            } else {
                http.read_by_post(sink, path, &json!({}), SMALL).await
            };
            document[part] = said(reply);
        }
        put_json(sink, &format!("{}/members/{name}.json", self.dir), &document)?;
        let reply = http.get(sink, "/metrics", METRICS_MAX).await;
        Ok(match reply {
            Ok(reply) if reply.is_success() => match metrics::problem(&reply.body) {
                None => {
                    sink.put(
                        &format!("{}/members/{name}.prom", self.dir),
                        Format::Text,
                        &scrub::clean_lines(&reply.body),
                    )?;
                    None
                }
                Some(problem) => Some(format!("{}: {problem}", http.shown())),
            },
            Ok(reply) => Some(format!("{}: metrics: HTTP {}", http.shown(), reply.status)),
            Err(error) => Some(error.to_string()),
        })
    }

    /// Asks one member about the cluster.
    async fn cluster(&self, sink: &Sink, http: &Http) -> Result<Vec<String>, CollectError> {
        let mut problems = Vec::new();
        let questions = [
            ("member-list", "/v3/cluster/member/list", json!({})),
            ("alarms", "/v3/maintenance/alarm", json!({"action": "GET"})),
        ];
        for (file, path, body) in questions {
            let answer = said(http.read_by_post(sink, path, &body, SMALL).await);
            if let Some(error) = answer.get("casefile_error").and_then(Value::as_str) {
                problems.push(format!("{file}: {error}"));
            }
            put_json(sink, &format!("{}/{file}.json", self.dir), &answer)?;
        }
        let mut inventory = Vec::new();
        for prefix in &self.prefixes {
            let answer = http.read_by_post(sink, "/v3/kv/range", &range(prefix), 4 << 20).await;
            let entry = match answer.and_then(|r| r.refusal().map_or_else(|| r.json(), Err)) {
                Ok(answer) => keys(prefix, &answer),
                Err(error) => {
                    problems.push(format!("keys of {prefix}: {error}"));
                    json!({"prefix": prefix, "error": error.to_string()})
                }
            };
            inventory.push(entry);
        }
        if !inventory.is_empty() {
            put_json(sink, &format!("{}/keys.json", self.dir), &Value::Array(inventory))?;
        }
        Ok(problems)
    }
}

impl Source for Etcd {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

/// An answer, or what was answered instead of it.
fn said(reply: Result<Reply, CollectError>) -> Value {
    match reply {
        Ok(reply) => match reply.json() {
            Ok(body) if reply.is_success() => body,
            Ok(body) => {
                let error = body.get("error").or_else(|| body.get("message")).cloned().unwrap_or_default();
                json!({"http_status": reply.status, "casefile_error": error.as_str().unwrap_or("refused")})
            }
            Err(error) => json!({"http_status": reply.status, "casefile_error": error.to_string()}),
        },
        Err(error) => json!({"casefile_error": error.to_string()}),
    }
}

/// A request for the names of keys. `serializable` asks the member itself, so that it also works without a leader.
fn range(prefix: &str) -> Value {
    let mut end = prefix.as_bytes().to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0),
    }
    let start: &[u8] = if prefix.is_empty() { b"\0" } else { prefix.as_bytes() };
    json!({
        "key": STANDARD.encode(start),
        "range_end": STANDARD.encode(end),
        "keys_only": true,
        "limit": KEYS_MAX.to_string(),
        "serializable": true,
    })
}

/// Names of keys, never their values.
fn keys(prefix: &str, answer: &Value) -> Value {
    let names: Vec<Value> = answer
        .get("kvs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|kv| {
            let raw = kv.get("key").and_then(Value::as_str).unwrap_or_default();
            let name = STANDARD.decode(raw).unwrap_or_default();
            json!({
                "key": String::from_utf8_lossy(&name),
                "version": kv.get("version"),
                "leased": kv.get("lease").is_some(),
            })
        })
        .collect();
    json!({
        "prefix": prefix,
        "count": answer.get("count").and_then(Value::as_str).and_then(|c| c.parse::<u64>().ok()).unwrap_or(0),
        "keys": names,
        "more": answer.get("more").and_then(Value::as_bool).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &Value) -> Vec<u8> {
        STANDARD.decode(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn ranges_ask_for_names_only() {
        let body = range("/votes/");
        assert_eq!((decoded(&body["key"]), decoded(&body["range_end"])), (b"/votes/".to_vec(), b"/votes0".to_vec()));
        assert_eq!(body["keys_only"], true);
        let all = range("");
        assert_eq!((decoded(&all["key"]), decoded(&all["range_end"])), (vec![0], vec![0]));
    }

    #[test]
    fn a_value_that_comes_anyway_is_not_kept() {
        let answer =
            json!({"count": "2", "kvs": [{"key": STANDARD.encode("/a"), "value": "cGxhbnRlZA==", "lease": "7"}]});
        let kept = keys("/", &answer);
        assert!(!kept.to_string().contains("cGxhbnRlZA") && !kept.to_string().contains("planted"), "{kept}");
        assert_eq!((kept["count"].as_u64(), &kept["keys"][0]["key"]), (Some(2), &json!("/a")));
    }
}
