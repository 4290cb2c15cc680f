//! What parsed before parses after, with the same names in the same places: a property for each format.
//!
//! JSON and YAML have theirs in `redact_properties`, with random trees.

use casefile::redact::Format;
use proptest::prelude::*;

use super::redact_properties::{config, json};
use super::redaction::{keys, text};

const NAMES: [&str; 14] = [
    "password",
    "db.password",
    "DB_PASSWORD",
    "token",
    "apiKey",
    "name",
    "value",
    "client-secret",
    "url",
    "private_key",
    "authorization",
    "cookie",
    "note",
    "tokens_used",
];

const VALUES: [&str; 20] = [
    "Hunter2xyz",
    "a b c",
    "12345678",
    "",
    "it's",
    "x=y; z",
    "say \"hi\"",
    "postgres://u:p4ssW0rd@h/db?x=1",
    "Bearer abcDEF123456",
    "sid=abcDEF12345; lang=en",
    "AKIAQWERTYUIOPASDFGH",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.abcdef",
    "{\"password\":\"in\\\"ner1\"}",
    "${X}",
    "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----",
    "cGFzc3dvcmQ9SHVudGVyMnh5enp5",
    "# no comment",
    "[a, b]",
    "password=Hunter2xyz",
];

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(NAMES.to_vec())
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(VALUES.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,16}",
    ]
}

/// A value of one line: for some readers a backslash at its end goes on in the next one, and so does an open quote.
fn line_value() -> impl Strategy<Value = String> {
    value().prop_map(|v| v.trim_start_matches(['"', '\'', '`']).trim_end_matches('\\').to_owned())
}

/// Without nulls, which TOML does not have, and with numbers that fit.
fn plain(value: &serde_json::Value) -> Option<toml::Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(b) => (*b).into(),
        serde_json::Value::Number(n) => n.as_i64()?.into(),
        serde_json::Value::String(s) => s.clone().into(),
        serde_json::Value::Array(items) => items.iter().filter_map(plain).collect::<Vec<_>>().into(),
        serde_json::Value::Object(map) => {
            map.iter().filter_map(|(k, v)| Some((k.clone(), plain(v)?))).collect::<toml::Table>().into()
        }
    })
}

/// Sections and names of an INI file; none when it is none.
fn ini(text: &str) -> Option<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', ';']));
    lines
        .map(|line| match line.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').map(|name| format!("[{name}]")),
            None => line.split_once('=').map(|(name, _)| name.trim().to_owned()).filter(|n| !n.is_empty()),
        })
        .collect()
}

/// Names of a dotenv file, whose quoted values may have several lines; none when it is none.
fn dotenv(text: &str) -> Option<Vec<String>> {
    let mut rest = text;
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            rest = after;
            continue;
        }
        let (name, value) = rest.split_once('=')?;
        let name = name.trim_start().trim_start_matches("export ");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            return None;
        }
        names.push(name.to_owned());
        rest = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut escaped = false;
                let close = value[1..].find(|c| {
                    let ends = c == quote && !escaped;
                    escaped = c == '\\' && !escaped && quote == '"';
                    ends
                })?;
                let behind = &value[close + 2..];
                let (line, after) = behind.split_once('\n').unwrap_or((behind, ""));
                if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                    return None;
                }
                after
            }
            _ => value.split_once('\n').map_or("", |(_, after)| after),
        };
    }
    Some(names)
}

/// Names of a properties file.
fn properties(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        names.push(line.split(['=', ':', ' ']).next().unwrap_or_default().to_owned());
        let mut last = line;
        while last.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            let Some(next) = lines.next() else { break };
            last = next;
        }
    }
    names
}

