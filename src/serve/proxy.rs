//! HTTP through the API server to pods, services and nodes, answered from the replay file.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::StatusCode;
use http::header::HeaderValue;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use super::api::{Call, blocking};
use super::exec::read;
use super::http::{Response, plain, with_type};
use super::replay::{Content, Replay, Subject};
use super::status::Status;
use crate::bundle::{Store, layout};

/// An answer before its body is opened.
struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: Content,
}

/// Answers `.../pods/<name>[:<port>]/proxy/...`.
///
/// # Errors
/// As the API server words them.
pub(super) async fn pod(call: Call) -> Result<Response, Status> {
    let store = Arc::clone(&call.state.store);
    let answer = blocking(move || find(&call)).await?;
    Ok(answer.map_or_else(missing, |answer| respond(store, answer)))
}

/// Answers `.../nodes/<name>/proxy/...`.
///
/// # Errors
/// As the API server words them.
pub(super) async fn node(call: Call) -> Result<Response, Status> {
    let store = Arc::clone(&call.state.store);
    let answer = blocking(move || {
        let target = &call.target;
        // A node may be named with a scheme and a port: `https:node-1:10250`.
        let name = host(target.name.as_deref().unwrap_or("")).0;
        if call.state.objects.get("", "nodes", None, name)?.is_none() {
            return Err(Status::not_found(target, name));
        }
        if let Some(found) = replayed(&call.state.replay, Subject::Node(name), &target.rest) {
            return Ok(Some(found));
        }
        let stats = layout::node_stats(name);
        let known = target.rest.trim_end_matches('/') == "/stats/summary" && call.state.store.contains(&stats);
        Ok(known.then(|| Answer {
            status: StatusCode::OK,
            content_type: HeaderValue::from_static("application/json"),
            body: Content::File(stats),
        }))
    })
    .await?;
    Ok(answer.map_or_else(missing, |answer| respond(store, answer)))
}

/// Answers `.../services/<name>[:<port>]/proxy/...` from a pod of the service.
///
/// # Errors
/// As the API server words them.
pub(super) async fn service(call: Call) -> Result<Response, Status> {
    let store = Arc::clone(&call.state.store);
    let answer = blocking(move || find_behind(&call)).await?;
    Ok(answer.map_or_else(missing, |answer| respond(store, answer)))
}

