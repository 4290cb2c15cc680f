//! Findings as a person reads them: Markdown, HTML, the terminal, and JSON.
//!
//! All of them are drawn from one [`View`], so that they cannot contradict each other.

mod html;
mod markdown;
mod terminal;
mod timeline;
mod view;

pub use html::{ReportError, html};
pub use markdown::markdown;
pub use terminal::terminal;
pub use view::View;

use crate::triage::Triage;

/// `triage.json`: the triage as it is, with a newline at its end.
#[must_use]
pub fn json(triage: &Triage) -> String {
    let mut text = serde_json::to_string_pretty(triage).unwrap_or_else(|e| {
        // The type holds nothing that cannot be written; an empty triage would claim more than this does.
        format!("{{\"error\": {}}}", serde_json::Value::String(e.to_string()))
    });
    text.push('\n');
    text
}
