//! A finding while it is being made: what happened to one subject, before equal ones are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Call, Category, Evidence, Finding, Level, Severity, Subject, Who};
use super::text;
use crate::model::time::Timestamp;

/// Evidence that a finding keeps; more of the same helps nobody.
const EVIDENCE_MAX: usize = 8;
/// Names that a title shows.
const NAMES_MAX: usize = 3;

/// A finding about one subject. Drafts of the same rule with the same cause become one finding.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) rule: String,
    pub(crate) category: Category,
    pub(crate) severity: Severity,
    pub(crate) level: Level,
    /// None: who acts by the level.
    pub(crate) call: Option<Call>,
    /// `{who}` stands for the subjects.
    pub(crate) title: String,
    pub(crate) meaning: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) confidence: f64,
    pub(crate) because: Vec<String>,
    pub(crate) remedy: Vec<String>,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) count: u64,
    /// What makes two drafts of a rule the same; drafts without one stay apart.
    pub(crate) cause: String,
    /// What it reaches beside its subjects, for the chains.
    pub(crate) touches: BTreeSet<Subject>,
}

impl Draft {
    pub(crate) fn new(rule: impl Into<String>, category: Category, severity: Severity, level: Level) -> Self {
        Self {
            rule: rule.into(),
            category,
            severity,
            level,
            call: None,
            title: String::new(),
            meaning: String::new(),
            subjects: Vec::new(),
            evidence: Vec::new(),
            confidence: 0.9,
            because: Vec::new(),
            remedy: Vec::new(),
            first: None,
            last: None,
            count: 1,
            cause: String::new(),
            touches: BTreeSet::new(),
        }
    }

    pub(crate) fn about(mut self, subject: Subject) -> Self {
        self.subjects.push(subject);
        self
    }

    pub(crate) fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    pub(crate) fn meaning(mut self, meaning: impl Into<String>) -> Self {
        self.meaning = meaning.into();
        self
    }

    pub(crate) fn seen_in(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.because.push(reason.into());
        self
    }

    pub(crate) fn call(mut self, call: impl Into<Call>) -> Self {
        self.call = Some(call.into());
        self
    }

    pub(crate) fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    pub(crate) fn remedy<S: Into<String>>(mut self, steps: impl IntoIterator<Item = S>) -> Self {
        self.remedy.extend(steps.into_iter().map(Into::into));
        self
    }

    pub(crate) fn between(mut self, first: Option<Timestamp>, last: Option<Timestamp>) -> Self {
        self.first = earliest(self.first, first);
        self.last = self.last.max(last.or(first));
        self
    }

    /// How far the start got, where its log shows it.
    pub(crate) fn got_to(self, progress: Option<(String, Evidence)>) -> Self {
        match progress {
            Some((text, evidence)) => self.because(text).seen_in([evidence]),
            None => self,
        }
    }

    pub(crate) fn times(mut self, count: u64) -> Self {
        self.count = count.max(1);
        self
    }

