//! The facts that rules may use: a table of their names, types and meaning, which the documentation prints.

use super::types::Type::{Any, Bool, Float, Int, List, Map as MapOf, Record as RecordOf, Text};
use super::types::{Fact, Field, Record, Type};

const fn field(name: &'static str, of: Type, meaning: &'static str) -> Field {
    Field { name, of, meaning }
}

const fn fact(name: &'static str, of: Type, meaning: &'static str, source: &'static str) -> Fact {
    Fact { field: field(name, of, meaning), source }
}

const AT: Field = field("at", RecordOf(&PLACE), "where it stands in the bundle, for `evidence`");
const NAMESPACE: Field = field("namespace", Text, "");
const POD: Field = field("pod", Text, "name of the pod");

static PLACE: Record = Record {
    name: "place",
    fields: &[
        field("path", Text, "path of the artifact"),
        field("line", Int, "line, from 1; 0 when `pointer` says where"),
        field("pointer", Text, "JSON pointer"),
        field("text", Text, "what stands there, where it is one line"),
    ],
};

static CONDITION: Record = Record {
    name: "condition",
    fields: &[
        field("type", Text, ""),
        field("status", Text, "`True`, `False` or `Unknown`"),
        field("reason", Text, ""),
        field("message", Text, ""),
        field("age_s", Int, "seconds since it changed, -1 when unknown"),
    ],
};

static CONTAINER: Record = Record {
    name: "container",
    fields: &[
        NAMESPACE,
        POD,
        field("name", Text, ""),
        field("image", Text, ""),
        field("role", Text, "`app`, `init` or `ephemeral`"),
        field("ready", Bool, ""),
        field("restarts", Int, ""),
        field("state", Text, "`waiting`, `running`, `terminated` or `unknown`"),
        field("state_reason", Text, "reason of `waiting` or `terminated`"),
        field("running_s", Int, "seconds since it started, -1 when it does not run"),
        field("last_exit_code", Int, "exit code of the instance that ended last, -1 when none has"),
        field("last_reason", Text, "why it ended, such as `OOMKilled`"),
        field("limits", MapOf(&Text), "as written, such as `memory` = `1Gi`"),
        field("requests", MapOf(&Text), "as written"),
        field("memory", Float, "bytes in use, -1 when unknown"),
        field("memory_limit", Float, "bytes, -1 when there is none"),
        field("cpu", Float, "CPUs in use, -1 when unknown"),
        field("cpu_limit", Float, "CPUs, -1 when there is none"),
        AT,
    ],
};

static PODS: Record = Record {
    name: "pod",
    fields: &[
        NAMESPACE,
        field("name", Text, ""),
        field("node", Text, "empty while it has none"),
        field("phase", Text, ""),
        field("reason", Text, ""),
        field("message", Text, ""),
        field("ready", Bool, "condition `Ready` is true"),
        field("over", Bool, "it ran to its end"),
        field("deleting", Bool, "its deletion was asked for"),
        field("owner_kind", Text, "kind of its controller"),
        field("owner", Text, "name of its controller"),
        field("labels", MapOf(&Text), ""),
        field("restarts", Int, "of all containers"),
        field("age_s", Int, "seconds since it was made, -1 when unknown"),
        field("conditions", List(&RecordOf(&CONDITION)), ""),
        field("containers", List(&RecordOf(&CONTAINER)), "all kinds"),
        AT,
    ],
};

static WORKLOAD: Record = Record {
    name: "workload",
    fields: &[
        field("kind", Text, "`Deployment`, `StatefulSet`, `DaemonSet` or `ReplicaSet`"),
        NAMESPACE,
        field("name", Text, ""),
        field("desired", Int, "replicas that it wants"),
        field("ready", Int, "replicas that are ready"),
        field("age_s", Int, "seconds since it was made, -1 when unknown"),
        field("conditions", List(&RecordOf(&CONDITION)), ""),
        AT,
    ],
};

static NODE: Record = Record {
    name: "node",
    fields: &[
        field("name", Text, ""),
        field("cordoned", Bool, ""),
        field("kubelet", Text, "version"),
        field("conditions", List(&RecordOf(&CONDITION)), ""),
        AT,
    ],
};

static EVENT: Record = Record {
    name: "event",
    fields: &[
        field("kind", Text, "kind of what it is about, in lower case"),
        field("namespace", Text, "empty for nodes"),
        field("name", Text, "name of what it is about"),
        field("reason", Text, ""),
        field("message", Text, ""),
        field("warning", Bool, "of type `Warning`"),
        field("count", Int, "how often"),
        field("age_s", Int, "seconds since the last time, -1 when unknown"),
        AT,
    ],
};

