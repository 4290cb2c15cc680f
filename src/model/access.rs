//! What an item needs to be allowed to do, and what it does to the system.

use serde::{Deserialize, Serialize};

/// One right in Kubernetes, in the words of a `SelfSubjectAccessReview`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Access {
    /// `get`, `list` or `create` (the verb of the `exec` and `portforward` subresources).
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural resource name, with the subresource behind a slash: `pods/log`. A slash at the beginning makes it a path
    /// of the server that belongs to no resource: `/metrics`.
    pub resource: String,
    /// Namespace, or none for cluster scope.
    pub namespace: Option<String>,
}

impl Access {
    /// A right within one namespace, or cluster-wide where `namespace` is none.
    #[must_use]
    pub fn new(verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> Self {
        Self {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }
}

/// What an item does to the system that it reads. Nothing ever creates, patches or deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Reads files or answers of an API.
    Read,
    /// Runs a read-only command on this host.
    Command,
    /// Runs a read-only command of the profile inside a container.
    Exec,
    /// Sends a GET through the API server's proxy to a pod or a node.
    Proxy,
    /// Opens a connection through the API server to a port of a pod.
    Forward,
    /// Opens a connection from this machine to an address of the system.
    Probe,
}

impl Effect {
    /// The word that `casefile plan` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Command => "command",
            Self::Exec => "exec",
            Self::Proxy => "proxy",
            Self::Forward => "forward",
            Self::Probe => "probe",
        }
    }
}
