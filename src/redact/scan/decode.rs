//! Secrets inside an encoding: base64, hexadecimal, percent signs, HTML entities, `\u0022`.

use zeroize::Zeroizing;

use super::{MAX_DEPTH, Region, Scan, Scratch, run};
use crate::redact::Format;
use crate::redact::layers::Layer;
use crate::redact::rules::engine;
use crate::redact::span::{Span, union};
use crate::redact::token::{base64_bytes, is_text};

/// Shortest run that is worth decoding.
const MIN_RUN: usize = 24;
/// Fewest hexadecimal digits that are worth decoding.
const MIN_HEX: usize = 32;
/// Longest run that is decoded as a whole.
const MAX_RUN: usize = 1 << 20;
/// Longest word that is percent-decoded.
const MAX_WORD: usize = 8 << 10;

impl Scan<'_> {
    /// Looks for encoded text in everything that was scanned.
    pub(super) fn decode_lane(&mut self) {
        if self.depth >= MAX_DEPTH || !self.env.layers.decoding {
            return;
        }
        let end = self.outcome.hold.unwrap_or(self.bytes.len());
        for lane in [Self::base64_runs, Self::percent_words, Self::entity_words] {
            // Each looks at all lines, and what a line costs must not depend on which lines are there.
            self.begin_effort((0, 0));
            lane(self, end);
        }
    }

    fn base64_runs(&mut self, end: usize) {
        let bytes = self.bytes;
        // A run of the least length covers eight bytes that begin at one of these places.
        let (mut floor, mut at) = (0, 8);
        while let Some(place) = run_place(&bytes[..end], at) {
            let start = run_start(&bytes[floor..place]) + floor;
            let stop = place + 8 + run_len(&bytes[place + 8..]);
            if start + MIN_RUN <= stop.min(end) {
                self.base64_run(start, stop);
                if self.outcome.hold.is_some_and(|h| h < end) {
                    return;
                }
            }
            floor = stop;
            at = (stop + 8) / 16 * 16 + 8;
        }
    }

    fn base64_run(&mut self, start: usize, end: usize) {
        let bytes = self.bytes;
        if self.hex_run(start, end) {
            return;
        }
        // Where a word in front is glued to the run, the groups of four begin later.
        for shift in 0..4 {
            if end - start < MIN_RUN + shift {
                return;
            }
            let run = &bytes[start + shift..end];
            if !begins_text(run) {
                continue;
            }
            let run = &run[..run.len().min(MAX_RUN)];
            let run = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
            let Some(plain) = base64_bytes(run).map(Zeroizing::new) else { continue };
            if !is_text(&plain[..plain.len().min(4_096)]) && !is_text(&plain[..24.min(plain.len())]) {
                continue;
            }
            let spans = self.nested(start, &plain);
            let Some(first) = spans.first().copied() else { continue };
            let id = match spans.as_slice() {
                [only] => only.id.unwrap_or_else(|| self.env.ids.of(&plain[only.start..only.end])),
                _ => self.env.ids.of_canonical(&plain),
            };
            let padding = bytes[end..].iter().take(2).take_while(|b| **b == b'=').count();
            let mut stop = end + padding;
            // The lines that follow belong to the same text when it is wrapped.
            if matches!(bytes.get(stop), Some(b'\n')) && end - start >= 56 {
                let Some(wrapped) = self.follow(start, stop + 1, Region::Base64) else { return };
                if wrapped > stop + 1 {
                    stop += bytes[stop..wrapped].trim_ascii_end().len();
                }
            }
            self.spans.push(Span {
                id: Some(id),
                layer: Layer::Decoding,
                ..Span::new(start + shift, stop, first.rule)
            });
            return;
        }
    }

    /// A run of hexadecimal digits that is text; says whether something in it is secret.
    fn hex_run(&mut self, start: usize, end: usize) -> bool {
        let run = &self.bytes[start..end];
        let lead = if run.starts_with(b"0x") || run.starts_with(b"0X") { 2 } else { 0 };
        let run = &run[lead..run.len().min(MAX_RUN)];
        let run = &run[..run.len() / 2 * 2];
        if run.len() < MIN_HEX {
            return false;
        }
        // Most runs are digests and ids, or no digits at all, so they are told from text before anything is copied.
        let mut others = 0;
        for piece in run.chunks_exact(MIN_HEX).filter_map(<[u8]>::first_chunk) {
            let Some(more) = not_text(piece) else { return false };
            others += usize::from(more);
            if others * 8 > run.len() {
                return false;
            }
        }
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let plain: Option<Vec<u8>> = run.chunks_exact(2).map(|p| Some(digit(p[0])? << 4 | digit(p[1])?)).collect();
        let Some(plain) = plain.map(Zeroizing::new).filter(|p| is_text(p)) else { return false };
        let spans = self.nested(start, &plain);
        let Some(first) = spans.first().copied() else { return false };
        let id = match spans.as_slice() {
            [only] => only.id.unwrap_or_else(|| self.env.ids.of(&plain[only.start..only.end])),
            _ => self.env.ids.of_canonical(&plain),
        };
        self.spans.push(Span { id: Some(id), layer: Layer::Decoding, ..Span::new(start, end, first.rule) });
        true
    }

    /// Looks into the text that something on the line of `at` stands for. A line of which enough was seen is given up instead.
    fn nested(&mut self, at: usize, plain: &[u8]) -> Vec<Span> {
        let mut spans = Vec::new();
        if self.is_spent(at) {
            if !self.effort.gone {
                self.give_up(at);
            }
            return spans;
        }
        let env = super::Env { format: Format::Text, within: None, ..self.env };
        let outcome = run(env, plain, false, self.depth + 1, &mut Scratch::default(), &mut spans);
        self.spend(plain.len() + outcome.cost);
        if let Some((from, _)) = outcome.open {
            spans.push(Span::new(from, plain.len(), engine::PEM));
        }
        union(&mut spans);
        if let Some(inside) = self.env.inside {
            spans.iter().for_each(|s| inside.add(s.rule, &plain[s.start..s.end]));
        }
        spans
    }

    fn percent_words(&mut self, end: usize) {
        let bytes = self.bytes;
        let mut at = 0;
        while let Some(i) = memchr::memchr(b'%', &bytes[at..end]) {
            let sign = at + i;
            if !(bytes.get(sign + 1).is_some_and(u8::is_ascii_hexdigit)
                && bytes.get(sign + 2).is_some_and(u8::is_ascii_hexdigit))
            {
                at = sign + 1;
                continue;
            }
            let edge = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | 0);
            let floor = at.max(sign.saturating_sub(MAX_WORD));
            let start = bytes[floor..sign].iter().rposition(edge).map_or(floor, |i| floor + i + 1);
            let roof = bytes.len().min(sign + MAX_WORD);
            let stop = bytes[sign..roof].iter().position(edge).map_or(roof, |i| sign + i);
            self.mapped(start, stop, |b, i| {
                let digit = |k: usize| b.get(i + k).and_then(|b| char::from(*b).to_digit(16));
                (b[i] == b'%').then(|| digit(1).zip(digit(2))).flatten().map(|(h, l)| ((h * 16 + l) as u8, 3))
            });
            at = stop.max(sign + 1);
        }
    }

    /// Words with HTML entities: `&quot;`, `&#34;`, `&#x22;`.
    fn entity_words(&mut self, end: usize) {
        let bytes = self.bytes;
        let mut at = 0;
        while let Some(i) = memchr::memchr(b'&', &bytes[at..end]) {
            let sign = at + i;
            if entity(bytes, sign).is_none() {
                at = sign + 1;
                continue;
            }
            // Entities stand in for the quotes, so the text goes on over blanks to the end of the line.
            let edge = |b: &u8| matches!(b, b'\n' | b'"' | b'<' | b'>' | 0);
            let floor = at.max(sign.saturating_sub(MAX_WORD));
            let start = bytes[floor..sign].iter().rposition(edge).map_or(floor, |i| floor + i + 1);
            let roof = bytes.len().min(sign + MAX_WORD);
            let mut stop = bytes[sign..roof].iter().position(edge).map_or(roof, |i| sign + i);
            // In an attribute of XML the quote that stands there as it is ends the value.
            let quotes = bytes[start..sign].iter().filter(|b| **b == b'\'').count();
            if quotes % 2 == 1 && super::setting::element_around(&bytes[floor..sign]).is_some() {
                stop = bytes[sign..stop].iter().position(|b| *b == b'\'').map_or(stop, |i| sign + i);
            }
            self.mapped(start, stop, entity);
            at = stop.max(sign + 1);
        }
    }

    /// At `\u00`: the string around it is decoded.
    pub(super) fn escaped(&mut self, at: usize) {
        if self.depth >= MAX_DEPTH || !self.env.layers.decoding {
            return;
        }
        // The string around an escape that was decoded a moment ago holds this one, too.
        if at < self.memory.escaped {
            return;
        }
        let bytes = self.bytes;
        let (line_start, line_end) = self.line_of(at);
        let floor = line_start.max(at.saturating_sub(MAX_WORD));
        let start = bytes[floor..at].iter().rposition(|b| *b == b'"').map_or(floor, |i| floor + i + 1);
        let roof = line_end.min(at + MAX_WORD);
        let stop = bytes[at..roof].iter().position(|b| *b == b'"').map_or(roof, |i| at + i);
        // What is not at the end of its string yet is seen with as much behind it once more.
        self.memory.escaped = if stop == at + MAX_WORD { stop - MAX_WORD / 2 } else { stop };
        self.mapped(start, stop, |b, i| {
            let hex = b.get(i + 4..i + 6).filter(|_| b[i..].starts_with(b"\\u00"))?;
            u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().map(|v| (v, 6))
        });
    }

    /// Decodes bytes with a map back, and masks in the original what is found in the decoded text.
    fn mapped(&mut self, start: usize, stop: usize, decode: impl Fn(&[u8], usize) -> Option<(u8, usize)>) {
        let raw = &self.bytes[start..stop];
        let mut plain = Zeroizing::new(Vec::with_capacity(raw.len()));
        let mut origin = Vec::with_capacity(raw.len() + 1);
        let mut i = 0;
        while i < raw.len() {
            origin.push(i);
            let (b, len) = decode(raw, i).unwrap_or((raw[i], 1));
            plain.push(b);
            i += len;
        }
        origin.push(raw.len());
        for span in self.nested(start, &plain) {
            let id = span.id.unwrap_or_else(|| self.env.ids.of(&plain[span.start..span.end]));
            let (from, to) = (start + origin[span.start], start + origin[span.end]);
            if !self.env.set.is_redacted(&self.bytes[from..to]) {
                self.spans.push(Span { id: Some(id), layer: Layer::Decoding, ..Span::new(from, to, span.rule) });
            }
        }
    }
}

