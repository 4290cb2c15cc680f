//! One pass over a log: known signatures, the error that ended it, its last words.

mod cause;
mod hit;
mod literals;
mod markers;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use cause::{Cause, Fatal, headline, strip};
pub(crate) use hit::Hit;
pub(super) use scan::LogScanner;

use crate::model::time::Timestamp;
use crate::triage::finding::{Evidence, Place};
use crate::triage::signatures::Signatures;
use crate::triage::text;

/// Errors in one minute that are a burst.
const BURST: u64 = 20;

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogKey {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) previous: bool,
}

/// What one log says.
#[derive(Debug, Default)]
pub(crate) struct LogFacts {
    path: Arc<str>,
    pub(crate) lines: u64,
    /// The last error that looks fatal: line, strength, text, causes behind it.
    fatal: Option<Fatal>,
    tail: Vec<(u64, String)>,
    /// By index of the signature.
    pub(crate) hits: BTreeMap<usize, Hit>,
    /// Matches that count only with another line behind them: signature, line, excerpt.
    pending: Vec<(usize, u64, String)>,
    /// Errors a minute (minutes since 1970), for lines with a time stamp.
    errors: BTreeMap<i64, u64>,
    no_log: bool,
}

impl LogFacts {
    /// Path of the log.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether there is a line of the program in it.
    pub(crate) fn has_text(&self) -> bool {
        !self.tail.is_empty() && !self.no_log
    }

    fn hit(
        &mut self,
        signatures: &Signatures,
        index: usize,
        line: u64,
        excerpt: impl FnOnce() -> String,
        time: Option<Timestamp>,
    ) {
        let Some(signature) = signatures.get(index) else { return };
        let hit = self.hits.entry(index).or_insert_with(|| Hit::at(line, excerpt(), time));
        hit.again(signature, line, time);
    }

    /// Evidence at a line.
    pub(crate) fn evidence(&self, line: u64, excerpt: &str) -> Evidence {
        Evidence { path: self.path.to_string(), place: Place::Line(line), excerpt: text::line(excerpt, text::EXCERPT) }
    }

    /// Times with many errors: beginning, end, how many errors. Neighbouring minutes are one burst.
    pub(crate) fn bursts(&self) -> Vec<(Timestamp, Timestamp, u64)> {
        let mut bursts: Vec<(i64, i64, u64)> = Vec::new();
        for (minute, count) in self.errors.iter().filter(|(_, count)| **count >= BURST) {
            match bursts.last_mut().filter(|b| b.1 + 1 >= *minute) {
                Some(open) => *open = (open.0, *minute, open.2 + count),
                None => bursts.push((*minute, *minute, *count)),
            }
        }
        let at = |minute: i64| chrono::DateTime::from_timestamp(minute.saturating_mul(60), 0);
        bursts.into_iter().filter_map(|(from, to, n)| Some((at(from)?, at(to.saturating_add(1))?, n))).collect()
    }

    /// Errors a minute on average, over the minutes between the first and the last error.
    pub(crate) fn errors_a_minute(&self) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.errors.first_key_value(), self.errors.last_key_value()) else {
            return 0.0;
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate for a comparison")]
        let rate = self.errors.values().sum::<u64>() as f64 / (last.saturating_sub(*first).saturating_add(1)) as f64;
        rate
    }

    /// Whether it holds an error that looks like the end of a program.
    pub(crate) fn has_error(&self) -> bool {
        self.fatal.is_some()
    }

    /// Whether its last error, or its last lines, name this host: `db:5432`, `db.ns.svc`, `"db"`.
    pub(crate) fn names_host(&self, host: &str, namespace: &str) -> bool {
        let lines: Vec<&str> = match &self.fatal {
            Some(fatal) => fatal.block.iter().map(String::as_str).collect(),
            None => self.tail.iter().map(|(_, text)| text.as_str()).collect(),
        };
        lines.iter().any(|line| {
            line.match_indices(host).any(|(at, _)| {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
                let rest = &line[at + host.len()..];
                let ends = rest.starts_with('"')
                    || rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
                    || rest.strip_prefix('.').is_some_and(|domain| domain.starts_with(namespace));
                ends && !line[..at].ends_with(word)
            })
        })
    }

    /// Why the container ended; none for an empty log.
    pub(crate) fn cause(&self) -> Option<Cause> {
        if let Some(fatal) = &self.fatal {
            // One entry for the whole block: its lines mean little one by one.
            let lines: Vec<&str> = fatal.block.iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
            let evidence = vec![self.evidence(fatal.line, &lines.join(" "))];
            return Some(Cause { text: headline(&fatal.block), is_error: true, evidence });
        }
        let (_, last) = self.tail.last()?;
        Some(Cause {
            text: strip(last),
            is_error: false,
            evidence: self.tail.iter().map(|(line, text)| self.evidence(*line, text)).collect(),
        })
    }
}
