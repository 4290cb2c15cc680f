//! Metrics in the text format of Prometheus, one scrape a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Key;
use crate::triage::text;

/// Samples that are kept of one scrape.
const SAMPLES_MAX: usize = 20_000;
/// What stands before the number of a scrape in the name of its file.
const MARK: &str = ".sample-";
/// Labels that are kept of one sample.
const LABELS_MAX: usize = 64;

/// What one endpoint answered.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) path: Arc<str>,
    pub(crate) pod: Key,
    pub(crate) samples: Vec<Sample>,
    /// Seconds between this scrape and the last one of the same endpoint, 0 when there is only one.
    pub(crate) interval_s: f64,
    /// Number of this scrape, from 1, and milliseconds since the first one.
    number: u32,
    after_ms: f64,
}

/// One value. Buckets of histograms and values that are no number are left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    /// Change a second until the last scrape; none when there is only one, or a counter began anew.
    pub(crate) rate: Option<f64>,
    pub(crate) line: u64,
    pub(crate) text: String,
}

/// `metrics/<namespace>/<pod>.prom`, and `<pod>.sample-2.prom` for the next scrape of it: namespace and pod. Other files
/// below `metrics/` belong to no pod.
pub(super) fn parse_path(path: &str) -> Option<Key> {
    let rest = path.strip_prefix("metrics/")?.strip_suffix(".prom")?;
    let rest = rest.rsplit_once(MARK).filter(|(_, n)| n.parse::<u32>().is_ok()).map_or(rest, |(first, _)| first);
    match rest.split_once('/') {
        Some((namespace, pod)) if !pod.contains('/') => Some((namespace.to_owned(), pod.to_owned())),
        _ => Some((String::new(), rest.to_owned())),
    }
}

/// Reads a scrape; a line that is none costs that line.
pub(super) fn parse(path: &str, pod: Key, bytes: &[u8]) -> Scrape {
    let content = String::from_utf8_lossy(bytes);
    let samples = content.lines().zip(1..).filter_map(|(line, n)| sample(line, n)).take(SAMPLES_MAX).collect();
    // The collector says when it read a scrape that is not the first.
    let mark = content.lines().rev().take(3).find_map(|line| line.strip_prefix("# casefile sample="));
    let mark = mark.and_then(|mark| mark.split_once(" after_ms="));
    let (number, after_ms) = mark.and_then(|(n, ms)| Some((n.parse().ok()?, ms.parse().ok()?))).unwrap_or((1, 0.0));
    Scrape { path: Arc::from(path), pod, samples, interval_s: 0.0, number, after_ms }
}

/// Adds a scrape. A later one of an endpoint that is known gives rates to the first, and is no scrape of its own.
pub(super) fn add(scrapes: &mut Vec<Scrape>, new: Scrape) {
    let known = scrapes.iter().position(|s| s.pod == new.pod && s.number != new.number);
    let Some(at) = known else {
        scrapes.push(new);
        return;
    };
    let (mut first, last) =
        if scrapes[at].number < new.number { (scrapes.swap_remove(at), new) } else { (new, scrapes.swap_remove(at)) };
    let seconds = (last.after_ms - first.after_ms) / 1000.0;
    // Of three scrapes, the last one is furthest away.
    if seconds > first.interval_s {
        let values: BTreeMap<_, f64> = last.samples.iter().map(|s| ((&s.name, &s.labels), s.value)).collect();
        for sample in &mut first.samples {
            let later = values.get(&(&sample.name, &sample.labels)).copied();
            sample.rate = later.map(|later| (later - sample.value) / seconds).filter(|rate| {
                let counter = ["_total", "_count", "_sum"].iter().any(|end| sample.name.ends_with(end));
                rate.is_finite() && (!counter || *rate >= 0.0)
            });
        }
        first.interval_s = seconds;
    }
    scrapes.push(first);
}

fn sample(line: &str, number: u64) -> Option<Sample> {
    let rest = line.trim();
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name.ends_with("_bucket") {
        return None;
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (BTreeMap::new(), rest),
    };
    // A time stamp may follow.
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (!value.is_nan()).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
        rate: None,
        line: number,
        text: text::line(line, text::EXCERPT),
    })
}

