//! The clean corpus: content in which nothing is secret, so that every changed byte is a defect.

use std::path::{Path, PathBuf};

use super::clean_data::FILES;
use super::clean_logs::LOGS;
use super::{Document, Random};

/// All of it: generated files of about `size` bytes each, and what the project holds of recordings, lock files,
/// certificates and documentation.
pub(crate) fn documents(size: usize) -> Vec<Document> {
    let mut all: Vec<Document> = LOGS
        .iter()
        .chain(FILES)
        .enumerate()
        .map(|(seed, (path, line))| {
            let (mut out, mut random, mut n) = (String::with_capacity(size + 4_096), Random::new(seed as u64), 0);
            while out.len() < size {
                n += 1;
                line(n, &mut random, &mut out);
            }
            Document::new(*path, out)
        })
        .collect();
    all.extend(recorded());
    all
}

/// Files of the project. Those that hold a planted secret are left out.
fn recorded() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let planted = std::fs::read_to_string(root.join("fixtures/secrets/planted.txt")).expect("the planted secrets");
    let mut all = Vec::new();
    for (group, dir) in [
        ("recorded-kubernetes", "fixtures/clusters"),
        ("recorded-kms", "fixtures/corpus/kms"),
        ("keys", "fixtures/corpus/keys"),
    ] {
        let mut paths = Vec::new();
        files(&root.join(dir), &mut paths);
        assert!(paths.len() > 5, "{dir} is missing");
        for path in paths {
            let content = std::fs::read(&path).expect("a fixture");
            let text = String::from_utf8_lossy(&content);
            let dirty = planted.lines().any(|secret| !secret.is_empty() && text.contains(secret))
                || ["PLANTED", "pl4nt", "PRIVATE KEY", "\"kind\":\"Secret\"", "\"kind\": \"Secret\""]
                    .iter()
                    .any(|mark| text.contains(mark));
            let is_secret = path.components().any(|c| c.as_os_str() == "secrets");
            if !dirty && !is_secret {
                let name = path.strip_prefix(root.join(dir)).unwrap_or(&path).to_string_lossy().into_owned();
                all.push(Document::new(format!("{group}/{name}"), content));
            }
        }
    }
    let lock = std::fs::read(root.join("Cargo.lock")).expect("the lock file");
    all.push(Document::new("locks/Cargo.lock", lock));
    all
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder of fixtures").flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

/// What has to stay, from `fixtures/corpus/must-keep.txt`: each entry in each syntax that it is tried in.
pub(crate) fn must_keep() -> Vec<Document> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus/must-keep.txt");
    let text = std::fs::read_to_string(path).expect("the list of what must stay");
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
        let number = number + 1;
        let Some((name, value)) = line.strip_prefix("setting ").and_then(|l| l.split_once(" = ")) else {
            all.push(Document::new(format!("must-keep/{number}.txt"), format!("{line}\n")));
            continue;
        };
        let json = |v: &str| serde_json::to_string(v).expect("a string");
        let plain = matches!(value, "null" | "true" | "false") || value.bytes().all(|b| b.is_ascii_digit());
        let quoted = if plain { value.to_owned() } else { json(value) };
        let toml = if value == "null" { "\"\"".to_owned() } else { quoted.clone() };
        for (file, content) in [
            (format!("{number}.env"), format!("{name}={value}\nHOME=/root\n")),
            (format!("{number}.json"), format!("{{\"a\":1,{}:{quoted},\"z\":[]}}\n", json(name))),
            (format!("{number}.yaml"), format!("a:\n  {name}: {quoted}\n  z: 1\n")),
            (format!("{number}.toml"), format!("[a]\n\"{name}\" = {toml}\nz = 1\n")),
            (format!("{number}.log"), format!("2026-11-21T10:00:00Z  INFO app: done {name}={value} z=1\n")),
            (format!("{number}-debug.log"), format!("DEBUG Config {{ {name}: {quoted}, z: 1 }}\n")),
        ] {
            all.push(Document::new(format!("must-keep/{file}"), content));
        }
    }
    all
}
