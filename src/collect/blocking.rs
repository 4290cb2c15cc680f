//! Blocking reads with a deadline.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::collect::CollectError;

/// Runs `work` on a thread of its own and waits at most `limit` for it.
///
/// The thread is not one of the runtime's: a runtime waits for its own blocking threads when it shuts down, so one
/// `statfs` on a dead network file system would keep the whole program from ending. A thread that hangs stays behind
/// and dies with the process.
///
/// # Errors
/// When the deadline passes, the work panics, or the system gives no thread.
pub(in crate::collect) async fn within<T: Send + 'static>(
    what: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CollectError> {
    let (send, receive) = oneshot::channel();
    std::thread::Builder::new()
        .name("blocking-reader".to_owned())
        .spawn(move || {
            // The receiver is gone when the deadline has passed; then nobody wants the result.
            let _ = send.send(work());
        })
        .map_err(|e| CollectError::Failed(format!("{what}: cannot start a thread: {e}")))?;
    match tokio::time::timeout(limit, receive).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(CollectError::Failed(format!("{what}: the reader panicked"))),
        Err(_) => {
            Err(CollectError::TimedOut(format!("{what}: no answer within {}", humantime::format_duration(limit))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_hangs_costs_its_deadline_only() {
        let begun = std::time::Instant::now();
        let hang = || std::thread::sleep(Duration::from_secs(600));
        let error = within("statfs /mnt", Duration::from_millis(50), hang).await.unwrap_err();
        assert!(matches!(error, CollectError::TimedOut(_)), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(error.to_string().contains("/mnt"));
        assert_eq!(within("x", Duration::from_secs(60), || 7).await.unwrap(), 7);
    }

    #[test]
    fn a_reader_that_hangs_does_not_hold_the_runtime() {
        let begun = std::time::Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let hang = || std::thread::sleep(Duration::from_secs(600));
        assert!(runtime.block_on(within("x", Duration::from_millis(50), hang)).is_err());
        drop(runtime);
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        // Printing the trace of the panic alone can take seconds.
        let error = within("x", Duration::from_secs(60), || std::panic::panic_any("made up")).await.unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
