//! `casefile redact` on archives.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

const SECRET: &str = "Hunter2xyz9Q";

fn redact(input: &Path, output: &Path) -> (i32, String) {
    let run =
        Command::new(env!("CARGO_BIN_EXE_casefile")).args(["redact", "-o"]).arg(output).arg(input).output().unwrap();
    (run.status.code().unwrap_or(-1), String::from_utf8_lossy(&run.stderr).into_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Written as it is, so that names can be hostile.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn untar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (name, content)
    };
    archive.entries().unwrap().map(read).collect()
}

fn has(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|w| w == needle.as_bytes())
}

#[test]
fn an_archive_keeps_its_shape_and_loses_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("level=info password={SECRET}\n");
    let inner = gzip(&tar(&[("deep.log", line.as_bytes())]));
    let logs = gzip(line.as_bytes());
    let input = gzip(&tar(&[
        ("a.log", line.as_bytes()),
        ("dir/old.log.gz", &logs),
        ("nested.tar.gz", &inner),
        ("token=ghp_0123456789abcdefghijABCDEFGHIJ012345.txt", b"plain"),
        ("core", b"\x7fELF\x02\x01\x01 password=Hunter2xyz9Q"),
        ("../outside", b"x"),
        ("/absolute", b"x"),
        ("a.log", b"twice"),
    ]));
    let (from, to) = (dir.path().join("in.tar.gz"), dir.path().join("out.tar.gz"));
    std::fs::write(&from, input).unwrap();
    let (code, stderr) = redact(&from, &to);
    assert_eq!(code, 3, "members were left out: {stderr}");
    let members = untar(&gunzip(&std::fs::read(&to).unwrap()));
    let names: Vec<&str> = members.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(&names[..3], ["a.log", "dir/old.log.gz", "nested.tar.gz"]);
    assert!(names[3].contains("REDACTED-") && !names[3].contains("ghp_"), "{names:?}");
    assert!(has(&members[0].1, "level=info password=REDACTED-password-"));
    assert!(has(&gunzip(&members[1].1), "password=REDACTED-password-"));
    let deep = untar(&gunzip(&members[2].1));
    assert!(has(&deep[0].1, "password=REDACTED-password-") && !has(&deep[0].1, SECRET));
    assert!(has(&members[4].1, "left this file out") && !has(&members[4].1, SECRET));
}

#[test]
fn bombs_and_broken_archives_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let bomb = gzip(&vec![b'a'; 40 << 20]);
    let cut = &gzip(&tar(&[("a", &vec![b'x'; 100_000][..])]));
    for (name, content) in [
        ("bomb.gz", bomb.as_slice()),
        ("bomb.tar.gz", &gzip(&tar(&[("a", &vec![b'a'; 40 << 20])]))),
        ("cut.tar.gz", &cut[..cut.len() / 2]),
        ("a.zip", b"PK\x03\x04 password=Hunter2xyz9Q"),
    ] {
        let from = dir.path().join(name);
        std::fs::write(&from, content).unwrap();
        let (code, stderr) = redact(&from, &to);
        assert_ne!(code, 0, "{name}: {stderr}");
        assert!(!to.exists(), "{name} left something behind");
        assert!(stderr.contains(name), "{stderr}");
    }
    // Inside of an archive a bomb costs its own member only.
    let from = dir.path().join("outer.tar");
    std::fs::write(&from, tar(&[("a.gz", &bomb), ("b.log", b"fine\n")])).unwrap();
    assert_eq!(redact(&from, &to).0, 3);
    let members = untar(&std::fs::read(&to).unwrap());
    assert!(has(&members[0].1, "left this file out"));
    assert_eq!(members[1], ("b.log".to_owned(), b"fine\n".to_vec()));
}

/// What is secret in the last file is searched in the first, whatever the archive is, and in its name.
#[test]
fn known_values_leave_archives_and_directories() {
    const KNOWN: &str = "Zq8vW3rT7yU1";
    let dir = tempfile::tempdir().unwrap();
    let first = format!("dialing with {KNOWN} now\n");
    let last = format!("password={KNOWN}\n");
    let name = format!("logs/{KNOWN}.log");
    let inner = tar(&[("inner.log", first.as_bytes())]);
    let files: [(&str, &[u8]); 4] =
        [("a.log", first.as_bytes()), (&name, first.as_bytes()), ("b.tar", &inner), ("z.env", last.as_bytes())];
    let packed = dir.path().join("in.tar.gz");
    std::fs::write(&packed, gzip(&tar(&files))).unwrap();
    let out = dir.path().join("out.tar.gz");
    let (code, stderr) = redact(&packed, &out);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("replaced"), "{stderr}");
    let plain = gunzip(&std::fs::read(&out).unwrap());
    assert!(!has(&plain, KNOWN), "{}", String::from_utf8_lossy(&plain));
    let members = untar(&plain);
    assert_eq!(members.len(), 4, "{members:?}");
    assert!(has(&members[0].1, "dialing with REDACTED-password-"), "{members:?}");

    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("logs")).unwrap();
    for (name, content) in files {
        if !name.ends_with(".tar") {
            std::fs::write(tree.join(name), content).unwrap();
        }
    }
    let clean = dir.path().join("clean");
    let (code, stderr) = redact(&tree, &clean);
    assert_eq!(code, 0, "{stderr}");
    let found = Command::new("grep").args(["-rqaF", KNOWN]).arg(&clean).status().unwrap();
    assert!(!found.success(), "it is still in the directory");
    let names = Command::new("find").arg(&clean).output().unwrap().stdout;
    assert!(!has(&names, KNOWN) && has(&names, "REDACTED-password-"), "{}", String::from_utf8_lossy(&names));

    // One file, whose end says what its beginning holds.
    let file = dir.path().join("one.log");
    std::fs::write(&file, [first.as_bytes(), last.as_bytes()].concat()).unwrap();
    let (code, stderr) = redact(&file, &dir.path().join("one.out"));
    assert_eq!(code, 0, "{stderr}");
    assert!(!has(&std::fs::read(dir.path().join("one.out")).unwrap(), KNOWN));
}
