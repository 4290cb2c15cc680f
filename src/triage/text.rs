//! Texts for people: shortened, on one line, without control characters.

use chrono::TimeDelta;

/// Longest excerpt in characters.
pub(crate) const EXCERPT: usize = 400;

/// Makes one printable line of any text, at most `max` characters; what is cut off shows as `…`.
///
/// Escape sequences of terminals are dropped whole, so that no log line can paint over the summary.
#[must_use]
pub(crate) fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut chars = text.chars().peekable();
    let mut count = 0;
    let mut space = false;
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_escape(&mut chars);
            continue;
        }
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            space = !out.is_empty();
            continue;
        }
        if count + usize::from(space) >= max {
            out.push('…');
            return out;
        }
        if space {
            out.push(' ');
            count += 1;
            space = false;
        }
        out.push(c);
        count += 1;
    }
    out
}

/// Drops the rest of an escape sequence: `[` up to its final byte, or the next character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if chars.peek() == Some(&'[') {
        chars.next();
        while let Some(c) = chars.peek() {
            if !c.is_ascii() || c.is_control() {
                return;
            }
            if chars.next().is_some_and(|c| ('@'..='~').contains(&c)) {
                return;
            }
        }
    } else {
        chars.next_if(|c| !c.is_control());
    }
}

/// Characters that change how the text around them is shown: directional overrides, joiners, byte order marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `3 pods`, `1 pod`.
#[must_use]
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `45s`, `12m`, `3h`, `5d`: how long, in the words of kubectl.
#[must_use]
pub(crate) fn duration(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The first names of a list and how many more there are: `a, b, c and 7 more`.
#[must_use]
pub(crate) fn names<S: AsRef<str>>(names: &[S], max: usize) -> String {
    let shown: Vec<&str> = names.iter().take(max).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(max);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_clean_and_short() {
        assert_eq!(line("  a\tb\r\n\u{0}c ", 99), "a b c");
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m \u{202e}x", 99), "red x");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("äöü", 3), "äöü");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(duration(TimeDelta::seconds(200)), "3m");
        assert_eq!(names(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(count(2, "pod"), "2 pods");
    }

    proptest! {
        #[test]
        fn a_line_holds_no_control_character(text in "\\PC*|.*", max in 1_usize..50) {
            let out = line(&text, max);
            prop_assert!(!out.chars().any(|c| c.is_control()));
            prop_assert!(out.chars().count() <= max + 1);
        }
    }
}
