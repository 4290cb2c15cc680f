//! The redaction engine as a whole: nothing secret leaves, everything useful stays.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor, expand};
use proptest::prelude::*;

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

fn redact(format: Format, text: &[u8]) -> Vec<u8> {
    redactor().bytes("file", format, text).unwrap().into_inner()
}

fn text(format: Format, input: &str) -> String {
    String::from_utf8(redact(format, input.as_bytes())).unwrap()
}

/// Redacts and checks that a secret is gone and that a second pass changes nothing.
#[track_caller]
fn gone(format: Format, input: &str, secret: &str) -> String {
    let out = text(format, input);
    assert!(!leaks(&out, secret), "{secret:?} leaked\n in: {input}\nout: {out}");
    assert!(out.contains("REDACTED-"), "nothing was replaced\n in: {input}\nout: {out}");
    assert_eq!(text(format, &out), out, "not idempotent for {input}");
    out
}

/// Whether eight bytes in a row (or all of a shorter secret) are still there.
fn leaks(out: &str, secret: &str) -> bool {
    let secret = secret.as_bytes();
    let width = secret.len().min(8);
    secret.windows(width).any(|w| memmem(out.as_bytes(), w))
}

fn memmem(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|w| w == needle)
}

#[track_caller]
fn stays(format: Format, input: &str) {
    assert_eq!(text(format, input), input);
}

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\nNMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ\nq83rTsxJ1Q==\n-----END PRIVATE KEY-----\n";

fn pem_bodies() -> Vec<&'static str> {
    PEM.lines().filter(|l| !l.contains("-----")).collect()
}

#[track_caller]
fn pem_gone(format: Format, input: &str) -> String {
    let out = text(format, input);
    for line in pem_bodies() {
        assert!(!leaks(&out, line), "key material leaked\n in: {input}\nout: {out}");
    }
    assert!(out.contains("REDACTED-private-key-"), "{out}");
    assert_eq!(text(format, &out), out, "not idempotent");
    out
}

