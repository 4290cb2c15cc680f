//! A host on which nobody named the profile: its system is found by containers and by units.

use std::os::unix::fs::PermissionsExt as _;

use casefile::collect::host::{HostRoots, detect_by_units};
use serde_json::json as doc;

use super::fake::{Fake, Reply};
use crate::support::cli::Casefile;

fn collect(rows: &serde_json::Value) -> String {
    let rows = rows.to_string();
    let fake = Fake::tcp(move |request, _| match request {
        "GET /containers/json?all=1" => Reply::Json(200, rows.clone()),
        "GET /version" => Reply::Json(200, r#"{"ApiVersion":"1.43"}"#.to_owned()),
        _ => Reply::Json(404, "{}".to_owned()),
    });
    let call = Casefile::new(&["collect", "--no-progress", "--only", "services/docker"]);
    let ran = call.env("DOCKER_HOST", format!("tcp://{}", fake.address)).run();
    assert!(fake.requests().iter().all(|r| r.starts_with("GET ")));
    let bundle = ran.bundle();
    if bundle.manifest.profile != "host" {
        assert!(ran.stderr().contains("found by"), "{}", ran.stderr());
    }
    bundle.manifest.profile
}

fn row(name: &str, project: &str, service: &str) -> serde_json::Value {
    doc!({"Id": "a1", "Names": [format!("/{name}")], "State": "exited",
        "Labels": {"com.docker.compose.project": project, "com.docker.compose.service": service}})
}

#[test]
fn containers_show_which_system_runs_here() {
    assert_eq!(collect(&doc!([row("mpc-node-1", "mpc-wallet", "node-1")])), "mpc-wallet");
    assert_eq!(collect(&doc!([row("x-1", "parthenon-chain", "seed-a")])), "parthenon");
    assert_eq!(collect(&doc!([row("stack-kvstore-1", "stack", "kvstore")])), "kvstore");
    assert_eq!(collect(&doc!([row("web", "shop", "web")])), "host");
}

#[tokio::test]
async fn units_show_which_system_is_installed_here() {
    let dir = tempfile::tempdir().unwrap();
    let roots = HostRoots {
        root: dir.path().to_owned(),
        command_path: dir.path().display().to_string(),
        ..HostRoots::default()
    };
    // A systemctl that knows one unit, and lists what fits one of the patterns behind `--`.
    let script = "#!/bin/sh\nunit=drachma-seed-node-1.service\nwhile [ \"$1\" != -- ]; do shift; done; shift\n\
        for p; do case $unit in $p) echo \"$unit enabled\";; esac; done\n";
    let program = dir.path().join("systemctl");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = |roots: HostRoots| async move {
        let found = detect_by_units(casefile::profile::builtin(), &roots).await;
        found.map(|(profile, unit)| format!("{} {unit}", profile.id))
    };
    assert_eq!(found(roots.clone()).await, None, "systemd does not run");
    std::fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    // A program that was written a moment ago may still be busy.
    let mut answer = None;
    for _ in 0..50 {
        answer = found(roots.clone()).await;
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(answer.as_deref(), Some("parthenon drachma-seed-node-1.service"));
    std::fs::remove_file(&program).unwrap();
    assert_eq!(found(roots).await, None, "without systemctl");
}
