//! Findings as a person reads them: Markdown, HTML, the terminal, and JSON.
//!
//! All of them are drawn from one [`View`], so that they cannot contradict each other.

mod charts;
mod html;
mod markdown;
mod network;
mod peers;
mod stores;
mod terminal;
mod timeline;
mod view;

pub use html::{ReportError, html};
pub use markdown::markdown;
pub use network::{network_json, network_markdown, network_terminal};
pub use terminal::terminal;
pub use view::View;

use crate::triage::Triage;

/// `triage.json`: the triage as it is, with a newline at its end.
#[must_use]
pub fn json(triage: &Triage) -> String {
    pretty(triage)
}

/// `timeline.json`: what happened when, oldest first. The times are in the clock of the machine that collected.
#[must_use]
pub fn timeline_json(triage: &Triage) -> String {
    #[derive(serde::Serialize)]
    struct Timeline<'a> {
        schema_version: u32,
        moments: &'a [crate::triage::Moment],
    }
    pretty(&Timeline { schema_version: triage.schema_version, moments: &triage.timeline })
}

fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|e| {
        // The types hold nothing that cannot be written; an empty document would claim more than this does.
        format!("{{\"error\": {}}}", serde_json::Value::String(e.to_string()))
    });
    text.push('\n');
    text
}
