//! Stores of pods: found in what was collected before, listed from here, or from the pod.

use std::path::Path;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use casefile::bundle::DirStore;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::collect::s3::Access;
use casefile::model::Outcome;
use casefile::serve::{ObjectStore, Server};
use futures::FutureExt;
use serde_json::{Value, json};

use super::run::{Run, collect_with, connect, kms, limits};

const NS: &str = "kms-decentralized";
const CORE: &str = "kms-party-3-core-3";

fn cluster(incident: &str) -> MemStore {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap().cluster(incident).unwrap()
}

fn access(endpoint: &str) -> Access {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDTEST", "made-up", None, None, "test",
        )))
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

/// Collects configuration and stores from a cluster; `only` says what else may run.
async fn collect(store: MemStore, only: &[&str]) -> Run {
    let objects = ObjectStore::start(&store).await.unwrap();
    let server = Server::builder(Arc::new(store)).start().await.unwrap();
    let cluster = connect(server.addr()).await.unwrap();
    let profile = kms();
    let aws = access(&objects.url());
    collect_with(&cluster, NS, &profile, only, limits(), Some(&aws)).await
}

fn vault(run: &Run, id: &str) -> Value {
    run.json(&format!("storage/{NS}/{CORE}/{id}.json"))
}

fn item(id: &str) -> String {
    format!("storage/{NS}/{CORE}/{id}")
}

/// Changes what a command or an endpoint of the fixture answers.
fn replay(store: &mut MemStore, change: impl FnOnce(&mut Value)) {
    let mut replay: Value = serde_json::from_slice(store.get("replay.json").unwrap()).unwrap();
    change(&mut replay);
    store.insert("replay.json".to_owned(), serde_json::to_vec(&replay).unwrap());
}

#[tokio::test]
async fn the_running_configuration_names_the_buckets() {
    let run = collect(cluster("healthy"), &["http/", "exec/", "storage/"]).await;
    for (id, folder) in [("private", "EpochData"), ("public", "CRS"), ("backup", "SigningKey")] {
        assert_eq!(run.outcome(&item(id)).0, Outcome::Ok, "{:?}", run.outcome(&item(id)));
        let document = vault(&run, id);
        assert_eq!(document["found_in"], format!("config/{NS}/{CORE}/running-config.json"));
        assert_eq!(document["region"], "eu-west-1");
        let names: Vec<&str> =
            document["objects"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect();
        assert!(names.iter().any(|n| n.starts_with(folder)), "{id}: {names:?}");
    }
}

#[tokio::test]
async fn without_a_running_core_its_config_maps_name_them() {
    let run = collect(cluster("crash-loop"), &["http/", "exec/", "storage/", "kubernetes/configmaps"]).await;
    assert_eq!(run.outcome(&item("private")).0, Outcome::Ok);
    let document = vault(&run, "private");
    assert_eq!(document["found_in"], format!("cluster-resources/configmaps/{NS}.json"));
    assert_eq!((&document["bucket"], &document["prefix"]), (&json!("mpc-vault-private-1a2b3c4d"), &json!("PRIV-p3/")));
}

#[tokio::test]
async fn items_that_were_skipped_are_not_waited_for() {
    let mut narrow = limits();
    narrow.concurrency = 1;
    let store = cluster("healthy");
    let objects = ObjectStore::start(&store).await.unwrap();
    let server = Server::builder(Arc::new(store)).start().await.unwrap();
    let cluster = connect(server.addr()).await.unwrap();
    let profile = kms();
    let aws = access(&objects.url());
    let run = collect_with(&cluster, NS, &profile, &["storage/", "kubernetes/configmaps"], narrow, Some(&aws)).await;
    assert_eq!(run.outcome(&item("private")).0, Outcome::Ok);
    assert!(vault(&run, "private")["found_in"].as_str().unwrap().contains("configmaps"));
    assert!(run.entry(&item("private")).duration_ms < 5_000);
}

#[tokio::test]
async fn a_bucket_that_refuses_is_told_with_what_it_may_mean() {
    let mut store = cluster("healthy");
    let refusal =
        json!({"region": "eu-west-1", "refuse": {"status": 403, "code": "AccessDenied", "message": "Access Denied"}});
    store.insert("object-store/mpc-vault-private-1a2b3c4d.json".to_owned(), serde_json::to_vec(&refusal).unwrap());
    let run = collect(store, &["http/", "storage/"]).await;
    let (outcome, reason) = run.outcome(&item("private"));
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("AccessDenied") && reason.contains("may also mean that nothing is there"), "{reason}");
    let document = vault(&run, "private");
    assert_eq!((&document["fault"]["code"], &document["complete"]), (&json!("forbidden"), &json!(false)));
    assert_eq!(run.outcome(&item("public")).0, Outcome::Ok);
}

