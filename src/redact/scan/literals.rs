//! Finds literals in one pass, however many rules there are.
//!
//! Three bytes at every second position are looked up in a bit table of 32 KiB: the first two choose a word of it, the
//! third a bit of the word. Each literal is in the table with a window at an even and one at an odd place in it, so one of them
//! falls on an even position wherever the literal stands; the windows are those that content has least. Only a position whose bit is set
//! is compared with literals. Letters are folded for the lookup, so that no lower-case copy of the content is needed.
//! The cost hardly depends on how many literals there are.

mod common;

use std::collections::BTreeMap;

use crate::redact::rules::Anchor;
use common::Common;

/// Words of the bit table: one for each pair of codes.
const WORDS: usize = 1 << 12;
/// Lists of the literals that a window may belong to; windows share them by their hash.
const LIST_BITS: u32 = 14;
const LISTS: usize = 1 << LIST_BITS;
/// Windows that are looked up together.
const BLOCK: usize = 32;
/// Bytes that the windows of a block reach over.
const REACH: usize = 2 * BLOCK + 1;
/// How far behind a literal's beginning its windows are looked for.
const MAX_BACK: usize = 12;
/// Folds the case of letters; other bytes change too, in the literal as in the content.
const FOLD: u64 = 0x2020_2020_2020_2020;
/// The bits of eight bytes that make their codes.
const CODES: u64 = 0x3f3f_3f3f_3f3f_3f3f;

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

/// What is compared first of a literal.
struct Head {
    /// The first bytes, those of them that count, and the bit of case of those whose case does not.
    bytes: u64,
    mask: u64,
    case: u64,
}

impl Head {
    fn of(literal: &Literal) -> Self {
        let text = literal.text.as_slice();
        let letter = |i: &usize| literal.stem && text.get(*i).is_some_and(u8::is_ascii_alphabetic);
        Self {
            bytes: word(text, 0),
            mask: u64::MAX >> (64 - 8 * text.len().clamp(1, 8)),
            case: (0..8).filter(letter).fold(0, |case, i| case | 0x20 << (8 * i)),
        }
    }
}

/// A literal that a window may belong to. There are many, so they are small.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    literal: u16,
    /// Offset of the window in the literal; -1 for a window that begins in front of it.
    back: i16,
}

/// The table of all anchors and stems.
#[derive(Default)]
pub(in crate::redact) struct Literals {
    literals: Vec<Literal>,
    /// The head of each literal.
    heads: Vec<Head>,
    /// One bit for each window.
    bits: Box<[u64]>,
    /// Where each list begins, and behind the last one where it ends.
    lists: Vec<u32>,
    /// What may stand in front of and behind a window of each list: a bit for each code.
    beside: Vec<[u64; 2]>,
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
        let mut building = Building {
            common: Common::new(),
            bits: vec![0; WORDS].into_boxed_slice(),
            lists: BTreeMap::new(),
            beside: vec![[0; 2]; LISTS],
        };
        // More literals than that do not load.
        for (index, literal) in (0..=u16::MAX).zip(&literals) {
            building.add(&literal.text, index);
        }
        let (mut lists, mut entries) = (Vec::with_capacity(LISTS + 1), Vec::new());
        for list in 0..=LISTS {
            lists.push(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            entries.extend(building.lists.remove(&list).unwrap_or_default());
        }
        let heads = literals.iter().map(Head::of).collect();
        Self { literals, heads, bits: building.bits, lists, beside: building.beside, entries }
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
            let list = list(word(bytes, place));
            // No byte at the edge of the content is as good as any: what needs one there is compared in vain.
            let side = |at: usize| 1 << code(bytes.get(at).copied().unwrap_or_default());
            let [before, behind] = self.beside[list];
            if before & side(place.wrapping_sub(1)) == 0 || behind & side(place + 3) == 0 {
                continue;
            }
            let (from, to) = (self.lists[list] as usize, self.lists[list + 1] as usize);
            for entry in &self.entries[from..to] {
                // Nothing stands so far in front of the content that this comes round to its end.
                let start = place.wrapping_sub(entry.back as usize);
                let head = &self.heads[usize::from(entry.literal)];
                if (word(bytes, start) | head.case) & head.mask == head.bytes {
                    self.note(bytes, start, entry.literal, hits);
                }
            }
        }
    }

    /// Notes a literal of which the first eight bytes are known to stand there.
    fn note(&self, bytes: &[u8], start: usize, index: u16, hits: &mut Vec<Hit>) {
        let literal = &self.literals[usize::from(index)];
        let Some(text) = bytes.get(start..).and_then(|rest| rest.get(..literal.text.len())) else { return };
        if let (Some(more), Some(tail)) = (text.get(8..), literal.text.get(8..))
            && !(literal.stem && more.eq_ignore_ascii_case(tail) || more == tail)
        {
            return;
        }
        let hit = Hit { start, end: start + text.len(), stem: literal.stem, literal: index };
        // Windows come in order, beginnings nearly so.
        let mut place = hits.len();
        while place > 0 && hits[place - 1] > hit {
            place -= 1;
        }
        // Windows that share a list find a literal twice.
        if place == 0 || hits[place - 1] != hit {
            hits.insert(place, hit);
        }
    }
}

