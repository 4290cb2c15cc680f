//! Finds the lines that hold one of many literals, and the literals of a line.
//!
//! Most lines hold none. So a few vectorised passes look for short pieces, each of which stands in several literals; where a
//! piece stands, its literals are compared; only a line that holds a literal meets the automaton that knows all of them.

use std::collections::BTreeMap;

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, Span};

/// Bytes of a piece: long enough to be rare, short enough to stand in several literals.
const PIECE: usize = 8;
/// Pieces of one pass; the most that one vectorised search takes.
const PASS: usize = 64;
/// More passes than this are slower than the automaton alone.
const PASSES: usize = 4;
/// An automaton with a full table costs about a kilobyte for each byte of its literals; larger ones are made smaller and slower.
const TABLE: usize = 32 << 10;

/// Many literals, ready to be looked for.
pub(super) struct Literals {
    all: Option<AhoCorasick>,
    /// Empty where the processor has no such instructions; the automaton then looks at everything.
    passes: Vec<Pass>,
}

/// One search for some of the pieces.
struct Pass {
    finder: Searcher,
    /// For each piece the literals that may stand there, and how far into them the piece begins.
    literals: Vec<Vec<(Vec<u8>, usize)>>,
}

/// What the passes found last, so that no byte is looked at twice: for each pass the next hit, none where it is not known.
pub(super) struct Cursor(Vec<Option<usize>>);

impl Literals {
    pub(super) fn new(literals: &[&str]) -> Self {
        let bytes: usize = literals.iter().map(|l| l.len()).sum();
        let kind = (bytes <= TABLE).then_some(AhoCorasickKind::DFA);
        let all = AhoCorasick::builder().match_kind(MatchKind::Standard).kind(kind).build(literals).ok();
        let pieces = pieces(literals);
        let passes = if pieces.len() <= PASS * PASSES {
            let each = pieces.len().div_ceil(pieces.len().div_ceil(PASS).max(1)).max(1);
            pieces.chunks(each).map(Pass::new).collect::<Option<Vec<Pass>>>()
        } else {
            None
        };
        Self { all, passes: passes.unwrap_or_default() }
    }

    /// The beginning of a search.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor(vec![None; self.passes.len()])
    }

    /// A place at or behind `from` in the next line that holds a literal. `bytes` are whole lines, and the same in every call
    /// with one cursor; `from` is the beginning of a line.
    pub(super) fn next(&self, bytes: &[u8], from: usize, cursor: &mut Cursor) -> Option<usize> {
        if self.passes.is_empty() {
            return self.all.as_ref()?.find(&bytes[from..]).map(|found| from + found.start());
        }
        for (pass, next) in self.passes.iter().zip(&mut cursor.0) {
            if next.is_none_or(|at| at < from) {
                *next = Some(pass.find(bytes, from).unwrap_or(usize::MAX));
            }
        }
        cursor.0.iter().flatten().copied().min().filter(|at| *at < bytes.len())
    }

    /// Calls `each` with the index of every literal in a line and where it begins.
    pub(super) fn in_line(&self, line: &[u8], mut each: impl FnMut(usize, usize)) {
        for found in self.all.iter().flat_map(|all| all.find_overlapping_iter(line)) {
            each(found.pattern().as_usize(), found.start());
        }
    }
}

impl Pass {
    fn new(pieces: &[Piece<'_>]) -> Option<Self> {
        let finder = Searcher::new(pieces.iter().map(|p| p.bytes))?;
        // Of two pieces that begin at the same place only one is reported.
        let same_place = |a: &Piece<'_>, b: &Piece<'_>| a.bytes.starts_with(b.bytes) || b.bytes.starts_with(a.bytes);
        let literals = pieces.iter().map(|piece| {
            let there = pieces.iter().filter(|other| same_place(piece, other));
            there.flat_map(|p| &p.literals).map(|(literal, at)| (literal.to_vec(), *at)).collect()
        });
        Some(Self { literals: literals.collect(), finder })
    }

    /// A place in the next literal of this pass.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while at < bytes.len() {
            let found = self.finder.find_in(bytes, Span::from(at..bytes.len()))?;
            let stands = |(literal, offset): &(Vec<u8>, usize)| {
                let begin = found.start().checked_sub(*offset).filter(|begin| *begin >= from);
                begin.is_some_and(|begin| bytes[begin..].starts_with(literal))
            };
            if self.literals.get(found.pattern().as_usize()).is_some_and(|here| here.iter().any(stands)) {
                return Some(found.start());
            }
            at = found.start() + 1;
        }
        None
    }
}

/// Bytes that stand in some literals, and how far into each of them.
struct Piece<'a> {
    bytes: &'a [u8],
    literals: Vec<(&'a [u8], usize)>,
}

/// A small set of pieces, one of which stands in every literal.
fn pieces<'a>(literals: &[&'a str]) -> Vec<Piece<'a>> {
    let mut open: Vec<&[u8]> = literals.iter().map(|l| l.as_bytes()).filter(|l| !l.is_empty()).collect();
    open.sort_unstable();
    open.dedup();
    let mut chosen = Vec::new();
    while !open.is_empty() {
        let mut covers: BTreeMap<&[u8], usize> = BTreeMap::new();
        for literal in &open {
            let mut own: Vec<&[u8]> = literal.windows(PIECE.min(literal.len())).collect();
            own.sort_unstable();
            own.dedup();
            for piece in own {
                *covers.entry(piece).or_default() += 1;
            }
        }
        let Some(bytes) = covers.into_iter().max_by_key(|(_, n)| *n).map(|(piece, _)| piece) else { break };
        let mut literals = Vec::new();
        open.retain(|literal| match memchr::memmem::find(literal, bytes) {
            Some(at) => {
                literals.push((*literal, at));
                false
            }
            None => true,
        });
        chosen.push(Piece { bytes, literals });
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_literal_has_a_piece() {
        let literals = ["is not ready yet", "is not ready now", "panicked at", "at", "panic:"];
        let pieces = pieces(&literals);
        assert!(pieces.len() < literals.len());
        for literal in literals {
            let of_it = |p: &Piece<'_>| {
                p.literals.iter().any(|(l, at)| *l == literal.as_bytes() && l[*at..].starts_with(p.bytes))
            };
            assert!(pieces.iter().any(of_it), "{literal}");
        }
        assert!(super::pieces(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_line_with_a_literal_is_passed_over(
            literals in proptest::collection::vec("[a-c]{4,14}", 1..80),
            text in "[a-c\n]{0,600}",
        ) {
            let literals: Vec<&str> = literals.iter().map(String::as_str).collect();
            let finder = Literals::new(&literals);
            let mut cursor = finder.cursor();
            let (bytes, mut from, mut start) = (text.as_bytes(), 0, 0);
            let mut met = Vec::new();
            while let Some(at) = finder.next(bytes, from, &mut cursor) {
                prop_assert!(at >= from);
                let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
                met.push(text[..at].matches('\n').count());
                from = (end + 1).min(bytes.len());
            }
            for (number, line) in text.split('\n').enumerate() {
                let mut found = Vec::new();
                finder.in_line(line.as_bytes(), |literal, at| found.push((literal, at)));
                for (literal, at) in &found {
                    prop_assert!(line[*at..].starts_with(literals[*literal]));
                }
                let holds = literals.iter().any(|l| line.contains(l));
                prop_assert_eq!(holds, !found.is_empty());
                prop_assert_eq!(holds, met.contains(&number), "line {} at {}", number, start);
                start += line.len() + 1;
            }
        }
    }
}
