//! Settings that differ between the ConfigMap, the rendered file and the running process.

use std::collections::BTreeMap;

use serde_json::Value;

/// Leaves that are compared.
const LEAVES_MAX: usize = 5_000;

/// Keys that both documents have with different values: key, value there, value here. Templates and what was redacted are no
/// values, and neither is what the other document leaves out.
pub(super) fn differences(there: &Value, here: &Value) -> Vec<(String, String, String)> {
    let (mut a, mut b) = (BTreeMap::new(), BTreeMap::new());
    leaves(there, String::new(), &mut a);
    leaves(here, String::new(), &mut b);
    let differ = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() > f64::EPSILON,
        _ => a != b,
    };
    a.into_iter()
        .filter_map(|(key, value)| {
            let other = b.get(&key)?;
            (differ(value, other)).then(|| (key, value.to_string(), other.to_string()))
        })
        .collect()
}

fn leaves<'a>(value: &'a Value, path: String, out: &mut BTreeMap<String, &'a Value>) {
    if out.len() >= LEAVES_MAX {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| leaves(value, below(key), out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| leaves(value, below(&i.to_string()), out));
        }
        Value::Null => {}
        Value::String(text) if text.contains("${") || text.contains("REDACTED") || text.contains("-----BEGIN") => {}
        leaf => {
            out.insert(path, leaf);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_real_differences_count() {
        let file =
            json!({"a": {"x": 2.0, "t": "${VAR}", "s": "REDACTED-secret-1", "only": 1}, "l": [{"id": 1}, {"id": 2}]});
        let running =
            json!({"a": {"x": 2, "t": "filled", "s": "REDACTED-secret-2", "default": 5}, "l": [{"id": 1}, {"id": 3}]});
        assert_eq!(differences(&file, &running), [("l.1.id".to_owned(), "2".to_owned(), "3".to_owned())]);
    }
}
