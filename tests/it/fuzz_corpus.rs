//! What fuzzing found and kept, through the functions of the fuzz targets.

use std::path::Path;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn kept_inputs_pass() {
    let (mut bytes, mut failed) = (0, Vec::new());
    for (name, _) in targets::ALL {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> = std::fs::read_dir(&dir).expect("a folder for each target").flatten().collect();
        files.sort_by_key(std::fs::DirEntry::path);
        assert!(!files.is_empty(), "{name} has no inputs");
        for file in files {
            let input = std::fs::read(file.path()).unwrap();
            bytes += input.len();
            if std::panic::catch_unwind(|| targets::run(name, &input)).is_err() {
                failed.push(file.path());
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert!(bytes < 500_000, "the kept corpus has grown to {bytes} bytes");
}

#[test]
fn each_target_has_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
        let program = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", input)")), "{name} runs something else");
    }
}
