//! What makes pods: workloads short of replicas, refused creations, Jobs.

use chrono::TimeDelta;

use super::containers::owner_path;
use crate::triage::draft::Draft;
use crate::triage::facts::{Condition, CronJob, Event, Facts, Key, Workload};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How long a new workload may take to become ready.
const READY_WITHIN: TimeDelta = TimeDelta::minutes(2);
/// Failures of a controller to create pods that are older than this are history.
const REFUSED_WITHIN: TimeDelta = TimeDelta::hours(2);

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for (subject, workload) in &facts.workloads {
        short(facts, subject, workload, out);
        refused(facts, subject, workload, out);
        governing_service(facts, subject, workload, out);
    }
    for (key, job) in &facts.jobs {
        let subject = Subject::new("job", &key.0, &key.1);
        if let Some(failed) = job.conditions.iter().find(|c| c.kind == "Failed" && c.status == "True") {
            if superseded(facts, key) {
                continue;
            }
            out.push(job_failed(facts, key, subject, failed));
        } else if job.suspended {
            out.push(suspended("job-suspended", subject, &job.at));
        } else {
            let event = refusal_event(facts, &subject);
            out.extend(event.map(|e| create_refused(&subject, &e.message, [e.evidence()], e.first, e.last)));
        }
    }
    for (key, job) in &facts.cron_jobs {
        let subject = Subject::new("cronjob", &key.0, &key.1);
        if job.suspended {
            out.push(suspended("cronjob-suspended", subject, &job.at));
            continue;
        }
        out.extend(not_scheduled(facts, &subject, job));
        let failing = job.last_schedule.is_some_and(|at| job.last_success.is_none_or(|ok| ok < at));
        let runs = facts.jobs.iter().filter(|(k, j)| {
            k.0 == key.0 && j.owner.as_ref().is_some_and(|(kind, name)| kind == "CronJob" && name == &key.1)
        });
        let failed: Vec<&Key> = runs
            .filter(|(_, j)| j.conditions.iter().any(|c| c.kind == "Failed" && c.status == "True"))
            .map(|(k, _)| k)
            .collect();
        if failing && !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(|k| k.1.as_str()).collect();
            out.push(
                Draft::new("cronjob-failing", Category::Startup, Severity::Warning, Level::Two)
                    .about(subject)
                    .title(format!(
                        "{{who}} fails: {} failed ({})",
                        text::count(names.len(), "run"),
                        text::names(&names, 3)
                    ))
                    .meaning("What it should do at its schedule is not done.")
                    .seen_in([job.at.evidence(&format!(
                        "schedule {}, last success {}",
                        job.schedule,
                        job.last_success.map_or_else(|| "never".to_owned(), crate::model::time::rfc3339)
                    ))])
                    .between(job.last_success, job.last_schedule)
                    .reaches(failed.iter().map(|k| Subject::new("job", &k.0, &k.1)))
                    .remedy([format!(
                        "Read the log of its last run: kubectl -n {} logs job/{}",
                        key.0,
                        names.last().unwrap_or(&"NAME")
                    )]),
            );
        }
    }
}

/// A schedule that the controller cannot follow.
fn not_scheduled(facts: &Facts, subject: &Subject, job: &CronJob) -> Option<Draft> {
    let reasons =
        ["TooManyMissedTimes", "FailedNeedsStart", "UnparseableSchedule", "InvalidSchedule", "UnknownTimeZone"];
    let event = facts.newest(subject, &reasons)?;
    // It ran since then.
    if job.last_schedule.is_some_and(|at| event.last.is_none_or(|last| at > last)) {
        return None;
    }
    Some(
        Draft::new("cronjob-not-scheduled", Category::Configuration, Severity::Warning, Level::Two)
            .about(subject.clone())
            .title(format!("{{who}} makes no more runs: {}", text::line(&event.message, 160)))
            .meaning("What it should do at its schedule is not done, and there is no failed run to see.")
            .seen_in([event.evidence(), job.at.evidence_at("/spec/schedule", &format!("schedule {}", job.schedule))])
            .because(format!("the CronJob controller says {}", event.reason))
            .between(event.first, event.last)
            .times(event.count)
            .remedy([
                format!("Correct the schedule or the time zone, or set startingDeadlineSeconds (after more than 100 missed runs it gives up without one): kubectl -n {} edit cronjob {}", subject.namespace(), subject.name()),
                format!("Run it once by hand: kubectl -n {} create job --from=cronjob/{} {}-now", subject.namespace(), subject.name(), subject.name()),
            ]),
    )
}

