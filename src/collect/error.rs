//! Why an item failed, in classes that decide what happens next.

use std::time::Duration;

use crate::bundle::SpoolError;
use crate::model::Outcome;

/// Longest text of a server that an error carries. Some servers answer with a whole HTML page.
const TEXT_MAX: usize = 600;

/// Why an item ended without an outcome of its own. Texts may hold anything a server said; the sink redacts them before
/// they reach the ledger.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The source refused. Never retried.
    #[error("{0}")]
    Forbidden(String),
    /// The source does not exist. Never retried.
    #[error("{0}")]
    NotFound(String),
    /// The question makes no sense for this source. Never retried.
    #[error("{0}")]
    NotApplicable(String),
    /// The server asked to come back later (HTTP 429, or 503 with `Retry-After`).
    #[error("{reason}")]
    Throttled {
        /// What the server said.
        reason: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The connection broke, or the server had an error that may pass.
    #[error("{0}")]
    Transient(String),
    /// A deadline passed.
    #[error("{0}")]
    TimedOut(String),
    /// The spool failed; the run cannot go on.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl CollectError {
    /// The outcome in which an item with this error ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Forbidden(_) => Outcome::Forbidden,
            Self::NotFound(_) => Outcome::NotFound,
            Self::NotApplicable(_) => Outcome::NotApplicable,
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Throttled { .. } | Self::Transient(_) | Self::Spool(_) | Self::Failed(_) => Outcome::Failed,
        }
    }

    /// The error for an I/O error of a local source.
    #[must_use]
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let text = format!("{what}: {error}");
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound(text),
            ErrorKind::PermissionDenied => Self::Forbidden(text),
            ErrorKind::TimedOut => Self::TimedOut(text),
            _ => Self::Failed(text),
        }
    }
}

/// An error with its causes, each said once.
pub(in crate::collect) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    shortened(&text)
}

/// A text cut to a length that fits a ledger.
pub(in crate::collect) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.to_owned(),
    }
}
