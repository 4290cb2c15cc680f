//! Cells of the built-in kinds, and the small parts that they share.

use serde_json::Value;

use super::{age, clock, human, number, since, text, text_or};
use crate::model::time::Timestamp;

pub(super) fn name(object: &Value) -> Value {
    text(&object["metadata"]["name"])
}

/// A number, 0 where it is missing.
pub(super) fn count(value: &Value) -> Value {
    number(value).into()
}

/// How many entries an array or an object has.
pub(super) fn size(value: &Value) -> usize {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or(0)
}

/// How many pods are wanted; one where nothing is said.
pub(super) fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// Containers and images of a pod template, each joined by commas.
pub(super) fn template(object: &Value) -> (Value, Value) {
    let spec = &object["spec"]["template"]["spec"];
    let join = |field: &str| -> Value {
        let names: Vec<&str> =
            spec["containers"].as_array().into_iter().flatten().filter_map(|c| c[field].as_str()).collect();
        names.join(",").into()
    };
    (join("name"), join("image"))
}

/// `a=b,c=d`, or `<none>`.
pub(super) fn pairs(value: &Value) -> String {
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector as text.
pub(super) fn selector(value: &Value) -> String {
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

pub(super) fn event(event: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn node(node: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn service(service: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn endpoints(endpoints: &Value, now: Timestamp) -> Vec<Value> {
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
pub(super) fn access_modes(value: &Value) -> String {
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

pub(super) fn claim(claim: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn volume(volume: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn job(job: &Value, now: Timestamp) -> Vec<Value> {
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
    let time = |field: &str| status[field].as_str().and_then(clock::parse);
    let duration = match (time("startTime"), time("completionTime")) {
        (Some(start), Some(end)) => human(end - start),
        (Some(start), None) => human(now - start),
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

pub(super) fn cron_job(job: &Value, now: Timestamp) -> Vec<Value> {
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

pub(super) fn ingress(ingress: &Value, now: Timestamp) -> Vec<Value> {
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
