//! The nodes, and what the kubelets on them measure.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;

use super::api::{Cluster, escaped};
use super::discovery::Kind;
use super::list::{self, Form, Query, Visit};
use super::objects::{self, ObjectFile};
use super::table::Column;
use super::usage::Book;
use crate::bundle::layout;
use crate::collect::{CollectError, Done, Item, Keep, Lane, Sink, retry};
use crate::model::{Access, Effect, ItemId, Kept, Outcome, Truncation};
use crate::redact::Format;

/// Kubelets asked at most; one answer is about 100 KiB.
const NODES_MAX: usize = 100;
/// Largest answer of one kubelet.
const STATS_MAX: u64 = 32 << 20;

fn proxy_access() -> Access {
    Access::new("get", "", "nodes/proxy", None)
}

/// Lists the nodes and spawns the statistics of those that run a pod of the chosen namespaces.
pub(super) struct NodesItem {
    id: ItemId,
    cluster: Cluster,
    kind: Kind,
    book: Book,
}

impl NodesItem {
    pub(super) fn new(cluster: Cluster, kind: Kind, book: Book) -> Self {
        Self { id: objects::id(&kind, None), cluster, kind, book }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let query = Query::new(self.kind.path(None), objects::list_access(&self.kind, None), Form::Table);
        let mut found = Found { file: ObjectFile::new(&self.kind, None), names: Vec::new() };
        let ended = list::read(&self.cluster, sink, query, &mut found).await?;
        found.file.finish(sink, ended.truncation())?;
        let mut names = found.names;
        if let Some(used) = self.book.nodes().await {
            names.retain(|name| used.contains(name));
        }
        names.sort();
        let left_out = names.len().saturating_sub(NODES_MAX);
        names.truncate(NODES_MAX);
        let spawn = names
            .into_iter()
            .map(|node| Arc::new(StatsItem::new(self.cluster.clone(), node)) as Arc<dyn Item>)
            .collect();
        let mut done = objects::done(&ended);
        if left_out > 0 && done.reason.is_none() {
            done.reason = Some(format!("the kubelets of {left_out} more nodes are not asked"));
        }
        Ok(done.and_spawn(spawn))
    }
}

struct Found {
    file: ObjectFile,
    names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    metadata: super::pod::Meta,
}

impl Visit for Found {
    fn columns(&mut self, columns: &[Column]) {
        self.file.columns(columns);
    }

    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError> {
        self.file.object(sink, raw, cells)?;
        if let Ok(Node { metadata }) = serde_json::from_slice(raw)
            && !metadata.name.is_empty()
        {
            self.names.push(metadata.name);
        }
        Ok(())
    }
}

impl Item for NodesItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/nodes"
    }

    fn describe(&self) -> String {
        "lists all nodes, then asks the kubelets of the chosen pods for their statistics".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Discover
    }

    /// Also the right of the items that it adds to the plan.
    fn access(&self) -> Vec<Access> {
        vec![objects::list_access(&self.kind, None), proxy_access()]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

/// Asks one kubelet for its statistics.
struct StatsItem {
    id: ItemId,
    cluster: Cluster,
    node: String,
}

impl StatsItem {
    fn new(cluster: Cluster, node: String) -> Self {
        Self { id: ItemId::new(format!("usage/stats/{node}")), cluster, node }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        self.cluster.allowed(&proxy_access())?;
        self.cluster.node_answers(Some(&self.node))?;
        let path = format!("/api/v1/nodes/{}/proxy/stats/summary", escaped(&self.node));
        let began = Instant::now();
        let opened = retry::retry(sink, || self.cluster.open(&path, "application/json")).await;
        self.cluster.note_node(Some(&self.node), began, &opened);
        let response = match opened? {
            Ok(response) => response,
            Err(refusal) => {
                self.cluster.deny(&proxy_access(), &refusal);
                return Err(refusal.into_error());
            }
        };
        let mut chunks = self.cluster.chunks(response.into_body());
        let mut file = sink.create(&layout::node_stats(&self.node), Format::Json, Keep::Oldest(STATS_MAX))?;
        loop {
            match chunks.next().await {
                Ok(Some(chunk)) if !file.is_full() => file.write(&chunk)?,
                Ok(_) => break,
                Err(error) => {
                    let cut =
                        Truncation { reason: "connection-lost".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
                    file.finish(Some(cut))?;
                    return Ok(Done::with(Outcome::Truncated, error.to_string()));
                }
            }
        }
        file.finish(None)?;
        Ok(Done::ok())
    }
}

impl Item for StatsItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/usage"
    }

    fn describe(&self) -> String {
        format!("asks the kubelet of node {} for its statistics", self.node)
    }

    fn effect(&self) -> Effect {
        Effect::Proxy
    }

    fn access(&self) -> Vec<Access> {
        vec![proxy_access()]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
