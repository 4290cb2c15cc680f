//! Archives: any tar, gzip, tar.gz or zip, and those inside of them, member by member.
//!
//! Every archive is taken for hostile. A member that cannot be trusted becomes a stub or is left out; an archive whose
//! structure cannot be trusted is refused as a whole. Nothing raw reaches the disk: unnamed files hold redacted bytes only.

mod budget;
mod directory;
mod tape;
mod zip;

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use zeroize::Zeroizing;

use self::budget::{Budget, Counted, Guarded};
use super::Cleaner;
use super::closed::{CopyError, WholeFile};

/// Archives inside of archives.
const MAX_DEPTH: usize = 3;
/// Bytes that tell what a file is.
const HEAD: usize = 512;

/// How much an archive may hold.
#[derive(Debug, Clone)]
pub struct ArchiveLimits {
    /// Members of all archives together.
    pub entries: u64,
    /// Bytes of all members together.
    pub total: u64,
    /// How many times larger than compressed content may be.
    pub ratio: u64,
    /// Bytes from which on the ratio counts.
    pub ratio_floor: u64,
    /// Largest zip inside of another archive. It has to be held in memory, because it is read from its end.
    pub nested_zip: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 200_000, total: 64 << 30, ratio: 200, ratio_floor: 16 << 20, nested_zip: 64 << 20 }
    }
}

/// Why an archive was not redacted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Its structure cannot be trusted, or it is too large. The text says what to do.
    #[error("{0}")]
    Refused(String),
    /// It cannot be read, or unpacks to something else than it says.
    #[error("{0}")]
    Read(io::Error),
    /// The result cannot be written.
    #[error(
        "the result cannot be written: {0}; check the free space of its directory and of the one for temporary files"
    )]
    Write(io::Error),
}

impl ArchiveError {
    fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<CopyError<io::Error>> for ArchiveError {
    fn from(error: CopyError<io::Error>) -> Self {
        match error {
            CopyError::Read(e) => Self::Read(e),
            CopyError::Write(e) => Self::Write(e),
        }
    }
}

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A gzip, with a tar in it or without.
    Gzip,
    /// A tar.
    Tar,
    /// A zip.
    Zip,
    /// No archive.
    Other,
}

impl Shape {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(b"\x1f\x8b\x08") {
            Self::Gzip
        } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Self::Zip
        } else if head.get(257..262) == Some(b"ustar") {
            Self::Tar
        } else {
            Self::Other
        }
    }

    /// Looks into a file and goes back to its beginning.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file<R: Read + Seek>(file: &mut R) -> io::Result<Self> {
        let mut head = Vec::new();
        Read::take(&mut *file, HEAD as u64).read_to_end(&mut head)?;
        file.rewind()?;
        Ok(Self::of(&head))
    }
}

impl Cleaner {
    /// Redacts an archive into an empty file of the same shape; `name` is what the report counts under. What is no archive is
    /// redacted as a text. Gives the number of members that were left out.
    ///
    /// # Errors
    /// When the archive cannot be trusted, read or written; the target then holds a part of the result.
    pub fn archive<R: Read + Seek>(
        &self,
        name: &str,
        source: &mut R,
        target: &mut File,
        limits: &ArchiveLimits,
    ) -> Result<u64, ArchiveError> {
        let mut run = Run { cleaner: self, budget: Budget::new(limits.clone()) };
        match Shape::of_file(source).map_err(ArchiveError::Read)? {
            Shape::Zip => run.zip(source, target, 0),
            _ => run.content(name, Box::new(source), target, 0),
        }
    }
}

/// One archive with everything in it.
struct Run<'a> {
    cleaner: &'a Cleaner,
    budget: Budget,
}

impl Run<'_> {
    /// Redacts one member, and what is inside of it, into an empty file.
    fn content(
        &mut self,
        name: &str,
        mut source: Box<dyn Read + '_>,
        target: &mut File,
        depth: usize,
    ) -> Result<u64, ArchiveError> {
        let mut head = Vec::new();
        source.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(ArchiveError::Read)?;
        let shape = Shape::of(&head);
        let mut source: Box<dyn Read + '_> = Box::new(io::Cursor::new(head).chain(source));
        match shape {
            Shape::Gzip if depth < MAX_DEPTH => self.gzip(name, source, target, depth),
            Shape::Zip if depth <= MAX_DEPTH => {
                let most = self.budget.limits.nested_zip;
                let mut whole = Zeroizing::new(Vec::new());
                let read = source.by_ref().take(most + 1).read_to_end(&mut whole).map_err(ArchiveError::Read)?;
                if read as u64 > most {
                    return Err(ArchiveError::refused(format!(
                        "a zip inside of an archive is larger than {most} bytes; unpack it and name the directory"
                    )));
                }
                self.zip(&mut io::Cursor::new(whole.as_slice()), target, depth)
            }
            Shape::Tar if depth <= MAX_DEPTH => self.tar(source, target, depth),
            _ => {
                let sound = self.cleaner.document(name, &mut source, target)?;
                Ok(u64::from(!sound))
            }
        }
    }

    /// Redacts what a gzip holds, and packs it again.
    fn gzip(
        &mut self,
        name: &str,
        source: Box<dyn Read + '_>,
        target: &mut File,
        depth: usize,
    ) -> Result<u64, ArchiveError> {
        let packed = budget::counter();
        let decoder = MultiGzDecoder::new(Counted { inner: source, count: packed.clone() });
        let plain = Guarded::new(decoder, packed, &self.budget);
        let mut inner = tempfile::tempfile().map_err(ArchiveError::Write)?;
        // A tar in a gzip is one archive, not two.
        let inside = name.strip_suffix(".gz").map_or_else(|| name.replace(".tgz", ".tar"), str::to_owned);
        let stubs = self.content(&inside, Box::new(plain), &mut inner, depth + 1)?;
        let pack = || {
            inner.rewind()?;
            let mut encoder = GzEncoder::new(io::BufWriter::new(target), Compression::default());
            io::copy(&mut inner, &mut encoder)?;
            encoder.finish()?.flush()
        };
        pack().map_err(ArchiveError::Write)?;
        Ok(stubs)
    }

    /// Redacts one member into a new unnamed file, which stands at its beginning afterwards. One that is broken or a
    /// bomb becomes a stub, and never a part of it. Gives the file and the number of stubs.
    fn member(
        &mut self,
        name: &str,
        redact: impl FnOnce(&mut Self, &mut File) -> Result<u64, ArchiveError>,
    ) -> Result<(File, u64), ArchiveError> {
        let mut clean = tempfile::tempfile().map_err(ArchiveError::Write)?;
        let stubs = match redact(self, &mut clean) {
            Ok(stubs) => stubs,
            Err(error @ ArchiveError::Write(_)) => return Err(error),
            Err(error) if self.budget.is_exhausted() => return Err(error),
            Err(error) => {
                let reason = error.to_string();
                let outlet = &mut WholeFile(&mut clean);
                self.cleaner.redactor.leave_stub(name, outlet, &reason).map_err(ArchiveError::Write)?;
                1
            }
        };
        clean.rewind().map_err(ArchiveError::Write)?;
        Ok((clean, stubs))
    }
}
