//! The bundle: a spool while a run collects, one `tar.gz` at its end, and readers for both.
//!
//! Writing and reading share nothing but [`format`](mod@format): a reader treats every archive as hostile and assumes nothing about
//! the program that made it.

mod dir;
mod foreign;
pub mod format;
pub mod inspect;
pub mod layout;
pub mod overlay;
mod reader;
mod recover;
mod spool;
mod store;
mod verify;
mod writer;

pub use dir::DirStore;
pub use reader::{ArchiveStore, Limits, Source};
pub use recover::{RecoverError, RecoverOptions, Recovered, recover};
pub use spool::{Edit, Spool, SpoolError, SpoolHeader, SpoolStore, SpoolWriter};
pub use store::{Entry, Store, StoreError, manifest, open};
pub use verify::{LeakAudit, Problem, VerifyReport, verify, verify_store};
pub use writer::{PackError, PackOptions, Packed, Target, file_entry, pack};
