//! Finds literals in one pass, however many rules there are.
//!
//! Three bytes at every second position are looked up in a bit table of 16 KiB: the first two choose a word of it, the
//! third a bit of the word. Each literal is in the table with two neighbouring windows, so one of them falls on an even
//! position wherever the literal stands; the windows are those that content has least. Only a position whose bit is set
//! is compared with literals. Letters are folded for the lookup, so that no lower-case copy of the content is needed.
//! The cost hardly depends on how many literals there are.

mod common;

use std::collections::BTreeMap;

use crate::redact::rules::Anchor;
use common::Common;

/// Bits of the hash of a window's first two bytes.
const HASH_BITS: u32 = 11;
/// Words of the bit table.
const WORDS: usize = 1 << HASH_BITS;
/// Windows that are looked up together.
const BLOCK: usize = 32;
/// Bytes that the windows of a block reach over, with one that is read and ignored.
const REACH: usize = 2 * BLOCK + 2;
/// How far behind a literal's beginning its windows are looked for.
const MAX_BACK: usize = 12;
/// Folds the case of letters; other bytes change too, in the literal as in the content.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// Pieces of setting names that can make a value secret, in lower case. What they hit is then classified word by word.
const STEMS: [&str; 66] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "cred",
    "auth",
    "bearer",
    "basic ",
    "cookie",
    "session",
    "signature",
    "mnemonic",
    "seed",
    "privkey",
    "apikey",
    "api_key",
    "api-key",
    "api.key",
    "api key",
    "x-api",
    "te_key",
    "te-key",
    "tekey",
    "te key",
    "te.key",
    "ss_key",
    "ss-key",
    "sskey",
    "ss key",
    "ss.key",
    "nt_key",
    "nt-key",
    "ntkey",
    "nt.key",
    "ng_key",
    "ng-key",
    "ngkey",
    "ng.key",
    "on_key",
    "on-key",
    "onkey",
    "on.key",
    "er_key",
    "er-key",
    "pp_key",
    "se_key",
    "se-key",
    "ed_key",
    "ge_key",
    "al_key",
    "ry_key",
    "h_key",
    "sh-key",
    "requirepass",
    "jwt",
    "sessid",
    "otp",
    "recovery phrase",
    "bindpw",
    "x-vault",
    "signer",
    "deployer",
    "wallet",
    "dsn=",
    "_psk",
    "private",
];

/// A place that is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redact) struct Hit {
    pub(in crate::redact) start: usize,
    pub(in crate::redact) end: usize,
    /// Whether it is a piece of a name rather than an anchor.
    pub(in crate::redact) stem: bool,
    /// The literal that was found.
    pub(in crate::redact) literal: u16,
}

/// A literal, and for an anchor what it and the longer ones that begin with it lead to.
struct Literal {
    text: Vec<u8>,
    stem: bool,
    leads: Vec<(Vec<u8>, Anchor)>,
}

/// A literal that a window may belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The folded first bytes of the literal, and which of them count.
    head: u32,
    mask: u32,
    /// Offset of the window in the literal; -1 for a window that begins in front of it.
    back: i8,
    literal: u16,
}

/// The table of all anchors and stems.
#[derive(Default)]
pub(in crate::redact) struct Literals {
    literals: Vec<Literal>,
    /// One bit for each window.
    bits: Box<[u64]>,
    /// How many bits are set in front of each word.
    ranks: Vec<u32>,
    /// Where the list of each bit that is set begins and ends, in the order of the bits.
    lists: Vec<(u32, u32)>,
    entries: Vec<Entry>,
}

impl Literals {
    pub(in crate::redact) fn new<'a>(
        anchors: &[(Vec<u8>, Anchor)],
        user_keys: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Self {
        let mut stems: Vec<Vec<u8>> = STEMS.iter().map(|s| s.as_bytes().to_vec()).collect();
        // The last four letters of a user's key find it whatever separators it is written with, as long as none of
        // them stands inside those four; the spelled forms cover the rest.
        stems.extend(user_keys.map(|k| k[k.len() - 4..].to_vec()));
        let mut literals: Vec<Literal> = Vec::new();
        for text in heads(anchors.iter().map(|(t, _)| t.clone()).collect()) {
            let leads = anchors.iter().filter(|(t, _)| t.starts_with(&text)).cloned().collect();
            literals.push(Literal { text, stem: false, leads });
        }
        literals.extend(heads(stems).into_iter().map(|text| Literal { text, stem: true, leads: Vec::new() }));
        let mut building = Building { common: Common::new(), windows: BTreeMap::new() };
        // More literals than that do not load.
        for (index, literal) in (0..=u16::MAX).zip(&literals) {
            building.add(&literal.text, index);
        }
        let mut table = Self { literals, bits: vec![0; WORDS].into_boxed_slice(), ..Self::default() };
        for ((word, bit), entries) in building.windows {
            table.bits[word] |= 1 << bit;
            let at = |entries: &[Entry]| u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let start = at(&table.entries);
            table.entries.extend(entries);
            table.lists.push((start, at(&table.entries)));
        }
        let mut rank = 0;
        for word in &table.bits {
            table.ranks.push(rank);
            rank += word.count_ones();
        }
        table
    }

