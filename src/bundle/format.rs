//! Names and constants of bundle format version 1, shared by everything that writes or reads bundles.

/// The engineer's first page.
pub const SUMMARY: &str = "SUMMARY.md";
/// Findings as data.
pub const TRIAGE: &str = "triage.json";
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
pub const FIRST: [&str; 6] = [SUMMARY, TRIAGE, REPORT, MANIFEST, REDACTION, LOG];

/// Raw bytes per gzip member of a large file.
pub const MEMBER: usize = 1 << 20;
/// Small neighbours share one member of up to this many raw bytes.
pub const SHARED_MEMBER: usize = 256 << 10;
