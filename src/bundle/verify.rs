//! Checks that a bundle is whole and says the truth about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::format::{INDEX, MANIFEST};
use super::reader::ArchiveStore;
use super::store::{Store, StoreError, manifest, open};
use crate::model::{FileEntry, Manifest};

/// Looks for secrets in the finished bytes, independently of what redacted them.
pub trait LeakAudit: Sync {
    /// Reads one file to its end and gives what was found: what kind of secret and where, never the secret itself.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn scan(&self, path: &str, content: &mut dyn Read) -> io::Result<Vec<String>>;
}

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Files that were read and compared.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Items in the ledger.
    pub items: usize,
    /// What is damaged, missing or contradicts itself.
    pub problems: Vec<Problem>,
    /// What the leak audit found.
    pub leaks: Vec<Problem>,
    /// Whether the leak audit ran.
    pub audited: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file; none when it concerns the whole bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl VerifyReport {
    /// Whether nothing is damaged and nothing leaked.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty() && self.leaks.is_empty()
    }

    fn note(&mut self, path: Option<&str>, text: impl Into<String>) {
        self.problems.push(Problem { path: path.map(str::to_owned), text: text.into() });
    }
}

/// Checks a bundle: format, index, checksums and ledger, and leaks when an audit is given.
///
/// # Errors
/// When it cannot be opened at all, or a newer version of the program made it. Everything else is in the report.
pub fn verify(path: &Path, audit: Option<&dyn LeakAudit>) -> Result<VerifyReport, StoreError> {
    if path.is_file() {
        let store = ArchiveStore::open(path)?;
        let mut report = verify_store(&store, audit)?;
        if !store.has_index() {
            report.note(None, "the archive has no usable index, so it was not written by casefile or was cut off");
        }
        for text in store.check_index() {
            report.note(Some(INDEX), text);
        }
        return Ok(report);
    }
    verify_store(open(path)?.as_ref(), audit)
}

/// Checks what any store can tell: checksums, ledger, and leaks when an audit is given.
///
/// # Errors
/// When a newer version of the program made the bundle, whose manifest cannot be judged.
pub fn verify_store(store: &dyn Store, audit: Option<&dyn LeakAudit>) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport { audited: audit.is_some(), ..VerifyReport::default() };
    let manifest = match manifest(store) {
        Ok(manifest) => Some(manifest),
        Err(StoreError::NotFound(_)) => {
            report.note(Some(MANIFEST), "it is missing, so checksums and ledger cannot be checked");
            None
        }
        Err(error @ StoreError::Newer { .. }) => return Err(error),
        Err(error) => {
            report.note(Some(MANIFEST), error.to_string());
            None
        }
    };
    let mut promised: BTreeMap<&str, &FileEntry> = BTreeMap::new();
    for file in manifest.iter().flat_map(|m| &m.files) {
        if promised.insert(&file.path, file).is_some() {
            report.note(Some(&file.path), "the manifest names it twice");
        }
    }
    for entry in store.entries() {
        let promise = promised.remove(entry.path.as_str());
        if promise.is_none() && manifest.is_some() && entry.path != MANIFEST {
            report.note(Some(&entry.path), "the manifest does not name it");
        }
        check_file(store, &entry.path, promise, audit, &mut report);
    }
    for path in promised.into_keys() {
        report.note(Some(path), "the manifest names it, but it is missing");
    }
    if let Some(manifest) = &manifest {
        check_ledger(manifest, store, &mut report);
    }
    // Reading every file has brought up whatever the reader had to ignore or repair.
    for text in store.problems() {
        report.note(None, text.clone());
    }
    Ok(report)
}

fn check_file(
    store: &dyn Store,
    path: &str,
    promise: Option<&FileEntry>,
    audit: Option<&dyn LeakAudit>,
    report: &mut VerifyReport,
) {
    match checksum(store, path) {
        Ok((size, sha256)) => {
            report.files += 1;
            report.bytes += size;
            if let Some(promise) = promise {
                if promise.size != size {
                    report.note(Some(path), format!("it has {size} bytes, and the manifest says {}", promise.size));
                } else if promise.sha256 != sha256 {
                    report.note(Some(path), "its SHA-256 is not the one in the manifest");
                }
            }
        }
        Err(text) => report.note(Some(path), text),
    }
    let Some(audit) = audit else { return };
    let found = store
        .open(path)
        .map_err(|e| e.to_string())
        .and_then(|mut content| audit.scan(path, content.as_mut()).map_err(|e| e.to_string()));
    match found {
        Ok(found) => {
            report.leaks.extend(found.into_iter().map(|text| Problem { path: Some(path.to_owned()), text }));
        }
        Err(text) => report.note(Some(path), format!("it could not be audited: {text}")),
    }
}

fn checksum(store: &dyn Store, path: &str) -> Result<(u64, String), String> {
    let mut content = store.open(path).map_err(|e| e.to_string())?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok((size, hash.finalize().iter().map(|b| format!("{b:02x}")).collect())),
            Ok(n) => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot be read: {e}")),
        }
    }
}

fn check_ledger(manifest: &Manifest, store: &dyn Store, report: &mut VerifyReport) {
    report.items = manifest.ledger.len();
    let mut seen = BTreeSet::new();
    for entry in &manifest.ledger {
        if !seen.insert(&entry.item) {
            report.note(Some(MANIFEST), format!("the ledger has more than one entry for {}", entry.item));
        }
        for artifact in &entry.artifacts {
            if !store.contains(artifact) {
                report.note(Some(artifact), format!("the ledger says that {} wrote it, but it is missing", entry.item));
            }
        }
    }
}
