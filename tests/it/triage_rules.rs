//! One small cluster a rule: what must be the root cause, what must follow from it, and what must not be said.

use std::collections::BTreeMap;

use casefile::bundle::overlay::MemStore;
use casefile::model::{ItemId, LedgerEntry, Manifest, Outcome, RunStatus, SCHEMA_VERSION, Tool};
use casefile::triage::{self, Severity, Status, Triage};
use serde_json::{Value, json};

#[test]
fn hosts() {
    let run = |files: &[(&str, String)]| {
        let mut store = MemStore::new();
        for (path, text) in files {
            store.insert(*path, text.clone().into_bytes());
        }
        triage::run(&store, &manifest("host")).unwrap()
    };
    let disks = |percent: i64| {
        let mount = |kind: &str| {
            json!({"mount_point": format!("/{kind}"), "type": kind, "device": kind, "size_bytes": 100_i64 << 30,
            "available_bytes": (100 - percent) << 30, "used_percent": percent, "inodes_used_percent": 3, "read_only": false})
        };
        // An image is always full.
        let mut image = mount("squashfs");
        image["used_percent"] = json!(100);
        ("host/disks.json", json!({"mounts": [mount("ext4"), image]}).to_string())
    };
    let memory = |free: i64| {
        ("host/system.json", json!({"memory_kib": {"MemTotal": 1_000_000, "MemAvailable": free}}).to_string())
    };
    let rules = |t: &Triage| t.findings.iter().map(|f| f.rule.clone()).collect::<Vec<_>>();

    let quiet = run(&[disks(40), memory(600_000)]);
    // No ledger says what else there is, so nobody knows whether it is optimal.
    assert_eq!((quiet.status, rules(&quiet)), (Status::Healthy, vec![]));
    let full = run(&[disks(98), memory(10_000)]);
    assert_eq!(full.status, Status::Unhealthy);
    assert_eq!(full.root().unwrap().rule, "host-disk-full");
    assert!(
        full.root().unwrap().title.contains("/ext4 is 98 % full: 2 GiB left of 100 GiB"),
        "{}",
        full.root().unwrap().title
    );
    assert_eq!(rules(&full), ["host-disk-full", "host-memory-low"]);
    let unit = (
        "host/units/kms-core.service.txt",
        "ActiveState=failed\nResult=exit-code\nNRestarts=7\nExecMainStatus=1\n".to_owned(),
    );
    let kills = ("host/kernel-errors.log", "x\nOut of memory: Killed process 12 (kms-server)\n".to_owned());
    let failed = run(&[disks(40), unit, kills]);
    assert_eq!(rules(&failed), ["host-unit-failed", "host-oom-kill"]);
    assert_eq!(run(&[]).status, Status::Unknown);
}

fn manifest(profile: &str) -> Manifest {
    let now = "2026-11-21T06:30:00Z".parse().unwrap();
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        status: RunStatus::Finished,
        profile: profile.to_owned(),
        parameters: BTreeMap::new(),
        namespaces: vec!["n".to_owned()],
        case: None,
        started: now,
        finished: now,
        clocks: Vec::new(),
        notes: BTreeMap::new(),
        ledger: Vec::new(),
        files: Vec::new(),
    }
}

