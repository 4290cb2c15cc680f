//! Profiles: what to collect from one kind of system, as data.
//!
//! A profile is a directory `profiles/<id>/` whose `profile.toml` has the shape of [`Profile`]. The built-in ones are part of
//! the binary; `--profile DIR` loads one from disk. Unknown keys are refused with line and column, because a typing
//! error in a profile would otherwise show as missing data during an incident.

mod builtin;
mod load;
mod select;
mod services;
mod storage;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use builtin::{all as builtin, find as find_builtin};
pub use load::{ProfileError, load_dir, parse};
pub use select::LabelSelector;
pub use services::{
    Alertmanager, Auth, Docker, Endpoint, Etcd, FileKind, Files, JsonRpc, Postgres, PostgresQuery, Prometheus,
    is_read_method,
};
pub use storage::Storage;

/// What to collect from one kind of system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of the profile format; always 1.
    pub schema: u32,
    /// Name of the directory, and of `--profile`.
    pub id: String,
    /// One line for lists.
    pub title: String,
    /// Prefix of the archive's name.
    pub prefix: String,
    /// How the system shows itself in a cluster, and where.
    #[serde(default)]
    pub kubernetes: Kubernetes,
    /// How the system shows itself on a host.
    #[serde(default)]
    pub host: Host,
    /// What the user may set with `--set name=value`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Read-only commands to run in containers.
    #[serde(default)]
    pub exec: Vec<Exec>,
    /// HTTP endpoints of pods to read through the API server's proxy.
    #[serde(default)]
    pub http: Vec<Http>,
    /// Docker or Podman engines.
    #[serde(default)]
    pub docker: Vec<Docker>,
    /// Prometheus servers.
    #[serde(default)]
    pub prometheus: Vec<Prometheus>,
    /// Alertmanagers.
    #[serde(default)]
    pub alertmanager: Vec<Alertmanager>,
    /// etcd clusters.
    #[serde(default)]
    pub etcd: Vec<Etcd>,
    /// PostgreSQL databases.
    #[serde(default)]
    pub postgres: Vec<Postgres>,
    /// Nodes that speak JSON-RPC.
    #[serde(default)]
    pub jsonrpc: Vec<JsonRpc>,
    /// HTTP endpoints of any service.
    #[serde(default)]
    pub endpoint: Vec<Endpoint>,
    /// Files of the host.
    #[serde(default)]
    pub files: Vec<Files>,
    /// Buckets and directories to list.
    #[serde(default)]
    pub storage: Vec<Storage>,
}

/// Where in a cluster the system is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Label selectors; a namespace with a pod that matches any of them holds the system.
    #[serde(default)]
    pub detect: Vec<LabelSelector>,
    /// Namespaces to look in first, in this order; also used when pods cannot be listed in all namespaces.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// What belongs to the system on a host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// systemd units whose state and journal are read; globs allowed.
    #[serde(default)]
    pub units: Vec<String>,
    /// Names of processes that show that the system runs here.
    #[serde(default)]
    pub processes: Vec<String>,
}

/// A value that the user may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it means.
    pub description: String,
    /// Value when it is not set.
    #[serde(default)]
    pub default: Option<String>,
    /// Regular expression that a value must match as a whole.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Whether a value is a credential, or may hold one. It never reaches the manifest, `--set name=@FILE` and
    /// `--set name=env:VARIABLE` keep it off the command line, and a value typed there is warned about.
    #[serde(default)]
    pub secret: bool,
}

/// A read-only command in a container.
///
/// `artifact` may hold `{namespace}`, `{pod}`, `{container}` and names of parameters in braces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Last part of the item's id: `exec/<namespace>/<pod>/<id>`.
    pub id: String,
    /// Which pods.
    pub pods: LabelSelector,
    /// Container to run in: the first of these that the pod has; the pod's first container when empty.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Pods that the command is about, when it runs in one pod and asks another: `{target}` in the command becomes the
    /// address of the first of them. Without such a pod there is nothing to ask, and the command is not planned.
    #[serde(default)]
    pub target: Option<LabelSelector>,
    /// The command and its arguments, without a shell. Parameters in braces are replaced.
    pub command: Vec<String>,
    /// Where standard output goes; standard error goes beside it with `.stderr` appended.
    pub artifact: String,
    /// Deadline in seconds, within the item's own.
    #[serde(default)]
    pub timeout_secs: Option<u64>,
    /// Largest output kept, in bytes.
    #[serde(default = "default_output_limit")]
    pub limit_bytes: u64,
    /// Why it is collected, for `plan` and the generated README.
    pub why: String,
}

/// An HTTP endpoint of a pod.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Last part of the item's id: `http/<namespace>/<pod>/<id>`.
    pub id: String,
    /// Which pods.
    pub pods: LabelSelector,
    /// Port of the pod.
    pub port: u16,
    /// Path with its query, beginning with a slash.
    pub path: String,
    /// Where the body goes; the same names in braces as for [`Exec`].
    pub artifact: String,
    /// Largest body kept, in bytes.
    #[serde(default = "default_output_limit")]
    pub limit_bytes: u64,
    /// Why it is collected.
    pub why: String,
}

fn default_output_limit() -> u64 {
    4 << 20
}
