//! What happened when: events, container states, conditions of nodes and workloads, alerts, in one order and one clock.

use chrono::TimeDelta;

use super::clock;
use super::facts::{Facts, Role, State, Terminated};
use super::finding::{Moment, Severity, Subject};
use super::text;
use crate::model::time::Timestamp;

/// Moments that are kept; the newest.
const MOMENTS_MAX: usize = 2_000;
const WHAT: usize = 200;

/// Builds the timeline, oldest first. `offset` is the cluster's clock minus ours; the times are given in ours.
pub(super) fn build(facts: &Facts, offset: TimeDelta) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut add = |at: Option<Timestamp>, subject: &Subject, what: &str, severity: Severity| {
        if let Some(at) = at {
            moments.push(Moment {
                at: clock::ours(at, offset),
                subject: subject.clone(),
                what: text::line(what, WHAT),
                severity,
            });
        }
    };
    for event in &facts.events {
        let severity = if event.warning { Severity::Warning } else { Severity::Info };
        let what = format!("{}: {}", event.reason, event.message);
        if event.count > 1 && event.first < event.last {
            add(event.first, &event.subject, &what, severity);
            add(event.last, &event.subject, &format!("{what} (x{})", event.count), severity);
        } else {
            add(event.last.or(event.first), &event.subject, &what, severity);
        }
    }
    for pod in facts.pods.values() {
        let subject = pod.subject();
        for container in pod.containers.iter().filter(|c| c.role != Role::Ephemeral) {
            let mut ended = |e: &Terminated| {
                let what = format!("container {} ended: exit code {}, {}", container.name, e.exit, e.reason);
                add(e.finished, &subject, &what, if e.exit == 0 { Severity::Info } else { Severity::Critical });
            };
            if let Some(last) = &container.last {
                ended(last);
            }
            match &container.state {
                State::Terminated(now) => ended(now),
                State::Running { since } => {
                    add(*since, &subject, &format!("container {} started", container.name), Severity::Info);
                }
                _ => {}
            }
        }
        add(pod.deleting, &subject, "deletion", Severity::Info);
    }
    for (key, log) in &facts.logs {
        let subject = Subject::new("pod", &key.namespace, &key.pod);
        for (from, _, errors) in log.bursts() {
            let what = format!("{errors} errors within minutes in the log of container {}", key.container);
            add(Some(from), &subject, &what, Severity::Warning);
        }
    }
    for alert in &facts.alerts {
        let severity = if alert.firing { Severity::Warning } else { Severity::Info };
        add(alert.since, &alert.subject, &alert.show(), severity);
    }
    for (name, node) in &facts.nodes {
        for condition in &node.conditions {
            let bad = (condition.kind == "Ready") != (condition.status == "True");
            let severity = if bad { Severity::Critical } else { Severity::Info };
            add(condition.since, &Subject::new("node", "", name), &condition.show(), severity);
        }
    }
    for (subject, workload) in &facts.workloads {
        for condition in &workload.conditions {
            let bad = (condition.kind == "ReplicaFailure") == (condition.status == "True");
            add(condition.since, subject, &condition.show(), if bad { Severity::Warning } else { Severity::Info });
        }
    }
    moments.sort_by(|a, b| (a.at, &a.subject, &a.what).cmp(&(b.at, &b.subject, &b.what)));
    moments.dedup();
    let extra = moments.len().saturating_sub(MOMENTS_MAX);
    moments.drain(..extra);
    moments
}
