//! What the engine tells about a run while it goes on.

use serde::Serialize;

use super::{ItemId, LedgerEntry};

/// One event of a run. The engine sends these and never prints; the command line draws bars, lines or JSON from them.
///
/// Texts inside have been redacted.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Items became part of the plan: at the start, and whenever an item found more to read.
    Planned {
        /// How many.
        items: usize,
    },
    /// An item began.
    Started {
        /// Which item.
        item: ItemId,
    },
    /// An item received data.
    Progress {
        /// Which item.
        item: ItemId,
        /// Bytes since the last event of this item, as the source sent them.
        bytes: u64,
    },
    /// An item ended.
    Finished {
        /// Its ledger entry.
        #[serde(flatten)]
        entry: LedgerEntry,
    },
    /// Something that the user should read, such as a lost connection.
    Notice {
        /// One sentence.
        text: String,
    },
    /// The run is over for new items and writes the archive.
    Packing {
        /// Number of artifacts.
        artifacts: usize,
    },
}
