//! The planted matrix: every kind in every encoding around the edges of the engine's windows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::redact::{CorrelationKey, Example, Format, Redactor, expand};

/// Size of the window in which a long line is looked at.
const WINDOW: usize = 256 << 10;

const ENCODINGS: [&str; 9] =
    ["raw", "json", "json-twice", "base64", "base64-shifted", "base64-shifted-twice", "base64url", "hex", "utf16"];

/// Places of the secret relative to the edge of a window.
const OFFSETS: [i64; 9] = [-64, -33, -17, -8, -1, 0, 1, 19, 64];

fn encode(encoding: &str, text: &str) -> Vec<u8> {
    let json = |t: &str| serde_json::to_string(t).unwrap();
    match encoding {
        "raw" => text.as_bytes().to_vec(),
        "json" => json(text).into_bytes(),
        "json-twice" => json(&format!("x {}", json(text))).into_bytes(),
        "base64" => STANDARD.encode(format!("see here: {text} ok")).into_bytes(),
        "base64-shifted" => STANDARD.encode(format!("xsee here: {text} ok")).into_bytes(),
        "base64-shifted-twice" => STANDARD.encode(format!("xysee here: {text} ok")).into_bytes(),
        "base64url" => URL_SAFE_NO_PAD.encode(format!("see here: {text} ok")).into_bytes(),
        "hex" => format!("see here: {text} ok").bytes().flat_map(|b| format!("{b:02x}").into_bytes()).collect(),
        "utf16" => text.as_bytes().to_vec(),
        other => panic!("unknown encoding {other}"),
    }
}

/// A cell: does anything of the secret survive?
fn leaks(redactor: &Redactor, example: &Example, encoding: &str, lines: bool, at: usize) -> bool {
    let filler = if lines { "plain words of a log line\n" } else { "plain words of a log, " };
    let mut content: Vec<u8> = filler.bytes().cycle().take(at).collect();
    content.push(if lines { b'\n' } else { b' ' });
    let planted = encode(encoding, &example.text);
    content.extend_from_slice(&planted);
    content.extend_from_slice(b" and what follows\n");
    if encoding == "utf16" {
        content =
            [0xfeff].into_iter().chain(content.iter().map(|b| u16::from(*b))).flat_map(u16::to_le_bytes).collect();
    }
    let Ok(out) = redactor.bytes("cell", Format::Text, &content) else { return false };
    let mut out = out.into_inner();
    if encoding == "utf16" {
        out = out.chunks(2).map(|p| p[0]).collect();
    }
    let coded = encoding.starts_with("base64") || encoding == "hex";
    let secrets: Vec<Vec<u8>> = if coded {
        // From inside the run, so that the words in front do not count.
        vec![planted[planted.len() / 2..planted.len() / 2 + 8].to_vec()]
    } else {
        example.secrets.iter().filter(|s| s.len() >= 8).map(|s| s.as_bytes()[..8].to_vec()).collect()
    };
    secrets.iter().any(|s| out.windows(s.len()).any(|w| w == s))
}

/// Runs every `step`-th cell; gives how many ran, and those that leak.
fn matrix(step: usize) -> (usize, Vec<String>) {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let (mut cells, mut number, mut failures) = (0, 0, Vec::new());
    for rule in redactor.rules() {
        let Some(definition) = &rule.definition else { continue };
        // Rules that need quotes, line ends or blanks of their own are written for raw text only.
        let whole = definition.carriers.iter().any(|c| c == "base64");
        for example in definition.examples.iter().map(|e| expand(e)) {
            for encoding in ENCODINGS {
                if !(whole || matches!(encoding, "raw" | "utf16")) {
                    continue;
                }
                for lines in [true, false] {
                    for (base, offset) in [0, WINDOW, 7 * WINDOW / 8].into_iter().flat_map(|b| OFFSETS.map(|o| (b, o)))
                    {
                        number += 1;
                        let Some(at) = base.checked_add_signed(isize::try_from(offset).unwrap()) else { continue };
                        if number % step != 0 {
                            continue;
                        }
                        cells += 1;
                        if leaks(&redactor, &example, encoding, lines, at) {
                            failures.push(format!("{} {encoding} lines={lines} at {at}", rule.id));
                        }
                    }
                }
            }
        }
    }
    (cells, failures)
}

#[test]
fn a_sample_of_the_matrix_has_no_leak() {
    let (cells, failures) = matrix(997);
    assert!(cells > 40, "only {cells} cells");
    assert!(failures.is_empty(), "{} of {cells}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
#[ignore = "tens of thousands of cells; run it with an optimised build"]
fn the_whole_matrix_has_no_leak() {
    let (cells, failures) = matrix(1);
    assert!(cells > 10_000, "only {cells} cells");
    assert!(failures.is_empty(), "{} of {cells}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn there_are_at_least_150_kinds_and_each_rule_has_examples() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    assert!(redactor.rules().len() >= 150, "{}", redactor.rules().len());
    for rule in redactor.rules() {
        assert!(
            rule.definition.as_ref().is_none_or(|d| !d.examples.is_empty() && !d.carriers.is_empty()),
            "{}",
            rule.id
        );
    }
}

/// Each rule of the data files is needed: without it, one of its own examples survives at least in part, or is
/// found under another name.
#[test]
#[ignore = "compiles the rules once for each rule"]
fn deleting_any_rule_is_noticed() {
    let all = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let mut unnoticed = Vec::new();
    for rule in all.rules() {
        let Some(definition) = &rule.definition else { continue };
        let without = Redactor::builder(CorrelationKey::from_bytes([7; 32])).without_rule(&rule.id).build().unwrap();
        let changes = definition.examples.iter().map(|e| expand(e).text).any(|t| all.text(&t) != without.text(&t));
        if !changes {
            unnoticed.push(rule.id.clone());
        }
    }
    assert!(unnoticed.is_empty(), "no test would fail without {unnoticed:?}");
}

/// Peak memory of the command while one endless line goes through it.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes a gigabyte"]
fn a_line_of_a_gigabyte_needs_little_memory() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(["redact", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let piece = "{\"level\":\"info\",\"password\":\"Hunter2xyz\",\"n\":1},".repeat(20_000);
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..(1 << 30) / piece.len() {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let kib: u64 = peak.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib <= 64 << 10, "{peak}");
}