/// The value of each base64 character; [`GAP`] for all other bytes.
const VALUES: [u8; 256] = values();
const GAP: u8 = 0xFF;

const fn values() -> [u8; 256] {
    let mut values = [GAP; 256];
    let mut b = 0;
    while b < 256 {
        values[b] = match b as u8 {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'a'..=b'z' => c - b'a' + 26,
            c @ b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => GAP,
        };
        b += 1;
    }
    values
}

/// The ASCII character of an HTML entity, and the length of the entity.
fn entity(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?.strip_prefix(b"&")?;
    let len = rest.iter().take(8).position(|b| *b == b';')?;
    let name = &rest[..len];
    let plain = match name {
        b"quot" => b'"',
        b"apos" => b'\'',
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"equals" => b'=',
        b"colon" => b':',
        _ => {
            let digits = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
            let value = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u8::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            value.ok().filter(u8::is_ascii)?
        }
    };
    Some((plain, len + 2))
}

fn in_run(b: u8) -> bool {
    VALUES[usize::from(b)] != GAP
}

/// The top bit of those of eight bytes that are no characters of base64.
#[inline]
fn gaps(eight: u64) -> u64 {
    let each = |b: u8| u64::from_ne_bytes([b; 8]);
    let (low, tops) = (eight & each(0x7f), each(0x80));
    // No sum leaves its byte. Each has the top bit where the byte is not below the limit, or not the one that is named.
    let from = |bytes: u64, limit: u8| bytes + each(0x80 - limit);
    let not = |b: u8| (low ^ each(b)) + each(0x7f);
    let letters = low | each(0x20);
    let letter = from(letters, b'a') & !from(letters, b'z' + 1);
    // The slash stands in front of the digits.
    let digit = from(low, b'/') & !from(low, b'9' + 1);
    (eight | !(letter | digit) & not(b'+') & not(b'-') & not(b'_')) & tops
}

