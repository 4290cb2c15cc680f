//! Lists: pages, fallbacks, faults, hostile objects.

use casefile::model::Outcome;
use serde_json::json;

use super::fake::{Ask, Fake, Reply, list, pod};
use super::run::{collect, generic, limits};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const FILE: &str = "cluster-resources/configmaps/a.json";
const ITEM: &str = "kubernetes/configmaps/a";

fn map(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "namespace": "a"}, "data": {"k": name}})
}

fn page(names: &[&str], next: &str) -> Reply {
    let items: Vec<_> = names.iter().map(|n| map(n)).collect();
    Reply::json(&json!({"kind": "ConfigMapList", "metadata": {"continue": next}, "items": items}))
}

fn on_maps(ask: &Ask, reply: impl FnOnce(&Ask) -> Reply) -> Option<Reply> {
    (ask.path == MAPS).then(|| reply(ask))
}

#[tokio::test]
async fn one_request_gives_objects_and_columns() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| {
            assert!(ask.accept.starts_with("application/json;as=Table;v=v1;g=meta.k8s.io"), "{}", ask.accept);
            assert!(ask.query.contains("includeObject=Object") && ask.query.contains("limit=500"), "{}", ask.query);
            Reply::json(&json!({"kind": "Table", "metadata": {}, "columnDefinitions": [{"name": "Name"}, {"name": "Data"}, {"name": "Age"}],
                "rows": [{"cells": ["long-name", 1, "3m"], "object": map("long-name")}, {"cells": ["b", 12, "1d"], "object": map("b")}]}))
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["long-name", "b"]);
    assert_eq!(run.json(FILE)["kind"], "ConfigMapList");
    assert_eq!(
        run.text("tables/a/configmaps.txt"),
        "NAME        DATA   AGE\nlong-name   1      3m\nb           12     1d\n"
    );
    assert_eq!(fake.count("/configmaps?"), 1);
    assert_eq!(run.outcome(ITEM).0, Outcome::Ok);
}

#[tokio::test]
async fn a_server_without_tables_is_asked_for_plain_lists() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| {
            if ask.accept.contains("as=Table") { Reply::status(406, "only plain JSON") } else { page(&["x"], "") }
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["x"]);

    // And one whose tables leave the objects out.
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| {
            if ask.accept.contains("as=Table") {
                Reply::json(&json!({"kind": "Table", "rows": [{"cells": ["x"], "object": null}]}))
            } else {
                page(&["x"], "")
            }
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["x"]);
}

#[tokio::test]
async fn an_expired_list_goes_on_with_the_token_of_the_answer() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| match ask.query.split("continue=").nth(1) {
            None => page(&["1", "2"], "t1"),
            Some("t1") => {
                let status =
                    json!({"kind": "Status", "metadata": {"continue": "t2"}, "message": "too old", "code": 410});
                Reply::Text(410, "application/json", status.to_string().into_bytes())
            }
            Some(_) => page(&["3"], ""),
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["1", "2", "3"]);
    assert_eq!(run.outcome(ITEM), (Outcome::Ok, String::new()));
}

#[tokio::test]
async fn an_expired_list_without_a_token_is_read_again_whole_and_nothing_stands_twice() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| {
            if ask.query.contains("continue=") {
                Reply::status(410, "too old")
            } else if ask.query.contains("limit=") {
                page(&["1", "2"], "t1")
            } else {
                page(&["1", "2", "3"], "")
            }
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["1", "2", "3"]);
}

#[tokio::test]
async fn faults_that_pass_cost_nothing() {
    for fault in 0..4 {
        let fake = Fake::start(move |ask| {
            on_maps(ask, |ask| {
                if ask.before > 0 {
                    return page(&["1", "2"], "");
                }
                match fault {
                    0 => Reply::Later(429, 1),
                    1 => Reply::status(500, "etcd leader changed"),
                    2 => Reply::Pieces(
                        vec![br#"{"items":[{"metadata":{"name":"1","namespace":"a"}},{"meta"#.to_vec()],
                        true,
                    ),
                    _ => Reply::Text(200, "application/json", b"<html>\x00\xff".to_vec()),
                }
            })
        })
        .await;
        let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
        assert_eq!(run.names(FILE), ["1", "2"], "fault {fault}");
        assert_eq!((run.outcome(ITEM).0, run.entry(ITEM).attempts), (Outcome::Ok, 2), "fault {fault}");
        if fault == 0 {
            assert!(run.entry(ITEM).duration_ms >= 1000, "Retry-After was not honoured");
        }
    }
}

#[tokio::test]
async fn a_list_that_keeps_breaking_keeps_what_it_has() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |ask| {
            if ask.query.contains("continue=") { Reply::status(503, "overloaded") } else { page(&["1", "2"], "t1") }
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.names(FILE), ["1", "2"]);
    let (outcome, reason) = run.outcome(ITEM);
    assert!(outcome == Outcome::Truncated && reason.contains("2 objects") && reason.contains("overloaded"), "{reason}");
    assert_eq!(run.truncation(FILE), "connection-lost Oldest");
}

