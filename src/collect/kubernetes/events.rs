//! Events of a namespace, oldest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::api::Cluster;
use super::discovery::Kind;
use super::list::{self, Form, Query, Visit};
use super::objects::{self, ObjectFile};
use super::table::Column;
use crate::collect::{CollectError, Done, Item, Sink};
use crate::model::{Access, ItemId, Kept, Outcome, Truncation};

/// Sorting needs all of them at once; of more than this the newest are kept.
const COUNT_MAX: usize = 50_000;
const BYTES_MAX: usize = 32 << 20;

/// Lists the events of one namespace.
pub(super) struct EventsItem {
    id: ItemId,
    cluster: Cluster,
    kind: Kind,
    namespace: String,
}

impl EventsItem {
    pub(super) fn new(cluster: Cluster, kind: Kind, namespace: String) -> Self {
        Self { id: objects::id(&kind, Some(&namespace)), cluster, kind, namespace }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let namespace = Some(self.namespace.as_str());
        let access = objects::list_access(&self.kind, namespace);
        let query = Query::new(self.kind.path(namespace), access, Form::Table);
        let mut newest = Newest::default();
        let mut ended = list::read(&self.cluster, sink, query, &mut newest).await?;
        let mut file = ObjectFile::new(&self.kind, namespace);
        let columns = std::mem::take(&mut newest.columns);
        let dropped = newest.dropped;
        for event in newest.sorted() {
            file.object(sink, &event.raw, event.cells)?;
        }
        file.columns(&columns);
        if dropped == 0 {
            file.finish(sink, ended.truncation())?;
            return Ok(objects::done(&ended));
        }
        let cut = Truncation {
            reason: "event-limit".to_owned(),
            dropped_bytes: Some(newest.dropped_bytes),
            kept: Kept::Newest,
        };
        file.finish(sink, Some(cut))?;
        ended.objects -= dropped;
        let mut reason = format!("{dropped} older events were left out");
        if let Some(more) = ended.reason() {
            reason = format!("{reason}; {more}");
        }
        Ok(Done::with(Outcome::Truncated, reason))
    }
}

impl Item for EventsItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/events"
    }

    fn describe(&self) -> String {
        format!("lists the events in {}, sorted by their last time", self.namespace)
    }

    fn access(&self) -> Vec<Access> {
        vec![objects::list_access(&self.kind, Some(&self.namespace))]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

/// One event with what it is sorted by. The number keeps events of the same second in the order of the server.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: String,
    number: usize,
    raw: Vec<u8>,
    cells: Option<Vec<String>>,
}

impl Event {
    fn cost(&self) -> usize {
        self.raw.len() + self.cells.as_ref().map_or(0, |cells| cells.iter().map(String::len).sum()) + 128
    }
}

/// The newest events within the limits.
#[derive(Default)]
struct Newest {
    heap: BinaryHeap<Reverse<Event>>,
    bytes: usize,
    number: usize,
    dropped: usize,
    dropped_bytes: u64,
    columns: Vec<Column>,
}

impl Newest {
    fn add(&mut self, raw: &[u8], cells: Option<Vec<String>>) {
        // Managed fields are never stored and are half of an event.
        let (time, raw) = match serde_json::from_slice::<Value>(raw) {
            Ok(mut event) => {
                if let Some(meta) = event.get_mut("metadata").and_then(Value::as_object_mut) {
                    meta.remove("managedFields");
                }
                (last_time(&event).to_owned(), event.to_string().into_bytes())
            }
            Err(_) => (String::new(), raw.to_vec()),
        };
        self.number += 1;
        let event = Event { time, number: self.number, raw, cells };
        self.bytes += event.cost();
        self.heap.push(Reverse(event));
        while self.heap.len() > COUNT_MAX || self.bytes > BYTES_MAX {
            let Some(Reverse(oldest)) = self.heap.pop() else { break };
            self.bytes -= oldest.cost();
            self.dropped += 1;
            self.dropped_bytes += oldest.raw.len() as u64;
        }
    }

    fn sorted(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = std::mem::take(&mut self.heap).into_iter().map(|Reverse(e)| e).collect();
        events.sort();
        events
    }
}

impl Visit for Newest {
    fn columns(&mut self, columns: &[Column]) {
        if self.columns.is_empty() {
            self.columns = columns.to_vec();
        }
    }

    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError> {
        let _ = sink;
        self.add(raw, cells);
        Ok(())
    }
}

/// When an event was last seen. Both API groups are understood; RFC 3339 in UTC sorts as text up to the second, and what
/// follows the second sorts well enough.
fn last_time(event: &Value) -> &str {
    [
        "/lastTimestamp",
        "/deprecatedLastTimestamp",
        "/series/lastObservedTime",
        "/eventTime",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .find_map(|pointer| event.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()))
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(newest: &mut Newest) -> Vec<String> {
        let parse = |e: Event| serde_json::from_slice::<Value>(&e.raw).unwrap()["metadata"]["name"].to_string();
        newest.sorted().into_iter().map(parse).collect()
    }

    #[test]
    fn the_last_time_sorts_wherever_it_stands() {
        let mut newest = Newest::default();
        for event in [
            json!({"metadata": {"name": "d", "creationTimestamp": "2026-01-01T00:00:04Z", "managedFields": [1]}, "eventTime": null}),
            json!({"metadata": {"name": "b", "creationTimestamp": "2026-01-01T00:00:00Z"}, "lastTimestamp": "2026-01-01T00:00:02Z"}),
            json!({"metadata": {"name": "a"}, "lastTimestamp": null, "eventTime": "2026-01-01T00:00:01.000000Z"}),
            json!({"metadata": {"name": "c"}, "eventTime": "2026-01-01T00:00:01.000000Z", "series": {"lastObservedTime": "2026-01-01T00:00:03.000000Z"}}),
        ] {
            newest.add(event.to_string().as_bytes(), None);
        }
        assert_eq!(names(&mut newest), ["\"a\"", "\"b\"", "\"c\"", "\"d\""]);
    }

    #[test]
    fn of_too_many_the_newest_are_kept() {
        let mut newest = Newest::default();
        let big = "x".repeat(BYTES_MAX / 4);
        for second in [5, 1, 4, 2, 3] {
            let event = json!({"metadata": {"name": format!("{second}")}, "lastTimestamp": format!("2026-01-01T00:00:0{second}Z"), "message": big});
            newest.add(event.to_string().as_bytes(), None);
        }
        assert_eq!(newest.dropped, 2);
        assert_eq!(names(&mut newest), ["\"3\"", "\"4\"", "\"5\""]);
    }
}
