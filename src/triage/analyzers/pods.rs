//! Pods as a whole: scheduling, readiness, eviction, deletion.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::containers::owner_path;
use super::exits;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, LogFacts, Pod, Role, State};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::scheduling::{self, Refusal};
use crate::triage::text;

/// How long a pod may take to become ready before it is worth a word.
const READY_WITHIN: TimeDelta = TimeDelta::minutes(5);
/// How long a new pod may look for a node.
const SCHEDULED_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// How long a node may take that an autoscaler has asked for.
const NODE_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// How long behind its grace period a deletion may take.
const DELETE_WITHIN: TimeDelta = TimeDelta::minutes(5);

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    // What another draft already says is not said again in weaker words.
    let explained: BTreeSet<Subject> =
        out.iter().filter(|d| d.severity >= Severity::Warning).flat_map(|d| d.subjects.iter().cloned()).collect();
    for pod in facts.pods.values() {
        if pod.reason == "Evicted" {
            out.push(evicted(pod));
        } else if let Some(since) = pod.deleting {
            out.extend(stuck(facts, pod, since));
        } else if pod.phase == "Pending" && pod.node.is_empty() {
            out.extend(unscheduled(facts, pod));
        } else if pod.phase == "Failed" {
            out.extend(failed(pod, &explained));
        } else if matches!(pod.phase.as_str(), "Running" | "Unknown") && !pod.is_ready() {
            out.extend(not_ready(facts, pod, &explained));
        }
    }
}

fn evicted(pod: &Pod) -> Draft {
    let (namespace, name) = &pod.key;
    let message = if pod.message.is_empty() { "the node was short of a resource" } else { pod.message.as_str() };
    Draft::new("pod-evicted", Category::Resources, Severity::Warning, Level::Two)
        .about(pod.subject())
        .title(format!("{{who}} was evicted from node {}: {}", pod.node, text::line(message, 160)))
        .meaning("The kubelet ended the pod to save its node. The node's pressure is the cause; the pod is gone and only its record is left.")
        .seen_in([pod.at.evidence_at("/status", &format!("Evicted: {message}"))])
        .because("the kubelet recorded reason Evicted")
        .confidence(0.95)
        .same_when(format!("{} {}", pod.node, message.split('.').next().unwrap_or_default()))
        .between(pod.created, None)
        .remedy([
            format!("See what the node is short of: kubectl describe node {}", pod.node),
            "Give the pods that use most of it requests and limits, or enlarge the node".to_owned(),
            format!("Remove the record when its owner has made a new pod: kubectl -n {namespace} delete pod {name}"),
        ])
}

fn stuck(facts: &Facts, pod: &Pod, since: crate::model::time::Timestamp) -> Option<Draft> {
    // deletionTimestamp is the end of the grace period, not its beginning.
    let late = facts.now - since;
    if late < DELETE_WITHIN {
        return None;
    }
    let (namespace, name) = &pod.key;
    let (why, step) = if !pod.finalizers.is_empty() {
        (format!("finalizer {} is not done", pod.finalizers.join(", ")), "Find the controller of the finalizer and why it does not run; remove the finalizer only when its work is done".to_owned())
    } else if facts.nodes.get(&pod.node).is_some_and(|n| !super::nodes::is_ready(n)) {
        (
            format!("its node {} does not answer", pod.node),
            format!("Bring node {} back, or delete the Node object when the machine is gone for good", pod.node),
        )
    } else {
        (
            format!("the kubelet of node {} has not ended its containers", pod.node),
            format!(
                "Read the kubelet's log on node {}: a volume that cannot be unmounted, or a container that cannot be killed",
                pod.node
            ),
        )
    };
    Some(
        Draft::new("pod-stuck-terminating", Category::Startup, Severity::Warning, Level::Two)
            .about(pod.subject())
            .title(format!("{{who}} should have been gone {} ago: {why}", text::duration(late)))
            .meaning(
                "A StatefulSet makes no new pod of this name, and volumes stay attached, until the old one is gone.",
            )
            .seen_in([pod.at.evidence_at(
                "/metadata",
                &format!(
                    "deletionTimestamp {}, finalizers [{}]",
                    crate::model::time::rfc3339(since),
                    pod.finalizers.join(", ")
                ),
            )])
            .between(Some(since), None)
            .remedy([step, format!("Look at it: kubectl -n {namespace} get pod {name} -o yaml")]),
    )
}

