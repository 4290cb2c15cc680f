//! Triage: facts out of a bundle, findings out of facts, and the one most likely root cause.
//!
//! It reads a [`Store`] and never the live system, so that `casefile triage BUNDLE` gives what `collect` gave, byte for byte.

mod analyzers;
mod clock;
mod draft;
mod facts;
mod finding;
mod inventory;
mod network;
mod root_cause;
mod rules;
mod scheduling;
mod signatures;
mod synthetic;
pub(crate) mod text;
mod timeline;
mod verdict;
mod version;

pub use finding::{
    Category, Coverage, Evidence, Finding, Level, Moment, NodeRow, PeerCell, PeerRow, Place, PodPart, PodRow, Severity,
    Status, Subject, Tone, Triage, Use,
};
pub use rules::{Checked, RuleError, Rulebook, fact_tables, validate};
pub use synthetic::{ManifestError, made_up, manifest_of};

use crate::bundle::{Store, StoreError};
use crate::model::Manifest;

/// Reads the bundle once and names what is wrong.
///
/// `manifest` is the one of the bundle; during `collect` it is the one that is about to be written.
///
/// # Errors
/// When the bundle itself cannot be read. A file that cannot be decoded costs what it would have shown, and is a finding
/// of category [`Category::DataQuality`].
pub fn run(store: &dyn Store, manifest: &Manifest) -> Result<Triage, StoreError> {
    run_with(store, manifest, &Rulebook::builtin(&manifest.profile))
}

/// As [`run`], with other rules and signatures than the built-in ones.
///
/// # Errors
/// As [`run`].
pub fn run_with(store: &dyn Store, manifest: &Manifest, book: &Rulebook) -> Result<Triage, StoreError> {
    let facts = facts::load(store, manifest, book.signatures.clone())?;
    let mut drafts =
        analyzers::run(&analyzers::Context { facts: &facts, manifest, signatures: book.signatures.as_deref() });
    drafts.extend(book.evaluate(&facts, manifest, &drafts));
    let coverage = verdict::coverage(manifest, store);
    let (root_cause, mut findings) =
        root_cause::rank(draft::merge(drafts), &facts, &book.detect, &book.links(), &coverage);
    let offset = clock::cluster_offset(manifest);
    for finding in &mut findings {
        finding.first_seen = finding.first_seen.map(|at| clock::ours(at, offset));
        finding.last_seen = finding.last_seen.map(|at| clock::ours(at, offset));
    }
    Ok(Triage {
        status: verdict::status(&findings, &facts, manifest, &coverage),
        root_cause,
        pods: inventory::pods(&facts, &findings, offset),
        nodes: inventory::nodes(&facts, &findings),
        peers: network::peers(&facts),
        findings,
        timeline: timeline::build(&facts, offset),
        coverage,
        ..Triage::default()
    })
}
