//! Collection: planned items run in parallel, each within its own deadline, each ending in exactly one outcome.
//!
//! A collector implements [`Item`]. It reaches the bundle only through the [`Sink`] that the engine gives it, and the
//! sink redacts everything before it is stored.

mod blocking;
mod engine;
mod environment;
mod error;
pub mod grpc;
mod health_order;
pub mod host;
mod item;
pub mod kubernetes;
mod limits;
mod placeholder;
pub mod probe;
pub mod retry;
mod rooted;
pub mod s3;
mod samples;
pub mod services;
mod sink;
mod source;
mod storage;

pub use engine::{Engine, RunResult, Wanted};
pub use error::CollectError;
pub use health_order::health_sources;
pub use item::{Done, Item, Lane};
pub use limits::Limits;
pub use sink::{Artifact, Keep, ObjectArtifact, Sink};
