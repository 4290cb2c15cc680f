//! An HTTP service of the cluster as a way for questions: through the API server's proxy, or over a forwarded port where the proxy
//! is refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream;
use http::response::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use kube::client::Body;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::answer::Refusal;
use super::api::{Cluster, escaped};
use super::proxy::{self, Answer, Port};
use crate::collect::CollectError;
use crate::collect::services::Way;
use crate::model::Access;

/// A body up to this size is looked at for a refusal of the API server; of a service's own refusals no more is kept.
const STATUS_MAX: usize = 64 << 10;
/// What servers written in Go say to plain HTTP.
const WANTS_TLS: &[u8] = b"HTTP request to an HTTPS server";
/// Pods of a service that are looked at for one that runs, and the size of their list.
const PODS: u32 = 20;
const PODS_MAX: usize = 8 << 20;

/// The right to ask a service.
pub(super) fn access(namespace: &str) -> Access {
    Access::new("get", "", "services/proxy", Some(namespace))
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: u16,
    /// Whether it speaks TLS, as far as the service says.
    pub(super) https: bool,
    /// Where the port leads in the pods: a number or a name.
    pub(super) target: String,
    /// Labels of its pods; empty where somebody else says which they are.
    pub(super) selector: BTreeMap<String, String>,
}

/// A pod behind a service: its name, its node and the port.
type Behind = (String, Option<String>, u16);

/// The way to one service.
pub(super) struct ServiceWay {
    cluster: Cluster,
    service: Service,
    /// Whether it speaks TLS; a program that refuses plain HTTP says so itself.
    https: AtomicBool,
    behind: OnceCell<Behind>,
}

impl ServiceWay {
    pub(super) fn new(cluster: Cluster, service: Service) -> Self {
        let https = AtomicBool::new(service.https);
        Self { cluster, service, https, behind: OnceCell::new() }
    }

    async fn ask(&self, path: &str) -> Result<reqwest::Response, CollectError> {
        let refusal = match self.cluster.allowed(&access(&self.service.namespace)) {
            Ok(()) => match self.proxied(path).await? {
                Ok(response) => return Ok(response),
                Err(refusal) => {
                    self.cluster.deny(&access(&self.service.namespace), &refusal);
                    let again = matches!(refusal.code, 403 | 404 | 503);
                    let error = refusal.into_error();
                    if !again {
                        return Err(error);
                    }
                    error
                }
            },
            Err(refused) => refused,
        };
        // The right to forward a port is another one, and the kubelet reaches what the API server may not.
        self.forwarded(path).await.map_err(|error| {
            let text = format!("{refusal}; over a forwarded port: {error}");
            match refusal {
                CollectError::Forbidden(_) => CollectError::Forbidden(text),
                CollectError::NotFound(_) => CollectError::NotFound(text),
                _ => CollectError::Failed(text),
            }
        })
    }

    /// Asks through the API server; a refusal is the API server's own.
    async fn proxied(&self, path: &str) -> Result<Result<reqwest::Response, Refusal>, CollectError> {
        if let Some(answer) = self.proxied_as(self.https.load(Ordering::Relaxed), path).await? {
            return Ok(answer);
        }
        self.https.store(true, Ordering::Relaxed);
        let answer = self.proxied_as(true, path).await?;
        answer.ok_or_else(|| CollectError::Failed("it wants neither TLS nor plain HTTP".to_owned()))
    }

    /// Asks with or without TLS behind the API server; none when the service does not take plain HTTP.
    async fn proxied_as(
        &self,
        https: bool,
        path: &str,
    ) -> Result<Option<Result<reqwest::Response, Refusal>>, CollectError> {
        let Service { namespace, name, port, .. } = &self.service;
        // The API server checks no certificate on this way; the right to ask it is what protects the answer.
        let scheme = if https { "https:" } else { "" };
        let proxied =
            format!("/api/v1/namespaces/{}/services/{scheme}{}:{port}/proxy{path}", escaped(namespace), escaped(name));
        let response = self.cluster.send(Method::GET, &proxied, HeaderMap::new(), Body::empty()).await?;
        let (head, body) = response.into_parts();
        let mut chunks = self.cluster.chunks(body);
        if head.status.is_success() {
            return Ok(Some(Ok(streamed(Answer { head, chunks, _connection: None }))));
        }
        let mut held = Vec::new();
        // A body that breaks off does not change what the status says.
        while let Ok(Some(chunk)) = chunks.next().await {
            held.extend_from_slice(&chunk[..chunk.len().min(STATUS_MAX - held.len())]);
            if held.len() >= STATUS_MAX {
                break;
            }
        }
        if !https && head.status == StatusCode::BAD_REQUEST && memchr::memmem::find(&held, WANTS_TLS).is_some() {
            return Ok(None);
        }
        let refusal = Refusal::parse(head.status.as_u16(), &head.headers, &held);
        Ok(Some(if refusal.from_api { Err(refusal) } else { Ok(response_of(head, held.into())) }))
    }

