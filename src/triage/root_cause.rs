//! Joins findings into chains and ranks them: what explains what, and which one to look at first.
//!
//! Every rule has a depth, the distance from the cause. A finding explains another when it is less deep and reaches one of
//! its subjects, so the chains cannot go in circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::analyzers::{CONFIG_DEPTHS, VAULT_DEPTHS, owner_path};
use super::draft::Reaching;
use super::facts::{Event, Facts, Pod};
use super::finding::{Category, Finding, Severity, Subject};
use super::{rules, text};
use crate::profile::LabelSelector;

/// Findings that one finding may list as its consequences.
const EXPLAINS_MAX: usize = 200;

/// Distance of each rule from the cause. Rules of a profile (`kms/CFG03`) stand at [`SIGNATURE`].
const DEPTHS: [(&str, u8); 72] = [
    ("clock-skew", 0),
    ("node-not-ready", 0),
    ("node-disk-pressure", 0),
    ("node-memory-pressure", 0),
    ("node-pid-pressure", 0),
    ("node-network-unavailable", 0),
    ("node-cordoned", 0),
    ("webhook-backend-missing", 0),
    ("webhook-backend-down", 1),
    ("api-service-unavailable", 3),
    ("cluster-dns-down", 1),
    ("certificate-expired", 0),
    ("certificate-not-yet-valid", 0),
    ("certificate-expiring", 2),
    ("quota-exhausted", 1),
    ("version-skew", 1),
    ("storage-class-missing", 1),
    ("volume-provisioning-failed", 1),
    ("claim-lost", 1),
    ("claim-pending", 1),
    ("volume-nearly-full", 1),
    ("several-default-storage-classes", 1),
    ("webhook-ca-expired", 0),
    ("lease-not-renewed", 2),
    ("rbac-forbidden", 2),
    ("network-policy-denies-egress", 1),
    ("network-policy-denies-ingress", 1),
    ("container-config-error", 2),
    ("image-pull-auth", 2),
    ("image-pull-not-found", 2),
    ("image-pull-rate-limit", 2),
    ("image-pull-dns", 2),
    ("image-pull-tls", 2),
    ("image-pull-network", 2),
    ("image-pull-failed", 2),
    ("image-name-invalid", 2),
    ("image-never-pull", 2),
    ("volume-mount-failed", 2),
    ("volume-attach-failed", 2),
    ("pod-sandbox-failed", 2),
    ("container-command-error", 2),
    ("container-oom-killed", 2),
    ("statefulset-service-missing", 2),
    ("ingress-backend-missing", 2),
    ("ingress-secret-missing", 2),
    ("ingress-class-missing", 2),
    ("pod-evicted", 3),
    ("init-container-failed", 3),
    ("liveness-probe-kill", 3),
    ("container-crash", 3),
    ("pod-create-quota", 3),
    ("pod-create-limit-range", 3),
    ("pod-create-webhook", 3),
    ("pod-create-service-account", 3),
    ("pod-create-policy", 3),
    ("pod-create-failed", 3),
    ("pod-unschedulable", 3),
    ("pod-stuck-terminating", 3),
    ("object-stuck-deleting", 3),
    ("readiness-probe-failing", 4),
    ("job-failed", 4),
    ("workload-unavailable", 5),
    ("rollout-stuck", 5),
    ("cronjob-failing", 5),
    ("host-disk-full", 0),
    ("host-mount-hangs", 0),
    ("kms-peers-unreachable", 3),
    ("kms-endpoint-silent", 4),
    ("kms-endpoint-unreachable", 6),
    ("service-without-endpoints", 6),
    ("hpa-cannot-scale", 6),
    ("disruption-budget-blocks", 6),
];
const SIGNATURE: u8 = 2;
const SYMPTOM: u8 = 4;
/// Deepest rule that says what is wrong with a pod, and not only that it is not ready.
const PODS: u8 = 3;

/// Distance of a finding from the cause: that of its rule, but for a certificate that is not issued. Nothing below it
/// is known, and what lacks its Secret follows from it.
fn depth_of(finding: &Finding, links: &Links) -> u8 {
    if finding.rule == "resource-not-ready" && finding.category == Category::Tls {
        1
    } else {
        depth(&finding.rule, links)
    }
}

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

