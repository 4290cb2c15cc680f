//! Facts: what the rules are written against, taken out of a bundle in one pass.
//!
//! Only what a rule needs is kept, so memory grows with the number of objects and not with their size. Every fact knows
//! where in the bundle it stands.

mod alerts;
mod bindings;
mod deprecated;
mod health;
mod host;
mod inside;
mod list;
mod load;
mod logs;
mod metrics;
mod objects;
mod peers;
mod routes;
mod services;
mod storage;
mod usage;
pub(crate) mod value;
mod workload_types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use alerts::Alert;
pub(crate) use bindings::Binding;
pub(crate) use deprecated::{Deprecated, How};
pub(crate) use health::{Context as NetworkView, Health, Peer, Source as HealthSource};
pub(crate) use host::{Disk, Host, JOURNAL, Unit};
pub(crate) use inside::{Answer, Config, Port, Template};
pub(crate) use load::load;
pub(crate) use logs::{Hit, LogFacts, LogKey};
pub(crate) use metrics::{Sample, Scrape};
pub(crate) use peers::Probe;
pub(crate) use routes::Route;
pub(crate) use services::{Container as EngineContainer, Services};
pub(crate) use storage::Vault;
pub(crate) use workload_types::{Claim, CronJob, Job, Volume, Workload};

use super::finding::{Evidence, Place, Subject};
use super::text;
use crate::model::time::Timestamp;

/// Namespace and name.
pub(crate) type Key = (String, String);

/// Where an object stands in the bundle.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) path: Arc<str>,
    pub(crate) place: Place,
}

impl At {
    /// Evidence from this object; the excerpt is made printable and short.
    pub(crate) fn evidence(&self, excerpt: &str) -> Evidence {
        Evidence { path: self.path.to_string(), place: self.place.clone(), excerpt: text::line(excerpt, text::EXCERPT) }
    }

    /// Evidence from inside of this object: `pointer` begins at the object.
    pub(crate) fn evidence_at(&self, pointer: &str, excerpt: &str) -> Evidence {
        let place = match &self.place {
            Place::Pointer(object) => Place::Pointer(format!("{object}{pointer}")),
            line @ Place::Line(_) => line.clone(),
        };
        Evidence { path: self.path.to_string(), place, excerpt: text::line(excerpt, text::EXCERPT) }
    }
}

