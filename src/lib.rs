//! casefile collects what a support engineer needs from a running system, in parallel, takes every secret out before
//! a byte touches the disk, packs it into one `tar.gz`, and says on the first page what is most likely wrong.
//!
//! ```text
//!             +-------- events (progress, outcomes) -----> cli (bars, lines, JSON)
//! cli -> plan -> collect -> redact -> bundle::writer -> bundle.tar.gz
//!                                                          | bundle::reader (Store: archive | directory)
//!                                     report <- triage <---+---> serve, show, verify
//! ```
//!
//! Imports point one way: [`model`] <- [`profile`] <- [`redact`] <- [`bundle`] <- [`collect`]; [`bundle`] <- [`triage`] <- [`report`];
//! [`bundle`] <- [`serve`]; [`cli`] may use all, nothing may use [`cli`]. A test reads the `use crate::` lines and keeps it true.

pub mod bundle;
pub mod cli;
pub mod collect;
pub mod model;
pub mod profile;
pub mod redact;
pub mod report;
pub mod serve;
pub mod triage;
