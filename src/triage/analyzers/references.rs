//! Names that lead nowhere: Secrets to pull with, ports of services and Ingresses, what routes name.

use super::images;
use super::services::Labels;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Pod, Route, State};
use crate::triage::finding::{Category, Level, Severity, Subject};

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for pod in facts.pods.values() {
        out.extend(pull_secret(facts, pod));
    }
    service_ports(facts, out);
    ingress_ports(facts, out);
    for route in &facts.routes {
        routes(facts, route, out);
    }
}

/// What a route of the Gateway API names. Without its gateway it has no status that could say so.
fn routes(facts: &Facts, route: &Route, out: &mut Vec<Draft>) {
    let (namespace, name) = &route.key;
    let draft = |rule: &str, what: &str, title: String, pointer: &str| {
        Draft::new(rule, Category::Connectivity, Severity::Warning, Level::Two)
            .about(Subject::new(&route.kind, namespace, name))
            .title(title)
            .seen_in([route.at.evidence_at(pointer, what)])
            .same_when(format!("{namespace} {name} {what}"))
            .because(format!("all such objects are listed, and {what} is not among them"))
    };
    for (at, gateway) in &route.gateways {
        if !facts.listed("gateway.networking.k8s.io", "gateways", at)
            || facts.gateways.contains(&(at.clone(), gateway.clone()))
        {
            continue;
        }
        out.push(
            draft(
                "route-gateway-missing",
                &format!("gateway {at}/{gateway}"),
                format!("{{who}} belongs to gateway {at}/{gateway}, which does not exist"),
                "/spec/parentRefs",
            )
            .meaning("Nothing serves the route, and its status stays empty, because only a gateway would write it.")
            .remedy([format!("Correct the name, or create the gateway: kubectl get gateways -A, then kubectl -n {namespace} edit {} {name}", route.kind.to_ascii_lowercase())]),
        );
    }
    for ((at, service), port) in &route.backends {
        if !facts.listed("", "services", at) {
            continue;
        }
        let (what, title) = match facts.services.get(&(at.clone(), service.clone())) {
            None => (
                format!("service {at}/{service}"),
                format!("{{who}} leads to service {at}/{service}, which does not exist"),
            ),
            Some(found) if *port > 0 && found.ports.iter().all(|p| p.port != *port) => {
                let known: Vec<String> = found.ports.iter().map(|p| p.port.to_string()).collect();
                (
                    format!("port {port} of service {at}/{service}"),
                    format!(
                        "{{who}} leads to port {port} of service {at}/{service}, which has only {}",
                        known.join(", ")
                    ),
                )
            }
            Some(_) => continue,
        };
        out.push(
            draft("route-backend-missing", &what, title, "/spec/rules")
                .meaning("The gateway answers requests of this rule with an error (500).")
                .remedy([format!(
                    "Correct the backend: kubectl -n {namespace} edit {} {name}",
                    route.kind.to_ascii_lowercase()
                )]),
        );
    }
}

/// A Secret that does not exist is no trouble while the image is there or public.
fn pull_secret(facts: &Facts, pod: &Pod) -> Option<Draft> {
    let (namespace, _) = &pod.key;
    let waits = |state: &State| matches!(state, State::Waiting { reason, .. } if images::is_image_reason(reason));
    let container =
        pod.containers.iter().find(|c| waits(&c.state)).filter(|_| facts.listed("", "secrets", namespace))?;
    let missing = pod.pull_secrets.iter().find(|s| !facts.secrets.contains_key(&(namespace.clone(), (*s).clone())))?;
    let event = facts.newest(&pod.subject(), &["FailedToRetrieveImagePullSecret"]);
    Some(
        Draft::new("image-pull-secret-missing", Category::Configuration, Severity::Critical, Level::Two)
            .about(pod.subject())
            .title(format!("{{who}} cannot pull its images: pull secret {missing} does not exist"))
            .meaning(format!(
                "The kubelet asks the registry for {} without credentials, and is refused.",
                container.image
            ))
            .seen_in([pod.at.evidence_at("/spec/imagePullSecrets", &format!("imagePullSecrets: {missing}"))])
            .seen_in(event.map(crate::triage::facts::Event::evidence))
            .because(format!("the secrets of namespace {namespace} are listed, and {missing} is not among them"))
            .confidence(0.95)
            .same_when(format!("{namespace} {missing}"))
            .between(pod.created, None)
            .reaches([Subject::new("secret", namespace, missing)])
            .remedy([
                format!(
                    "Create the secret, or copy it from a namespace that has it: kubectl -n {namespace} get secrets"
                ),
                "The kubelet tries again by itself within 5 minutes".to_owned(),
            ]),
    )
}

fn service_ports(facts: &Facts, out: &mut Vec<Draft>) {
    let by_label = Labels::new(facts);
    for ((namespace, name), service) in facts.services.iter().filter(|(_, s)| !s.selector.is_empty()) {
        let pods: Vec<&Pod> = by_label.select(namespace, &service.selector).filter(|p| !p.is_over()).collect();
        for port in &service.ports {
            let Some(target) = port.target.as_ref().filter(|_| !pods.is_empty()) else { continue };
            if pods.iter().any(|p| p.containers.iter().any(|c| c.ports.contains(target))) {
                continue;
            }
            let mut known: Vec<&str> =
                pods.iter().flat_map(|p| &p.containers).flat_map(|c| &c.ports).map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            let known = if known.is_empty() {
                "they name no port".to_owned()
            } else {
                format!("they have {}", known.join(", "))
            };
            out.push(
                Draft::new("service-port-missing", Category::Connectivity, Severity::Warning, Level::Two)
                    .about(Subject::new("service", namespace, name))
                    .title(format!("{{who}} sends port {} to port {target} of its pods, which none of them has", port.port))
                    .meaning("The service has pods and no address on this port, so connections to it are refused while everything looks ready.")
                    .seen_in([service.at.evidence_at("/spec/ports", &format!("port {}, targetPort {target}; {known}", port.port))])
                    .because(format!("the selected pods have no port of this name; {known}"))
                    .same_when(format!("{namespace} {name} {target}"))
                    .reaches(pods.iter().map(|p| p.subject()))
                    .remedy([format!("Correct targetPort, or name the port in the pods: kubectl -n {namespace} edit service {name}")]),
            );
        }
    }
}

fn ingress_ports(facts: &Facts, out: &mut Vec<Draft>) {
    for ((namespace, name), ingress) in &facts.ingresses {
        for (backend, port) in &ingress.ports {
            let Some(service) = facts.services.get(&(namespace.clone(), backend.clone())) else { continue };
            if port.is_empty() || service.ports.iter().any(|p| p.name == *port || p.port.to_string() == *port) {
                continue;
            }
            let known: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
            out.push(
                Draft::new("ingress-port-missing", Category::Connectivity, Severity::Warning, Level::Two)
                    .about(Subject::new("ingress", namespace, name))
                    .title(format!(
                        "{{who}} sends requests to port {port} of service {backend}, which has only {}",
                        known.join(", ")
                    ))
                    .meaning("Requests to these paths end in an error of the ingress controller.")
                    .seen_in([ingress
                        .at
                        .evidence_at("/spec/rules", &format!("backend service {backend}, port {port}"))])
                    .seen_in([service.at.evidence_at("/spec/ports", &format!("ports {}", known.join(", ")))])
                    .same_when(format!("{namespace} {name} {backend} {port}"))
                    .remedy([format!("Correct the port: kubectl -n {namespace} edit ingress {name}")]),
            );
        }
    }
}
