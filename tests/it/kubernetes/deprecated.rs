//! Deprecated versions of APIs, as the metrics of the API server tell them.

use casefile::model::Outcome;

use super::fake::{Fake, Reply};
use super::run::{collect, generic, limits};

const ITEM: &str = "kubernetes/deprecated-apis";
const FILE: &str = "cluster-info/deprecated-apis.prom";
const ASKED: &str = "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\",resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1beta1\"} 1\n";

async fn answering(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Outcome, String, super::run::Run) {
    let fake = Fake::start(move |ask| (ask.path == "/metrics").then(&reply)).await;
    let run = collect(fake.addr, "a", &generic(), &[ITEM], limits()).await;
    let (outcome, reason) = run.outcome(ITEM);
    (outcome, reason, run)
}

#[tokio::test]
async fn only_the_one_metric_is_kept() {
    let text =
        format!("# TYPE apiserver_requested_deprecated_apis gauge\n{ASKED}apiserver_request_total{{a=\"b\"}} 7\n");
    let (outcome, reason, run) = answering(move || {
        let (a, b) = text.as_bytes().split_at(70);
        Reply::Pieces(vec![a.to_vec(), b.to_vec()], false)
    })
    .await;
    assert_eq!(outcome, Outcome::Ok, "{reason}");
    assert_eq!(run.text(FILE), ASKED);
}

#[tokio::test]
async fn nothing_deprecated_a_missing_right_and_a_broken_connection_are_told_apart() {
    let (outcome, reason, _) = answering(|| Reply::log("up 1\n")).await;
    assert_eq!(outcome, Outcome::Empty, "{reason}");
    let (outcome, reason, _) = answering(|| Reply::status(403, "cannot get path \"/metrics\"")).await;
    assert!(outcome == Outcome::Forbidden && reason.contains("/metrics"), "{outcome} {reason}");
    let (outcome, reason, _) = answering(|| Reply::status(404, "page not found")).await;
    assert_eq!(outcome, Outcome::NotApplicable, "{reason}");
    let (outcome, reason, run) = answering(|| Reply::Pieces(vec![ASKED.as_bytes().to_vec()], true)).await;
    assert_eq!((outcome, run.text(FILE).as_str()), (Outcome::Truncated, ASKED), "{reason}");
}
