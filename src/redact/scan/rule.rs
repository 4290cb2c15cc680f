//! Checks a candidate of a rule: one run of characters or one regular expression on a bounded window.

use regex_automata::{Anchored, Input, util::captures::Captures};

use super::Scan;
use super::bounds::token_start;
use crate::redact::rules::{Boundary, Check};

impl Scan<'_> {
    pub(super) fn rule(&mut self, index: u16, at: usize, anchor_len: usize) {
        let Some(rule) = self.env.set.rule(index) else { return };
        let bytes = self.bytes;
        let (line_start, line_end) = self.line_of(at);
        match &rule.check {
            Check::Never => {}
            Check::Run { class, min, max } => {
                if rule.left == Boundary::Token && !token_start(bytes, at) {
                    return;
                }
                let from = at + anchor_len;
                let (of, begin, end) = self.memory.run;
                let run = if of == index && (begin..end).contains(&from) && end <= line_end {
                    end - from
                } else {
                    class.run(&bytes[..line_end], from)
                };
                self.memory.run = (index, from, from + run);
                // A run that our own replacement ends is not longer than what was there.
                if (*min..=*max).contains(&run) {
                    self.mask(at, at + anchor_len + run, index, None);
                }
            }
            Check::Pattern { regex, group, lookback, max_len } => {
                let from = at.saturating_sub(*lookback).max(line_start);
                let to = (at + max_len).min(line_end);
                let anchored = if *lookback == 0 { Anchored::Yes } else { Anchored::No };
                let mut at_start = from;
                // A match that ends before the anchor belongs to another one.
                while at_start <= at {
                    let mut found: Captures = regex.create_captures();
                    regex.search_captures(&Input::new(bytes).span(at_start..to).anchored(anchored), &mut found);
                    let (Some(whole), Some(part)) = (found.get_group(0), found.get_group(*group)) else { return };
                    if whole.start > at {
                        return;
                    }
                    if whole.end > at {
                        if rule.left == Boundary::None || token_start(bytes, whole.start) {
                            self.mask(part.start, part.end, index, None);
                        }
                        return;
                    }
                    at_start = whole.end.max(at_start + 1);
                }
            }
        }
    }
}