fn unscheduled(facts: &Facts, pod: &Pod) -> Option<Draft> {
    let (namespace, name) = &pod.key;
    let condition = pod.condition("PodScheduled").filter(|c| c.status == "False");
    if pod.gated {
        return Some(
            Draft::new("pod-scheduling-gated", Category::Startup, Severity::Info, Level::One)
                .about(pod.subject())
                .title("{who} waits behind a scheduling gate")
                .meaning("Something else decides when this pod may be scheduled, such as a queue for batch jobs.")
                .seen_in([pod.at.evidence_at("/spec/schedulingGates", "schedulingGates")])
                .between(pod.created, None),
        );
    }
    let event = facts.newest(&pod.subject(), &["FailedScheduling"]);
    let message = condition.map(|c| c.message.as_str()).filter(|m| !m.is_empty()).or(event.map(|e| e.message.as_str()));
    let Some(message) = message else {
        let age = facts.now - pod.created?;
        return (age > READY_WITHIN).then(|| {
            Draft::new("pod-unschedulable", Category::Startup, Severity::Critical, Level::Two)
                .about(pod.subject())
                .title(format!("{{who}} has no node since {}, and no scheduler has looked at it", text::duration(age)))
                .meaning("Either the scheduler does not run, or the pod names a scheduler that does not exist.")
                .seen_in([pod.at.evidence_at("/status", "Pending, without the condition PodScheduled")])
                .confidence(0.7)
                .between(pod.created, None)
                .remedy([
                    "Check the scheduler: kubectl -n kube-system get pods".to_owned(),
                    format!("Check spec.schedulerName: kubectl -n {namespace} get pod {name} -o jsonpath='{{.spec.schedulerName}}'"),
                ])
        });
    };
    let refusal = scheduling::parse(message);
    let summary = refusal.as_ref().map_or_else(|| text::line(message, 200), Refusal::summary);
    let nodes = refusal.as_ref().map_or_else(String::new, |r| format!("none of {} nodes fits", r.nodes));
    let volumes = refusal
        .as_ref()
        .is_some_and(|r| r.has("unbound immediate") || r.has("volume") || r.has("persistentvolumeclaim"))
        || message.contains("persistentvolumeclaim");
    let first = event.and_then(|e| e.first).or_else(|| condition.and_then(|c| c.since));
    // A pod that was just made may find its node yet, and a node that was asked for needs some minutes.
    let coming = facts
        .newest(&pod.subject(), &["TriggeredScaleUp"])
        .is_some_and(|e| e.last.is_some_and(|at| facts.now - at < NODE_WITHIN));
    let fresh = pod.created.is_some_and(|at| facts.now - at < SCHEDULED_WITHIN);
    let mut draft = Draft::new(
        "pod-unschedulable",
        if volumes { Category::Storage } else { Category::Resources },
        if coming || fresh { Severity::Info } else { Severity::Critical },
        Level::Two,
    )
    .about(pod.subject())
    .title(format!(
        "{{who}} cannot be scheduled{}{summary}",
        if nodes.is_empty() { ": ".to_owned() } else { format!(": {nodes}: ") }
    ))
    .meaning("The pod waits until a node fits; nothing of it runs.")
    .seen_in(condition.map(|c| pod.at.evidence_at("/status/conditions", &c.show())))
    .seen_in(event.map(crate::triage::facts::Event::evidence))
    .because("the scheduler counted its reasons")
    .confidence(0.92)
    .same_when(format!("{} {}", owner_path_or_name(pod), reasons_only(refusal.as_ref(), message)))
    .between(first.or(pod.created), event.and_then(|e| e.last))
    .times(event.map_or(1, |e| e.count))
    .reaches(pod.claims.iter().map(|c| Subject::new("persistentvolumeclaim", namespace, c)));
    if let Some(refusal) = &refusal {
        draft = draft.remedy(steps(refusal, pod));
    }
    Some(draft.remedy([format!("See all reasons: kubectl -n {namespace} describe pod {name}")]))
}

