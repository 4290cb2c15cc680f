//! What a line looks like that ends a program.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// Literals that begin a fatal error, weakest first.
pub(super) const MARKERS: [(&str, u8); 24] = [
    ("ERROR", 1),
    ("\"error\"", 1),
    ("level=error", 1),
    ("Error:", 2),
    ("error:", 2),
    ("ERROR:", 2),
    ("Exception", 2),
    ("CRITICAL", 2),
    ("Traceback (most recent call last)", 3),
    ("Exception in thread", 3),
    ("FATAL", 3),
    ("Fatal", 3),
    ("fatal:", 3),
    ("level=fatal", 3),
    ("\"fatal\"", 3),
    ("panicked at", 3),
    ("panic:", 3),
    ("Segmentation fault", 3),
    ("core dumped", 3),
    ("exec format error", 3),
    ("error while loading shared libraries", 3),
    ("cannot open shared object", 3),
    ("OutOfMemoryError", 3),
    ("Permission denied", 2),
];

static MARKER_FINDER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::Standard).build(MARKERS.map(|(m, _)| m)).ok());

/// How much a line looks like the end of a program, 0 for not at all.
pub(super) fn strength(line: &[u8]) -> u8 {
    let Some(finder) = MARKER_FINDER.as_ref() else { return 0 };
    let mut best = 0;
    for found in finder.find_overlapping_iter(line) {
        let (_, strength) = MARKERS[found.pattern().as_usize()];
        // `Error:` at the beginning of a line is how a Rust, Node or shell program ends.
        let leads = found.start() == 0 && strength == 2;
        best = best.max(if leads { 3 } else { strength });
    }
    best
}
