//! What the whole cluster needs: admission webhooks, API services, DNS, clocks.

use super::services;
use crate::triage::analyzers::Context;
use crate::triage::draft::Draft;
use crate::triage::facts::{At, Facts};
use crate::triage::finding::{Category, Evidence, Level, Place, Severity, Subject};
use crate::triage::text;

/// Difference of clocks in milliseconds that breaks nothing yet, and that breaks tokens and signatures.
const SKEW: (i64, i64) = (2_000, 30_000);
/// What it means when DNS is down.
const NO_NAMES: &str = "No pod can resolve a name: databases, peers and APIs all seem to be gone at once.";

pub(super) fn analyze(context: &Context<'_>, out: &mut Vec<Draft>) {
    webhooks(context.facts, out);
    api_services(context.facts, out);
    dns(context.facts, out);
    clocks(context, out);
}

fn webhooks(facts: &Facts, out: &mut Vec<Draft>) {
    for hook in facts.webhooks.iter().filter(|h| h.blocks) {
        let (namespace, name) = &hook.service;
        let listed = facts.listed("", "services", namespace) || facts.lacks_namespace(namespace);
        let missing = listed && !facts.services.contains_key(&hook.service);
        let down = facts.endpoints.get(&hook.service).is_some_and(|(ready, _)| *ready == 0);
        let (rule, what) = if missing {
            ("webhook-backend-missing", "does not exist")
        } else if down {
            ("webhook-backend-down", "has no ready endpoint")
        } else {
            continue;
        };
        out.push(
            Draft::new(rule, Category::ExternalDependency, Severity::Critical, Level::Two)
                .about(Subject::new(&hook.kind, "", &hook.configuration))
                .title(format!("webhook {} of {} blocks requests: its service {namespace}/{name} {what}", hook.name, hook.configuration))
                .meaning("The API server asks this webhook before it stores an object, and with failurePolicy Fail nobody can create or change what the webhook covers.")
                .seen_in([hook.at.evidence(&format!("clientConfig.service {namespace}/{name}, failurePolicy Fail"))])
                .because(format!("service {namespace}/{name} {what}"))
                .confidence(0.93)
                .same_when(format!("{} {}", hook.configuration, hook.name))
                .reaches([Subject::new("webhook", "", &hook.name), Subject::new("service", namespace, name)])
                .reaches(services::behind(facts, &hook.service))
                .remedy([
                    format!("Bring the pods behind the service back: kubectl -n {namespace} get pods,endpointslices"),
                    format!("If what it belongs to was removed, remove the configuration too: kubectl delete {} {}", hook.kind.to_ascii_lowercase(), hook.configuration),
                ]),
        );
    }
}

fn api_services(facts: &Facts, out: &mut Vec<Draft>) {
    for (subject, object) in facts.others.iter().filter(|(_, o)| o.kind == "APIService") {
        let Some(condition) = object.conditions.iter().find(|c| c.kind == "Available" && c.status != "True") else {
            continue;
        };
        out.push(
            Draft::new("api-service-unavailable", Category::Connectivity, Severity::Warning, Level::Two)
                .about(subject.clone())
                .title(format!("{{who}} is not available: {}", text::line(&condition.message, 160)))
                .meaning("Discovery is incomplete without it: namespaces may not terminate, and kubectl and operators may stop.")
                .seen_in([object.at.evidence_at("/status/conditions", &condition.show())])
                .confidence(0.85)
                .between(condition.since, None)
                .reaches(services::behind(facts, &object.service))
                .remedy([format!("Bring its service back, or delete the APIService if what it belongs to was removed: kubectl describe apiservice {}", object.key.1)]),
        );
    }
}

fn dns(facts: &Facts, out: &mut Vec<Draft>) {
    let pods: Vec<_> = facts
        .pods
        .values()
        .filter(|p| !p.is_over())
        .filter(|p| {
            matches!(p.labels.get("k8s-app").map(String::as_str), Some("kube-dns" | "coredns" | "dns-default"))
                || p.labels.get("app.kubernetes.io/name").is_some_and(|n| n == "coredns")
        })
        .collect();
    if pods.is_empty() {
        out.extend(dns_without_pods(facts));
        return;
    }
    if pods.iter().any(|p| p.is_ready()) {
        return;
    }
    let namespace = &pods[0].key.0;
    out.push(
        Draft::new("cluster-dns-down", Category::Connectivity, Severity::Critical, Level::Two)
            .about(Subject::new("service", namespace, "kube-dns"))
            .title(format!("cluster DNS is down: none of {} is ready", text::count(pods.len(), "pod")))
            .meaning(NO_NAMES)
            .reaches(pods.iter().map(|p| p.subject()))
            .seen_in(pods.iter().map(|p| {
                let condition = p.condition("Ready");
                p.at.evidence_at(
                    "/status/conditions",
                    &format!(
                        "{}: {}",
                        p.key.1,
                        condition
                            .map_or_else(|| "no condition Ready".to_owned(), crate::triage::facts::Condition::show)
                    ),
                )
            }))
            .because("no pod of cluster DNS is ready")
            .confidence(0.93)
            .between(pods.iter().filter_map(|p| p.condition("Ready").and_then(|c| c.since)).min(), None)
            .remedy([
                format!("See why: kubectl -n {namespace} describe pods -l k8s-app=kube-dns"),
                format!("Read its log: kubectl -n {namespace} logs -l k8s-app=kube-dns --tail 50"),
            ]),
    );
}