static PEER: Record = Record {
    name: "peer",
    fields: &[
        field("id", Int, ""),
        field("endpoint", Text, ""),
        field("reachable", Bool, ""),
        field("latency_ms", Int, "0 when there was no answer"),
        field("error", Text, ""),
    ],
};

static PEERS: Record = Record {
    name: "peer_row",
    fields: &[
        NAMESPACE,
        field("pod", Text, "the pod that told it"),
        field("source", Text, "`grpc` or `kms-health-check`"),
        field("context", Text, "id of the context"),
        field("party", Int, "id of the party that sees it"),
        field("id", Int, "id of the peer"),
        field("endpoint", Text, ""),
        field("reachable", Bool, ""),
        field("latency_ms", Int, "0 when there was no answer"),
        field("error", Text, ""),
        AT,
    ],
};

static NETWORK: Record = Record {
    name: "network",
    fields: &[
        field("context", Text, "id of the context"),
        field("party", Int, "id of this party"),
        field("nodes", Int, "all parties"),
        field("required", Int, "parties that are needed"),
        field("reachable", Int, "parties that are reached, this one among them"),
        field("health", Text, "the program's own word"),
        field("status", Text, "`optimal`, `healthy`, `degraded` or `unhealthy`, by the server's arithmetic"),
        field("peers", List(&RecordOf(&PEER)), ""),
    ],
};

static HEALTH: Record = Record {
    name: "health",
    fields: &[
        NAMESPACE,
        field("pod", Text, "the pod in which the check ran, or that was asked"),
        field("source", Text, "`grpc` or `kms-health-check`"),
        field("connected", Bool, ""),
        field("error", Text, "why there is no connection"),
        field("key_ids", Int, "number of FHE keys"),
        field("key_error", Text, ""),
        field("networks", List(&RecordOf(&NETWORK)), "one a context"),
        AT,
    ],
};

static SAMPLE: Record = Record {
    name: "sample",
    fields: &[
        field("name", Text, ""),
        field("labels", MapOf(&Text), ""),
        field("value", Float, ""),
        field("rate", Float, "change a second between the first and the last scrape, 0 when unknown"),
        AT,
    ],
};

static STORE: Record = Record {
    name: "store",
    fields: &[
        NAMESPACE,
        field("pod", Text, "the pod that uses it; on a host without a cluster, the program"),
        field("id", Text, "which store: `private`, `public`, `backup`"),
        field("kind", Text, "`s3` or `file`"),
        field("place", Text, "bucket or directory with its prefix"),
        field("complete", Bool, "the objects are all there are"),
        field(
            "fault",
            Text,
            "code of what kept it from being listed, such as `not-found`, `AccessDenied`; empty when nothing did",
        ),
        field("reason", Text, "the same in words"),
        field("objects", Int, "objects that were seen"),
        field("bytes", Float, "their sizes together"),
        field("folders", MapOf(&Int), "objects by folder, such as `EpochData`"),
        field("empty", List(&Text), "names of objects of no bytes"),
        field("deleted", List(&Text), "names whose newest version is a delete marker"),
        AT,
    ],
};

static PRSS: Record = Record {
    name: "prss",
    fields: &[
        NAMESPACE,
        field("pod", Text, ""),
        field("version", Text, "version of the core, empty when unknown"),
        field("folder", Text, "folder in which that version keeps it"),
        field(
            "state",
            Text,
            "`complete`, `missing`, `partial`, `other-layout`, `epoch-missing`, or `unknown` where the vault could not be listed",
        ),
        field("objects", List(&Text), "names in that folder: epochs since 0.13.10"),
        AT,
    ],
};

static PROBE: Record = Record {
    name: "probe",
    fields: &[
        NAMESPACE,
        field("pod", Text, "the pod whose peer it is"),
        field("id", Text, "id of the peer, empty when unknown"),
        field("host", Text, ""),
        field("port", Int, ""),
        field("subject_kind", Text, "`service` where a service stands for the peer, else `peer`; for `subject`"),
        field("subject_namespace", Text, ""),
        field("subject_name", Text, ""),
        field("identity", Text, "name that its certificate must have"),
        field("own", Bool, "it is the party itself"),
        field(
            "verdict",
            Text,
            "`reachable`, `not-resolved`, `not-resolvable-here`, `refused`, `black-holed`, `unreachable`, `failed` or `tls-problem`",
        ),
        field("rcode", Text, "answer of the name server"),
        field("address", Text, "where the connection went"),
        field("latency_ms", Float, "of the connection"),
        field("error", Text, ""),
        field(
            "problems",
            List(&Text),
            "`expired`, `not-yet-valid`, `wrong-name`, `self-signed`, `not-the-expected-one`, `ca-as-end-entity`, `not-tls`",
        ),
        field("subject", Text, "of its certificate"),
        field("issuer", Text, "of its certificate"),
        field("valid_in_s", Int, "seconds until its certificate begins to be valid, negative when it is"),
        field("expires_in_s", Int, "seconds until its certificate ends, 0 when unknown"),
        field("inside_connected", Text, "`yes`, `no` or `unknown`: what `nc` in the pod says"),
        field("inside_resolved", Text, "`yes`, `no` or `unknown`: what `getent` in the pod says"),
        AT,
    ],
};

