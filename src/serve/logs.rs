//! Container logs: which one a request means, and its lines as a stream of bounded chunks.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::StatusCode;
use http::header::HeaderValue;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::api::{Call, blocking};
use super::clock;
use super::http::{Response, full, with_type};
use super::lines::{Filter, Wanted, timestamped};
use super::status::Status;
use crate::bundle::{Store, layout};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// Chunks that wait for a slow client.
const QUEUE: usize = 4;
/// Bytes that are looked at to find out whether lines begin with the kubelet's time.
const PROBE: u64 = 8 << 10;

/// What a log request leads to.
enum Log {
    /// The pod runs nowhere yet.
    Unscheduled,
    /// A file of the store and the lines of it that are wanted.
    File { path: String, wanted: Wanted },
}

/// Answers `.../pods/<name>/log`.
///
/// # Errors
/// As the API server and the kubelet word them.
pub(super) async fn stream(call: Call) -> Result<Response, Status> {
    let store = Arc::clone(&call.state.store);
    let log = blocking(move || find(&call)).await?;
    let (path, wanted) = match log {
        Log::Unscheduled => {
            let mut response = http::Response::new(full(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        Log::File { path, wanted } => (path, wanted),
    };
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = pump(&*store, &path, wanted, &sender) {
            // The receiver may be gone; then nobody needs the error.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let chunks = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync();
    Ok(with_type(StatusCode::OK, HeaderValue::from_static("text/plain"), body))
}

/// Sends the wanted lines of a file until it ends or the client is gone.
fn pump(store: &dyn Store, path: &str, mut wanted: Wanted, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let open = || store.open(path).map_err(io::Error::other);
    let mut head = Vec::new();
    open()?.take(PROBE).read_to_end(&mut head)?;
    let stamped = timestamped(&head);
    if let Some(tail) = wanted.tail.take() {
        wanted.skip = lines(&mut *open()?)?.saturating_sub(tail);
    }
    let mut filter = Filter::new(wanted, stamped);
    let mut reader = open()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = read(&mut *reader, &mut buffer)?;
        let mut out = Vec::with_capacity(count);
        if count == 0 {
            filter.finish(&mut out);
        } else {
            filter.feed(&buffer[..count], &mut out);
        }
        if !out.is_empty() && sender.blocking_send(Ok(out.into())).is_err() {
            return Ok(());
        }
        if count == 0 || filter.is_done() {
            return Ok(());
        }
        if sender.is_closed() {
            return Ok(());
        }
    }
}

fn read(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Counts lines; a last one without its newline counts.
fn lines(reader: &mut dyn Read) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let (mut count, mut open) = (0, false);
    loop {
        let size = read(reader, &mut buffer)?;
        if size == 0 {
            return Ok(count + u64::from(open));
        }
        count += memchr::memchr_iter(b'\n', &buffer[..size]).count() as u64;
        open = buffer[size - 1] != b'\n';
    }
}

/// Finds the log that a request means. Blocks.
fn find(call: &Call) -> Result<Log, Status> {
    let (target, query) = (&call.target, &call.query);
    let (Some(namespace), Some(name)) = (target.namespace.as_deref(), target.name.as_deref()) else {
        return Err(Status::bad_request("a log needs a namespace and a pod"));
    };
    let found = call.state.objects.get("", "pods", Some(namespace), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    let pod = &list.objects[at].value;
    let container = container(pod, name, query.get("container"))?;
    let previous = query.is_true("previous");
    let now = call.state.clock.now();
    let mut wanted = Wanted::new(pod["status"]["startTime"].as_str().and_then(clock::parse).unwrap_or(now));
    options(call, &mut wanted)?;
    let path = layout::log(namespace, name, &container, previous);
    if call.state.store.contains(&path) {
        return Ok(Log::File { path, wanted });
    }
    if pod["spec"]["nodeName"].as_str().unwrap_or("").is_empty() {
        return Ok(Log::Unscheduled);
    }
    no_log(pod, name, &container, previous)?;
    Err(Status::not_collected(format!(
        "the log of container \"{container}\" in pod \"{name}\" is not in the bundle; its manifest.json says why"
    )))
}

/// Reads the parameters that choose lines.
fn options(call: &Call, wanted: &mut Wanted) -> Result<(), Status> {
    let query = &call.query;
    let invalid = |name: &str, value: &str, why: &str| {
        Status::bad_request(format!("PodLogOptions is invalid: {name}: Invalid value: {value}: {why}"))
    };
    let number = |name: &str, least: i64| match query.number(name) {
        Err(text) => Err(invalid(name, &format!("\"{text}\""), "must be a number")),
        Ok(Some(n)) if n < least => {
            Err(invalid(name, &n.to_string(), &format!("must be greater than or equal to {least}")))
        }
        Ok(n) => Ok(n.and_then(|n| u64::try_from(n).ok())),
    };
    wanted.timestamps = query.is_true("timestamps");
    wanted.tail = number("tailLines", 0)?;
    wanted.limit = number("limitBytes", 1)?;
    let seconds = number("sinceSeconds", 1)?;
    match (seconds, query.get("sinceTime")) {
        (Some(_), Some(_)) => {
            return Err(Status::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        (Some(seconds), None) => {
            let back = i64::try_from(seconds).ok().and_then(chrono::TimeDelta::try_seconds);
            wanted.since = back.and_then(|b| call.state.clock.now().checked_sub_signed(b));
        }
        (None, Some(text)) => {
            let at =
                clock::parse(text).ok_or_else(|| invalid("sinceTime", &format!("\"{text}\""), "must be RFC 3339"))?;
            wanted.since = Some(at);
        }
        (None, None) => {}
    }
    Ok(())
}

/// The names of a pod's containers of one sort.
fn names<'a>(pod: &'a Value, sort: &str) -> Vec<&'a str> {
    pod["spec"][sort].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
}

/// The container that a request means: the named one, or the only one.
///
/// # Errors
/// When the pod has no such container, or several and none is named.
pub(super) fn container(pod: &Value, name: &str, wanted: Option<&str>) -> Result<String, Status> {
    let (containers, init) = (names(pod, "containers"), names(pod, "initContainers"));
    if let Some(wanted) = wanted {
        if containers.contains(&wanted) || init.contains(&wanted) || names(pod, "ephemeralContainers").contains(&wanted)
        {
            return Ok(wanted.to_owned());
        }
        return Err(Status::bad_request(format!("container {wanted} is not valid for pod {name}")));
    }
    match containers.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {name}"))),
        several => {
            let mut message =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", several.join(" "));
            if !init.is_empty() {
                message += &format!(" or one of the init containers: [{}]", init.join(" "));
            }
            Err(Status::bad_request(message))
        }
    }
}

/// The status of a container.
pub(super) fn container_status<'a>(pod: &'a Value, container: &str) -> &'a Value {
    ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
        .iter()
        .flat_map(|sort| pod["status"][sort].as_array().into_iter().flatten())
        .find(|s| s["name"] == container)
        .unwrap_or(&Value::Null)
}

/// Why the kubelet has no log of a container, if its status says so.
fn no_log(pod: &Value, name: &str, container: &str, previous: bool) -> Result<(), Status> {
    let status = container_status(pod, container);
    let subject = format!("container \"{container}\" in pod \"{name}\"");
    if status.is_null() {
        return Err(Status::bad_request(format!("{subject} is not available")));
    }
    let has_id = |state: &Value| state["containerID"].as_str().is_some_and(|id| !id.is_empty());
    let last = &status["lastState"]["terminated"];
    let state = &status["state"];
    if previous {
        if !has_id(last) {
            return Err(Status::bad_request(format!("previous terminated {subject} not found")));
        }
        return Ok(());
    }
    if state["running"].is_object() || has_id(&state["terminated"]) || has_id(last) {
        return Ok(());
    }
    if state["terminated"].is_object() || last.is_object() {
        return Err(Status::bad_request(format!("{subject} is terminated")));
    }
    Err(Status::bad_request(match state["waiting"]["reason"].as_str() {
        Some("ErrImagePull") => format!("{subject} is waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => format!("{subject} is waiting to start: trying and failing to pull image"),
        Some(reason) => format!("{subject} is waiting to start: {reason}"),
        None => format!("{subject} is waiting to start - no logs yet"),
    }))
}
