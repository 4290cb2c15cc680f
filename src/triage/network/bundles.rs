//! What the bundles themselves say: clocks, two of one party, missing and unreadable ones, bundles that cannot be compared.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::differences::{parties_text, subject};
use super::party::Party;
use super::view::{Aspect, Comparison, Group, Unread};
use crate::triage::draft::Draft;
use crate::triage::finding::{Call, Category, Evidence, Level, Place, Severity, Subject, Who};
use crate::triage::text;

/// Clocks that differ by more are worth a word.
const CLOCK_WARN_MS: i64 = 2_000;
/// Clocks that differ by more break certificates and sessions.
const CLOCK_BAD_MS: i64 = 30_000;
/// Bundles that were made further apart do not show one moment.
const APART: TimeDelta = TimeDelta::hours(1);

/// Two bundles that claim to be the same party.
pub(super) fn twice(parties: &[Party], out: &mut Vec<Draft>) {
    let mut by_id: BTreeMap<&str, Vec<&Party>> = BTreeMap::new();
    for party in parties {
        if let Some(id) = &party.id {
            by_id.entry(id).or_default().push(party);
        }
    }
    for (id, same) in by_id.into_iter().filter(|(_, same)| same.len() > 1) {
        let labels: Vec<&str> = same.iter().map(|p| p.label.as_str()).collect();
        out.push(
            Draft::new("network-same-party-twice", Category::Configuration, Severity::Warning, Level::Two)
                .about(subject(id))
                .title(format!("{} bundles are of party {id}: {}", same.len(), text::names(&labels, 4)))
                .meaning("Either two bundles of one party were given, or two nodes use the same party id and answer for each other.")
                .seen_in(same.iter().map(|p| Evidence { path: format!("{}/manifest.json", p.label), place: Place::Pointer("/parameters".to_owned()), excerpt: format!("party {id}") }))
                .confidence(0.7)
                .call(Call::peers([id]))
                .remedy(["Give one bundle a party, the newest", "If they are of two clusters: compare threshold.my_id of both with their signing keys"]),
        );
    }
}

/// Clocks of clusters, each against the machine that collected there.
pub(super) fn clocks(parties: &[Party], out: &mut Vec<Draft>) -> Comparison {
    let known: Vec<(&Party, i64, i64)> = parties.iter().filter_map(|p| p.clock.map(|(o, u)| (p, o, u))).collect();
    let mut offsets: Vec<i64> = known.iter().map(|(_, o, _)| *o).collect();
    offsets.sort_unstable();
    let middle = offsets.get(offsets.len() / 2).copied().unwrap_or_default();
    let mut odd = Vec::new();
    for (party, offset, uncertainty) in &known {
        let off = offset.saturating_sub(middle);
        let beyond = off.saturating_abs().saturating_sub(*uncertainty);
        if known.len() < 2 || beyond <= CLOCK_WARN_MS {
            continue;
        }
        odd.push(party.name().to_owned());
        let how = if off > 0 { "ahead of" } else { "behind" };
        out.push(
            Draft::new(
                "network-clocks-differ",
                Category::Configuration,
                if beyond > CLOCK_BAD_MS { Severity::Critical } else { Severity::Warning },
                Level::Two,
            )
            .about(subject(party.name()))
            .title(format!("the clock of party {} is {} s {how} the others", party.name(), seconds(off.saturating_abs())))
            .meaning("Certificates and sessions are judged by the clock: what is valid there is not valid here, and the times in its logs are not those of the others.")
            .seen_in([Evidence { path: format!("{}/manifest.json", party.label), place: Place::Pointer("/clocks".to_owned()), excerpt: format!("kube-apiserver: {offset} ms, exact to {uncertainty} ms") }])
            .because("each clock was compared with that of the machine that made the bundle; a wrong clock of that machine looks the same")
            .confidence(0.7)
            .same_when(party.name())
            .call(Call::peers([party.name()]))
            .remedy(["Check time synchronisation (chrony, NTP) on the nodes of that party, and on the machine that collected"]),
        );
    }
    let unknown = parties.iter().filter(|p| p.clock.is_none()).map(|p| p.name().to_owned()).collect();
    Comparison {
        aspect: "clocks".to_owned(),
        result: match known.len() {
            0 | 1 => Aspect::Unknown,
            _ if odd.is_empty() => Aspect::Same,
            _ => Aspect::Different,
        },
        groups: known
            .iter()
            .map(|(p, o, _)| Group { value: format!("{} s", seconds(*o)), parties: vec![p.name().to_owned()] })
            .collect(),
        odd,
        unknown,
    }
}

