//! `casefile redact` on archives that an enemy made.
//!
//! The input is a script for a writer of archives, because mutations of the bytes of an archive seldom get past its
//! checksums: names, types, sizes that are wrong on purpose, archives inside of archives. A script that begins with an odd
//! byte is the archive itself.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Read as _, Seek as _, Write as _};

use casefile::redact::{ArchiveLimits, Cleaner, Shape};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

use super::redact::redactor;

/// Stands on a line of its own in members whose script says so.
const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
/// Deepest archive of a script.
const MAX_NESTED: usize = 5;
const MAX_MEMBERS: usize = 24;

/// Small, so that inputs of few bytes reach them.
fn limits() -> ArchiveLimits {
    ArchiveLimits { entries: 40, total: 1 << 20, ratio: 200, ratio_floor: 64 << 10, nested_zip: 256 << 10 }
}

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A piece with its length in front.
    fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        self.0 = rest;
        piece
    }

    /// The content of a member.
    fn content(&mut self, depth: usize) -> Vec<u8> {
        let how = self.byte();
        let mut content = match how & 3 {
            1 if depth < MAX_NESTED => tape(self, depth + 1),
            2 if depth < MAX_NESTED => zip(self, depth + 1),
            3 => self.piece().repeat(1 << (self.byte() % 11)),
            _ => self.piece().to_vec(),
        };
        if how & 4 != 0 {
            content.extend_from_slice(format!("\n{SECRET}\n").as_bytes());
        }
        for _ in 0..how >> 6 {
            content = gzip(&content);
        }
        content
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// Writes a tar as the script says.
fn tape(script: &mut Script<'_>, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let end = script.byte();
    for _ in 0..usize::from(end >> 3) % MAX_MEMBERS {
        let kinds = b"000000512LKxgS37";
        let kind = kinds[usize::from(script.byte()) % kinds.len()];
        let lies = script.byte();
        let (name, link) = (script.piece(), script.piece());
        let content = script.content(depth);
        let mut header = [0; 512];
        header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header[100..107].copy_from_slice(b"0000644");
        let said = content.len() as u64 + if lies & 1 == 0 { 0 } else { u64::from(lies) << (lies & 24) };
        header[124..135].copy_from_slice(format!("{:011o}", said & 0o77_777_777_777).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = kind;
        header[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        header[257..265].copy_from_slice(if lies & 2 == 0 { b"ustar  \0" } else { b"ustar\x0000" });
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    if end & 1 == 0 {
        out.resize(out.len() + 1_024, 0);
    }
    if end & 2 != 0 {
        out.truncate(out.len() - out.len().min(700));
    }
    out
}

/// Writes a zip as the script says.
fn zip(script: &mut Script<'_>, depth: usize) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let end = script.byte();
    let count = usize::from(end >> 3) % MAX_MEMBERS;
    for _ in 0..count {
        let (lies, more) = (script.byte(), script.byte());
        let name = script.piece();
        let content = script.content(depth);
        let mut crc = Crc::new();
        crc.update(&content);
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&content).expect("memory takes everything");
        let packed = packed.finish().expect("memory takes everything");
        let (method, data) = if more & 1 == 0 { (8_u16, &packed) } else { (0, &content) };
        let lie = |bit: u8, truth: u32| if lies & bit == 0 { truth } else { truth ^ u32::from(more) << (lies & 15) };
        let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let mut head = Vec::new();
        head.extend(20_u16.to_le_bytes());
        head.extend((if lies & 1 == 0 { 0x800_u16 } else { u16::from(more) }).to_le_bytes());
        head.extend((if lies & 2 == 0 { method } else { u16::from(more) }).to_le_bytes());
        head.extend([0, 0x60, 0x75, 0x5b]);
        head.extend(lie(4, crc.sum()).to_le_bytes());
        head.extend(lie(8, u32::try_from(data.len()).unwrap_or(u32::MAX)).to_le_bytes());
        head.extend(lie(16, u32::try_from(content.len()).unwrap_or(u32::MAX)).to_le_bytes());
        head.extend(u16::try_from(name.len()).unwrap_or(0).to_le_bytes());
        head.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name);
        out.extend(data);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&head);
        directory.extend([0; 6]);
        let mode = if lies & 32 == 0 { 0o100_644 } else { u32::from(more) << 8 };
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(lie(64, start).to_le_bytes());
        directory.extend(name);
    }
    let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let count = u16::try_from(count).unwrap_or(0) ^ u16::from(end & 1);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(directory.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend((start ^ u32::from(end & 2)).to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Redacts an archive; what comes out, if anything does, has the shape of what went in.
fn redacted(archive: &[u8]) -> Option<Vec<u8>> {
    let mut target = tempfile::tempfile().expect("a place for temporary files");
    let result = Cleaner::rules(redactor()).archive("fuzz", &mut Cursor::new(archive), &mut target, &limits());
    let stubs = result.ok()?;
    assert!(stubs <= limits().entries, "more was left out than there was");
    let clean = whole(&mut target);
    // Headers and stubs come on top of what the members hold.
    assert!(clean.len() as u64 <= 2 * limits().total + (64 << 10), "the result has {} bytes", clean.len());
    let shape = |bytes: &[u8]| Shape::of_file(&mut Cursor::new(bytes)).expect("memory can be read");
    let (before, after) = (shape(archive), shape(&clean));
    // A tar without members is nothing but zeros.
    assert!(before == after || before == Shape::Tar && clean.iter().all(|b| *b == 0), "{before:?} became {after:?}");
    Some(clean)
}

fn whole(file: &mut File) -> Vec<u8> {
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).expect("what was written can be read");
    content
}

/// Looks into a result and everything that is in it.
fn check(bytes: &[u8], depth: usize) {
    assert!(memchr::memmem::find(bytes, SECRET.as_bytes()).is_none(), "the secret is there");
    match Shape::of_file(&mut Cursor::new(bytes)).expect("memory can be read") {
        Shape::Gzip if depth < MAX_NESTED => {
            let mut plain = Vec::new();
            MultiGzDecoder::new(bytes).read_to_end(&mut plain).expect("the result is a gzip");
            check(&plain, depth + 1);
        }
        Shape::Tar => check_tar(bytes, depth),
        Shape::Zip => check_zip(bytes, depth),
        _ => {}
    }
}

fn is_inside(name: &str) -> bool {
    !name.starts_with('/') && !name.contains(['\0', '\\']) && name.split('/').all(|part| part != "..")
}

fn check_tar(bytes: &[u8], depth: usize) {
    let mut names = HashSet::new();
    for entry in tar::Archive::new(bytes).entries().expect("the result is a tar") {
        let mut entry = entry.expect("the result is a tar");
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').to_owned();
        assert!(is_inside(&name), "the name {name:?} leads elsewhere");
        assert!(names.insert(name), "a name is there twice");
        if let Some(link) = entry.link_name_bytes() {
            assert!(is_inside(&String::from_utf8_lossy(&link)), "a link leads elsewhere");
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("the result is a tar");
        check(&content, depth + 1);
    }
}

fn check_zip(bytes: &[u8], depth: usize) {
    let number =
        |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b));
    let (mut at, mut names) = (0, HashSet::new());
    while bytes[at..].starts_with(b"PK\x03\x04") {
        let (packed, size, name) = (number(at + 18, 4), number(at + 22, 4), number(at + 26, 2));
        let data = at + 30 + name;
        let mut content = Vec::new();
        if number(at + 8, 2) == 8 {
            DeflateDecoder::new(&bytes[data..data + packed]).read_to_end(&mut content).expect("the result is a zip");
        }
        let mut crc = Crc::new();
        crc.update(&content);
        assert_eq!((content.len(), crc.sum() as usize), (size, number(at + 14, 4)), "the result is not a zip");
        let name = std::str::from_utf8(&bytes[at + 30..data]).expect("names of a result are UTF-8");
        assert!(is_inside(name), "the name {name:?} leads elsewhere");
        assert!(names.insert(name.trim_end_matches('/')), "a name is there twice");
        check(&content, depth + 1);
        at = data + packed;
    }
    assert!(bytes[at..].starts_with(b"PK\x01\x02") || bytes[at..].starts_with(b"PK\x05\x06"), "the result is cut off");
}

fn run(input: &[u8], write: fn(&mut Script<'_>, usize) -> Vec<u8>) {
    let Some((first, rest)) = input.split_first() else { return };
    let archive = if first & 1 == 1 {
        rest.to_vec()
    } else {
        let archive = write(&mut Script(rest), 0);
        if first & 2 == 0 { archive } else { gzip(&archive) }
    };
    let Some(clean) = redacted(&archive) else { return };
    // What is no archive is a text of any content, and other targets see to those.
    if first & 1 == 0 {
        check(&clean, 0);
    }
}

/// A tar as an enemy writes it: names, links, sizes, archives inside.
pub(crate) fn redact_tar(input: &[u8]) {
    run(input, tape);
}

/// A zip as an enemy writes it.
pub(crate) fn redact_zip(input: &[u8]) {
    run(input, zip);
}
