//! Analyzers: pure functions from facts to drafts of findings, one file a family.

mod access;
mod alerts;
mod capacity;
mod certificates;
mod cluster;
mod common;
mod conditions;
mod containers;
mod deprecated;
mod drift;
mod events;
mod exits;
mod helm;
mod host;
mod images;
mod kms;
mod kms_config;
mod logs;
mod nodes;
mod pods;
mod policy;
mod references;
mod services;
mod storage;
mod vaults;
mod visibility;
mod workloads;

pub(in crate::triage) use containers::owner_path;
pub(in crate::triage) use kms_config::DEPTHS as CONFIG_DEPTHS;
pub(in crate::triage) use vaults::{DEPTHS as VAULT_DEPTHS, prss_states};
pub(in crate::triage) use visibility::hides;

use super::draft::Draft;
use super::facts::Facts;
use super::finding::{Severity, Subject};
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
    soften(facts, &mut drafts);
    storage::analyze(facts, &mut drafts);
    nodes::analyze(facts, &mut drafts);
    capacity::analyze(facts, &mut drafts);
    services::analyze(facts, &mut drafts);
    policy::analyze(facts, &mut drafts);
    certificates::analyze(facts, &mut drafts);
    cluster::analyze(context, &mut drafts);
    access::analyze(facts, &mut drafts);
    drift::analyze(facts, &mut drafts);
    helm::analyze(facts, &mut drafts);
    deprecated::analyze(facts, &mut drafts);
    conditions::analyze(facts, &mut drafts);
    kms::analyze(facts, &mut drafts);
    kms_config::analyze(facts, &mut drafts);
    vaults::analyze(facts, &mut drafts);
    host::analyze(facts, &mut drafts);
    references::analyze(facts, &mut drafts);
    alerts::analyze(facts, &mut drafts);
    visibility::analyze(context, &mut drafts);
    common::analyze(facts, &mut drafts);
    // Last, because it reports only what nothing else is about.
    events::analyze(facts, &mut drafts);
    drafts
}

/// What keeps a new version from starting hurts less while the old one still serves with all its pods.
fn soften(facts: &Facts, drafts: &mut [Draft]) {
    for draft in drafts.iter_mut().filter(|d| d.severity == Severity::Critical) {
        if !draft.subjects.is_empty() && draft.subjects.iter().all(|s| serves(facts, s)) {
            draft.severity = Severity::Warning;
            draft.because.push("the pods of the version before still serve, so it does not hurt yet".to_owned());
        }
    }
}

/// Whether the Deployment above this pod or replica set has all the ready pods that it wants.
fn serves(facts: &Facts, subject: &Subject) -> bool {
    let mut current = subject.clone();
    for _ in 0..3 {
        if let Some(workload) = facts.workloads.get(&current).filter(|w| w.kind == "Deployment") {
            return workload.desired > 0 && workload.ready >= workload.desired;
        }
        let namespace = current.namespace().to_owned();
        let owner = if current.kind() == "pod" {
            facts.pods.get(&(namespace.clone(), current.name().to_owned())).and_then(|p| p.owner.clone())
        } else {
            facts.workloads.get(&current).and_then(|w| w.owner.clone())
        };
        let Some((kind, name)) = owner else { return false };
        current = Subject::new(&kind, &namespace, &name);
    }
    false
}
