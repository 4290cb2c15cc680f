//! Whose time it is: the bundle's times come from the cluster, the run's from the machine that ran it.

use chrono::TimeDelta;

use crate::model::Manifest;
use crate::model::time::Timestamp;

/// Difference between the cluster's clock and ours.
#[must_use]
pub(crate) fn cluster_offset(manifest: &Manifest) -> TimeDelta {
    let offset = manifest.clocks.iter().find(|c| c.source == "kube-apiserver").map_or(0, |c| c.offset_ms);
    TimeDelta::try_milliseconds(offset).unwrap_or_default()
}

/// The end of the run in the cluster's time.
#[must_use]
pub(crate) fn cluster_now(manifest: &Manifest) -> Timestamp {
    manifest.finished.checked_add_signed(cluster_offset(manifest)).unwrap_or(manifest.finished)
}

/// A time of the cluster in our time.
#[must_use]
pub(crate) fn ours(at: Timestamp, offset: TimeDelta) -> Timestamp {
    at.checked_sub_signed(offset).unwrap_or(at)
}
