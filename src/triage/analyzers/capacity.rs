//! What nodes have to give: taints that keep pods away, and how much of CPU and memory is in use or promised.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{quantity, size};
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Node, Pod, Role};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::{scheduling, text};

/// Parts of a hundred of what a node has to give: worth a word, and worth a look.
const HIGH: u64 = 85;
const FULL: u64 = 95;
/// Taints that a cluster sets itself: what they mean is said by the node's conditions, or is always so.
const OWN_TAINTS: [&str; 3] = ["node.kubernetes.io/", "node-role.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    taints(facts, out);
    let waits = waits_for(facts);
    for (name, node) in &facts.nodes {
        used(facts, name, node, out);
        out.extend(promised(facts, name, node, &waits));
    }
}

/// A taint that stands between pods and their nodes.
struct Barrier<'f> {
    pods: Vec<&'f Pod>,
    /// Nothing else rules nodes out for one of the pods.
    alone: bool,
}

fn taints(facts: &Facts, out: &mut Vec<Draft>) {
    let mut barriers: BTreeMap<(String, String), Barrier<'_>> = BTreeMap::new();
    for pod in facts.pods.values().filter(|p| p.phase == "Pending" && p.node.is_empty() && p.deleting.is_none()) {
        let said = pod.condition("PodScheduled").map_or("", |c| c.message.as_str());
        let event = facts.newest(&pod.subject(), &["FailedScheduling"]).map_or("", |e| e.message.as_str());
        let Some(refusal) = scheduling::parse(if said.is_empty() { event } else { said }) else { continue };
        let alone = refusal.reasons.iter().all(|(_, reason)| reason.contains(" taint"));
        for (key, value) in refusal.taints() {
            let barrier = barriers
                .entry((key.to_owned(), value.to_owned()))
                .or_insert(Barrier { pods: Vec::new(), alone: false });
            barrier.pods.push(pod);
            barrier.alone |= alone;
        }
    }
    for ((key, value), barrier) in &barriers {
        let is_it =
            |n: &Node| n.taints.iter().find(|(k, v, _)| k == key && v == value).map(|(_, _, effect)| effect.clone());
        let nodes: Vec<(&String, &Node, String)> =
            facts.nodes.iter().filter_map(|(name, node)| Some((name, node, is_it(node)?))).collect();
        if nodes.is_empty() || OWN_TAINTS.iter().any(|own| key.starts_with(own)) {
            continue;
        }
        let taint = if value.is_empty() { key.clone() } else { format!("{key}={value}") };
        let effect = nodes.first().map_or("", |(_, _, effect)| effect.as_str());
        let pods: Vec<&str> = barrier.pods.iter().map(|p| p.key.1.as_str()).collect();
        for (name, node, _) in &nodes {
            out.push(
                Draft::new(
                    "node-taint-not-tolerated",
                    Category::Configuration,
                    if barrier.alone { Severity::Warning } else { Severity::Info },
                    Level::Two,
                )
                .about(Subject::new("node", "", name))
                .title(format!("{{who}}: taint {taint}:{effect} keeps pods away; {} without a node ({})", text::count(pods.len(), "pod"), text::names(&pods, 3)))
                .meaning("Only pods that tolerate the taint may run there. Either the node is meant for others, and the pods lack a node; or the taint was left behind.")
                .seen_in([node.at.evidence_at("/spec/taints", &format!("{taint}:{effect}"))])
                .because(if barrier.alone {
                    "the scheduler names taints as the only reason"
                } else {
                    "the scheduler names it beside other reasons"
                })
                .confidence(0.9)
                .same_when(format!("{key} {value}"))
                .between(barrier.pods.iter().filter_map(|p| p.created).min(), None)
                .reaches(barrier.pods.iter().map(|p| p.subject()))
                .remedy([
                    format!("If the node should take them, remove the taint: kubectl taint nodes {name} {taint}:{effect}-"),
                    format!("If they belong there, add a toleration for {key} to their workload; else add a node without the taint"),
                ]),
            );
        }
    }
}

