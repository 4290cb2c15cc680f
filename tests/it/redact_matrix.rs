//! The planted matrix: every kind in every carrier and encoding, at every place around the edges of the engine's windows.
//!
//! The engine has the smallest window here, with the same overlap as always, so that a cell costs little.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::redact::{CorrelationKey, Format, Redactor, expand};

/// Size of the window in which a long line is looked at.
const WINDOW: usize = 40 << 10;
/// Where the first part of a longer line is cut off: what is behind stays in the window.
const CUT: usize = 8 << 10;

const ENCODINGS: [&str; 8] =
    ["raw", "json-twice", "base64", "base64-shifted", "base64-shifted-twice", "base64url", "hex", "utf16"];

/// `end` is the end of a line, `eof` that of the content.
const CARRIERS: [&str; 8] = ["raw", "log", "env", "json", "yaml", "header", "end", "eof"];

/// Places of the secret relative to an edge, for all carriers.
const NEAR: [i64; 9] = [-64, -33, -17, -8, -1, 0, 1, 19, 64];
/// For plain text every place up to here, on both sides.
const FAR: i64 = 64;

/// The wrappings that a rule may name, and what the matrix calls them.
const WRAPPINGS: [(&str, &str); 6] = [
    ("env", "env"),
    ("header", "header"),
    ("header", "log"),
    ("json", "json"),
    ("json-escaped", "json-twice"),
    ("yaml", "yaml"),
];

/// A text with secrets in it.
struct Kind {
    id: String,
    text: String,
    secrets: Vec<String>,
    /// The wrappings of plain text in which the rule says that it works.
    carriers: Vec<String>,
}

fn redactor() -> Redactor {
    Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_window(WINDOW).build().unwrap()
}

/// The examples of all rules, and settings that only their name makes secret.
fn kinds(redactor: &Redactor) -> Vec<Kind> {
    let rules = redactor.rules().iter().filter_map(|r| r.definition.as_ref());
    let mut kinds: Vec<Kind> = rules
        .flat_map(|d| d.examples.iter().map(move |e| (d, expand(e))))
        .map(|(d, e)| {
            let secrets: Vec<String> = e.secrets.into_iter().filter(|s| s.len() >= 8).collect();
            Kind { id: d.id.clone(), text: e.text, secrets, carriers: d.carriers.clone() }
        })
        .filter(|k| !k.secrets.is_empty())
        .collect();
    let planted: toml::Table = include_str!("../../fixtures/secrets/planted.toml").parse().unwrap();
    for secret in planted["secret"].as_array().unwrap() {
        let value = expand(secret["value"].as_str().unwrap()).text;
        let key = secret.get("key").and_then(toml::Value::as_str);
        kinds.push(Kind {
            id: format!("planted: {}", secret["kind"].as_str().unwrap()),
            text: key.map_or_else(|| value.clone(), |key| format!("{key}={value}")),
            secrets: vec![value],
            carriers: ["raw", "env", "json", "json-escaped", "yaml", "header"].map(str::to_owned).to_vec(),
        });
    }
    kinds
}

/// One way in which a secret may come along.
#[derive(Clone, Copy)]
struct Cell<'a> {
    kind: &'a Kind,
    carrier: &'static str,
    encoding: &'static str,
    /// Bytes in front, and whether they are lines or one long line.
    at: usize,
    lines: bool,
}