/// Labels up to the closing brace, and what stands behind it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut found = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once('=')?;
        let mut value = String::new();
        let mut chars = after.trim_start().strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        rest = chars.as_str();
        if found.len() < LABELS_MAX {
            found.insert(name.trim().to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_have_labels_values_and_lines() {
        let text = "# HELP a b\na 1\nb_total{x=\"1\",y=\"q\\\"\\\\\\n\",} 2.5e3 1700000000000\n\nc NaN\nd +Inf\ne_bucket{le=\"1\"} 1\n1x 2\nf{x=\"y\" 1\ng\n";
        let scrape = parse("metrics/n/p.prom", ("n".to_owned(), "p".to_owned()), text.as_bytes());
        let got: Vec<_> = scrape.samples.iter().map(|s| (s.name.as_str(), s.value, s.line)).collect();
        assert_eq!(got, [("a", 1.0, 2), ("b_total", 2500.0, 3), ("d", f64::INFINITY, 6)]);
        assert_eq!(scrape.samples[1].labels["y"], "q\"\\\n");
        assert_eq!(scrape.samples[1].labels["x"], "1");
    }

    #[test]
    fn paths_name_the_pod() {
        assert_eq!(parse_path("metrics/n/p.prom"), Some(("n".to_owned(), "p".to_owned())));
        assert_eq!(parse_path("metrics/node.prom"), Some((String::new(), "node".to_owned())));
        assert_eq!(parse_path("metrics/n/p.prom.stderr"), None);
        assert_eq!(parse_path("metrics/n/p.sample-2.prom"), Some(("n".to_owned(), "p".to_owned())));
        assert_eq!(parse_path("metrics/n/p.sample-x.prom"), Some(("n".to_owned(), "p.sample-x".to_owned())));
    }

    #[test]
    fn two_scrapes_give_rates() {
        let read = |text: &str| parse("p", ("n".to_owned(), "p".to_owned()), text.as_bytes());
        let first = || read("a_total{x=\"1\"} 5\na_total{x=\"2\"} 7\ng 10\nb_total 9\n");
        let second =
            || read("a_total{x=\"1\"} 25\na_total{x=\"2\"} 7\ng 6\nb_total 1\n# casefile sample=2 after_ms=4000\n");
        for order in [[first(), second()], [second(), first()]] {
            let mut scrapes = Vec::new();
            order.into_iter().for_each(|scrape| add(&mut scrapes, scrape));
            assert_eq!((scrapes.len(), scrapes[0].interval_s), (1, 4.0));
            let rates: Vec<_> = scrapes[0].samples.iter().map(|s| (s.value, s.rate)).collect();
            // A counter that went back was restarted: nothing is known of its rate.
            assert_eq!(rates, [(5.0, Some(5.0)), (7.0, Some(0.0)), (10.0, Some(-1.0)), (9.0, None)]);
        }
        let mut alone = Vec::new();
        add(&mut alone, first());
        assert!(alone[0].samples.iter().all(|s| s.rate.is_none()));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z_]{1,3}|[{}=\",\\\\ #\n]|[0-9.eE+-]|\\PC)*") {
            let scrape = parse("p", (String::new(), String::new()), text.as_bytes());
            for sample in &scrape.samples {
                let line = text.lines().nth(usize::try_from(sample.line).unwrap() - 1).unwrap();
                prop_assert!(line.contains(&sample.name));
                prop_assert!(!sample.value.is_nan());
            }
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z_:][a-z0-9_:]{0,8}x", label in "[a-z]{1,5}", text in "\\PC{0,12}", value in -1e12_f64..1e12) {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("{name}{{{label}=\"{escaped}\"}} {value}");
            let scrape = parse("p", (String::new(), String::new()), line.as_bytes());
            // A separator of lines inside of a value ends the line, as in the format itself.
            if line.lines().count() == 1 {
                prop_assert_eq!(scrape.samples.len(), 1);
                prop_assert_eq!(&scrape.samples[0].labels[&label], &text);
                prop_assert!((scrape.samples[0].value - value).abs() <= f64::EPSILON * value.abs());
            }
        }
    }
}
