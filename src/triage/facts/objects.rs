//! From one decoded object to its facts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bindings::binding;
use super::deprecated;
use super::routes::route;
use super::value::{int, list, map, parse_time, string, strings, text, time, yes};
use super::{
    At, Certificate, Claim, Condition, Conditioned, Container, CronJob, Deleting, Event, Facts, Ingress, Job, Key,
    Lease, NetworkPolicy, Node, Pod, Quota, Release, Role, Secret, Service, ServicePort, State, Template, Terminated,
    Volume, Webhook, Workload,
};
use crate::triage::finding::Subject;

/// Configuration files of ConfigMaps that are kept.
const TEMPLATES_MAX: usize = 200;
/// Longest CA bundle that is looked at, in characters.
const CA_MAX: usize = 1 << 20;

/// Adds what the rules need of one object; `group` and `plural` say what it is.
pub(super) fn add(facts: &mut Facts, group: &str, plural: &str, namespace: Option<&str>, at: At, object: &Value) {
    let mut key = (string(object, "/metadata/namespace"), string(object, "/metadata/name"));
    if key.0.is_empty() {
        key.0 = namespace.unwrap_or_default().to_owned();
    }
    if !matches!((group, plural), ("", "pods" | "events") | ("events.k8s.io", _)) {
        note_deletion(facts, plural, &key, &at, object);
        deprecated::note(facts, &kind_in(plural, object), &key, &at, object);
    }
    match (group, plural) {
        ("", "pods") => {
            facts.pods.insert(key.clone(), pod(key, at, object));
        }
        ("" | "events.k8s.io", "events") => facts.events.push(event(&key.0, at, object)),
        ("", "nodes") => {
            let node = Node {
                at,
                conditions: conditions(object),
                cordoned: yes(object, "/spec/unschedulable"),
                kubelet: string(object, "/status/nodeInfo/kubeletVersion"),
                allocatable: map(object, "/status/allocatable"),
                taints: list(object, "/spec/taints")
                    .iter()
                    .map(|t| (string(t, "/key"), string(t, "/value"), string(t, "/effect")))
                    .collect(),
            };
            facts.nodes.insert(key.1, node);
        }
        ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets") => {
            let workload = workload(plural, key, at, object);
            facts.workloads.insert(Subject::new(&workload.kind, &workload.key.0, &workload.key.1), workload);
        }
        ("batch", "jobs") => {
            let job = Job {
                at,
                conditions: conditions(object),
                failed: int(object, "/status/failed").unwrap_or_default(),
                suspended: yes(object, "/spec/suspend"),
                created: time(object, "/metadata/creationTimestamp"),
                owner: owner(object),
            };
            facts.jobs.insert(key, job);
        }
        ("batch", "cronjobs") => {
            let job = CronJob {
                at,
                suspended: yes(object, "/spec/suspend"),
                schedule: string(object, "/spec/schedule"),
                last_schedule: time(object, "/status/lastScheduleTime"),
                last_success: time(object, "/status/lastSuccessfulTime"),
            };
            facts.cron_jobs.insert(key, job);
        }
        ("", "persistentvolumeclaims") => {
            let claim = Claim {
                at,
                phase: string(object, "/status/phase"),
                class: object.pointer("/spec/storageClassName").and_then(Value::as_str).map(str::to_owned),
                volume: string(object, "/spec/volumeName"),
                request: string(object, "/spec/resources/requests/storage"),
            };
            facts.claims.insert(key, claim);
        }
        ("", "persistentvolumes") => {
            let volume = Volume {
                at,
                phase: string(object, "/status/phase"),
                message: string(object, "/status/message"),
                claim: (string(object, "/spec/claimRef/namespace"), string(object, "/spec/claimRef/name")),
            };
            facts.volumes.insert(key.1, volume);
        }
        ("storage.k8s.io", "storageclasses") => {
            let default = text(object, "/metadata/annotations/storageclass.kubernetes.io~1is-default-class") == "true";
            facts.storage_classes.insert(key.1, (at, default));
        }
        ("", "services") => {
            let ports = list(object, "/spec/ports").iter().map(|p| ServicePort {
                name: string(p, "/name"),
                port: int(p, "/port").unwrap_or_default(),
                target: p.get("targetPort").and_then(Value::as_str).map(str::to_owned),
            });
            let addresses =
                list(object, "/status/loadBalancer/ingress").len() + list(object, "/spec/externalIPs").len();
            let service = Service {
                at,
                created: time(object, "/metadata/creationTimestamp"),
                has_address: addresses > 0,
                kind: string(object, "/spec/type"),
                selector: map(object, "/spec/selector"),
                ports: ports.collect(),
            };
            facts.services.insert(key, service);
        }
        ("discovery.k8s.io", "endpointslices") => slice(facts, &key, object),
        ("", "endpoints") => endpoints(facts, &key, object),
        ("", "resourcequotas") => {
            let quota = Quota { at, hard: map(object, "/status/hard"), used: map(object, "/status/used") };
            facts.quotas.insert(key, quota);
        }
        ("", "secrets") => {
            let created = time(object, "/metadata/creationTimestamp");
            facts
                .secrets
                .insert(key, Secret { at, created, certificates: certificates(object), release: release(object) });
        }
        ("networking.k8s.io", "ingresses") => {
            facts.ingresses.insert(key, ingress(at, object));
        }
        ("networking.k8s.io", "ingressclasses") => {
            let default = text(object, "/metadata/annotations/ingressclass.kubernetes.io~1is-default-class") == "true";
            facts.default_ingress_class |= default;
            facts.ingress_classes.insert(key.1);
        }
        ("gateway.networking.k8s.io", "httproutes" | "grpcroutes" | "tlsroutes" | "tcproutes" | "udproutes") => {
            facts.routes.push(route(kind_in(plural, object), key.clone(), at.clone(), object));
            other(facts, group, plural, key, at, object);
        }
        ("gateway.networking.k8s.io", "gateways") => {
            facts.gateways.insert(key.clone());
            other(facts, group, plural, key, at, object);
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            webhooks(facts, plural, &key.1, &at, object);
        }
        ("coordination.k8s.io", "leases") => {
            let lease = Lease {
                at,
                holder: string(object, "/spec/holderIdentity"),
                seconds: int(object, "/spec/leaseDurationSeconds").unwrap_or_default(),
                renewed: time(object, "/spec/renewTime"),
            };
            facts.leases.insert(key, lease);
        }
        ("coordination.k8s.io", _) => {}
        ("", "namespaces") => {
            facts.namespaces.insert(key.1.clone());
            other(facts, group, plural, key, at, object);
        }
        ("", "configmaps") => {
            let files = object.get("data").and_then(Value::as_object).into_iter().flatten();
            for (file, content) in files.filter(|(file, _)| file.ends_with(".toml")) {
                let Some(content) = content.as_str().filter(|_| facts.templates.len() < TEMPLATES_MAX) else {
                    continue;
                };
                facts.templates.extend(Template::parse(&at, &key, file, content));
            }
            facts.config_maps.insert(key, (at, time(object, "/metadata/creationTimestamp")));
        }
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            facts.roles.insert(key);
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            facts.bindings.push(binding(kind_in(plural, object), key, at, object));
        }
        ("networking.k8s.io", "networkpolicies") => facts.network_policies.extend(network_policy(key, at, object)),
        _ => other(facts, group, plural, key, at, object),
    }
}

