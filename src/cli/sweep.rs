//! The sweep over a finished spool: values that are known to be secret leave every artifact that holds them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bundle::{Spool, SpoolStore, Store};
use crate::redact::Sweep;

/// Looks into every artifact on all cores, and rewrites those that hold a known value. Gives how many it rewrote.
pub(super) fn run(spool: &Spool, sweep: &Sweep) -> anyhow::Result<usize> {
    let store = SpoolStore::new(spool);
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> anyhow::Result<Vec<String>> {
        let mut touched = Vec::new();
        while let Some(entry) = store.entries().get(next.fetch_add(1, Ordering::Relaxed)) {
            if sweep.touches(&mut store.open(&entry.path)?)? {
                touched.push(entry.path.clone());
            }
        }
        Ok(touched)
    };
    let touched = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the search for known secrets panicked"))))
            .collect::<anyhow::Result<Vec<_>>>()
    })?
    .concat();
    for path in &touched {
        spool.rewrite(path, &mut |content, write| sweep.rewrite(path, content, write))?;
    }
    Ok(touched.len())
}
