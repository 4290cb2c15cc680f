//! Secrets in arguments: `--password x`, `["--password", "x"]`.

use super::Scan;
use super::keyvalue::{Key, skip_blank};
use super::value::{bare_end, close_of, quote_at};
use super::words::Class;
use crate::redact::rules::engine;

/// Whether the words in front of `password` are those of a `.netrc` line: `machine h login u`, or its second half.
pub(super) fn is_netrc(before: &[u8]) -> bool {
    let mut words = before.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).rev();
    let user = words.next();
    user.and_then(|u| u.last()).is_some_and(u8::is_ascii_alphanumeric)
        && before.last().is_some_and(u8::is_ascii_whitespace)
        && words.next() == Some(b"login")
}

impl Scan<'_> {
    /// `setPassword("x")`, `with_token("x")`, `Password("x")`; says whether it is one. Other calls ask for a secret by its name.
    pub(super) fn call(&mut self, key: Key, class: Class, at: usize) -> bool {
        let (bytes, line_end) = (self.bytes, key.line.1);
        let Class::Secret(rule) = class else { return false };
        if key.quotes.is_some() || bytes.get(at) != Some(&b'(') {
            return false;
        }
        let Some((open, from)) = quote_at(bytes, at + 1, line_end) else { return false };
        let Some(to) = close_of(bytes, from, line_end, open) else { return false };
        let name = bytes[key.start..key.end].rsplit(|b| *b == b'.').next().unwrap_or_default();
        let gives = |verb: &[u8]| name.get(..verb.len()).is_some_and(|head| head.eq_ignore_ascii_case(verb));
        let given = gives(b"set") || gives(b"with");
        let noun = rule == engine::PASSWORD
            && [&b"password"[..], b"passwd", b"passphrase"].iter().any(|n| name.eq_ignore_ascii_case(n));
        if given || noun {
            self.judged(class, from, to, None);
        }
        given || noun
    }

    /// A flag whose value is the next argument.
    pub(super) fn flag(&mut self, key: Key) {
        let bytes = self.bytes;
        let class = self.classify(&bytes[key.start..key.end]);
        if !matches!(class, Class::Secret(_) | Class::Hex(_)) {
            return;
        }
        let line_end = key.line.1;
        let mut at = key.end;
        if let Some((open, after)) = quote_at(bytes, at, line_end) {
            at = skip_blank(bytes, after, line_end);
            let comma = bytes.get(at) == Some(&b',');
            at = skip_blank(bytes, at + usize::from(comma), line_end);
            if at >= line_end && line_end < bytes.len() {
                // The next item stands on the next line.
                at = line_end + 1 + bytes[line_end + 1..].iter().take_while(|b| b.is_ascii_whitespace()).count();
                if at >= bytes.len() && self.more {
                    return self.hold_line(key.start);
                }
                at += usize::from(bytes[at.min(bytes.len())..].starts_with(b"- ")) * 2;
            }
            let end = memchr::memchr(b'\n', &bytes[at.min(bytes.len())..]).map_or(bytes.len(), |i| at + i);
            if end == bytes.len() && end > line_end && self.more {
                return self.hold_line(key.start);
            }
            if let Some((next, from)) = quote_at(bytes, at, end)
                && (next == open || !comma)
                && bytes.get(from) != Some(&b'-')
                && let Some(to) = close_of(bytes, from, end, next)
            {
                self.judged(class, from, to, None);
            }
            return;
        }
        let from = skip_blank(bytes, at, line_end);
        if from >= line_end || (from == line_end - 1 && bytes[from] == b'\r') {
            return self.next_line_argument(key, class);
        }
        if from == at || matches!(bytes[from], b'-' | b'<' | b'|' | b'>') {
            return;
        }
        let (from, to) = match quote_at(bytes, from, line_end) {
            Some((open, from)) if close_of(bytes, from, line_end, open).is_some() => {
                (from, close_of(bytes, from, line_end, open).unwrap_or(line_end))
            }
            // A delimiter in front is part of the argument; a reference is read from its sign on.
            _ => (from, bare_end(bytes, from + usize::from(bytes[from] != b'$'), line_end)),
        };
        self.judged(class, from, to, None);
    }

    /// `- --password` with `- x` on the next line.
    fn next_line_argument(&mut self, key: Key, class: Class) {
        let bytes = self.bytes;
        let before = bytes[key.line.0..key.start - key.dashes].trim_ascii();
        if before != b"-" {
            return;
        }
        let start = key.line.1 + 1;
        let Some(rest) = bytes.get(start..) else {
            if self.more {
                self.hold_line(key.start);
            }
            return;
        };
        let Some(len) = memchr::memchr(b'\n', rest).or((!self.more).then_some(rest.len())) else {
            return self.hold_line(key.start);
        };
        let line = &rest[..len];
        let text = line.trim_ascii();
        let Some(item) = text.strip_prefix(b"- ").map(<[u8]>::trim_ascii) else { return };
        let quoted = item.len() >= 2 && matches!(item[0], b'"' | b'\'') && item.last() == item.first();
        let item = if quoted { &item[1..item.len() - 1] } else { item };
        if !item.starts_with(b"-") {
            let from = item.as_ptr() as usize - bytes.as_ptr() as usize;
            self.judged(class, from, from + item.len(), None);
        }
    }
}
