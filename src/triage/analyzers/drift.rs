//! What went out of step with time: leases that nobody renews, CA bundles that ended, configuration that is newer than what
//! uses it, logs that suddenly fill with errors.

use chrono::TimeDelta;

use crate::model::time::rfc3339;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Role, State};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How many durations a lease may be late before somebody should look.
const LATE: i32 = 4;
/// How old a burst of errors may be.
const RECENT: TimeDelta = TimeDelta::hours(1);
/// How much more than the average a burst must be.
const RISE: f64 = 3.0;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    leases(facts, out);
    bundles(facts, out);
    configuration(facts, out);
    bursts(facts, out);
}

fn leases(facts: &Facts, out: &mut Vec<Draft>) {
    for ((namespace, name), lease) in &facts.leases {
        let node = namespace == "kube-node-lease";
        let control =
            namespace == "kube-system" && matches!(name.as_str(), "kube-scheduler" | "kube-controller-manager");
        // Other leases are left behind by controllers that were removed, and nobody misses them.
        if !(node && facts.nodes.contains_key(name) || control) {
            continue;
        }
        let Some(renewed) = lease.renewed.filter(|_| lease.seconds > 0) else { continue };
        let late = facts.now - renewed;
        let allowed = TimeDelta::try_seconds(lease.seconds).unwrap_or_default() * LATE;
        if late <= allowed {
            continue;
        }
        let subject = if node { Subject::new("node", "", name) } else { Subject::new("lease", namespace, name) };
        out.push(
            Draft::new("lease-not-renewed", Category::Resources, Severity::Warning, Level::Two)
                .about(subject)
                .title(format!("{{who}}: the lease was not renewed for {}", text::duration(late)))
                .meaning(if node {
                    "The kubelet says every few seconds that it lives, and has stopped to. The node is lost, cut off, or too busy."
                } else {
                    "Nobody leads this part of the control plane: nothing is scheduled or reconciled until somebody does."
                })
                .seen_in([lease.at.evidence_at(
                    "/spec",
                    &format!("holder {}, renewed {}, lasts {} s", lease.holder, rfc3339(renewed), lease.seconds),
                )])
                .confidence(0.7)
                .between(Some(renewed), None)
                .remedy([if node {
                    format!("Look at the node: kubectl describe node {name}, then its kubelet: journalctl -u kubelet -e")
                } else {
                    format!("Look at its pods: kubectl -n kube-system get pods | grep {name}")
                }]),
        );
    }
}

fn bundles(facts: &Facts, out: &mut Vec<Draft>) {
    for hook in facts.webhooks.iter().filter(|h| h.blocks) {
        let Some(ends) = hook.ca_ends.filter(|ends| *ends < facts.now) else { continue };
        out.push(
            Draft::new("webhook-ca-expired", Category::Tls, Severity::Critical, Level::Two)
                .about(Subject::new("webhook", "", &hook.name))
                .title(format!("{{who}} of {} {} blocks requests: its CA certificate ended {}", hook.kind, hook.configuration, rfc3339(ends)))
                .meaning("The API server trusts nobody for this webhook any more, and with failurePolicy Fail nobody can create or change what the webhook covers.")
                .seen_in([hook.at.evidence(&format!("clientConfig.caBundle: the last certificate ended {}", rfc3339(ends)))])
                .confidence(0.85)
                .same_when(format!("{} {}", hook.configuration, hook.name))
                .reaches([Subject::new("service", &hook.service.0, &hook.service.1)])
                .between(Some(ends), None)
                .remedy([
                    "Let whoever makes the certificate (cert-manager, the operator itself) make a new one, and see that caBundle follows".to_owned(),
                    format!("Look at it: kubectl get {} {} -o yaml", hook.kind.to_ascii_lowercase(), hook.configuration),
                ]),
        );
    }
}

fn configuration(facts: &Facts, out: &mut Vec<Draft>) {
    for pod in facts.pods.values().filter(|p| !p.is_over() && p.deleting.is_none()) {
        let started = pod.containers.iter().filter(|c| c.role == Role::App).filter_map(|c| match &c.state {
            State::Running { since } => *since,
            _ => None,
        });
        let Some(started) = started.min() else { continue };
        let key = |name: &String| (pod.key.0.clone(), name.clone());
        let maps = pod.config_maps.iter().filter_map(|name| {
            let (at, created) = facts.config_maps.get(&key(name))?;
            Some(("ConfigMap", name, at, (*created)?))
        });
        let secrets = pod.secrets.iter().filter_map(|name| {
            let secret = facts.secrets.get(&key(name))?;
            Some(("Secret", name, &secret.at, secret.created?))
        });
        for (kind, name, at, created) in maps.chain(secrets).filter(|(.., created)| *created > started) {
            out.push(
                Draft::new("config-newer-than-pod", Category::Configuration, Severity::Info, Level::One)
                    .about(pod.subject())
                    .title(format!("{{who}}: {kind} {name} was made again {} after the container started", text::duration(created - started)))
                    .meaning("Variables keep the values from the start of the container, and not every program reads its files again. It may still run with the older content.")
                    .seen_in([
                        at.evidence_at("/metadata", &format!("{kind} {name}: creationTimestamp {}", rfc3339(created))),
                        pod.at.evidence_at("/status", &format!("container started {}", rfc3339(started))),
                    ])
                    .same_when(format!("{kind} {} {name}", pod.key.0))
                    .between(Some(created), None)
                    .remedy([format!("If it should have the new content, restart it: kubectl -n {} delete pod {}", pod.key.0, pod.key.1)]),
            );
        }
    }
}

fn bursts(facts: &Facts, out: &mut Vec<Draft>) {
    for (key, log) in facts.logs.iter().filter(|(key, _)| !key.previous) {
        let Some((from, to, errors)) = log.bursts().pop().filter(|(_, to, _)| facts.now - *to < RECENT) else {
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate for a comparison")]
        let rate = errors as f64 / (to - from).num_minutes().max(1) as f64;
        if rate < log.errors_a_minute() * RISE {
            continue;
        }
        let excerpt = log.cause().filter(|c| c.is_error).map(|c| c.evidence).unwrap_or_default();
        if excerpt.is_empty() {
            continue;
        }
        out.push(
            Draft::new("error-burst", Category::Performance, Severity::Info, Level::Two)
                .about(Subject::new("pod", &key.namespace, &key.pod))
                .title(format!(
                    "{{who}}: {errors} errors within {} in the log of container {}",
                    text::duration(to - from),
                    key.container
                ))
                .meaning("Before, there were far fewer. What changed at that time is in the timeline.")
                .seen_in(excerpt)
                .confidence(0.5)
                .between(Some(from), Some(to))
                .times(errors)
                .remedy([format!(
                    "Read them: kubectl -n {} logs {} -c {} --since-time {}",
                    key.namespace,
                    key.pod,
                    key.container,
                    rfc3339(from)
                )]),
        );
    }
}
