//! The peers of a pod: who they are, and whether they can be reached from here and from inside of the pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::answer::Refusal;
use super::api::escaped;
use super::pod::Pod;
use super::pods::Shared;
use super::{exec, portforward, proxy};
use crate::collect::error::chain;
use crate::collect::probe::{Inside, Plan, Reachability, Target, from_document, from_list, merge, probe_all};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Access, Effect, ItemId, Outcome};
use crate::profile::{Probe, TargetSource};

/// Largest configuration, or list of ConfigMaps or services, that is looked through for peers.
const DOCUMENT_MAX: usize = 8 << 20;
/// Commands in the pod at the same time.
const INSIDE_AT_ONCE: usize = 16;
/// Longest output of a command that is kept.
const OUTPUT_MAX: usize = 4 << 10;
/// Time for each source to say who the peers are; all are asked at once.
const FIND_TIME: Duration = Duration::from_secs(20);

/// Probes the peers of one pod.
pub(super) struct ProbeItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    node: Option<String>,
    running: bool,
    limit: Result<Duration, String>,
    probe: Probe,
}

/// The rights that a probe needs.
pub(super) fn access(probe: &Probe, namespace: &str) -> Vec<Access> {
    let mut all = Vec::new();
    for source in &probe.targets {
        match source {
            TargetSource::Parameter { .. } => {}
            TargetSource::Http { .. } => {
                all.push(proxy::access(namespace));
                all.extend(portforward::access(namespace));
            }
            TargetSource::File { .. } => all.extend(exec::access(namespace)),
            TargetSource::ConfigMaps { .. } => all.push(Access::new("list", "", "configmaps", Some(namespace))),
            TargetSource::ExternalNames { .. } => all.push(Access::new("list", "", "services", Some(namespace))),
        }
    }
    if probe.inside.is_some() {
        all.extend(exec::access(namespace));
    }
    all
}