impl Cell<'_> {
    fn is_supported(&self) -> bool {
        let says = |cell: &str| {
            WRAPPINGS.iter().filter(|(_, name)| *name == cell).all(|(w, _)| self.kind.carriers.iter().any(|c| c == w))
        };
        match self.encoding {
            "raw" => says(self.carrier),
            "json-twice" => says("json-twice"),
            "utf16" => self.carrier == "raw",
            _ => true,
        }
    }

    /// The text as it is encoded, and forms of its secrets of which no piece may survive.
    fn encoded(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let json = |t: &str| serde_json::to_string(t).unwrap();
        let text = &self.kind.text;
        let lead = match self.encoding {
            "base64-shifted" => "xsee here:\n",
            "base64-shifted-twice" => "xysee here:\n",
            _ => "see here:\n",
        };
        let plain = format!("{lead}{text}\nok");
        // Where each secret stands in what is encoded.
        let places = self.kind.secrets.iter().filter_map(|s| plain.find(s.as_str()).map(|at| (at, at + s.len())));
        match self.encoding {
            "hex" => {
                let hex: Vec<u8> = plain.bytes().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
                let pieces = places.map(|(a, b)| hex[2 * a..2 * b].to_vec()).collect();
                (hex, pieces)
            }
            coded if coded.starts_with("base64") => {
                let coded = if coded == "base64url" { URL_SAFE_NO_PAD.encode(&plain) } else { STANDARD.encode(&plain) };
                let coded = coded.into_bytes();
                let pieces = places.map(|(a, b)| coded[(a * 8).div_ceil(6)..b * 8 / 6].to_vec()).collect();
                (coded, pieces)
            }
            "json-twice" => {
                let inner = json(&format!("x {}", json(text)));
                (inner.into_bytes(), self.kind.secrets.iter().map(|s| s.clone().into_bytes()).collect())
            }
            _ => (text.clone().into_bytes(), self.kind.secrets.iter().map(|s| s.clone().into_bytes()).collect()),
        }
    }

    /// What stands in front: lines, or the beginning of one long line.
    fn filler(&self) -> Vec<u8> {
        let words = if self.lines { "plain words of a log line\n" } else { "plain words of a log, " };
        let mut content: Vec<u8> = words.bytes().cycle().take(self.at.saturating_sub(1)).collect();
        match (self.carrier, self.lines) {
            ("json", false) => {
                content.splice(..9.min(content.len()), *br#"{"lead":""#);
                content.truncate(self.at.saturating_sub(2));
                content.extend(b"\",");
            }
            (_, true) => content.push(b'\n'),
            (_, false) => content.push(b' '),
        }
        content
    }

    /// How many windows of eight bytes of secrets survive.
    fn leaks(&self, redactor: &Redactor) -> usize {
        let (planted, pieces) = self.encoded();
        let planted = String::from_utf8(planted).unwrap();
        let (format, wrapped) = match self.carrier {
            "raw" => (Format::Text, format!("{planted} and what follows\n")),
            "log" => (Format::Text, format!("2026-11-21T10:00:00Z INFO got {planted} from peer\n")),
            "env" => (Format::Env, format!("SETTING={planted}\nHOME=/root\n")),
            "json" => {
                let open = if self.lines { "{" } else { "" };
                (Format::Json, format!("{open}\"note\":{},\"n\":1}}\n", serde_json::to_string(&planted).unwrap()))
            }
            "yaml" => (Format::Yaml, format!("a:\n  note: '{}'\n  b: c\n", planted.replace('\'', "''"))),
            "header" => (Format::Text, format!("X-Note: {planted}\r\nHost: h\r\n")),
            "end" => (Format::Text, format!("{planted}\n")),
            "eof" => (Format::Text, planted.clone()),
            other => panic!("unknown carrier {other}"),
        };
        let mut content = self.filler();
        content.extend_from_slice(wrapped.as_bytes());
        if self.encoding == "utf16" {
            let text = String::from_utf8(content).unwrap();
            content = ['\u{feff}']
                .into_iter()
                .chain(text.chars())
                .collect::<String>()
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
        }
        let Ok(out) = redactor.bytes("cell", format, &content) else { return 0 };
        let mut out = out.into_inner();
        if self.encoding == "utf16" {
            let units: Vec<u16> = out.chunks(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect();
            out = String::from_utf16(&units).unwrap().into_bytes();
        }
        // What was planted stands at the end, so the filler need not be searched.
        let tail = &out[out.len().saturating_sub(2 * planted.len() + 4_096)..];
        pieces
            .iter()
            .flat_map(|p| p.windows(8.min(p.len()).max(1)))
            .filter(|w| memchr::memmem::find(tail, w).is_some())
            .count()
    }
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, carrier, encoding, at, lines } = self;
        write!(f, "{} in {carrier}, {encoding}, at {at} of {}", kind.id, if *lines { "lines" } else { "one line" })
    }
}

/// Places around the edges: bytes in front, and whether they are lines. Lines go out up to the last whole one, so they
/// have one edge only.
fn places(offsets: impl Iterator<Item = i64> + Clone) -> impl Iterator<Item = (usize, bool)> + Clone {
    let edges = [(CUT, false), (WINDOW, false), (WINDOW, true)];
    edges.into_iter().flat_map(move |(edge, lines)| {
        offsets.clone().filter_map(move |o| Some((edge.checked_add_signed(isize::try_from(o).ok()?)?, lines)))
    })
}

/// All cells of a kind: in every carrier and encoding at the beginning and around the edges, and plain at every place there.
fn cells(kind: &Kind) -> impl Iterator<Item = Cell<'_>> {
    let crossed = CARRIERS.into_iter().flat_map(|c| ENCODINGS.map(|e| (c, e)));
    let wrapped = crossed.flat_map(move |(carrier, encoding)| {
        // YAML and settings are lines.
        let fits = move |lines: &bool| *lines || !matches!(carrier, "yaml" | "env");
        let near = places(NEAR.into_iter()).filter(move |(_, lines)| carrier != "raw" && fits(lines));
        let all = [(40, true)].into_iter().chain(near);
        all.map(move |(at, lines)| Cell { kind, carrier, encoding, at, lines })
    });
    let placed = ENCODINGS.into_iter().flat_map(move |encoding| {
        places(-FAR..=FAR).map(move |(at, lines)| Cell { kind, carrier: "raw", encoding, at, lines })
    });
    wrapped.chain(placed)
}

