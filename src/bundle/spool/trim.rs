//! Cuts the oldest bytes off an artifact, at a line boundary, and gives the result its size and checksum.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::piece::{Piece, Pieces, Stored, member};
use super::{Spool, SpoolError, create_private};
use crate::bundle::format::SHARED_MEMBER;
use crate::model::{FileEntry, Kept, Truncation};
use crate::redact::{Fixed, Format, Redacted};

/// An artifact that nothing is added to any more.
pub(super) struct Settle<'a> {
    pub(super) id: u64,
    pub(super) path: &'a str,
    pub(super) newest: Option<u64>,
    pub(super) pieces: Vec<Piece>,
    /// Bytes that rotation dropped already.
    pub(super) dropped: u64,
    pub(super) truncation: Option<Truncation>,
    /// Of all bytes, where it is known.
    pub(super) sha256: Option<[u8; 32]>,
}

/// What cutting the front gave.
pub(super) struct Trimmed {
    pub(super) pieces: Vec<Piece>,
    pub(super) dropped: u64,
    pub(super) marker: u64,
}

/// Why the oldest bytes go.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// The limit of one artifact, in bytes.
    Limit(u64),
    /// The limit of the archive.
    MaxSize,
}

impl Why {
    fn reason(self) -> &'static str {
        match self {
            Self::Limit(_) => "log-limit",
            Self::MaxSize => "max-size",
        }
    }

    /// The line that takes the place of the oldest bytes.
    fn marker(self, dropped: u64) -> Redacted<String> {
        let head =
            [Fixed::Text("[casefile: the oldest "), Fixed::Number(dropped), Fixed::Text(" bytes were left out, ")];
        let why = match self {
            Self::Limit(limit) if limit > 0 && limit % (1 << 20) == 0 => {
                [Fixed::Text("limit "), Fixed::Number(limit >> 20), Fixed::Text(" MiB]\n")]
            }
            Self::Limit(limit) => [Fixed::Text("limit "), Fixed::Number(limit), Fixed::Text(" bytes]\n")],
            Self::MaxSize => {
                [Fixed::Text("so that the archive keeps "), Fixed::Text("its maximum size"), Fixed::Text("]\n")]
            }
        };
        Redacted::fixed(&[head, why].concat())
    }

    /// What the manifest says. A truncation that the source caused is the rarer news and keeps its reason.
    pub(super) fn truncation(self, before: Option<Truncation>, dropped: u64) -> Truncation {
        let reason = before.map_or_else(|| self.reason().to_owned(), |t| t.reason);
        Truncation { reason, dropped_bytes: Some(dropped), kept: Kept::Newest }
    }
}

impl Spool {
    /// Applies the limit, computes size and checksum and journals the artifact. When cutting fails, all bytes stay.
    pub(super) fn settle(&self, artifact: Settle<'_>) -> Result<FileEntry, SpoolError> {
        let Settle { id, path, newest, pieces, dropped, truncation, sha256 } = artifact;
        let size = total(&pieces);
        let excess = newest.map_or(0, |limit| size.saturating_sub(limit));
        let why = Why::Limit(newest.unwrap_or(0));
        let mut failure = None;
        let mut stored = Stored {
            id,
            entry: FileEntry { path: path.to_owned(), size, sha256: String::new(), truncation },
            pieces,
            dropped,
            marker: 0,
        };
        let mut sha256 = sha256.filter(|_| dropped == 0);
        if excess > 0 || dropped > 0 {
            match self.cut_front(id, path, &stored.pieces, excess, dropped, why) {
                Ok(trimmed) => {
                    sha256 = None;
                    stored.entry.truncation = Some(why.truncation(stored.entry.truncation.take(), trimmed.dropped));
                    stored.adopt(trimmed);
                }
                Err(error) => failure = Some(error),
            }
        }
        stored.entry.sha256 = match sha256 {
            Some(hash) => hex(&hash),
            None => self.checksum(&stored.pieces).unwrap_or_else(|error| {
                failure.get_or_insert(error);
                String::new()
            }),
        };
        let entry = stored.entry.clone();
        self.close(stored)?;
        failure.map_or(Ok(entry), Err)
    }

