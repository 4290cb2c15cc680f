//! Facts about what makes pods, and about storage.

use std::collections::BTreeMap;

use super::{At, Condition, Key};
use crate::model::time::Timestamp;

/// A Deployment, StatefulSet, DaemonSet or ReplicaSet.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) key: Key,
    pub(crate) created: Option<Timestamp>,
    pub(crate) desired: i64,
    pub(crate) ready: i64,
    pub(crate) conditions: Vec<Condition>,
    /// Kind and name of its controller.
    pub(crate) owner: Option<(String, String)>,
    /// Governing service of a StatefulSet.
    pub(crate) service: String,
    pub(crate) selector: BTreeMap<String, String>,
}

/// A Job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) at: At,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) failed: i64,
    pub(crate) suspended: bool,
    pub(crate) created: Option<Timestamp>,
    pub(crate) owner: Option<(String, String)>,
}

/// A `CronJob`.
#[derive(Debug, Clone)]
pub(crate) struct CronJob {
    pub(crate) at: At,
    pub(crate) suspended: bool,
    pub(crate) schedule: String,
    pub(crate) last_schedule: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
}

/// A `PersistentVolumeClaim`.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) at: At,
    pub(crate) phase: String,
    /// None when the claim leaves the class open, empty when it wants none.
    pub(crate) class: Option<String>,
    pub(crate) volume: String,
    pub(crate) request: String,
}

/// A `PersistentVolume`.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) at: At,
    pub(crate) phase: String,
    pub(crate) message: String,
    pub(crate) claim: Key,
}
