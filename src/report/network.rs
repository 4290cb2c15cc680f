//! A network of several parties: Markdown, terminal and JSON.

use super::markdown::{code, escape, heading, more, step_text};
use super::terminal::{Paint, wrap};
use super::view::{place, who};
use crate::model::time::rfc3339;
use crate::triage::network::{Aspect, Cell, Network, Row, State};
use crate::triage::text::{line, names};
use crate::triage::{Category, Finding, Severity, Status};

/// Findings of each list that are shown; the rest is counted.
const FINDINGS: usize = 12;
const EVIDENCE: usize = 5;
const WIDTH_MIN: usize = 40;

/// The network as JSON, with a newline at its end.
#[must_use]
pub fn network_json(network: &Network) -> String {
    super::pretty(network)
}

/// The findings behind the first one: those that ask for action, what each party's own triage says, and notes.
fn sorted(network: &Network) -> (Vec<&Finding>, Vec<&Finding>, Vec<&Finding>) {
    let root = network.root().map(|r| r.id.as_str());
    let rest = || network.findings.iter().filter(move |f| Some(f.id.as_str()) != root);
    let own = |f: &&Finding| f.rule == "network-party-troubled";
    let note = |f: &&Finding| f.category == Category::DataQuality || f.severity == Severity::Info;
    (
        rest().filter(|f| !own(f) && !note(f)).collect(),
        rest().filter(own).collect(),
        rest().filter(|f| !own(f) && note(f)).collect(),
    )
}

fn verdict(status: Status) -> &'static str {
    match status {
        Status::Optimal => "All parties are up and agree in everything that was compared.",
        Status::Healthy => "The parties that were looked at work together; nothing asks for action.",
        Status::Degraded => "The network works with less reserve than it should have, or parties differ.",
        Status::Unhealthy => "The network, or a part of it, cannot do its work.",
        Status::Unknown => "The bundles do not say who reaches whom.",
    }
}

fn scope(network: &Network) -> String {
    let here: Vec<&str> = network.parties.iter().map(|p| p.party.as_str()).collect();
    let mut out = format!("parties {}", names(&here, 13));
    if !network.missing.is_empty() {
        out.push_str(&format!("; no bundle of {}", names(&network.missing, 13)));
    }
    if !network.unread.is_empty() {
        out.push_str(&format!("; {} not readable", network.unread.len()));
    }
    out
}

fn sign(cell: &Cell) -> &'static str {
    match cell.state {
        State::Itself => "-",
        State::Reachable => "yes",
        State::Unreachable => "NO",
        State::Unknown => "?",
    }
}

fn result(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Same => "same",
        Aspect::Different => "DIFFERENT",
        Aspect::NotComparable => "not comparable",
        Aspect::Unknown => "not known",
    }
}

/// What a comparison found, in one line.
fn found(comparison: &crate::triage::network::Comparison) -> String {
    let groups: Vec<String> =
        (comparison.groups.iter()).map(|g| format!("{} ({})", line(&g.value, 60), names(&g.parties, 6))).collect();
    let mut out = names(&groups, 4);
    if !comparison.odd.is_empty() {
        out.push_str(&format!("; odd one out: {}", names(&comparison.odd, 6)));
    }
    if !comparison.unknown.is_empty() {
        out.push_str(&format!("; not known: {}", names(&comparison.unknown, 13)));
    }
    out.trim_start_matches("; ").to_owned()
}

