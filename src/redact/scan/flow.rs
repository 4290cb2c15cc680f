//! Data of a Secret in a mapping on one line: `data: {a: b}` of YAML, and JSON inside of text or of a JSON string.

use super::{LOOKAHEAD, Scan};
use crate::redact::Format;
use crate::redact::rules::engine;

/// Lines that were read for the kind beside a mapping, so that many mappings in one document are not as many readings.
#[derive(Default)]
pub(super) struct Beside {
    column: usize,
    /// The lines from here to there: none of them ends the document.
    from: usize,
    to: usize,
    /// The last of them that says `kind: Secret`.
    kind: Option<usize>,
    /// Where a mapping was seen to the end of its document, and where that is.
    ended: (usize, usize),
}

impl Scan<'_> {
    /// At `data` or the end of `stringData`, with the quotes and the colon behind it.
    pub(super) fn flow_secret(&mut self, at: usize) {
        let bytes = self.bytes;
        let (line_start, line_end) = self.line_of(at);
        let string = bytes[..at].ends_with(b"string");
        let key = if string { at - b"string".len() } else { at };
        let level = bytes[at + 4..line_end].iter().take_while(|b| **b == b'\\').count();
        let quote = bytes.get(at + 4 + level).filter(|b| matches!(b, b'"' | b'\''));
        // In JSON itself the walker knows better; here only texts inside of its strings are of interest.
        if (self.env.format == Format::Json && level == 0) || (quote.is_none() && level > 0) {
            return;
        }
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if key > line_start && plain(&bytes[key - 1]) {
            return;
        }
        let blank = |from: usize| from + bytes[from.min(line_end)..line_end].iter().take_while(|b| **b == b' ').count();
        let colon = blank(at + 4 + level + usize::from(quote.is_some()));
        if bytes.get(colon) != Some(&b':') || colon >= line_end {
            return;
        }
        let open = blank(colon + 1);
        if bytes.get(open) != Some(&b'{') || open >= line_end {
            return;
        }
        // A mapping that its line does not close goes on below.
        self.spend(line_end - line_start);
        let (close, whole) = closing(&bytes[..bytes.len().min(open + LOOKAHEAD)], open + 1);
        self.spend(close.min(line_end) - open);
        if !whole && self.more && close == bytes.len() {
            return self.hold_line(at);
        }
        let leads = bytes[line_start..key].iter().all(|b| matches!(b, b' ' | b'-' | b'"'));
        let secret = string
            || kind_is_secret(around(bytes, line_start, key, close, line_end))
            || (leads && self.kind_beside(key - line_start, line_start, close));
        if secret {
            self.flow_values(open + 1, close);
        } else if leads && self.outcome.hold.is_none() && self.more && !self.document_ends(close, key - line_start) {
            // The kind may follow.
            self.hold_line(at);
        }
    }

    /// `kind: Secret` on a line of its own at the same column, before or behind.
    fn kind_beside(&mut self, column: usize, line_start: usize, close: usize) -> bool {
        let bytes = self.bytes;
        let ends = |line: &[u8]| matches!(line.trim_ascii(), b"---" | b"...");
        let secret = |line: &[u8]| {
            at_column(line, column)
                .and_then(|text| text.strip_prefix(b"kind:"))
                .is_some_and(|v| matches!(v.trim_ascii(), b"Secret" | b"\"Secret\"" | b"'Secret'"))
        };
        let floor = line_start.saturating_sub(LOOKAHEAD);
        let seen = &mut self.memory.beside;
        if seen.column != column || !(seen.from..=seen.to).contains(&line_start) {
            *seen = Beside { column, from: line_start, to: line_start, kind: None, ended: (0, 0) };
            for line in bytes[floor..line_start].rsplit(|b| *b == b'\n').skip(1).take_while(|line| !ends(line)) {
                seen.from = line.as_ptr() as usize - bytes.as_ptr() as usize;
                if secret(line) {
                    seen.kind = Some(seen.from);
                    break;
                }
            }
        }
        let roof = bytes.len().min(close + LOOKAHEAD);
        while seen.to < roof {
            let rest = &bytes[seen.to..roof];
            let len = memchr::memchr(b'\n', rest);
            let line = &rest[..len.unwrap_or(rest.len())];
            // The lines of the mapping itself say nothing.
            let inside = seen.to <= close;
            if !inside && ends(line) {
                break;
            }
            let found = !inside && secret(line);
            let Some(len) = len else { return found || seen.kind.is_some_and(|kind| kind >= floor) };
            if found {
                seen.kind = Some(seen.to);
            }
            seen.to += len + 1;
        }
        seen.kind.is_some_and(|kind| kind >= floor)
    }

    /// Whether the mapping around a key at this column is seen to its end.
    fn document_ends(&mut self, from: usize, column: usize) -> bool {
        let bytes = self.bytes;
        let (begin, end) = self.memory.beside.ended;
        if self.memory.beside.column == column && (begin..end).contains(&from) {
            return true;
        }
        let roof = bytes.len().min(from + LOOKAHEAD);
        if roof == from + LOOKAHEAD {
            return true;
        }
        let mut lines = bytes[from..roof].split(|b| *b == b'\n').skip(1).peekable();
        while let Some(line) = lines.next() {
            // The last line may not be whole.
            if lines.peek().is_none() {
                break;
            }
            let text = line.trim_ascii();
            let depth = line.iter().take_while(|b| matches!(b, b' ' | b'-')).count();
            if !text.is_empty() && (depth < column || matches!(text, b"---" | b"...") || text.starts_with(b"kind:")) {
                self.memory.beside.ended = (from, line.as_ptr() as usize - bytes.as_ptr() as usize);
                return true;
            }
        }
        false
    }

    /// Masks every value of a mapping.
    fn flow_values(&mut self, from: usize, to: usize) {
        let bytes = self.bytes;
        let mut at = from;
        while at < to {
            let Some(colon) = colon(bytes, at, to) else { return };
            let start = colon + 1 + bytes[colon + 1..to].iter().take_while(|b| b.is_ascii_whitespace()).count();
            let level = bytes[start..to].iter().take_while(|b| **b == b'\\').count();
            let quote = bytes.get(start + level).copied().filter(|b| matches!(b, b'"' | b'\'') && start + level < to);
            if let Some(quote) = quote {
                let inner = start + level + 1;
                let open = crate::redact::span::Quotes { level: u8::try_from(level).unwrap_or(15), quote };
                let end = super::value::close_of(bytes, inner, to, open).unwrap_or(to);
                self.data_value(inner, end, None);
                at = end + level + 1;
            } else {
                let len = bytes[start..to].iter().position(|b| matches!(b, b',' | b'}')).unwrap_or(to - start);
                let text = bytes[start..start + len].trim_ascii_end();
                // Under a key in quotes this is JSON, and the replacement of a number needs them too.
                let key = bytes[at..colon].trim_ascii_end();
                let slashes = key.iter().rev().skip(1).take_while(|b| **b == b'\\').count();
                let quotes = key
                    .ends_with(b"\"")
                    .then(|| crate::redact::span::Quotes { level: u8::try_from(slashes).unwrap_or(15), quote: b'"' });
                let number = text.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-');
                self.data_value(start, start + text.len(), quotes.filter(|_| number));
                at = start + len;
            }
            at += bytes[at.min(to)..to].iter().position(|b| *b == b',').map_or(to, |i| i + 1);
        }
    }

    fn data_value(&mut self, start: usize, end: usize, quotes: Option<crate::redact::span::Quotes>) {
        let value = &self.bytes[start..end];
        let own = crate::redact::token::base64_bytes(value).is_some_and(|v| self.env.set.is_own(v.trim_ascii()));
        if !own && !matches!(value, b"null" | b"~") {
            self.mask(start, end, engine::KUBERNETES_SECRET, quotes);
        }
    }
}

