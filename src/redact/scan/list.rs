//! Lists of values under one name.

use super::value::{close_of, is_literal, quote_at};
use super::words::Class;
use super::{LOOKAHEAD, Region, Scan};
use crate::redact::Format;
use crate::redact::span::Quotes;

/// Longest line with items of a list that goes over lines.
const LINE_MAX: usize = 8 << 10;

impl Scan<'_> {
    /// Items on the lines behind one that ends in the bracket or a comma of a list, as in JSON that is written for people. Ends
    /// at the first line that has something else, so that a bracket in a sentence costs nothing.
    pub(super) fn items_below(&mut self, class: Class, at: usize, line_end: usize, bare: Option<Quotes>) {
        let bytes = self.bytes;
        let first = bytes[at..line_end].trim_ascii();
        // A file of settings has no lists over lines.
        let settings = self.env.format == Format::Env;
        if settings || class == Class::Benign || first.contains(&b']') || !matches!(first.last(), None | Some(b',')) {
            return;
        }
        let mut next = line_end + 1;
        while next < bytes.len() || self.more {
            let rest = bytes.get(next..).unwrap_or_default();
            let near = &rest[..rest.len().min(LINE_MAX)];
            let whole = near.len() < LINE_MAX && !self.more;
            let Some(len) = memchr::memchr(b'\n', near).or(whole.then_some(near.len())) else {
                if near.len() < LINE_MAX {
                    self.hold_line(at);
                }
                return;
            };
            if !self.items(class, next, next + len, bare) {
                return;
            }
            next += len + 1;
            if next - line_end > LOOKAHEAD {
                // So long a list is held no longer: the rest goes without a look.
                self.outcome.open = Some((next.min(bytes.len()), Region::Delimiter(b"]")));
                self.resume = usize::MAX;
                return;
            }
        }
    }

    /// The items of one line of a list; says whether the list goes on.
    fn items(&mut self, class: Class, from: usize, end: usize, bare: Option<Quotes>) -> bool {
        let bytes = self.bytes;
        let blank = |at: usize| at + bytes[at..end].iter().take_while(|b| b.is_ascii_whitespace()).count();
        let mut at = blank(from);
        while at < end {
            if let Some((open, from)) = quote_at(bytes, at, end) {
                let Some(to) = close_of(bytes, from, end, open) else { return false };
                self.judged(class, from, to, None);
                at = to + usize::from(open.level) + 1;
            } else {
                let plain = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_' | b'/');
                let to = at + bytes[at..end].iter().take_while(plain).count();
                // Base64 ends in equal signs; a setting has one, too, and is no item.
                let to = to + bytes[to..end].iter().take(2).take_while(|b| **b == b'=').count();
                if !matches!(bytes[..end].get(blank(to)), None | Some(b',' | b']')) {
                    return false;
                }
                self.judged(class, at, to, bare.filter(|_| is_literal(self.env.format, &bytes[at..to])));
                at = to;
            }
            at = blank(at);
            match bytes[..end].get(at) {
                None => {}
                Some(b',') => at = blank(at + 1),
                _ => return false,
            }
        }
        true
    }

    /// Items of a list on one line (or of a TOML list on several). `bare` are the quotes that an item without quotes
    /// needs where the list is JSON, whose lists stand in each other.
    pub(super) fn array(&mut self, class: Class, at: usize, line_end: usize, bare: Option<Quotes>) {
        let bytes = self.bytes;
        // In TOML a list has quotes for its items, but where it stands in the text of a string.
        let toml = self.env.format == Format::Toml && bare.is_some();
        if self.env.format != Format::Toml {
            self.items_below(class, at, line_end, bare);
        }
        let mut end = if toml { bytes.len().min(at + 8_192) } else { line_end };
        let line_end = |at: usize, end: usize| memchr::memchr(b'\n', &bytes[at..end]).map_or(end, |i| at + i);
        let (begin, mut at) = (at, at);
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
                    self.spend(end - from);
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
        self.spend(at - begin);
        if at < end && !matches!(bytes[at], b']' | b'{' | b'[') {
            let (first, stop) = self.memory.list;
            let to = if (first..stop).contains(&at) && stop <= end {
                stop
            } else {
                let to = memchr::memchr3(b']', b'\n', b'"', &bytes[at..end]).map_or(end, |i| at + i);
                // The backslashes belong to the quote.
                let quote = bytes.get(to) == Some(&b'"');
                to - bytes[at..to].iter().rev().take_while(|b| quote && **b == b'\\').count()
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
