//! Whether the walker for JSON can find anything in an object, told from the tree, which is at hand.
//!
//! The walker looks at keys, at pairs of name and value and at the data of Secrets. Most objects hold none that matters to
//! it. Whatever is not sure here is left to the walker.

use std::borrow::Cow;

use super::dom::Node;
use crate::redact::scan::LOOKAHEAD;
use crate::redact::scan::words::{Class, classify};

/// Longest key that is classified as a whole.
const MAX_KEY: usize = 128;

/// Whether the walker has to see the text of this tree, which has so many bytes. Objects of more bytes than it looks ahead
/// are judged by it in another way, so those are left to it, too.
pub(super) fn needs_walk(node: &Node<'_>, bytes: usize) -> bool {
    bytes >= LOOKAHEAD || matters(node)
}

fn matters(node: &Node<'_>) -> bool {
    match node {
        Node::Literal(_) | Node::Text(_) => false,
        Node::List(items) => items.iter().any(matters),
        Node::Object(members) => {
            let mut value = false;
            for (key, inner) in members {
                match &**key {
                    "value" | "Value" | "val" => value = true,
                    "kind" if matches!(inner, Node::Text(kind) if kind == "Secret") => return true,
                    "stringData" => return true,
                    _ => {}
                }
                let plain = matches!(key, Cow::Borrowed(_)) && key.len() <= MAX_KEY;
                if !plain || key.ends_with("last-applied-configuration") || is_secret(key) || matters(inner) {
                    return true;
                }
            }
            // Names are many and each is another one, so they are classified only beside a value.
            let name = |key: &str| matches!(key, "name" | "Name" | "key" | "Key");
            value && members.iter().any(|(key, inner)| name(key) && is_telling(inner))
        }
    }
}

fn is_secret(name: &str) -> bool {
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
        let needs = |text: &str| needs_walk(&Node::parse(text).unwrap().node, text.len());
        for text in [
            r#"{"a":[{"password":1}]}"#,
            r#"{"kind":"Secret","data":{}}"#,
            r#"{"spec":{"template":{"stringData":{"a":"b"}}}}"#,
            r#"{"value":"x","name":"DB_PASSWORD"}"#,
            r#"{"key":"token","val":"x"}"#,
            r#"{"a":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}"#,
            r#"{"p\u0061ssword":1}"#,
            r#"{"name":"p\u0061ss\\u0077ord","value":"x"}"#,
        ] {
            assert!(needs(text), "{text}");
        }
        assert!(needs(&format!(r#"{{"a":"{}"}}"#, "x".repeat(LOOKAHEAD))));
        for text in [
            r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"b"}]}}"#,
            r#"{"value":"x","name":"RUST_LOG"}"#,
            r#"{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db"}}}"#,
        ] {
            assert!(!needs(text), "{text}");
        }
    }
}