static SCRAPE: Record = Record {
    name: "scrape",
    fields: &[
        NAMESPACE,
        POD,
        field("values", MapOf(&Float), "value of each metric, summed over its labels"),
        field("rates", MapOf(&Float), "change a second of each metric, where there are two scrapes"),
        field("interval_s", Float, "seconds between the scrapes, 0 when there is one"),
        field("samples", List(&RecordOf(&SAMPLE)), "each value; buckets of histograms are left out"),
        AT,
    ],
};

static PORT: Record =
    Record { name: "port", fields: &[NAMESPACE, POD, field("address", Text, ""), field("port", Int, ""), AT] };

static CONFIG: Record = Record {
    name: "config",
    fields: &[
        NAMESPACE,
        POD,
        field("file", Text, "name of the artifact"),
        field("value", Any, "the document, decoded from JSON or TOML"),
        AT,
    ],
};

static ANSWER: Record = Record {
    name: "answer",
    fields: &[NAMESPACE, POD, field("id", Text, "`live` for `http-live.txt`"), field("body", Text, ""), AT],
};

static LOG: Record = Record {
    name: "log",
    fields: &[
        NAMESPACE,
        POD,
        field("container", Text, ""),
        field("previous", Bool, "log of the instance before"),
        field("lines", Int, ""),
        field("signatures", MapOf(&Int), "ids of the signatures in it, with how often"),
        field("stage", Text, "id of the last stage of the start that shows, empty where none does"),
        field("up", Bool, "the last stage of the start shows"),
        field("said", MapOf(&Text), "what the lines of the start say, such as `version` and `party`"),
        AT,
    ],
};

static CAPTURE: Record = Record {
    name: "capture",
    fields: &[
        NAMESPACE,
        POD,
        field("container", Text, ""),
        field("signature", Text, "id of the signature"),
        field("name", Text, "name of the group of its expression"),
        field("value", Text, "what the group matched"),
        AT,
    ],
};

static UNIT: Record = Record {
    name: "unit",
    fields: &[
        field("name", Text, "such as `prometheus.service`"),
        field("active", Text, "`active`, `failed`, `inactive`, ..."),
        field("sub", Text, "`running`, `failed`, `auto-restart`, ..."),
        field("result", Text, "`success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, ..."),
        field("exit_code", Text, "`ExecMainCode`: 1 it exited, 2 killed, 3 dumped core"),
        field("exit_status", Int, "`ExecMainStatus`: exit status or number of the signal, -1 when unknown"),
        field("restarts", Int, ""),
        AT,
    ],
};

static STORED: Record = Record {
    name: "stored object",
    fields: &[
        field("name", Text, ""),
        field("size", Int, "bytes"),
        field("age_s", Int, "seconds since it was written, -1 when unknown"),
        AT,
    ],
};

static LISTING: Record = Record {
    name: "listing",
    fields: &[
        NAMESPACE,
        POD,
        field("id", Text, "id of the store in the profile"),
        field("kind", Text, "`s3` or `file`"),
        field("place", Text, "bucket or directory"),
        field("prefix", Text, ""),
        field("complete", Bool, "all objects are here"),
        field("fault", Text, "code of what kept it from being listed"),
        field("newest_s", Int, "age in seconds of the object that was written last, -1 when unknown"),
        field("newest", List(&RecordOf(&STORED)), "the object that was written last, if any"),
        field("count", Int, "objects"),
        AT,
    ],
};

static SERIES: Record = Record {
    name: "series",
    fields: &[
        field("source", Text, "`prometheus`"),
        field("query", Text, "name of the artifact, made of the query"),
        field("labels", MapOf(&Text), ""),
        field("points", Int, "values that are numbers"),
        field("span_s", Int, "seconds between the first and the last"),
        field("first", Float, ""),
        field("last", Float, ""),
        field("min", Float, ""),
        field("max", Float, ""),
        field("falls", Int, "how often it fell from above half of its largest value to below a quarter of it"),
        AT,
    ],
};

