//! Which profile's programs run on this host.

use super::roots::HostRoots;
use crate::profile::Profile;

/// Processes that are looked at.
const PROCESSES_MAX: usize = 50_000;
/// The kernel keeps this many bytes of a program's name.
const NAME_MAX: usize = 15;

/// The first profile one of whose processes runs here; containers of this host count, because their processes do.
#[must_use]
pub fn detect<'p>(candidates: &'p [Profile], roots: &HostRoots) -> Option<&'p Profile> {
    let mut names = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(&roots.proc).ok()?.take(PROCESSES_MAX).flatten() {
        let id = entry.file_name();
        let id = id.to_string_lossy();
        if id.bytes().all(|b| b.is_ascii_digit())
            && let Some(name) = roots.proc_text(&format!("{id}/comm"))
        {
            names.insert(name);
        }
    }
    let runs = |name: &String| names.contains(name.get(..NAME_MAX).unwrap_or(name));
    candidates.iter().find(|profile| profile.host.processes.iter().any(runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_by_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let roots = HostRoots { proc: dir.path().to_owned(), ..HostRoots::default() };
        let found = || detect(crate::profile::builtin(), &roots).map(|p| p.id.clone());
        for (id, comm) in [("1", "systemd\n"), ("self", "drachmad\n")] {
            std::fs::create_dir(dir.path().join(id)).unwrap();
            std::fs::write(dir.path().join(id).join("comm"), comm).unwrap();
        }
        assert_eq!(found(), None);
        // The kernel cuts names.
        std::fs::create_dir(dir.path().join("77")).unwrap();
        std::fs::write(dir.path().join("77/comm"), "mpc-wallet-serv\n").unwrap();
        assert_eq!(found().as_deref(), Some("mpc-wallet"));
    }
}
