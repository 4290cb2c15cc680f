//! Limits of a run, as the command line resolved them.

use std::time::Duration;

/// How much, how long, and how many at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Items that run at the same time.
    pub concurrency: usize,
    /// Deadline of one item.
    pub item_timeout: Duration,
    /// Deadline of the collection; the command line leaves time to pack behind it.
    pub run_timeout: Duration,
    /// Deadline of one request to a server, within the item's.
    pub request_timeout: Duration,
    /// Bytes kept of one container's log, the newest ones.
    pub log_limit: u64,
    /// Only log lines of this age or younger.
    pub since: Option<Duration>,
    /// Only this many last lines of each log.
    pub tail: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 16,
            item_timeout: Duration::from_secs(60),
            run_timeout: Duration::from_secs(9 * 60),
            request_timeout: Duration::from_secs(30),
            log_limit: 20 << 20,
            since: None,
            tail: None,
        }
    }
}