/// The text of a line that begins at a column.
fn at_column(line: &[u8], column: usize) -> Option<&[u8]> {
    let depth = line.iter().take_while(|b| matches!(b, b' ' | b'-')).count();
    let text = line.trim_ascii();
    (depth == column).then(|| text.strip_prefix(b"- ").unwrap_or(text))
}

/// The text of the braces around a mapping, on its line.
fn around(bytes: &[u8], line_start: usize, key: usize, close: usize, line_end: usize) -> (&[u8], &[u8]) {
    let floor = line_start.max(key.saturating_sub(LOOKAHEAD));
    let mut depth = 0_i32;
    let from = (floor..key).rev().find(|i| {
        depth += i32::from(bytes[*i] == b'}') - i32::from(bytes[*i] == b'{');
        depth < 0
    });
    let roof = line_end.max(close).min(close + LOOKAHEAD).min(bytes.len());
    let behind = bytes.get(close..roof).unwrap_or_default();
    (from.map_or(&[][..], |from| &bytes[from + 1..key]), if from.is_some() { behind } else { &[] })
}

/// Whether `kind` with the value `Secret` stands beside the mapping, and not in a mapping of its own.
fn kind_is_secret((before, behind): (&[u8], &[u8])) -> bool {
    let at_depth = |text: &[u8], mut depth: i32| {
        for i in 0..text.len() {
            match text[i] {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'k' if depth == 0 && text[i..].starts_with(b"kind") => {
                    let plain = |b: &&u8| matches!(b, b'\\' | b'"' | b'\'' | b' ' | b':');
                    let skip = text[i + 4..].iter().take_while(plain).count();
                    let rest = &text[i + 4 + skip..];
                    if skip > 0 && rest.starts_with(b"Secret") && !rest.get(6).is_some_and(u8::is_ascii_alphanumeric) {
                        return true;
                    }
                }
                _ => {}
            }
            if depth < 0 {
                return false;
            }
        }
        false
    };
    // Behind the mapping the first brace closes the mapping itself.
    at_depth(before, 0) || at_depth(behind.strip_prefix(b"}").unwrap_or(behind), 0)
}

/// Where a mapping is closed whose inside begins at `from`; and whether it is.
fn closing(bytes: &[u8], from: usize) -> (usize, bool) {
    let mut depth = 0;
    let mut quote = 0_u8;
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b if quote != 0 && b == quote && bytes[at - 1] != b'\\' => quote = 0,
            _ if quote != 0 => {}
            b @ (b'"' | b'\'') if bytes[at - 1] != b'\\' => quote = b,
            b'{' => depth += 1,
            b'}' if depth == 0 => return (at, true),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    (bytes.len(), false)
}

/// The next colon that ends a key.
fn colon(bytes: &[u8], at: usize, to: usize) -> Option<usize> {
    (at..to).find(|i| {
        bytes[*i] == b':'
            && bytes.get(i + 1).is_none_or(|b| {
                b.is_ascii_whitespace()
                    || matches!(b, b'"' | b'\'' | b'\\')
                    || *i > at && matches!(bytes[i - 1], b'"' | b'\'')
            })
    })
}
