//! Quotas, autoscalers and disruption budgets.

use super::services::Labels;
use crate::model::quantity;
use crate::triage::draft::Draft;
use crate::triage::facts::Facts;
use crate::triage::finding::{Category, Level, Severity, Subject};

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    quotas(facts, out);
    let by_label = Labels::new(facts);
    for (subject, object) in &facts.others {
        match object.kind.as_str() {
            "HorizontalPodAutoscaler" => autoscaler(subject, object, out),
            "PodDisruptionBudget" => {
                let blocked = object.conditions.iter().find(|c| c.kind == "DisruptionAllowed" && c.status == "False");
                let pods: Vec<_> = by_label.select(&object.key.0, &object.selector).collect();
                let Some(blocked) = blocked.filter(|_| pods.iter().any(|p| !p.is_ready() && !p.is_over())) else {
                    continue;
                };
                out.push(
                    Draft::new("disruption-budget-blocks", Category::Resources, Severity::Info, Level::One)
                        .about(subject.clone())
                        .title("{who} allows no disruption while pods are not ready")
                        .meaning("Draining a node that has its pods will wait.")
                        .seen_in([object.at.evidence_at("/status/conditions", &blocked.show())])
                        .reaches(pods.iter().map(|p| p.subject()))
                        .between(blocked.since, None),
                );
            }
            _ => {}
        }
    }
}

fn quotas(facts: &Facts, out: &mut Vec<Draft>) {
    for ((namespace, name), quota) in &facts.quotas {
        let full: Vec<String> = quota
            .hard
            .iter()
            .filter_map(|(resource, hard)| {
                let used = quota.used.get(resource)?;
                let (u, h) = (quantity::parse(used)?, quantity::parse(hard)?);
                // A quota of nothing forbids on purpose.
                (h > 0.0 && u >= h).then(|| format!("{resource} {used} of {hard}"))
            })
            .collect();
        if full.is_empty() {
            continue;
        }
        let subject = Subject::new("resourcequota", namespace, name);
        let refused = out.iter().filter(|d| d.rule == "pod-create-quota" && d.touches.contains(&subject));
        let severity = refused.map(|d| d.severity).max().unwrap_or(Severity::Info);
        let refused = severity > Severity::Info;
        out.push(
            Draft::new("quota-exhausted", Category::Resources, severity, Level::Two)
                .about(Subject::new("resourcequota", namespace, name))
                .title(format!("{{who}} of namespace {namespace} is used up: {}", full.join(", ")))
                .meaning(if refused {
                    "The API server refuses new pods in this namespace until some quota is free."
                } else {
                    "What is asked for next is refused."
                })
                .seen_in([quota.at.evidence_at("/status", &full.join(", "))])
                .because("used has reached hard")
                .confidence(0.9)
                .remedy([
                    format!("See what uses it: kubectl -n {namespace} describe resourcequota {name}"),
                    format!("Raise the quota, or remove what is not needed in namespace {namespace}"),
                ]),
        );
    }
}

fn autoscaler(subject: &Subject, object: &crate::triage::facts::Conditioned, out: &mut Vec<Draft>) {
    let target = Subject::new(&object.target.0, &object.key.0, &object.target.1);
    for condition in &object.conditions {
        let (rule, severity, title, meaning) = match (condition.kind.as_str(), condition.status.as_str()) {
            ("AbleToScale" | "ScalingActive", "False") if condition.reason != "ScalingDisabled" => (
                "hpa-cannot-scale",
                Severity::Warning,
                format!("{{who}} cannot scale {}: {}", object.target.1, condition.message),
                "The number of pods does not follow the load.",
            ),
            ("ScalingLimited", "True") if condition.reason == "TooManyReplicas" => (
                "hpa-at-maximum",
                Severity::Info,
                format!("{{who}} is at its maximum for {}", object.target.1),
                "It would add pods if it were allowed to.",
            ),
            _ => continue,
        };
        out.push(
            Draft::new(rule, Category::Performance, severity, Level::Two)
                .about(subject.clone())
                .title(title)
                .meaning(meaning)
                .seen_in([object.at.evidence_at("/status/conditions", &condition.show())])
                .same_when(format!("{subject} {}", condition.reason))
                .reaches([target.clone()])
                .between(condition.since, None)
                .remedy(match rule {
                    "hpa-cannot-scale" => vec![
                        "Check that the metrics server runs and the containers have requests: kubectl top pods"
                            .to_owned(),
                        format!("Read its events: kubectl -n {} describe hpa {}", object.key.0, object.key.1),
                    ],
                    _ => vec![format!(
                        "If the load is real, raise maxReplicas: kubectl -n {} edit hpa {}",
                        object.key.0, object.key.1
                    )],
                }),
        );
    }
}
