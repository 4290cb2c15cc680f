//! Decides which bytes share a gzip member, before anything is written.

use std::ops::Range;

use super::tar;
use crate::bundle::format::{FIRST, MEMBER, SHARED_MEMBER};
use crate::bundle::spool::{Piece, Stored};
use crate::redact::Redacted;

/// One gzip member of the archive.
pub(super) enum Job<'a> {
    /// Is compressed at packing time.
    Compress(Vec<Part<'a>>),
    /// Is copied from the spool.
    Copy(&'a Piece),
}

/// Raw bytes of a member.
pub(super) enum Part<'a> {
    Owned(Vec<u8>),
    Memory(&'a [u8]),
    File(&'a Piece),
    Zeros(usize),
}

/// One file of the archive.
pub(super) struct Planned {
    pub(super) path: String,
    pub(super) size: u64,
    /// The job whose member holds the tar header.
    pub(super) job: usize,
    /// Where in that member the header begins.
    pub(super) offset: u64,
    /// The jobs that hold the content, when the file has members of its own.
    pub(super) data: Range<usize>,
}

/// The whole archive but for the index.
pub(super) struct Plan<'a> {
    pub(super) jobs: Vec<Job<'a>>,
    pub(super) entries: Vec<Planned>,
    pub(super) mtime: u64,
    top: &'a str,
    /// Small files that wait for neighbours, and their raw size.
    shared: Vec<Part<'a>>,
    shared_len: u64,
}

/// Content of one file, in runs that may become members.
enum Content<'a> {
    Memory(&'a [u8]),
    Pieces(&'a [Piece]),
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        top: &'a str,
        first: &'a [(&'static str, Redacted<Vec<u8>>)],
        stored: &'a [Stored],
        mtime: u64,
    ) -> Self {
        let mut plan = Self { jobs: Vec::new(), entries: Vec::new(), mtime, top, shared: Vec::new(), shared_len: 0 };
        for name in FIRST {
            if let Some((_, content)) = first.iter().find(|(n, _)| *n == name) {
                plan.add(name, content.get().len() as u64, &Content::Memory(content.get()));
            }
        }
        // A reader of the first files gets nothing else with them.
        plan.flush();
        let mut rest: Vec<(&str, u64, Content<'a>)> = first
            .iter()
            .filter(|(name, _)| !FIRST.contains(name))
            .map(|(name, content)| (*name, content.get().len() as u64, Content::Memory(content.get())))
            .chain(stored.iter().map(|s| (s.entry.path.as_str(), s.entry.size, Content::Pieces(&s.pieces))))
            .collect();
        rest.sort_by(|a, b| a.0.cmp(b.0));
        for (path, size, content) in &rest {
            plan.add(path, *size, content);
        }
        plan.flush();
        plan
    }

    fn add(&mut self, path: &str, size: u64, content: &Content<'a>) {
        let header = tar::header(&format!("{}/{path}", self.top), size, self.mtime);
        let padding = tar::padding(size);
        let whole = header.len() as u64 + size + padding as u64;
        let raw_only = match content {
            Content::Memory(_) => true,
            Content::Pieces(pieces) => pieces.iter().all(|piece| !piece.gzip),
        };
        let mut entry = Planned { path: path.to_owned(), size, job: 0, offset: 0, data: 0..0 };
        if raw_only && size <= SHARED_MEMBER as u64 {
            if self.shared_len + whole > SHARED_MEMBER as u64 {
                self.flush();
            }
            entry.job = self.jobs.len();
            entry.offset = self.shared_len;
            self.shared.push(Part::Owned(header));
            match content {
                Content::Memory(bytes) => self.shared.push(Part::Memory(bytes)),
                Content::Pieces(pieces) => self.shared.extend(pieces.iter().map(Part::File)),
            }
            self.shared.push(Part::Zeros(padding));
            self.shared_len += whole;
        } else {
            self.flush();
            entry.job = self.jobs.len();
            self.jobs.push(Job::Compress(vec![Part::Owned(header)]));
            let from = self.jobs.len();
            match content {
                Content::Memory(bytes) => {
                    self.jobs.extend(bytes.chunks(MEMBER).map(|block| Job::Compress(vec![Part::Memory(block)])));
                }
                Content::Pieces(pieces) => {
                    self.jobs.extend(pieces.iter().map(|piece| {
                        if piece.gzip { Job::Copy(piece) } else { Job::Compress(vec![Part::File(piece)]) }
                    }));
                }
            }
            entry.data = from..self.jobs.len();
            if padding > 0 {
                self.jobs.push(Job::Compress(vec![Part::Zeros(padding)]));
            }
        }
        self.entries.push(entry);
    }

    fn flush(&mut self) {
        if !self.shared.is_empty() {
            self.jobs.push(Job::Compress(std::mem::take(&mut self.shared)));
            self.shared_len = 0;
        }
    }
}