/// Everything that the rules may look at.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The end of the run in the time of the cluster.
    pub(crate) now: Timestamp,
    pub(crate) pods: BTreeMap<Key, Pod>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) events: Vec<Event>,
    /// Indices into `events`, by what they are about.
    pub(crate) events_of: BTreeMap<Subject, Vec<usize>>,
    pub(crate) workloads: BTreeMap<Subject, Workload>,
    pub(crate) jobs: BTreeMap<Key, Job>,
    pub(crate) cron_jobs: BTreeMap<Key, CronJob>,
    pub(crate) claims: BTreeMap<Key, Claim>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) storage_classes: BTreeMap<String, (At, bool)>,
    pub(crate) services: BTreeMap<Key, Service>,
    /// Ready and not ready addresses of each service, from endpoint slices or endpoints.
    pub(crate) endpoints: BTreeMap<Key, (usize, usize)>,
    pub(crate) quotas: BTreeMap<Key, Quota>,
    pub(crate) secrets: BTreeMap<Key, Secret>,
    pub(crate) ingresses: BTreeMap<Key, Ingress>,
    pub(crate) ingress_classes: BTreeSet<String>,
    pub(crate) default_ingress_class: bool,
    /// Gateways and routes of the Gateway API.
    pub(crate) gateways: BTreeSet<Key>,
    pub(crate) routes: Vec<Route>,
    pub(crate) webhooks: Vec<Webhook>,
    /// Leases by key: holder, how long it lasts in seconds, when it was renewed.
    pub(crate) leases: BTreeMap<Key, Lease>,
    /// When each ConfigMap was made.
    pub(crate) config_maps: BTreeMap<Key, (At, Option<Timestamp>)>,
    pub(crate) network_policies: Vec<NetworkPolicy>,
    pub(crate) bindings: Vec<Binding>,
    /// Roles; those of the cluster have no namespace.
    pub(crate) roles: BTreeSet<Key>,
    /// Every other object that has conditions, and HPAs, budgets and API services.
    pub(crate) others: BTreeMap<Subject, Conditioned>,
    /// Versions of APIs that are gone or will go, and are in use.
    pub(crate) deprecated: Vec<Deprecated>,
    /// Objects other than pods whose deletion was asked for.
    pub(crate) deleting: Vec<Deleting>,
    pub(crate) logs: BTreeMap<LogKey, LogFacts>,
    /// What a container uses now.
    pub(crate) usage: BTreeMap<(Key, String), Usage>,
    /// What a node uses now.
    pub(crate) node_usage: BTreeMap<String, Usage>,
    /// Bytes of a claim: used and capacity.
    pub(crate) claim_usage: BTreeMap<Key, VolumeUsage>,
    /// What each Prometheus says about its alerts.
    pub(crate) alerts: Vec<Alert>,
    /// What cores of a KMS and health checks of them said.
    pub(crate) health: Vec<Health>,
    /// What connections to peers came to.
    pub(crate) probes: Vec<Probe>,
    /// What metrics endpoints answered.
    pub(crate) scrapes: Vec<Scrape>,
    /// Ports that pods listen on.
    pub(crate) ports: Vec<Port>,
    /// Configuration files of pods.
    pub(crate) configs: Vec<Config>,
    /// Configuration files inside of ConfigMaps.
    pub(crate) templates: Vec<Template>,
    /// What lies in buckets and directories.
    pub(crate) vaults: Vec<Vault>,
    /// What HTTP endpoints of pods answered.
    pub(crate) answers: Vec<Answer>,
    /// The machine on which the bundle was made, where it was looked at.
    pub(crate) host: Host,
    /// Services beside a cluster.
    pub(crate) beside: Services,
    /// Lists that are in the bundle: API group, plural, namespace (empty for cluster scope).
    pub(crate) lists: BTreeSet<(String, String, String)>,
    /// What could not be read, with the reason.
    pub(crate) troubles: Vec<Evidence>,
    pub(crate) server_version: String,
}

impl Facts {
    /// Whether objects of this kind were listed in the namespace, so that a missing name means a missing object.
    pub(crate) fn listed(&self, group: &str, plural: &str, namespace: &str) -> bool {
        self.lists.contains(&(group.to_owned(), plural.to_owned(), namespace.to_owned()))
    }

    /// Whether all namespaces were listed and this one is not among them.
    pub(crate) fn lacks_namespace(&self, namespace: &str) -> bool {
        self.listed("", "namespaces", "") && !self.namespaces.contains(namespace)
    }

