//! Podman's socket, which speaks the API of Docker. Kernels without the rights to run containers still answer it.
#![expect(clippy::print_stderr, reason = "what could not be tested must be seen")]

use std::path::Path;
use std::process::Command;

use super::super::{Run, json, reason};
use super::Server;

/// Where both versions of control groups are mounted, the runtime refuses to start anything; it is content when it sees one.
const ONE_KIND_OF_CGROUPS: &str = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";

fn podman(root: &Path) -> Command {
    let hybrid = Path::new("/sys/fs/cgroup/unified").exists() && rustix::process::geteuid().is_root();
    let mut command = if hybrid {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", ONE_KIND_OF_CGROUPS, "sh", "podman"]);
        command
    } else {
        Command::new("podman")
    };
    // What watches a container leaves marks in its working directory.
    command.current_dir(root);
    command.arg("--root").arg(root.join("storage")).arg("--runroot").arg(root.join("run")).args([
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
    ]);
    command
}

/// A container of nothing but a static program, so that no image is fetched. Limits that the machine cannot raise are not asked for.
fn container(root: &Path, rootfs: &Path, name: &str, args: &[&str], script: &str) -> std::process::Output {
    let mut command = podman(root);
    command.args([
        "run",
        "--name",
        name,
        "--network=none",
        "--ulimit",
        "nofile=1000:1000",
        "--ulimit",
        "nproc=1000:1000",
    ]);
    command.args(["-e", "PLAIN=planted-Env99x", "--label", "com.docker.compose.project=p"]).args(args);
    command.arg("--rootfs").arg(rootfs).args(["/bin/busybox", "sh", "-c", script]).output().unwrap()
}

#[test]
#[ignore = "needs Podman; .ci/run runs it"]
fn services_podman_answers_as_docker_does() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("podman.sock");
    let mut command = podman(dir.path());
    command.args(["system", "service", "--time=0"]).arg(format!("unix://{}", socket.display()));
    let mut server = Server::start(dir.path(), "podman", command);
    server.until("its socket exists", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let collect =
        || Run::new("[[docker]]\n").patient().env("DOCKER_HOST", format!("unix://{}", socket.display())).run().bundle();
    let bundle = collect();
    assert_eq!(bundle.outcome("services/docker"), "ok", "{}", reason(&bundle, "services/docker"));
    assert!(json(&bundle, "services/docker/version.json")["ApiVersion"].is_string());
    for item in ["info", "networks", "volumes", "events"] {
        let item = format!("services/docker/{item}");
        let outcome = bundle.outcome(&item);
        assert!(matches!(outcome.as_str(), "ok" | "empty"), "{item}: {outcome}: {}", reason(&bundle, &item));
    }
    assert_eq!(bundle.outcome("services/docker/inspect"), "empty");

    // A container of nothing but a static program, so that no image is fetched.
    let rootfs = dir.path().join("rootfs");
    std::fs::create_dir_all(rootfs.join("bin")).unwrap();
    let busybox = Path::new("/bin/busybox");
    assert!(busybox.exists(), "there is no static shell; .ci/run has the list of packages");
    std::fs::copy(busybox, rootfs.join("bin/busybox")).unwrap();
    let run = |name: &str, args: &[&str], script: &str| container(dir.path(), &rootfs, name, args, script);
    let output = run("crasher", &["--cgroups=disabled"], "echo one line; echo two >&2; exit 3");
    if output.status.code() != Some(3) {
        eprintln!(
            "NOT TESTED: containers, because this kernel refuses them: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    // Its shell doubles a word until the kernel ends it.
    let eater = run("eater", &["--memory", "24m"], "echo start; x=0123456789; while :; do x=$x$x; done");
    let killed = eater.status.code() == Some(137);
    if !killed {
        eprintln!("NOT TESTED: a limit of memory: {}", String::from_utf8_lossy(&eater.stderr));
    }
    let sick = [
        "-d",
        "--cgroups=disabled",
        "--health-cmd",
        "CMD /bin/busybox false",
        "--health-interval=disable",
        "--health-retries=1",
    ];
    let sick = run("sick", &sick, "sleep 120");
    assert!(sick.status.success(), "{}", String::from_utf8_lossy(&sick.stderr));
    for _ in 0..2 {
        let _ = podman(dir.path()).args(["healthcheck", "run", "sick"]).output().unwrap();
    }
    let bundle = collect();
    let _ = podman(dir.path()).args(["rm", "-f", "-t", "0", "crasher", "eater", "sick"]).output().unwrap();
    let inspect = json(&bundle, "services/docker/inspect.json");
    let of = |name: &str| {
        let all = inspect["items"].as_array().unwrap();
        all.iter().find(|c| c["Name"].as_str().is_some_and(|n| n.trim_start_matches('/') == name)).unwrap().clone()
    };
    assert_eq!(of("crasher")["State"]["ExitCode"], 3, "{}", of("crasher"));
    assert_eq!(of("sick")["State"]["Health"]["Status"], "unhealthy", "{}", of("sick"));
    let log = bundle.text("services/docker/logs/crasher.log");
    assert!(log.contains("one line") && log.contains("two"), "{log}");
    super::super::assert_absent(&bundle, &["planted-Env99x"]);
    let triage = bundle.text("triage.json");
    let mut wanted = vec![("monitoring/container-failed", "crasher"), ("monitoring/container-unhealthy", "sick")];
    if killed {
        assert_eq!(of("eater")["State"]["ExitCode"], 137);
        wanted.push(("monitoring/container-out-of-memory", "eater"));
    }
    for (rule, name) in wanted {
        assert!(
            triage.contains(rule) && triage.contains(&format!("container//{name}")),
            "{rule} about {name}: {triage}"
        );
    }
}
