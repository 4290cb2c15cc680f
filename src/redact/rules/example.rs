//! Example texts. Made-up values are generated, so that no file holds something that looks like a live credential.

/// An example with its expansion.
#[derive(Debug, Clone)]
pub struct Example {
    /// The whole text.
    pub text: String,
    /// The generated pieces: these must not survive.
    pub secrets: Vec<String>,
}

const SETS: [(&str, &str); 7] = [
    ("base62", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    ("hex", "0123456789abcdef"),
    ("upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
    ("lower", "abcdefghijklmnopqrstuvwxyz0123456789"),
    ("base32", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    ("digit", "0123456789"),
    ("base58", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
];

/// Expands `{base62:36}` and its like into characters that depend on nothing but the text.
#[must_use]
pub fn expand(text: &str) -> Example {
    let mut state =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut out = Example { text: String::new(), secrets: Vec::new() };
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.text.push_str(&rest[..open]);
        let tail = &rest[open..];
        let parsed = tail[1..].split_once('}').and_then(|(inner, after)| {
            let (set, count) = inner.split_once(':')?;
            let set = SETS.iter().find(|(name, _)| *name == set)?.1.as_bytes();
            Some((set, count.parse::<usize>().ok()?.min(4_096), after))
        });
        if let Some((set, count, after)) = parsed {
            let piece: String = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    char::from(set[(state >> 33) as usize % set.len()])
                })
                .collect();
            out.text.push_str(&piece);
            out.secrets.push(piece);
            rest = after;
        } else {
            out.text.push('{');
            rest = &tail[1..];
        }
    }
    out.text.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_is_stable_and_of_the_asked_length() {
        let one = expand("x_{hex:40}-{digit:3}");
        assert_eq!(one.text, expand("x_{hex:40}-{digit:3}").text);
        assert_eq!(one.secrets.iter().map(String::len).collect::<Vec<_>>(), [40, 3]);
        assert_eq!(expand("{\"a\": 1}").text, "{\"a\": 1}");
    }
}
