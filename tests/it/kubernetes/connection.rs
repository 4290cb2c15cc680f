//! Connecting, discovery and detection.

use std::net::SocketAddr;

use casefile::collect::CollectError;
use casefile::collect::kubernetes::{ConnectError, Outside, Verdict, plan, review};
use casefile::model::{Access, Outcome};
use casefile::profile;
use serde_json::json;

use super::fake::{Fake, Reply, list};
use super::run::{collect, connect, connect_with, generic, limits};

#[tokio::test]
async fn what_is_no_api_server_is_not_reached() {
    // A port that was free a moment ago refuses.
    let free: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = connect(free).await.err().unwrap();
    assert!(
        matches!(&error, ConnectError::Unreachable { server, .. } if server.contains(&free.to_string())),
        "{error}"
    );
    for reply in [|| Reply::log("<html>hello</html>"), || Reply::Hang, || Reply::status(502, "bad gateway")] {
        let fake = Fake::start(move |_| Some(reply())).await;
        let error = connect(fake.addr).await.err().unwrap();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    }
    let fake = Fake::start(|_| Some(Reply::status(401, "Unauthorized"))).await;
    assert!(matches!(connect(fake.addr).await.err().unwrap(), ConnectError::Unauthorized { .. }));
}

#[tokio::test]
async fn a_server_that_hides_its_version_is_a_server() {
    let fake = Fake::start(|ask| (ask.path == "/version").then(|| Reply::status(403, "no"))).await;
    assert_eq!(connect(fake.addr).await.unwrap().version(), "");
}

