//! Which finding follows from which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::draft::Reaching;
use super::super::finding::{Category, Finding, Severity, Subject};
use super::super::rules;
use super::depth::{Links, PODS, SYMPTOM, depth, depth_of};

/// Findings that a service is gone; they follow from what is wrong with the pods behind it.
fn is_service_down(rule: &str) -> bool {
    matches!(rule, "webhook-backend-down" | "cluster-dns-down" | "api-service-unavailable")
}

/// Whether one finding is about the pods behind the service that another one calls down.
fn is_behind(cause: &Finding, (down, pods): &Reaching, links: &Links) -> bool {
    is_service_down(&down.rule)
        && (depth(&cause.rule, links) <= PODS || cause.rule == "readiness-probe-failing")
        // A webhook that is down refuses its own pods, too.
        && cause.rule != "pod-create-webhook"
        && cause.subjects.iter().any(|s| s.kind() == "pod" && pods.contains(s))
}

/// For each finding, the findings that follow from it, directly or over others.
pub(super) fn edges(
    found: &[Reaching],
    reach: &[BTreeSet<Subject>],
    links: &Links,
) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut by_subject: BTreeMap<&Subject, Vec<usize>> = BTreeMap::new();
    for (i, (finding, touches)) in found.iter().enumerate() {
        for subject in finding.subjects.iter().chain(touches) {
            by_subject.entry(subject).or_default().push(i);
        }
    }
    let mut direct: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (i, (cause, _)) in found.iter().enumerate() {
        if cause.category == Category::DataQuality || cause.severity == Severity::Info {
            continue;
        }
        for effect in reach[i].iter().filter_map(|s| by_subject.get(s)).flatten().copied() {
            let (other, _) = &found[effect];
            let before = depth_of(cause, links) < depth_of(other, links) && !is_behind(other, &found[i], links);
            let follows = before || is_behind(cause, &found[effect], links);
            if effect != i && follows && plausible(cause, other, links) {
                direct.entry(i).or_default().insert(effect);
            }
        }
    }
    // Over others: effects of effects.
    let mut all = BTreeMap::new();
    for start in direct.keys() {
        let mut seen = BTreeSet::new();
        let mut todo: VecDeque<usize> = direct[start].iter().copied().collect();
        while let Some(next) = todo.pop_front() {
            if next != *start && seen.insert(next) {
                todo.extend(direct.get(&next).into_iter().flatten().copied());
            }
        }
        all.insert(*start, seen);
    }
    all
}

