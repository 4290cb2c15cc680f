//! A bundle, or a fixture in the same layout, as a read-only Kubernetes API on loopback.
//!
//! The server answers what `kubectl`, `k9s` and `kube-rs` really ask: discovery, objects, tables, selectors, pages,
//! logs, `exec` and `proxy` from a replay file, usage and access reviews. It never writes, and binds 127.0.0.1 only.
//! Because it speaks like the real thing it also plays the cluster of `casefile demo` and of the tests, where
//! [`Fault`]s make it as unreliable as a cluster in an incident.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! let store = casefile::bundle::open(std::path::Path::new("kms-diagnostics-20261121_061000.tar.gz"))?;
//! let server = casefile::serve::Server::builder(Arc::from(store)).start().await?;
//! println!("{}", server.addr());
//! # Ok(()) }
//! ```

mod access;
mod api;
mod certificates;
mod clock;
mod discovery;
mod events;
mod exec;
mod fault;
mod grpc;
mod http;
mod kubeconfig;
mod lines;
mod list;
mod logs;
mod object_store;
mod objects;
mod page;
mod path;
mod peers;
mod portforward;
mod protobuf;
mod proxy;
mod replay;
mod review;
mod select;
mod server;
mod state;
mod status;
pub mod synthetic;
mod table;
mod watch;

pub use access::Denial;
pub use fault::{Fault, FaultKind};
pub use kubeconfig::{Context, render as render_kubeconfig, write as write_kubeconfig};
pub use object_store::ObjectStore;
pub use objects::only_namespace;
pub use peers::Peers;
pub use server::{Builder, RequestRecord, Running, ServeError, Server};
