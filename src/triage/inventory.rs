//! The tables of pods, as kubectl would show them, and of stores.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::clock;
use super::facts::{Facts, Pod, Role, State};
use super::finding::{Finding, PodRow, Severity, StoreRow};
use super::text;
use crate::model::quantity;

/// Pods that are kept.
const PODS_MAX: usize = 5_000;
/// Stores that are kept.
const STORES_MAX: usize = 500;
/// Longest name, in characters.
const NAME: usize = 253;

/// One row a pod, sorted by namespace and name; when there are too many, those without a finding are left out first.
pub(super) fn pods(facts: &Facts, findings: &[Finding], offset: TimeDelta) -> Vec<PodRow> {
    let mut worst: BTreeMap<(&str, &str), Severity> = BTreeMap::new();
    for finding in findings {
        for subject in finding.subjects.iter().filter(|s| s.kind() == "pod") {
            let entry = worst.entry((subject.namespace(), subject.name())).or_insert(finding.severity);
            *entry = (*entry).max(finding.severity);
        }
    }
    let mut rows: Vec<PodRow> = facts
        .pods
        .values()
        .map(|pod| row(facts, pod, worst.get(&(pod.key.0.as_str(), pod.key.1.as_str())).copied(), offset))
        .collect();
    if rows.len() > PODS_MAX {
        rows.sort_by_key(|r| std::cmp::Reverse(r.severity));
        rows.truncate(PODS_MAX);
        rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    }
    rows
}

/// One row a store.
pub(super) fn stores(facts: &Facts) -> Vec<StoreRow> {
    let mut rows: Vec<StoreRow> = facts
        .vaults
        .iter()
        .take(STORES_MAX)
        .map(|vault| StoreRow {
            namespace: text::line(&vault.pod.0, NAME),
            pod: text::line(&vault.pod.1, NAME),
            id: text::line(&vault.id, NAME),
            place: text::line(&vault.shown(), NAME),
            objects: vault.objects.len() as u64,
            bytes: vault.objects.iter().map(|o| u64::try_from(o.size).unwrap_or(0)).fold(0, u64::saturating_add),
            folders: text::line(&vault.folders(), NAME),
            complete: vault.is_whole(),
            fault: vault.fault.as_ref().map(|(_, text)| text.clone()),
        })
        .collect();
    rows.sort_by(|a, b| (&a.namespace, &a.pod, &a.id).cmp(&(&b.namespace, &b.pod, &b.id)));
    rows
}

fn row(facts: &Facts, pod: &Pod, severity: Option<Severity>, offset: TimeDelta) -> PodRow {
    let apps = || pod.containers.iter().filter(|c| c.role == Role::App);
    let usage: Vec<u64> = apps().filter_map(|c| facts.usage.get(&(pod.key.clone(), c.name.clone()))?.memory).collect();
    let limits: Option<Vec<u64>> = apps().map(|c| quantity::bytes(c.limits.get("memory")?)).collect();
    PodRow {
        namespace: text::line(&pod.key.0, NAME),
        name: text::line(&pod.key.1, NAME),
        node: text::line(&pod.node, NAME),
        status: text::line(&status(pod), NAME),
        ready: u32::try_from(apps().filter(|c| c.ready).count()).unwrap_or(u32::MAX),
        containers: u32::try_from(apps().count()).unwrap_or(u32::MAX),
        restarts: pod.containers.iter().map(|c| c.restarts.unsigned_abs()).sum(),
        over: pod.is_over(),
        created: pod.created.map(|at| clock::ours(at, offset)),
        memory: (!usage.is_empty()).then(|| usage.iter().sum()),
        memory_limit: limits.filter(|l| !l.is_empty()).map(|l| l.iter().sum()),
        severity,
    }
}

/// The word that `kubectl get pods` prints.
fn status(pod: &Pod) -> String {
    if pod.deleting.is_some() {
        return "Terminating".to_owned();
    }
    if !pod.reason.is_empty() {
        return pod.reason.clone();
    }
    if pod.phase == "Succeeded" {
        return "Completed".to_owned();
    }
    for container in pod.containers.iter().filter(|c| c.role != Role::Ephemeral) {
        let prefix = if container.role == Role::Init { "Init:" } else { "" };
        match &container.state {
            State::Waiting { reason, .. } if !reason.is_empty() && reason != "PodInitializing" => {
                return format!("{prefix}{reason}");
            }
            State::Terminated(ended) if ended.exit != 0 => return format!("{prefix}{}", ended.reason),
            _ => {}
        }
    }
    pod.phase.clone()
}
