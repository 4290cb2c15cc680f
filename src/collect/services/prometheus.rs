//! Prometheus, through its HTTP API: state, targets, rules, alerts, and the series that the profile names.
//!
//! Never asked: the admin API, reload, quit, pprof.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};

use super::ask::{Ask, DOCUMENT_MAX, Shape};
use super::http::Http;
use super::item::{directory, note_connection, put_json};
use super::scrub;
use super::target::Target;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Limits, Sink};

const COLLECTOR: &str = "services/prometheus";
/// Points of a range query.
const POINTS: u64 = 240;
const STEP_MIN: u64 = 15;
const WINDOW: Duration = Duration::from_secs(3600);
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);
/// Series whose values now are always asked for: what is up, and how many samples of it are stored.
const NOW: [(&str, &str); 2] = [("up", "up"), ("samples-stored", "scrape_samples_post_metric_relabeling")];

/// One server.
struct Prometheus {
    target: Target,
    dir: String,
    series: Vec<String>,
}

/// The item of a server.
pub(super) fn item(target: Target, series: &[String]) -> Arc<dyn Item> {
    let dir = directory("prometheus", &target.name);
    let what = format!("Prometheus at {}: targets, rules, alerts, configuration, series", target.url);
    let source = Prometheus { target, dir: dir.clone(), series: series.to_vec() };
    Arc::new(SourceItem::new(&dir, COLLECTOR, what, Lane::Discover, source))
}

/// Looks whether a Prometheus answers, and plans the questions to it. `dir` is its directory, and `series` are the queries whose
/// values over time are kept.
///
/// # Errors
/// When it does not answer, refuses, or is none.
pub(in crate::collect) async fn begin(
    sink: &Sink,
    http: Http,
    dir: &str,
    series: &[String],
) -> Result<Done, CollectError> {
    let http = Arc::new(http);
    let first = http.get(sink, "/api/v1/status/buildinfo", DOCUMENT_MAX).await;
    note_connection(sink, dir, &http, first.as_ref())?;
    let build = first?;
    // A login page stands behind a redirect, and is not followed to another host.
    if matches!(build.status, 300..=399 | 401 | 403 | 407) {
        let text = format!("{} asks for a login: HTTP {}", http.shown(), build.status);
        return Err(CollectError::Forbidden(text));
    }
    if let Some(refusal) = build.refusal() {
        return Err(refusal);
    }
    let build = data(build.json()?)
        .map_err(|_| CollectError::Failed(format!("{} answers, but is no Prometheus", http.shown())))?;
    put_json(sink, &format!("{dir}/buildinfo.json"), &build)?;
    Ok(Done::ok().and_spawn(questions(&http, dir, series, sink.limits())))
}

fn questions(http: &Arc<Http>, dir: &str, series: &[String], limits: &Limits) -> Vec<Arc<dyn Item>> {
    let document = |id: &str, path: &str, shape: Shape, what: &'static str| {
        Ask::get(id, path, format!("{dir}/{id}.json"), shape, what)
    };
    let mut asks = vec![
        document("runtimeinfo", "/api/v1/status/runtimeinfo", Shape::Json(data), "Reload state, corruption, retention"),
        document("flags", "/api/v1/status/flags", Shape::Json(data), "Flags, such as whether the admin API is open"),
        document(
            "config",
            "/api/v1/status/config",
            Shape::Json(config),
            "Configuration, without names, headers and queries",
        ),
        document("tsdb", "/api/v1/status/tsdb", Shape::Json(data), "Head of the database and its cardinality"),
        document(
            "targets",
            "/api/v1/targets?state=active",
            Shape::Json(targets),
            "Health and last error of each target",
        ),
        document("rules", "/api/v1/rules", Shape::Raw, "Rules with their health and state"),
        document("alerts", "/api/v1/alerts", Shape::Raw, "Alerts that fire or pend"),
        document("alertmanagers", "/api/v1/alertmanagers", Shape::Json(cleaned), "Where alerts are sent"),
        document(
            "metric-names",
            "/api/v1/label/__name__/values",
            Shape::Json(data),
            "Names of all series, to find blind rules",
        ),
    ];
    asks.push(Ask::get("ready", "/-/ready", format!("{dir}/ready.txt"), Shape::Text, "Whether it serves queries"));
    asks.push(Ask::get("metrics", "/metrics", format!("{dir}/metrics.prom"), Shape::Text, "Its own counters"));
    for (id, query) in NOW {
        asks.push(document(id, &with_query("/api/v1/query", &[("query", query)]), Shape::Json(data), "Values now"));
    }
    let (start, end, step) = window(limits);
    for query in series.iter().map(String::as_str).chain(["up"]) {
        let path = with_query(
            "/api/v1/query_range",
            &[("query", query), ("start", &start.to_string()), ("end", &end.to_string()), ("step", &step.to_string())],
        );
        let id = format!("series/{}", slug(query));
        asks.push(Ask::get(
            &id,
            &path,
            format!("{dir}/{id}.json"),
            Shape::Json(data),
            "Values over the time of the run",
        ));
    }
    asks.into_iter().map(|ask| ask.item(dir, COLLECTOR, http)).collect()
}

