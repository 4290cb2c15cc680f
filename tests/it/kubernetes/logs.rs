//! Logs of containers, with everything that a kubelet does to them.

use casefile::model::Outcome;
use serde_json::{Value, json};

use super::fake::{Fake, Reply, list, pod};
use super::run::{Run, collect, generic, limits};

const PATH: &str = "cluster-resources/pods/logs/a/p/main.log";
const ITEM: &str = "logs/a/p/main";

/// Collects the logs of one pod whose log requests get `reply`, which sees the query.
async fn logs_of(pod: Value, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Run, Fake) {
    let mut limits = limits();
    limits.log_limit = 10_000;
    let fake = Fake::start(move |ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(std::slice::from_ref(&pod))),
        path if path.ends_with("/log") => Some(reply(&ask.query)),
        _ => None,
    })
    .await;
    let run = collect(fake.addr, "a", &generic(), &["logs/"], limits).await;
    (run, fake)
}

#[tokio::test]
async fn a_log_is_stored_as_it_came() {
    let (run, fake) = logs_of(pod("p"), |_| Reply::log("one\ntwo\n")).await;
    assert_eq!((run.text(PATH), run.outcome(ITEM).0), ("one\ntwo\n".to_owned(), Outcome::Ok));
    let asked = fake.asked().into_iter().find(|a| a.contains("/log?")).unwrap();
    assert!(!asked.contains("limitBytes") && !asked.contains("previous"), "{asked}");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_reason_to_stop() {
    let (run, _fake) = logs_of(pod("p"), |_| Reply::log(b"a\x00b\xff\xfe\rc\n".as_slice())).await;
    assert_eq!(run.outcome(ITEM).0, Outcome::Ok);
    assert!(run.files[PATH].starts_with(b"a") && run.files[PATH].ends_with(b"c\n"));
}

#[tokio::test]
async fn the_excuse_of_a_kubelet_is_not_a_log() {
    let excuse = "unable to retrieve container logs for containerd://8f6a";
    // Also when it arrives in pieces.
    let (run, _fake) = logs_of(pod("p"), |_| {
        Reply::Pieces(vec![b"unable to ".to_vec(), b"retrieve container logs for containerd://8f6a".to_vec()], false)
    })
    .await;
    let (outcome, reason) = run.outcome(ITEM);
    assert!(outcome == Outcome::NotFound && reason.contains(excuse), "{reason}");
    assert!(!run.files.contains_key(PATH));
    // A program may print the same words.
    let long = format!("{excuse}\n{}", "and goes on\n".repeat(200));
    let want = long.clone();
    let (run, _fake) = logs_of(pod("p"), move |_| Reply::log(long.clone())).await;
    assert_eq!(run.text(PATH), want);
}

#[tokio::test]
async fn what_is_not_there_has_its_own_outcome() {
    for (reply, outcome) in [
        (204, Outcome::Empty),
        (200, Outcome::Empty),
        (400, Outcome::NotApplicable),
        (401, Outcome::Forbidden),
        (404, Outcome::NotFound),
        (500, Outcome::Failed),
    ] {
        let (run, _fake) = logs_of(pod("p"), move |_| match reply {
            204 => Reply::Text(204, "text/plain", Vec::new()),
            200 => Reply::log(""),
            400 => Reply::status(400, "container \"main\" in pod \"p\" is waiting to start: ImagePullBackOff"),
            code => Reply::status(code, "failed to create fsnotify watcher: too many open files"),
        })
        .await;
        assert_eq!(run.outcome(ITEM).0, outcome, "{:?}", run.outcome(ITEM));
        assert!(!run.files.contains_key(PATH));
    }
}

#[tokio::test]
async fn a_broken_connection_keeps_what_came() {
    let (run, _fake) = logs_of(pod("p"), |_| Reply::Pieces(vec![b"one\n".to_vec(), b"two".to_vec()], true)).await;
    assert_eq!(run.text(PATH), "one\ntwo");
    let (outcome, reason) = run.outcome(ITEM);
    assert!(outcome == Outcome::Truncated && reason.contains("connection broke"), "{reason}");
    assert_eq!(run.truncation(PATH), "connection-lost Oldest");
}

#[tokio::test]
async fn one_hanging_container_costs_itself() {
    let mut two = pod("p");
    two["spec"]["containers"] = json!([{"name": "main"}, {"name": "hangs"}]);
    let (run, _fake) =
        logs_of(two, |query| if query.contains("hangs") { Reply::Hang } else { Reply::log("fine\n") }).await;
    assert_eq!(run.outcome("logs/a/p/hangs").0, Outcome::TimedOut);
    assert_eq!((run.outcome(ITEM).0, run.text(PATH)), (Outcome::Ok, "fine\n".to_owned()));
}

#[tokio::test]
async fn every_container_of_a_pod_has_its_logs_and_restarts_have_two() {
    let many = json!({
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}, {"name": "side"}], "ephemeralContainers": [{"name": "debug"}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "main", "restartCount": 3, "containerID": "containerd://1", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}},
            {"name": "side", "state": {"running": {}}, "lastState": {}}]},
    });
    let (run, _fake) = logs_of(many, |query| Reply::log(format!("{query}\n"))).await;
    let logs: Vec<&str> =
        run.result.ledger.iter().map(|e| e.item.as_str()).filter(|i| i.starts_with("logs/")).collect();
    assert_eq!(logs, ["logs/a/p/debug", "logs/a/p/init", "logs/a/p/main", "logs/a/p/main/previous", "logs/a/p/side"]);
    assert!(run.text("cluster-resources/pods/logs/a/p/main-previous.log").contains("previous=true"));
    assert!(run.text("cluster-resources/pods/logs/a/p/debug.log").contains("container=debug"));
}