#[tokio::test]
async fn wrong_flags_are_told_before_anything_is_asked() {
    let fake = Fake::start(|_| None).await;
    let error = connect_with(fake.addr, |o| o.context = Some("x".to_owned())).await.err().unwrap();
    assert!(matches!(&error, ConnectError::UnknownContext { known, .. } if known == &["t".to_owned()]), "{error}");
    let error = connect_with(fake.addr, |o| o.as_groups = vec!["g".to_owned()]).await.err().unwrap();
    assert!(error.to_string().contains("--as"), "{error}");
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn legacy_discovery_is_understood_and_a_silent_group_costs_itself() {
    let fake = Fake::start(|ask| {
        let resource = |name: &str| json!({"name": name, "kind": "K", "namespaced": true, "verbs": ["list"]});
        Some(match ask.path.as_str() {
            "/api" => Reply::json(&json!({"kind": "APIVersions", "versions": ["v1"]})),
            "/apis" => Reply::json(&json!({"kind": "APIGroupList", "groups": [
                {"name": "apps", "versions": [{"version": "v1beta1"}, {"version": "v1"}], "preferredVersion": {"version": "v1"}},
                {"name": "gone.example.com", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]})),
            "/api/v1" => Reply::json(&json!({"kind": "APIResourceList", "resources": [resource("pods"), resource("pods/log")]})),
            "/apis/apps/v1" => Reply::json(&json!({"resources": [resource("deployments")]})),
            "/apis/apps/v1beta1" => Reply::json(&json!({"resources": [resource("deployments"), resource("old")]})),
            path if path.starts_with("/apis/gone") => Reply::status(404, "page not found"),
            _ => return None,
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &["kubernetes/"], limits()).await;
    for path in ["/apis/apps/v1/namespaces/a/deployments?", "/apis/apps/v1beta1/namespaces/a/old?"] {
        assert_eq!(fake.count(path), 1, "{path}");
    }
    let (outcome, reason) = run.outcome("kubernetes/discovery");
    assert!(outcome == Outcome::Truncated && reason.contains("gone.example.com/v1"), "{reason}");
    assert!(run.json("cluster-resources/resources.json")[0].get("apiVersion").is_none());
    assert_eq!(run.json("cluster-info/cluster_version.json")["string"], "v1.36.2");
}

#[tokio::test]
async fn planning_reads_nothing_beyond_discovery() {
    let fake = Fake::start(|_| None).await;
    let cluster = connect(fake.addr).await.unwrap();
    let profile = profile::find_builtin("kms").unwrap();
    let namespaces = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let items = plan(&cluster, profile, &std::collections::BTreeMap::new(), &namespaces, &limits(), Outside::default())
        .await
        .unwrap();
    assert_eq!(fake.asked(), ["/version?", "/api?", "/apis?"]);
    let ids: Vec<&str> = items.iter().map(|i| i.id().as_str()).collect();
    assert_eq!(&ids[..3], ["kubernetes/pods/a", "kubernetes/pods/b", "kubernetes/nodes"]);
    assert!(ids.contains(&"usage/pods/b") && ids.contains(&"kubernetes/clock"));
    let pods = items[0].access();
    assert!(pods.contains(&Access::new("create", "", "pods/exec", Some("a"))));
    assert!(items[0].describe().contains("commands"), "{}", items[0].describe());
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
}

#[tokio::test]
async fn a_profile_is_found_by_its_pods_in_all_namespaces_or_in_its_own() {
    let found = |namespace: &str| list(&[json!({"metadata": {"name": "p", "namespace": namespace}})]);
    let fake = Fake::start(move |ask| {
        (ask.path == "/api/v1/pods" && ask.query.contains("app%3Dkms-core")).then(|| found("other"))
    })
    .await;
    let detection = connect(fake.addr).await.unwrap().detect(profile::builtin(), &[]).await.unwrap();
    assert_eq!((detection.profile.as_str(), detection.namespaces.as_slice()), ("kms", ["other".to_owned()].as_slice()));

    let fake = Fake::start(move |ask| match ask.path.as_str() {
        "/api/v1/pods" => Some(Reply::status(403, "cannot list pods at the cluster scope")),
        "/api/v1/namespaces/kms-threshold/pods" => Some(found("kms-threshold")),
        path if path.contains("/namespaces/") => Some(Reply::status(403, "forbidden")),
        _ => None,
    })
    .await;
    let detection = connect(fake.addr).await.unwrap().detect(profile::builtin(), &[]).await.unwrap();
    assert!(detection.matched);
    assert_eq!(
        (detection.profile.as_str(), detection.namespaces.as_slice()),
        ("kms", ["kms-threshold".to_owned()].as_slice())
    );

    let fake = Fake::start(|_| None).await;
    let detection = connect(fake.addr).await.unwrap().detect(profile::builtin(), &[]).await.unwrap();
    assert_eq!((detection.profile.as_str(), detection.matched), ("kubernetes", false));
    assert_eq!(detection.namespaces, ["kms-decentralized", "default"]);
}

#[tokio::test]
async fn a_search_that_fails_or_hangs_ends_in_a_guess() {
    for hangs in [false, true] {
        let fake = Fake::start(move |ask| {
            let broken = if hangs { Reply::Hang } else { Reply::status(500, "etcd is down") };
            ask.path.ends_with("/pods").then_some(broken)
        })
        .await;
        let cluster = connect(fake.addr).await.unwrap();
        let detection = cluster.detect(profile::builtin(), &["a".to_owned()]).await.unwrap();
        assert_eq!(
            (detection.profile.as_str(), detection.namespaces.as_slice()),
            ("kubernetes", ["a".to_owned()].as_slice())
        );
        assert!(detection.doubt.unwrap().contains("pods could not be looked through"));
    }
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_told_with_the_nearest() {
    let fake = Fake::start(|ask| match ask.path.as_str() {
        "/api/v1/namespaces/kms-thershold" => Some(Reply::status(404, "namespaces \"kms-thershold\" not found")),
        "/api/v1/namespaces" => {
            Some(list(&[json!({"metadata": {"name": "default"}}), json!({"metadata": {"name": "kms-threshold"}})]))
        }
        _ => None,
    })
    .await;
    let wanted = ["kms-thershold".to_owned()];
    match connect(fake.addr).await.unwrap().detect(profile::builtin(), &wanted).await {
        Err(CollectError::NotFound(text)) => assert!(text.contains("there are kms-threshold, default"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rights_are_judged_by_the_server() {
    let fake = Fake::start(|ask| {
        ask.path.ends_with("selfsubjectaccessreviews").then(|| match ask.before {
            0 => Reply::json(&json!({"status": {"allowed": true}})),
            1 => Reply::json(&json!({"status": {"allowed": false, "reason": "no rule"}})),
            _ => Reply::status(403, "no reviews"),
        })
    })
    .await;
    let cluster = connect(fake.addr).await.unwrap();
    let ask = |resource: &str| Access::new("list", "", resource, Some("a"));
    let first = review(&cluster, &[ask("pods"), ask("pods")]).await;
    assert_eq!(first, [(ask("pods"), Verdict::Allowed)]);
    assert_eq!(review(&cluster, &[ask("secrets")]).await[0].1, Verdict::Denied("no rule".to_owned()));
    assert!(matches!(review(&cluster, &[ask("nodes")]).await[0].1, Verdict::Unknown(_)));
}