#[tokio::test]
async fn a_server_that_never_ends_its_list_is_stopped() {
    let fake = Fake::start(|ask| on_maps(ask, |ask| page(&["1"], &format!("t{}", ask.before)))).await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    assert_eq!(run.outcome(ITEM).0, Outcome::Truncated);
    assert!(fake.count("/configmaps?") < 10);
}

#[tokio::test]
async fn permanent_garbage_and_hangs_end_in_one_outcome() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |_| Reply::Text(200, "application/json", b"\x00\xff not json".to_vec()))
            .or_else(|| (ask.path == "/api/v1/namespaces/a/events").then_some(Reply::Hang))
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &["kubernetes/"], limits()).await;
    let (outcome, reason) = run.outcome(ITEM);
    assert!(outcome == Outcome::Failed && reason.contains("not JSON"), "{reason}");
    assert_eq!(run.outcome("kubernetes/events/a").0, Outcome::TimedOut);
    assert_eq!(run.outcome("kubernetes/nodes").0, Outcome::Empty);
    assert!(!run.files.keys().any(|f| f.contains("configmaps")));
}

#[tokio::test]
async fn one_undecodable_object_costs_one_object() {
    let fake = Fake::start(|ask| {
        on_maps(ask, |_| {
            let body = br#"{"kind":"L","items":[{"metadata":{"name":"1"}},{"metadata":{"name":tru}},{"metadata":{"name":"3"}}]}"#;
            Reply::Text(200, "application/json", body.to_vec())
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    let names = run.names(FILE);
    assert_eq!(names.len(), 3);
    assert_eq!((names[0].as_str(), names[2].as_str()), ("1", "3"));
    assert_eq!(run.outcome(ITEM), (Outcome::Ok, "1 object could not be decoded".to_owned()));
}

#[tokio::test]
async fn what_was_refused_is_not_asked_for_again() {
    let fake = Fake::start(|ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(&[pod("p1"), pod("p2"), pod("p3")])),
        path if path.ends_with("/log") => Some(Reply::status(403, "User cannot get resource \"pods/log\"")),
        MAPS => Some(Reply::status(403, "configmaps is forbidden")),
        _ => None,
    })
    .await;
    let mut limits = limits();
    limits.concurrency = 1;
    let run = collect(fake.addr, "a", &generic(), &["logs/", ITEM], limits).await;
    assert_eq!((fake.count("/log?"), fake.count("/configmaps?")), (1, 1));
    for pod in ["p1", "p2", "p3"] {
        assert_eq!(run.outcome(&format!("logs/a/{pod}/main")).0, Outcome::Forbidden);
    }
    assert!(run.outcome("logs/a/p3/main").1.starts_with("not asked again"));
    assert_eq!(run.outcome(ITEM).0, Outcome::Forbidden);
}

#[tokio::test]
async fn helm_releases_are_read_without_their_values() {
    let fake = Fake::start(|ask| {
        (ask.path == "/api/v1/namespaces/a/secrets").then(|| {
            if ask.query.contains("type%3Dhelm.sh") {
                assert!(ask.accept.contains("PartialObjectMetadataList"), "{}", ask.accept);
                list(&[json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "sh.helm.release.v1.kms.v1"}})])
            } else {
                assert!(ask.query.contains("type%21%3Dhelm.sh"), "{}", ask.query);
                list(&[json!({"metadata": {"name": "tls"}, "type": "Opaque", "data": {}})])
            }
        })
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &["kubernetes/secrets/a"], limits()).await;
    let path = "cluster-resources/secrets/a.json";
    assert_eq!(run.names(path), ["tls", "sh.helm.release.v1.kms.v1"]);
    assert_eq!(run.json(path)["items"][1]["type"], "helm.sh/release.v1");
    assert_eq!(run.json(path)["items"][1]["kind"], "Secret");
}
