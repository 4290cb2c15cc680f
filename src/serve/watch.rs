//! `watch=true`: what is there, a bookmark, and then quiet, because a bundle does not change.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::StatusCode;
use http::header::HeaderValue;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Map, Value, json};

use super::api::{Call, blocking};
use super::discovery::group_version;
use super::http::{Format, Response, no_such_page, with_type};
use super::list::{partial, selected, table};
use super::objects::typed;
use super::status::Status;

/// How long a watch without a timeout of its own stays open; the real server chooses half an hour to an hour.
const OPEN: Duration = Duration::from_secs(1800);

/// Answers a list request with `watch=true`.
///
/// # Errors
/// As for the list.
pub(super) async fn stream(call: Call) -> Result<Response, Status> {
    let seconds = call.query.number("timeoutSeconds").ok().flatten().and_then(|n| u64::try_from(n).ok());
    let open = seconds.map_or(OPEN, Duration::from_secs).min(OPEN);
    let stop = call.stop.clone();
    let Some(events) = blocking(move || events(&call)).await? else { return Ok(no_such_page()) };
    let quiet = stream::once(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(open) => {}
        }
        Bytes::new()
    })
    .filter(|bytes| std::future::ready(!bytes.is_empty()));
    let frames = stream::iter(events).chain(quiet).map(|bytes| Ok::<_, io::Error>(Frame::data(bytes)));
    let body = StreamBody::new(frames).boxed_unsync();
    Ok(with_type(StatusCode::OK, HeaderValue::from_static("application/json"), body))
}

/// The lines that are sent at once; none for a kind that is not there. Blocks.
fn events(call: &Call) -> Result<Option<Vec<Bytes>>, Status> {
    let (target, query) = (&call.target, &call.query);
    let Some(kind) = call.state.catalog.kind(&target.group, &target.version, &target.plural) else {
        return Ok(None);
    };
    let api_version = group_version(&target.group, &target.version);
    let line = |kind: &str, object: &Value| Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
    let (found, version) = selected(call)?;
    let initial = query.is_true("sendInitialEvents");
    let mut lines = Vec::new();
    // A client that says where it stands has seen everything.
    if initial || matches!(query.get("resourceVersion"), None | Some("0")) {
        for (list, at) in &found {
            let object = match call.format {
                Format::Table => table(call, &[(list, *at)], &kind.kind, &Map::new())?,
                Format::Metadata => partial(&list.objects[*at].value),
                Format::Json | Format::Discovery => typed(&list.objects[*at].value, &kind.kind, &api_version),
            };
            lines.push(line("ADDED", &object));
        }
    }
    if query.is_true("allowWatchBookmarks") {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": kind.kind, "apiVersion": api_version, "metadata": metadata});
        lines.push(line("BOOKMARK", &object));
    }
    Ok(Some(lines))
}
