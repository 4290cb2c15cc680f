//! `casefile redact` on zip archives, those of an enemy included.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

const SECRET: &str = "Hunter2xyz9Q";

/// A member as it is written, true or not.
struct Member {
    name: &'static str,
    local_name: &'static str,
    method: u16,
    flags: u16,
    mode: u32,
    data: Vec<u8>,
    size: u32,
    crc: u32,
    /// Where the directory says it is, instead of where it is.
    offset: Option<u32>,
}

impl Member {
    fn stored(name: &'static str, content: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let size = u32::try_from(content.len()).unwrap();
        let (data, crc) = (content.to_vec(), crc.sum());
        Self { name, local_name: name, method: 0, flags: 0, mode: 0o100_644, data, size, crc, offset: None }
    }

    fn packed(name: &'static str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        Self { method: 8, data: encoder.finish().unwrap(), ..Self::stored(name, content) }
    }
}

fn zip(members: &[Member]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let start = u32::try_from(out.len()).unwrap();
        let head = |name: &str| {
            let mut head = Vec::new();
            for field in [20, member.flags, member.method, 0x6000, 0x5b75] {
                head.extend(field.to_le_bytes());
            }
            for field in [member.crc, u32::try_from(member.data.len()).unwrap(), member.size] {
                head.extend(field.to_le_bytes());
            }
            head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            head.extend([0, 0]);
            head
        };
        out.extend(b"PK\x03\x04");
        out.extend(head(member.local_name));
        out.extend(member.local_name.bytes());
        out.extend(&member.data);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(head(member.name));
        directory.extend([0; 6]);
        directory.extend((member.mode << 16).to_le_bytes());
        directory.extend(member.offset.unwrap_or(start).to_le_bytes());
        directory.extend(member.name.bytes());
    }
    let start = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(members.len()).unwrap();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Reads what the program wrote, headers in their order.
fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number =
        |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b));
    let (mut at, mut out) = (0, Vec::new());
    while bytes[at..].starts_with(b"PK\x03\x04") {
        let (packed, size, name) = (number(at + 18, 4), number(at + 22, 4), number(at + 26, 2));
        let data = at + 30 + name;
        let raw = &bytes[data..data + packed];
        let mut content = Vec::new();
        if number(at + 8, 2) == 8 {
            DeflateDecoder::new(raw).read_to_end(&mut content).unwrap();
        }
        let mut crc = Crc::new();
        crc.update(&content);
        assert_eq!((content.len(), crc.sum() as usize), (size, number(at + 14, 4)));
        out.push((String::from_utf8(bytes[at + 30..data].to_vec()).unwrap(), content));
        at = data + packed;
    }
    assert!(bytes[at..].starts_with(b"PK\x01\x02"));
    out
}

fn redact(input: &[u8], dir: &Path) -> (i32, String, Option<Vec<u8>>) {
    let (from, to) = (dir.join("in.zip"), dir.join("out.zip"));
    std::fs::write(&from, input).unwrap();
    let _ = std::fs::remove_file(&to);
    let run = Command::new(env!("CARGO_BIN_EXE_casefile")).args(["redact", "-o"]).arg(&to).arg(&from).output().unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    (run.status.code().unwrap_or(-1), stderr, std::fs::read(&to).ok())
}

fn has(hay: &[u8], needle: &str) -> bool {
    memchr::memmem::find(hay, needle.as_bytes()).is_some()
}

