//! How much a finding deserves to be looked at first.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::Facts;
use super::super::finding::{Category, Finding, Severity};
use super::depth::{Links, depth_of};
use crate::profile::LabelSelector;

/// How much a finding deserves to be looked at first.
pub(super) struct Score {
    pub(super) value: f64,
    /// How many findings it explains.
    pub(super) explains: usize,
    /// Whether it is about the main component of the system.
    pub(super) important: bool,
}

impl Score {
    pub(super) fn of(
        i: usize,
        findings: &[Finding],
        edges: &BTreeMap<usize, BTreeSet<usize>>,
        explained: &BTreeSet<usize>,
        facts: &Facts,
        important: &[LabelSelector],
        links: &Links,
    ) -> Self {
        let finding = &findings[i];
        let severity = |f: &Finding| match f.severity {
            Severity::Critical => 100.0,
            Severity::Warning => 40.0,
            Severity::Info => 1.0,
        };
        let effects = edges.get(&i);
        let explains = effects.map_or(0, BTreeSet::len);
        // What it explains counts, but many small things do not outweigh a severe one.
        let weight: f64 = effects.into_iter().flatten().map(|e| severity(&findings[*e]) / 5.0).sum();
        let about_main = finding.subjects.iter().any(|s| {
            facts.pods.get(&(s.namespace().to_owned(), s.name().to_owned())).is_some_and(|p| {
                s.kind() == "pod" && important.iter().any(|sel| sel.matches(|k| p.labels.get(k).map(String::as_str)))
            })
        }) || effects.into_iter().flatten().any(|e| {
            findings[*e].subjects.iter().any(|s| {
                s.kind() == "pod"
                    && facts.pods.get(&(s.namespace().to_owned(), s.name().to_owned())).is_some_and(|p| {
                        important.iter().any(|sel| sel.matches(|k| p.labels.get(k).map(String::as_str)))
                    })
            })
        });
        let mut value = severity(finding) + weight.min(80.0) + f64::from(8_u8.saturating_sub(depth_of(finding, links)));
        if about_main {
            value += 60.0;
        }
        value += 10.0 * finding.confidence;
        value += (finding.subjects.len().min(20)) as f64;
        if finding.category == Category::DataQuality {
            value = value.min(30.0);
        }
        if explained.contains(&i) {
            // A consequence stands behind every cause of its severity.
            value /= 4.0;
        }
        Self { value, explains, important: about_main }
    }
}
