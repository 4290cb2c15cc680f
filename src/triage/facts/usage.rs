//! What containers and volumes use: `metrics.k8s.io` and the kubelet's `stats/summary`.

use std::sync::Arc;

use serde_json::Value;

use super::value::{list, string, text};
use super::{At, Facts, Usage, VolumeUsage};
use crate::model::quantity;
use crate::triage::finding::Place;

/// Adds one `PodMetrics`.
pub(super) fn pod_metrics(facts: &mut Facts, at: &At, object: &Value) {
    let key = (string(object, "/metadata/namespace"), string(object, "/metadata/name"));
    for container in list(object, "/containers") {
        facts.usage.insert((key.clone(), string(container, "/name")), usage(at, container));
    }
}

/// Adds one `NodeMetrics`.
pub(super) fn node_metrics(facts: &mut Facts, at: &At, object: &Value) {
    facts.node_usage.insert(string(object, "/metadata/name"), usage(at, object));
}

fn usage(at: &At, measured: &Value) -> Usage {
    Usage {
        at: at.clone(),
        memory: quantity::bytes(text(measured, "/usage/memory")),
        cpu: quantity::milli(text(measured, "/usage/cpu")),
    }
}

/// Adds the volumes of one `stats/summary`, and what its node uses where metrics-server does not say.
pub(super) fn node_stats(facts: &mut Facts, path: &Arc<str>, summary: &Value) {
    let node = string(summary, "/node/nodeName");
    if !node.is_empty() {
        facts.node_usage.entry(node).or_insert_with(|| Usage {
            at: At { path: Arc::clone(path), place: Place::Pointer("/node".to_owned()) },
            memory: summary.pointer("/node/memory/workingSetBytes").and_then(Value::as_u64),
            cpu: summary.pointer("/node/cpu/usageNanoCores").and_then(Value::as_u64).map(|n| n / 1_000_000),
        });
    }
    for (i, pod) in list(summary, "/pods").iter().enumerate() {
        for (j, volume) in list(pod, "/volume").iter().enumerate() {
            let claim = (string(volume, "/pvcRef/namespace"), string(volume, "/pvcRef/name"));
            let number = |p: &str| volume.pointer(p).and_then(Value::as_u64);
            let (Some(used), Some(capacity)) = (number("/usedBytes"), number("/capacityBytes")) else { continue };
            // A file system keeps a reserve, so that what is available says more than what is used.
            let used = number("/availableBytes").map_or(used, |free| capacity.saturating_sub(free));
            if !claim.1.is_empty() && capacity > 0 {
                let at = At { path: Arc::clone(path), place: Place::Pointer(format!("/pods/{i}/volume/{j}")) };
                facts.claim_usage.insert(claim, VolumeUsage { at, used, capacity });
            }
        }
    }
}
