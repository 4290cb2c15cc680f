//! Containers that do not start, do not stay, or did not stay.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{exits, images};
use crate::model::quantity;
use crate::model::size;
use crate::triage::draft::Draft;
use crate::triage::facts::{Container, Event, Facts, Pod, Role, State, Terminated};
use crate::triage::finding::{Category, Level, Severity};
use crate::triage::text;

/// A restart this long ago is history.
const RECENT: TimeDelta = TimeDelta::hours(1);
/// Restarts that are worth a warning however long ago they were.
const MANY_RESTARTS: i64 = 5;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for pod in facts.pods.values() {
        if pod.deleting.is_some() || pod.phase == "Succeeded" || pod.reason == "Evicted" || retried(facts, pod) {
            continue;
        }
        for container in pod.containers.iter().filter(|c| c.role != Role::Ephemeral) {
            match &container.state {
                State::Waiting { reason, message } => waiting(facts, pod, container, reason, message, out),
                State::Terminated(ended) if ended.exit != 0 || ended.reason == "OOMKilled" => {
                    out.push(ended_draft(facts, pod, container, ended, Severity::Critical));
                }
                State::Running { .. } if container.restarts > 0 => restarted(facts, pod, container, out),
                _ => {}
            }
        }
    }
    adopt(facts, out);
}

/// Gives crashes without a log the cause of their siblings: pods of one owner that end in the same way ended for the same
/// reason.
fn adopt(facts: &Facts, out: &mut [Draft]) {
    let owner = |draft: &Draft| -> Option<String> {
        let subject = draft.subjects.first()?;
        let pod = facts.pods.get(&(subject.namespace().to_owned(), subject.name().to_owned()))?;
        let way = draft.cause.split('\u{0}').next()?;
        pod.owner.as_ref().map(|_| format!("{} {} {} {way}", draft.rule, subject.namespace(), owner_path(pod)))
    };
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for draft in out.iter().filter(|d| !d.cause.ends_with('\u{0}') && d.cause.contains('\u{0}')) {
        if let Some(owner) = owner(draft) {
            known.entry(owner).or_insert_with(|| draft.cause.clone());
        }
    }
    for draft in out.iter_mut().filter(|d| d.cause.ends_with('\u{0}')) {
        if let Some(cause) = owner(draft).and_then(|o| known.get(&o)) {
            draft.cause.clone_from(cause);
        }
    }
}

/// Whether the pod is a failed try of a Job that has succeeded, or still may.
fn retried(facts: &Facts, pod: &Pod) -> bool {
    let Some((kind, name)) = &pod.owner else { return false };
    if kind != "Job" || !pod.is_over() {
        return false;
    }
    facts
        .jobs
        .get(&(pod.key.0.clone(), name.clone()))
        .is_some_and(|job| job.conditions.iter().any(|c| c.kind == "Complete" && c.status == "True"))
}

fn waiting(facts: &Facts, pod: &Pod, container: &Container, reason: &str, message: &str, out: &mut Vec<Draft>) {
    match reason {
        "CrashLoopBackOff" => match container.ended() {
            Some(ended) => out.push(ended_draft(facts, pod, container, ended, Severity::Critical)),
            None => out.push(crash(facts, pod, container, None, Severity::Critical).seen_in([status(
                pod,
                container,
                "/state/waiting",
                &format!("waiting, {reason}: {message}"),
            )])),
        },
        "CreateContainerConfigError" => out.push(config_error(pod, container, message)),
        "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "PreStartHookError"
        | "PostStartHookError"
        | "PreCreateHookError" => out.push(command_error(facts, pod, container, reason, message)),
        reason if images::is_image_reason(reason) => {
            out.push(images::draft(facts, pod, container, reason, message));
        }
        "ContainerCreating" | "PodInitializing" | "" if waits_first(pod, container) => {
            out.extend(not_created(facts, pod));
        }
        _ => {}
    }
}

/// Whether this is the first container of the pod that waits; all of them wait for the same thing.
fn waits_first(pod: &Pod, container: &Container) -> bool {
    let first = pod.containers.iter().find(|c| matches!(c.state, State::Waiting { .. }));
    first.is_some_and(|c| c.name == container.name)
}

