//! The vocabulary of all stages: paths, outcomes, the manifest, events and time.
//!
//! Nothing here does I/O, so every other module may import it and its types can be tested as values.

mod access;
mod event;
mod ids;
mod manifest;
mod outcome;
mod path;
pub(crate) mod place;
pub mod quantity;
pub mod size;
pub mod time;

pub use access::{Access, Effect};
pub use event::Event;
pub use ids::ItemId;
pub use manifest::{ClockOffset, FileEntry, Kept, LedgerEntry, Manifest, RunStatus, SCHEMA_VERSION, Tool, Truncation};
pub use outcome::Outcome;
pub use path::BundlePath;
