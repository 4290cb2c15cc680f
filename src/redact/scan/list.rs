//! Lists of values under one name.

use super::Scan;
use super::value::{close_of, quote_at};
use super::words::Class;
use crate::redact::Format;
use crate::redact::span::Quotes;

impl Scan<'_> {
    /// Items of a list on one line (or of a TOML list on several). `bare` are the quotes that an item without quotes
    /// needs where the list is JSON, whose lists stand in each other.
    pub(super) fn array(&mut self, class: Class, at: usize, line_end: usize, bare: Option<Quotes>) {
        let bytes = self.bytes;
        let end = if self.env.format == Format::Toml { bytes.len().min(at + 8_192) } else { line_end };
        let mut at = at;
        let mut depth = 0_usize;
        loop {
            while at < end && (bytes[at].is_ascii_whitespace() || bytes[at] == b',') {
                at += 1;
            }
            if let Some((open, from)) = quote_at(bytes, at, end) {
                let Some(to) = close_of(bytes, from, end, open) else { break };
                self.judged(class, from, to, None);
                at = to + usize::from(open.level) + 1;
                continue;
            }
            let (Some(quotes), Some(b)) = (bare, bytes.get(at).filter(|_| at < end)) else { break };
            match b {
                b'#' if self.env.format == Format::Toml => {
                    at = memchr::memchr(b'\n', &bytes[at..end]).map_or(end, |i| at + i);
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
                    self.judged(class, at, to, Some(quotes));
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
        } else if at >= end && end < bytes.len() && self.env.format == Format::Toml && self.more {
            self.hold_line(at.min(bytes.len() - 1));
        }
    }
}