    async fn forwarded(&self, path: &str) -> Result<reqwest::Response, CollectError> {
        if self.https.load(Ordering::Relaxed) {
            return Err(CollectError::NotApplicable("it speaks TLS, which is not tried on that way".to_owned()));
        }
        let (pod, node, port) = self.behind.get_or_try_init(|| self.find_pod()).await?;
        let at = Port { namespace: &self.service.namespace, pod, node: node.as_deref(), port: *port };
        proxy::forwarded(&self.cluster, at, path, self.cluster.request_timeout()).await.map(streamed)
    }

    /// A pod of the service that runs.
    async fn find_pod(&self) -> Result<Behind, CollectError> {
        let Service { namespace, name, target, selector, .. } = &self.service;
        if selector.is_empty() {
            return Err(CollectError::NotApplicable(format!("service {namespace}/{name} selects no pods")));
        }
        let right = Access::new("list", "", "pods", Some(namespace));
        self.cluster.allowed(&right)?;
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let path = format!(
            "/api/v1/namespaces/{}/pods?labelSelector={}&limit={PODS}",
            escaped(namespace),
            escaped(&labels.join(","))
        );
        let body = match self.cluster.get(None, &path, "application/json", PODS_MAX).await? {
            Ok(body) => body,
            Err(refusal) => {
                self.cluster.deny(&right, &refusal);
                return Err(refusal.into_error());
            }
        };
        let list: Value = serde_json::from_slice(&body)
            .map_err(|e| CollectError::Failed(format!("the list of pods is not JSON: {e}")))?;
        let pods = list.get("items").and_then(Value::as_array).into_iter().flatten();
        pods.filter(|pod| pod.pointer("/status/phase").is_some_and(|p| p == "Running"))
            .find_map(|pod| {
                let name = pod.pointer("/metadata/name")?.as_str()?.to_owned();
                let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).map(str::to_owned);
                Some((name, node, port_of(pod, target)?))
            })
            .ok_or_else(|| CollectError::NotFound(format!("no pod of service {namespace}/{name} runs")))
    }
}

impl Way for ServiceWay {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<reqwest::Response, CollectError>> {
        self.ask(path).boxed()
    }
}

/// A port of a pod, by its number or by the name that a container gives it.
fn port_of(pod: &Value, target: &str) -> Option<u16> {
    if let Ok(number) = target.parse() {
        return Some(number);
    }
    let containers = pod.pointer("/spec/containers")?.as_array()?;
    let mut ports = containers.iter().filter_map(|c| c.get("ports")?.as_array()).flatten();
    let port = ports.find(|p| p.get("name").is_some_and(|name| name == target))?;
    u16::try_from(port.get("containerPort")?.as_u64()?).ok()
}

/// An answer whose body is read as it comes; what lives for its connection lives as long.
fn streamed(answer: Answer) -> reqwest::Response {
    let Answer { head, chunks, _connection } = answer;
    let body = stream::try_unfold((chunks, _connection), |(mut chunks, connection)| async move {
        Ok::<_, CollectError>(chunks.next().await?.map(|chunk| (chunk, (chunks, connection))))
    });
    response_of(head, reqwest::Body::wrap_stream(body))
}

fn response_of(head: Parts, body: reqwest::Body) -> reqwest::Response {
    Response::from_parts(head, body).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_numbers_or_names_of_containers() {
        let pod =
            json!({"spec": {"containers": [{}, {"ports": [{"name": "web", "containerPort": 9090}, {"name": "x"}]}]}});
        assert_eq!(port_of(&pod, "9091"), Some(9091));
        assert_eq!(port_of(&pod, "web"), Some(9090));
        assert_eq!((port_of(&pod, "x"), port_of(&pod, "none"), port_of(&json!(1), "web")), (None, None, None));
    }
}
