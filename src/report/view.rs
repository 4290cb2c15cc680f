//! What the reports show, in the order in which they show it.

use std::collections::BTreeSet;

use crate::model::time::rfc3339;
use crate::model::{Manifest, RunStatus};
use crate::redact::RedactionReport;
use crate::triage::{Category, Evidence, Finding, Level, Place, Severity, Status, Triage};

/// A triage with what is needed to show it.
pub struct View<'a> {
    pub(super) triage: &'a Triage,
    pub(super) manifest: &'a Manifest,
    pub(super) redaction: Option<&'a RedactionReport>,
    pub(super) root: Option<&'a Finding>,
    /// Findings that follow from the root cause.
    pub(super) consequences: Vec<&'a Finding>,
    /// Findings of their own that ask for action, worst first.
    pub(super) others: Vec<&'a Finding>,
    /// Findings that follow from one of the others.
    pub(super) folded: Vec<&'a Finding>,
    /// What could not be seen.
    pub(super) blind: Vec<&'a Finding>,
    /// Worth knowing, no more.
    pub(super) notes: Vec<&'a Finding>,
    by_id: std::collections::BTreeMap<&'a str, &'a Finding>,
}

impl<'a> View<'a> {
    /// Sorts the findings of a triage into the places where reports show them.
    #[must_use]
    pub fn new(triage: &'a Triage, manifest: &'a Manifest, redaction: Option<&'a RedactionReport>) -> Self {
        let root = triage.root();
        let by_id = triage.findings.iter().map(|f| (f.id.as_str(), f)).collect();
        let explained: BTreeSet<&str> = triage.findings.iter().flat_map(|f| &f.explains).map(String::as_str).collect();
        let of_root: BTreeSet<&str> = root.iter().flat_map(|r| &r.explains).map(String::as_str).collect();
        let mut view = Self {
            triage,
            manifest,
            redaction,
            root,
            consequences: Vec::new(),
            others: Vec::new(),
            folded: Vec::new(),
            blind: Vec::new(),
            notes: Vec::new(),
            by_id,
        };
        for finding in &triage.findings {
            let id = finding.id.as_str();
            if root.is_some_and(|r| r.id == id) {
                continue;
            }
            if finding.category == Category::DataQuality {
                view.blind.push(finding);
            } else if of_root.contains(id) {
                view.consequences.push(finding);
            } else if finding.severity == Severity::Info {
                view.notes.push(finding);
            } else if !explained.contains(id) {
                view.others.push(finding);
            } else {
                view.folded.push(finding);
            }
        }
        view
    }

    /// What is shown.
    #[must_use]
    pub fn triage(&self) -> &'a Triage {
        self.triage
    }

    /// The finding with this id.
    pub(super) fn find(&self, id: &str) -> Option<&'a Finding> {
        self.by_id.get(id).copied()
    }

    /// Findings of this severity, data quality aside.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.triage.findings.iter().filter(|f| f.severity == severity && f.category != Category::DataQuality).count()
    }

    /// What the status means, in one sentence.
    pub(super) fn verdict(&self) -> &'static str {
        match self.triage.status {
            Status::Optimal => "Everything that was looked at works.",
            Status::Healthy => "The system works; nothing asks for action.",
            Status::Degraded => "The system works in part, or with less reserve than it should have.",
            Status::Unhealthy => "The system is down or failing.",
            Status::Unknown => "Too little could be seen to say how it is.",
        }
    }

    /// What was looked at: `profile kms, namespace kms-decentralized`.
    pub(super) fn scope(&self) -> String {
        let mut out = format!("Profile {}", self.manifest.profile);
        match self.manifest.namespaces.as_slice() {
            [] => {}
            [one] => out.push_str(&format!(", namespace {one}")),
            many => out.push_str(&format!(", namespaces {}", crate::triage::text::names(many, 4))),
        }
        if let Some(case) = &self.manifest.case {
            out.push_str(&format!(", case {case}"));
        }
        out
    }

    /// How the run ended, where that is worth a word.
    pub(super) fn run(&self) -> String {
        let m = self.manifest;
        if m.finished == crate::model::time::Timestamp::default() {
            return "nothing in the bundle tells when it was made".to_owned();
        }
        let seconds = (m.finished - m.started).num_seconds().max(0);
        let how = match m.status {
            RunStatus::Finished => "finished",
            RunStatus::DeadlineReached => "stopped by its deadline",
            RunStatus::Interrupted => "interrupted",
            RunStatus::SpoolFailed => "stopped by a full or failing disk",
            RunStatus::Recovered => "killed, and recovered",
        };
        let tool = format!("{} {}", m.tool.name, m.tool.version);
        format!("{} by {}, {how} after {seconds} s", rfc3339(m.finished), tool.trim_end())
    }
}

/// Who acts on a finding.
pub(super) fn who(level: Level) -> &'static str {
    match level {
        Level::One => "level 1: operators, basic checks",
        Level::Two => "level 2: operators, configuration and resources",
        Level::Three => "level 3: the development team",
    }
}

/// `path:12`, or `path#/items/3`.
pub(super) fn place(evidence: &Evidence) -> String {
    match &evidence.place {
        Place::Line(line) => format!("{}:{line}", evidence.path),
        Place::Pointer(pointer) => format!("{}#{pointer}", evidence.path),
    }
}

/// A step of a remedy, and the command at its end; that is empty where there is none.
pub(super) fn command(step: &str) -> (&str, &str) {
    let programs = ["kubectl ", "casefile ", "helm -", "df -", "dmesg ", "ps -", "systemctl "];
    let at = step.match_indices(": ").find(|(at, _)| programs.iter().any(|p| step[at + 2..].starts_with(p)));
    at.map_or((step, ""), |(at, _)| (&step[..=at], &step[at + 2..]))
}