#[tokio::test]
async fn of_a_log_far_larger_than_the_limit_the_newest_bytes_are_kept_without_reading_it_all() {
    // Short lines at the end, so that the first guess from the long ones at the beginning is too low.
    let lines: Vec<String> = (0..2000)
        .map(|n| if n < 1000 { format!("{n:05}{}\n", "x".repeat(995)) } else { format!("{n:05}\n") })
        .collect();
    let whole = lines.concat();
    let expected = whole[whole.len() - 10_000..].to_owned();
    let (run, fake) = logs_of(pod("p"), move |query| {
        let tail = query.split("tailLines=").nth(1).map(|t| t.parse::<usize>().unwrap());
        let from = tail.map_or(0, |t| lines.len().saturating_sub(t));
        Reply::Pieces(lines[from..].chunks(10).map(|c| c.concat().into_bytes()).collect(), false)
    })
    .await;
    let text = run.text(PATH);
    // The kept part may begin behind a marker or at a line; its end is what counts.
    let tail = &text[text.len() - 9_000..];
    assert!(expected.ends_with(tail), "{}", &tail[..100]);
    assert!(text.len() <= 10_200, "{}", text.len());
    assert_eq!(run.outcome(ITEM).0, Outcome::Truncated);
    assert_eq!(run.truncation(PATH), "log-limit Newest");
    assert!(fake.count("tailLines=") >= 2);
    assert!(run.entry(ITEM).bytes < 700_000, "{} of {} bytes were read", run.entry(ITEM).bytes, whole.len());
}

#[tokio::test]
async fn a_log_that_is_rotated_while_it_is_read_is_read_as_it_is_now() {
    let old = "x".repeat(99).repeat(1000);
    let (run, fake) = logs_of(pod("p"), move |query| {
        Reply::Pieces(
            vec![if query.contains("tailLines=") { b"new\n".to_vec() } else { old.clone().into_bytes() }],
            false,
        )
    })
    .await;
    assert_eq!((run.text(PATH), run.outcome(ITEM).0), ("new\n".to_owned(), Outcome::Ok));
    assert!(fake.count("tailLines=") <= 3);
}

#[tokio::test]
async fn since_and_tail_are_asked_of_the_server() {
    let mut limits = limits();
    limits.since = Some(std::time::Duration::from_secs(3600));
    limits.tail = Some(5);
    let fake = Fake::start(|ask| match ask.path.as_str() {
        "/api/v1/namespaces/a/pods" => Some(list(&[pod("p")])),
        path if path.ends_with("/log") => Some(Reply::log("x\n")),
        _ => None,
    })
    .await;
    collect(fake.addr, "a", &generic(), &["logs/"], limits).await;
    assert_eq!(fake.count("sinceSeconds=3600&tailLines=5"), 1);
}
