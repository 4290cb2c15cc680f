//! Nodes.

use crate::triage::draft::Draft;
use crate::triage::facts::{Condition, Facts, Node};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// Minor versions that a kubelet may be behind the API server.
const SKEW_MAX: u32 = 3;

/// Whether the node's condition `Ready` is true.
pub(super) fn is_ready(node: &Node) -> bool {
    node.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
}

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for (name, node) in &facts.nodes {
        for condition in &node.conditions {
            out.extend(by_condition(facts, name, node, condition));
        }
        if node.cordoned {
            let waiting =
                facts.pods.values().any(|p| p.phase == "Pending" && p.node.is_empty() && p.deleting.is_none());
            out.push(
                Draft::new(
                    "node-cordoned",
                    Category::Resources,
                    if waiting { Severity::Warning } else { Severity::Info },
                    Level::One,
                )
                .about(subject(name))
                .title("{who} is cordoned: it takes no new pods")
                .meaning("Somebody has taken the node out of scheduling, usually for maintenance.")
                .seen_in([node.at.evidence_at("/spec/unschedulable", "unschedulable: true")])
                .same_when("cordoned")
                .confidence(0.6)
                .remedy([format!("When the maintenance is over: kubectl uncordon {name}")]),
            );
        }
        if let (Some(kubelet), Some(server)) = (minor(&node.kubelet), minor(&facts.server_version))
            && (kubelet > server || server - kubelet > SKEW_MAX)
        {
            out.push(
                Draft::new("version-skew", Category::Configuration, Severity::Warning, Level::Two)
                    .about(subject(name))
                    .title(format!(
                        "{{who}}: kubelet {} does not fit API server {}",
                        node.kubelet, facts.server_version
                    ))
                    .meaning("A kubelet must not be newer than the API server, nor more than 3 minor versions older.")
                    .seen_in([node.at.evidence_at("/status/nodeInfo/kubeletVersion", &node.kubelet)])
                    .same_when(node.kubelet.clone())
                    .confidence(0.5)
                    .remedy(["Upgrade the older side: the API server first, then the nodes"]),
            );
        }
    }
}

fn subject(name: &str) -> Subject {
    Subject::new("node", "", name)
}

/// The minor version of Kubernetes.
pub(super) fn minor(version: &str) -> Option<u32> {
    let mut parts = version.trim_start_matches('v').split('.');
    let major: u32 = parts.next()?.parse().ok()?;
    (major == 1).then(|| parts.next()?.trim_end_matches('+').parse().ok()).flatten()
}

fn by_condition(facts: &Facts, name: &str, node: &Node, condition: &Condition) -> Option<Draft> {
    let (rule, category, what, meaning, step): (_, _, _, _, &str) = match (
        condition.kind.as_str(),
        condition.status.as_str(),
    ) {
        ("Ready", "False" | "Unknown") => (
            "node-not-ready",
            Category::Resources,
            "is not ready",
            "Its pods are cut off from services, and after 5 minutes they are evicted. Pods of StatefulSets stay until the node is back or deleted.",
            "Check the machine itself (power, network), then on it: systemctl status kubelet containerd",
        ),
        ("DiskPressure", "True") => (
            "node-disk-pressure",
            Category::Storage,
            "runs out of disk",
            "The kubelet evicts pods and takes no new ones until space is free.",
            "On the node: find what fills the disk (images, logs, emptyDir volumes): df -h; crictl rmi --prune",
        ),
        ("MemoryPressure", "True") => (
            "node-memory-pressure",
            Category::Resources,
            "runs out of memory",
            "The kubelet evicts pods, those without requests first.",
            "Find the pods that use most of it: kubectl top pods -A --sort-by memory",
        ),
        ("PIDPressure", "True") => (
            "node-pid-pressure",
            Category::Resources,
            "runs out of process ids",
            "New processes cannot start on the node.",
            "On the node: find what makes the processes: ps -eo ppid | sort | uniq -c | sort -n | tail",
        ),
        ("NetworkUnavailable", "True") => (
            "node-network-unavailable",
            Category::Connectivity,
            "has no pod network",
            "Pods on the node cannot reach others.",
            "Check the pods of the network plugin on the node: kubectl -n kube-system get pods -o wide",
        ),
        // What the node problem detector adds; a kubelet does not look at it and keeps calling the node ready.
        ("ReadonlyFilesystem", "True") => (
            "node-problem",
            Category::Storage,
            "has a file system that can only be read",
            "Programs on the node cannot write; the kernel does this after errors of the disk.",
            "On the node: read the kernel log for errors of the disk, and replace it: dmesg --level err,warn | tail",
        ),
        (
            "KernelDeadlock"
            | "CorruptDockerOverlay2"
            | "FrequentKubeletRestart"
            | "FrequentContainerdRestart"
            | "FrequentUnregisterNetDevice",
            "True",
        ) => (
            "node-problem",
            Category::Resources,
            "has a problem below its pods",
            "The node problem detector found it in the log of the machine. Pods on the node may hang or lose their network.",
            "Move its pods away and repair or replace the machine: kubectl drain --ignore-daemonsets NODE",
        ),
        _ => return None,
    };
    let pods: Vec<&str> =
        facts.pods.values().filter(|p| p.node == name && !p.is_over()).map(|p| p.key.1.as_str()).collect();
    let on_it = if pods.is_empty() {
        String::new()
    } else {
        format!("; {} of this bundle on it", text::count(pods.len(), "pod"))
    };
    let event = facts
        .events_about(&subject(name))
        .rev()
        .find(|e| e.warning || e.reason.starts_with("NodeNotReady") || e.reason.starts_with("NodeHas"));
    Some(
        Draft::new(rule, category, Severity::Critical, Level::Two)
            .about(subject(name))
            .title(format!("{{who}} {what}: {}{on_it}", text::line(condition.message.trim_end_matches('.'), 140)))
            .meaning(meaning)
            .seen_in([node.at.evidence_at("/status/conditions", &condition.show())])
            .seen_in(event.map(crate::triage::facts::Event::evidence))
            .because(format!("the node's condition {} is {}", condition.kind, condition.status))
            .confidence(0.95)
            .between(condition.since, event.and_then(|e| e.last))
            .remedy([step.replace("NODE", name), format!("See its state and events: kubectl describe node {name}")]),
    )
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn versions() {
        assert_eq!(minor("v1.36.2"), Some(36));
        assert_eq!(minor("v1.29+"), Some(29));
        assert_eq!(minor(""), None);
    }
}
