//! What lies in the buckets and directories of the system, as a table.

use minijinja::{Value, context};

use crate::model::size;
use crate::triage::{StoreRow, Triage};

/// Rows of the table.
const ROWS: usize = 100;

/// One row a store.
pub(super) fn rows(triage: &Triage) -> Vec<Value> {
    triage.stores.iter().take(ROWS).map(row).collect()
}

fn row(store: &StoreRow) -> Value {
    let fault = store.fault.clone().unwrap_or_default();
    context! {
        id => store.id.clone(),
        pod => store.pod.clone(),
        place => store.place.clone(),
        objects => store.objects,
        bytes => store.bytes,
        size => size::human(store.bytes),
        folders => store.folders.clone(),
        // A listing that was cut is a lower bound.
        bound => if store.complete { "" } else { ">= " },
        tone => if !fault.is_empty() { "critical" } else if store.complete { "good" } else { "warning" },
        state => if !fault.is_empty() { "not listed" } else if store.complete { "listed" } else { "in part" },
        fault => fault,
    }
}
