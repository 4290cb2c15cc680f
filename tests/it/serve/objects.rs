//! Discovery, objects, pages, selectors, tables, watches and access.

use casefile::serve::{Denial, Fault, FaultKind, Server};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use super::{CORE, Cluster, NS, TABLE, store};

#[tokio::test]
async fn clients_discover_every_kind() {
    let cluster = Cluster::recorded().await;
    for discovery in [
        kube::Discovery::new(cluster.client.clone()).run().await.unwrap(),
        kube::Discovery::new(cluster.client.clone()).run_aggregated().await.unwrap(),
    ] {
        let party = discovery.get("kms.example.com").unwrap().recommended_kind("KmsParty").unwrap();
        assert_eq!((party.0.plural.as_str(), party.0.version.as_str()), ("kmsparties", "v1alpha1"));
        assert_eq!(party.1.scope, kube::discovery::Scope::Namespaced);
        let pods = discovery.get("").unwrap().recommended_kind("Pod").unwrap();
        assert!(pods.1.supports_operation("list"));
        assert!(discovery.has_group("metrics.k8s.io"));
    }
    let requests = cluster.server.requests();
    assert!(
        requests.iter().any(|r| r.path == "/apis" && r.status == 200 && r.accept.contains("APIGroupDiscoveryList"))
    );
}