/// How many of sixteen pairs of hexadecimal digits, at least, are no ASCII text; none when some are no digits.
fn not_text(pairs: &[u8; MIN_HEX]) -> Option<u8> {
    let (mut strange, mut others) = (0, 0);
    for (i, b) in pairs.iter().enumerate() {
        let (letter, digit) = ((b | 0x20).wrapping_sub(b'a') < 6, b.wrapping_sub(b'0') < 10);
        strange |= u8::from(!(letter | digit));
        // The first digit of a pair: text and line ends have 0 and 2 to 7.
        others += u8::from(!((b.wrapping_sub(b'2') < 6) | (*b == b'0'))) & u8::from(i % 2 == 0);
    }
    (strange == 0).then_some(others)
}

/// The first place, of those every sixteen bytes from `at` on, where eight bytes are characters of base64.
fn run_place(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if gaps(u64::from_le_bytes(*eight)) == 0 {
            return Some(at);
        }
        at += 16;
    }
    None
}

/// Where the characters of base64 begin that stand at the end.
fn run_start(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while let Some(eight) = bytes[..end].last_chunk() {
        let gaps = gaps(u64::from_le_bytes(*eight));
        if gaps != 0 {
            return end - gaps.leading_zeros() as usize / 8;
        }
        end -= 8;
    }
    bytes[..end].iter().rposition(|b| !in_run(*b)).map_or(0, |i| i + 1)
}

