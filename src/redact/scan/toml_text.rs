//! Strings of TOML, in the document as it passes by.
//!
//! What a line says depends on whether it stands in a string of several lines, and that is said by lines that may be gone already. So the
//! stream keeps it for the beginning of what is there.

/// The quote of the string of several lines that a place stands in.
pub(in crate::redact) type Inside = Option<u8>;

/// What holds behind some text.
pub(in crate::redact) fn behind(text: &[u8], inside: Inside) -> Inside {
    // Most text has no string of several lines, which is told much faster.
    let has = |quotes: &[u8]| memchr::memmem::find(text, quotes).is_some();
    if inside.is_none() && !has(b"\"\"\"") && !has(b"'''") { None } else { follow(text, inside, |_, _| ()) }
}

/// Follows the strings from a place at which `inside` holds. `each` gets the bounds of what stands between quotes; gives what holds
/// at the end. A line with quotes where TOML has none is no TOML, and left from there on.
pub(in crate::redact) fn follow(bytes: &[u8], inside: Inside, mut each: impl FnMut(usize, usize)) -> Inside {
    let mut open = inside;
    let mut at = 0;
    loop {
        if let Some(quote) = open {
            let Some((end, behind)) = close(bytes, at, quote) else {
                each(at, bytes.len());
                return open;
            };
            each(at, end);
            (at, open) = (behind, None);
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let found = memchr::memchr3(b'"', b'\'', b'#', rest).map(|i| at + i)?;
        let mark = bytes[found];
        let line_end = || memchr::memchr2(b'\n', 0, &bytes[found..]).map_or(bytes.len(), |i| found + i);
        if mark == b'#' {
            at = line_end();
        } else if bytes[found..].starts_with(&[mark; 3]) {
            (at, open) = (found + 3, Some(mark));
        } else {
            let stop = line_end();
            let mut end = found + 1;
            while end < stop && bytes[end] != mark {
                end += 1 + usize::from(mark == b'"' && bytes[end] == b'\\');
            }
            let line = memchr::memrchr2(b'\n', 0, &bytes[at.min(found)..found]).map_or(at, |i| at + i + 1);
            let before = bytes[line..found].trim_ascii_end().last();
            let behind = bytes.get(end + 1..stop).unwrap_or_default().trim_ascii_start().first();
            if end < stop
                && !before.is_some_and(u8::is_ascii_alphanumeric)
                && matches!(behind, None | Some(b',' | b']' | b'}' | b'#' | b'=' | b'.'))
            {
                each(found + 1, end);
                at = end + 1;
            } else {
                at = stop;
            }
        }
    }
}

/// Where the text ends that three quotes close, and where the quotes end: the last three of up to five.
fn close(bytes: &[u8], from: usize, quote: u8) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(i) = memchr::memchr2(quote, b'\\', bytes.get(at..)?) {
        at += i;
        if bytes[at] == b'\\' {
            at += 1 + usize::from(quote == b'"');
            continue;
        }
        let run = bytes[at..].iter().take(5).take_while(|b| **b == quote).count();
        if run >= 3 {
            return Some((at + run - 3, at + run));
        }
        at += run;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str, inside: Inside) -> (Vec<&str>, Inside) {
        let mut found = Vec::new();
        let end = follow(document.as_bytes(), inside, |from, to| found.push(&document[from..to]));
        (found, end)
    }

    #[test]
    fn strings_of_several_lines_are_followed() {
        assert_eq!(
            texts("a = \"x\"\nb = '''p\nq''' # it's\nc = \"\"\"r\"\"\"\n", None),
            (vec!["x", "p\nq", "r"], None)
        );
        assert_eq!(texts("a = \"\"\"x\\\"\"\" y\"\"\"\"\n", None), (vec!["x\\\"\"\" y\""], None));
        assert_eq!(
            texts("a = '' # \"\"\"\nb = 'it\\'\nc = \"\"\"\nopen", None),
            (vec!["", "it\\", "\nopen"], Some(b'"'))
        );
        assert_eq!(texts("end\"\"\", 'x'\n", Some(b'"')), (vec!["end", "x"], None));
        assert_eq!(texts("say 'x', 'y'\nb = 'z' w 'v'\n", None), (vec![], None));
        assert_eq!(texts("a = \"not closed\nb = '''x\n", None), (vec!["x\n"], Some(b'\'')));
    }

    #[test]
    fn any_cut_at_a_line_gives_the_same() {
        let document = "a = \"\"\"x\n'''\ny\"\"\"\nb = ['''\n\"\"\"\n''', 'it']\n# \"\"\"\nc = 1\n";
        let whole = behind(document.as_bytes(), None);
        for cut in document.match_indices('\n').map(|(i, _)| i + 1) {
            let first = behind(&document.as_bytes()[..cut], None);
            assert_eq!(first, follow(&document.as_bytes()[..cut], None, |_, _| ()));
            assert_eq!(behind(&document.as_bytes()[cut..], first), whole, "{cut}");
        }
    }
}
