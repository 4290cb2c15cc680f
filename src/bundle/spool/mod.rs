//! Where redacted artifacts wait until the archive is written.
//!
//! A directory (mode 0700) holds an append-only journal and a few files for each artifact. Full blocks are compressed
//! when they are complete, each as one gzip member that packing copies byte for byte. The last, incomplete block lies
//! uncompressed in a `.tail` file, so that a killed process loses nothing that was written.

mod artifact;
mod fit;
mod journal;
mod names;
mod open;
mod piece;
mod rewrite;
#[cfg(test)]
mod tests;
mod trim;
mod view;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use artifact::SpoolWriter;
pub(in crate::bundle) use journal::JOURNAL;
pub use journal::SpoolHeader;
pub(in crate::bundle) use open::Leftover;
pub(in crate::bundle) use piece::{Piece, Stored, member};
pub use rewrite::Edit;
pub use view::SpoolStore;

use journal::Record;
use names::Names;

use crate::bundle::format::MEMBER;
use crate::model::{BundlePath, FileEntry, LedgerEntry};
use crate::redact::Redacted;

/// Bytes between two looks at the room on the disk.
const LOOK_EVERY: u64 = 64 << 10;
/// Room that the summary, the report and the manifest need beside the artifacts.
const REPORTS: u64 = 256 << 10;

