//! The host collectors against the machine that runs the tests, through the engine, the redactor and the archive.
#![cfg(target_os = "linux")]

mod program;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::{PackOptions, Spool, Target, pack};
use casefile::collect::host::{HostRoots, items_at};
use casefile::collect::{Engine, Item, Limits, RunResult};
use casefile::model::{LedgerEntry, Outcome};
use casefile::profile::{Profile, parse};
use casefile::redact::{CorrelationKey, Redactor};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// One run of some host items, and what the archive holds afterwards.
struct Run {
    result: RunResult,
    files: BTreeMap<String, Vec<u8>>,
}

/// What a test changes before it runs.
struct Test {
    roots: HostRoots,
    limits: Limits,
    units: Vec<&'static str>,
    cancel: CancellationToken,
}

impl Test {
    fn new() -> Self {
        Self {
            roots: HostRoots::default(),
            limits: Limits::default(),
            units: Vec::new(),
            cancel: CancellationToken::new(),
        }
    }

    fn profile(&self) -> Profile {
        let units = self.units.iter().map(|u| format!("{u:?}")).collect::<Vec<_>>().join(",");
        let text = format!("schema = 1\nid = \"t\"\ntitle = \"T\"\nprefix = \"t\"\n[host]\nunits = [{units}]\n");
        parse("profile.toml", &text).unwrap()
    }

    /// Runs the items whose id begins with one of `only`.
    async fn run(&self, only: &[&str]) -> Run {
        self.run_items(items_at(&self.profile(), &self.roots), only).await
    }

    /// The same with other items.
    async fn run_items(&self, items: Vec<Arc<dyn Item>>, only: &[&str]) -> Run {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(dir.path()).unwrap();
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        let (events, _listener) = tokio::sync::mpsc::unbounded_channel();
        let wanted: Vec<String> = only.iter().map(|id| (*id).to_owned()).collect();
        let engine = Engine {
            redactor: redactor.clone(),
            spool: spool.clone(),
            limits: self.limits.clone(),
            events,
            cancel: self.cancel.clone(),
            wanted: Arc::new(move |item| wanted.iter().any(|w| item.id().as_str().starts_with(w.as_str()))),
        };
        let result = engine.run(items).await;
        let mut archive = Vec::new();
        let options = PackOptions {
            top_dir: redactor.text("top"),
            target: Target::Writer(&mut archive),
            first: Vec::new(),
            mtime: chrono::DateTime::from_timestamp(1_795_241_400, 0).unwrap(),
            force: false,
        };
        pack(&spool, options).unwrap();
        let mut files = BTreeMap::new();
        let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(archive.as_slice()));
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().strip_prefix("top").unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes);
        }
        Run { result, files }
    }
}

impl Run {
    fn entry(&self, id: &str) -> &LedgerEntry {
        self.result
            .ledger
            .iter()
            .find(|e| e.item.as_str() == id)
            .unwrap_or_else(|| panic!("{id}: {:?}", self.result.ledger))
    }

    /// The item ended well, or says what it could not read.
    fn seen(&self, id: &str) -> &LedgerEntry {
        let entry = self.entry(id);
        assert!(matches!(entry.outcome, Outcome::Ok | Outcome::Truncated), "{entry:?}");
        assert!(entry.outcome == Outcome::Ok || entry.reason.is_some(), "{entry:?}");
        entry
    }

    fn text(&self, path: &str) -> String {
        let bytes = self.files.get(path).unwrap_or_else(|| panic!("{path}: {:?}", self.files.keys()));
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }
}

fn listening<'a>(ports: &'a Value, protocol: &str, port: u16) -> &'a Value {
    let rows = ports["listening"].as_array().unwrap();
    rows.iter()
        .find(|row| row["protocol"] == protocol && row["port"] == port && row["own_namespace"] == true)
        .unwrap_or_else(|| panic!("{protocol} {port} is not in {ports:#}"))
}