/// A cluster that is put together list by list.
#[derive(Default)]
struct Cluster {
    lists: BTreeMap<String, Vec<Value>>,
    logs: BTreeMap<String, String>,
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Self::default();
        for list in [
            "pods/n",
            "services/n",
            "secrets/n",
            "events/n",
            "storage-classes",
            "ingress-classes",
            "services/kube-system",
        ] {
            cluster.lists.insert(list.to_owned(), Vec::new());
        }
        cluster.add("nodes", node("worker", &[("Ready", "True")]))
    }

    fn add(mut self, list: &str, object: Value) -> Self {
        self.lists.entry(list.to_owned()).or_default().push(object);
        self
    }

    fn without(mut self, list: &str) -> Self {
        self.lists.remove(list);
        self
    }

    fn event(self, kind: &str, name: &str, reason: &str, message: &str) -> Self {
        self.add(
            "events/n",
            json!({"metadata": {"namespace": "n"}, "involvedObject": {"kind": kind, "namespace": "n", "name": name}, "reason": reason,
                "message": message, "type": "Warning", "count": 5, "firstTimestamp": "2026-11-21T06:10:00Z", "lastTimestamp": "2026-11-21T06:29:50Z"}),
        )
    }

    fn log(mut self, pod: &str, text: &str) -> Self {
        self.logs.insert(format!("cluster-resources/pods/logs/n/{pod}/main-previous.log"), text.to_owned());
        self
    }

    fn triage(&self) -> Triage {
        let mut store = MemStore::new();
        for (list, objects) in &self.lists {
            let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
            let text = format!("{{\"items\":[\n{}\n]}}\n", lines.join(",\n"));
            store.insert(format!("cluster-resources/{list}.json"), text.into_bytes());
        }
        for (path, text) in &self.logs {
            store.insert(path.clone(), text.clone().into_bytes());
        }
        let read = |item: &str| LedgerEntry {
            item: ItemId::new(item),
            collector: "test".to_owned(),
            outcome: Outcome::Ok,
            reason: None,
            started: None,
            duration_ms: 1,
            attempts: 1,
            bytes: 1,
            artifacts: Vec::new(),
        };
        let ledger = self.lists.keys().map(|list| read(&format!("objects/{list}"))).collect();
        triage::run(&store, &Manifest { ledger, ..manifest("kubernetes") }).unwrap()
    }

    /// The root cause must be `rule`, and explain a finding of each of `effects`.
    #[track_caller]
    fn is(&self, rule: &str, effects: &[&str]) -> Triage {
        let triage = self.triage();
        let all: Vec<String> =
            triage.findings.iter().map(|f| format!("{} {:?}: {}", f.rule, f.severity, f.title)).collect();
        let root = triage.root().unwrap_or_else(|| panic!("no root cause, want {rule}: {all:#?}"));
        assert_eq!(root.rule, rule, "{all:#?}");
        assert!(!root.remedy.is_empty() && !root.meaning.is_empty() && !root.evidence.is_empty());
        for effect in effects {
            assert!(
                root.explains.iter().any(|e| e.starts_with(effect)),
                "{rule} must explain {effect}: {:?}, {all:#?}",
                root.explains
            );
        }
        triage
    }

    #[track_caller]
    fn is_quiet(&self) {
        let triage = self.triage();
        let loud: Vec<&str> =
            triage.findings.iter().filter(|f| f.severity > Severity::Info).map(|f| f.title.as_str()).collect();
        assert!(loud.is_empty(), "{loud:#?}");
        assert!(matches!(triage.status, Status::Optimal | Status::Healthy), "{}", triage.status);
    }
}

fn node(name: &str, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status)| json!({"type": kind, "status": status, "reason": "R", "message": "kubelet says so", "lastTransitionTime": "2026-11-21T06:05:00Z"}))
        .collect();
    json!({"metadata": {"name": name}, "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.36.2"}}})
}

/// A pod of stateful set `s` that runs and is ready; `change` is merged over it.
fn pod(name: &str, change: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "n", "labels": {"app": "a"}, "creationTimestamp": "2026-11-21T05:00:00Z",
            "ownerReferences": [{"kind": "StatefulSet", "name": "s", "controller": true}]},
        "spec": {"nodeName": "worker", "containers": [{"name": "main", "image": "i:1", "resources": {"limits": {"memory": "64Mi"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-21T05:00:00Z"}}}]}
    });
    casefile::bundle::overlay::merge(&mut pod, change);
    pod
}

/// The same, with this state of its one container.
fn broken(name: &str, state: &Value, last: &Value) -> Value {
    pod(
        name,
        &json!({"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T06:10:00Z"}],
            "containerStatuses": [{"name": "main", "ready": false, "restartCount": 4, "state": state, "lastState": last}]}}),
    )
}

fn waiting(name: &str, reason: &str, message: &str) -> Value {
    broken(name, &json!({"waiting": {"reason": reason, "message": message}}), &json!({}))
}

fn crashing(name: &str, exit: i64, reason: &str) -> Value {
    let ended = json!({"terminated": {"exitCode": exit, "reason": reason, "startedAt": "2026-11-21T06:29:00Z", "finishedAt": "2026-11-21T06:29:30Z"}});
    broken(name, &json!({"waiting": {"reason": "CrashLoopBackOff"}}), &ended)
}

