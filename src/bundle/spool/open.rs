//! Opens the spool of a run that was killed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::artifact::tail_name;
use super::journal::{JOURNAL, Opened, Replay};
use super::names::Names;
use super::piece::{Piece, Stored};
use super::trim::Settle;
use super::{Spool, SpoolError, SpoolHeader};
use crate::bundle::format::MEMBER;
use crate::model::{BundlePath, Kept, LedgerEntry, Truncation};

/// A journal larger than this is not one of ours.
const JOURNAL_MAX: u64 = 1 << 30;

/// What a killed run left behind.
pub(in crate::bundle) struct Leftover {
    /// All artifacts, those that were open included.
    pub(in crate::bundle) spool: Spool,
    /// The run's metadata, unless the run was killed before it was written.
    pub(in crate::bundle) header: Option<SpoolHeader>,
    /// Outcomes of the items that ended.
    pub(in crate::bundle) ledger: Vec<LedgerEntry>,
    /// Paths of the artifacts that were open.
    pub(in crate::bundle) unfinished: Vec<String>,
    /// What could not be read, in sentences.
    pub(in crate::bundle) problems: Vec<String>,
}

impl Spool {
    /// Opens the spool of a killed run and closes its open artifacts.
    ///
    /// # Errors
    /// When the directory is no spool, its run is alive, or it cannot be written.
    pub(in crate::bundle) fn reopen(dir: &Path) -> Result<Leftover, SpoolError> {
        let unusable =
            |reason: &str| SpoolError::Unusable { path: dir.display().to_string(), reason: reason.to_owned() };
        let path = dir.join(JOURNAL);
        let fail = |source| SpoolError::Io { path: path.display().to_string(), source };
        let mut file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(unusable(
                    "it has no journal.jsonl; name the directory .casefile-*.spool that the killed run left beside its archive",
                ));
            }
            Err(e) => return Err(fail(e)),
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(unusable("a casefile process still writes into it; wait for its end, or stop it"));
        }
        let mut journal = Vec::new();
        (&mut file).take(JOURNAL_MAX).read_to_end(&mut journal).map_err(fail)?;
        let replay = Replay::of(&journal);
        let mut problems = Vec::new();
        if replay.damaged > 0 {
            problems.push(format!("{} records of the journal could not be read", replay.damaged));
        }
        let mut closed = BTreeMap::new();
        let mut names = Names::new();
        for (id, stored) in replay.closed {
            // Two files of one name, or an unsafe name, cannot be from a journal of ours.
            let path = BundlePath::portable(&stored.entry.path);
            if path.as_str() == stored.entry.path && names.take(&path) == path {
                closed.insert(id, stored);
            } else {
                problems.push(format!("{path} has a name that cannot be right and was left out"));
            }
        }
        let next = closed.keys().chain(replay.open.keys()).max().map_or(1, |id| id.saturating_add(1));
        let spool = Self::assemble(dir.to_path_buf(), file, next, closed);
        if !journal.is_empty() && !journal.ends_with(b"\n") {
            // The half record at the end must not swallow the first one that recovery writes.
            spool.end_line()?;
        }
        for stored in spool.stored() {
            if spool.checksum(&stored.pieces).ok().as_deref() != Some(stored.entry.sha256.as_str()) {
                problems.push(format!("{} is damaged; what can be read of it was kept", stored.entry.path));
                if let Err(error) = spool.salvage(stored) {
                    problems.push(error.to_string());
                }
            }
        }
        let mut unfinished = Vec::new();
        for (id, open) in replay.open {
            match spool.rescue(id, &open) {
                Ok(path) => unfinished.push(path),
                Err(error) => problems.push(format!("{} could not be recovered: {error}", open.path)),
            }
        }
        Ok(Leftover { spool, header: replay.header, ledger: replay.ledger, unfinished, problems })
    }

    fn end_line(&self) -> Result<(), SpoolError> {
        let mut journal = super::locked(&self.inner.journal);
        self.write(&mut journal, b"\n").map_err(|e| self.failed(JOURNAL, e))
    }

    /// Keeps the readable blocks of a finished artifact whose files are not what they were: a power failure can lose
    /// what the journal promises.
    fn salvage(&self, mut stored: Stored) -> Result<(), SpoolError> {
        stored.pieces.retain(|piece| piece.load(self.dir()).is_ok());
        let cut = Truncation { reason: "damaged".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        self.settle(Settle {
            id: stored.id,
            path: &stored.entry.path,
            newest: None,
            pieces: stored.pieces,
            dropped: 0,
            truncation: Some(cut),
            sha256: None,
        })
        .map(|_| ())
    }

    /// Closes an artifact that was open when the run was killed: all complete members, and the raw bytes behind them.
    fn rescue(&self, id: u64, open: &Opened) -> Result<String, SpoolError> {
        let failed = |name: &str, e| self.failed(name, e);
        let mut segments = Vec::new();
        let prefix = format!("{id:06}.");
        for item in std::fs::read_dir(self.dir()).map_err(|e| failed("", e))? {
            let name = item.map_err(|e| failed("", e))?.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) && name.ends_with(".gz") {
                segments.push(name);
            }
        }
        segments.sort();
        let mut pieces = Vec::new();
        for name in segments {
            members(self.dir(), &name, &mut pieces).map_err(|e| failed(&name, e))?;
        }
        let tail = tail_name(id);
        if let Ok(meta) = std::fs::metadata(self.dir().join(&tail)) {
            let raw = meta.len().min(MEMBER as u64);
            let piece = Piece { file: tail, offset: 0, stored: raw, raw, gzip: false };
            // A full block is in the tail for a moment while it is in the last member, too.
            let twice = raw == MEMBER as u64
                && pieces.last().is_some_and(|last| match (last.load(self.dir()), piece.load(self.dir())) {
                    (Ok(last), Ok(tail)) => last == tail,
                    _ => false,
                });
            if raw > 0 && !twice {
                pieces.push(piece);
            }
        }
        let path = super::locked(&self.inner.names).take(&BundlePath::portable(&open.path));
        let cut = Truncation { reason: "interrupted".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        self.settle(Settle {
            id,
            path: path.as_str(),
            newest: open.newest,
            pieces,
            dropped: open.dropped,
            truncation: Some(cut),
            sha256: None,
        })
        .map(|entry| entry.path)
    }
}

/// Finds the complete gzip members of a segment.
fn members(dir: &Path, name: &str, pieces: &mut Vec<Piece>) -> io::Result<()> {
    let file = File::open(dir.join(name))?;
    let len = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut offset = 0;
    while offset < len {
        let mut decoder = GzDecoder::new(Counted { inner: reader, count: 0 });
        let raw = io::copy(&mut (&mut decoder).take(2 * MEMBER as u64), &mut io::sink());
        let Counted { inner, count } = decoder.into_inner();
        // The run was killed inside of this member; the tail file has its content.
        let Ok(raw @ 1..=0x0010_0000) = raw else { break };
        pieces.push(Piece { file: name.to_owned(), offset, stored: count, raw, gzip: true });
        offset += count;
        reader = inner;
    }
    Ok(())
}

/// Counts the bytes that a decoder really took.
struct Counted {
    inner: BufReader<File>,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count += n as u64;
        Ok(n)
    }
}

impl io::BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.count += n as u64;
        self.inner.consume(n);
    }
}
