//! Bundles: what is packed can be unpacked by any tool, read at random, verified and recovered; hostile archives do no harm.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use casefile::bundle::{
    ArchiveStore, DirStore, Limits, PackOptions, Source, Spool, SpoolStore, Store, Target, file_entry, format, open,
    pack, verify,
};
use casefile::model::{Manifest, RunStatus, SCHEMA_VERSION, Tool};
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use flate2::Compression;
use flate2::write::GzEncoder;
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

/// A tar that this program would not write.
struct Hostile(tar::Builder<Vec<u8>>);

impl Hostile {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, tar::EntryType::Regular, content)
    }

    fn entry(mut self, path: &str, kind: tar::EntryType, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(kind);
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn store(self) -> ArchiveStore {
        store_of(gzip(&self.tar()))
    }
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

fn store_of(bytes: Vec<u8>) -> ArchiveStore {
    ArchiveStore::from_source(Arc::new(bytes), "hostile.tar.gz", Limits::default()).unwrap()
}

fn paths(store: &dyn Store) -> Vec<&str> {
    store.entries().iter().map(|e| e.path.as_str()).collect()
}

#[test]
fn unsafe_entries_are_reported_and_ignored() {
    use tar::EntryType;
    for (name, kind) in [
        ("/etc/cron.d/x", EntryType::Regular),
        ("top/../../x", EntryType::Regular),
        ("top/link", EntryType::Symlink),
        ("top/hard", EntryType::Link),
        ("top/null", EntryType::Char),
        ("top/disk", EntryType::Block),
        ("top/pipe", EntryType::Fifo),
        ("top/a\x1b[2J", EntryType::Regular),
    ] {
        let store = Hostile::new().file("top/a", b"1").entry(name, kind, b"").file("top/b", b"2").store();
        assert_eq!(paths(&store), ["a", "b"], "{name:?}");
        assert_eq!(store.problems().len(), 1, "{name:?}");
        assert!(store.problems()[0].contains("was ignored") && !store.problems()[0].contains('\x1b'));
        assert_eq!(read(&store, "b"), b"2");
        assert!(store.open("link").is_err());
    }
}

#[test]
fn the_first_of_two_equal_names_counts() {
    let store = Hostile::new().file("top/a", b"first").file("top/a", b"second").store();
    assert_eq!(read(&store, "a"), b"first");
    assert!(store.problems()[0].contains("twice"), "{:?}", store.problems());
}

#[test]
fn a_wrong_checksum_costs_one_entry() {
    let mut tar = Hostile::new().file("top/a", b"1").file("top/b", b"2").file("top/c", b"3").tar();
    tar[1024 + 5] ^= 1;
    let store = store_of(gzip(&tar));
    assert_eq!(paths(&store), ["a", "c"]);
    assert!(store.problems()[0].contains("checksum"), "{:?}", store.problems());
}

#[test]
fn a_bomb_is_not_unpacked() {
    let zeros = vec![0_u8; 8 * MIB];
    let bytes = gzip(&Hostile::new().file("top/a", b"1").file("top/bomb", &zeros).tar());
    let limits = Limits { ratio: 100, ratio_floor: MIB as u64, ..Limits::default() };
    let store = ArchiveStore::from_source(Arc::new(bytes.clone()), "x", limits).unwrap();
    assert!(store.problems().iter().any(|p| p.contains("100 times")), "{:?}", store.problems());
    assert_eq!(read(&store, "a"), b"1");
    assert!(store.entries().iter().all(|e| e.size < 2 * MIB as u64));

    for limits in [
        Limits { entry: MIB as u64, ..Limits::default() },
        Limits { total: MIB as u64, ..Limits::default() },
        Limits { entries: 1, ..Limits::default() },
    ] {
        let store = ArchiveStore::from_source(Arc::new(bytes.clone()), "x", limits).unwrap();
        assert_eq!(paths(&store), ["a"]);
        assert!(store.problems()[0].contains("reading stopped"), "{:?}", store.problems());
    }
}

#[test]
fn the_default_limits_stop_a_bomb() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"bomb");
    header.set_size(8 << 30);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0_u8; MIB];
    for _ in 0..300 {
        encoder.write_all(&zeros).unwrap();
    }
    let store = store_of(encoder.finish().unwrap());
    assert!(store.problems().iter().any(|p| p.contains("times its size")), "{:?}", store.problems());
    assert!(store.entries()[0].size < 300 * MIB as u64);
}

#[test]
fn an_archive_cut_anywhere_gives_what_is_before_the_cut() {
    let files = edge_sizes();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect();
    let bundle = Bundle::of(&files);
    let bytes = bundle.bytes();
    let mut counts = Vec::new();
    for part in 1..16 {
        let cut = bytes[..bytes.len() * part / 16].to_vec();
        let store = ArchiveStore::from_source(Arc::new(cut.clone()), "cut.tar.gz", Limits::default()).unwrap();
        assert!(!store.has_index());
        assert!(store.problems().iter().any(|p| p.contains("can be read") || p.contains("stopped")), "{part}/16");
        for entry in store.entries() {
            let got = read(&store, &entry.path);
            assert_eq!(got.len() as u64, entry.size);
            assert!(bundle.files[&entry.path].starts_with(&got), "{} at {part}/16", entry.path);
        }
        counts.push(store.entries().len());
        let file = bundle.temp.path().join("cut.tar.gz");
        fs::write(&file, cut).unwrap();
        assert!(!verify(&file, None).unwrap().is_ok(), "{part}/16");
    }
    assert!(counts.is_sorted() && counts[0] >= 2 && counts[14] >= 10, "{counts:?}");
}

