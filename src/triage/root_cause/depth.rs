//! How far from the cause each rule looks.

use std::collections::BTreeMap;

use super::super::analyzers::{CONFIG_DEPTHS, VAULT_DEPTHS};
use super::super::finding::{Category, Finding};
use super::super::rules;

/// Distance of each rule from the cause. Rules of a profile (`kms/CFG03`) stand at [`SIGNATURE`].
pub(super) const DEPTHS: [(&str, u8); 88] = [
    ("clock-skew", 0),
    ("node-not-ready", 0),
    ("node-disk-pressure", 0),
    ("node-memory-pressure", 0),
    ("node-pid-pressure", 0),
    ("node-network-unavailable", 0),
    ("node-cordoned", 0),
    ("node-problem", 0),
    ("node-taint-not-tolerated", 1),
    ("node-memory-high", 1),
    ("node-cpu-high", 1),
    ("failures-in-common", 0),
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
    ("role-missing", 1),
    ("rbac-forbidden", 2),
    ("network-policy-denies-egress", 1),
    ("network-policy-denies-ingress", 1),
    ("container-config-error", 2),
    ("image-pull-secret-missing", 1),
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
    ("ingress-port-missing", 2),
    ("service-port-missing", 2),
    ("ingress-class-missing", 2),
    ("route-gateway-missing", 2),
    ("route-backend-missing", 2),
    ("load-balancer-pending", 2),
    ("cronjob-not-scheduled", 3),
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
    ("kms-peers-unknown", 5),
    ("kms-endpoint-unreachable", 6),
    ("service-without-endpoints", 6),
    ("hpa-cannot-scale", 6),
    ("disruption-budget-blocks", 6),
    ("alert-firing", 6),
    ("deprecated-api", 6),
];
pub(super) const SIGNATURE: u8 = 2;
pub(super) const SYMPTOM: u8 = 4;
/// Deepest rule that says what is wrong with a pod, and not only that it is not ready.
pub(super) const PODS: u8 = 3;

/// Distance of a finding from the cause: that of its rule, but for a certificate that is not issued. Nothing below it
/// is known, and what lacks its Secret follows from it.
pub(super) fn depth_of(finding: &Finding, links: &Links) -> u8 {
    if finding.rule == "resource-not-ready" && finding.category == Category::Tls {
        1
    } else {
        depth(&finding.rule, links)
    }
}

/// Rules that stand at [`SYMPTOM`].
const SYMPTOMS: [&str; 26] = [
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
    "node-requests-full",
    "pod-failed",
    "pod-not-ready",
    "pod-scheduling-gated",
    "resource-not-ready",
    "rule-failed",
    "service-selects-nothing",
    "undecodable-data",
];

/// Ids of all analyzers' rules, so that a rule of a profile can only name what exists.
pub(in crate::triage) static RULES: std::sync::LazyLock<Vec<&str>> = std::sync::LazyLock::new(|| {
    DEPTHS.iter().chain(&CONFIG_DEPTHS).chain(&VAULT_DEPTHS).map(|(rule, _)| *rule).chain(SYMPTOMS).collect()
});

/// Depth and links of the rules of profiles.
pub(super) type Links = BTreeMap<String, rules::Links>;

/// Distance of a rule from the cause.
pub(super) fn depth(rule: &str, links: &Links) -> u8 {
    if let Some(links) = links.get(rule) {
        return links.depth;
    }
    if rule.contains('/') {
        return SIGNATURE;
    }
    DEPTHS.iter().chain(&CONFIG_DEPTHS).chain(&VAULT_DEPTHS).find(|(r, _)| *r == rule).map_or(SYMPTOM, |(_, d)| *d)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documented_depths_are_those_of_the_code() {
        let text = include_str!("../../../docs/triage.md");
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
