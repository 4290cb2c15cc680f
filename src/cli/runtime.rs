//! The async runtime.

use std::time::Duration;

/// Longest wait at the end for threads that hang in the kernel, such as a `statfs` on a dead network mount.
const LINGER: Duration = Duration::from_millis(200);

/// Runs a future to its end on all cores.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(LINGER);
    result
}
