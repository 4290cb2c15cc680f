//! What HCL and shells have beyond settings: texts of several lines behind `<<EOF`, and `variable "db_password" { default = "x" }`.

use super::keyvalue::{Key, skip_blank};
use super::words::Class;
use super::{LOOKAHEAD, Region, Scan};
use crate::redact::Format;

/// Longest word that ends a text.
const MAX_WORD: usize = 64;
/// Lines of a block that are searched for its default.
const MAX_LINES: usize = 64;

impl Scan<'_> {
    /// A text behind `<<EOF`, `<<-EOF`, `<<~'EOF'` or `$(cat <<EOF`; says whether one begins here.
    pub(super) fn heredoc(&mut self, key: Key, class: Class, at: usize) -> bool {
        let line_end = key.line.1;
        let Some(word) = ending_word(&self.bytes[at..line_end]) else { return false };
        // In files of settings it is rather a value, unless it is such a word as everybody takes.
        let usual = word.len() > 2 && word.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
        if self.env.format == Format::Env && !usual {
            return false;
        }
        let from = (line_end + 1).min(self.bytes.len());
        let Some(stop) = self.follow(key.start, from, Region::Heredoc(word.to_vec())) else { return true };
        let text = &self.bytes[from..stop];
        let end = from + text.trim_ascii_end().len();
        let start = end - text.trim_ascii().len();
        if self.masked(class, start, end, None) {
            self.skip = (start, end);
        }
        true
    }

    /// The default of a variable whose name is the label of a block; says whether the name is one.
    pub(super) fn variable(&mut self, key: Key, at: usize) -> bool {
        let bytes = self.bytes;
        let (line_start, line_end) = key.line;
        let Some(quotes) = key.quotes.filter(|q| q.level == 0) else { return false };
        let head = bytes[line_start..key.start - 1].trim_ascii();
        let open = skip_blank(bytes, at, line_end);
        if quotes.quote != b'"' || head != b"variable" || bytes.get(open) != Some(&b'{') {
            return false;
        }
        let class = self.classify(&bytes[key.start..key.end]);
        if class == Class::Benign {
            return true;
        }
        if !bytes[open + 1..line_end].trim_ascii().is_empty() {
            self.value_in(class, open + 1, line_end);
            return true;
        }
        let mut next = line_end + 1;
        for _ in 0..MAX_LINES {
            let rest = bytes.get(next..).unwrap_or_default();
            if next - line_end > LOOKAHEAD || rest.is_empty() && !self.more {
                return true;
            }
            let Some(len) = memchr::memchr(b'\n', rest).or((!self.more).then_some(rest.len())) else {
                self.hold_line(key.start);
                return true;
            };
            let text = rest[..len].trim_ascii_start();
            if text.starts_with(b"}") {
                return true;
            }
            let start = next + len - text.len();
            let end = start + b"default".len();
            let sign = skip_blank(bytes, end, next + len);
            if text.starts_with(b"default") && bytes.get(sign) == Some(&b'=') {
                let below = Key { start, end, dashes: 0, quotes: None, line: (next, next + len) };
                let saved = self.line;
                self.value(below, class, skip_blank(bytes, sign + 1, next + len), b'=');
                self.line = saved;
                // The name must still be there when the value is looked at again.
                if self.outcome.hold.is_some() {
                    self.hold_line(key.start);
                }
                return true;
            }
            next += len + 1;
        }
        true
    }
}

/// The word that ends the text which begins on the next line.
fn ending_word(value: &[u8]) -> Option<&[u8]> {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_prefix(b"$(cat ").or(value.strip_prefix(b"`cat ")).unwrap_or(value);
    let rest = value.strip_prefix(b"<<")?;
    let rest = rest.strip_prefix(b"-").or(rest.strip_prefix(b"~")).unwrap_or(rest).trim_ascii();
    let quoted = rest.len() > 2 && matches!(rest[0], b'"' | b'\'') && rest.first() == rest.last();
    let word = if quoted { &rest[1..rest.len() - 1] } else { rest };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let begins = word.first().is_some_and(|b| plain(b) && !b.is_ascii_digit());
    (begins && word.len() <= MAX_WORD && word.iter().all(plain)).then_some(word)
}
