//! The overall status, and how much was seen.

use super::analyzers::hides;
use super::facts::Facts;
use super::finding::{Category, Coverage, Finding, Severity, Status};
use super::text;
use crate::model::Manifest;

/// Missing items that are named one by one.
const MISSING_MAX: usize = 200;

/// Counts the ledger.
pub(super) fn coverage(manifest: &Manifest) -> Coverage {
    let hidden: Vec<_> = manifest.ledger.iter().filter(|e| hides(e.outcome)).collect();
    let missing = hidden
        .iter()
        .take(MISSING_MAX)
        .map(|e| match &e.reason {
            Some(reason) => text::line(&format!("{}: {}: {reason}", e.item, e.outcome), 300),
            None => format!("{}: {}", e.item, e.outcome),
        })
        .collect();
    Coverage { planned: manifest.ledger.len(), seen: manifest.ledger.len() - hidden.len(), missing }
}

/// The part that was seen, 0 to 1. A bundle without a ledger says nothing about what it lacks, and gets 1.
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
    let nothing = !facts.host.was_seen()
        && !facts.beside.was_seen()
        && facts.lists.is_empty()
        && facts.logs.is_empty()
        && manifest.ledger.is_empty();
    let pods_hidden = facts.pods.is_empty()
        && manifest.ledger.iter().any(|e| hides(e.outcome) && e.item.as_str().split('/').any(|part| part == "pods"));
    // Where no rule could look, nobody can say that all is well.
    let listed = facts.lists.iter().any(|(group, plural, _)| group.is_empty() && plural == "pods");
    let looked = listed || facts.beside.was_seen() || manifest.profile == "host" && facts.host.was_seen();
    if nothing || pods_hidden || !looked || share(coverage) < 0.5 {
        return Status::Unknown;
    }
    let whole = findings.iter().all(|f| f.category != Category::DataQuality) && coverage.seen == coverage.planned;
    // A KMS is optimal when it says so itself; pods that run do not show that its peers do.
    let whole = whole && (manifest.profile != "kms" || facts.health.iter().any(|h| h.connected));
    if whole && about_system().next().is_none() { Status::Optimal } else { Status::Healthy }
}
