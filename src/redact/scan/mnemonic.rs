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
/// A phrase of twelve words of three letters is longer than this.
const SHORTEST: usize = 44;
/// Where eight bytes are looked at every so many, a phrase covers one such place, and the middle between it and a neighbour.
const STRIDE: usize = 36;
const MIDDLE: usize = STRIDE / 2;
/// Fewest words of a phrase, and how long each of them is.
const FEWEST: usize = 12;
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=8;
/// Longest run that is looked at.
const MAX_RUN: usize = 4 << 10;

fn words() -> &'static [&'static str] {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WORDS.get_or_init(|| LIST.lines().collect())
}

/// A bit that what a phrase is made of has not: lower-case words, and what stands between them on one line.
const OTHER: [u8; 256] = {
    let mut other = [1; 256];
    let mut b = 0;
    while b < 256 {
        if (b as u8).is_ascii_lowercase() || matches!(b as u8, b' ' | b',' | b'"' | b'\'') {
            other[b] = 0;
        }
        b += 1;
    }
    other
};

fn in_run(b: u8) -> bool {
    OTHER[usize::from(b)] == 0
}

/// Whether eight bytes are those of a run or, in their stead, a few other signs.
fn may_be_words(eight: u64) -> bool {
    let each = |bit: u8| u64::from_ne_bytes([bit; 8]);
    // Of 0x20 to 0x2f and 0x60 to 0x7f: the fifth bit is set, and the fourth only beside the sixth.
    let other = eight & each(0x80) | !eight & each(0x20) | eight & !(eight >> 2) & each(0x10);
    other == 0
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
        let glance = |at: usize| {
            let eight = bytes[..end].get(at..).and_then(<[u8]>::first_chunk::<8>);
            eight.is_some_and(|eight| may_be_words(u64::from_le_bytes(*eight)))
        };
        let mut at = 0;
        while at + 8 <= end {
            let near = || glance(at + MIDDLE) || at >= MIDDLE && glance(at - MIDDLE);
            if !(glance(at) && near() && bytes[at..at + 8].iter().all(|b| in_run(*b))) {
                at += STRIDE;
                continue;
            }
            let floor = at.saturating_sub(MAX_RUN);
            let start = bytes[floor..at].iter().rposition(|b| !in_run(*b)).map_or(floor, |i| floor + i + 1);
            let stop = at + bytes[at..].iter().take(MAX_RUN).take_while(|b| in_run(**b)).count();
            if stop - start > SHORTEST {
                self.phrases_in(start, stop);
            }
            at = stop;
        }
    }

    fn phrases_in(&mut self, start: usize, stop: usize) {
        // The words of an unbroken row whose length is right.
        let mut row: Vec<(usize, usize)> = Vec::new();
        let mut at = start;
        while at < stop {
            let len = self.bytes[at..stop].iter().take_while(|b| b.is_ascii_lowercase()).count();
            if LENGTHS.contains(&len) {
                row.push((at, at + len));
            } else if len > 0 {
                self.listed(&row);
                row.clear();
            }
            at += len.max(1);
        }
        self.listed(&row);
    }

    /// Looks for phrases among the words that stand in the list.
    fn listed(&mut self, words: &[(usize, usize)]) {
        if words.len() < FEWEST {
            return;
        }
        // Index in the list and place of each word of an unbroken row.
        let mut row: Vec<(u16, usize, usize)> = Vec::new();
        for (start, end) in words {
            if let Some(index) = index(&self.bytes[*start..*end]) {
                row.push((index, *start, *end));
            } else {
                self.row(&row);
                row.clear();
            }
        }
        self.row(&row);
    }

    fn row(&mut self, row: &[(u16, usize, usize)]) {
        let mut from = 0;
        while from + FEWEST <= row.len() {
            if let Some(count) = phrase_len(&row[from..]) {
                self.mask(row[from].1, row[from + count - 1].2, engine::MNEMONIC, None);
                from += count;
            } else {
                from += 1;
            }
        }
    }
}

/// Places for words by the hash of their first four letters, in which no two words of the list are the same.
const PLACES: usize = 1 << 12;

fn place(word: &[u8]) -> usize {
    let four = word.iter().take(4).fold(0_u32, |four, b| four << 8 | u32::from(*b));
    (four.wrapping_mul(0x9E37_79B1) >> 20) as usize & (PLACES - 1)
}

