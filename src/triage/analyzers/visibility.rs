//! What could not be seen. Nothing here says that the system is ill; it says where nobody could look.

use std::collections::BTreeMap;

use super::Context;
use crate::bundle::format;
use crate::model::{LedgerEntry, Outcome, RunStatus};
use crate::triage::draft::Draft;
use crate::triage::finding::{Category, Evidence, Level, Place, Severity, Subject};
use crate::triage::text;

pub(super) fn analyze(context: &Context<'_>, out: &mut Vec<Draft>) {
    lost(context, out);
    let troubles = &context.facts.troubles;
    if let Some(first) = troubles.first() {
        out.push(
            Draft::new("undecodable-data", Category::DataQuality, Severity::Info, Level::One)
                .about(Subject::new("file", "", &first.path))
                .title(format!("{} of the bundle cannot be read", text::count(troubles.len(), "part")))
                .meaning("What they would have shown is missing from this triage.")
                .seen_in(troubles.iter().cloned())
                .remedy(["Check the archive: casefile verify BUNDLE"]),
        );
    }
    let how = match context.manifest.status {
        RunStatus::Finished => return,
        RunStatus::DeadlineReached => "its deadline passed",
        RunStatus::Interrupted => "it was interrupted",
        RunStatus::SpoolFailed => "the disk failed or was full",
        RunStatus::Recovered => "it was killed, and the bundle was recovered from what it left",
    };
    out.push(
        Draft::new("bundle-incomplete", Category::DataQuality, Severity::Info, Level::One)
            .about(Subject::new("run", "", "collect"))
            .title(format!("the run did not come to its end: {how}"))
            .meaning("What had not been read by then is missing, and what is missing is not healthy by that.")
            .seen_in([manifest_evidence("/status".to_owned(), how)])
            .remedy(["Collect again with a longer --timeout, or only what is missing with --only"]),
    );
}

fn manifest_evidence(pointer: String, what: &str) -> Evidence {
    Evidence {
        path: format::MANIFEST.to_owned(),
        place: Place::Pointer(pointer),
        excerpt: text::line(what, text::EXCERPT),
    }
}

/// Whether an outcome hides something that may exist. "Not found" hides nothing.
pub(crate) fn hides(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Forbidden | Outcome::TimedOut | Outcome::Cancelled | Outcome::Failed)
}

/// Whether triage depends on this item: the pods, what makes them, their events and logs.
fn essential(entry: &LedgerEntry) -> bool {
    let id = entry.item.as_str();
    id.split('/').any(|part| matches!(part, "pods" | "events" | "deployments.apps" | "statefulsets.apps"))
        || entry.item.family() == "logs"
}

fn lost(context: &Context<'_>, out: &mut Vec<Draft>) {
    let mut by_outcome: BTreeMap<Outcome, Vec<(usize, &LedgerEntry)>> = BTreeMap::new();
    for (i, entry) in context.manifest.ledger.iter().enumerate() {
        if hides(entry.outcome) {
            by_outcome.entry(entry.outcome).or_default().push((i, entry));
        }
    }
    for (outcome, entries) in by_outcome {
        let severity = if entries.iter().any(|(_, e)| essential(e)) { Severity::Warning } else { Severity::Info };
        let names: Vec<&str> = entries.iter().map(|(_, e)| e.item.as_str()).collect();
        let (what, steps): (_, &[&str]) = match outcome {
            Outcome::Forbidden => (
                "not permitted",
                &[
                    "See which rights are missing, with a Role to apply: casefile doctor",
                    "Collect again when they are granted",
                ],
            ),
            Outcome::TimedOut => {
                ("too slow", &["Collect them again with more time: casefile collect --item-timeout 5m --only ITEM"])
            }
            Outcome::Cancelled => ("cancelled", &["Collect again, and let the run come to its end"]),
            _ => ("failed", &["Read the reasons in the ledger: casefile show BUNDLE manifest.json"]),
        };
        out.push(
            Draft::new("lost-visibility", Category::DataQuality, severity, Level::One)
                .about(Subject::new("outcome", "", outcome.as_str()))
                .title(format!(
                    "{} could not be read ({what}): {}",
                    text::count(entries.len(), "planned item"),
                    text::names(&names, 3)
                ))
                .meaning("Whether these parts are well is not known.")
                .seen_in(entries.iter().take(8).map(|(i, e)| {
                    manifest_evidence(
                        format!("/ledger/{i}"),
                        &format!(
                            "{}: {}{}",
                            e.item,
                            e.outcome,
                            e.reason.as_deref().map_or_else(String::new, |r| format!(": {r}"))
                        ),
                    )
                }))
                .times(entries.len() as u64)
                .remedy(steps.iter().copied()),
        );
    }
}
