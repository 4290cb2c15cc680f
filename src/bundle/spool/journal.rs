//! The spool's journal: one JSON record a line, appended and never changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::piece::Stored;
use crate::model::time::Timestamp;
use crate::model::{LedgerEntry, Tool};

/// Name of the journal in the spool's directory.
pub(in crate::bundle) const JOURNAL: &str = "journal.jsonl";

/// What `recover` must know of a run beside its artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolHeader {
    /// Which program runs.
    pub tool: Tool,
    /// Id of the profile.
    pub profile: String,
    /// Parameters of the profile, as resolved.
    pub parameters: BTreeMap<String, String>,
    /// Namespaces that are read.
    pub namespaces: Vec<String>,
    /// The id that the user gave with `--case`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<String>,
    /// When the run began.
    pub started: Timestamp,
    /// The top directory that the bundle would have had; its archive has this name and `.tar.gz`.
    pub top_dir: String,
}

/// One line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(super) enum Record {
    /// The run's metadata.
    Header(SpoolHeader),
    /// An artifact was opened.
    Open { id: u64, path: String, newest: Option<u64> },
    /// Old bytes of an artifact were dropped; `dropped` is their number so far.
    Dropped { id: u64, dropped: u64 },
    /// An artifact is finished, or was cut after it was finished.
    Close(Stored),
    /// The outcome of an item.
    Ledger(LedgerEntry),
}

/// What a journal says.
#[derive(Default)]
pub(super) struct Replay {
    pub(super) header: Option<SpoolHeader>,
    pub(super) ledger: Vec<LedgerEntry>,
    pub(super) closed: BTreeMap<u64, Stored>,
    pub(super) open: BTreeMap<u64, Opened>,
    pub(super) damaged: usize,
}

/// An artifact that was never closed.
pub(super) struct Opened {
    pub(super) path: String,
    pub(super) newest: Option<u64>,
    pub(super) dropped: u64,
}

impl Replay {
    /// Reads a journal that may end anywhere and may be damaged: a line that cannot be read costs that line.
    pub(super) fn of(journal: &[u8]) -> Self {
        let mut replay = Self::default();
        for line in journal.split_inclusive(|b| *b == b'\n') {
            let Ok(record) = serde_json::from_slice::<Record>(line) else {
                replay.damaged += usize::from(!line.trim_ascii().is_empty());
                continue;
            };
            match record {
                Record::Header(header) => replay.header = Some(header),
                Record::Open { id, path, newest } => {
                    replay.open.insert(id, Opened { path, newest, dropped: 0 });
                }
                Record::Dropped { id, dropped } => {
                    if let Some(open) = replay.open.get_mut(&id) {
                        open.dropped = dropped;
                    }
                }
                Record::Close(stored) => {
                    replay.open.remove(&stored.id);
                    replay.closed.insert(stored.id, stored);
                }
                Record::Ledger(entry) => replay.ledger.push(entry),
            }
        }
        replay
    }
}
