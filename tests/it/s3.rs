//! Listing buckets: against a real S3 server with its file backend, with a layer in front that fails on request, and against a
//! second implementation (moto) where it is installed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use casefile::bundle::overlay::MemStore;
use casefile::bundle::{PackOptions, Spool, Target, pack};
use casefile::collect::s3::{Access, Document, Place, list};
use casefile::collect::{CollectError, Done, Engine, Item, Limits, Sink};
use casefile::model::{ItemId, LedgerEntry, Outcome};
use casefile::redact::{CorrelationKey, Format, Redactor};
use casefile::serve::ObjectStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "AKIDTESTONLY";
pub(crate) const SECRET: &str = "made-up-secret-of-the-tests";

/// What stands in front of the store: an answer instead of the store's, or none.
type Front = dyn Fn(&http::Request<Incoming>) -> Option<http::Response<s3s::Body>> + Send + Sync;

/// A real S3 server over a directory.
pub(crate) struct Store {
    dir: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Store {
    pub(crate) async fn new(
        front: impl Fn(&http::Request<Incoming>) -> Option<http::Response<s3s::Body>> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(Duration::ZERO, front).await
    }

    /// The same, and each answer takes some time.
    pub(crate) async fn slow(
        delay: Duration,
        front: impl Fn(&http::Request<Incoming>) -> Option<http::Response<s3s::Body>> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let (addr, requests) = serve(builder.build(), delay, Arc::new(front)).await;
        Self { dir, addr, requests }
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        let path = self.dir.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    service: s3s::service::S3Service,
    delay: Duration,
    front: Arc<Front>,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, front, seen) = (service.clone(), Arc::clone(&front), Arc::clone(&seen));
            let answer = service_fn(move |request: http::Request<Incoming>| {
                seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
                let instead = front(&request);
                let service = service.clone();
                async move {
                    tokio::time::sleep(delay).await;
                    Ok::<_, Infallible>(match instead {
                        Some(response) => response,
                        None => hyper::service::Service::call(&service, request).await.expect("the store answers"),
                    })
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    (addr, requests)
}

fn refusal(status: u16, code: &str) -> http::Response<s3s::Body> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>made up</Message></Error>");
    http::Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(s3s::Body::from(body))
        .unwrap()
}

pub(crate) fn access(endpoint: &str, key: &str, secret: &str) -> Access {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(key, secret, None, None, "test")))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Access::new(
        move || {
            let config = config.clone();
            async move { config }.boxed()
        },
        true,
    )
}

fn place(bucket: &str, prefix: &str) -> Place {
    Place { bucket: bucket.to_owned(), prefix: prefix.to_owned(), limit: 10_000, ..Place::default() }
}

/// Lists one place, as the items of Kubernetes do.
struct ListItem {
    id: ItemId,
    access: Access,
    place: Place,
}

impl Item for ListItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "test"
    }

    fn describe(&self) -> String {
        "lists".to_owned()
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        async move {
            let mut document = Document { id: "v".into(), kind: "s3".into(), ..Document::default() };
            let result = list(&self.access, &self.place, sink, &mut document).await;
            sink.put("storage/n/p/v.json", Format::Json, &document.to_json())?;
            result.map(|()| Done::ok())
        }
        .boxed()
    }
}

struct Listed {
    entry: LedgerEntry,
    document: Value,
    text: String,
}

impl Listed {
    fn names(&self) -> Vec<&str> {
        self.document["objects"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect()
    }

    fn reason(&self) -> &str {
        self.entry.reason.as_deref().unwrap_or_default()
    }
}

async fn listed(access: Access, place: Place) -> Listed {
    let limits =
        Limits { item_timeout: Duration::from_secs(60), request_timeout: Duration::from_secs(30), ..Limits::default() };
    listed_within(access, place, limits).await
}

async fn listed_within(access: Access, place: Place, limits: Limits) -> Listed {
    let dir = tempfile::tempdir().unwrap();
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let spool = Spool::create(dir.path()).unwrap();
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine {
        redactor: redactor.clone(),
        spool: spool.clone(),
        limits,
        events,
        cancel: CancellationToken::new(),
        wanted: Arc::new(|_| true),
    };
    let result = engine.run(vec![Arc::new(ListItem { id: ItemId::new("list"), access, place })]).await;
    let mut archive = Vec::new();
    let options = PackOptions {
        top_dir: redactor.text("top"),
        target: Target::Writer(&mut archive),
        first: Vec::new(),
        mtime: chrono::DateTime::UNIX_EPOCH,
        force: false,
    };
    pack(&spool, options).unwrap();
    let mut text = String::new();
    for entry in tar::Archive::new(flate2::read::MultiGzDecoder::new(archive.as_slice())).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("top/storage/n/p/v.json") {
            entry.read_to_string(&mut text).unwrap();
        }
    }
    let document = serde_json::from_str(&text).unwrap();
    Listed { entry: result.ledger[0].clone(), document, text }
}