    /// The events about a subject, oldest first.
    pub(crate) fn events_about(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Event> {
        self.events_of.get(subject).into_iter().flatten().filter_map(|i| self.events.get(*i))
    }

    /// The newest event about a subject with one of these reasons.
    pub(crate) fn newest(&self, subject: &Subject, reasons: &[&str]) -> Option<&Event> {
        self.events_about(subject).rev().find(|e| reasons.contains(&e.reason.as_str()))
    }

    /// The log of the instance that runs now.
    pub(crate) fn running_log(&self, pod: &Pod, container: &str) -> Option<&LogFacts> {
        let (namespace, pod) = pod.key.clone();
        self.logs.get(&LogKey { namespace, pod, container: container.to_owned(), previous: false })
    }

    /// The log that shows how the container's last instance ended.
    pub(crate) fn last_log(&self, pod: &Pod, container: &Container) -> Option<&LogFacts> {
        let key = |previous| LogKey {
            namespace: pod.key.0.clone(),
            pod: pod.key.1.clone(),
            container: container.name.clone(),
            previous,
        };
        let current = self.logs.get(&key(false)).filter(|l| l.has_text());
        let previous = self.logs.get(&key(true)).filter(|l| l.has_text());
        if matches!(container.state, State::Running { .. }) {
            return previous;
        }
        // While a container waits for its restart, both are logs of an instance that ended.
        [previous, current].into_iter().flatten().find(|l| l.has_error()).or(current).or(previous)
    }
}

/// A pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) key: Key,
    pub(crate) at: At,
    pub(crate) created: Option<Timestamp>,
    pub(crate) deleting: Option<Timestamp>,
    pub(crate) grace: i64,
    pub(crate) finalizers: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Kind and name of the controller.
    pub(crate) owner: Option<(String, String)>,
    pub(crate) node: String,
    pub(crate) phase: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) containers: Vec<Container>,
    pub(crate) claims: Vec<String>,
    pub(crate) secrets: BTreeSet<String>,
    /// ConfigMaps that it mounts or takes variables from.
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) account: String,
    /// Secrets that it pulls its images with.
    pub(crate) pull_secrets: Vec<String>,
    pub(crate) gated: bool,
}

impl Pod {
    /// The pod as a finding names it.
    pub(crate) fn subject(&self) -> Subject {
        Subject::new("pod", &self.key.0, &self.key.1)
    }

    /// The condition of this type.
    pub(crate) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }

    /// Whether its condition `Ready` is true.
    pub(crate) fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    /// Whether it ran to its end, well or not.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

/// What a container of a pod is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the others start.
    Init,
    /// An init container that keeps running, or an ordinary one.
    App,
    /// Added by hand for debugging; its end is nobody's problem.
    Ephemeral,
}

/// A container of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) image: String,
    pub(crate) ready: bool,
    pub(crate) restarts: i64,
    pub(crate) state: State,
    pub(crate) last: Option<Terminated>,
    pub(crate) limits: BTreeMap<String, String>,
    pub(crate) requests: BTreeMap<String, String>,
    /// Names of its ports.
    pub(crate) ports: Vec<String>,
    /// Pointer of its status inside of the pod.
    pub(crate) pointer: String,
}

impl Container {
    /// How its latest instance ended, if one did.
    pub(crate) fn ended(&self) -> Option<&Terminated> {
        match &self.state {
            State::Terminated(ended) => Some(ended),
            _ => self.last.as_ref(),
        }
    }
}

/// What a container does now.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Waiting { reason: String, message: String },
    Running { since: Option<Timestamp> },
    Terminated(Terminated),
    Unknown,
}

/// How a container ended.
#[derive(Debug, Clone)]
pub(crate) struct Terminated {
    pub(crate) exit: i64,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
}

/// A condition of any object.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
}

impl Condition {
    /// `Ready=False (KubeletNotReady): container runtime is down`.
    pub(crate) fn show(&self) -> String {
        let mut out = format!("{}={}", self.kind, self.status);
        if !self.reason.is_empty() {
            out.push_str(&format!(" ({})", self.reason));
        }
        if !self.message.is_empty() {
            out.push_str(&format!(": {}", self.message));
        }
        out
    }
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) cordoned: bool,
    pub(crate) kubelet: String,
    /// What its pods may ask for, as written.
    pub(crate) allocatable: BTreeMap<String, String>,
    /// Key, value and effect of each taint.
    pub(crate) taints: Vec<(String, String, String)>,
}

/// An event, with its series folded.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: At,
    pub(crate) subject: Subject,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) warning: bool,
    pub(crate) count: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// `spec.containers{name}` where it is about one container.
    pub(crate) field: String,
}

