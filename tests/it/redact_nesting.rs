//! Nesting of 10,000 levels in every structured format: a result or a refusal, never a crash, and never the secret.

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

const DEPTH: usize = 10_000;
const SECRET: &str = "Hunter2xyz9Q";

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

/// The name of each shape, its format and its text with a secret at the bottom.
fn shapes() -> Vec<(&'static str, Format, String)> {
    let around = |open: &str, inner: String, close: &str| open.repeat(DEPTH) + &inner + &close.repeat(DEPTH);
    let json = format!(r#"{{"password":"{SECRET}"}}"#);
    let indented: String = (0..DEPTH / 10).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let blank = " ".repeat(DEPTH / 10);
    let keys = vec!["a"; DEPTH].join(".");
    vec![
        ("JSON objects", Format::Json, around(r#"{"a":"#, json.clone(), "}")),
        ("JSON lists", Format::Json, around("[", json.clone(), "]")),
        ("JSON that never ends", Format::Json, r#"{"a":["#.repeat(DEPTH) + &json),
        ("YAML flow", Format::Yaml, around("{a: ", format!("{{password: {SECRET}}}"), "}")),
        ("YAML lists", Format::Yaml, format!("{}password: {SECRET}\n", "- ".repeat(DEPTH))),
        ("YAML blocks", Format::Yaml, format!("{indented}{blank}password: {SECRET}\n")),
        ("TOML lists", Format::Toml, format!("a = {}\n", around("[", format!("{{ password = \"{SECRET}\" }}"), "]"))),
        ("TOML tables", Format::Toml, format!("[{keys}]\npassword = \"{SECRET}\"\n")),
        ("XML", Format::Text, around("<a>", format!("<password>{SECRET}</password>"), "</a>")),
        ("XML lines", Format::Text, around("<a>\n", format!("<password>{SECRET}</password>\n"), "</a>\n")),
        ("settings", Format::Env, format!("{keys}.password={SECRET}\n")),
    ]
}

#[test]
fn a_document_gives_a_result_or_a_refusal() {
    let redactor = redactor();
    for (name, format, text) in shapes() {
        for step in [text.len(), 4_093] {
            let mut out = Redacted::buffer();
            let mut stream = redactor.stream(name, format);
            let pushed = text.as_bytes().chunks(step).try_for_each(|chunk| stream.push(chunk, &mut out));
            let result = pushed.and_then(|()| stream.finish(&mut out));
            let out = String::from_utf8_lossy(out.get());
            assert!(!out.contains(SECRET), "{name} shows the secret");
            match result {
                Ok(()) => assert!(out.contains("REDACTED-password-") && out.len() < text.len() + 1_000, "{name}"),
                Err(error) => assert!(error.to_string().contains("nested deeper"), "{name}: {error}"),
            }
        }
    }
}

#[test]
fn the_same_inside_of_an_object() {
    let redactor = redactor();
    for (name, _, text) in shapes() {
        let file = format!("a.{}", name.split(' ').next().unwrap().to_lowercase());
        let map = serde_json::json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {file: text}});
        let note = serde_json::json!({"kind": "Pod", "metadata": {"annotations": {"a": text}}});
        let mut out = Redacted::buffer();
        let mut list = redactor.objects("a.json", "v1", "Thing");
        for object in [map.to_string(), note.to_string(), r#"{"metadata":"#.repeat(DEPTH)] {
            list.push(object.as_bytes(), &mut out);
        }
        list.finish(&mut out);
        assert!(!String::from_utf8_lossy(out.get()).contains(SECRET), "{name} shows the secret");
        let read: serde_json::Value = serde_json::from_slice(out.get()).unwrap();
        assert_eq!(read["items"].as_array().unwrap().len(), 3, "{name}");
        assert!(read["items"][2]["casefileStub"].is_string());
    }
}
