//! The table of contents of a zip archive, read as from an enemy.
//!
//! Only what the central directory and the headers of the members say alike is believed; members that share bytes are
//! refused, because that is how small archives become huge.

use std::io::{Read, Seek, SeekFrom};

use super::ArchiveError;

/// Bytes of the record at the end, and the longest comment behind it.
const END: usize = 22;
const MAX_COMMENT: usize = 0xffff;
/// Bytes of a header of a member, in its place and in the directory.
const LOCAL: usize = 30;
const CENTRAL: usize = 46;
/// Largest directory.
const MAX_DIRECTORY: u32 = 64 << 20;

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// Date and time as DOS writes them.
    pub(super) time: [u8; 4],
    pub(super) crc: u32,
    /// Bytes in the archive, and unpacked.
    pub(super) packed: u32,
    pub(super) size: u32,
    /// Type and mode of Unix; 0 when another system made the archive.
    pub(super) mode: u32,
    /// Where its bytes begin.
    pub(super) data: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), ArchiveError> {
    if holds { Ok(()) } else { Err(ArchiveError::refused(otherwise)) }
}

fn read_at<R: Read + Seek>(source: &mut R, at: u64, len: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    source
        .seek(SeekFrom::Start(at))
        .and_then(|_| source.by_ref().take(len as u64).read_to_end(&mut bytes))
        .map_err(ArchiveError::Read)?;
    ensure(bytes.len() == len, "it ends too early; copy it again")?;
    Ok(bytes)
}

/// All members, in the order of the directory; at most `limit`.
pub(super) fn read<R: Read + Seek>(source: &mut R, limit: u64) -> Result<Vec<Member>, ArchiveError> {
    let size = source.seek(SeekFrom::End(0)).map_err(ArchiveError::Read)?;
    let tail = usize::try_from(size).unwrap_or(usize::MAX).min(END + MAX_COMMENT);
    let from = size - tail as u64;
    let tail = read_at(source, from, tail)?;
    let is_end = |at: &usize| {
        tail[*at..].starts_with(b"PK\x05\x06") && at + END + usize::from(u16_at(&tail, at + 20)) == tail.len()
    };
    let end = (0..=tail.len().saturating_sub(END)).rev().find(is_end);
    let end = end.ok_or_else(|| {
        ArchiveError::refused("its table of contents is missing; it may be cut off, so copy it again")
    })?;
    let (count, bytes, start) = (u16_at(&tail, end + 10), u32_at(&tail, end + 12), u32_at(&tail, end + 16));
    ensure(
        count != u16::MAX && bytes != u32::MAX && start != u32::MAX,
        "it is in the zip64 format (more than 4 GiB or 65,534 members), which is not read; unpack it and name the directory",
    )?;
    ensure(
        u16_at(&tail, end + 4) == 0 && u16_at(&tail, end + 8) == count,
        "it is one part of several; join them first",
    )?;
    ensure(u64::from(count) <= limit, &format!("it has more than {limit} members; unpack it in parts"))?;
    let directory_end = u64::from(start) + u64::from(bytes);
    ensure(
        bytes <= MAX_DIRECTORY && directory_end <= from + end as u64,
        "its table of contents is not where it should be",
    )?;
    let directory = read_at(source, u64::from(start), bytes as usize)?;
    let mut members = Vec::new();
    let mut rest = directory.as_slice();
    for _ in 0..count {
        let (member, offset, len) = central(rest)?;
        rest = &rest[len..];
        members.push((member, u64::from(offset)));
    }
    ensure(rest.is_empty(), "its table of contents has more than it should")?;
    let mut spans = Vec::new();
    let mut placed = Vec::new();
    for (mut member, offset) in members {
        member.data = local(source, offset, &member)?;
        spans.push((offset, member.data + u64::from(member.packed)));
        placed.push(member);
    }
    spans.sort_unstable();
    let apart = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    ensure(apart && spans.last().is_none_or(|s| s.1 <= u64::from(start)), "some of its members share their bytes")?;
    Ok(placed)
}

/// A member as the directory describes it, where its own header is, and how long the description is.
fn central(bytes: &[u8]) -> Result<(Member, u32, usize), ArchiveError> {
    ensure(bytes.len() >= CENTRAL && bytes.starts_with(b"PK\x01\x02"), "its table of contents is broken")?;
    let name_len = usize::from(u16_at(bytes, 28));
    let len = CENTRAL + name_len + usize::from(u16_at(bytes, 30)) + usize::from(u16_at(bytes, 32));
    ensure(bytes.len() >= len, "its table of contents is broken")?;
    let unix = bytes[5] == 3;
    let member = Member {
        name: String::from_utf8_lossy(&bytes[CENTRAL..CENTRAL + name_len]).into_owned(),
        flags: u16_at(bytes, 8),
        method: u16_at(bytes, 10),
        time: [bytes[12], bytes[13], bytes[14], bytes[15]],
        crc: u32_at(bytes, 16),
        packed: u32_at(bytes, 20),
        size: u32_at(bytes, 24),
        mode: if unix { u32_at(bytes, 38) >> 16 } else { 0 },
        data: 0,
    };
    Ok((member, u32_at(bytes, 42), len))
}

/// Where the bytes of a member begin, behind its own header, which has to have the same name.
fn local<R: Read + Seek>(source: &mut R, offset: u64, member: &Member) -> Result<u64, ArchiveError> {
    let head = read_at(source, offset, LOCAL)?;
    ensure(head.starts_with(b"PK\x03\x04"), "one of its members is not where its table of contents says")?;
    let (name, extra) = (usize::from(u16_at(&head, 26)), usize::from(u16_at(&head, 28)));
    let found = read_at(source, offset + LOCAL as u64, name)?;
    ensure(String::from_utf8_lossy(&found) == member.name, "one of its members has two names")?;
    Ok(offset + (LOCAL + name + extra) as u64)
}