/// What the record of a release of Helm says: its labels, and what the redactor took out of the record.
fn release(object: &Value) -> Option<Release> {
    if string(object, "/metadata/labels/owner") != "helm" {
        return None;
    }
    let facts: Value =
        serde_json::from_str(text(object, "/metadata/annotations/casefile~1helm-release")).unwrap_or_default();
    let chart = format!("{} {}", string(&facts, "/chart"), string(&facts, "/chart_version"));
    Some(Release {
        name: string(object, "/metadata/labels/name"),
        revision: string(object, "/metadata/labels/version").parse().unwrap_or_default(),
        status: string(object, "/metadata/labels/status"),
        chart: chart.trim().to_owned(),
        description: string(&facts, "/description"),
    })
}

/// The conditions of an object's status.
pub(super) fn conditions(object: &Value) -> Vec<Condition> {
    conditions_in(object, "/status/conditions")
}

fn conditions_in(object: &Value, pointer: &str) -> Vec<Condition> {
    list(object, pointer)
        .iter()
        .map(|c| Condition {
            kind: string(c, "/type"),
            status: string(c, "/status"),
            reason: string(c, "/reason"),
            message: string(c, "/message"),
            since: time(c, "/lastTransitionTime"),
        })
        .collect()
}

/// Kind and name of the controlling owner, or of the first owner.
fn owner(object: &Value) -> Option<(String, String)> {
    let owners = list(object, "/metadata/ownerReferences");
    let owner = owners.iter().find(|o| yes(o, "/controller")).or_else(|| owners.first())?;
    Some((string(owner, "/kind"), string(owner, "/name")))
}

