//! What the comparison of several bundles says, as data: the JSON of `casefile triage` with several parties.

use serde::{Deserialize, Serialize};

use super::matrix::Row;
use super::party::Party;
use crate::model::time::Timestamp;
use crate::triage::finding::{Finding, Severity, Status};

/// A network as the bundles of its parties show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Version of this document.
    pub schema_version: u32,
    /// How the network is, over all.
    pub status: Status,
    /// Id of the finding to look at first.
    pub root_cause: Option<String>,
    /// Findings about the network, the worst first.
    pub findings: Vec<Finding>,
    /// One row a bundle.
    pub parties: Vec<PartyRow>,
    /// Ids of parties that are known and sent no bundle.
    pub missing: Vec<String>,
    /// Who reaches whom: one row for each bundle that tells it.
    pub matrix: Vec<Row>,
    /// What was compared.
    pub comparisons: Vec<Comparison>,
    /// Bundles of which nothing could be read.
    pub unread: Vec<Unread>,
}

impl Network {
    pub(super) const VERSION: u32 = 1;

    /// The finding that [`Network::root_cause`] names.
    #[must_use]
    pub fn root(&self) -> Option<&Finding> {
        let id = self.root_cause.as_ref()?;
        self.findings.iter().find(|f| &f.id == id)
    }

    /// The worst severity of all findings.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|f| f.severity).max()
    }
}

/// One party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyRow {
    /// Its id; the name of the bundle where it does not say.
    pub party: String,
    /// Name of the bundle.
    pub bundle: String,
    /// Its status by its own triage.
    pub status: Status,
    /// Its own root cause, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How bad that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Version of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When the bundle was made, by the clock of the machine that made it.
    pub collected: Timestamp,
    /// Clock of its cluster minus that of the machine, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ms: Option<i64>,
}

impl PartyRow {
    pub(super) fn of(party: &Party) -> Self {
        Self {
            party: party.name().to_owned(),
            bundle: party.label.clone(),
            status: party.status,
            trouble: party.trouble.as_ref().map(|(title, _)| title.clone()),
            severity: party.trouble.as_ref().map(|(_, severity)| *severity),
            version: party.version.as_ref().map(|v| v.value.clone()),
            collected: party.finished,
            clock_ms: party.clock.map(|(offset, _)| offset),
        }
    }
}

/// A bundle of which nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Its name.
    pub bundle: String,
    /// Why.
    pub reason: String,
}

/// Something that all parties should have alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What: `version`, `threshold`, `peer list`, ...
    pub aspect: String,
    /// How it came out.
    pub result: Aspect,
    /// Values with the parties that have each, the most common first.
    pub groups: Vec<Group>,
    /// The odd ones out; empty when all agree, or when no group is larger than the others.
    pub odd: Vec<String>,
    /// Parties whose bundle does not say, or cannot be compared.
    pub unknown: Vec<String>,
}

/// How a comparison came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// All that are known are alike.
    Same,
    /// They differ.
    Different,
    /// They were redacted under different keys, so that nobody can tell.
    NotComparable,
    /// Fewer than two bundles say it.
    Unknown,
}

/// Parties that agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What they have.
    pub value: String,
    /// Their ids.
    pub parties: Vec<String>,
}