#[tokio::test]
async fn sockets_of_this_test_are_found_with_their_owner() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp6 = TcpListener::bind("[::1]:0").ok();
    let udp6 = UdpSocket::bind("[::1]:0").ok();
    let client = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let (_server, _) = tcp.accept().unwrap();

    let run = Test::new().run(&["host/ports"]).await;
    run.seen("host/ports");
    let ports = run.json("ports/host.json");
    let mut expected =
        vec![("tcp", tcp.local_addr().unwrap(), "LISTEN"), ("udp", udp.local_addr().unwrap(), "UNCONNECTED")];
    expected.extend(tcp6.iter().map(|s| ("tcp6", s.local_addr().unwrap(), "LISTEN")));
    expected.extend(udp6.iter().map(|s| ("udp6", s.local_addr().unwrap(), "UNCONNECTED")));
    for (protocol, address, state) in expected {
        let row = listening(&ports, protocol, address.port());
        assert_eq!(row["address"], address.ip().to_string());
        assert_eq!(row["state"], state);
        assert_eq!(row["owner"], "known");
        let owners = row["owners"].as_array().unwrap();
        assert!(owners.iter().any(|o| o["pid"] == std::process::id()), "{row:#}");
        assert!(run.text("ports/host.txt").contains(&format!("{address} ")), "{protocol} {address}");
    }
    // Both ends of the connection are ours: one is inbound to the listening port.
    let port = client.peer_addr().unwrap().port();
    let rows = ports["connections_by_port"].as_array().unwrap();
    let inbound = rows.iter().find(|r| r["direction"] == "in" && r["port"] == port && r["state"] == "ESTABLISHED");
    assert_eq!(inbound.unwrap()["count"], 1);
}

#[tokio::test]
async fn an_owner_that_cannot_be_found_is_unknown_and_the_outcome_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("self/net");
    std::fs::create_dir_all(&net).unwrap();
    std::fs::create_dir(dir.path().join("1")).unwrap();
    std::fs::write(dir.path().join("stat"), "btime 1\n").unwrap();
    let line = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4242 1 0 100 0 0 10 0\n";
    std::fs::write(net.join("tcp"), format!("  sl  local_address\n{line}garbage \u{0}\n")).unwrap();
    let mut test = Test::new();
    test.roots.proc = dir.path().to_owned();
    let run = test.run(&["host/ports"]).await;
    let entry = run.entry("host/ports");
    assert_eq!(entry.outcome, Outcome::Ok);
    assert!(entry.reason.as_ref().unwrap().contains("no process that is visible here owns 1 of 1"), "{entry:?}");
    let row = listening(&run.json("ports/host.json"), "tcp", 8080).clone();
    assert_eq!((&row["owner"], &row["uid"]), (&Value::from("unknown"), &Value::from(101)));
    assert!(run.text("ports/host.txt").contains("unknown (uid 101)"));

    // Without the first process, /proc hides those of others.
    std::fs::remove_dir(dir.path().join("1")).unwrap();
    for item in ["host/ports", "host/processes"] {
        let entry = test.run(&[item]).await.entry(item).clone();
        assert_eq!(entry.outcome, Outcome::Truncated);
        assert!(entry.reason.as_ref().unwrap().contains("hidepid"), "{entry:?}");
    }
}

#[tokio::test]
async fn a_file_that_never_answers_costs_its_item_only_and_what_came_before_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    let stat = |pid: u32| format!("{pid} (p{pid}) S 1 1 1 0 -1 0 0 0 0 0 7 5 0 0 20 0 3 0 1234 1 1\n");
    for pid in [1, 3, 7, 9] {
        std::fs::create_dir_all(at(&format!("{pid}"))).unwrap();
        std::fs::write(at(&format!("{pid}/stat")), stat(pid)).unwrap();
    }
    std::fs::create_dir_all(at("self")).unwrap();
    std::fs::create_dir_all(at("etc")).unwrap();
    std::fs::write(at("stat"), "btime 1795241400\n").unwrap();
    // A pipe without a writer blocks whoever opens it, as a dead file server or a locked process does.
    for pipe in ["7/status", "self/mountinfo", "etc/hosts"] {
        assert!(std::process::Command::new("mkfifo").arg(at(pipe)).status().unwrap().success());
    }
    let mut test = Test::new();
    (test.roots.proc, test.roots.root) = (dir.path().to_owned(), dir.path().to_owned());
    test.limits.item_timeout = Duration::from_secs(4);
    let begun = std::time::Instant::now();
    let run = test.run(&["host/processes", "host/disks", "host/network"]).await;
    assert!(begun.elapsed() < Duration::from_secs(30));

    let entry = run.entry("host/processes");
    assert_eq!(entry.outcome, Outcome::Truncated);
    assert!(entry.reason.as_ref().unwrap().contains("process 7 gave no answer"), "{entry:?}");
    let pids: Vec<Value> = run
        .text("host/processes.json")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["pid"].clone())
        .collect();
    assert_eq!(pids, [1, 3]);
    for item in ["host/disks", "host/network"] {
        assert_eq!(run.entry(item).outcome, Outcome::TimedOut, "{:?}", run.entry(item));
    }
}