fn pending(name: &str, message: &str) -> Value {
    pod(
        name,
        &json!({"spec": {"nodeName": null}, "status": {"phase": "Pending", "containerStatuses": null,
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}}),
    )
}

fn set(ready: i64) -> Value {
    json!({"metadata": {"name": "s", "namespace": "n", "creationTimestamp": "2026-11-21T05:00:00Z"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}}, "status": {"readyReplicas": ready}})
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"selector": {"app": "a"}}})
}

/// A broken pod with its set and its service.
fn around(pod: Value) -> Cluster {
    Cluster::new().add("pods/n", pod).add("statefulsets/n", set(0)).add("services/n", service("a"))
}

const EFFECTS: [&str; 2] = ["workload-unavailable:statefulset/n/s", "service-without-endpoints:service/n/a"];

#[test]
fn containers() {
    around(crashing("s-0", 1, "Error")).log("s-0", "Error: no such table\n").is("container-crash", &EFFECTS);
    around(crashing("s-0", 137, "OOMKilled")).is("container-oom-killed", &EFFECTS);
    around(crashing("s-0", 127, "Error")).is("container-command-error", &EFFECTS);
    around(waiting("s-0", "RunContainerError", "exec: \"x\": no such file")).is("container-command-error", &EFFECTS);
    let triage = around(waiting("s-0", "CreateContainerConfigError", "secret \"db\" not found"))
        .is("container-config-error", &EFFECTS);
    assert!(
        triage.root().unwrap().remedy[0].ends_with("kubectl -n n get secret db"),
        "{:?}",
        triage.root().unwrap().remedy
    );
    around(crashing("s-0", 143, "Error"))
        .event("Pod", "s-0", "Killing", "Container main failed liveness probe, will be restarted")
        .event("Pod", "s-0", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")
        .is("liveness-probe-kill", &EFFECTS);
    let init = pod(
        "s-0",
        &json!({
        "spec": {"initContainers": [{"name": "setup", "image": "i:1"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}],
            "initContainerStatuses": [{"name": "setup", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}}],
            "containerStatuses": [{"name": "main", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]}}),
    );
    around(init).is("init-container-failed", &EFFECTS);
    around(waiting("s-0", "ContainerCreating", ""))
        .event("Pod", "s-0", "FailedMount", "MountVolume.SetUp failed for volume \"x\": secret \"y\" not found")
        .is("volume-mount-failed", &EFFECTS);
    around(waiting("s-0", "ContainerCreating", ""))
        .event("Pod", "s-0", "FailedCreatePodSandBox", "plugin type=\"cni\" failed: no IP addresses available")
        .is("pod-sandbox-failed", &EFFECTS);
}

#[test]
fn images() {
    for (message, rule) in [
        ("failed to pull: 401 Unauthorized", "image-pull-auth"),
        ("i:1: not found", "image-pull-not-found"),
        ("429 Too Many Requests - toomanyrequests", "image-pull-rate-limit"),
        ("x509: certificate has expired", "image-pull-tls"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "image-pull-network"),
    ] {
        around(waiting("s-0", "ImagePullBackOff", message)).is(rule, &EFFECTS);
    }
}

#[test]
fn a_crash_names_its_kind() {
    let triage = around(crashing("s-0", 1, "Error"))
        .log("s-0", "2026-11-21T06:29:30Z ERROR dial tcp 10.0.0.9:5432: connect: connection refused\n")
        .is("container-crash", &EFFECTS);
    assert_eq!(triage.root().unwrap().category, triage::Category::Connectivity);
}

#[test]
fn nodes_are_behind_what_happens_on_them() {
    let lost = around(pod(
        "s-0",
        &json!({"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T06:06:00Z"}]}}),
    ));
    let lost = lost.without("nodes").add("nodes", node("worker", &[("Ready", "Unknown")]));
    lost.is("node-not-ready", &["pod-not-ready:pod/n/s-0", EFFECTS[0], EFFECTS[1]]);

    let evicted = pod(
        "s-0",
        &json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage.", "containerStatuses": null}}),
    );
    let full =
        around(evicted).without("nodes").add("nodes", node("worker", &[("Ready", "True"), ("DiskPressure", "True")]));
    full.is("node-disk-pressure", &["pod-evicted:pod/n/s-0"]);

    let waits = around(pending(
        "s-0",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
    ));
    waits
        .without("nodes")
        .add("nodes", node("worker", &[("Ready", "False")]))
        .is("node-not-ready", &["pod-unschedulable"]);
}