#[tokio::test]
async fn where_only_the_pod_may_list_its_own_program_does() {
    let mut store = cluster("healthy");
    store.insert(
        "object-store/mpc-vault-private-1a2b3c4d.json".to_owned(),
        br#"{"refuse": {"status": 403, "code": "AccessDenied", "message": "no"}}"#.to_vec(),
    );
    replay(&mut store, |replay| {
        replay["exec"].as_array_mut().unwrap().push(json!({
            "pods": format!("{NS}/{CORE}"), "container": "kms-core",
            "command": ["aws", "s3", "ls", "--recursive", "--region", "eu-west-1", "s3://mpc-vault-private-1a2b3c4d/PRIV-p3/"],
            "stdout": "2026-11-02 09:00:03         91 PRIV-p3/SigningKey/60b7\n"}));
    });
    let run = collect(store, &["http/", "storage/"]).await;
    assert_eq!(run.outcome(&item("private")).0, Outcome::Ok, "{:?}", run.outcome(&item("private")));
    let document = vault(&run, "private");
    assert_eq!(document["listed_by"], "aws s3 ls, in the pod");
    assert_eq!(
        document["objects"],
        json!([{"name": "SigningKey/60b7", "size": 91, "modified": "2026-11-02T09:00:03Z"}])
    );
    assert!(document.get("fault").is_none());
}

/// A party with its vaults on a volume, as the file is written by hand.
fn on_files(listing: &Value) -> MemStore {
    let mut store = cluster("healthy");
    let config = json!({"service": {}, "private_vault": {"storage": {"file": {"path": "/keys", "prefix": "PRIV-p3"}}, "keychain": null}});
    store.insert("replay/config.json".to_owned(), serde_json::to_vec(&Value::String(config.to_string())).unwrap());
    replay(&mut store, |replay| {
        let mut entry = json!({"pods": format!("{NS}/{CORE}"), "container": "kms-core",
            "command": ["ls", "-lnRA", "--full-time", "--", "/keys/PRIV-p3"]});
        entry.as_object_mut().unwrap().extend(listing.as_object().unwrap().clone());
        replay["exec"].as_array_mut().unwrap().push(entry);
    });
    store
}

#[tokio::test]
async fn directories_are_listed_in_the_pod() {
    let listing = "/keys/PRIV-p3:\ntotal 4\ndrwx------ 2 0 0 4096 2026-11-02 09:00:03 +0000 SigningKey\n\n/keys/PRIV-p3/SigningKey:\ntotal 4\n-rw-------    1 0        0               91 2026-11-02 09:00:03 +0000 60b7070add74be3827160aa635fb255eeeeb88586c4debf7ab1134ddceb4beee\n";
    let run = collect(on_files(&json!({"stdout": listing})), &["http/", "storage/"]).await;
    assert_eq!(run.outcome(&item("private")).0, Outcome::Ok, "{:?}", run.outcome(&item("private")));
    let document = vault(&run, "private");
    assert_eq!(
        (&document["kind"], &document["directory"], &document["prefix"]),
        (&json!("file"), &json!("/keys"), &json!("PRIV-p3/"))
    );
    assert_eq!(
        document["objects"][0]["name"],
        "SigningKey/60b7070add74be3827160aa635fb255eeeeb88586c4debf7ab1134ddceb4beee"
    );
    assert_eq!(document["objects"][0]["mode"], "-rw-------");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_told_apart_from_one_that_cannot_be_listed() {
    for (answer, outcome) in [
        (json!({"stderr": "ls: /keys/PRIV-p3: No such file or directory\n", "exit_code": 2}), Outcome::NotFound),
        (
            json!({"stderr": "ls: cannot open directory '/keys/PRIV-p3': Permission denied\n", "exit_code": 2}),
            Outcome::Forbidden,
        ),
        (json!({"error": "executable file not found in $PATH"}), Outcome::NotApplicable),
    ] {
        let run = collect(on_files(&answer), &["http/", "storage/"]).await;
        assert_eq!(run.outcome(&item("private")).0, outcome, "{:?}", run.outcome(&item("private")));
        // The other vaults are not in this configuration, and that is no failure.
        assert_eq!(run.outcome(&item("public")).0, Outcome::NotApplicable);
    }
}
