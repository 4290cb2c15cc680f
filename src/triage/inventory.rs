//! The tables of pods and nodes, as kubectl would show them.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::clock;
use super::facts::{Container, Facts, Pod, Role, State, Terminated, Usage};
use super::finding::{Finding, NodeRow, PodPart, PodRow, Severity, Tone, Use};
use super::text;
use crate::model::quantity;

/// Pods that are kept.
const PODS_MAX: usize = 5_000;
/// Nodes that are kept.
const NODES_MAX: usize = 1_000;
/// Containers of one pod that are kept.
const PARTS_MAX: usize = 50;
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

fn row(facts: &Facts, pod: &Pod, severity: Option<Severity>, offset: TimeDelta) -> PodRow {
    let apps = || pod.containers.iter().filter(|c| c.role == Role::App);
    let memory = of_pod(facts, pod, "memory", quantity::bytes, |u| u.memory);
    let cpu = of_pod(facts, pod, "cpu", quantity::milli, |u| u.cpu);
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
        parts: parts(pod),
        memory: memory.used,
        memory_request: memory.request,
        memory_limit: memory.limit,
        cpu: cpu.used,
        cpu_request: cpu.request,
        cpu_limit: cpu.limit,
        severity,
    }
}

/// What the containers of a pod use, ask for and may use, of one resource.
fn of_pod(
    facts: &Facts,
    pod: &Pod,
    resource: &str,
    read: fn(&str) -> Option<u64>,
    measured: fn(&Usage) -> Option<u64>,
) -> Use {
    let apps = || pod.containers.iter().filter(|c| c.role == Role::App);
    let used: Vec<u64> =
        apps().filter_map(|c| measured(facts.usage.get(&(pod.key.clone(), c.name.clone()))?)).collect();
    let sum = |of: fn(&Container) -> &BTreeMap<String, String>| {
        let all: Option<Vec<u64>> = apps().map(|c| read(of(c).get(resource)?)).collect();
        all.filter(|all| !all.is_empty()).map(|all| add(&all))
    };
    Use { used: (!used.is_empty()).then(|| add(&used)), request: sum(|c| &c.requests), limit: sum(|c| &c.limits) }
}

fn add(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

fn parts(pod: &Pod) -> Vec<PodPart> {
    let order = |c: &&Container| c.role != Role::Init;
    let mut containers: Vec<&Container> = pod.containers.iter().filter(|c| c.role != Role::Ephemeral).collect();
    containers.sort_by_key(order);
    containers.into_iter().take(PARTS_MAX).map(|c| part(pod, c)).collect()
}

fn part(pod: &Pod, container: &Container) -> PodPart {
    let ended = |e: &Terminated| if e.reason.is_empty() { format!("exit {}", e.exit) } else { e.reason.clone() };
    let (state, tone) = match &container.state {
        State::Running { .. } if container.ready || container.role == Role::Init => ("running".to_owned(), Tone::Good),
        State::Running { .. } => ("not ready".to_owned(), Tone::Wait),
        State::Terminated(end) if end.exit == 0 => (ended(end), Tone::Good),
        State::Terminated(end) => (ended(end), Tone::Bad),
        State::Waiting { reason, .. } if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing") => {
            ("waiting".to_owned(), Tone::Wait)
        }
        State::Waiting { reason, .. } => (reason.clone(), Tone::Bad),
        State::Unknown if pod.is_over() => ("ended".to_owned(), Tone::Wait),
        State::Unknown => ("waiting".to_owned(), Tone::Wait),
    };
    PodPart {
        name: text::line(&container.name, NAME),
        state: text::line(&state, NAME),
        restarts: container.restarts.unsigned_abs(),
        tone,
    }
}

/// One row a node, sorted by name; those in trouble are always among them.
pub(super) fn nodes(facts: &Facts, findings: &[Finding]) -> Vec<NodeRow> {
    let mut worst: BTreeMap<&str, Severity> = BTreeMap::new();
    for finding in findings {
        for subject in finding.subjects.iter().filter(|s| s.kind() == "node") {
            let entry = worst.entry(subject.name()).or_insert(finding.severity);
            *entry = (*entry).max(finding.severity);
        }
    }
    let mut on: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in facts.pods.values().filter(|p| !p.is_over()) {
        on.entry(pod.node.as_str()).or_default().push(pod);
    }
    let mut rows: Vec<NodeRow> = (facts.nodes.iter())
        .map(|(name, node)| {
            let pods = on.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let usage = facts.node_usage.get(name);
            let of = |resource: &str, read: fn(&str) -> Option<u64>, measured: fn(&Usage) -> Option<u64>| Use {
                used: usage.and_then(measured),
                request: Some(add(&pods.iter().map(|p| asked(p, resource, read)).collect::<Vec<_>>())),
                limit: node.allocatable.get(resource).and_then(|a| read(a)),
            };
            NodeRow {
                name: text::line(name, NAME),
                ready: node.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True"),
                cordoned: node.cordoned,
                pods: pods.len(),
                memory: of("memory", quantity::bytes, |u| u.memory),
                cpu: of("cpu", quantity::milli, |u| u.cpu),
                severity: worst.get(name.as_str()).copied(),
            }
        })
        .collect();
    if rows.len() > NODES_MAX {
        rows.sort_by_key(|r| std::cmp::Reverse(r.severity));
        rows.truncate(NODES_MAX);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
    }
    rows
}

/// What the containers of a pod ask for, those that ask for nothing left out.
fn asked(pod: &Pod, resource: &str, read: fn(&str) -> Option<u64>) -> u64 {
    let apps = pod.containers.iter().filter(|c| c.role == Role::App);
    add(&apps.filter_map(|c| read(c.requests.get(resource)?)).collect::<Vec<_>>())
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
