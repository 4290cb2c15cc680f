//! Limits, crashes and full disks.

use std::io::Read;
use std::path::Path;

use super::*;
use crate::bundle::format::MEMBER;
use crate::bundle::{RecoverOptions, Store, Target, manifest, open, recover, verify};
use crate::model::{Kept, RunStatus, Truncation};
use crate::redact::{CorrelationKey, Format, Redactor};

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

/// Lines of a log, `size` bytes in all.
fn text(size: usize) -> Redacted<Vec<u8>> {
    let mut raw = String::new();
    let mut n = 0_u32;
    while raw.len() < size {
        raw.push_str(&format!("line {n} of the log took {} ms\n", n.wrapping_mul(2_654_435_761) % 1000));
        n += 1;
    }
    raw.truncate(size);
    let text = redactor().bytes("x.log", Format::Text, raw.as_bytes()).unwrap();
    assert_eq!(text.get().len(), size, "redaction must leave the test's lines alone");
    text
}

fn name(path: &str) -> Redacted<String> {
    redactor().text(path)
}

fn content(spool: &Spool, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    SpoolStore::new(spool).open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn assert_entry(entry: &FileEntry, content: &[u8]) {
    use sha2::Digest;
    assert_eq!(entry.size, content.len() as u64);
    assert_eq!(entry.sha256, trim::hex(&sha2::Sha256::digest(content)));
}

fn disk(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|item| item.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_is_written_can_be_read_at_every_size() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    for size in [0, 1, 511, 512, SHARED - 1, SHARED, SHARED + 1, MEMBER - 1, MEMBER, MEMBER + 1, 3 * MEMBER + 7] {
        let text = text(size);
        let mut writer = spool.artifact(&name(&format!("{size}.log")), None).unwrap();
        writer.write(&text).unwrap();
        let entry = writer.finish(None).unwrap();
        assert_eq!(&content(&spool, &entry.path), text.get(), "{size}");
        assert_entry(&entry, text.get());
    }
}

const SHARED: usize = crate::bundle::format::SHARED_MEMBER;

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let mut writer = spool.artifact(&name("a.log"), None).unwrap();
    writer.write(&text(10)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.dir()), 0o700);
    for item in std::fs::read_dir(spool.dir()).unwrap() {
        assert_eq!(mode(&item.unwrap().path()), 0o600);
    }
}

#[test]
fn the_newest_bytes_are_kept_and_the_disk_stays_bounded() {
    let temp = tempfile::tempdir().unwrap();
    let mib = MEMBER;
    for limit in [0, 1, 10, 100, 1000, SHARED, mib - 1, mib, mib + 1, 3 * mib] {
        for total in [0, 5, 99, 1000, mib, 2 * mib + mib / 2, 9 * mib] {
            let spool = Spool::create(temp.path()).unwrap();
            let text = text(total);
            let mut writer = spool.artifact(&name("pod.log"), Some(limit as u64)).unwrap();
            let chunk = text_part(&text, 0, total.min(mib));
            let mut most = 0;
            if total > 3 * mib {
                // The same block again and again, so that the test is quick.
                for _ in 0..9 {
                    writer.write(&chunk).unwrap();
                    most = most.max(disk(spool.dir()));
                }
            } else {
                writer.write(&text).unwrap();
            }
            let all = if total > 3 * mib { chunk.get().repeat(9) } else { text.get().clone() };
            let entry = writer.finish(None).unwrap();
            let got = content(&spool, "pod.log");
            assert_entry(&entry, &got);
            assert!(most < (2 * limit.max(mib) + 2 * mib) as u64, "limit {limit}: {most} bytes on disk");
            let what = format!("limit {limit}, total {total}");
            if total <= limit {
                assert_eq!((got == all, entry.truncation), (true, None), "{what}");
                continue;
            }
            let marker = got.iter().position(|b| *b == b'\n').unwrap() + 1;
            let rest = &got[marker..];
            let dropped = (all.len() - rest.len()) as u64;
            assert!(all.ends_with(rest) && rest.len() <= limit, "{what}");
            assert!(rest.len() + 60 > limit, "{what}: only {} bytes kept", rest.len());
            let whole_line = rest.is_empty() || all[all.len() - rest.len() - 1] == b'\n';
            assert!(whole_line || !rest.contains(&b'\n'), "{what}: cut inside of a line");
            let line = String::from_utf8_lossy(&got[..marker]).into_owned();
            assert!(
                line.starts_with(&format!("[casefile: the oldest {dropped} bytes were left out, limit ")),
                "{line}"
            );
            let want = Truncation { reason: "log-limit".to_owned(), dropped_bytes: Some(dropped), kept: Kept::Newest };
            assert_eq!(entry.truncation, Some(want), "{what}");
            spool.remove().unwrap();
        }
    }
}

