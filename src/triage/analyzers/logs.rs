//! Findings from the log signatures of the profile.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{Context, owner_path};
use crate::triage::draft::Draft;
use crate::triage::facts::{EngineContainer, JOURNALS, LogFacts, Pod, Role, State};
use crate::triage::finding::{Call, Category, Severity, Subject, Who};
use crate::triage::signatures::{Signature, When};
use crate::triage::text;

/// A line that is older than this says nothing about now.
const STALE: TimeDelta = TimeDelta::hours(24);

pub(super) fn analyze(context: &Context<'_>, out: &mut Vec<Draft>) {
    let Some(signatures) = context.signatures else { return };
    let facts = context.facts;
    let mut done: BTreeMap<(&str, &str, &str), ()> = BTreeMap::new();
    for pod in facts.pods.values() {
        for container in &pod.containers {
            let failed = container.role != Role::Ephemeral
                && match &container.state {
                    State::Waiting { reason, .. } => {
                        reason == "CrashLoopBackOff" && container.last.as_ref().is_some_and(|l| l.exit != 0)
                    }
                    State::Terminated(ended) => ended.exit != 0,
                    _ => false,
                };
            let Some(log) = facts.last_log(pod, container).filter(|_| failed && pod.deleting.is_none()) else {
                continue;
            };
            done.insert((&pod.key.0, &pod.key.1, &container.name), ());
            let fits = |s: &&Signature| s.is_for(&container.name, &container.image);
            let Some((index, signature, hit)) = best(log, |i| signatures.get(i).filter(fits)) else { continue };
            let (namespace, name) = &pod.key;
            let job = pod.owner.as_ref().is_some_and(|(kind, _)| kind == "Job");
            let known = telling(&hit.excerpt);
            // A wrapper only says where it failed; the end of the log says why.
            let why =
                log.cause().filter(|c| signature.wrapper && c.is_error && !c.text.contains(&known)).map(|c| c.text);
            let mut draft = draft(context, &pod.subject(), log, (index, signature, hit), Severity::Critical)
                .title(format!(
                    "{{who}}: container {} {}: {}",
                    container.name,
                    if job { "failed" } else { "does not stay up" },
                    why.filter(|w| !known.contains(w.as_str()))
                        .map_or_else(|| known.clone(), |w| format!("{known}: {w}"))
                ))
                .because(format!("it stands in the log of the instance of container {} that ended", container.name))
                .confidence(if signature.wrapper { 0.8 } else { 0.93 })
                .seen_in(log.cause().into_iter().filter(|c| c.is_error).flat_map(|c| c.evidence.into_iter().take(3)))
                .got_to(log.progress())
                .remedy([format!(
                    "Read it in context: kubectl -n {namespace} logs {name} -c {}{}",
                    container.name,
                    if job { "" } else { " --previous" }
                )]);
            if let Some(ended) = container.ended() {
                draft = draft.between(ended.started, ended.finished).seen_in([pod.at.evidence_at(
                    &container.pointer,
                    &format!("{}: exit code {}, {} restarts", container.name, ended.exit, container.restarts),
                )]);
            }
            out.push(if job {
                draft.remedy([format!(
                    "When the cause is gone, run {} again: a failed Job does not try by itself",
                    owner_path(pod)
                )])
            } else {
                draft.remedy([format!(
                    "When it is corrected, do not wait for the back-off: kubectl -n {namespace} delete pod {name}"
                )])
            });
        }
    }
    for (key, log) in &facts.logs {
        if key.previous || done.contains_key(&(key.namespace.as_str(), key.pod.as_str(), key.container.as_str())) {
            continue;
        }
        let pod = facts.pods.get(&(key.namespace.clone(), key.pod.clone()));
        if pod.is_some_and(Pod::is_over) {
            continue;
        }
        let image =
            pod.and_then(|p| p.containers.iter().find(|c| c.name == key.container)).map_or("", |c| c.image.as_str());
        for (index, hit) in &log.hits {
            let Some(signature) = signatures.get(*index).filter(|s| hit.enough && s.is_for(&key.container, image))
            else {
                continue;
            };
            let severity = match signature.when {
                _ if signature.severity.is_some() => signature.severity.unwrap_or(Severity::Info),
                // In a program that runs, an error that wraps others may have been met and overcome.
                When::Crash if signature.wrapper => Severity::Info,
                When::Crash | When::Seen => Severity::Warning,
                When::Note => Severity::Info,
                When::Noise => continue,
            };
            if !signature.lasts() && hit.last.is_some_and(|at| facts.now - at > STALE) {
                continue;
            }
            let engine = facts.beside.containers.iter().find(|c| key.namespace.is_empty() && c.name == key.pod);
            // A line that explains why a program ends is critical where a program has ended.
            let ended =
                engine.is_some_and(EngineContainer::failed) && signature.when == When::Crash && !signature.wrapper;
            let severity = if ended { Severity::Critical } else { severity };
            let subject = match (key.namespace.is_empty(), engine) {
                (false, _) => Subject::new("pod", &key.namespace, &key.pod),
                (true, Some(_)) => Subject::new("container", "", &key.pod),
                (true, None) if log.path().starts_with(JOURNALS) => Subject::new("unit", "", &key.pod),
                (true, None) => Subject::new("file", "", &key.pod),
            };
            out.push(
                draft(context, &subject, log, (*index, signature, hit), severity)
                    .confidence(0.7)
                    .between(hit.first, hit.last),
            );
        }
    }
}

