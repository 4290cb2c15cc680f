//! `redaction.json`: what was redacted where, without a single original.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts by rule and file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactionReport {
    /// Rule id -> file -> how many spans were replaced.
    pub rules: BTreeMap<String, BTreeMap<String, u64>>,
    /// Number of distinct secrets.
    pub distinct: u64,
    /// Files that were replaced by a stub, with the reason.
    pub stubs: BTreeMap<String, String>,
    /// Built-in rules that the user switched off.
    pub disabled: Vec<String>,
    /// Kind of pseudonym -> file -> how many values got one. A kind without files was switched on and met nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pseudonyms: BTreeMap<String, BTreeMap<String, u64>>,
    /// SHA-256 over the rule files in use.
    pub rules_sha256: String,
}

impl RedactionReport {
    /// All replaced spans.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.values().flat_map(BTreeMap::values).sum()
    }
}