/// Elements and attributes of an XML document in their order; none when it is not well-formed.
fn xml(text: &str) -> Option<Vec<String>> {
    let (mut rest, mut open, mut seen) = (text, Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        if rest[..at].contains("&") && !entities(&rest[..at]) {
            return None;
        }
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->")?.1;
        } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
            rest = data.split_once("]]>")?.1;
        } else if let Some(end) = rest.strip_prefix("</") {
            let (name, after) = end.split_once('>')?;
            (open.pop()? == name).then_some(())?;
            seen.push(format!("/{name}"));
            rest = after;
        } else {
            let tag = &rest[1..];
            let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
            (!name.is_empty()).then_some(())?;
            let mut inside = &tag[name.len()..];
            seen.push(name.clone());
            loop {
                inside = inside.trim_start();
                if let Some(after) = inside.strip_prefix("/>") {
                    rest = after;
                    break;
                }
                if let Some(after) = inside.strip_prefix('>') {
                    open.push(name);
                    rest = after;
                    break;
                }
                let (attribute, quoted) = inside.split_once('=')?;
                let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                let (content, after) = quoted[1..].split_once(quote)?;
                (!content.contains('<') && entities(content)).then_some(())?;
                seen.push(format!("@{attribute}"));
                inside = after;
            }
        }
    }
    (open.is_empty() && rest.trim().is_empty()).then_some(seen)
}

