//! `redaction.json`: what was redacted where, without a single original.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts by rule and file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactionReport {
    /// Rule id -> file -> how many spans were replaced.
    pub rules: BTreeMap<String, BTreeMap<String, u64>>,
    /// Layer -> how many spans it has found: `objects`, `walker`, `engine`, `decoding`, `known`.
    #[serde(default)]
    pub layers: BTreeMap<String, u64>,
    /// Number of distinct secrets.
    pub distinct: u64,
    /// Files that were replaced by a stub, with the reason.
    pub stubs: BTreeMap<String, String>,
    /// Built-in rules that the user switched off.
    pub disabled: Vec<String>,
    /// Kind of pseudonym -> file -> how many values got one. A kind without files was switched on and met nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pseudonyms: BTreeMap<String, BTreeMap<String, u64>>,
    /// Which key made the ids in the replacements, without the key: two bundles with the same one have the same replacement
    /// for the same secret. Empty in bundles of older versions.
    #[serde(default)]
    pub key_id: String,
    /// SHA-256 over the rule files in use.
    pub rules_sha256: String,
    /// SHA-256 over the sources of the engine that was used. Empty in bundles of older versions.
    #[serde(default)]
    pub engine_sha256: String,
    /// What the audit of the finished bytes has found; none where no audit ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditResult>,
}

/// The result of the audit. The manifest and this report itself are made later and audited, too; what is found there stands
/// on the terminal alone, and in the archive's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditResult {
    /// Files that it has read.
    pub files: u64,
    /// File, detector and line of each hit.
    pub hits: Vec<String>,
}

impl RedactionReport {
    /// All replaced spans.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.values().flat_map(BTreeMap::values).sum()
    }
}
