//! Names and constants of bundle format version 1, shared by everything that writes or reads bundles.

use serde::{Deserialize, Serialize};

/// The engineer's first page.
pub const SUMMARY: &str = "SUMMARY.md";
/// Findings as data.
pub const TRIAGE: &str = "triage.json";
/// What happened when, oldest first, in one clock.
pub const TIMELINE: &str = "timeline.json";
/// The report for a browser.
pub const REPORT: &str = "report.html";
/// What is in the bundle, from where, and what is missing.
pub const MANIFEST: &str = "manifest.json";
/// What was redacted, without originals.
pub const REDACTION: &str = "redaction.json";
/// The tool's own log.
pub const LOG: &str = "collector.log";
/// Where each file begins in the compressed archive; always the last entry.
pub const INDEX: &str = ".casefile-index.json";

/// The files that come first in an archive, in this order; all others follow sorted by path.
pub const FIRST: [&str; 7] = [SUMMARY, TRIAGE, TIMELINE, REPORT, MANIFEST, REDACTION, LOG];

/// Raw bytes per gzip member of a large file.
pub const MEMBER: usize = 1 << 20;
/// Small neighbours share one member of up to this many raw bytes.
pub const SHARED_MEMBER: usize = 256 << 10;

/// Version of the index.
pub const INDEX_VERSION: u32 = 1;
/// Size of the final gzip member in bytes: it is always the same, so that a reader finds it from the archive's end.
pub const FINAL_LEN: usize = FINAL_HEAD.len() + 8 + STORED_HEAD.len() + END_OF_TAR + 8;
/// Zero bytes that end a tar.
pub const END_OF_TAR: usize = 1024;

/// Gzip header with FEXTRA, and one subfield `CF` of 8 bytes.
const FINAL_HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 12, 0, b'C', b'F', 8, 0];
/// Head of a stored deflate block of [`END_OF_TAR`] bytes: no compressor has a say in the member's size.
const STORED_HEAD: [u8; 5] = [1, 0x00, 0x04, 0xff, 0xfb];
/// CRC-32 of 1024 zero bytes.
const ZEROS_CRC: u32 = 0xefb5_af2e;

/// The final member: the end of the tar, with the compressed offset of the index's member in its extra field.
#[must_use]
pub fn final_member(index_at: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(FINAL_LEN);
    out.extend_from_slice(&FINAL_HEAD);
    out.extend_from_slice(&index_at.to_le_bytes());
    out.extend_from_slice(&STORED_HEAD);
    out.resize(out.len() + END_OF_TAR, 0);
    out.extend_from_slice(&ZEROS_CRC.to_le_bytes());
    out.extend_from_slice(&(END_OF_TAR as u32).to_le_bytes());
    out
}

/// Where the index's member begins, when `tail` is a final member of this format.
#[must_use]
pub fn index_offset(tail: &[u8]) -> Option<u64> {
    let at = u64::from_le_bytes(tail.get(FINAL_HEAD.len()..FINAL_HEAD.len() + 8)?.try_into().ok()?);
    (tail == final_member(at)).then_some(at)
}

/// The content of [`INDEX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`INDEX_VERSION`].
    pub version: u32,
    /// The archive's top directory.
    pub top: String,
    /// All files but the index itself, sorted by path.
    pub entries: Vec<IndexEntry>,
}

/// Where one file lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Path below the top directory.
    pub path: String,
    /// Uncompressed size in bytes.
    pub size: u64,
    /// Offset in the archive of the gzip member in which the file's tar header begins.
    pub member: u64,
    /// Offset of the tar header in that member's uncompressed bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Offsets in the archive of the members that hold the content, for a file that has members of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_final_member_is_a_gzip_member_and_carries_the_offset() {
        let member = final_member(0x1234_5678_9abc);
        assert_eq!(member.len(), FINAL_LEN);
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(member.as_slice()).read_to_end(&mut raw).unwrap();
        assert_eq!(raw, vec![0; END_OF_TAR]);
        assert_eq!(index_offset(&member), Some(0x1234_5678_9abc));
        assert_eq!(index_offset(&member[1..]), None);
        assert_eq!(index_offset(&[]), None);
    }
}
