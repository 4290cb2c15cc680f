//! Several samples of one endpoint, so that rates exist.

use std::time::{Duration, Instant};

/// Time to read all samples, beside the waits between them.
const READING: Duration = Duration::from_secs(60);

/// The line that ends a sample that is not the first.
pub(in crate::collect) fn mark(number: u32, first: Instant) -> String {
    format!("# casefile sample={number} after_ms={}\n", first.elapsed().as_millis())
}

/// Deadline of an item that waits between samples; none for one that does not.
pub(in crate::collect) fn timeout(interval: Duration, samples: u32) -> Option<Duration> {
    let waits = interval.saturating_mul(samples.saturating_sub(1));
    (!waits.is_zero()).then(|| waits.saturating_add(READING))
}

/// `x.prom` -> `x.sample-2.prom`.
pub(in crate::collect) fn numbered(target: &str, number: u32) -> String {
    let name = target.rfind('/').map_or(0, |slash| slash + 1);
    match target[name..].rfind('.') {
        Some(dot) => format!("{}.sample-{number}{}", &target[..name + dot], &target[name + dot..]),
        None => format!("{target}.sample-{number}"),
    }
}

/// Why there are no rates.
pub(in crate::collect) fn missing(number: u32, why: Option<&str>) -> String {
    format!("sample {number} is missing, so there are no rates: {}", why.unwrap_or("no answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_names_of_their_own() {
        assert_eq!(numbered("metrics/n/core.0.prom", 2), "metrics/n/core.0.sample-2.prom");
        assert_eq!(numbered("a.b/metrics", 3), "a.b/metrics.sample-3");
    }
}
