//! Bundles: what is packed can be unpacked by any tool, read at random, verified and recovered; hostile archives do no harm.

mod commands;
mod hostile;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use casefile::bundle::{
    ArchiveStore, DirStore, Limits, PackOptions, Source, Spool, SpoolStore, Store, Target, file_entry, format, open,
    pack, verify,
};
use casefile::model::{Manifest, RunStatus, SCHEMA_VERSION, Tool};
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use proptest::prelude::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const TOP: &str = "kms-diagnostics-20261121_061000";

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

fn redacted(bytes: &[u8]) -> Redacted<Vec<u8>> {
    redactor().bytes("x.log", Format::Text, bytes).unwrap()
}

/// Lines of a log, `size` bytes in all.
fn text(size: usize) -> Vec<u8> {
    let mut raw = String::new();
    let mut n = 0_u32;
    while raw.len() < size {
        raw.push_str(&format!("line {n} of the log took {} ms\n", n.wrapping_mul(2_654_435_761) % 100_000));
        n += 1;
    }
    raw.truncate(size);
    raw.into_bytes()
}

/// A run with some artifacts, packed.
struct Bundle {
    temp: tempfile::TempDir,
    archive: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    fn of(files: &[(&str, Vec<u8>)]) -> Self {
        Self::with(files, |_| {})
    }

    /// With a change to the manifest before it is packed.
    fn with(files: &[(&str, Vec<u8>)], change: impl FnOnce(&mut Manifest)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let spool = Spool::create(temp.path()).unwrap();
        let mut content = BTreeMap::new();
        for (path, bytes) in files {
            let bytes = redacted(bytes);
            let mut writer = spool.artifact(&redactor().text(path), None).unwrap();
            writer.write(&bytes).unwrap();
            let entry = writer.finish(None).unwrap();
            content.insert(entry.path, bytes.into_inner());
        }
        let archive = temp.path().join("out.tar.gz");
        let first = first(&spool, change);
        content.extend(first.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.get().clone())));
        let packed = pack(&spool, options(Target::File(archive.clone()), first)).unwrap();
        assert_eq!(packed.bytes, fs::metadata(&archive).unwrap().len());
        assert_eq!(packed.files, content.len());
        spool.remove().unwrap();
        Self { temp, archive, files: content }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.archive).unwrap()
    }
}

fn options<'a>(target: Target<'a>, first: Vec<(&'static str, Redacted<Vec<u8>>)>) -> PackOptions<'a> {
    let mtime = chrono::DateTime::from_timestamp(1_795_241_400, 0).unwrap();
    PackOptions { top_dir: redactor().text(TOP), target, first, mtime, force: false }
}

/// Summary and manifest for what is in the spool.
fn first(spool: &Spool, change: impl FnOnce(&mut Manifest)) -> Vec<(&'static str, Redacted<Vec<u8>>)> {
    let started = chrono::DateTime::from_timestamp(1_795_241_400, 0).unwrap();
    let summary = redacted(b"# Summary\n");
    let mut files = spool.files();
    files.push(file_entry(format::SUMMARY, &summary));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        status: RunStatus::Finished,
        profile: "kms".to_owned(),
        parameters: BTreeMap::new(),
        namespaces: Vec::new(),
        case: None,
        started,
        finished: started,
        clocks: Vec::new(),
        notes: BTreeMap::new(),
        ledger: Vec::new(),
        files,
    };
    change(&mut manifest);
    vec![(format::SUMMARY, summary), (format::MANIFEST, redacted(&serde_json::to_vec(&manifest).unwrap()))]
}

fn read(store: &dyn Store, path: &str) -> Vec<u8> {
    store.read(path, u64::MAX).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn assert_holds(store: &dyn Store, files: &BTreeMap<String, Vec<u8>>) {
    let paths: Vec<&str> = store.entries().iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, files.keys().map(String::as_str).collect::<Vec<_>>());
    for (path, content) in files {
        assert!(read(store, path) == *content, "{path} differs");
    }
}

fn edge_sizes() -> Vec<(String, Vec<u8>)> {
    [0, 1, 511, 512, 513, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB - 1, MIB, MIB + 1, 3 * MIB]
        .into_iter()
        .map(|size| (format!("cluster-resources/pods/logs/ns/pod/c{size}.log"), text(size)))
        .collect()
}

