//! Where an artifact's bytes lie in the spool.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use serde::{Deserialize, Serialize};

use crate::bundle::format::MEMBER;
use crate::model::FileEntry;

/// Compression level of all members: on logs as small as level 6 of zlib, in about half of its time.
const LEVEL: i32 = 5;

/// A run of an artifact's bytes in one file of the spool: raw, or exactly one gzip member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bundle) struct Piece {
    /// Name of the file in the spool's directory.
    pub(in crate::bundle) file: String,
    /// Where it begins in that file.
    pub(in crate::bundle) offset: u64,
    /// Its length in that file.
    pub(in crate::bundle) stored: u64,
    /// Its length in the artifact.
    pub(in crate::bundle) raw: u64,
    /// Whether it is a gzip member.
    pub(in crate::bundle) gzip: bool,
}

impl Piece {
    /// The file that holds the piece. A name that would leave the directory is refused.
    fn path(&self, dir: &Path) -> io::Result<PathBuf> {
        if self.file.is_empty() || self.file.starts_with('.') || self.file.contains(['/', '\\']) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the journal names a file outside of the spool"));
        }
        Ok(dir.join(&self.file))
    }

    /// Opens the piece as it is stored.
    pub(in crate::bundle) fn stored(&self, dir: &Path) -> io::Result<io::Take<File>> {
        let mut file = File::open(self.path(dir)?)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.stored))
    }

    /// Opens the piece's content.
    pub(in crate::bundle) fn content(&self, dir: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(if self.gzip { Box::new(io::Cursor::new(self.member(dir)?)) } else { Box::new(self.stored(dir)?) })
    }

    /// Unpacks the piece's gzip member, whose length and checksum must fit.
    fn member(&self, dir: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.unpack(dir, &mut content)?;
        Ok(content)
    }

    /// Appends what the piece's gzip member holds.
    fn unpack(&self, dir: &Path, out: &mut Vec<u8>) -> io::Result<()> {
        let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
        let length = |n: u64| usize::try_from(n).ok().filter(|n| *n <= 2 * MEMBER);
        let (Some(stored), Some(raw)) = (length(self.stored), length(self.raw)) else {
            return Err(invalid("a block of the spool is longer than any block is"));
        };
        TOOLS.with_borrow_mut(|tools| {
            tools.gzip.clear();
            tools.gzip.reserve(stored);
            self.stored(dir)?.read_to_end(&mut tools.gzip)?;
            let at = out.len();
            out.resize(at + raw, 0);
            match tools.decompressor.gzip_decompress(&tools.gzip, &mut out[at..]) {
                Ok(length) if length == raw => Ok(()),
                Ok(_) => Err(invalid("a block of the spool has a wrong length")),
                Err(error) => Err(invalid(&format!("a block of the spool is damaged: {error}"))),
            }
        })
    }

    /// Appends the piece's content, which must have the promised length.
    pub(in crate::bundle) fn append_to(&self, dir: &Path, out: &mut Vec<u8>) -> io::Result<()> {
        if self.gzip {
            return self.unpack(dir, out);
        }
        let read = self.stored(dir)?.take(2 * MEMBER as u64).read_to_end(out)?;
        if read as u64 == self.raw {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file of the spool is shorter than its journal says"))
        }
    }

    /// Reads the piece's content, which must have the promised length.
    pub(in crate::bundle) fn load(&self, dir: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.append_to(dir, &mut bytes)?;
        Ok(bytes)
    }
}

/// One finished artifact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::bundle) struct Stored {
    /// Number of the artifact in the spool.
    pub(in crate::bundle) id: u64,
    /// Its entry in the manifest.
    pub(in crate::bundle) entry: FileEntry,
    /// Its content.
    pub(in crate::bundle) pieces: Vec<Piece>,
    /// Bytes of the source that were cut off its front.
    #[serde(default)]
    pub(in crate::bundle) dropped: u64,
    /// Length of the line at its front that says so.
    #[serde(default)]
    pub(in crate::bundle) marker: u64,
}

impl Stored {
    /// Bytes that the artifact has on the disk.
    pub(super) fn on_disk(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.stored).sum()
    }

    /// Reads the artifact from its beginning.
    pub(in crate::bundle) fn reader(&self, dir: &Path) -> Pieces {
        Pieces::new(dir, &self.pieces)
    }
}

/// Reads pieces one behind the other.
pub(in crate::bundle) struct Pieces {
    dir: PathBuf,
    rest: std::vec::IntoIter<Piece>,
    open: Option<(Box<dyn Read + Send>, u64)>,
}

impl Pieces {
    pub(in crate::bundle) fn new(dir: &Path, pieces: &[Piece]) -> Self {
        Self { dir: dir.to_path_buf(), rest: Vec::from(pieces).into_iter(), open: None }
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some((reader, left)) = self.open.as_mut() {
                let n = reader.read(buf)?;
                let fits = left.checked_sub(n as u64);
                *left = fits.unwrap_or(0);
                if fits.is_none() || (n == 0 && *left > 0) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a block of the spool has a wrong length"));
                }
                if n > 0 {
                    return Ok(n);
                }
            }
            let Some(piece) = self.rest.next() else { return Ok(0) };
            self.open = Some((piece.content(&self.dir)?, piece.raw));
        }
    }
}

/// What a thread keeps from block to block: memory that is taken and given back for each block makes the heap grow.
struct Tools {
    compressor: Compressor,
    decompressor: Decompressor,
    /// One gzip member.
    gzip: Vec<u8>,
}

thread_local! {
    static TOOLS: RefCell<Tools> = RefCell::new(Tools {
        compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()),
        decompressor: Decompressor::new(),
        gzip: Vec::new(),
    });
}

/// Compresses bytes into one gzip member and shows it to `work`. The member depends on nothing but the bytes.
pub(in crate::bundle) fn with_member<T>(raw: &[u8], work: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    TOOLS.with_borrow_mut(|tools| {
        let bound = tools.compressor.gzip_compress_bound(raw.len());
        if tools.gzip.len() < bound {
            tools.gzip.resize(bound, 0);
        }
        match tools.compressor.gzip_compress(raw, &mut tools.gzip) {
            Ok(length) => Ok(work(&tools.gzip[..length])),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    })
}

/// Compresses bytes into one gzip member.
pub(in crate::bundle) fn member(raw: &[u8]) -> io::Result<Vec<u8>> {
    with_member(raw, <[u8]>::to_vec)
}
