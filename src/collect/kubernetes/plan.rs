//! From a cluster, a profile and namespaces to items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::api::Cluster;
use super::deprecated::DeprecatedItem;
use super::discovery::{Discovery, Kind};
use super::events::EventsItem;
use super::kinds;
use super::monitoring;
use super::nodes::NodesItem;
use super::objects::ObjectsItem;
use super::pods::{PodsItem, Shared};
use super::server;
use super::usage::{Book, NodeUsageItem, PodUsageItem};
use crate::collect::host::HostRoots;
use crate::collect::placeholder::Values;
use crate::collect::{CollectError, Item, Limits, s3};
use crate::model::ItemId;
use crate::profile::Profile;

/// What the command line hands in.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// How to ask object stores; none when they are not asked.
    pub aws: Option<s3::Access>,
    /// Where programs of this machine are looked up.
    pub roots: HostRoots,
}

const METRICS: &str = "metrics.k8s.io";

/// The items for these namespaces of a cluster, in the order in which they start. Nothing is read beyond discovery.
///
/// Logs, commands and HTTP endpoints are not among them: the items `kubernetes/pods/<namespace>` add those to the plan when
/// they run, and `kubernetes/nodes` adds the statistics of kubelets. A filter that wants any of `logs/`, `exec/`, `http/` or
/// `usage/stats/` has to let these two kinds of item through.
///
/// # Errors
/// When discovery fails as a whole; a group that does not answer costs its own kinds only.
pub async fn plan(
    cluster: &Cluster,
    profile: &Profile,
    parameters: &BTreeMap<String, String>,
    namespaces: &[String],
    limits: &Limits,
    outside: Outside,
) -> Result<Vec<Arc<dyn Item>>, CollectError> {
    let discovery = Arc::new(Discovery::fetch(cluster).await?);
    let namespaces: Vec<String> = namespaces.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let book = Book::new(&namespaces);
    let shared = Arc::new(Shared {
        cluster: cluster.clone(),
        profile: profile.clone(),
        values: Values::of(profile, parameters),
        book: book.clone(),
        log_limit: limits.log_limit,
        aws: outside.aws,
        roots: outside.roots,
        config_maps: TaskTracker::new(),
    });
    let mut items: Vec<Arc<dyn Item>> = Vec::new();
    for item in server::items(cluster, &discovery) {
        items.push(Arc::new(item));
    }
    items.push(Arc::new(DeprecatedItem::new(cluster.clone())));
    for kind in kinds::chosen(&discovery) {
        if !kind.namespaced {
            items.push(if is_core(&kind, "nodes") {
                Arc::new(NodesItem::new(cluster.clone(), kind, book.clone()))
            } else {
                Arc::new(ObjectsItem::new(cluster.clone(), kind, None))
            });
            continue;
        }
        for namespace in &namespaces {
            let (kind, namespace) = (kind.clone(), namespace.clone());
            items.push(if is_core(&kind, "pods") {
                Arc::new(PodsItem::new(Arc::clone(&shared), kind, namespace))
            } else if kinds::is_events(&kind) {
                Arc::new(EventsItem::new(cluster.clone(), kind, namespace))
            } else {
                let hold = is_core(&kind, "configmaps").then(|| shared.config_maps.token());
                Arc::new(ObjectsItem::new(cluster.clone(), kind, Some(namespace)).holding(hold))
            });
        }
    }
    shared.config_maps.close();
    items.extend(monitoring::item(cluster, profile, &shared.values, &namespaces));
    for namespace in namespaces {
        items.push(Arc::new(PodUsageItem {
            id: ItemId::new(format!("usage/pods/{namespace}")),
            cluster: cluster.clone(),
            namespace,
            book: book.clone(),
            served: discovery.has(METRICS, "pods"),
        }));
    }
    items.push(Arc::new(NodeUsageItem {
        id: ItemId::new("usage/nodes"),
        cluster: cluster.clone(),
        served: discovery.has(METRICS, "nodes"),
    }));
    // Nodes go by the pods that were found, so pods are listed first.
    items.sort_by_key(|item| (item.lane(), !item.id().as_str().starts_with("kubernetes/pods/")));
    Ok(items)
}

fn is_core(kind: &Kind, plural: &str) -> bool {
    kind.group.is_empty() && kind.plural == plural
}
