//! How far a start got, as its log shows it.

use super::LogFacts;
use crate::triage::finding::Evidence;
use crate::triage::stages::Stages;

/// The last stage of a start that shows in a log.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    index: usize,
    line: u64,
    excerpt: String,
    id: String,
    title: String,
    /// What would have come next; none behind the last stage.
    next: Option<String>,
}

impl LogFacts {
    /// Notes a stage, with what its line says about the program.
    pub(super) fn stage(
        &mut self,
        stages: &Stages,
        index: usize,
        (line, excerpt): (u64, String),
        said: Vec<(String, String)>,
    ) {
        let Some(stage) = stages.get(index) else { return };
        self.said.extend(said);
        // The first stage behind the last one is another start in the same log.
        let again = index == 0 && self.reached.as_ref().is_some_and(|r| Some(r.index) == stages.last());
        if again || self.reached.as_ref().is_none_or(|r| r.index < index) {
            self.reached = Some(Reached {
                index,
                line,
                excerpt,
                id: stage.id.clone(),
                title: stage.title.clone(),
                next: stages.next(index).map(|s| s.title.clone()),
            });
        }
    }

    /// Id of the last stage that shows; empty where none does.
    pub(crate) fn stage_id(&self) -> &str {
        self.reached.as_ref().map_or("", |r| r.id.as_str())
    }

    /// Whether the last stage of the start shows.
    pub(crate) fn is_up(&self) -> bool {
        self.reached.as_ref().is_some_and(|r| r.next.is_none())
    }

    /// How far the start got, with where it shows.
    pub(crate) fn progress(&self) -> Option<(String, Evidence)> {
        let reached = self.reached.as_ref()?;
        let text = match &reached.next {
            Some(next) => format!("the start got as far as \"{}\", and not to \"{next}\"", reached.title),
            None => format!("the start was complete: \"{}\"", reached.title),
        };
        Some((text, self.evidence(reached.line, &reached.excerpt)))
    }
}
