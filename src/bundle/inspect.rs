//! The last look at what was collected, before it is packed: values that are known to be secret leave every artifact
//! that holds them, and an independent second implementation looks for secrets that the engine has missed.
//!
//! Packing copies compressed blocks byte for byte, so what is looked at here is what stands in the archive. One pass
//! serves both questions, because reading compressed artifacts costs more than asking.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::spool::{Spool, SpoolError, SpoolStore};
use super::store::{Entry, Store};
use super::verify::LeakAudit;
use crate::redact::{Cleaner, Redacted, Sweep};

/// Artifacts up to this size are read once into memory; larger ones are read twice.
const WHOLE: u64 = 2 << 20;

/// What was found. Paths and kinds, never a value.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Artifacts that hold a known secret and must be rewritten.
    pub touched: Vec<String>,
    /// Path, kind and line of each hit of the audit in the others: what is rewritten is looked at afterwards.
    pub leaks: Vec<String>,
}

/// Looks into every artifact on all cores.
///
/// # Errors
/// When the spool cannot be read.
pub fn inspect(spool: &Spool, known: Option<&Sweep>, audit: &dyn LeakAudit) -> Result<Inspection, SpoolError> {
    let store = SpoolStore::new(spool);
    look_into(&store, &store.entries().iter().collect::<Vec<_>>(), known, audit)
}

fn look_into(
    store: &SpoolStore,
    entries: &[&Entry],
    known: Option<&Sweep>,
    audit: &dyn LeakAudit,
) -> Result<Inspection, SpoolError> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Result<Inspection, SpoolError> {
        let mut found = Inspection::default();
        let mut buffer = Vec::new();
        while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            look(store, entry, known, audit, &mut buffer, &mut found)
                .map_err(|source| SpoolError::Read { path: entry.path.clone(), source })?;
        }
        Ok(found)
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let panicked = || io::Error::other("the search for secrets panicked");
        let failed = |_| Err(SpoolError::Read { path: "one of the files".to_owned(), source: panicked() });
        threads.into_iter().map(|t| t.join().unwrap_or_else(failed)).collect::<Result<Vec<_>, _>>()
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

/// Takes known secrets out of every artifact, and then looks for leaks.
///
/// # Errors
/// When the spool cannot be read or written.
pub fn settle(spool: &Spool, known: Option<&Sweep>, audit: &dyn LeakAudit) -> Result<Inspection, SpoolError> {
    let mut found = inspect(spool, known, audit)?;
    if let Some(known) = known {
        clean(spool, known, audit, &mut found)?;
    }
    Ok(found)
}

/// Rewrites the artifacts that hold known secrets, and looks for leaks in them, too.
///
/// # Errors
/// When the spool cannot be read or written.
pub fn clean(spool: &Spool, known: &Sweep, audit: &dyn LeakAudit, found: &mut Inspection) -> Result<(), SpoolError> {
    for path in &found.touched {
        spool.rewrite(path, &mut |content, write| known.rewrite(path, content, write))?;
    }
    let store = SpoolStore::new(spool);
    let touched: Vec<_> = store.entries().iter().filter(|e| found.touched.binary_search(&e.path).is_ok()).collect();
    if touched.len() < found.touched.len() {
        let path = "a rewritten file".to_owned();
        return Err(SpoolError::Read { path, source: io::Error::other("it is not there any more") });
    }
    found.leaks.extend(look_into(&store, &touched, None, audit)?.leaks);
    found.leaks.sort();
    Ok(())
}

/// Gives artifacts another name whose name holds a secret, and tells the places in `names` that name them.
///
/// # Errors
/// When the spool cannot be written.
pub fn rename<'a>(
    spool: &Spool,
    cleaner: &Cleaner,
    names: impl IntoIterator<Item = &'a mut String>,
) -> Result<(), SpoolError> {
    let mut renamed = BTreeMap::new();
    for entry in spool.files() {
        let name = cleaner.path(&entry.path);
        if *name.get() != entry.path {
            let path = spool.rename(&entry.path, &name)?.path;
            renamed.insert(entry.path, path);
        }
    }
    for path in names {
        if let Some(name) = renamed.get(path) {
            path.clone_from(name);
        }
    }
    Ok(())
}

/// Looks for secrets in the documents of the run itself.
///
/// # Errors
/// When the audit fails.
pub fn audit_documents(
    audit: &dyn LeakAudit,
    documents: &[(&'static str, Redacted<Vec<u8>>)],
) -> io::Result<Vec<String>> {
    let mut leaks = Vec::new();
    for (path, content) in documents {
        leaks.extend(audit.scan(path, &mut &content.get()[..])?.into_iter().map(|hit| format!("{path}: {hit}")));
    }
    Ok(leaks)
}

/// The name of an archive in which the audit has found something, so that nobody sends it by its usual name.
#[must_use]
pub fn quarantined(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".quarantine");
    PathBuf::from(name)
}

fn look(
    store: &SpoolStore,
    entry: &Entry,
    known: Option<&Sweep>,
    audit: &dyn LeakAudit,
    buffer: &mut Vec<u8>,
    found: &mut Inspection,
) -> io::Result<()> {
    let path = &entry.path;
    let open = || store.open(path).map_err(io::Error::other);
    let whole = entry.size <= WHOLE;
    if whole {
        store.read_into(path, buffer).map_err(io::Error::other)?;
    }
    let touches = match known {
        Some(known) if whole => known.is_in(buffer),
        Some(known) => known.touches(&mut open()?)?,
        None => false,
    };
    if touches {
        found.touched.push(path.clone());
        return Ok(());
    }
    let hits = if whole { audit.scan(path, &mut &buffer[..])? } else { audit.scan(path, &mut open()?)? };
    found.leaks.extend(hits.into_iter().map(|hit| format!("{path}: {hit}")));
    Ok(())
}
