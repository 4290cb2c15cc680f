//! The bundle: a spool while a run collects, one `tar.gz` at its end, and readers for both.
//!
//! Writing and reading share nothing but [`format`](mod@format): a reader treats every archive as hostile and assumes nothing about
//! the program that made it.

pub mod format;
pub mod layout;
pub mod overlay;
mod spool;
mod store;

pub use spool::{Spool, SpoolError, SpoolWriter};
pub use store::{DirStore, Entry, Store, StoreError, open};
