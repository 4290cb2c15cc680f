//! What triage says, as data: the content of `triage.json`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::time::Timestamp;

/// Version of `triage.json`.
const SCHEMA_VERSION: u32 = 1;

/// The content of `triage.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Triage {
    /// Version of this document.
    pub schema_version: u32,
    /// How the system is, over all.
    pub status: Status,
    /// Id of the finding that explains most of the others.
    pub root_cause: Option<String>,
    /// All findings, the root cause first, then by rank.
    pub findings: Vec<Finding>,
    /// What happened when, oldest first.
    pub timeline: Vec<Moment>,
    /// How much of what was planned could be seen.
    pub coverage: Coverage,
    /// The pods of the bundle, sorted by namespace and name; bounded, those in trouble are always among them.
    #[serde(default)]
    pub pods: Vec<PodRow>,
    /// The nodes of the bundle, sorted by name; bounded as the pods are.
    #[serde(default)]
    pub nodes: Vec<NodeRow>,
    /// Who reaches whom, one row for each party that was asked.
    #[serde(default)]
    pub peers: Vec<PeerRow>,
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            status: Status::Unknown,
            root_cause: None,
            findings: Vec::new(),
            timeline: Vec::new(),
            coverage: Coverage::default(),
            pods: Vec::new(),
            nodes: Vec::new(),
            peers: Vec::new(),
        }
    }
}

impl Triage {
    /// The finding that [`Triage::root_cause`] names.
    #[must_use]
    pub fn root(&self) -> Option<&Finding> {
        let id = self.root_cause.as_ref()?;
        self.findings.iter().find(|f| &f.id == id)
    }

    /// The worst severity of all findings.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|f| f.severity).max()
    }
}

/// How the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everything that can be up is up.
    Optimal,
    /// It works; nothing above `info` was found.
    Healthy,
    /// It works in part, or with less reserve than it should have.
    Degraded,
    /// It is down or failing.
    Unhealthy,
    /// Too little was seen to say.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Optimal => "optimal",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        })
    }
}

/// One thing that is wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable across runs: the rule and the first subject, such as `pod-oom-killed:pod/kms/core-0`.
    pub id: String,
    /// Which rule found it.
    pub rule: String,
    /// What kind of trouble it is.
    pub category: Category,
    /// How bad it is.
    pub severity: Severity,
    /// Who acts.
    pub level: Level,
    /// One line, with names and numbers.
    pub title: String,
    /// What it means for the system.
    pub meaning: String,
    /// What it is about, all of them when the same thing happened to many.
    pub subjects: Vec<Subject>,
    /// Where it can be seen in the bundle.
    pub evidence: Vec<Evidence>,
    /// How sure the rule is, 0 to 1.
    pub confidence: f64,
    /// Why it is believed, one reason an entry.
    pub because: Vec<String>,
    /// What to do, in order.
    pub remedy: Vec<String>,
    /// Ids of findings that follow from this one.
    pub explains: Vec<String>,
    /// First time it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// Last time it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// How often it was seen.
    pub count: u64,
}

/// Where the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// A process does not come up.
    Startup,
    /// Something cannot be reached.
    Connectivity,
    /// It works, but too slowly.
    Performance,
    /// Peers, sessions and thresholds of a threshold network.
    ThresholdNetwork,
    /// Volumes, disks, object stores.
    Storage,
    /// Keys, and what is made from them.
    KeyManagement,
    /// Settings that are wrong or contradict each other.
    Configuration,
    /// CPU, memory, quota.
    Resources,
    /// Certificates and handshakes.
    Tls,
    /// Something is exposed that should not be.
    Security,
    /// Monitoring that cannot see what it claims to watch.
    MonitoringBlind,
    /// Something outside the system.
    ExternalDependency,
    /// The bundle itself shows less than it should.
    DataQuality,
}

