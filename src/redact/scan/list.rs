//! Lists of values under one name.

use super::Scan;
use super::value::{close_of, is_literal, quote_at};
use super::words::Class;
use crate::redact::Format;
use crate::redact::span::Quotes;

impl Scan<'_> {
    /// Items of a list on one line (or of a TOML list on several). `bare` are the quotes that an item without quotes
    /// needs where the list is JSON, whose lists stand in each other.
    pub(super) fn array(&mut self, class: Class, at: usize, line_end: usize, bare: Option<Quotes>) {
        let bytes = self.bytes;
        let toml = self.env.format == Format::Toml;
        let mut end = if toml { bytes.len().min(at + 8_192) } else { line_end };
        let line_end = |at: usize, end: usize| memchr::memchr(b'\n', &bytes[at..end]).map_or(end, |i| at + i);
        let mut at = at;
        let mut depth = 0_usize;
        loop {
            while at < end && (bytes[at].is_ascii_whitespace() || bytes[at] == b',') {
                at += 1;
            }
            if let Some((open, from)) = quote_at(bytes, at, end) {
                let triple = [open.quote; 3];
                let close = if toml && open.level == 0 && bytes[at..end].starts_with(&triple) {
                    (at + 3, memchr::memmem::find(&bytes[at + 3..end], &triple).map(|i| (at + 3 + i, 3)))
                } else {
                    let stop = if toml { line_end(from, end) } else { end };
                    (from, close_of(bytes, from, stop, open).map(|to| (to, usize::from(open.level) + 1)))
                };
                let (from, Some((to, len))) = close else {
                    // The quote stays, so that a second pass ends here, too.
                    (at, end) = (from, line_end(from, end));
                    break;
                };
                self.judged(class, from, to, None);
                at = to + len;
                continue;
            }
            let (Some(quotes), Some(b)) = (bare, bytes.get(at).filter(|_| at < end)) else { break };
            match b {
                b'#' if toml => {
                    at = line_end(at, end);
                    continue;
                }
                b'[' => depth += 1,
                b']' if depth > 0 => depth -= 1,
                b']' | b'{' | b'}' => return,
                _ => {
                    let ends = |b: &u8| {
                        b.is_ascii_whitespace() || matches!(b, b',' | b'[' | b']' | b'{' | b'}' | b'"' | b'\\')
                    };
                    let to = bytes[at..end].iter().position(ends).map_or(end, |i| at + i);
                    if to == at {
                        return;
                    }
                    let literal = is_literal(self.env.format, &bytes[at..to]);
                    self.judged(class, at, to, literal.then_some(quotes));
                    if !literal {
                        // No list of this format, so the next lines are not of it.
                        end = line_end(at, end);
                    }
                    at = to;
                    continue;
                }
            }
            at += 1;
        }
        if at < end && !matches!(bytes[at], b']' | b'{' | b'[') {
            let (begin, stop) = self.memory.list;
            let to = if (begin..stop).contains(&at) && stop <= end {
                stop
            } else {
                memchr::memchr3(b']', b'\n', b'"', &bytes[at..end]).map_or(end, |i| at + i)
            };
            self.memory.list = (at, to);
            if self.crowded(class, at, to) {
                return;
            }
            // `[Bearer x]` of a Go header map, or `[a, b]` of a flow sequence.
            for part in bytes[at..to].split(|b| matches!(b, b',' | b' ')) {
                let from = part.as_ptr() as usize - bytes.as_ptr() as usize;
                self.judged(class, from, from + part.len(), None);
            }
        } else if at >= end && end < bytes.len() && toml && self.more {
            self.hold_line(at.min(bytes.len() - 1));
        }
    }
}
