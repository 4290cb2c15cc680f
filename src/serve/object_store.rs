//! The object store of the demo: listings of a fixture as an S3 endpoint on loopback.
//!
//! It answers HeadBucket, GetBucketLocation, ListObjectsV2, ListObjectVersions and GetCallerIdentity, which is what a collection asks. There
//! are no contents to read, nothing can be written, and signatures are not checked. `object-store/<bucket>.json` is described in
//! `docs/serve.md`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::http::{Query, Response, full};
use super::path::percent_decode;
use super::server::ServeError;
use crate::bundle::Store;

/// Where the listings of a store are.
const FOLDER: &str = "object-store/";
/// How large a listing may be.
const LISTING_MAX: u64 = 64 << 20;
/// Keys of one page, as AWS has it.
const PAGE: usize = 1000;
/// A connection that sends nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Requests that are remembered.
const REMEMBERED: usize = 10_000;

/// One bucket.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Bucket {
    region: String,
    /// What every request about the bucket gets instead of an answer.
    refuse: Option<Refusal>,
    objects: Vec<Object>,
    /// Names whose newest version is a delete marker.
    deleted: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    status: u16,
    code: String,
    message: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    key: String,
    size: u64,
    modified: String,
    #[serde(default = "standard")]
    class: String,
}

fn standard() -> String {
    "STANDARD".to_owned()
}

struct State {
    buckets: BTreeMap<String, Bucket>,
    requests: Mutex<Vec<String>>,
}

/// A running object store. Dropping it ends it.
pub struct ObjectStore {
    address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
}

impl ObjectStore {
    /// Serves the listings of a store on a free port of 127.0.0.1. A store without listings has no bucket.
    ///
    /// # Errors
    /// When no port can be bound, or a listing is not what it should be.
    pub async fn start(store: &dyn Store) -> Result<Self, ServeError> {
        let mut buckets = BTreeMap::new();
        for entry in store.entries() {
            let Some(name) = entry.path.strip_prefix(FOLDER).and_then(|n| n.strip_suffix(".json")) else { continue };
            let invalid = |reason: String| ServeError::Replay { path: entry.path.clone(), reason };
            let bytes = store.read(&entry.path, LISTING_MAX).map_err(|e| invalid(e.to_string()))?;
            let mut bucket: Bucket = serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
            bucket.objects.sort_by(|a, b| a.key.cmp(&b.key));
            buckets.insert(name.to_owned(), bucket);
        }
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bind = |source| ServeError::Bind { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let state = Arc::new(State { buckets, requests: Mutex::default() });
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::clone(&state), stop.clone()));
        Ok(Self { address, state, stop })
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method, path and query of the requests that came so far, oldest first; at most ten thousand are remembered.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().map(|r| r.clone()).unwrap_or_default()
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = listener.accept() => stream,
        };
        match stream {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&state), stop.clone()));
            }
            // Out of file descriptors: wait for a connection to end instead of spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = state.answer(&request);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // What goes wrong on a connection is the client's to notice.
        _ = served => {}
    }
}

impl State {
    fn answer(&self, request: &Request<Incoming>) -> Response {
        let path = request.uri().path();
        let text = request.uri().query().unwrap_or_default();
        if let Ok(mut requests) = self.requests.lock()
            && requests.len() < REMEMBERED
        {
            requests.push(format!("{} {path}?{text}", request.method()));
        }
        let query = Query::parse(text);
        match (request.method(), path) {
            (&Method::POST, "/") => who(),
            (&Method::HEAD | &Method::GET, path) => {
                let (name, key) =
                    path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
                if !key.is_empty() {
                    return refusal(403, "AccessDenied", "This store has no contents");
                }
                self.bucket(&percent_decode(name), request.method() == Method::HEAD, text, &query)
            }
            _ => refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
        }
    }