/// What a run of the matrix gave.
#[derive(Default)]
struct Outcome {
    ran: usize,
    skipped: usize,
    failures: Vec<String>,
}

/// Runs the cells that `wanted` takes, on both processors of a small machine.
#[allow(clippy::print_stdout, reason = "the figures are shown with --nocapture")]
fn matrix(wanted: impl Fn(usize, &Cell<'_>) -> bool + Sync) -> Outcome {
    let redactor = redactor();
    let kinds = kinds(&redactor);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcome = Outcome::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(kind) = kinds.get(number) else { return outcome };
            // Each kind begins elsewhere, so that a sample takes other cells of each.
            for (i, cell) in cells(kind).enumerate().filter(|(i, cell)| wanted(i + 37 * number, cell)) {
                if !cell.is_supported() {
                    outcome.skipped += 1;
                    continue;
                }
                outcome.ran += 1;
                let leaked = cell.leaks(&redactor);
                if leaked > 0 {
                    outcome.failures.push(format!("{leaked} pieces of {cell} (cell {i})"));
                }
            }
        }
    };
    let outcome = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|t| t.join().unwrap()).fold(Outcome::default(), |mut all, one| {
            all.ran += one.ran;
            all.skipped += one.skipped;
            all.failures.extend(one.failures);
            all
        })
    });
    let Outcome { ran, skipped, failures } = &outcome;
    println!("{} kinds, {ran} cells, {skipped} skipped, {} leak", kinds.len(), failures.len());
    outcome
}

/// Every kind in every carrier and encoding, and a sample of the edges.
#[test]
fn the_matrix_has_no_leak() {
    let Outcome { ran, failures, .. } = matrix(|number, cell| {
        let whole = cell.at == 40 && (cell.carrier == "raw" || cell.encoding == "raw");
        whole || number % if cell.at == 40 { 17 } else { 1_009 } == 0
    });
    assert!(ran > 1_000, "only {ran} cells");
    assert!(failures.is_empty(), "{} of {ran}:\n{}", failures.len(), failures.join("\n"));
}

/// `CASEFILE_MATRIX_STEP=1` runs every cell; without it a share that takes minutes.
#[test]
#[ignore = "tens of thousands of cells of 40 KiB"]
fn long_matrix_has_no_leak() {
    let step = std::env::var("CASEFILE_MATRIX_STEP").ok().and_then(|n| n.parse().ok()).unwrap_or(151);
    let Outcome { ran, failures, .. } = matrix(|number, _| number % step == 0);
    assert!(ran > 100, "only {ran} cells");
    assert!(failures.is_empty(), "{} of {ran}:\n{}", failures.len(), failures.join("\n"));
}

/// The cells that the matrix leaves out stand in the documentation, each rule by its name.
#[test]
fn skipped_cells_are_documented() {
    let redactor = redactor();
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in redactor.rules().iter().filter_map(|r| r.definition.as_ref()) {
        let lacks: Vec<&str> =
            WRAPPINGS.iter().filter(|(w, _)| !rule.carriers.iter().any(|c| c == w)).map(|(_, name)| *name).collect();
        if !lacks.is_empty() {
            rules.entry(lacks.join(", ")).or_default().push(format!("`{}`", rule.id));
        }
    }
    let mut table = String::from("| skipped | rules |\n|---|---|\n");
    for (cells, rules) in rules {
        table.push_str(&format!("| {cells} | {} |\n", rules.join(", ")));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redaction-matrix.md");
    let page = std::fs::read_to_string(path).unwrap();
    let at = page.find("| skipped |").expect("a table of skipped cells");
    if std::env::var_os("CASEFILE_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{}{table}", &page[..at])).unwrap();
        return;
    }
    assert!(page[at..] == table, "{path} is old; run this test with CASEFILE_WRITE_DOCS=1 once");
}

#[test]
fn there_are_at_least_150_kinds_and_each_rule_has_examples() {
    let redactor = redactor();
    assert!(redactor.rules().len() >= 150, "{}", redactor.rules().len());
    for rule in redactor.rules() {
        assert!(
            rule.definition.as_ref().is_none_or(|d| !d.examples.is_empty() && !d.carriers.is_empty()),
            "{}",
            rule.id
        );
    }
}