/// Rules that stand at [`SYMPTOM`].
const SYMPTOMS: [&str; 25] = [
    "bundle-incomplete",
    "container-restarts",
    "cronjob-suspended",
    "config-newer-than-pod",
    "error-burst",
    "event-burst",
    "helm-release-failed",
    "host-memory-low",
    "host-oom-kill",
    "host-unit-failed",
    "hpa-at-maximum",
    "job-suspended",
    "kms-config-drift",
    "kms-config-limiter",
    "kms-no-keys",
    "kms-private-files-readable",
    "lost-visibility",
    "namespace-stuck-terminating",
    "pod-failed",
    "pod-not-ready",
    "pod-scheduling-gated",
    "resource-not-ready",
    "rule-failed",
    "service-selects-nothing",
    "undecodable-data",
];

/// Ids of all analyzers' rules, so that a rule of a profile can only name what exists.
pub(super) static RULES: std::sync::LazyLock<Vec<&str>> = std::sync::LazyLock::new(|| {
    DEPTHS.iter().chain(&CONFIG_DEPTHS).chain(&VAULT_DEPTHS).map(|(rule, _)| *rule).chain(SYMPTOMS).collect()
});

/// Depth and links of the rules of profiles.
type Links = BTreeMap<String, rules::Links>;

fn depth(rule: &str, links: &Links) -> u8 {
    if let Some(links) = links.get(rule) {
        return links.depth;
    }
    if rule.contains('/') {
        return SIGNATURE;
    }
    DEPTHS.iter().chain(&CONFIG_DEPTHS).chain(&VAULT_DEPTHS).find(|(r, _)| *r == rule).map_or(SYMPTOM, |(_, d)| *d)
}

/// Links and ranks; gives the findings, the root cause first.
pub(super) fn rank(
    found: Vec<Reaching>,
    facts: &Facts,
    important: &[LabelSelector],
    links: &Links,
    coverage: f64,
) -> (Option<String>, Vec<Finding>) {
    let topology = Topology::new(facts);
    let reach: Vec<BTreeSet<Subject>> = found.iter().map(|(f, touches)| topology.reach(f, touches)).collect();
    let edges = edges(&found, &reach, links);
    let mut findings: Vec<Finding> = found.into_iter().map(|(f, _)| f).collect();
    let explained: BTreeSet<usize> = edges.values().flatten().copied().collect();
    let scores: Vec<Score> =
        (0..findings.len()).map(|i| Score::of(i, &findings, &edges, &explained, facts, important, links)).collect();
    for (i, effects) in &edges {
        let mut ids: Vec<String> = effects.iter().map(|e| findings[*e].id.clone()).collect();
        ids.truncate(EXPLAINS_MAX);
        findings[*i].explains = ids;
    }
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by(|a, b| {
        scores[*b].value.total_cmp(&scores[*a].value).then_with(|| {
            (findings[*a].first_seen.is_none(), findings[*a].first_seen, &findings[*a].id).cmp(&(
                findings[*b].first_seen.is_none(),
                findings[*b].first_seen,
                &findings[*b].id,
            ))
        })
    });
    let root = order
        .first()
        .copied()
        .filter(|i| findings[*i].severity >= Severity::Warning && findings[*i].category != Category::DataQuality);
    if let Some(root) = root {
        let rival = order.get(1).copied().filter(|i| {
            !explained.contains(i)
                && findings[*i].severity >= Severity::Warning
                && findings[*i].category != Category::DataQuality
        });
        explain_choice(&mut findings, root, rival, &scores, coverage);
    }
    let mut sorted: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    let ranked: Vec<Finding> = order.iter().filter_map(|i| sorted[*i].take()).collect();
    (root.and_then(|_| ranked.first().map(|f| f.id.clone())), ranked)
}