/// A part of a redacted text, as redacted.
fn text_part(text: &Redacted<Vec<u8>>, from: usize, to: usize) -> Redacted<Vec<u8>> {
    redactor().bytes("x.log", Format::Text, &text.get()[from..to]).unwrap()
}

#[test]
fn a_restart_forgets_everything() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let mut writer = spool.artifact(&name("a.log"), Some(MEMBER as u64)).unwrap();
    for _ in 0..4 {
        writer.write(&text(MEMBER)).unwrap();
    }
    writer.restart().unwrap();
    writer.write(&text(7)).unwrap();
    let entry = writer.finish(None).unwrap();
    assert_eq!(&content(&spool, "a.log"), text(7).get());
    assert_eq!((entry.size, entry.truncation), (7, None));
}

/// Copies the directory: what a SIGKILL at this moment would leave.
fn crash(spool: &Spool, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(spool.dir()).unwrap() {
        let item = item.unwrap();
        std::fs::copy(item.path(), to.join(item.file_name())).unwrap();
    }
}

/// An audit that finds nothing.
struct Silent;

impl crate::bundle::LeakAudit for Silent {
    fn scan(&self, _: &str, _: &mut dyn Read) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// An audit that finds something in every file.
struct Alarmed;

impl crate::bundle::LeakAudit for Alarmed {
    fn scan(&self, _: &str, _: &mut dyn Read) -> std::io::Result<Vec<String>> {
        Ok(vec!["a token in line 1".to_owned()])
    }
}

fn alarmed<'a>(image: &Path, target: Option<Target<'a>>, redactor: &'a Redactor) -> crate::bundle::Recovered {
    recover(image, RecoverOptions { target, force: false, redactor, audit: &Alarmed }).unwrap()
}

fn recovered(dir: &Path) -> (Box<dyn Store>, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("out.tar.gz");
    let redactor = redactor();
    let target = Some(Target::File(file.clone()));
    recover(dir, RecoverOptions { target, force: false, redactor: &redactor, audit: &Silent }).unwrap();
    let report = verify(&file, None).unwrap();
    assert!(report.is_ok(), "{:?}", report.problems);
    (open(&file).unwrap(), out)
}

#[test]
fn a_killed_run_loses_nothing_that_was_written() {
    let temp = tempfile::tempdir().unwrap();
    for size in [0, 1, 1000, MEMBER - 1, MEMBER, MEMBER + 1, 2 * MEMBER, 2 * MEMBER + 5] {
        let spool = Spool::create(temp.path()).unwrap();
        let text = text(size);
        let mut writer = spool.artifact(&name("open.log"), None).unwrap();
        writer.write(&text).unwrap();
        let image = temp.path().join(format!("image{size}"));
        crash(&spool, &image);
        let (store, _dir) = recovered(&image);
        assert_eq!(&store.read("open.log", u64::MAX).unwrap(), text.get(), "{size}");
        let manifest = manifest(store.as_ref()).unwrap();
        assert_eq!(manifest.status, RunStatus::Recovered);
        let file = manifest.files.iter().find(|f| f.path == "open.log").unwrap();
        assert_eq!(file.truncation.as_ref().unwrap().reason, "interrupted");
    }
}

#[test]
fn a_block_that_is_in_its_member_and_in_the_tail_counts_once() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let text = text(MEMBER);
    let mut writer = spool.artifact(&name("a.log"), None).unwrap();
    writer.write(&text).unwrap();
    let image = temp.path().join("image");
    crash(&spool, &image);
    std::fs::write(image.join(artifact::tail_name(1)), text.get()).unwrap();
    assert_eq!(&recovered(&image).0.read("a.log", u64::MAX).unwrap(), text.get());
}

#[test]
fn a_member_that_was_cut_off_is_left_out_and_its_block_is_in_the_tail() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let text = text(2 * MEMBER);
    let mut writer = spool.artifact(&name("a.log"), None).unwrap();
    writer.write(&text).unwrap();
    let image = temp.path().join("image");
    crash(&spool, &image);
    let segment = image.join("000001.000000.gz");
    let len = std::fs::metadata(&segment).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(len - 100).unwrap();
    std::fs::write(image.join(artifact::tail_name(1)), &text.get()[MEMBER..]).unwrap();
    assert_eq!(&recovered(&image).0.read("a.log", u64::MAX).unwrap(), text.get());
}

