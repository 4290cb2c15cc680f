//! Alerts of Prometheus: the body of `GET /api/v1/alerts`, one file for each Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::At;
use super::value::{list, map, string, text, time};
use crate::bundle::layout::PROMETHEUS_ALERTS;
use crate::model::time::Timestamp;
use crate::triage::finding::{Place, Subject};

/// Alerts that are kept of one file.
const ALERTS_MAX: usize = 2_000;

/// Labels that name an object in the same namespace, most telling first, and its kind.
const OBJECTS: [(&str, &str); 8] = [
    ("pod", "pod"),
    ("persistentvolumeclaim", "persistentvolumeclaim"),
    ("deployment", "deployment"),
    ("statefulset", "statefulset"),
    ("daemonset", "daemonset"),
    ("job_name", "job"),
    ("cronjob", "cronjob"),
    ("horizontalpodautoscaler", "horizontalpodautoscaler"),
];

/// An alert as Prometheus sees it now.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) at: At,
    pub(crate) name: String,
    /// The label of that name, in lower case; empty when it has none.
    pub(crate) severity: String,
    /// Whether it fires; it is pending otherwise.
    pub(crate) firing: bool,
    pub(crate) since: Option<Timestamp>,
    /// The annotation `summary`, or `description`, or `message`.
    pub(crate) summary: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The object that its labels name, or the alert itself.
    pub(crate) subject: Subject,
}

impl Alert {
    /// `KubePodCrashLooping (critical) fires: ...`
    pub(crate) fn show(&self) -> String {
        let severity = if self.severity.is_empty() { String::new() } else { format!(" ({})", self.severity) };
        let does = if self.firing { "fires" } else { "is pending" };
        let summary = if self.summary.is_empty() { String::new() } else { format!(": {}", self.summary) };
        format!("alert {}{severity} {does}{summary}", self.name)
    }
}

/// Whether a path is that of an answer about alerts.
pub(super) fn is_path(path: &str) -> bool {
    PROMETHEUS_ALERTS.split_once('*').is_some_and(|(head, tail)| {
        path.strip_prefix(head).and_then(|p| p.strip_suffix(tail)).is_some_and(|name| !name.contains('/'))
    })
}

/// Reads an answer; an alert without a name costs that alert.
///
/// # Errors
/// When Prometheus itself says that it failed, or the document has another shape.
pub(super) fn parse(path: &Arc<str>, answer: &Value) -> Result<Vec<Alert>, String> {
    if let Some(status) = answer.get("status").and_then(Value::as_str).filter(|s| *s != "success") {
        return Err(format!("Prometheus answered with status {status}: {}", text(answer, "/error")));
    }
    if !answer.pointer("/data/alerts").is_some_and(Value::is_array) {
        return Err("there is no list /data/alerts in it".to_owned());
    }
    let alerts = list(answer, "/data/alerts").iter().take(ALERTS_MAX).enumerate();
    Ok(alerts.filter_map(|(i, found)| alert(path, i, found)).collect())
}

fn alert(path: &Arc<str>, index: usize, found: &Value) -> Option<Alert> {
    let labels = map(found, "/labels");
    let name = labels.get("alertname").filter(|n| !n.is_empty())?.clone();
    let summary = ["/annotations/summary", "/annotations/description", "/annotations/message"]
        .iter()
        .map(|p| string(found, p))
        .find(|s| !s.is_empty());
    let subject = subject(&name, &labels);
    Some(Alert {
        at: At { path: Arc::clone(path), place: Place::Pointer(format!("/data/alerts/{index}")) },
        severity: labels.get("severity").map(|s| s.to_ascii_lowercase()).unwrap_or_default(),
        firing: text(found, "/state") == "firing",
        since: time(found, "/activeAt"),
        summary: summary.unwrap_or_default(),
        subject,
        name,
        labels,
    })
}

fn subject(name: &str, labels: &BTreeMap<String, String>) -> Subject {
    let namespace = labels.get("namespace").map_or("", String::as_str);
    if !namespace.is_empty() {
        for (label, kind) in OBJECTS {
            if let Some(object) = labels.get(label).filter(|o| !o.is_empty()) {
                return Subject::new(kind, namespace, object);
            }
        }
    }
    match labels.get("node").filter(|n| !n.is_empty()) {
        Some(node) => Subject::new("node", "", node),
        None => Subject::new("alert", namespace, name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(answer: &Value) -> Result<Vec<Alert>, String> {
        parse(&Arc::from("services/prometheus/alerts.json"), answer)
    }

    #[test]
    fn an_answer_of_prometheus_is_read() {
        let answer = json!({"status": "success", "data": {"alerts": [
            {"labels": {"alertname": "KubePodCrashLooping", "severity": "Critical", "namespace": "shop", "pod": "api-0"},
             "annotations": {"summary": "Pod is crash looping."}, "state": "firing",
             "activeAt": "2026-11-21T06:10:00.123456789Z", "value": "1e+00"},
            {"labels": {"alertname": "NodeFilesystem", "node": "w1"}, "annotations": {}, "state": "pending"},
            {"labels": {"severity": "critical"}, "state": "firing"},
        ]}});
        let alerts = read(&answer).unwrap();
        assert_eq!(alerts.len(), 2, "one has no name");
        assert_eq!(alerts[0].subject, Subject::new("pod", "shop", "api-0"));
        assert_eq!(alerts[0].show(), "alert KubePodCrashLooping (critical) fires: Pod is crash looping.");
        assert_eq!(alerts[0].since.map(|t| t.timestamp()), Some(1_795_241_400));
        assert_eq!(alerts[1].subject, Subject::new("node", "", "w1"));
        assert_eq!(alerts[1].show(), "alert NodeFilesystem is pending");
    }

    #[test]
    fn an_error_is_no_empty_list() {
        let error = read(&json!({"status": "error", "errorType": "timeout", "error": "query timed out"})).unwrap_err();
        assert!(error.contains("query timed out"), "{error}");
        assert!(read(&json!({"data": {}})).is_err());
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn each_prometheus_has_a_file() {
        assert!(is_path("services/prometheus/alerts.json") && is_path("services/prometheus-k8s/alerts.json"));
        assert!(!is_path("services/prometheus/x/alerts.json") && !is_path("services/prometheus/targets.json"));
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(name in "\\PC*", label in "[a-z_]{0,12}", state in "\\PC{0,8}", at in "\\PC{0,24}") {
            let answer = json!({"data": {"alerts": [{"labels": {"alertname": name, label: "x", "namespace": "n"},
                "state": state, "activeAt": at}, 1, null, {"labels": []}]}});
            prop_assert!(read(&answer).is_ok());
        }
    }
}
