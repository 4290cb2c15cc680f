//! What the fuzz targets do with their input. `cargo test` feeds the kept corpus to the same functions.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::bundle::overlay::MemStore;
use casefile::bundle::{ArchiveStore, Limits, Store, layout};
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use casefile::triage::{self, Rulebook, manifest_of};

/// A target: its name, which is that of its folder of inputs, and its function.
type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const ALL: &[Target] = &[
    ("bundle_reader", bundle_reader),
    ("decoders", decoders),
    ("env", env),
    ("facts_events", facts_events),
    ("facts_health", facts_health),
    ("facts_logs", facts_logs),
    ("facts_metrics", facts_metrics),
    ("facts_pods", facts_pods),
    ("json", json),
    ("objects", objects),
    ("rule_loader", rule_loader),
    ("text", text),
    ("toml", toml),
    ("triage_rules", triage_rules),
    ("utf16", utf16),
    ("yaml", yaml),
];

/// Runs the target of that name.
pub(crate) fn run(name: &str, input: &[u8]) {
    let (_, target) = ALL.iter().find(|(known, _)| *known == name).expect("the name of a target");
    target(input);
}

fn redactor() -> &'static Redactor {
    static ONE: OnceLock<Redactor> = OnceLock::new();
    ONE.get_or_init(|| Redactor::new(CorrelationKey::from_bytes([7; 32])).expect("the built-in rules compile"))
}

/// The result is the same wherever the input is split; the first two bytes say where.
fn split(format: Format, input: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (at, data) = input.split_at_checked(2)?;
    let whole = redactor().bytes("fuzz", format, data);
    let cut = (usize::from(at[0]) << 8 | usize::from(at[1])) % (data.len() + 1);
    let mut out = Redacted::buffer();
    let mut stream = redactor().stream("fuzz", format);
    let parts = stream
        .push(&data[..cut], &mut out)
        .and_then(|()| stream.push(&data[cut..], &mut out))
        .and_then(|()| stream.finish(&mut out));
    match (whole, parts) {
        (Ok(whole), Ok(())) => {
            assert!(whole == out, "the split at {cut} changes the result");
            Some((data.to_vec(), whole.into_inner()))
        }
        (Err(_), Err(_)) => None,
        _ => panic!("the split at {cut} decides whether the content is refused"),
    }
}

/// Logs and anything else.
fn text(input: &[u8]) {
    split(Format::Text, input);
}

/// JSON stays JSON.
fn json(input: &[u8]) {
    let Some((before, after)) = split(Format::Json, input) else { return };
    let parses = |content: &[u8]| serde_json::from_slice::<serde_json::Value>(content).is_ok();
    assert!(!parses(&before) || parses(&after), "JSON is broken");
}

/// YAML.
fn yaml(input: &[u8]) {
    split(Format::Yaml, input);
}

/// TOML stays TOML.
fn toml(input: &[u8]) {
    let Some((before, after)) = split(Format::Toml, input) else { return };
    let parses =
        |content: &[u8]| std::str::from_utf8(content).is_ok_and(|t| ::toml::from_str::<::toml::Table>(t).is_ok());
    assert!(!parses(&before) || parses(&after), "TOML is broken");
}

/// Settings, one a line.
fn env(input: &[u8]) {
    split(Format::Env, input);
}

/// UTF-16, with a byte order mark or without.
fn utf16(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let units = rest.iter().map(|b| u16::from(*b));
    let units = (first & 1 == 0).then_some(0xfeff_u16).into_iter().chain(units);
    let bytes: Vec<u8> = if first & 2 == 0 {
        units.flat_map(u16::to_le_bytes).collect()
    } else {
        units.flat_map(u16::to_be_bytes).collect()
    };
    let head = [*first, first.wrapping_mul(31)];
    split(Format::Text, &[&head[..], &bytes].concat());
}

/// What is an object before is an object after.
fn objects(input: &[u8]) {
    const KINDS: [(&str, &str); 8] = [
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("v1", "Event"),
        ("apps/v1", "Deployment"),
        ("v1", "List"),
        ("authentication.k8s.io/v1", "TokenReview"),
        ("example.com/v1", "Widget"),
    ];
    let Some((first, object)) = input.split_first() else { return };
    let (version, kind) = KINDS[usize::from(*first) % KINDS.len()];
    let mut out = Redacted::buffer();
    let mut list = redactor().objects("fuzz", version, kind);
    list.push(object, &mut out);
    list.push(b"{\"metadata\":{\"name\":\"x\"},\"data\":{\"a\":\"Zm9vYmFyYmF6\"}}", &mut out);
    list.finish(&mut out);
    let list: serde_json::Value = serde_json::from_slice(out.get()).expect("a list is JSON");
    assert!(list["items"].as_array().is_some_and(|items| items.len() <= 2), "an object became more than one");
}

