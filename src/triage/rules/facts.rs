//! From the facts of a bundle to the values that rules see. Only what some rule uses is made.

use serde_json::{Map, Value, json};

use crate::model::Manifest;
use crate::model::quantity;
use crate::model::time::Timestamp;
use crate::triage::analyzers::prss_states;
use crate::triage::facts::{At, Condition, Container, Facts, Pod, Role, Scrape, State, Vault};
use crate::triage::finding::Place;
use crate::triage::signatures::Signatures;

/// Elements of one fact that rules see.
const ITEMS_MAX: usize = 50_000;

/// Makes one fact and hands it over: each element of a list by itself, so that nobody has to hold all of them.
pub(super) fn visit(
    name: &str,
    facts: &Facts,
    manifest: &Manifest,
    signatures: Option<&Signatures>,
    out: &mut dyn FnMut(Value),
) {
    let now = facts.now;
    let mut list = |items: &mut dyn Iterator<Item = Value>| items.take(ITEMS_MAX).for_each(&mut *out);
    match name {
        "pods" => list(&mut facts.pods.values().map(|p| pod(facts, p))),
        "containers" => list(&mut facts.pods.values().flat_map(|p| p.containers.iter().map(|c| container(facts, p, c)))),
        "workloads" => list(&mut facts.workloads.values().map(|w| {
            json!({"kind": w.kind, "namespace": w.key.0, "name": w.key.1, "desired": w.desired, "ready": w.ready,
                "age_s": age(now, w.created), "conditions": conditions(now, &w.conditions), "at": at(&w.at, "")})
        })),
        "nodes" => list(&mut facts.nodes.iter().map(|(name, n)| {
            json!({"name": name, "cordoned": n.cordoned, "kubelet": n.kubelet,
                "conditions": conditions(now, &n.conditions), "at": at(&n.at, "")})
        })),
        "events" => list(&mut facts.events.iter().map(|e| {
            json!({"kind": e.subject.kind(), "namespace": e.subject.namespace(), "name": e.subject.name(),
                "reason": e.reason, "message": e.message, "warning": e.warning, "count": whole(e.count),
                "age_s": age(now, e.last), "at": at(&e.at, &format!("{}: {}", e.reason, e.message))})
        })),
        "logs" => list(&mut facts.logs.iter().map(|(key, log)| {
            let ids: Map<String, Value> = (log.hits.iter())
                .filter_map(|(i, hit)| Some((signatures?.get(*i)?.id.clone(), json!(whole(hit.count)))))
                .collect();
            json!({"namespace": key.namespace, "pod": key.pod, "container": key.container, "previous": key.previous,
                "lines": whole(log.lines), "signatures": ids, "stage": log.stage_id(), "up": log.is_up(), "said": log.said,
                "at": place(log.path(), 1, "", "")})
        })),
        "captures" => list(&mut facts.logs.iter().flat_map(|(key, log)| {
            log.hits.iter().flat_map(move |(i, hit)| {
                let id = signatures.and_then(|s| s.get(*i)).map_or("", |s| s.id.as_str());
                let values = hit.captured.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v)));
                values.map(move |(name, value)| {
                    json!({"namespace": key.namespace, "pod": key.pod, "container": key.container, "signature": id,
                        "name": name, "value": value, "at": place(log.path(), hit.line, "", &hit.excerpt)})
                })
            })
        })),
        "listings" => list(&mut facts.vaults.iter().map(|v| {
            let newest = v.objects.iter().enumerate().filter(|(_, o)| o.modified.is_some()).max_by_key(|(_, o)| o.modified);
            let evidence = |e: crate::triage::finding::Evidence| at(&At { path: e.path.into(), place: e.place }, &e.excerpt);
            let newest: Vec<Value> = (newest.iter())
                .map(|(i, o)| json!({"name": o.name, "size": o.size, "age_s": age(now, o.modified), "at": evidence(v.object(*i))}))
                .collect();
            json!({"namespace": v.pod.0, "pod": v.pod.1, "id": v.id, "kind": v.kind, "place": v.place, "prefix": v.prefix,
                "complete": v.is_whole(), "fault": v.fault.as_ref().map_or("", |f| f.0.as_str()),
                "newest_s": newest.first().map_or(json!(-1), |n| n["age_s"].clone()), "newest": newest,
                "count": v.objects.len(), "at": evidence(v.at("", &v.shown()))})
        })),
        "units" => list(&mut facts.host.units.iter().map(|(name, unit)| {
            let text = |key: &str| unit.properties.get(key).map_or("", String::as_str);
            let number = |key: &str, none: i64| text(key).parse::<i64>().unwrap_or(none);
            let shown = format!("{name}: {} ({}), {} restarts", text("ActiveState"), text("Result"), number("NRestarts", 0));
            json!({"name": name, "active": text("ActiveState"), "sub": text("SubState"), "result": text("Result"),
                "exit_code": text("ExecMainCode"), "exit_status": number("ExecMainStatus", -1),
                "restarts": number("NRestarts", 0), "at": at(&unit.at, &shown)})
        })),
        "series" => list(&mut facts.beside.series.iter().map(|s| {
            let text = format!("{}: from {} to {}, between {} and {}", s.query, s.first, s.last, s.min, s.max);
            json!({"source": s.source, "query": s.query, "labels": s.labels, "points": s.points, "span_s": s.span_s,
                "first": finite(s.first), "last": finite(s.last), "min": finite(s.min), "max": finite(s.max),
                "falls": s.falls, "at": at(&s.at, &text)})
        })),
        "health" => list(&mut facts.health.iter().map(|h| {
            let networks: Vec<Value> = (h.contexts.iter().flatten())
                .map(|c| {
                    let peers: Vec<Value> = (c.peers.iter())
                        .map(|p| {
                            json!({"id": p.id, "endpoint": p.endpoint, "reachable": p.reachable,
                                "latency_ms": whole(p.latency_ms.unwrap_or_default()), "error": p.error})
                        })
                        .collect();
                    json!({"context": c.id, "party": c.party, "nodes": c.nodes(), "required": c.required,
                        "reachable": c.reachable, "health": c.health, "status": c.status(), "peers": peers})
                })
                .collect();
            json!({"namespace": h.pod.0, "pod": h.pod.1, "source": h.source.as_str(), "connected": h.connected, "error": h.connect_error,
                "key_ids": h.key_ids, "key_error": h.key_error, "networks": networks, "at": at(&h.at("{"), "")})
        })),
        "peers" => list(&mut facts.health.iter().flat_map(|h| {
            h.contexts.iter().flatten().flat_map(move |c| {
                c.peers.iter().map(move |p| {
                    json!({"namespace": h.pod.0, "pod": h.pod.1, "source": h.source.as_str(), "context": c.id,
                        "party": c.party, "id": p.id, "endpoint": p.endpoint, "reachable": p.reachable,
                        "latency_ms": whole(p.latency_ms.unwrap_or_default()), "error": p.error, "at": at(&h.at(&p.endpoint), "")})
                })
            })
        })),
        "probes" => list(&mut facts.probes.iter().map(|p| {
            let until = |t: Option<Timestamp>| t.map_or(0, |t| (t - now).num_seconds());
            let said = |answer: Option<bool>| answer.map_or("unknown", |yes| if yes { "yes" } else { "no" });
            let (kind, namespace, name) = peer_subject(facts, &p.pod.0, &p.host);
            json!({"namespace": p.pod.0, "pod": p.pod.1, "id": p.id, "host": p.host, "port": p.port,
                "subject_kind": kind, "subject_namespace": namespace, "subject_name": name,
                "identity": p.identity, "own": p.own, "verdict": p.verdict, "rcode": p.rcode, "address": p.address,
                "latency_ms": finite(p.latency_ms), "error": p.error, "problems": p.problems, "subject": p.subject,
                "issuer": p.issuer, "valid_in_s": until(p.not_before), "expires_in_s": until(p.not_after),
                "inside_connected": said(p.inside_connected), "inside_resolved": said(p.inside_resolved),
                "at": at(&p.at, &format!("{}:{} {} {}", p.host, p.port, p.verdict, p.error))})
        })),
        "stores" => list(&mut facts.vaults.iter().map(store)),
        "prss" => list(&mut prss_states(facts).into_iter().map(|p| {
            let text = format!("{}/: {}", p.folder, p.objects.join(", "));
            json!({"namespace": p.vault.pod.0, "pod": p.vault.pod.1, "version": p.version, "folder": p.folder,
                "state": p.state, "objects": p.objects, "at": place(p.vault.path(), 0, "/folders", &text)})
        })),
        "scrapes" => list(&mut facts.scrapes.iter().map(|s| {
            let Samples { values, rates, each } = samples(s);
            json!({"namespace": s.pod.0, "pod": s.pod.1, "values": values, "rates": rates,
                "interval_s": s.interval_s, "samples": each,
                "at": place(&s.path, 1, "", "")})
        })),
        "service_metrics" => list(&mut facts.beside.scrapes.iter().map(|s| {
            let Samples { values, each, .. } = samples(s);
            json!({"source": s.pod.1, "values": values, "samples": each, "at": place(&s.path, 1, "", "")})
        })),
        "connections" => list(&mut facts.beside.connections.iter().map(|c| {
            let text = if c.reachable { format!("{} answers", c.address) } else { c.error.clone() };
            json!({"source": c.source, "address": c.address, "reachable": c.reachable, "status": c.status, "outcome": c.outcome,
                "error": c.error, "tls_problem": c.tls_problem,
                "tls_expires_s": c.tls_ends.map_or(0, |t| (t - now).num_seconds()), "at": at(&c.at, &text)})
        })),
        "engine_containers" => list(&mut facts.beside.containers.iter().map(|c| {
            let text = format!("{}: {}, exit code {}, {} restarts {}", c.name, c.status, c.exit_code, c.restarts, c.health);
            json!({"source": c.source, "name": c.name, "project": c.project, "service": c.service, "status": c.status,
                "exit_code": c.exit_code, "oom_killed": c.oom_killed, "restarts": c.restarts, "health": c.health,
                "health_output": c.health_output, "error": c.error, "failed": c.failed(),
                "ended_s": age(now, c.finished), "memory_limit": c.memory_limit, "env": c.env, "args": c.args,
                "mounts": c.mounts, "weak": c.weak, "at": at(&c.at, text.trim_end())})
        })),
        "targets" => list(&mut facts.beside.targets.iter().map(|t| {
            let text = format!("{} {} is {} {}", t.job, t.instance, t.health, t.error);
            json!({"source": t.source, "job": t.job, "instance": t.instance, "health": t.health, "error": t.error,
                "host": t.host, "url": t.url, "stored": t.stored, "at": at(&t.at, text.trim_end())})
        })),
        "alert_rules" => list(&mut facts.beside.rules.iter().map(|r| {
            json!({"source": r.source, "name": r.name, "alerting": r.alerting, "query": r.query, "health": r.health,
                "error": r.error, "state": r.state, "metrics": r.metrics, "missing": r.missing, "flaw": r.flaw,
                "at": at(&r.at, &format!("{}: {}", r.name, r.query))})
        })),
        "documents" => list(&mut facts.beside.documents.iter().map(|d| {
            json!({"source": d.source, "file": d.file, "value": d.value, "at": at(&d.at, "")})
        })),
        "ports" => list(&mut facts.ports.iter().map(|p| {
            json!({"namespace": p.pod.0, "pod": p.pod.1, "address": p.address, "port": p.port,
                "at": place(&p.path, p.line, "", &p.text)})
        })),
        "configs" => list(&mut facts.configs.iter().map(|c| {
            json!({"namespace": c.pod.0, "pod": c.pod.1, "file": c.file, "value": c.value,
                "at": place(&c.path, 1, "", "")})
        })),
        "answers" => list(&mut facts.answers.iter().map(|a| {
            json!({"namespace": a.pod.0, "pod": a.pod.1, "id": a.id, "body": a.body, "at": place(&a.path, 1, "", &a.body)})
        })),
        "alerts" => list(&mut facts.alerts.iter().map(|a| {
            json!({"source": a.source, "name": a.name, "severity": a.severity, "state": a.state, "firing": a.firing,
                "value": a.value, "summary": a.summary, "labels": a.labels, "age_s": age(now, a.since), "at": at(&a.at, &a.show())})
        })),
        "ledger" => list(&mut manifest.ledger.iter().enumerate().map(|(i, e)| {
            #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
            let seconds = e.duration_ms as f64 / 1000.0;
            let text = format!("{}: {}", e.item, e.outcome);
            json!({"item": e.item.as_str(), "collector": e.collector, "outcome": e.outcome.as_str(),
                "reason": e.reason.as_deref().unwrap_or_default(), "duration_s": seconds, "bytes": whole(e.bytes),
                "at": place(crate::bundle::format::MANIFEST, 0, &format!("/ledger/{i}"), &text)})
        })),
        "clocks" => list(&mut manifest.clocks.iter().enumerate().map(|(i, c)| {
            json!({"source": c.source, "offset_ms": c.offset_ms, "uncertainty_ms": c.uncertainty_ms,
                "at": place(crate::bundle::format::MANIFEST, 0, &format!("/clocks/{i}"), "")})
        })),
        "profile" => out(json!(manifest.profile)),
        "parameters" => out(json!(manifest.parameters)),
        _ => {}
    }
}