fn pod(key: Key, at: At, object: &Value) -> Pod {
    let mut containers = Vec::new();
    for (spec, status, role) in [
        ("initContainers", "initContainerStatuses", Role::Init),
        ("containers", "containerStatuses", Role::App),
        ("ephemeralContainers", "ephemeralContainerStatuses", Role::Ephemeral),
    ] {
        let statuses = list(object, &format!("/status/{status}"));
        for spec in list(object, &format!("/spec/{spec}")) {
            let name = text(spec, "/name");
            let found = statuses.iter().position(|s| text(s, "/name") == name);
            let pointer = found.map_or_else(String::new, |i| format!("/status/{status}/{i}"));
            let role = if text(spec, "/restartPolicy") == "Always" && role == Role::Init { Role::App } else { role };
            containers.push(container(spec, found.map(|i| &statuses[i]), role, pointer));
        }
    }
    let mut secrets = BTreeSet::new();
    let mut claims = Vec::new();
    for volume in list(object, "/spec/volumes") {
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        if !claim.is_empty() {
            claims.push(claim.to_owned());
        } else if volume.get("ephemeral").is_some() {
            claims.push(format!("{}-{}", key.1, text(volume, "/name")));
        }
        secrets.insert(string(volume, "/secret/secretName"));
        for source in list(volume, "/projected/sources") {
            secrets.insert(string(source, "/secret/name"));
        }
    }
    secrets.remove("");
    let mut config_maps = BTreeSet::new();
    for volume in list(object, "/spec/volumes") {
        config_maps.insert(string(volume, "/configMap/name"));
        for source in list(volume, "/projected/sources") {
            config_maps.insert(string(source, "/configMap/name"));
        }
    }
    for container in list(object, "/spec/containers") {
        for source in list(container, "/envFrom") {
            config_maps.insert(string(source, "/configMapRef/name"));
            secrets.insert(string(source, "/secretRef/name"));
        }
        for variable in list(container, "/env") {
            config_maps.insert(string(variable, "/valueFrom/configMapKeyRef/name"));
            secrets.insert(string(variable, "/valueFrom/secretKeyRef/name"));
        }
    }
    config_maps.remove("");
    secrets.remove("");
    Pod {
        at,
        created: time(object, "/metadata/creationTimestamp"),
        deleting: time(object, "/metadata/deletionTimestamp"),
        grace: int(object, "/metadata/deletionGracePeriodSeconds").unwrap_or(30),
        finalizers: strings(object, "/metadata/finalizers"),
        labels: map(object, "/metadata/labels"),
        owner: owner(object),
        node: string(object, "/spec/nodeName"),
        phase: string(object, "/status/phase"),
        reason: string(object, "/status/reason"),
        message: string(object, "/status/message"),
        conditions: conditions(object),
        containers,
        claims,
        secrets,
        config_maps,
        account: string(object, "/spec/serviceAccountName"),
        pull_secrets: list(object, "/spec/imagePullSecrets").iter().map(|s| string(s, "/name")).collect(),
        gated: !list(object, "/spec/schedulingGates").is_empty(),
        key,
    }
}

