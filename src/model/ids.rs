//! Names of planned items.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a planned item: lower-case words in slash-separated segments, such as `logs/kms/core-0/kms-core`.
///
/// `casefile plan` prints these, and `--only` and `--skip` match globs against them. The first segment names the family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(String);

impl ItemId {
    /// Makes an id from its text.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: `logs` of `logs/kms/core-0/kms-core`.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
