//! The value behind a name and its separator.

use super::Scan;
use super::keyvalue::{Key, skip_blank};
use super::value::{bare_end, close_of, is_literal, is_prose, judge, line_value_end, looks_random, quote_at};
use super::words::Class;
use crate::redact::Format;
use crate::redact::rules::engine;
use crate::redact::span::Quotes;

/// Longest text in quotes whose beginning is looked for.
const TEXT_MAX: usize = 1 << 10;

impl Scan<'_> {
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

    /// The end of a header's value; one inside of another ends where that one does.
    fn header_end(&mut self, at: usize, line_end: usize) -> usize {
        let (begin, end, of) = self.memory.header;
        if of != line_end || !(begin..end).contains(&at) {
            self.memory.header = (at, header_end(self.bytes, at, line_end), line_end);
            self.spend(self.memory.header.1 - at);
        }
        self.memory.header.1
    }

    /// The value behind a separator.
    pub(super) fn value(&mut self, key: Key, class: Class, at: usize, sign: u8) {
        let bytes = self.bytes;
        let line_end = key.line.1;
        if let Some((close, behind)) = self.ends_text(key, at) {
            // `{"Enter password:": "x"}`: the text is the name.
            if self.bytes.get(behind) == Some(&b':') {
                let at = skip_blank(self.bytes, behind + 1, key.line.1);
                self.value(Key { quotes: Some(close), ..key }, class, at, b':');
            }
            return;
        }
        if sign == b'=' && self.heredoc(key, class, at) {
            return;
        }
        if at >= line_end {
            self.below(key, class);
        }
        let leads = self.leads_line(key);
        if leads
            && self.env.format == Format::Env
            && is_continued(&bytes[at..line_end])
            && !follows_setting(bytes, line_end)
        {
            return self.continued(key, class, at);
        }
        if leads && sign == b':' && (self.env.format == Format::Yaml || self.block_follows(at, line_end)) {
            return self.yaml_value(key, class, at);
        }
        if class == Class::Secret(engine::COOKIE) || class == Class::Secret(engine::AUTHORIZATION) {
            let at = if bytes.get(at) == Some(&b'[') { at + 1 } else { at };
            let (from, to) = match quote_at(bytes, at, line_end) {
                Some((open, from)) => {
                    // A quote that ends the line closes it, whatever stands in front.
                    let last = bytes[from..line_end].trim_ascii_end();
                    let to = from + last.strip_suffix(&[open.quote]).unwrap_or(last).len();
                    (from, self.closing(key, sign, from, open).unwrap_or(to))
                }
                None => (at, self.header_end(at, line_end)),
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
                Format::Toml => Some(Quotes { level: 0, quote: b'"' }).filter(|_| leads || self.begins_pair(key)),
                _ => key.quotes.filter(|q| sign == b':' && q.quote == b'"'),
            };
            // In the text of a string of TOML the list ends with it.
            let text = self.env.format == Format::Toml && bare.is_none();
            let end = if text { self.clipped(at + 1, line_end) } else { line_end };
            return self.array(class, at + 1, end, bare);
        }
        if class == Class::Secret(engine::MNEMONIC) || class == Class::Weak(engine::MNEMONIC) {
            return self.phrase(class, at, line_end);
        }
        if bytes.get(at).is_some_and(|b| matches!(b, b'{' | b'&')) && sign == b':' {
            return;
        }
        let loud = bytes[key.start..key.end].iter().all(|b| !b.is_ascii_lowercase());
        let tight = sign == b'=' && at == key.end + 1 && leads;
        let whole_line = leads
            && key.quotes.is_none()
            && (self.env.format == Format::Env
                || (tight && loud)
                || (sign == b':' && class == Class::Secret(engine::PASSWORD)));
        let to = if whole_line { line_value_end(bytes, at, line_end) } else { self.bare_end(at, line_end) };
        if self.crowded(class, at, to) {
            return;
        }
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
        let literal = is_literal(self.env.format, &bytes[at..end]);
        self.judged(class, at, end, quotes.filter(|_| literal));
    }

    /// Whether the quote behind a name and its sign ends the text that the name stands in, as in `"prompt":"Password:","next"`.
    /// The text has to begin and to end where texts of a list or an object do, so a value is never taken for it.
    /// Gives the quote, and the mark behind it.
    fn ends_text(&self, key: Key, at: usize) -> Option<(Quotes, usize)> {
        let (bytes, (line_start, line_end)) = (self.bytes, key.line);
        if key.quotes.is_some() {
            return None;
        }
        let (close, after) = quote_at(bytes, at, line_end)?;
        let mark = skip_blank(bytes, after, line_end);
        if close.quote == b'`' || mark >= line_end || !matches!(bytes[mark], b',' | b'}' | b']' | b':') {
            return None;
        }
        let level = usize::from(close.level);
        let from = line_start.max(key.start.saturating_sub(TEXT_MAX));
        let open = from + memchr::memrchr(close.quote, &bytes[from..key.start])?;
        let slashes = bytes[from..open].iter().rev().take_while(|b| **b == b'\\').count();
        let front = bytes[from..open - slashes].trim_ascii_end();
        let begins: &[u8] = if bytes[mark] == b':' { b",{" } else { b":,[{" };
        (slashes == level && front.last().is_some_and(|b| begins.contains(b))).then_some((close, mark))
    }

    /// Where the quotes are closed that a value stands in. A backslash is no escape in an attribute of XML.
    fn closing(&self, key: Key, sign: u8, from: usize, open: Quotes) -> Option<usize> {
        let (bytes, (line_start, line_end)) = (self.bytes, key.line);
        if open.level == 0 && sign == b'=' && element_around(&bytes[line_start..key.start]).is_some() {
            return memchr::memchr(open.quote, &bytes[from..line_end]).map(|i| from + i);
        }
        close_of(bytes, from, line_end, open)
    }

    /// A value whose quote is not closed on its line: the line is cut off, the value goes on behind it, or it is a bare one
    /// that begins with a quote.
    fn unclosed(&mut self, key: Key, class: Class, from: usize, open: Quotes, leads: bool) {
        let bytes = self.bytes;
        let line_end = key.line.1;
        self.spend(line_end - from);
        // Nothing but a comment may stand behind the end of a value.
        let is_last = |at: usize| {
            let stop = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i);
            let behind = bytes[at + 1..stop].trim_ascii_end();
            behind.is_empty() || (behind[0].is_ascii_whitespace() && behind.trim_ascii_start().starts_with(b"#"))
        };
        if leads && open.level == 0 && open.quote != b'`' && self.env.format == Format::Env {
            // A backslash is no escape where the line ends behind the quote: `password='\'`.
            let close = bytes[from..line_end].iter().rposition(|b| *b == open.quote).map(|i| from + i);
            let ends =
                |at: usize| is_last(at) && (open.quote == b'\'' || bytes[at + 1..line_end].trim_ascii().is_empty());
            if let Some(to) = close.filter(|at| ends(*at)) {
                return self.judged(class, from, to, None);
            }
            let Some(to) = self.quoted_end(from, open.quote) else { return self.hold_line(key.start) };
            // With blanks in front of the quote only some readers go on.
            let tight = bytes[key.end..from].first() == Some(&b'=') && from - key.end == 2;
            let goes_on = tight || !follows_setting(bytes, line_end);
            if goes_on && to < bytes.len() && bytes[to] == open.quote && is_last(to) {
                if memchr::memchr(b'\n', &bytes[to..]).is_none() && self.more {
                    return self.hold_line(key.start);
                }
                if self.masked(class, from, to, None) {
                    self.resume = self.resume.max(to);
                }
                return;
            }
        }
        let to = if leads { line_end } else { self.bare_end(from, line_end) };
        if !self.crowded(class, from, to) {
            self.judged(class, from, to, None);
        }
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

    /// Masks a long value that shares its end with many others, unseen, because a look at each of them would cost the
    /// square of their number; says whether it is such a one.
    pub(super) fn crowded(&mut self, class: Class, start: usize, end: usize) -> bool {
        let crowded = self.is_crowded(start, end);
        if crowded {
            match class {
                Class::Secret(rule) | Class::Weak(rule) | Class::Hex(rule) => self.mask(start, end, rule, None),
                Class::Directory => self.mask(start, end, engine::PASSWORD, None),
                Class::Benign => {}
            }
        }
        crowded
    }

    /// `Password:` with the value alone on the next line, as a prompt or a form leaves it: one word that people do not write.
    pub(super) fn below(&mut self, key: Key, class: Class) {
        let Class::Secret(rule) = class else { return };
        let bytes = self.bytes;
        let line_end = key.line.1;
        if matches!(self.env.format, Format::Json | Format::Toml) || bytes.get(line_end) == Some(&0) {
            return;
        }
        let Some(rest) = bytes.get(line_end + 1..) else {
            if self.more {
                self.hold_line(key.start);
            }
            return;
        };
        let Some(len) = memchr::memchr2(b'\n', 0, rest).or((!self.more).then_some(rest.len())) else {
            return self.hold_line(key.start);
        };
        let word = rest[..len].trim_ascii();
        let from = word.as_ptr() as usize - bytes.as_ptr() as usize;
        if self.env.set.without_own(word).is_some() {
            return;
        }
        let any = |f: fn(&u8) -> bool| word.iter().any(f);
        let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
        let odd = word.iter().any(|b| matches!(b, b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'~' | b'?' | b'@'));
        let plain = word.iter().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b':' | b'=' | b'/' | b'"' | b'<' | b'>' | b'(' | b'[' | b'{')
        });
        let begins = word.first().is_some_and(|b| !matches!(b, b'-' | b'#' | b'$' | b'*'));
        let enough = match rule {
            engine::PASSWORD => word.len() >= 6 && (mixed || odd || word.iter().all(u8::is_ascii_alphanumeric)),
            _ => word.len() >= 16 && mixed && !word.contains(&b'.'),
        };
        if plain && begins && enough && word.len() <= 128 && looks_random(word, 6) {
            self.judged(class, from, from + word.len(), None);
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
        self.spend_value(start, end);
        let spans = self.spans.len();
        if let Some(rule) = judge(self.env.set, class, &self.bytes[start..end]) {
            self.mask(start, end, rule, quotes);
        }
        self.spans.len() > spans
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

/// The element that a name behind this text is an attribute of: `<entry a="b" name=`.
pub(super) fn element_around(before: &[u8]) -> Option<&[u8]> {
    let near = &before[before.len().saturating_sub(4 << 10)..];
    let at = memchr::memrchr2(b'<', b'>', near)?;
    let inside = near[at..].strip_prefix(b"<")?;
    let name = inside.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    inside.first().is_some_and(u8::is_ascii_alphabetic).then_some(name)
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

/// Whether a line is a setting of its own, so that it goes on with nothing above it: `  name=value`, and no base64.
pub(super) fn begins_setting(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let name =
        line.iter().take(160).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
    let value = line[name..].trim_ascii_start();
    name > 0
        && matches!(value.first(), Some(b'=' | b':'))
        && value.get(1).is_some_and(|b| !matches!(b, b'=' | b'\r' | b'\n'))
}

/// Whether the line behind a backslash is a setting at the margin: for a reader of dotenv files nothing goes on there.
fn follows_setting(bytes: &[u8], line_end: usize) -> bool {
    let next = bytes.get(line_end + 1..).unwrap_or_default();
    let next = next.strip_prefix(b"export ").unwrap_or(next);
    let stop = memchr::memchr(b'\n', next).unwrap_or(next.len());
    // A name without a value; base64 ends in the same sign.
    let bare = next[..stop].trim_ascii_end().strip_suffix(b"=").is_some_and(|name| {
        let base64 = name.len() >= 8 && name.len() % 4 == 3 && name.iter().all(u8::is_ascii_alphanumeric);
        !name.is_empty() && !base64 && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    });
    !next.first().is_none_or(u8::is_ascii_whitespace) && (bare || begins_setting(next))
}
