//! `report.html`: one file that loads nothing, and is readable without scripts.

use base64::Engine;
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest, Sha256};

use super::view::{View, command, place, who};
use super::{charts, peers, stores, timeline};
use crate::model::size::human as bytes;
use crate::model::time::rfc3339;
use crate::model::{LedgerEntry, Outcome};
use crate::triage::text::duration;
use crate::triage::{Finding, PodPart, PodRow, Severity, Tone, Triage};

const TEMPLATE: &str = include_str!("templates/report.html");
const CSS: &str = include_str!("templates/report.css");
const JS: &str = include_str!("templates/report.js");

/// Containers of one pod that are shown.
const PARTS: usize = 8;
/// Rows of tables; what is in trouble comes first, so that what is cut off is the least interesting.
const PODS: usize = 5_000;
const LEDGER: usize = 2_000;
const MOMENTS: usize = 300;
const FINDINGS: usize = 500;
const SUBJECTS: usize = 100;

/// Why the report cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw report.html: {0}")]
pub struct ReportError(#[from] minijinja::Error);

/// Draws `report.html`.
///
/// # Errors
/// When the template fails, which tests exclude for every kind of triage.
pub fn html(view: &View<'_>) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    // Everything is escaped as HTML, whatever the name of the template.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template("report.html", TEMPLATE)?;
    let triage = view.triage;
    let (pods, pods_hidden) = pods(view);
    let running = || triage.pods.iter().filter(|p| !p.over);
    let page = environment.get_template("report.html")?.render(context! {
        csp => csp(),
        css => CSS,
        js => JS,
        status => triage.status.to_string(),
        verdict => view.verdict(),
        profile => view.manifest.profile.clone(),
        scope => view.scope(),
        run => view.run(),
        critical => view.count(Severity::Critical),
        warning => view.count(Severity::Warning),
        info => view.count(Severity::Info),
        planned => triage.coverage.planned,
        seen => triage.coverage.seen,
        root => view.root.map(|f| finding(view, f)),
        consequences => findings(view, &view.consequences),
        others => findings(view, &view.others),
        folded => findings(view, &view.folded),
        notes => findings(view, &view.notes),
        blind => findings(view, &view.blind),
        timeline => timeline::svg(&triage.timeline),
        moments => moments(triage),
        moments_all => triage.timeline.len(),
        pods => pods,
        pods_hidden => pods_hidden,
        charts => charts::charts(view),
        peers => peers::matrix(triage),
        stores => stores::rows(triage),
        pods_running => running().count(),
        pods_ready => running().filter(|p| p.ready == p.containers).count(),
        ..context! {
            outcomes => view.manifest.outcomes().iter().map(|(o, n)| context! { outcome => o.as_str(), n => n }).collect::<Vec<_>>(),
            ledger => ledger(view),
            ledger_hidden => view.manifest.ledger.len().saturating_sub(LEDGER),
            redaction => redaction(view),
        }
    })?;
    Ok(page)
}

/// Nothing may be loaded, and only our own style and script may run: each is named by its hash.
fn csp() -> String {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(CSS),
        hash(JS)
    )
}

/// An id for links inside of the page.
fn anchor(id: &str) -> String {
    let hash = Sha256::digest(id.as_bytes());
    let hex: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
    format!("f-{hex}")
}

fn findings(view: &View<'_>, list: &[&Finding]) -> Vec<Value> {
    list.iter().take(FINDINGS).map(|f| finding(view, f)).collect()
}

fn finding(view: &View<'_>, f: &Finding) -> Value {
    let when = match (f.first_seen, f.last_seen) {
        (Some(first), Some(last)) if first < last => format!("{} to {}", rfc3339(first), rfc3339(last)),
        (Some(at), _) | (None, Some(at)) => format!("since {}", rfc3339(at)),
        _ => String::new(),
    };
    let class = match f.severity {
        Severity::Critical => "unhealthy",
        Severity::Warning => "degraded",
        Severity::Info => "healthy",
    };
    let explains: Vec<Value> = f
        .explains
        .iter()
        .filter_map(|id| view.find(id))
        .take(20)
        .map(|e| context! { anchor => anchor(&e.id), title => e.title.clone() })
        .collect();
    context! {
        anchor => anchor(&f.id),
        severity => f.severity.to_string(),
        severity_class => class,
        title => f.title.clone(),
        meaning => f.meaning.clone(),
        category => f.category.as_str(),
        level => u8::from(f.level),
        who => who(f.level),
        rule => f.rule.clone(),
        confidence => format!("{:.0}", f.confidence * 100.0),
        when => when,
        count => f.count,
        because => f.because.clone(),
        remedy => f.remedy.iter().map(|s| step(s)).collect::<Vec<_>>(),
        evidence => f.evidence.iter().map(|e| context! { place => place(e), excerpt => e.excerpt.clone() }).collect::<Vec<_>>(),
        subjects => f.subjects.iter().take(SUBJECTS).map(|s| s.as_str().to_owned()).collect::<Vec<_>>(),
        subject_count => f.subjects.len(),
        explains => explains,
    }
}

