//! Access reviews: the two things that may be posted.

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::access::{Denial, Question};
use super::http::{Response, json as respond};
use super::protobuf;
use super::state::State;
use super::status::Status;

const VERSION: &str = "authorization.k8s.io/v1";
const ACCESS: &str = "SelfSubjectAccessReview";
const RULES: &str = "SelfSubjectRulesReview";

/// Which review a plural name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Review {
    Access,
    Rules,
}

impl Review {
    /// The review that is posted to a resource of the authorization group.
    pub(super) fn of(plural: &str) -> Option<Self> {
        match plural {
            "selfsubjectaccessreviews" => Some(Self::Access),
            "selfsubjectrulesreviews" => Some(Self::Rules),
            _ => None,
        }
    }

    /// Answers a review.
    ///
    /// # Errors
    /// When the body is not such a review.
    pub(super) fn answer(self, state: &State, headers: &HeaderMap, body: &[u8]) -> Result<Response, Status> {
        let kind = if self == Self::Access { ACCESS } else { RULES };
        let media = headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let spec = if media.starts_with("application/vnd.kubernetes.protobuf") {
            match self {
                Self::Access => protobuf::access_review(body),
                Self::Rules => protobuf::rules_review(body),
            }
            .ok_or_else(|| Status::bad_request(format!("the body is no {kind} in protobuf")))?
        } else {
            let mut document: Value = serde_json::from_slice(body)
                .map_err(|e| Status::bad_request(format!("the object provided is unrecognized: {e}")))?;
            document.get_mut("spec").map(Value::take).unwrap_or_default()
        };
        let status = match self {
            Self::Access => access(state, &spec)?,
            Self::Rules => rules(state.access.denials()),
        };
        // The real server does not echo what the rules were asked for.
        let spec = if self == Self::Access { present(&spec) } else { json!({}) };
        let body = json!({"kind": kind, "apiVersion": VERSION, "metadata": {}, "spec": spec, "status": status});
        Ok(respond(StatusCode::CREATED, &body))
    }
}

/// A specification without what is empty in it, as the server echoes it.
fn present(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(name, value)| (name.clone(), present(value)));
            Value::Object(kept.filter(|(_, v)| !v.is_null() && v != "").collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn access(state: &State, spec: &Value) -> Result<Value, Status> {
    let attributes = &spec["resourceAttributes"];
    let text = |name: &str| attributes[name].as_str().unwrap_or("");
    if !attributes.is_object() {
        if spec["nonResourceAttributes"].is_object() {
            let verb = spec["nonResourceAttributes"]["verb"].as_str().unwrap_or("");
            return Ok(json!({"allowed": matches!(verb, "get" | "head")}));
        }
        return Err(Status::bad_request(
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    }
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        sub => format!("{}/{sub}", text("resource")),
    };
    let question =
        Question { verb: text("verb"), group: text("group"), resource: &resource, namespace: text("namespace") };
    // What writes is refused by the server whatever the rules say, except for the commands of `exec`.
    let reads = matches!(question.verb, "get" | "list" | "watch")
        || (question.verb == "create" && is_interactive(&resource))
        || question.group == "authorization.k8s.io";
    Ok(json!({"allowed": reads && state.access.allows(&question)}))
}

fn is_interactive(resource: &str) -> bool {
    matches!(resource, "pods/exec" | "pods/portforward" | "pods/proxy")
}

/// Rules in their usual form cannot say what is denied; with denials the answer is marked as incomplete.
fn rules(denials: &[Denial]) -> Value {
    let read = ["get", "list", "watch"];
    let mut resources = Vec::new();
    if denials.is_empty() {
        resources.push(json!({"verbs": read, "apiGroups": ["*"], "resources": ["*"]}));
        resources.push(json!({"verbs": ["create"], "apiGroups": [""], "resources": ["pods/exec", "pods/portforward"]}));
    }
    resources.push(json!({
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    }));
    let paths = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version", "/version/"];
    json!({
        "resourceRules": resources,
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}],
        "incomplete": !denials.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_not_echoed() {
        let spec = json!({"resourceAttributes": {"namespace": "a", "group": "", "verb": "list", "x": null}});
        assert_eq!(present(&spec), json!({"resourceAttributes": {"namespace": "a", "verb": "list"}}));
    }
}
