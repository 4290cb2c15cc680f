//! A party without a cluster: its configuration, ports, stores and peers, found by its process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::overlay::MemStore;
use casefile::collect::Item;
use casefile::collect::host::HostRoots;
use casefile::collect::host::program::{Outside, items};
use casefile::profile::parse;
use casefile::triage::{self, manifest_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Run, Test};
use crate::s3;
use crate::support::grpc::{self, Core};

/// Answers each GET by its path; it ends with the runtime.
async fn http(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0_u8; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split_whitespace().nth(1).unwrap_or_default();
                let answer = answers.iter().find(|(own, _)| *own == path).map(|(_, body)| *body);
                let status = if answer.is_some() { "200 OK" } else { "404 Not Found" };
                let body = answer.unwrap_or_default();
                let text =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    address
}

/// A port that nothing listens on.
fn closed() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A machine with or without a core.
struct Host {
    dir: tempfile::TempDir,
    http: u16,
    grpc: u16,
    outside: Outside,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for own in ["proc", "bin", "root"] {
            std::fs::create_dir_all(dir.path().join(own)).unwrap();
        }
        let roots = HostRoots {
            root: dir.path().join("root"),
            proc: dir.path().join("proc"),
            command_path: dir.path().join("bin").display().to_string(),
            ..HostRoots::default()
        };
        let outside = Outside { roots, ..Outside::default() };
        Self { dir, http: closed(), grpc: closed(), outside }
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A core that runs in a container with `/app` as its directory.
    fn runs(&self, config: &str) {
        self.write("proc/77/comm", "kms-server\n");
        self.write("proc/77/cmdline", b"/app/kms-server\0--config-file\0kms.toml\0");
        self.write("proc/77/root/app/kms.toml", config);
        std::os::unix::fs::symlink("/app", self.dir.path().join("proc/77/cwd")).unwrap();
    }

