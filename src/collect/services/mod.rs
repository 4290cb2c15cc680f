//! Services beside a cluster: engines of containers, monitoring, etcd, PostgreSQL, JSON-RPC nodes, HTTP endpoints, files.
//!
//! A profile names them in tables of their own (`[[docker]]`, `[[prometheus]]`, ...). Each source has one item that finds out
//! whether it is there; it writes `services/<source>[-<name>]/connection.json` and plans the questions, each an item of
//! its own. Nothing is ever written to a service, and nothing is asked that has a side effect.

mod alertmanager;
mod ask;
mod detect;
mod docker;
mod endpoint;
mod etcd;
mod files;
mod grafana;
mod http;
mod item;
mod jsonrpc;
mod metrics;
mod plan;
mod postgres;
mod prometheus;
mod scrub;
mod target;
mod tls;

pub use detect::{Found, detect};
pub(in crate::collect) use http::{Http, Way};
pub use plan::items;
pub(in crate::collect) use prometheus::begin as begin_prometheus;
pub use target::{Ambient, VARIABLES};
