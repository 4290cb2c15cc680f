//! The small commands, and what all commands share.

use crate::support::cli::Casefile;
use crate::support::cluster::Cluster;

#[test]
fn help_names_every_command_and_exit_code() {
    let help = Casefile::new(&["--help"]).run().code(0).stdout();
    for word in
        ["collect", "demo", "triage", "show", "verify", "recover", "serve", "redact", "doctor", "plan", "Exit codes"]
    {
        assert!(help.contains(word), "{word} is not in the help:\n{help}");
    }
    let version = Casefile::new(&["--version"]).run().code(0).stdout();
    assert_eq!(version, format!("casefile {}\n", env!("CARGO_PKG_VERSION")));
    Casefile::new(&[]).run().code(2);
    Casefile::new(&["colect"]).run().code(2).says("collect");
}

#[test]
fn completions_and_man_page_are_written() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Casefile::new(&["completions", shell]).run().code(0).stdout();
        assert!(script.contains("casefile") && script.contains("collect"), "{shell}");
    }
    let page = Casefile::new(&["man"]).run().code(0).stdout();
    assert!(page.contains(".TH casefile 1"), "{page}");
}

#[test]
fn profiles_are_listed_shown_and_checked() {
    let list = Casefile::new(&["profiles"]).run().code(0).stdout();
    for id in ["host", "kms", "kubernetes"] {
        assert!(list.lines().any(|l| l.starts_with(id)), "{list}");
    }
    let show = Casefile::new(&["profiles", "show", "kms"]).run().code(0).stdout();
    assert!(show.contains("9646") && show.contains("app=kms-core"), "{show}");
    for line in [
        "found by: process kms-server of this host",
        "host program kms-server at {host_address}",
        "--config-file, /root/kms-server.toml",
        "host grpc ",
        "host http ",
        "host probe peers ",
    ] {
        assert!(show.contains(line), "{line}: {show}");
    }
    Casefile::new(&["profiles", "show", "kmz"]).run().code(2).says("kms");
}

#[test]
fn redact_reads_standard_input_and_writes_standard_output() {
    let secret = "hunter2-but-longer";
    let text = format!("level=info db_password={secret} user=anna\n");
    let out = Casefile::new(&["redact", "-"]).stdin(text.as_bytes()).run().code(0).stdout();
    assert!(!out.contains(secret) && out.contains("REDACTED-") && out.contains("user=anna"), "{out}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let cluster = Cluster::recorded();
    let collect = |args: &[&str]| {
        let base = ["collect", "--only", "kubernetes/*"];
        Casefile::new(&base).args(args).env("KUBECONFIG", cluster.kubeconfig())
    };
    assert!(!collect(&[]).run().stdout().contains('\u{1b}'), "stdout is no terminal");
    assert!(collect(&["--color", "always"]).run().stdout().contains('\u{1b}'));
    assert!(!collect(&["--color", "auto"]).env("NO_COLOR", "1").run().stdout().contains('\u{1b}'));
    let quiet = collect(&["--quiet"]).run();
    assert_eq!(quiet.stderr(), "");
    assert_eq!(quiet.stdout().lines().count(), 1, "only the path of the bundle");
}
