//! The last look at what was collected, before it is packed: values that are known to be secret leave every artifact
//! that holds them, and an independent second implementation looks for secrets that the engine has missed.
//!
//! Packing copies compressed blocks byte for byte, so what is looked at here is what stands in the archive. One pass
//! serves both questions, because reading compressed artifacts costs more than asking.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::audit::FinalAudit;
use crate::bundle::{Entry, LeakAudit, Spool, SpoolStore, Store};
use crate::model::LedgerEntry;
use crate::redact::{Redactor, Sweep};

/// Artifacts up to this size are read once into memory; larger ones are read twice.
const WHOLE: u64 = 2 << 20;

/// What was found. Paths and kinds, never a value.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// Artifacts that hold a known secret and must be rewritten.
    pub(super) touched: Vec<String>,
    /// Path, kind and line of each hit of the audit.
    pub(super) leaks: Vec<String>,
}

/// Looks into every artifact on all cores.
pub(super) fn run(spool: &Spool, sweep: Option<&Sweep>) -> anyhow::Result<Inspection> {
    let store = SpoolStore::new(spool);
    let audit = FinalAudit::new();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> anyhow::Result<Inspection> {
        let mut found = Inspection::default();
        let mut buffer = Vec::new();
        while let Some(entry) = store.entries().get(next.fetch_add(1, Ordering::Relaxed)) {
            look(&store, entry, sweep, &audit, &mut buffer, &mut found)?;
        }
        Ok(found)
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the search for secrets panicked"))))
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut all = Inspection::default();
    for part in parts {
        all.touched.extend(part.touched);
        all.leaks.extend(part.leaks);
    }
    all.touched.sort();
    all.leaks.sort();
    Ok(all)
}

/// Rewrites the artifacts that hold known secrets.
pub(super) fn clean(spool: &Spool, sweep: &Sweep, touched: &[String]) -> anyhow::Result<()> {
    for path in touched {
        spool.rewrite(path, &mut |content, write| sweep.rewrite(path, content, write))?;
    }
    Ok(())
}

/// Gives artifacts another name whose name holds a known secret, in the spool and in the ledger.
pub(super) fn rename(
    spool: &Spool,
    redactor: &Redactor,
    sweep: &Sweep,
    ledger: &mut [LedgerEntry],
) -> anyhow::Result<()> {
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for entry in spool.files() {
        let name = sweep.path(&redactor.text(&entry.path));
        if *name.get() != entry.path {
            let path = spool.rename(&entry.path, &name)?.path;
            renamed.insert(entry.path, path);
        }
    }
    for path in ledger.iter_mut().flat_map(|entry| &mut entry.artifacts) {
        if let Some(name) = renamed.get(path) {
            path.clone_from(name);
        }
    }
    Ok(())
}

/// Looks for secrets in one document.
pub(super) fn audit_document(audit: &FinalAudit, path: &str, content: &[u8]) -> anyhow::Result<Vec<String>> {
    Ok(audit.scan(path, &mut &content[..])?.into_iter().map(|hit| format!("{path}: {hit}")).collect())
}

fn look(
    store: &SpoolStore,
    entry: &Entry,
    sweep: Option<&Sweep>,
    audit: &FinalAudit,
    buffer: &mut Vec<u8>,
    found: &mut Inspection,
) -> anyhow::Result<()> {
    let path = &entry.path;
    let mut touches = false;
    let mut hits = Vec::new();
    if entry.size <= WHOLE {
        store.read_into(path, buffer)?;
        if let Some(sweep) = sweep {
            touches = sweep.touches(&mut &buffer[..])?;
        }
        hits.extend(audit.scan(path, &mut &buffer[..])?);
    } else {
        let open = || -> anyhow::Result<Box<dyn Read + Send + '_>> { Ok(store.open(path)?) };
        if let Some(sweep) = sweep {
            touches = sweep.touches(&mut open()?)?;
        }
        hits.extend(audit.scan(path, &mut open()?)?);
    }
    if touches {
        found.touched.push(path.clone());
    }
    found.leaks.extend(hits.into_iter().map(|hit| format!("{path}: {hit}")));
    Ok(())
}
