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
        sink.attempt();
        let calls = async {
            let stream = connect(&self.endpoint, limit).await?;
            ask_all(Box::new(stream), &self.grpc, limit).await
        };
        match calls.await {
            Ok(calls) => {
                let endpoint = self.endpoint.clone();
                Document { endpoint, way: Way::Direct, connected: true, error: None, calls }.store(sink, &path)
            }
            Err(error) => {
                let mut done = Document::unreached(self.endpoint.clone(), Way::Direct, &error).store(sink, &path)?;
                done.outcome = error.outcome();
                Ok(done)
            }
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
        self.limit.as_ref().ok().map(|limit| limit.saturating_mul(2).saturating_add(MARGIN))
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
