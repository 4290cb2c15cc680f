//! Services without anything behind them, and what Ingresses name.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Key, Pod};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How long a load balancer may take.
const BALANCER_WITHIN: TimeDelta = TimeDelta::minutes(10);

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let by_label = Labels::new(facts);
    for (key, service) in &facts.services {
        if service.selector.is_empty() || service.kind == "ExternalName" || !facts.listed("", "pods", &key.0) {
            continue;
        }
        let pods: Vec<&Pod> = by_label.select(&key.0, &service.selector).filter(|p| !p.is_over()).collect();
        let subject = Subject::new("service", &key.0, &key.1);
        if pods.is_empty() {
            // Scaled to nothing on purpose is no trouble.
            let workload = facts
                .workloads
                .values()
                .find(|w| w.key.0 == key.0 && service.selector.iter().all(|(k, v)| w.selector.get(k) == Some(v)));
            let severity = if workload.is_some_and(|w| w.desired == 0) { Severity::Info } else { Severity::Warning };
            out.push(
                Draft::new("service-selects-nothing", Category::Connectivity, severity, Level::Two)
                    .about(subject)
                    .title(format!("{{who}} selects no pod ({})", show(&service.selector)))
                    .meaning("Requests to this service are refused.")
                    .seen_in([service.at.evidence_at("/spec/selector", &show(&service.selector))])
                    .reaches(workload.map(|w| Subject::new(&w.kind, &w.key.0, &w.key.1)))
                    .confidence(0.7)
                    .remedy([format!(
                        "Compare the selector with the labels of the pods: kubectl -n {} get pods --show-labels",
                        key.0
                    )]),
            );
            continue;
        }
        let counts = facts.endpoints.get(key).copied();
        let ready = counts.map_or_else(|| pods.iter().filter(|p| p.is_ready()).count(), |(ready, _)| ready);
        if ready == 0 {
            let names: Vec<&str> = pods.iter().map(|p| p.key.1.as_str()).collect();
            out.push(
                Draft::new("service-without-endpoints", Category::Connectivity, Severity::Warning, Level::Two)
                    .about(subject)
                    .title(format!(
                        "{{who}}: no ready endpoint, because {} ({})",
                        match names.len() {
                            1 => "the only pod behind it is not ready".to_owned(),
                            n => format!("none of its {n} pods is ready"),
                        },
                        text::names(&names, 3)
                    ))
                    .same_when(format!("{} {}", key.0, names.join(",")))
                    .meaning("Requests to this service are refused until one of its pods is ready.")
                    .seen_in([service.at.evidence_at("/spec/selector", &show(&service.selector))])
                    .reaches(pods.iter().map(|p| p.subject()))
                    .confidence(0.85)
                    .remedy(["Get its pods ready; the service follows by itself"]),
            );
        }
    }
    ingresses(facts, out);
    unclaimed(facts, out);
    balancers(facts, out);
}

/// Ingresses that name no class where no class is the default: no controller takes them.
fn unclaimed(facts: &Facts, out: &mut Vec<Draft>) {
    if facts.default_ingress_class || !facts.listed("networking.k8s.io", "ingressclasses", "") {
        return;
    }
    for ((namespace, name), ingress) in facts.ingresses.iter().filter(|(_, i)| i.unclaimed) {
        let classes: Vec<&str> = facts.ingress_classes.iter().map(String::as_str).collect();
        let known = if classes.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", text::names(&classes, 3))
        };
        out.push(
            Draft::new("ingress-class-missing", Category::Configuration, Severity::Warning, Level::Two)
                .about(Subject::new("ingress", namespace, name))
                .title(format!("{{who}} names no ingress class, and no class is the default ({known})"))
                .meaning("No controller serves this Ingress.")
                .seen_in([ingress.at.evidence_at("/spec", "no ingressClassName, and no address in its status")])
                .confidence(0.8)
                .remedy([format!("Name the class of your controller in spec.ingressClassName: kubectl -n {namespace} edit ingress {name}")]),
        );
    }
}

/// Services that wait for a load balancer. Without an event nobody may be there to give one, which is known by those who built the cluster.
fn balancers(facts: &Facts, out: &mut Vec<Draft>) {
    for ((namespace, name), service) in &facts.services {
        let old = service.created.is_some_and(|at| facts.now - at > BALANCER_WITHIN);
        if service.kind != "LoadBalancer" || service.has_address || !old {
            continue;
        }
        let subject = Subject::new("service", namespace, name);
        let event =
            facts.newest(&subject, &["SyncLoadBalancerFailed", "CreatingLoadBalancerFailed", "AllocationFailed"]);
        let why = event.map_or_else(
            || "nothing has answered its wish".to_owned(),
            |e| text::line(e.message.trim_start_matches("Error syncing load balancer: "), 160),
        );
        out.push(
            Draft::new(
                "load-balancer-pending",
                Category::Connectivity,
                if event.is_some() { Severity::Warning } else { Severity::Info },
                Level::Two,
            )
            .about(subject)
            .title(format!("{{who}} gets no load balancer: {why}"))
            .meaning("It can be reached inside of the cluster only.")
            .seen_in([service.at.evidence_at("/status/loadBalancer", "type LoadBalancer, no address")])
            .seen_in(event.map(crate::triage::facts::Event::evidence))
            .confidence(0.85)
            .between(event.and_then(|e| e.first).or(service.created), event.and_then(|e| e.last))
            .times(event.map_or(1, |e| e.count))
            .remedy([
                format!("Read what the cloud or the load balancer's controller says: kubectl -n {namespace} describe service {name}"),
                "Check its rights, quotas and the annotations of the service; without such a controller use NodePort or an Ingress".to_owned(),
            ]),
        );
    }
}

