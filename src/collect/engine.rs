//! Runs items in parallel and keeps the ledger.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::FutureExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::sink::Written;
use super::{CollectError, Done, Item, Lane, Limits, Sink};
use crate::bundle::Spool;
use crate::model::{ClockOffset, Event, ItemId, LedgerEntry, Outcome, RunStatus};
use crate::redact::Redactor;

/// What a run needs beside its items.
pub struct Engine {
    /// Redacts everything.
    pub redactor: Redactor,
    /// Stores what was redacted.
    pub spool: Spool,
    /// Limits of the run.
    pub limits: Limits,
    /// Where progress goes.
    pub events: UnboundedSender<Event>,
    /// Ends the run early; what is there is kept.
    pub cancel: CancellationToken,
    /// Which items are wanted, planned or spawned: the filter of `--only` and `--skip`.
    pub wanted: Arc<Wanted>,
}

/// Whether an item is wanted.
pub type Wanted = dyn Fn(&dyn Item) -> bool + Send + Sync;

/// What a run gave beside the artifacts in the spool. All texts are redacted.
pub struct RunResult {
    /// How the run ended.
    pub status: RunStatus,
    /// One entry for each planned item, sorted by item.
    pub ledger: Vec<LedgerEntry>,
    /// Differences between clocks.
    pub clocks: Vec<ClockOffset>,
    /// Facts for the manifest.
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// Why running items stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Deadline,
    Cancelled,
    SpoolFailed,
}

impl Stop {
    fn outcome(self) -> (Outcome, &'static str) {
        match self {
            Self::Deadline => (Outcome::TimedOut, "the deadline of the run passed"),
            Self::Cancelled => (Outcome::Cancelled, "the run was interrupted"),
            Self::SpoolFailed => (Outcome::Cancelled, "the spool cannot be written"),
        }
    }

    fn status(self) -> RunStatus {
        match self {
            Self::Deadline => RunStatus::DeadlineReached,
            Self::Cancelled => RunStatus::Interrupted,
            Self::SpoolFailed => RunStatus::SpoolFailed,
        }
    }
}

impl Engine {
    /// Runs all items, and those that they spawn, to the end, the deadline or the cancellation.
    ///
    /// Returns when every planned item has a ledger entry; no task of an item runs on.
    pub async fn run(self, items: Vec<Arc<dyn Item>>) -> RunResult {
        let limits = Arc::new(self.limits.clone());
        let mut waiting: BTreeMap<(Lane, usize), Arc<dyn Item>> = BTreeMap::new();
        let mut planned = 0;
        let mut ledger = Vec::new();
        let mut clocks = Vec::new();
        let mut notes = BTreeMap::new();
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut stop: Option<Stop> = None;
        let halt = CancellationToken::new();
        let deadline = tokio::time::sleep(limits.run_timeout);
        tokio::pin!(deadline);

        self.plan(items, &mut waiting, &mut planned);
        loop {
            while stop.is_none() && running.len() < limits.concurrency.max(1) {
                let Some((_, item)) = waiting.pop_first() else { break };
                let sink = Sink::new(
                    item.id().clone(),
                    self.redactor.clone(),
                    self.spool.clone(),
                    self.events.clone(),
                    Arc::clone(&limits),
                );
                let id = self.shown(item.id());
                self.send(Event::Started { item: id });
                running.spawn(run_one(item, sink, halt.clone()));
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                Some(joined) = running.join_next() => {
                    // A panic of the collector is caught inside the task; this arm is for a bug of the engine itself.
                    let Ok(ended) = joined else { continue };
                    let spool_failed = ended.written.spool_error.is_some();
                    let (entry, spawn) = self.account(ended, stop, &mut clocks, &mut notes);
                    ledger.push(entry);
                    self.plan(spawn, &mut waiting, &mut planned);
                    if spool_failed && stop.is_none() {
                        stop = Some(Stop::SpoolFailed);
                        halt.cancel();
                    }
                }
                () = &mut deadline, if stop.is_none() => {
                    stop = Some(Stop::Deadline);
                    halt.cancel();
                }
                () = self.cancel.cancelled(), if stop.is_none() => {
                    stop = Some(Stop::Cancelled);
                    halt.cancel();
                }
            }
        }
        if let Some(stop) = stop {
            let (outcome, reason) = stop.outcome();
            for item in waiting.into_values() {
                let entry = LedgerEntry {
                    item: item.id().clone(),
                    collector: item.collector().to_owned(),
                    outcome,
                    reason: Some(format!("not started: {reason}")),
                    started: None,
                    duration_ms: 0,
                    attempts: 0,
                    bytes: 0,
                    artifacts: Vec::new(),
                };
                ledger.push(self.enter(&entry));
            }
        }
        ledger.sort_by(|a, b| a.item.cmp(&b.item));
        clocks.sort_by(|a: &ClockOffset, b| a.source.cmp(&b.source));
        RunResult { status: stop.map_or(RunStatus::Finished, Stop::status), ledger, clocks, notes }
    }