/// What a program says about a path that it does not have.
fn missing() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn find(call: &Call) -> Result<Option<Answer>, Status> {
    let target = &call.target;
    let (name, port) = host(target.name.as_deref().unwrap_or(""));
    let namespace = target.namespace.as_deref().unwrap_or("");
    let found = call.state.objects.get("", "pods", Some(namespace), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    let pod = &list.objects[at].value;
    let ip = pod["status"]["podIP"].as_str().unwrap_or("");
    if ip.is_empty() {
        return Err(Status::bad_request("address not allowed"));
    }
    let number = if port.is_empty() { first_port(pod).unwrap_or(80) } else { port_number(pod, port).unwrap_or(0) };
    let full_name = format!("{namespace}/{name}");
    let subject = Subject::Pod(&full_name, number);
    if !call.state.replay.listens(subject) {
        return Err(Status::unavailable(format!(
            "error trying to reach service: dial tcp {ip}:{number}: connect: connection refused"
        )));
    }
    Ok(replayed(&call.state.replay, subject, &target.rest))
}

fn find_behind(call: &Call) -> Result<Option<Answer>, Status> {
    let target = &call.target;
    let (name, port) = host(target.name.as_deref().unwrap_or(""));
    let namespace = target.namespace.as_deref().unwrap_or("");
    let found = call.state.objects.get("", "services", Some(namespace), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    let service = &list.objects[at].value;
    let ports = service["spec"]["ports"].as_array();
    let number: Option<u16> = port.parse().ok();
    let asked = |p: &&Value| port.is_empty() || p["name"] == port || number.is_some_and(|n| p["port"] == n);
    let found = ports.into_iter().flatten().find(asked);
    let Some(found) = found else {
        return Err(Status::unavailable(format!("no service port {port:?} found for service {name:?}")));
    };
    let to = match &found["targetPort"] {
        Value::String(name) => name.clone(),
        Value::Null => found["port"].to_string(),
        number => number.to_string(),
    };
    let selector = service["spec"]["selector"].as_object();
    let lists = call.state.objects.lists("", "pods", Some(namespace))?;
    let behind = selector.and_then(|selector| {
        let selects = |pod: &Value| selector.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value);
        let pods = lists.iter().flat_map(|list| &list.objects).filter(|o| o.namespace == namespace);
        pods.map(|o| &o.value).find(|pod| selects(pod))
    });
    let number = behind.and_then(|pod| port_number(pod, &to));
    let (Some(pod), Some(number)) = (behind, number) else {
        return Err(Status::unavailable(format!("no endpoints available for service {name:?}")));
    };
    let full_name = format!("{namespace}/{}", pod["metadata"]["name"].as_str().unwrap_or(""));
    let subject = Subject::Pod(&full_name, number);
    if !call.state.replay.listens(subject) {
        return Err(Status::unavailable("error trying to reach service: connect: connection refused"));
    }
    Ok(replayed(&call.state.replay, subject, &target.rest))
}

/// Takes `[<scheme>:]<name>[:<port>]` apart.
fn host(text: &str) -> (&str, &str) {
    let rest = text.strip_prefix("https:").or_else(|| text.strip_prefix("http:")).unwrap_or(text);
    rest.split_once(':').unwrap_or((rest, ""))
}

fn ports(pod: &Value) -> impl Iterator<Item = &Value> {
    let containers = pod["spec"]["containers"].as_array();
    containers.into_iter().flatten().flat_map(|c| c["ports"].as_array().into_iter().flatten())
}

fn first_port(pod: &Value) -> Option<u16> {
    ports(pod).find_map(|p| u16::try_from(p["containerPort"].as_u64()?).ok())
}

/// A port by its number or by its name in the pod.
pub(super) fn port_number(pod: &Value, text: &str) -> Option<u16> {
    text.parse().ok().or_else(|| {
        let named = ports(pod).find(|p| p["name"] == text)?;
        u16::try_from(named["containerPort"].as_u64()?).ok()
    })
}

fn replayed(replay: &Replay, subject: Subject<'_>, path: &str) -> Option<Answer> {
    let path = if path.is_empty() { "/" } else { path };
    let found = replay.proxy(subject, path)?;
    Some(Answer { status: found.status, content_type: found.content_type.clone(), body: found.body.clone() })
}

fn respond(store: Arc<dyn Store>, answer: Answer) -> Response {
    let body = match answer.body {
        Content::Text(text) => super::http::full(Bytes::from(text)),
        file @ Content::File(_) => {
            let receiver = read(store, file);
            let chunks = stream::unfold(receiver, |mut r| async move { Some((r.recv().await?, r)) });
            StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
        }
    };
    with_type(answer.status, answer.content_type, body)
}

/// What a port of a pod answers to a path; for port forwarding.
pub(super) fn forwarded(replay: &Replay, store: Arc<dyn Store>, pod: &str, port: u16, path: &str) -> Response {
    replayed(replay, Subject::Pod(pod, port), path).map_or_else(missing, |answer| respond(store, answer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_with_ports_are_taken_apart() {
        assert_eq!(host("core-0"), ("core-0", ""));
        assert_eq!(host("core-0:9646"), ("core-0", "9646"));
        assert_eq!(host("https:core-0:metrics"), ("core-0", "metrics"));
    }

    #[test]
    fn ports_have_names() {
        let pod = json!({"spec": {"containers": [{}, {"ports": [{"name": "metrics", "containerPort": 9646}]}]}});
        assert_eq!(port_number(&pod, "metrics"), Some(9646));
        assert_eq!(port_number(&pod, "50100"), Some(50100));
        assert_eq!(port_number(&pod, "grpc"), None);
        assert_eq!(first_port(&pod), Some(9646));
    }
}
