//! Spans of bytes to replace, and their union.

use super::layers::Layer;
use super::token::Id;

/// The quotes that a bare value needs around its replacement so that the document still parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quotes {
    /// Backslashes before each quote: 0 in plain JSON, 1 in JSON inside a JSON string, ...
    pub(super) level: u8,
    /// The quote character.
    pub(super) quote: u8,
}

/// Bytes to replace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Index into the rule set.
    pub(super) rule: u16,
    /// The id, where it is not the id of the bytes as they stand.
    pub(super) id: Option<Id>,
    pub(super) quotes: Option<Quotes>,
    /// Who found it.
    pub(super) layer: Layer,
}

impl Span {
    pub(super) fn new(start: usize, end: usize, rule: u16) -> Self {
        Self { start, end, rule, id: None, quotes: None, layer: Layer::Engine }
    }
}

/// Sorts spans and joins those that overlap or touch. The label of a union is that of its widest part; among equals the lowest
/// rule index wins, so that the result does not depend on the order of detection.
pub(super) fn union(spans: &mut Vec<Span>) {
    spans.retain(|s| s.start < s.end);
    spans.sort_by_key(|s| (s.start, std::cmp::Reverse(s.end), s.rule, s.id.is_none()));
    let mut kept = 0;
    for i in 0..spans.len() {
        let next = spans[i];
        if kept > 0 && next.start <= spans[kept - 1].end {
            let last = &mut spans[kept - 1];
            if next.end > last.end {
                last.end = next.end;
                last.id = None;
            } else if next.start == last.start && next.end == last.end {
                last.id = last.id.or(next.id);
            }
            last.quotes = last.quotes.or(next.quotes.filter(|_| next.start == last.start && next.end == last.end));
        } else {
            spans[kept] = next;
            kept += 1;
        }
    }
    spans.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_spans_become_their_union() {
        let mut spans = vec![Span::new(5, 9, 1), Span::new(0, 3, 2), Span::new(7, 12, 3), Span::new(12, 14, 4)];
        union(&mut spans);
        let ends: Vec<_> = spans.iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(ends, [(0, 3), (5, 14)]);
    }
}