fn owner_path_or_name(pod: &Pod) -> String {
    format!("{}/{}", pod.key.0, owner_path(pod))
}

/// The reasons without their counts, which differ from minute to minute.
fn reasons_only(refusal: Option<&Refusal>, message: &str) -> String {
    refusal.map_or_else(
        || message.to_owned(),
        |r| {
            let mut reasons: Vec<&str> = r.reasons.iter().map(|(_, reason)| reason.as_str()).collect();
            reasons.sort_unstable();
            reasons.join(", ")
        },
    )
}

/// What to do about each reason of the scheduler.
fn steps(refusal: &Refusal, pod: &Pod) -> Vec<String> {
    let namespace = &pod.key.0;
    let mut steps = Vec::new();
    if refusal.has("insufficient") {
        let wanted: Vec<String> = pod
            .containers
            .iter()
            .filter(|c| !c.requests.is_empty())
            .map(|c| {
                let wants: Vec<String> = c.requests.iter().map(|(k, v)| format!("{k} {v}")).collect();
                format!("{} wants {}", c.name, wants.join(", "))
            })
            .collect();
        steps.push(format!(
            "Lower the requests, or add a node that has as much free ({})",
            if wanted.is_empty() { "the pod has no requests of its own".to_owned() } else { wanted.join("; ") }
        ));
        steps.push(
            "Compare with what nodes have left: kubectl describe nodes | grep -A 8 'Allocated resources'".to_owned(),
        );
    }
    if refusal.has("taint") {
        steps.push("Look at the taints, and tolerate them only if the pod belongs there: kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints".to_owned());
    }
    if refusal.has("affinity") || refusal.has("node selector") || refusal.has("didn't match") {
        steps.push(
            "Compare nodeSelector and affinity of the pod with the labels: kubectl get nodes --show-labels".to_owned(),
        );
    }
    if refusal.has("unschedulable") {
        steps.push("A node is cordoned; when its maintenance is over: kubectl uncordon NODE".to_owned());
    }
    if refusal.has("persistentvolumeclaim") || refusal.has("volume") {
        steps.push(format!(
            "Its volumes are the reason; look at the claims: kubectl -n {namespace} get pvc {}",
            pod.claims.join(" ")
        ));
    }
    if refusal.has("too many pods") {
        steps.push("The nodes have their largest number of pods; add a node".to_owned());
    }
    if refusal.has("free ports") {
        steps.push("Another pod on each node has this hostPort".to_owned());
    }
    steps
}

fn failed(pod: &Pod, explained: &BTreeSet<Subject>) -> Option<Draft> {
    let job = pod.owner.as_ref().is_some_and(|(kind, _)| kind == "Job");
    if job || explained.contains(&pod.subject()) {
        return None;
    }
    let why = if pod.message.is_empty() { &pod.reason } else { &pod.message };
    Some(
        Draft::new("pod-failed", Category::Startup, Severity::Warning, Level::Two)
            .about(pod.subject())
            .title(format!("{{who}} failed: {}", if why.is_empty() { "no reason is recorded" } else { why.as_str() }))
            .meaning("The pod ended and will not be started again under this name.")
            .seen_in([pod.at.evidence_at("/status", &format!("phase Failed, reason {}, {}", pod.reason, pod.message))])
            .same_when(format!("{} {}", pod.reason, owner_path_or_name(pod)))
            .confidence(0.6)
            .between(pod.created, None)
            .remedy([format!("Read its events: kubectl -n {} describe pod {}", pod.key.0, pod.key.1)]),
    )
}