#[test]
fn storage_is_behind_pods_that_wait() {
    let claim = |phase: &str| json!({"metadata": {"name": "data", "namespace": "n"}, "spec": {"storageClassName": "fast", "volumeName": "v"}, "status": {"phase": phase}});
    let mut waiter = pending("s-0", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
    waiter["spec"]["volumes"] = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    let effects = ["pod-unschedulable:pod/n/s-0", EFFECTS[0]];
    around(waiter.clone()).add("pvcs/n", claim("Pending")).is("storage-class-missing", &effects);
    let class = json!({"metadata": {"name": "fast"}});
    around(waiter.clone())
        .add("pvcs/n", claim("Pending"))
        .add("storage-classes", class.clone())
        .event("PersistentVolumeClaim", "data", "ProvisioningFailed", "rpc error: out of capacity")
        .is("volume-provisioning-failed", &effects);
    around(waiter).add("pvcs/n", claim("Lost")).add("storage-classes", class.clone()).is("claim-lost", &effects);

    // A claim that waits for its first consumer is as it should be.
    Cluster::new()
        .add("storage-classes", class)
        .add("pvcs/n", claim("Pending"))
        .event("PersistentVolumeClaim", "data", "WaitForFirstConsumer", "waiting for first consumer")
        .is_quiet();
}

#[test]
fn refused_creations_name_who_refused() {
    let refused =
        |message: &str| Cluster::new().add("statefulsets/n", set(0)).event("StatefulSet", "s", "FailedCreate", message);
    let quota = "create Pod s-0 failed error: pods \"s-0\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3";
    refused(quota).is("pod-create-quota", &[EFFECTS[0]]);
    refused(quota)
        .add("resource-quota/n", json!({"metadata": {"name": "q", "namespace": "n"}, "status": {"hard": {"pods": "3"}, "used": {"pods": "3"}}}))
        .is("quota-exhausted", &["pod-create-quota", EFFECTS[0]]);
    let hook = "Internal error occurred: failed calling webhook \"v.example.com\": no endpoints available for service \"hook\"";
    let configuration = json!({"metadata": {"name": "hooks"}, "webhooks": [{"name": "v.example.com", "failurePolicy": "Fail",
        "clientConfig": {"service": {"namespace": "n", "name": "hook"}}}]});
    refused(hook)
        .add("validating-webhook-configurations", configuration.clone())
        .is("webhook-backend-missing", &["pod-create-webhook", EFFECTS[0]]);
    refused(hook)
        .add("validating-webhook-configurations", configuration)
        .add("services/n", json!({"metadata": {"name": "hook", "namespace": "n"}, "spec": {}}))
        .add("endpointslices/n", json!({"metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": "hook"}}, "endpoints": [{"conditions": {"ready": false}}]}))
        .is("webhook-backend-down", &["pod-create-webhook", EFFECTS[0]]);
    refused("pods \"s-0\" is forbidden: error looking up service account n/x: serviceaccount \"x\" not found")
        .is("pod-create-service-account", &[EFFECTS[0]]);
    refused("pods \"s-0\" is forbidden: violates PodSecurity \"restricted:latest\"")
        .is("pod-create-policy", &[EFFECTS[0]]);
}