/// What rules see of a scrape: sums of values and of rates by name, and each value.
struct Samples {
    values: Map<String, Value>,
    rates: Map<String, Value>,
    each: Vec<Value>,
}

fn samples(scrape: &Scrape) -> Samples {
    let add = |sums: &mut Map<String, Value>, name: &str, value: f64| {
        let sum = sums.get(name).and_then(Value::as_f64).unwrap_or_default() + value;
        sums.insert(name.to_owned(), json!(finite(sum)));
    };
    let (mut values, mut rates) = (Map::new(), Map::new());
    for sample in &scrape.samples {
        add(&mut values, &sample.name, sample.value);
        if let Some(rate) = sample.rate {
            add(&mut rates, &sample.name, rate);
        }
    }
    let each = scrape.samples.iter().map(|m| {
        json!({"name": m.name, "labels": m.labels, "value": finite(m.value), "rate": finite(m.rate.unwrap_or_default()),
            "at": place(&scrape.path, m.line, "", &m.text)})
    });
    Samples { values, rates, each: each.collect() }
}

/// What rules see of a bucket or directory.
#[expect(clippy::cast_precision_loss, reason = "bytes, compared and shown")]
fn store(vault: &Vault) -> Value {
    let empty: Vec<&str> = vault.objects.iter().filter(|o| o.size == 0).map(|o| o.name.as_str()).collect();
    let mut folders = Map::new();
    for object in &vault.objects {
        let folder = object.name.split_once('/').map_or("", |(folder, _)| folder);
        let count = folders.get(folder).and_then(Value::as_i64).unwrap_or_default() + 1;
        folders.insert(folder.to_owned(), json!(count));
    }
    let (fault, reason) = vault.fault.clone().unwrap_or_default();
    let bytes: i64 = vault.objects.iter().fold(0, |sum, o| sum.saturating_add(o.size));
    json!({"namespace": vault.pod.0, "pod": vault.pod.1, "id": vault.id, "kind": vault.kind, "place": vault.shown(),
        "complete": vault.is_whole(), "fault": fault, "reason": reason, "objects": vault.objects.len(),
        "bytes": bytes as f64, "folders": folders, "empty": empty, "deleted": vault.deleted,
        "at": place(vault.path(), 0, "/folders", &vault.folders())})
}