impl Category {
    /// The word in `triage.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Connectivity => "connectivity",
            Self::Performance => "performance",
            Self::ThresholdNetwork => "threshold-network",
            Self::Storage => "storage",
            Self::KeyManagement => "key-management",
            Self::Configuration => "configuration",
            Self::Resources => "resources",
            Self::Tls => "tls",
            Self::Security => "security",
            Self::MonitoringBlind => "monitoring-blind",
            Self::ExternalDependency => "external-dependency",
            Self::DataQuality => "data-quality",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How bad a finding is. The order is from harmless to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// It will hurt, or hurts a little.
    Warning,
    /// It hurts now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// Who acts on a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Level {
    /// Operators: restart and basic checks.
    One,
    /// Operators: configuration and resources.
    Two,
    /// The development team.
    Three,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        match level {
            Level::One => 1,
            Level::Two => 2,
            Level::Three => 3,
        }
    }
}

impl TryFrom<u8> for Level {
    type Error = String;

    fn try_from(level: u8) -> Result<Self, Self::Error> {
        match level {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            other => Err(format!("level {other} does not exist; it is 1, 2 or 3")),
        }
    }
}

/// What a finding is about: `pod/kms/core-0`, `node//worker-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// A subject; `namespace` is empty for cluster scope.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        let subject = format!("{}/{namespace}/{name}", kind.to_ascii_lowercase());
        // Real names are plain; a name that is not must not reach a terminal as it is.
        if subject.bytes().all(|b| b.is_ascii_graphic()) { Self(subject) } else { Self(text::line(&subject, 800)) }
    }

    /// `kind/namespace/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind, in lower case.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The namespace, empty for cluster scope.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.splitn(3, '/').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a finding can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Path of the artifact.
    pub path: String,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// What stands there, shortened.
    pub excerpt: String,
}

/// A place in an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Line, counted from 1.
    Line(u64),
    /// JSON pointer (RFC 6901).
    Pointer(String),
}

/// One point of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When, corrected by the clock offset where one is known.
    pub at: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// What happened, in one line.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
}

/// How much of what was planned could be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Planned items.
    pub planned: usize,
    /// Items that were seen as far as they exist.
    pub seen: usize,
    /// Items that were not, with their outcome and reason: `logs/kms/core-0/kms-core: forbidden: ...`.
    pub missing: Vec<String>,
}

/// One pod at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its node, empty while it has none.
    pub node: String,
    /// What kubectl shows as its status, such as `CrashLoopBackOff`.
    pub status: String,
    /// Containers that are ready.
    pub ready: u32,
    /// Containers, without init and ephemeral ones.
    pub containers: u32,
    /// Restarts of all containers.
    pub restarts: u64,
    /// Whether it ran to its end.
    pub over: bool,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Its containers, init containers first; ephemeral ones are left out.
    #[serde(default)]
    pub parts: Vec<PodPart>,
    /// Memory that its containers use, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Sum of their memory requests in bytes; none when a container has no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<u64>,
    /// Sum of their memory limits in bytes; none when a container has no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// CPU that they use, in thousandths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// As `memory_request`, in thousandths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<u64>,
    /// As `memory_limit`, in thousandths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<u64>,
    /// The worst finding about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// What is used of a node, beside what is asked for and what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// In use now; none when it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// What its pods ask for, as far as the bundle shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// What it has to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// One container of a pod at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPart {
    /// Its name.
    pub name: String,
    /// `running`, or why it is not, such as `CrashLoopBackOff`.
    pub state: String,
    /// How often it was restarted.
    pub restarts: u64,
    /// Whether this is good.
    pub tone: Tone,
}

/// Whether a state is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// It runs and is ready, or ended as it should.
    Good,
    /// It is on its way, or runs and is not ready.
    Wait,
    /// It failed.
    Bad,
}

/// One node at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Whether pods may not be scheduled to it.
    pub cordoned: bool,
    /// Pods of the bundle that run on it.
    pub pods: usize,
    /// Memory in bytes.
    #[serde(default)]
    pub memory: Use,
    /// CPU in thousandths.
    #[serde(default)]
    pub cpu: Use,
    /// The worst finding about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// What one party says about its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Who says it, such as `party 3`.
    pub observer: String,
    /// Where it can be read.
    pub evidence: Evidence,
    /// Parties that it reaches, itself among them, and how many it needs; none when it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaches: Option<(u32, u32)>,
    /// One entry a peer, sorted by name.
    pub peers: Vec<PeerCell>,
}

/// One peer, as another party sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCell {
    /// Its name, such as `7`.
    pub peer: String,
    /// Its address.
    pub endpoint: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Milliseconds until it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Why it did not, empty when it did.
    pub error: String,
}
