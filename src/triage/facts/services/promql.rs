//! The series that a PromQL expression needs.

use std::collections::BTreeSet;

/// Words of the language that stand where a series could.
const WORDS: [&str; 16] = [
    "and",
    "atan2",
    "bool",
    "by",
    "end",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "nan",
    "offset",
    "on",
    "or",
    "start",
    "unless",
    "without",
];
/// Words behind which labels stand in parentheses.
const LABELS: [&str; 6] = ["by", "group_left", "group_right", "ignoring", "on", "without"];

/// Names of the series without which an expression gives nothing, sorted. An expression with `or` or `absent` may give
/// something without any of them, so it needs none.
pub(super) fn series(query: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut chars = query.char_indices().peekable();
    let mut last = String::new();
    while let Some((start, c)) = chars.next() {
        match c {
            '"' | '\'' | '`' => {
                let mut escaped = false;
                for (_, d) in chars.by_ref() {
                    if d == c && !escaped {
                        break;
                    }
                    escaped = d == '\\' && !escaped && c != '`';
                }
            }
            '{' | '[' => skip(&mut chars, c),
            '(' if LABELS.contains(&last.as_str()) => skip(&mut chars, '('),
            '#' => while chars.next().is_some_and(|(_, d)| d != '\n') {},
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let mut end = start + 1;
                while let Some((at, _)) = chars.next_if(|(_, d)| d.is_ascii_alphanumeric() || matches!(d, '_' | ':')) {
                    end = at + 1;
                }
                let word = &query[start..end];
                let called = query[end..].trim_start().starts_with('(');
                let lower = word.to_ascii_lowercase();
                if lower == "or" || lower.starts_with("absent") && called {
                    return Vec::new();
                }
                if !called && !WORDS.contains(&lower.as_str()) && !aggregates(&lower, &query[end..]) {
                    found.insert(word.to_owned());
                }
                last = lower;
                continue;
            }
            // `5m` behind `offset`, and numbers.
            c if c.is_ascii_digit() => {
                while chars.next_if(|(_, d)| d.is_ascii_alphanumeric() || *d == '.').is_some() {}
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        last.clear();
    }
    found.into_iter().collect()
}

/// Why an alert cannot mean what it says, as far as its text alone shows it.
pub(super) fn flaw(query: &str) -> Option<&'static str> {
    let tight: String = query.chars().filter(|c| !c.is_whitespace()).collect();
    // `count(...)` of no series is no zero but nothing.
    if tight.starts_with("count(")
        && !tight.contains("absent(")
        && !query.split_whitespace().any(|w| w == "or")
        && let Some((counted, rest)) = closed(&tight["count".len()..])
        && compares(counted)
        && (rest.starts_with("==0") || rest.starts_with('<'))
    {
        return Some(if rest == "==0" {
            "a count is never zero, so it can never fire"
        } else {
            "a count of nothing is nothing, so it is silent when all are gone"
        });
    }
    // `rate(x{result="a"}[5m]) / rate(x[5m])`: the same labels match, so the series of the numerator is divided by itself.
    let (above, below) = tight.split_once('/')?;
    let inner = |text: &str| -> Option<(String, bool)> {
        let text = text.strip_prefix("rate(").or_else(|| text.strip_prefix("increase("))?;
        let end = text.find(['{', '['])?;
        Some((text[..end].to_owned(), text[end..].starts_with('{')))
    };
    let (above, below) = (inner(above.trim_start_matches('('))?, inner(below)?);
    (above.0 == below.0 && above.1 && !below.1)
        .then_some("each series is divided by itself, so the ratio is 1 as soon as there is one")
}

/// Whether a query keeps only some of its samples by their values. Signs between braces choose series by their labels.
fn compares(query: &str) -> bool {
    let mut outside = query.split('{').enumerate().map(|(i, part)| match part.split_once('}') {
        Some((_, behind)) if i > 0 => behind,
        _ => part,
    });
    outside.any(|part| part.contains("==") || part.contains("!=") || part.contains(['<', '>']))
}

/// What stands in the parentheses at the beginning of a text, and what follows.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((&text[..at], &text[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// `sum by (x) (...)`: the name of an aggregation, before its labels.
fn aggregates(word: &str, rest: &str) -> bool {
    const AGGREGATIONS: [&str; 12] = [
        "avg",
        "bottomk",
        "count",
        "count_values",
        "group",
        "max",
        "min",
        "quantile",
        "stddev",
        "stdvar",
        "sum",
        "topk",
    ];
    let rest = rest.trim_start();
    AGGREGATIONS.contains(&word) && (rest.starts_with("by") || rest.starts_with("without"))
}

/// Passes over what stands in brackets, quotes respected.
fn skip(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, open: char) {
    let close = match open {
        '{' => '}',
        '[' => ']',
        _ => ')',
    };
    let mut quote = None;
    let mut escaped = false;
    for (_, c) in chars.by_ref() {
        match quote {
            Some(q) => {
                if c == q && !escaped {
                    quote = None;
                }
                escaped = c == '\\' && !escaped;
            }
            None if c == close => return,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_series_of_real_rules() {
        for (query, want) in [
            ("up{job=\"mpc-nodes\"} == 0", "up"),
            ("count(up{job=\"a\"} == 1) < 4", "up"),
            ("histogram_quantile(0.95, rate(mpc_x_bucket[5m])) > 30", "mpc_x_bucket"),
            ("a{name=~\"x(y|z)}\"} / b{n='q'} > 0.85", "a b"),
            (
                "100 - (avg by(instance)(rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))*100) > 80",
                "node_cpu_seconds_total",
            ),
            ("(time() - drachma_best_block_time) > 1800", "drachma_best_block_time"),
            ("sum by (job) (x) / on(job) group_left(y) z offset 5m", "x z"),
            (
                "(kvstore:error_rate_5m / kvstore:request_rate_5m) * 100 > 5",
                "kvstore:error_rate_5m kvstore:request_rate_5m",
            ),
            ("absent(x)", ""),
            ("a or b", ""),
            (
                "predict_linear(node_filesystem_avail_bytes{mountpoint=\"/\"}[1h], 24*3600) < 0",
                "node_filesystem_avail_bytes",
            ),
            ("max(sum(a)) unless b # c", "a b"),
            ("1e3 > Inf", ""),
        ] {
            assert_eq!(series(query).join(" "), want, "{query}");
        }
    }

    #[test]
    fn alerts_that_cannot_mean_what_they_say() {
        for (query, want) in [
            ("count(up{job=\"a\"} == 1) < 4", "silent"),
            ("count(r{leader=\"true\"} == 1) == 0", "never"),
            ("count(r{leader=\"true\"} == 1) > 1", ""),
            ("count(up{job=\"a\"}) < 3", ""),
            ("count(up == 1) < 4 or absent(up)", ""),
            ("rate(v_total{result=\"reject\"}[10m]) / rate(v_total[10m]) > 0.3", "itself"),
            ("sum(rate(v_total{result=\"reject\"}[10m])) / sum(rate(v_total[10m])) > 0.3", ""),
            ("rate(a_total[5m]) / rate(b_total[5m]) > 0.05", ""),
            ("up == 0", ""),
        ] {
            let found = flaw(query).unwrap_or_default();
            assert!(if want.is_empty() { found.is_empty() } else { found.contains(want) }, "{query}: {found}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9_:é{}()\\[\\]\"'`\\\\#. ]{0,60}") {
            let _ = (series(&text), flaw(&text), flaw(&format!("count({text}")));
        }
    }
}