/// The windows of all literals, and by the hash of its windows where each literal is listed.
struct Building {
    common: Common,
    bits: Box<[u64]>,
    lists: BTreeMap<usize, Vec<Entry>>,
    beside: Vec<[u64; 2]>,
}

impl Building {
    fn add(&mut self, text: &[u8], literal: u16) {
        let Some([a, b, c]) = text.first_chunk::<3>().copied() else { return };
        let entry = |back: i16| Entry { literal, back };
        if text.len() > 3 {
            // One window at an even and one at an odd place, so that one of them is looked up wherever the literal stands.
            let cost = |k: &usize| self.common.of([text[*k], text[k + 1], text[k + 2]]);
            let last = (text.len() - 3).min(MAX_BACK);
            for k in [0, 1].map(|first| (first..=last).step_by(2).min_by_key(cost).unwrap_or(first)) {
                let beside = [k.checked_sub(1).map(|k| text[k]), text.get(k + 3).copied()];
                self.insert([text[k], text[k + 1], text[k + 2]], beside, entry(i16::try_from(k).unwrap_or(0)));
            }
            return;
        }
        self.insert([a, b, c], [None, None], entry(0));
        // At an odd position only two bytes of it are in a window, beside any other byte.
        let all = |window: fn(u8, [u8; 3]) -> [u8; 3]| (0..=u8::MAX).map(move |any| window(any, [a, b, c]));
        let (front, behind) = (all(|any, [a, b, _]| [any, a, b]), all(|any, [_, b, c]| [b, c, any]));
        let cost = |windows: &mut dyn Iterator<Item = [u8; 3]>| windows.map(|w| self.common.of(w)).sum::<u32>();
        if cost(&mut front.clone()) < cost(&mut behind.clone()) {
            front.for_each(|w| self.insert(w, [None, Some(c)], entry(-1)));
        } else {
            behind.for_each(|w| self.insert(w, [Some(a), None], entry(1)));
        }
    }

    /// Lists a literal under one of its windows; `beside` are its bytes in front of and behind the window.
    fn insert(&mut self, window: [u8; 3], beside: [Option<u8>; 2], entry: Entry) {
        let (index, bit) = place(window);
        self.bits[index] |= 1 << bit;
        let list = list(word(&window, 0));
        for (codes, byte) in self.beside[list].iter_mut().zip(beside) {
            *codes |= byte.map_or(u64::MAX, |b| 1 << code(b));
        }
        let list = self.lists.entry(list).or_default();
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
}

/// Which windows of a block have their bit set.
#[inline]
fn windows(bits: &[u64; WORDS], block: &[u8; REACH]) -> u32 {
    let codes = |part: usize| block[8 * part..].first_chunk().map_or(0, |eight| codes(u64::from_le_bytes(*eight)));
    let mut found = 0;
    // The code behind the four windows of a part. The first windows come last, so that they end up lowest.
    let mut behind = u64::from(block[2 * BLOCK] | FOLD as u8);
    behind ^= behind >> 1;
    for part in (0..BLOCK / 4).rev() {
        let codes = codes(part);
        let pairs = pairs(codes);
        for (window, third) in [(3, behind), (2, codes >> 48), (1, codes >> 32), (0, codes >> 16)] {
            let word = bits[(pairs >> (16 * window)) as usize & (WORDS - 1)];
            found = found << 1 | (word >> (third & 63) & 1) as u32;
        }
        behind = codes;
    }
    found
}

/// A code of six bits for each of eight bytes, which tells all ASCII bytes apart that differ by more than case.
#[inline]
fn codes(bytes: u64) -> u64 {
    let folded = bytes | FOLD;
    (folded ^ folded >> 1) & CODES
}

/// The code of one byte.
#[inline]
fn code(byte: u8) -> u64 {
    codes(u64::from(byte)) & 63
}

/// Joins each two codes to one number.
#[inline]
fn pairs(codes: u64) -> u64 {
    codes & 0x003f_003f_003f_003f | codes >> 2 & 0x0fc0_0fc0_0fc0_0fc0
}

/// The word of a window in the table, and its bit.
fn place([a, b, c]: [u8; 3]) -> (usize, u32) {
    let codes = codes(u64::from(u32::from_le_bytes([a, b, c, 0])));
    (pairs(codes) as usize & (WORDS - 1), (codes >> 16) as u32 & 63)
}

/// The list of the window at the beginning of some bytes.
#[inline]
fn list(bytes: u64) -> usize {
    // Bytes behind the window leave with the overflow.
    (((bytes | FOLD) as u32) << 8).wrapping_mul(0x9E37_79B1) as usize >> (32 - LIST_BITS)
}

/// Eight bytes; zeros behind the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk::<8>().map_or_else(
        || rest.iter().take(8).enumerate().fold(0, |word, (i, b)| word | u64::from(*b) << (8 * i)),
        |eight| u64::from_le_bytes(*eight),
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