fn suspended(rule: &str, subject: Subject, at: &crate::triage::facts::At) -> Draft {
    Draft::new(rule, Category::Configuration, Severity::Info, Level::One)
        .about(subject)
        .title("{who} is suspended")
        .meaning("Somebody has switched it off; it does nothing until spec.suspend is false.")
        .seen_in([at.evidence_at("/spec/suspend", "suspend: true")])
}

/// Whether a run of a `CronJob` failed and a later one has succeeded.
fn superseded(facts: &Facts, key: &Key) -> bool {
    let Some(job) = facts.jobs.get(key) else { return false };
    let Some((kind, name)) = &job.owner else { return false };
    kind == "CronJob"
        && facts
            .cron_jobs
            .get(&(key.0.clone(), name.clone()))
            .is_some_and(|c| c.last_success.is_some_and(|ok| job.created.is_none_or(|at| ok > at)))
}

fn job_failed(facts: &Facts, key: &Key, subject: Subject, failed: &Condition) -> Draft {
    let job = &facts.jobs[key];
    let event = facts.newest(&subject, &[failed.reason.as_str()]);
    Draft::new("job-failed", Category::Startup, Severity::Critical, Level::Two)
        .title(format!("{{who}} failed after {} ({})", text::count(usize::try_from(job.failed).unwrap_or_default(), "try").replace("trys", "tries"), failed.reason))
        .about(subject)
        .meaning(format!("{}. It does not try again by itself, and what waits for its result waits for ever.", failed.message.trim_end_matches('.')))
        .seen_in([job.at.evidence_at("/status/conditions", &failed.show())])
        .seen_in(event.map(Event::evidence))
        .because("the Job controller gave up")
        .confidence(0.9)
        .between(failed.since, failed.since)
        .remedy([
            format!("Read why: kubectl -n {} logs job/{} --all-containers", key.0, key.1),
            format!("When the cause is gone, run it again: delete the Job and let its chart or operator create it anew (kubectl -n {} delete job {})", key.0, key.1),
        ])
}

fn short(facts: &Facts, subject: &Subject, workload: &Workload, out: &mut Vec<Draft>) {
    let condition = |kind: &str| workload.conditions.iter().find(|c| c.kind == kind && c.status == "False");
    if let Some(stuck) = condition("Progressing").filter(|c| c.reason == "ProgressDeadlineExceeded") {
        out.push(
            Draft::new("rollout-stuck", Category::Startup, Severity::Critical, Level::Two)
                .about(subject.clone())
                .title(format!(
                    "{{who}}: the rollout is stuck; {} of {} wanted pods are ready, those of the old version included",
                    workload.ready, workload.desired
                ))
                .meaning(
                    "The new pods do not become ready in time. Pods of the old version keep running where they can.",
                )
                .seen_in([workload.at.evidence_at("/status/conditions", &stuck.show())])
                .because("the Deployment says ProgressDeadlineExceeded")
                .between(stuck.since, None)
                .remedy([
                    "Fix what keeps the new pods from becoming ready (see what this is a consequence of)".to_owned(),
                    format!(
                        "Or go back: kubectl -n {} rollout undo {}/{}",
                        workload.key.0,
                        subject.kind(),
                        workload.key.1
                    ),
                ]),
        );
        return;
    }
    // The Deployment says it for its replica sets.
    if workload.owner.is_some() || workload.ready >= workload.desired {
        return;
    }
    let since = condition("Available").and_then(|c| c.since).or(workload.created);
    if since.is_some_and(|at| facts.now - at < READY_WITHIN) && condition("Available").is_none() {
        return;
    }
    let severity = if workload.ready == 0 {
        Severity::Critical
    } else if workload.desired - workload.ready <= starting(facts, subject) {
        Severity::Info
    } else {
        Severity::Warning
    };
    let evidence = workload.conditions.iter().find(|c| c.status == "False").map_or_else(
        || format!("desired {}, ready {}", workload.desired, workload.ready),
        |c| format!("desired {}, ready {}; {}", workload.desired, workload.ready, c.show()),
    );
    out.push(
        Draft::new("workload-unavailable", Category::Startup, severity, Level::Two)
            .about(subject.clone())
            .title(format!("{{who}} has {} of {} pods ready", workload.ready, workload.desired))
            .meaning(if workload.ready == 0 {
                "Nothing of it works."
            } else {
                "It works with less than it should have."
            })
            .seen_in([workload.at.evidence_at("/status", &evidence)])
            .confidence(0.8)
            .between(since, None)
            .remedy([format!(
                "Look at its pods: kubectl -n {} describe {} {}",
                workload.key.0,
                subject.kind(),
                workload.key.1
            )]),
    );
}

