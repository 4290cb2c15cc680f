//! What all requests of a server share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::access::Access;
use super::clock::{self, Clock};
use super::discovery::{Catalog, METRICS_GROUP};
use super::fault::Faults;
use super::objects::Objects;
use super::replay::Replay;
use super::server::{Options, RequestRecord, ServeError};
use crate::bundle::{Store, format, layout};
use crate::model::time::Timestamp;

/// Requests that are remembered; older ones are forgotten.
const RECORDS: usize = 100_000;
/// WebSockets at the same time.
const SOCKETS: usize = 256;
/// How many bytes of a small document are read.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// One server's cluster.
pub(super) struct State {
    pub(super) address: SocketAddr,
    pub(super) store: Arc<dyn Store>,
    pub(super) catalog: Catalog,
    pub(super) objects: Objects,
    pub(super) clock: Clock,
    pub(super) replay: Replay,
    pub(super) access: Access,
    pub(super) faults: Faults,
    pub(super) token: Option<String>,
    pub(super) user: String,
    pub(super) date_offset: chrono::TimeDelta,
    pub(super) page_limit: Option<usize>,
    forwards: Vec<(String, u16, SocketAddr)>,
    /// Whether the store is a bundle, where what is missing may not have been collected; a fixture has all there is.
    pub(super) is_bundle: bool,
    /// WebSockets that may be open, because they are no longer counted as connections.
    pub(super) sockets: Arc<Semaphore>,
    records: Mutex<VecDeque<RequestRecord>>,
}

impl State {
    /// The real program behind a port of a pod.
    pub(super) fn forward_to(&self, pod: &str, port: u16) -> Option<SocketAddr> {
        self.forwards.iter().find(|(p, n, _)| p == pod && *n == port).map(|(_, _, to)| *to)
    }

    /// Reads what a server needs to know before its first request. Blocks.
    ///
    /// # Errors
    /// When a fault or a denial is not a valid glob.
    pub(super) fn new(store: Arc<dyn Store>, options: Options, address: SocketAddr) -> Result<Self, ServeError> {
        let objects = Objects::new(Arc::clone(&store));
        let catalog = Catalog::read(&*store, objects.has_group(METRICS_GROUP));
        let replay = Replay::read(&*store)?;
        let clock = match options.now.or(replay.now).or_else(|| collected(&*store)) {
            Some(at) => Clock::Fixed(at),
            None => Clock::Real,
        };
        Ok(Self {
            address,
            catalog,
            objects,
            clock,
            replay,
            access: Access::new(options.denials)?,
            faults: Faults::new(options.faults)?,
            token: options.token,
            user: options.user,
            date_offset: options.date_offset,
            page_limit: options.page_limit,
            forwards: options.forwards,
            is_bundle: store.contains(format::MANIFEST),
            sockets: Arc::new(Semaphore::new(SOCKETS)),
            store,
            records: Mutex::default(),
        })
    }

    /// The server's version, as the layout wraps it or plain.
    pub(super) fn version(&self) -> Value {
        let bytes = self.store.read(layout::CLUSTER_VERSION, DOCUMENT_LIMIT).unwrap_or_default();
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = document["string"].as_str().unwrap_or("v1.0.0");
        match document {
            Value::Object(ref map) if map.get("info").is_some_and(Value::is_object) => document["info"].clone(),
            Value::Object(ref map) if map.contains_key("gitVersion") => document,
            _ => {
                let mut numbers = text.trim_start_matches('v').split('.');
                let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
                serde_json::json!({"major": major, "minor": minor, "gitVersion": text})
            }
        }
    }

    /// Remembers a request.
    pub(super) fn record(&self, record: RequestRecord) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == RECORDS {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// The remembered requests, oldest first.
    pub(super) fn records(&self) -> Vec<RequestRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// When the bundle was collected, by its manifest.
fn collected(store: &dyn Store) -> Option<Timestamp> {
    let manifest: Value = serde_json::from_slice(&store.read(format::MANIFEST, DOCUMENT_LIMIT).ok()?).ok()?;
    clock::parse(manifest["finished"].as_str()?)
}
