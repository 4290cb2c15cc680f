//! Joins findings into chains and ranks them: what explains what, and which one to look at first.
//!
//! Every rule has a depth, the distance from the cause. A finding explains another when it is less deep and reaches one of
//! its subjects, so the chains cannot go in circles.

mod depth;
mod edges;
mod score;
mod topology;

use std::collections::BTreeSet;

use depth::Links;
pub(super) use depth::RULES;
use edges::edges;
use score::Score;
use topology::Topology;

use super::draft::Reaching;
use super::facts::Facts;
use super::finding::{Category, Coverage, Finding, Severity, Subject};
use super::{text, verdict};
use crate::profile::LabelSelector;

/// Findings that one finding may list as its consequences.
const EXPLAINS_MAX: usize = 200;

/// Links and ranks; gives the findings, the root cause first.
/// Links and ranks; gives the findings, the root cause first.
pub(super) fn rank(
    found: Vec<Reaching>,
    facts: &Facts,
    important: &[LabelSelector],
    links: &Links,
    coverage: &Coverage,
) -> (Option<String>, Vec<Finding>) {
    let topology = Topology::new(facts);
    let reach: Vec<BTreeSet<Subject>> = found.iter().map(|(f, touches)| topology.reach(f, touches)).collect();
    let edges = edges(&found, &reach, links);
    let mut findings: Vec<Finding> = found.into_iter().map(|(f, _)| f).collect();
    let explained: BTreeSet<usize> = edges.values().flatten().copied().collect();
    let scores: Vec<Score> =
        (0..findings.len()).map(|i| Score::of(i, &findings, &edges, &explained, facts, important, links)).collect();
    for (i, effects) in &edges {
        let mut ids: Vec<String> = effects.iter().map(|e| findings[*e].id.clone()).collect();
        ids.truncate(EXPLAINS_MAX);
        findings[*i].explains = ids;
    }
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by(|a, b| {
        scores[*b].value.total_cmp(&scores[*a].value).then_with(|| {
            (findings[*a].first_seen.is_none(), findings[*a].first_seen, &findings[*a].id).cmp(&(
                findings[*b].first_seen.is_none(),
                findings[*b].first_seen,
                &findings[*b].id,
            ))
        })
    });
    let root = order
        .first()
        .copied()
        .filter(|i| findings[*i].severity >= Severity::Warning && findings[*i].category != Category::DataQuality);
    if let Some(root) = root {
        let rival = order.get(1).copied().filter(|i| {
            !explained.contains(i)
                && findings[*i].severity >= Severity::Warning
                && findings[*i].category != Category::DataQuality
        });
        explain_choice(&mut findings, root, rival, &scores, coverage);
    }
    let mut sorted: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    let ranked: Vec<Finding> = order.iter().filter_map(|i| sorted[*i].take()).collect();
    (root.and_then(|_| ranked.first().map(|f| f.id.clone())), ranked)
}

/// Adds why this one was chosen, and how sure that is.
fn explain_choice(findings: &mut [Finding], root: usize, rival: Option<usize>, scores: &[Score], coverage: &Coverage) {
    let mut reasons = Vec::new();
    if scores[root].explains > 0 {
        reasons.push(format!("it explains {}", text::count(scores[root].explains, "other finding")));
    }
    if scores[root].important {
        reasons.push("it is about the main component of the system".to_owned());
    }
    let mut confidence = findings[root].confidence;
    if let Some(rival) = rival {
        let close = scores[rival].value >= scores[root].value * 0.9;
        if close {
            reasons.push(format!("an alternative is about as likely: {}", findings[rival].title));
            confidence *= 0.8;
        } else {
            reasons.push("nothing else that is found is as severe and explains as much".to_owned());
        }
    }
    let seen = verdict::share(coverage);
    if coverage.planned == 0 {
        reasons.push("the bundle does not say what it lacks, so something worse may be hidden".to_owned());
        confidence *= 0.9;
    } else if coverage.seen < coverage.planned {
        reasons.push(format!(
            "only {} of {} planned items could be read, so something worse may be hidden",
            coverage.seen, coverage.planned
        ));
        confidence *= 0.5 + seen / 2.0;
    }
    findings[root].because.extend(reasons);
    findings[root].confidence = (confidence * 100.0).round() / 100.0;
}