/// Milliseconds as seconds with one digit.
fn seconds(ms: i64) -> String {
    format!("{}{}.{}", if ms < 0 { "-" } else { "" }, (ms / 1000).abs(), (ms % 1000 / 100).abs())
}

/// What limits the comparison itself.
pub(super) fn about_bundles(parties: &[Party], missing: &[String], unread: &[Unread], out: &mut Vec<Draft>) {
    let manifest = |p: &Party, excerpt: String| Evidence {
        path: format!("{}/manifest.json", p.label),
        place: Place::Pointer("/finished".to_owned()),
        excerpt,
    };
    let note = |rule: &str, title: String, meaning: &str| {
        Draft::new(rule, Category::DataQuality, Severity::Info, Level::One)
            .about(Subject::new("network", "", "kms"))
            .title(title)
            .meaning(meaning)
            .confidence(1.0)
            .call(Who::OwnTeam)
    };
    if !missing.is_empty() {
        out.push(
            note(
                "network-bundles-missing",
                format!("no bundle of {}", parties_text(missing)),
                "What they see, and what they hold, is not known; what the others see of them is.",
            )
            .seen_in(parties.iter().take(1).map(|p| {
                manifest(p, format!("{} of {} parties are here", parties.len(), parties.len() + missing.len()))
            }))
            .remedy(["Ask for theirs: casefile collect --profile kms"]),
        );
    }
    let keys: BTreeSet<Option<&str>> = parties.iter().map(|p| p.key.as_deref()).collect();
    if parties.len() > 1 && (keys.len() > 1 || keys.contains(&None)) {
        out.push(
            note("network-not-comparable", "the bundles were redacted under different keys, so redacted values cannot be compared".to_owned(), "Equal secrets have different tokens in them. Such values count neither as equal nor as different here; everything that is not redacted is compared.")
                .seen_in(parties.iter().take(4).map(|p| Evidence { path: format!("{}/redaction.json", p.label), place: Place::Pointer("/key_id".to_owned()), excerpt: p.key.clone().unwrap_or_else(|| "no key id".to_owned()) }))
                .remedy(["To compare them, all parties collect with one key file: casefile collect --correlation-key FILE"]),
        );
    }
    let (first, last) = (parties.iter().min_by_key(|p| p.finished), parties.iter().max_by_key(|p| p.finished));
    if let (Some(first), Some(last)) = (first, last)
        && last.finished - first.finished > APART
    {
        out.push(
            note(
                "network-bundles-apart",
                format!(
                    "the bundles were made up to {} apart ({} first, {} last)",
                    text::duration(last.finished - first.finished),
                    parties_text(&[first.name().to_owned()]),
                    parties_text(&[last.name().to_owned()])
                ),
                "They show different moments: a peer that one party missed may have come back before the other looked.",
            )
            .seen_in([first, last].map(|p| manifest(p, crate::model::time::rfc3339(p.finished))))
            .remedy(["Collect at all parties at the same time when the matrix contradicts itself"]),
        );
    }
    for bundle in unread {
        out.push(
            Draft::new("network-bundle-unread", Category::DataQuality, Severity::Info, Level::One)
                .about(Subject::new("bundle", "", &bundle.bundle))
                .title(format!("{} could not be used: {}", bundle.bundle, bundle.reason))
                .meaning("Its party is missing from the comparison.")
                .seen_in([Evidence {
                    path: bundle.bundle.clone(),
                    place: Place::Line(1),
                    excerpt: bundle.reason.clone(),
                }])
                .confidence(1.0)
                .call(Who::OwnTeam)
                .remedy(["Ask for it again, and check it: casefile verify BUNDLE"]),
        );
    }
    for party in parties.iter().filter(|p| p.trouble.as_ref().is_some_and(|(_, s)| *s >= Severity::Warning)) {
        let Some((title, severity)) = &party.trouble else { continue };
        out.push(
            Draft::new(
                "network-party-troubled",
                Category::ThresholdNetwork,
                (*severity).min(Severity::Warning),
                Level::Two,
            )
            .about(subject(party.name()))
            .title(format!("party {}, by its own bundle: {title}", party.name()))
            .meaning("This is the root cause that its own triage names.")
            .seen_in([Evidence {
                path: format!("{}/triage.json", party.label),
                place: Place::Pointer("/root_cause".to_owned()),
                excerpt: text::line(title, text::EXCERPT),
            }])
            .confidence(0.8)
            .same_when(party.name())
            .call(Call::peers([party.name()]))
            .remedy([format!("Read its triage: casefile triage {}", party.label)]),
        );
    }
}
