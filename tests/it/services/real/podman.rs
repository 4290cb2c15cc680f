//! Podman's socket, which speaks the API of Docker. Kernels without the rights to run containers still answer it.
#![expect(clippy::print_stderr, reason = "what could not be tested must be seen")]

use std::path::Path;
use std::process::Command;

use super::super::{Run, json, reason};
use super::{Server, run};

fn podman(root: &Path) -> Command {
    let mut command = Command::new("podman");
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
    let mut crash = podman(dir.path());
    crash.args([
        "run",
        "--name",
        "crasher",
        "--network=none",
        "-e",
        "PLAIN=planted-Env99x",
        "--label",
        "com.docker.compose.project=p",
    ]);
    crash.arg("--rootfs").arg(&rootfs).args(["/bin/busybox", "sh", "-c", "echo one line; echo two >&2; exit 3"]);
    let output = crash.output().unwrap();
    if output.status.code() != Some(3) {
        eprintln!(
            "NOT TESTED: containers, because this kernel refuses them: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let bundle = collect();
    let container = &json(&bundle, "services/docker/inspect.json")["items"][0];
    assert_eq!(container["State"]["ExitCode"], 3, "{container}");
    let log = bundle.text("services/docker/logs/crasher.log");
    assert!(log.contains("one line") && log.contains("two"), "{log}");
    super::super::assert_absent(&bundle, &["planted-Env99x"]);
    run(podman(dir.path()).args(["rm", "crasher"]));
}
