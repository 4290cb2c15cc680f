//! The leak audit over the finished bytes of a bundle: a second implementation, independent of what redacted them.

use std::io::{self, Read};
use std::path::Path;

use crate::bundle::{self, LeakAudit, Store};
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

/// Looks for secrets in every file of a finished archive, on all cores. Gives what kind and where, never the secret.
pub(super) fn scan(path: &Path) -> anyhow::Result<Vec<String>> {
    let store = bundle::open(path)?;
    let audit = FinalAudit::new();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let scan = || -> anyhow::Result<Vec<String>> {
        let mut hits = Vec::new();
        let entries = store.entries();
        while let Some(entry) = entries.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            hits.extend(scan_one(store.as_ref(), &audit, &entry.path)?);
        }
        Ok(hits)
    };
    let mut hits = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(scan)).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the leak audit panicked"))))
            .collect::<anyhow::Result<Vec<_>>>()
    })?
    .concat();
    hits.sort();
    Ok(hits)
}

fn scan_one(store: &dyn Store, audit: &FinalAudit, path: &str) -> anyhow::Result<Vec<String>> {
    let mut content = store.open(path)?;
    Ok(audit.scan(path, &mut content)?.into_iter().map(|hit| format!("{path}: {hit}")).collect())
}
