//! The engine: deadlines, cancellation, panics, and exactly one ledger entry for each planned item.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casefile::bundle::{Spool, SpoolStore, Store};
use casefile::collect::{CollectError, Done, Engine, Item, Keep, Lane, Limits, RunResult, Sink};
use casefile::model::{Event, ItemId, LedgerEntry, Outcome, RunStatus};
use casefile::redact::{CorrelationKey, Format, Redactor};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

type Work = Arc<dyn Fn(&Sink) -> BoxFuture<'static, Result<Done, CollectError>> + Send + Sync>;

/// An item whose work is a closure.
struct Job {
    id: ItemId,
    lane: Lane,
    work: Work,
}

impl Item for Job {
    fn id(&self) -> &ItemId {
        &self.id
    }
    fn collector(&self) -> &'static str {
        "test/job"
    }
    fn describe(&self) -> String {
        "a test".to_owned()
    }
    fn lane(&self) -> Lane {
        self.lane
    }
    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        (self.work)(sink)
    }
}

fn job<F, Fut>(id: &str, work: F) -> Arc<dyn Item>
where
    F: Fn(&Sink) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Done, CollectError>> + Send + 'static,
{
    Arc::new(Job { id: ItemId::new(id), lane: Lane::State, work: Arc::new(move |sink| Box::pin(work(sink))) })
}

fn quick(id: &str) -> Arc<dyn Item> {
    job(id, |_| async { Ok(Done::ok()) })
}

fn hang(id: &str) -> Arc<dyn Item> {
    job(id, |_| std::future::pending())
}

struct Run {
    result: RunResult,
    events: Vec<Event>,
    spool: Spool,
    _dir: tempfile::TempDir,
}

impl Run {
    fn outcome(&self, id: &str) -> Outcome {
        self.entry(id).outcome
    }
    fn entry(&self, id: &str) -> &LedgerEntry {
        let found: Vec<_> = self.result.ledger.iter().filter(|e| e.item.as_str() == id).collect();
        assert_eq!(found.len(), 1, "{id} has exactly one entry");
        found[0]
    }
}

async fn run_with(items: Vec<Arc<dyn Item>>, limits: Limits, cancel: CancellationToken) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::create(dir.path()).unwrap();
    let (events, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine {
        redactor: Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap(),
        spool: spool.clone(),
        limits,
        events,
        cancel,
        wanted: Arc::new(|item| !item.id().as_str().starts_with("skipped/")),
    };
    let result = engine.run(items).await;
    let mut seen = Vec::new();
    while let Ok(event) = inbox.try_recv() {
        seen.push(event);
    }
    Run { result, events: seen, spool, _dir: dir }
}