/// Why the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk is full, or the directory cannot be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What was collected cannot be read again.
    #[error("cannot read what was collected in {path}: {source}")]
    Read {
        /// The artifact.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The directory is not what a spool looks like, or another process still writes into it.
    #[error("{path} cannot be recovered: {reason}")]
    Unusable {
        /// The directory.
        path: String,
        /// Why not, and what to try.
        reason: String,
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
    /// Also holds the lock that tells `recover` that the run is alive.
    journal: Mutex<File>,
    next: AtomicU64,
    names: Mutex<Names>,
    files: Mutex<BTreeMap<u64, Stored>>,
    /// Bytes that the artifacts have on the disk. The archive needs at most as many.
    used: AtomicU64,
    /// Bytes written since the room was looked at.
    unseen: AtomicU64,
    /// Empty blocks with room for a member each, for artifacts to come.
    blocks: Mutex<Vec<Vec<u8>>>,
    /// How many more bytes may be written: a full disk on demand.
    #[cfg(test)]
    budget: AtomicU64,
}

impl Spool {
    /// Makes a new spool directory (mode 0700) below `parent`, with a random name that begins with `.casefile-`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(parent: &Path) -> Result<Self, SpoolError> {
        let fail = |source| SpoolError::Io { path: parent.display().to_string(), source };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".casefile-").suffix(".spool").disable_cleanup(true);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let dir = builder.tempdir_in(parent).map_err(fail)?.keep();
        Self::in_dir(dir)
    }

    /// Makes a new spool directory (mode 0700) at `dir`, which must not exist.
    ///
    /// # Errors
    /// When the directory exists or cannot be made.
    pub fn create_at(dir: &Path) -> Result<Self, SpoolError> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|source| SpoolError::Io { path: dir.display().to_string(), source })?;
        Self::in_dir(dir.to_path_buf())
    }

    fn in_dir(dir: PathBuf) -> Result<Self, SpoolError> {
        let path = dir.join(JOURNAL);
        let fail = |source| SpoolError::Io { path: path.display().to_string(), source };
        let journal = create_private(&path).map_err(fail)?;
        // A file system without locks only loses the warning that `recover` gives.
        let _ = journal.try_lock();
        Ok(Self::assemble(dir, journal, 1, BTreeMap::new()))
    }

    fn assemble(dir: PathBuf, journal: File, next: u64, files: BTreeMap<u64, Stored>) -> Self {
        let mut names = Names::new();
        for stored in files.values() {
            names.take(&BundlePath::portable(&stored.entry.path));
        }
        Self {
            inner: Arc::new(Inner {
                dir,
                journal: Mutex::new(journal),
                next: AtomicU64::new(next),
                names: Mutex::new(names),
                used: AtomicU64::new(files.values().map(Stored::on_disk).sum()),
                unseen: AtomicU64::new(LOOK_EVERY),
                blocks: Mutex::default(),
                files: Mutex::new(files),
                #[cfg(test)]
                budget: AtomicU64::new(u64::MAX),
            }),
        }
    }

    /// Where the spool is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Writes what `recover` must know of the run. Call it before the first artifact.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn header(&self, header: &Redacted<SpoolHeader>) -> Result<(), SpoolError> {
        self.append(&Record::Header(header.get().clone()))
    }

    /// Opens a new artifact. A path that is taken, or that differs from a taken one only in case, gets a number; so
    /// does a directory that has the name of a file. With `newest`, at most that many bytes of what is written are
    /// kept, and they are the newest, behind one line that says how many were left out.
    ///
    /// # Errors
    /// When the spool cannot be written.
    pub fn artifact(&self, path: &Redacted<String>, newest: Option<u64>) -> Result<SpoolWriter, SpoolError> {
        let path = locked(&self.inner.names).take(&BundlePath::portable(path.get()));
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.append(&Record::Open { id, path: path.to_string(), newest })?;
        Ok(SpoolWriter::new(self.clone(), id, path, newest))
    }

    /// Writes a ledger entry to the journal, so that it survives a crash.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&self, entry: &Redacted<LedgerEntry>) -> Result<(), SpoolError> {
        self.append(&Record::Ledger(entry.get().clone()))
    }

    /// The finished artifacts so far, sorted by path.
    #[must_use]
    pub fn files(&self) -> Vec<FileEntry> {
        self.stored().into_iter().map(|stored| stored.entry).collect()
    }

    /// Removes the spool's directory. Call it when the bundle is safe.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(self) -> Result<(), SpoolError> {
        std::fs::remove_dir_all(&self.inner.dir).map_err(|source| self.failed("", source))
    }

    /// The finished artifacts, sorted by path.
    pub(in crate::bundle) fn stored(&self) -> Vec<Stored> {
        let mut files: Vec<Stored> = locked(&self.inner.files).values().cloned().collect();
        files.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        files
    }

    /// Journals a finished artifact. It counts as finished even when the journal cannot be written, because packing
    /// may still find room elsewhere.
    fn close(&self, stored: Stored) -> Result<(), SpoolError> {
        let record = Record::Close(stored);
        let journaled = self.append(&record);
        if let Record::Close(stored) = record {
            locked(&self.inner.files).insert(stored.id, stored);
        }
        journaled
    }

    fn append(&self, record: &Record) -> Result<(), SpoolError> {
        let mut line = serde_json::to_vec(record)
            .map_err(|e| self.failed(JOURNAL, io::Error::new(io::ErrorKind::InvalidData, e)))?;
        line.push(b'\n');
        let mut journal = locked(&self.inner.journal);
        let before = journal.metadata().map_err(|e| self.failed(JOURNAL, e))?.len();
        self.write_anyway(&mut journal, &line).map_err(|source| {
            // Half a record would swallow the next one.
            let _ = journal.set_len(before);
            self.failed(JOURNAL, source)
        })
    }

    /// Writes to a file of an artifact that is open for appending.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.look_for_room(bytes.len() as u64)?;
        self.write_anyway(file, bytes)?;
        self.inner.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses to write when the disk would have too little room left for the archive: a full disk must end in a bundle
    /// with what is there, and not in a spool that cannot be packed.
    fn look_for_room(&self, bytes: u64) -> io::Result<()> {
        if self.inner.unseen.fetch_add(bytes, Ordering::Relaxed) + bytes < LOOK_EVERY {
            return Ok(());
        }
        self.inner.unseen.store(0, Ordering::Relaxed);
        let needed = self.inner.used.load(Ordering::Relaxed) + 2 * bytes + REPORTS;
        match free_bytes(&self.inner.dir) {
            Some(free) if free < needed => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("the disk has {free} bytes left, and the archive will need up to {needed}"),
            )),
            _ => Ok(()),
        }
    }

    /// An empty block with room for a member.
    fn block(&self) -> Vec<u8> {
        locked(&self.inner.blocks).pop().unwrap_or_else(|| Vec::with_capacity(MEMBER))
    }

    /// Keeps a block for the next artifact. There are never more than there were artifacts open at a time.
    fn give_back(&self, mut block: Vec<u8>) {
        if block.capacity() >= MEMBER {
            block.clear();
            locked(&self.inner.blocks).push(block);
        }
    }

    /// Notes that an artifact gave back room.
    fn freed(&self, bytes: u64) {
        let _ = self.inner.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |u| Some(u.saturating_sub(bytes)));
    }

    fn write_anyway(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        {
            let left = self.inner.budget.load(Ordering::Relaxed);
            let fits = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            self.inner.budget.store(left - fits as u64, Ordering::Relaxed);
            if fits < bytes.len() {
                file.write_all(&bytes[..fits])?;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        file.write_all(bytes)
    }

    fn failed(&self, file: &str, source: io::Error) -> SpoolError {
        SpoolError::Io { path: self.inner.dir.join(file).display().to_string(), source }
    }

    /// Lets the disk be full after so many more bytes.
    #[cfg(test)]
    pub(in crate::bundle) fn fail_after(&self, bytes: u64) {
        self.inner.budget.store(bytes, Ordering::Relaxed);
    }
}

/// Makes a new file for appending that nobody else may read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Bytes that this user may still write to the disk of a directory; none where that cannot be known.
fn free_bytes(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(dir).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// A panic elsewhere does not make the lists wrong: each change is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