/// The network as a page for a ticket.
#[must_use]
pub fn network_markdown(network: &Network) -> String {
    let mut out = vec![
        format!("# KMS network: {}", network.status),
        String::new(),
        format!("{} {}.", verdict(network.status), escape(&scope(network))),
    ];
    match network.root() {
        None => out.extend([String::new(), "Nothing that was compared asks for action.".to_owned()]),
        Some(root) => {
            heading(&mut out, "Look at this first");
            out.push(format!("**{}**", escape(&root.title)));
            out.push(String::new());
            out.push(format!(
                "{} Confidence {:.0} %, {}.",
                escape(&root.meaning),
                root.confidence * 100.0,
                root.category
            ));
            for reason in root.because.iter().take(5) {
                out.push(format!("- because {}", escape(&line(reason, 220))));
            }
            heading(&mut out, &format!("Do now ({})", who(root.level)));
            out.push(format!("Call {}.", escape(&root.call.to_string())));
            out.push(String::new());
            for (i, step) in root.remedy.iter().take(8).enumerate() {
                out.push(format!("{}. {}", i + 1, step_text(step)));
            }
            heading(&mut out, "Evidence");
            for evidence in root.evidence.iter().take(EVIDENCE) {
                out.push(format!("- {}", code(&place(evidence))));
                if !evidence.excerpt.is_empty() {
                    out.push(format!("  {}", code(&line(&evidence.excerpt, 180))));
                }
            }
        }
    }
    let (wrong, own, notes) = sorted(network);
    let mut list = |title: &str, findings: &[&Finding]| {
        if findings.is_empty() {
            return;
        }
        heading(&mut out, title);
        for finding in findings.iter().take(FINDINGS) {
            let title = escape(&line(&finding.title, 240));
            let call = escape(&finding.call.to_string());
            out.push(format!("- **{}** {title} (level {}; call {call})", finding.severity, u8::from(finding.level)));
        }
        more(&mut out, findings.len(), FINDINGS, "in the JSON form");
    };
    list("Also wrong between the parties", &wrong);
    list("What each party's own triage says", &own);
    list("Worth knowing", &notes);
    heading(&mut out, "Who reaches whom");
    matrix(&network.matrix, &mut out);
    heading(&mut out, "What was compared");
    out.push("| what | result | values |".to_owned());
    out.push("|---|---|---|".to_owned());
    for comparison in &network.comparisons {
        let values = escape(&found(comparison));
        out.push(format!("| {} | {} | {values} |", escape(&comparison.aspect), result(comparison.result)));
    }
    heading(&mut out, "Parties");
    out.push("| party | status | version | bundle | collected |".to_owned());
    out.push("|---|---|---|---|---|".to_owned());
    for party in &network.parties {
        out.push(format!(
            "| {} | {} | {} | {} | {} |",
            escape(&party.party),
            party.status,
            escape(party.version.as_deref().unwrap_or("not known")),
            escape(&party.bundle),
            rfc3339(party.collected)
        ));
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}

fn matrix(rows: &[Row], out: &mut Vec<String>) {
    let Some(first) = rows.first() else { return };
    let head: Vec<String> = first.cells.iter().map(|c| escape(&c.to)).collect();
    out.push(format!("| from \\ to | {} |", head.join(" | ")));
    out.push(format!("|---|{}", "---|".repeat(head.len())));
    for row in rows {
        let cells: Vec<&str> = row.cells.iter().map(sign).collect();
        out.push(format!("| **{}** | {} |", escape(&row.from), cells.join(" | ")));
    }
}

/// The network for a terminal of this width, with or without colours.
#[must_use]
pub fn network_terminal(network: &Network, color: bool, width: usize) -> String {
    let paint = Paint { color };
    let width = width.clamp(WIDTH_MIN, 140);
    let mut out = vec![format!("{}  {}", paint.status(network.status), verdict(network.status))];
    out.push(paint.dim(&line(&format!("KMS network, {}", scope(network)), width)));
    if let Some(root) = network.root() {
        out.push(String::new());
        out.push(paint.bold("Look at this first"));
        wrap(&mut out, &root.title, "  ", "  ", width, |l| paint.paint("1", l));
        wrap(&mut out, &root.meaning, "  ", "  ", width, str::to_owned);
        for reason in &root.because {
            wrap(&mut out, &format!("because {reason}"), "  - ", "    ", width, |l| paint.dim(l));
        }
        for evidence in root.evidence.iter().take(EVIDENCE) {
            wrap(&mut out, &place(evidence), "  ", "    ", width, |l| paint.paint("36", l));
        }
        out.push(String::new());
        out.push(paint.bold(&format!("Do now; call {}", line(&root.call.to_string(), 100))));
        for (i, step) in root.remedy.iter().enumerate() {
            wrap(&mut out, step, &format!("  {}. ", i + 1), "     ", width, str::to_owned);
        }
    }
    let (wrong, own, notes) = sorted(network);
    for (title, findings) in [("Also wrong", wrong), ("By each party's own triage", own), ("Worth knowing", notes)] {
        super::terminal::list(&mut out, &paint, width, title, &findings, FINDINGS);
    }
    out.push(String::new());
    out.push(paint.bold("Who reaches whom"));
    let cells = network.matrix.first().map(|r| r.cells.as_slice()).unwrap_or_default();
    let name = network.matrix.iter().map(|r| r.from.chars().count()).max().unwrap_or(0).clamp(4, 24);
    let columns: Vec<usize> = cells.iter().map(|c| c.to.chars().count().clamp(3, 24)).collect();
    let head: Vec<String> = cells.iter().zip(&columns).map(|(c, w)| format!("{:>w$}", line(&c.to, 24))).collect();
    out.push(paint.dim(format!("  {:name$}  {}", "from", head.join(" ")).trim_end()));
    for row in &network.matrix {
        let shown = row.cells.iter().zip(&columns).map(|(cell, w)| {
            let word = format!("{:>w$}", sign(cell));
            if cell.state == State::Unreachable { paint.paint("1;31", &word) } else { word }
        });
        out.push(format!("  {:name$}  {}", line(&row.from, 24), shown.collect::<Vec<_>>().join(" ")));
    }
    out.push(String::new());
    out.push(paint.bold("What was compared"));
    for comparison in &network.comparisons {
        let head = format!("  {:<16} {:<15}", comparison.aspect, result(comparison.result));
        let mut lines = Vec::new();
        let rest = " ".repeat(34);
        wrap(&mut lines, &found(comparison), &rest, &rest, width, str::to_owned);
        match lines.first_mut() {
            Some(first) => *first = format!("{head}{}", first.trim_start()),
            None => lines.push(head.trim_end().to_owned()),
        }
        out.append(&mut lines);
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}