/// The service that stands for a peer in its cluster, or else the peer's address: kind, namespace and name.
fn peer_subject<'a>(facts: &Facts, namespace: &'a str, host: &'a str) -> (&'static str, &'a str, &'a str) {
    let name = host.split('.').next().unwrap_or_default();
    if facts.services.contains_key(&(namespace.to_owned(), name.to_owned())) {
        ("service", namespace, name)
    } else {
        ("peer", "", host)
    }
}

/// JSON has no infinity; the largest number stands for it.
fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn age(now: Timestamp, since: Option<Timestamp>) -> i64 {
    since.map_or(-1, |since| (now - since).num_seconds().max(0))
}

fn place(path: &str, line: u64, pointer: &str, text: &str) -> Value {
    json!({"path": path, "line": whole(line), "pointer": pointer, "text": text})
}

fn at(at: &At, text: &str) -> Value {
    match &at.place {
        Place::Line(line) => place(&at.path, *line, "", text),
        Place::Pointer(pointer) => place(&at.path, 0, pointer, text),
    }
}

fn conditions(now: Timestamp, conditions: &[Condition]) -> Value {
    let all = conditions.iter().map(|c| {
        json!({"type": c.kind, "status": c.status, "reason": c.reason, "message": c.message, "age_s": age(now, c.since)})
    });
    Value::Array(all.collect())
}