#[test]
fn a_journal_that_ends_anywhere_gives_a_valid_archive() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let header = SpoolHeader {
        tool: crate::model::Tool::this(),
        profile: "kms".to_owned(),
        parameters: BTreeMap::new(),
        namespaces: vec!["kms".to_owned()],
        case: None,
        started: chrono::DateTime::from_timestamp(1_795_241_400, 0).unwrap(),
        top_dir: "kms-diagnostics-20261121_061000".to_owned(),
    };
    spool.header(&redactor().record(&header).unwrap()).unwrap();
    for (path, size) in [("a.log", 100), ("b.log", 0), ("c.log", 2 * SHARED)] {
        let mut writer = spool.artifact(&name(path), None).unwrap();
        writer.write(&text(size)).unwrap();
        writer.finish(None).unwrap();
        let entry = LedgerEntry {
            item: crate::model::ItemId::new(format!("logs/{path}")),
            collector: "logs".to_owned(),
            outcome: crate::model::Outcome::Ok,
            reason: None,
            started: Some(header.started),
            duration_ms: 5,
            attempts: 1,
            bytes: size as u64,
            artifacts: vec![path.to_owned()],
        };
        spool.record(&redactor().record(&entry).unwrap()).unwrap();
    }
    let journal = std::fs::read(spool.dir().join(JOURNAL)).unwrap();
    let mut items = Vec::new();
    for cut in (0..=journal.len()).rev().step_by(13) {
        let image = temp.path().join(format!("cut{cut}"));
        crash(&spool, &image);
        std::fs::write(image.join(JOURNAL), &journal[..cut]).unwrap();
        let (store, _dir) = recovered(&image);
        let manifest = manifest(store.as_ref()).unwrap();
        items.push(manifest.ledger.len());
        for path in ["a.log", "b.log", "c.log"] {
            if store.contains(path) {
                let size = BTreeMap::from([("a.log", 100), ("b.log", 0), ("c.log", 2 * SHARED)])[path];
                let got = store.read(path, u64::MAX).unwrap();
                assert!(text(size).get().starts_with(&got), "{path} at {cut}");
            }
        }
        if cut == journal.len() {
            assert_eq!((manifest.profile.as_str(), manifest.files.len()), ("kms", 4));
            assert_eq!(store.read("c.log", u64::MAX).unwrap().len(), 2 * SHARED);
        }
        std::fs::remove_dir_all(image).unwrap();
    }
    assert_eq!((items.first(), items.last()), (Some(&3), Some(&0)));
    assert!(items.is_sorted_by(|a, b| a >= b), "{items:?}");
}

#[test]
fn a_finished_file_that_the_disk_lost_or_changed_is_salvaged() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let text = text(3 * MEMBER);
    for path in ["a.log", "b.log", "c.log"] {
        let mut writer = spool.artifact(&name(path), None).unwrap();
        writer.write(&text).unwrap();
        writer.finish(None).unwrap();
    }
    let image = temp.path().join("image");
    crash(&spool, &image);
    let segment = image.join("000001.000000.gz");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 1000].fill(0);
    std::fs::write(&segment, bytes).unwrap();
    std::fs::remove_file(image.join("000002.000000.gz")).unwrap();
    let (store, _dir) = recovered(&image);
    let kept = store.read("a.log", u64::MAX).unwrap();
    assert_eq!(kept, [&text.get()[..MEMBER], &text.get()[2 * MEMBER..]].concat());
    assert_eq!(store.read("b.log", u64::MAX).unwrap(), b"");
    assert_eq!(&store.read("c.log", u64::MAX).unwrap(), text.get());
    let problems = manifest(store.as_ref()).unwrap().notes["recovered-problems"].to_string();
    assert!(problems.contains("a.log is damaged") && !problems.contains("c.log"), "{problems}");
}

#[test]
fn a_limit_still_holds_after_a_crash() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let mut writer = spool.artifact(&name("a.log"), Some(MEMBER as u64)).unwrap();
    let block = text(MEMBER);
    for _ in 0..6 {
        writer.write(&block).unwrap();
    }
    let image = temp.path().join("image");
    crash(&spool, &image);
    let got = recovered(&image).0.read("a.log", u64::MAX).unwrap();
    let marker = got.iter().position(|b| *b == b'\n').unwrap() + 1;
    let dropped = 6 * MEMBER - (got.len() - marker);
    assert!(String::from_utf8_lossy(&got[..marker]).contains(&format!(" {dropped} bytes ")));
    assert!(got.len() - marker <= MEMBER && block.get().ends_with(&got[got.len() - 1000..]));
}

