//! One artifact that is being written.

use std::fs::File;

use sha2::{Digest, Sha256};

use super::journal::Record;
use super::piece::{Piece, with_member};
use super::trim::Settle;
use super::{Spool, SpoolError, create_private};
use crate::bundle::format::{MEMBER, SHARED_MEMBER};
use crate::model::{BundlePath, FileEntry, Kept, Truncation};
use crate::redact::{Outlet, Redacted};

/// One artifact that is being written. Dropping it without [`SpoolWriter::finish`] keeps what was written, marked as
/// truncated by an interruption.
pub struct SpoolWriter {
    spool: Spool,
    id: u64,
    path: BundlePath,
    newest: Option<u64>,
    /// The incomplete block; the tail file has the same bytes.
    pending: Vec<u8>,
    tail: Option<File>,
    /// Files of complete members, oldest first. With a limit there are at most two, each of at least the limit when
    /// it is complete, so that the disk holds about twice the limit.
    segments: Vec<Segment>,
    generation: u32,
    hash: Sha256,
    dropped: u64,
    /// A write failed. What is in the files is kept, nothing is added.
    broken: bool,
    closed: bool,
}

struct Segment {
    name: String,
    file: File,
    stored: u64,
    raw: u64,
    pieces: Vec<Piece>,
}

/// Name of the file that holds an artifact's incomplete block.
pub(super) fn tail_name(id: u64) -> String {
    format!("{id:06}.tail")
}

impl SpoolWriter {
    pub(super) fn new(spool: Spool, id: u64, path: BundlePath, newest: Option<u64>) -> Self {
        Self {
            spool,
            id,
            path,
            newest,
            pending: Vec::new(),
            tail: None,
            segments: Vec::new(),
            generation: 0,
            hash: Sha256::new(),
            dropped: 0,
            broken: false,
            closed: false,
        }
    }

    /// The path that the artifact has in the bundle.
    #[must_use]
    pub fn path(&self) -> &BundlePath {
        &self.path
    }

    /// Appends redacted bytes.
    ///
    /// # Errors
    /// When the disk is full or fails. Everything up to the failure is kept; later writes fail, too.
    pub fn write(&mut self, chunk: &Redacted<Vec<u8>>) -> Result<(), SpoolError> {
        if self.broken {
            let source = std::io::Error::other("an earlier write of this file failed");
            return Err(self.spool.failed(&tail_name(self.id), source));
        }
        let result = self.add(chunk.get());
        self.broken = result.is_err();
        result
    }

    fn add(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        while !bytes.is_empty() {
            let n = bytes.len().min(MEMBER - self.pending.len());
            self.append_tail(&bytes[..n])?;
            self.make_room(n);
            self.pending.extend_from_slice(&bytes[..n]);
            self.hash.update(&bytes[..n]);
            bytes = &bytes[n..];
            if self.pending.len() == MEMBER {
                self.seal()?;
                self.truncate_tail()?;
            }
        }
        Ok(())
    }

    /// A block that outgrows what small artifacts have moves into one of the spool's blocks.
    fn make_room(&mut self, more: usize) {
        if self.pending.len() + more > SHARED_MEMBER && self.pending.capacity() < MEMBER {
            let mut block = self.spool.block();
            block.extend_from_slice(&self.pending);
            self.pending = block;
        }
    }

    fn append_tail(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let name = tail_name(self.id);
        let tail = match &mut self.tail {
            Some(tail) => tail,
            none => {
                let file = create_private(&self.spool.dir().join(&name)).map_err(|e| self.spool.failed(&name, e))?;
                none.insert(file)
            }
        };
        self.spool.write(tail, bytes).map_err(|e| self.spool.failed(&name, e))
    }

    /// After a crash between [`Self::seal`] and this, `recover` finds the same block twice and takes it once.
    fn truncate_tail(&mut self) -> Result<(), SpoolError> {
        let block = self.pending.len() as u64;
        self.pending.clear();
        let Some(tail) = &self.tail else { return Ok(()) };
        tail.set_len(0).map_err(|e| {
            // The block is in its member; it must not count again.
            self.tail = None;
            self.spool.failed(&tail_name(self.id), e)
        })?;
        self.spool.freed(block);
        Ok(())
    }

    /// Appends the pending block to the newest segment as one gzip member.
    fn seal(&mut self) -> Result<(), SpoolError> {
        self.rotate()?;
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        let (spool, file) = (&self.spool, &mut segment.file);
        let written = with_member(&self.pending, |gzip| spool.write(file, gzip).map(|()| gzip.len() as u64));
        let stored = match written.and_then(|result| result) {
            Ok(stored) => stored,
            Err(source) => {
                // Half a member would make the whole segment unreadable; the tail file still has the block.
                let _ = segment.file.set_len(segment.stored);
                return Err(self.spool.failed(&segment.name, source));
            }
        };
        let raw = self.pending.len() as u64;
        segment.pieces.push(Piece { file: segment.name.clone(), offset: segment.stored, stored, raw, gzip: true });
        segment.stored += stored;
        segment.raw += raw;
        Ok(())
    }