type Hit = crate::triage::facts::Hit;
/// A signature, its index, and where it stands in a log.
type Known<'a> = (usize, &'a Signature, &'a Hit);

/// The signature that says most about why a container ended: no wrapper, made for crashes, last in the log.
fn best<'a>(log: &'a LogFacts, get: impl Fn(usize) -> Option<&'a Signature>) -> Option<Known<'a>> {
    log.hits
        .iter()
        .filter_map(|(i, hit)| Some((*i, get(*i)?, hit)))
        .filter(|(_, s, hit)| hit.enough && matches!(s.when, When::Crash | When::Seen))
        .max_by_key(|(_, s, hit)| (s.when == When::Crash && !s.wrapper, !s.wrapper, hit.last_line))
}

fn draft(
    context: &Context<'_>,
    subject: &Subject,
    log: &LogFacts,
    (index, signature, hit): Known<'_>,
    severity: Severity,
) -> Draft {
    let companions: Vec<&Hit> =
        (context.signatures.iter()).flat_map(|s| s.companions(index)).filter_map(|i| log.hits.get(i)).collect();
    let filled = |text: &str| fill(text, subject, log, std::iter::once(hit).chain(companions.iter().copied()));
    let mut draft = Draft::new(
        format!("{}/{}", context.manifest.profile, signature.id),
        signature.category,
        severity,
        signature.level,
    );
    match signature.call {
        Some(Who::Peer) => draft = draft.call(Call::peers(hit.captured.get("peer").into_iter().flatten().cloned())),
        Some(who) => draft = draft.call(who),
        None => {}
    }
    draft
        .about(subject.clone())
        .title(format!("{{who}}: {}", telling(&hit.excerpt)))
        .meaning(sentence(&filled(&signature.meaning)))
        .seen_in([log.evidence(hit.line, &hit.excerpt)])
        .seen_in(companions.iter().map(|c| log.evidence(c.line, &c.excerpt)))
        .because(format!("the line is known: signature {} of profile {}", signature.id, context.manifest.profile))
        .same_when(telling(&hit.excerpt).chars().filter(|c| !c.is_ascii_digit()).collect::<String>())
        .times(hit.count)
        .remedy(signature.remedy.iter().map(|step| filled(step)))
        .reaches(if signature.category == Category::Connectivity { Vec::new() } else { vec![subject.clone()] })
        .reaches(if signature.main { main_pods(context, subject.namespace()) } else { Vec::new() })
}

/// The pods of the main component in a namespace.
fn main_pods(context: &Context<'_>, namespace: &str) -> Vec<Subject> {
    let Ok(profile) = crate::profile::find_builtin(&context.manifest.profile) else { return Vec::new() };
    let main = |p: &&Pod| {
        p.key.0 == namespace
            && profile.kubernetes.detect.iter().any(|s| s.matches(|k| p.labels.get(k).map(String::as_str)))
    };
    context.facts.pods.values().filter(main).map(Pod::subject).collect()
}

/// A text of a signature with the names that belong in its braces.
fn fill<'a>(text: &str, subject: &Subject, log: &LogFacts, hits: impl Iterator<Item = &'a Hit>) -> String {
    let mut out = text
        .replace("{namespace}", subject.namespace())
        .replace("{pod}", subject.name())
        .replace("{container}", log.container());
    for (name, values) in hits.flat_map(|h| &h.captured) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        out = out.replace(&format!("{{{name}}}"), &text::names(&values, 5));
    }
    // A group of an alternative that did not match has no value.
    while let Some((head, rest)) = out.split_once('{') {
        let Some((name, tail)) = rest.split_once('}') else { break };
        out = format!("{head}({name} not named){tail}");
    }
    out
}

/// With a full stop at its end.
fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// The part of a log line behind time stamp, level, thread and place.
fn telling(line: &str) -> String {
    let mut rest = line;
    // `2026-11-21T07:00:04Z  WARN main ThreadId(01) target: file.rs:12: Error in other.rs:1:2: text`
    while let Some((_, tail)) = rest.split_once(".rs:")
        && let Some((place, text)) = tail.split_once(": ")
        && place.chars().all(|c| c.is_ascii_digit() || c == ':')
    {
        rest = text;
    }
    // What serde would have accepted instead is a long list.
    let rest = rest
        .split("`, expected one of")
        .next()
        .map_or(rest.to_owned(), |head| if head.len() < rest.len() { format!("{head}`") } else { head.to_owned() });
    text::line(rest.trim_start_matches("Error: "), 160)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_part_of_a_line() {
        for (line, want) in [
            (
                "2026-11-21T07:00:04Z  WARN main ThreadId(01) a::b: src/b.rs:54: the disk is full: x",
                "the disk is full: x",
            ),
            ("Error: unknown field `x`", "unknown field `x`"),
            ("unknown field `x`, expected one of `a`, `b`", "unknown field `x`"),
            ("plain", "plain"),
        ] {
            assert_eq!(telling(line), want);
        }
    }
}