#[test]
fn a_live_run_is_not_recovered() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let error = Spool::reopen(spool.dir()).err().unwrap().to_string();
    assert!(error.contains("still writes"), "{error}");
    let error = Spool::reopen(temp.path()).err().unwrap().to_string();
    assert!(error.contains("no journal.jsonl"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_and_what_fitted_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let all = text(2 * MEMBER + 5000);
    for budget in [0, 10, 200, 5000, MEMBER as u64, MEMBER as u64 + 5000, 2 * MEMBER as u64 + 40_000] {
        let spool = Spool::create(temp.path()).unwrap();
        let mut before = spool.artifact(&name("before.log"), None).unwrap();
        before.write(&text(300)).unwrap();
        before.finish(None).unwrap();
        let mut writer = spool.artifact(&name("a.log"), None).unwrap();
        spool.fail_after(budget);
        let mut failed = false;
        for from in (0..all.get().len()).step_by(100_000) {
            let chunk = text_part(&all, from, (from + 100_000).min(all.get().len()));
            failed |= writer.write(&chunk).is_err();
        }
        assert!(failed, "{budget}");
        assert!(writer.finish(None).is_err() || budget > 5000, "{budget}: the journal cannot have been written");
        assert!(spool.artifact(&name("b.log"), None).is_err() || budget > 5000);
        let entry = spool.files().into_iter().find(|f| f.path == "a.log").unwrap();
        assert_eq!(entry.truncation.as_ref().unwrap().reason, "spool-failed");
        let got = content(&spool, "a.log");
        assert!(all.get().starts_with(&got), "{budget}");
        assert_entry(&entry, &got);
        assert_eq!(&content(&spool, "before.log"), text(300).get());

        let image = temp.path().join(format!("image{budget}"));
        crash(&spool, &image);
        let (store, _dir) = recovered(&image);
        assert_eq!(store.read("a.log", u64::MAX).unwrap(), got, "{budget}");
    }
}

#[test]
fn the_largest_logs_give_room_and_json_stays_whole() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    for (path, size) in [("big.log", 6 * MEMBER), ("mid.log", 3 * MEMBER), ("small.log", 2000), ("data.json", MEMBER)] {
        let mut writer = spool.artifact(&name(path), None).unwrap();
        writer.write(&text(size)).unwrap();
        writer.finish(None).unwrap();
    }
    let stored = |path: &str| -> u64 {
        let stored = spool.stored();
        stored.iter().find(|s| s.entry.path == path).unwrap().pieces.iter().map(|p| p.stored).sum()
    };
    let json = stored("data.json");
    let (big, mid) = (stored("big.log"), stored("mid.log"));
    assert_eq!(spool.fit(u64::MAX).unwrap().iter().filter(|f| f.truncation.is_some()).count(), 0);
    let max = (256 << 10) + json + mid + 10_000;
    let before: BTreeMap<String, Vec<u8>> =
        spool.files().into_iter().map(|f| (f.path.clone(), content(&spool, &f.path))).collect();
    let files = spool.fit(max).unwrap();
    let cut: Vec<&str> = files.iter().filter(|f| f.truncation.is_some()).map(|f| f.path.as_str()).collect();
    assert_eq!(cut, ["big.log", "mid.log"]);
    assert!(stored("big.log") < big / 2 && stored("mid.log") < mid);
    let (b, m) = (stored("big.log"), stored("mid.log"));
    assert!(b.abs_diff(m) < b / 10, "not the same share: {b} and {m}");
    for file in &files {
        let got = content(&spool, &file.path);
        assert_entry(file, &got);
        if let Some(truncation) = &file.truncation {
            let marker = got.iter().position(|c| *c == b'\n').unwrap() + 1;
            assert!(got.starts_with(b"[casefile: the oldest ") && before[&file.path].ends_with(&got[marker..]));
            assert_eq!(truncation.dropped_bytes, Some((before[&file.path].len() - (got.len() - marker)) as u64));
            assert_eq!(truncation.reason, "max-size");
        } else {
            assert_eq!(got, before[&file.path]);
        }
    }
}

