//! Values of YAML keys at the start of a line: plain, quoted, block scalars, sequences.

use super::keyvalue::{Key, skip_blank};
use super::region::indent;
use super::setting::begins_setting;
use super::value::{judge, quote_at};
use super::words::Class;
use super::{Region, Scan};
use crate::redact::Format;

impl Scan<'_> {
    /// Whether `|` or `>` with its indicators is all that stands behind the colon. Properties have no blocks: there a setting below is one.
    pub(super) fn block_follows(&self, at: usize, line_end: usize) -> bool {
        let rest = self.bytes[at.min(line_end)..line_end].trim_ascii();
        let rest = rest.strip_prefix(b"!!binary").or_else(|| rest.strip_prefix(b"!!str")).unwrap_or(rest).trim_ascii();
        let rest = rest.split(|b| *b == b'#').next().unwrap_or(rest).trim_ascii();
        matches!(rest.first(), Some(b'|' | b'>'))
            && rest[1..].iter().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'))
            && !(self.env.format == Format::Env && begins_setting(self.bytes.get(line_end + 1..).unwrap_or_default()))
    }

    pub(super) fn yaml_value(&mut self, key: Key, class: Class, at: usize) {
        let bytes = self.bytes;
        let (line_start, line_end) = key.line;
        let columns = yaml_columns(&bytes[line_start..key.start]);
        if self.block_follows(at, line_end) {
            return self.block(key, class, columns);
        }
        // Tags and anchors stand in front of the value.
        let mut at = at;
        while matches!(bytes.get(at), Some(b'!' | b'&')) && at < line_end {
            let word = bytes[at..line_end].iter().position(|b| *b == b' ').unwrap_or(line_end - at);
            at = skip_blank(bytes, at + word, line_end);
        }
        let rest = bytes[at..line_end].trim_ascii();
        if rest.is_empty() || rest[0] == b'#' {
            return self.sequence(key, class, columns);
        }
        if rest[0] == b'*' {
            return;
        }
        if let Some((open, from)) = quote_at(bytes, at, line_end)
            && open.level == 0
        {
            let end = self.quoted_end(from, open.quote);
            let Some(end) = end else { return self.hold_line(key.start) };
            return self.judged(class, from, end, None);
        }
        if matches!(rest[0], b'[') {
            for part in bytes[at + 1..line_end].split(|b| matches!(b, b',' | b']')) {
                let text = part.trim_ascii();
                let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text);
                let text = text.strip_prefix(b"'").and_then(|t| t.strip_suffix(b"'")).unwrap_or(text);
                let from = text.as_ptr() as usize - bytes.as_ptr() as usize;
                self.judged(class, from, from + text.len(), None);
            }
            return self.items_below(class, at + 1, line_end, None);
        }
        if rest[0] == b'{' {
            return;
        }
        let text = &bytes[at..line_end];
        let comment = memchr::memmem::find(text, b" #").unwrap_or(text.len());
        let end = at + text[..comment].trim_ascii_end().len();
        if judge(self.env.set, class, &bytes[at..end]).is_none() {
            return;
        }
        // A plain scalar goes on over lines that are indented deeper.
        let Some(stop) = self.follow(key.start, (line_end + 1).min(bytes.len()), Region::Indent(columns)) else {
            return;
        };
        let end = if stop > line_end + 1 { line_end + bytes[line_end..stop].trim_ascii_end().len() } else { end };
        self.judged(class, at, end, None);
    }

    /// The end of a text in quotes that may go on over lines; none when more bytes are needed first.
    pub(super) fn quoted_end(&self, from: usize, quote: u8) -> Option<usize> {
        let bytes = self.bytes;
        let mut at = from;
        while at < bytes.len() && at - from < super::LOOKAHEAD {
            match bytes[at] {
                b'\\' if quote == b'"' => at += 1,
                b if b == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 1,
                b if b == quote => return Some(at),
                _ => {}
            }
            at += 1;
        }
        (!self.more || at - from >= super::LOOKAHEAD).then_some(at.min(bytes.len()))
    }

    fn block(&mut self, key: Key, class: Class, columns: usize) {
        let from = (key.line.1 + 1).min(self.bytes.len());
        if from == self.bytes.len() && self.more {
            return self.hold_line(key.start);
        }
        let Some(end) = self.follow(key.start, from, Region::Indent(columns)) else { return };
        let body = self.bytes[from..end].trim_ascii_end();
        let lead = body.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let text = &body[lead..];
        if text.starts_with(b"-----BEGIN ") {
            return;
        }
        if self.masked(class, from + lead, from + body.len(), None) {
            self.skip = (from + lead, end.min(from + body.len()));
        }
    }

    /// `tokens:` with `- a` lines below it.
    fn sequence(&mut self, key: Key, class: Class, columns: usize) {
        let bytes = self.bytes;
        let from = (key.line.1 + 1).min(bytes.len());
        let mut at = from;
        let mut items = Vec::new();
        // The column of the dash in front of a block scalar, and whether its first line is still to come.
        let mut block: Option<(usize, bool)> = None;
        let limit = bytes.len().min(from + super::LOOKAHEAD);
        loop {
            if at >= limit {
                if self.more && limit == bytes.len() {
                    return self.hold_line(key.start);
                }
                break;
            }
            let stop = memchr::memchr(b'\n', &bytes[at..limit]).map(|i| at + i);
            if stop.is_none() && self.more && limit == bytes.len() {
                return self.hold_line(key.start);
            }
            let stop = stop.unwrap_or(limit);
            let line = &bytes[at..stop];
            let text = line.trim_ascii();
            if let Some((dash, fresh)) = block
                && indent(line) > dash
                && !text.is_empty()
            {
                let start = text.as_ptr() as usize - bytes.as_ptr() as usize;
                match items.last_mut().filter(|_| !fresh) {
                    Some((first, len)) => *len = start + text.len() - *first,
                    None => items.push((start, text.len())),
                }
                block = Some((dash, false));
            } else if !text.is_empty() {
                block = None;
                let Some(item) = text.strip_prefix(b"- ").filter(|_| indent(line) >= columns) else { break };
                let mut item = item.trim_ascii_start();
                while let Some(inner) = item.strip_prefix(b"- ") {
                    item = inner.trim_ascii_start();
                }
                // The column of the innermost dash.
                let dash = (item.as_ptr() as usize - line.as_ptr() as usize).saturating_sub(2);
                let quoted =
                    matches!(item.first(), Some(b'"' | b'\'')) && item.len() >= 2 && item.last() == item.first();
                let item = if quoted { &item[1..item.len() - 1] } else { item };
                // What follows a setting or a flag whose value is gone may have been such a mark.
                let rest = item.iter().any(|b| matches!(b, b'=' | b' ')) && self.env.set.without_own(item).is_some();
                let map = memchr::memmem::find(item, b": ").is_some() || item.ends_with(b":") || item.starts_with(b"{");
                if matches!(item.first(), Some(b'|' | b'>')) {
                    block = Some((dash, true));
                } else if quoted || !(map || rest) {
                    items.push((item.as_ptr() as usize - bytes.as_ptr() as usize, item.len()));
                }
            }
            at = stop + 1;
        }
        for (start, len) in items {
            self.judged(class, start, start + len, None);
        }
    }
}

/// The column of a key: its indentation, list dashes included.
fn yaml_columns(before: &[u8]) -> usize {
    before.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'-')).count()
}
