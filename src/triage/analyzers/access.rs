//! Who may do what, and who may reach whom: refused service accounts, network policies that allow nothing.

use std::collections::BTreeMap;

use super::services::Labels;
use crate::triage::draft::Draft;
use crate::triage::facts::{Binding, Facts, NetworkPolicy, Pod};
use crate::triage::finding::{Category, Evidence, Level, Severity, Subject};
use crate::triage::text;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    refusals(facts, out);
    policies(facts, out);
    bindings(facts, out);
}

/// `User "system:serviceaccount:ns:name" cannot list resource "pods" in API group "" ...`
struct Refusal {
    namespace: String,
    account: String,
    /// `list pods`
    what: String,
}

fn refusal(message: &str) -> Option<Refusal> {
    let (_, rest) = message.split_once("User \"system:serviceaccount:")?;
    let (account, rest) = rest.split_once('"')?;
    let (namespace, account) = account.split_once(':')?;
    let (verb, rest) = rest.trim_start().strip_prefix("cannot ")?.split_once(' ')?;
    let (_, rest) = rest.split_once('"')?;
    let (resource, _) = rest.split_once('"')?;
    let what = format!("{} {}", text::line(verb, 40), text::line(resource, 100));
    Some(Refusal { namespace: text::line(namespace, 253), account: text::line(account, 253), what })
}

fn refusals(facts: &Facts, out: &mut Vec<Draft>) {
    let mut found: Vec<(Subject, Refusal, Evidence)> = Vec::new();
    for event in facts.events.iter().filter(|e| e.warning) {
        if let Some(refused) = refusal(&event.message) {
            found.push((event.subject.clone(), refused, event.evidence()));
        }
    }
    for (key, log) in &facts.logs {
        let Some(cause) = log.cause().filter(|c| c.is_error) else { continue };
        let evidence = cause.evidence.into_iter().find_map(|e| refusal(&e.excerpt).map(|r| (r, e)));
        if let Some((refused, evidence)) = evidence {
            found.push((Subject::new("pod", &key.namespace, &key.pod), refused, evidence));
        }
    }
    for (subject, refused, evidence) in found {
        let Refusal { namespace, account, what } = refused;
        let (verb, resource) = what.split_once(' ').unwrap_or((&what, ""));
        let users = facts.pods.values().filter(|p| p.key.0 == namespace && p.account == account);
        out.push(
            Draft::new("rbac-forbidden", Category::Security, Severity::Warning, Level::Two)
                .about(Subject::new("serviceaccount", &namespace, &account))
                .title(format!("{{who}} may not {what}"))
                .meaning("What runs under this service account asks the API server for something that no role permits, and is refused each time.")
                .seen_in([evidence])
                .confidence(0.85)
                .same_when(format!("{namespace}/{account} {what}"))
                .reaches(users.map(Pod::subject).chain([subject]))
                .remedy([
                    format!("Make sure of it: kubectl auth can-i {verb} {resource} --as system:serviceaccount:{namespace}:{account}"),
                    format!("Bind a role that permits it to the service account: kubectl -n {namespace} get rolebindings -o wide, and kubectl get clusterrolebindings -o wide"),
                ]),
        );
    }
}

/// Bindings of roles that do not exist. The API server takes them, and they give nobody any right.
fn bindings(facts: &Facts, out: &mut Vec<Draft>) {
    for binding in &facts.bindings {
        let Binding { at, kind, key: (namespace, name), role: (role_kind, role), .. } = binding;
        let (plural, place) = match role_kind.as_str() {
            "Role" => ("roles", namespace.as_str()),
            "ClusterRole" => ("clusterroles", ""),
            _ => continue,
        };
        let exists = facts.roles.contains(&(place.to_owned(), role.clone()));
        if exists || role.is_empty() || !facts.listed("rbac.authorization.k8s.io", plural, place) {
            continue;
        }
        let users: Vec<&Pod> =
            facts.pods.values().filter(|p| !p.is_over() && binding.is_for(&p.key.0, &p.account)).collect();
        // Clusters have bindings of roles that an upgrade took away, and nobody misses them.
        let severity = if users.is_empty() { Severity::Info } else { Severity::Warning };
        let mut accounts: Vec<(&str, &str)> = users.iter().map(|p| (p.key.0.as_str(), p.account.as_str())).collect();
        accounts.dedup();
        let flag = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
        out.push(
            Draft::new("role-missing", Category::Security, severity, Level::Two)
                .about(Subject::new(kind, namespace, name))
                .title(format!("{{who}} gives {role_kind} {role}, which does not exist"))
                .meaning("The binding gives nobody any right until a role of this name is created. What runs under its service accounts is refused what the role should permit.")
                .seen_in([at.evidence_at("/roleRef", &format!("roleRef: {role_kind} {role}"))])
                .because(if place.is_empty() {
                    format!("all ClusterRoles are listed, and {role} is not among them")
                } else {
                    format!("the Roles of namespace {place} are listed, and {role} is not among them")
                })
                .confidence(if users.is_empty() { 0.5 } else { 0.9 })
                .same_when(format!("{namespace} {role_kind} {role}"))
                .reaches(accounts.into_iter().map(|(at, account)| Subject::new("serviceaccount", at, account)))
                .reaches(users.iter().map(|p| p.subject()))
                .remedy([
                    format!("Create the role, or bind another one: kubectl get {plural}{flag}, then kubectl get {} {name}{flag} -o yaml", kind.to_ascii_lowercase()),
                    "The role of a binding cannot be changed: delete the binding and create it again".to_owned(),
                ]),
        );
    }
}

