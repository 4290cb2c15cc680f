//! gRPC: read-only calls to the health services of a program, over any connection.
//!
//! The answers become one JSON document for each endpoint. A call that fails is a fact like one that succeeds: it stands
//! in the document with its status code, the message and how long it took.

mod direct;
mod document;
pub mod messages;
mod methods;
mod over;

pub use direct::items;
pub(in crate::collect) use direct::{ask_at, patience};
pub(in crate::collect) use document::{Call, Document, Way, told_health};
pub(in crate::collect) use over::ask_all;
