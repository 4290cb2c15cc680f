//! The error that ended a program, as its log tells it.

use super::super::value::parse_time;
use crate::triage::finding::Evidence;
use crate::triage::text;

/// The last error that looks fatal.
#[derive(Debug)]
pub(super) struct Fatal {
    pub(super) line: u64,
    pub(super) strength: u8,
    /// Its line, and the lines behind it that belong to it.
    pub(super) block: Vec<String>,
}

/// The error that ended a container, as its log tells it.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// The most telling line, without time stamp and level.
    pub(crate) text: String,
    /// Whether it is an error, or only the last line.
    pub(crate) is_error: bool,
    pub(crate) evidence: Vec<Evidence>,
}

/// The most telling line of an error block: the deepest cause of a chain, the message of a panic, the last line of a
/// traceback; otherwise the first line.
pub(super) fn headline(block: &[String]) -> String {
    let first = block.first().map(String::as_str).unwrap_or_default();
    if first.contains("Traceback (most recent call last)") {
        let last = block.iter().skip(1).rfind(|l| !l.starts_with([' ', '\t']));
        return strip(last.map_or(first, String::as_str));
    }
    if let Some(at) = first.find("panicked at") {
        let message = block.iter().skip(1).find(|l| !l.trim().is_empty());
        // Older toolchains put the message in the first line, in quotes.
        return match message {
            Some(message) if !message.trim_start().starts_with("note:") => format!("panic: {}", strip(message)),
            _ => strip(&first[at..]),
        };
    }
    let causes = block.iter().position(|l| l.trim_start().starts_with("Caused by:"));
    if let Some(at) = causes {
        let inline = block[at].trim_start().trim_start_matches("Caused by:").trim();
        let deepest = block
            .iter()
            .skip(at + 1)
            .take_while(|l| l.starts_with([' ', '\t']) && !l.trim().is_empty())
            .last()
            .map_or(inline, |l| l.trim());
        // anyhow numbers its causes.
        let deepest = deepest.split_once(": ").filter(|(n, _)| n.parse::<u32>().is_ok()).map_or(deepest, |(_, d)| d);
        if !deepest.is_empty() {
            return text::line(deepest, 200);
        }
    }
    strip(first)
}

/// A log line without its time stamp, so that the same line of two pods is the same text.
pub(super) fn strip(line: &str) -> String {
    let mut rest = line.trim();
    if let Some((head, tail)) = rest.split_once(' ')
        && parse_time(head).is_some()
    {
        rest = tail.trim_start();
    }
    text::line(rest, 200)
}
