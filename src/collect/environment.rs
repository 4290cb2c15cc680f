//! Variables of an environment as they are kept: every name, and the values of those that a profile names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// `NAME`, or a pattern with `*` for any part.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// The variables as Kubernetes writes them, sorted: name, and the value where a pattern keeps it, else its length.
pub(in crate::collect) fn listed<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, keep: &[String]) -> Value {
    let entry = |(name, value): (&str, &str)| {
        let entry = if keep.iter().any(|pattern| fits(pattern, name)) {
            json!({"name": name, "value": value})
        } else {
            json!({"name": name, "length": value.len()})
        };
        (name.to_owned(), entry)
    };
    Value::Array(pairs.into_iter().map(entry).collect::<BTreeMap<_, _>>().into_values().collect())
}

/// The values that such a list has.
pub(in crate::collect) fn values(list: &Value) -> BTreeMap<String, String> {
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| Some((text(entry, "name")?, text(entry, "value")?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_by_pattern_only() {
        let keep = ["A".to_owned(), "X__*_VAULT__STORAGE__*".to_owned(), "B*".to_owned()];
        let pairs = [
            ("B", "1"),
            ("X__PRIVATE_VAULT__STORAGE__S3__BUCKET", "b"),
            ("X__PRIVATE_VAULT__KEYCHAIN", "made-up-secret"),
            ("A", "2"),
            ("AB", "34"),
        ];
        let list = listed(pairs, &keep);
        assert!(!list.to_string().contains("made-up"), "{list}");
        assert_eq!(list[0], json!({"name": "A", "value": "2"}));
        assert_eq!(list[1], json!({"name": "AB", "length": 2}));
        let kept = values(&list);
        assert_eq!(
            kept.keys().map(String::as_str).collect::<Vec<_>>(),
            ["A", "B", "X__PRIVATE_VAULT__STORAGE__S3__BUCKET"]
        );
        assert!(values(&json!({"no": "list"})).is_empty());
    }

    #[test]
    fn a_star_stands_for_any_part() {
        for (pattern, name, expected) in [
            ("A*C", "ABC", true),
            ("A*C", "AC", true),
            ("A*C", "ABCD", false),
            ("*", "", true),
            ("A*B*C", "A-C-B-C", true),
            ("A*B*C", "A-C", false),
            ("AA*A", "AA", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