/// What an ended instance means; `severity` is that of a container that does not run now.
fn ended_draft(facts: &Facts, pod: &Pod, container: &Container, ended: &Terminated, severity: Severity) -> Draft {
    if ended.reason == "OOMKilled" {
        return oom(facts, pod, container, ended, severity);
    }
    if let Some(kill) = probe_kill(facts, pod, container, ended) {
        return killed_by_probe(facts, pod, container, ended, kill, severity);
    }
    if matches!(ended.reason.as_str(), "ContainerCannotRun" | "StartError") || matches!(ended.exit, 126..=128) {
        return command_error(facts, pod, container, &ended.reason, &ended.message)
            .between(ended.started, ended.finished);
    }
    crash(facts, pod, container, Some(ended), severity)
}

/// A container that runs again.
fn restarted(facts: &Facts, pod: &Pod, container: &Container, out: &mut Vec<Draft>) {
    let Some(ended) = &container.last else {
        return;
    };
    let recent = ended.finished.is_some_and(|at| facts.now - at < RECENT);
    if recent && (ended.reason == "OOMKilled" || ended.exit != 0 && container.restarts >= 3) {
        out.push(ended_draft(facts, pod, container, ended, Severity::Warning));
        return;
    }
    let severity = if container.restarts > MANY_RESTARTS && recent { Severity::Warning } else { Severity::Info };
    let (namespace, name) = &pod.key;
    let when = ended.finished.map_or_else(String::new, |at| format!(", last {} ago", text::duration(facts.now - at)));
    out.push(
        Draft::new("container-restarts", Category::Startup, severity, Level::One)
            .about(pod.subject())
            .title(format!(
                "{{who}}: container {} runs now and has restarted {} times{when}",
                container.name, container.restarts
            ))
            .meaning(format!("Its last instance ended with exit code {}: {}.", ended.exit, exits::explain(ended.exit)))
            .seen_in([status(pod, container, "/lastState/terminated", &show(ended))])
            .remedy([format!("Read why: kubectl -n {namespace} logs {name} -c {} --previous", container.name)])
            .between(ended.started, ended.finished)
            .times(container.restarts.unsigned_abs()),
    );
}

fn status(pod: &Pod, container: &Container, below: &str, what: &str) -> crate::triage::Evidence {
    pod.at.evidence_at(&format!("{}{below}", container.pointer), &format!("{}: {what}", container.name))
}

fn show(ended: &Terminated) -> String {
    let mut out = format!("terminated, exit code {}, reason {}", ended.exit, ended.reason);
    if let Some(at) = ended.finished {
        out.push_str(&format!(", finished {}", crate::model::time::rfc3339(at)));
    }
    if !ended.message.is_empty() {
        out.push_str(&format!(", message: {}", ended.message));
    }
    out
}

fn pointer_of(container: &Container) -> &'static str {
    if matches!(container.state, State::Terminated(_)) { "/state/terminated" } else { "/lastState/terminated" }
}

fn oom(facts: &Facts, pod: &Pod, container: &Container, ended: &Terminated, severity: Severity) -> Draft {
    let (namespace, name) = &pod.key;
    let limit = container.limits.get("memory");
    let limit_text = limit.map_or_else(|| "it has no limit, so the node ran out".to_owned(), |l| format!("limit {l}"));
    let lived = ended.started.zip(ended.finished).map(|(a, b)| b - a);
    let mut draft = Draft::new("container-oom-killed", Category::Resources, severity, Level::Two)
        .about(pod.subject())
        .title(format!(
            "{{who}}: container {} is killed for its memory ({limit_text}; {})",
            container.name,
            text::count(usize::try_from(container.restarts).unwrap_or_default(), "restart")
        ))
        .meaning(format!(
            "The kernel killed the container because its memory reached the limit{}. It will happen again until the limit is raised or the program needs less.",
            limit.map_or_else(String::new, |l| format!(" of {l}"))
        ))
        .seen_in([status(pod, container, pointer_of(container), &show(ended))])
        .because("the kubelet recorded reason OOMKilled")
        .confidence(0.97)
        .same_when(format!("{} {} {:?}", container.name, container.image, limit))
        .between(ended.started, ended.finished)
        .times(container.restarts.unsigned_abs())
        .remedy([
            match limit {
                Some(limit) => format!("Raise resources.limits.memory of container {} above {limit} in {}", container.name, owner_of(pod)),
                None => format!("Give container {} a memory request, and look at what else uses the memory of node {}", container.name, pod.node),
            },
            format!("Watch its memory: kubectl -n {namespace} top pod {name} --containers"),
            "If it grows without end under constant load, hand the case to the developers with this bundle".to_owned(),
        ]);
    if let Some(lived) = lived {
        draft = draft.because(format!("its last instance lived for {}", text::duration(lived)));
    }
    if let Some(usage) = facts.usage.get(&(pod.key.clone(), container.name.clone()))
        && let Some(memory) = usage.memory
    {
        let share =
            limit.and_then(|l| quantity::bytes(l)).map_or_else(String::new, |l| format!(" of {}", size::human(l)));
        draft =
            draft.seen_in([usage.at.evidence(&format!("{}: memory {}{share}", container.name, size::human(memory)))]);
    }
    draft
}

