//! Endpoints that are given by their address and not by a pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use super::document::{Document, Way};
use super::over::ask_all;
use crate::collect::placeholder::Values;
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Effect, ItemId};
use crate::profile::{Grpc, Profile};

/// Time that an item has beyond its calls, to connect and to write.
const MARGIN: Duration = Duration::from_secs(15);

/// The endpoints of a profile whose address is known, as items. One that waits for a parameter is not among them.
#[must_use]
pub fn items(profile: &Profile, parameters: &BTreeMap<String, String>) -> Vec<Arc<dyn Item>> {
    let values = Values::of(profile, parameters);
    let mut items: Vec<Arc<dyn Item>> = Vec::new();
    for grpc in &profile.grpc {
        let Some(template) = &grpc.endpoint else { continue };
        let Ok(endpoint) = values.fill(template) else { continue };
        if endpoint.is_empty() {
            continue;
        }
        let values = values.within("direct", &endpoint, "");
        items.push(Arc::new(DirectItem {
            id: ItemId::new(format!("grpc/direct/{endpoint}/{}", grpc.id)),
            limit: values.duration(&grpc.timeout),
            values,
            endpoint,
            grpc: grpc.clone(),
        }));
    }
    items
}

/// Asks one address.
struct DirectItem {
    id: ItemId,
    values: Values,
    endpoint: String,
    grpc: Grpc,
    limit: Result<Duration, String>,
}

impl DirectItem {
    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let limit = self.limit.clone().map_err(CollectError::Failed)?;
        let path = self.values.fill(&self.grpc.artifact)?;
        ask_at(&self.endpoint, &self.grpc, limit, sink, &path, true).await
    }
}

/// Time that an item needs for calls with this deadline.
pub(in crate::collect) fn patience(limit: Duration) -> Duration {
    limit.saturating_mul(2).saturating_add(MARGIN)
}

/// Asks one address and writes what came of it. Where nobody said that something is `expected` there, a port that nothing
/// listens on is no finding.
///
/// # Errors
/// When the spool fails, or nothing is there and nothing was expected.
pub(in crate::collect) async fn ask_at(
    endpoint: &str,
    grpc: &Grpc,
    limit: Duration,
    sink: &Sink,
    path: &str,
    expected: bool,
) -> Result<Done, CollectError> {
    sink.attempt();
    let calls = async {
        let stream = connect(endpoint, limit).await?;
        ask_all(Box::new(stream), grpc, limit).await
    };
    let endpoint = endpoint.to_owned();
    match calls.await {
        Ok(calls) => Document { endpoint, way: Way::Direct, connected: true, error: None, calls }.store(sink, path),
        Err(error) if !expected => Err(CollectError::NotApplicable(error.to_string())),
        Err(error) => {
            let mut done = Document::unreached(endpoint, Way::Direct, &error).store(sink, path)?;
            done.outcome = error.outcome();
            Ok(done)
        }
    }
}

async fn connect(endpoint: &str, limit: Duration) -> Result<TcpStream, CollectError> {
    match tokio::time::timeout(limit, TcpStream::connect(endpoint)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(CollectError::Failed(format!("cannot connect to {endpoint}: {error}"))),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            Err(CollectError::TimedOut(format!("no connection to {endpoint} within {limit}")))
        }
    }
}

impl Item for DirectItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "grpc"
    }

    fn describe(&self) -> String {
        format!("gRPC calls to {}: {}", self.endpoint, self.grpc.why)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Probe
    }

    fn timeout(&self) -> Option<Duration> {
        self.limit.as_ref().ok().map(|limit| patience(*limit))
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