fn container(spec: &Value, status: Option<&Value>, role: Role, pointer: String) -> Container {
    let empty = Value::Null;
    let status = status.unwrap_or(&empty);
    let state = status.pointer("/state").unwrap_or(&empty);
    let state = if let Some(waiting) = state.get("waiting") {
        State::Waiting { reason: string(waiting, "/reason"), message: string(waiting, "/message") }
    } else if let Some(running) = state.get("running") {
        State::Running { since: time(running, "/startedAt") }
    } else if let Some(ended) = state.get("terminated") {
        State::Terminated(terminated(ended))
    } else {
        State::Unknown
    };
    Container {
        name: string(spec, "/name"),
        role,
        image: string(spec, "/image"),
        ready: yes(status, "/ready"),
        restarts: int(status, "/restartCount").unwrap_or_default(),
        state,
        last: status.pointer("/lastState/terminated").map(terminated),
        limits: map(spec, "/resources/limits"),
        requests: map(spec, "/resources/requests"),
        ports: list(spec, "/ports").iter().map(|p| string(p, "/name")).filter(|n| !n.is_empty()).collect(),
        pointer,
    }
}

fn terminated(value: &Value) -> Terminated {
    let signal = int(value, "/signal").unwrap_or_default();
    let exit = int(value, "/exitCode").unwrap_or_default();
    Terminated {
        exit: if exit == 0 && signal > 0 { 128 + signal } else { exit },
        reason: string(value, "/reason"),
        message: string(value, "/message"),
        started: time(value, "/startedAt"),
        finished: time(value, "/finishedAt"),
    }
}

fn event(namespace: &str, at: At, object: &Value) -> Event {
    let about = object.get("involvedObject").or_else(|| object.get("regarding")).unwrap_or(&Value::Null);
    let of = |a: &str, b: &str| time(object, a).or_else(|| time(object, b));
    let moment = time(object, "/eventTime").or_else(|| time(object, "/metadata/creationTimestamp"));
    let mut about_namespace = text(about, "/namespace");
    if about_namespace.is_empty() && !matches!(text(about, "/kind"), "Node" | "PersistentVolume" | "Namespace") {
        about_namespace = namespace;
    }
    let count = ["/series/count", "/count", "/deprecatedCount"].iter().filter_map(|p| int(object, p)).max();
    let message = text(object, "/message");
    Event {
        at,
        subject: Subject::new(text(about, "/kind"), about_namespace, text(about, "/name")),
        reason: string(object, "/reason"),
        message: if message.is_empty() { string(object, "/note") } else { message.to_owned() },
        warning: text(object, "/type") == "Warning",
        count: count.and_then(|n| u64::try_from(n).ok()).unwrap_or(1).max(1),
        first: of("/firstTimestamp", "/deprecatedFirstTimestamp").or(moment),
        last: time(object, "/series/lastObservedTime")
            .or_else(|| of("/lastTimestamp", "/deprecatedLastTimestamp"))
            .or(moment),
        field: string(about, "/fieldPath"),
    }
}

fn workload(plural: &str, key: Key, at: At, object: &Value) -> Workload {
    let (kind, desired, ready) = match plural {
        "daemonsets" => ("DaemonSet", "/status/desiredNumberScheduled", "/status/numberReady"),
        "deployments" => ("Deployment", "/spec/replicas", "/status/readyReplicas"),
        "statefulsets" => ("StatefulSet", "/spec/replicas", "/status/readyReplicas"),
        _ => ("ReplicaSet", "/spec/replicas", "/status/readyReplicas"),
    };
    Workload {
        at,
        kind: kind.to_owned(),
        key,
        created: time(object, "/metadata/creationTimestamp"),
        // The API server always writes the default of 1; a daemon set without a status wants nothing yet.
        desired: int(object, desired).unwrap_or(i64::from(plural != "daemonsets")),
        ready: int(object, ready).unwrap_or_default(),
        conditions: conditions(object),
        owner: owner(object),
        service: string(object, "/spec/serviceName"),
        selector: map(object, "/spec/selector/matchLabels"),
    }
}

fn slice(facts: &mut Facts, key: &Key, object: &Value) {
    let service = text(object, "/metadata/labels/kubernetes.io~1service-name");
    if service.is_empty() {
        return;
    }
    let counts = facts.endpoints.entry((key.0.clone(), service.to_owned())).or_default();
    for endpoint in list(object, "/endpoints") {
        // A missing condition means ready, by the definition of the API.
        let ready = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
        if ready { counts.0 += 1 } else { counts.1 += 1 }
    }
}

