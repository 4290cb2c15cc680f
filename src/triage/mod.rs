//! Triage: facts out of a bundle, findings out of facts, and the one most likely root cause.
//!
//! It reads a [`Store`] and never the live system, so that `casefile triage BUNDLE` gives what `collect` gave, byte for byte.

mod clock;
mod facts;
mod finding;
mod quantity;
mod scheduling;
mod signatures;
pub(crate) mod text;

pub use finding::{Category, Coverage, Evidence, Finding, Level, Moment, Place, Severity, Status, Subject, Triage};

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
    let signatures = signatures::Signatures::of_profile(&manifest.profile);
    let _facts = facts::load(store, manifest, signatures)?;
    Ok(Triage::default())
}
