//! Each layer is needed: for each there is a secret that leaves when that layer alone is off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::audit::Audit;
use super::layers::Layers;
use super::{CorrelationKey, Format, Redacted, Redactor};

fn redactor(layers: Layers) -> Redactor {
    Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_layers(layers).build().unwrap()
}

/// The content of one file after all layers that are on, the sweep included.
fn finished(redactor: &Redactor, content: &Redacted<Vec<u8>>) -> String {
    let swept = redactor.sweep().map(|sweep| sweep.bytes("file", content).unwrap());
    String::from_utf8(swept.as_ref().unwrap_or(content).get().clone()).unwrap()
}

/// A file of a format.
fn file(layers: Layers, format: Format, text: &str) -> String {
    let redactor = redactor(layers);
    let content = redactor.bytes("file", format, text.as_bytes()).unwrap();
    finished(&redactor, &content)
}

/// A list of one object.
fn object(layers: Layers, text: &str) -> String {
    let redactor = redactor(layers);
    let mut out = Redacted::buffer();
    let mut stream = redactor.objects("file", "v1", "ConfigMap");
    stream.push(text.as_bytes(), &mut out);
    stream.finish(&mut out);
    finished(&redactor, &out)
}

/// Asserts that a secret stays only where all layers are on.
#[track_caller]
fn only(secret: &str, without: Layers, make: impl Fn(Layers) -> String) {
    let whole = make(Layers::ALL);
    assert!(!whole.contains(secret), "with all layers: {whole}");
    let weak = make(without);
    assert!(weak.contains(secret), "another layer finds it, too: {weak}");
}

#[test]
fn objects_are_read_by_their_fields() {
    // Too short for the decoders, and no name in sight says that it is secret.
    let data = STANDARD.encode("pwd=sunflowr");
    let text = format!(r#"{{"kind":"ConfigMap","metadata":{{"name":"a"}},"binaryData":{{"app.conf":"{data}"}}}}"#);
    only(&data, Layers { objects: false, ..Layers::ALL }, |layers| object(layers, &text));
}

#[test]
fn json_is_walked() {
    let text = "{\n \"passwords\": [\n  [\n   \"sunflower\"\n  ],\n  [\n   \"tulip\"\n  ]\n ]\n}\n";
    only("sunflower", Layers { walker: false, ..Layers::ALL }, |layers| file(layers, Format::Json, text));
}

#[test]
fn text_is_searched() {
    for text in ["login with password=sunflower now\n", "clone https://app:sunflower@git.example.com/x\n"] {
        only("sunflower", Layers { engine: false, ..Layers::ALL }, |layers| file(layers, Format::Text, text));
    }
}

#[test]
fn encodings_are_decoded() {
    let run = STANDARD.encode("the password=sunflower is set");
    let text = format!("body {run} sent\n");
    only(&run, Layers { decoding: false, ..Layers::ALL }, |layers| file(layers, Format::Text, &text));
}

#[test]
fn known_values_are_searched() {
    let text = "password=Zq8vW3rT7yU1\nconnecting with Zq8vW3rT7yU1 now\n";
    only("Zq8vW3rT7yU1", Layers { known: false, ..Layers::ALL }, |layers| file(layers, Format::Text, text));
}

#[test]
fn the_audit_finds_what_all_others_let_pass() {
    let text = "cloning with ghp_0123456789abcdefghijABCDEFGHIJ012345\n";
    let hits = |layers| Audit::new().scan("file", &mut file(layers, Format::Text, text).as_bytes()).unwrap();
    assert!(hits(Layers::ALL).is_empty());
    assert_eq!(hits(Layers { engine: false, ..Layers::ALL })[0].rule, "audit-github-token");
}

#[test]
fn what_stands_in_an_encoding_is_known_outside() {
    let value = "Zq8vW3rT7yU1";
    let text = format!("db.password={value}");
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let percent: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
    for run in [
        STANDARD.encode(format!("{{\"user\":\"app\",\"password\":\"{value}\"}}")),
        STANDARD.encode(STANDARD.encode(format!("host=db\n{text}\nport=5432\n"))),
        STANDARD.encode(format!("postgres://app:{value}@db:5432/app")),
        hex,
        percent,
    ] {
        let out = file(Layers::ALL, Format::Text, &format!("body {run} sent\nconnecting with {value} now\n"));
        assert!(!out.contains(value) && out.contains("connecting with REDACTED-"), "{run}: {out}");
    }
}

#[test]
fn values_that_look_like_words_are_found_where_they_are_meant() {
    let known = "password=hunter2\nDB_PASSWORD=correct-horse\ntoken: 3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00\n";
    let out = file(
        Layers::ALL,
        Format::Text,
        &format!(
            "{known}connecting with hunter2.\n{{\"x\":\"hunter2\"}}\nbody aHVudGVyMg== sent\n\
             login as app/correct-horse or correct-horse failed\npod correct-horse is ready\n\
             image registry/hunter2:1.0 on hunter2.example.com\nid 3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00\n"
        ),
    );
    for gone in ["with hunter2", "\"hunter2\"", "aHVudGVyMg", "or correct-horse", "3f0b1c9e"] {
        assert!(!out.contains(gone), "{gone}: {out}");
    }
    // Names of machines and pods stay.
    for stays in ["pod correct-horse is ready", "registry/hunter2:1.0", "hunter2.example.com"] {
        assert!(out.contains(stays), "{stays}: {out}");
    }
}