fn endpoints(facts: &mut Facts, key: &Key, object: &Value) {
    if facts.listed("discovery.k8s.io", "endpointslices", &key.0) {
        return;
    }
    let counts = facts.endpoints.entry(key.clone()).or_default();
    for subset in list(object, "/subsets") {
        counts.0 += list(subset, "/addresses").len();
        counts.1 += list(subset, "/notReadyAddresses").len();
    }
}

/// Certificates as redaction describes them in an annotation: one entry a key of the Secret.
fn certificates(object: &Value) -> Vec<Certificate> {
    let text = text(object, "/metadata/annotations/casefile~1secret-data");
    let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, described) in keys {
        for certificate in list(&described, "/certificates") {
            found.push(Certificate {
                key: key.clone(),
                subject: string(certificate, "/subject"),
                not_before: time(certificate, "/notBefore"),
                not_after: time(certificate, "/notAfter"),
            });
        }
    }
    found
}

fn ingress(at: At, object: &Value) -> Ingress {
    let paths = list(object, "/spec/rules").iter().flat_map(|rule| list(rule, "/http/paths"));
    let backends = paths.filter_map(|p| p.get("backend")).chain(object.pointer("/spec/defaultBackend"));
    let (mut services, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for backend in backends.filter(|b| !text(b, "/service/name").is_empty()) {
        services.insert(string(backend, "/service/name"));
        let port = match int(backend, "/service/port/number") {
            Some(number) => number.to_string(),
            None => string(backend, "/service/port/name"),
        };
        ports.insert((string(backend, "/service/name"), port));
    }
    let secrets =
        list(object, "/spec/tls").iter().map(|t| string(t, "/secretName")).filter(|s| !s.is_empty()).collect();
    let class =
        [text(object, "/spec/ingressClassName"), text(object, "/metadata/annotations/kubernetes.io~1ingress.class")];
    Ingress {
        at,
        class: string(object, "/spec/ingressClassName"),
        // Without a class, and without an address of a controller that took it all the same.
        unclaimed: class.iter().all(|c| c.is_empty()) && list(object, "/status/loadBalancer/ingress").is_empty(),
        services,
        ports,
        secrets,
    }
}

fn webhooks(facts: &mut Facts, plural: &str, configuration: &str, at: &At, object: &Value) {
    for (i, hook) in list(object, "/webhooks").iter().enumerate() {
        let service = (string(hook, "/clientConfig/service/namespace"), string(hook, "/clientConfig/service/name"));
        if service.1.is_empty() {
            continue;
        }
        let place = match &at.place {
            crate::triage::Place::Pointer(p) => crate::triage::Place::Pointer(format!("{p}/webhooks/{i}")),
            line @ crate::triage::Place::Line(_) => line.clone(),
        };
        let kind = if plural.starts_with("mutating") { "Mutating" } else { "Validating" };
        facts.webhooks.push(Webhook {
            at: At { path: at.path.clone(), place },
            kind: format!("{kind}WebhookConfiguration"),
            configuration: configuration.to_owned(),
            name: string(hook, "/name"),
            service,
            blocks: text(hook, "/failurePolicy") != "Ignore",
            ca_ends: ca_ends(text(hook, "/clientConfig/caBundle")),
        });
    }
}

/// When the last certificate of a CA bundle (PEM in base64) ends.
fn ca_ends(bundle: &str) -> Option<crate::model::time::Timestamp> {
    use base64::Engine as _;
    use x509_parser::prelude::{FromDer, X509Certificate};

    if bundle.len() > CA_MAX {
        return None;
    }
    let pem = base64::engine::general_purpose::STANDARD.decode(bundle).ok()?;
    x509_parser::pem::Pem::iter_from_buffer(&pem)
        .filter_map(Result::ok)
        .filter_map(|block| {
            let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
            chrono::DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
        })
        .max()
}

/// A policy; none when its selector has expressions, which are not evaluated here.
fn network_policy(key: Key, at: At, object: &Value) -> Option<NetworkPolicy> {
    if !list(object, "/spec/podSelector/matchExpressions").is_empty() {
        return None;
    }
    let types = strings(object, "/spec/policyTypes");
    let about = |kind: &str, default: bool| if types.is_empty() { default } else { types.iter().any(|t| t == kind) };
    let (ingress, egress) = (list(object, "/spec/ingress").len(), list(object, "/spec/egress").len());
    Some(NetworkPolicy {
        at,
        key,
        selector: map(object, "/spec/podSelector/matchLabels"),
        ingress: about("Ingress", true).then_some(ingress),
        egress: about("Egress", egress > 0).then_some(egress),
    })
}

fn other(facts: &mut Facts, group: &str, plural: &str, key: Key, at: At, object: &Value) {
    let mut conditions = conditions(object);
    // Routes of the Gateway API have conditions for each gateway that they belong to.
    if group == "gateway.networking.k8s.io" {
        conditions.extend(list(object, "/status/parents").iter().flat_map(|p| conditions_in(p, "/conditions")));
    }
    // Some operators have a phase instead.
    let phase = text(object, "/status/phase");
    if group.contains('.')
        && matches!(phase, "Failed" | "Error")
        && conditions.iter().all(|c| c.kind.is_empty() || c.status.is_empty())
    {
        let message = [text(object, "/status/message"), text(object, "/status/reason")];
        conditions.push(Condition {
            kind: "Failed".to_owned(),
            status: "True".to_owned(),
            reason: phase.to_owned(),
            message: message.into_iter().find(|m| !m.is_empty()).unwrap_or_default().to_owned(),
            since: time(object, "/status/lastTransitionTime"),
        });
    }
    // The catalogs of the operator lifecycle manager say how their connection is.
    let connection = text(object, "/status/connectionState/lastObservedState");
    if group == "operators.coreos.com" && !matches!(connection, "" | "READY" | "CONNECTING" | "IDLE") {
        conditions.push(Condition {
            kind: "Healthy".to_owned(),
            status: "False".to_owned(),
            reason: connection.to_owned(),
            message: format!("the connection to {} is {connection}", text(object, "/status/connectionState/address")),
            since: time(object, "/status/connectionState/lastConnect"),
        });
    }
    if conditions.is_empty() && plural != "poddisruptionbudgets" {
        return;
    }
    let kind = kind_in(plural, object);
    let entry = Conditioned {
        at,
        group: group.to_owned(),
        conditions,
        target: (string(object, "/spec/scaleTargetRef/kind"), string(object, "/spec/scaleTargetRef/name")),
        selector: map(object, "/spec/selector/matchLabels"),
        service: (string(object, "/spec/service/namespace"), string(object, "/spec/service/name")),
        secret: string(object, "/spec/secretName"),
        kind,
        key,
    };
    facts.others.insert(Subject::new(&entry.kind, &entry.key.0, &entry.key.1), entry);
}

/// The kind of an object, as it says itself or as its list does.
fn kind_in(plural: &str, object: &Value) -> String {
    match text(object, "/kind") {
        "" => kind_of(plural),
        kind => kind.to_owned(),
    }
}

/// A kind for a plural, where the list does not say it.
fn kind_of(plural: &str) -> String {
    match plural {
        "horizontalpodautoscalers" => "HorizontalPodAutoscaler".to_owned(),
        "clusterrolebindings" => "ClusterRoleBinding".to_owned(),
        "rolebindings" => "RoleBinding".to_owned(),
        "poddisruptionbudgets" => "PodDisruptionBudget".to_owned(),
        "apiservices" => "APIService".to_owned(),
        "customresourcedefinitions" => "CustomResourceDefinition".to_owned(),
        "namespaces" => "Namespace".to_owned(),
        "ingresses" => "Ingress".to_owned(),
        "storageclasses" => "StorageClass".to_owned(),
        "networkpolicies" => "NetworkPolicy".to_owned(),
        other => other.strip_suffix('s').unwrap_or(other).to_owned(),
    }
}

fn note_deletion(facts: &mut Facts, plural: &str, key: &Key, at: &At, object: &Value) {
    let Some(since) = parse_time(text(object, "/metadata/deletionTimestamp")) else { return };
    let mut finalizers = strings(object, "/metadata/finalizers");
    if plural == "namespaces" {
        finalizers.extend(strings(object, "/spec/finalizers"));
    }
    let kind = kind_in(plural, object);
    facts.deleting.push(Deleting { at: at.clone(), kind, key: key.clone(), since, finalizers });
}
