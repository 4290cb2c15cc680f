//! The commands `show`, `verify` and `recover`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use casefile::bundle::{Spool, format};
use casefile::model::SCHEMA_VERSION;

use super::hostile::{Hostile, gzip};
use super::{Bundle, MIB, redacted, redactor, text};

fn casefile(args: &[&str], path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casefile"));
    command.arg(args[0]).arg(path).args(&args[1..]).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn show_prints_summary_tree_and_files() {
    let bundle = Bundle::of(&[
        ("logs/a/x.log", text(100)),
        ("logs/b/x.log", text(200)),
        ("d/e.json", b"{\"b\":1,\"a\":[]}".to_vec()),
    ]);
    let out = |args: &[&str]| {
        let output = casefile(args, &bundle.archive);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let page = out(&["show"]);
    assert!(page.starts_with("# Summary\n") && page.contains("      x.log\n"), "{page}");
    assert_eq!(out(&["show", "logs/a/x.log"]).into_bytes(), text(100));
    assert_eq!(out(&["show", "b/x.log"]).into_bytes(), text(200));
    assert!(out(&["show", "logs/*/x.log"]).contains("==> logs/b/x.log <==\n"));
    assert_eq!(out(&["show", "e.json", "--pretty"]), "{\n  \"b\": 1,\n  \"a\": []\n}\n");
    assert!(out(&["show", "--list"]).contains("         200  logs/b/x.log\n"));
    assert!(!out(&["show", "--tree"]).contains("# Summary"));
    let json: serde_json::Value = serde_json::from_str(&out(&["show", "--format", "json"])).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), 5);

    let ambiguous = casefile(&["show", "x.log"], &bundle.archive);
    assert_eq!(ambiguous.status.code(), Some(2));
    assert!(stderr(&ambiguous).contains("logs/a/x.log"));
    let missing = casefile(&["show", "nothing"], &bundle.archive);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("--list"));
}

#[test]
fn errors_say_what_is_wrong_and_what_to_try() {
    let bundle = Bundle::of(&[("a.log", text(3 * MIB))]);
    let dir = bundle.temp.path();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name)
    };
    let newer = Bundle::with(&[], |m| m.schema_version = SCHEMA_VERSION + 1);
    let hostile = gzip(&Hostile::new().file("../x", b"").tar());
    for (path, code, want) in [
        (dir.join("missing.tar.gz"), 1, "cannot read"),
        (file("empty", b""), 1, "the file is empty"),
        (file("plain.txt", b"hello"), 1, "it is not gzip"),
        (file("cut.tar.gz", &bundle.bytes()[..40]), 1, "nothing in it can be read"),
        (file("notar.tar.gz", &gzip(b"no tar")), 1, "nothing in it can be read"),
        (file("hostile.tar.gz", &hostile), 1, "was ignored"),
        (newer.archive, 1, "use a newer casefile"),
    ] {
        let output = casefile(&["verify"], &path);
        assert_eq!(output.status.code(), Some(code), "{path:?}");
        assert!(
            stderr(&output).contains(want) && stderr(&output).starts_with("error: "),
            "{path:?}: {}",
            stderr(&output)
        );
    }
    let half = file("half.tar.gz", &bundle.bytes()[..bundle.bytes().len() / 2]);
    let output = casefile(&["verify", "--format", "json"], &half);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["ok"] == false && report["problems"].to_string().contains("can be read"), "{report}");
    // What is there can still be seen, with a warning.
    let output = casefile(&["show", format::SUMMARY], &half);
    assert_eq!(output.stdout, b"# Summary\n");
    assert!(stderr(&output).contains("warning: "), "{}", stderr(&output));
    assert_eq!(casefile(&["verify"], &bundle.archive).status.code(), Some(0));
}

#[test]
fn recover_packs_what_a_killed_run_left() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let mut done = spool.artifact(&redactor().text("done.log"), None).unwrap();
    done.write(&redacted(&text(500))).unwrap();
    done.finish(None).unwrap();
    let mut open = spool.artifact(&redactor().text("open.log"), None).unwrap();
    open.write(&redacted(&text(MIB + 500))).unwrap();
    let refused = casefile(&["recover"], spool.dir());
    assert!(stderr(&refused).contains("still writes"), "{}", stderr(&refused));

    let image = temp.path().join("image.spool");
    fs::create_dir(&image).unwrap();
    for item in fs::read_dir(spool.dir()).unwrap() {
        let item = item.unwrap();
        fs::copy(item.path(), image.join(item.file_name())).unwrap();
    }
    let hint = casefile(&["show"], &image);
    assert!(stderr(&hint).contains("casefile recover"), "{}", stderr(&hint));
    let target = temp.path().join("r.tar.gz");
    let output = casefile(&["recover", "-o", target.to_str().unwrap()], &image);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), target.to_str().unwrap());
    assert_eq!(casefile(&["verify"], &target).status.code(), Some(0));
    let summary = casefile(&["show", format::SUMMARY], &target);
    let summary = String::from_utf8(summary.stdout).unwrap();
    assert!(summary.contains("casefile triage") && summary.contains("- open.log\n"), "{summary}");
    let again = casefile(&["recover", "-o", target.to_str().unwrap()], &image);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    let inside = image.join("x.tar.gz");
    let inside = casefile(&["recover", "-o", inside.to_str().unwrap(), "--remove"], &image);
    assert_eq!((inside.status.code(), image.exists()), (Some(2), true));
    let piped = casefile(&["recover", "-o", "-", "--remove"], &image);
    assert!(piped.stdout == fs::read(&target).unwrap(), "a second recovery differs");
    assert!(!image.exists());
}
