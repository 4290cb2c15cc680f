//! What a collector is.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{CollectError, Sink};
use crate::model::{Access, Effect, ItemId, Outcome};

/// One planned call of a collector.
///
/// The engine calls [`Item::run`] at most once, within a deadline. When the deadline passes or the run is cancelled
/// the future is dropped: what it wrote so far stays in the bundle, marked as truncated. A panic becomes the outcome
/// `failed` of this item and touches no other.
pub trait Item: Send + Sync {
    /// The name that `plan` prints and `--only` and `--skip` match.
    fn id(&self) -> &ItemId;

    /// The name of the collector, for the ledger: `kubernetes/logs`, `host/processes`, ...
    fn collector(&self) -> &'static str;

    /// What it does, in one line, for `plan`.
    fn describe(&self) -> String;

    /// Which items run first. Within a lane, the order of planning holds.
    fn lane(&self) -> Lane {
        Lane::State
    }

    /// What it does to the system.
    fn effect(&self) -> Effect {
        Effect::Read
    }

    /// The rights that it needs, for `doctor`.
    fn access(&self) -> Vec<Access> {
        Vec::new()
    }

    /// A deadline of its own, when the general one does not fit. It cannot go beyond the run's.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Collects. An error is for items that have nothing to show; an item that has a part of its data returns
    /// [`Done`] with [`Outcome::Truncated`].
    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>>;
}

/// The order in which waiting items start: state disappears first during an incident, and logs are the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What finds out what else there is to read, such as the list of pods.
    Discover,
    /// Objects, usage, host state.
    State,
    /// Probes and commands.
    Probe,
    /// Logs of containers that failed.
    FailedLogs,
    /// All other logs.
    Logs,
}

/// How an item ended, in its own words.
pub struct Done {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, where that is not obvious.
    pub reason: Option<String>,
    /// Items that became known through this one. They join the plan.
    pub spawn: Vec<Arc<dyn Item>>,
}

impl Done {
    /// Everything was read.
    #[must_use]
    pub fn ok() -> Self {
        Self { outcome: Outcome::Ok, reason: None, spawn: Vec::new() }
    }

    /// Another outcome, with its reason.
    #[must_use]
    pub fn with(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: Some(reason.into()), spawn: Vec::new() }
    }

    /// Adds items to the plan.
    #[must_use]
    pub fn and_spawn(mut self, items: Vec<Arc<dyn Item>>) -> Self {
        self.spawn = items;
        self
    }
}