const ID: &str = "60b7070add74be3827160aa635fb255eeeeb88586c4debf7ab1134ddceb4beee";

#[tokio::test]
async fn a_prefix_is_listed_with_sizes_and_dates_and_nothing_is_read() {
    let store = Store::new(|_| None).await;
    store.put(&format!("vaults/PRIV-p1/SigningKey/{ID}"), b"never to be seen");
    store.put("vaults/PRIV-p1/EpochData/0800", b"");
    store.put("vaults/PRIV-p10/other", b"another party");
    let listed = listed(access(&format!("http://{}", store.addr), KEY, SECRET), place("vaults", "PRIV-p1")).await;
    assert_eq!(listed.entry.outcome, Outcome::Ok, "{}", listed.reason());
    let signing = format!("SigningKey/{ID}");
    assert_eq!(listed.names(), ["EpochData/0800", signing.as_str()]);
    let object = &listed.document["objects"][1];
    assert_eq!(object["size"], 16);
    assert!(object["modified"].as_str().unwrap().ends_with('Z'));
    assert_eq!(listed.document["folders"][0]["empty"], 1);
    assert_eq!(listed.document["siblings"], serde_json::json!(["PRIV-p1/", "PRIV-p10/"]));
    assert_eq!(listed.document["complete"], true);
    // This store keeps no versions; that it cannot list them is said, and costs nothing else.
    assert!(
        listed.document["versions"]["fault"]["text"].as_str().unwrap().contains("NotImplemented"),
        "{}",
        listed.text
    );
    assert!(!listed.text.contains("never to be seen"));
    for request in store.requests().iter().filter(|r| !r.starts_with("POST /")) {
        assert!(
            request.starts_with("HEAD /vaults") || request.starts_with("GET /vaults") && request.contains('?'),
            "{request}"
        );
        assert!(!request.contains("SigningKey"), "{request}");
    }
}

#[tokio::test]
async fn more_than_one_page_is_read_to_the_end() {
    let store = Store::new(|_| None).await;
    for n in 0..2_345 {
        store.put(&format!("vaults/p/{n:05}"), b"x");
    }
    let listed = listed(access(&format!("http://{}", store.addr), KEY, SECRET), place("vaults", "p/")).await;
    assert_eq!((listed.entry.outcome, listed.names().len()), (Outcome::Ok, 2_345));
    assert_eq!(listed.document["requests"], 3);
    assert_eq!((listed.names()[0], listed.names()[2_344]), ("00000", "02344"));
}

#[tokio::test]
async fn a_hundred_thousand_objects_cost_as_much_as_the_limit() {
    let mut listing = String::from("{\"region\": \"eu-west-1\", \"objects\": [");
    for n in 0..100_000 {
        let comma = if n > 0 { "," } else { "" };
        listing.push_str(&format!(
            "{comma}{{\"key\": \"p/{n:06}\", \"size\": 1, \"modified\": \"2026-11-02T09:00:00Z\"}}"
        ));
    }
    listing.push_str("]}");
    let mut files = MemStore::default();
    files.insert("object-store/large.json".to_owned(), listing.into_bytes());
    let server = ObjectStore::start(&files).await.unwrap();
    let listed = listed(access(&server.url(), KEY, SECRET), place("large", "p")).await;
    assert_eq!(listed.entry.outcome, Outcome::Ok, "{}", listed.reason());
    assert_eq!(listed.names().len(), 10_000);
    assert_eq!(listed.document["complete"], false);
    assert_eq!(listed.document["versions"]["complete"], false);
    assert_eq!(listed.document["region"], "eu-west-1");
    assert_eq!(listed.document["identity"]["account"], "123456789012");
    assert!(server.requests().len() < 30, "{} requests", server.requests().len());
    assert!(listed.text.len() < 2 << 20);
}