    pub(crate) fn same_when(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    pub(crate) fn reaches(mut self, subjects: impl IntoIterator<Item = Subject>) -> Self {
        self.touches.extend(subjects);
        self
    }

    fn absorb(&mut self, other: Self) {
        self.severity = self.severity.max(other.severity);
        if other.confidence > self.confidence {
            // The one who knows more speaks for all.
            self.title = other.title;
            self.meaning = other.meaning;
            self.category = other.category;
            self.level = other.level;
            self.call = merged(other.call, self.call.take());
            self.remedy = other.remedy;
            self.evidence.splice(0..0, other.evidence);
        } else {
            self.call = merged(self.call.take(), other.call);
            self.evidence.extend(other.evidence);
        }
        for subject in other.subjects {
            if !self.subjects.contains(&subject) {
                self.subjects.push(subject);
            }
        }
        self.confidence = self.confidence.max(other.confidence);
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
        self.touches.extend(other.touches);
        for reason in other.because {
            if !self.because.contains(&reason) {
                self.because.push(reason);
            }
        }
    }
}

/// Whom to call: the first says who, and parties of both are meant when both mean peers.
fn merged(first: Option<Call>, second: Option<Call>) -> Option<Call> {
    let (Some(mut call), Some(other)) = (first.clone(), second.clone()) else { return first.or(second) };
    if call.who == other.who {
        for party in other.parties {
            if !call.parties.contains(&party) {
                call.parties.push(party);
            }
        }
    }
    Some(call)
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A finding with what it reaches beside its subjects.
pub(crate) type Reaching = (Finding, BTreeSet<Subject>);

/// Puts equal drafts together and makes findings of them, in the order of rule and cause.
pub(crate) fn merge(drafts: Vec<Draft>) -> Vec<Reaching> {
    let mut merged: BTreeMap<(String, String, Option<Subject>), Draft> = BTreeMap::new();
    for draft in drafts {
        let alone = draft.cause.is_empty().then(|| draft.subjects.first().cloned()).flatten();
        let key = (draft.rule.clone(), draft.cause.clone(), alone);
        match merged.entry(key) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(draft);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().absorb(draft),
        }
    }
    let mut ids = BTreeSet::new();
    merged.into_values().map(|draft| finish(draft, &mut ids)).collect()
}

fn finish(mut draft: Draft, ids: &mut BTreeSet<String>) -> Reaching {
    draft.subjects.sort();
    let mut id = match draft.subjects.first() {
        Some(subject) => format!("{}:{subject}", draft.rule),
        None => draft.rule.clone(),
    };
    let base = id.clone();
    let mut n = 2;
    while !ids.insert(id.clone()) {
        id = format!("{base}#{n}");
        n += 1;
    }
    // One line of a file is enough once.
    let mut seen = BTreeSet::new();
    draft.evidence.retain(|e| seen.insert((e.path.clone(), format!("{:?}", e.place), e.excerpt.clone())));
    draft.evidence.truncate(EVIDENCE_MAX);
    let title = text::line(&draft.title.replace("{who}", &who(&draft.subjects)), 300);
    // Names and messages of the system stand in these texts, and they may hold anything.
    let clean = |texts: Vec<String>| texts.iter().map(|t| text::line(t, 500)).collect();
    let finding = Finding {
        id,
        rule: draft.rule,
        category: draft.category,
        severity: draft.severity,
        level: draft.level,
        call: draft.call.unwrap_or_else(|| Who::of(draft.level).into()),
        title,
        meaning: text::line(&draft.meaning, 800),
        subjects: draft.subjects,
        evidence: draft.evidence,
        confidence: draft.confidence,
        because: clean(draft.because),
        remedy: clean(draft.remedy),
        explains: Vec::new(),
        first_seen: draft.first,
        last_seen: draft.last,
        count: draft.count,
    };
    (finding, draft.touches)
}

/// `pod kms-core-0`, or `30 pods (a, b, c and 27 more)`.
fn who(subjects: &[Subject]) -> String {
    let [first, rest @ ..] = subjects else { return "it".to_owned() };
    if rest.is_empty() {
        return format!("{} {}", kind_word(first.kind()), first.name());
    }
    let names: Vec<&str> = subjects.iter().map(Subject::name).collect();
    let kind = if subjects.iter().all(|s| s.kind() == first.kind()) { first.kind() } else { "object" };
    format!("{} ({})", text::count(subjects.len(), kind_word(kind)), text::names(&names, NAMES_MAX))
}

/// The kind as people say it.
fn kind_word(kind: &str) -> &str {
    match kind {
        "persistentvolumeclaim" => "claim",
        "persistentvolume" => "volume",
        "resourcequota" => "quota",
        "horizontalpodautoscaler" => "autoscaler",
        "poddisruptionbudget" => "disruption budget",
        "storageclass" => "storage class",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_of_many_is_one_finding() {
        let draft = |name: &str, cause: &str| {
            Draft::new("r", Category::Startup, Severity::Warning, Level::One)
                .about(Subject::new("Pod", "ns", name))
                .title("{who} broke")
                .same_when(cause)
        };
        let found = merge(vec![draft("b", "x"), draft("a", "x"), draft("c", "y"), draft("d", "x"), draft("e", "x")]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0.title, "4 pods (a, b, d and 1 more) broke");
        assert_eq!(found[0].0.id, "r:pod/ns/a");
        assert_eq!(found[0].0.count, 4);
        assert_eq!(found[1].0.title, "pod c broke");
    }

    #[test]
    fn ids_are_unique() {
        let draft = |cause: &str| {
            Draft::new("r", Category::Startup, Severity::Info, Level::One)
                .about(Subject::new("Pod", "n", "a"))
                .same_when(cause)
        };
        let found = merge(vec![draft("x"), draft("y")]);
        assert_eq!((found[0].0.id.as_str(), found[1].0.id.as_str()), ("r:pod/n/a", "r:pod/n/a#2"));
    }
}
