//! What a Kubernetes API server tells: objects, events, logs, usage, exec and proxied HTTP.
//!
//! [`Cluster::connect`] finds the cluster, [`Cluster::detect`] the profile and its namespaces, and [`plan()`] turns both
//! into items. Nothing here creates, patches or deletes: the verbs are `get`, `list`, and the subresources `log`,
//! `exec` (commands of the profile), `proxy` and `portforward`. Access reviews of [`review()`] are questions, not objects.
//!
//! Every answer is read in pieces: a list costs the memory of one object, a log that of one chunk.

mod answer;
mod api;
mod connect;
mod deprecated;
mod detect;
mod discovery;
mod events;
mod exec;
mod grpc;
mod kinds;
mod kubeconfig;
mod list;
mod local;
mod logs;
mod monitoring;
mod nodes;
mod objects;
mod plan;
mod pod;
mod pods;
mod portforward;
mod probe;
mod proxy;
mod quantity;
mod review;
mod role;
mod server;
mod service;
mod split;
mod storage;
mod table;
mod usage;
mod websocket;

pub use api::Cluster;
pub use connect::{ConnectError, ConnectOptions};
pub use detect::Detection;
pub use plan::{Outside, plan};
pub use pods::spawned_access;
pub use review::{Verdict, out_of_sight, review};
pub use role::role_yaml;
