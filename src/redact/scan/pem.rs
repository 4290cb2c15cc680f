//! PEM private keys: several lines, escaped on one line, with a log prefix on each line, truncated.

use super::region::{indent, is_base64};
use super::{LOOKAHEAD, Region, Scan};
use crate::redact::rules::engine;
use crate::redact::span::Span;
use crate::redact::token::{self, kind_of_own};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END";

impl Scan<'_> {
    /// At `PRIVATE KEY`. Only the header of a block counts.
    pub(super) fn pem(&mut self, at: usize) {
        let bytes = self.bytes;
        let window = at.saturating_sub(48);
        let Some(begin) = memchr::memmem::rfind(&bytes[window..at], BEGIN).map(|i| window + i) else { return };
        if !bytes[begin + BEGIN.len()..at].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ') {
            return;
        }
        let tail = &bytes[at + b"PRIVATE KEY".len()..];
        let tail_len = tail.iter().take_while(|b| b.is_ascii_uppercase() || **b == b' ').count();
        if !tail[tail_len..].starts_with(b"-----") {
            return;
        }
        let body = at + b"PRIVATE KEY".len() + tail_len + 5;
        let (line_start, line_end) = self.line_of(begin);
        let rest = &bytes[body.min(line_end)..line_end];
        if rest.iter().all(|b| matches!(b, b'\r' | b' ' | b'\t' | b'\\' | b'"' | b'\'' | b','))
            && line_end < bytes.len()
        {
            let prefix = bytes[line_start..begin].to_vec();
            self.pem_lines(begin, line_end + 1, &prefix);
        } else if line_end == bytes.len() && self.more && rest.trim_ascii().is_empty() {
            self.hold_line(begin);
        } else {
            self.pem_inline(begin, body, line_end);
        }
    }

    /// At `Private-Lines:`, which says how many lines of a PuTTY key follow.
    pub(super) fn private_lines(&mut self, at: usize, len: usize) {
        let bytes = self.bytes;
        let (_, line_end) = self.line_of(at);
        let count = bytes[at + len..line_end].trim_ascii();
        if count.is_empty() || !count.iter().all(u8::is_ascii_digit) {
            return;
        }
        let from = line_end + 1;
        if from >= bytes.len() {
            if self.more {
                self.hold_line(at);
            }
            return;
        }
        let Some(end) = self.follow(at, from, Region::Base64) else { return };
        let stop = from + bytes[from..end].trim_ascii_end().len();
        self.mask(from, stop, engine::PEM, None);
    }

    fn pem_lines(&mut self, begin: usize, from: usize, prefix: &[u8]) {
        let region = Region::Pem(prefix.to_vec());
        let Some(end) = self.follow(begin, from, region) else { return };
        let body = &self.bytes[from..end];
        let len = body.iter().rposition(|b| !b.is_ascii_whitespace() && *b != 0).map_or(0, |i| i + 1);
        let text = &body[..len];
        let ends_line = |b: &u8| matches!(b, b'\n' | 0);
        let first = text.split(ends_line).find(|l| !l.trim_ascii().is_empty());
        let Some(first) = first else { return };
        // The first line keeps what stands in front of its key material; the other lines go.
        let offset = first.as_ptr() as usize - self.bytes.as_ptr() as usize;
        let start = offset + content(first, prefix).0;
        let mut stop = from + text.len();
        let last_line = text.rsplit(ends_line).next().unwrap_or(text);
        stop -= last_line.len() - content(last_line, prefix).1.min(last_line.len());
        if start >= stop {
            return;
        }
        let mut plain = self.bytes[begin..from].to_vec();
        for line in text.split(ends_line) {
            let (a, b) = content(line, prefix);
            plain.extend_from_slice(&line[a..b]);
            plain.push(b'\n');
        }
        self.key_span(start, stop, &plain);
        // In front of the material on its first line may stand anything.
        self.skip = (start, end);
    }

    fn pem_inline(&mut self, begin: usize, body: usize, line_end: usize) {
        let limit = line_end.min(body + LOOKAHEAD);
        let rest = &self.bytes[body..limit];
        let stop = memchr::memmem::find(rest, END).unwrap_or_else(|| {
            let ends = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'}' | b')' | b']' | b',' | b';' | 0);
            rest.iter().position(ends).unwrap_or(rest.len())
        });
        let (mut from, mut to) = (0, stop);
        // White space and escaped line ends around the body stay, so that the shape stays.
        loop {
            let slashes = rest[from..to].iter().take_while(|b| **b == b'\\').count();
            if slashes > 0 && matches!(rest.get(from + slashes), Some(b'n' | b'r' | b't')) && from + slashes < to {
                from += slashes + 1;
            } else if from < to && rest[from].is_ascii_whitespace() {
                from += 1;
            } else {
                break;
            }
        }
        loop {
            let slashes_before = |i: usize| rest[from..i].iter().rev().take_while(|b| **b == b'\\').count();
            if to > from && rest[to - 1].is_ascii_whitespace() {
                to -= 1;
            } else if to > from && matches!(rest[to - 1], b'n' | b'r' | b't') && slashes_before(to - 1) > 0 {
                to -= 1 + slashes_before(to - 1);
            } else if to > from && rest[to - 1] == b'\\' {
                to -= 1;
            } else {
                break;
            }
        }
        if from < to {
            let plain = self.bytes[begin..body + stop].to_vec();
            self.key_span(body + from, body + to, &plain);
            self.resume = self.resume.max(body + to);
        }
    }

    fn key_span(&mut self, start: usize, end: usize, plain: &[u8]) {
        if self.env.set.is_redacted(&self.bytes[start..end]) || !self.env.set.is_on(engine::PEM) {
            return;
        }
        let body = token::pem_body(plain).unwrap_or_else(|| plain.to_vec());
        let id = Some(self.env.ids.of_canonical(&body));
        self.spans.push(Span { id, ..Span::new(start, end, engine::PEM) });
    }
}

