//! Which keys each version of the server knows.

use std::sync::LazyLock;

use serde_json::Value;

use crate::triage::version::{self, Version};

/// A key and the versions that know it; an empty range is all of them.
static KEYS: LazyLock<Vec<(Vec<&str>, &str)>> = LazyLock::new(|| {
    let lines = include_str!("keys.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (key, range) = line.split_once(' ').unwrap_or((line, ""));
            (key.split('.').collect(), range.trim())
        })
        .collect()
});
/// Unknown keys that are told.
const TOLD_MAX: usize = 20;

/// Keys of a document that this version does not know, as paths; only the uppermost of a section is told.
pub(super) fn unknown(document: &Value, version: Option<Version>) -> Vec<Vec<String>> {
    let known: Vec<&[&str]> = KEYS
        .iter()
        .filter(|(_, range)| version.is_none_or(|v| version::admits_version(range, v)))
        .map(|(k, _)| k.as_slice())
        .collect();
    let mut found = Vec::new();
    walk(document, &mut Vec::new(), &known, &mut found);
    found
}

fn walk(value: &Value, path: &mut Vec<String>, known: &[&[&str]], found: &mut Vec<Vec<String>>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => return,
    };
    let is_list = value.is_array();
    for (key, child) in children {
        if found.len() >= TOLD_MAX {
            return;
        }
        let step = if is_list { "[]" } else { key.as_str() };
        let below: Vec<&[&str]> = known
            .iter()
            .filter(|k| k.first().is_some_and(|first| *first == step || *first == "*"))
            .map(|k| if k[0] == "*" { *k } else { &k[1..] })
            .collect();
        path.push(key.clone());
        if below.is_empty() {
            found.push(path.clone());
        } else if !below.iter().any(|k| k.is_empty() || k[0] == "*") {
            walk(child, path, &below, found);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(document: &Value, version: Version) -> Vec<String> {
        unknown(document, Some(version)).iter().map(|p| p.join(".")).collect()
    }

    #[test]
    fn keys_are_known_by_version() {
        let redis = json!({"threshold": {"preproc_redis": {"host": "x"}, "my_id": 1}});
        assert_eq!(told(&redis, (0, 15, 0)), ["threshold.preproc_redis"]);
        assert!(told(&redis, (0, 14, 1)).is_empty());
        let migration = json!({"migration": {"context_associations": [{"context_id": "07", "epoch_ids": ["08"]}]}});
        assert!(told(&migration, (0, 15, 0)).is_empty());
        assert_eq!(told(&migration, (0, 13, 22)), ["migration"]);
        let typing = json!({"service": {"listen_prot": 1}, "threshold": {"peers": [{"party_id": 1}, {"prat": 1}]}, "json_logs": true});
        assert_eq!(told(&typing, (0, 15, 0)), ["service.listen_prot", "threshold.peers.1.prat", "json_logs"]);
        assert!(
            told(&json!({"telemetry": {"batch": {"anything": {"deep": 1}}}, "mock_enclave": false}), (0, 15, 0))
                .is_empty()
        );
    }

    #[test]
    fn the_table_is_in_order() {
        for (key, range) in KEYS.iter() {
            assert!(key.iter().all(|step| !step.is_empty()), "{key:?}");
            assert!(range.is_empty() || version::check(range).is_ok(), "{range}");
        }
    }
}
