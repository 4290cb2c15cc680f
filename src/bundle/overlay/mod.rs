//! Bundles in memory, and small overlays that make an incident out of a healthy base.
//!
//! A fixture is a directory in the layout of a bundle. An incident is a directory beside it with `files/` (whole files
//! that replace or join those of the base) and `patch.json` or `patches/*.json` (changes of single objects); its
//! `expect.toml` says what it shows. `docs/fixtures.md` describes the format.

mod incident;
mod memory;
mod patch;

use super::StoreError;

pub use incident::{Expect, Fixtures, Incident};
pub use memory::MemStore;
pub use patch::{Overlay, Patch, merge};

/// Why fixtures cannot be read or an overlay cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// A file of a fixture cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of an overlay is not what `docs/fixtures.md` describes.
    #[error("cannot read {path}: {reason}; its format is described in docs/fixtures.md")]
    Format {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A patch does not fit the file that it changes.
    #[error("cannot patch {path}: {reason}; compare the patch with the file in the base")]
    Patch {
        /// The file of the base.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// There is no incident, base or overlay of this name.
    #[error("there is no {kind} `{name}`; there are: {known}")]
    Unknown {
        /// `incident`, `base` or `overlay`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What exists.
        known: String,
    },
}

impl OverlayError {
    fn format(path: &str, reason: impl std::fmt::Display) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }

    fn patch(path: &str, reason: impl std::fmt::Display) -> Self {
        Self::Patch { path: path.to_owned(), reason: reason.to_string() }
    }
}