/// How many pods of a workload were made a moment ago and may become ready yet.
fn starting(facts: &Facts, subject: &Subject) -> i64 {
    let young = facts.pods.values().filter(|p| {
        p.key.0 == subject.namespace()
            && !p.is_ready()
            && p.created.is_some_and(|at| facts.now - at < READY_WITHIN)
            && owner_path(p) == format!("{}/{}", subject.kind(), subject.name())
    });
    i64::try_from(young.count()).unwrap_or(i64::MAX)
}

/// Who refused to let a controller create a pod.
struct Refuser {
    rule: &'static str,
    category: Category,
    says: &'static str,
    step: &'static str,
}

fn refuser(message: &str) -> Refuser {
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if has(&["exceeded quota", "failed quota"]) {
        Refuser {
            rule: "pod-create-quota",
            category: Category::Resources,
            says: "the quota of the namespace is used up",
            step: "Raise the quota, or free some of it: kubectl -n {ns} describe resourcequota",
        }
    } else if has(&["failed calling webhook", "admission webhook"]) {
        Refuser {
            rule: "pod-create-webhook",
            category: Category::ExternalDependency,
            says: "an admission webhook refuses or does not answer",
            step: "Bring the webhook's service back, or correct what it refuses: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
        }
    } else if has(&["serviceaccount", "service account"]) {
        Refuser {
            rule: "pod-create-service-account",
            category: Category::Configuration,
            says: "its service account does not exist",
            step: "Create the service account, or correct its name in the workload: kubectl -n {ns} get serviceaccounts",
        }
    } else if has(&["violates podsecurity", "unable to validate against any security context constraint"]) {
        Refuser {
            rule: "pod-create-policy",
            category: Category::Security,
            says: "the pod security policy of the namespace forbids it",
            step: "Correct the securityContext as the message says: kubectl get namespace {ns} --show-labels",
        }
    } else if has(&[
        "limitrange",
        "maximum memory usage",
        "maximum cpu usage",
        "minimum memory usage",
        "minimum cpu usage",
    ]) {
        Refuser {
            rule: "pod-create-limit-range",
            category: Category::Resources,
            says: "the limit range of the namespace forbids its requests or limits",
            step: "Compare the resources of the pod with: kubectl -n {ns} describe limitrange",
        }
    } else {
        Refuser {
            rule: "pod-create-failed",
            category: Category::Startup,
            says: "the API server refuses",
            step: "Read the message of the API server in the evidence",
        }
    }
}

/// The event that says that a controller may not create pods, when it is about now.
fn refusal_event<'a>(facts: &'a Facts, subject: &Subject) -> Option<&'a Event> {
    let event = facts.newest(subject, &["FailedCreate"])?;
    let later = facts.newest(subject, &["SuccessfulCreate"]).is_some_and(|ok| ok.last > event.last);
    let recent = event.last.is_none_or(|at| facts.now - at < REFUSED_WITHIN);
    (recent && !later).then_some(event)
}

