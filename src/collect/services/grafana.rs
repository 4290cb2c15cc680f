//! Grafana: its health, and with a login its data sources with the health of each, its alert rules and its dashboards' names.
//!
//! Never asked: users, snapshots, settings, the content of dashboards.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::ask::{Ask, DOCUMENT_MAX, Shape};
use super::docker::pick;
use super::http::Http;
use super::item::{directory, note_connection, put_json};
use super::scrub;
use super::target::Target;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::Outcome;

const COLLECTOR: &str = "services/grafana";
/// Data sources whose health is asked.
const SOURCES_MAX: usize = 20;
/// What of a data source is kept: no user, no password, no header.
const KEPT: [&str; 10] = [
    "uid",
    "name",
    "type",
    "access",
    "url",
    "isDefault",
    "readOnly",
    "basicAuth",
    "withCredentials",
    "secureJsonFields",
];
/// What of its settings is kept.
const SETTINGS: [&str; 9] = [
    "httpMethod",
    "timeInterval",
    "tlsAuth",
    "tlsAuthWithCACert",
    "tlsSkipVerify",
    "sslmode",
    "manageAlerts",
    "prometheusType",
    "implementation",
];

struct Grafana {
    target: Target,
    dir: String,
    timeout: Duration,
}

/// The item of a server.
pub(super) fn item(target: Target, timeout: Duration) -> Arc<dyn Item> {
    let dir = directory("grafana", &target.name);
    let what = format!("Grafana at {}: health, and with a login its data sources and alert rules", target.url);
    Arc::new(SourceItem::new(&dir, COLLECTOR, what, Lane::Discover, Grafana { target, dir: dir.clone(), timeout }))
}

impl Grafana {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let http = Arc::new(Http::new(&self.target, self.timeout)?);
        let first = http.get(sink, "/api/health", DOCUMENT_MAX).await;
        note_connection(sink, &self.dir, &http, first.as_ref())?;
        let reply = first?;
        // 503 says with a document that its database fails.
        if reply.status != 503
            && let Some(refusal) = reply.refusal()
        {
            return Err(refusal);
        }
        let health = reply.json()?;
        if health.get("database").and_then(Value::as_str).is_none() {
            return Err(CollectError::Failed(format!("{} answers, but is no Grafana", http.shown())));
        }
        put_json(sink, &format!("{}/health.json", self.dir), &health)?;
        let mut items = vec![
            Ask::get("metrics", "/metrics", format!("{}/metrics.prom", self.dir), Shape::Text, "Its own counters")
                .item(&self.dir, COLLECTOR, &http),
        ];
        let login = self.target.credentials.basic.is_some() || self.target.credentials.token.is_some();
        let sources = Sources { http: Arc::clone(&http), dir: self.dir.clone(), login };
        let what = "Data sources without users and passwords, and whether each works";
        items.push(Arc::new(SourceItem::new(
            &format!("{}/datasources", self.dir),
            COLLECTOR,
            what,
            Lane::Probe,
            sources,
        )));
        if login {
            for (id, path, shape, what) in [
                (
                    "rules",
                    "/api/prometheus/grafana/api/v1/rules",
                    Shape::Json(rules as _),
                    "State of its own alert rules",
                ),
                ("dashboards", "/api/search?type=dash-db&limit=1000", Shape::Json(dashboards), "Names of dashboards"),
            ] {
                let ask = Ask::get(id, path, format!("{}/{id}.json", self.dir), shape, what);
                items.push(ask.item(&self.dir, COLLECTOR, &http));
            }
        }
        let failing = (reply.status == 503).then(|| "HTTP 503: its database fails".to_owned());
        Ok(Done { outcome: Outcome::Ok, reason: failing, spawn: items })
    }
}

