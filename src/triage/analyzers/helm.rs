//! Releases of Helm: one whose newest revision is not deployed leaves the cluster between two versions.

use std::collections::BTreeMap;

use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Release, Secret};
use crate::triage::finding::{Category, Level, Severity, Subject};

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let mut newest: BTreeMap<(&str, &str), (&Secret, &Release)> = BTreeMap::new();
    for ((namespace, _), secret) in &facts.secrets {
        let Some(release) = secret.release.as_ref().filter(|r| !r.name.is_empty()) else { continue };
        let place = newest.entry((namespace, &release.name)).or_insert((secret, release));
        if release.revision > place.1.revision {
            *place = (secret, release);
        }
    }
    for ((namespace, name), (secret, release)) in newest {
        let stuck = release.status.starts_with("pending-");
        if release.status != "failed" && !stuck {
            continue;
        }
        let chart = if release.chart.is_empty() { String::new() } else { format!(" ({})", release.chart) };
        let mut draft = Draft::new("helm-release-failed", Category::Configuration, Severity::Warning, Level::Two)
            .about(Subject::new("release", namespace, name))
            .title(format!(
                "the newest revision {} of Helm release {name}{chart} is {}",
                release.revision, release.status
            ))
            .meaning(if stuck {
                "Helm was interrupted, or still works. Until this revision ends, every further upgrade is refused."
            } else {
                "A part of the objects may be of this revision and a part of the one before."
            })
            .seen_in([secret
                .at
                .evidence_at("/metadata/labels", &format!("status {}, version {}", release.status, release.revision))])
            .between(secret.created, None)
            .confidence(0.7)
            .remedy([
                format!(
                    "See what happened: kubectl -n {namespace} get events, and: helm -n {namespace} history {name}"
                ),
                "Roll back to the last deployed revision, or repair and upgrade again".to_owned(),
            ]);
        if !release.description.is_empty() {
            draft = draft.because(format!("Helm says: {}", release.description));
        }
        out.push(draft);
    }
}
