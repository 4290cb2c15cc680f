//! The planted matrix: every kind in every carrier and encoding, and around the edges of the engine's windows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::redact::{CorrelationKey, Format, Redactor, expand};

/// Size of the window in which a long line is looked at.
const WINDOW: usize = 256 << 10;

const ENCODINGS: [&str; 8] =
    ["raw", "json-twice", "base64", "base64-shifted", "base64-shifted-twice", "base64url", "hex", "utf16"];

const CARRIERS: [&str; 6] = ["raw", "log", "env", "json", "yaml", "header"];

/// Places of the secret relative to the edge of a window.
const OFFSETS: [i64; 9] = [-64, -33, -17, -8, -1, 0, 1, 19, 64];

/// Cells in which a secret may survive: rule, carrier, encoding (`*` is any), and why. Beside them only those carriers of
/// plain text are tested that a rule names itself.
const UNSUPPORTED: [(&str, &str, &str, &str); 0] = [];

/// A text with secrets in it.
struct Kind {
    id: String,
    text: String,
    secrets: Vec<String>,
    /// The wrappings of plain text in which the rule says that it works.
    carriers: Vec<String>,
}

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
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
        let says = |carrier: &str| self.kind.carriers.iter().any(|c| c == carrier);
        let plain = match (self.encoding, self.carrier) {
            ("raw", "log") => says("header"),
            ("raw", carrier) => says(carrier),
            ("json-twice", _) => says("json-escaped"),
            ("utf16", carrier) => carrier == "raw",
            _ => true,
        };
        let named = |(rule, carrier, encoding, _): &(&str, &str, &str, &str)| {
            (*rule == "*" || *rule == self.kind.id)
                && (*carrier == "*" || *carrier == self.carrier)
                && (*encoding == "*" || *encoding == self.encoding)
        };
        plain && !UNSUPPORTED.iter().any(named)
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

    /// How many windows of eight bytes of secrets survive.
    fn leaks(&self, redactor: &Redactor) -> usize {
        let filler = if self.lines { "plain words of a log line\n" } else { "plain words of a log, " };
        let mut content: Vec<u8> = filler.bytes().cycle().take(self.at).collect();
        content.push(if self.lines { b'\n' } else { b' ' });
        let (planted, pieces) = self.encoded();
        let planted = String::from_utf8(planted).unwrap();
        let (format, wrapped) = match self.carrier {
            "raw" => (Format::Text, format!("{planted} and what follows\n")),
            "log" => (Format::Text, format!("2026-11-21T10:00:00Z INFO got {planted} from peer\n")),
            "env" => (Format::Env, format!("SETTING={planted}\nHOME=/root\n")),
            "json" => (Format::Json, format!("{{\"note\":{},\"n\":1}}\n", serde_json::to_string(&planted).unwrap())),
            "yaml" => (Format::Yaml, format!("a:\n  note: '{}'\n  b: c\n", planted.replace('\'', "''"))),
            "header" => (Format::Text, format!("X-Note: {planted}\r\nHost: h\r\n")),
            other => panic!("unknown carrier {other}"),
        };
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

/// All cells of some kinds: in every carrier and encoding at the beginning, and in every encoding around the edges.
fn cells(kinds: &[Kind]) -> impl Iterator<Item = Cell<'_>> {
    let edges = [0, WINDOW, 7 * WINDOW / 8].into_iter().flat_map(|b| OFFSETS.map(|o| (b, o)));
    let edges: Vec<usize> = edges.filter_map(|(b, o)| b.checked_add_signed(isize::try_from(o).ok()?)).collect();
    kinds.iter().flat_map(move |kind| {
        let wrapped = CARRIERS
            .into_iter()
            .flat_map(move |carrier| ENCODINGS.map(|encoding| Cell { kind, carrier, encoding, at: 40, lines: true }));
        let edges = edges.clone();
        let placed = ENCODINGS.into_iter().flat_map(move |encoding| {
            let edges = edges.clone();
            [true, false].into_iter().flat_map(move |lines| {
                edges.clone().into_iter().map(move |at| Cell { kind, carrier: "raw", encoding, at, lines })
            })
        });
        wrapped.chain(placed)
    })
}

/// Runs the cells that `wanted` takes; gives how many ran, how many are unsupported, and those that leak.
#[allow(clippy::print_stdout, reason = "the figures are shown with --nocapture")]
fn matrix(wanted: impl Fn(usize, &Cell<'_>) -> bool) -> (usize, usize, Vec<String>) {
    let redactor = redactor();
    let kinds = kinds(&redactor);
    let (mut ran, mut unsupported, mut failures) = (0, 0, Vec::new());
    for (number, cell) in cells(&kinds).enumerate() {
        if !wanted(number, &cell) {
            continue;
        }
        if !cell.is_supported() {
            unsupported += 1;
            continue;
        }
        ran += 1;
        let leaked = cell.leaks(&redactor);
        if leaked > 0 {
            failures.push(format!("{leaked} pieces of {cell}"));
        }
    }
    println!("{ran} cells, {unsupported} unsupported, {} leak", failures.len());
    for (rule, carrier, encoding, why) in UNSUPPORTED {
        println!("unsupported: {rule} in {carrier}, {encoding}: {why}");
    }
    (ran, unsupported, failures)
}

/// Every kind in every carrier and encoding, and a sample of the edges.
#[test]
fn the_matrix_has_no_leak() {
    let (ran, _, failures) = matrix(|number, cell| {
        let whole = cell.at == 40 && (cell.carrier == "raw" || cell.encoding == "raw");
        whole || number % if cell.at == 40 { 17 } else { 1_009 } == 0
    });
    assert!(ran > 1_000, "only {ran} cells");
    assert!(failures.is_empty(), "{} of {ran}:\n{}", failures.len(), failures.join("\n"));
}

/// `CASEFILE_MATRIX_STEP=1` runs every cell; the step of a run without it leaves a share that takes about a minute.
#[test]
#[ignore = "thousands of cells of 256 KiB"]
fn long_matrix_has_no_leak() {
    let step = std::env::var("CASEFILE_MATRIX_STEP").ok().and_then(|n| n.parse().ok()).unwrap_or(199);
    let (ran, _, failures) = matrix(|number, _| number % step == 0);
    assert!(ran > 100, "only {ran} cells");
    assert!(failures.is_empty(), "{} of {ran}:\n{}", failures.len(), failures.join("\n"));
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

/// Peak memory of the command while one endless line goes through it; `CASEFILE_LINE_MIB` says how long it is.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes hundreds of megabytes"]
fn long_lines_need_little_memory() {
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
    let mebibytes = std::env::var("CASEFILE_LINE_MIB").ok().and_then(|n| n.parse().ok()).unwrap_or(64);
    for _ in 0..(mebibytes << 20) / piece.len() {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let kib: u64 = peak.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib <= 64 << 10, "{peak}");
}
