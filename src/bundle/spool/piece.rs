//! Where an artifact's bytes lie in the spool.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};

use crate::bundle::format::MEMBER;
use crate::model::FileEntry;

/// Compression level of all members.
const LEVEL: u32 = 6;

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
        let stored = self.stored(dir)?;
        Ok(if self.gzip {
            // One byte more than promised: the decoder checks the member's checksum only when it is read to its end.
            Box::new(GzDecoder::new(io::BufReader::with_capacity(64 << 10, stored)).take(self.raw.saturating_add(1)))
        } else {
            Box::new(stored)
        })
    }

    /// Reads the piece's content, which must have the promised length.
    pub(in crate::bundle) fn load(&self, dir: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.content(dir)?.take(2 * MEMBER as u64).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == self.raw {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file of the spool is shorter than its journal says"))
        }
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

/// Compresses bytes into one gzip member. The result depends on nothing but the bytes.
pub(in crate::bundle) fn member(raw: &[u8]) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(raw.len() / 4 + 64);
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(LEVEL));
    encoder.write_all(raw)?;
    encoder.finish()
}
