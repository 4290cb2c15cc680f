//! Key, separator, value: the hand-written tokenizer for everything that looks like a setting.

use super::literals::Hit;
use super::value::{bare_end, close_of, is_prose, judge, line_value_end, quote_at};
use super::words::{Class, classify, classify_ruled};
use super::{Scan, argument, bounds};
use crate::redact::Format;
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
            if bytes.get(key.end) == Some(&b'>') && key.start > 0 && bytes[key.start - 1] == b'<' {
                return self.element(key);
            }
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

    /// Whether only indentation, a list dash, `export` or a comment sign stands in front of a name.
    fn leads_line(&self, key: Key) -> bool {
        let open = key.start - key.dashes - key.quotes.map_or(0, |q| usize::from(q.level) + 1);
        let before = self.bytes[key.line.0..open].trim_ascii();
        let before = before.strip_prefix(b"- ").unwrap_or(before).trim_ascii();
        before.is_empty() || matches!(before, b"-" | b"export" | b"set" | b"ENV" | b"ARG" | b"#" | b"?")
    }

    /// Whether a name begins a pair of an inline table.
    fn begins_pair(&self, key: Key) -> bool {
        let before = self.bytes[key.line.0..key.start].trim_ascii_end();
        matches!(before.last(), Some(b'{' | b','))
    }

    /// The value behind a separator.
    pub(super) fn value(&mut self, key: Key, class: Class, at: usize, sign: u8) {
        let bytes = self.bytes;
        let line_end = key.line.1;
        let leads = self.leads_line(key);
        if leads && self.env.format == Format::Env && is_continued(&bytes[at..line_end]) {
            return self.continued(key, class, at);
        }
        if leads && sign == b':' && (self.env.format == Format::Yaml || self.block_follows(at, line_end)) {
            return self.yaml_value(key, class, at);
        }
        if class == Class::Secret(engine::COOKIE) || class == Class::Secret(engine::AUTHORIZATION) {
            let at = if bytes.get(at) == Some(&b'[') { at + 1 } else { at };
            let (from, to) = match quote_at(bytes, at, line_end) {
                Some((open, from)) => (from, self.closing(key, sign, from, open).unwrap_or(line_end)),
                None => (at, header_end(bytes, at, line_end)),
            };
            return if class == Class::Secret(engine::COOKIE) {
                self.cookies(from, to);
            } else {
                self.authorization(from, to);
            };
        }
        // `Some("x")`, `SecretString("x")`
        let mut at = at;
        let word = bytes[at..line_end]
            .iter()
            .take(64)
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'('))
            .count();
        if word > 1 && bytes[at + word - 1] == b'(' && quote_at(bytes, at + word, line_end).is_some() {
            at += word;
        }
        for triple in [&b"\"\"\""[..], b"'''"] {
            if self.env.format != Format::Json && bytes[at..line_end].starts_with(triple) {
                // Inside of an encoding some of the quotes may belong to the text around it.
                if self.depth > 0 {
                    let from = at + 3;
                    let close = memchr::memmem::find(&bytes[from..line_end], triple).map(|i| from + i);
                    let to = close.unwrap_or_else(|| bare_end(bytes, from, line_end));
                    return self.judged(class, from, to, None);
                }
                return self.triple(key, class, at + 3, if triple[0] == b'"' { b"\"\"\"" } else { b"'''" });
            }
        }
        if let Some((open, from)) = quote_at(bytes, at, line_end) {
            if let Some(to) = self.closing(key, sign, from, open) {
                return self.judged(class, from, to, None);
            }
            return self.unclosed(key, class, from, open, leads);
        }
        if bytes.get(at) == Some(&b'[') {
            let bare = match self.env.format {
                Format::Toml => Some(Quotes { level: 0, quote: b'"' }),
                _ => key.quotes.filter(|q| sign == b':' && q.quote == b'"'),
            };
            return self.array(class, at + 1, line_end, bare);
        }
        if class == Class::Secret(engine::MNEMONIC) || class == Class::Weak(engine::MNEMONIC) {
            return self.phrase(class, at, line_end);
        }
        let loud = bytes[key.start..key.end].iter().all(|b| !b.is_ascii_lowercase());
        let tight = sign == b'=' && at == key.end + 1 && leads;
        let whole_line = leads
            && key.quotes.is_none()
            && (self.env.format == Format::Env
                || (tight && loud)
                || (sign == b':' && class == Class::Secret(engine::PASSWORD)));
        let to = if whole_line { line_value_end(bytes, at, line_end) } else { bare_end(bytes, at, line_end) };
        if sign == b':' && !whole_line && is_prose(self.env.set, bytes, at, to, line_end) {
            self.spoken(key, class, at.saturating_sub(1));
            if self.env.format != Format::Json {
                return;
            }
        }
        // A bare number under a quoted key is JSON; its replacement needs the quotes of the key.
        let quotes = match (key.quotes, self.env.format) {
            (Some(q), _) if sign == b':' && q.quote == b'"' => Some(q),
            (_, Format::Toml) if leads || self.begins_pair(key) => Some(Quotes { level: 0, quote: b'"' }),
            _ => None,
        };
        let end = if quotes.is_some() && !whole_line { number_end(bytes, at, to) } else { to };
        if bytes.get(at).is_some_and(|b| matches!(b, b'{' | b'&')) && sign == b':' {
            return;
        }
        self.judged(class, at, end, quotes);
    }

    /// Where the quotes are closed that a value stands in. A backslash is no escape in an attribute of XML.
    fn closing(&self, key: Key, sign: u8, from: usize, open: Quotes) -> Option<usize> {
        let (bytes, (line_start, line_end)) = (self.bytes, key.line);
        if open.level == 0 && sign == b'=' && is_attribute(&bytes[line_start..key.start]) {
            return memchr::memchr(open.quote, &bytes[from..line_end]).map(|i| from + i);
        }
        close_of(bytes, from, line_end, open)
    }

    /// A value whose quote is not closed on its line: the line is cut off, the value goes on behind it, or it is a bare one
    /// that begins with a quote.
    fn unclosed(&mut self, key: Key, class: Class, from: usize, open: Quotes, leads: bool) {
        let bytes = self.bytes;
        let line_end = key.line.1;
        // Nothing but a comment may stand behind the end of a value.
        let is_last = |at: usize| {
            let stop = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i);
            let behind = bytes[at + 1..stop].trim_ascii_end();
            behind.is_empty() || (behind[0].is_ascii_whitespace() && behind.trim_ascii_start().starts_with(b"#"))
        };
        if leads && open.level == 0 && open.quote != b'`' && self.env.format == Format::Env {
            // A backslash is no escape where the line ends behind the quote: `password='\'`.
            let close = bytes[from..line_end].iter().rposition(|b| *b == open.quote).map(|i| from + i);
            if let Some(to) = close.filter(|at| is_last(*at)) {
                return self.judged(class, from, to, None);
            }
            let Some(to) = self.quoted_end(from, open.quote) else { return self.hold_line(key.start) };
            if to < bytes.len() && bytes[to] == open.quote && is_last(to) {
                if memchr::memchr(b'\n', &bytes[to..]).is_none() && self.more {
                    return self.hold_line(key.start);
                }
                if self.masked(class, from, to, None) {
                    self.resume = self.resume.max(to);
                }
                return;
            }
        }
        let to = if leads { line_end } else { bare_end(bytes, from, line_end) };
        self.judged(class, from, to, None);
    }

    /// A value that goes on over lines, each but the last with a backslash at its end.
    fn continued(&mut self, key: Key, class: Class, at: usize) {
        let next = (key.line.1 + 1).min(self.bytes.len());
        let Some(stop) = self.follow(key.start, next, super::Region::Continued) else { return };
        let end = at + self.bytes[at..stop].trim_ascii_end().len();
        if self.masked(class, at, end, None) {
            self.resume = self.resume.max(end);
        }
    }

    /// Masks a value if it is one.
    pub(super) fn judged(&mut self, class: Class, start: usize, end: usize, quotes: Option<Quotes>) {
        self.masked(class, start, end, quotes);
    }

    /// Masks a value if it is one; says whether it did.
    pub(super) fn masked(&mut self, class: Class, start: usize, end: usize, quotes: Option<Quotes>) -> bool {
        if start >= end {
            return false;
        }
        let spans = self.spans.len();
        if let Some(rule) = judge(self.env.set, class, &self.bytes[start..end]) {
            self.mask(start, end, rule, quotes);
        }
        self.spans.len() > spans
    }

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
            let to = bytes[at..end].iter().position(|b| matches!(b, b']' | b'\n' | b'"')).map_or(end, |i| at + i);
            // `[Bearer x]` of a Go header map, or `[a, b]` of a flow sequence.
            for part in bytes[at..to].split(|b| matches!(b, b',' | b' ')) {
                let from = part.as_ptr() as usize - bytes.as_ptr() as usize;
                self.judged(class, from, from + part.len(), None);
            }
        } else if at >= end && end < bytes.len() && self.env.format == Format::Toml && self.more {
            self.hold_line(at.min(bytes.len() - 1));
        }
    }

    /// A value between triple quotes.
    fn triple(&mut self, key: Key, class: Class, from: usize, delimiter: &'static [u8]) {
        let Some(end) = self.follow(key.start, from, super::Region::Delimiter(delimiter)) else { return };
        let text = &self.bytes[from..end];
        let start = from + text.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        // A text that is not secret as a whole may still hold a secret.
        if self.masked(class, start, end, None) {
            self.resume = self.resume.max(end);
        }
    }

    /// Words of a recovery phrase.
    fn phrase(&mut self, class: Class, at: usize, line_end: usize) {
        let mut end = at;
        let mut words = 0;
        while end < line_end && words < 30 {
            let len = self.bytes[end..line_end].iter().take_while(|b| b.is_ascii_lowercase()).count();
            if !(3..=8).contains(&len) {
                break;
            }
            end += len;
            words += 1;
            if self.bytes.get(end) != Some(&b' ') {
                break;
            }
            end += 1;
        }
        if words >= 11 {
            while end > at && self.bytes[end - 1] == b' ' {
                end -= 1;
            }
            self.mask(at, end, engine::MNEMONIC, None);
        } else {
            let to = bare_end(self.bytes, at, line_end);
            if !is_prose(self.env.set, self.bytes, at, to, line_end) {
                self.judged(class, at, to, None);
            }
        }
    }

    /// `<password>value</password>`
    fn element(&mut self, key: Key) {
        let from = key.end + 1;
        let rest = &self.bytes[from..key.line.1];
        // `<your-token>` is a placeholder and no element.
        if !rest.contains(&b'<') && rest.first().is_none_or(|b| !b.is_ascii_alphanumeric()) {
            return;
        }
        let to = memchr::memchr(b'<', rest).map_or(key.line.1, |i| from + i);
        let class = self.classify(&self.bytes[key.start..key.end]);
        self.judged(class, from, to, None);
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
        let from = skip_blank(bytes, at, line_end);
        let word = &bytes[key.start..key.end];
        let is = |list: &[&str]| list.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
        if from > at && is(&["requirepass", "masterauth", "chpasswd"])
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
        // `PrivateKey(0x...)`, `private key 0x...`
        if matches!(class, Class::Secret(engine::PRIVATE_KEY) | Class::Hex(_)) {
            let from = at
                + bytes[at..line_end]
                    .iter()
                    .take(3)
                    .take_while(|b| matches!(b, b' ' | b'(' | b'"' | b'\'' | b'['))
                    .count();
            let to = from + bytes[from..line_end].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
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
        self.spoken(key, class, at);
    }

    /// `seed phrase for wallet x is w1 w2 ...`: a run of at least twelve words within reach.
    fn phrase_nearby(&mut self, at: usize, line_end: usize) {
        let bytes = self.bytes;
        let reach = line_end.min(at + 96);
        let mut from = at;
        while from < reach {
            let start_ok = from == 0 || !bytes[from - 1].is_ascii_alphanumeric();
            if start_ok && bytes[from].is_ascii_lowercase() {
                let run = bytes[from..line_end].iter().take_while(|b| b.is_ascii_lowercase() || **b == b' ').count();
                let text = bytes[from..from + run].trim_ascii();
                let words = text.split(|b| *b == b' ').filter(|w| (3..=8).contains(&w.len())).count();
                if words >= 12 {
                    self.mask(from, from + text.len(), engine::MNEMONIC, None);
                }
                if words >= 12 {
                    return;
                }
                from += run;
            }
            from += 1;
        }
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

/// The end of a header's value: the end of the line or of the string around it.
fn header_end(bytes: &[u8], at: usize, line_end: usize) -> usize {
    let mut end = at;
    while end < line_end {
        match bytes[end] {
            b'\r' | b'\'' | b'`' => break,
            b'"' if bytes.get(end.wrapping_sub(1)) != Some(&b'=') => break,
            b'\\' if matches!(bytes.get(end + 1), Some(b'r' | b'n' | b'"' | b'\\')) => break,
            b']' | b'}' => break,
            _ => end += 1,
        }
    }
    end
}

/// Whether a name behind this text is one of an attribute: `<entry a="b" name=`.
pub(super) fn is_attribute(before: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(4 << 10)..];
    memchr::memrchr2(b'<', b'>', near)
        .is_some_and(|at| near[at] == b'<' && near.get(at + 1).is_some_and(u8::is_ascii_alphabetic))
}

/// Whether a line goes on in the next one.
pub(super) fn is_continued(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// The end of a JSON or TOML literal.
fn number_end(bytes: &[u8], at: usize, end: usize) -> usize {
    at + bytes[at..end]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'))
        .count()
}
