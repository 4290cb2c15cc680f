//! Members of a zip.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::budget::{Counted, Guarded, counter};
use super::directory::{self, Member};
use super::tape::is_inside;
use super::{ArchiveError, Run};

/// Bits of a member's flags that say it is encrypted, one way or the other.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;
/// Methods: as it is, and deflate.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Types of files in a mode of Unix.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

impl Run<'_> {
    /// Redacts the members of a zip into an empty file; gives the number of those that were left out.
    pub(super) fn zip<R: Read + Seek>(
        &mut self,
        source: &mut R,
        target: &mut File,
        depth: usize,
    ) -> Result<u64, ArchiveError> {
        let members = directory::read(source, self.budget.limits.entries)?;
        let mut out = Writer { out: BufWriter::new(target), directory: Vec::new(), count: 0 };
        let mut names = HashSet::new();
        let mut stubs = 0;
        for member in members {
            self.budget.entry()?;
            let name = self.cleaner.name(&member.name);
            if !is_inside(&name) || !names.insert(name.trim_end_matches('/').to_owned()) {
                stubs += 1;
                continue;
            }
            let kind = member.mode & TYPE;
            if name.ends_with('/') || kind == DIRECTORY {
                out.add(&member, &format!("{}/", name.trim_end_matches('/')), &mut io::empty())?;
                continue;
            }
            // Links, devices and pipes hold nothing to read.
            if kind != 0 && kind != REGULAR {
                stubs += 1;
                continue;
            }
            let redact = |run: &mut Self, clean: &mut File| run.zipped(source, &member, &name, clean, depth);
            let (mut clean, left_out) = self.member(&name, redact)?;
            stubs += left_out;
            out.add(&member, &name, &mut clean)?;
        }
        out.finish()?;
        Ok(stubs)
    }

    fn zipped<R: Read + Seek>(
        &mut self,
        source: &mut R,
        member: &Member,
        name: &str,
        clean: &mut File,
        depth: usize,
    ) -> Result<u64, ArchiveError> {
        if member.flags & ENCRYPTED != 0 {
            let reason = "it is encrypted; unpack it with its password and name the directory";
            return Err(ArchiveError::refused(reason));
        }
        let method = member.method;
        if !matches!(method, STORED | DEFLATED) {
            let reason =
                format!("it is packed with method {method}, which is not read; unpack it and name the directory");
            return Err(ArchiveError::refused(reason));
        }
        source.seek(SeekFrom::Start(member.data)).map_err(ArchiveError::Read)?;
        let packed = counter();
        let counted = Counted { inner: source.take(u64::from(member.packed)), count: packed.clone() };
        let plain: Box<dyn Read + '_> =
            if method == STORED { Box::new(counted) } else { Box::new(DeflateDecoder::new(counted)) };
        let guarded = Guarded::new(plain, packed, &self.budget);
        let exact = Exact { inner: guarded, left: u64::from(member.size), crc: Crc::new(), expected: member.crc };
        self.content(name, Box::new(exact), clean, depth + 1)
    }
}

/// Refuses content that is not what the directory says.
struct Exact<R> {
    inner: R,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.crc.update(&buf[..n]);
        let wrong = |what: &str| Err(io::Error::other(format!("its {what} is not what the table of contents says")));
        match self.left.checked_sub(n as u64) {
            None => return wrong("size"),
            Some(left) => self.left = left,
        }
        if n == 0 && !buf.is_empty() && self.left > 0 {
            return wrong("size");
        }
        if n == 0 && !buf.is_empty() && self.crc.sum() != self.expected {
            return wrong("checksum");
        }
        Ok(n)
    }
}

/// A zip that is being written.
struct Writer<'a> {
    out: BufWriter<&'a mut File>,
    directory: Vec<u8>,
    count: u16,
}

impl Writer<'_> {
    /// Appends a member with the time and mode of an old one.
    fn add(&mut self, old: &Member, name: &str, source: &mut dyn Read) -> Result<(), ArchiveError> {
        let is_directory = name.ends_with('/');
        let start = self.place()?;
        self.put(&[0; 30])?;
        self.put(name.as_bytes())?;
        let (mut crc, mut size) = (Crc::new(), 0);
        if !is_directory {
            size = self.deflated(source, &mut crc).map_err(ArchiveError::Write)?;
        }
        let end = self.place()?;
        let data = start + 30 + name.len() as u64;
        let too_large = || ArchiveError::refused("the result is larger than 4 GiB; unpack it and name the directory");
        let fits = |n: u64| u32::try_from(n).ok().filter(|n| *n < u32::MAX).ok_or_else(too_large);
        let name_len = u16::try_from(name.len()).map_err(|_| ArchiveError::refused("a name is too long"))?;
        // Version, flags, method, time, checksum, sizes, length of the name, no extra fields.
        let mut head = Vec::new();
        head.extend(20_u16.to_le_bytes());
        head.extend(UTF8.to_le_bytes());
        head.extend((if is_directory { STORED } else { DEFLATED }).to_le_bytes());
        head.extend(old.time);
        head.extend(crc.sum().to_le_bytes());
        head.extend(fits(end - data)?.to_le_bytes());
        head.extend(fits(size)?.to_le_bytes());
        head.extend(name_len.to_le_bytes());
        head.extend([0, 0]);
        self.seek(start)?;
        self.put(b"PK\x03\x04")?;
        self.put(&head)?;
        self.seek(end)?;
        let mode = match (old.mode & 0o777, is_directory) {
            (0, true) => 0o755,
            (0, false) => 0o644,
            (mode, _) => mode,
        };
        let kind = if is_directory { DIRECTORY } else { REGULAR };
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend([20, 3]);
        self.directory.extend(&head);
        // No comment, first part, no attributes of DOS.
        self.directory.extend([0; 6]);
        self.directory.extend(((kind | mode) << 16).to_le_bytes());
        self.directory.extend(fits(start)?.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.count =
            self.count.checked_add(1).ok_or_else(|| ArchiveError::refused("the result has too many members"))?;
        Ok(())
    }

    /// Packs a source; gives its size.
    fn deflated(&mut self, source: &mut dyn Read, crc: &mut Crc) -> io::Result<u64> {
        let mut encoder = DeflateEncoder::new(&mut self.out, Compression::default());
        let mut chunk = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let n = source.read(&mut chunk)?;
            if n == 0 {
                break;
            }
            crc.update(&chunk[..n]);
            size += n as u64;
            encoder.write_all(&chunk[..n])?;
        }
        encoder.finish()?;
        Ok(size)
    }

    fn place(&mut self) -> Result<u64, ArchiveError> {
        self.out.stream_position().map_err(ArchiveError::Write)
    }

    fn seek(&mut self, place: u64) -> Result<u64, ArchiveError> {
        self.out.seek(SeekFrom::Start(place)).map_err(ArchiveError::Write)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.out.write_all(bytes).map_err(ArchiveError::Write)
    }

    fn finish(mut self) -> Result<(), ArchiveError> {
        let too_large = |_| ArchiveError::refused("the result is larger than 4 GiB; unpack it and name the directory");
        let start = u32::try_from(self.place()?).map_err(too_large)?;
        let len = u32::try_from(self.directory.len()).map_err(too_large)?;
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        self.put(b"PK\x05\x06\0\0\0\0")?;
        for _ in 0..2 {
            self.put(&self.count.to_le_bytes())?;
        }
        self.put(&len.to_le_bytes())?;
        self.put(&start.to_le_bytes())?;
        self.put(&[0, 0])?;
        self.out.flush().map_err(ArchiveError::Write)
    }
}
