//! Which handler answers a request, after faults, the token and access rights had their say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http::header::{AUTHORIZATION, DATE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::fault::{self, FaultKind};
use super::http::{Format, Query, Response, full, json, no_such_page, plain, with_type};
use super::path::{Route, Target};
use super::review::Review;
use super::server::RequestRecord;
use super::state::State;
use super::status::{self, Status};
use super::{exec, list, logs, portforward, proxy, watch};

/// Bytes of a request's body.
const BODY: usize = 1 << 20;
/// How long a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a fault keeps a connection without an answer.
const HANG: Duration = Duration::from_secs(600);

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault")]
pub(super) struct Closed;

/// A request that a handler answers.
pub(super) struct Call {
    pub(super) state: Arc<State>,
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) query: Query,
    pub(super) format: Format,
    pub(super) user: String,
    /// A continue token is to be too old, as a fault wants it.
    pub(super) expire: bool,
    pub(super) stop: CancellationToken,
}

/// Answers one request and remembers it.
pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    stop: CancellationToken,
) -> Result<Response, Closed> {
    let header =
        |name: HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let impersonate = header(HeaderName::from_static("impersonate-user"));
    let mut record = RequestRecord {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        accept: header(http::header::ACCEPT),
        user_agent: header(USER_AGENT),
        impersonate: Some(impersonate).filter(|u| !u.is_empty()),
        status: 0,
    };
    let result = faulty(&state, request, &record, stop).await;
    record.status = result.as_ref().map_or(0, |r| r.status().as_u16());
    let offset = state.date_offset;
    state.record(record);
    result.map(|mut response| {
        if !offset.is_zero() {
            let now = Utc::now();
            let date = now.checked_add_signed(offset).unwrap_or(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            if let Ok(value) = HeaderValue::from_str(&date) {
                response.headers_mut().insert(DATE, value);
            }
        }
        response
    })
}

/// Applies the faults that hit a request.
async fn faulty(
    state: &Arc<State>,
    request: Request<Incoming>,
    record: &RequestRecord,
    stop: CancellationToken,
) -> Result<Response, Closed> {
    let kinds = state.faults.hit(&record.method, &record.path, &record.query);
    let mut expire = false;
    for kind in &kinds {
        match kind {
            FaultKind::Latency(time) => tokio::time::sleep(*time).await,
            FaultKind::Hang => {
                tokio::time::sleep(HANG).await;
                return Err(Closed);
            }
            FaultKind::Reset => return Err(Closed),
            FaultKind::Garbage => return Ok(fault::garbage()),
            FaultKind::Status { code, retry_after } => {
                let code = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let target = match Route::parse(&record.path) {
                    Route::Object(target) => target,
                    _ => Target::default(),
                };
                let verb = verb(request.method(), &target, &Query::parse(&record.query));
                let user = record.impersonate.as_deref().unwrap_or(&state.user);
                return Ok(status::forced(code, *retry_after, &target, user, verb));
            }
            FaultKind::Expire => expire = true,
            FaultKind::CutAfter(_) | FaultKind::EndAfter(_) | FaultKind::SlowDrip { .. } => {}
        }
    }
    let response = route(state, request, record, expire, stop).await;
    Ok(kinds.iter().fold(response, |response, kind| match kind {
        FaultKind::CutAfter(_) | FaultKind::EndAfter(_) | FaultKind::SlowDrip { .. } => fault::bend(response, kind),
        _ => response,
    }))
}

/// The verb that access rules have for a request.
fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    // Running a command is a creation, whether it is asked for by POST or by the GET of a WebSocket.
    let interactive = matches!(target.subresource.as_deref(), Some("exec" | "attach" | "portforward"));
    match (method.as_str(), &target.name) {
        _ if interactive => "create",
        ("GET" | "HEAD", None) if query.is_true("watch") => "watch",
        ("GET" | "HEAD", None) => "list",
        ("GET" | "HEAD", Some(_)) => "get",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", None) => "deletecollection",
        ("DELETE", Some(_)) => "delete",
        _ => "create",
    }
}

