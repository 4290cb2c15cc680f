//! Where a token may begin: escapes and colours are boundaries although they end in a letter or digit.

/// Whether a token may begin at `at`.
pub(super) fn token_start(bytes: &[u8], at: usize) -> bool {
    at == 0 || !bytes[at - 1].is_ascii_alphanumeric() || escape_end(&bytes[..at])
}

/// Whether the bytes end with an escape: `\n`, `\x1b`, `\u003d`, `\075`, `%3D`, or an ANSI sequence.
pub(super) fn escape_end(before: &[u8]) -> bool {
    let n = before.len();
    let back = |k: usize| n.checked_sub(k).map(|i| before[i]);
    let hex = |k: usize| back(k).is_some_and(|b| b.is_ascii_hexdigit());
    if back(2) == Some(b'\\') && matches!(back(1), Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'0' | b'e')) {
        return true;
    }
    if hex(1) && hex(2) && (back(3) == Some(b'%') || (back(3) == Some(b'x') && back(4) == Some(b'\\'))) {
        return true;
    }
    if hex(1) && hex(2) && hex(3) && hex(4) && back(5) == Some(b'u') && back(6) == Some(b'\\') {
        return true;
    }
    let octal = |k: usize| back(k).is_some_and(|b| (b'0'..=b'7').contains(&b));
    if octal(1) && octal(2) && octal(3) && back(4) == Some(b'\\') {
        return true;
    }
    if back(1) == Some(b'm') {
        let digits = before[..n - 1].iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
        return back(2 + digits) == Some(b'[');
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_boundaries() {
        for before in ["x\\n", "\\t", "%3D", "\\u003d", "\\x1b", "\x1b[32m", "\x1b[0m", "\\075"] {
            assert!(escape_end(before.as_bytes()), "{before:?}");
        }
        for before in ["n", "3D", "u003d", "32m", "foo"] {
            assert!(!escape_end(before.as_bytes()), "{before:?}");
        }
    }
}