#[tokio::test]
async fn mounts_are_those_of_the_kernel() {
    let run = Test::new().run(&["host/disks"]).await;
    run.seen("host/disks");
    let disks = run.json("host/disks.json");
    let rows = disks["mounts"].as_array().unwrap();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        // Names with escapes are compared by the unit tests.
        if !fields[1].contains('\\') {
            assert!(rows.iter().any(|r| r["mount_point"] == fields[1] && r["type"] == fields[2]), "{line}");
        }
    }
    let root = rows.iter().rfind(|r| r["mount_point"] == "/").unwrap();
    let real = rustix::fs::statvfs("/").unwrap();
    assert_eq!(root["size_bytes"], real.f_blocks * real.f_frsize);
    assert_eq!(root["inodes"], real.f_files);
    assert!(root["used_percent"].as_u64().unwrap() <= 100);
    assert!(run.text("host/disks.txt").lines().any(|l| l.ends_with("  /")));
}

#[tokio::test]
async fn processes_are_listed_with_arguments_and_never_with_their_environment() {
    let mut child = std::process::Command::new("sleep")
        .arg("293")
        .env("CASEFILE_TEST_PLANTED", "planted-environment-value")
        .spawn()
        .unwrap();
    let run = Test::new().run(&["host/processes"]).await;
    child.kill().unwrap();
    child.wait().unwrap();

    run.seen("host/processes");
    let text = run.text("host/processes.json");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = rows.iter().find(|r| r["pid"] == child.id()).unwrap();
    assert_eq!(row["parent"], std::process::id());
    assert_eq!((&row["name"], &row["arguments"]), (&Value::from("sleep"), &Value::from("sleep 293")));
    assert_eq!(row["uid"], rustix::process::geteuid().as_raw());
    let me = rows.iter().find(|r| r["pid"] == std::process::id()).unwrap();
    assert!(me["resident_bytes"].as_u64().unwrap() > 1 << 20 && me["threads"].as_u64().unwrap() > 1);
    let started = chrono::DateTime::parse_from_rfc3339(me["started"].as_str().unwrap()).unwrap();
    let age = chrono::Utc::now().signed_duration_since(started);
    assert!(age >= chrono::Duration::seconds(-5) && age < chrono::Duration::hours(6), "{age}");
    for content in run.files.values() {
        assert!(!String::from_utf8_lossy(content).contains("planted-environment"));
    }
}

#[tokio::test]
async fn secrets_among_the_arguments_are_redacted() {
    let mut children: Vec<std::process::Child> = [
        vec!["--password", "Plant-3d-argument-one"],
        vec!["--api-key=Plant-3d-argument-two"],
        vec!["postgresql://app:Plant-3d-argument-three@db.example:5432/app"],
    ]
    .into_iter()
    .map(|args| {
        // It waits for a line that never comes, so that nothing is left when it is killed.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "read line", "tool"]).args(args).stdin(std::process::Stdio::piped()).spawn().unwrap()
    })
    .collect();
    // Until the shell runs, its arguments are still those of this test.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let run = Test::new().run(&["host/processes"]).await;
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let rows: Vec<Value> =
        run.text("host/processes.json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for child in &children {
        let row = rows.iter().find(|r| r["pid"] == child.id()).unwrap();
        assert!(row["arguments"].as_str().unwrap().contains("REDACTED-"), "{row}");
    }
    for (path, content) in &run.files {
        assert!(!String::from_utf8_lossy(content).contains("Plant-3d"), "{path}");
    }
}

#[tokio::test]
async fn processes_that_come_and_go_harm_nobody() {
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let churn = std::thread::spawn(move || {
        while !seen.load(std::sync::atomic::Ordering::Relaxed) {
            let _ = std::process::Command::new("true").status();
        }
    });
    let run = Test::new().run(&["host/processes", "host/ports"]).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    churn.join().unwrap();
    run.seen("host/processes");
    run.seen("host/ports");
}

