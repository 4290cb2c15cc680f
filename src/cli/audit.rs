//! The leak audit over finished bytes: a second implementation, independent of what redacted them.

use std::io::{self, Read};

use crate::bundle::LeakAudit;
use crate::redact::audit::Audit;

/// The audit as the bundle's verification calls it.
pub(super) struct FinalAudit(Audit);

impl FinalAudit {
    /// All detectors.
    pub(super) fn new() -> Self {
        Self(Audit::new())
    }
}

impl LeakAudit for FinalAudit {
    fn scan(&self, path: &str, content: &mut dyn Read) -> io::Result<Vec<String>> {
        let hits = self.0.scan(path, content)?;
        Ok(hits.into_iter().map(|hit| format!("{} in line {}", hit.rule, hit.line)).collect())
    }
}
