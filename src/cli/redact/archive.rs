//! `casefile redact` on archives: any tar, gzip, tar.gz or zip, and those inside of them.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Component, Path};
use std::rc::Rc;

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use zeroize::Zeroizing;

use super::{Clean, Plain, stream, zip};

/// Archives inside of archives.
const MAX_DEPTH: usize = 3;
/// Members of all archives together.
pub(super) const MAX_ENTRIES: u64 = 200_000;
/// Bytes of all members together.
const MAX_TOTAL: u64 = 64 << 30;
/// How many times larger than compressed the content may be, once it has `RATIO_FLOOR` bytes.
const RATIO: u64 = 200;
const RATIO_FLOOR: u64 = 16 << 20;
/// Largest zip inside of another archive. It has to be read from its end, and nothing raw may stand on the disk.
const MAX_NESTED_ZIP: u64 = 64 << 20;
/// Bytes that tell what a file is.
const HEAD: usize = 512;

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Gzip,
    Tar,
    Zip,
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
    pub(super) fn of_file(file: &mut File) -> io::Result<Self> {
        let mut head = Vec::new();
        Read::take(&mut *file, HEAD as u64).read_to_end(&mut head)?;
        file.rewind()?;
        Ok(Self::of(&head))
    }
}

/// What all members together have used up.
#[derive(Default)]
pub(super) struct Budget {
    entries: u64,
    pub(super) total: Rc<Cell<u64>>,
}

impl Budget {
    /// Takes one member.
    pub(super) fn entry(&mut self) -> anyhow::Result<()> {
        self.entries += 1;
        ensure!(self.entries <= MAX_ENTRIES, "it has more than {MAX_ENTRIES} members");
        Ok(())
    }
}

/// Whether all that may be unpacked was unpacked, so that nothing more is read.
pub(super) fn is_exhausted(budget: &Budget) -> bool {
    budget.total.get() > MAX_TOTAL || budget.entries > MAX_ENTRIES
}

/// Redacts an archive into `target`; gives the number of members that were left out.
pub(super) fn run(clean: &Clean, name: &str, source: &mut File, target: &mut File) -> anyhow::Result<u64> {
    let mut budget = Budget::default();
    let result = match Shape::of_file(source)? {
        Shape::Zip => zip::members(clean, source, target, 0, &mut budget),
        _ => content(clean, name, Box::new(source), target, 0, &mut budget),
    };
    result.with_context(|| format!("{name} cannot be redacted as an archive"))
}

/// Redacts one member, and what is inside of it, into an empty file.
pub(super) fn content(
    clean: &Clean,
    name: &str,
    mut source: Box<dyn Read + '_>,
    target: &mut File,
    depth: usize,
    budget: &mut Budget,
) -> anyhow::Result<u64> {
    let mut head = Vec::new();
    source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let shape = Shape::of(&head);
    let mut source: Box<dyn Read + '_> = Box::new(io::Cursor::new(head).chain(source));
    match shape {
        Shape::Gzip if depth < MAX_DEPTH => {
            let packed = Rc::new(Cell::new(0));
            let counted = Counted { inner: source, count: Rc::clone(&packed) };
            let plain =
                Guarded { inner: MultiGzDecoder::new(counted), packed, count: 0, total: Rc::clone(&budget.total) };
            let mut inner = tempfile::tempfile().context("cannot make a temporary file")?;
            // A tar in a gzip is one archive, not two.
            let inside = name.strip_suffix(".gz").map_or_else(|| name.replace(".tgz", ".tar"), str::to_owned);
            let stubs = content(clean, &inside, Box::new(plain), &mut inner, depth + 1, budget)?;
            inner.rewind()?;
            let mut encoder = GzEncoder::new(io::BufWriter::new(target), Compression::default());
            io::copy(&mut inner, &mut encoder)?;
            encoder.finish()?.flush()?;
            Ok(stubs)
        }
        Shape::Zip if depth <= MAX_DEPTH => {
            let mut whole = Zeroizing::new(Vec::new());
            let read = source.by_ref().take(MAX_NESTED_ZIP + 1).read_to_end(&mut whole)?;
            ensure!(read as u64 <= MAX_NESTED_ZIP, "a zip inside of an archive is larger than {MAX_NESTED_ZIP} bytes");
            zip::members(clean, &mut io::Cursor::new(whole.as_slice()), target, depth, budget)
        }
        Shape::Tar if depth <= MAX_DEPTH => members(clean, source, target, depth, budget),
        _ => stream(clean, name, &mut source, target),
    }
}

