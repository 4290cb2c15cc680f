//! The overall status, and how much was seen.

use super::analyzers::hides;
use super::facts::Facts;
use super::finding::{Category, Coverage, Finding, Severity, Status};
use super::text;
use crate::bundle::{Store, layout};
use crate::model::{LedgerEntry, Manifest};

/// Missing items that are named one by one.
const MISSING_MAX: usize = 200;

/// Counts the ledger. What an item gave and is not in the bundle any more was not seen.
pub(super) fn coverage(manifest: &Manifest, store: &dyn Store) -> Coverage {
    let hidden: Vec<(&LedgerEntry, Option<&String>)> = (manifest.ledger.iter())
        .map(|e| (e, e.artifacts.iter().find(|path| !store.contains(path))))
        .filter(|(e, gone)| hides(e.outcome) || gone.is_some())
        .collect();
    let missing = hidden
        .iter()
        .take(MISSING_MAX)
        .map(|(e, gone)| match (gone, &e.reason) {
            (Some(path), _) => text::line(&format!("{}: {path} is not in the bundle any more", e.item), 300),
            (None, Some(reason)) => text::line(&format!("{}: {}: {reason}", e.item, e.outcome), 300),
            (None, None) => format!("{}: {}", e.item, e.outcome),
        })
        .collect();
    Coverage { planned: manifest.ledger.len(), seen: manifest.ledger.len() - hidden.len(), missing }
}

/// The part that was seen, 0 to 1; 1 for a bundle without a ledger, which says nothing about what it lacks.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
pub(super) fn share(coverage: &Coverage) -> f64 {
    if coverage.planned == 0 { 1.0 } else { coverage.seen as f64 / coverage.planned as f64 }
}

/// How the system is, as far as the bundle shows it.
pub(super) fn status(findings: &[Finding], facts: &Facts, manifest: &Manifest, coverage: &Coverage) -> Status {
    let about_system = || findings.iter().filter(|f| f.category != Category::DataQuality);
    match about_system().map(|f| f.severity).max() {
        Some(Severity::Critical) => return Status::Unhealthy,
        Some(Severity::Warning) => return Status::Degraded,
        _ => {}
    }
    // No trouble was seen. Whether there is none depends on whether anybody could look.
    if !enough(facts, manifest) || share(coverage) < 0.5 {
        return Status::Unknown;
    }
    // Without a ledger nobody knows what is missing.
    let whole = coverage.planned > 0 && coverage.seen == coverage.planned;
    let whole = whole && findings.iter().all(|f| f.category != Category::DataQuality);
    // A KMS is optimal when it says so itself; pods that run do not show that its peers do.
    let whole = whole && (manifest.profile != "kms" || facts.health.iter().any(|h| h.connected));
    if whole && about_system().next().is_none() { Status::Optimal } else { Status::Healthy }
}

/// Whether enough was seen to say that all is well. For Kubernetes: pods were listed, and what the programs say (logs) or
/// what happened to them (events) is there too. For a host: its file systems or memory.
fn enough(facts: &Facts, manifest: &Manifest) -> bool {
    if manifest.profile == "host" && facts.host.was_seen() {
        return true;
    }
    let listed = |plural: &str| facts.lists.iter().any(|(_, listed, _)| listed == plural);
    let pods_hidden = facts.pods.is_empty()
        && manifest.ledger.iter().any(|e| hides(e.outcome) && e.item.as_str().split('/').any(|part| part == "pods"));
    // An empty list in a bundle that says nothing about itself may be one that was never filled.
    let something = !facts.pods.is_empty() || !manifest.ledger.is_empty();
    // Pods that could not be decoded may be those in trouble.
    let damaged = facts
        .troubles
        .iter()
        .any(|t| layout::parse_objects(&t.path).is_some_and(|(group, plural, _)| group.is_empty() && plural == "pods"));
    listed("pods")
        && something
        && !pods_hidden
        && !damaged
        && (listed("events") || facts.logs.values().any(|l| l.has_text()))
}
