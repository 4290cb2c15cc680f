//! Values in sentences: `password for app set to x`, `the new token is x`.

use super::Scan;
use super::keyvalue::{Key, skip_blank};
use super::words::Class;
use crate::redact::rules::engine;

/// Words between the name and the value.
const MAX_WORDS: usize = 5;
/// Lengths of a value.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

impl Scan<'_> {
    /// A value that a sentence names. Only one that no name or word looks like counts, because sentences have many words.
    pub(super) fn spoken(&mut self, key: Key, class: Class, at: usize) {
        let free = class == Class::Secret(engine::PASSWORD);
        if !free && !matches!(class, Class::Secret(engine::TOKEN | engine::SECRET | engine::API_KEY)) {
            return;
        }
        let (bytes, line_end) = (self.bytes, key.line.1);
        let mut at = at;
        let mut says = false;
        for _ in 0..=MAX_WORDS {
            let start = skip_blank(bytes, at, line_end);
            if start == at {
                return;
            }
            let len = bytes[start..line_end].iter().take_while(|b| !b.is_ascii_whitespace()).count();
            let (from, to) = bare(bytes, start, start + len);
            let word = &bytes[from..to];
            if is_made_up(word) {
                if free || says {
                    self.judged(class, from, to, None);
                }
                return;
            }
            let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'));
            let goes_on = matches!(bytes[start..start + len].last(), Some(b'a'..=b'z' | b':' | b'\'' | b'"' | b'`'));
            if !plain || !goes_on {
                return;
            }
            says = matches!(word, b"is" | b"was");
            if !free && !says {
                return;
            }
            at = start + len;
        }
    }
}

/// A word without the marks around it.
fn bare(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    let mark = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b'(' | b')' | b'.' | b',' | b';' | b':' | b'!' | b'\\');
    let front = bytes[start..end].iter().take_while(|b| mark(b)).count();
    let back = bytes[start + front..end].iter().rev().take_while(|b| mark(b)).count();
    (start + front, end - back)
}

/// Whether a word is one that nobody would say: letters of both cases with digits among them.
fn is_made_up(word: &[u8]) -> bool {
    let any = |f: fn(&u8) -> bool| word.iter().any(f);
    let plain =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'!' | b'#' | b'$' | b'%' | b'*' | b'+' | b'?' | b'@' | b'_');
    let turns = word.windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
    LENGTHS.contains(&word.len())
        && word.iter().all(plain)
        && !word.starts_with(b"0x")
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_digit)
        && turns >= 2
}