/// A step with its command apart.
fn step(text: &str) -> Value {
    let (text, command) = command(text);
    context! { text => text, command => command }
}

fn moments(triage: &Triage) -> Vec<Value> {
    triage
        .timeline
        .iter()
        .rev()
        .take(MOMENTS)
        .map(|m| context! { at => rfc3339(m.at), what => m.what.clone(), subject => m.subject.as_str(), severity => m.severity.to_string() })
        .collect()
}

/// Pods in trouble first, and how many are left out.
fn pods(view: &View<'_>) -> (Vec<Value>, usize) {
    let all = &view.triage.pods;
    let mut rows: Vec<&PodRow> = all.iter().collect();
    rows.sort_by_key(|p| (std::cmp::Reverse(p.severity), p.over, p.ready == p.containers));
    let many = all.iter().any(|p| p.namespace != all[0].namespace);
    let now = view.manifest.finished;
    let shown = rows.iter().take(PODS).map(|p| pod(p, many, now)).collect();
    (shown, view.triage.pods.len().saturating_sub(PODS))
}

#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn pod(p: &PodRow, many: bool, now: crate::model::time::Timestamp) -> Value {
    let tone = match p.severity {
        Some(severity) if severity > Severity::Info => severity.to_string(),
        _ if p.over || p.ready == p.containers => "good".to_owned(),
        _ => String::new(),
    };
    let share = match (p.memory, p.memory_limit) {
        (Some(used), Some(limit)) if limit > 0 => Some((used as f64 / limit as f64 * 100.0).min(100.0)),
        _ => None,
    };
    let memory = match (p.memory, p.memory_limit) {
        (Some(used), Some(limit)) => format!("{} / {}", bytes(used), bytes(limit)),
        (Some(used), None) => bytes(used),
        (None, Some(limit)) => format!("? / {}", bytes(limit)),
        (None, None) => String::new(),
    };
    let age = p.created.map(|at| now - at);
    context! {
        name => p.name.clone(),
        namespace => p.namespace.clone(),
        show_namespace => many,
        status => p.status.clone(),
        tone => tone,
        ready => if p.over { String::new() } else { format!("{}/{}", p.ready, p.containers) },
        share => (p.ready * 100).checked_div(p.containers).unwrap_or_default(),
        restarts => p.restarts,
        parts => p.parts.iter().take(PARTS).map(part).collect::<Vec<_>>(),
        parts_hidden => p.parts.len().saturating_sub(PARTS),
        node => p.node.clone(),
        memory => memory,
        memory_bytes => p.memory.unwrap_or_default(),
        bar => share.map_or_else(String::new, |s| format!("{s:.0}")),
        bar_class => if share.is_some_and(|s| s >= 90.0) { "high" } else { "use" },
        age => age.map_or_else(String::new, duration),
        age_seconds => age.map_or(0, |a| a.num_seconds()),
    }
}

/// A container: its state only where it does not simply run.
fn part(part: &PodPart) -> Value {
    let (tone, plain) = match part.tone {
        Tone::Good => ("good", true),
        Tone::Wait => ("warning", false),
        Tone::Bad => ("critical", false),
    };
    context! { name => part.name.clone(), state => if plain { "" } else { part.state.as_str() }, title => part.state.clone(), tone => tone, restarts => part.restarts }
}

/// The ledger, what was not read first.
fn ledger(view: &View<'_>) -> Vec<Value> {
    let mut rows: Vec<&LedgerEntry> = view.manifest.ledger.iter().collect();
    rows.sort_by_key(|e| (e.outcome.is_complete(), e.outcome == Outcome::Ok));
    rows.iter()
        .take(LEDGER)
        .map(|e| {
            let tone = match e.outcome {
                Outcome::Ok | Outcome::Empty => "good",
                Outcome::Truncated | Outcome::NotApplicable | Outcome::NotFound => "info",
                _ => "warning",
            };
            context! {
                item => e.item.as_str(),
                outcome => e.outcome.as_str(),
                tone => tone,
                bytes => bytes(e.bytes),
                bytes_raw => e.bytes,
                ms => e.duration_ms,
                attempts => e.attempts,
                reason => e.reason.as_deref().unwrap_or_default(),
            }
        })
        .collect()
}

fn redaction(view: &View<'_>) -> Option<Value> {
    let report = view.redaction?;
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|(rule, files)| context! { rule => rule.clone(), count => files.values().sum::<u64>(), files => files.len() })
        .collect();
    let stubs: Vec<Value> =
        report.stubs.iter().map(|(file, reason)| context! { file => file.clone(), reason => reason.clone() }).collect();
    let layers: Vec<String> = report.layers.iter().map(|(layer, count)| format!("{layer} {count}")).collect();
    let audit = report.audit.as_ref().map(|a| context! { files => a.files, hits => a.hits.clone() });
    Some(
        context! { layers => layers, audit => audit, total => report.total(), distinct => report.distinct, rules => rules, stubs => stubs, disabled => report.disabled.clone(), pseudonyms => report.pseudonyms.keys().cloned().collect::<Vec<_>>() },
    )
}
