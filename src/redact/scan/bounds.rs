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

/// Where the string of a TOML setting ends that a place in its line stands in. None outside of strings, and for lines that
/// are not a whole setting, such as those of a text of several lines.
pub(super) fn toml_string_end(line: &[u8], place: usize) -> Option<usize> {
    let name = line.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b'"'));
    let mut at = name.count();
    // Or a line with items of a list.
    let item = matches!(line.trim_ascii().first(), Some(b'{' | b'[' | b'"' | b'\''))
        && matches!(line.trim_ascii().last(), Some(b',' | b'}' | b']' | b'"' | b'\''));
    if item {
        at = 0;
    } else if line.get(at) != Some(&b'=') {
        return None;
    }
    let mut found = None;
    while at < line.len() {
        let quote = line[at];
        if !matches!(quote, b'"' | b'\'') {
            // Between strings there are no words with an apostrophe, so what stands there need not be looked at.
            if quote == b'#' {
                break;
            }
            at += 1;
            continue;
        }
        let open = at + 1;
        at = open;
        while *line.get(at)? != quote {
            at += 1 + usize::from(line[at] == b'\\' && quote == b'"');
        }
        let behind = line[at + 1..].trim_ascii_start();
        if line[..open - 1].trim_ascii_end().last().is_some_and(u8::is_ascii_alphanumeric)
            || !matches!(behind.first(), None | Some(b',' | b']' | b'}' | b'#' | b'=' | b'.'))
        {
            return None;
        }
        if (open..=at).contains(&place) {
            found = Some(at);
        }
        at += 1;
    }
    found
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