static CONNECTION: Record = Record {
    name: "connection",
    fields: &[
        field("source", Text, "such as `endpoint-health-node-1`"),
        field("address", Text, ""),
        field("reachable", Bool, "it answered"),
        field("status", Int, "HTTP status, 0 without one"),
        field("outcome", Text, "of what did not answer; `not-applicable` where only the profile guessed the address"),
        field("error", Text, "why it did not answer"),
        field(
            "tls_problem",
            Text,
            "of its certificate: `expired`, `not-yet-valid`, `wrong-name`, `self-signed`, `unknown-authority`, `refused`",
        ),
        field("tls_expires_s", Int, "seconds until its certificate ends, 0 without one"),
        AT,
    ],
};

static ENGINE_CONTAINER: Record = Record {
    name: "engine container",
    fields: &[
        field("source", Text, "`docker`"),
        field("name", Text, ""),
        field("project", Text, "compose project"),
        field("service", Text, "compose service"),
        field("status", Text, "`running`, `exited`, `restarting`, ..."),
        field("exit_code", Int, ""),
        field("oom_killed", Bool, ""),
        field("restarts", Int, ""),
        field("health", Text, "`healthy`, `unhealthy`, `starting`, or empty without a check"),
        field("health_output", Text, "what the last check printed"),
        field("error", Text, "why it could not be started"),
        field("failed", Bool, "it ended with an error, or was started again"),
        field("ended_s", Int, "seconds since it ended, -1 when unknown"),
        field("memory_limit", Int, "bytes, 0 when there is none"),
        field("env", MapOf(&Text), "variables whose values the profile keeps"),
        field("args", List(&Text), ""),
        field("mounts", List(&Text), "where volumes are mounted"),
        field("weak", List(&Text), "credentials with a well-known value"),
        AT,
    ],
};

static TARGET: Record = Record {
    name: "target",
    fields: &[
        field("source", Text, "`prometheus`"),
        field("job", Text, ""),
        field("instance", Text, ""),
        field("health", Text, "`up`, `down` or `unknown`"),
        field("error", Text, ""),
        field("host", Text, "host and port that are really asked"),
        field("url", Text, ""),
        field("stored", Float, "samples of the last scrape, -1 when unknown"),
        AT,
    ],
};

static ALERT_RULE: Record = Record {
    name: "alert rule",
    fields: &[
        field("source", Text, "`prometheus`"),
        field("name", Text, ""),
        field("alerting", Bool, "false for a recording rule"),
        field("query", Text, ""),
        field("health", Text, "`ok`, `err` or `unknown`"),
        field("error", Text, ""),
        field("state", Text, "`firing`, `pending` or `inactive`"),
        field("metrics", List(&Text), "series that it needs"),
        field("missing", List(&Text), "those of them that do not exist"),
        field("flaw", Text, "why it cannot mean what it says, empty where nothing is seen"),
        AT,
    ],
};

static ALERT: Record = Record {
    name: "alert",
    fields: &[
        field("source", Text, "`prometheus`"),
        field("name", Text, ""),
        field("severity", Text, "its label, in lower case"),
        field("state", Text, "`firing` or `pending`"),
        field("firing", Bool, "it is pending otherwise"),
        field("value", Text, ""),
        field("summary", Text, ""),
        field("labels", MapOf(&Text), ""),
        field("age_s", Int, "seconds since it began, -1 when unknown"),
        AT,
    ],
};

static DOCUMENT: Record = Record {
    name: "document",
    fields: &[
        field("source", Text, "first directory below `services/`"),
        field("file", Text, "the rest of the path"),
        field("value", Any, "the document"),
        AT,
    ],
};

static SERVICE_METRICS: Record = Record {
    name: "service metrics",
    fields: &[
        field("source", Text, "first directory below `services/`"),
        field("values", MapOf(&Float), "value of each metric, summed over its labels"),
        field("samples", List(&RecordOf(&SAMPLE)), "each value; buckets of histograms are left out"),
        AT,
    ],
};

static LEDGER: Record = Record {
    name: "item",
    fields: &[
        field("item", Text, "such as `http/<namespace>/<pod>/metrics`"),
        field("collector", Text, ""),
        field("outcome", Text, "`ok`, `forbidden`, `timed-out`, ..."),
        field("reason", Text, ""),
        field("duration_s", Float, ""),
        field("bytes", Int, ""),
        AT,
    ],
};