fn run(program: &mut Command) -> Output {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn tar_unpacks_what_was_packed() {
    let mut files = edge_sizes();
    files.push((format!("{}/{}.log", "long-".repeat(30), "name".repeat(30)), text(700)));
    files.push(("config/größe-名前.yaml".to_owned(), b"a: 1\n".to_vec()));
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect();
    let bundle = Bundle::of(&files);
    run(Command::new("gzip").arg("-t").arg(&bundle.archive));
    let list = run(Command::new("tar").arg("tzf").arg(&bundle.archive));
    let list = String::from_utf8(list.stdout).unwrap();
    let names: Vec<&str> = list.lines().collect();
    assert_eq!(names[0], format!("{TOP}/{}", format::SUMMARY));
    assert_eq!(names[1], format!("{TOP}/{}", format::MANIFEST));
    assert_eq!(names.last().unwrap(), &format!("{TOP}/{}", format::INDEX));
    assert_eq!(names.len(), bundle.files.len() + 1);
    let out = bundle.temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let unpacked = run(Command::new("tar").arg("xzf").arg(&bundle.archive).arg("-C").arg(&out));
    assert!(unpacked.stderr.is_empty(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    // The directory that holds the top directory is as good as the top directory.
    assert_holds(&DirStore::open(&out).unwrap(), &bundle.files);
    assert_holds(&DirStore::open(&out.join(TOP)).unwrap(), &bundle.files);
    assert!(verify(&out, None).unwrap().is_ok());
}

#[test]
fn the_archive_and_the_spool_hold_what_was_written() {
    let files = edge_sizes();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect();
    let bundle = Bundle::of(&files);
    let store = ArchiveStore::open(&bundle.archive).unwrap();
    assert!(store.has_index());
    assert_holds(&store, &bundle.files);
    assert_eq!(store.check_index(), Vec::<String>::new());
    assert_eq!(store.problems(), Vec::<String>::new());
    let report = verify(&bundle.archive, None).unwrap();
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!(report.files, bundle.files.len());

    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    for (path, bytes) in &files {
        let mut writer = spool.artifact(&redactor().text(path), None).unwrap();
        writer.write(&redacted(bytes)).unwrap();
        drop(writer);
    }
    let held = files.iter().map(|(p, b)| ((*p).to_owned(), b.clone())).collect();
    assert_holds(&SpoolStore::new(&spool), &held);
    assert!(spool.files().iter().all(|f| f.truncation.as_ref().unwrap().reason == "interrupted"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let files = edge_sizes();
    let mut files: Vec<(&str, Vec<u8>)> = files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect();
    let one = Bundle::of(&files).bytes();
    files.reverse();
    assert!(one == Bundle::of(&files).bytes());
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    for (path, bytes) in &files {
        let mut writer = spool.artifact(&redactor().text(path), None).unwrap();
        for chunk in bytes.chunks(77_777) {
            writer.write(&redacted(chunk)).unwrap();
        }
        writer.finish(None).unwrap();
    }
    let mut streamed = Vec::new();
    let first = first(&spool, |_| {});
    pack(&spool, options(Target::Writer(&mut streamed), first)).unwrap();
    assert!(one == streamed, "the bytes depend on how the artifacts were written, or on the target");
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let target = temp.path().join("out.tar.gz");
    fs::write(&target, "mine").unwrap();
    let error = pack(&spool, options(Target::File(target.clone()), Vec::new())).unwrap_err().to_string();
    assert!(error.contains("--force") && fs::read(&target).unwrap() == b"mine", "{error}");
    let mut forced = options(Target::File(target.clone()), first(&spool, |_| {}));
    forced.force = true;
    pack(&spool, forced).unwrap();
    assert!(verify(&target, None).unwrap().is_ok());
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&target).unwrap().permissions()) & 0o777, 0o600);
}

/// A target that takes some bytes and is full then.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = self.0.min(buf.len());
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failure_to_pack_leaves_no_half_archive_and_the_spool_is_still_good() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let mut writer = spool.artifact(&redactor().text("a.log"), None).unwrap();
    writer.write(&redacted(&text(3 * MIB))).unwrap();
    writer.finish(None).unwrap();
    for room in [0, 100, 400_000] {
        let error = pack(&spool, options(Target::Writer(&mut Full(room)), Vec::new())).unwrap_err().to_string();
        assert!(error.contains("casefile recover"), "{error}");
    }
    let missing = temp.path().join("no-such-directory").join("out.tar.gz");
    assert!(pack(&spool, options(Target::File(missing), Vec::new())).is_err());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "only the spool is there");
    let target = temp.path().join("out.tar.gz");
    pack(&spool, options(Target::File(target.clone()), first(&spool, |_| {}))).unwrap();
    assert!(verify(&target, None).unwrap().is_ok());
}