fn pod(facts: &Facts, pod: &Pod) -> Value {
    let containers: Vec<Value> = pod.containers.iter().map(|c| container(facts, pod, c)).collect();
    let (owner_kind, owner) = pod.owner.clone().unwrap_or_default();
    json!({
        "namespace": pod.key.0, "name": pod.key.1, "node": pod.node, "phase": pod.phase, "reason": pod.reason,
        "message": pod.message, "ready": pod.is_ready(), "over": pod.is_over(), "deleting": pod.deleting.is_some(),
        "owner_kind": owner_kind, "owner": owner, "labels": pod.labels,
        "restarts": pod.containers.iter().map(|c| c.restarts).fold(0, i64::saturating_add),
        "age_s": age(facts.now, pod.created), "conditions": conditions(facts.now, &pod.conditions),
        "containers": containers, "at": at(&pod.at, ""),
    })
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, compared and shown")]
fn container(facts: &Facts, pod: &Pod, c: &Container) -> Value {
    let (state, reason, since) = match &c.state {
        State::Waiting { reason, .. } => ("waiting", reason.as_str(), None),
        State::Running { since } => ("running", "", *since),
        State::Terminated(ended) => ("terminated", ended.reason.as_str(), None),
        State::Unknown => ("unknown", "", None),
    };
    let role = match c.role {
        Role::Init => "init",
        Role::App => "app",
        Role::Ephemeral => "ephemeral",
    };
    let usage = facts.usage.get(&(pod.key.clone(), c.name.clone()));
    let used = usage.and_then(|u| u.memory);
    let cpus = |milli: Option<u64>| milli.map_or(-1.0, |m| m as f64 / 1000.0);
    let limit = c.limits.get("memory").and_then(|l| quantity::bytes(l));
    json!({
        "namespace": pod.key.0, "pod": pod.key.1, "name": c.name, "image": c.image, "role": role, "ready": c.ready,
        "restarts": c.restarts, "state": state, "state_reason": reason, "running_s": age(facts.now, since),
        "last_exit_code": c.ended().map_or(-1, |e| e.exit), "last_reason": c.ended().map_or("", |e| e.reason.as_str()),
        "limits": c.limits, "requests": c.requests, "memory": used.map_or(-1.0, |b| b as f64),
        "memory_limit": limit.map_or(-1.0, |b| b as f64), "cpu": cpus(usage.and_then(|u| u.cpu)),
        "cpu_limit": cpus(c.limits.get("cpu").and_then(|l| quantity::milli(l))), "at": at(&pod.at, ""),
    })
}
