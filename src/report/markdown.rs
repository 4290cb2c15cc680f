//! `SUMMARY.md`: fits a ticket, and says on its first screen what to do.

use super::view::{View, command, place, who};
use crate::model::size;
use crate::model::time::rfc3339;
use crate::redact::RedactionReport;
use crate::triage::text::{count, line};
use crate::triage::{Finding, Severity, StoreRow};

/// Lines that the page has at most, so that it fits a ticket.
const LINES_MAX: usize = 80;
const EXCERPT: usize = 180;

/// Entries of each list that are shown; the rest is counted.
#[derive(Clone, Copy)]
struct Limits {
    because: usize,
    steps: usize,
    evidence: usize,
    consequences: usize,
    others: usize,
    notes: usize,
    stores: usize,
    blind: usize,
}

/// A list that may get shorter, and how short.
type List = fn(&mut Limits) -> (&mut usize, usize);

impl Limits {
    const MOST: Self =
        Self { because: 5, steps: 8, evidence: 5, consequences: 6, others: 8, notes: 4, stores: 12, blind: 6 };

    /// Less of what matters least; none when there is nothing left to leave out.
    fn less(self) -> Option<Self> {
        let lists: [List; 8] = [
            |l| (&mut l.stores, 4),
            |l| (&mut l.notes, 2),
            |l| (&mut l.consequences, 3),
            |l| (&mut l.others, 4),
            |l| (&mut l.blind, 3),
            |l| (&mut l.because, 3),
            |l| (&mut l.evidence, 3),
            |l| (&mut l.steps, 5),
        ];
        let mut limits = self;
        for list in lists {
            let (shown, least) = list(&mut limits);
            if *shown > least {
                *shown -= 1;
                return Some(limits);
            }
        }
        None
    }
}

/// Writes `SUMMARY.md`.
#[must_use]
pub fn markdown(view: &View<'_>) -> String {
    let mut limits = Limits::MOST;
    loop {
        let text = draw(view, limits);
        match limits.less() {
            Some(less) if text.lines().count() > LINES_MAX => limits = less,
            _ => return text,
        }
    }
}

fn draw(view: &View<'_>, limits: Limits) -> String {
    let mut out = Vec::new();
    let triage = view.triage;
    out.push(format!("# {}: {}", view.manifest.profile, triage.status));
    out.push(String::new());
    out.push(format!(
        "{} {} critical, {} warning, {} info. {}.",
        view.verdict(),
        view.count(Severity::Critical),
        view.count(Severity::Warning),
        view.count(Severity::Info),
        escape(&view.scope()),
    ));
    match view.root {
        Some(root) => root_cause(view, root, limits, &mut out),
        None => {
            out.push(String::new());
            out.push("No root cause: nothing that was seen asks for action.".to_owned());
        }
    }
    if !view.others.is_empty() {
        heading(&mut out, "Also wrong, and not explained by it");
        for finding in view.others.iter().take(limits.others) {
            let title = escape(&line(&finding.title, 200));
            let seen = finding.evidence.first().map_or_else(String::new, |e| format!(" {}", code(&place(e))));
            out.push(format!(
                "- **{}** {title} ({}; call {}){seen}",
                finding.severity,
                level(finding),
                escape(&finding.call.to_string())
            ));
        }
        more(&mut out, view.others.len(), limits.others, "in `triage.json`");
    }
    if !view.notes.is_empty() {
        heading(&mut out, "Worth knowing");
        for finding in view.notes.iter().take(limits.notes) {
            out.push(format!("- {}", escape(&line(&finding.title, 200))));
        }
        more(&mut out, view.notes.len(), limits.notes, "in `triage.json`");
    }
    stores(&triage.stores, limits.stores, &mut out);
    blind(view, limits.blind, &mut out);
    heading(&mut out, "How it was collected");
    out.push(format!("{}.", escape(&view.run())));
    if let Some(report) = view.redaction {
        out.push(
            format!(
                "{} redacted ({} distinct); the originals are nowhere in the bundle. {}{}",
                count(usize::try_from(report.total()).unwrap_or(usize::MAX), "place"),
                report.distinct,
                audited(report),
                if report.stubs.is_empty() {
                    String::new()
                } else {
                    format!("{} left out, because it could not be redacted safely.", count(report.stubs.len(), "file"))
                }
            )
            .trim_end()
            .to_owned(),
        );
    }
    if let Some(report) = view.redaction.filter(|r| !r.disabled.is_empty()) {
        let rules = report.disabled.iter().map(|id| format!("`{}`", escape(id))).collect::<Vec<_>>().join(", ");
        out.push(format!("**Redaction was weakened:** switched off by the user: {rules}."));
    }
    if let Some(report) = view.redaction.filter(|r| !r.pseudonyms.is_empty()) {
        out.push(pseudonyms(report));
    }
    out.push("All findings: `triage.json`; the same for a browser: `report.html`; what was planned and how it ended: `manifest.json`.".to_owned());
    let mut text = out.join("\n");
    text.push('\n');
    text
}

/// What the audit found.
fn audited(report: &RedactionReport) -> String {
    match &report.audit {
        None => String::new(),
        Some(audit) if audit.hits.is_empty() => "An independent audit of the finished files found nothing. ".to_owned(),
        Some(audit) => format!("**Do not send it: the leak audit hit {}.** ", count(audit.hits.len(), "time")),
    }
}