struct Counting {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl Source for Counting {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.bytes.read_at(buf, offset)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[test]
fn one_file_of_a_large_bundle_costs_one_file() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    let block = redacted(&text(MIB));
    for n in 0..10 {
        let mut writer = spool.artifact(&redactor().text(&format!("logs/{n}.log")), None).unwrap();
        for _ in 0..5 {
            writer.write(&block).unwrap();
        }
        writer.finish(None).unwrap();
        let mut small = spool.artifact(&redactor().text(&format!("logs/{n}.txt")), None).unwrap();
        small.write(&redacted(&text(1000))).unwrap();
        small.finish(None).unwrap();
    }
    let mut bytes = Vec::new();
    let first = first(&spool, |_| {});
    pack(&spool, options(Target::Writer(&mut bytes), first)).unwrap();
    let whole = bytes.len() as u64;
    let source = Arc::new(Counting { bytes, read: AtomicU64::new(0) });
    let store = ArchiveStore::from_source(source.clone(), "x", Limits::default()).unwrap();
    assert_eq!(read(&store, "logs/7.txt"), text(1000));
    assert_eq!(read(&store, format::SUMMARY), b"# Summary\n");
    let few = source.read.load(Ordering::Relaxed);
    assert!(few < 150_000 && whole > 5_000_000, "{few} of {whole} bytes were read");
    assert_eq!(read(&store, "logs/3.log").len(), 5 * MIB);
    let some = source.read.load(Ordering::Relaxed) - few;
    assert!(some < whole / 8, "{some} of {whole} bytes were read");
}

#[test]
fn verify_sees_every_contradiction() {
    let files = [("a.log", text(100)), ("b.log", text(200))];
    type Change = fn(&mut Manifest);
    let cases: [(&str, Change); 6] = [
        ("SHA-256", |m| m.files[1].sha256 = "0".repeat(64)),
        ("the manifest says 7", |m| m.files[1].size = 7),
        ("does not name it", |m| drop(m.files.remove(1))),
        ("is missing", |m| {
            let mut ghost = m.files[1].clone();
            ghost.path = "ghost.log".to_owned();
            m.files.push(ghost);
        }),
        ("more than one entry", |m| m.ledger = vec![ledger("logs/a", &["a.log"]), ledger("logs/a", &[])]),
        ("wrote it, but it is missing", |m| m.ledger = vec![ledger("logs/a", &["lost.log"])]),
    ];
    for (want, change) in cases {
        let bundle = Bundle::with(&files, change);
        let report = verify(&bundle.archive, None).unwrap();
        let texts: Vec<&str> = report.problems.iter().map(|p| p.text.as_str()).collect();
        assert!(texts.len() == 1 && texts[0].contains(want), "{want}: {texts:?}");
    }
    let bundle = Bundle::with(&files, |m| m.ledger = vec![ledger("logs/a", &["a.log"])]);
    assert!(verify(&bundle.archive, None).unwrap().is_ok());
}

#[test]
fn a_changed_end_of_a_file_is_found_by_reading_that_file_alone() {
    let bundle = Bundle::of(&[("a.log", text(MIB + 1000))]);
    let mut bytes = bundle.bytes();
    let store = ArchiveStore::from_source(Arc::new(bytes.clone()), "x", Limits::default()).unwrap();
    assert_eq!(read(&store, "a.log").len(), MIB + 1000);
    let json: format::Index = serde_json::from_slice(&index_of(&bundle)).unwrap();
    // The checksum of the member that holds the last 1000 bytes: 8 bytes before the padding's member.
    let last = *json.entries.iter().find(|e| e.path == "a.log").unwrap().data.last().unwrap() as usize;
    let padding = last + 10 + bytes[last + 10..].windows(4).position(|w| w == [0x1f, 0x8b, 8, 0]).unwrap();
    bytes[padding - 8] ^= 1;
    let store = ArchiveStore::from_source(Arc::new(bytes), "x", Limits::default()).unwrap();
    let error = store.read("a.log", u64::MAX).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

/// The index as any tool can get it.
fn index_of(bundle: &Bundle) -> Vec<u8> {
    let name = format!("{TOP}/{}", format::INDEX);
    run(Command::new("tar").arg("xzOf").arg(&bundle.archive).arg(name)).stdout
}

fn ledger(item: &str, artifacts: &[&str]) -> casefile::model::LedgerEntry {
    casefile::model::LedgerEntry {
        item: casefile::model::ItemId::new(item),
        collector: "logs".to_owned(),
        outcome: casefile::model::Outcome::Ok,
        reason: None,
        started: None,
        duration_ms: 1,
        attempts: 1,
        bytes: 1,
        artifacts: artifacts.iter().map(|a| (*a).to_owned()).collect(),
    }
}

#[test]
fn a_changed_byte_is_found() {
    let bundle = Bundle::of(&[("a.log", text(MIB)), ("b.log", text(300))]);
    let bytes = bundle.bytes();
    let file = bundle.temp.path().join("changed.tar.gz");
    for at in (0..bytes.len() - 1100).step_by(bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&file, changed).unwrap();
        // Some bytes of a gzip header mean nothing; all others must be noticed.
        let header = at < 10;
        assert!(header || !verify(&file, None).is_ok_and(|r| r.is_ok()), "byte {at} of {}", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_set_of_files_comes_back(files in proptest::collection::vec(("[a-zA-Zé/.:~ ]{0,40}", 0_usize..600_000), 0..12)) {
        let temp = tempfile::tempdir().unwrap();
        let spool = Spool::create(temp.path()).unwrap();
        let mut held = BTreeMap::new();
        for (path, size) in files {
            let content = redacted(&text(size));
            let mut writer = spool.artifact(&redactor().text(&path), None).unwrap();
            writer.write(&content).unwrap();
            let entry = writer.finish(None).unwrap();
            prop_assert!(held.insert(entry.path, content.into_inner()).is_none(), "a path was given twice");
        }
        let lower: std::collections::BTreeSet<String> = held.keys().map(|p| p.to_lowercase()).collect();
        prop_assert_eq!(lower.len(), held.len());
        let first = first(&spool, |_| {});
        held.extend(first.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.get().clone())));
        let target = temp.path().join("x.tar.gz");
        pack(&spool, options(Target::File(target.clone()), first)).unwrap();
        assert_holds(open(&target).unwrap().as_ref(), &held);
        prop_assert!(verify(&target, None).unwrap().is_ok());
    }
}

#[test]
fn the_archive_fits_into_its_maximum_size() {
    let temp = tempfile::tempdir().unwrap();
    let spool = Spool::create(temp.path()).unwrap();
    for (path, size) in [("a.log", 8 * MIB), ("b.log", 5 * MIB), ("c.log", 200 * KIB), ("d.log", 5000)] {
        let mut writer = spool.artifact(&redactor().text(path), None).unwrap();
        writer.write(&redacted(&text(size))).unwrap();
        writer.finish(None).unwrap();
    }
    let max = MIB as u64;
    let files = spool.fit(max).unwrap();
    let kept: Vec<&str> = files.iter().filter(|f| f.truncation.is_none()).map(|f| f.path.as_str()).collect();
    assert_eq!(kept, ["c.log", "d.log"]);
    let target = temp.path().join("x.tar.gz");
    let packed = pack(&spool, options(Target::File(target.clone()), first(&spool, |_| {}))).unwrap();
    assert!(packed.bytes <= max && packed.bytes > max / 2, "{} bytes of {max}", packed.bytes);
    let report = verify(&target, None).unwrap();
    assert!(report.is_ok(), "{:?}", report.problems);
}
