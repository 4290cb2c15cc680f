//! Ctrl-C and SIGTERM: the first ends the collection and keeps what is there, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use super::Exit;

/// Which signal came first.
#[derive(Debug, Clone, Default)]
pub(super) struct Interruption(Arc<AtomicU8>);

impl Interruption {
    /// The exit code that the first signal asks for; none when none came.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some(Exit::Interrupted),
            2 => Some(Exit::Terminated),
            _ => None,
        }
    }
}

/// Watches signals until the runtime ends. The first cancels `token`.
pub(super) fn watch(token: CancellationToken, notice: impl Fn(&str) + Send + 'static) -> Interruption {
    let interruption = Interruption::default();
    let seen = interruption.clone();
    tokio::spawn(async move {
        let Some(mut signals) = Signals::new() else { return };
        loop {
            let signal = signals.next().await;
            if seen.0.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                std::process::exit(i32::from(seen.exit().unwrap_or(Exit::Interrupted).code()));
            }
            notice("interrupted: packing what is there (once more to stop at once)");
            token.cancel();
        }
    });
    interruption
}

/// The signals that end a run. Made once: a listener that is made anew for each signal could miss one in between.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }

    /// 1 for Ctrl-C, 2 for SIGTERM.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 1,
            _ = self.terminate.recv() => 2,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Option<Self> {
        Some(Self)
    }

    async fn next(&mut self) -> u8 {
        // When Ctrl-C cannot be watched there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        1
    }
}
