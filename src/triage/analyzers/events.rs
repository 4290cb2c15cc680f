//! Warnings that come again and again about things that no other rule is about.

use std::collections::BTreeSet;

use crate::triage::draft::Draft;
use crate::triage::facts::Facts;
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How often a warning must have come.
const BURST: u64 = 50;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let known: BTreeSet<Subject> =
        out.iter().filter(|d| d.severity >= Severity::Warning).flat_map(|d| d.subjects.iter().cloned()).collect();
    for event in facts.events.iter().filter(|e| e.warning && e.count > BURST && !known.contains(&e.subject)) {
        out.push(
            Draft::new("event-burst", Category::Performance, Severity::Info, Level::One)
                .about(event.subject.clone())
                .title(format!(
                    "{{who}}: warning {} came {} times: {}",
                    event.reason,
                    event.count,
                    text::line(&event.message, 140)
                ))
                .meaning("The same warning comes again and again.")
                .seen_in([event.evidence()])
                .same_when(format!(
                    "{} {}",
                    event.reason,
                    event.message.chars().filter(|c| !c.is_ascii_digit()).take(60).collect::<String>()
                ))
                .times(event.count)
                .confidence(0.5)
                .between(event.first, event.last)
                .remedy([format!(
                    "See all events: kubectl -n {} get events --sort-by .lastTimestamp",
                    event.subject.namespace()
                )]),
        );
    }
}