/// Pairs that share a subject and still have nothing to do with each other.
fn plausible(cause: &Finding, effect: &Finding, links: &Links) -> bool {
    if effect.category == Category::DataQuality {
        return false;
    }
    // A rule of a profile may say itself what it goes with.
    let may = |id: &str, patterns: fn(&rules::Links) -> &Vec<String>, other: &str| {
        links.get(id).is_none_or(|l| rules::names(patterns(l), other))
    };
    if !may(&cause.rule, |l| &l.explains, &effect.rule) || !may(&effect.rule, |l| &l.explained_by, &cause.rule) {
        return false;
    }
    // What an upgrade will break has nothing to do with what is broken now.
    if effect.rule == "deprecated-api" {
        return false;
    }
    // An autoscaler that lacks a request or its target lacks it whatever else is wrong with the pods.
    if effect.rule == "hpa-cannot-scale" && ["missing request", "not found"].iter().any(|w| effect.title.contains(w)) {
        return false;
    }
    match cause.rule.as_str() {
        // An old kubelet has worked so far; it misreads what is new, and breaks no image and no program.
        "version-skew" => {
            matches!(
                effect.rule.as_str(),
                "node-not-ready" | "pod-sandbox-failed" | "pod-not-ready" | "failures-in-common"
            )
        }
        "node-taint-not-tolerated" => effect.rule == "pod-unschedulable" && effect.title.contains(" taint {"),
        // Who waits for a CPU answers late, and is else well.
        "node-cpu-high" => matches!(
            effect.rule.as_str(),
            "readiness-probe-failing" | "liveness-probe-kill" | "pod-not-ready" | "container-restarts" | "error-burst"
        ),
        "node-memory-high" => {
            matches!(effect.rule.as_str(), "pod-evicted" | "pod-not-ready")
                || effect.rule.ends_with("/node-out-of-memory")
        }
        // A pressed node evicts and refuses; it does not break an image or a configuration.
        "node-disk-pressure" | "node-memory-pressure" | "node-pid-pressure" => {
            !effect.rule.starts_with("image-pull-a")
                && !matches!(
                    effect.rule.as_str(),
                    "container-config-error"
                        | "image-pull-not-found"
                        | "image-name-invalid"
                        | "container-command-error"
                )
                && !effect.rule.contains('/')
        }
        "node-problem" | "node-not-ready" | "node-network-unavailable" => !matches!(
            effect.rule.as_str(),
            "container-config-error"
                | "image-pull-not-found"
                | "image-pull-auth"
                | "image-name-invalid"
                | "container-command-error"
                | "container-oom-killed"
        ),
        "node-cordoned" => {
            effect.rule == "pod-unschedulable" && effect.title.contains("unschedulable")
                || depth(&effect.rule, links) > 3
        }
        // DNS breaks whatever cannot resolve or reach something.
        "clock-skew" if cause.subjects.iter().all(|s| s.kind() == "node") => depth(&effect.rule, links) >= SYMPTOM,
        "cluster-dns-down" | "clock-skew" => {
            matches!(effect.category, Category::Connectivity | Category::Tls | Category::ExternalDependency)
        }
        "certificate-expired" | "certificate-not-yet-valid" | "certificate-expiring" => {
            matches!(
                effect.category,
                Category::Tls | Category::Connectivity | Category::Startup | Category::ThresholdNetwork
            ) && !effect.rule.starts_with("image-")
        }
        // What may not be reached looks like what is not there.
        "network-policy-denies-egress" => {
            matches!(
                effect.category,
                Category::Connectivity | Category::Startup | Category::ExternalDependency | Category::ThresholdNetwork
            ) && !effect.rule.starts_with("image-")
        }
        "network-policy-denies-ingress" => effect.category == Category::Connectivity,
        "volume-nearly-full" => effect.category == Category::Storage || effect.category == Category::Startup,
        "claim-pending" | "storage-class-missing" | "volume-provisioning-failed" | "claim-lost" => {
            !effect.rule.starts_with("image-") && !effect.rule.contains('/')
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, subject: &Subject, touches: &[Subject]) -> Reaching {
        let draft = crate::triage::draft::Draft::new(
            rule,
            Category::Startup,
            Severity::Critical,
            crate::triage::finding::Level::Two,
        );
        let merged = crate::triage::draft::merge(vec![draft.about(subject.clone()).reaches(touches.to_vec())]);
        merged.into_iter().next().unwrap()
    }

    #[test]
    fn a_service_that_is_down_follows_from_its_pods() {
        let (pod, other) = (Subject::new("Pod", "n", "hook-1"), Subject::new("Pod", "n", "db-0"));
        let hook = Subject::new("ValidatingWebhookConfiguration", "", "hooks");
        let down = finding("webhook-backend-down", &hook, std::slice::from_ref(&pod));
        let image = finding("image-pull-not-found", &pod, &[]);
        assert!(depth(&image.0.rule, &Links::new()) > depth(&down.0.rule, &Links::new()));
        assert!(is_behind(&image.0, &down, &Links::new()));
        assert!(!is_behind(&finding("image-pull-not-found", &other, &[]).0, &down, &Links::new()), "of another pod");
        assert!(
            !is_behind(&finding("pod-not-ready", &pod, &[]).0, &down, &Links::new()),
            "says only the same in other words"
        );
        assert!(
            !is_behind(&finding("pod-create-webhook", &pod, &[]).0, &down, &Links::new()),
            "is refused by the webhook itself"
        );

        let found = vec![down, image];
        let reach: Vec<BTreeSet<Subject>> =
            found.iter().map(|(f, t)| f.subjects.iter().chain(t).cloned().collect()).collect();
        assert_eq!(
            edges(&found, &reach, &Links::new()),
            BTreeMap::from([(1, BTreeSet::from([0]))]),
            "and never the other way"
        );
    }
}