impl ProbeItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, probe: Probe) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("probe/{namespace}/{name}/{}", probe.id)),
            limit: shared.values.duration(&probe.timeout),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone(),
            running: pod.not_running(None).is_none(),
            probe,
        }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let plan = Plan::of(&self.probe, &self.shared.values)?;
        let path = self.shared.values.within(&self.namespace, &self.pod, "").fill(&self.probe.artifact)?;
        let (targets, sources) = self.targets(sink).await;
        if targets.is_empty() {
            let said: Vec<String> = sources.iter().map(|(source, said)| format!("{source}: {said}")).collect();
            return Ok(Done::with(Outcome::NotApplicable, format!("no peers are known ({})", said.join("; "))));
        }
        let outside = probe_all(targets.clone(), plan.names, plan.limit, plan.with_tls);
        let (mut peers, inside) = tokio::join!(outside, self.inside(sink, &targets, plan.limit));
        for row in &mut peers {
            row.inside = inside.get(&(row.target.host.clone(), row.target.port)).cloned();
        }
        let table = Reachability {
            of: format!("{}/{}", self.namespace, self.pod),
            from: "the machine that collects",
            at: Utc::now(),
            sources,
            peers,
        };
        table.store(sink, &path)?;
        Ok(Done::ok())
    }

    /// Everyone that any source names, and what each source said.
    async fn targets(&self, sink: &Sink) -> (Vec<Target>, Vec<(String, String)>) {
        let asked = self.probe.targets.iter().map(|source| async move {
            let within = tokio::time::timeout(FIND_TIME, self.source(sink, source)).await;
            let late = || CollectError::TimedOut(format!("no answer within {}", humantime::format_duration(FIND_TIME)));
            (label(source), within.unwrap_or_else(|_| Err(late())))
        });
        let (mut all, mut sources, mut names) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (label, found) in join_all(asked).await {
            match found {
                Ok((found, services)) => {
                    sources.push((label, format!("{} peers", found.len())));
                    all.extend(found);
                    names.extend(services);
                }
                Err(error) => sources.push((label, error.to_string())),
            }
        }
        (merge(all, &names), sources)
    }

    /// The peers that one source names, and the services that lead to other hosts.
    async fn source(
        &self,
        sink: &Sink,
        source: &TargetSource,
    ) -> Result<(Vec<Target>, BTreeMap<String, String>), CollectError> {
        let (fields, port, label) = (&self.probe.fields, self.probe.port, label(source));
        let mut names = BTreeMap::new();
        let found = match source {
            TargetSource::Parameter { name } => {
                from_list(&self.shared.values.fill(&format!("{{{name}}}"))?, port, &label)
            }
            TargetSource::Http { port: http, path, peers } => {
                from_document(&self.http(sink, *http, path).await?, peers, fields, port, &label)
            }
            TargetSource::File { container, path, peers } => {
                from_document(&self.file(sink, container, path).await?, peers, fields, port, &label)
            }
            TargetSource::ConfigMaps { peers } => {
                let list = self.list(sink, "configmaps").await?;
                let values = items(&list).flat_map(|map| map["data"].as_object().into_iter().flatten());
                let texts = values.filter_map(|(_, value)| value.as_str());
                texts.flat_map(|text| from_document(text, peers, fields, port, &label)).collect()
            }
            TargetSource::ExternalNames { services } => {
                let list = self.list(sink, "services").await?;
                let mut found = Vec::new();
                for service in items(&list).filter(|s| s["spec"]["type"] == "ExternalName") {
                    let name = service["metadata"]["name"].as_str().unwrap_or_default();
                    let leads = service["spec"]["externalName"].as_str().unwrap_or_default();
                    if name.is_empty() || leads.is_empty() {
                        continue;
                    }
                    names.insert(name.to_owned(), leads.to_owned());
                    let labels = &service["metadata"]["labels"];
                    if services.as_ref().is_none_or(|s| s.matches(|key| labels[key].as_str())) {
                        found.extend(from_list(name, port, &label));
                    }
                }
                found
            }
        };
        Ok((found, names))
    }

    /// The body of an endpoint of the pod, in memory.
    async fn http(&self, sink: &Sink, port: u16, path: &str) -> Result<String, CollectError> {
        if !self.running {
            return Err(CollectError::NotApplicable("the pod does not run".to_owned()));
        }
        let cluster = &self.shared.cluster;
        let access = proxy::access(&self.namespace);
        let refusal = match cluster.allowed(&access) {
            Ok(()) => {
                let (namespace, pod) = (escaped(&self.namespace), escaped(&self.pod));
                let proxied = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
                match cluster.get(Some(sink), &proxied, "*/*", DOCUMENT_MAX).await? {
                    Ok(body) => return Ok(String::from_utf8_lossy(&body).into_owned()),
                    Err(refusal) => {
                        cluster.deny(&access, &refusal);
                        refusal
                    }
                }
            }
            Err(_) => Refusal::parse(403, &http::HeaderMap::new(), b""),
        };
        if refusal.code != 403 {
            return Err(refusal.into_error());
        }
        let limit = cluster.request_timeout();
        tokio::time::timeout(limit, self.forwarded(port, path)).await.unwrap_or_else(|_| {
            Err(CollectError::TimedOut(format!("no answer within {}", humantime::format_duration(limit))))
        })
    }

    async fn forwarded(&self, port: u16, path: &str) -> Result<String, CollectError> {
        let cluster = &self.shared.cluster;
        let stream = portforward::open(cluster, &self.namespace, &self.pod, self.node.as_deref(), port).await?;
        let broken = |error: &dyn std::error::Error| CollectError::Failed(chain(error));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = http::Request::get(path)
            .header(http::header::HOST, format!("localhost:{port}"))
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .map_err(|e| broken(&e))?;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        if !response.status().is_success() {
            return Err(CollectError::Failed(format!("HTTP {}", response.status())));
        }
        let body = http_body_util::Limited::new(response.into_body(), DOCUMENT_MAX).collect().await;
        let body = body.map_err(|e| CollectError::Failed(e.to_string()))?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn file(&self, sink: &Sink, container: &str, path: &str) -> Result<String, CollectError> {
        if !self.running {
            return Err(CollectError::NotApplicable("the pod does not run".to_owned()));
        }
        let limit = sink.limits().request_timeout;
        let command = ["cat".to_owned(), path.to_owned()];
        let said = self.command(sink, container, &command, DOCUMENT_MAX, limit).await?;
        match said.exit {
            0 => Ok(said.text().into_owned()),
            _ => Err(CollectError::Failed(format!("cat: {}", said.complaint()))),
        }
    }

    async fn command(
        &self,
        sink: &Sink,
        container: &str,
        command: &[String],
        cap: usize,
        limit: Duration,
    ) -> Result<exec::Captured, CollectError> {
        let target = exec::Target {
            cluster: &self.shared.cluster,
            namespace: &self.namespace,
            pod: &self.pod,
            node: self.node.as_deref(),
            container,
        };
        match tokio::time::timeout(limit, exec::capture(target, sink, command, cap)).await {
            Ok(said) => said,
            Err(_) => {
                let limit = humantime::format_duration(limit);
                Err(CollectError::TimedOut(format!("the command did not end within {limit}")))
            }
        }
    }

    async fn list(&self, sink: &Sink, plural: &str) -> Result<Value, CollectError> {
        let access = Access::new("list", "", plural, Some(&self.namespace));
        let cluster = &self.shared.cluster;
        cluster.allowed(&access)?;
        let path = format!("/api/v1/namespaces/{}/{plural}", escaped(&self.namespace));
        match cluster.get(Some(sink), &path, "application/json", DOCUMENT_MAX).await? {
            Ok(body) => {
                serde_json::from_slice(&body).map_err(|e| CollectError::Failed(format!("the list is not JSON: {e}")))
            }
            Err(refusal) => {
                cluster.deny(&access, &refusal);
                Err(refusal.into_error())
            }
        }
    }

    /// What `getent` and `nc` in the pod say of each target. Images without them say nothing.
    async fn inside(&self, sink: &Sink, targets: &[Target], limit: Duration) -> BTreeMap<(String, u16), Inside> {
        let Some(container) = self.probe.inside.as_deref().filter(|_| self.running) else { return BTreeMap::new() };
        let has = |command: &'static [&'static str]| async move {
            let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
            self.command(sink, container, &command, OUTPUT_MAX, limit).await.is_ok()
        };
        let (getent, nc) = tokio::join!(has(&["getent", "hosts", "localhost"]), has(&["nc", "-h"]));
        if !getent && !nc {
            return BTreeMap::new();
        }
        // Owned, because a closure over borrowed targets is not general enough for the executor.
        let asked = targets.iter().cloned().map(|target| async move {
            let inside = self.inside_one(sink, container, &target, limit, getent, nc).await;
            ((target.host, target.port), inside)
        });
        stream::iter(asked).buffer_unordered(INSIDE_AT_ONCE).collect().await
    }

    async fn inside_one(
        &self,
        sink: &Sink,
        container: &str,
        target: &Target,
        limit: Duration,
        getent: bool,
        nc: bool,
    ) -> Inside {
        let mut inside = Inside::default();
        if getent {
            let command = ["getent", "hosts", target.host.as_str()].map(str::to_owned);
            match self.command(sink, container, &command, OUTPUT_MAX, limit).await {
                Ok(said) => {
                    let text = said.text();
                    let lines = text.lines().filter_map(|line| line.split_whitespace().next());
                    inside.addresses = lines.take(8).map(str::to_owned).collect();
                    inside.resolved = Some(said.exit == 0);
                }
                Err(error) => inside.error = Some(error.to_string()),
            }
        }
        if nc {
            let seconds = limit.as_secs().max(1).to_string();
            let port = target.port.to_string();
            let command = ["nc", "-z", "-w", &seconds, &target.host, &port].map(str::to_owned);
            let patience = limit.saturating_add(Duration::from_secs(2));
            match self.command(sink, container, &command, OUTPUT_MAX, patience).await {
                Ok(said) => {
                    inside.connected = Some(said.exit == 0);
                    let complaint = said.complaint();
                    if said.exit != 0 && !complaint.is_empty() {
                        inside.error = Some(complaint);
                    }
                }
                Err(error) => inside.error = Some(error.to_string()),
            }
        }
        inside
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn label(source: &TargetSource) -> String {
    match source {
        TargetSource::Parameter { name } => format!("--set {name}"),
        TargetSource::Http { port, path, .. } => format!("GET :{port}{path}"),
        TargetSource::File { path, .. } => path.clone(),
        TargetSource::ConfigMaps { .. } => "ConfigMaps".to_owned(),
        TargetSource::ExternalNames { .. } => "ExternalName services".to_owned(),
    }
}

impl Item for ProbeItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/probe"
    }

    fn describe(&self) -> String {
        format!("tries name, port and certificate of each peer of {}/{}: {}", self.namespace, self.pod, self.probe.why)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Probe
    }

    fn access(&self) -> Vec<Access> {
        access(&self.probe, &self.namespace)
    }

    fn timeout(&self) -> Option<Duration> {
        self.limit.as_ref().ok().map(|limit| limit.saturating_mul(10).saturating_add(FIND_TIME * 2))
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
