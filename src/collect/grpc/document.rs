//! What is written of an endpoint, and the outcome that follows from its calls.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};

use super::methods::Question;
use crate::collect::error::{chain, shortened};
use crate::collect::{CollectError, Done, Sink};
use crate::model::Outcome;
use crate::redact::Format;

/// How the client calls a connection that broke.
const BROKEN: &str = "transport error";

/// How an endpoint was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::collect) enum Way {
    /// Through the API server, to a port of a pod.
    PortForward,
    /// From this machine, to an address.
    Direct,
}

/// One call and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(in crate::collect) struct Call {
    method: String,
    request: Value,
    /// Name of the status code, such as `UNAVAILABLE`.
    code: &'static str,
    message: String,
    latency_ms: f64,
    outcome: Outcome,
    response: Option<Value>,
}

/// Whether these calls told how the program is: the call that is there for it, or any where there is none such.
pub(in crate::collect) fn told_health(calls: &[Call]) -> bool {
    let own = calls.iter().find(|call| call.method == Question::HealthStatus.method());
    own.map_or_else(|| calls.iter().any(Call::answered), Call::answered)
}

/// `health/<namespace>/<pod>/grpc.json`.
#[derive(Debug, Serialize)]
pub(in crate::collect) struct Document {
    pub(in crate::collect) endpoint: String,
    pub(in crate::collect) way: Way,
    pub(in crate::collect) connected: bool,
    /// Why there is no connection, or what the other side said when it ended.
    pub(in crate::collect) error: Option<String>,
    pub(in crate::collect) calls: Vec<Call>,
}

impl Call {
    pub(super) fn new(question: &Question, took: Duration, result: Result<Value, Status>) -> Self {
        let (method, request) = (question.method(), question.request());
        let latency_ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        match result {
            Ok(response) => Self {
                method,
                request,
                code: name(Code::Ok),
                message: String::new(),
                latency_ms,
                outcome: Outcome::Ok,
                response: Some(response),
            },
            Err(status) => {
                // A status of our own side has its reason in its causes.
                let message = std::error::Error::source(&status).map_or_else(|| shortened(status.message()), chain);
                let outcome = outcome(status.code());
                Self { method, request, code: name(status.code()), message, latency_ms, outcome, response: None }
            }
        }
    }

    /// Whether it succeeded.
    pub(in crate::collect) fn answered(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// `GetHealthStatus: UNAVAILABLE, not ready`.
    fn told(&self) -> String {
        let method = self.method.rsplit('/').next().unwrap_or_default();
        let store = self.request.get("metaStoreType").and_then(Value::as_str);
        let subject = store.map_or_else(|| method.to_owned(), |store| format!("{method} {store}"));
        format!("{subject}: {}, {}", self.code, self.message)
    }
}

impl Document {
    /// An endpoint that nothing could be asked of.
    pub(in crate::collect) fn unreached(endpoint: String, way: Way, error: &CollectError) -> Self {
        Self { endpoint, way, connected: false, error: Some(error.to_string()), calls: Vec::new() }
    }

    /// Writes the document and says how the item ended.
    ///
    /// # Errors
    /// When the spool fails.
    pub(in crate::collect) fn store(&self, sink: &Sink, path: &str) -> Result<Done, CollectError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| CollectError::Failed(format!("the answers cannot be written as JSON: {e}")))?;
        text.push(b'\n');
        sink.put(path, Format::Json, &text)?;
        Ok(self.done())
    }

    fn done(&self) -> Done {
        let failed: Vec<&Call> = self.calls.iter().filter(|c| c.outcome != Outcome::Ok).collect();
        let mut told: Vec<String> = failed.iter().take(3).map(|c| c.told()).collect();
        if failed.len() > 3 {
            told.push(format!("and {} more", failed.len() - 3));
        }
        let broken = failed.iter().any(|c| c.message.starts_with(BROKEN));
        if broken && failed.len() == self.calls.len() && self.error.is_none() {
            told.push("what listens there ends the connection, or does not speak gRPC".to_owned());
        }
        told.extend(self.error.clone());
        let reason = (!told.is_empty()).then(|| told.join("; "));
        let answered = failed.len() < self.calls.len();
        let outcome = if answered {
            Outcome::Ok
        } else {
            // A server that has none of the methods is another program; anything worse than that counts.
            failed
                .iter()
                .map(|c| c.outcome)
                .find(|o| *o != Outcome::NotApplicable)
                .or_else(|| failed.first().map(|c| c.outcome))
                .unwrap_or(Outcome::Failed)
        };
        Done { outcome, reason, spawn: Vec::new() }
    }
}

fn outcome(code: Code) -> Outcome {
    match code {
        Code::Ok => Outcome::Ok,
        Code::Unimplemented => Outcome::NotApplicable,
        Code::NotFound => Outcome::NotFound,
        Code::DeadlineExceeded => Outcome::TimedOut,
        Code::Unauthenticated | Code::PermissionDenied => Outcome::Forbidden,
        _ => Outcome::Failed,
    }
}

/// The names of the protocol.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