#[tokio::test]
async fn system_network_and_limits_tell_what_the_kernel_tells() {
    let run = Test::new().run(&["host/system", "host/network", "host/limits"]).await;
    for item in ["host/system", "host/network", "host/limits"] {
        run.seen(item);
    }
    let system = run.json("host/system.json");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(system["kernel"], release.trim());
    assert!(system["memory_kib"]["MemTotal"].as_u64().unwrap() > 0);
    assert!(system["load"]["tasks"].as_u64().unwrap() > 0);
    assert!(system["clock"].is_object() && system["virtualisation"]["hypervisor"].is_boolean());
    assert!(run.text("host/proc/meminfo").starts_with("MemTotal:"));

    let network = run.json("network/host.json");
    let interfaces = network["interfaces"].as_array().unwrap();
    for entry in std::fs::read_dir("/sys/class/net").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new("/sys/class/net").join(&name).is_dir() {
            assert!(interfaces.iter().any(|i| i["name"] == name.as_str()), "{name}");
        }
    }
    let loopback = interfaces.iter().find(|i| i["name"] == "lo").unwrap();
    assert!(loopback["addresses"].to_string().contains("127.0.0.1/8"), "{loopback}");
    assert!(loopback["mtu"].as_u64().unwrap() > 0 && loopback["counters"]["rx_bytes"].is_u64());

    let limits = run.json("host/limits.json");
    assert!(limits["open_files"]["max"].as_u64().unwrap() > 0);
    let backlog = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    assert_eq!(limits["kernel"]["net.core.somaxconn"].to_string(), backlog.trim());
}

/// Puts executable scripts where the collectors look for commands. A shell writes them, because a file that this process
/// holds open for writing while another test forks cannot be executed.
fn scripts(test: &mut Test, dir: &Path, scripts: &[(&str, &str)]) {
    for (name, body) in scripts {
        let path = dir.join(name);
        let write = ["-c", r#"printf '%s\n' "$1" > "$0" && chmod 755 "$0""#];
        let script = format!("#!/bin/sh\n{body}");
        let status = std::process::Command::new("sh").args(write).arg(path).arg(script).status().unwrap();
        assert!(status.success());
    }
    test.roots.command_path = format!("{}:/usr/bin:/bin", dir.display());
}

const SYSTEMCTL: &str = r#"case "$1" in
list-units) printf '\342\227\217 kms-core.service loaded failed failed KMS\n' ;;
list-unit-files) echo 'docker.service enabled enabled'; echo 'kms-core.service enabled enabled' ;;
show) for last; do :; done; printf 'Id=%s\nActiveState=failed\nNRestarts=5\nResult=oom-kill\n' "$last" ;;
esac"#;

#[tokio::test]
async fn units_of_the_profile_are_read_with_their_journal() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    let mut test = Test::new();
    test.roots.root = dir.path().to_owned();
    test.units = vec!["kms-*.service", "docker.service"];
    test.limits.log_limit = 64 << 10;
    test.limits.since = Some(Duration::from_secs(3600));
    test.limits.tail = Some(77_000);
    // The last line of a journal that is far over the limit is what must survive.
    let journal = r#"echo "$@"; i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; printf 'bad \377\000 byte\nthe end\n'"#;
    scripts(&mut test, dir.path(), &[("systemctl", SYSTEMCTL), ("journalctl", journal)]);
    let run = test.run(&["host/units"]).await;

    assert_eq!(run.entry("host/units").outcome, Outcome::Ok);
    for unit in ["kms-core.service", "docker.service"] {
        let entry = run.entry(&format!("host/units/{unit}"));
        assert_eq!(entry.outcome, Outcome::Truncated, "{entry:?}");
        let state = run.text(&format!("host/units/{unit}.txt"));
        assert!(state.contains(&format!("Id={unit}\n")) && state.contains("Result=oom-kill"), "{state}");
        let log = &run.files[&format!("host/journal/{unit}.log")];
        assert!(log.ends_with(b"the end\n") && log.len() <= (64 << 10) + 200, "{} bytes", log.len());
        assert!(
            log.windows(7).any(|w| w == b"bad \xff\0 " || w == b"bad \xef\xbf\xbd"),
            "the bytes are kept or replaced"
        );
    }
    assert_eq!(run.result.ledger.len(), 3);
}

#[tokio::test]
async fn a_command_that_never_stops_writing_is_cut_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    let mut test = Test::new();
    test.roots.root = dir.path().to_owned();
    test.units = vec!["docker.service"];
    let flood = SYSTEMCTL.replace("show) ", "show) yes Property=value;");
    scripts(&mut test, dir.path(), &[("systemctl", &flood), ("journalctl", "echo entry")]);
    let run = test.run(&["host/units"]).await;
    let entry = run.entry("host/units/docker.service");
    assert_eq!(entry.outcome, Outcome::Truncated, "{entry:?}");
    assert_eq!(run.files["host/units/docker.service.txt"].len(), 1 << 20);
    assert!(entry.bytes < 100 << 20, "{} bytes were read", entry.bytes);
    assert_eq!(run.text("host/journal/docker.service.log"), "entry\n");
}