/// What the nodes use of what they have.
fn used(facts: &Facts, name: &str, node: &Node, out: &mut Vec<Draft>) {
    let Some(usage) = facts.node_usage.get(name) else { return };
    let has = |resource: &str| node.allocatable.get(resource).map(String::as_str).unwrap_or_default();
    let share = |used: Option<u64>, of: Option<u64>| {
        let (used, of) = (used?, of.filter(|of| *of > 0)?);
        Some((used, of, used.saturating_mul(100) / of)).filter(|(_, _, percent)| *percent >= HIGH)
    };
    let draft = |rule: &str, category, percent: u64, title: String, seen: &str| {
        let severity = if percent >= FULL { Severity::Warning } else { Severity::Info };
        Draft::new(rule, category, severity, Level::Two)
            .about(Subject::new("node", "", name))
            .title(title)
            .seen_in([usage.at.evidence(seen)])
            .confidence(0.7)
            .same_when(if percent >= FULL { "full" } else { "high" })
    };
    if let Some((used, of, percent)) = share(usage.memory, quantity::bytes(has("memory"))) {
        let figures = format!("{} of {} are in use", size::human(used), size::human(of));
        out.push(
            draft(
                "node-memory-high",
                Category::Resources,
                percent,
                format!("{{who}}: {percent} % of the memory for pods is in use ({figures})"),
                &format!("memory: {figures}"),
            )
            .meaning("When it is gone, the kubelet evicts pods, or the kernel kills the largest program.")
            .remedy([
                "Find what uses it: kubectl top pods -A --sort-by memory".to_owned(),
                format!("Compare with what the pods on it have asked for: kubectl describe node {name}"),
            ]),
        );
    }
    if let Some((used, of, percent)) = share(usage.cpu, quantity::milli(has("cpu"))) {
        let figures = format!("{:.1} of {:.1} CPUs", cpus(used), cpus(of));
        out.push(
            draft(
                "node-cpu-high",
                Category::Performance,
                percent,
                format!("{{who}}: {percent} % of the CPU for pods is in use ({figures})"),
                &format!("cpu: {figures}"),
            )
            .meaning("Programs on it wait for their turn: probes and calls between services run into their deadlines.")
            .remedy([
                "Find what uses it: kubectl top pods -A --sort-by cpu".to_owned(),
                "Give the pods that must answer in time requests for CPU, or spread the load over more nodes"
                    .to_owned(),
            ]),
        );
    }
}

/// What pods wait for that no node has left: `cpu`, `memory`.
fn waits_for(facts: &Facts) -> BTreeSet<&'static str> {
    let waiting = facts.pods.values().filter(|p| p.phase == "Pending" && p.node.is_empty());
    let messages: Vec<String> = waiting
        .flat_map(|p| {
            let event = facts.newest(&p.subject(), &["FailedScheduling"]).map(|e| e.message.to_ascii_lowercase());
            p.condition("PodScheduled").map(|c| c.message.to_ascii_lowercase()).into_iter().chain(event)
        })
        .collect();
    ["cpu", "memory"]
        .into_iter()
        .filter(|r| messages.iter().any(|m| m.contains(&format!("insufficient {r}"))))
        .collect()
}

/// What the pods of a node were promised, where somebody waits for just that. Pods of other namespaces may not be in the
/// bundle, so it is at least so much.
fn promised(facts: &Facts, name: &str, node: &Node, waits: &BTreeSet<&str>) -> Option<Draft> {
    let pods: Vec<&Pod> = facts.pods.values().filter(|p| p.node == name && !p.is_over()).collect();
    let mut full = Vec::new();
    for resource in waits {
        let amount = |text: &str| if *resource == "cpu" { quantity::milli(text) } else { quantity::bytes(text) };
        let of = node.allocatable.get(*resource).and_then(|t| amount(t)).filter(|of| *of > 0)?;
        let wanted: u64 = pods.iter().map(|p| requests(p, resource, &amount)).fold(0, u64::saturating_add);
        let percent = wanted.saturating_mul(100) / of;
        if percent >= HIGH {
            let show = |n: u64| if *resource == "cpu" { format!("{:.1}", cpus(n)) } else { size::human(n) };
            full.push(format!("{resource} {percent} % ({} of {})", show(wanted), show(of)));
        }
    }
    (!full.is_empty()).then(|| {
        Draft::new("node-requests-full", Category::Resources, Severity::Info, Level::Two)
            .about(Subject::new("node", "", name))
            .title(format!("{{who}} has promised at least {} of what it has to its {}", full.join(", "), text::count(pods.len(), "pod")))
            .meaning("The scheduler goes by requests and not by use: what is promised is not there for others, even if it is idle.")
            .seen_in([node.at.evidence_at("/status/allocatable", &full.join(", "))])
            .confidence(0.8)
            .remedy([format!("See who has asked for how much: kubectl describe node {name}")])
    })
}

/// What a pod was promised: the sum of its containers, or what its largest init container needs.
fn requests(pod: &Pod, resource: &str, amount: &dyn Fn(&str) -> Option<u64>) -> u64 {
    let of = |role: Role| {
        let containers = pod.containers.iter().filter(move |c| c.role == role);
        containers.filter_map(|c| c.requests.get(resource).and_then(|t| amount(t)))
    };
    of(Role::App).fold(0, u64::saturating_add).max(of(Role::Init).max().unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "CPUs for people")]
fn cpus(milli: u64) -> f64 {
    milli as f64 / 1000.0
}