/// The part of a line that is key material: the last word, or the whole line where there is no prefix.
fn content(line: &[u8], prefix: &[u8]) -> (usize, usize) {
    let is_edge = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b',' | b';' | b'\\');
    let end = line.len() - line.iter().rev().take_while(|b| is_edge(b)).count();
    let start = indent(line).min(end);
    let whole = &line[start..end];
    if prefix.trim_ascii().is_empty() && !whole.is_empty() && (whole.iter().all(|b| is_base64(*b)) || is_header(whole))
    {
        return (start, end);
    }
    let word = whole.iter().rposition(|b| !is_base64(*b)).map_or(start, |i| start + i + 1);
    (word, end)
}

/// `Proc-Type: 4,ENCRYPTED` and the like.
fn is_header(text: &[u8]) -> bool {
    [&b"Proc-Type:"[..], b"DEK-Info:", b"Version:", b"Comment:", b"Hash:", b"Charset:"]
        .iter()
        .any(|h| text.starts_with(h))
}

/// Whether a line goes on with the body of a block whose `BEGIN` stood behind `prefix`.
pub(super) fn is_body(line: &[u8], prefix: &[u8]) -> bool {
    if memchr::memmem::find(line, b"-----").is_some() {
        return false;
    }
    let (start, end) = content(line, prefix);
    let word = &line[start..end];
    if is_header(word) || is_header(line.trim_ascii()) {
        return true;
    }
    let before = line[..start].trim_ascii();
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before).trim_ascii();
    if let Some(kind) = kind_of_own(word) {
        return kind == b"private-key" && (before.is_empty() || shape(&line[..start]) == shape(prefix));
    }
    // Padding stands at the end; `LEVEL=info` is another setting.
    let padding = word.iter().rev().take_while(|b| **b == b'=').count();
    let digits = &word[..word.len() - padding];
    let encoded = !digits.is_empty() && digits.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    if before.is_empty() {
        return encoded;
    }
    encoded && (word.len() >= 40 || (word.len().is_multiple_of(4) && shape(&line[..start]) == shape(prefix)))
}

/// The shape of a log prefix: runs of digits and of letters count as one, so that time stamps are alike.
fn shape(prefix: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for b in prefix {
        let kind = match b {
            b'0'..=b'9' => b'0',
            b'a'..=b'z' | b'A'..=b'Z' => b'a',
            b => *b,
        };
        if out.last() != Some(&kind) {
            out.push(kind);
        }
    }
    out
}