/// The pods that a service selects, ready or not.
pub(super) fn behind(facts: &Facts, service: &Key) -> Vec<Subject> {
    let Some(found) = facts.services.get(service).filter(|s| !s.selector.is_empty()) else { return Vec::new() };
    let selected = |pod: &&Pod| found.selector.iter().all(|(k, v)| pod.labels.get(k) == Some(v));
    facts.pods.values().filter(|p| p.key.0 == service.0).filter(selected).map(Pod::subject).collect()
}

fn show(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// Pods by one of their labels, so that a selector does not look at all of them.
pub(super) struct Labels<'a> {
    facts: &'a Facts,
    by_pair: BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Pod>>,
}

impl<'a> Labels<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        let mut by_pair: BTreeMap<_, Vec<&Pod>> = BTreeMap::new();
        for pod in facts.pods.values() {
            for (key, value) in &pod.labels {
                by_pair.entry((pod.key.0.as_str(), key.as_str(), value.as_str())).or_default().push(pod);
            }
        }
        Self { facts, by_pair }
    }

    /// The pods of a namespace that have all these labels; none for an empty selector.
    pub(super) fn select<'s>(
        &'s self,
        namespace: &'s str,
        selector: &'s BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a Pod> + 's {
        let rarest = selector
            .iter()
            .map(|(k, v)| self.by_pair.get(&(namespace, k.as_str(), v.as_str())).map_or(&[][..], Vec::as_slice))
            .min_by_key(|pods| pods.len())
            .unwrap_or(&[]);
        debug_assert!(self.by_pair.len() <= self.facts.pods.values().map(|p| p.labels.len()).sum());
        rarest.iter().copied().filter(|p| selector.iter().all(|(k, v)| p.labels.get(k) == Some(v)))
    }
}

fn ingresses(facts: &Facts, out: &mut Vec<Draft>) {
    for ((namespace, name), ingress) in &facts.ingresses {
        let subject = || Subject::new("ingress", namespace, name);
        let key = |n: &str| -> Key { (namespace.clone(), n.to_owned()) };
        if facts.listed("", "services", namespace) {
            for service in ingress.services.iter().filter(|s| !facts.services.contains_key(&key(s))) {
                out.push(
                    Draft::new("ingress-backend-missing", Category::Connectivity, Severity::Warning, Level::Two)
                        .about(subject())
                        .title(format!("{{who}} sends requests to service {service}, which does not exist"))
                        .meaning("Requests to these paths end in an error of the ingress controller.")
                        .seen_in([ingress.at.evidence_at("/spec/rules", &format!("backend service {service}"))])
                        .same_when(format!("{namespace} {name} {service}"))
                        .remedy([format!(
                            "Create the service or correct its name: kubectl -n {namespace} edit ingress {name}"
                        )]),
                );
            }
        }
        if facts.listed("", "secrets", namespace) {
            for secret in ingress.secrets.iter().filter(|s| !facts.secrets.contains_key(&key(s))) {
                out.push(
                    Draft::new("ingress-secret-missing", Category::Tls, Severity::Warning, Level::Two)
                        .about(subject())
                        .title(format!("{{who}} names TLS secret {secret}, which does not exist"))
                        .meaning("The ingress controller answers with its own certificate, which clients refuse.")
                        .seen_in([ingress.at.evidence_at("/spec/tls", &format!("secretName {secret}"))])
                        .same_when(format!("{namespace} {name} {secret}"))
                        .reaches([Subject::new("secret", namespace, secret)])
                        .remedy([format!("Create the secret, or look at what should issue it: kubectl -n {namespace} get certificates,secrets")]),
                );
            }
        }
        if !ingress.class.is_empty()
            && facts.listed("networking.k8s.io", "ingressclasses", "")
            && !facts.ingress_classes.contains(&ingress.class)
        {
            out.push(
                Draft::new("ingress-class-missing", Category::Configuration, Severity::Warning, Level::Two)
                    .about(subject())
                    .title(format!("{{who}} names ingress class {}, which does not exist", ingress.class))
                    .meaning("No controller serves this Ingress.")
                    .seen_in([ingress.at.evidence_at("/spec/ingressClassName", &ingress.class)])
                    .remedy(["See which classes exist: kubectl get ingressclasses"]),
            );
        }
    }
}
