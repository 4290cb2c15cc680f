//! Archives that somebody made to do harm, or that are damaged.

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use casefile::bundle::{ArchiveStore, Limits, Store, format, verify};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::{Bundle, Counting, MIB, edge_sizes, read, text};

/// A tar that this program would not write.
pub(super) struct Hostile(tar::Builder<Vec<u8>>);

impl Hostile {
    pub(super) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(super) fn file(self, path: &str, content: &[u8]) -> Self {
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

    pub(super) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn store(self) -> ArchiveStore {
        store_of(gzip(&self.tar()))
    }
}

pub(super) fn gzip(raw: &[u8]) -> Vec<u8> {
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
fn extended_headers_are_understood_and_bounded() {
    use tar::EntryType;
    let pax = |text: &str| format!("{} {text}\n", text.len() + 4).into_bytes();
    let name = pax("path=top/pax.log");
    let store = Hostile::new().entry("pax", EntryType::XHeader, &name).file("x", b"1").file("top/b", b"2").store();
    assert_eq!(paths(&store), ["b", "pax.log"]);
    assert_eq!(read(&store, "pax.log"), b"1");
    // A name that an extension makes unsafe, and an extension that is too long to be read.
    let escape = pax("path=top/../../x");
    let store = Hostile::new().entry("pax", EntryType::XHeader, &escape).file("x", b"1").file("top/b", b"2").store();
    assert_eq!((paths(&store), store.problems().len()), (vec!["b"], 1));
    let long = vec![b'a'; 100_000];
    let store = Hostile::new().entry("l", EntryType::GNULongName, &long).file("x", b"1").file("top/b", b"2").store();
    assert_eq!(paths(&store), ["b"]);
    // Sizes that no disk has.
    for size in [u64::MAX, 1 << 62] {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..5].copy_from_slice(b"top/x");
        header.set_size(size);
        header.set_cksum();
        let mut tar = Hostile::new().file("top/a", b"1").tar();
        tar.truncate(1024);
        tar.extend_from_slice(header.as_bytes());
        let store = store_of(gzip(&tar));
        assert_eq!(paths(&store), ["a"], "{size}");
        assert!(store.problems().iter().any(|p| p.contains("stopped")), "{:?}", store.problems());
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
    // Wrong about the members of the content.
    let mut rows = vec![row("a", 12, 0, 0), row("b", 12, 0, 1024)];
    rows[1]["data"] = serde_json::json!([5]);
    let store = store_of(forged(&[tar], &index(rows), None));
    assert_eq!(store.check_index(), ["the index is wrong about the members of b"]);
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

proptest! {
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