fn members(
    clean: &Clean,
    source: Box<dyn Read + '_>,
    target: &mut File,
    depth: usize,
    budget: &mut Budget,
) -> anyhow::Result<u64> {
    let mut archive = tar::Archive::new(source);
    let mut out = tar::Builder::new(io::BufWriter::new(target));
    let mut names = HashSet::new();
    let mut stubs = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        budget.entry()?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = clean.name(&path);
        // A name that leads elsewhere, or that another member has, is never written.
        if !is_inside(&name) || !names.insert(name.trim_end_matches('/').to_owned()) {
            stubs += 1;
            continue;
        }
        let old = entry.header();
        let mut header = tar::Header::new_gnu();
        header.set_mode(old.mode().unwrap_or(0o600) & 0o777);
        header.set_mtime(old.mtime().unwrap_or(0));
        header.set_entry_type(old.entry_type());
        match old.entry_type() {
            tar::EntryType::Directory => {
                header.set_size(0);
                out.append_data(&mut header, &name, io::empty())?;
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let link =
                    entry.link_name_bytes().map(|l| String::from_utf8_lossy(&l).into_owned()).unwrap_or_default();
                let link = clean.name(&link);
                if is_inside(&link) {
                    header.set_size(0);
                    out.append_link(&mut header, &name, &link)?;
                } else {
                    stubs += 1;
                }
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut result = tempfile::tempfile().context("cannot make a temporary file")?;
                let total = Rc::clone(&budget.total);
                let plain = Total { inner: &mut entry, total };
                stubs += match content(clean, &name, Box::new(plain), &mut result, depth + 1, budget) {
                    Ok(stubs) => stubs,
                    Err(error) if !is_exhausted(budget) => {
                        // An archive inside that is broken or a bomb: a stub, and never a part of it.
                        let reason = format!("{error:#}");
                        clean.redactor.leave_stub(&name, &mut Plain(&mut result), &reason)?;
                        1
                    }
                    Err(error) => return Err(error),
                };
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(result.metadata()?.len());
                result.rewind()?;
                out.append_data(&mut header, &name, result)?;
            }
            // Devices and pipes hold nothing to read; a sparse file may be endless zeros.
            _ => stubs += 1,
        }
    }
    out.into_inner()?.flush()?;
    Ok(stubs)
}

/// Whether a name stays below the directory that it is unpacked in.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\0', '\\'])
        && Path::new(name).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

/// Counts the packed bytes.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

/// Refuses content that is far larger than what it was packed into.
pub(super) struct Guarded<R> {
    pub(super) inner: R,
    pub(super) packed: Rc<Cell<u64>>,
    pub(super) count: u64,
    pub(super) total: Rc<Cell<u64>>,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count += n as u64;
        if self.count > RATIO_FLOOR && self.count / RATIO > self.packed.get() {
            return Err(io::Error::other(format!("it unpacks to more than {RATIO} times its size")));
        }
        spend(&self.total, n)?;
        Ok(n)
    }
}

/// Counts the bytes of a member.
struct Total<R> {
    inner: R,
    total: Rc<Cell<u64>>,
}

impl<R: Read> Read for Total<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        spend(&self.total, n)?;
        Ok(n)
    }
}

fn spend(total: &Cell<u64>, bytes: usize) -> io::Result<()> {
    total.set(total.get() + bytes as u64);
    if total.get() > MAX_TOTAL {
        return Err(io::Error::other(format!("it holds more than {MAX_TOTAL} bytes")));
    }
    Ok(())
}