async fn run(items: Vec<Arc<dyn Item>>) -> Run {
    run_with(items, Limits::default(), CancellationToken::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_becomes_its_outcome() {
    let fail = |id: &str, make: fn() -> CollectError| job(id, move |_| async move { Err(make()) });
    let run = run(vec![
        fail("forbidden", || CollectError::Forbidden("403".into())),
        fail("not-found", || CollectError::NotFound("404".into())),
        fail("not-applicable", || CollectError::NotApplicable("none here".into())),
        fail("transient", || CollectError::Transient("reset".into())),
        fail("late", || CollectError::TimedOut("slow".into())),
        job("empty", |_| async { Ok(Done::with(Outcome::Empty, "nothing")) }),
        quick("fine"),
    ])
    .await;
    for (id, outcome) in [
        ("forbidden", Outcome::Forbidden),
        ("not-found", Outcome::NotFound),
        ("not-applicable", Outcome::NotApplicable),
        ("transient", Outcome::Failed),
        ("late", Outcome::TimedOut),
        ("empty", Outcome::Empty),
        ("fine", Outcome::Ok),
    ] {
        assert_eq!(run.outcome(id), outcome, "{id}");
    }
    assert_eq!(run.result.status, RunStatus::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_item_and_its_partial_artifact_stays() {
    let run = run(vec![
        job("panics", |sink| {
            let artifact = sink.create("half.txt", Format::Text, Keep::All).unwrap();
            async move {
                let mut artifact = artifact;
                artifact.write(b"before\n").unwrap();
                assert!(artifact.path().is_empty(), "deliberate");
                Ok(Done::ok())
            }
        }),
        quick("fine"),
    ])
    .await;
    let entry = run.entry("panics");
    assert_eq!(entry.outcome, Outcome::Failed);
    assert!(entry.reason.as_ref().unwrap().contains("panicked"), "{entry:?}");
    assert_eq!(entry.artifacts, ["half.txt"]);
    assert_eq!(run.outcome("fine"), Outcome::Ok);
    let files = run.spool.files();
    assert_eq!(files[0].truncation.as_ref().unwrap().reason, "interrupted");
    assert_eq!(SpoolStore::new(&run.spool).read("half.txt", 100).unwrap(), b"before\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_hangs_ends_at_its_deadline() {
    let limits = Limits { item_timeout: Duration::from_millis(50), ..Limits::default() };
    let run = run_with(vec![hang("hangs"), quick("fine")], limits, CancellationToken::new()).await;
    assert_eq!(run.outcome("hangs"), Outcome::TimedOut);
    assert!(run.entry("hangs").reason.as_ref().unwrap().contains("50ms"));
    assert_eq!(run.outcome("fine"), Outcome::Ok);
    assert_eq!(run.result.status, RunStatus::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_the_run_ends_everything() {
    let limits = Limits { run_timeout: Duration::from_millis(100), concurrency: 2, ..Limits::default() };
    let items = vec![hang("a"), hang("b"), quick("waits")];
    let begun = Instant::now();
    let run = run_with(items, limits, CancellationToken::new()).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "the run ended by its deadline");
    assert_eq!(run.result.status, RunStatus::DeadlineReached);
    for id in ["a", "b", "waits"] {
        assert_eq!(run.outcome(id), Outcome::TimedOut, "{id}");
    }
    assert!(run.entry("waits").started.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_keeps_what_is_there() {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let writes_then_hangs = job("slow", move |sink| {
        let mut artifact = sink.create("slow.log", Format::Text, Keep::All).unwrap();
        let token = token.clone();
        async move {
            artifact.write(b"line one\nline t").unwrap();
            token.cancel();
            std::future::pending().await
        }
    });
    let run = run_with(vec![writes_then_hangs], Limits::default(), cancel).await;
    assert_eq!(run.result.status, RunStatus::Interrupted);
    assert_eq!(run.outcome("slow"), Outcome::Cancelled);
    // What the redactor held back is there as well.
    assert_eq!(SpoolStore::new(&run.spool).read("slow.log", 100).unwrap(), b"line one\nline t");
}

#[tokio::test(flavor = "multi_thread")]
async fn spawned_items_join_the_plan_and_the_filter_holds_for_them() {
    let parent = job("parent", |_| async {
        Ok(Done::ok().and_spawn(vec![quick("child/a"), quick("skipped/b"), quick("child/c")]))
    });
    let run = run(vec![parent, quick("skipped/x")]).await;
    let ids: Vec<_> = run.result.ledger.iter().map(|e| e.item.as_str()).collect();
    assert_eq!(ids, ["child/a", "child/c", "parent"]);
    let planned: usize = run.events.iter().map(|e| if let Event::Planned { items } = e { *items } else { 0 }).sum();
    assert_eq!(planned, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_items_give_exactly_one_entry_each_whatever_happens_to_them() {
    let mut items = Vec::new();
    for n in 0..300 {
        items.push(match n % 5 {
            0 => hang(&format!("i{n}")),
            1 => job(&format!("i{n}"), |_| async { panic!("deliberate") }),
            2 => job(&format!("i{n}"), |_| async { Err(CollectError::Forbidden("no".into())) }),
            _ => quick(&format!("i{n}")),
        });
    }
    let limits = Limits { item_timeout: Duration::from_millis(20), ..Limits::default() };
    let run = run_with(items, limits, CancellationToken::new()).await;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &run.result.ledger {
        *seen.entry(entry.item.as_str()).or_default() += 1;
    }
    assert_eq!(seen.len(), 300);
    assert!(seen.values().all(|n| *n == 1));
    let finished = run.events.iter().filter(|e| matches!(e, Event::Finished { .. })).count();
    assert_eq!(finished, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_items_run_at_once_than_allowed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let running = Arc::new(AtomicUsize::new(0));
    let peak = Arc::new(AtomicUsize::new(0));
    let items = (0..40)
        .map(|n| {
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            job(&format!("i{n}"), move |_| {
                let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
                async move {
                    peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(Done::ok())
                }
            })
        })
        .collect();
    let limits = Limits { concurrency: 4, ..Limits::default() };
    run_with(items, limits, CancellationToken::new()).await;
    assert_eq!(peak.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_names_reasons_notes_and_paths_are_redacted() {
    let secret = "AKIAQ7PLANTED2EXAMPL";
    let secret_id = format!("logs/ns/{secret}/c");
    let run = run(vec![job(&secret_id, move |sink| {
        sink.note("server", serde_json::json!({ "url": format!("https://u:{secret}pw@h/") }));
        sink.put(&format!("dir/{secret}.txt"), Format::Text, format!("key {secret}\n").as_bytes()).unwrap();
        async move { Err(CollectError::Failed(format!("cannot use {secret}"))) }
    })])
    .await;
    let mut everything = format!("{:?} {:?}", run.result.ledger, run.result.notes);
    for event in &run.events {
        everything.push_str(&serde_json::to_string(event).unwrap());
    }
    let store = SpoolStore::new(&run.spool);
    for entry in store.entries() {
        everything.push_str(&entry.path);
        everything.push_str(&String::from_utf8_lossy(&store.read(&entry.path, 1 << 20).unwrap()));
    }
    assert!(everything.contains("REDACTED-"), "{everything}");
    assert!(!everything.contains(secret), "{everything}");
}
