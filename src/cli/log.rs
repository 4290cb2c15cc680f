//! The tool's own log: redacted line by line, kept in memory for `collector.log`, and shown with `-v`.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::redact::Redactor;

/// Most bytes that the log may have in memory; what comes later is counted.
const LIMIT: usize = 4 << 20;

static LOG: OnceLock<Log> = OnceLock::new();

/// The one log of the process.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Lines>>,
    redactor: Redactor,
    shown: bool,
}

#[derive(Default)]
struct Lines {
    text: String,
    dropped: u64,
}

impl Log {
    /// Starts the log. Warnings of libraries and the tool's own lines go into it; `-v` also shows them, `-vv` adds
    /// debug lines.
    pub(super) fn start(redactor: &Redactor, verbose: u8) -> Self {
        let log =
            LOG.get_or_init(|| Self { lines: Arc::default(), redactor: redactor.clone(), shown: verbose > 0 }).clone();
        let level = if verbose > 1 { "debug" } else { "info" };
        let filter = EnvFilter::new(format!("warn,casefile={level}"));
        // A second start in the same process keeps the first subscriber; only tests do that.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_target(true)
            .with_writer(log.clone())
            .try_init();
        let hook = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            // The payload may hold anything, so it goes through the rules like every other line.
            hook.line(&format!("panic: {panic}"));
        }));
        super::rehearse_panic("log");
        log
    }

    /// Appends one line.
    pub(super) fn line(&self, text: &str) {
        let text = self.redactor.text(text.trim_end()).into_inner();
        if self.shown {
            // Without what is known to be secret, too: the file goes through the sweep at the end.
            eprintln!("{}", super::traces::clean(&text));
        }
        if let Ok(mut lines) = self.lines.lock() {
            if lines.text.len() + text.len() > LIMIT {
                lines.dropped += 1;
            } else {
                lines.text.push_str(&text);
                lines.text.push('\n');
            }
        }
    }

    /// The content of `collector.log`.
    pub(super) fn text(&self) -> String {
        self.lines.lock().map_or_else(
            |_| String::new(),
            |lines| match lines.dropped {
                0 => lines.text.clone(),
                n => format!("{}{n} more lines were left out\n", lines.text),
            },
        )
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { log: self.clone(), buffer: Vec::new() }
    }
}

/// Collects what one event writes and hands it over as a whole, so that no secret is split between two lines.
pub(super) struct LineWriter {
    log: Log,
    buffer: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.buffer.is_empty() {
            self.log.line(&String::from_utf8_lossy(&self.buffer));
        }
    }
}