    fn bucket(&self, name: &str, head: bool, text: &str, query: &Query) -> Response {
        let Some(bucket) = self.buckets.get(name) else {
            return refusal(404, "NoSuchBucket", "The specified bucket does not exist");
        };
        let mut response = match &bucket.refuse {
            Some(no) => refusal(no.status, &no.code, &no.message),
            None if head => xml(StatusCode::OK, ""),
            None if text.split('&').any(|p| p == "location" || p == "location=") => {
                let region = escape(&bucket.region);
                xml(StatusCode::OK, &format!("<LocationConstraint>{region}</LocationConstraint>"))
            }
            None if text.split('&').any(|p| p == "versions" || p == "versions=") => versions(name, bucket, query),
            None if query.get("list-type") == Some("2") => list(name, bucket, query),
            None => refusal(501, "NotImplemented", "This store lists and does nothing else"),
        };
        if let Ok(region) = HeaderValue::from_str(&bucket.region) {
            response.headers_mut().insert("x-amz-bucket-region", region);
        }
        response
    }
}

fn list(name: &str, bucket: &Bucket, query: &Query) -> Response {
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get("delimiter");
    let after = query.get("continuation-token").or_else(|| query.get("start-after")).unwrap_or_default();
    let asked = query.number("max-keys").ok().flatten().and_then(|n| usize::try_from(n).ok());
    let page = asked.unwrap_or(PAGE).min(PAGE);
    let (mut contents, mut folders) = (String::new(), BTreeMap::new());
    let (mut last, mut count, mut more) = ("", 0, false);
    for object in bucket.objects.iter().filter(|o| o.key.starts_with(prefix) && o.key.as_str() > after) {
        if let Some(at) = delimiter.and_then(|d| object.key[prefix.len()..].find(d).map(|at| at + d.len())) {
            folders.insert(&object.key[..prefix.len() + at], ());
            continue;
        }
        if count == page {
            more = true;
            break;
        }
        count += 1;
        last = &object.key;
        let Object { size, modified, class, .. } = object;
        contents.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><Size>{size}</Size><StorageClass>{}</StorageClass></Contents>",
            url(&object.key),
            escape(modified),
            escape(class)
        ));
    }
    for folder in folders.keys() {
        contents.push_str(&format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", url(folder)));
    }
    let next =
        if more { format!("<NextContinuationToken>{}</NextContinuationToken>", escape(last)) } else { String::new() };
    xml(
        StatusCode::OK,
        &format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
             <KeyCount>{count}</KeyCount><MaxKeys>{page}</MaxKeys><EncodingType>url</EncodingType>\
             <IsTruncated>{more}</IsTruncated>{next}{contents}</ListBucketResult>",
            escape(name),
            url(prefix),
        ),
    )
}

fn versions(name: &str, bucket: &Bucket, query: &Query) -> Response {
    let prefix = query.get("prefix").unwrap_or_default();
    let marker = query.get("key-marker").unwrap_or_default();
    let mut body = String::new();
    let (mut last, mut more) = ("", false);
    let found = bucket.objects.iter().filter(|o| o.key.starts_with(prefix) && o.key.as_str() > marker);
    for (count, object) in found.enumerate() {
        if count == PAGE {
            more = true;
            break;
        }
        last = &object.key;
        body.push_str(&format!(
            "<Version><Key>{}</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><LastModified>{}</LastModified><Size>{}</Size></Version>",
            url(&object.key),
            escape(&object.modified),
            object.size
        ));
    }
    if !more {
        for key in bucket.deleted.iter().filter(|key| key.starts_with(prefix)) {
            body.push_str(&format!(
                "<DeleteMarker><Key>{}</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>",
                url(key)
            ));
        }
    }
    let next = if more {
        format!("<NextKeyMarker>{}</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>", url(last))
    } else {
        String::new()
    };
    xml(
        StatusCode::OK,
        &format!(
            "<ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name>\
             <EncodingType>url</EncodingType><IsTruncated>{more}</IsTruncated>{next}{body}</ListVersionsResult>",
            escape(name)
        ),
    )
}

/// What GetCallerIdentity answers.
fn who() -> Response {
    xml(
        StatusCode::OK,
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:sts::123456789012:assumed-role/kms-party-3-readonly/demo</Arn><UserId>AROADEMO:demo</UserId>\
         <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
    )
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{}</Code><Message>{}</Message></Error>", escape(code), escape(message));
    xml(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

fn xml(code: StatusCode, body: &str) -> Response {
    let body =
        if body.is_empty() { String::new() } else { format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}") };
    super::http::with_type(code, HeaderValue::from_static("application/xml"), full(body))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name as `encoding-type=url` writes it.
fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
