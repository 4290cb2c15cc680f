//! The triage for a terminal.

use super::view::{View, place, who};
use crate::model::time::rfc3339;
use crate::triage::text::line;
use crate::triage::{Finding, Severity, Status};

const WIDTH_MIN: usize = 40;

pub(super) struct Paint {
    pub(super) color: bool,
}

impl Paint {
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn severity(&self, severity: Severity) -> String {
        let word = format!("{severity:<8}");
        match severity {
            Severity::Critical => self.paint("1;31", &word),
            Severity::Warning => self.paint("33", &word),
            Severity::Info => self.paint("36", &word),
        }
    }

    pub(super) fn status(&self, status: Status) -> String {
        let word = status.to_string().to_uppercase();
        match status {
            Status::Optimal | Status::Healthy => self.paint("1;32", &word),
            Status::Degraded => self.paint("1;33", &word),
            Status::Unhealthy => self.paint("1;31", &word),
            Status::Unknown => self.paint("1;35", &word),
        }
    }
}

/// Writes the triage for a terminal of this width, with or without colours.
#[must_use]
pub fn terminal(view: &View<'_>, color: bool, width: usize) -> String {
    let paint = Paint { color };
    let width = width.clamp(WIDTH_MIN, 140);
    let mut out = Vec::new();
    out.push(format!("{}  {}", paint.status(view.triage.status), view.verdict()));
    out.push(paint.dim(&line(&view.scope(), width)));
    if let Some(root) = view.root {
        out.push(String::new());
        out.push(paint.bold("Most likely root cause"));
        wrap(&mut out, &root.title, "  ", "  ", width, |l| paint.paint("1", l));
        wrap(&mut out, &root.meaning, "  ", "  ", width, str::to_owned);
        let facts = format!("confidence {:.0} %, {}, {}", root.confidence * 100.0, root.category, who(root.level));
        wrap(&mut out, &facts, "  ", "  ", width, |l| paint.dim(l));
        for reason in &root.because {
            wrap(&mut out, &format!("because {reason}"), "  - ", "    ", width, |l| paint.dim(l));
        }
        out.push(String::new());
        out.push(paint.bold("Evidence"));
        for evidence in root.evidence.iter().take(4) {
            wrap(&mut out, &place(evidence), "  ", "    ", width, |l| paint.paint("36", l));
            wrap(&mut out, &line(&evidence.excerpt, 200), "    ", "    ", width, str::to_owned);
        }
        out.push(String::new());
        out.push(paint.bold(&format!("Do now; call {}", line(&root.call.to_string(), 100))));
        for (i, step) in root.remedy.iter().enumerate() {
            wrap(&mut out, step, &format!("  {}. ", i + 1), "     ", width, str::to_owned);
        }
    }
    list(&mut out, &paint, width, "Consequences", &view.consequences, 6);
    list(&mut out, &paint, width, "Also wrong", &view.others, 8);
    list(&mut out, &paint, width, "Could not be seen", &view.blind, 5);
    list(&mut out, &paint, width, "Worth knowing", &view.notes, 4);
    let coverage = &view.triage.coverage;
    out.push(String::new());
    let seen = if coverage.planned == 0 {
        "no ledger".to_owned()
    } else {
        format!("{} of {} planned items read", coverage.seen, coverage.planned)
    };
    out.push(paint.dim(&line(&format!("{seen}; {}", view.run()), width)));
    let mut text = out.join("\n");
    text.push('\n');
    text
}

pub(super) fn list(out: &mut Vec<String>, paint: &Paint, width: usize, title: &str, findings: &[&Finding], max: usize) {
    if findings.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(paint.bold(title));
    for finding in findings.iter().take(max) {
        let since = finding.first_seen.map_or_else(String::new, |at| format!(" (since {})", rfc3339(at)));
        let text = format!("{}{since}", finding.title);
        let head = format!("  {} ", paint.severity(finding.severity));
        let mut lines = Vec::new();
        wrap(&mut lines, &text, "           ", "           ", width, str::to_owned);
        if let Some(first) = lines.first_mut() {
            *first = format!("{head}{}", first.trim_start());
        }
        out.append(&mut lines);
    }
    if findings.len() > max {
        out.push(format!("           and {} more", findings.len() - max));
    }
}

/// Breaks a text at spaces, so that lines have at most `width` characters where words allow it.
pub(super) fn wrap(
    out: &mut Vec<String>,
    text: &str,
    first: &str,
    rest: &str,
    width: usize,
    paint: impl Fn(&str) -> String,
) {
    let mut indent = first;
    let mut current = String::new();
    for word in text.split_whitespace() {
        let room = width.saturating_sub(indent.chars().count());
        if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > room {
            out.push(format!("{indent}{}", paint(&current)));
            current.clear();
            indent = rest;
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    if !current.is_empty() {
        out.push(format!("{indent}{}", paint(&current)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_at_words() {
        let mut out = Vec::new();
        wrap(&mut out, "aaa bbb ccc ddd", "- ", "  ", 9, str::to_owned);
        assert_eq!(out, ["- aaa bbb", "  ccc ddd"]);
    }
}
