//! What the program says about itself holds no secret: errors, notices, its log and its progress.

use std::path::Path;

use crate::support::cli::{Casefile, Ran};
use crate::support::cluster::{Cluster, planted};

/// A made-up password, and a name that says so.
const SECRET: &str = "Hunter2xyz9Q";

/// Asserts that neither stream and no file of the directory holds the secret.
#[track_caller]
fn silent(ran: Ran) -> Ran {
    for (name, text) in [("stdout", ran.stdout()), ("stderr", ran.stderr())] {
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
    for archive in ran.archives() {
        let bundle = crate::support::cli::Bundle::open(&archive);
        let all = bundle.everything();
        assert!(memchr::memmem::find(&all, SECRET.as_bytes()).is_none(), "{} holds it", archive.display());
    }
    ran
}

fn kubeconfig(dir: &Path, server: &str, user: &str) -> std::path::PathBuf {
    let path = dir.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster: {{server: '{server}'}}\n\
         users:\n- name: t\n  user: {user}\ncontexts:\n- name: t\n  context: {{cluster: t, user: t}}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn errors_of_the_command_line_do_not_quote_credentials() {
    let pair = format!("password={SECRET}");
    for args in [
        vec!["collect", "--set", &pair, "--bogus"],
        vec!["collect", &pair],
        vec!["collect", "--tail", &pair],
        // The value is quoted far from its name.
        vec!["collect", "--set", &pair, "--tail", SECRET],
        vec!["collect", "--password", SECRET, "--since", SECRET],
        vec!["collect", "--set", &pair, SECRET],
        vec!["redact", "--without-rule", &pair],
        vec!["collect", "--profile", &pair],
        vec!["demo", &pair],
    ] {
        let ran = silent(Casefile::new(&args).run());
        assert!(!ran.stderr().is_empty(), "{args:?} says nothing");
    }
    let ran = silent(Casefile::new(&["collect", "--set", &pair, "--tail", SECRET]).run().code(2));
    assert!(ran.stderr().contains("REDACTED-password-") && ran.stderr().contains("--tail"), "{}", ran.stderr());
    // What holds no secret is said as it is.
    Casefile::new(&["collect", "--bogus"]).run().code(2).says("unexpected argument '--bogus' found");
}

#[test]
fn errors_do_not_quote_what_they_were_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("password={SECRET}.tar.gz");
    for args in [
        vec!["show", &file],
        vec!["verify", &file],
        vec!["triage", &file],
        vec!["recover", &file],
        vec!["redact", &file],
    ] {
        let ran = silent(Casefile::new(&args).run());
        assert!(ran.stderr().contains("REDACTED-password-"), "{args:?}: {}", ran.stderr());
    }
    // A file that is no kubeconfig, and one whose server holds credentials.
    let broken = dir.path().join("broken");
    std::fs::write(&broken, format!("token: {SECRET}abc\n: [")).unwrap();
    silent(Casefile::new(&["collect", "--kubeconfig"]).arg(&broken).run());
    let server = format!("http://admin:{SECRET}@127.0.0.1:9");
    let path = kubeconfig(dir.path(), &server, &format!("{{token: {SECRET}abcdef}}"));
    for command in ["plan", "doctor"] {
        silent(Casefile::new(&[command, "--request-timeout", "2s", "--kubeconfig"]).arg(&path).run());
    }
    let ran = Casefile::new(&[
        "collect",
        "--only",
        "kubernetes/*",
        "--no-progress",
        "--request-timeout",
        "2s",
        "-vvv",
        "--kubeconfig",
    ]);
    let ran = silent(ran.arg(&path).env("RUST_LOG", Path::new("trace")).run());
    assert!(ran.stderr().contains("no cluster"), "{}", ran.stderr());
}

#[test]
fn services_and_stores_do_not_quote_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let profile = "schema = 1\nid = \"traces\"\ntitle = \"T\"\nprefix = \"t\"\n\
        [parameters.db]\ndescription = \"d\"\nsecret = true\n[parameters.url]\ndescription = \"d\"\n[parameters.etcd]\ndescription = \"d\"\n\
        [[postgres]]\nurl = \"{db}\"\n[[prometheus]]\nurl = \"{url}\"\n[[etcd]]\nurl = \"{etcd}\"\n\
        [[endpoint]]\nid = \"e\"\nurl = \"{url}\"\npath = \"/x?token=abc\"\nfile = \"x.json\"\nwhy = \"w\"\n";
    std::fs::write(dir.path().join("profile.toml"), profile).unwrap();
    for (db, url) in [
        (format!("postgres://app:{SECRET}@127.0.0.1:9/x"), format!("http://app:{SECRET}@127.0.0.1:9")),
        (format!("host=127.0.0.1 port=9 password={SECRET} user='"), format!("http://127.0.0.1:9/?password={SECRET}")),
        (format!("postgres://app:{SECRET}@[bad"), format!("http://app:{SECRET}@[bad")),
    ] {
        let set = |name: &str, value: &str| format!("{name}={value}");
        let (db, prometheus, etcd) = (set("db", &db), set("url", &url), set("etcd", &url));
        let args = ["--set", &db, "--set", &prometheus, "--set", &etcd, "-vv", "--request-timeout", "2s"];
        for command in ["collect", "plan"] {
            let call = Casefile::new(&[command, "--only", "services/*", "--profile"]).arg(dir.path()).args(&args);
            let ran = silent(call.run());
            assert!(!ran.stderr().contains("panicked"), "{}", ran.stderr());
        }
        let json = Casefile::new(&["collect", "--format", "json", "--only", "services/*", "--profile"]);
        silent(json.arg(dir.path()).args(&args).run());
    }
    let call =
        Casefile::new(&["collect", "--only", "services/*", "--request-timeout", "2s", "--profile"]).arg(dir.path());
    let url = format!("http://app:{SECRET}@127.0.0.1:9");
    silent(call.env("AWS_ENDPOINT_URL", Path::new(&url)).env("PGPASSWORD", Path::new(SECRET)).run());
}

/// Not even with everything switched on that libraries look at.
#[test]
fn no_library_logs_what_goes_over_the_wire() {
    let cluster = Cluster::recorded_with(|builder| builder.token(&format!("{SECRET}tokenABC")));
    let call = Casefile::new(&["collect", "-vvv", "--skip", "host/*"])
        .over_kms(&cluster)
        .env("RUST_LOG", Path::new("trace,hyper=trace,kube=trace,aws_config=trace"))
        .env("AWS_ACCESS_KEY_ID", Path::new("AKIAQWERTYUIOPASDFGH"))
        .env("AWS_SECRET_ACCESS_KEY", Path::new(SECRET));
    let ran = silent(call.run());
    let log = ran.bundle().text("collector.log");
    for text in [&log, &ran.stderr(), &ran.stdout()] {
        let lower = text.to_lowercase();
        assert!(!lower.contains("bearer ") && !lower.contains("authorization:"), "{text}");
        for secret in planted() {
            assert!(!text.contains(&secret), "{secret}: {text}");
        }
    }
    assert!(log.contains("kubernetes/pods/kms-decentralized ok"), "{log}");
}
