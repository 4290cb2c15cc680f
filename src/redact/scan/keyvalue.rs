//! Key, separator, value: the hand-written tokenizer for everything that looks like a setting.

use super::literals::Hit;
use super::value::{bare_end, close_of, quote_at};
use super::words::{Class, classify, classify_ruled};
use super::{Scan, argument, bounds};
use crate::redact::rules::{engine, normal_key};
use crate::redact::span::Quotes;

/// Longest name on each side of the hit.
const MAX_NAME: usize = 160;

/// A name in the content and what is known about its surroundings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Dashes in front, for flags.
    pub(super) dashes: usize,
    /// The quotes around it.
    pub(super) quotes: Option<Quotes>,
    /// Where its line begins and ends.
    pub(super) line: (usize, usize),
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

impl Scan<'_> {
    pub(super) fn at_stem(&mut self, hit: Hit) {
        let bytes = self.bytes;
        let head = bytes[hit.start].to_ascii_lowercase();
        if head == b'b' && hit.end - hit.start == 6 {
            self.scheme(hit.start, hit.end);
        }
        let Some(key) = self.key_around(self.with_phrase(hit)) else { return };
        if (key.start, key.end) == self.last_key {
            return;
        }
        self.last_key = (key.start, key.end);
        let (_, line_end) = key.line;
        let mut at = key.end;
        if let Some(quotes) = key.quotes {
            at += usize::from(quotes.level) + 1;
        }
        let spaced = skip_style(bytes, at, line_end);
        let after = if bytes.get(spaced) == Some(&b']') { skip_blank(bytes, spaced + 1, line_end) } else { spaced };
        let Some((value_at, sign)) = separator(bytes, after, line_end) else {
            return self.without_separator(key, at);
        };
        let class = self.classify(&bytes[key.start..key.end]);
        // `name: DB_PASSWORD` may be followed by a separator too, as in `{Name:DB_PASSWORD Value:x}`; a pair is tried first.
        if class == Class::Benign {
            return;
        }
        self.value(key, class, value_at, sign);
    }

    /// `seed` together with the `phrase` or `words` behind it.
    fn with_phrase(&self, hit: Hit) -> Hit {
        let rest = &self.bytes[hit.end..];
        let more = [&b" phrase"[..], b" words", b"_phrase", b"_words"];
        let seed = self.bytes[hit.start..hit.end].eq_ignore_ascii_case(b"seed");
        let len = more
            .iter()
            .find(|m| seed && rest.get(..m.len()).is_some_and(|r| r.eq_ignore_ascii_case(m)))
            .map_or(0, |m| m.len());
        Hit { end: hit.end + len, ..hit }
    }

    /// The class of a name, with the keys that users' rules add.
    pub(super) fn classify(&mut self, key: &[u8]) -> Class {
        let set = self.env.set;
        if set.keys.is_empty() {
            return classify(key);
        }
        classify_ruled(key, set.stamp, || {
            let plain = set.without_own(key);
            let normal = normal_key(plain.as_deref().unwrap_or(key));
            let ends = set.keys.iter().filter(|(k, _)| normal.ends_with(k.as_slice()));
            // The longest name says most, whatever the order of the table.
            ends.max_by_key(|(k, _)| k.len()).map(|(_, rule)| Class::Secret(*rule))
        })
    }

    fn key_around(&mut self, hit: Hit) -> Option<Key> {
        let bytes = self.bytes;
        let line = self.line_of(hit.start);
        let (mut start, mut end) = (hit.start, hit.end.min(line.1));
        while start > line.0 && hit.start - start < MAX_NAME && is_name_byte(bytes[start - 1]) {
            start -= 1;
        }
        while end < line.1 && end - hit.end < MAX_NAME && is_name_byte(bytes[end]) {
            end += 1;
        }
        // Each byte of a name is read some times until its class is known.
        self.spend(4 * (end - start));
        // The end of an escape is not part of the name: `\npassword`, `%26token`, `\u0026token`.
        for skip in (1..=5).rev() {
            if start + skip <= hit.start && start > line.0 && bounds::escape_end(&bytes[..start + skip]) {
                start += skip;
                break;
            }
        }
        let mut dashes = 0;
        while start < end && matches!(bytes[start], b'-' | b'.') {
            dashes += usize::from(bytes[start] == b'-');
            start += 1;
        }
        while end > start && matches!(bytes[end - 1], b'-' | b'.' | b' ') {
            end -= 1;
        }
        // `a::b::session: message` is the path of a Rust module in a log.
        if start >= end || (start >= 2 && &bytes[start - 2..start] == b"::") || names_digest(&bytes[line.0..start]) {
            return None;
        }
        let quotes = quote_at(bytes, end, line.1).map(|(q, _)| q).filter(|q| {
            let open = start - dashes;
            let level = usize::from(q.level);
            open > level && bytes[open - 1] == q.quote && bytes[open - 1 - level..open - 1].iter().all(|b| *b == b'\\')
                || (level == 0 && open > 0 && bytes[open - 1] == q.quote)
        });
        Some(Key { start, end, dashes, quotes, line })
    }

    /// Flags, name and value pairs, and the few words that need no separator.
    fn without_separator(&mut self, key: Key, at: usize) {
        let bytes = self.bytes;
        let line_end = key.line.1;
        if key.dashes > 0 {
            return self.flag(key);
        }
        if self.is_pair_name(key) {
            return self.pair(key);
        }
        if self.variable(key, at) || self.xml(key) {
            return;
        }
        let from = skip_blank(bytes, at, line_end);
        let word = &bytes[key.start..key.end];
        let is = |list: &[&str]| list.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
        if from > at && is(&["requirepass", "masterauth"])
            || (from > at
                && is(&["password", "passwd"])
                && !matches!(bytes.get(from), Some(b'"' | b'\''))
                && argument::is_netrc(&bytes[key.line.0..key.start]))
        {
            let to = bare_end(bytes, from, line_end);
            return self.judged(Class::Secret(engine::PASSWORD), from, to, None);
        }
        // SQL: PASSWORD 'x'
        if from > at && is(&["password"]) && bytes.get(from) == Some(&b'\'') {
            let open = Quotes { level: 0, quote: b'\'' };
            if let Some(to) = close_of(bytes, from + 1, line_end, open) {
                return self.judged(Class::Secret(engine::PASSWORD), from + 1, to, None);
            }
        }
        let class = self.classify(word);
        if self.column(key, class, at) || self.call(key, class, at) {
            return;
        }
        // `PrivateKey(0x...)`, `private key 0x...`
        if matches!(class, Class::Secret(engine::PRIVATE_KEY) | Class::Hex(_)) {
            let from = at
                + bytes[at..line_end]
                    .iter()
                    .take(3)
                    .take_while(|b| matches!(b, b' ' | b'(' | b'"' | b'\'' | b'['))
                    .count();
            // A longer run is no key.
            let run = bytes[from..line_end].iter().take(67).take_while(|b| b.is_ascii_alphanumeric()).count();
            let to = from + run;
            if super::value::is_hex32(&bytes[from..to]) {
                return self.mask(from, to, engine::PRIVATE_KEY, None);
            }
        }
        // `password is x1`
        if class == Class::Secret(engine::PASSWORD) && bytes[from..line_end].starts_with(b"is ") {
            let to = bare_end(bytes, from + 3, line_end);
            if super::value::looks_random(&bytes[from + 3..to], 4) {
                return self.judged(class, from + 3, to, None);
            }
        }
        if matches!(class, Class::Secret(engine::MNEMONIC)) {
            self.phrase_nearby(key.end, line_end);
        }
        // `Enter passphrase for key:`
        let behind = bytes[at..line_end].trim_ascii_end();
        if class == Class::Secret(engine::PASSWORD) && behind.len() <= 80 && behind.ends_with(b":") {
            self.below(key, class);
        }
        self.spoken(key, class, at);
    }
}

