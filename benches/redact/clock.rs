//! Time that the processor spent on this thread.

use std::time::Instant;

/// Seconds of processor time of this thread, which other work on the machine disturbs least; the clock where the
/// system does not tell.
pub(crate) fn seconds(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Best of five, in MB/s. The system counts in ticks, so each measurement takes some of them.
pub(crate) fn speed(bytes: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = 0_f64;
    for _ in 0..5 {
        let (before, mut runs, mut spent) = (seconds(start), 0_u32, 0.0);
        while spent < 0.05 {
            run();
            runs += 1;
            spent = seconds(start) - before;
        }
        best = best.max(bytes as f64 * f64::from(runs) / spent / 1e6);
    }
    best
}
