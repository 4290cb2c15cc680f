//! `manifest.json`: what a bundle holds, where it came from and what could not be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use super::{ItemId, Outcome};

/// Version of the bundle format. Readers refuse a larger major version.
pub const SCHEMA_VERSION: u32 = 1;

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the bundle format.
    pub schema_version: u32,
    /// Which program made the bundle.
    pub tool: Tool,
    /// How the run ended.
    pub status: RunStatus,
    /// Id of the profile that said what to collect.
    pub profile: String,
    /// Parameters of the profile, as resolved.
    pub parameters: BTreeMap<String, String>,
    /// Namespaces that were read, empty for a host.
    pub namespaces: Vec<String>,
    /// The id that the user gave with `--case`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// When the run began, by the clock of the machine that ran it.
    pub started: Timestamp,
    /// When the last item ended.
    pub finished: Timestamp,
    /// Differences between our clock and other clocks.
    pub clocks: Vec<ClockOffset>,
    /// Facts about the run that a reader needs, such as the server's version.
    pub notes: BTreeMap<String, serde_json::Value>,
    /// One entry for each planned item, sorted by item.
    pub ledger: Vec<LedgerEntry>,
    /// Every file of the bundle but the manifest and the index, sorted by path.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Whether every planned item was seen as far as it exists, and nothing but limits cut files.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.status == RunStatus::Finished
            && self.ledger.iter().all(|e| e.outcome.is_complete())
            && self.files.iter().filter_map(|f| f.truncation.as_ref()).all(Truncation::is_limit)
    }

    /// How many items ended in each outcome that occurs.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.ledger {
            *counts.entry(entry.outcome).or_default() += 1;
        }
        counts
    }
}

/// The program that made a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `casefile`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// All planned items ended by themselves.
    Finished,
    /// The deadline of the run passed.
    DeadlineReached,
    /// A signal stopped the run.
    Interrupted,
    /// The disk was full, or the spool failed in another way.
    SpoolFailed,
    /// Packed by `casefile recover` from what a killed run left.
    Recovered,
}

/// The difference between our clock and another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// Whose clock: `kube-apiserver`, `node/<name>`, ...
    pub source: String,
    /// Other clock minus our clock, in milliseconds.
    pub offset_ms: i64,
    /// Half of the round trip plus the resolution of the other clock, in milliseconds.
    pub uncertainty_ms: i64,
}

/// What became of one planned item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The item.
    pub item: ItemId,
    /// The collector that ran it.
    pub collector: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, where that is not obvious.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began; none when it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// Attempts at requests, retries included.
    pub attempts: u32,
    /// Bytes that the source sent.
    pub bytes: u64,
    /// Artifacts that it wrote.
    pub artifacts: Vec<String>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the bundle's top directory.
    pub path: String,
    /// Size in bytes, uncompressed.
    pub size: u64,
    /// SHA-256 of the bytes in the bundle, in lower-case hex.
    pub sha256: String,
    /// What was cut off, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
}

/// What was cut off a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncation {
    /// Why: `log-limit`, `max-size`, `connection-lost`, `interrupted`, ...
    pub reason: String,
    /// Bytes that the source is known to have had beyond what was kept, after redaction; none where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_bytes: Option<u64>,
    /// Whether the kept bytes are the newest (the end of a log) or the oldest.
    pub kept: Kept,
}

impl Truncation {
    /// Whether a limit cut the file, as opposed to a broken connection, an interruption or a failure.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self.reason.as_str(), "log-limit" | "size-limit" | "max-size" | "count-limit")
    }
}

/// Which end of a truncated file was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The beginning.
    Oldest,
    /// The end.
    Newest,
}
