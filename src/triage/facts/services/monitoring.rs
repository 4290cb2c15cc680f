//! What Prometheus says: targets, rules, alerts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::At;
use super::super::value::{list, map, string};
use super::promql;

/// Elements that are kept of one list.
const ITEMS_MAX: usize = 20_000;

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) at: At,
    pub(crate) source: String,
    pub(crate) job: String,
    pub(crate) instance: String,
    /// `up`, `down` or `unknown`.
    pub(crate) health: String,
    pub(crate) error: String,
    /// Host and port that are really asked.
    pub(crate) host: String,
    pub(crate) url: String,
    /// Samples of the last scrape, -1 when unknown.
    pub(crate) stored: f64,
}

/// A rule that alerts or records.
#[derive(Debug)]
pub(crate) struct AlertRule {
    pub(crate) at: At,
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) alerting: bool,
    pub(crate) query: String,
    pub(crate) health: String,
    pub(crate) error: String,
    pub(crate) state: String,
    /// Series that the query needs.
    pub(crate) metrics: Vec<String>,
    /// Those of them that do not exist.
    pub(crate) missing: Vec<String>,
    /// Why it cannot mean what it says; empty where nothing is seen.
    pub(crate) flaw: &'static str,
}

/// What a range query gave for one series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) at: At,
    pub(crate) source: String,
    /// Name of the artifact, made of the query.
    pub(crate) query: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) points: i64,
    pub(crate) span_s: i64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// How often it fell from above half of its largest value to below a quarter of it.
    pub(crate) falls: i64,
}

/// The series of a matrix; values that are no number do not count.
pub(super) fn series(source: &str, query: &str, value: &Value, at: &dyn Fn(String) -> At) -> Vec<Series> {
    let (value, base) = data(value);
    let all = list(value, "/result").iter().enumerate().take(ITEMS_MAX);
    all.filter_map(|(i, row)| {
        let point = |p: &Value| Some((p.get(0)?.as_f64()?, p.get(1)?.as_str()?.parse::<f64>().ok()?));
        let points: Vec<(f64, f64)> =
            list(row, "/values").iter().filter_map(point).filter(|p| p.1.is_finite()).collect();
        let (start, end) = (points.first()?, points.last()?);
        let max = points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
        let (mut high, mut falls) = (false, 0);
        for (_, value) in &points {
            if *value > max / 2.0 {
                high = true;
            } else if high && *value < max / 4.0 {
                high = false;
                falls += 1;
            }
        }
        Some(Series {
            at: at(format!("{base}/result/{i}")),
            source: source.to_owned(),
            query: query.to_owned(),
            labels: map(row, "/metric"),
            points: i64::try_from(points.len()).unwrap_or(i64::MAX),
            #[expect(clippy::cast_possible_truncation, reason = "seconds between two times; a cast saturates")]
            span_s: (end.0 - start.0) as i64,
            first: start.1,
            last: end.1,
            min: points.iter().map(|p| p.1).fold(f64::MAX, f64::min),
            max,
            falls,
        })
    })
    .collect()
}

pub(super) fn targets(source: &str, value: &Value, at: &dyn Fn(String) -> At) -> Vec<Target> {
    let all = list(value, "/activeTargets").iter().enumerate().take(ITEMS_MAX);
    all.map(|(i, t)| {
        let url = string(t, "/scrapeUrl");
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        Target {
            at: at(format!("/activeTargets/{i}")),
            source: source.to_owned(),
            job: string(t, "/labels/job"),
            instance: string(t, "/labels/instance"),
            health: string(t, "/health"),
            error: string(t, "/lastError"),
            host: rest.split(['/', '?']).next().unwrap_or_default().to_owned(),
            url,
            stored: -1.0,
        }
    })
    .collect()
}

/// The part of an answer that is below `data`; other tools keep only that part.
fn data(value: &Value) -> (&Value, &'static str) {
    value.get("data").map_or((value, ""), |data| (data, "/data"))
}

pub(super) fn rules(source: &str, value: &Value, at: &dyn Fn(String) -> At) -> Vec<AlertRule> {
    let (value, base) = data(value);
    let mut found = Vec::new();
    for (g, group) in list(value, "/groups").iter().enumerate() {
        for (r, rule) in list(group, "/rules").iter().enumerate() {
            if found.len() >= ITEMS_MAX {
                return found;
            }
            let query = string(rule, "/query");
            found.push(AlertRule {
                at: at(format!("{base}/groups/{g}/rules/{r}")),
                source: source.to_owned(),
                name: string(rule, "/name"),
                alerting: string(rule, "/type") == "alerting",
                health: string(rule, "/health"),
                error: string(rule, "/lastError"),
                state: string(rule, "/state"),
                metrics: promql::series(&query),
                flaw: promql::flaw(&query).unwrap_or_default(),
                query,
                missing: Vec::new(),
            });
        }
    }
    found
}

pub(super) fn names(value: &Value) -> BTreeSet<String> {
    let (value, _) = data(value);
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Job, instance and value of each element of a vector.
pub(super) fn stored(value: &Value) -> Vec<(String, String, f64)> {
    let (value, _) = data(value);
    let all = list(value, "/result").iter();
    all.filter_map(|r| {
        let number = r.pointer("/value/1").and_then(Value::as_str)?.parse().ok()?;
        Some((string(r, "/metric/job"), string(r, "/metric/instance"), number))
    })
    .collect()
}
