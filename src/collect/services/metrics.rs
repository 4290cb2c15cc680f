//! Metrics in the text formats of Prometheus and OpenMetrics: whether a text is one.

/// Lines that are looked at.
const LOOKED_AT: usize = 200;

/// Why a text holds no metrics; none when it does. Only the beginning is looked at.
pub(super) fn problem(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&text[..text.len().min(64 << 10)]);
    let mut samples = 0;
    for line in text.lines().take(LOOKED_AT).map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if !is_sample(line) {
            let shown: String = line.chars().take(80).collect();
            // The last line may be cut off.
            if samples == 0 {
                return Some(format!("the answer is no metrics: \"{shown}\" is no valid line"));
            }
            break;
        }
        samples += 1;
    }
    (samples == 0).then(|| "the answer holds no metrics".to_owned())
}

/// `name{labels} value [timestamp]`.
fn is_sample(line: &str) -> bool {
    let first = line.bytes().next();
    if !first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':') {
        return false;
    }
    let rest = match line.rfind('}') {
        Some(end) => &line[end + 1..],
        None => line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
    };
    rest.split_whitespace()
        .next()
        .is_some_and(|value| value.parse::<f64>().is_ok() || matches!(value, "+Inf" | "-Inf" | "NaN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_from_other_texts() {
        assert_eq!(problem(b"# HELP a b\n# TYPE a counter\na{b=\"c\"} 1\nd 2e3 1700000000\ne +Inf\n# EOF\n"), None);
        for text in [&b"{\"status\":\"healthy\"}"[..], b"<html>", b"", b"# only comments\n", b"word word"] {
            assert!(problem(text).is_some(), "{}", String::from_utf8_lossy(text));
        }
    }
}
