//! Where in a text that a person wrote something stands, and what its author may have meant.

/// Line and column of a byte, both from 1.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

/// The error of a TOML parser as `file:line:column: what; did you mean ...`.
pub(crate) fn toml_error(origin: &str, text: &str, error: &toml::de::Error) -> String {
    let (line, column) = position(text, error.span().map_or(0, |s| s.start));
    let message = error.message();
    let mut names = message.split('`').skip(1).step_by(2);
    let hint = match names.next() {
        Some(unknown) if message.starts_with("unknown ") => nearest(unknown, names),
        _ => String::new(),
    };
    format!("{origin}:{line}:{column}: {}{hint}", message.trim_end())
}

/// `; did you mean ...` when one of the known names is close.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let best = known.into_iter().map(|n| (distance(unknown, n), n)).min();
    // A short name is close to everything.
    let limit = (unknown.chars().count() / 2).clamp(1, 3);
    best.filter(|(d, _)| *d <= limit).map_or_else(String::new, |(_, n)| format!("; did you mean `{n}`?"))
}

/// Edit distance of the first 100 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(position("a\nä = b", 0), (1, 1));
        assert_eq!(position("a\nä = b", 5), (2, 3));
        assert_eq!(position("a\n", 99), (2, 1), "an offset behind the end is the end");
    }

    #[test]
    fn only_close_names_are_suggested() {
        assert_eq!(nearest("patern", ["pattern", "anchors"]), "; did you mean `pattern`?");
        assert_eq!(nearest("x", ["id"]), "");
    }
}
