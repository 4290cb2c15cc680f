//! The one pass over a bundle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use serde_json::Value;

use super::list::{Ending, split};
use super::logs::LogScanner;
use super::{
    At, Facts, LogFacts, LogKey, alerts, deprecated, health, host, inside, metrics, objects, peers, services, storage,
    usage,
};
use crate::bundle::{Store, StoreError, layout};
use crate::model::{Manifest, Outcome};
use crate::triage::finding::{Evidence, Place};
use crate::triage::signatures::Signatures;
use crate::triage::text;

/// Documents that are read as a whole are cut off here.
const DOCUMENT_MAX: u64 = 64 << 20;
/// Files from inside of pods are read up to this size.
const INSIDE_MAX: u64 = 8 << 20;
/// Logs that are read at the same time; each takes a buffer and the state of a decompressor.
const WORKERS_MAX: usize = 4;
/// Problems with data that are kept one by one.
const TROUBLES_MAX: usize = 50;

/// Reads everything that rules need.
///
/// # Errors
/// When the bundle itself cannot be read; a broken file in it is a trouble and no error.
pub(crate) fn load(
    store: &dyn Store,
    manifest: &Manifest,
    signatures: Option<Arc<Signatures>>,
) -> Result<Facts, StoreError> {
    let mut facts = Facts { now: super::super::clock::cluster_now(manifest), ..Facts::default() };
    let scanner = LogScanner::new(signatures);
    for entry in store.entries() {
        let path = entry.path.as_str();
        let result = if log_key(path).is_some() {
            // Read below, several at a time.
            Ok(())
        } else if let Some((group, plural, namespace)) = layout::parse_objects(path) {
            facts.lists.insert((group.clone(), plural.clone(), namespace.clone().unwrap_or_default()));
            each_object(&mut facts, store, path, &mut |facts, at, object| {
                objects::add(facts, &group, &plural, namespace.as_deref(), at, object);
            })
        } else if path.starts_with("usage/pods/") {
            each_object(&mut facts, store, path, &mut |facts, at, object| usage::pod_metrics(facts, &at, object))
        } else if path == layout::NODE_USAGE {
            each_object(&mut facts, store, path, &mut |facts, at, object| usage::node_metrics(facts, &at, object))
        } else if alerts::is_path(path) {
            document(&mut facts, store, path, &mut |facts, path, value| match alerts::parse(path, value) {
                Ok(found) => facts.alerts.extend(found),
                Err(reason) => trouble(facts, path, Place::Pointer(String::new()), &reason),
            })
        } else if path.starts_with("usage/nodes/") && path.ends_with("/stats-summary.json") {
            document(&mut facts, store, path, &mut |facts, path, value| usage::node_stats(facts, path, value))
        } else if let Some((pod, source)) = health::parse_path(path) {
            store.read(path, DOCUMENT_MAX).map(|bytes| {
                let output = String::from_utf8_lossy(&bytes);
                facts.health.extend(health::parse(path, pod, source, &output));
            })
        } else if let Some(pod) = peers::parse_path(path) {
            document(&mut facts, store, path, &mut |facts, path, value| {
                facts.probes.extend(peers::parse(path, &pod, value));
            })
        } else if let Some((pod, id)) = inside::parse_answer(path) {
            store.read(path, DOCUMENT_MAX).map(|bytes| facts.answers.push(inside::answer(path, pod, id, &bytes)))
        } else if let Some(pod) = metrics::parse_path(path) {
            store
                .read(path, INSIDE_MAX)
                .map(|bytes| metrics::add(&mut facts.scrapes, metrics::parse(path, pod, &bytes)))
        } else if let Some((pod, _)) = inside::parse_path(path, "ports") {
            store.read(path, INSIDE_MAX).map(|bytes| facts.ports.extend(inside::ports(path, &pod, &bytes)))
        } else if let Some((pod, file)) = inside::parse_path(path, "config") {
            store.read(path, INSIDE_MAX).map(|bytes| match inside::config(path, pod, file, &bytes) {
                Ok(config) => facts.configs.extend(config),
                Err(error) => {
                    trouble(&mut facts, path, Place::Line(1), &format!("this file cannot be decoded: {error}"));
                }
            })
        } else if let Some(pod) = storage::parse_path(path) {
            document(&mut facts, store, path, &mut |facts, path, value| {
                facts.vaults.push(storage::parse(path, pod.clone(), value));
            })
        } else if is_host_fact(path) {
            store.read(path, DOCUMENT_MAX).map(|bytes| {
                if let Err(error) = host::add(&mut facts, path, &bytes) {
                    trouble(&mut facts, path, Place::Line(1), &format!("this file cannot be decoded: {error}"));
                }
            })
        } else if services::is_fact(path) {
            services::add(&mut facts.beside, store, path).map(|problem| {
                if let Some(problem) = problem {
                    trouble(&mut facts, path, Place::Line(1), &format!("this file cannot be decoded: {problem}"));
                }
            })
        } else if path == layout::DEPRECATED_APIS {
            store.read(path, INSIDE_MAX).map(|bytes| facts.deprecated.extend(deprecated::asked(path, &bytes)))
        } else if path == layout::CLUSTER_VERSION {
            document(&mut facts, store, path, &mut |facts, _, value| {
                facts.server_version = super::value::string(value, "/string");
            })
        } else {
            Ok(())
        };
        match result {
            Ok(()) => {}
            // One damaged file is not the end; a bundle that cannot be read at all was refused when it was opened.
            Err(error) => trouble(&mut facts, path, Place::Line(1), &error.to_string()),
        }
    }
    for (path, (key, log)) in scan_logs(store, &scanner) {
        match log {
            Ok(log) => {
                facts.logs.insert(key, log);
            }
            Err(error) => trouble(&mut facts, &path, Place::Line(1), &error.to_string()),
        }
    }
    for (path, reason) in store.damage() {
        trouble(&mut facts, &path, Place::Line(1), &reason);
    }
    by_ledger(&mut facts, manifest);
    gone(&mut facts, store, manifest);
    facts.beside.finish();
    order_events(&mut facts);
    Ok(facts)
}

