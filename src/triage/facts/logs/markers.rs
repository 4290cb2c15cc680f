//! What a line looks like that ends a program.

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

/// How much a line looks like the end of a program that has this marker at this place.
pub(super) fn strength_at(marker: usize, start: usize) -> u8 {
    let strength = MARKERS.get(marker).map_or(0, |(_, strength)| *strength);
    // `Error:` at the beginning of a line is how a Rust, Node or shell program ends.
    if start == 0 && strength == 2 { 3 } else { strength }
}