#[test]
fn a_rewritten_artifact_is_packed_and_recovered_with_its_new_content() {
    let parent = tempfile::tempdir().unwrap();
    for size in [100, SMALL_AND_LARGE] {
        let spool = Spool::create(parent.path()).unwrap();
        let mut writer = spool.artifact(&name("a.log"), None).unwrap();
        writer.write(&text(size)).unwrap();
        let cut = Truncation { reason: "connection-lost".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        let before = writer.finish(Some(cut.clone())).unwrap();
        let new = text(size / 2);
        let entry = spool
            .rewrite("a.log", &mut |old, write| {
                assert_eq!(io::copy(old, &mut io::sink())?, size as u64);
                write(&new)
            })
            .unwrap();
        assert_ne!(entry.sha256, before.sha256);
        assert_eq!(entry.truncation, Some(cut));
        assert_entry(&entry, new.get());
        assert_eq!(content(&spool, "a.log"), *new.get());
        // A failure keeps what was there.
        let failed = spool.rewrite("a.log", &mut |_, write| write(&text(10)).and(Err(io::ErrorKind::Other.into())));
        assert!(failed.is_err() && spool.rewrite("b.log", &mut |_, _| Ok(())).is_err());
        assert_eq!(content(&spool, "a.log"), *new.get());
        let dir = spool.dir().to_path_buf();
        drop(spool);
        let leftover = Spool::reopen(&dir).unwrap();
        assert_eq!(leftover.problems, Vec::<String>::new());
        assert_eq!(content(&leftover.spool, "a.log"), *new.get());
    }
}

/// More than two members.
const SMALL_AND_LARGE: usize = 5 * MEMBER / 2;

#[test]
fn a_recovered_bundle_that_leaks_goes_to_a_file_that_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    spool.artifact(&name("a.log"), None).unwrap().finish(None).unwrap();
    let image = temp.path().join("image");
    crash(&spool, &image);
    let redactor = redactor();
    let mut stream = Vec::new();
    let streamed = alarmed(&image, Some(Target::Writer(&mut stream)), &redactor);
    assert!(stream.is_empty());
    let beside = alarmed(&image, None, &redactor);
    assert_eq!(streamed.packed.path, beside.packed.path);
    let named = temp.path().join("a.tar.gz");
    let file = alarmed(&image, Some(Target::File(named.clone())), &redactor);
    assert!(!named.exists());
    for made in [beside, file] {
        let path = made.packed.path.unwrap();
        assert!(path.exists() && path.extension().is_some_and(|e| e == "quarantine"), "{}", path.display());
        assert_eq!(made.leaks.len(), 3, "the artifact, the summary and the manifest");
    }
}

#[test]
fn what_a_recovered_file_shows_to_be_secret_leaves_what_the_run_said_of_itself() {
    const SECRET: &str = "Zx81mossLantern77";
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    // As a program with fewer rules would have left it.
    let weak = Redactor::builder(CorrelationKey::from_bytes([7; 32])).without_rule("key-password").build().unwrap();
    let header = SpoolHeader {
        tool: crate::model::Tool::this(),
        profile: "generic".to_owned(),
        parameters: BTreeMap::from([("release".to_owned(), SECRET.to_owned())]),
        namespaces: vec![format!("ns-{SECRET}")],
        case: Some(SECRET.to_owned()),
        started: chrono::Utc::now(),
        top_dir: format!("casefile-{SECRET}"),
    };
    spool.header(&weak.record(&header).unwrap()).unwrap();
    for (path, text) in [
        ("settings.env".to_owned(), format!("DB_PASSWORD={SECRET}\n")),
        (format!("logs/{SECRET}.log"), format!("opened with {SECRET}\n")),
    ] {
        let mut writer = spool.artifact(&weak.text(&path), None).unwrap();
        writer.write(&weak.bytes(&path, Format::Env, text.as_bytes()).unwrap()).unwrap();
        writer.finish(None).unwrap();
    }
    let image = temp.path().join("image");
    crash(&spool, &image);
    let redactor = redactor();
    let made = recover(&image, RecoverOptions { target: None, force: false, redactor: &redactor, audit: &Silent });
    let path = made.unwrap().packed.path.unwrap();
    assert!(!path.to_string_lossy().contains(SECRET), "{}", path.display());
    let kept = std::fs::read_dir(&image).unwrap().any(|e| e.unwrap().path().is_file());
    assert!(kept, "the spool stays");
    let store = open(&path).unwrap();
    assert!(store.entries().len() >= 4);
    for entry in store.entries() {
        let text = String::from_utf8(store.read(&entry.path, u64::MAX).unwrap()).unwrap();
        assert!(!entry.path.contains(SECRET) && !text.contains(SECRET), "{}: {text}", entry.path);
    }
    let unpacked = std::fs::File::open(&path).unwrap();
    for entry in tar::Archive::new(flate2::read::MultiGzDecoder::new(unpacked)).entries().unwrap() {
        assert!(!String::from_utf8_lossy(&entry.unwrap().path_bytes()).contains(SECRET));
    }
}
