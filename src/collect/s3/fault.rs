//! What an error of the SDK means: one outcome, and a text that says what to try.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::Fault;
use crate::collect::CollectError;

/// Characters of a text of the store that are kept.
const SAID_MAX: usize = 400;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    /// HTTP status; 0 when there was no answer.
    pub(super) status: u16,
    /// The store's own word, or ours where it has none.
    pub(super) code: String,
    /// What it said.
    pub(super) said: String,
    /// Region that the bucket is in, where the answer names one.
    pub(super) region: Option<String>,
    retry_after: Option<Duration>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answer,
    TimedOut,
    Unreachable,
    Other,
}

impl Refusal {
    /// Takes an error of the SDK apart.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let raw = error.raw_response();
        let header = |name| raw.and_then(|r| r.headers().get(name)).map(str::to_owned);
        let status = raw.map_or(0, |r| r.status().as_u16());
        let kind = match error {
            SdkError::TimeoutError(_) => Kind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Kind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_io() => Kind::Unreachable,
            _ if status > 0 => Kind::Answer,
            _ => Kind::Other,
        };
        let code = error.code().map_or_else(|| own_code(kind, status), str::to_owned);
        let said = match error.message() {
            Some(message) => message.to_owned(),
            None if kind == Kind::Answer => format!("HTTP {status}"),
            None => chain(error),
        };
        let region = header("x-amz-bucket-region").or_else(|| expected_region(&said)).filter(|r| is_region(r));
        let retry_after = header("retry-after").and_then(|s| s.trim().parse().ok()).map(Duration::from_secs);
        Self { status, code: shortened(&code), said: shortened(&said), region, retry_after, kind }
    }

    /// Whether the same question should go to another region.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.status, 301 | 307)
            || matches!(self.code.as_str(), "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed")
            || (self.status == 400 && self.region.is_some())
    }

    /// The class of the error; `what` is the place that was asked for.
    pub(super) fn into_error(self, what: &str) -> CollectError {
        let text = self.text(what);
        match self.code.as_str() {
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests" => {
                return CollectError::Throttled { reason: text, retry_after: self.retry_after };
            }
            "RequestTimeTooSkewed" => return CollectError::Failed(text),
            _ => {}
        }
        match (self.kind, self.status) {
            (Kind::TimedOut, _) => CollectError::TimedOut(text),
            (Kind::Unreachable, _) => CollectError::Transient(text),
            (_, 429 | 503) => CollectError::Throttled { reason: text, retry_after: self.retry_after },
            (_, 500..) => CollectError::Transient(text),
            (_, 401 | 403) => CollectError::Forbidden(text),
            (_, 404) => CollectError::NotFound(text),
            (_, 400) if is_refused_credential(&self.code) => CollectError::Forbidden(text),
            _ => CollectError::Failed(text),
        }
    }

    fn text(&self, what: &str) -> String {
        let Self { code, said, .. } = self;
        let said = if said == code || said.is_empty() { String::new() } else { format!(": {said}") };
        let hint = match code.as_str() {
            "NoSuchBucket" | "NotFound" => "the bucket does not exist (compare its name with the configuration)",
            "AccessDenied" | "Forbidden" | "AllAccessDisabled" => {
                "this may also mean that nothing is there: without s3:ListBucket, S3 answers 403 for what does not exist \
                 (try the credentials of the party: AWS_PROFILE, or a role with s3:ListBucket on this bucket)"
            }
            "InvalidAccessKeyId" => "the access key does not exist there (try: aws sts get-caller-identity)",
            "SignatureDoesNotMatch" => {
                "the secret key does not belong to the access key, or a proxy changed the request"
            }
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                "the session has expired (try: aws sso login, or get new credentials)"
            }
            "InvalidToken" | "InvalidClientTokenId" => "the session token is not valid there",
            "RequestTimeTooSkewed" => "the clock of this machine is wrong by more than 15 minutes (try: timedatectl)",
            "SlowDown" => "the store asks for fewer requests (try again later)",
            _ => match self.kind {
                Kind::TimedOut => "no answer in time (check endpoint, region, proxy and firewall)",
                Kind::Unreachable => "the endpoint cannot be reached (check its name, DNS, proxy and firewall)",
                Kind::Answer | Kind::Other => "",
            },
        };
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        format!("{what}: {code}{said}{hint}")
    }
}