    /// Makes sure that there is a segment to append to, and drops the oldest when the newer one alone has enough.
    fn rotate(&mut self) -> Result<(), SpoolError> {
        let full = |segment: &Segment| self.newest.is_some_and(|limit| segment.raw >= limit);
        if self.segments.last().is_some_and(|segment| !full(segment)) {
            return Ok(());
        }
        if self.segments.len() > 1 {
            let oldest = self.segments.remove(0);
            self.dropped += oldest.raw;
            self.spool.freed(oldest.stored);
            self.spool.append(&Record::Dropped { id: self.id, dropped: self.dropped })?;
            self.remove(&oldest.name)?;
        }
        let name = format!("{:06}.{:06}.gz", self.id, self.generation);
        self.generation += 1;
        let file = create_private(&self.spool.dir().join(&name)).map_err(|e| self.spool.failed(&name, e))?;
        self.segments.push(Segment { name, file, stored: 0, raw: 0, pieces: Vec::new() });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), SpoolError> {
        std::fs::remove_file(self.spool.dir().join(name)).map_err(|e| self.spool.failed(name, e))
    }

    /// Drops everything that was written so far, so that a stub can take its place.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn restart(&mut self) -> Result<(), SpoolError> {
        for segment in std::mem::take(&mut self.segments) {
            self.remove(&segment.name)?;
            self.spool.freed(segment.stored);
        }
        self.spool.freed(self.pending.len() as u64);
        self.tail = None;
        match std::fs::remove_file(self.spool.dir().join(tail_name(self.id))) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(self.spool.failed(&tail_name(self.id), e));
            }
            _ => {}
        }
        if self.dropped > 0 {
            self.spool.append(&Record::Dropped { id: self.id, dropped: 0 })?;
        }
        self.pending.clear();
        self.hash = Sha256::new();
        self.dropped = 0;
        self.broken = false;
        Ok(())
    }

    /// Ends the artifact. `truncation` says what the source or the sink cut off; what the `newest` limit cut off is
    /// known here.
    ///
    /// # Errors
    /// When the disk is full or fails. What is readable stays in the spool all the same.
    pub fn finish(mut self, truncation: Option<Truncation>) -> Result<FileEntry, SpoolError> {
        self.close(truncation)
    }

    fn close(&mut self, truncation: Option<Truncation>) -> Result<FileEntry, SpoolError> {
        self.closed = true;
        let ended = self.end();
        self.spool.give_back(std::mem::take(&mut self.pending));
        let mut pieces: Vec<Piece> = self.segments.drain(..).flat_map(|segment| segment.pieces).collect();
        let failed = match ended {
            Ok(last) => {
                pieces.extend(last);
                None
            }
            Err(error) => {
                pieces.extend(self.tail_piece());
                Some(error)
            }
        };
        let lost = self.broken || failed.is_some();
        let cut = || Truncation { reason: "spool-failed".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        let settled = self.spool.settle(Settle {
            id: self.id,
            path: self.path.as_str(),
            newest: self.newest,
            pieces,
            dropped: self.dropped,
            truncation: if lost { truncation.or_else(|| Some(cut())) } else { truncation },
            sha256: (!self.broken).then(|| std::mem::take(&mut self.hash).finalize().into()),
        });
        match failed {
            Some(error) => Err(error),
            None => settled,
        }
    }

    /// Turns the pending block into its final piece: small artifacts stay raw, because packing lets them share a
    /// member; the end of a larger one becomes its last member.
    fn end(&mut self) -> Result<Option<Piece>, SpoolError> {
        if self.broken || (self.segments.is_empty() && self.pending.len() <= SHARED_MEMBER) {
            return Ok(self.tail_piece());
        }
        let block = self.pending.len() as u64;
        if !self.pending.is_empty() {
            self.seal()?;
            self.pending.clear();
        }
        if let Some(tail) = self.tail.take() {
            // The journal says where the content lies, so the file is ignored. It goes with the spool: a file system
            // that has to find places for new files among those just removed is slow.
            let _ = tail.set_len(0);
            self.spool.freed(block);
        }
        Ok(None)
    }

    /// The tail file as a piece, as far as it was written.
    fn tail_piece(&mut self) -> Option<Piece> {
        let written = self.tail.take()?.metadata().ok()?.len();
        // After a failed write the file may hold more than what was counted, and it is as good.
        let raw = written.min(MEMBER as u64);
        (raw > 0).then(|| Piece { file: tail_name(self.id), offset: 0, stored: raw, raw, gzip: false })
    }
}

impl Outlet for SpoolWriter {
    type Error = SpoolError;

    fn write(&mut self, content: &Redacted<Vec<u8>>) -> Result<(), SpoolError> {
        Self::write(self, content)
    }

    fn restart(&mut self) -> Result<(), SpoolError> {
        Self::restart(self)
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        if !self.closed {
            let cut = Truncation { reason: "interrupted".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
            // A destructor has nobody to tell; the journal and the files are still there for `recover`.
            let _ = self.close(Some(cut));
        }
    }
}