/// Whether each `&` begins an entity.
fn entities(text: &str) -> bool {
    text.split('&')
        .skip(1)
        .all(|e| e.split_once(';').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A document of elements with attributes, texts, CDATA and comments.
fn element() -> impl Strategy<Value = String> {
    let tag = || name();
    let leaf = (tag(), value(), 0..5).prop_map(|(tag, value, form)| match form {
        0 => format!("<{tag}>{}</{tag}>", escaped(&value)),
        1 => format!("<add key=\"{tag}\" value=\"{}\"/>", escaped(&value)),
        2 => format!("<entry {tag}='{}' other=\"x\" />", escaped(&value)),
        3 => format!("<{tag}><![CDATA[{}]]></{tag}>", value.replace("]]>", "")),
        _ => format!("<!-- {} --><{tag}>\n  {}\n</{tag}>", value.replace('-', ""), escaped(&value)),
    });
    leaf.prop_recursive(3, 16, 4, move |inner| {
        (tag(), proptest::collection::vec(inner, 0..4), any::<bool>()).prop_map(|(tag, inner, lines)| {
            let end = if lines { "\n" } else { "" };
            format!("<{tag}>{end}{}{end}</{tag}>", inner.join(end))
        })
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ndjson_keeps_its_lines_and_keys(values in proptest::collection::vec(json(), 1..6)) {
        let input: String = values.iter().map(|v| format!("{v}\n")).collect();
        // Lists in the data of a Secret, which it cannot have, are replaced as a whole in a text.
        let secrets = input.contains("\"Secret\"") && input.contains("\"data\"");
        for format in [Format::Json, Format::Text].into_iter().take(if secrets { 1 } else { 2 }) {
            let out = text(format, &input);
            let parsed: Result<Vec<serde_json::Value>, _> = out.lines().map(serde_json::from_str).collect();
            prop_assert!(parsed.is_ok(), "{format:?}\n{input}\n{out}");
            let shape = |values: &[serde_json::Value]| values.iter().map(keys).collect::<Vec<_>>();
            prop_assert_eq!(shape(&parsed.unwrap()), shape(&values), "{}\n{}", input, out);
        }
    }

    #[test]
    fn toml_stays_toml_with_the_same_keys(value in json(), pretty in any::<bool>()) {
        let Some(table) = plain(&serde_json::json!({"a": value, "password": "Hunter2xyz"})) else { return Ok(()) };
        let written = if pretty { toml::to_string_pretty(&table) } else { toml::to_string(&table) };
        let Ok(input) = written else { return Ok(()) };
        let out = text(Format::Toml, &input);
        let parsed = out.parse::<toml::Table>();
        prop_assert!(parsed.is_ok(), "{input}\n{out}");
        let shape = |table: &toml::Table| keys(&serde_json::to_value(table).unwrap());
        prop_assert_eq!(shape(&parsed.unwrap()), shape(&input.parse().unwrap()), "{}\n{}", input, out);
    }

    #[test]
    fn ini_keeps_its_sections_and_names(entries in proptest::collection::vec((name(), line_value(), 0..6), 1..8)) {
        let input: String = entries.iter().map(|(name, value, form)| match form {
            0 => format!("[{name}]\n"),
            1 => format!("; {value}\n{name}={value}\n"),
            2 => format!("{name} = {value}\n"),
            3 => format!("{name}=\"{}\"\n", value.replace('"', "")),
            4 => format!("  {name} = {value} ; comment\n"),
            _ => format!("{name} =\n"),
        }).collect();
        let before = ini(&input);
        prop_assert!(before.is_some(), "{input}");
        let out = text(Format::Env, &input);
        prop_assert_eq!(ini(&out), before, "{}\n{}", input, out);
    }

    #[test]
    fn dotenv_keeps_its_names(entries in proptest::collection::vec((name(), line_value(), 0..6), 1..8)) {
        let input: String = entries.iter().map(|(name, value, form)| {
            let bare = value.replace(['"', '\''], "");
            match form {
                0 => format!("# {value}\n{name}={bare}\n"),
                1 => format!("export {name}=\"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\"")),
                2 => format!("{name}='{}'\n", value.replace('\'', "")),
                3 => format!("{name}=\"{bare}\" # {bare}\n"),
                4 => format!("{name}=\"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n-----END PRIVATE KEY-----\n\"\n"),
                _ => format!("{name}=\n\n"),
            }
        }).collect();
        let Some(before) = dotenv(&input) else { return Ok(()) };
        let out = text(Format::Env, &input);
        prop_assert_eq!(dotenv(&out), Some(before), "{}\n{}", input, out);
    }

    #[test]
    fn properties_keep_their_names(entries in proptest::collection::vec((name(), line_value(), 0..6), 1..8)) {
        let input: String = entries.iter().map(|(name, value, form)| match form {
            0 => format!("! {value}\n{name}={value}\n"),
            1 => format!("{name}: {value}\n"),
            2 => format!("{name} = {value}\n"),
            3 => format!("  {name}={}\\\n    {value}\n", value.trim_end_matches('\\')),
            4 => format!("{name}={}\n", value.replace(':', "\\:").replace('=', "\\=")),
            _ => format!("{name}=\n"),
        }).collect();
        let out = text(Format::Env, &input);
        prop_assert_eq!(properties(&out), properties(&input), "{}\n{}", input, out);
    }

    #[test]
    fn xml_keeps_its_elements_and_attributes(inner in proptest::collection::vec(element(), 1..4), lines in any::<bool>()) {
        let end = if lines { "\n" } else { "" };
        let input = format!("<?root?>{end}{}{end}</root>\n", inner.join(end)).replace("<?root?>", "<root>");
        let before = xml(&input);
        prop_assert!(before.is_some(), "{input}");
        let out = text(Format::Text, &input);
        prop_assert_eq!(xml(&out), before, "{}\n{}", input, out);
    }
}

#[test]
fn the_parsers_of_this_file_refuse_what_is_broken() {
    for broken in ["<a>", "<a></b>", "<a x=1/>", "<a>&</a>", "<a x=\"<\"/>", "<a/>text"] {
        assert_eq!(xml(broken), None, "{broken}");
    }
    assert_eq!(xml("<a x='1'><b/>&lt;</a>"), Some(["a", "@x", "b", "/a"].map(str::to_owned).to_vec()));
    assert_eq!(ini("a\n"), None);
    assert_eq!(dotenv("A=\"x\nB=1\n"), None);
    assert_eq!(dotenv("A=\"x\ny\"\nB='1' # c\n"), Some(vec!["A".to_owned(), "B".to_owned()]));
    assert_eq!(properties("a=b\\\nc=d\n# e\nf: g\n"), ["a", "f"]);
}
