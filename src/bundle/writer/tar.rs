//! Tar headers: GNU format, which carries names and sizes of any length and which every tool reads.

use tar::{EntryType, Header};

/// Length of the name field; longer names go in an entry of their own before the header.
const NAME: usize = 100;

/// The header of a regular file, with the entry for a long name in front where one is needed.
pub(super) fn header(path: &str, size: u64, mtime: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let name = path.as_bytes();
    if name.len() > NAME {
        let len = name.len() as u64 + 1;
        block(&mut out, b"././@LongLink", len, 0, EntryType::GNULongName);
        out.extend_from_slice(name);
        out.resize(out.len() + 1 + padding(len), 0);
    }
    block(&mut out, &name[..name.len().min(NAME)], size, mtime, EntryType::Regular);
    out
}

fn block(out: &mut Vec<u8>, name: &[u8], size: u64, mtime: u64, kind: EntryType) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(mtime);
    header.set_entry_type(kind);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// Zero bytes behind content of this size.
pub(super) fn padding(size: u64) -> usize {
    // Always below 512.
    usize::try_from(size.wrapping_neg() % 512).unwrap_or(0)
}
