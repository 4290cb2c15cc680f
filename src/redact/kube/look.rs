//! Whether the walker for JSON can find anything in an object, told from the tree, which is at hand.
//!
//! The walker looks at keys, at pairs of name and value and at the data of Secrets. Most objects hold none that matters to
//! it. Whatever is not sure here is left to the walker.

use std::borrow::Cow;

use super::dom::Node;
use crate::redact::rules::RuleSet;
use crate::redact::scan::words::{Class, classify};

/// How the key of an annotation ends whose text the walker looks at.
pub(super) const APPLIED: &str = "last-applied-configuration";
/// A text that is shorter than this is looked at by the walker as a whole, with its escapes.
const MAX_ANNOTATION: usize = 16 << 10;
/// Longest key that is classified as a whole.
pub(super) const MAX_KEY: usize = 128;

/// Whether the walker has to see the text of this tree.
pub(super) fn matters(node: &Node<'_>, set: &RuleSet) -> bool {
    match node {
        Node::Literal(_) | Node::Text(_) => false,
        Node::List(items) => items.iter().any(|item| matters(item, set)),
        Node::Object(members) => {
            let mut value = false;
            for (key, inner) in members {
                match &**key {
                    "value" | "Value" | "val" => value |= may_be_secret(inner, set),
                    "kind" if matches!(inner, Node::Text(kind) if kind == "Secret") => return true,
                    "stringData" => return true,
                    _ => {}
                }
                let plain = matches!(key, Cow::Borrowed(_)) && key.len() <= MAX_KEY;
                if !plain
                    || matters(inner, set)
                    || (may_be_secret(inner, set) && is_secret(key))
                    || (key.ends_with(APPLIED) && may_hold_secret(inner))
                {
                    return true;
                }
            }
            // Names are many and each is another one, so they are classified only beside a value.
            let name = |key: &str| matches!(key, "name" | "Name" | "key" | "Key");
            value && members.iter().any(|(key, inner)| name(key) && is_telling(inner))
        }
    }
}

/// Whether the walker may take a value for a secret because of its name. What stands in an object has names of its own.
fn may_be_secret(value: &Node<'_>, set: &RuleSet) -> bool {
    match value {
        Node::Literal(literal) => may_be_number(literal),
        Node::Text(text) => !text.is_empty() && !set.is_own(text.as_bytes()),
        Node::List(items) => !items.is_empty(),
        Node::Object(_) => false,
    }
}

pub(super) fn may_be_number(literal: &str) -> bool {
    !matches!(literal, "null" | "true" | "false")
}

/// Whether a Secret may stand in the text of an annotation.
fn may_hold_secret(annotation: &Node<'_>) -> bool {
    !annotation.as_text().is_some_and(|text| text.len() < MAX_ANNOTATION && !text.contains("Secret"))
}

pub(super) fn is_secret(name: &str) -> bool {
    classify(name.as_bytes()) != Class::Benign
}

/// Whether a name may make the value beside it secret.
fn is_telling(name: &Node<'_>) -> bool {
    match name {
        // What has escapes in the text is classified with them by the walker.
        Node::Text(Cow::Owned(_)) => true,
        Node::Text(name) => is_secret(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_walker_may_find_is_left_to_it() {
        let set = RuleSet::builtin().unwrap();
        let needs = |text: &str| matters(&Node::parse(text).unwrap().node, &set);
        for text in [
            r#"{"a":[{"password":1}]}"#,
            r#"{"kind":"Secret","data":{}}"#,
            r#"{"spec":{"template":{"stringData":{"a":"b"}}}}"#,
            r#"{"value":"x","name":"DB_PASSWORD"}"#,
            r#"{"key":"token","val":"x"}"#,
            r#"{"a":{"kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Secret\"}"}}"#,
            r#"{"a":{"kubectl.kubernetes.io/last-applied-configuration":["kind"]}}"#,
            r#"{"p\u0061ssword":1}"#,
            r#"{"name":"p\u0061ss\\u0077ord","value":"x"}"#,
        ] {
            assert!(needs(text), "{text}");
        }
        for text in [
            r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"b"}]}}"#,
            r#"{"value":"x","name":"RUST_LOG"}"#,
            r#"{"a":{"kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Pod\"}"}}"#,
            r#"{"value":"REDACTED-password-abcdefghijkl","name":"DB_PASSWORD"}"#,
            r#"{"password":null,"secret":{"secretName":"a"},"token":{"expires":1}}"#,
            r#"{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db"}}}"#,
        ] {
            assert!(!needs(text), "{text}");
        }
    }
}