#[test]
fn certificates_by_their_dates() {
    let secret = |end: &str| {
        let data = json!({"tls.crt": {"bytes": 900, "id": "x", "certificates": [{"subject": "CN=p", "issuer": "CN=ca", "notBefore": "2026-01-01T00:00:00Z", "notAfter": end}]}});
        json!({"metadata": {"name": "tls", "namespace": "n", "annotations": {"casefile/secret-data": data.to_string()}}})
    };
    let mut mounts = crashing("s-0", 1, "Error");
    mounts["spec"]["volumes"] = json!([{"name": "t", "secret": {"secretName": "tls"}}]);
    around(mounts.clone())
        .log("s-0", "Error: invalid peer certificate: Expired\n")
        .add("secrets/n", secret("2026-11-20T00:00:00Z"))
        .is("certificate-expired", &["container-crash:pod/n/s-0", EFFECTS[0]]);
    // An expired certificate does not explain an error that has nothing to do with it.
    let triage = around(mounts)
        .log("s-0", "write: No space left on device\nError: write failed: No space left on device\n")
        .add("secrets/n", secret("2026-11-20T00:00:00Z"))
        .triage();
    let certificate = triage.findings.iter().find(|f| f.rule == "certificate-expired").unwrap();
    assert!(!certificate.explains.iter().any(|e| e.starts_with("container-crash")), "{:?}", certificate.explains);
    Cluster::new().add("secrets/n", secret("2026-11-23T00:00:00Z")).is("certificate-expiring", &[]);
    Cluster::new().add("secrets/n", secret("2027-11-23T00:00:00Z")).is_quiet();
}