/// The fault that a document shows for an error.
pub(super) fn fault(error: &CollectError) -> Fault {
    let code = match error {
        CollectError::Forbidden(_) => "forbidden",
        CollectError::NotFound(_) => "not-found",
        CollectError::NotApplicable(_) => "not-applicable",
        CollectError::Throttled { .. } => "throttled",
        CollectError::TimedOut(_) => "timed-out",
        CollectError::Transient(_) => "unreachable",
        CollectError::Spool(_) | CollectError::Failed(_) => "failed",
    };
    Fault { code: code.to_owned(), text: error.to_string() }
}

/// An error with all its causes, each said once. A colon between them would read like a setting with its value to the redactor:
/// these texts are about credentials and tokens.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}, because {more}");
        }
        next = cause.source();
    }
    shortened(&text)
}

fn own_code(kind: Kind, status: u16) -> String {
    match (kind, status) {
        (Kind::TimedOut, _) => "TimedOut".to_owned(),
        (Kind::Unreachable, _) => "Unreachable".to_owned(),
        (_, 403) => "Forbidden".to_owned(),
        (_, 404) => "NotFound".to_owned(),
        (_, 0) => "NoAnswer".to_owned(),
        (_, status) => format!("HTTP{status}"),
    }
}

fn is_refused_credential(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidClientTokenId" | "ExpiredTokenException"
    )
}

/// `...; expecting 'eu-west-1'`, as AWS says it when a signature was made for another region.
fn expected_region(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("expecting '")?;
    rest.split_once('\'').map(|(region, _)| region.to_owned())
}

/// Whether a text can be a region, so that no server can put something else into a host name.
pub(super) fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX + 1).collect();
    if line.chars().count() > SAID_MAX { line.chars().take(SAID_MAX).chain("...".chars()).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal {
            status,
            code: code.to_owned(),
            said: "said".to_owned(),
            region: None,
            retry_after: None,
            kind: if status > 0 { Kind::Answer } else { Kind::Unreachable },
        }
    }

    #[test]
    fn each_refusal_has_one_outcome_and_says_what_to_try() {
        for (status, code, outcome, says) in [
            (403, "AccessDenied", Outcome::Forbidden, "may also mean that nothing is there"),
            (403, "InvalidAccessKeyId", Outcome::Forbidden, "aws sts get-caller-identity"),
            (403, "SignatureDoesNotMatch", Outcome::Forbidden, "secret key"),
            (400, "ExpiredToken", Outcome::Forbidden, "aws sso login"),
            (403, "RequestTimeTooSkewed", Outcome::Failed, "clock"),
            (404, "NoSuchBucket", Outcome::NotFound, "does not exist"),
            (503, "SlowDown", Outcome::Failed, "fewer requests"),
            (500, "InternalError", Outcome::Failed, "InternalError"),
            (0, "Unreachable", Outcome::Failed, "DNS"),
        ] {
            let error = refusal(status, code).into_error("s3://b/p");
            assert_eq!(error.outcome(), outcome, "{code}");
            let text = error.to_string();
            assert!(text.starts_with("s3://b/p: ") && text.contains(says), "{text}");
        }
        assert!(matches!(refusal(503, "SlowDown").into_error("x"), CollectError::Throttled { .. }));
        assert!(matches!(refusal(500, "InternalError").into_error("x"), CollectError::Transient(_)));
    }

    #[test]
    fn a_region_is_read_from_what_the_store_says_and_nothing_else_is() {
        let said = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        assert_eq!(expected_region(said).as_deref(), Some("eu-west-1"));
        assert!(is_region("eu-west-1") && !is_region("evil.example/") && !is_region(""));
    }
}
