//! `Status`: how the API says no.

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};

use super::http::{Response, json as json_response, plain};
use super::path::Target;

/// An error as the API words it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Status {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Box<Value>>,
    resume: Option<Box<str>>,
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, resume: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn not_found(target: &Target, name: &str) -> Self {
        let mut details = Map::new();
        details.insert("name".into(), name.into());
        if !target.group.is_empty() {
            details.insert("group".into(), target.group.as_str().into());
        }
        details.insert("kind".into(), target.plural.as_str().into());
        Self {
            details: Some(Box::new(Value::Object(details))),
            ..Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{} \"{name}\" not found", target.qualified()))
        }
    }

    /// A log or another part that a real cluster would have but this bundle has not.
    pub(super) fn not_collected(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn forbidden(target: &Target, user: &str, verb: &str) -> Self {
        let scope = match &target.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let subject = match &target.name {
            Some(name) => format!("{} \"{name}\"", target.qualified()),
            None => target.qualified(),
        };
        let mut details = Map::new();
        if let Some(name) = &target.name {
            details.insert("name".into(), name.as_str().into());
        }
        if !target.group.is_empty() {
            details.insert("group".into(), target.group.as_str().into());
        }
        details.insert("kind".into(), target.plural.as_str().into());
        let message = format!(
            "{subject} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {scope}",
            target.resource(),
            target.group
        );
        Self {
            details: Some(Box::new(Value::Object(details))),
            ..Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
        }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self {
            details: Some(Box::new(json!({}))),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        }
    }

    pub(super) fn internal(message: &str) -> Self {
        Self {
            details: Some(Box::new(json!({"causes": [{"message": message}]}))),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                format!("Internal error occurred: {message}"),
            )
        }
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// The list behind a continue token is gone; `resume` is a token that goes on with an inconsistent one.
    pub(super) fn expired(resume: Option<String>) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
            a new list without the continue parameter, or use the continue token in this response to retrieve the \
            remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
            that were created, modified, or deleted between the time the first chunk was returned and now may show \
            up in the list.";
        Self { resume: resume.map(Into::into), ..Self::new(StatusCode::GONE, "Expired", message) }
    }

    /// The `Status` object.
    pub(super) fn body(&self) -> Value {
        let metadata = match &self.resume {
            Some(token) => json!({"continue": token}),
            None => json!({}),
        };
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if let Some(details) = &self.details {
            body["details"] = (**details).clone();
        }
        body["code"] = self.code.as_u16().into();
        body
    }

    pub(super) fn response(&self) -> Response {
        json_response(self.code, &self.body())
    }
}

/// What the server says when it is told to fail with a code: in the words that the real one has for it.
pub(super) fn forced(code: StatusCode, retry_after: Option<u64>, target: &Target, user: &str, verb: &str) -> Response {
    let name = target.name.as_deref().unwrap_or("");
    let mut response = match code {
        StatusCode::UNAUTHORIZED => Status::unauthorized().response(),
        StatusCode::FORBIDDEN => Status::forbidden(target, user, verb).response(),
        StatusCode::NOT_FOUND if name.is_empty() => super::http::no_such_page(),
        StatusCode::NOT_FOUND => Status::not_found(target, name).response(),
        StatusCode::GONE => Status::expired(None).response(),
        StatusCode::TOO_MANY_REQUESTS => plain(code, "Too many requests, please try again later.\n"),
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal("etcdserver: request timed out").response(),
        StatusCode::SERVICE_UNAVAILABLE => {
            Status::unavailable("the server is currently unable to handle the request").response()
        }
        StatusCode::GATEWAY_TIMEOUT => Status {
            details: Some(Box::new(json!({}))),
            ..Status::new(code, "Timeout", "Timeout: request did not complete within the allotted timeout")
        }
        .response(),
        _ => plain(code, format!("{}\n", code.canonical_reason().unwrap_or("error"))),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(name: Option<&str>, sub: Option<&str>) -> Target {
        Target {
            version: "v1".into(),
            namespace: Some("kms-decentralized".into()),
            plural: "pods".into(),
            name: name.map(Into::into),
            subresource: sub.map(Into::into),
            ..Target::default()
        }
    }

    /// The recorded bodies, byte for byte.
    #[test]
    fn bodies_are_the_recorded_ones() {
        assert_eq!(
            Status::not_found(&pods(Some("nope"), None), "nope").body().to_string(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"nope\" not found","reason":"NotFound","details":{"name":"nope","kind":"pods"},"code":404}"#
        );
        assert_eq!(
            Status::forbidden(&pods(Some("kms-party-3-core-0"), Some("log")), "viewer", "get").body().to_string(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"kms-party-3-core-0\" is forbidden: User \"viewer\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"kms-decentralized\"","reason":"Forbidden","details":{"name":"kms-party-3-core-0","kind":"pods"},"code":403}"#
        );
        let nodes = Target { version: "v1".into(), plural: "nodes".into(), ..Target::default() };
        assert_eq!(
            Status::forbidden(&nodes, "viewer", "list").body()["message"],
            "nodes is forbidden: User \"viewer\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
        );
        assert_eq!(
            Status::unauthorized().body().to_string(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#
        );
    }
}
