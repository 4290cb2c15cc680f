//! Settings in the formats that are read by their own marks: HCL, shells, XML.

use casefile::redact::{CorrelationKey, Format, Redactor};

fn redact(text: &str) -> String {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    String::from_utf8(redactor.bytes("file", Format::Text, text.as_bytes()).unwrap().into_inner()).unwrap()
}

/// In pieces of some bytes, as a stream gets them.
fn in_pieces(text: &str, size: usize) -> String {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let mut stream = redactor.stream("file", Format::Text);
    let mut out = casefile::redact::Redacted::buffer();
    for piece in text.as_bytes().chunks(size) {
        stream.push(piece, &mut out).unwrap();
    }
    stream.finish(&mut out).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

/// `{}` in a document stands for a secret. All of them leave, everything else stays, in pieces as in one.
#[track_caller]
fn only_secrets_leave(document: &str) {
    let parts: Vec<&str> = document.split("{}").collect();
    let secrets: Vec<String> = (1..parts.len()).map(|i| format!("Zx81mossLantern{i:02}")).collect();
    let mut text = parts[0].to_owned();
    for (secret, part) in secrets.iter().zip(&parts[1..]) {
        text.push_str(secret);
        text.push_str(part);
    }
    let out = redact(&text);
    let mut rest = out.as_str();
    for (i, part) in parts.iter().enumerate() {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is gone:\n{out}"));
        assert!(i > 0 || at == 0, "{out}");
        let between = &rest[..at];
        assert!(
            i == 0 || between.starts_with("REDACTED-") && !between.contains(['\n', '<', ' ']),
            "{between:?} in\n{out}"
        );
        rest = &rest[at + part.len()..];
    }
    assert!(rest.is_empty(), "{rest:?} behind\n{out}");
    for secret in &secrets {
        assert!(!out.contains(secret.as_str()), "{secret} in\n{out}");
    }
    assert_eq!(redact(&out), out, "a second pass");
    for size in [1, 7, 64] {
        assert_eq!(in_pieces(&text, size), out, "in pieces of {size}");
    }
}

#[test]
fn hcl_texts_and_variables() {
    only_secrets_leave("secret_key = <<EOF\n{}\nEOF\nname = \"keep\"\n");
    only_secrets_leave("  password = <<-END\n      {}\n    END\nname = <<END\nkeep\nEND\n");
    only_secrets_leave("export DB_PASSWORD=$(cat <<'EOF'\n{}\nEOF\n)\necho keep\n");
    only_secrets_leave(
        "variable \"db_password\" {\n  type    = string\n  default = \"{}\"\n}\nvariable \"region\" {\n  default = \"eu-west-1\"\n}\n",
    );
    only_secrets_leave("variable \"api_token\" {\n  default = <<-EOT\n    {}\n  EOT\n}\nx = 1\n");
    only_secrets_leave(
        "variable \"db_password\" { default = \"{}\" }\nvariable \"db_password_policy\" { default = \"keep this\" }\n",
    );
    only_secrets_leave("provider \"x\" {\n  token = \"{}\"\n  endpoints = [\"https://keep.example.com\"]\n}\n");
    // A text of several lines is one value; whoever leaves its end open loses the rest and nothing else.
    let out = redact("password = <<EOF\nZx81mossLantern01\nZx81mossLantern02\nEOF\nkeep = 1\n");
    assert!(!out.contains("Zx81") && out.ends_with("\nEOF\nkeep = 1\n"), "{out}");
    let out = redact("password = <<EOF\nZx81mossLantern01\nmore Zx81mossLantern02\n");
    assert!(!out.contains("Zx81"), "{out}");
    // No words that end a text.
    for text in ["password=<<0\nlevel=1\n", "password = << 12\nkeep\n"] {
        assert!(redact(text).ends_with(text.split_once('\n').unwrap().1), "{}", redact(text));
    }
    let long = format!("password = <<EOF\n{}EOF\nkeep = 1\n", "Zx81mossLantern01 and more of it\n".repeat(10_000));
    let out = redact(&long);
    assert!(!out.contains("Zx81") && out.ends_with("EOF\nkeep = 1\n"), "{}", &out[..out.len().min(400)]);
    assert_eq!(in_pieces(&long, 4_096), out);
}

#[test]
fn xml_elements_attributes_and_pairs() {
    only_secrets_leave("<db><password>{}</password><host>keep</host></db>\n");
    only_secrets_leave("<password>\n  {}\n</password>\n<host>\n  keep\n</host>\n");
    only_secrets_leave("<ns:password xsi:type=\"x\">{}</ns:password>\n<Password encrypted=\"false\">{}</Password>\n");
    only_secrets_leave("<password><![CDATA[{}]]></password>\n<note><![CDATA[keep]]></note>\n");
    only_secrets_leave("<Resource name=\"jdbc/x\" username=\"u\" password=\"{}\" url=\"jdbc:x://keep\"/>\n");
    only_secrets_leave(
        "<password value=\"{}\"/>\n<add key=\"Password\" value=\"{}\" />\n<add key=\"Host\" value=\"keep\" />\n",
    );
    only_secrets_leave(
        "<property name=\"connection.password\">{}</property>\n<property name=\"region\">keep</property>\n",
    );
    only_secrets_leave("<property name=\"connection.password\"\n   value=\"{}\"/>\n");
    only_secrets_leave("<property><name>db.password</name><value>{}</value></property>\n");
    only_secrets_leave(
        "<property>\n  <name>fs.s3a.secret.key</name>\n  <description>what for</description>\n  <final>true</final>\n  <value>{}</value>\n</property>\n<property>\n  <name>fs.region</name>\n  <value>keep</value>\n</property>\n",
    );
    only_secrets_leave(
        "<dict>\n<key>password</key>\n<string>{}</string>\n<key>host</key>\n<string>keep</string>\n</dict>\n",
    );
    only_secrets_leave("<string name=\"api_secret\">{}</string>\n");
    // What only looks like it stays.
    for text in [
        "use <your-token> in front of it\n",
        "<password>\n\n<host>keep</host>\n",
        "<name>db.password</name>\n</property>\n<value>keep</value>\n",
        "<name>db.password.policy</name><value>keep</value>\n",
        "<password/><host>keep</host>\n",
        "<name>db.password</name>\n",
        "if a <password> b then\n",
    ] {
        assert_eq!(redact(text), text);
        assert_eq!(in_pieces(text, 1), text);
    }
}

#[test]
fn statements_and_calls() {
    only_secrets_leave("INSERT INTO users (name, password) VALUES ('keep', '{}');\n");
    only_secrets_leave(
        "STATEMENT:  insert into app.users (id, \"api_token\", name) values (1, '{}', 'keep, this'), (2, '{}', 'it''s (kept)')\n",
    );
    only_secrets_leave("INSERT INTO users (password, at) VALUES ('{}', now()) RETURNING id\n");
    only_secrets_leave("client.setPassword(\"{}\");\n");
    only_secrets_leave("Builder::new().with_token('{}').user(\"keep\")\n");
    only_secrets_leave("Credentials { user: \"keep\", secret: Password(\"{}\") }\n");
    for text in [
        "INSERT INTO users (name, password) VALUES ($1, $2)\n",
        "SELECT name, password FROM users WHERE name IN ('a', 'b')\n",
        "INSERT INTO rules (name, password_policy) VALUES ('a', 'at least twelve')\n",
        "getPassword(\"database\")\nresolveSecret(\"database-credentials\")\nsetPasswordPolicy(\"strict\")\n",
        "INSERT INTO users (name, password\n",
    ] {
        assert_eq!(redact(text), text);
        assert_eq!(in_pieces(text, 1), text);
    }
}

#[test]
fn lists_and_pairs_over_lines_outside_of_whole_documents() {
    // A part of a document, or one in a log: nothing but the lines themselves is at hand.
    only_secrets_leave("  \"passwords\": [\n    \"{}\",\n    \"{}\"\n  ],\n  \"hosts\": [\n    \"keep\"\n  ]\n}\n");
    only_secrets_leave("config:\n{\n  \"tokens\": [\"{}\",\n    \"{}\", \"{}\"],\n  \"hosts\": [\"keep\"]\n}\n");
    only_secrets_leave("tokens: [\n  {},\n  '{}'\n]\nhosts: [\n  keep\n]\n");
    only_secrets_leave("tokens: [{},\n  {}, {}]\nhosts: [keep]\n");
    only_secrets_leave(
        "env:\n  {\"name\": \"API_TOKEN\",\n   \"value\": \"{}\"},\n  {\"name\": \"LEVEL\",\n   \"value\": \"keep\"}\n",
    );
    only_secrets_leave(
        "  {\"value\": \"{}\",\n   \"name\": \"API_TOKEN\"},\n  {\"value\": \"keep\",\n   \"name\": \"LEVEL\"}\n",
    );
    for text in [
        "token: [\nnext line of a log that is no item\n",
        "secrets: [\n  {\"name\": \"keep\"}\n]\n",
        "\"hosts\": [\n  \"keep\"\n]\n",
        "token=[\nlevel=info\n",
    ] {
        assert_eq!(redact(text), text);
        assert_eq!(in_pieces(text, 1), text);
    }
    let long = format!("\"passwords\": [\n{}]\nkeep\n", "  \"Zx81mossLantern01\",\n".repeat(10_000));
    let out = redact(&long);
    assert!(!out.contains("Zx81") && out.ends_with("]\nkeep\n"), "{}", &out[out.len().saturating_sub(200)..]);
    assert_eq!(in_pieces(&long, 4_096), out);
}

/// What a fuzzer has found, made short: the document stays one, and nothing secret stays in it.
#[test]
fn documents_stay_documents() {
    let redactor = || Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let clean = |format, text: &str| {
        let out = redactor().bytes("a", format, text.as_bytes()).unwrap().into_inner();
        let again = redactor().bytes("a", format, &out).unwrap().into_inner();
        assert_eq!(again, out, "{text}");
        String::from_utf8(out).unwrap()
    };
    for text in [
        r#"{"Enter password:": "a1b2c3d4"}"#,
        r#"{"Password:": true}"#,
        r#"{"password=": "x1y2z3"}"#,
        r#"[{"token:": "a1b2c3d4e5f6a7b8"}]"#,
        r#"{"a":{"password:":{"b":1}}}"#,
        r#"{"log": "password: [a1b2c3d4\""}"#,
        r#"{"log":"level=info msg=\"password: [a1b2c3d4\""}"#,
        r#"{"log": "{\"n\": \"Xpassword: [a1b2c3d4,x43a\"}"}"#,
    ] {
        let out = clean(Format::Json, text);
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{text}\n{out}");
        assert!(!out.contains("1b2c3d4") && !out.contains("x1y2"), "{text}\n{out}");
        let line = clean(Format::Text, &format!("{text}\n"));
        assert!(!line.contains("1b2c3d4") && !line.contains("x1y2"), "{text}\n{line}");
    }
    for text in [
        "note = \"password: [666f0b59]\"\n".to_owned(),
        "note = \"password=[12345678]\"\n".to_owned(),
        "a = { b = \"password: [12345678]\" }\n".to_owned(),
        "note = \"x password: [abcD1234\" # see b\nq=1\n".to_owned(),
        "note = \"password: [a1b2c3d4,Ta5tayBCc3\"#\n".to_owned(),
        format!("env = \"{}\"\n", "password=a_".repeat(60)),
        format!("env = \"{}\"\n", "data: { ".repeat(60)),
        format!("env = \"{}\"\n", "{Name:DB_PASSWORD Value:".repeat(60)),
        format!("env = \"{}\"\n", "password: [x token=".repeat(60)),
    ] {
        let out = clean(Format::Toml, &text);
        assert!(out.parse::<toml::Table>().is_ok(), "{text}\n{out}");
        for secret in ["666f0b59", "12345678", "abcD1234", "a1b2c3d4", "Ta5tay"] {
            assert!(!out.contains(secret), "{text}\n{out}");
        }
    }
}

/// A page in the string of a log: many names of pairs, none of which has braces around it, and signs in every encoding.
#[test]
fn long_lines_that_nobody_wrote_to_be_slow_stay() {
    for names in [1, 10, 100, 1_000] {
        let page = "\\u003cdiv class=\\\"b\\\" data-key=\\\"password\\\"\\u003equick dog value key \\u0026quot;author\\u0026quot; \
            \\u003ca href=\\\"https://example.com/a?b=%22c%22\\u0026d=token\\\"\\u003eprivate data\\u003c/div\\u003e\\n"
            .repeat(names);
        for start in ["", "2026-11-22T00:00:00Z INFO "] {
            let line = format!("{start}{{\"level\":\"info\",\"msg\":\"{page}\"}}\n");
            assert_eq!(redact(&line), line, "{names}");
        }
    }
}

/// What stands on other lines, and where pushes end, is nothing to a line.
#[test]
fn a_line_costs_the_same_behind_any_others() {
    let line = "{Name:DB_PASSWORD Value:a1B2c3D4} {Name:LOG_LEVEL Value:info} and {Name:DB_PASSWORD Value:a1B2c3D4} this stays\n";
    let many: String = (0..2_000).map(|n| format!("password=a1B2c3D4e5{n}\n")).collect();
    let out = redact(&(many.clone() + line));
    assert!(out.ends_with(&redact(line)) && out.ends_with(" this stays\n"), "{}", out.lines().last().unwrap());
    for size in [1_000, many.len()] {
        assert_eq!(in_pieces(&(many.clone() + line), size), out);
    }
    // What an encoding on it stands for costs as much as if it stood there itself.
    let nested = "mysqladmin -mariadb -rwcommunity &quot;mysqladmin -\\u0070 %41KIAQWERTYUIOPASDFGH ".repeat(600);
    let heavy = format!("{nested}password=Hunter2xQ9zTr4\n");
    let light = "a %41KIAQWERTYUIOPASDFGH &quot;password&quot;:&quot;Hunter2xQ9zTr4&quot; this stays\n";
    for lines in [format!("{heavy}{light}"), format!("{light}{heavy}{light}"), format!("{many}{heavy}{light}")] {
        let out = redact(&lines);
        assert!(!out.contains("Hunter2") && !out.contains("KIAQ"), "{out}");
        assert!(out.ends_with(&redact(light)) && out.ends_with(" this stays\n"), "{}", out.lines().last().unwrap());
        for size in [1, 5_000, 70_000] {
            assert_eq!(in_pieces(&lines, size), out);
        }
    }
}
