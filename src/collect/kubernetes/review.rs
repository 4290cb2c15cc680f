//! Which rights the user has, as the server judges.

use std::collections::BTreeSet;

use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method};
use kube::client::Body;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{Cluster, escaped};
use crate::collect::{CollectError, retry};
use crate::model::Access;

const PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
/// Reviews asked for at the same time.
const PARALLEL: usize = 8;
const SIZE_MAX: usize = 256 << 10;

/// What the server says about one right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The user has it.
    Allowed,
    /// The user does not have it; with the server's reason, empty where it gave none.
    Denied(String),
    /// The server could not be asked.
    Unknown(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    status: Judged,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Judged {
    allowed: bool,
    reason: Option<String>,
    evaluation_error: Option<String>,
}

/// Asks for each right once, in the given order. A review is a question: nothing is stored in the cluster.
pub async fn review(cluster: &Cluster, accesses: &[Access]) -> Vec<(Access, Verdict)> {
    let unique: Vec<Access> =
        accesses.iter().enumerate().filter(|(at, a)| !accesses[..*at].contains(a)).map(|(_, a)| a.clone()).collect();
    futures::stream::iter(unique)
        .map(|access| async move {
            let verdict = ask(cluster, &access).await.unwrap_or_else(|e| Verdict::Unknown(e.to_string()));
            (access, verdict)
        })
        .buffered(PARALLEL)
        .collect()
        .await
}

async fn ask(cluster: &Cluster, access: &Access) -> Result<Verdict, CollectError> {
    let spec = if access.resource.starts_with('/') {
        json!({"nonResourceAttributes": {"verb": access.verb, "path": access.resource}})
    } else {
        json!({"resourceAttributes": attributes(access)})
    };
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": spec,
    })
    .to_string();
    let mut attempt = 1;
    loop {
        let error = match ask_once(cluster, &question).await {
            Ok(answer) if answer.allowed => return Ok(Verdict::Allowed),
            Ok(answer) => {
                let said = answer.reason.or(answer.evaluation_error).filter(|r| !r.is_empty());
                return Ok(Verdict::Denied(said.unwrap_or_default()));
            }
            Err(error) => error,
        };
        let Some(wait) = retry::wait_after(&error, attempt) else { return Err(error) };
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// The rights that are only of use in a namespace that is not there, or of which the user cannot see whether it is, each with why.
/// `sure` are the namespaces of which that need not be asked.
///
/// Where a Prometheus usually runs is a guess; a role for a namespace that does not exist cannot be applied.
pub async fn out_of_sight(cluster: &Cluster, accesses: &[Access], sure: &[String]) -> Vec<(Access, String)> {
    let namespaces: BTreeSet<&str> = accesses
        .iter()
        .filter_map(|access| access.namespace.as_deref())
        .filter(|namespace| !sure.iter().any(|own| own == namespace))
        .collect();
    let mut out = Vec::new();
    for namespace in namespaces {
        let path = format!("/api/v1/namespaces/{}", escaped(namespace));
        let why = match cluster.get(None, &path, "application/json", SIZE_MAX).await {
            Ok(Ok(_)) => continue,
            Ok(Err(refusal)) if refusal.code == 404 => "the namespace does not exist".to_owned(),
            Ok(Err(refusal)) => format!("whether the namespace exists cannot be seen ({})", refusal.into_error()),
            Err(error) => format!("whether the namespace exists cannot be seen ({error})"),
        };
        let own = accesses.iter().filter(|access| access.namespace.as_deref() == Some(namespace));
        out.extend(own.map(|access| (access.clone(), why.clone())));
    }
    out
}

fn attributes(access: &Access) -> serde_json::Value {
    let (resource, subresource) = access.resource.split_once('/').unwrap_or((&access.resource, ""));
    let mut attributes = json!({"verb": access.verb, "group": access.group, "resource": resource});
    if !subresource.is_empty() {
        attributes["subresource"] = subresource.into();
    }
    if let Some(namespace) = &access.namespace {
        attributes["namespace"] = namespace.as_str().into();
    }
    attributes
}

async fn ask_once(cluster: &Cluster, question: &str) -> Result<Judged, CollectError> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    let response = cluster.send(Method::POST, PATH, headers, Body::from(question.as_bytes().to_vec())).await?;
    let response = cluster.success(response).await?.map_err(super::answer::Refusal::into_error)?;
    let body = cluster.collect(response, SIZE_MAX).await?;
    serde_json::from_slice::<Answer>(&body)
        .map(|answer| answer.status)
        .map_err(|e| CollectError::Failed(format!("the review is not JSON: {e}")))
}
