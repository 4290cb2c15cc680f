//! gRPC endpoints of pods, asked over a forwarded port.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::local::Report;
use super::pod::Pod;
use super::pods::Shared;
use super::portforward;
use crate::collect::grpc::{Call, Document, Way, ask_all, told_health};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Access, Effect, ItemId};
use crate::profile::Grpc;

/// Time that an item has beyond its calls, to connect and to write.
const MARGIN: Duration = Duration::from_secs(30);

/// Asks one port of one pod.
pub(super) struct GrpcItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    node: Option<String>,
    refused: Option<String>,
    limit: Result<Duration, String>,
    grpc: Grpc,
    report: Option<Report>,
}

impl GrpcItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, grpc: Grpc) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("grpc/{namespace}/{name}/{}", grpc.id)),
            limit: shared.values.duration(&grpc.timeout),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone(),
            refused: pod.not_running(None),
            grpc,
            report: None,
        }
    }

    /// Says to others whether it answered.
    pub(super) fn reporting(mut self, report: Option<Report>) -> Self {
        self.report = report;
        self
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        if let Some(why) = &self.refused {
            return Err(CollectError::NotApplicable(why.clone()));
        }
        let limit = self.limit.clone().map_err(CollectError::Failed)?;
        let path = self.shared.values.within(&self.namespace, &self.pod, "").fill(&self.grpc.artifact)?;
        let endpoint = format!("{}/{}:{}", self.namespace, self.pod, self.grpc.port);
        let way = Way::PortForward;
        sink.attempt();
        let (cluster, node) = (&self.shared.cluster, self.node.as_deref());
        let forwarded = portforward::open(cluster, &self.namespace, &self.pod, node, self.grpc.port).await;
        let forwarded = match forwarded {
            Ok(forwarded) => forwarded,
            Err(error) => {
                let mut done = Document::unreached(endpoint, way, &error).store(sink, &path)?;
                done.outcome = error.outcome();
                return Ok(done);
            }
        };
        let said = forwarded.said();
        match ask_all(Box::new(forwarded), &self.grpc, limit).await {
            Ok(calls) => {
                // What the node says of the port says more than what its end did to each call.
                let error = said.text().filter(|_| !calls.iter().any(Call::answered));
                let calls = if error.is_some() { Vec::new() } else { calls };
                if let Some(report) = self.report.as_ref().filter(|_| told_health(&calls)) {
                    report.answered(&self.id);
                }
                Document { endpoint, way, connected: error.is_none(), error, calls }.store(sink, &path)
            }
            Err(error) => {
                let mut document = Document::unreached(endpoint, way, &error);
                document.error = said.text().or(document.error);
                let mut done = document.store(sink, &path)?;
                done.outcome = error.outcome();
                Ok(done)
            }
        }
    }
}

impl Item for GrpcItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/grpc"
    }

    fn describe(&self) -> String {
        format!("gRPC calls to port {} of {}/{}: {}", self.grpc.port, self.namespace, self.pod, self.grpc.why)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Forward
    }

    fn access(&self) -> Vec<Access> {
        portforward::access(&self.namespace).to_vec()
    }

    fn timeout(&self) -> Option<Duration> {
        self.limit.as_ref().ok().map(|limit| limit.saturating_mul(2).saturating_add(MARGIN))
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