fn id_of(out: &str) -> String {
    let at = out.find("REDACTED-").unwrap();
    let token: String = out[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    token.rsplit('-').next().unwrap().to_owned()
}

// ---- known traps -----------------------------------------------------------------------------------------------

#[test]
fn trap_access_key_behind_an_escaped_line_end() {
    gone(Format::Text, r#"{"msg":"line\nAKIAQWERTYUIOPASDFGH done"}"#, "AKIAQWERTYUIOPASDFGH");
}

#[test]
fn trap_access_key_behind_underscore_percent_and_colour() {
    for input in ["x_AKIAQWERTYUIOPASDFGH", "key%3DAKIAQWERTYUIOPASDFGH&x=1", "\x1b[32mAKIAQWERTYUIOPASDFGH\x1b[0m"] {
        gone(Format::Text, input, "AKIAQWERTYUIOPASDFGH");
    }
}

#[test]
fn trap_pem_in_lines() {
    let out = pem_gone(Format::Text, &format!("before\n{PEM}after\n"));
    assert!(out.starts_with("before\n-----BEGIN PRIVATE KEY-----\nREDACTED-private-key-"), "{out}");
    assert!(out.ends_with("\n-----END PRIVATE KEY-----\nafter\n"), "{out}");
}

#[test]
fn trap_pem_with_literal_escapes_once_and_twice() {
    let once = PEM.trim_end().replace('\n', "\\n");
    let out = pem_gone(Format::Text, &format!("DEBUG: SETTINGS: CoreConfig {{ key: Pem(\"{once}\") }}"));
    assert!(out.contains("-----BEGIN PRIVATE KEY-----\\nREDACTED-private-key-"), "{out}");
    assert!(out.contains("\\n-----END PRIVATE KEY-----\")"), "{out}");
    let twice = PEM.replace('\n', "\\\\n");
    pem_gone(Format::Text, &format!("{{\"log\":\"{{\\\"key\\\":\\\"{twice}\\\"}}\"}}"));
}

#[test]
fn trap_pem_in_a_block_scalar() {
    let body: String = PEM.lines().map(|l| format!("    {l}\n")).collect();
    let input = format!("tls:\n  key: |\n{body}  cert: x\n");
    for format in [Format::Yaml, Format::Text] {
        let out = pem_gone(format, &input);
        assert!(out.contains("    -----END PRIVATE KEY-----\n  cert: x\n"), "{out}");
    }
}

#[test]
fn trap_pem_in_base64_of_three_alignments() {
    let mut ids = Vec::new();
    for lead in ["", "x", "xy"] {
        let encoded = STANDARD.encode(format!("{lead}{PEM}"));
        let out = text(Format::Text, &format!("data {encoded} end\n"));
        assert!(!leaks(&out, &encoded), "{out}");
        ids.push(id_of(&out));
    }
    assert_eq!(ids[0], id_of(&text(Format::Text, PEM)));
    assert!(ids.iter().all(|i| *i == ids[0]), "{ids:?}");
}

#[test]
fn trap_pem_in_wrapped_base64() {
    let encoded = STANDARD.encode(PEM);
    let wrapped: Vec<&str> = encoded.as_bytes().chunks(76).map(|c| std::str::from_utf8(c).unwrap()).collect();
    let out = text(Format::Text, &format!("key follows\n{}\ndone here\n", wrapped.join("\n")));
    assert!(wrapped.iter().all(|line| !leaks(&out, line)), "{out}");
    assert!(out.ends_with("\ndone here\n"), "{out}");
}

#[test]
fn trap_pem_with_a_log_prefix_on_each_line() {
    let lines: Vec<String> = PEM.lines().enumerate().map(|(i, l)| format!("2026-11-21T10:00:0{i}.123Z stdout F {l}")).collect();
    let out = pem_gone(Format::Text, &format!("{}\n2026-11-21T10:00:09.123Z stdout F ready to serve\n", lines.join("\n")));
    assert!(out.contains("ready to serve"), "{out}");
}

#[test]
fn trap_truncated_pem() {
    let cut = PEM.split("-----END").next().unwrap();
    let out = pem_gone(Format::Text, &format!("{cut}INFO the next line is no key\n"));
    assert!(out.contains("INFO the next line is no key"), "{out}");
    pem_gone(Format::Text, &cut[..cut.len() - 30]);
}

#[test]
fn trap_wallet_key_and_request_id_have_one_shape() {
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    gone(Format::Text, &format!("KMS_CONNECTOR_PRIVATE_KEY=0x{hex}"), hex);
    stays(Format::Text, &format!("request_id={hex} context_id=0x{hex} epoch_id: {hex}"));
}

#[test]
fn trap_names_that_look_sensitive() {
    for line in [
        "root_key_id = \"alias/kms\"",
        "root_key_spec = \"symm\"",
        "[private_vault.keychain.aws_kms]",
        "[backup_vault.keychain.secret_sharing]",
        "keyspace=orders table=raw",
        "monkey=see level=info",
        "primary_key=id",
        "tokens_used=5 max_tokens=4096",
        "secretName: my-tls",
        "--token-file /var/run/secrets/token",
        "--tls-private-key-file=/etc/tls/tls.key",
        "password_policy: strict",
        "password authentication failed for user \"x\"",
        "bearer token refresh failed",
        "secrets=42",
        "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/kms",
        "KMS_KEY_ID=3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00",
        "nextPageToken=CAUQAA",
        "token_type=Bearer expires_in=3600",
        "POSTGRES_PASSWORD=${DB_PASSWORD}",
        "password: {{ .Values.password }}",
        "password: null",
        "password: \"\"",
        "password=***",
        "author=jane authority=ca",
        "key.path = \"/certs/tls.key\"",
        "web_identity_token_port = 50100",
        "operation=\"keygen_request\" kms_fhe_key_cache_size 3",
        "PublicKey ServerKey VerfKey SigningKey FhePrivateKey",
        "verification_address: 0x52908400098527886E0F7030069857D2E4169EE7",
        "public_key_hex=04a1b2c3d4e5f60718293a4b5c6d7e8f",
        "https://h.example.com:8443/p@q",
        "git@github.com:acme/app.git",
        "user@sha256:abc",
        "f:password: {}",
        "resources: [\"secrets\"] verbs: [\"get\"]",
        "image: r.example.com/a@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "uid: 3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00 resourceVersion: \"123456\"",
        "commit 356a192b7913b04c54574d18c28d46e6395428ab",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd4kW0t2l0mDq3l1o3l1o3l1o3l1o3l1o3l1o3l1o3l user@host",
        "Caches populated secret=\"kube-system/bootstrap\"",
        "golang.org/x/net v0.1.0 h1:hZ/3BUoy5aId7sCpA/Tc5lt8DkFgdVS2onTpJsZ/fl0=",
        "/registry/secrets/default/my-secret",
        "pcr0: 4b4d5b3661b3efc12920900c80e126e4ce783c522de6c02a2a5bf7af3a2b9327b86776f188e4be1c1c404a129dbda493",
    ] {
        stays(Format::Text, line);
        stays(Format::Text, &format!("{line}\n"));
    }
}

#[test]
fn trap_certificates_and_public_keys_stay() {
    let certificate = PEM.replace("PRIVATE KEY", "CERTIFICATE");
    stays(Format::Text, &certificate);
    stays(Format::Text, &PEM.replace("PRIVATE KEY", "PUBLIC KEY"));
    stays(Format::Text, &STANDARD.encode(&certificate));
}

#[test]
fn trap_two_secrets_on_a_line_have_two_ids() {
    let out = text(Format::Text, "user=a password=Hunter2x other_password=Hunter3y\n");
    let ids: Vec<&str> = out.split("REDACTED-password-").skip(1).map(|r| &r[..12]).collect();
    assert_eq!(ids.len(), 2, "{out}");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn trap_one_secret_in_three_encodings_has_one_id() {
    let raw = text(Format::Text, "password=p@ss-W0rd!x");
    let percent = text(Format::Text, "GET /?password=p%40ss-W0rd!x HTTP/1.1");
    let url = text(Format::Text, "postgres://u:p%40ss-W0rd!x@h/db");
    let base64 = text(Format::Text, &format!("password: {}", STANDARD.encode("p@ss-W0rd!x")));
    let wrapped = text(Format::Text, &format!("x {}", STANDARD.encode("user=abc password=p@ss-W0rd!x")));
    for out in [&percent, &url, &base64, &wrapped] {
        assert_eq!(id_of(&raw), id_of(out), "{raw} / {out}");
    }
}

#[test]
fn trap_pairs_in_any_order_and_distance() {
    let far = "x".repeat(3_000);
    for input in [
        r#"{"name":"DB_PASSWORD","value":"S3cretValue"}"#.to_owned(),
        r#"{"value":"S3cretValue","name":"DB_PASSWORD"}"#.to_owned(),
        format!(r#"{{"value":"S3cretValue","note":"{far}","name":"DB_PASSWORD"}}"#),
        r#"{"msg":"{\"value\":\"S3cretValue\",\"name\":\"DB_PASSWORD\"}"}"#.to_owned(),
        "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"S3cretValue\"\n}\n".to_owned(),
        "- name: DB_PASSWORD\n  value: S3cretValue\n".to_owned(),
        "{Name:DB_PASSWORD Value:S3cretValue ValueFrom:nil}".to_owned(),
    ] {
        gone(Format::Text, &input, "S3cretValue");
    }
    gone(Format::Json, "{\n  \"value\": \"S3cretValue\",\n  \"x\": 1,\n  \"name\": \"DB_PASSWORD\"\n}\n", "S3cretValue");
}

#[test]
fn trap_our_own_replacement_stays_and_its_look_alike_goes() {
    let out = text(Format::Text, "password=Hunter2x");
    stays(Format::Text, &out);
    gone(Format::Text, "password=REDACTED-password-hunter2", "hunter2");
    gone(Format::Text, "password=REDACTED-nokind-abcdefghijkl", "abcdefghijkl");
}

#[test]
fn trap_invalid_utf8_and_nul_are_bytes() {
    let input = b"\xff\xfe\x80 password=Hunter2x\x00DB_TOKEN=abcDEF123456\x00HOME=/root\n\xc3\x28";
    let out = redact(Format::Text, input);
    assert!(!memmem(&out, b"Hunter2x") && !memmem(&out, b"abcDEF123456"), "{}", String::from_utf8_lossy(&out));
    assert!(out.starts_with(b"\xff\xfe\x80 password=REDACTED-") && out.ends_with(b"\x00HOME=/root\n\xc3\x28"));
}

#[test]
fn trap_long_lines_and_no_line_end() {
    let filler = r#"{"level":"info","msg":"reconciled","n":1},"#.repeat(30_000);
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for at in [0, 200_000, 229_300, 262_100, 500_001] {
        let at = filler[..at].rfind(',').map_or(0, |i| i + 1);
        let input = format!("{}{{\"password\":\"Hunter2xyz\",\"t\":\"{secret}\"}},{}", &filler[..at], &filler[at..]);
        for format in [Format::Text, Format::Json] {
            let out = text(format, &input);
            assert!(!leaks(&out, secret) && !leaks(&out, "Hunter2xyz"), "leak at {at} {format:?}");
            assert_eq!(out.matches("reconciled").count(), 30_000);
        }
    }
}

#[test]
fn trap_a_secret_longer_than_any_window() {
    let giant = "aB3".repeat(300_000);
    for format in [Format::Text, Format::Json] {
        let out = text(format, &format!("{{\"password\":\"{giant}\",\"next\":\"visible\"}}"));
        assert!(!leaks(&out, "aB3aB3aB3"), "{format:?} {}", &out[..out.len().min(300)]);
        assert!(out.ends_with("\"next\":\"visible\"}"), "{}", &out[out.len().saturating_sub(100)..]);
    }
}

// ---- carriers --------------------------------------------------------------------------------------------------

#[test]
fn settings_in_every_carrier() {
    let v = "S3cr3t-Val_ue9";
    for (format, input) in [
        (Format::Text, format!("export DB_PASSWORD={v}")),
        (Format::Text, format!("level=info password={v} user=x")),
        (Format::Text, format!("msg=\"login password={v}\" user=x")),
        (Format::Text, format!("{{\"password\":\"{v}\"}}")),
        (Format::Text, format!("{{\"msg\":\"{{\\\"password\\\":\\\"{v}\\\"}}\"}}")),
        (Format::Text, format!("{{\"a\":\"{{\\\"msg\\\":\\\"{{\\\\\\\"password\\\\\\\":\\\\\\\"{v}\\\\\\\"}}\\\"}}\"}}")),
        (Format::Text, format!("{{\\u0022password\\u0022:\\u0022{v}\\u0022}}")),
        (Format::Text, format!("{{'password': '{v}'}}")),
        (Format::Text, format!("Config {{ user: \"a\", password: \"{v}\" }}")),
        (Format::Text, format!("{{User:a Password:{v}}}")),
        (Format::Text, format!("Conf(password={v},host=x)")),
        (Format::Text, format!("app --password {v} --verbose")),
        (Format::Text, format!("app --password={v} --verbose")),
        (Format::Text, format!("[\"app\",\"--password\",\"{v}\"]")),
        (Format::Text, format!("- --password\n- {v}\n")),
        (Format::Text, format!("mysql://u:{v}@h/db")),
        (Format::Text, format!("redis://:{v}@h:6379/0")),
        (Format::Text, format!("u:{v}@tcp(h:3306)/db")),
        (Format::Text, format!("jdbc:postgresql://h/db?user=a&password={v}&ssl=true")),
        (Format::Text, format!("Server=h;User Id=a;Password={v};Encrypt=true")),
        (Format::Text, format!("host=h user=a password='{v}' dbname=x")),
        (Format::Text, format!("<password>{v}</password>")),
        (Format::Text, format!("machine h login l password {v}")),
        (Format::Text, format!("requirepass {v}")),
        (Format::Text, format!("X-Api-Key: {v}")),
        (Format::Text, format!("Cookie: theme={v}; lang={v}x")),
        (Format::Text, format!("Set-Cookie: session={v}; Path=/; HttpOnly")),
        (Format::Text, format!("Authorization: Bearer {v}")),
        (Format::Text, format!("-H 'Authorization: Bearer {v}' https://x")),
        (Format::Text, format!("map[Authorization:[Bearer {v}]]")),
        (Format::Text, format!("Authorization: Basic {}", STANDARD.encode(format!("user:{v}")))),
        (Format::Text, format!("config%3D%7B%22password%22%3A%22{v}%22%7D")),
        (Format::Text, format!("blob {}", STANDARD.encode(format!("{{\"password\":\"{v}\"}}")))),
        (Format::Yaml, format!("db:\n  password: {v} # old\n  host: h\n")),
        (Format::Yaml, format!("db: {{password: {v}, host: h}}\n")),
        (Format::Yaml, format!("password: |\n  {v}\nhost: h\n")),
        (Format::Yaml, format!("password: >-\n  one\n  {v}\nhost: h\n")),
        (Format::Yaml, format!("password: \"{v}\"\n")),
        (Format::Yaml, format!("tokens:\n- {v}\n- {v}x\nhost: h\n")),
        (Format::Toml, format!("[db]\npassword = \"{v}\"\n")),
        (Format::Toml, format!("password = \"\"\"\n{v}\nmore\n\"\"\"\n")),
        (Format::Toml, format!("tokens = [\n  \"{v}\",\n]\n")),
        (Format::Env, format!("DB_PASSWORD={v} with spaces\nHOST=h\n")),
        (Format::Env, format!("db.password = {v}\n")),
        (Format::Json, format!("{{\"credentials\":{{}},\"password\":\n  \"{v}\"}}")),
        (Format::Json, format!("{{\"tokens\":[\"{v}\"]}}")),
    ] {
        let needle = if input.contains(v) { v.to_owned() } else { STANDARD.encode(format!("user:{v}"))[8..].to_owned() };
        if input.starts_with("blob ") {
            let out = text(format, &input);
            assert!(out.starts_with("blob REDACTED-password-"), "{out}");
            continue;
        }
        gone(format, &input, &needle);
    }
}

/// Wraps a text the way it turns up in real content.
fn carry(carrier: &str, text: &str) -> (Format, String) {
    let json = |t: &str| serde_json::to_string(t).unwrap();
    match carrier {
        "raw" => (Format::Text, format!("{text}\n")),
        "env" => (Format::Env, format!("SETTING={text}\nHOME=/root\n")),
        "json" => (Format::Json, format!("{{\"a\":1,\"note\":{},\"z\":[1]}}", json(text))),
        "json-escaped" => (Format::Text, format!("{{\"log\":{}}}", json(&format!("{{\"note\":{}}}", json(&format!("see\n{text}")))))),
        "yaml" => (Format::Yaml, format!("a:\n  note: '{}'\n  b: c\n", text.replace('\'', "''"))),
        "url" => (Format::Text, format!("GET https://h.example.com/p?x=1&note={text}&y=2 200\n")),
        "header" => (Format::Text, format!("X-Note: {text}\r\nHost: h\r\n")),
        "base64" => (Format::Text, format!("blob {} end\n", STANDARD.encode(format!("see here: {text} ok")))),
        other => panic!("unknown carrier {other}"),
    }
}

#[test]
fn every_rule_redacts_its_examples_in_every_carrier() {
    let redactor = redactor();
    let mut failures = Vec::new();
    let mut cells = 0;
    for rule in redactor.rules() {
        let Some(definition) = &rule.definition else { continue };
        for example in &definition.examples {
            let example = expand(example);
            for carrier in &definition.carriers {
                cells += 1;
                let (format, input) = carry(carrier, &example.text);
                let out = text(format, &input);
                let leaked = example.secrets.iter().filter(|s| s.len() >= 8).any(|s| leaks(&out, s));
                if leaked || !out.contains("REDACTED-") {
                    failures.push(format!("{} in {carrier}: {input:?} -> {out:?}", rule.id));
                } else if text(format, &out) != out {
                    failures.push(format!("{} in {carrier} is not idempotent: {out:?}", rule.id));
                } else if format == Format::Json && serde_json::from_str::<serde_json::Value>(&out).is_err() {
                    failures.push(format!("{} in {carrier} breaks JSON: {out:?}", rule.id));
                }
            }
        }
        for clean in &definition.not_examples {
            if text(Format::Text, clean) != *clean {
                failures.push(format!("{} touches {clean:?}: {:?}", rule.id, text(Format::Text, clean)));
            }
        }
    }
    assert!(cells > 300, "only {cells} cells");
    assert!(failures.is_empty(), "{} of {cells}:\n{}", failures.len(), failures.join("\n"));
}
