//! One network out of the bundles of its parties: who reaches whom, where they differ, and who is the odd one out.
//!
//! Each bundle is read on its own. What is compared is what a bundle says about its own party; nothing is asked again.

mod bundles;
mod differences;
mod matrix;
mod party;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use matrix::{Cell, Row, State};
pub use party::Party;
pub use view::{Aspect, Comparison, Group, Network, PartyRow, Unread};

use super::draft;
use super::finding::{Category, Finding, Severity, Status};

/// Compares the parties of one network; `unread` are bundles of which nothing could be read.
#[must_use]
pub fn compare(mut parties: Vec<Party>, unread: Vec<Unread>) -> Network {
    parties.sort_by(|a, b| (a.number(), &a.label).cmp(&(b.number(), &b.label)));
    let mut drafts = Vec::new();
    let comparisons = differences::find(&parties, &mut drafts);
    let rows = matrix::rows(&parties);
    matrix::find(&parties, &rows, &mut drafts);
    let missing = missing(&parties);
    bundles::about_bundles(&parties, &missing, &unread, &mut drafts);
    let mut findings: Vec<Finding> = draft::merge(drafts).into_iter().map(|(finding, _)| finding).collect();
    findings.sort_by(|a, b| (b.severity, rank(&a.rule), &a.id).cmp(&(a.severity, rank(&b.rule), &b.id)));
    let root = findings.first().filter(|f| f.severity >= Severity::Warning && f.category != Category::DataQuality);
    Network {
        schema_version: Network::VERSION,
        status: status(&parties, &findings),
        root_cause: root.map(|f| f.id.clone()),
        parties: parties.iter().map(PartyRow::of).collect(),
        missing,
        matrix: rows,
        comparisons,
        unread,
        findings,
    }
}

/// What lies nearer to a cause comes first among findings of one severity.
fn rank(rule: &str) -> usize {
    const ORDER: [&str; 19] = [
        "network-same-party-twice",
        "network-clocks-differ",
        "network-thresholds-differ",
        "network-peer-lists-differ",
        "network-certificates-differ",
        "network-versions-differ",
        "network-contexts-differ",
        "network-prss-differs",
        "network-keys-differ",
        "network-material-differs",
        "network-limits-differ",
        "network-split",
        "network-party-isolated",
        "network-party-unreachable",
        "network-one-way",
        "network-link-down",
        "network-party-troubled",
        "network-not-comparable",
        "network-bundles-apart",
    ];
    ORDER.iter().position(|r| *r == rule).unwrap_or(ORDER.len())
}

/// Parties that stand in a peer list and sent no bundle, by number.
fn missing(parties: &[Party]) -> Vec<String> {
    let here: BTreeSet<&str> = parties.iter().filter_map(|p| p.id.as_deref()).collect();
    let known = parties.iter().flat_map(|p| p.peers.keys().chain(p.reaches.keys()));
    let gone: BTreeSet<(u64, &String)> =
        known.filter(|id| !here.contains(id.as_str())).map(|id| (id.parse().unwrap_or(u64::MAX), id)).collect();
    gone.into_iter().map(|(_, id)| id.clone()).collect()
}

fn status(parties: &[Party], findings: &[Finding]) -> Status {
    let worst = findings.iter().filter(|f| f.category != Category::DataQuality).map(|f| f.severity).max();
    match worst {
        Some(Severity::Critical) => Status::Unhealthy,
        Some(Severity::Warning) => Status::Degraded,
        _ if parties.iter().all(|p| p.reaches.is_empty()) => Status::Unknown,
        _ if parties.iter().all(|p| p.status == Status::Optimal) => Status::Optimal,
        _ => Status::Healthy,
    }
}

/// Values by what they are, with the parties that have each, the most common first.
fn groups(values: &BTreeMap<&str, String>) -> Vec<(String, Vec<String>)> {
    let mut by_value: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (party, value) in values {
        by_value.entry(value).or_default().push((*party).to_owned());
    }
    let mut groups: Vec<(String, Vec<String>)> = by_value.into_iter().map(|(v, p)| (v.clone(), p)).collect();
    groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    groups
}

/// The odd ones out: all that are not in a group that is larger than each other one. None when there is no such group.
fn odd(groups: &[(String, Vec<String>)]) -> Option<Vec<String>> {
    let [first, second, ..] = groups else { return None };
    (first.1.len() > second.1.len()).then(|| groups[1..].iter().flat_map(|(_, parties)| parties.clone()).collect())
}
