//! What Prometheus calls an alert: never a cause, and often the first sign of one.

use crate::triage::draft::Draft;
use crate::triage::facts::{Alert, Facts};
use crate::triage::finding::{Category, Level, Severity};
use crate::triage::text;

/// Alerts that fire on purpose: they show that alerting works, or hold others back.
const ALWAYS: [&str; 3] = ["Watchdog", "InfoInhibitor", "DeadMansSwitch"];

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for alert in facts.alerts.iter().filter(|a| a.firing && !ALWAYS.contains(&a.name.as_str())) {
        let since = alert.since.map_or_else(String::new, |at| format!(" for {}", text::duration(facts.now - at)));
        let about = if alert.subject.kind() == "alert" { String::new() } else { " about {who}".to_owned() };
        let summary =
            if alert.summary.is_empty() { String::new() } else { format!(": {}", text::line(&alert.summary, 160)) };
        let mut draft = Draft::new("alert-firing", Category::Performance, severity(facts, alert), Level::One)
            .about(alert.subject.clone())
            .title(format!("Prometheus alert {} fires{since}{about}{summary}", alert.name))
            .meaning("The rule of the alert says what it looks at. An alert shows an effect; the cause is what stands above it, or what changed when it began.")
            .seen_in([alert.at.evidence(&alert.show())])
            .confidence(0.7)
            .same_when(alert.name.clone())
            .between(alert.since, None)
            .remedy(["Look at what changed when the alert began, in timeline.json"]);
        if let Some(book) = alert.labels.get("runbook_url").or_else(|| alert.labels.get("runbook")) {
            draft = draft.remedy([format!("Follow its runbook: {}", text::line(book, 200))]);
        }
        out.push(draft);
    }
}

/// One that calls people at night is worth a warning, when it is about what the bundle shows.
fn severity(facts: &Facts, alert: &Alert) -> Severity {
    let urgent = matches!(alert.severity.as_str(), "critical" | "page" | "emergency" | "error");
    let namespace = alert.labels.get("namespace").map_or("", String::as_str);
    let here = namespace.is_empty() || facts.listed("", "pods", namespace);
    if urgent && here { Severity::Warning } else { Severity::Info }
}
