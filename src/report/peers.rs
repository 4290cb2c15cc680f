//! Who reaches whom, as a table: rows are the parties that were asked, columns their peers.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::view::place;
use crate::triage::{PeerCell, PeerRow, Triage};

/// Columns of the matrix.
const COLUMNS: usize = 60;

/// The matrix; none when nobody was asked. A single observer gives a list of its peers, which says more.
pub(super) fn matrix(triage: &Triage) -> Option<Value> {
    let rows = &triage.peers;
    let first = rows.first()?;
    let summary: Vec<Value> = rows.iter().map(summary).collect();
    if rows.len() == 1 {
        let peers: Vec<Value> = first.peers.iter().map(cell).collect();
        return Some(context! { summary => summary, list => peers });
    }
    let mut columns: Vec<&str> = rows.iter().flat_map(|r| &r.peers).map(|p| p.peer.as_str()).collect();
    columns.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), *name));
    columns.dedup();
    let hidden = columns.len().saturating_sub(COLUMNS);
    columns.truncate(COLUMNS);
    let table: Vec<Value> = rows
        .iter()
        .map(|row| {
            let own: BTreeMap<&str, &PeerCell> = row.peers.iter().map(|p| (p.peer.as_str(), p)).collect();
            let cells: Vec<Value> =
                columns.iter().map(|name| own.get(name).map_or_else(|| context! { tone => "" }, |p| cell(p))).collect();
            context! { observer => row.observer.clone(), cells => cells }
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
    let broken = rows.iter().flat_map(|row| row.peers.iter().filter(|p| !p.reachable).map(move |p| (row, p)));
    let broken: Vec<Value> =
        broken.take(COLUMNS).map(|(row, p)| context! { observer => row.observer.clone(), peer => cell(p) }).collect();
    Some(context! { summary => summary, columns => names, rows => table, broken => broken, hidden => hidden })
}

fn summary(row: &PeerRow) -> Value {
    let down = row.peers.iter().filter(|p| !p.reachable).count();
    let reaches = row.reaches.map_or_else(String::new, |(reaches, needs)| format!("reaches {reaches}, needs {needs}"));
    context! { observer => row.observer.clone(), reaches => reaches, down => down, place => place(&row.evidence) }
}

fn cell(peer: &PeerCell) -> Value {
    let text = match (peer.reachable, peer.latency_ms) {
        (true, Some(ms)) => format!("{ms} ms"),
        (true, None) => "up".to_owned(),
        (false, _) => "down".to_owned(),
    };
    context! {
        peer => peer.peer.clone(),
        endpoint => peer.endpoint.clone(),
        tone => if peer.reachable { "good" } else { "critical" },
        text => text,
        error => peer.error.clone(),
        latency => peer.latency_ms.filter(|_| peer.reachable).map_or_else(String::new, |ms| ms.to_string()),
    }
}
