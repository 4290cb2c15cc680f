//! Who depends on whom.

use std::collections::{BTreeMap, BTreeSet};

use super::super::analyzers::owner_path;
use super::super::facts::{Event, Facts, Pod};
use super::super::finding::{Finding, Subject};

/// Who depends on whom.
pub(super) struct Topology<'a> {
    facts: &'a Facts,
    on_node: BTreeMap<&'a str, Vec<&'a Pod>>,
    by_claim: BTreeMap<(&'a str, &'a str), Vec<&'a Pod>>,
    by_owner: BTreeMap<Subject, Vec<&'a Pod>>,
    /// Pods that complain about a service without a ready endpoint, by each pod behind that service.
    dependents: BTreeMap<Subject, Vec<&'a Pod>>,
}

impl<'a> Topology<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
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
    pub(super) fn reach(&self, finding: &Finding, touches: &BTreeSet<Subject>) -> BTreeSet<Subject> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
