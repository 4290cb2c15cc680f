//! Any other object whose conditions say that it is not well, and deletions that do not end.

use chrono::TimeDelta;

use crate::triage::draft::Draft;
use crate::triage::facts::{Condition, Conditioned, Facts};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How long a condition must have been bad.
const LASTING: TimeDelta = TimeDelta::minutes(5);
/// How long a deletion may take.
const DELETE_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// Kinds with a rule of their own, or whose conditions mean something else.
fn has_own_rule(object: &Conditioned) -> bool {
    matches!(
        object.kind.as_str(),
        "HorizontalPodAutoscaler"
            | "PodDisruptionBudget"
            | "APIService"
            | "Namespace"
            | "CustomResourceDefinition"
            | "CertificateSigningRequest"
            | "PriorityLevelConfiguration"
            | "FlowSchema"
            | "ServiceAccount"
            | "ReplicationController"
            | "ValidatingAdmissionPolicy"
    ) || object.group == "metrics.k8s.io"
}

fn is_bad(group: &str, condition: &Condition) -> bool {
    match condition.kind.as_str() {
        // Words of the operator lifecycle manager.
        "CatalogSourcesUnhealthy" | "InstallPlanFailed" | "ResolutionFailed" | "BundleUnpackFailed"
            if group == "operators.coreos.com" =>
        {
            condition.status == "True"
        }
        "Installed" | "Serving" if group.ends_with("operatorframework.io") => condition.status == "False",
        "Ready" | "Available" | "Healthy" | "Synced" | "Accepted" | "Programmed" | "ResolvedRefs" => {
            condition.status == "False"
        }
        "Degraded" | "Failed" | "Stalled" => condition.status == "True",
        _ => false,
    }
}

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for (subject, object) in facts.others.iter().filter(|(_, o)| !has_own_rule(o)) {
        let bad = object
            .conditions
            .iter()
            .find(|c| is_bad(&object.group, c) && c.since.is_none_or(|since| facts.now - since > LASTING));
        let Some(bad) = bad else { continue };
        let certificate = object.group == "cert-manager.io";
        out.push(
            Draft::new(
                "resource-not-ready",
                if certificate { Category::Tls } else { Category::Startup },
                Severity::Warning,
                Level::Two,
            )
            .about(subject.clone())
            .title(format!(
                "{} {} says {}={}{}: {}",
                object.kind,
                object.key.1,
                bad.kind,
                bad.status,
                bad.since.map_or_else(String::new, |at| format!(" since {}", text::duration(facts.now - at))),
                text::line(if bad.message.is_empty() { &bad.reason } else { &bad.message }, 140)
            ))
            .meaning(format!("The controller of {} cannot do what the object asks for.", object.kind))
            .seen_in([object.at.evidence_at("/status", &bad.show())])
            .confidence(0.7)
            .between(bad.since, None)
            .reaches((!object.secret.is_empty()).then(|| Subject::new("secret", &object.key.0, &object.secret)))
            .remedy([
                format!(
                    "Read the object and its events: kubectl {}describe {}{} {}",
                    namespaced(&object.key.0),
                    object.kind.to_ascii_lowercase(),
                    if object.group.is_empty() { String::new() } else { format!(".{}", object.group) },
                    object.key.1
                ),
                "Read the log of the controller that owns this kind".to_owned(),
            ]),
        );
    }
    for deleting in &facts.deleting {
        let late = facts.now - deleting.since;
        if late < DELETE_WITHIN {
            continue;
        }
        let namespace_kind = deleting.kind == "Namespace";
        let rule = if namespace_kind { "namespace-stuck-terminating" } else { "object-stuck-deleting" };
        let finalizers = deleting.finalizers.join(", ");
        out.push(
            Draft::new(rule, Category::Startup, Severity::Warning, Level::Two)
                .about(Subject::new(&deleting.kind, &deleting.key.0, &deleting.key.1))
                .title(format!("{{who}} waits for its deletion since {}: finalizers {}", text::duration(late), if finalizers.is_empty() { "(none left)" } else { &finalizers }))
                .meaning("Its name stays taken until the controllers of the finalizers have done their work.")
                .seen_in([deleting.at.evidence_at("/metadata", &format!("deletionTimestamp {}, finalizers [{finalizers}]", crate::model::time::rfc3339(deleting.since)))])
                .confidence(0.8)
                .between(Some(deleting.since), None)
                .reaches(if namespace_kind { undiscovered(facts, &deleting.key.1) } else { vec![Subject::new("namespace", "", &deleting.key.0)] })
                .remedy([if namespace_kind {
                    format!("See what is left in it, and why: kubectl get namespace {} -o jsonpath='{{.status.conditions}}'", deleting.key.1)
                } else {
                    "Find the controller of each finalizer and why it does not run; remove a finalizer by hand only when its work is done".to_owned()
                }]),
        );
    }
}

/// The API services without which the namespace controller does not know what is left in a namespace.
fn undiscovered(facts: &Facts, namespace: &str) -> Vec<Subject> {
    let failed = facts.others.get(&Subject::new("Namespace", "", namespace)).and_then(|n| {
        n.conditions.iter().find(|c| c.kind == "NamespaceDeletionDiscoveryFailure" && c.status == "True")
    });
    let Some(failed) = failed else { return Vec::new() };
    let services = facts.others.iter().filter(|(_, o)| o.kind == "APIService");
    let named = services.filter(|(_, o)| {
        // `v1beta1.metrics.k8s.io` is `metrics.k8s.io/v1beta1` in the message.
        o.key.1.split_once('.').is_some_and(|(version, group)| failed.message.contains(&format!("{group}/{version}")))
    });
    named.map(|(subject, _)| subject.clone()).collect()
}

fn namespaced(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!("-n {namespace} ") }
}
