//! Imports point one way.

use std::collections::BTreeMap;
use std::path::Path;

/// What each module may import beside itself. `cli` may import everything and nothing may import `cli`.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("model", vec![]),
        ("profile", vec!["model"]),
        ("redact", vec!["model", "profile"]),
        ("bundle", vec!["model", "profile", "redact"]),
        ("collect", vec!["model", "profile", "redact", "bundle"]),
        ("triage", vec!["model", "profile", "redact", "bundle"]),
        ("report", vec!["model", "profile", "redact", "bundle", "triage"]),
        ("serve", vec!["model", "bundle"]),
    ])
}

#[test]
fn imports_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in allowed() {
        let files = rust_files(&src.join(module));
        assert!(!files.is_empty(), "src/{module} has no Rust file");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for found in text.split("crate::").skip(1) {
                let name: String = found.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let known = allowed.contains(&name.as_str()) || name == module;
                if !known && src.join(&name).is_dir() {
                    wrong.push(format!("{} imports crate::{name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rust_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
