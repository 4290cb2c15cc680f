//! Analyzers: pure functions from facts to drafts of findings, one file a family.

mod certificates;
mod cluster;
mod conditions;
mod containers;
mod events;
mod exits;
mod host;
mod images;
mod kms;
mod logs;
mod nodes;
mod pods;
mod policy;
mod services;
mod storage;
mod visibility;
mod workloads;

pub(in crate::triage) use containers::owner_path;
pub(in crate::triage) use visibility::hides;

use super::draft::Draft;
use super::facts::Facts;
use super::signatures::Signatures;
use crate::model::Manifest;

/// Everything an analyzer may look at.
pub(super) struct Context<'a> {
    pub(super) facts: &'a Facts,
    pub(super) manifest: &'a Manifest,
    pub(super) signatures: Option<&'a Signatures>,
}

/// Runs all analyzers.
pub(super) fn run(context: &Context<'_>) -> Vec<Draft> {
    let facts = context.facts;
    let mut drafts = Vec::new();
    containers::analyze(facts, &mut drafts);
    logs::analyze(context, &mut drafts);
    pods::analyze(facts, &mut drafts);
    workloads::analyze(facts, &mut drafts);
    storage::analyze(facts, &mut drafts);
    nodes::analyze(facts, &mut drafts);
    services::analyze(facts, &mut drafts);
    policy::analyze(facts, &mut drafts);
    certificates::analyze(facts, &mut drafts);
    cluster::analyze(context, &mut drafts);
    conditions::analyze(facts, &mut drafts);
    kms::analyze(facts, &mut drafts);
    host::analyze(facts, &mut drafts);
    visibility::analyze(context, &mut drafts);
    // Last, because it reports only what nothing else is about.
    events::analyze(facts, &mut drafts);
    drafts
}
