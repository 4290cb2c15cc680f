//! What the pods in trouble have in common, where each of them alone looks like an accident.

use std::collections::BTreeSet;

use super::containers::owner_path;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Pod};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// Fewer pods than this have something in common by chance.
const MANY: usize = 3;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let troubled: BTreeSet<&Subject> = (out.iter())
        .filter(|d| d.severity > Severity::Info && d.category != Category::DataQuality)
        .flat_map(|d| &d.subjects)
        .filter(|s| s.kind() == "pod")
        .collect();
    let (bad, good): (Vec<&Pod>, Vec<&Pod>) =
        facts.pods.values().filter(|p| !p.is_over()).partition(|p| troubled.contains(&p.subject()));
    let good: Vec<&Pod> = good.into_iter().filter(|p| p.is_ready()).collect();
    let owners: BTreeSet<String> = bad.iter().map(|p| format!("{}/{}", p.key.0, owner_path(p))).collect();
    if bad.len() < MANY || owners.len() < 2 {
        return;
    }
    out.extend(shared_node(out, &bad, &good));
    out.extend(shared_image(&bad, &good));
}

/// All of them run on one node that calls itself healthy. Where nothing on it is ready, it is the node.
fn shared_node(out: &[Draft], bad: &[&Pod], good: &[&Pod]) -> Option<Draft> {
    let node = bad[0].node.as_str();
    let elsewhere = good.iter().filter(|p| p.node != node).count();
    let here = good.len() - elsewhere;
    let is_this = |s: &Subject| s.kind() == "node" && s.name() == node;
    let known = out.iter().any(|d| d.severity > Severity::Info && d.subjects.iter().any(is_this));
    if known || node.is_empty() || elsewhere < MANY || bad.iter().any(|p| p.node != node) {
        return None;
    }
    let severity = if here == 0 { Severity::Critical } else { Severity::Info };
    let rest = if here == 0 { "nothing on it is ready".to_owned() } else { format!("{} ready on it", are(here)) };
    Some(
        common(bad, severity)
            .about(Subject::new("node", "", node))
            .title(format!("all {} in trouble run on {{who}}: {rest}, and {} ready elsewhere", text::count(bad.len(), "pod"), are(elsewhere)))
            .same_when(node)
            .confidence(if here == 0 { 0.8 } else { 0.5 })
            .because("they belong to different workloads, and no pod on another node is in trouble")
            .remedy([
                format!("Look at the node, although it says that it is ready: kubectl describe node {node}"),
                "On the node: disk, kernel log and container runtime: df -h; dmesg --level err | tail; systemctl status containerd".to_owned(),
                format!("To get the pods running elsewhere in the meantime: kubectl cordon {node}, then delete them"),
            ]),
    )
}

/// All of them have one image that no ready pod has.
fn shared_image(bad: &[&Pod], good: &[&Pod]) -> Option<Draft> {
    let has = |p: &Pod, image: &str| p.containers.iter().any(|c| c.image == image);
    let image = bad[0].containers.iter().map(|c| c.image.as_str()).find(|i| bad.iter().all(|p| has(p, i)))?;
    if good.len() < MANY || good.iter().any(|p| has(p, image)) {
        return None;
    }
    Some(
        common(bad, Severity::Info)
            .about(bad[0].subject())
            .title(format!(
                "all {} in trouble have image {image}, and no ready pod has it",
                text::count(bad.len(), "pod")
            ))
            .same_when(image)
            .confidence(0.5)
            .remedy([format!("Compare {image} with the version before")]),
    )
}

fn common(bad: &[&Pod], severity: Severity) -> Draft {
    Draft::new("failures-in-common", Category::Startup, severity, Level::Two)
        .meaning("The pods belong to different workloads, so what they share is more likely wrong than each of them.")
        .seen_in(bad.iter().take(5).map(|p| p.at.evidence_at("/spec", &format!("{} on node {}", p.key.1, p.node))))
        .reaches(bad.iter().map(|p| p.subject()))
}

fn are(n: usize) -> String {
    if n == 1 { "1 pod is".to_owned() } else { format!("{n} pods are") }
}