impl Event {
    /// Evidence from the event itself.
    pub(crate) fn evidence(&self) -> Evidence {
        let count = if self.count > 1 { format!(" (x{})", self.count) } else { String::new() };
        self.at.evidence(&format!("{}{count}: {}", self.reason, self.message))
    }

    /// The container that it is about, where it names one.
    pub(crate) fn container(&self) -> Option<&str> {
        let (_, name) = self.field.split_once('{')?;
        name.strip_suffix('}')
    }
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) at: At,
    pub(crate) created: Option<Timestamp>,
    /// An address outside of the cluster leads to it.
    pub(crate) has_address: bool,
    pub(crate) kind: String,
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) ports: Vec<ServicePort>,
}

/// A port of a service.
#[derive(Debug, Clone)]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) port: i64,
    /// The port of the pods, where it is given by name.
    pub(crate) target: Option<String>,
}

/// A resource quota.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub(crate) at: At,
    pub(crate) hard: BTreeMap<String, String>,
    pub(crate) used: BTreeMap<String, String>,
}

/// A Secret: what redaction leaves of it.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) at: At,
    pub(crate) created: Option<Timestamp>,
    pub(crate) certificates: Vec<Certificate>,
    /// What it says of a release of Helm, where it is the record of one.
    pub(crate) release: Option<Release>,
}

/// One revision of a release of Helm.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) revision: i64,
    pub(crate) status: String,
    /// Chart and its version; empty for older revisions.
    pub(crate) chart: String,
    pub(crate) description: String,
}

/// A certificate in a Secret.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) key: String,
    pub(crate) subject: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

/// An Ingress.
#[derive(Debug, Clone)]
pub(crate) struct Ingress {
    pub(crate) at: At,
    pub(crate) class: String,
    /// It names no class, and no controller has taken it.
    pub(crate) unclaimed: bool,
    pub(crate) services: BTreeSet<String>,
    /// Service and port, by number or name, of each backend.
    pub(crate) ports: BTreeSet<(String, String)>,
    pub(crate) secrets: BTreeSet<String>,
}

/// One webhook of an admission configuration.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) configuration: String,
    pub(crate) name: String,
    pub(crate) service: Key,
    pub(crate) blocks: bool,
    /// When the last certificate of its CA bundle ends, where it has one that can be read.
    pub(crate) ca_ends: Option<Timestamp>,
}

/// A lease: who holds it, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) at: At,
    pub(crate) holder: String,
    pub(crate) seconds: i64,
    pub(crate) renewed: Option<Timestamp>,
}

/// A network policy without expressions in its selector.
#[derive(Debug, Clone)]
pub(crate) struct NetworkPolicy {
    pub(crate) at: At,
    pub(crate) key: Key,
    pub(crate) selector: BTreeMap<String, String>,
    /// Number of rules that allow something; none when the policy is not about this direction.
    pub(crate) ingress: Option<usize>,
    pub(crate) egress: Option<usize>,
}

/// An object that is known by its conditions only.
#[derive(Debug, Clone)]
pub(crate) struct Conditioned {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) group: String,
    pub(crate) key: Key,
    pub(crate) conditions: Vec<Condition>,
    /// Kind and name of what an HPA scales.
    pub(crate) target: (String, String),
    /// Selector of a budget.
    pub(crate) selector: BTreeMap<String, String>,
    /// The service that answers for an `APIService`.
    pub(crate) service: Key,
    /// The Secret that it should fill, as a certificate of cert-manager does.
    pub(crate) secret: String,
}

/// An object whose deletion does not end.
#[derive(Debug, Clone)]
pub(crate) struct Deleting {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) key: Key,
    pub(crate) since: Timestamp,
    pub(crate) finalizers: Vec<String>,
}

/// What a container or node uses now.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) at: At,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Thousandths of a CPU.
    pub(crate) cpu: Option<u64>,
}

/// How full a volume is, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct VolumeUsage {
    pub(crate) at: At,
    pub(crate) used: u64,
    pub(crate) capacity: u64,
}
