//! What fuzzing found and kept, through the functions of the fuzz targets.

use std::path::Path;

use super::support::corpus::Random;

#[path = "../../fuzz/targets/mod.rs"]
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

/// Changes an input as a fuzzer does, without its knowledge of the code.
fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    const WORDS: [&[u8]; 16] = [
        b"password",
        b"://",
        b"\n",
        b"\\n",
        b"\"",
        b"\\\"",
        b"'",
        b": ",
        b"=",
        b"-----BEGIN PRIVATE KEY-----",
        b"eyJ",
        b"kind: Secret",
        b"\0",
        b"\xff\xfe",
        b"|\n  ",
        b"REDACTED-token-aaaaaaaaaaaa",
    ];
    let mut out = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = usize::try_from(random.below(out.len() as u64 + 1)).unwrap();
        let end = (at + usize::try_from(random.below(40)).unwrap()).min(out.len());
        match random.below(6) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 => drop(out.drain(at..end)),
            2 => drop(out.splice(at..at, random.pick(&WORDS).iter().copied())),
            3 => {
                let piece = out[at..end].to_vec();
                drop(out.splice(at..at, piece));
            }
            4 => {
                let from = usize::try_from(random.below(other.len() as u64 + 1)).unwrap();
                drop(out.splice(at.., other[from..].iter().copied()));
            }
            _ => out.truncate(at.max(2)),
        }
    }
    out
}

/// Runs mutations of the kept inputs, `rounds` of each; gives how many ran, and the first that fails, by target.
fn mutations(rounds: usize, seed: u64) -> (usize, Vec<String>) {
    let (mut ran, mut failed) = (0, Vec::new());
    for (name, _) in targets::ALL {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> =
            std::fs::read_dir(&dir).expect("a folder for each target").flatten().map(|f| f.path()).collect();
        files.sort();
        let inputs: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
        let mut random = Random::new(seed);
        'target: for input in &inputs {
            for _ in 0..rounds {
                let other = random.pick(&inputs).clone();
                let changed = mutate(input, &other, &mut random);
                ran += 1;
                if std::panic::catch_unwind(|| targets::run(name, &changed)).is_err() {
                    failed.push(format!("{name}: {}", changed.escape_ascii()));
                    break 'target;
                }
            }
        }
    }
    (ran, failed)
}

#[test]
fn mutated_inputs_pass() {
    let (ran, failed) = mutations(2, 1);
    assert!(ran > 100, "only {ran}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
#[ignore = "takes minutes; SEED chooses another series"]
fn many_mutated_inputs_pass() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let (ran, failed) = mutations(40, seed);
    assert!(ran > 5_000, "only {ran}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