    /// A program in the path of commands.
    fn installs(&self, name: &str, script: &str) {
        self.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        let path = self.dir.path().join("bin").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn items(&self, set: &[(&str, &str)]) -> Vec<Arc<dyn Item>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/kms/profile.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("port = 9646", &format!("port = {}", self.http));
        let profile = parse("kms", &text.replace("port = 50100", &format!("port = {}", self.grpc))).unwrap();
        let mut values: BTreeMap<String, String> =
            profile.parameters.iter().filter_map(|(n, p)| Some((n.clone(), p.default.clone()?))).collect();
        let own = [("metrics_interval", "50ms"), ("host_address", "127.0.0.1")];
        values.extend(own.iter().chain(set).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        items(&profile, &values, self.outside.clone())
    }

    async fn run(&self, set: &[(&str, &str)]) -> Run {
        let mut test = Test::new();
        test.limits.item_timeout = Duration::from_secs(30);
        test.run_items(self.items(set), &[""]).await
    }
}

/// A configuration with a directory, a bucket and three peers that nothing listens at.
fn config(s3: SocketAddr, peers: u16) -> String {
    let mut text = format!(
        "[service]\nlisten_address = \"0.0.0.0\"\nlisten_port = 50100\n[aws]\nregion = \"us-east-1\"\ns3_endpoint = \"http://{s3}\"\n\
         [private_vault.storage.file]\npath = \"./keys\"\nprefix = \"PRIV-p1\"\n\
         [public_vault.storage.s3]\nbucket = \"parties\"\nprefix = \"PUB-p1\"\n[threshold]\nmy_id = 1\nthreshold = 1\n"
    );
    for id in 1..=4 {
        text.push_str(&format!(
            "[[threshold.peers]]\nparty_id = {id}\naddress = \"127.0.0.1\"\nport = {}\n",
            peers + id
        ));
    }
    text
}

const ANSWERS: &[(&str, &str)] = &[
    ("/health", "ok"),
    ("/live", "alive"),
    ("/ready", "ready"),
    ("/version", "0.13.22"),
    ("/config", "\"{\\\"service\\\": {\\\"listen_port\\\": 50100}}\""),
    ("/metrics", "kms_active_sessions 2\n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_without_a_cluster_has_the_sections_of_one_in_a_cluster() {
    let store = s3::Store::new(|_| None).await;
    store.put("parties/PUB-p1/VerfKey/60b7", b"public");
    let mut host = Host::new();
    host.http = http(ANSWERS).await.port();
    host.grpc = grpc::start(Core::Answers(grpc::healthy())).await.port();
    host.outside.aws = Some(s3::access(&format!("http://{}", store.addr), s3::KEY, s3::SECRET));
    host.runs(&config(store.addr, 20_000));
    host.write("proc/77/root/app/keys/PRIV-p1/SigningKey/60b7", "share");
    host.installs("kms-health-check", "echo 'DEBUG: SETTINGS'; echo \"{\\\"asked\\\": \\\"$5\\\"}\"");
    let run = host.run(&[("config_file", "")]).await;

    for id in ["config/host/kms-server/file", "http/host/kms-server/version", "http/host/kms-server/metrics"] {
        assert_eq!(run.entry(id).outcome.as_str(), "ok", "{:?}", run.entry(id));
    }
    for id in ["grpc/host/kms-server/health", "exec/host/kms-server/health-check-core", "probe/host/kms-server/peers"] {
        assert_eq!(run.entry(id).outcome.as_str(), "ok", "{:?}", run.entry(id));
    }
    for id in ["storage/host/kms-server/private", "storage/host/kms-server/public"] {
        assert_eq!(run.entry(id).outcome.as_str(), "ok", "{:?}", run.entry(id));
    }
    let (config, found) =
        (run.text("config/host/kms-server/kms-server.toml"), run.entry("config/host/kms-server/file"));
    assert!(config.contains("PRIV-p1") && found.reason.as_deref() == Some("read from kms.toml"), "{found:?}");
    assert!(run.text("metrics/host/kms-server.sample-2.prom").contains("# casefile sample=2 after_ms="));
    let asked = run.text("health/host/kms-server/kms-health-check.txt");
    assert!(asked.contains(&"127.0.0.1:50100".to_owned()), "{asked}");
    let listed = run.text("storage/host/kms-server/private.json");
    assert!(listed.contains("SigningKey/60b7") && !listed.contains("share"), "{listed}");
    assert!(run.text("storage/host/kms-server/public.json").contains("VerfKey/60b7"));
    assert!(!store.requests().iter().any(|r| r.contains("VerfKey")), "an object was read");
    let peers = run.json("peers/host/kms-server/reachability.json");
    assert_eq!(peers["peers"].as_array().unwrap().len(), 4);

    // Triage reads it as it reads a pod: the running peers of the gRPC answer, the vault without PRSS.
    let mut files = MemStore::default();
    for (path, bytes) in &run.files {
        files.insert(path.clone(), bytes.clone());
    }
    let (manifest, _) = manifest_of(&files, Some("kms")).unwrap();
    let triage = triage::run(&files, &manifest).unwrap();
    let rules: Vec<&str> = triage.findings.iter().map(|f| f.rule.as_str()).collect();
    assert!(rules.contains(&"kms-prss-missing"), "{rules:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_a_party_has_nothing_that_failed() {
    let run = Host::new().run(&[("config_file", "")]).await;
    assert!(run.result.ledger.len() > 10);
    for entry in &run.result.ledger {
        assert!(matches!(entry.outcome.as_str(), "not-applicable" | "not-found"), "{entry:?}");
        assert!(entry.reason.is_some(), "{entry:?}");
    }
    assert_eq!(run.files.keys().collect::<Vec<_>>(), [".casefile-index.json"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_somebody_named_and_that_does_not_answer_is_a_failure() {
    let mut host = Host::new();
    host.outside.named = vec!["host_address".to_owned()];
    host.write("root/opt/kms/config/config.toml", "= not toml");
    let run = host.run(&[("config_file", "")]).await;
    assert_eq!(run.entry("http/host/kms-server/health").outcome.as_str(), "failed");
    assert_eq!(run.entry("grpc/host/kms-server/health").outcome.as_str(), "failed");
    // The guides' place, although nobody runs; what is no TOML is kept and names no store.
    assert_eq!(run.entry("config/host/kms-server/file").outcome.as_str(), "ok");
    let store = run.entry("storage/host/kms-server/private");
    assert_eq!(store.outcome.as_str(), "not-applicable");
    assert!(store.reason.as_deref().unwrap().contains("cannot be decoded"), "{store:?}");
    assert!(run.text("health/host/kms-server/grpc.json").contains("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_can_be_named_where_no_configuration_is_found() {
    let host = Host::new();
    host.write("root/var/kms/PRIV-p3/SigningKey/60b7", "share");
    let set = [("config_file", ""), ("private_directory", "/var/kms"), ("private_prefix", "PRIV-p3")];
    let run = host.run(&set).await;
    assert_eq!(run.entry("storage/host/kms-server/private").outcome.as_str(), "ok");
    let listed = run.json("storage/host/kms-server/private.json");
    assert_eq!(listed["objects"][0]["name"], "SigningKey/60b7");
    // A directory that is not there says so.
    let run = host.run(&[("config_file", ""), ("private_directory", "/var/none")]).await;
    let entry = run.entry("storage/host/kms-server/private");
    assert_eq!(entry.outcome.as_str(), "not-found");
}

/// Whether these bytes stand anywhere in a bundle.
fn holds(run: &Run, text: &str) -> bool {
    run.files.values().any(|bytes| memchr::memmem::find(bytes, text.as_bytes()).is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_cannot_make_us_read_the_host() {
    use std::os::unix::fs::symlink;
    let host = Host::new();
    host.write("proc/77/comm", "kms-server\n");
    host.write("proc/77/cmdline", b"/app/kms-server\0--config-file\0/app/kms.toml\0");
    host.write("secret/keys/OfTheHost", "made-up-content-of-the-host");
    host.write("secret/config.toml", "made = \"up-content-of-the-host\"");
    let secret = host.dir.path().join("secret");
    let root = host.dir.path().join("proc/77/root");
    std::fs::create_dir_all(root.join("app")).unwrap();
    // Absolute, and by steps up; one is the configuration, the others are directories of stores.
    symlink(secret.join("config.toml"), root.join("app/kms.toml")).unwrap();
    symlink(secret.join("keys"), root.join("private")).unwrap();
    symlink("../../../secret/keys", root.join("public")).unwrap();
    let set = [
        ("config_file", ""),
        ("private_directory", "/private"),
        ("private_prefix", "."),
        ("public_directory", "/public"),
        ("public_prefix", "."),
    ];
    let run = host.run(&set).await;
    for id in ["config/host/kms-server/file", "storage/host/kms-server/private", "storage/host/kms-server/public"] {
        assert_eq!(run.entry(id).outcome.as_str(), "not-found", "{:?}", run.entry(id));
    }
    assert!(!holds(&run, "of-the-host") && !holds(&run, "OfTheHost"));

    // What has the right name and is no file costs its item and no time.
    std::fs::remove_file(root.join("app/kms.toml")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("app/kms.toml"), pipe, rustix::fs::Mode::RUSR, 0).unwrap();
    let entry = host.run(&[("config_file", "")]).await.entry("config/host/kms-server/file").clone();
    assert_eq!(entry.outcome.as_str(), "not-found");
    assert!(entry.reason.as_deref().unwrap().contains("/app/kms.toml (it is a pipe and no regular file)"), "{entry:?}");

    // A link within the container is followed.
    std::fs::remove_file(root.join("app/kms.toml")).unwrap();
    host.write("proc/77/root/etc/real.toml", "[service]\nlisten_port = 50100\n");
    symlink("/etc/real.toml", root.join("app/kms.toml")).unwrap();
    let run = host.run(&[("config_file", "")]).await;
    assert_eq!(run.entry("config/host/kms-server/file").outcome.as_str(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_names_is_read_where_the_files_of_the_process_are_hidden() {
    let host = Host::new();
    host.write("proc/77/comm", "kms-server\n");
    host.write("proc/77/status", "NSpid:\t77\t1\n");
    host.write("proc/77/cmdline", b"/app/kms-server\0--config-file\0/app/kms.toml\0");
    host.write("root/app/kms.toml", "of = \"another system\"");
    host.write("root/data/PRIV-p3/SigningKey/60b7", "share");
    let set = [("config_file", ""), ("private_directory", "/data"), ("private_prefix", "PRIV-p3")];
    let run = host.run(&set).await;
    let entry = run.entry("config/host/kms-server/file");
    assert_eq!(entry.outcome.as_str(), "forbidden", "{entry:?}");
    let reason = entry.reason.as_deref().unwrap();
    assert!(reason.contains("runs in a container") && reason.contains("run as root"), "{reason}");
    assert_eq!(run.entry("storage/host/kms-server/private").outcome.as_str(), "ok");
    assert!(!holds(&run, "another system"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_of_the_process_win_over_its_file() {
    let store = s3::Store::new(|_| None).await;
    store.put("parties/PUB-p1/VerfKey/60b7", b"public");
    let mut host = Host::new();
    host.outside.aws = Some(s3::access(&format!("http://{}", store.addr), s3::KEY, s3::SECRET));
    host.runs(
        "[aws]\nregion = \"us-east-1\"\n[public_vault.storage.s3]\nbucket = \"in-the-file\"\nprefix = \"PUB-p1\"\n",
    );
    let variables = [
        ("KMS_CORE__PUBLIC_VAULT__STORAGE__S3__BUCKET", "parties"),
        ("KMS_CORE__PRIVATE_VAULT__STORAGE__FILE__PATH", "/only-in-the-environment"),
        ("AWS_ENDPOINT_URL", &format!("http://{}", store.addr)),
        ("AWS_SECRET_ACCESS_KEY", "made-up-secret-access-key-0001"),
        ("KMS_CORE__PRIVATE_VAULT__KEYCHAIN__AWS_KMS__PASSPHRASE", "made-up-passphrase-0002"),
        ("INNOCENT", "made-up-value-0003"),
    ];
    host.write("proc/77/environ", variables.map(|(name, value)| format!("{name}={value}\0")).concat());
    host.write("proc/77/root/only-in-the-environment/PRIV/SigningKey/60b7", "share");
    let run = host.run(&[("config_file", "")]).await;

    assert_eq!(run.entry("config/host/kms-server/environment").outcome.as_str(), "ok");
    let public = run.json("storage/host/kms-server/public.json");
    assert_eq!((&public["bucket"], &public["objects"][0]["name"]), (&"parties".into(), &"VerfKey/60b7".into()));
    assert_eq!(public["found_in"], "host/environment/kms-server.json");
    assert_eq!(public["endpoint"], format!("http://{}", store.addr));
    let private = run.json("storage/host/kms-server/private.json");
    assert_eq!(
        (&private["directory"], &private["objects"][0]["name"]),
        (&"/only-in-the-environment".into(), &"SigningKey/60b7".into())
    );
    // Names of the others are there, and no value is.
    let kept = run.text("host/environment/kms-server.json");
    assert!(kept.contains("AWS_SECRET_ACCESS_KEY") && kept.contains("INNOCENT"), "{kept}");
    assert!(!holds(&run, "made-up-"), "{kept}");
}

/// What systemd and its journal say about a core that does not start, as `journalctl -o short-iso-precise` prints it.
#[test]
fn the_journal_of_a_failed_unit_names_the_cause() {
    let line = |text: &str| format!("2026-11-21T05:53:20.669948+0000 party-1 kms-server[77]: {text}\n");
    let journal = line("Initializing configuration with prefix: KMS_CORE")
        + &line("Error: threshold.__all__: 3*t+1 must be equal to number of parties, expected t=0 for n=3");
    let mut files = MemStore::default();
    files.insert(
        "host/units/kms.service.txt",
        &b"ActiveState=failed\nResult=exit-code\nNRestarts=3\nExecMainStatus=1\n"[..],
    );
    files.insert("host/journal/kms.service.log", journal.into_bytes());
    let (manifest, _) = manifest_of(&files, Some("kms")).unwrap();
    let triage = triage::run(&files, &manifest).unwrap();
    let root = triage.root().unwrap();
    assert_eq!((root.rule.as_str(), root.subjects[0].as_str()), ("kms/CFG04", "unit//kms.service"), "{root:#?}");
    assert!(root.evidence.iter().any(|e| e.path == "host/journal/kms.service.log"), "{root:#?}");
    let failed = triage.findings.iter().find(|f| f.rule == "host-unit-failed").unwrap();
    assert!(root.explains.contains(&failed.id), "{root:#?}");
}