    /// Drops at least `skip` bytes from the front, up to the end of a line where one is near, and puts a line in their place that
    /// says so. `dropped` were dropped before.
    pub(super) fn cut_front(
        &self,
        id: u64,
        path: &str,
        pieces: &[Piece],
        skip: u64,
        dropped: u64,
        why: Why,
    ) -> Result<Trimmed, SpoolError> {
        // The byte before the cut decides whether the cut is at a line boundary already.
        let from = skip.saturating_sub(1);
        let mut before = 0;
        let at = pieces.iter().position(|piece| {
            let here = from < before + piece.raw;
            before += if here { 0 } else { piece.raw };
            here
        });
        let Some(mut at) = at else {
            return Ok(Trimmed { pieces: Vec::new(), dropped: dropped.wrapping_add(total(pieces)), marker: 0 });
        };
        let load = |at: usize| pieces[at].load(self.dir()).map_err(|e| self.failed(&pieces[at].file, e));
        let mut bytes = load(at)?;
        let from = usize::try_from(from - before).unwrap_or(usize::MAX).min(bytes.len());
        let hard = usize::try_from(skip - before).unwrap_or(usize::MAX).min(bytes.len());
        let mut cut = memchr::memchr(b'\n', &bytes[from..]).map(|newline| from + newline + 1);
        if cut.is_none() && at + 1 < pieces.len() {
            // The line may end in the next block.
            let next = load(at + 1)?;
            cut = memchr::memchr(b'\n', &next).map(|newline| newline + 1);
            if cut.is_some() {
                before += bytes.len() as u64;
                bytes = next;
                at += 1;
            }
        }
        // One line that is longer than a block: cut between characters.
        let cut = cut.unwrap_or_else(|| hard + bytes[hard..].iter().take(3).take_while(|b| **b & 0xc0 == 0x80).count());
        let dropped = dropped.wrapping_add(before + cut as u64);
        let marker =
            if Format::of_path(path) == Format::Text { why.marker(dropped).into_inner() } else { String::new() };
        let head = [marker.as_bytes(), &bytes[cut..]].concat();
        let mut kept = Vec::with_capacity(pieces.len() - at);
        if !head.is_empty() {
            let alone = at + 1 == pieces.len() && head.len() <= SHARED_MEMBER;
            kept.push(self.write_head(id, &head, !alone)?);
        }
        kept.extend_from_slice(&pieces[at + 1..]);
        Ok(Trimmed { pieces: kept, dropped, marker: marker.len() as u64 })
    }

    fn write_head(&self, id: u64, head: &[u8], gzip: bool) -> Result<Piece, SpoolError> {
        let failed = |name: &str, e| self.failed(name, e);
        for round in 0_u32.. {
            let name = format!("{id:06}.head{round}");
            let mut file = match create_private(&self.dir().join(&name)) {
                Ok(file) => file,
                // An earlier cut made it, and the artifact may still refer to it.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(failed(&name, e)),
            };
            let compressed = if gzip { Some(member(head).map_err(|e| failed(&name, e))?) } else { None };
            let bytes = compressed.as_deref().unwrap_or(head);
            self.write(&mut file, bytes).map_err(|e| failed(&name, e))?;
            return Ok(Piece { file: name, offset: 0, stored: bytes.len() as u64, raw: head.len() as u64, gzip });
        }
        Err(failed("", std::io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn checksum(&self, pieces: &[Piece]) -> Result<String, SpoolError> {
        let mut hash = Sha256::new();
        let mut reader = Pieces::new(self.dir(), pieces);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = reader.read(&mut buffer).map_err(|e| self.failed("", e))?;
            if n == 0 {
                return Ok(hex(&hash.finalize()));
            }
            hash.update(&buffer[..n]);
        }
    }
}

impl Stored {
    pub(super) fn adopt(&mut self, trimmed: Trimmed) {
        self.entry.size = total(&trimmed.pieces);
        self.pieces = trimmed.pieces;
        self.dropped = trimmed.dropped;
        self.marker = trimmed.marker;
    }
}

/// Bytes of content.
pub(super) fn total(pieces: &[Piece]) -> u64 {
    pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.raw))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