/// Where in the list a word stands.
fn index(word: &[u8]) -> Option<u16> {
    /// The index of the word at each place; those that share it follow, and then a place without any.
    static INDEX: OnceLock<Vec<Option<u16>>> = OnceLock::new();
    let places = INDEX.get_or_init(|| {
        let mut places = vec![None; PLACES];
        for (index, word) in (0..).zip(words()) {
            let mut at = place(word.as_bytes());
            while places[at].is_some() {
                at = (at + 1) % PLACES;
            }
            places[at] = Some(index);
        }
        places
    });
    let mut at = place(word);
    while let Some(index) = places[at] {
        if words()[usize::from(index)].as_bytes() == word {
            return Some(index);
        }
        at = (at + 1) % PLACES;
    }
    None
}

/// How many words of the row's beginning are a phrase: the last bits of its last word are the checksum of the others.
fn phrase_len(row: &[(u16, usize, usize)]) -> Option<usize> {
    // A phrase begins with the bits of any shorter one, so they are put together once.
    let mut bits = Zeroizing::new([0_u8; 33]);
    let (mut rest, mut count, mut free) = (0_u32, 0, bits.iter_mut());
    for (index, _, _) in &row[..row.len().min(COUNTS[0])] {
        (rest, count) = (rest << 11 | u32::from(*index), count + 11);
        while count >= 8 {
            count -= 8;
            free.next().into_iter().for_each(|byte| *byte = (rest >> count) as u8);
        }
    }
    free.next().into_iter().for_each(|byte| *byte = (rest << 8 >> count) as u8);
    COUNTS.into_iter().filter(|words| *words <= row.len()).find(|words| {
        // 32 bits of entropy for each three words, and one bit of checksum for each 32.
        let (entropy, check) = (words / 3 * 4, words / 3);
        let mask = 0xff_u8 << (8 - check);
        (bits[entropy] ^ Sha256::digest(&bits[..entropy])[0]) & mask == 0
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phrase(text: &str) -> bool {
        let row: Option<Vec<_>> = text.split(' ').map(|w| index(w.as_bytes()).map(|i| (i, 0, 0))).collect();
        row.is_some_and(|row| phrase_len(&row) == Some(row.len()))
    }

    #[test]
    fn the_list_is_the_list() {
        assert_eq!(words().len(), 2_048);
        assert!(words().is_sorted());
        assert!(words().iter().all(|w| LENGTHS.contains(&w.len())));
        assert!(words().iter().enumerate().all(|(i, w)| index(w.as_bytes()).map(usize::from) == Some(i)));
        assert!(["", "abandonx", "zzz", "abo"].iter().all(|w| index(w.as_bytes()).is_none()));
    }

    #[test]
    fn eight_bytes_of_a_run_are_never_told_for_others() {
        for b in 0..=u8::MAX {
            for at in 0..8 {
                let mut eight = [b'a'; 8];
                eight[at] = b;
                let may_be = may_be_words(u64::from_le_bytes(eight));
                assert!(may_be || !in_run(b), "{b}");
                assert_eq!(may_be, matches!(b, 0x20..=0x2f | 0x60..=0x7f), "{b}");
            }
        }
    }

    #[test]
    fn checksums_decide() {
        let zeros = |n: usize, last: &str| format!("{}{last}", "abandon ".repeat(n));
        assert!(phrase(&zeros(11, "about")));
        assert!(phrase(&zeros(23, "art")));
        assert!(phrase("legal winner thank year wave sausage worth useful legal winner thank yellow"));
        assert!(!phrase(&zeros(11, "zoo")));
    }

    proptest! {
        /// As BIP-39 makes them: entropy, then the first bits of its digest, and a word for each eleven bits.
        #[test]
        fn what_has_a_checksum_is_found_at_any_length(
            bytes in prop::array::uniform32(any::<u8>()),
            which in 0_usize..5,
            more in prop::collection::vec(0_u16..2_048, 0..20),
        ) {
            let words = COUNTS[which];
            let entropy = &bytes[..words / 3 * 4];
            let bits: Vec<u8> = entropy.iter().chain(&Sha256::digest(entropy)[..1])
                .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
            let index = |bits: &[u8]| bits.iter().fold(0_u16, |index, bit| index << 1 | u16::from(*bit));
            let row: Vec<_> = bits.chunks_exact(11).take(words).map(index).chain(more).map(|i| (i, 0, 0)).collect();
            prop_assert!(phrase_len(&row).is_some_and(|found| found >= words));
            let mut other = row;
            other[words - 1].0 ^= 1;
            prop_assert_ne!(phrase_len(&other[..words]), Some(words));
        }
    }
}
