//! Packs a spool into one archive. Compressed blocks are copied byte for byte; only small files and the files of the
//! run itself are compressed here, on all cores.

mod plan;
mod tar;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::format::{self, Index, IndexEntry};
use super::spool::{Spool, member};
use crate::model::time::Timestamp;
use crate::model::{BundlePath, FileEntry};
use crate::redact::Redacted;

use plan::{Job, Part, Plan};

/// Jobs that are compressed before their results are written, for each core: what bounds the memory.
const BATCH: usize = 8;

/// Why packing failed. The spool stays, and `casefile recover` can pack it.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The archive exists.
    #[error("{0} exists; choose another name with --output, or use --force to replace it")]
    Exists(PathBuf),
    /// The archive cannot be written.
    #[error(
        "cannot write {path}: {source}; the collected data are still in {spool}: make room and run `casefile recover {spool}`"
    )]
    Write {
        /// The archive.
        path: String,
        /// The spool's directory.
        spool: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The spool cannot be read.
    #[error("cannot read the spool at {spool}: {source}")]
    Spool {
        /// The spool's directory.
        spool: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Where an archive goes.
pub enum Target<'a> {
    /// A file, mode 0600; written under a temporary name beside it, synced and renamed.
    File(PathBuf),
    /// Anything else, such as standard output.
    Writer(&'a mut dyn Write),
}

/// What packing needs beside the artifacts.
pub struct PackOptions<'a> {
    /// Name of the archive's top directory.
    pub top_dir: Redacted<String>,
    /// Where the archive goes.
    pub target: Target<'a>,
    /// Files of the run itself, such as the manifest. Those of [`format::FIRST`] come first, in its order.
    pub first: Vec<(&'static str, Redacted<Vec<u8>>)>,
    /// Modification time of every entry: when the run began.
    pub mtime: Timestamp,
    /// Whether an existing file may be replaced.
    pub force: bool,
}

/// A finished archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The file; none when the archive went elsewhere.
    pub path: Option<PathBuf>,
    /// Size of the archive in bytes.
    pub bytes: u64,
    /// Number of files in it, without the index.
    pub files: usize,
}

/// The manifest's entry for a file that is handed to [`pack`] in [`PackOptions::first`].
#[must_use]
pub fn file_entry(path: &'static str, content: &Redacted<Vec<u8>>) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        size: content.get().len() as u64,
        sha256: Sha256::digest(content.get()).iter().map(|b| format!("{b:02x}")).collect(),
        truncation: None,
    }
}

/// Writes all finished artifacts of `spool`, and the files of the run, as one archive. The spool stays as it is.
///
/// # Errors
/// When the target exists, or cannot be written; then nothing is left behind at the target.
pub fn pack(spool: &Spool, options: PackOptions<'_>) -> Result<Packed, PackError> {
    let PackOptions { top_dir, target, first, mtime, force } = options;
    let top = BundlePath::portable(&top_dir.get().replace('/', "-"));
    let stored = spool.stored();
    let plan = Plan::new(top.as_str(), &first, &stored, u64::try_from(mtime.timestamp()).unwrap_or(0));
    let job = Packer { spool, top: top.as_str(), plan: &plan };
    match target {
        Target::Writer(out) => {
            let bytes = job.write(out, "the output")?;
            Ok(Packed { path: None, bytes, files: plan.entries.len() })
        }
        Target::File(path) => {
            let bytes = job.write_file(&path, force)?;
            Ok(Packed { path: Some(path), bytes, files: plan.entries.len() })
        }
    }
}

struct Packer<'a> {
    spool: &'a Spool,
    top: &'a str,
    plan: &'a Plan<'a>,
}