    /// What an anchor leads to.
    pub(in crate::redact) fn at<'a>(&'a self, bytes: &'a [u8], hit: Hit) -> impl Iterator<Item = (Anchor, usize)> + 'a {
        let rest = &bytes[hit.start..];
        let leads = self.literals.get(usize::from(hit.literal)).map_or(&[][..], |l| l.leads.as_slice());
        leads.iter().filter(|(text, _)| rest.starts_with(text)).map(|(text, anchor)| (*anchor, text.len()))
    }

    /// All hits, in order.
    pub(in crate::redact) fn hits(&self, bytes: &[u8], hits: &mut Vec<Hit>) {
        hits.clear();
        let Some(bits) = self.bits.first_chunk::<WORDS>() else { return };
        let mut at = 0;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<REACH>) {
            let found = windows(bits, block);
            self.compare(bytes, at, found, hits);
            at += 2 * BLOCK;
        }
        while at < bytes.len() {
            let mut block = [0; REACH];
            let rest = &bytes[at..bytes.len().min(at + REACH)];
            block[..rest.len()].copy_from_slice(rest);
            let found = windows(bits, &block);
            self.compare(bytes, at, found, hits);
            at += 2 * BLOCK;
        }
    }

    /// Compares the literals of those windows whose bit is set.
    #[inline]
    fn compare(&self, bytes: &[u8], at: usize, mut found: u32, hits: &mut Vec<Hit>) {
        while found != 0 {
            let place = at + 2 * found.trailing_zeros() as usize;
            found &= found - 1;
            let window = word(bytes, place);
            let index = index(window);
            let below = self.bits[index] & ((1 << bit(window)) - 1);
            let (from, to) = self.lists[(self.ranks[index] + below.count_ones()) as usize];
            for entry in &self.entries[from as usize..to as usize] {
                let Some(start) = place.checked_add_signed(-isize::from(entry.back)) else { continue };
                if (word(bytes, start) | FOLD as u32) & entry.mask == entry.head {
                    self.note(bytes, start, entry.literal, hits);
                }
            }
        }
    }

    fn note(&self, bytes: &[u8], start: usize, index: u16, hits: &mut Vec<Hit>) {
        let literal = &self.literals[usize::from(index)];
        let end = start + literal.text.len();
        let Some(text) = bytes.get(start..end) else { return };
        let same = if literal.stem { text.eq_ignore_ascii_case(&literal.text) } else { text == literal.text };
        if !same {
            return;
        }
        let hit = Hit { start, end, stem: literal.stem, literal: index };
        // Windows come in order, beginnings nearly so.
        let mut place = hits.len();
        while place > 0 && hits[place - 1] > hit {
            place -= 1;
        }
        hits.insert(place, hit);
    }
}

/// The windows of all literals, by word and bit.
struct Building {
    common: Common,
    windows: BTreeMap<(usize, u32), Vec<Entry>>,
}

impl Building {
    fn add(&mut self, text: &[u8], literal: u16) {
        let Some([a, b, c]) = text.first_chunk::<3>().copied() else { return };
        if let Some(four) = text.first_chunk::<4>() {
            let cost = |k: &usize| self.common.of_both([text[*k], text[k + 1], text[k + 2], text[k + 3]]);
            let k = (0..=(text.len() - 4).min(MAX_BACK)).min_by_key(cost).unwrap_or(0);
            let head = u32::from_le_bytes(*four) | FOLD as u32;
            for k in [k, k + 1] {
                let back = i8::try_from(k).unwrap_or(0);
                self.insert([text[k], text[k + 1], text[k + 2]], Entry { head, mask: u32::MAX, back, literal });
            }
            return;
        }
        let mask = 0x00FF_FFFF;
        let head = (u32::from_le_bytes([a, b, c, 0]) | FOLD as u32) & mask;
        self.insert([a, b, c], Entry { head, mask, back: 0, literal });
        // At an odd position only two bytes of it are in a window, beside any other byte.
        let all = |window: fn(u8, [u8; 3]) -> [u8; 3]| (0..=u8::MAX).map(move |any| window(any, [a, b, c]));
        let (front, behind) = (all(|any, [a, b, _]| [any, a, b]), all(|any, [_, b, c]| [b, c, any]));
        let cost = |windows: &mut dyn Iterator<Item = [u8; 3]>| windows.map(|w| self.common.of(w)).sum::<u32>();
        if cost(&mut front.clone()) < cost(&mut behind.clone()) {
            front.for_each(|w| self.insert(w, Entry { head, mask, back: -1, literal }));
        } else {
            behind.for_each(|w| self.insert(w, Entry { head, mask, back: 1, literal }));
        }
    }

