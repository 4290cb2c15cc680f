//! Resource usage: what the metrics server and the kubelets measure, beside what the pods ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::watch;

use super::api::{Cluster, escaped};
use super::list::{self, Ended, Form, Query, Visit};
use super::objects::{self, ObjectFile};
use super::pod::Pod;
use super::quantity::{cpu, memory, share};
use super::table::TableFile;
use crate::bundle::layout;
use crate::collect::{CollectError, Done, Item, Sink};
use crate::model::{Access, ItemId};

const GROUP: &str = "metrics.k8s.io";
const API_VERSION: &str = "metrics.k8s.io/v1beta1";
const ROOT: &str = "/apis/metrics.k8s.io/v1beta1";
const ABSENT: &str = "the metrics server is absent: the API group metrics.k8s.io is not served";
/// Longest wait for the list of pods, whose requests and limits stand beside the usage.
const PODS_WAIT: Duration = Duration::from_secs(20);

/// What a container asks for: CPU and memory, request and limit each.
#[derive(Debug, Clone, Default)]
struct Asked {
    pod: String,
    container: String,
    cpu: [Option<String>; 2],
    memory: [Option<String>; 2],
}

/// What the pods of one namespace ask for, and on which nodes they are.
#[derive(Debug, Clone, Default)]
struct Facts {
    asked: Vec<Asked>,
    nodes: BTreeSet<String>,
}

/// How far the list of pods of a namespace is.
#[derive(Clone)]
enum State {
    Unread,
    Reading,
    Failed,
    Complete(Arc<Facts>),
}

/// What the items that list pods leave for those that need it, by namespace. Cheap to clone.
#[derive(Clone)]
pub(super) struct Book {
    pages: Arc<BTreeMap<String, watch::Sender<State>>>,
}

impl Book {
    pub(super) fn new(namespaces: &[String]) -> Self {
        let pages = namespaces.iter().map(|n| (n.clone(), watch::Sender::new(State::Unread))).collect();
        Self { pages: Arc::new(pages) }
    }

    /// The page of a namespace whose pods are being listed.
    pub(super) fn open(&self, namespace: &str) -> Page {
        let sender = self.pages.get(namespace).cloned();
        if let Some(sender) = &sender {
            sender.send_replace(State::Reading);
        }
        Page { sender, facts: Facts::default() }
    }

    /// The facts of a namespace, once its pods are listed; none when nobody lists them or they cannot be listed.
    async fn facts(&self, namespace: &str) -> Option<Arc<Facts>> {
        let mut page = self.pages.get(namespace)?.subscribe();
        let wait = page.wait_for(|state| !matches!(state, State::Reading));
        let state = tokio::time::timeout(PODS_WAIT, wait).await.ok()?.ok()?;
        match &*state {
            State::Complete(facts) => Some(Arc::clone(facts)),
            _ => None,
        }
    }

    /// The nodes of all pods; none when that is not known for every namespace.
    pub(super) async fn nodes(&self) -> Option<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for namespace in self.pages.keys() {
            all.extend(self.facts(namespace).await?.nodes.iter().cloned());
        }
        Some(all)
    }
}

/// The facts of one namespace while they are gathered. When it is dropped before [`Page::complete`], nobody waits on.
pub(super) struct Page {
    sender: Option<watch::Sender<State>>,
    facts: Facts,
}

impl Page {
    pub(super) fn add(&mut self, pod: &Pod) {
        if let Some(node) = pod.spec.node_name.as_ref().filter(|n| !n.is_empty()) {
            self.facts.nodes.insert(node.clone());
        }
        for container in pod.containers() {
            let text = |map: &Option<BTreeMap<String, serde_json::Value>>, key: &str| {
                map.as_ref().and_then(|m| m.get(key)).map(super::table::cell)
            };
            let super::pod::Resources { requests, limits } = &container.resources;
            self.facts.asked.push(Asked {
                pod: pod.metadata.name.clone(),
                container: container.name.clone(),
                cpu: [text(requests, "cpu"), text(limits, "cpu")],
                memory: [text(requests, "memory"), text(limits, "memory")],
            });
        }
    }

    pub(super) fn complete(mut self) {
        if let Some(sender) = self.sender.take() {
            sender.send_replace(State::Complete(Arc::new(std::mem::take(&mut self.facts))));
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.send_replace(State::Failed);
        }
    }
}

/// Used CPU and memory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Used {
    cpu: Option<String>,
    memory: Option<String>,
}