#[tokio::test]
async fn a_store_that_asks_for_patience_gets_it() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let front = move |request: &http::Request<Incoming>| {
        let listing = request.uri().query().is_some_and(|q| q.contains("list-type=2") && q.contains("prefix"));
        (listing && count.fetch_add(1, Ordering::SeqCst) < 2).then(|| refusal(503, "SlowDown"))
    };
    let store = Store::new(front).await;
    store.put("vaults/p/x", b"x");
    let url = format!("http://{}", store.addr);
    let patient = listed(access(&url, KEY, SECRET), place("vaults", "p")).await;
    assert_eq!((patient.entry.outcome, patient.names()), (Outcome::Ok, vec!["x"]));
    assert!(refused.load(Ordering::SeqCst) >= 3);
    let always = Store::new(|request| (request.method() == http::Method::GET).then(|| refusal(503, "SlowDown"))).await;
    always.put("vaults/p/x", b"x");
    let listed = listed(access(&format!("http://{}", always.addr), KEY, SECRET), place("vaults", "p")).await;
    assert_eq!(listed.entry.outcome, Outcome::Failed);
    assert!(listed.reason().contains("SlowDown") && listed.reason().contains("fewer requests"), "{}", listed.reason());
    assert_eq!(listed.document["fault"]["code"], "throttled");
    let asked = always.requests().iter().filter(|r| r.contains("list-type=2")).count();
    assert_eq!(asked, 4, "four attempts, and none of the SDK's own");
}

#[tokio::test]
async fn a_bucket_in_another_region_is_followed() {
    let front = |request: &http::Request<Incoming>| {
        let signed = request.headers().get("authorization")?.to_str().ok()?.to_owned();
        if signed.contains("/eu-central-1/s3/") || !request.uri().path().starts_with("/vaults") {
            return None;
        }
        let mut response = refusal(301, "PermanentRedirect");
        response.headers_mut().insert("x-amz-bucket-region", "eu-central-1".parse().unwrap());
        Some(response)
    };
    let store = Store::new(front).await;
    store.put("vaults/p/x", b"x");
    let listed = listed(access(&format!("http://{}", store.addr), KEY, SECRET), place("vaults", "p")).await;
    assert_eq!((listed.entry.outcome, listed.names()), (Outcome::Ok, vec!["x"]), "{}", listed.reason());
    assert_eq!(listed.document["region"], "eu-central-1");
}

#[tokio::test]
async fn refused_credentials_are_told_apart() {
    let store = Store::new(|_| None).await;
    store.put("vaults/p/x", b"x");
    let url = format!("http://{}", store.addr);
    let wrong_secret = listed(access(&url, KEY, "another secret"), place("vaults", "p")).await;
    assert_eq!(wrong_secret.entry.outcome, Outcome::Forbidden);
    assert!(wrong_secret.reason().contains("SignatureDoesNotMatch"), "{}", wrong_secret.reason());
    for (code, says) in [
        ("InvalidAccessKeyId", "does not exist there"),
        ("AccessDenied", "may also mean that nothing is there"),
        ("ExpiredToken", "aws sso login"),
    ] {
        let store = Store::new(move |_| Some(refusal(403, code))).await;
        let listed = listed(access(&format!("http://{}", store.addr), "AKIDOTHER", SECRET), place("vaults", "p")).await;
        assert_eq!(listed.entry.outcome, Outcome::Forbidden);
        assert!(listed.reason().contains(code) && listed.reason().contains(says), "{}", listed.reason());
        assert_eq!(listed.document["fault"]["code"], "forbidden");
        assert!(!listed.text.contains(SECRET));
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_said_at_once() {
    let store = Store::new(|_| None).await;
    let listed = listed(access(&format!("http://{}", store.addr), KEY, SECRET), place("no-such-bucket", "p")).await;
    assert_eq!(listed.entry.outcome, Outcome::NotFound, "{}", listed.reason());
    assert!(listed.reason().contains("does not exist"), "{}", listed.reason());
    assert!(store.requests().len() <= 2, "{:?}", store.requests());
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_costs_its_deadline_and_no_more() {
    // Accepts connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits =
        Limits { item_timeout: Duration::from_secs(20), request_timeout: Duration::from_secs(1), ..Limits::default() };
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hanging = listed_within(access(&url, KEY, SECRET), place("vaults", "p"), limits.clone()).await;
    assert_eq!(hanging.entry.outcome, Outcome::TimedOut, "{}", hanging.reason());
    assert_eq!(hanging.document["fault"]["code"], "timed-out");
    drop(silent);
    let refused = listed_within(access(&url, KEY, SECRET), place("vaults", "p"), limits).await;
    assert_eq!(refused.entry.outcome, Outcome::Failed);
    assert!(refused.reason().contains("cannot be reached"), "{}", refused.reason());
}

#[tokio::test]
async fn without_credentials_only_a_public_bucket_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("vaults/p")).unwrap();
    std::fs::write(dir.path().join("vaults/p/x"), b"x").unwrap();
    let open = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap()).build();
    let (addr, requests) = serve(open, Duration::ZERO, Arc::new(|_| None)).await;
    let anonymous = || {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{addr}"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Access::new(
            move || {
                let config = config.clone();
                async move { config }.boxed()
            },
            true,
        )
    };
    let private = listed(anonymous(), place("vaults", "p")).await;
    assert_eq!(private.entry.outcome, Outcome::Forbidden);
    assert!(private.reason().contains("no AWS credentials were found") && private.reason().contains("AWS_PROFILE"));
    assert!(requests.lock().unwrap().is_empty());
    let public = listed(anonymous(), Place { anonymous: true, ..place("vaults", "p") }).await;
    assert_eq!((public.entry.outcome, public.names()), (Outcome::Ok, vec!["x"]), "{}", public.reason());
    assert!(public.document["identity"]["reason"].as_str().unwrap().contains("without credentials"));
}