/// Lists of which there is no file because they are empty, and such that broke off, so that what is missing in them may be there.
fn by_ledger(facts: &mut Facts, manifest: &Manifest) {
    for entry in &manifest.ledger {
        let Some(rest) = entry.item.as_str().strip_prefix("kubernetes/") else { continue };
        let (kind, namespace) = rest.split_once('/').unwrap_or((rest, ""));
        let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
        let list = (group.to_owned(), plural.to_owned(), namespace.to_owned());
        match entry.outcome {
            Outcome::Empty => facts.lists.insert(list),
            Outcome::Ok | Outcome::NotApplicable => false,
            _ => facts.lists.remove(&list),
        };
    }
}

/// Whether a file of the host is one that rules use; the others are for people.
fn is_host_fact(path: &str) -> bool {
    matches!(path, "host/disks.json" | "host/system.json" | "host/kernel-errors.log") || path.starts_with("host/units/")
}

/// A log that was read.
type Scanned = (LogKey, Result<LogFacts, StoreError>);

/// Whose log stands at a path; none for what is no log.
fn log_key(path: &str) -> Option<LogKey> {
    match layout::parse_log(path) {
        Some((namespace, pod, container, previous)) => Some(LogKey {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            previous,
        }),
        None => services::parse_log(path).or_else(|| host::parse_journal(path)),
    }
}

/// Reads all logs, several at a time; in the order of the bundle.
fn scan_logs(store: &dyn Store, scanner: &LogScanner) -> Vec<(String, Scanned)> {
    let logs: Vec<(&str, LogKey)> = (store.entries().iter())
        .filter_map(|entry| log_key(&entry.path).map(|key| (entry.path.as_str(), key)))
        .collect();
    let (next, workers) = (AtomicUsize::new(0), available_parallelism().map_or(1, usize::from).min(WORKERS_MAX));
    let work = || {
        let (mut read, mut buffer) = (Vec::new(), Vec::new());
        while let Some((at, (path, key))) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, logs.get(at)?)))
        {
            let log = store.open(path).and_then(|reader| {
                scanner
                    .scan(path, reader, &mut buffer)
                    .map_err(|source| StoreError::Io { path: (*path).to_owned(), source })
            });
            read.push((at, (key.clone(), log)));
        }
        read
    };
    let mut all: Vec<(usize, Scanned)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers.min(logs.len())).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(read) => all.extend(read),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().filter_map(|(at, log)| Some((logs.get(at)?.0.to_owned(), log))).collect()
}

fn each_object(
    facts: &mut Facts,
    store: &dyn Store,
    path: &str,
    each: &mut dyn FnMut(&mut Facts, At, &Value),
) -> Result<(), StoreError> {
    let reader = store.open(path)?;
    let shared: Arc<str> = Arc::from(path);
    let ending = split(reader, &mut |place, bytes| match bytes.map(serde_json::from_slice::<Value>) {
        Some(Ok(object)) => each(facts, At { path: Arc::clone(&shared), place }, &object),
        Some(Err(error)) => trouble(facts, path, place, &format!("this object cannot be decoded: {error}")),
        None => trouble(facts, path, place, "this object is too large to be decoded"),
    })
    .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    if ending == Ending::CutOff {
        trouble(facts, path, Place::Line(1), "the list ends in the middle");
    }
    Ok(())
}

fn document(
    facts: &mut Facts,
    store: &dyn Store,
    path: &str,
    use_it: &mut dyn FnMut(&mut Facts, &Arc<str>, &Value),
) -> Result<(), StoreError> {
    match serde_json::from_slice(&store.read(path, DOCUMENT_MAX)?) {
        Ok(value) => use_it(facts, &Arc::from(path), &value),
        Err(error) => trouble(facts, path, Place::Line(1), &format!("this file cannot be decoded: {error}")),
    }
    Ok(())
}

/// What was collected and is not in the bundle any more: the archive was cut off, or somebody took it out.
fn gone(facts: &mut Facts, store: &dyn Store, manifest: &Manifest) {
    let named = manifest.ledger.iter().flat_map(|entry| &entry.artifacts);
    let gone: Vec<&String> = named.filter(|path| !store.contains(path)).collect();
    if let Some(first) = gone.first() {
        let what = format!(
            "missing from the bundle: {} that the ledger names, such as {first}",
            text::count(gone.len(), "file")
        );
        trouble(facts, crate::bundle::format::MANIFEST, Place::Pointer("/ledger".to_owned()), &what);
    }
}

fn trouble(facts: &mut Facts, path: &str, place: Place, reason: &str) {
    if facts.troubles.len() < TROUBLES_MAX {
        facts.troubles.push(Evidence { path: path.to_owned(), place, excerpt: text::line(reason, text::EXCERPT) });
    }
}

/// Sorts events by time and indexes them by subject.
fn order_events(facts: &mut Facts) {
    facts.events.sort_by(|a, b| {
        (a.last, a.first, &a.subject, &a.reason, &a.message).cmp(&(b.last, b.first, &b.subject, &b.reason, &b.message))
    });
    for (i, event) in facts.events.iter().enumerate() {
        facts.events_of.entry(event.subject.clone()).or_default().push(i);
    }
}
