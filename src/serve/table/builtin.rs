//! The kinds that the server has columns for, beside pods.

use serde_json::Value;

use super::pod;
use super::{Cells, Column, age, number, since, text, text_or};
use crate::model::time::Timestamp;

/// Names of columns that `-o wide` adds begin with this.
const WIDE: char = '+';

/// Columns of one kind: API group, plural, column names, cells.
type Entry = (&'static str, &'static str, &'static [&'static str], Cells);

/// Each kind's columns beside the name, which is first unless a `Name` is listed.
const KINDS: [Entry; 23] = [
    (
        "",
        "pods",
        &["Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"],
        pod::cells,
    ),
    (
        "",
        "events",
        &[
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            "+Subobject",
            "+Source",
            "Message",
            "+First Seen",
            "+Count",
            "+Name",
        ],
        event,
    ),
    (
        "",
        "nodes",
        &[
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ],
        node,
    ),
    ("", "services", &["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"], service),
    ("", "endpoints", &["Name", "Endpoints", "Age"], endpoints),
    ("", "configmaps", &["Name", "Data", "Age"], |o, now| {
        let count = size(&o["data"]) + size(&o["binaryData"]);
        vec![name(o), count.into(), age(o, now).into()]
    }),
    ("", "secrets", &["Name", "Type", "Data", "Age"], |o, now| {
        vec![name(o), text(&o["type"]), size(&o["data"]).into(), age(o, now).into()]
    }),
    ("", "serviceaccounts", &["Name", "Secrets", "Age"], |o, now| {
        vec![name(o), size(&o["secrets"]).into(), age(o, now).into()]
    }),
    ("", "namespaces", &["Name", "Status", "Age"], |o, now| {
        vec![name(o), text(&o["status"]["phase"]), age(o, now).into()]
    }),
    (
        "",
        "persistentvolumeclaims",
        &[
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ],
        claim,
    ),
    (
        "",
        "persistentvolumes",
        &[
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ],
        volume,
    ),
    ("", "replicationcontrollers", &["Name", "Desired", "Current", "Ready", "Age"], |o, now| {
        let status = &o["status"];
        vec![
            name(o),
            replicas(o).into(),
            count(&status["replicas"]),
            count(&status["readyReplicas"]),
            age(o, now).into(),
        ]
    }),
    (
        "apps",
        "deployments",
        &["Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"],
        |o, now| {
            let status = &o["status"];
            let ready = format!("{}/{}", number(&status["readyReplicas"]), replicas(o));
            let (containers, images) = template(o);
            vec![
                name(o),
                ready.into(),
                count(&status["updatedReplicas"]),
                count(&status["availableReplicas"]),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    ("apps", "statefulsets", &["Name", "Ready", "Age", "+Containers", "+Images"], |o, now| {
        let ready = format!("{}/{}", number(&o["status"]["readyReplicas"]), replicas(o));
        let (containers, images) = template(o);
        vec![name(o), ready.into(), age(o, now).into(), containers, images]
    }),
    (
        "apps",
        "replicasets",
        &["Name", "Desired", "Current", "Ready", "Age", "+Containers", "+Images", "+Selector"],
        |o, now| {
            let status = &o["status"];
            let (containers, images) = template(o);
            vec![
                name(o),
                replicas(o).into(),
                count(&status["replicas"]),
                count(&status["readyReplicas"]),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    (
        "apps",
        "daemonsets",
        &[
            "Name",
            "Desired",
            "Current",
            "Ready",
            "Up-to-date",
            "Available",
            "Node Selector",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ],
        |o, now| {
            let status = &o["status"];
            let (containers, images) = template(o);
            vec![
                name(o),
                count(&status["desiredNumberScheduled"]),
                count(&status["currentNumberScheduled"]),
                count(&status["numberReady"]),
                count(&status["updatedNumberScheduled"]),
                count(&status["numberAvailable"]),
                pairs(&o["spec"]["template"]["spec"]["nodeSelector"]).into(),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    ("apps", "controllerrevisions", &["Name", "Controller", "Revision", "Age"], |o, now| {
        let owner = o["metadata"]["ownerReferences"].as_array().into_iter().flatten().find(|r| r["controller"] == true);
        let controller = owner.map_or_else(
            || "<none>".to_owned(),
            |r| {
                let kind = r["kind"].as_str().unwrap_or("").to_lowercase();
                let group = r["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(g, _)| g);
                let dot = if group.is_empty() { "" } else { "." };
                format!("{kind}{dot}{group}/{}", r["name"].as_str().unwrap_or(""))
            },
        );
        vec![name(o), controller.into(), count(&o["revision"]), age(o, now).into()]
    }),
    (
        "batch",
        "jobs",
        &["Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"],
        job,
    ),
    (
        "batch",
        "cronjobs",
        &[
            "Name",
            "Schedule",
            "Timezone",
            "Suspend",
            "Active",
            "Last Schedule",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ],
        cron_job,
    ),
    ("networking.k8s.io", "networkpolicies", &["Name", "Pod-Selector", "Age"], |o, now| {
        vec![name(o), selector(&o["spec"]["podSelector"]).into(), age(o, now).into()]
    }),
    ("networking.k8s.io", "ingresses", &["Name", "Class", "Hosts", "Address", "Ports", "Age"], ingress),
    (
        "storage.k8s.io",
        "storageclasses",
        &["Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"],
        |o, now| {
            let annotation = &o["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"];
            let default = if annotation == "true" { " (default)" } else { "" };
            vec![
                format!("{}{default}", o["metadata"]["name"].as_str().unwrap_or("")).into(),
                text(&o["provisioner"]),
                text_or(&o["reclaimPolicy"], "Delete"),
                text_or(&o["volumeBindingMode"], "Immediate"),
                o["allowVolumeExpansion"].as_bool().unwrap_or(false).into(),
                age(o, now).into(),
            ]
        },
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["Name", "Created At"], |o, _| {
        vec![name(o), text(&o["metadata"]["creationTimestamp"])]
    }),
];

/// The columns of a kind, if it has any of its own.
pub(super) fn find(group: &str, plural: &str) -> Option<(Vec<Column>, Cells)> {
    let (.., columns, cells) = KINDS.iter().find(|(g, p, ..)| *g == group && *p == plural)?;
    let column = |text: &&str| {
        let (label, priority) = text.strip_prefix(WIDE).map_or((*text, 0), |wide| (wide, 1));
        let format = if label == "Name" { "name" } else { "" };
        Column { format: format.to_owned(), ..Column::text(label, priority) }
    };
    Some((columns.iter().map(column).collect(), *cells))
}

fn name(object: &Value) -> Value {
    text(&object["metadata"]["name"])
}

/// A number, 0 where it is missing.
fn count(value: &Value) -> Value {
    number(value).into()
}

/// How many entries an array or an object has.
fn size(value: &Value) -> usize {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or(0)
}

/// How many pods are wanted; one where nothing is said.
fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// Containers and images of a pod template, each joined by commas.
fn template(object: &Value) -> (Value, Value) {
    let spec = &object["spec"]["template"]["spec"];
    let join = |field: &str| -> Value {
        let names: Vec<&str> =
            spec["containers"].as_array().into_iter().flatten().filter_map(|c| c[field].as_str()).collect();
        names.join(",").into()
    };
    (join("name"), join("image"))
}

/// `a=b,c=d`, or `<none>`.
fn pairs(value: &Value) -> String {
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector as text.
fn selector(value: &Value) -> String {
    let mut parts = match pairs(&value["matchLabels"]) {
        none if none == "<none>" => Vec::new(),
        some => vec![some],
    };
    for expression in value["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or("");
        let values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let at = |field: &Value| field.as_str().map(str::to_owned);
    let first = at(&event["firstTimestamp"]).or_else(|| at(&event["eventTime"]));
    let series = &event["series"];
    let last = at(&series["lastObservedTime"]).or_else(|| at(&event["lastTimestamp"])).or_else(|| first.clone());
    let when = |time: Option<String>| since(&time.unwrap_or_default(), now);
    let about = &event["involvedObject"];
    let object =
        format!("{}/{}", about["kind"].as_str().unwrap_or("").to_lowercase(), about["name"].as_str().unwrap_or(""));
    let component = event["source"]["component"]
        .as_str()
        .filter(|c| !c.is_empty())
        .or_else(|| event["reportingComponent"].as_str())
        .unwrap_or("");
    let instance = event["source"]["host"]
        .as_str()
        .filter(|h| !h.is_empty())
        .or_else(|| event["reportingInstance"].as_str())
        .unwrap_or("");
    let source = if instance.is_empty() { component.to_owned() } else { format!("{component}, {instance}") };
    let count = series["count"].as_i64().or_else(|| event["count"].as_i64()).filter(|n| *n > 0).unwrap_or(1);
    vec![
        when(last).into(),
        text(&event["type"]),
        text(&event["reason"]),
        object.into(),
        text(&about["fieldPath"]),
        source.into(),
        event["message"].as_str().unwrap_or("").trim().into(),
        when(first).into(),
        count.into(),
        name(event),
    ]
}

fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|c| c["type"] == "Ready");
    let mut status = match ready {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"] == true {
        status += ",SchedulingDisabled";
    }
    let mut roles: Vec<&str> = node["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role).filter(|r| !r.is_empty()),
            None if key == "kubernetes.io/role" => value.as_str().filter(|r| !r.is_empty()),
            None => None,
        })
        .collect();
    roles.sort_unstable();
    let roles = if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") };
    let address = |kind: &str| {
        let addresses = node["status"]["addresses"].as_array();
        let found = addresses.into_iter().flatten().find(|a| a["type"] == kind);
        found.map_or_else(|| "<none>".into(), |a| text(&a["address"]))
    };
    let info = &node["status"]["nodeInfo"];
    let kernel = match (info["kernelVersion"].as_str().filter(|k| !k.is_empty()), info["architecture"].as_str()) {
        (Some(kernel), Some(architecture)) if !architecture.is_empty() => format!("{kernel} ({architecture})"),
        (Some(kernel), _) => kernel.to_owned(),
        (None, _) => "<unknown>".to_owned(),
    };
    vec![
        name(node),
        status.into(),
        roles.into(),
        age(node, now).into(),
        text(&info["kubeletVersion"]),
        address("InternalIP"),
        address("ExternalIP"),
        text_or(&info["osImage"], "<unknown>"),
        kernel.into(),
        text_or(&info["containerRuntimeVersion"], "<unknown>"),
    ]
}

fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &service["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let mut external = texts(&spec["externalIPs"]);
    match kind {
        "ExternalName" => external = vec![spec["externalName"].as_str().unwrap_or("").to_owned()],
        "LoadBalancer" => {
            let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
            let address = |i: &Value| i["ip"].as_str().or_else(|| i["hostname"].as_str()).map(str::to_owned);
            external.splice(0..0, ingress.into_iter().flatten().filter_map(address));
            if external.is_empty() {
                external.push("<pending>".to_owned());
            }
        }
        _ => {}
    }
    let external = if external.is_empty() { "<none>".to_owned() } else { external.join(",") };
    let port = |p: &Value| {
        let (number, protocol) = (number(&p["port"]), p["protocol"].as_str().unwrap_or("TCP"));
        match p["nodePort"].as_i64().filter(|n| *n > 0) {
            Some(node) => format!("{number}:{node}/{protocol}"),
            None => format!("{number}/{protocol}"),
        }
    };
    let ports: Vec<String> = spec["ports"].as_array().into_iter().flatten().map(port).collect();
    let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
    vec![
        name(service),
        kind.into(),
        text_or(&spec["clusterIP"], "<none>"),
        external.into(),
        ports.into(),
        age(service, now).into(),
        pairs(&spec["selector"]).into(),
    ]
}

fn endpoints(endpoints: &Value, now: Timestamp) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        let ports = subset["ports"].as_array();
        for address in subset["addresses"].as_array().into_iter().flatten() {
            let ip = address["ip"].as_str().unwrap_or("");
            match ports.filter(|p| !p.is_empty()) {
                Some(ports) => all.extend(ports.iter().map(|p| format!("{ip}:{}", number(&p["port"])))),
                None => all.push(ip.to_owned()),
            }
        }
    }
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    let shown = match (all.is_empty(), more) {
        (true, _) => "<none>".to_owned(),
        (false, 0) => all.join(","),
        (false, more) => format!("{} + {more} more...", all.join(",")),
    };
    vec![name(endpoints), shown.into(), age(endpoints, now).into()]
}

/// `RWO,ROX`.
fn access_modes(value: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => Some("RWO"),
        Some("ReadOnlyMany") => Some("ROX"),
        Some("ReadWriteMany") => Some("RWX"),
        Some("ReadWriteOncePod") => Some("RWOP"),
        _ => None,
    };
    let modes: Vec<&str> = value.as_array().into_iter().flatten().filter_map(short).collect();
    modes.join(",")
}

fn claim(claim: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&claim["spec"], &claim["status"]);
    let bound = spec["volumeName"].as_str().is_some_and(|v| !v.is_empty());
    let phase =
        if claim["metadata"]["deletionTimestamp"].is_string() { "Terminating".into() } else { text(&status["phase"]) };
    let shown = |value: Value| if bound { value } else { "".into() };
    vec![
        name(claim),
        phase,
        text(&spec["volumeName"]),
        shown(text(&status["capacity"]["storage"])),
        shown(access_modes(&status["accessModes"]).into()),
        text(&spec["storageClassName"]),
        text_or(&spec["volumeAttributesClassName"], "<unset>"),
        age(claim, now).into(),
        text_or(&spec["volumeMode"], "Filesystem"),
    ]
}

fn volume(volume: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&volume["spec"], &volume["status"]);
    let claim = match &spec["claimRef"] {
        Value::Null => String::new(),
        claim => format!("{}/{}", claim["namespace"].as_str().unwrap_or(""), claim["name"].as_str().unwrap_or("")),
    };
    let phase =
        if volume["metadata"]["deletionTimestamp"].is_string() { "Terminating".into() } else { text(&status["phase"]) };
    vec![
        name(volume),
        text(&spec["capacity"]["storage"]),
        access_modes(&spec["accessModes"]).into(),
        text(&spec["persistentVolumeReclaimPolicy"]),
        phase,
        claim.into(),
        text(&spec["storageClassName"]),
        text_or(&spec["volumeAttributesClassName"], "<unset>"),
        text(&status["reason"]),
        age(volume, now).into(),
        text_or(&spec["volumeMode"], "Filesystem"),
    ]
}

fn job(job: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&job["spec"], &job["status"]);
    let has = |kind: &str| {
        status["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
    };
    let state = match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if job["metadata"]["deletionTimestamp"].is_string() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let done = number(&status["succeeded"]);
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64().unwrap_or(1)) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    };
    let time = |field: &str| status[field].as_str().and_then(super::clock::parse);
    let duration = match (time("startTime"), time("completionTime")) {
        (Some(start), Some(end)) => super::human(end - start),
        (Some(start), None) => super::human(now - start),
        (None, _) => String::new(),
    };
    let (containers, images) = template(job);
    vec![
        name(job),
        state.into(),
        completions.into(),
        duration.into(),
        age(job, now).into(),
        containers,
        images,
        selector(&spec["selector"]).into(),
    ]
}

fn cron_job(job: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &job["spec"];
    let last = job["status"]["lastScheduleTime"].as_str().map_or_else(|| "<none>".to_owned(), |at| since(at, now));
    let (containers, images) = template(&spec["jobTemplate"]);
    let suspended = if spec["suspend"] == true { "True" } else { "False" };
    vec![
        name(job),
        text(&spec["schedule"]),
        text_or(&spec["timeZone"], "<none>"),
        suspended.into(),
        size(&job["status"]["active"]).into(),
        last.into(),
        age(job, now).into(),
        containers,
        images,
        selector(&spec["jobTemplate"]["spec"]["selector"]).into(),
    ]
}

fn ingress(ingress: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &ingress["spec"];
    let hosts: Vec<&str> = spec["rules"].as_array().into_iter().flatten().filter_map(|r| r["host"].as_str()).collect();
    let addresses: Vec<&str> = ingress["status"]["loadBalancer"]["ingress"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|i| i["ip"].as_str().or_else(|| i["hostname"].as_str()))
        .collect();
    let ports = if size(&spec["tls"]) > 0 { "80, 443" } else { "80" };
    vec![
        name(ingress),
        text_or(&spec["ingressClassName"], "<none>"),
        if hosts.is_empty() { "*".into() } else { hosts.join(",").into() },
        addresses.join(",").into(),
        ports.into(),
        age(ingress, now).into(),
    ]
}