impl Source for Grafana {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

struct Sources {
    http: Arc<Http>,
    dir: String,
    login: bool,
}

impl Sources {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        if !self.login {
            return Err(CollectError::NotApplicable(
                "data sources need a login (try: --set with the user and password of a viewer; casefile profiles show)"
                    .to_owned(),
            ));
        }
        let reply = self.http.get(sink, "/api/datasources", DOCUMENT_MAX).await?;
        if let Some(refusal) = reply.refusal() {
            return Err(refusal);
        }
        let Value::Array(all) = reply.json()? else {
            return Err(CollectError::Failed("the list of data sources is no list".to_owned()));
        };
        let kept: Vec<Value> = all.iter().map(source).collect();
        put_json(sink, &format!("{}/datasources.json", self.dir), &Value::Array(kept.clone()))?;
        let mut problems = Vec::new();
        for source in kept.iter().take(SOURCES_MAX) {
            let text = |key: &str| source[key].as_str().unwrap_or_default();
            let uid = text("uid");
            if !is_uid(uid) {
                continue;
            }
            match self.http.get(sink, &format!("/api/datasources/uid/{uid}/health"), DOCUMENT_MAX).await {
                Ok(reply) => {
                    let body = reply.json().unwrap_or_default();
                    let said = |key: &str| scrub::clean_urls(body[key].as_str().unwrap_or_default());
                    let document = json!({"name": text("name"), "type": text("type"), "http_status": reply.status,
                        "status": said("status"), "message": said("message")});
                    put_json(sink, &format!("{}/datasource-health/{uid}.json", self.dir), &document)?;
                }
                Err(error @ CollectError::Spool(_)) => return Err(error),
                Err(error) => {
                    problems.push(format!("{}: {error}", text("name")));
                    break;
                }
            }
        }
        if kept.len() > SOURCES_MAX {
            problems.push(format!("the health of {SOURCES_MAX} of {} data sources was asked", kept.len()));
        }
        if problems.is_empty() { Ok(Done::ok()) } else { Ok(Done::with(Outcome::Truncated, problems.join("; "))) }
    }
}

impl Source for Sources {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

/// Whether a uid may stand in a path.
fn is_uid(uid: &str) -> bool {
    (1..=64).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What of a data source is kept.
fn source(from: &Value) -> Value {
    let mut kept = pick(from, &KEPT);
    kept["jsonData"] = pick(from.get("jsonData").unwrap_or(&Value::Null), &SETTINGS);
    // A newer server may put values where there were only booleans.
    if let Some(fields) = kept.get_mut("secureJsonFields").and_then(Value::as_object_mut) {
        fields.values_mut().for_each(|v| *v = json!(v.as_bool().unwrap_or(true)));
    }
    scrub::clean_document(&mut kept);
    kept
}

/// Alert rules of Grafana: name, state, health and last error.
fn rules(mut answer: Value) -> Result<Value, CollectError> {
    let Some(Value::Array(groups)) = answer.pointer_mut("/data/groups").map(Value::take) else {
        return Err(CollectError::Failed("the list of rules has no groups".to_owned()));
    };
    let rule = |r: &Value| pick(r, &["name", "state", "health", "lastError", "type", "lastEvaluation"]);
    let groups = groups.iter().map(|g| {
        let rules: Vec<Value> = g["rules"].as_array().into_iter().flatten().map(rule).collect();
        json!({"name": g["name"], "rules": rules})
    });
    let mut kept = json!({"groups": groups.collect::<Vec<_>>()});
    scrub::clean_document(&mut kept);
    Ok(kept)
}

fn dashboards(answer: Value) -> Result<Value, CollectError> {
    let Value::Array(all) = answer else {
        return Err(CollectError::Failed("the list of dashboards is no list".to_owned()));
    };
    Ok(Value::Array(all.iter().map(|d| pick(d, &["uid", "title", "folderTitle"])).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_source_keeps_no_credentials() {
        let kept = source(
            &json!({"uid": "a", "name": "P", "type": "prometheus", "url": "http://u:planted@h:9090/p?key=planted",
            "user": "planted", "basicAuthUser": "planted", "password": "planted", "basicAuth": true,
            "jsonData": {"httpHeaderName1": "planted", "httpMethod": "POST"}, "secureJsonFields": {"password": "planted", "t": false},
            "secureJsonData": {"password": "planted"}}),
        );
        let text = kept.to_string();
        assert!(!text.contains("planted"), "{text}");
        assert_eq!((&kept["url"], &kept["jsonData"]["httpMethod"]), (&json!("http://h:9090/p?key"), &json!("POST")));
        assert_eq!(kept["secureJsonFields"], json!({"password": true, "t": false}));
    }

    #[test]
    fn other_answers_are_refused() {
        assert!(rules(json!({"data": 1})).is_err() && dashboards(json!({})).is_err());
        let kept = rules(
            json!({"data": {"groups": [{"name": "g", "rules": [{"name": "r", "query": "planted", "state": "ok"}]}]}}),
        );
        assert_eq!(kept.unwrap(), json!({"groups": [{"name": "g", "rules": [{"name": "r", "state": "ok"}]}]}));
        for bad in ["", "a/b", "..", "a?b"] {
            assert!(!is_uid(bad), "{bad}");
        }
    }
}