/// Whether what stands in front of a name says that its value is no secret: `checksum/secret: 9f86...`, and the
/// `arn:aws:secretsmanager:eu-west-1:1234:` of `secret:name`.
fn names_digest(before: &[u8]) -> bool {
    before.ends_with(b"checksum/")
        || (before.ends_with(b":") && {
            let near = &before[before.len().saturating_sub(64)..];
            let word =
                near.rsplit(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'=')).next().unwrap_or(near);
            word.starts_with(b"arn:")
        })
}

pub(super) fn skip_blank(bytes: &[u8], at: usize, end: usize) -> usize {
    let end = end.min(bytes.len());
    let at = at.min(end);
    at + bytes[at..end].iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Where the value begins behind a separator, and the separator's main character.
fn separator(bytes: &[u8], at: usize, end: usize) -> Option<(usize, u8)> {
    let rest = &bytes[at.min(end)..end];
    let (len, sign) = match rest {
        [b':', b'=', ..] => (2, b'='),
        [b'=', b'>', ..] | [b'=', b'=', ..] => (2, b'='),
        [b'-', b'>', ..] => (2, b'='),
        [b':', b':', ..] | [b':', b'/', b'/', ..] => return None,
        [b'=', ..] => (1, b'='),
        [b':', ..] => (1, b':'),
        [b'%', b'3', b'D' | b'd', ..] => (3, b'='),
        [b'%', b'3', b'A' | b'a', ..] => (3, b':'),
        _ => return None,
    };
    Some((skip_style(bytes, at + len, end), sign))
}

/// Behind blanks and colours: a name, its sign and its value may each have their own, as logs for terminals have.
fn skip_style(bytes: &[u8], at: usize, end: usize) -> usize {
    let mut at = skip_blank(bytes, at, end);
    while let Some(b'\x1b' | b'\\') = bytes.get(at).filter(|_| at < end) {
        let rest = &bytes[at..end];
        let lead = [&b"\x1b["[..], b"\\u001b[", b"\\x1b["].into_iter().find(|lead| rest.starts_with(lead));
        let Some(lead) = lead.map(<[u8]>::len) else { break };
        let digits = rest[lead..].iter().take(12).take_while(|b| b.is_ascii_digit() || **b == b';').count();
        if rest.get(lead + digits) != Some(&b'm') {
            break;
        }
        at = skip_blank(bytes, at + lead + digits + 1, end);
    }
    at
}