/// A secret beside any text leaves in every encoding of it.
fn decoders(input: &[u8]) {
    const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let Some((kind, rest)) = input.split_first() else { return };
    let plain: String = rest
        .iter()
        .map(|b| char::from(*b))
        .filter(|c| c.is_ascii_alphanumeric() || " .:\n".contains(*c))
        .take(4_096)
        .collect();
    let plain = format!("some words in front {plain} {SECRET} and behind");
    let encoded = match kind % 6 {
        0 => STANDARD.encode(&plain),
        1 => URL_SAFE_NO_PAD.encode(&plain),
        2 => plain.bytes().map(|b| format!("{b:02x}")).collect(),
        3 => plain.bytes().map(|b| format!("%{b:02X}")).collect(),
        4 => plain.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        _ => plain.bytes().flat_map(|b| [char::from(b), '\0']).collect(),
    };
    let Ok(clean) = redactor().bytes("fuzz", Format::Text, encoded.as_bytes()) else { return };
    let clean = clean.into_inner();
    assert!(clean != encoded.as_bytes(), "nothing was found in the encoding");
    assert!(!clean.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "the secret is there");
}

/// A rule file of any content is accepted or refused, never more.
fn rule_loader(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    if std::fs::write(dir.path().join("fuzz.toml"), text).is_err() {
        return;
    }
    // What cannot be read does not have to be compiled together with the rest.
    if casefile::redact::load_dir(dir.path()).is_err() {
        return;
    }
    if let Ok(redactor) = Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_rules(dir.path()).build() {
        let _ = redactor.text("password=abc ghp_0123 https://u:p@h \"name\":\"x\"");
    }
}

/// Any bytes as an archive: every listed file can be read to its end or gives an error.
fn bundle_reader(input: &[u8]) {
    let limits = Limits { total: 64 << 20, entry: 16 << 20, ..Limits::default() };
    let mut stored = Vec::new();
    let _ = flate2::bufread::GzEncoder::new(input, flate2::Compression::none()).read_to_end(&mut stored);
    // As it is, and as the content of a gzip member, so that mutations reach the tar.
    for archive in [input.to_vec(), stored] {
        let Ok(store) = ArchiveStore::from_source(Arc::new(archive), "fuzz", limits.clone()) else { continue };
        for entry in store.entries() {
            if let Ok(mut content) = store.open(&entry.path) {
                let _ = std::io::copy(&mut content.by_ref().take(32 << 20), &mut std::io::sink());
            }
        }
        let _ = store.check_index();
    }
}

/// Triage over a bundle of one file.
fn triaged(path: &str, content: &[u8]) {
    let mut store = MemStore::new();
    store.insert(path, content.to_vec());
    let (manifest, _) = manifest_of(&store, Some("kms")).expect("a bundle without a manifest has a made-up one");
    let result = triage::run(&store, &manifest).expect("a store in memory can be read");
    serde_json::to_string(&result).expect("the result is JSON");
}

/// Prometheus text.
fn facts_metrics(input: &[u8]) {
    triaged("metrics/kms/core-0.prom", input);
}

/// Output of the health check.
fn facts_health(input: &[u8]) {
    triaged("health/kms/core-0/kms-health-check.txt", input);
}

/// Events.
fn facts_events(input: &[u8]) {
    triaged(&layout::objects("", "events", Some("kms")), input);
}

/// Pods.
fn facts_pods(input: &[u8]) {
    triaged(&layout::objects("", "pods", Some("kms")), input);
}

/// A log, searched for signatures.
fn facts_logs(input: &[u8]) {
    triaged(&layout::log("kms", "core-0", "core", false), input);
}

/// Rules of triage: accepted or refused, and then evaluated.
fn triage_rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    // Rules, and behind a line of dashes signatures.
    let (rules, signatures) = text.split_once("\n---\n").unwrap_or((text, ""));
    let wrote = std::fs::write(dir.path().join("rules.toml"), rules).and_then(|()| {
        if signatures.is_empty() { Ok(()) } else { std::fs::write(dir.path().join("signatures.toml"), signatures) }
    });
    if wrote.is_err() {
        return;
    }
    let Ok(book) = Rulebook::builtin("kubernetes").with_directory(dir.path()) else { return };
    let mut store = MemStore::new();
    store.insert(
        layout::log("kms", "core-0", "core", false),
        b"ERROR connection refused\npanicked at src/main.rs\n".to_vec(),
    );
    let Ok((manifest, _)) = manifest_of(&store, Some("kms")) else { return };
    let _ = triage::run_with(&store, &manifest, &book);
}