/// Adds why this one was chosen, and how sure that is.
fn explain_choice(findings: &mut [Finding], root: usize, rival: Option<usize>, scores: &[Score], coverage: f64) {
    let mut reasons = Vec::new();
    if scores[root].explains > 0 {
        reasons.push(format!("it explains {}", text::count(scores[root].explains, "other finding")));
    }
    if scores[root].important {
        reasons.push("it is about the main component of the system".to_owned());
    }
    let mut confidence = findings[root].confidence;
    if let Some(rival) = rival {
        let close = scores[rival].value >= scores[root].value * 0.9;
        if close {
            reasons.push(format!("an alternative is about as likely: {}", findings[rival].title));
            confidence *= 0.8;
        } else {
            reasons.push("nothing else that is found is as severe and explains as much".to_owned());
        }
    }
    if coverage < 1.0 {
        reasons.push(format!(
            "{:.0} % of what was planned could be read, so something worse may be hidden",
            coverage * 100.0
        ));
        confidence *= 0.5 + coverage / 2.0;
    }
    findings[root].because.extend(reasons);
    findings[root].confidence = (confidence * 100.0).round() / 100.0;
}

/// For each finding, the findings that follow from it, directly or over others.
fn edges(found: &[Reaching], reach: &[BTreeSet<Subject>], links: &Links) -> BTreeMap<usize, BTreeSet<usize>> {
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
    match cause.rule.as_str() {
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
        "node-not-ready" | "node-network-unavailable" => !matches!(
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

/// Who depends on whom.
struct Topology<'a> {
    facts: &'a Facts,
    on_node: BTreeMap<&'a str, Vec<&'a Pod>>,
    by_claim: BTreeMap<(&'a str, &'a str), Vec<&'a Pod>>,
    by_owner: BTreeMap<Subject, Vec<&'a Pod>>,
    /// Pods that complain about a service without a ready endpoint, by each pod behind that service.
    dependents: BTreeMap<Subject, Vec<&'a Pod>>,
}

impl<'a> Topology<'a> {
    fn new(facts: &'a Facts) -> Self {
        let mut on_node: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_claim: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_owner: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pod in facts.pods.values() {
            if !pod.node.is_empty() {
                on_node.entry(pod.node.as_str()).or_default().push(pod);
            }
            for claim in &pod.claims {
                by_claim.entry((pod.key.0.as_str(), claim.as_str())).or_default().push(pod);
            }
            if let Some((kind, name)) = &pod.owner {
                by_owner.entry(Subject::new(kind, &pod.key.0, name)).or_default().push(pod);
            }
        }
        Self { facts, on_node, by_claim, by_owner, dependents: dependents(facts) }
    }

    /// Everything that a finding may have made worse.
    fn reach(&self, finding: &Finding, touches: &BTreeSet<Subject>) -> BTreeSet<Subject> {
        let mut reached: BTreeSet<Subject> = finding.subjects.iter().chain(touches).cloned().collect();
        let starts: Vec<Subject> = reached.iter().cloned().collect();
        match finding.rule.as_str() {
            // These reach everything; `plausible` says what they can break.
            "clock-skew" if finding.subjects.iter().all(|s| s.kind() == "node") => {}
            "cluster-dns-down" | "clock-skew" => {
                reached.extend(self.facts.pods.values().map(Pod::subject));
            }
            "node-cordoned" => {
                let waiting = self.facts.pods.values().filter(|p| p.phase == "Pending" && p.node.is_empty());
                reached.extend(waiting.map(Pod::subject));
            }
            // A pressed or lost node also keeps pods away that fit nowhere else.
            rule if rule.starts_with("node-") => {
                let unscheduled = self.facts.pods.values().filter(|p| {
                    p.phase == "Pending"
                        && p.node.is_empty()
                        && p.condition("PodScheduled").is_some_and(|c| {
                            c.message.contains("taint")
                                && (c.message.contains("pressure")
                                    || c.message.contains("not-ready")
                                    || c.message.contains("unreachable"))
                        })
                });
                reached.extend(unscheduled.map(Pod::subject));
                // A lost node does not let go of its volumes.
                if rule == "node-not-ready" {
                    let held = |e: &&Event| e.reason == "FailedAttachVolume" && e.message.contains("Multi-Attach");
                    reached.extend(self.facts.events.iter().filter(held).map(|e| e.subject.clone()));
                }
            }
            _ => {}
        }
        for subject in &starts {
            match subject.kind() {
                "node" => {
                    for pod in self.on_node.get(subject.name()).into_iter().flatten() {
                        self.add_pod(pod, &mut reached);
                    }
                }
                "persistentvolumeclaim" => {
                    for pod in self.by_claim.get(&(subject.namespace(), subject.name())).into_iter().flatten() {
                        self.add_pod(pod, &mut reached);
                    }
                }
                "replicaset" | "statefulset" | "daemonset" | "job" => {
                    self.add_owners(subject, &mut reached);
                    for pod in self.by_owner.get(subject).into_iter().flatten() {
                        reached.insert(pod.subject());
                    }
                }
                _ => {}
            }
        }
        let pods: Vec<Subject> = reached.iter().filter(|s| s.kind() == "pod").cloned().collect();
        for subject in pods {
            if let Some(pod) = self.facts.pods.get(&(subject.namespace().to_owned(), subject.name().to_owned())) {
                self.add_pod(pod, &mut reached);
            }
            for pod in self.dependents.get(&subject).into_iter().flatten() {
                self.add_pod(pod, &mut reached);
            }
        }
        reached
    }

    fn add_pod(&self, pod: &Pod, reached: &mut BTreeSet<Subject>) {
        reached.insert(pod.subject());
        if let Some((kind, name)) = &pod.owner {
            let owner = Subject::new(kind, &pod.key.0, name);
            self.add_owners(&owner, reached);
            // The replica set itself may not be in the bundle.
            if kind == "ReplicaSet"
                && let Some((kind, name)) = owner_path(pod).split_once('/')
            {
                reached.insert(Subject::new(kind, &pod.key.0, name));
            }
            reached.insert(owner);
        }
    }

    /// The owners of a workload or Job, up to the top.
    fn add_owners(&self, subject: &Subject, reached: &mut BTreeSet<Subject>) {
        let mut next = Some(subject.clone());
        for _ in 0..4 {
            let Some(current) = next.take() else { return };
            let key = (current.namespace().to_owned(), current.name().to_owned());
            let owner = match current.kind() {
                "job" => self.facts.jobs.get(&key).and_then(|j| j.owner.clone()),
                _ => self.facts.workloads.get(&current).and_then(|w| w.owner.clone()),
            };
            reached.insert(current.clone());
            next = owner.map(|(kind, name)| Subject::new(&kind, current.namespace(), &name));
        }
        reached.extend(next);
    }
}

/// Who says in its log that it misses a service which has no ready endpoint: its pods, by each pod behind the service.
fn dependents(facts: &Facts) -> BTreeMap<Subject, Vec<&Pod>> {
    let mut found: BTreeMap<Subject, Vec<&Pod>> = BTreeMap::new();
    let complaining: Vec<&Pod> = facts.pods.values().filter(|p| !p.is_ready() && !p.is_over()).collect();
    for (key, service) in &facts.services {
        let down = !service.selector.is_empty() && facts.endpoints.get(key).is_some_and(|(ready, _)| *ready == 0);
        if !down {
            continue;
        }
        let selects = |p: &Pod| p.key.0 == key.0 && service.selector.iter().all(|(k, v)| p.labels.get(k) == Some(v));
        let misses = |p: &Pod| {
            p.containers.iter().any(|c| {
                let logs = [facts.running_log(p, &c.name), facts.last_log(p, c)];
                logs.into_iter().flatten().any(|log| log.names_host(&key.1, &key.0))
            })
        };
        let missing: Vec<&Pod> = complaining.iter().copied().filter(|p| !selects(p) && misses(p)).collect();
        for pod in facts.pods.values().filter(|p| selects(p)) {
            found.entry(pod.subject()).or_default().extend(&missing);
        }
    }
    found
}

/// How much a finding deserves to be looked at first.
struct Score {
    value: f64,
    explains: usize,
    important: bool,
}

impl Score {
    fn of(
        i: usize,
        findings: &[Finding],
        edges: &BTreeMap<usize, BTreeSet<usize>>,
        explained: &BTreeSet<usize>,
        facts: &Facts,
        important: &[LabelSelector],
        links: &Links,
    ) -> Self {
        let finding = &findings[i];
        let severity = |f: &Finding| match f.severity {
            Severity::Critical => 100.0,
            Severity::Warning => 40.0,
            Severity::Info => 1.0,
        };
        let effects = edges.get(&i);
        let explains = effects.map_or(0, BTreeSet::len);
        // What it explains counts, but many small things do not outweigh a severe one.
        let weight: f64 = effects.into_iter().flatten().map(|e| severity(&findings[*e]) / 5.0).sum();
        let about_main = finding.subjects.iter().any(|s| {
            facts.pods.get(&(s.namespace().to_owned(), s.name().to_owned())).is_some_and(|p| {
                s.kind() == "pod" && important.iter().any(|sel| sel.matches(|k| p.labels.get(k).map(String::as_str)))
            })
        }) || effects.into_iter().flatten().any(|e| {
            findings[*e].subjects.iter().any(|s| {
                s.kind() == "pod"
                    && facts.pods.get(&(s.namespace().to_owned(), s.name().to_owned())).is_some_and(|p| {
                        important.iter().any(|sel| sel.matches(|k| p.labels.get(k).map(String::as_str)))
                    })
            })
        });
        let mut value = severity(finding) + weight.min(80.0) + f64::from(8_u8.saturating_sub(depth_of(finding, links)));
        if about_main {
            value += 60.0;
        }
        value += 10.0 * finding.confidence;
        value += (finding.subjects.len().min(20)) as f64;
        if finding.category == Category::DataQuality {
            value = value.min(30.0);
        }
        if explained.contains(&i) {
            // A consequence stands behind every cause of its severity.
            value /= 4.0;
        }
        Self { value, explains, important: about_main }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_depths_are_those_of_the_code() {
        let text = include_str!("../../docs/triage.md");
        let mut documented = BTreeSet::new();
        for row in text.lines().filter(|l| l.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let Some(stated) = cells.last().and_then(|c| c.parse::<u8>().ok()) else { continue };
            for rule in cells[0].split('`').skip(1).step_by(2) {
                documented.insert(rule.to_owned());
                assert_eq!(depth(&rule.replace('<', ""), &Links::new()), stated, "{rule}");
            }
        }
        for (rule, _) in DEPTHS {
            assert!(documented.contains(rule), "{rule} is not in docs/triage.md");
        }
    }

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

    #[test]
    fn a_pod_follows_from_the_service_that_its_log_misses() {
        let mut store = crate::bundle::overlay::MemStore::new();
        let list = |items: &str| format!("{{\"items\":[{items}]}}").into_bytes();
        let pod = |name: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"n","labels":{{"app":"{name}"}}}},"spec":{{"nodeName":"w","containers":[{{"name":"c"}}]}},"status":{{"phase":"Running","containerStatuses":[{{"name":"c","state":{{"running":{{}}}}}}]}}}}"#
            )
        };
        let pods = ["db", "api", "web"].map(pod).join(",");
        store.insert("cluster-resources/pods/n.json", list(&pods));
        let service = r#"{"metadata":{"name":"db","namespace":"n"},"spec":{"selector":{"app":"db"}}}"#;
        store.insert("cluster-resources/services/n.json", list(service));
        let slice = r#"{"metadata":{"name":"db-1","namespace":"n","labels":{"kubernetes.io/service-name":"db"}},"endpoints":[{"conditions":{"ready":false}}]}"#;
        store.insert("cluster-resources/endpointslices/n.json", list(slice));
        store.insert("cluster-resources/pods/logs/n/api/c.log", &b"ERROR cannot connect to db:5432: refused\n"[..]);
        store.insert("cluster-resources/pods/logs/n/web/c.log", &b"ERROR cannot connect to mydb:5432: refused\n"[..]);
        let (manifest, _) = crate::triage::manifest_of(&store, None).unwrap();
        let facts = crate::triage::facts::load(&store, &manifest, None).unwrap();
        let found: Vec<(Subject, Vec<Subject>)> = dependents(&facts)
            .into_iter()
            .map(|(behind, pods)| (behind, pods.into_iter().map(Pod::subject).collect()))
            .collect();
        assert_eq!(found, [(Subject::new("Pod", "n", "db"), vec![Subject::new("Pod", "n", "api")])]);
    }

    #[test]
    fn chains_cannot_go_in_circles() {
        let mut rules = BTreeSet::new();
        for (rule, _) in DEPTHS {
            assert!(rules.insert(rule), "{rule} stands twice");
        }
        assert_eq!(depth("kms/CFG03", &Links::new()), SIGNATURE);
        assert!(
            depth("node-not-ready", &Links::new()) < depth("pod-not-ready", &Links::new())
                && depth("pod-not-ready", &Links::new()) < depth("workload-unavailable", &Links::new())
        );
    }
}
