//! Where known lines stand in a log.

use std::collections::VecDeque;

use crate::model::time::Timestamp;
use crate::triage::signatures::Signature;

/// Where a signature stands in a log.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) line: u64,
    pub(crate) excerpt: String,
    pub(crate) count: u64,
    pub(crate) last_line: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// Whether it was seen as often, and in as short a time, as its signature asks for.
    pub(crate) enough: bool,
    /// The newest times, as many as the signature asks for; kept only for a signature with a window.
    recent: VecDeque<Timestamp>,
}

impl Hit {
    /// The first line, which is not counted yet.
    pub(super) fn at(line: u64, excerpt: String, time: Option<Timestamp>) -> Self {
        Self {
            line,
            excerpt,
            count: 0,
            last_line: line,
            first: time,
            last: time,
            enough: false,
            recent: VecDeque::new(),
        }
    }

    /// Counts one more line.
    pub(super) fn again(&mut self, signature: &Signature, line: u64, time: Option<Timestamp>) {
        self.count += 1;
        self.last_line = line;
        self.last = time.or(self.last);
        match (signature.window, time) {
            (None, _) => self.enough |= self.count >= u64::from(signature.min_count),
            (Some(window), Some(time)) => {
                self.recent.push_back(time);
                if self.recent.len() > signature.min_count as usize {
                    self.recent.pop_front();
                }
                let full = self.recent.len() == signature.min_count as usize;
                self.enough |= full && self.recent.front().is_some_and(|first| time - *first <= window);
            }
            (Some(_), None) => {}
        }
    }
}