/// The event with which the kubelet killed this instance for a failed probe.
fn probe_kill<'a>(facts: &'a Facts, pod: &Pod, container: &Container, ended: &Terminated) -> Option<&'a Event> {
    let about = |e: &&Event| e.container().is_none_or(|name| name == container.name);
    let kill = facts.events_about(&pod.subject()).rev().filter(about).find(|e| {
        e.reason == "Killing"
            && (e.message.contains("failed liveness probe") || e.message.contains("failed startup probe"))
    })?;
    // An instance that ended long before, or long after, ended for another reason.
    let (Some(killed), Some(finished)) = (kill.last, ended.finished) else { return Some(kill) };
    let room = TimeDelta::try_seconds(pod.grace.clamp(0, 3600) + 60)?;
    (kill.first.unwrap_or(killed) - TimeDelta::seconds(5) <= finished && finished - killed <= room).then_some(kill)
}

fn killed_by_probe(
    facts: &Facts,
    pod: &Pod,
    container: &Container,
    ended: &Terminated,
    kill: &Event,
    severity: Severity,
) -> Draft {
    let (namespace, name) = &pod.key;
    let which = if kill.message.contains("startup") { "startup" } else { "liveness" };
    let capital = if which == "startup" { "Startup" } else { "Liveness" };
    let failure =
        facts.events_about(&pod.subject()).rev().find(|e| e.reason == "Unhealthy" && e.message.starts_with(capital));
    let why = failure.map_or("", |e| e.message.split_once("failed: ").map_or(e.message.as_str(), |(_, why)| why));
    let mut draft = Draft::new("liveness-probe-kill", Category::Startup, severity, Level::Two)
        .about(pod.subject())
        .title(format!(
            "{{who}}: container {} is restarted because its {which} probe fails ({} restarts): {}",
            container.name, container.restarts, text::line(why, 120)
        ))
        .meaning(format!(
            "The program did not end by itself: the kubelet killed it (exit code {}) because the probe did not get its answer. \
             Either the probe asks at the wrong place or too early, or the program hangs.",
            ended.exit
        ))
        .seen_in([kill.evidence()])
        .seen_in(failure.map(Event::evidence))
        .seen_in([status(pod, container, pointer_of(container), &show(ended))])
        .because(format!("the event Killing names the {which} probe"))
        .confidence(0.95)
        .same_when(format!("{} {} {which} {}", container.name, container.image, shape(why)))
        .between(kill.first, kill.last.max(ended.finished))
        .times(container.restarts.unsigned_abs())
        .remedy([
            format!("Compare port and path of the probe with what the program listens on: kubectl -n {namespace} describe pod {name}"),
            format!("Read what the program did until it was killed: kubectl -n {namespace} logs {name} -c {} --previous", container.name),
            format!("If it only needs longer to start, give {} a startupProbe or a larger initialDelaySeconds", owner_of(pod)),
        ]);
    if let Some(log) = facts.last_log(pod, container)
        && let Some(cause) = log.cause()
    {
        // The last thing that it said, whatever that is; an error says more.
        let last = if cause.is_error {
            cause.evidence.into_iter().take(2).collect()
        } else {
            cause.evidence.into_iter().rev().take(1).collect::<Vec<_>>()
        };
        draft = draft.seen_in(last);
    }
    draft
}

fn config_error(pod: &Pod, container: &Container, message: &str) -> Draft {
    let (namespace, name) = &pod.key;
    let step = match missing_object(message) {
        Some((kind, object)) => {
            format!("Create it, or correct its name in {}: kubectl -n {namespace} get {kind} {object}", owner_of(pod))
        }
        None => format!(
            "Compare the references of the container with what exists: kubectl -n {namespace} get configmaps,secrets"
        ),
    };
    Draft::new("container-config-error", Category::Configuration, Severity::Critical, Level::Two)
        .about(pod.subject())
        .title(format!("{{who}}: container {} cannot be created: {message}", container.name))
        .meaning("The container refers to configuration that does not exist, so the kubelet cannot create it.")
        .seen_in([status(pod, container, "/state/waiting", &format!("waiting, CreateContainerConfigError: {message}"))])
        .because("the kubelet names what is missing")
        .confidence(0.97)
        .same_when(message)
        .between(pod.created, None)
        .remedy([step, format!("It starts by itself then: kubectl -n {namespace} get pod {name} -w")])
}

