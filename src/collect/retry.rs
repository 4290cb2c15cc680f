//! Retries: few, and only for errors that may pass.

use std::time::Duration;

use super::{CollectError, Sink};

/// Attempts at one request, the first included.
const ATTEMPTS: u32 = 4;
/// Wait before the second attempt; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait that we accept from `Retry-After`. A longer one would eat the item's deadline for nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Calls `request` until it succeeds, fails for good, or has failed four times.
///
/// Only [`CollectError::Throttled`] and [`CollectError::Transient`] are tried again. The wait has a jitter taken from the
/// clock, so that sixteen items that failed together do not come back together.
///
/// # Errors
/// The last error.
pub async fn retry<T, F, Fut>(sink: &Sink, mut request: F) -> Result<T, CollectError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, CollectError>>,
{
    let mut attempt = 1;
    loop {
        sink.attempt();
        let error = match request().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(wait) = wait_after(&error, attempt) else { return Err(error) };
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// How long to wait before the next attempt; none when there must not be one. For callers whose request cannot be a
/// closure, such as a list that goes on behind what it has already stored.
pub(super) fn wait_after(error: &CollectError, attempt: u32) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let own = FIRST_WAIT * 2_u32.pow(attempt - 1) + jitter();
    match error {
        CollectError::Transient(_) => Some(own),
        CollectError::Throttled { retry_after, .. } => {
            let asked = retry_after.unwrap_or(own);
            (asked <= LONGEST_WAIT).then(|| asked.max(own))
        }
        _ => None,
    }
}

fn jitter() -> Duration {
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    Duration::from_millis(u64::from(nanos / 1_000 % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let transient = CollectError::Transient(String::new());
        assert!(wait_after(&transient, 1).is_some());
        assert!(wait_after(&transient, ATTEMPTS).is_none());
        for error in [
            CollectError::Forbidden(String::new()),
            CollectError::NotFound(String::new()),
            CollectError::Failed(String::new()),
            CollectError::TimedOut(String::new()),
        ] {
            assert!(wait_after(&error, 1).is_none(), "{error:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let asked =
            |secs| CollectError::Throttled { reason: String::new(), retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(wait_after(&asked(3), 1), Some(Duration::from_secs(3)));
        assert_eq!(wait_after(&asked(3600), 1), None);
    }
}