#[tokio::test]
async fn aggregated_discovery_has_the_recorded_shape() {
    let cluster = Cluster::recorded().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let answer = cluster.get_as("/api", accept).await;
    assert_eq!(answer.header("content-type"), "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let resources = answer.json()["items"][0]["versions"][0]["resources"].clone();
    let pods = resources.as_array().unwrap().iter().find(|r| r["resource"] == "pods").unwrap();
    assert_eq!(pods["responseKind"], json!({"group": "", "version": "", "kind": "Pod"}));
    let eviction = pods["subresources"].as_array().unwrap().iter().find(|s| s["subresource"] == "eviction").unwrap();
    assert_eq!(eviction["responseKind"], json!({"group": "policy", "version": "v1", "kind": "Eviction"}));
    let groups = cluster.get_as("/apis", accept).await.json();
    let last = groups["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == "kms.example.com").unwrap();
    assert_eq!(
        last["versions"][0]["resources"][0]["responseKind"],
        json!({"group": "kms.example.com", "version": "v1alpha1", "kind": "KmsParty"})
    );
    assert_eq!(cluster.get("/api/v1").await.json()["kind"], "APIResourceList");
    assert_eq!(cluster.get("/version").await.json()["gitVersion"], "v1.36.2");
    assert_eq!(cluster.get("/readyz").await.text(), "ok");
    assert!(cluster.get("/version").await.header("date").ends_with("GMT"));
}

#[tokio::test]
async fn objects_are_answered_as_recorded() {
    let cluster = Cluster::recorded().await;
    let list = cluster.in_ns("pods").await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PodList"), &json!("v1")));
    assert_eq!(list["metadata"], json!({"resourceVersion": "32431"}));
    assert_eq!(list["items"].as_array().unwrap().len(), 9);
    let one = cluster.in_ns(&format!("pods/{CORE}")).await;
    assert!(one.text().starts_with(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"kms-party-3-core-0""#));
    assert!(one.text().ends_with("}\n"));
    let missing = cluster.in_ns("pods/nope").await;
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.text(),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"pods \\\"nope\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"nope\",\"kind\":\"pods\"},\"code\":404}\n"
    );
    let unknown = cluster.get("/apis/example.com/v1/things").await;
    assert_eq!((unknown.status, unknown.text()), (404, "404 page not found\n"));
    assert_eq!(unknown.header("content-type"), "text/plain; charset=utf-8");
    let empty = cluster.get("/api/v1/namespaces/absent/pods").await;
    assert_eq!((empty.status, &empty.json()["items"]), (200, &json!([])));
    let everywhere = cluster.get("/api/v1/pods").await.json();
    assert_eq!(everywhere["items"].as_array().unwrap().len(), 9);
    // Usage is stored apart from objects.
    let usage = cluster.get(&format!("/apis/metrics.k8s.io/v1beta1/namespaces/{NS}/pods")).await.json();
    assert_eq!((&usage["kind"], usage["items"].as_array().unwrap().len()), (&json!("PodMetricsList"), 4));
    // Events in the newer group are the same ones.
    let path = format!("/apis/events.k8s.io/v1/namespaces/{NS}/events?limit=1");
    let event = cluster.get(&path).await.json()["items"][0].clone();
    assert_eq!(event["note"], "storageclass.storage.k8s.io \"fast-ssd\" not found");
    assert_eq!((&event["deprecatedCount"], event.get("message")), (&json!(14), None));
}

#[tokio::test]
async fn protobuf_is_answered_with_json() {
    let cluster = Cluster::recorded().await;
    let path = format!("/api/v1/namespaces/{NS}/pods");
    let answer = cluster.get_as(&path, "application/vnd.kubernetes.protobuf,application/json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
}

#[tokio::test]
async fn pages_go_on_with_the_recorded_tokens() {
    let cluster = Cluster::recorded().await;
    let first = cluster.in_ns("pods?limit=2").await.json();
    let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzI0MzEsInN0YXJ0IjoiL2ttcy1iYWRwcm9iZVx1MDAwMCJ9";
    assert_eq!(first["metadata"], json!({"resourceVersion": "32431", "continue": token, "remainingItemCount": 7}));
    let second = cluster.in_ns(&format!("pods?limit=2&continue={token}")).await.json();
    assert_eq!(second["items"][0]["metadata"]["name"], "kms-connector-78d8f97d9c-2wwnv");
    assert_eq!(second["metadata"]["remainingItemCount"], 5);

    let old = "eyJ2IjogIm1ldGEuazhzLmlvL3YxIiwgInJ2IjogMSwgInN0YXJ0IjogIi9rbXMtYmFkcHJvYmVcdTAwMDAifQ";
    let expired = cluster.in_ns(&format!("pods?limit=2&continue={old}")).await;
    assert_eq!((expired.status, &expired.json()["reason"]), (410, &json!("Expired")));
    let next = expired.json()["metadata"]["continue"].as_str().unwrap().to_owned();
    let resumed = cluster.in_ns(&format!("pods?limit=2&continue={next}")).await.json();
    assert_eq!(resumed["items"], second["items"]);
    let garbage = cluster.in_ns("pods?limit=2&continue=garbage").await;
    assert_eq!(garbage.status, 400);
    assert!(garbage.json()["message"].as_str().unwrap().contains("'\\u0081'"));
}

#[tokio::test]
async fn a_list_can_expire_between_its_pages() {
    let fault = Fault::on("/api/v1/*/pods", FaultKind::Expire).query("continue=").times(1);
    let cluster = Cluster::with(|b| b.faults([fault]).page_limit(4)).await;
    let pods: Api<Pod> = Api::default_namespaced(cluster.client.clone());
    let first = pods.list(&ListParams::default().limit(500)).await.unwrap();
    assert_eq!(first.items.len(), 4);
    let next = ListParams::default().continue_token(first.metadata.continue_.as_deref().unwrap());
    let Err(kube::Error::Api(status)) = pods.list(&next).await else { panic!("the token did not expire") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert_eq!(pods.list(&next).await.unwrap().items.len(), 4);
}

#[tokio::test]
async fn selectors_select_and_mistakes_are_told() {
    let cluster = Cluster::recorded().await;
    let names = |list: Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(cluster.in_ns("pods?labelSelector=app%3Dkms-core").await.json()), [CORE]);
    let running = cluster.in_ns("pods?fieldSelector=spec.nodeName%3Dreal-0%2Cstatus.phase%21%3DRunning").await.json();
    assert!(names(running).contains(&"kms-badimage".to_owned()));
    let unscheduled = cluster.in_ns("pods?fieldSelector=spec.nodeName%3D").await.json();
    assert_eq!(names(unscheduled), ["kms-unbound", "kms-unschedulable"]);
    let path = "events?fieldSelector=involvedObject.name%3Dkms-badprobe%2Ctype%3DWarning";
    let events = cluster.in_ns(path).await.json();
    assert!(events["items"].as_array().unwrap().iter().all(|e| e["type"] == "Warning"));
    assert_eq!(events["items"].as_array().unwrap().len(), 3);
    let bad = cluster.in_ns("pods?fieldSelector=spec.foo%3Dx").await;
    assert_eq!((bad.status, &bad.json()["message"]), (400, &json!("field label not supported: spec.foo")));
    assert_eq!(cluster.in_ns("pods?labelSelector=%2A").await.status, 400);
}

#[tokio::test]
async fn tables_have_the_recorded_cells() {
    let cluster = Cluster::recorded().await;
    let pods = cluster.get_as(&format!("/api/v1/namespaces/{NS}/pods"), TABLE).await.json();
    let cells: Vec<&Value> = pods["rows"].as_array().unwrap().iter().map(|r| &r["cells"]).collect();
    let none = "<none>";
    assert_eq!(
        cells,
        [
            &json!(["kms-badimage", "0/1", "ImagePullBackOff", "0", "3m17s", "10.245.0.16", "real-0", none, none]),
            &json!([
                "kms-badprobe",
                "0/1",
                "CrashLoopBackOff",
                "4 (16s ago)",
                "3m17s",
                "10.245.0.14",
                "real-0",
                none,
                none
            ]),
            &json!([
                "kms-connector-78d8f97d9c-2wwnv",
                "0/1",
                "Error",
                "5 (95s ago)",
                "3m17s",
                "10.245.0.15",
                "real-0",
                none,
                none
            ]),
            &json!(["kms-oom", "0/1", "OOMKilled", "5 (113s ago)", "3m17s", "10.245.0.13", "real-0", none, none]),
            &json!([CORE, "1/1", "Running", "0", "3m17s", "10.245.0.11", "real-0", none, none]),
            &json!([
                "kms-party-3-threshold-init-4lr6r",
                "0/1",
                "Error",
                "0",
                "3m17s",
                "10.245.0.12",
                "real-0",
                none,
                none
            ]),
            &json!([
                "kms-party-3-threshold-init-zb2tk",
                "0/1",
                "Error",
                "0",
                "3m6s",
                "10.245.0.17",
                "real-0",
                none,
                none
            ]),
            &json!(["kms-unbound", "0/1", "Pending", "0", "3m17s", none, none, none, none]),
            &json!(["kms-unschedulable", "0/1", "Pending", "0", "3m17s", none, none, none, none]),
        ]
    );
    assert_eq!(pods["rows"][5]["conditions"][0]["reason"], "Failed");
    assert_eq!(pods["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let names: Vec<&Value> = pods["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(
        names,
        ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]
    );

    let path = format!("/apis/apps/v1/namespaces/{NS}/statefulsets?includeObject=Object");
    let sets = cluster.get_as(&path, TABLE).await.json();
    assert_eq!(
        sets["rows"][0]["cells"],
        json!(["kms-party-3-core", "1/1", "3m17s", "kms-core", "localhost/busybox:1"])
    );
    assert_eq!(sets["rows"][0]["object"]["kind"], "StatefulSet");
    let path = format!("/api/v1/namespaces/{NS}/events?limit=4&includeObject=None");
    let events = cluster.get_as(&path, TABLE).await.json();
    assert_eq!(
        events["rows"][0],
        json!({"cells": [
            "4s", "Warning", "ProvisioningFailed", "persistentvolumeclaim/keys-kms-party-3-core-3", "",
            "persistentvolume-controller", "storageclass.storage.k8s.io \"fast-ssd\" not found", "3m17s", 14,
            "keys-kms-party-3-core-3.18e9fb9a1d9538bc",
        ]})
    );
    assert_eq!(events["metadata"]["remainingItemCount"], 54);
}

#[tokio::test]
async fn metadata_can_be_had_without_the_rest() {
    let cluster = Cluster::recorded().await;
    let path = format!("/api/v1/namespaces/{NS}/configmaps");
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
    let list = cluster.get_as(&path, accept).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1")));
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["items"].as_array().unwrap().iter().all(|i| i.get("data").is_none()));
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_then_is_quiet() {
    let cluster = Cluster::recorded().await;
    let path = "pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&labelSelector=app%3Dkms-core";
    let started = std::time::Instant::now();
    let answer = cluster.in_ns(path).await;
    assert!(started.elapsed().as_millis() >= 900, "the watch did not stay open");
    let lines: Vec<Value> = answer.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().map(|l| &l["type"]).collect::<Vec<_>>(), ["ADDED", "BOOKMARK"]);
    assert_eq!(lines[0]["object"]["metadata"]["name"], CORE);
    let seen = cluster.in_ns("pods?watch=true&resourceVersion=32431&timeoutSeconds=1").await;
    assert_eq!((seen.status, seen.text()), (200, ""));
}

#[tokio::test]
async fn missing_rights_are_refused_in_the_recorded_words() {
    let denials =
        [Denial::new("*", "", "secrets"), Denial::new("get", "", "pods/log"), Denial::new("list", "", "nodes")];
    let cluster = Cluster::with(|b| b.user("viewer").deny(denials)).await;
    let secrets = cluster.in_ns("secrets").await;
    assert_eq!(secrets.status, 403);
    assert_eq!(
        secrets.text(),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"secrets is forbidden: User \\\"viewer\\\" cannot list resource \\\"secrets\\\" in API group \\\"\\\" in the namespace \\\"kms-decentralized\\\"\",\"reason\":\"Forbidden\",\"details\":{\"kind\":\"secrets\"},\"code\":403}\n"
    );
    assert_eq!(cluster.in_ns(&format!("pods/{CORE}/log?container=kms-core")).await.status, 403);
    assert_eq!(cluster.get("/api/v1/nodes").await.status, 403);
    assert_eq!(cluster.get("/api/v1/nodes/real-0").await.status, 200);
    let review = |verb: &str, resource: &str, sub: &str| {
        let attributes = json!({"namespace": NS, "verb": verb, "resource": resource, "group": "", "subresource": sub});
        let body = json!({"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}).to_string();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        Request::post(path).header("content-type", "application/json").body(body.into_bytes()).unwrap()
    };
    for body in ["[1]", "\"x\"", "null", "{\"spec\":7}", "{"] {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = cluster.send(Request::post(path).body(body.as_bytes().to_vec()).unwrap()).await.unwrap();
        assert_eq!(answer.status, 400, "{body}");
    }
    for (verb, resource, sub, allowed) in [
        ("list", "pods", "", true),
        ("get", "pods", "log", false),
        ("list", "secrets", "", false),
        ("create", "pods", "exec", true),
        ("delete", "pods", "", false),
    ] {
        let answer = cluster.send(review(verb, resource, sub)).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["status"]["allowed"]),
            (201, &json!(allowed)),
            "{verb} {resource}/{sub}"
        );
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let cluster = Cluster::recorded().await;
    for (method, path) in [
        ("POST", "/api/v1/namespaces/kms-decentralized/pods"),
        ("DELETE", "/api/v1/namespaces/kms-decentralized/pods/kms-oom"),
        ("PATCH", "/api/v1/namespaces/kms-decentralized/pods/kms-oom"),
        ("PUT", "/apis/apps/v1/namespaces/kms-decentralized/deployments/kms-connector"),
        ("POST", "/api/v1/namespaces/kms-decentralized/pods/kms-oom/eviction"),
        ("POST", "/version"),
    ] {
        let request = Request::builder().method(method).uri(path).body(b"{}".to_vec()).unwrap();
        let answer = cluster.send(request).await.unwrap();
        assert_eq!((answer.status, &answer.json()["reason"]), (405, &json!("MethodNotAllowed")), "{method} {path}");
    }
}

#[tokio::test]
async fn a_bundle_says_what_it_has_no_list_of() {
    let dir = tempfile::tempdir().unwrap();
    let pods = dir.path().join("cluster-resources/pods/a.json");
    std::fs::create_dir_all(pods.parent().unwrap()).unwrap();
    std::fs::write(pods, r#"{"kind":"PodList","apiVersion":"v1","items":[]}"#).unwrap();
    // The time of the collection is the one for ages.
    std::fs::write(dir.path().join("manifest.json"), r#"{"finished":"2026-11-21T06:32:42Z"}"#).unwrap();
    let cluster = Cluster::start(Server::builder(store(dir.path()))).await;
    assert_eq!(cluster.get("/api/v1/namespaces/a/pods").await.header("warning"), "");
    let missing = cluster.get("/api/v1/namespaces/b/pods").await;
    assert_eq!(missing.json()["items"], json!([]));
    assert_eq!(
        missing.header("warning"),
        "299 - \"the bundle has no pods of namespace b: none existed, or they were not collected\""
    );
    // A fixture is a whole cluster: what it does not have does not exist.
    let recorded = Cluster::recorded().await;
    assert_eq!(recorded.get("/api/v1/namespaces/absent/pods").await.header("warning"), "");
}

#[tokio::test]
async fn strangers_are_not_answered() {
    let cluster = Cluster::with(|b| b.token("open sesame")).await;
    let ask = |name: &'static str, value: &'static str| {
        Request::get("/version")
            .header("authorization", "Bearer open sesame")
            .header(name, value)
            .body(Vec::new())
            .unwrap()
    };
    assert_eq!(cluster.send(ask("accept", "*/*")).await.unwrap().status, 200);
    // A page in a browser that was led here by a name of its own.
    assert_eq!(cluster.send(ask("host", "evil.example.com")).await.unwrap().status, 403);
    assert_eq!(cluster.send(ask("origin", "http://127.0.0.1")).await.unwrap().status, 403);
    let without = cluster.get("/version").await;
    assert_eq!((without.status, &without.json()["message"]), (401, &json!("Unauthorized")));
}