    fn plan(
        &self,
        items: Vec<Arc<dyn Item>>,
        waiting: &mut BTreeMap<(Lane, usize), Arc<dyn Item>>,
        planned: &mut usize,
    ) {
        let before = *planned;
        for item in items {
            if (self.wanted)(item.as_ref()) {
                waiting.insert((item.lane(), *planned), item);
                *planned += 1;
            }
        }
        if *planned > before {
            self.send(Event::Planned { items: *planned - before });
        }
    }

    /// Turns the end of a task into its ledger entry.
    fn account(
        &self,
        ended: Ended,
        stop: Option<Stop>,
        clocks: &mut Vec<ClockOffset>,
        notes: &mut BTreeMap<String, serde_json::Value>,
    ) -> (LedgerEntry, Vec<Arc<dyn Item>>) {
        let (mut outcome, mut reason, spawn) = match ended.result {
            Verdict::Done(done) => (done.outcome, done.reason, done.spawn),
            Verdict::Error(error) => (error.outcome(), Some(error.to_string()), Vec::new()),
            Verdict::TimedOut(limit) => {
                (Outcome::TimedOut, Some(format!("no end within {}", humantime::format_duration(limit))), Vec::new())
            }
            Verdict::Halted => {
                let (outcome, reason) = stop.unwrap_or(Stop::Cancelled).outcome();
                (outcome, Some(reason.to_owned()), Vec::new())
            }
            Verdict::Panicked(message) => {
                (Outcome::Failed, Some(format!("the collector panicked: {message}")), Vec::new())
            }
        };
        if outcome == Outcome::Ok
            && let Some(cut) = &ended.written.truncated
        {
            outcome = Outcome::Truncated;
            reason.get_or_insert_with(|| cut.clone());
        }
        let entry = LedgerEntry {
            item: ended.item.id().clone(),
            collector: ended.item.collector().to_owned(),
            outcome,
            reason,
            started: Some(ended.started),
            duration_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            attempts: ended.attempts,
            bytes: ended.bytes,
            artifacts: ended.written.artifacts,
        };
        for clock in &ended.written.clocks {
            if let Ok(clock) = self.redactor.record(clock) {
                clocks.push(clock.into_inner());
            }
        }
        for (key, value) in &ended.written.notes {
            if let Ok(value) = self.redactor.record(value) {
                notes.insert(key.clone(), value.into_inner());
            }
        }
        (self.enter(&entry), spawn)
    }

    /// Redacts an entry, writes it to the journal and tells the listener.
    fn enter(&self, entry: &LedgerEntry) -> LedgerEntry {
        let redacted = match self.redactor.record(entry) {
            Ok(entry) => {
                // When the journal cannot be written the spool has failed, and the next artifact says so.
                let _ = self.spool.record(&entry);
                entry.into_inner()
            }
            Err(_) => LedgerEntry {
                item: ItemId::new("unnamed"),
                collector: entry.collector.clone(),
                outcome: Outcome::Failed,
                reason: Some("the ledger entry itself could not be redacted".to_owned()),
                started: entry.started,
                duration_ms: entry.duration_ms,
                attempts: entry.attempts,
                bytes: entry.bytes,
                artifacts: Vec::new(),
            },
        };
        self.send(Event::Finished { entry: redacted.clone() });
        redacted
    }

    fn shown(&self, id: &ItemId) -> ItemId {
        ItemId::new(self.redactor.text(id.as_str()).into_inner())
    }

    fn send(&self, event: Event) {
        // Nobody listening is a choice of the caller, not a failure of the run.
        let _ = self.events.send(event);
    }
}

/// How a task ended.
struct Ended {
    item: Arc<dyn Item>,
    result: Verdict,
    started: chrono::DateTime<Utc>,
    took: Duration,
    attempts: u32,
    bytes: u64,
    written: Written,
}

enum Verdict {
    Done(Done),
    Error(CollectError),
    TimedOut(Duration),
    Halted,
    Panicked(String),
}

/// Runs one item within its deadline. The sink outlives the item's future, so that whatever artifact the future had
/// open is closed and counted before the entry is made.
async fn run_one(item: Arc<dyn Item>, mut sink: Sink, halt: CancellationToken) -> Ended {
    let started = Utc::now();
    let clock = Instant::now();
    let limit = item.timeout().unwrap_or(sink.limits().item_timeout);
    let result = {
        let work = AssertUnwindSafe(async { item.run(&mut sink).await }).catch_unwind();
        tokio::select! {
            biased;
            () = halt.cancelled() => Verdict::Halted,
            ended = tokio::time::timeout(limit, work) => match ended {
                Ok(Ok(Ok(done))) => Verdict::Done(done),
                Ok(Ok(Err(error))) => Verdict::Error(error),
                Ok(Err(panic)) => Verdict::Panicked(panic_message(panic.as_ref())),
                Err(_) => Verdict::TimedOut(limit),
            },
        }
    };
    let written = sink.take_written();
    Ended { result, started, took: clock.elapsed(), attempts: sink.attempts(), bytes: sink.bytes(), written, item }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
