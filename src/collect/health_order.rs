//! Which of a profile's health sources answered.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::{LedgerEntry, Outcome};

/// What the manifest notes: the order of the sources, what came of each in each namespace, and the first that answered.
#[must_use]
pub fn health_sources(order: &[String], ledger: &[LedgerEntry]) -> Option<Value> {
    let mut namespaces: BTreeMap<&str, Vec<(usize, &LedgerEntry)>> = BTreeMap::new();
    for entry in ledger {
        let parts: Vec<&str> = entry.item.as_str().split('/').collect();
        let [family, namespace, _, id] = parts.as_slice() else { continue };
        let rank = order.iter().position(|source| source.split_once('/') == Some((*family, *id)));
        if let Some(rank) = rank {
            namespaces.entry(namespace).or_default().push((rank, entry));
        }
    }
    if namespaces.is_empty() {
        return None;
    }
    let namespaces: BTreeMap<&str, Value> = namespaces
        .into_iter()
        .map(|(namespace, mut sources)| {
            sources.sort_by_key(|(rank, entry)| (*rank, &entry.item));
            let answered = sources.iter().find(|(_, e)| matches!(e.outcome, Outcome::Ok | Outcome::Truncated));
            let tried: Vec<Value> = sources
                .iter()
                .map(|(_, e)| json!({"item": e.item, "outcome": e.outcome, "reason": e.reason}))
                .collect();
            (namespace, json!({"answered": answered.map(|(_, e)| &e.item), "tried": tried}))
        })
        .collect();
    Some(json!({"order": order, "namespaces": namespaces}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ItemId;

    #[test]
    fn the_first_that_answered_is_named() {
        let entry = |item: &str, outcome| LedgerEntry {
            item: ItemId::new(item),
            collector: String::new(),
            outcome,
            reason: None,
            started: None,
            duration_ms: 0,
            attempts: 0,
            bytes: 0,
            artifacts: Vec::new(),
        };
        let order = ["grpc/health", "exec/tool", "http/health"].map(str::to_owned);
        let ledger = [
            entry("exec/n/client/tool", Outcome::Ok),
            entry("grpc/n/core/health", Outcome::Forbidden),
            entry("http/n/core/health", Outcome::Ok),
            entry("http/n/core/live", Outcome::Ok),
            entry("http/m/core/health", Outcome::Failed),
        ];
        let note = health_sources(&order, &ledger).unwrap();
        assert_eq!(note["namespaces"]["n"]["answered"], "exec/n/client/tool");
        assert_eq!(note["namespaces"]["n"]["tried"].as_array().unwrap().len(), 3);
        assert_eq!(note["namespaces"]["n"]["tried"][0]["outcome"], "forbidden");
        assert_eq!(note["namespaces"]["m"]["answered"], Value::Null);
        assert_eq!(health_sources(&order, &[]), None);
    }
}
