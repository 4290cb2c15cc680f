//! As much of Kubernetes' protobuf as an access review needs: `kubectl` posts reviews in no other form.

use serde_json::{Map, Value, json};

/// What every message begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Fields of one message.
const FIELDS: usize = 256;

/// The `spec` of a `SelfSubjectAccessReview`.
pub(super) fn access_review(body: &[u8]) -> Option<Value> {
    let spec = spec(body)?;
    let mut out = Map::new();
    if let Some(attributes) = field(spec, 1)? {
        let names = ["namespace", "verb", "group", "version", "resource", "subresource", "name"];
        out.insert("resourceAttributes".into(), texts(attributes, &names)?);
    }
    if let Some(attributes) = field(spec, 2)? {
        out.insert("nonResourceAttributes".into(), texts(attributes, &["path", "verb"])?);
    }
    Some(Value::Object(out))
}

/// The `spec` of a `SelfSubjectRulesReview`.
pub(super) fn rules_review(body: &[u8]) -> Option<Value> {
    let namespace = field(spec(body)?, 1)?.unwrap_or_default();
    Some(json!({"namespace": std::str::from_utf8(namespace).ok()?}))
}

/// `spec` is field 2 of the object, which is field 2 (`raw`) of the envelope.
fn spec(body: &[u8]) -> Option<&[u8]> {
    let raw = field(body.strip_prefix(MAGIC)?, 2)??;
    Some(field(raw, 2)?.unwrap_or_default())
}

fn texts(message: &[u8], names: &[&str]) -> Option<Value> {
    let mut out = Map::new();
    for (number, name) in (1..).zip(names) {
        if let Some(bytes) = field(message, number)? {
            out.insert((*name).to_owned(), std::str::from_utf8(bytes).ok()?.into());
        }
    }
    Some(Value::Object(out))
}

/// The last value of a length-delimited field; the outer option is none for bytes that are no message.
#[expect(clippy::option_option, reason = "malformed and absent are different")]
fn field(mut message: &[u8], wanted: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    for _ in 0..FIELDS {
        if message.is_empty() {
            return Some(found);
        }
        let key = varint(&mut message)?;
        match key & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let value = message.get(..length)?;
                message = &message[length..];
                if key >> 3 == wanted {
                    found = Some(value);
                }
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn reviews_are_read() {
        let attributes = [part(1, b"kms"), part(2, b"list"), part(5, b"pods"), part(6, b"log")].concat();
        let object = [part(1, b""), part(2, &part(1, &attributes))].concat();
        let body = [MAGIC, &part(1, b"type"), &part(2, &object)].concat();
        let expected = json!({"namespace": "kms", "verb": "list", "resource": "pods", "subresource": "log"});
        assert_eq!(access_review(&body), Some(json!({"resourceAttributes": expected})));
        let rules = [MAGIC, &part(2, &part(2, &part(1, b"kms")))].concat();
        assert_eq!(rules_review(&rules), Some(json!({"namespace": "kms"})));
        assert_eq!(rules_review(b"{}"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let body = [MAGIC, &bytes].concat();
            let _ = (access_review(&body), rules_review(&body));
        }
    }
}
