//! Recovery phrases that nothing announces: twelve or more words of the BIP-39 list whose checksum is right.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Scan;
use super::value::{bare_end, is_prose};
use super::words::Class;
use crate::redact::rules::engine;

/// The English list of BIP-39 (MIT): 2,048 words, sorted.
const LIST: &str = include_str!("bip39.txt");
/// Numbers of words that a phrase can have, longest first.
const COUNTS: [usize; 5] = [24, 21, 18, 15, 12];
/// A phrase of twelve words of three letters is longer than this, so one in so many bytes is looked at.
const STRIDE: usize = 44;
/// Longest run that is looked at.
const MAX_RUN: usize = 4 << 10;

fn words() -> &'static [&'static str] {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WORDS.get_or_init(|| LIST.lines().collect())
}

/// What a phrase is made of: lower-case words, and what stands between them on one line.
const RUN: [bool; 256] = {
    let mut run = [false; 256];
    let mut b = 0;
    while b < 256 {
        run[b] = (b as u8).is_ascii_lowercase() || matches!(b as u8, b' ' | b',' | b'"' | b'\'');
        b += 1;
    }
    run
};

fn in_run(b: u8) -> bool {
    RUN[usize::from(b)]
}

impl Scan<'_> {
    /// Words of a recovery phrase.
    pub(super) fn phrase(&mut self, class: Class, at: usize, line_end: usize) {
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

    /// `seed phrase for wallet x is w1 w2 ...`: a run of at least twelve words within reach.
    pub(super) fn phrase_nearby(&mut self, at: usize, line_end: usize) {
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

    /// Looks for phrases in everything that was scanned.
    pub(super) fn phrases(&mut self) {
        let bytes = self.bytes;
        let end = self.outcome.hold.unwrap_or(bytes.len());
        let mut at = STRIDE - 1;
        while at < end {
            if !in_run(bytes[at]) {
                at += STRIDE;
                continue;
            }
            let floor = at.saturating_sub(MAX_RUN);
            let start = bytes[floor..at].iter().rposition(|b| !in_run(*b)).map_or(floor, |i| floor + i + 1);
            let stop = at + bytes[at..].iter().take(MAX_RUN).take_while(|b| in_run(**b)).count();
            if stop - start > STRIDE {
                self.phrases_in(start, stop);
            }
            at = stop + STRIDE;
        }
    }

    fn phrases_in(&mut self, start: usize, stop: usize) {
        // Index in the list and place of each word of an unbroken row.
        let mut row: Vec<(u16, usize, usize)> = Vec::new();
        let mut at = start;
        while at < stop {
            let len = self.bytes[at..stop].iter().take_while(|b| b.is_ascii_lowercase()).count();
            if len == 0 {
                at += 1;
                continue;
            }
            match index(&self.bytes[at..at + len]) {
                Some(index) => row.push((index, at, at + len)),
                None => {
                    self.row(&row);
                    row.clear();
                }
            }
            at += len;
        }
        self.row(&row);
    }

    fn row(&mut self, row: &[(u16, usize, usize)]) {
        let mut from = 0;
        while from + 12 <= row.len() {
            let found = COUNTS.iter().find(|n| row.get(from..from + **n).is_some_and(is_phrase));
            if let Some(count) = found {
                self.mask(row[from].1, row[from + count - 1].2, engine::MNEMONIC, None);
                from += count;
            } else {
                from += 1;
            }
        }
    }
}

fn index(word: &[u8]) -> Option<u16> {
    if !(3..=8).contains(&word.len()) {
        return None;
    }
    let at = words().binary_search_by(|w| w.as_bytes().cmp(word)).ok()?;
    u16::try_from(at).ok()
}

/// Whether the last bits of the last word are the checksum of the others.
fn is_phrase(row: &[(u16, usize, usize)]) -> bool {
    let mut bits = Zeroizing::new([0_u8; 33]);
    for (i, (index, _, _)) in row.iter().enumerate() {
        for bit in 0..11 {
            let at = i * 11 + bit;
            bits[at / 8] |= u8::from(index >> (10 - bit) & 1 == 1) << (7 - at % 8);
        }
    }
    // 32 bits of entropy for each three words, and one bit of checksum for each 32.
    let entropy = row.len() / 3 * 4;
    let check = row.len() / 3;
    let hash = Sha256::digest(&bits[..entropy]);
    let mask = 0xff_u8 << (8 - check);
    bits[entropy] & mask == hash[0] & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> bool {
        let row: Option<Vec<_>> = text.split(' ').map(|w| index(w.as_bytes()).map(|i| (i, 0, 0))).collect();
        row.is_some_and(|row| is_phrase(&row))
    }

    #[test]
    fn the_list_is_the_list() {
        assert_eq!(words().len(), 2_048);
        assert!(words().is_sorted());
        assert!(words().iter().all(|w| (3..=8).contains(&w.len())));
    }

    #[test]
    fn checksums_decide() {
        let zeros = |n: usize, last: &str| format!("{}{last}", "abandon ".repeat(n));
        assert!(phrase(&zeros(11, "about")));
        assert!(phrase(&zeros(23, "art")));
        assert!(phrase("legal winner thank year wave sausage worth useful legal winner thank yellow"));
        assert!(!phrase(&zeros(11, "zoo")));
    }
}
