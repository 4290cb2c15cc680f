//! What a host tells about itself, without a cluster.
//!
//! Linux is read through `/proc`, `/sys` and a few read-only commands; elsewhere the `portable` module gives what the operating
//! system's own interfaces give, and the rest ends as `not-applicable`. Of the environment of a
//! process names are kept, and the values that a profile names (`program`).

mod cgroup;
mod command;
mod detect;
mod disks;
mod gather;
mod kernel_log;
mod limits;
mod mounts;
mod network;
mod owners;
mod portable;
mod ports;
mod process_stat;
mod processes;
pub mod program;
mod roots;
mod routes;
mod sockets;
mod system;
mod units;

use std::sync::Arc;

use super::Item;
use crate::profile::Profile;
pub(in crate::collect) use command::CommandLine;
pub use detect::detect;
use gather::HostItem;
pub use roots::HostRoots;

/// The profile one of whose own systemd units is known on this host, running or not, and that unit.
pub async fn detect_by_units<'p>(candidates: &'p [Profile], roots: &HostRoots) -> Option<(&'p Profile, String)> {
    units::detect(candidates, roots).await
}

/// The items that collect this host. `profile` names the units whose state and journal are read.
#[must_use]
pub fn items(profile: &Profile) -> Vec<Arc<dyn Item>> {
    items_at(profile, &HostRoots::default())
}

/// As [`items`], with other places to read from: a mounted root of another host (`/host/proc`, ...), or a fixture.
#[must_use]
pub fn items_at(profile: &Profile, roots: &HostRoots) -> Vec<Arc<dyn Item>> {
    let mut items: Vec<Arc<dyn Item>> =
        [system::ITEM, disks::ITEM, processes::ITEM, ports::ITEM, network::ITEM, limits::ITEM, kernel_log::ITEM]
            .into_iter()
            .map(|about| Arc::new(HostItem::new(about, roots.clone())) as Arc<dyn Item>)
            .collect();
    if !profile.host.units.is_empty() {
        items.push(Arc::new(units::FindUnits::new(profile.host.units.clone(), roots.clone())));
    }
    items
}
