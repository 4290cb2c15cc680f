//! Podman's socket, which speaks the API of Docker. Kernels without the rights to run containers still answer it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::{Run, json, reason};
use super::{Server, bounded, output};

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
    if !rustix::process::geteuid().is_root() {
        // The process that keeps a user's namespaces alive belongs to this test alone.
        command.env("XDG_RUNTIME_DIR", root.join("user"));
    }
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
fn container(root: &Path, rootfs: &Path, name: &str, args: &[&str], script: &str) -> Output {
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
    output(command.arg("--rootfs").arg(rootfs).args(["/bin/busybox", "sh", "-c", script]))
}

/// Removes the containers of a test at its end, also when it fails.
struct Containers(PathBuf);

impl Containers {
    fn remove(&self) {
        // A bound for each, and no check: one that was never made cannot be removed, and a failure here hides that of the test.
        for words in [&["rm", "-f", "-a", "-t", "0"][..], &["system", "migrate"]] {
            if words[0] == "rm" || !rustix::process::geteuid().is_root() {
                let _ = bounded(podman(&self.0).args(words), 60).output();
            }
        }
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Says what this machine does not allow to test, past the capture of a test's output.
fn not_tested(what: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {what}: {} {}", output.status, said.trim());
}

#[test]
#[ignore = "needs Podman; .ci/run runs it"]
fn services_podman_answers_as_docker_does() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("user")).unwrap();
    let socket = dir.path().join("podman.sock");
    let mut command = podman(dir.path());
    command.args(["system", "service", "--time=0"]).arg(format!("unix://{}", socket.display()));
    let mut server = Server::start(dir.path(), "podman", command);
    server.until("its socket exists", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let containers = Containers(dir.path().to_owned());
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
        return not_tested("containers, because this machine refuses them", &output);
    }
    // Its shell doubles a word until the kernel ends it, or its own limit where that of the container does not hold.
    let eater = "ulimit -v 262144; echo start; x=0123456789; while :; do x=$x$x; done";
    let eater = run("eater", &["--memory", "24m"], eater);
    let killed = eater.status.code() == Some(137);
    if !killed {
        not_tested("a limit of memory", &eater);
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
        let _ = super::output(podman(dir.path()).args(["healthcheck", "run", "sick"]));
    }
    let bundle = collect();
    containers.remove();
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
