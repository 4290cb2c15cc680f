//! `casefile redact` on zip archives.

mod directory;

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use anyhow::{Context, ensure};
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use self::directory::Member;
use super::archive::{Budget, Counted, Guarded, MAX_ENTRIES, content, is_exhausted, is_inside};
use super::{Clean, Plain};

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

/// Redacts the members of a zip into an empty file; gives the number of those that were left out.
pub(super) fn members<R: Read + Seek>(
    clean: &Clean,
    source: &mut R,
    target: &mut File,
    depth: usize,
    budget: &mut Budget,
) -> anyhow::Result<u64> {
    let members = directory::read(source, MAX_ENTRIES)?;
    let mut out = Writer { out: BufWriter::new(target), directory: Vec::new(), count: 0 };
    let mut names = HashSet::new();
    let mut stubs = 0;
    for member in members {
        budget.entry()?;
        let name = clean.name(&member.name);
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
        let mut result = tempfile::tempfile().context("cannot make a temporary file")?;
        stubs += match one(clean, source, &member, &name, &mut result, depth, budget) {
            Ok(stubs) => stubs,
            Err(error) if is_exhausted(budget) => return Err(error),
            Err(error) => {
                clean.redactor.leave_stub(&name, &mut Plain(&mut result), &format!("{error:#}"))?;
                1
            }
        };
        result.rewind()?;
        out.add(&member, &name, &mut result)?;
    }
    out.finish()?;
    Ok(stubs)
}

fn one<R: Read + Seek>(
    clean: &Clean,
    source: &mut R,
    member: &Member,
    name: &str,
    target: &mut File,
    depth: usize,
    budget: &mut Budget,
) -> anyhow::Result<u64> {
    ensure!(member.flags & ENCRYPTED == 0, "it is encrypted; unpack it with its password and name the directory");
    let method = member.method;
    ensure!(matches!(method, STORED | DEFLATED), "it is packed with method {method}, which is not read");
    source.seek(SeekFrom::Start(member.data))?;
    let packed = Rc::new(Cell::new(0));
    let counted = Counted { inner: source.take(u64::from(member.packed)), count: Rc::clone(&packed) };
    let plain: Box<dyn Read + '_> =
        if method == STORED { Box::new(counted) } else { Box::new(DeflateDecoder::new(counted)) };
    let guarded = Guarded { inner: plain, packed, count: 0, total: Rc::clone(&budget.total) };
    let exact = Exact { inner: guarded, left: u64::from(member.size), crc: Crc::new(), expected: member.crc };
    content(clean, name, Box::new(exact), target, depth + 1, budget)
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
    fn add(&mut self, old: &Member, name: &str, source: &mut dyn Read) -> anyhow::Result<()> {
        let is_directory = name.ends_with('/');
        let start = self.out.stream_position()?;
        self.out.write_all(&[0; 30])?;
        self.out.write_all(name.as_bytes())?;
        let (mut crc, mut size) = (Crc::new(), 0_u64);
        if !is_directory {
            let mut encoder = DeflateEncoder::new(&mut self.out, Compression::default());
            let mut chunk = vec![0; 64 << 10];
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
        }
        let end = self.out.stream_position()?;
        let data = start + 30 + name.len() as u64;
        let fits = |n: u64| u32::try_from(n).ok().filter(|n| *n < u32::MAX).context("the result is larger than 4 GiB");
        let name_len = u16::try_from(name.len()).context("a name is too long")?;
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
        self.out.seek(SeekFrom::Start(start))?;
        self.out.write_all(b"PK\x03\x04")?;
        self.out.write_all(&head)?;
        self.out.seek(SeekFrom::Start(end))?;
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
        self.count = self.count.checked_add(1).context("the result has too many members")?;
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let start = u32::try_from(self.out.stream_position()?).context("the result is larger than 4 GiB")?;
        let len = u32::try_from(self.directory.len()).context("the result has too many members")?;
        self.out.write_all(&self.directory)?;
        self.out.write_all(b"PK\x05\x06\0\0\0\0")?;
        for _ in 0..2 {
            self.out.write_all(&self.count.to_le_bytes())?;
        }
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(&start.to_le_bytes())?;
        self.out.write_all(&[0, 0])?;
        self.out.flush()?;
        Ok(())
    }
}
