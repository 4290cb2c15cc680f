//! What all members of an archive may use up together.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::{ArchiveError, ArchiveLimits};

/// A count that readers share.
pub(super) type Counter = Rc<Cell<u64>>;

/// A new count.
pub(super) fn counter() -> Counter {
    Rc::default()
}

/// What all members together have used up.
pub(super) struct Budget {
    pub(super) limits: ArchiveLimits,
    entries: u64,
    total: Counter,
}

impl Budget {
    pub(super) fn new(limits: ArchiveLimits) -> Self {
        Self { limits, entries: 0, total: counter() }
    }

    /// Takes one member.
    pub(super) fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        let most = self.limits.entries;
        if self.entries > most {
            return Err(ArchiveError::refused(format!("it has more than {most} members; unpack it in parts")));
        }
        Ok(())
    }

    /// Whether all that may be unpacked was unpacked, so that nothing more is read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.total.get() > self.limits.total || self.entries > self.limits.entries
    }
}

/// Counts the packed bytes.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) count: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

/// Refuses content that is far larger than what it was packed into.
pub(super) struct Guarded<R> {
    total: Total<R>,
    packed: Counter,
    count: u64,
    ratio: u64,
    floor: u64,
}

impl<R> Guarded<R> {
    /// `packed` counts the bytes that `inner` reads.
    pub(super) fn new(inner: R, packed: Counter, budget: &Budget) -> Self {
        let (ratio, floor) = (budget.limits.ratio, budget.limits.ratio_floor);
        Self { total: Total::new(inner, budget), packed, count: 0, ratio, floor }
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.total.read(buf)?;
        self.count += n as u64;
        if self.count > self.floor && self.count / self.ratio > self.packed.get() {
            return Err(io::Error::other(format!("it unpacks to more than {} times its size", self.ratio)));
        }
        Ok(n)
    }
}

/// Counts the bytes of a member.
pub(super) struct Total<R> {
    inner: R,
    total: Counter,
    most: u64,
}

impl<R> Total<R> {
    pub(super) fn new(inner: R, budget: &Budget) -> Self {
        Self { inner, total: Rc::clone(&budget.total), most: budget.limits.total }
    }
}

impl<R: Read> Read for Total<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.total.set(self.total.get() + n as u64);
        if self.total.get() > self.most {
            return Err(io::Error::other(format!("it holds more than {} bytes; unpack it in parts", self.most)));
        }
        Ok(n)
    }
}
