//! What was replaced where, for whoever writes rules. No run keeps it: offsets tell of lengths.

use super::rules::RuleSet;
use super::span::Span;
use super::token::{Id, replacement};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Line, from 1.
    pub line: u64,
    /// Byte of the line at which it begins, from 1. UTF-16 counts as the UTF-8 that it is read as.
    pub column: u64,
    /// Bytes that were replaced.
    pub length: u64,
    /// The rule's id.
    pub rule: String,
    /// The layer that found it: `walker`, `engine` or `decoding`.
    pub layer: &'static str,
    /// What stands there now.
    pub replacement: String,
}

/// Counts lines and takes down replacements while a document passes by.
#[derive(Debug, Default)]
pub(super) struct Trace {
    matches: Vec<Match>,
    /// Lines that are over.
    lines: u64,
    /// Bytes of the present line that have passed by.
    bytes: u64,
}

impl Trace {
    /// Takes down a replacement of `range` in `ahead`, the bytes that have not passed by yet.
    pub(super) fn note(&mut self, set: &RuleSet, ahead: &[u8], range: (usize, usize), span: &Span, id: Id) {
        let (mut line, mut column) = (self.lines, self.bytes);
        count(&ahead[..range.0], &mut line, &mut column);
        self.matches.push(Match {
            line: line + 1,
            column: column + 1,
            length: (range.1 - range.0) as u64,
            rule: set.rule(span.rule).map_or_else(String::new, |rule| rule.id.clone()),
            layer: span.layer.name(),
            replacement: replacement(set.kind(span.rule), id),
        });
    }

    /// Bytes that pass by.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        count(bytes, &mut self.lines, &mut self.bytes);
    }

    pub(super) fn into_matches(self) -> Vec<Match> {
        self.matches
    }
}

fn count(bytes: &[u8], lines: &mut u64, column: &mut u64) {
    match memchr::memrchr(b'\n', bytes) {
        Some(last) => {
            *lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            *column = (bytes.len() - last - 1) as u64;
        }
        None => *column += bytes.len() as u64,
    }
}