#[test]
fn no_code_can_read_an_object() {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path)
                && ["get_object(", "GetObject", "select_object_content(", "presigned("]
                    .iter()
                    .any(|call| text.contains(call))
            {
                found.push(path);
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// moto is started by `.ci/run`; its address is in `CASEFILE_TEST_MOTO`.
fn moto() -> String {
    std::env::var("CASEFILE_TEST_MOTO").expect("CASEFILE_TEST_MOTO is the URL of a moto server")
}

/// A bucket in moto with these keys, made with the same SDK that lists it.
async fn moto_bucket(name: &str, region: &str, keys: impl Iterator<Item = String>) -> String {
    let url = moto();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(&url)
        .force_path_style(true)
        .credentials_provider(Credentials::new(KEY, SECRET, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let constraint = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region.into()).build();
    client.create_bucket().bucket(name).create_bucket_configuration(constraint).send().await.unwrap();
    let versioned = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    client.put_bucket_versioning().bucket(name).versioning_configuration(versioned).send().await.unwrap();
    for key in keys {
        client.put_object().bucket(name).key(key).body(Vec::from(&b"xyz"[..]).into()).send().await.unwrap();
    }
    client.delete_object().bucket(name).key("PRIV-p1/gone").send().await.unwrap();
    url
}

#[tokio::test]
#[ignore = "needs CASEFILE_TEST_MOTO"]
async fn moto_is_listed_with_versions_region_and_identity() {
    let keys =
        (0..1_100).map(|n| format!("PRIV-p1/X/{n:04}")).chain(["PRIV-p1/gone", "PRIV-p1/a b+c"].map(str::to_owned));
    let url = moto_bucket("moto-listing", "eu-west-3", keys).await;
    let listed = listed(access(&url, KEY, SECRET), place("moto-listing", "PRIV-p1")).await;
    assert_eq!(listed.entry.outcome, Outcome::Ok, "{}", listed.reason());
    assert_eq!(listed.names().len(), 1_101);
    assert!(listed.names().contains(&"a b+c"), "{:?}", listed.names());
    assert_eq!(listed.document["region"], "eu-west-3");
    assert_eq!(listed.document["objects"][1]["class"], "STANDARD");
    assert_eq!(listed.document["identity"]["account"], "123456789012", "{}", listed.text);
    let versions = &listed.document["versions"];
    assert_eq!(
        (&versions["delete_markers"], &versions["superseded"]),
        (&Value::from(1), &Value::from(1)),
        "{versions}"
    );
    assert_eq!(versions["deleted"], serde_json::json!(["gone"]));
    assert_eq!(versions["complete"], true);
}

#[tokio::test]
#[ignore = "needs CASEFILE_TEST_MOTO"]
async fn moto_says_that_a_bucket_does_not_exist() {
    let listed = listed(access(&moto(), KEY, SECRET), place("moto-no-such-bucket", "p")).await;
    assert_eq!(listed.entry.outcome, Outcome::NotFound, "{}", listed.reason());
}

/// What a bucket looks like does not depend on who asks first.
#[tokio::test]
async fn the_same_bucket_gives_the_same_document() {
    let store = Store::new(|_| None).await;
    for name in ["b", "a", "c/d"] {
        store.put(&format!("vaults/p/{name}"), b"x");
    }
    let url = format!("http://{}", store.addr);
    let mut seen = BTreeMap::new();
    for _ in 0..3 {
        let listed = listed(access(&url, KEY, SECRET), place("vaults", "p")).await;
        *seen.entry(listed.text).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 1);
}