/// How many characters of base64 stand at the beginning.
fn run_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let gaps = gaps(u64::from_le_bytes(*eight));
        if gaps != 0 {
            return at + gaps.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| in_run(**b)).count()
}

/// Whether the first characters decode to text.
fn begins_text(run: &[u8]) -> bool {
    // The first character of each four holds the top bit of a byte, which ASCII has not.
    let top = |i: usize| VALUES[usize::from(run[i])];
    if (top(0) | top(4) | top(8) | top(12)) & 0x20 != 0 {
        return false;
    }
    run[..16].chunks_exact(4).all(|c| {
        let bits = c.iter().fold(0, |n, b| n << 6 | u32::from(VALUES[usize::from(*b)]));
        [bits >> 16, bits >> 8 & 255, bits & 255].iter().all(|b| matches!(b, 9 | 10 | 13 | 32..=126))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_are_told_as_one() {
        for b in 0..=u8::MAX {
            for at in 0..8 {
                for other in [0, b'A', b'z', b'/', b'-', 0x7f, 0x80, 0xff] {
                    let mut eight = [other; 8];
                    eight[at] = b;
                    let gaps = gaps(u64::from_le_bytes(eight)).to_le_bytes();
                    assert_eq!(gaps.map(|gap| gap == 0), eight.map(in_run), "{eight:?}");
                    assert_eq!(run_len(&eight), eight.iter().take_while(|b| in_run(**b)).count());
                    assert_eq!(run_start(&eight), 8 - eight.iter().rev().take_while(|b| in_run(**b)).count());
                }
            }
        }
    }

    #[test]
    fn hexadecimal_text_is_told_from_digests() {
        let pairs = |text: &[u8]| -> [u8; MIN_HEX] {
            let hex: String = text.iter().map(|b| format!("{b:02x}")).collect();
            hex.as_bytes().try_into().unwrap()
        };
        assert_eq!(not_text(&pairs(b"password: x9\n\r~ ")), Some(0));
        assert_eq!(not_text(&pairs(&[0x10; 16])), Some(16));
        // A pair of which the second digit tells counts as text here.
        assert_eq!(not_text(&pairs(&[0x7f; 16])), Some(0));
        assert_eq!(not_text(b"0123456789abcdef0123456789ABCDEg"), None);
    }
}
