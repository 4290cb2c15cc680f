//! Profiles: what to collect from one kind of system, as data.
//!
//! A profile is a directory `profiles/<id>/` whose `profile.toml` has the shape of [`Profile`]. The built-in ones are part of
//! the binary; `--profile DIR` loads one from disk. Unknown keys are refused with line and column, because a typing
//! error in a profile would otherwise show as missing data during an incident.

mod builtin;
mod load;
mod program;
mod select;
mod services;
mod storage;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use builtin::{all as builtin, find as find_builtin};
pub use load::{ProfileError, load_dir, parse};
pub use program::Program;
pub use select::LabelSelector;
pub use services::{
    Alertmanager, Auth, Docker, Endpoint, Etcd, FileKind, Files, Grafana, JsonRpc, Postgres, PostgresQuery, Prometheus,
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
    /// Grafana servers.
    #[serde(default)]
    pub grafana: Vec<Grafana>,
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
    /// gRPC endpoints of pods, or at an address, to ask.
    #[serde(default)]
    pub grpc: Vec<Grpc>,
    /// Connections to the peers of pods to try: DNS, TCP, TLS.
    #[serde(default)]
    pub probe: Vec<Probe>,
    /// Sources that tell the health of one program, the best one first: `grpc/<id>`, `exec/<id>` or `http/<id>`. Which of
    /// them answered is noted in the manifest.
    #[serde(default)]
    pub health_order: Vec<String>,
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
    /// Units that only this system has; one of them shows that it is installed here. Globs allowed.
    #[serde(default)]
    pub detect: Vec<String>,
    /// Names of processes that show that the system runs here.
    #[serde(default)]
    pub processes: Vec<String>,
    /// The program itself, where it runs without a cluster.
    #[serde(default)]
    pub program: Option<Program>,
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
    /// Port of the pod. The command then runs on the machine that collects, with the port at the address `{forwarded}`, and only
    /// where no source that stands before it in `health_order` answered.
    #[serde(default)]
    pub forward: Option<String>,
    /// The command and its arguments, without a shell. Parameters in braces are replaced.
    pub command: Vec<String>,
    /// Where standard output goes; standard error goes beside it with `.stderr` appended.
    pub artifact: String,
    /// Deadline in seconds, within the item's own.
    #[serde(default)]
    pub timeout_secs: Option<u64>,
    /// Whether the program of this host is asked the same, where there is no cluster.
    #[serde(default)]
    pub host: bool,
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
    /// Whether the program of this host is asked the same, where there is no cluster.
    #[serde(default)]
    pub host: bool,
    /// How often it is read, for values whose change matters. The second one is `x.sample-2.prom` beside `x.prom`.
    #[serde(default = "default_samples")]
    pub samples: u32,
    /// Time between two samples, such as `10s`. Parameters in braces are replaced.
    #[serde(default = "default_interval")]
    pub interval: String,
    /// Why it is collected.
    pub why: String,
}

/// A gRPC endpoint: either of pods, reached over a forwarded port, or at an address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// Last part of the item's id: `grpc/<namespace>/<pod>/<id>`.
    pub id: String,
    /// Which pods.
    #[serde(default)]
    pub pods: Option<LabelSelector>,
    /// Port of the pods.
    #[serde(default)]
    pub port: u16,
    /// Whether the program of this host is asked the same, where there is no cluster.
    #[serde(default)]
    pub host: bool,
    /// `host:port`, as this machine reaches it. Parameters in braces are replaced; without their values nothing is asked.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Sets of calls.
    pub methods: Vec<GrpcMethods>,
    /// Services whose status is asked for with the set `health`; the empty name is the server as a whole.
    #[serde(default = "default_services")]
    pub services: Vec<String>,
    /// Where the answers go, one JSON document; the same names in braces as for [`Exec`]. The pod of an endpoint at an
    /// address is the address.
    pub artifact: String,
    /// Deadline of each call, such as `30s`. Parameters in braces are replaced.
    #[serde(default = "default_timeout")]
    pub timeout: String,
    /// Why it is collected.
    pub why: String,
}

/// A set of gRPC calls that only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrpcMethods {
    /// `grpc.health.v1.Health/Check`.
    Health,
    /// `GetHealthStatus` and `GetKeyMaterialAvailability` of a KMS core.
    KmsCore,
    /// `GetMetaStoreInfo` and `ListRequests` of a KMS core.
    KmsMetaStore,
}

/// Connections to try: name, port and certificate of each peer. No other protocol is spoken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Last part of the item's id: `probe/<namespace>/<pod>/<id>`.
    pub id: String,
    /// The pods whose peers these are.
    pub pods: LabelSelector,
    /// Where the peers are known from; all sources together give the rows.
    pub targets: Vec<TargetSource>,
    /// Whether the program of this host is asked the same, where there is no cluster.
    #[serde(default)]
    pub host: bool,
    /// Names of the fields of a peer in configurations.
    #[serde(default)]
    pub fields: PeerFields,
    /// Port of a peer that has none of its own.
    pub port: u16,
    /// `yes` when TLS is tried after TCP. Parameters in braces are replaced.
    #[serde(default = "yes")]
    pub tls: String,
    /// Container in which `getent` and `nc` are tried as well, where the image has them.
    #[serde(default)]
    pub inside: Option<String>,
    /// Name server to ask instead of the machine's own, as `IP:PORT`. Parameters in braces are replaced.
    #[serde(default)]
    pub dns_server: Option<String>,
    /// Deadline of each step for each peer, such as `5s`. Parameters in braces are replaced.
    pub timeout: String,
    /// Where the rows go; the same names in braces as for [`Exec`].
    pub artifact: String,
    /// Why it is collected.
    pub why: String,
}

/// Where peers are known from.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TargetSource {
    /// A parameter that holds `host:port,host:port`.
    Parameter {
        /// Its name.
        name: String,
    },
    /// An HTTP endpoint of the pod that answers with its configuration.
    Http {
        /// Port of the pod.
        port: u16,
        /// Path, beginning with a slash.
        path: String,
        /// JSON pointer to the list of peers.
        peers: String,
    },
    /// A file in the pod, read with `cat`.
    File {
        /// Container.
        container: String,
        /// Path of the file.
        path: String,
        /// JSON pointer to the list of peers.
        peers: String,
    },
    /// ConfigMaps of the namespace whose values are TOML or JSON.
    ConfigMaps {
        /// JSON pointer to the list of peers.
        peers: String,
    },
    /// Services of type `ExternalName` in the namespace.
    ExternalNames {
        /// Which services.
        #[serde(default)]
        services: Option<LabelSelector>,
    },
}

/// Names of the fields of a peer in configurations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerFields {
    /// Id of the peer.
    pub id: String,
    /// Host name or address.
    pub address: String,
    /// Port.
    pub port: String,
    /// Name that its certificate must have; the address where there is none.
    pub identity: String,
    /// Certificate that is expected, as PEM or as a table with `pem`.
    pub certificate: String,
}

impl Default for PeerFields {
    fn default() -> Self {
        let own = |name: &str| name.to_owned();
        Self {
            id: own("party_id"),
            address: own("address"),
            port: own("port"),
            identity: own("mpc_identity"),
            certificate: own("tls_cert"),
        }
    }
}

fn yes() -> String {
    "yes".to_owned()
}

fn default_samples() -> u32 {
    1
}

fn default_interval() -> String {
    "10s".to_owned()
}

fn default_timeout() -> String {
    "30s".to_owned()
}

fn default_services() -> Vec<String> {
    vec![String::new()]
}

fn default_output_limit() -> u64 {
    4 << 20
}
