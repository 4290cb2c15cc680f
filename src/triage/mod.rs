//! Triage: facts out of a bundle, findings out of facts, and the one most likely root cause.
//!
//! It reads a [`Store`] and never the live system, so that `casefile triage BUNDLE` gives what `collect` gave, byte for byte.

mod analyzers;
mod clock;
mod draft;
mod facts;
mod finding;
mod inventory;
mod root_cause;
mod scheduling;
mod signatures;
mod synthetic;
pub(crate) mod text;
mod timeline;
mod verdict;

pub use finding::{
    Category, Coverage, Evidence, Finding, Level, Moment, Place, PodRow, Severity, Status, Subject, Triage,
};
pub use synthetic::{ManifestError, manifest_of};

use crate::bundle::{Store, StoreError};
use crate::model::Manifest;
use crate::profile;

/// Reads the bundle once and names what is wrong.
///
/// `manifest` is the one of the bundle; during `collect` it is the one that is about to be written.
///
/// # Errors
/// When the bundle itself cannot be read. A file that cannot be decoded costs what it would have shown, and is a finding
/// of category [`Category::DataQuality`].
pub fn run(store: &dyn Store, manifest: &Manifest) -> Result<Triage, StoreError> {
    let signatures = signatures::Signatures::of_profile(&manifest.profile);
    let facts = facts::load(store, manifest, signatures.clone())?;
    let drafts = analyzers::run(&analyzers::Context { facts: &facts, manifest, signatures: signatures.as_deref() });
    let coverage = verdict::coverage(manifest);
    let main = profile::find_builtin(&manifest.profile).map_or(&[][..], |p| p.kubernetes.detect.as_slice());
    let (root_cause, mut findings) = root_cause::rank(draft::merge(drafts), &facts, main, verdict::share(&coverage));
    let offset = clock::cluster_offset(manifest);
    for finding in &mut findings {
        finding.first_seen = finding.first_seen.map(|at| clock::ours(at, offset));
        finding.last_seen = finding.last_seen.map(|at| clock::ours(at, offset));
    }
    Ok(Triage {
        status: verdict::status(&findings, &facts, manifest, &coverage),
        root_cause,
        pods: inventory::pods(&facts, &findings, offset),
        findings,
        timeline: timeline::build(&facts, offset),
        coverage,
        ..Triage::default()
    })
}