/// Policies of the namespace that select the pod.
fn selecting<'a>(facts: &'a Facts, pod: &'a Pod) -> impl Iterator<Item = &'a NetworkPolicy> {
    facts
        .network_policies
        .iter()
        .filter(|n| n.key.0 == pod.key.0 && n.selector.iter().all(|(k, v)| pod.labels.get(k) == Some(v)))
}

/// The policies that close one direction for a pod; none when any of them allows something, or there are none.
fn closed<'a>(
    facts: &'a Facts,
    pod: &'a Pod,
    direction: fn(&NetworkPolicy) -> Option<usize>,
) -> Option<Vec<&'a NetworkPolicy>> {
    let about: Vec<_> = selecting(facts, pod).filter(|n| direction(n).is_some()).collect();
    (!about.is_empty() && about.iter().all(|n| direction(n) == Some(0))).then_some(about)
}

fn policies(facts: &Facts, out: &mut Vec<Draft>) {
    if facts.network_policies.is_empty() {
        return;
    }
    // A pod that works needs nothing from outside, and then its policy is meant so.
    let troubled = facts.pods.values().filter(|p| !p.is_over() && !p.node.is_empty() && !p.is_ready());
    for pod in troubled {
        let Some(policies) = closed(facts, pod, |n| n.egress) else { continue };
        let names: Vec<&str> = policies.iter().map(|n| n.key.1.as_str()).collect();
        out.push(
            Draft::new("network-policy-denies-egress", Category::Connectivity, Severity::Warning, Level::Two)
                .about(pod.subject())
                .title(format!("{{who}} may not connect to anything, not even DNS (network policy {})", text::names(&names, 3)))
                .meaning("Policies select the pod for egress and none of them allows any. It is not ready, and this may be why.")
                .seen_in(policies.iter().map(|n| n.at.evidence_at("/spec", "policyTypes Egress without a rule that allows any")))
                .confidence(0.6)
                .same_when(format!("{} {}", pod.key.0, names.join(",")))
                .remedy([
                    format!("Allow what it needs, DNS (port 53) first: kubectl -n {} describe networkpolicies", pod.key.0),
                ]),
        );
    }
    let by_label = Labels::new(facts);
    for (key, service) in facts.services.iter().filter(|(_, s)| !s.selector.is_empty()) {
        let pods: Vec<&Pod> = by_label.select(&key.0, &service.selector).filter(|p| !p.is_over()).collect();
        let mut policies: BTreeMap<&str, &NetworkPolicy> = BTreeMap::new();
        let all = !pods.is_empty()
            && pods.iter().all(|pod| match closed(facts, pod, |n| n.ingress) {
                Some(found) => {
                    policies.extend(found.into_iter().map(|n| (n.key.1.as_str(), n)));
                    true
                }
                None => false,
            });
        if !all {
            continue;
        }
        let names: Vec<&str> = policies.keys().copied().collect();
        out.push(
            Draft::new("network-policy-denies-ingress", Category::Connectivity, Severity::Warning, Level::Two)
                .about(Subject::new("service", &key.0, &key.1))
                .title(format!("nobody may connect to the pods of {{who}} (network policy {})", text::names(&names, 3)))
                .meaning("Policies select all pods of the service for ingress and none of them allows any. Only the kubelet's probes get through, so the pods look healthy.")
                .seen_in(policies.values().map(|n| n.at.evidence_at("/spec", "policyTypes Ingress without a rule that allows any")))
                .confidence(0.6)
                .remedy([format!("Allow those who use the service: kubectl -n {} describe networkpolicies", key.0)]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_taken_apart() {
        let text = "pods is forbidden: User \"system:serviceaccount:n:sa\" cannot list resource \"pods\" in API group \"\" in the namespace \"n\"";
        let refused = refusal(text).unwrap();
        assert_eq!(
            (refused.namespace.as_str(), refused.account.as_str(), refused.what.as_str()),
            ("n", "sa", "list pods")
        );
        assert!(refusal("pods \"a\" is forbidden: exceeded quota: q").is_none());
        assert!(refusal("User \"jane\" cannot list resource \"pods\"").is_none());
    }
}
