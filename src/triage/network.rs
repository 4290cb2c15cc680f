//! Who reaches whom: what each party says about its peers.

use super::facts::{Facts, Health, NetworkView};
use super::finding::{Evidence, PeerCell, PeerRow};
use super::text;

/// Rows that are kept, and peers of one row.
const ROWS_MAX: usize = 100;
const PEERS_MAX: usize = 200;
const NAME: usize = 253;

/// One row for each network that a health document names.
pub(super) fn peers(facts: &Facts) -> Vec<PeerRow> {
    // Who speaks about the same core with less authority has no row.
    let heard = facts.health.iter().filter(|h| h.is_best(&facts.health));
    let networks = heard.flat_map(|h| h.contexts.iter().flatten().map(move |network| (h, network)));
    let rows = networks.filter(|(_, network)| !network.peers.is_empty());
    rows.take(ROWS_MAX).map(|(health, network)| row(health, network)).collect()
}

fn row(health: &Health, network: &NetworkView) -> PeerRow {
    let count = |n: i64| u32::try_from(n).ok();
    let mut peers: Vec<(i64, PeerCell)> = (network.peers.iter())
        .take(PEERS_MAX)
        .map(|p| {
            let cell = PeerCell {
                peer: p.id.to_string(),
                endpoint: text::line(&p.endpoint, NAME),
                reachable: p.reachable,
                latency_ms: p.latency_ms,
                error: text::line(&p.error, NAME),
            };
            (p.id, cell)
        })
        .collect();
    peers.sort_by(|a, b| (a.0, &a.1.endpoint).cmp(&(b.0, &b.1.endpoint)));
    let observer = format!("party {}", network.party);
    let said =
        format!("{observer}: context {}, reaches {}, needs {}", network.health, network.reachable, network.required);
    let evidence: Evidence =
        health.at(if network.id.is_empty() { "\"context_info\"" } else { &network.id }).evidence(&said);
    PeerRow {
        observer,
        evidence,
        reaches: count(network.reachable).zip(count(network.required)),
        peers: peers.into_iter().map(|(_, cell)| cell).collect(),
    }
}