static CLOCK: Record = Record {
    name: "clock",
    fields: &[
        field("source", Text, ""),
        field("offset_ms", Int, "its clock minus ours"),
        field("uncertainty_ms", Int, ""),
        AT,
    ],
};

/// Every fact, in the order of the documentation.
pub(super) static FACTS: [Fact; 30] = [
    fact("pods", List(&RecordOf(&PODS)), "pods", "`cluster-resources/pods/<ns>.json`"),
    fact(
        "containers",
        List(&RecordOf(&CONTAINER)),
        "containers of all pods",
        "the same, and `usage/pods/<ns>.json` for memory",
    ),
    fact(
        "workloads",
        List(&RecordOf(&WORKLOAD)),
        "what makes pods",
        "lists of Deployments, StatefulSets, DaemonSets, ReplicaSets",
    ),
    fact("nodes", List(&RecordOf(&NODE)), "nodes", "`cluster-resources/nodes.json`"),
    fact(
        "events",
        List(&RecordOf(&EVENT)),
        "events, each series folded, oldest first",
        "`cluster-resources/events/<ns>.json`",
    ),
    fact("logs", List(&RecordOf(&LOG)), "logs and the signatures in them", "`cluster-resources/pods/logs/**`"),
    fact("captures", List(&RecordOf(&CAPTURE)), "values that signatures took out of lines", "the same"),
    fact(
        "health",
        List(&RecordOf(&HEALTH)),
        "health documents of a KMS",
        "`health/<ns>/<pod>/grpc.json`, `kms-health-check.txt`",
    ),
    fact("peers", List(&RecordOf(&PEERS)), "peers of all contexts, flat", "the same"),
    fact("probes", List(&RecordOf(&PROBE)), "connections to peers", "`peers/<ns>/<pod>/reachability.json`"),
    fact("stores", List(&RecordOf(&STORE)), "buckets and directories of the system", "`storage/<ns>/<pod>/<id>.json`"),
    fact("prss", List(&RecordOf(&PRSS)), "PRSS of each KMS party, judged by the layout of its version", "the same"),
    fact("scrapes", List(&RecordOf(&SCRAPE)), "metrics endpoints", "`metrics/<ns>/<pod>.prom`"),
    fact("ports", List(&RecordOf(&PORT)), "listening TCP ports inside of pods", "`ports/<ns>/<pod>/*.txt`"),
    fact("configs", List(&RecordOf(&CONFIG)), "configuration files of pods", "`config/<ns>/<pod>/*.json`, `*.toml`"),
    fact("answers", List(&RecordOf(&ANSWER)), "HTTP endpoints of pods", "`health/<ns>/<pod>/http-<id>.txt`"),
    fact("listings", List(&RecordOf(&LISTING)), "buckets and directories", "`storage/<ns>/<pod>/<id>.json`"),
    fact("units", List(&RecordOf(&UNIT)), "units of systemd", "`host/units/*.txt`"),
    fact("connections", List(&RecordOf(&CONNECTION)), "direct probes of services", "`services/*/connection.json`"),
    fact(
        "engine_containers",
        List(&RecordOf(&ENGINE_CONTAINER)),
        "containers of Docker or Podman",
        "`services/docker*/inspect.json`",
    ),
    fact(
        "targets",
        List(&RecordOf(&TARGET)),
        "targets of Prometheus",
        "`services/prometheus*/targets.json`, `samples-stored.json`",
    ),
    fact(
        "alert_rules",
        List(&RecordOf(&ALERT_RULE)),
        "rules of Prometheus",
        "`services/prometheus*/rules.json`, `metric-names.json`",
    ),
    fact("alerts", List(&RecordOf(&ALERT)), "alerts of Prometheus", "`services/prometheus*/alerts.json`"),
    fact("series", List(&RecordOf(&SERIES)), "values of Prometheus over time", "`services/prometheus*/series/*.json`"),
    fact("documents", List(&RecordOf(&DOCUMENT)), "other documents of services", "`services/**/*.json`"),
    fact("service_metrics", List(&RecordOf(&SERVICE_METRICS)), "metrics of services", "`services/**/*.prom`"),
    fact("ledger", List(&RecordOf(&LEDGER)), "planned items and their outcome", "`manifest.json`"),
    fact("clocks", List(&RecordOf(&CLOCK)), "clock offsets", "`manifest.json`"),
    fact("profile", Text, "id of the profile", "`manifest.json`"),
    fact("parameters", MapOf(&Text), "parameters of the profile", "`manifest.json`"),
];