#[test]
fn dns_is_behind_names_that_do_not_resolve() {
    let dns = json!({"metadata": {"name": "coredns-1", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}, "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"nodeName": "worker", "containers": [{"name": "coredns", "image": "c:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T06:05:00Z"}],
            "containerStatuses": [{"name": "coredns", "ready": false, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-21T06:00:00Z"}}}]}});
    around(crashing("s-0", 1, "Error"))
        .log("s-0", "Error: lookup db.n.svc: no such host\n")
        .add("pods/kube-system", dns)
        .is("cluster-dns-down", &["container-crash:pod/n/s-0", EFFECTS[0]]);
}

#[test]
fn scheduling_without_a_deeper_cause() {
    let triage = around(pending("s-0", "0/3 nodes are available: 3 Insufficient memory. preemption: no"))
        .is("pod-unschedulable", &EFFECTS[..1]);
    assert!(
        triage.root().unwrap().title.contains("none of 3 nodes fits: 3 x Insufficient memory"),
        "{}",
        triage.root().unwrap().title
    );
}

#[test]
fn objects_that_say_so_themselves() {
    let custom = |since: &str| {
        json!({"kind": "Widget", "metadata": {"name": "w", "namespace": "n"}, "status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "NoBackend", "message": "backend is gone", "lastTransitionTime": since}]}})
    };
    let list = "custom-resources/widgets.example.com/n";
    Cluster::new().add(list, custom("2026-11-21T06:00:00Z")).is("resource-not-ready", &[]);
    Cluster::new().add(list, custom("2026-11-21T06:28:00Z")).is_quiet();

    let stuck = json!({"metadata": {"name": "w", "namespace": "n", "deletionTimestamp": "2026-11-21T05:00:00Z", "finalizers": ["example.com/f"]}});
    let triage = Cluster::new().add("configmaps/n", stuck).is("object-stuck-deleting", &[]);
    assert!(triage.root().unwrap().title.contains("example.com/f"));
    let gone = pod("s-0", &json!({"metadata": {"deletionTimestamp": "2026-11-21T06:00:00Z", "finalizers": ["f"]}}));
    Cluster::new().add("pods/n", gone).is("pod-stuck-terminating", &[]);

    let ingress = json!({"metadata": {"name": "i", "namespace": "n"}, "spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "nope"}}}]}}]}});
    Cluster::new().add("ingress/n", ingress).is("ingress-backend-missing", &[]);
    let hpa = json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "namespace": "n"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}},
        "status": {"conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}]}});
    Cluster::new().add("custom-resources/horizontalpodautoscalers.autoscaling/n", hpa).is("hpa-cannot-scale", &[]);
    let old = json!({"metadata": {"name": "old"}, "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.30.0"}}});
    let mut skewed = Cluster::new().add("nodes", old);
    skewed.logs.insert("cluster-info/cluster_version.json".to_owned(), "{\"string\":\"v1.36.2\"}".to_owned());
    skewed.is("version-skew", &[]);
}

#[test]
fn jobs() {
    let job = |conditions: Value| json!({"metadata": {"name": "j", "namespace": "n"}, "status": {"failed": 1, "conditions": conditions}});
    let mut tried = broken("j-1", &json!({"terminated": {"exitCode": 1, "reason": "Error"}}), &json!({}));
    tried["metadata"]["ownerReferences"] = json!([{"kind": "Job", "name": "j", "controller": true}]);
    tried["status"]["phase"] = json!("Failed");
    let failed = json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]);
    Cluster::new()
        .add("pods/n", tried.clone())
        .add("jobs/n", job(failed))
        .is("container-crash", &["job-failed:job/n/j"]);
    // A try that failed before one succeeded is history.
    Cluster::new().add("pods/n", tried).add("jobs/n", job(json!([{"type": "Complete", "status": "True"}]))).is_quiet();
}

#[test]
fn healthy_clusters_of_several_shapes_stay_silent() {
    Cluster::new().is_quiet();
    Cluster::new()
        .add("pods/n", pod("s-0", &json!({})))
        .add("statefulsets/n", set(1))
        .add("services/n", service("a"))
        .is_quiet();
    // Restarted long ago, a finished pod, a headless service without a selector, a suspended CronJob, a workload at zero.
    let old = pod(
        "s-0",
        &json!({"status": {"containerStatuses": [{"name": "main", "ready": true, "restartCount": 2, "state": {"running": {"startedAt": "2026-11-20T05:00:00Z"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-20T04:59:00Z"}}}]}}),
    );
    let done = pod(
        "once",
        &json!({"metadata": {"labels": null}, "status": {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}],
        "containerStatuses": [{"name": "main", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}}),
    );
    Cluster::new()
        .add("pods/n", old)
        .add("pods/n", done)
        .add("services/n", json!({"metadata": {"name": "manual", "namespace": "n"}, "spec": {}}))
        .add("services/n", json!({"metadata": {"name": "peer", "namespace": "n"}, "spec": {"type": "ExternalName", "selector": {"app": "x"}}}))
        .add("cronjobs/n", json!({"metadata": {"name": "c", "namespace": "n"}, "spec": {"suspend": true}}))
        .add("deployments/n", json!({"metadata": {"name": "off", "namespace": "n"}, "spec": {"replicas": 0}, "status": {}}))
        .event("Pod", "s-0", "Unhealthy", "Readiness probe failed: at the start only")
        .is_quiet();
    // A rollout that has just begun.
    let young = json!({"metadata": {"name": "d", "namespace": "n", "creationTimestamp": "2026-11-21T06:29:30Z"}, "spec": {"replicas": 1}, "status": {}});
    Cluster::new().add("deployments/n", young).is_quiet();
}

#[test]
fn a_stuck_rollout_behind_a_version_that_serves_is_a_warning() {
    let deployment = |ready: i64| {
        json!({"metadata": {"name": "d", "namespace": "n"}, "spec": {"replicas": 1}, "status": {"readyReplicas": ready, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out", "lastTransitionTime": "2026-11-21T06:20:00Z"}]}})
    };
    let mut new = waiting("d-2-x", "ImagePullBackOff", "i:1: not found");
    new["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "d-2", "controller": true}]);
    let set = json!({"metadata": {"name": "d-2", "namespace": "n", "ownerReferences": [{"kind": "Deployment", "name": "d", "controller": true}]},
        "spec": {"replicas": 1}, "status": {}});
    let cluster = |ready| {
        Cluster::new()
            .add("pods/n", new.clone())
            .add("replicasets/n", set.clone())
            .add("deployments/n", deployment(ready))
    };
    let effects = ["rollout-stuck:deployment/n/d"];
    assert_eq!(cluster(1).is("image-pull-not-found", &effects).status, Status::Degraded);
    assert_eq!(cluster(0).is("image-pull-not-found", &effects).status, Status::Unhealthy);
}

#[test]
fn names_that_lead_nowhere() {
    let mut pull = waiting("s-0", "ImagePullBackOff", "pull access denied: 401 Unauthorized");
    pull["spec"]["imagePullSecrets"] = json!([{"name": "registry"}]);
    Cluster::new().add("pods/n", pull.clone()).is("image-pull-secret-missing", &["image-pull-auth"]);
    let secret = json!({"metadata": {"name": "registry", "namespace": "n"}});
    Cluster::new().add("pods/n", pull.clone()).add("secrets/n", secret).is("image-pull-auth", &[]);
    Cluster::new().add("pods/n", pull).without("secrets/n").is("image-pull-auth", &[]);

    let mut with_port = service("a");
    with_port["spec"]["ports"] = json!([{"port": 80, "targetPort": "http"}]);
    let name = |port: &str| {
        let mut pod = pod("s-0", &json!({}));
        pod["spec"]["containers"][0]["ports"] = json!([{"name": port, "containerPort": 8080}]);
        pod
    };
    Cluster::new().add("pods/n", name("web")).add("services/n", with_port.clone()).is("service-port-missing", &[]);
    Cluster::new().add("pods/n", name("http")).add("services/n", with_port.clone()).is_quiet();
    Cluster::new().add("services/n", with_port.clone()).is("service-selects-nothing", &[]);

    let service = with_port["metadata"]["name"].clone();
    let ingress = |port: Value| {
        json!({"metadata": {"name": "i", "namespace": "n"}, "spec": {"rules": [{"http": {"paths": [
            {"backend": {"service": {"name": service, "port": port}}}]}}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}})
    };
    let cluster = |port| {
        Cluster::new().add("pods/n", name("http")).add("services/n", with_port.clone()).add("ingress/n", ingress(port))
    };
    cluster(json!({"number": 8080})).is("ingress-port-missing", &[]);
    cluster(json!({"number": 80})).is_quiet();
    // Without a class and without an address, nobody has taken it.
    let mut unclaimed = ingress(json!({"number": 80}));
    unclaimed["status"] = json!({});
    Cluster::new()
        .add("pods/n", name("http"))
        .add("services/n", with_port)
        .add("ingress/n", unclaimed)
        .is("ingress-class-missing", &[]);
}

#[test]
fn pods_in_trouble_have_a_node_in_common() {
    let on = |name: &str, set: &str, node: &str, ready: bool| {
        let mut pod = if ready {
            pod(name, &json!({}))
        } else {
            waiting(name, "CreateContainerConfigError", &format!("secret \"{name}\" not found"))
        };
        pod["spec"]["nodeName"] = json!(node);
        pod["metadata"]["ownerReferences"] = json!([{"kind": "StatefulSet", "name": set, "controller": true}]);
        pod
    };
    let cluster = |last: &str| {
        let mut cluster = Cluster::new();
        for (name, set) in [("a-0", "a"), ("b-0", "b"), ("c-0", "c")] {
            cluster = cluster.add("pods/n", on(name, set, if set == "c" { last } else { "worker" }, false));
        }
        for name in ["d-0", "d-1", "d-2"] {
            cluster = cluster.add("pods/n", on(name, "d", "other", true));
        }
        cluster.triage()
    };
    let shared = cluster("worker");
    let found = shared.root().unwrap();
    assert!(
        found.title.contains(
            "all 3 pods in trouble run on node worker: nothing on it is ready, and 3 pods are ready elsewhere"
        ),
        "{}",
        found.title
    );
    assert!(cluster("other").findings.iter().all(|f| f.rule != "failures-in-common"));
}

#[test]
fn routes_and_operators_say_it_elsewhere() {
    let route = json!({"kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "n"}, "status": {"parents": [{"conditions": [
        {"type": "Accepted", "status": "True", "lastTransitionTime": "2026-11-21T05:00:00Z"},
        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "service x not found", "lastTransitionTime": "2026-11-21T05:00:00Z"}]}]}});
    let found = Cluster::new()
        .add("custom-resources/httproutes.gateway.networking.k8s.io/n", route)
        .is("resource-not-ready", &[]);
    assert!(found.root().unwrap().title.contains("service x not found"));
    let version = |phase: &str| {
        json!({"kind": "ClusterServiceVersion", "metadata": {"name": "op.v1", "namespace": "n"},
            "status": {"phase": phase, "message": "install strategy failed", "conditions": [{"phase": phase, "message": "x"}]}})
    };
    let list = "custom-resources/clusterserviceversions.operators.coreos.com/n";
    let found = Cluster::new().add(list, version("Failed")).is("resource-not-ready", &[]);
    assert!(found.root().unwrap().title.contains("install strategy failed"));
    Cluster::new().add(list, version("Succeeded")).is_quiet();
}
