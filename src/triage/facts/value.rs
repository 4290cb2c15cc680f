//! Lenient access to decoded objects: what is missing or of another type reads as nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::time::Timestamp;

/// The text at a JSON pointer, or an empty one.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An owned copy of [`text`].
pub(crate) fn string(value: &Value, pointer: &str) -> String {
    text(value, pointer).to_owned()
}

/// The number at a JSON pointer.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// Whether a JSON pointer leads to `true`.
pub(crate) fn yes(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The elements at a JSON pointer.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The strings at a JSON pointer.
pub(crate) fn strings(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The map of texts at a JSON pointer, such as labels or quantities.
pub(crate) fn map(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let Some(object) = value.pointer(pointer).and_then(Value::as_object) else { return BTreeMap::new() };
    object
        .iter()
        .filter_map(|(key, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            Some((key.clone(), value))
        })
        .collect()
}

/// The RFC 3339 time at a JSON pointer.
pub(crate) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    parse_time(text(value, pointer))
}

/// A time as Kubernetes writes it.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}
