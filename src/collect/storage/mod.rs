//! Where the stores of a system are, by its own configuration. The collectors of pods and of hosts list them.

mod settings;
mod wiring;

pub(in crate::collect) use settings::{Found, Kind, find};
pub(in crate::collect) use wiring::Wiring;