    fn insert(&mut self, [a, b, c]: [u8; 3], entry: Entry) {
        let window = u32::from_le_bytes([a, b, c, 0]);
        let list = self.windows.entry((index(window), bit(window))).or_default();
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
}

/// Which windows of a block have their bit set.
#[inline]
fn windows(bits: &[u64; WORDS], block: &[u8; REACH]) -> u32 {
    let mut found = 0;
    let load = |at: usize| block[at..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight) | FOLD);
    // Four windows come from two loads.
    for part in 0..BLOCK / 4 {
        let (low, high) = (load(8 * part), load(8 * part + 2));
        let (low, high) = ((low, gray(low)), (high, gray(high)));
        let is_set = |(text, gray): (u64, u64), shift: u32| {
            u32::from(bits[hash((text >> shift) as u32)] >> (gray >> (shift + 16) & 63) & 1 != 0)
        };
        let four = is_set(low, 0) | is_set(low, 16) << 1 | is_set(low, 32) << 2 | is_set(high, 32) << 3;
        // The first four end up lowest.
        found = found >> 4 | four << (BLOCK - 4);
    }
    found
}

/// The word of the window at the beginning of some bytes.
#[inline]
fn index(bytes: u32) -> usize {
    hash(bytes | FOLD as u32)
}

/// A hash of two folded bytes. Those behind them leave with the overflow.
#[inline]
fn hash(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9E37_79B1 << 16) >> (32 - HASH_BITS)) as usize
}

/// Folded bytes in a form whose six low bits tell all ASCII bytes apart that differ by more than case.
#[inline]
fn gray(bytes: u64) -> u64 {
    bytes ^ bytes >> 1
}

/// The bit of the window at the beginning of some bytes.
#[inline]
fn bit(bytes: u32) -> u32 {
    (gray(u64::from(bytes) | FOLD) >> 16) as u32 & 63
}

/// Four bytes; zeros behind the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk::<4>().map_or_else(
        || rest.iter().take(4).enumerate().fold(0, |word, (i, b)| word | u32::from(*b) << (8 * i)),
        |four| u32::from_le_bytes(*four),
    )
}

/// Literals without those that begin with another one, which are found with it.
fn heads(mut texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    texts.sort();
    texts.dedup();
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(texts.len());
    for text in texts {
        if !kept.last().is_some_and(|k| text.starts_with(k)) {
            kept.push(text);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literals(anchors: &[(&str, u16)]) -> Literals {
        let anchors: Vec<_> = anchors.iter().map(|(t, i)| (t.as_bytes().to_vec(), Anchor::Rule(*i))).collect();
        Literals::new(&anchors, std::iter::empty())
    }

    #[test]
    fn overlapping_anchors_are_all_found() {
        let literals = literals(&[("sk-ant-", 1), ("sk-", 2), ("AKIA", 3), ("KIAX", 4)]);
        let text = b"..sk-ant-AKIAX";
        let mut hits = Vec::new();
        literals.hits(text, &mut hits);
        let starts: Vec<_> = hits.iter().map(|h| h.start).collect();
        assert_eq!(starts, [2, 9, 10]);
        let rules: Vec<_> = literals.at(text, hits[0]).map(|(a, _)| a).collect();
        assert_eq!(rules, [Anchor::Rule(1), Anchor::Rule(2)]);
    }

    proptest! {
        /// The table finds what a plain search finds, at every offset and beside any bytes.
        #[test]
        fn nothing_is_missed(parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(&["://", "ghp_", "8Q~", "OTP", "jwt", "PassWord", "api key", "xGHP_", "data:"][..])
                    .prop_map(|s| s.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..5),
            ],
            0..60,
        )) {
            let anchors = [("://", 1), ("ghp_", 2), ("8Q~", 3), ("data:", 4)];
            let text: Vec<u8> = parts.concat();
            let mut hits = Vec::new();
            literals(&anchors).hits(&text, &mut hits);
            let lower = text.to_ascii_lowercase();
            let mut expected = Vec::new();
            for start in 0..text.len() {
                for (anchor, _) in anchors {
                    if text[start..].starts_with(anchor.as_bytes()) {
                        expected.push((start, false));
                    }
                }
                if STEMS.iter().any(|s| lower[start..].starts_with(s.as_bytes())) {
                    expected.push((start, true));
                }
            }
            let mut found: Vec<_> = hits.iter().map(|h| (h.start, h.stem)).collect();
            prop_assert!(hits.is_sorted());
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