/// Kind and name in `configmap "a" not found` or `couldn't find key k in Secret ns/a`.
fn missing_object(message: &str) -> Option<(&'static str, &str)> {
    for (word, kind) in [("configmap \"", "configmap"), ("secret \"", "secret")] {
        if let Some((_, rest)) = message.split_once(word) {
            return Some((kind, rest.split('"').next()?));
        }
    }
    for (word, kind) in [("in ConfigMap ", "configmap"), ("in Secret ", "secret")] {
        if let Some((_, rest)) = message.split_once(word) {
            return Some((kind, rest.split(' ').next()?.rsplit('/').next()?));
        }
    }
    None
}

fn command_error(facts: &Facts, pod: &Pod, container: &Container, reason: &str, message: &str) -> Draft {
    let (namespace, name) = &pod.key;
    let ended = container.ended();
    let code = ended.map(|e| e.exit);
    let log = facts.last_log(pod, container).and_then(|l| l.cause());
    let message = if message.is_empty() { ended.map_or("", |e| e.message.as_str()) } else { message };
    let said = match (&log, message) {
        (_, m) if !m.is_empty() => m.to_owned(),
        (Some(cause), _) => cause.text.clone(),
        _ => code.map_or_else(|| reason.to_owned(), |c| exits::explain(c).to_owned()),
    };
    let code_text = code.map_or_else(String::new, |c| format!(" (exit code {c})"));
    Draft::new("container-command-error", Category::Startup, Severity::Critical, Level::Two)
        .about(pod.subject())
        .title(format!("{{who}}: container {} cannot run its command{code_text}: {}", container.name, text::line(&said, 160)))
        .meaning(format!("The image and the command do not fit: {}.", code.map_or("the runtime cannot start it", exits::explain)))
        .seen_in([status(pod, container, "/state", &format!("{reason}: {message}"))])
        .seen_in(ended.map(|e| status(pod, container, pointer_of(container), &show(e))))
        .seen_in(log.into_iter().flat_map(|c| c.evidence.into_iter().take(3)))
        .because("the program never began to work")
        .same_when(format!("{} {} {}", container.name, container.image, shape(&said)))
        .remedy([
            format!("Look at command and args: kubectl -n {namespace} get pod {name} -o jsonpath='{{.spec.containers[*].command}} {{.spec.containers[*].args}}'"),
            format!("Check that image {} has this program, for this CPU architecture, and may execute it", container.image),
        ])
}

/// A container that ends with an error, again and again.
fn crash(facts: &Facts, pod: &Pod, container: &Container, ended: Option<&Terminated>, severity: Severity) -> Draft {
    let (namespace, name) = &pod.key;
    let init = container.role == Role::Init;
    let rule = if init { "init-container-failed" } else { "container-crash" };
    let cause = facts.last_log(pod, container).and_then(|l| l.cause());
    let message = ended.map(|e| e.message.as_str()).filter(|m| !m.is_empty());
    let said = match (&cause, message) {
        (Some(cause), _) if cause.is_error => Some(cause.text.clone()),
        (_, Some(message)) => Some(text::line(message, 200)),
        (Some(cause), None) => Some(cause.text.clone()),
        (None, None) => None,
    };
    let is_error = cause.as_ref().is_some_and(|c| c.is_error) || message.is_some();
    let reading = said.as_deref().and_then(exits::read);
    let code = ended.map_or(-1, |e| e.exit);
    let job = pod.owner.as_ref().is_some_and(|(kind, _)| kind == "Job");
    let verb = if job { "fails" } else { "keeps crashing" };
    let what = match &said {
        Some(said) if is_error => format!(": {said}"),
        Some(said) => format!("; its last line: {said}"),
        None => format!(": {}", exits::explain(code)),
    };
    let restarts = if container.restarts > 0 { format!(", {} restarts", container.restarts) } else { String::new() };
    let label = if init { "init container" } else { "container" };
    let mut draft = Draft::new(
        rule,
        reading.as_ref().map_or(Category::Startup, |r| r.category),
        severity,
        if reading.is_some() || !is_error { Level::Two } else { Level::Three },
    )
    .about(pod.subject())
    .title(format!("{{who}}: {label} {} {verb} (exit code {code}{restarts}){what}", container.name))
    .meaning(format!(
        "The program ends by itself with exit code {code}: {}.{}",
        exits::explain(code),
        reading.as_ref().map_or_else(String::new, |r| format!(" Its error says that {}.", r.says))
    ))
    .seen_in(cause.iter().flat_map(|c| c.evidence.iter().take(4).cloned()))
    .seen_in(ended.map(|e| status(pod, container, pointer_of(container), &show(e))))
    .confidence(if is_error { 0.85 } else { 0.6 })
    .same_when(format!("{} {code}\u{0}{}", container.name, shape(said.as_deref().unwrap_or_default())))
    .between(ended.and_then(|e| e.started), ended.and_then(|e| e.finished))
    .times(container.restarts.unsigned_abs());
    if is_error {
        draft = draft.because("the last log of the container ends with this error");
    } else if said.is_none() {
        draft = draft.because("no log of the ended container is in the bundle, so the exit code is all there is");
    }
    if let Some(reading) = &reading {
        draft = draft.remedy([reading.step]);
    }
    let previous = if job { "" } else { " --previous" };
    draft = draft
        .remedy([format!("Read the whole log: kubectl -n {namespace} logs {name} -c {}{previous}", container.name)]);
    if job {
        return draft.remedy([format!(
            "When the cause is gone, delete {} and create it anew; a failed Job does not try again",
            owner_of(pod)
        )]);
    }
    draft.remedy([
        format!("Check what was changed last: kubectl -n {namespace} rollout history {}", owner_path(pod)),
        format!(
            "If nothing was changed, hand the case to the developers of image {} with this bundle",
            container.image
        ),
    ])
}