/// A DNS service that selects no pod at all: scaled to nothing, or deleted.
fn dns_without_pods(facts: &Facts) -> Option<Draft> {
    let is_dns = |name: &str| matches!(name, "kube-dns" | "coredns" | "dns-default");
    let (key, service) = facts
        .services
        .iter()
        .find(|(key, service)| is_dns(&key.1) && !service.selector.is_empty() && facts.listed("", "pods", &key.0))?;
    let workload = facts.workloads.values().find(|w| {
        w.owner.is_none() && w.key.0 == key.0 && service.selector.iter().all(|(k, v)| w.selector.get(k) == Some(v))
    });
    let (why, at) = match workload {
        Some(w) if w.desired == 0 => (format!("{} is scaled to 0", w.key.1), w.at.evidence_at("/spec/replicas", "0")),
        Some(w) => (format!("{} has no pod", w.key.1), w.at.evidence("no pod of it exists")),
        None => ("nothing makes its pods".to_owned(), service.at.evidence_at("/spec/selector", "selects no pod")),
    };
    let subject = workload.map(|w| Subject::new(&w.kind, &w.key.0, &w.key.1));
    let command = subject.as_ref().filter(|_| workload.is_some_and(|w| w.desired == 0)).map_or_else(
        || format!("See what should make its pods: kubectl -n {} get deployments,daemonsets", key.0),
        |s| format!("Scale it up again: kubectl -n {} scale {} {} --replicas 2", key.0, s.kind(), s.name()),
    );
    Some(
        Draft::new("cluster-dns-down", Category::Connectivity, Severity::Critical, Level::Two)
            .about(subject.unwrap_or_else(|| Subject::new("service", &key.0, &key.1)))
            .title(format!("cluster DNS is down: it has no pod, {why}"))
            .meaning(NO_NAMES)
            .seen_in([at])
            .because("no pod of cluster DNS exists")
            .confidence(0.93)
            .reaches([Subject::new("service", &key.0, &key.1)])
            .remedy([command]),
    )
}

fn clocks(context: &Context<'_>, out: &mut Vec<Draft>) {
    for clock in &context.manifest.clocks {
        let off = clock.offset_ms.saturating_abs().saturating_sub(clock.uncertainty_ms.saturating_abs());
        let severity = if off > SKEW.1 {
            Severity::Critical
        } else if off > SKEW.0 {
            Severity::Warning
        } else {
            continue;
        };
        let direction = if clock.offset_ms > 0 { "ahead of" } else { "behind" };
        let seconds = clock.offset_ms.saturating_abs() / 1000;
        let remote = clock.source.contains("apiserver");
        out.push(
            // The clock of whoever collects may be the wrong one, and then the cluster is fine.
            Draft::new("clock-skew", Category::Configuration, if remote { severity.min(Severity::Warning) } else { severity }, Level::Two)
                .about(match clock.source.strip_prefix("node/") {
                    Some(node) => Subject::new("node", "", node),
                    None => Subject::new("clock", "", &clock.source),
                })
                .title(format!("the clock of {} is {seconds} s {direction} the clock of the machine that collected", clock.source))
                .meaning("Tokens, signatures and certificates are refused when clocks differ, and times of both machines cannot be compared without a correction (this report corrects them).")
                .seen_in([At { path: crate::bundle::format::MANIFEST.into(), place: Place::Pointer("/clocks".to_owned()) }
                    .evidence(&format!("{}: {} ms, within {} ms", clock.source, clock.offset_ms, clock.uncertainty_ms))] as [Evidence; 1])
                .confidence(0.6)
                .remedy(["Compare both with a time server: chronyc tracking, or timedatectl"]),
        );
    }
}