fn refused(facts: &Facts, subject: &Subject, workload: &Workload, out: &mut Vec<Draft>) {
    let failure = workload.conditions.iter().find(|c| c.kind == "ReplicaFailure" && c.status == "True");
    let event = refusal_event(facts, subject).filter(|_| workload.ready < workload.desired);
    // A Deployment repeats the condition of its replica set.
    if failure.is_some() && workload.kind == "Deployment" {
        let has_set = facts.workloads.values().any(|w| {
            w.kind == "ReplicaSet"
                && w.key.0 == workload.key.0
                && w.owner.as_ref().is_some_and(|(_, name)| name == &workload.key.1)
                && w.conditions.iter().any(|c| c.kind == "ReplicaFailure" && c.status == "True")
        });
        if has_set {
            return;
        }
    }
    let Some(message) = failure.map(|c| c.message.as_str()).or(event.map(|e| e.message.as_str())) else { return };
    let evidence = failure
        .map(|c| workload.at.evidence_at("/status/conditions", &c.show()))
        .into_iter()
        .chain(event.map(Event::evidence));
    let first = failure.and_then(|c| c.since).or_else(|| event.and_then(|e| e.first));
    out.push(create_refused(subject, message, evidence, first, event.and_then(|e| e.last)));
}

fn create_refused(
    subject: &Subject,
    message: &str,
    evidence: impl IntoIterator<Item = crate::triage::Evidence>,
    first: Option<crate::model::time::Timestamp>,
    last: Option<crate::model::time::Timestamp>,
) -> Draft {
    let namespace = subject.namespace();
    let refuser = refuser(message);
    let detail = message.split_once("is forbidden: ").map_or(message, |(_, d)| d);
    Draft::new(refuser.rule, refuser.category, Severity::Critical, Level::Two)
        .about(subject.clone())
        .title(format!("{{who}} cannot create pods: {}: {}", refuser.says, text::line(detail, 160)))
        .meaning("The missing pods do not exist at all, so there is nothing of theirs to look at.")
        .seen_in(evidence)
        .because("the API server's answer names who refused")
        .confidence(0.95)
        .between(first, last)
        .reaches(touched(namespace, message))
        .remedy([
            refuser.step.replace("{ns}", namespace),
            format!(
                "The controller tries again by itself: kubectl -n {namespace} get {} {} -w",
                subject.kind(),
                subject.name()
            ),
        ])
}

/// What a refusal names: the quota, or the webhook.
fn touched(namespace: &str, message: &str) -> Vec<Subject> {
    let mut found = Vec::new();
    if let Some((_, rest)) = message.split_once("exceeded quota: ") {
        found.push(Subject::new("resourcequota", namespace, rest.split(',').next().unwrap_or_default()));
    }
    for marker in ["failed calling webhook \"", "admission webhook \""] {
        if let Some((_, rest)) = message.split_once(marker) {
            found.push(Subject::new("webhook", "", rest.split('"').next().unwrap_or_default()));
        }
    }
    found
}

fn governing_service(facts: &Facts, subject: &Subject, workload: &Workload, out: &mut Vec<Draft>) {
    let (namespace, name) = &workload.key;
    if workload.kind != "StatefulSet" || workload.service.is_empty() || !facts.listed("", "services", namespace) {
        return;
    }
    if !facts.services.contains_key(&(namespace.clone(), workload.service.clone())) {
        out.push(
            Draft::new("statefulset-service-missing", Category::Configuration, Severity::Warning, Level::Two)
                .about(subject.clone())
                .title(format!("{{who}}: its governing service {} does not exist", workload.service))
                .meaning("The pods have no stable DNS names, so peers that use such names cannot find each other.")
                .seen_in([workload.at.evidence_at("/spec/serviceName", &format!("serviceName: {}", workload.service))])
                .remedy([format!(
                    "Create a headless service {} in namespace {namespace} that selects the pods of {name}",
                    workload.service
                )]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (message, want) in [
            (
                "pods \"a\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=3, limited: pods=3",
                "pod-create-quota",
            ),
            (
                "Internal error occurred: failed calling webhook \"x.y.io\": failed to call webhook: Post \"https://..\": connection refused",
                "pod-create-webhook",
            ),
            (
                "pods \"a-\" is forbidden: error looking up service account ns/x: serviceaccount \"x\" not found",
                "pod-create-service-account",
            ),
            (
                "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
                "pod-create-policy",
            ),
            (
                "pods \"a\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi",
                "pod-create-limit-range",
            ),
            ("etcdserver: request timed out", "pod-create-failed"),
        ] {
            assert_eq!(refuser(message).rule, want, "{message}");
        }
        assert_eq!(touched("ns", "exceeded quota: compute, requested")[0].as_str(), "resourcequota/ns/compute");
    }
}