/// `PodMetrics` or `NodeMetrics`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metrics {
    metadata: MetricsMeta,
    containers: Vec<ContainerMetrics>,
    usage: Used,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MetricsMeta {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerMetrics {
    name: String,
    usage: Used,
}

/// Stores each object and keeps the numbers.
struct Gather {
    file: ObjectFile,
    used: BTreeMap<(String, String), Used>,
}

impl Visit for Gather {
    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError> {
        self.file.object(sink, raw, cells)?;
        if let Ok(Metrics { metadata, containers, usage }) = serde_json::from_slice(raw) {
            for container in containers {
                self.used.insert((metadata.name.clone(), container.name), container.usage);
            }
            if usage.cpu.is_some() {
                self.used.insert((metadata.name, String::new()), usage);
            }
        }
        Ok(())
    }
}

/// Reads a list of `metrics.k8s.io` into `path`.
async fn gather(
    cluster: &Cluster,
    sink: &Sink,
    plural: &'static str,
    namespace: Option<&str>,
    path: String,
    kind: &str,
) -> Result<(Ended, BTreeMap<(String, String), Used>), CollectError> {
    let place = namespace.map_or_else(String::new, |n| format!("/namespaces/{}", escaped(n)));
    let query = Query::new(format!("{ROOT}{place}/{plural}"), access(plural, namespace), Form::Plain);
    let file = ObjectFile::at(path, layout::table(GROUP, plural, namespace), API_VERSION.to_owned(), kind.to_owned());
    let mut gather = Gather { file, used: BTreeMap::new() };
    let ended = list::read(cluster, sink, query, &mut gather).await?;
    gather.file.finish(sink, ended.truncation())?;
    Ok((ended, gather.used))
}

fn access(plural: &str, namespace: Option<&str>) -> Access {
    Access::new("list", GROUP, plural, namespace)
}

/// Usage of the containers of one namespace.
pub(super) struct PodUsageItem {
    pub(super) id: ItemId,
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) book: Book,
    /// Whether the server has the API group.
    pub(super) served: bool,
}

impl PodUsageItem {
    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let namespace = self.namespace.as_str();
        let measured = if self.served {
            gather(&self.cluster, sink, "pods", Some(namespace), layout::pod_usage(namespace), "PodMetrics").await
        } else {
            Err(CollectError::NotApplicable(ABSENT.to_owned()))
        };
        // Requests and limits are worth a table even when nothing is measured.
        let facts = self.book.facts(namespace).await.unwrap_or_default();
        let empty = BTreeMap::new();
        let used = measured.as_ref().map_or(&empty, |(_, used)| used);
        write_table(sink, namespace, &facts, used)?;
        measured.map(|(ended, _)| objects::done(&ended))
    }
}

/// Writes `usage/<ns>.txt`: every container that runs or asks for something.
fn write_table(
    sink: &Sink,
    namespace: &str,
    facts: &Facts,
    used: &BTreeMap<(String, String), Used>,
) -> Result<(), CollectError> {
    let mut rows: BTreeMap<(String, String), (Used, Asked)> = BTreeMap::new();
    for asked in &facts.asked {
        rows.entry((asked.pod.clone(), asked.container.clone())).or_default().1 = asked.clone();
    }
    for (key, used) in used {
        rows.entry(key.clone()).or_default().0 = used.clone();
    }
    let mut table = TableFile::new(format!("usage/{namespace}.txt"));
    table
        .columns(["pod", "container", "cpu", "request", "limit", "memory", "request", "limit", "of limit"].into_iter());
    for ((pod, container), (used, asked)) in rows {
        let cells = vec![
            pod,
            container,
            cpu(used.cpu.as_deref()),
            cpu(asked.cpu[0].as_deref()),
            cpu(asked.cpu[1].as_deref()),
            memory(used.memory.as_deref()),
            memory(asked.memory[0].as_deref()),
            memory(asked.memory[1].as_deref()),
            share(used.memory.as_deref(), asked.memory[1].as_deref()),
        ];
        table.row(sink, cells)?;
    }
    table.finish(sink)
}

impl Item for PodUsageItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/usage"
    }

    fn describe(&self) -> String {
        format!("reads CPU and memory usage of the containers in {}, beside their requests and limits", self.namespace)
    }

    fn access(&self) -> Vec<Access> {
        if self.served { vec![access("pods", Some(&self.namespace))] } else { Vec::new() }
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

/// Usage of all nodes.
pub(super) struct NodeUsageItem {
    pub(super) id: ItemId,
    pub(super) cluster: Cluster,
    pub(super) served: bool,
}

impl NodeUsageItem {
    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        if !self.served {
            return Err(CollectError::NotApplicable(ABSENT.to_owned()));
        }
        let path = layout::NODE_USAGE.to_owned();
        let (ended, used) = gather(&self.cluster, sink, "nodes", None, path, "NodeMetrics").await?;
        let mut table = TableFile::new("usage/nodes.txt".to_owned());
        table.columns(["node", "cpu", "memory"].into_iter());
        for ((node, _), used) in used {
            table.row(sink, vec![node, cpu(used.cpu.as_deref()), memory(used.memory.as_deref())])?;
        }
        table.finish(sink)?;
        Ok(objects::done(&ended))
    }
}

impl Item for NodeUsageItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/usage"
    }

    fn describe(&self) -> String {
        "reads CPU and memory usage of the nodes".to_owned()
    }

    fn access(&self) -> Vec<Access> {
        if self.served { vec![access("nodes", None)] } else { Vec::new() }
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
