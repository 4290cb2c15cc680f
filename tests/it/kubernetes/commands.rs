//! Commands in containers, HTTP endpoints of pods, and usage.

use casefile::model::Outcome;
use serde_json::json;

use super::fake::{Fake, Reply, list, pod};
use super::run::{Run, collect, generic, limits, profile_with};

const EXEC: &str = "[[exec]]\nid = \"x\"\npods = \"app=kms-core\"\ncommand = [\"prog\", \"{pod} & more\"]\n\
    artifact = \"ports/{namespace}/{pod}/x.txt\"\ntimeout_secs = 1\nlimit_bytes = 1000\nwhy = \"w\"\n";
const HTTP: &str = "[[http]]\nid = \"h\"\npods = \"app=kms-core\"\nport = 9646\npath = \"/live?a=b\"\n\
    artifact = \"health/{pod}/live.txt\"\nwhy = \"w\"\n";
const OUT: &str = "ports/a/p/x.txt";

fn status(text: &str) -> (u8, Vec<u8>) {
    (3, text.as_bytes().to_vec())
}

async fn probe(tables: &str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Run, Fake) {
    let fake = Fake::start(move |ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(&[pod("p")])),
        path if path.ends_with("/exec") || path.contains("/proxy") => Some(reply()),
        _ => None,
    })
    .await;
    let run = collect(fake.addr, "a", &profile_with(tables), &["exec/", "http/"], limits()).await;
    (run, fake)
}