impl Packer<'_> {
    fn write_file(&self, path: &Path, force: bool) -> Result<u64, PackError> {
        let shown = path.display().to_string();
        let fail = |source| self.write_error(&shown, source);
        if !force && path.symlink_metadata().is_ok() {
            return Err(PackError::Exists(path.to_path_buf()));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        // Made with O_EXCL and mode 0600, and removed again when anything below fails.
        let mut temp = tempfile::Builder::new().prefix(".casefile-").suffix(".tmp").tempfile_in(dir).map_err(fail)?;
        let bytes = self.write(temp.as_file_mut(), &shown)?;
        temp.as_file().sync_all().map_err(fail)?;
        if force {
            temp.persist(path).map_err(|e| fail(e.error))?;
        } else {
            temp.persist_noclobber(path).map_err(|e| match e.error.kind() {
                io::ErrorKind::AlreadyExists => PackError::Exists(path.to_path_buf()),
                _ => fail(e.error),
            })?;
        }
        #[cfg(unix)]
        if let Ok(dir) = File::open(dir) {
            // Not every file system can sync a directory; the archive itself is safe.
            let _ = dir.sync_all();
        }
        Ok(bytes)
    }

    fn write_error(&self, path: &str, source: io::Error) -> PackError {
        PackError::Write { path: path.to_owned(), spool: self.spool.dir().display().to_string(), source }
    }

    fn write(&self, out: &mut dyn Write, shown: &str) -> Result<u64, PackError> {
        let fail = |source| self.write_error(shown, source);
        let mut out = Counted { inner: BufWriter::with_capacity(256 << 10, out), count: 0 };
        let mut offsets = Vec::with_capacity(self.plan.jobs.len());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for batch in self.plan.jobs.chunks(BATCH * cores) {
            let mut members = self.compress(batch, cores)?;
            for (job, member) in batch.iter().zip(&mut members) {
                offsets.push(out.count);
                match (job, member) {
                    (Job::Copy(piece), _) => {
                        let mut from = piece.stored(self.spool.dir()).map_err(|e| self.spool_error(e))?;
                        let copied = io::copy(&mut from, &mut out).map_err(fail)?;
                        if copied != piece.stored {
                            return Err(self.spool_error(io::ErrorKind::UnexpectedEof.into()));
                        }
                    }
                    (Job::Compress(_), Some(member)) => out.write_all(member).map_err(fail)?,
                    (Job::Compress(_), None) => return Err(self.spool_error(io::ErrorKind::Other.into())),
                }
            }
        }
        let index_at = out.count;
        out.write_all(&member(&self.index(&offsets)).map_err(fail)?).map_err(fail)?;
        out.write_all(&format::final_member(index_at)).map_err(fail)?;
        out.flush().map_err(fail)?;
        Ok(out.count)
    }

    /// Compresses a batch of jobs on all cores. The results stand in the order of the jobs, whoever was first.
    fn compress(&self, batch: &[Job<'_>], cores: usize) -> Result<Vec<Option<Vec<u8>>>, PackError> {
        let results: Vec<Mutex<Option<io::Result<Vec<u8>>>>> = batch.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((job, result)) = {
                let i = next.fetch_add(1, Ordering::Relaxed);
                batch.get(i).zip(results.get(i))
            } {
                if let Job::Compress(parts) = job
                    && let Ok(mut slot) = result.lock()
                {
                    *slot = Some(self.raw(parts).and_then(|raw| member(&raw)));
                }
            }
        };
        let wanted = batch.iter().filter(|job| matches!(job, Job::Compress(_))).count();
        std::thread::scope(|scope| {
            for _ in 1..cores.min(wanted) {
                // Without a thread this one does the work alone.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        results
            .into_iter()
            .map(|slot| match slot.into_inner() {
                Ok(Some(result)) => result.map(Some).map_err(|e| self.spool_error(e)),
                _ => Ok(None),
            })
            .collect()
    }

    fn spool_error(&self, source: io::Error) -> PackError {
        PackError::Spool { spool: self.spool.dir().display().to_string(), source }
    }

    fn raw(&self, parts: &[Part<'_>]) -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        for part in parts {
            match part {
                Part::Owned(bytes) => raw.extend_from_slice(bytes),
                Part::Memory(bytes) => raw.extend_from_slice(bytes),
                Part::File(piece) => raw.extend_from_slice(&piece.load(self.spool.dir())?),
                Part::Zeros(n) => raw.resize(raw.len() + n, 0),
            }
        }
        Ok(raw)
    }

    /// The index with its tar header and padding.
    fn index(&self, offsets: &[u64]) -> Vec<u8> {
        let mut entries: Vec<IndexEntry> = self
            .plan
            .entries
            .iter()
            .map(|entry| IndexEntry {
                path: entry.path.clone(),
                size: entry.size,
                member: offsets[entry.job],
                offset: entry.offset,
                data: entry.data.clone().map(|job| offsets[job]).collect(),
            })
            .collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let index = Index { version: format::INDEX_VERSION, top: self.top.to_owned(), entries };
        let json = serde_json::to_vec(&index).unwrap_or_default();
        let mut raw = tar::header(&format!("{}/{}", self.top, format::INDEX), json.len() as u64, self.plan.mtime);
        raw.extend_from_slice(&json);
        raw.resize(raw.len() + tar::padding(json.len() as u64), 0);
        raw
    }
}

struct Counted<W> {
    inner: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
