//! How a planned item ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The one outcome in which every planned item ends.
///
/// A boolean would hide the difference between "there is nothing" and "we were not allowed to look", and triage
/// must never read the second as health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was read.
    Ok,
    /// The source answered and has nothing, such as a log without a line.
    Empty,
    /// A part was read; a limit or a broken connection cut the rest off.
    Truncated,
    /// The source refused: HTTP 401 or 403, or `EACCES`.
    Forbidden,
    /// The source does not exist: HTTP 404, or `ENOENT`.
    NotFound,
    /// The question makes no sense here, such as a metrics server that is not installed.
    NotApplicable,
    /// The deadline of the item or of the run passed.
    TimedOut,
    /// The user or a signal stopped the run before or while the item ran.
    Cancelled,
    /// Anything else; the reason says what.
    Failed,
}

impl Outcome {
    /// Every outcome, in the order in which summaries list them.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Empty,
        Self::Truncated,
        Self::Forbidden,
        Self::NotFound,
        Self::NotApplicable,
        Self::TimedOut,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The word that the ledger, the summary and `--format json` use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::NotApplicable => "not-applicable",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether the source was seen as far as it exists, so that the bundle can be called complete.
    ///
    /// `NotFound` counts: a pod that went away midway has no log, and nothing was lost. `Truncated` counts here, because a limit
    /// that the user set is no loss; [`super::Truncation::is_limit`] tells limits from broken connections.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Ok | Self::Empty | Self::Truncated | Self::NotFound | Self::NotApplicable)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_what_serde_writes() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
        }
    }
}