#[tokio::test]
async fn a_command_gives_its_output_and_its_errors() {
    let (run, fake) = probe(EXEC, || {
        let frames = vec![
            (1, vec![]),
            (1, b"out\n".to_vec()),
            (2, b"err\n".to_vec()),
            status(r#"{"metadata":{},"status":"Success"}"#),
        ];
        Reply::Frames(frames, false)
    })
    .await;
    assert_eq!((run.text(OUT), run.text("ports/a/p/x.txt.stderr")), ("out\n".to_owned(), "err\n".to_owned()));
    assert_eq!(run.outcome("exec/a/p/x"), (Outcome::Ok, String::new()));
    assert_eq!(fake.count("exec?container=main&stdout=true&stderr=true&command=prog&command=p%20%26%20more"), 1);
}

#[tokio::test]
async fn the_end_of_a_command_decides() {
    let exit =
        r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
    let missing = r#"{"status":"Failure","message":"OCI runtime exec failed: exec: \"prog\": executable file not found in $PATH: unknown","reason":"InternalError","code":500}"#;
    for (frames, want) in [
        (vec![(1, b"bye\n".to_vec()), status(exit)], (Outcome::Ok, "exit code 3")),
        (vec![status(missing)], (Outcome::NotApplicable, "executable file not found")),
        (vec![status(r#"{"status":"Success"}"#)], (Outcome::Empty, "")),
        (vec![], (Outcome::Failed, "without an exit status")),
        (vec![(1, b"half".to_vec())], (Outcome::Truncated, "without an exit status")),
        (vec![(1, vec![b'x'; 5000])], (Outcome::Truncated, "limit")),
        (vec![(9, b"?".to_vec()), status("not json")], (Outcome::Failed, "without an exit status")),
    ] {
        let (run, _fake) = probe(EXEC, move || Reply::Frames(frames.clone(), false)).await;
        let (outcome, reason) = run.outcome("exec/a/p/x");
        assert!(outcome == want.0 && reason.contains(want.1), "{outcome} {reason}, not {want:?}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_keeps_what_it_said() {
    let (run, _fake) = probe(EXEC, || Reply::Frames(vec![(1, b"so far\n".to_vec())], true)).await;
    assert_eq!(run.outcome("exec/a/p/x").0, Outcome::TimedOut);
    assert_eq!((run.text(OUT), run.truncation(OUT)), ("so far\n".to_owned(), "timed-out Oldest".to_owned()));
}

#[tokio::test]
async fn refusals_of_a_command_are_told_apart() {
    for (code, message, want) in [
        (500, "container not found (\"main\")", Outcome::NotApplicable),
        (400, "pod p does not have a host assigned", Outcome::NotApplicable),
        (403, "cannot create resource \"pods/exec\"", Outcome::Forbidden),
        (404, "pods \"p\" not found", Outcome::NotFound),
        (200, "", Outcome::Failed),
    ] {
        let (run, _fake) = probe(EXEC, move || Reply::status(code, message)).await;
        assert_eq!(run.outcome("exec/a/p/x").0, want, "{:?}", run.outcome("exec/a/p/x"));
    }
}

#[tokio::test]
async fn an_endpoint_gives_its_body_whatever_its_status() {
    for (reply, outcome, reason, body) in [
        (Reply::Text(200, "text/plain", b"ok".to_vec()), Outcome::Ok, "", Some("ok")),
        (Reply::Text(404, "text/html", b"<h1>no</h1>".to_vec()), Outcome::Ok, "HTTP 404", Some("<h1>no</h1>")),
        (Reply::Text(503, "text/plain", b"starting".to_vec()), Outcome::Ok, "HTTP 503", Some("starting")),
        (Reply::Text(200, "text/plain", Vec::new()), Outcome::Empty, "", None),
        (
            Reply::status(503, "error trying to reach service: connection refused"),
            Outcome::Failed,
            "connection refused",
            None,
        ),
        (Reply::status(400, "address not allowed"), Outcome::NotApplicable, "address", None),
        (Reply::status(403, "cannot get resource \"pods/proxy\""), Outcome::Forbidden, "pods/proxy", None),
    ] {
        let reply = std::sync::Mutex::new(Some(reply));
        let (run, fake) = probe(HTTP, move || reply.lock().unwrap().take().unwrap_or(Reply::Hang)).await;
        let got = run.outcome("http/a/p/h");
        assert!(got.0 == outcome && got.1.contains(reason), "{got:?}, not {outcome} {reason}");
        assert_eq!(
            run.files.get("health/p/live.txt").map(|b| String::from_utf8_lossy(b).into_owned()).as_deref(),
            body
        );
        assert_eq!(fake.count("/pods/p:9646/proxy/live?a=b"), 1);
    }
}

#[tokio::test]
async fn nothing_is_asked_of_a_pod_that_does_not_run() {
    let mut pending = pod("p");
    pending["status"] = json!({"phase": "Pending"});
    let fake =
        Fake::start(move |ask| (ask.path == "/api/v1/namespaces/a/pods").then(|| list(std::slice::from_ref(&pending))))
            .await;
    let run = collect(fake.addr, "a", &profile_with(&format!("{EXEC}{HTTP}")), &["exec/", "http/"], limits()).await;
    for item in ["exec/a/p/x", "http/a/p/h"] {
        assert_eq!(run.outcome(item), (Outcome::NotApplicable, "the pod is Pending".to_owned()));
    }
    assert_eq!(fake.count("/exec") + fake.count("/proxy"), 0);
}

#[tokio::test]
async fn without_a_metrics_server_limits_are_still_shown() {
    let fake = Fake::start(|ask| (ask.path == "/api/v1/namespaces/a/pods").then(|| list(&[pod("p")]))).await;
    let run = collect(fake.addr, "a", &generic(), &["usage/"], limits()).await;
    let (outcome, reason) = run.outcome("usage/pods/a");
    assert!(outcome == Outcome::NotApplicable && reason.contains("metrics server is absent"), "{reason}");
    assert_eq!(run.outcome("usage/nodes").0, Outcome::NotApplicable);
    let table = run.text("usage/a.txt");
    assert!(
        table.lines().nth(1).unwrap().split_whitespace().eq(["p", "main", "-", "-", "-", "-", "-", "128Mi", "-"]),
        "{table}"
    );
}

#[tokio::test]
async fn kubelets_are_asked_where_the_pods_are() {
    let node = |name: &str| json!({"metadata": {"name": name}});
    let fake = Fake::start(move |ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(&[pod("p")])),
        "/api/v1/nodes" => Some(list(&[node("n1"), node("n2")])),
        "/api/v1/nodes/n1/proxy/stats/summary" => Some(Reply::json(&json!({"node": {"nodeName": "n1"}}))),
        _ => None,
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &["usage/"], limits()).await;
    assert_eq!(run.outcome("usage/stats/n1").0, Outcome::Ok);
    assert_eq!(run.json("usage/nodes/n1/stats-summary.json")["node"]["nodeName"], "n1");
    assert_eq!(fake.count("/nodes/n2/"), 0);
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_given_up() {
    let fake = Fake::start(|ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(&(0..8).map(|n| pod(&format!("p{n}"))).collect::<Vec<_>>())),
        path if path.ends_with("/log") => Some(Reply::Hang),
        _ => None,
    })
    .await;
    let mut limits = limits();
    (limits.concurrency, limits.request_timeout) = (1, std::time::Duration::from_millis(300));
    let cluster = super::run::connect_with(fake.addr, |o| o.request_timeout = limits.request_timeout).await.unwrap();
    let run = super::run::collect_from(&cluster, "a", &generic(), &["logs/"], limits).await;
    assert_eq!(fake.count("/log?"), 3);
    for n in 0..8 {
        assert_eq!(run.outcome(&format!("logs/a/p{n}/main")).0, Outcome::TimedOut);
    }
    assert!(run.outcome("logs/a/p7/main").1.contains("node n1"));
}