#[tokio::test]
async fn a_journal_that_may_not_be_read_is_forbidden_and_the_state_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    let mut test = Test::new();
    test.roots.root = dir.path().to_owned();
    test.units = vec!["docker.service"];
    let journal = "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2; echo '-- No entries --'";
    scripts(&mut test, dir.path(), &[("systemctl", SYSTEMCTL), ("journalctl", journal)]);
    let run = test.run(&["host/units"]).await;
    let entry = run.entry("host/units/docker.service");
    assert_eq!(entry.outcome, Outcome::Forbidden);
    assert!(entry.reason.as_ref().unwrap().contains("run as root"), "{entry:?}");
    assert!(run.text("host/units/docker.service.txt").contains("NRestarts=5"));
}

#[tokio::test]
async fn a_host_without_systemd_or_dmesg_is_not_applicable() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = Test::new();
    test.roots.root = dir.path().to_owned();
    test.roots.command_path = dir.path().display().to_string();
    test.units = vec!["docker.service"];
    let run = test.run(&["host/units", "host/kernel-log"]).await;
    for item in ["host/units", "host/kernel-log"] {
        assert_eq!(run.entry(item).outcome, Outcome::NotApplicable, "{:?}", run.entry(item));
    }
}

#[tokio::test]
async fn kernel_messages_are_kept_and_the_serious_ones_set_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = Test::new();
    let body = "echo '2026-11-21T09:00:00,1+00:00 eth0: link is up'; echo '2026-11-21T09:00:01,1+00:00 Out of memory: Killed process 42 (x)'";
    scripts(&mut test, dir.path(), &[("dmesg", body)]);
    let run = test.run(&["host/kernel-log"]).await;
    assert_eq!(run.entry("host/kernel-log").outcome, Outcome::Ok);
    assert!(run.text("host/kernel.log").contains("link is up"));
    let errors = run.text("host/kernel-errors.log");
    assert!(errors.contains("Killed process 42") && !errors.contains("link is up"), "{errors}");

    let refused = "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1";
    scripts(&mut test, dir.path(), &[("dmesg", refused), ("journalctl", "exit 1")]);
    let entry = test.run(&["host/kernel-log"]).await.entry("host/kernel-log").clone();
    assert_eq!(entry.outcome, Outcome::Forbidden);
    assert!(entry.reason.unwrap().contains("run as root"));

    // A journal that shows nothing is no proof that there is nothing.
    scripts(&mut test, dir.path(), &[("dmesg", refused), ("journalctl", "exit 0")]);
    assert_eq!(test.run(&["host/kernel-log"]).await.entry("host/kernel-log").outcome, Outcome::Forbidden);
}

#[tokio::test]
async fn a_command_that_hangs_costs_its_item_only_and_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = Test::new();
    test.limits.item_timeout = Duration::from_secs(3);
    let body = format!("trap '' TERM; echo $$ >> {}/pids; echo begun; sleep 300", dir.path().display());
    scripts(&mut test, dir.path(), &[("dmesg", &body), ("journalctl", "exit 1")]);
    let begun = std::time::Instant::now();
    let run = test.run(&["host/kernel-log"]).await;
    assert!(begun.elapsed() < Duration::from_secs(60));
    let entry = run.entry("host/kernel-log");
    assert!(matches!(entry.outcome, Outcome::TimedOut | Outcome::Failed), "{entry:?}");
    assert!(run.text("host/kernel.log").contains("begun"), "what came before the deadline is kept");
    tokio::time::sleep(Duration::from_millis(300)).await;
    for pid in std::fs::read_to_string(dir.path().join("pids")).unwrap().lines() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "process {pid} lives on: {stat}");
    }
}

#[tokio::test]
async fn a_cancelled_run_ends_at_once_and_accounts_for_every_item() {
    let test = Test::new();
    test.cancel.cancel();
    let begun = std::time::Instant::now();
    let run = test.run(&["host/"]).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(run.result.ledger.len(), items_at(&test.profile(), &test.roots).len());
}

#[tokio::test]
async fn an_empty_proc_is_an_outcome_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = Test::new();
    (test.roots.proc, test.roots.sys, test.roots.root) =
        (dir.path().to_owned(), dir.path().to_owned(), dir.path().to_owned());
    test.roots.command_path = dir.path().display().to_string();
    let run = test.run(&["host/"]).await;
    for entry in &run.result.ledger {
        assert!(!entry.reason.as_deref().unwrap_or_default().contains("panicked"), "{entry:?}");
    }
    assert_eq!(run.entry("host/ports").outcome, Outcome::NotApplicable);
}
