//! Which profile's system runs in the containers of this host.

use std::time::Duration;

use globset::Glob;
use serde_json::Value;

use super::ask::DOCUMENT_MAX;
use super::docker::{engine, inspect::Container};
use super::target::Ambient;
use crate::profile::Profile;

/// Longest time that looking for a system may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// A profile that was found, and by what.
#[derive(Debug)]
pub struct Found<'p> {
    /// The profile.
    pub profile: &'p Profile,
    /// Such as `containers of compose project mpc-wallet`.
    pub by: String,
}

/// The profile most of whose containers the engine of this host knows, running or not: by the names of compose projects and
/// services, and of containers. None without an engine that may be asked.
pub async fn detect<'p>(candidates: &'p [Profile], ambient: &Ambient) -> Option<Found<'p>> {
    let http = engine(ambient, LOOK_MAX).ok()?;
    let reply = http.look("/containers/json?all=1", DOCUMENT_MAX).await.ok()?;
    let Value::Array(rows) = reply.is_success().then(|| reply.json().ok()).flatten()? else { return None };
    let containers: Vec<Container> = rows.iter().filter_map(Container::of).collect();
    choose(candidates, &containers)
}

fn choose<'p>(candidates: &'p [Profile], containers: &[Container]) -> Option<Found<'p>> {
    let mut best: Option<(usize, Found<'p>)> = None;
    for profile in candidates {
        let tables = || profile.docker.iter();
        let globs: Vec<_> =
            tables().flat_map(|d| &d.containers).filter_map(|g| Some(Glob::new(g).ok()?.compile_matcher())).collect();
        let mut project = None;
        let own = containers.iter().filter(|c| {
            let of_project = c.project.as_ref().filter(|p| tables().any(|d| d.projects.contains(p)));
            project = project.or(of_project);
            // A service of compose is `mpc-node-1` in the project of whatever directory the file lies in.
            of_project.is_some()
                || globs.iter().any(|g| g.is_match(&c.name) || c.service.as_ref().is_some_and(|s| g.is_match(s)))
        });
        let count = own.count();
        if count > best.as_ref().map_or(0, |(most, _)| *most) {
            let by = match project {
                Some(project) => format!("{count} containers, such as those of compose project {project}"),
                None => format!("the names of {count} containers"),
            };
            best = Some((count, Found { profile, by }));
        }
    }
    best.map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(rows: &[(&str, &str, &str)]) -> Option<(String, String)> {
        let containers: Vec<Container> = rows
            .iter()
            .filter_map(|(name, project, service)| {
                Container::of(&json!({"Id": "a1", "Names": [format!("/{name}")], "State": "exited",
                    "Labels": {"com.docker.compose.project": project, "com.docker.compose.service": service}}))
            })
            .collect();
        choose(crate::profile::builtin(), &containers).map(|f| (f.profile.id.clone(), f.by))
    }

    #[test]
    fn systems_are_found_by_their_containers() {
        let id = |rows: &[_]| found(rows).map(|f| f.0);
        assert_eq!(id(&[("mpc-node-1", "docker", "node-1"), ("x", "", "")]).as_deref(), Some("mpc-wallet"));
        assert_eq!(id(&[("any-1", "drachma", "seed")]).as_deref(), Some("parthenon"));
        assert_eq!(id(&[("stack-kvstore-1", "stack", "kvstore")]).as_deref(), Some("kvstore"));
        assert_eq!(id(&[("nginx", "web", "nginx"), ("db", "web", "db")]), None);
        assert_eq!(id(&[]), None);
        // The system with more containers wins.
        let both = [("kvstore", "a", "x"), ("mpc-node-1", "b", "x"), ("mpc-node-2", "b", "x")];
        assert_eq!(id(&both).as_deref(), Some("mpc-wallet"));
        assert!(found(&[("a", "mpc-wallet", "n")]).unwrap().1.contains("compose project mpc-wallet"));
    }
}
