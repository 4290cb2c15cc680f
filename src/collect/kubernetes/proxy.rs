//! HTTP endpoints of pods, asked through the API server's proxy.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use kube::client::Body;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::answer::Refusal;
use super::api::escaped;
use super::pod::Pod;
use super::pods::Shared;
use crate::collect::{CollectError, Done, Item, Keep, Lane, Sink, retry};
use crate::model::{Access, Effect, ItemId, Kept, Outcome, Truncation};
use crate::profile::Http;
use crate::redact::Format;

/// A refusal of the API server is a small `Status`; a body up to this size is looked at before it is stored.
const STATUS_MAX: usize = 64 << 10;

/// The right to ask a pod.
pub(super) fn access(namespace: &str) -> Access {
    Access::new("get", "", "pods/proxy", Some(namespace))
}

/// Sends one GET to one pod.
pub(super) struct ProxyItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    http: Http,
    refused: Option<String>,
    _hold: Option<TaskTrackerToken>,
}

impl ProxyItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, http: Http) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("http/{namespace}/{name}/{}", http.id)),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            refused: pod.not_running(None),
            http,
            _hold: None,
        }
    }

    /// Keeps a gate closed until this item is gone.
    pub(super) fn holding(mut self, hold: Option<TaskTrackerToken>) -> Self {
        self._hold = hold;
        self
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        if let Some(why) = &self.refused {
            return Err(CollectError::NotApplicable(why.clone()));
        }
        let cluster = &self.shared.cluster;
        let access = access(&self.namespace);
        cluster.allowed(&access)?;
        let values = self.shared.values.within(&self.namespace, &self.pod, "");
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}:{}/proxy{}",
            escaped(&self.namespace),
            escaped(&self.pod),
            self.http.port,
            values.fill(&self.http.path)?
        );
        let target = values.fill(&self.http.artifact)?;
        // An error of the connection is tried again; a status never is, because it is the pod's answer.
        let response = retry::retry(sink, || cluster.send(Method::GET, &path, HeaderMap::new(), Body::empty())).await?;
        let status = response.status();
        let (head, body) = response.into_parts();
        let mut chunks = cluster.chunks(body);
        let mut held = Vec::new();
        let mut file = None;
        let mut broke = None;
        loop {
            let chunk = match chunks.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    broke = Some(error);
                    break;
                }
            };
            if file.is_none() && !status.is_success() && held.len() + chunk.len() <= STATUS_MAX {
                held.extend_from_slice(&chunk);
                continue;
            }
            let file = match file.as_mut() {
                Some(file) => file,
                None => {
                    let mut new =
                        sink.create(&target, Format::of_path(&target), Keep::Oldest(self.http.limit_bytes))?;
                    new.write(&std::mem::take(&mut held))?;
                    file.insert(new)
                }
            };
            file.write(&chunk)?;
            if file.is_full() {
                break;
            }
        }
        if file.is_none() && !status.is_success() {
            let refusal = Refusal::parse(status.as_u16(), &head.headers, &held);
            if refusal.from_api {
                cluster.deny(&access, &refusal);
                return Err(match refusal.code {
                    400 => CollectError::NotApplicable(refusal.message),
                    403 | 401 | 404 => refusal.into_error(),
                    // The API server speaks for a pod that it cannot reach.
                    _ => CollectError::Failed(refusal.message),
                });
            }
            if !held.is_empty() {
                let mut new = sink.create(&target, Format::of_path(&target), Keep::Oldest(self.http.limit_bytes))?;
                new.write(&held)?;
                file = Some(new);
            }
        }
        let said = (!status.is_success()).then(|| format!("HTTP {}", status.as_u16()));
        match (file, broke) {
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Done { outcome: Outcome::Empty, reason: said, spawn: Vec::new() }),
            (Some(file), None) => {
                file.finish(None)?;
                Ok(Done { outcome: Outcome::Ok, reason: said, spawn: Vec::new() })
            }
            (Some(file), Some(error)) => {
                let cut = Truncation { reason: "connection-lost".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
                file.finish(Some(cut))?;
                Ok(Done::with(Outcome::Truncated, error.to_string()))
            }
        }
    }
}

impl Item for ProxyItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/http"
    }

    fn describe(&self) -> String {
        let Http { port, path, why, .. } = &self.http;
        format!("GET {path} on port {port} of {}/{}: {why}", self.namespace, self.pod)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Proxy
    }

    fn access(&self) -> Vec<Access> {
        vec![access(&self.namespace)]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
