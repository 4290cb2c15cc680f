//! Checks a candidate of a rule: one run of characters or one regular expression on a bounded window.

use regex_automata::{Anchored, Input, util::captures::Captures};

use super::bounds::token_start;
use super::{Matched, SHORT, Scan};
use crate::redact::rules::{Boundary, Check};

/// What the search with an expression costs beside the bytes that it looks at, in bytes.
const SEARCH: usize = 200;
/// Matches up to this length are found by the faster engines; a byte of others costs as much as so many.
const SIMPLE: usize = 1 << 10;
const SLOW: usize = 16;

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
                    let run = class.run(&bytes[..line_end], from);
                    self.spend(run);
                    run
                };
                self.memory.run = (index, from, from + run);
                // A run that our own replacement ends is not longer than what was there.
                if (*min..=*max).contains(&run) {
                    self.mask(at, at + anchor_len + run, index, None);
                }
            }
            Check::Pattern { regex, group, lookback, max_len } => {
                if self.is_deferred(index, at, anchor_len) {
                    return;
                }
                let from = at.saturating_sub(*lookback).max(line_start);
                let to = (at + max_len).min(line_end);
                let anchored = if *lookback == 0 { Anchored::Yes } else { Anchored::No };
                let mut at_start = from;
                // A match that ends before the anchor belongs to another one.
                while at_start <= at {
                    let mut found: Captures = regex.create_captures();
                    regex.search_captures(&Input::new(bytes).span(at_start..to).anchored(anchored), &mut found);
                    let (Some(whole), Some(part)) = (found.get_group(0), found.get_group(*group)) else {
                        // Most candidates are none by their first bytes, where those are known.
                        let quick = *lookback == 0 && *max_len <= SIMPLE;
                        return self.spend(SEARCH + (to - at_start) / if quick { 4 } else { 1 });
                    };
                    let len = whole.end - at_start;
                    self.spend(SEARCH + if len > SIMPLE { SLOW * len } else { len });
                    if whole.start > at {
                        return;
                    }
                    if whole.end > at {
                        if rule.left == Boundary::None || token_start(bytes, whole.start) {
                            self.mask(part.start, part.end, index, None);
                            self.note_pattern(index, at, part.end);
                        }
                        return;
                    }
                    at_start = whole.end.max(at_start + 1);
                }
            }
        }
    }

    /// Puts off a candidate deep inside of a long match of the same rule, because each of many would be matched to the same
    /// end. The last one is matched when the others are over, and one in each quarter of what is left.
    fn is_deferred(&mut self, index: u16, at: usize, anchor_len: usize) -> bool {
        let Some(seen) = self.memory.patterns.iter_mut().find(|p| p.rule == index) else { return false };
        if at < seen.end && seen.end - seen.at > SHORT && at - seen.at < (seen.end - seen.at) / 4 {
            seen.deferred = Some((at, anchor_len));
            return true;
        }
        let deferred = seen.deferred.take().filter(|_| at >= seen.end);
        if let Some((at, anchor_len)) = deferred {
            seen.end = at;
            self.rule(index, at, anchor_len);
        }
        false
    }

    fn note_pattern(&mut self, rule: u16, at: usize, end: usize) {
        self.memory.patterns.retain(|p| p.rule != rule);
        self.memory.patterns.push(Matched { rule, at, end, deferred: None });
    }

    /// Matches the candidates that were put off.
    pub(super) fn deferred(&mut self) {
        for seen in std::mem::take(&mut self.memory.patterns) {
            if let Some((at, anchor_len)) = seen.deferred {
                self.rule(seen.rule, at, anchor_len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::{CorrelationKey, Redactor};

    #[test]
    fn many_candidates_inside_of_long_matches_leave_nothing_behind() {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        for count in [1, 2, 40, 150, 160, 170, 400, 1_000] {
            let text = format!("a {}tail1234 b", "X-Amz-Signature=aaaaaaaa".repeat(count));
            let clean = redactor.text(&text).into_inner();
            assert!(!clean.contains("aaaa") && !clean.contains("tail"), "{count}: {clean}");
            let whole = clean.starts_with("a X-Amz-Signature=REDACTED-") && clean.ends_with(" b");
            // A line that costs too much goes as a whole.
            assert!(whole || count > 20 && clean.starts_with("REDACTED-"), "{count}: {clean}");
        }
    }
}