#[test]
fn a_zip_keeps_its_shape_and_loses_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("level=info password={SECRET}\n");
    let inner = zip(&[Member::packed("deep.log", line.as_bytes())]);
    let input = zip(&[
        Member::packed("a.log", line.as_bytes()),
        Member { mode: 0o040_755, ..Member::stored("dir/", b"") },
        Member::stored("dir/b.json", format!(r#"{{"password":"{SECRET}"}}"#).as_bytes()),
        Member::stored("inner.zip", &inner),
        Member::stored("token=ghp_0123456789abcdefghijABCDEFGHIJ012345.txt", b"plain"),
    ]);
    let (code, stderr, out) = redact(&input, dir.path());
    assert_eq!(code, 0, "{stderr}");
    let members = unzip(&out.unwrap());
    let names: Vec<&str> = members.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(&names[..4], ["a.log", "dir/", "dir/b.json", "inner.zip"]);
    assert!(names[4].contains("REDACTED-") && !names[4].contains("ghp_"), "{names:?}");
    assert!(has(&members[0].1, "level=info password=REDACTED-password-"));
    assert!(has(&members[2].1, r#"{"password":"REDACTED-password-"#));
    let deep = unzip(&members[3].1);
    assert!(has(&deep[0].1, "password=REDACTED-password-") && !has(&deep[0].1, SECRET));
    // What came out is read again, and nothing changes any more.
    let first = std::fs::read(dir.path().join("out.zip")).unwrap();
    let (code, stderr, second) = redact(&first, dir.path());
    assert_eq!((code, second.as_deref()), (0, Some(first.as_slice())), "{stderr}");
}

#[test]
fn members_that_cannot_be_trusted_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("password={SECRET}\n");
    let packed = |name| Member::packed(name, line.as_bytes());
    let input = zip(&[
        packed("fine.log"),
        Member { flags: 1, ..packed("encrypted.log") },
        Member { method: 12, ..packed("bzip2.log") },
        Member { size: 5, ..packed("longer.log") },
        Member { size: 500, ..packed("shorter.log") },
        Member { crc: 7, ..packed("checksum.log") },
        Member { data: b"\xff\xff\xff".to_vec(), ..packed("broken.log") },
        Member::packed("bomb.log", &vec![b'a'; 40 << 20]),
        packed("../outside"),
        packed("/absolute"),
        packed("a\\b"),
        packed("fine.log"),
        Member { mode: 0o120_777, ..Member::stored("link", b"/etc/passwd") },
    ]);
    let (code, stderr, out) = redact(&input, dir.path());
    assert_eq!(code, 3, "{stderr}");
    let members = unzip(&out.unwrap());
    let names: Vec<&str> = members.iter().map(|(n, _)| n.as_str()).collect();
    let kept = [
        "fine.log",
        "encrypted.log",
        "bzip2.log",
        "longer.log",
        "shorter.log",
        "checksum.log",
        "broken.log",
        "bomb.log",
    ];
    assert_eq!(names, kept);
    assert!(has(&members[0].1, "REDACTED-password-"));
    for (member, reason) in members[1..].iter().zip([
        "it is encrypted; unpack it with its password",
        "method 12, which is not read",
        "its size is not what",
        "its size is not what",
        "its checksum is not what",
        "",
        "more than 200 times",
    ]) {
        let text = String::from_utf8_lossy(&member.1);
        assert!(text.starts_with("[casefile left this file out") && text.contains(reason), "{}: {text}", member.0);
    }
    assert!(!members.iter().any(|(_, content)| has(content, SECRET)));
}

#[test]
fn archives_that_cannot_be_trusted_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("password={SECRET}\n");
    let two = || [Member::packed("a.log", line.as_bytes()), Member::packed("b.log", line.as_bytes())];
    let good = zip(&two());
    let [a, b] = two();
    let overlapping = zip(&[a, Member { offset: Some(0), local_name: "a.log", name: "a.log", ..b }]);
    let [a, b] = two();
    let beyond = zip(&[a, Member { offset: Some(1 << 30), ..b }]);
    let [a, b] = two();
    let renamed = zip(&[a, Member { local_name: "c.log", ..b }]);
    let mut zip64 = good.clone();
    let end = zip64.len();
    zip64[end - 6..end - 2].fill(0xff);
    let mut many = good.clone();
    many[end - 14..end - 10].copy_from_slice(&[9, 0, 9, 0]);
    for (name, input, reason) in [
        ("overlapping", overlapping, "share their bytes"),
        ("beyond", beyond, "ends too early"),
        ("renamed", renamed, "two names"),
        ("zip64", zip64, "zip64"),
        ("many", many, "table of contents is broken"),
        ("cut", good[..good.len() / 2].to_vec(), "table of contents is missing"),
    ] {
        let (code, stderr, out) = redact(&input, dir.path());
        assert_eq!((code, out), (1, None), "{name}: {stderr}");
        assert!(stderr.contains(reason) && stderr.contains("in.zip") && !stderr.contains(SECRET), "{name}: {stderr}");
    }
}