/// A browser that was tricked into talking to this port names another host, or an origin.
fn local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = if host.starts_with('[') {
        host.split_inclusive(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") && !headers.contains_key(http::header::ORIGIN)
}

async fn route(
    state: &Arc<State>,
    request: Request<Incoming>,
    record: &RequestRecord,
    expire: bool,
    stop: CancellationToken,
) -> Response {
    if !local(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "this server answers local programs only\n");
    }
    if let Some(token) = &state.token {
        let sent = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if sent.strip_prefix("Bearer ") != Some(token) {
            return Status::unauthorized().response();
        }
    }
    let method = request.method().clone();
    let reads = matches!(method, Method::GET | Method::HEAD);
    let format = Format::of(request.headers());
    let target = match Route::parse(&record.path) {
        Route::Object(target) => target,
        _ if !reads => return Status::method_not_allowed().response(),
        Route::Root => return json(StatusCode::OK, &serde_json::json!({"paths": ["/api", "/apis", "/version"]})),
        Route::Version => return json(StatusCode::OK, &state.version()),
        Route::Health => {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            return with_type(StatusCode::OK, text, full("ok"));
        }
        Route::CoreVersions => return state.catalog.core_versions(format, &state.address.to_string()),
        Route::Groups => return state.catalog.groups(format),
        Route::Group(name) => return state.catalog.group(&name).unwrap_or_else(no_such_page),
        Route::Resources { group, version } => {
            return state.catalog.resources(&group, &version).unwrap_or_else(no_such_page);
        }
        Route::Unknown => return no_such_page(),
    };
    let query = Query::parse(&record.query);
    let user = record.impersonate.clone().unwrap_or_else(|| state.user.clone());
    let call = Call { state: Arc::clone(state), method, target, query, format, user, expire, stop };
    object(call, request).await.unwrap_or_else(|status| status.response())
}

/// Requests about objects.
async fn object(call: Call, request: Request<Incoming>) -> Result<Response, Status> {
    let target = &call.target;
    let verb = verb(&call.method, target, &call.query);
    if !call.state.access.permits(target, verb) {
        return Err(Status::forbidden(target, &call.user, verb));
    }
    if target.group == "authorization.k8s.io"
        && call.method == Method::POST
        && let Some(review) = Review::of(&target.plural)
    {
        let headers = request.headers().clone();
        let body = body(request).await?;
        return review.answer(&call.state, &headers, &body);
    }
    let kind = call.state.catalog.kind(&target.group, &target.version, &target.plural);
    let Some(kind) = kind else { return Ok(no_such_page()) };
    if target.namespace.is_some() && !kind.namespaced {
        return Ok(no_such_page());
    }
    let reads = matches!(call.method, Method::GET | Method::HEAD);
    let core = target.group.is_empty();
    let part = (target.plural.as_str(), target.subresource.as_deref());
    match part {
        _ if !reads => Err(Status::method_not_allowed()),
        ("pods", Some("exec")) if core => exec::run(call, request).await,
        ("pods", Some("portforward")) if core => portforward::run(call, request).await,
        ("pods", Some("log")) if core => logs::stream(call).await,
        ("pods", Some("proxy")) if core => proxy::pod(call).await,
        ("nodes", Some("proxy")) if core => proxy::node(call).await,
        ("services", Some("proxy")) if core => proxy::service(call).await,
        (_, None) if target.name.is_none() && call.query.is_true("watch") => watch::stream(call).await,
        (_, None | Some("status")) => blocking(move || list::objects(&call)).await,
        _ => Ok(no_such_page()),
    }
}

/// Runs what reads the store on a thread that may block.
///
/// # Errors
/// Those of the work, and 500 when it panicked.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Status::internal(&format!("the server could not read its bundle: {error}"))),
    }
}

/// Reads the body of a request.
///
/// # Errors
/// When it is too large, too slow or broken.
pub(super) async fn body(request: Request<Incoming>) -> Result<Bytes, Status> {
    let read = Limited::new(request.into_body(), BODY).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(Status::bad_request(format!("cannot read the request's body: {error}"))),
        Err(_) => Err(Status::bad_request("the request's body did not arrive in time")),
    }
}
