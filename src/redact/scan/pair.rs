//! Pairs of name and value, in any order: `{"name":"DB_PASSWORD","value":"x"}`.

use super::keyvalue::{Key, skip_blank};
use super::region::indent;
use super::setting::element_around;
use super::value::{bare_end, close_of, is_literal, judge, quote_at};
use super::words::Class;
use super::{LOOKAHEAD, Scan};
use crate::redact::Format;
use crate::redact::span::Quotes;

const NAMES: [&str; 4] = ["name", "key", "field", "header"];
const VALUES: [&str; 3] = ["value", "val", "default"];
/// Lines with a colon that may stand between the name and the value. Others, such as those of a key, become fewer where
/// they are replaced.
const MAX_LINES: usize = 12;
/// Lines that may stand there at all.
const MAX_ALL: usize = 256;
/// Bytes of a line that are searched for the braces around its names, all names together.
const MAX_SEARCHED: usize = 4 << 20;
/// How often a line may be searched as a whole for the braces around its names.
const SEARCHES: usize = 8;
/// How far they are searched for afterwards.
const NEAR: usize = 512;

impl Scan<'_> {
    /// Whether the name around the hit is the value of `name:` or `key=`.
    pub(super) fn is_pair_name(&self, key: Key) -> bool {
        let bytes = self.bytes;
        let mut at = key.start - key.quotes.map_or(0, |q| usize::from(q.level) + 1);
        let back = |mut at: usize| {
            while at > key.line.0 && matches!(bytes[at - 1], b' ' | b'\t') {
                at -= 1;
            }
            at
        };
        at = back(at);
        if at == key.line.0 || !matches!(bytes[at - 1], b':' | b'=') {
            return false;
        }
        at = back(at - 1);
        while at > key.line.0 && matches!(bytes[at - 1], b'"' | b'\'' | b'\\') {
            at -= 1;
        }
        NAMES.iter().any(|n| at >= key.line.0 + n.len() && bytes[at - n.len()..at].eq_ignore_ascii_case(n.as_bytes()))
    }

    pub(super) fn pair(&mut self, key: Key) {
        let class = self.classify(&self.bytes[key.start..key.end]);
        if class == Class::Benign {
            return;
        }
        let bytes = self.bytes;
        let (from, to) = self.object_around(key);
        if self.value_in(class, from, key.start) || self.value_in(class, key.end, to) {
            return;
        }
        // `<entry key="password">x</entry>`
        if let (Some(quotes), Some(element)) = (key.quotes, element_around(&bytes[key.line.0..key.start])) {
            return self.tag(key, class, element, key.end + usize::from(quotes.level) + 1);
        }
        if to < key.line.1 {
            return;
        }
        self.value_below(key, class);
    }

    /// The braces around a pair on its line, or the line.
    fn object_around(&mut self, key: Key) -> (usize, usize) {
        let bytes = self.bytes;
        if self.memory.searched.1 != key.line.1 {
            self.memory.searched = (0, key.line.1);
        }
        // Names whose braces are far away, one beside the other, are searched for less and less far.
        let most = MAX_SEARCHED.min(SEARCHES * (key.line.1 - key.line.0));
        let reach = if self.memory.searched.0 > most { NEAR } else { LOOKAHEAD };
        let floor = key.line.0.max(key.start.saturating_sub(reach));
        let roof = key.line.1.min(key.end + reach);
        let mut depth = 0_i32;
        let masked = self.masked_in(floor, key.start);
        let from = (floor..key.start)
            .rev()
            .find(|i| {
                // A brace that is replaced with a secret opens nothing.
                let brace = matches!(bytes[*i], b'}' | b'>' | b'{' | b'<') && {
                    self.spend(masked.len());
                    !masked.iter().any(|(start, end)| (*start..*end).contains(i))
                };
                if brace {
                    depth += if matches!(bytes[*i], b'}' | b'>') { 1 } else { -1 };
                }
                depth < 0
            })
            .unwrap_or(floor);
        depth = 0;
        // An angle closes only what an angle has opened: elsewhere it is an arrow or a value.
        let angles = bytes[from] == b'<';
        let to = (key.end..roof)
            .find(|i| {
                depth += match bytes[*i] {
                    b'{' => 1,
                    b'}' => -1,
                    b'<' if angles => 1,
                    b'>' if angles => -1,
                    _ => 0,
                };
                depth < 0
            })
            .unwrap_or(roof);
        self.memory.searched.0 += to - from;
        self.spend(to - from);
        (from, to)
    }

    /// What is masked already between two places.
    fn masked_in(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        self.spans.iter().filter(|s| s.start < to && s.end > from).map(|s| (s.start, s.end)).collect()
    }

    /// Masks `value: x` between two offsets of one line; says whether there was one.
    pub(super) fn value_in(&mut self, class: Class, from: usize, to: usize) -> bool {
        let bytes = self.bytes;
        let mut at = from;
        let mut masked = None;
        while at < to {
            self.spend(8);
            let Some(i) = bytes[at..to].iter().position(|b| matches!(b, b'v' | b'V' | b'd' | b'D')) else {
                return false;
            };
            at += i;
            let word = VALUES.iter().find(|w| {
                bytes[at..to].get(..w.len()).is_some_and(|t| t.eq_ignore_ascii_case(w.as_bytes()))
                    && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric())
            });
            let mut replaced = || {
                let masked = masked.get_or_insert_with(|| self.masked_in(from, to));
                self.spend(masked.len());
                masked.iter().any(|(start, end)| (*start..*end).contains(&at))
            };
            let Some(word) = word.filter(|_| !replaced()) else {
                at += 1;
                continue;
            };
            let mut sign = at + word.len();
            let key_quote = quote_at(bytes, sign, to);
            if let Some((_, after)) = key_quote {
                sign = after;
            }
            sign = skip_blank(bytes, sign, to);
            if sign >= to || !matches!(bytes[sign], b':' | b'=') {
                at += word.len();
                continue;
            }
            let start = skip_blank(bytes, sign + 1, to);
            let quoted = quote_at(bytes, start, to).and_then(|(open, start)| {
                let attribute =
                    bytes[sign] == b'=' && open.level == 0 && element_around(&bytes[self.line_of(at).0..at]).is_some();
                let end = if attribute {
                    memchr::memchr(open.quote, &bytes[start..to]).map(|i| start + i)
                } else {
                    close_of(bytes, start, to, open)
                };
                Some((start, end?))
            });
            let toml = Some(Quotes { level: 0, quote: b'"' }).filter(|_| self.env.format == Format::Toml);
            if let Some((start, end)) = quoted {
                self.judged(class, start, end, None);
            } else if bytes.get(start) == Some(&b'[') {
                self.array(class, start + 1, to, key_quote.map(|(q, _)| q).filter(|q| q.quote == b'"').or(toml));
            } else if bytes.get(start) != Some(&b'{') {
                let end = bare_end(bytes, start, to);
                let literal = is_literal(self.env.format, &bytes[start..end]);
                self.judged(class, start, end, key_quote.map(|(q, _)| q).or(toml).filter(|_| literal));
            }
            return true;
        }
        false
    }

    /// At `value:` that leads a line: the name may stand on one of the next lines, at the same depth.
    pub(super) fn value_above(&mut self, at: usize) {
        let bytes = self.bytes;
        let (start, line_end) = self.line_of(at);
        let head = &bytes[start..at];
        let columns = columns(head);
        if !matches!(&head[columns..], b"" | b"\"") || self.paired.is_some_and(|paired| paired.0 == start) {
            return;
        }
        let Some(class) = self.name_below(at, (floor(head), columns), line_end + 1) else { return };
        if class == Class::Benign {
            return;
        }
        let end = at + b"value".len();
        let quotes = quote_at(bytes, end, line_end).map(|(q, _)| q);
        let sign = end + usize::from(quotes.is_some());
        if bytes.get(sign) != Some(&b':') {
            return;
        }
        let key = Key { start: at, end, dashes: 0, quotes, line: (start, line_end) };
        let saved = self.line;
        self.value(key, class, skip_blank(bytes, sign + 1, line_end), b':');
        self.line = saved;
        // The name must still be there when the value is looked at again.
        if self.outcome.hold.is_some() {
            self.hold_line(at);
        }
    }

    /// The class of the name that follows a value; none when there is none, or when more bytes are needed first.
    fn name_below(&mut self, at: usize, (floor, columns): (usize, usize), from: usize) -> Option<Class> {
        let bytes = self.bytes;
        let mut next = from;
        let mut lines = 0;
        while lines < MAX_LINES && next.saturating_sub(at) < LOOKAHEAD {
            let rest = bytes.get(next..).unwrap_or_default();
            let Some(len) = memchr::memchr(b'\n', rest).or((!self.more).then_some(rest.len())) else {
                self.hold_line(at);
                return None;
            };
            let text = rest[..len].trim_ascii();
            let depth = indent(&rest[..len]);
            // Deeper lines belong to the value.
            if !text.is_empty() && depth <= columns {
                if depth < floor || text.starts_with(b"- ") || matches!(text[0], b'}' | b']') {
                    return None;
                }
                lines += usize::from(text.contains(&b':'));
                if let Some(name) = name_in(text) {
                    return Some(self.classify(name));
                }
            }
            next += len + 1;
            if rest.is_empty() && !self.more {
                return None;
            }
        }
        None
    }

    /// The value on one of the next lines, at the depth of the name.
    fn value_below(&mut self, key: Key, class: Class) {
        let bytes = self.bytes;
        let line = &bytes[key.line.0..key.line.1];
        let (floor, columns) = (floor(line), columns(line));
        let mut at = key.line.1 + 1;
        let (mut lines, mut all) = (0, 0);
        while lines < MAX_LINES && all < MAX_ALL && at - key.line.1 < LOOKAHEAD {
            let Some(rest) = bytes.get(at..) else { break };
            let Some(len) = memchr::memchr(b'\n', rest).or((!self.more).then_some(rest.len())) else {
                return self.hold_line(key.start);
            };
            let next = &rest[..len];
            let text = next.trim_ascii();
            if !text.is_empty() {
                let depth = indent(next);
                let table = self.env.format == Format::Toml && text.starts_with(b"[");
                if depth < floor || text.starts_with(b"- ") || text.starts_with(b"}") || table {
                    return;
                }
                let quoted = text.strip_prefix(b"\"").unwrap_or(text);
                if (floor..=columns).contains(&depth) && VALUES.iter().any(|v| quoted.starts_with(v.as_bytes())) {
                    self.paired = Some((at, key.line.0));
                    let saved = self.line;
                    let word_end = at + depth;
                    let block = memchr::memchr(b':', next).is_some_and(|i| self.block_follows(at + i + 1, at + len));
                    if block {
                        let Some(end) =
                            self.follow(key.start, (at + len + 1).min(bytes.len()), super::Region::Indent(columns))
                        else {
                            return;
                        };
                        let body = bytes[(at + len + 1).min(end)..end].trim_ascii();
                        if !body.is_empty() && !body.starts_with(b"-----BEGIN ") {
                            let start = body.as_ptr() as usize - bytes.as_ptr() as usize;
                            if self.masked(class, start, start + body.len(), None) {
                                self.skip = (start, start + body.len());
                            }
                        }
                        return;
                    }
                    if self.env.format == Format::Yaml && !text.starts_with(b"\"") {
                        let sign = memchr::memchr(b':', next).map_or(len, |i| i + 1);
                        let start = skip_blank(bytes, at + sign, at + len);
                        let below = Key {
                            start: word_end,
                            end: at + sign.saturating_sub(1),
                            dashes: 0,
                            quotes: None,
                            line: (at, at + len),
                        };
                        if judge(self.env.set, class, &bytes[start..at + len]).is_some() {
                            self.yaml_value(below, class, start);
                            // The name must still be there when the value is looked at again.
                            if self.outcome.hold.is_some() {
                                self.hold_line(key.start);
                            }
                        }
                        return;
                    }
                    self.value_in(class, word_end, at + len);
                    self.line = saved;
                    return;
                }
            }
            lines += usize::from(text.contains(&b':'));
            all += 1;
            at += len + 1;
        }
        if at >= bytes.len() && self.more {
            self.hold_line(key.start);
        }
    }
}

/// The column in which the first name of a line stands, behind a dash or a brace.
fn columns(line: &[u8]) -> usize {
    line.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'-' | b'{')).count()
}

/// The least column of the other names beside it. Behind a brace they may stand anywhere.
fn floor(line: &[u8]) -> usize {
    let columns = columns(line);
    if line[..columns].contains(&b'{') { 0 } else { columns }
}

/// The name in `name: DB_PASSWORD` or `"name": "DB_PASSWORD",`.
fn name_in(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let word = NAMES.iter().find(|n| text.get(..n.len()).is_some_and(|t| t.eq_ignore_ascii_case(n.as_bytes())))?;
    let rest = &text[word.len()..];
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest).trim_ascii_start().strip_prefix(b":")?.trim_ascii();
    let rest = rest.strip_suffix(b",").unwrap_or(rest);
    // The object may end behind its name.
    let rest = rest.strip_suffix(b"}").unwrap_or(rest).trim_ascii_end();
    let quoted = rest.len() >= 2 && matches!(rest[0], b'"' | b'\'') && rest.last() == rest.first();
    let name = if quoted { &rest[1..rest.len() - 1] } else { rest };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':');
    (!name.is_empty() && name.len() <= 160 && name.iter().all(plain)).then_some(name)
}
