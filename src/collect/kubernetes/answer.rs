//! What the server says when it does not say yes.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use crate::collect::CollectError;
pub(super) use crate::collect::error::shortened;

/// An answer with a status that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) code: u16,
    /// What the server said, or the status in words.
    pub(super) message: String,
    /// Whether the body was a `Status` object, so that the API server itself is speaking and not what lies behind it.
    pub(super) from_api: bool,
    /// Seconds of `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// Token of an expired list with which it can go on.
    pub(super) continue_token: Option<String>,
}

/// The part of a `Status` object that is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) message: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) details: Option<Details>,
    metadata: Option<ListMeta>,
}

/// `details` of a `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) causes: Vec<Cause>,
}

/// One of the `causes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListMeta {
    r#continue: Option<String>,
}

impl Refusal {
    /// Reads the head and the (capped) body of an answer.
    pub(super) fn parse(code: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let status: Option<Status> =
            serde_json::from_slice(body).ok().filter(|s: &Status| s.kind.as_deref() == Some("Status"));
        let retry_after = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.trim().parse().ok())
            .map(Duration::from_secs);
        let from_api = status.is_some();
        let (message, continue_token) = match status {
            Some(status) => (
                status.message.unwrap_or_default(),
                status.metadata.and_then(|m| m.r#continue).filter(|t| !t.is_empty()),
            ),
            None => (one_line(&String::from_utf8_lossy(body)), None),
        };
        let words = http::StatusCode::from_u16(code).ok().and_then(|s| s.canonical_reason()).unwrap_or("status");
        let message = if message.trim().is_empty() {
            format!("HTTP {code} {words}")
        } else {
            format!("HTTP {code}: {}", shortened(message.trim()))
        };
        Self { code, message, from_api, retry_after, continue_token }
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.code, 429 | 500 | 502 | 503 | 504)
    }

    /// The error for an item that has nothing else to show.
    pub(super) fn into_error(self) -> CollectError {
        match self.code {
            401 => CollectError::Forbidden(format!("{} (the credentials may have expired)", self.message)),
            403 => CollectError::Forbidden(self.message),
            404 => CollectError::NotFound(self.message),
            405 | 406 | 415 => CollectError::NotApplicable(self.message),
            429 => CollectError::Throttled { reason: self.message, retry_after: self.retry_after },
            503 if self.retry_after.is_some() => {
                CollectError::Throttled { reason: self.message, retry_after: self.retry_after }
            }
            500 | 502 | 503 | 504 => CollectError::Transient(self.message),
            _ => CollectError::Failed(self.message),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::RETRY_AFTER;

    use super::*;
    use crate::model::Outcome;

    #[test]
    fn an_expired_token_comes_with_one_to_go_on() {
        let body =
            br#"{"kind":"Status","metadata":{"continue":"abc"},"message":"too old","reason":"Expired","code":410}"#;
        let refusal = Refusal::parse(410, &HeaderMap::new(), body);
        assert_eq!(refusal.continue_token.as_deref(), Some("abc"));
        assert!(refusal.from_api && !refusal.may_pass());
    }

    #[test]
    fn a_page_of_html_becomes_a_short_line() {
        let body = format!("<html>\n<body>{}</body></html>", "x ".repeat(4000));
        let refusal = Refusal::parse(404, &HeaderMap::new(), body.as_bytes());
        assert!(!refusal.from_api);
        assert!(refusal.message.len() < 700 && !refusal.message.contains('\n'), "{}", refusal.message);
    }

    #[test]
    fn classes_follow_the_status() {
        for (code, outcome) in [
            (401, Outcome::Forbidden),
            (403, Outcome::Forbidden),
            (404, Outcome::NotFound),
            (405, Outcome::NotApplicable),
            (400, Outcome::Failed),
        ] {
            assert_eq!(Refusal::parse(code, &HeaderMap::new(), b"").into_error().outcome(), outcome);
        }
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        match Refusal::parse(429, &headers, b"slow down").into_error() {
            CollectError::Throttled { retry_after, reason } => {
                assert_eq!(retry_after, Some(Duration::from_secs(7)));
                assert_eq!(reason, "HTTP 429: slow down");
            }
            other => panic!("{other:?}"),
        }
    }
}
