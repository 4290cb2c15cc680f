//! The bundle: a spool while a run collects, one `tar.gz` at its end, and readers for both.
//!
//! Writing and reading share nothing but [`format`](mod@format): a reader treats every archive as hostile and assumes nothing about
//! the program that made it.

pub mod format;
pub mod layout;
pub mod overlay;
mod spool;
mod store;
mod writer;

pub use spool::{Spool, SpoolError, SpoolHeader, SpoolWriter};
pub use store::{DirStore, Entry, Store, StoreError, open};
pub use writer::{PackError, PackOptions, Packed, Target, file_entry, pack};