/// The text without what differs between two instances: numbers, addresses, ids.
fn shape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(120) {
        match c {
            c if c.is_ascii_digit() => {
                if !out.ends_with('#') {
                    out.push('#');
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// `statefulset/kms-core`, or the pod itself.
pub(in crate::triage) fn owner_path(pod: &Pod) -> String {
    match &pod.owner {
        Some((kind, name)) if kind == "ReplicaSet" => {
            // The name of a Deployment's replica set is the Deployment's, a dash and a hash.
            let deployment = name.rsplit_once('-').map_or(name.as_str(), |(d, _)| d);
            format!("deployment/{deployment}")
        }
        Some((kind, name)) => format!("{}/{name}", kind.to_ascii_lowercase()),
        None => format!("pod/{}", pod.key.1),
    }
}

fn owner_of(pod: &Pod) -> String {
    owner_path(pod)
}

/// A pod whose containers wait to be created: volumes, or the sandbox.
fn not_created(facts: &Facts, pod: &Pod) -> Option<Draft> {
    let subject = pod.subject();
    let event =
        facts.newest(&subject, &["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"])?;
    let (namespace, name) = &pod.key;
    let (rule, category, title, steps): (_, _, _, Vec<String>) = match event.reason.as_str() {
        "FailedAttachVolume" => (
            "volume-attach-failed",
            Category::Storage,
            "a volume cannot be attached to its node",
            vec![
                "Look at which node still holds the volume: kubectl get volumeattachments".to_owned(),
                format!(
                    "If that node is gone for good, delete its pods and the stale VolumeAttachment; node now: {}",
                    pod.node
                ),
            ],
        ),
        "FailedCreatePodSandBox" => (
            "pod-sandbox-failed",
            Category::Connectivity,
            "its sandbox cannot be created",
            vec![
                format!(
                    "Check the pods of the network plugin on node {}: kubectl -n kube-system get pods -o wide",
                    pod.node
                ),
                "Read the kubelet's and the container runtime's log on the node".to_owned(),
            ],
        ),
        _ => (
            "volume-mount-failed",
            Category::Storage,
            "a volume cannot be mounted",
            vec![
                format!("Check that what the message names exists: kubectl -n {namespace} get pvc,secrets,configmaps"),
                format!("Read all events of the pod: kubectl -n {namespace} describe pod {name}"),
            ],
        ),
    };
    Some(
        Draft::new(rule, category, Severity::Critical, Level::Two)
            .about(subject)
            .title(format!("{{who}}: {title}: {}", text::line(&event.message, 160)))
            .meaning("The containers of the pod are not created before this works.")
            .seen_in([event.evidence()])
            .because(format!("the newest event of the pod is {}", event.reason))
            .same_when(shape(&event.message))
            .between(event.first, event.last)
            .times(event.count)
            .remedy(steps),
    )
}