fn not_ready(facts: &Facts, pod: &Pod, explained: &BTreeSet<Subject>) -> Option<Draft> {
    if explained.contains(&pod.subject()) {
        return None;
    }
    let (namespace, name) = &pod.key;
    let condition = pod.condition("Ready");
    let since = condition.and_then(|c| c.since);
    let waiting: Vec<&str> =
        pod.containers.iter().filter(|c| c.role == Role::App && !c.ready).map(|c| c.name.as_str()).collect();
    let probe = facts
        .events_about(&pod.subject())
        .rev()
        .find(|e| e.reason == "Unhealthy" && (e.message.starts_with("Readiness") || e.message.starts_with("Startup")));
    let running_since = pod.containers.iter().filter_map(|c| match &c.state {
        State::Running { since } => *since,
        _ => None,
    });
    let age = facts.now - running_since.max().or(since)?;
    if let Some(event) = probe {
        let why = event.message.split_once("failed: ").map_or(event.message.as_str(), |(_, why)| why);
        let severity = if age > READY_WITHIN || event.count >= 3 { Severity::Warning } else { Severity::Info };
        // What the program itself complains about says more than the probe.
        let said =
            waiting.iter().find_map(|c| facts.running_log(pod, c)).and_then(LogFacts::cause).filter(|c| c.is_error);
        let category = said.as_ref().and_then(|c| exits::read(&c.text)).map_or(Category::Startup, |r| r.category);
        return Some(
            Draft::new("readiness-probe-failing", category, severity, Level::Two)
                .about(pod.subject())
                .title(format!("{{who}}: running and not ready, the readiness probe fails: {}", text::line(why, 140)))
                .meaning("Services send it no requests until the probe succeeds.")
                .seen_in([event.evidence()])
                .seen_in(said.into_iter().flat_map(|c| c.evidence).take(1))
                .seen_in(condition.map(|c| pod.at.evidence_at("/status/conditions", &c.show())))
                .because("the newest Unhealthy event is about the readiness probe")
                .same_when(format!("{} {why}", owner_path_or_name(pod)))
                .between(event.first, event.last)
                .times(event.count)
                .remedy([
                    format!("Read what the program says: kubectl -n {namespace} logs {name} -c {}", waiting.first().copied().unwrap_or("CONTAINER")),
                    format!("Compare port and path of the probe with what it listens on: kubectl -n {namespace} describe pod {name}"),
                ]),
        );
    }
    // It may have been ready until long after its programs started.
    let age = since.map_or(age, |since| age.min(facts.now - since));
    let said = [condition.map_or("", |c| c.message.as_str()), &pod.message, &pod.reason];
    let why = said.into_iter().find(|t| !t.is_empty()).unwrap_or("no reason is recorded");
    let unknown = if pod.phase == "Unknown" { " and in phase Unknown" } else { "" };
    (age > READY_WITHIN).then(|| {
        Draft::new("pod-not-ready", Category::Startup, Severity::Warning, Level::Two)
            .about(pod.subject())
            .title(format!("{{who}}: not ready{unknown} since {}: {}", text::duration(age), text::line(why, 160)))
            .meaning("Services send it no requests.")
            .seen_in([pod.at.evidence_at(
                "/status/conditions",
                &condition.map_or_else(|| "no condition Ready".to_owned(), crate::triage::facts::Condition::show),
            )])
            .same_when(owner_path_or_name(pod))
            .confidence(0.6)
            .between(since, None)
            .remedy([
                format!("Read what the program says: kubectl -n {namespace} logs {name} --all-containers --tail 100"),
                format!("Read its events: kubectl -n {namespace} describe pod {name}"),
            ])
    })
}