/// Which addresses and names are not the real ones.
fn pseudonyms(report: &RedactionReport) -> String {
    let kinds: Vec<String> = report
        .pseudonyms
        .iter()
        .map(|(kind, files)| format!("`{}` ({})", escape(kind), files.values().sum::<u64>()))
        .collect();
    format!(
        "**Pseudonyms in place of real values:** {}. Equal values have equal ones, and networks stay networks.",
        kinds.join(", ")
    )
}

fn root_cause(view: &View<'_>, root: &Finding, limits: Limits, out: &mut Vec<String>) {
    heading(out, "Most likely root cause");
    out.push(format!("**{}**", escape(&root.title)));
    out.push(String::new());
    out.push(format!(
        "{} Confidence {:.0} %, {}{}.",
        escape(&root.meaning),
        root.confidence * 100.0,
        root.category,
        when(root)
    ));
    for reason in root.because.iter().take(limits.because) {
        out.push(format!("- because {}", escape(&line(reason, 220))));
    }
    heading(out, &format!("Do now ({})", who(root.level)));
    out.push(format!("Call {}.", escape(&root.call.to_string())));
    out.push(String::new());
    for (i, step) in root.remedy.iter().take(limits.steps).enumerate() {
        out.push(format!("{}. {}", i + 1, step_text(step)));
    }
    heading(out, "Evidence");
    for evidence in root.evidence.iter().take(limits.evidence) {
        out.push(format!("- {}", code(&place(evidence))));
        if !evidence.excerpt.is_empty() {
            out.push(format!("  {}", code(&line(&evidence.excerpt, EXCERPT))));
        }
    }
    more(out, root.evidence.len(), limits.evidence, "in `triage.json`");
    if !view.consequences.is_empty() {
        heading(out, "Consequences (do not chase these)");
        for finding in view.consequences.iter().take(limits.consequences) {
            out.push(format!("- {}", escape(&line(&finding.title, 200))));
        }
        more(out, view.consequences.len(), limits.consequences, "in `triage.json`");
    }
}

/// What lies in the buckets and directories of the system.
fn stores(rows: &[StoreRow], most: usize, out: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    heading(out, "Stores");
    out.push("| store | place | objects | size | what |".to_owned());
    out.push("|---|---|---|---|---|".to_owned());
    for row in rows.iter().take(most) {
        let at_least = if row.complete { "" } else { ">= " };
        let what =
            row.fault.as_ref().map_or_else(|| row.folders.clone(), |fault| format!("not all was listed: {fault}"));
        out.push(format!(
            "| {} of {} | {} | {at_least}{} | {} | {} |",
            escape(&row.id),
            escape(&row.pod),
            escape(&row.place),
            row.objects,
            size::human(row.bytes),
            escape(&line(&what, 160))
        ));
    }
    more(out, rows.len(), most, "in `triage.json`");
}

fn blind(view: &View<'_>, most: usize, out: &mut Vec<String>) {
    let coverage = &view.triage.coverage;
    heading(out, "What could not be seen");
    if coverage.planned == 0 {
        out.push("The bundle has no ledger, so what is missing from it is not known.".to_owned());
    } else if coverage.missing.is_empty() && view.blind.is_empty() {
        out.push(format!("Nothing: all {} planned items were read as far as they exist.", coverage.planned));
    } else {
        out.push(format!("{} of {} planned items were read.", coverage.seen, coverage.planned));
    }
    for missing in coverage.missing.iter().take(most) {
        out.push(format!("- {}", escape(&line(missing, 200))));
    }
    more(out, coverage.missing.len(), most, "in `manifest.json`");
    for finding in view.blind.iter().filter(|f| f.rule != "lost-visibility").take(3) {
        out.push(format!("- {}", escape(&line(&finding.title, 200))));
    }
}

pub(super) fn heading(out: &mut Vec<String>, text: &str) {
    out.push(String::new());
    out.push(format!("## {text}"));
    out.push(String::new());
}

pub(super) fn more(out: &mut Vec<String>, all: usize, shown: usize, place: &str) {
    if all > shown {
        out.push(format!("- and {} more {place}", all - shown));
    }
}

fn level(finding: &Finding) -> String {
    format!("level {}", u8::from(finding.level))
}

fn when(finding: &Finding) -> String {
    match (finding.first_seen, finding.last_seen) {
        (Some(first), Some(last)) if first < last => format!(", seen from {} to {}", rfc3339(first), rfc3339(last)),
        (Some(at), _) | (None, Some(at)) => format!(", since {}", rfc3339(at)),
        _ => String::new(),
    }
}

/// A step with its command as code.
pub(super) fn step_text(step: &str) -> String {
    match command(step) {
        (text, "") => escape(text),
        (text, command) => format!("{} {}", escape(text), code(command)),
    }
}

/// Text that Markdown shows as it is, whatever it holds.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text, 600).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A code span that ends where it should: fenced by more backticks than the text has in a row.
pub(super) fn code(text: &str) -> String {
    let text = line(text, 600);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<script>a_b*[x](y)"), "&lt;script&gt;a\\_b\\*\\[x\\](y)");
        assert_eq!(code("a `b` c"), "``a `b` c``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(step_text("Look: kubectl -n a_b get pod"), "Look: `kubectl -n a_b get pod`");
        assert_eq!(step_text("On it: df -h; x"), "On it: `df -h; x`");
        assert_eq!(step_text("Look: at the kubectl"), "Look: at the kubectl");
    }
}
