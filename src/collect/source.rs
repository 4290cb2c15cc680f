//! The item of a source that is asked from here: a service, or a program of this host.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Effect, ItemId};

/// What asks one source.
pub(in crate::collect) trait Source: Send + Sync {
    /// Asks it.
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>>;
}

/// One source, or one question to it, as an item.
pub(in crate::collect) struct SourceItem<S> {
    id: ItemId,
    collector: &'static str,
    what: String,
    lane: Lane,
    effect: Effect,
    timeout: Option<Duration>,
    source: S,
}

impl<S: Source> SourceItem<S> {
    pub(in crate::collect) fn new(
        id: &str,
        collector: &'static str,
        what: impl Into<String>,
        lane: Lane,
        source: S,
    ) -> Self {
        let (effect, timeout) = (Effect::Read, None);
        Self { id: ItemId::new(id), collector, what: what.into(), lane, effect, timeout, source }
    }

    /// With what it does to the system, where that is more than reading.
    pub(in crate::collect) fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// With a deadline of its own.
    pub(in crate::collect) fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }
}

impl<S: Source> Item for SourceItem<S> {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        self.collector
    }

    fn describe(&self) -> String {
        self.what.clone()
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.source.collect(sink)
    }
}
