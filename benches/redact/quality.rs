//! Recall and damage on the corpora, and the corpora as files for other tools.

use std::collections::BTreeMap;
use std::path::Path;

use casefile::redact::{CorrelationKey, Redactor};

use crate::corpus::{Document, clean, measure, planted};

/// Bytes of each generated file of the clean corpus.
const CLEAN: usize = 256 << 10;
/// How often each shape is planted.
const ROUNDS: usize = 5;

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

fn redacted(redactor: &Redactor, document: &Document) -> Vec<u8> {
    redactor.bytes(&document.path, document.format, &document.content).unwrap().into_inner()
}

/// Prints what of the clean corpus is touched, and what of the planted one survives.
pub(crate) fn tables() {
    let redactor = redactor();
    println!("{:<28}{:>8}{:>12}{:>10}{:>10}", "clean corpus", "files", "bytes", "touched", "");
    let mut groups: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for document in clean::documents(CLEAN) {
        let touched = measure::touched(&document.content, &redacted(&redactor, &document));
        for group in [document.group(), "~ all"] {
            let sums = groups.entry(group.to_owned()).or_default();
            *sums = (sums.0 + 1, sums.1 + document.content.len(), sums.2 + touched);
        }
    }
    for (group, (files, bytes, touched)) in groups {
        println!(
            "{:<28}{files:>8}{bytes:>12}{touched:>10}{:>9.4}%",
            group.trim_start_matches("~ "),
            percent(touched, bytes)
        );
    }
    let keep = clean::must_keep();
    let hits = keep.iter().filter(|d| redacted(&redactor, d) != d.content).count();
    println!("{:<28}{:>8}{:>12}{hits:>10}", "must-keep list", keep.len(), "");

    println!(
        "\n{:<28}{:>8}{:>12}{:>10}{:>10}{:>12}{:>10}",
        "planted corpus", "secrets", "bytes", "leaked", "bytes", "clean bytes", "touched"
    );
    let mut all = [0_usize; 6];
    for file in planted::documents(&redactor, ROUNDS) {
        let after = redacted(&redactor, &file.document);
        let secrets = file.labels.iter().map(|l| &file.document.content[l.span.clone()]);
        let bytes: usize = secrets.clone().map(<[u8]>::len).sum();
        let left: Vec<usize> = secrets.map(|s| measure::survivors(&after, s)).filter(|l| *l > 0).collect();
        let clean = file.document.content.len() - bytes;
        let touched = measure::touched(&file.document.content, &after).saturating_sub(bytes);
        let row = [file.labels.len(), bytes, left.len(), left.iter().sum(), clean, touched];
        print_row(&file.document.path, row);
        all.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
    }
    print_row("all", all);
    println!();
}

fn print_row(name: &str, [secrets, bytes, leaked, left, clean, touched]: [usize; 6]) {
    println!(
        "{name:<28}{secrets:>8}{bytes:>12}{leaked:>10}{left:>10}{clean:>12}{touched:>10}{:>9.2}%",
        percent(touched, clean)
    );
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Writes `clean/`, `keep/` and `planted/` below a directory, and `labels.json`: path, start, end and kind of each secret.
pub(crate) fn write(dir: &Path) {
    let file = |document: &Document, top: &str| {
        let path = dir.join(top).join(&document.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &document.content).unwrap();
    };
    clean::documents(CLEAN).iter().for_each(|d| file(d, "clean"));
    clean::must_keep().iter().for_each(|d| file(d, ""));
    let mut labels = Vec::new();
    for planted in planted::documents(&redactor(), ROUNDS) {
        file(&planted.document, "");
        for label in planted.labels {
            labels.push(serde_json::json!({
                "path": planted.document.path, "start": label.span.start, "end": label.span.end, "kind": label.kind,
            }));
        }
    }
    std::fs::write(dir.join("labels.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
    println!("{} labels in {}", labels.len(), dir.display());
}