impl Source for Prometheus {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        async {
            let http = Http::new(&self.target, sink.limits().request_timeout)?;
            begin(sink, http, &self.dir, &self.series).await.map_err(|error| match error {
                CollectError::Forbidden(text) => {
                    CollectError::Forbidden(format!("{text} (try: a token or a user that may read it)"))
                }
                other => other,
            })
        }
        .boxed()
    }
}

/// Start, end and step of range queries, in seconds.
fn window(limits: &Limits) -> (i64, i64, u64) {
    let length = limits.since.unwrap_or(WINDOW).clamp(Duration::from_secs(60), WINDOW_MAX);
    let end = Utc::now().timestamp();
    let start = end - i64::try_from(length.as_secs()).unwrap_or_default();
    (start, end, (length.as_secs() / POINTS).max(STEP_MIN))
}

/// A path with an encoded query.
fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else { return path.to_owned() };
    url.query_pairs_mut().extend_pairs(pairs);
    format!("{path}?{}", url.query().unwrap_or_default())
}

/// A name for a query that is a file name: what is no letter or digit becomes a dash.
fn slug(query: &str) -> String {
    let mut out = String::new();
    for c in query.chars().take(100) {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_matches('-').to_owned()
}

/// The `data` of an answer.
fn data(mut answer: Value) -> Result<Value, CollectError> {
    if answer.get("status").and_then(Value::as_str) != Some("success") {
        let error = answer.get("error").and_then(Value::as_str).unwrap_or("the answer has no status");
        return Err(CollectError::Failed(error.to_owned()));
    }
    Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
}

fn cleaned(answer: Value) -> Result<Value, CollectError> {
    let mut kept = data(answer)?;
    scrub::clean_document(&mut kept);
    Ok(kept)
}

fn config(answer: Value) -> Result<Value, CollectError> {
    let kept = data(answer)?;
    scrub::config(kept.get("yaml").and_then(Value::as_str).unwrap_or_default())
}

/// Targets without discovered labels, which hold annotations and parameters of requests.
fn targets(answer: Value) -> Result<Value, CollectError> {
    const KEPT: [&str; 9] = [
        "labels",
        "scrapePool",
        "scrapeUrl",
        "globalUrl",
        "lastError",
        "lastScrape",
        "lastScrapeDuration",
        "health",
        "scrapeInterval",
    ];
    let mut all = data(answer)?;
    let Some(Value::Array(active)) = all.get_mut("activeTargets").map(Value::take) else {
        return Err(CollectError::Failed("the list of targets is no list".to_owned()));
    };
    let active: Vec<Value> = active
        .into_iter()
        .map(|target| {
            let Value::Object(mut target) = target else { return Value::Null };
            target.retain(|key, _| KEPT.contains(&key.as_str()));
            let mut target = Value::Object(target);
            scrub::clean_document(&mut target);
            target
        })
        .collect();
    Ok(json!({ "activeTargets": active }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_lose_discovered_labels_and_tokens() {
        let answer = json!({"status": "success", "data": {"activeTargets": [{
            "discoveredLabels": {"__param_token": "planted"}, "labels": {"job": "a"}, "health": "down",
            "scrapeUrl": "http://h/m?token=planted", "lastError": "Get \"http://h/m?token=planted\": refused"}]}});
        let kept = targets(answer).unwrap();
        assert!(!kept.to_string().contains("planted"), "{kept}");
        assert_eq!(kept["activeTargets"][0]["labels"]["job"], "a");
        assert_eq!(kept["activeTargets"][0]["scrapeUrl"], "http://h/m?token");
    }

    #[test]
    fn an_error_of_the_server_is_told() {
        let error = data(json!({"status": "error", "error": "bad query"})).unwrap_err();
        assert_eq!(error.to_string(), "bad query");
        assert!(data(json!("x")).is_err());
        assert!(targets(json!({"status": "success", "data": {"activeTargets": 1}})).is_err());
    }

    #[test]
    fn queries_become_paths_and_names() {
        assert_eq!(with_query("/q", &[("query", "a{b=\"c d\"}&")]), "/q?query=a%7Bb%3D%22c+d%22%7D%26");
        assert_eq!(slug("rate(a_b{c=\"d\"}[5m]) > 0"), "rate-a_b-c-d-5m-0");
        let (start, end, step) = window(&Limits { since: Some(Duration::from_secs(7 * 86_400)), ..Limits::default() });
        assert_eq!((end - start, step), (86_400, 360));
    }
}