#[test]
fn an_old_archive_without_an_index_is_read_in_one_pass() {
    let big = text(3 * MIB);
    let mut tar = Hostile::new().file("top/a.log", &big);
    for n in 0..50 {
        tar = tar.file(&format!("top/{n:02}.txt"), &text(20_000 + n));
    }
    let bytes = gzip(&tar.tar());
    let whole = bytes.len() as u64;
    let source = Arc::new(Counting { bytes, read: AtomicU64::new(0) });
    let store = ArchiveStore::from_source(source.clone(), "x", Limits::default()).unwrap();
    for n in 0..50 {
        assert_eq!(read(&store, &format!("{n:02}.txt")), text(20_000 + n));
    }
    assert_eq!(read(&store, "a.log"), big);
    assert!(store.problems().is_empty(), "{:?}", store.problems());
    assert!(source.read.load(Ordering::Relaxed) < 3 * whole, "the pass was made again for each file");
}

#[test]
fn foreign_directories_stay_and_a_single_top_directory_goes() {
    let store = Hostile::new().file("cluster-resources/nodes.json", b"{}").store();
    assert_eq!(paths(&store), ["cluster-resources/nodes.json"]);
    let store = Hostile::new().file("./a/x", b"").file("./b/y", b"").store();
    assert_eq!(paths(&store), ["a/x", "b/y"]);
}

/// Packs `tar` bytes with an index that says whatever the test wants.
fn forged(members: &[&[u8]], index: &serde_json::Value, at: Option<u64>) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().flat_map(|m| gzip(m)).collect();
    let index_at = bytes.len() as u64;
    let json = serde_json::to_vec(index).unwrap();
    let tar = Hostile::new().file(&format!("top/{}", format::INDEX), &json).tar();
    bytes.extend(gzip(&tar[..tar.len() - 1024]));
    bytes.extend(format::final_member(at.unwrap_or(index_at)));
    bytes
}

#[test]
fn a_forged_index_is_not_believed() {
    let tar = Hostile::new().file("top/a", b"content of a").file("top/b", b"content of b").tar();
    let tar = &tar[..tar.len() - 1024];
    let row = |path: &str, size: u64, member: u64, offset: u64| serde_json::json!({"path": path, "size": size, "member": member, "offset": offset});
    let index = |rows: Vec<serde_json::Value>| serde_json::json!({"version": 1, "top": "top", "entries": rows});

    let honest = store_of(forged(&[tar], &index(vec![row("a", 12, 0, 0), row("b", 12, 0, 1024)]), None));
    assert!(honest.has_index() && honest.check_index().is_empty(), "{:?}", honest.check_index());
    assert_eq!(read(&honest, "b"), b"content of b");

    // Wrong about where or how long: read from the tar itself, and reported.
    for rows in [
        vec![row("a", 12, 0, 1024), row("b", 12, 0, 0)],
        vec![row("a", 3, 0, 0), row("b", 4, 0, 1024)],
        vec![row("a", 12, 1, 0), row("b", 12, 7, 0)],
        vec![row("a", 12, 0, 512), row("b", 12, 0, 300_000)],
    ] {
        let store = store_of(forged(&[tar], &index(rows), None));
        assert_eq!(read(&store, "a"), b"content of a");
        assert_eq!(read(&store, "b"), b"content of b");
        assert!(store.problems().iter().any(|p| p.contains("index is wrong")), "{:?}", store.problems());
        assert!(!store.check_index().is_empty());
    }
    // Names a file that is not there.
    let store = store_of(forged(&[tar], &index(vec![row("a", 12, 0, 0), row("ghost", 12, 0, 0)]), None));
    assert!(store.read("ghost", 10).unwrap_err().to_string().contains("ghost"));
    assert_eq!(store.check_index().len(), 2, "ghost is named, b is not: {:?}", store.check_index());
    // Not usable at all.
    for (index, at) in [
        (index(vec![row("../a", 12, 0, 0)]), None),
        (index(vec![row("a", u64::MAX, 0, 0)]), None),
        (index(vec![row("a", 12, u64::MAX, u64::MAX)]), None),
        (index(vec![row("b", 12, 0, 1024), row("a", 12, 0, 0)]), None),
        (serde_json::json!({"version": 1, "top": "../x", "entries": []}), None),
        (serde_json::json!("no index"), None),
        (index(vec![]), Some(u64::MAX)),
        (index(vec![]), Some(0)),
        (index(vec![]), Some(3)),
    ] {
        let store = store_of(forged(&[tar], &index, at));
        assert!(!store.has_index(), "{index}");
        assert_eq!(paths(&store), ["a", "b"], "{index}");
        assert!(store.problems()[0].contains("index cannot be used"), "{:?}", store.problems());
    }
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
        (newer.archive.clone(), 1, "use a newer casefile"),
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
    let piped = casefile(&["recover", "-o", "-", "--remove"], &image);
    assert!(piped.stdout == fs::read(&target).unwrap(), "a second recovery differs");
    assert!(!image.exists());
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

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), gz in any::<bool>()) {
        let bytes = if gz { gzip(&bytes) } else { bytes };
        if let Ok(store) = ArchiveStore::from_source(Arc::new(bytes), "x", Limits::default()) {
            for entry in store.entries() {
                let mut sink = Vec::new();
                let _ = store.open(&entry.path).map(|mut r| r.read_to_end(&mut sink));
            }
        }
    }
}
