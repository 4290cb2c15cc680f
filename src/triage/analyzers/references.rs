//! Names that lead nowhere: Secrets to pull with, ports of services and Ingresses.

use super::images;
use super::services::Labels;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Pod, State};
use crate::triage::finding::{Category, Level, Severity, Subject};

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for pod in facts.pods.values() {
        out.extend(pull_secret(facts, pod));
    }
    service_ports(facts, out);
    ingress_ports(facts, out);
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
