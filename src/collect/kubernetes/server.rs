//! What the API server says about itself: its version, its kinds and its clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use super::answer::Refusal;
use super::api::Cluster;
use super::discovery::Discovery;
use crate::bundle::layout;
use crate::collect::{CollectError, Done, Item, Sink, retry};
use crate::model::{ClockOffset, ItemId, Outcome};
use crate::redact::Format;

/// Requests for the clock; the quickest one counts.
const CLOCK_TRIES: u32 = 3;
const VERSION: &str = "/version";

/// Which of the three.
enum About {
    Version,
    Discovery(Arc<Discovery>),
    Clock,
}

/// Asks the server about itself.
pub(super) struct ServerItem {
    id: ItemId,
    cluster: Cluster,
    about: About,
}

/// The three items.
pub(super) fn items(cluster: &Cluster, discovery: &Arc<Discovery>) -> [ServerItem; 3] {
    [
        ("kubernetes/version", About::Version),
        ("kubernetes/discovery", About::Discovery(Arc::clone(discovery))),
        ("kubernetes/clock", About::Clock),
    ]
    .map(|(id, about)| ServerItem { id: ItemId::new(id), cluster: cluster.clone(), about })
}

impl ServerItem {
    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        match &self.about {
            About::Version => self.version(sink),
            About::Discovery(discovery) => discovered(discovery, sink),
            About::Clock => self.clock(sink).await,
        }
    }

    fn version(&self, sink: &Sink) -> Result<Done, CollectError> {
        let info = self.cluster.version_info();
        if info.is_null() {
            return Err(CollectError::Forbidden("the server keeps its version to itself".to_owned()));
        }
        sink.note("kubernetes_version", self.cluster.version().into());
        sink.note("kubernetes_server", self.cluster.server().into());
        let document = json!({"info": info, "string": self.cluster.version()});
        put(sink, layout::CLUSTER_VERSION, &document)?;
        Ok(Done::ok())
    }

    async fn clock(&self, sink: &Sink) -> Result<Done, CollectError> {
        let mut best: Option<(Duration, ClockOffset)> = None;
        for _ in 0..CLOCK_TRIES {
            let (response, began, took) = retry::retry(sink, || async {
                let (began, clock) = (Utc::now(), Instant::now());
                let response = self.cluster.open(VERSION, "application/json").await?;
                Ok((response.map_err(Refusal::into_error), began, clock.elapsed()))
            })
            .await?;
            let response = response?;
            let date = response.headers().get(http::header::DATE).and_then(|v| v.to_str().ok());
            let Some(offset) = date.and_then(|date| offset(date, began, took)) else {
                return Err(CollectError::NotApplicable("the server sends no Date header".to_owned()));
            };
            if best.as_ref().is_none_or(|(quickest, _)| took < *quickest) {
                best = Some((took, offset));
            }
            // Read to its end, so that the connection can be used again.
            self.cluster.collect(response, 64 << 10).await?;
        }
        if let Some((_, offset)) = best {
            sink.clock(offset);
        }
        Ok(Done::ok())
    }
}

/// The server's clock minus ours. A `Date` header has whole seconds, cut off, so that its middle is half a second later.
fn offset(date: &str, began: DateTime<Utc>, took: Duration) -> Option<ClockOffset> {
    let theirs = DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc) + chrono::TimeDelta::milliseconds(500);
    let half = chrono::TimeDelta::from_std(took / 2).ok()?;
    Some(ClockOffset {
        source: "kube-apiserver".to_owned(),
        offset_ms: (theirs - (began + half)).num_milliseconds(),
        uncertainty_ms: half.num_milliseconds() + 500,
    })
}

fn discovered(discovery: &Discovery, sink: &Sink) -> Result<Done, CollectError> {
    put(sink, layout::GROUPS, &discovery.groups_document())?;
    put(sink, layout::RESOURCES, &discovery.resources_document())?;
    if discovery.silent.is_empty() {
        return Ok(Done::ok());
    }
    Ok(Done::with(Outcome::Truncated, format!("these API groups do not answer: {}", discovery.silent.join(", "))))
}

fn put(sink: &Sink, path: &str, document: &serde_json::Value) -> Result<(), CollectError> {
    sink.put(path, Format::Json, format!("{document}\n").as_bytes())
}

impl Item for ServerItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/server"
    }

    fn describe(&self) -> String {
        match &self.about {
            About::Version => format!("stores the version of {}", self.cluster.server()),
            About::Discovery(_) => "stores which kinds the server has".to_owned(),
            About::Clock => format!("compares our clock with the server's, in {CLOCK_TRIES} requests"),
        }
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_measured_at_the_middle_of_the_request() {
        let began = DateTime::parse_from_rfc3339("2026-11-21T06:32:40.000Z").unwrap().with_timezone(&Utc);
        let offset = offset("Sat, 21 Nov 2026 06:32:42 GMT", began, Duration::from_millis(200)).unwrap();
        assert_eq!((offset.offset_ms, offset.uncertainty_ms), (2400, 600));
        assert!(super::offset("yesterday", began, Duration::ZERO).is_none());
    }
}
