//! The known traps of redaction, each with the test that fails when somebody steps into it. The table is checked: a test
//! that does not exist any more is noticed.
//!
//! | trap | test |
//! |---|---|
//! | `\nAKIA...` in a JSON string | `trap_access_key_behind_an_escaped_line_end` |
//! | `_AKIA`, `%3D`, ANSI codes | `trap_access_key_behind_underscore_percent_and_colour` |
//! | PEM in lines | `trap_pem_in_lines` |
//! | PEM with literal `\n`, once and twice escaped | `trap_pem_with_literal_escapes_once_and_twice` |
//! | PEM in a YAML block scalar | `trap_pem_in_a_block_scalar` |
//! | PEM in base64 of three alignments, and wrapped | `trap_pem_in_base64_of_three_alignments`, `trap_pem_in_wrapped_base64` |
//! | PEM with a log prefix on each line | `trap_pem_with_a_log_prefix_on_each_line` |
//! | PEM without END | `trap_truncated_pem` |
//! | a wallet key and a request id have one shape | `trap_wallet_key_and_request_id_have_one_shape` |
//! | names that say key, token or secret and hold none | `trap_names_that_look_sensitive` |
//! | public keys and certificates stay | `trap_certificates_and_public_keys_stay` |
//! | two secrets on a line have two ids | `trap_two_secrets_on_a_line_have_two_ids` |
//! | one secret in three encodings has one id | `trap_one_secret_in_three_encodings_has_one_id` |
//! | a secret in the name of a file | `trap_a_secret_in_the_name_of_a_file` |
//! | a secret in the path of a member of an archive | `an_archive_keeps_its_shape_and_loses_its_secrets`, `a_zip_keeps_its_shape_and_loses_its_secrets` |
//! | a secret in an error message | `trap_a_secret_in_an_error_message` |
//! | a secret in an annotation or in the message of an Event | `trap_a_secret_in_an_annotation_and_in_an_event` |
//! | name and value in any order and distance | `trap_pairs_in_any_order_and_distance`, `trap_a_value_in_lines_above_its_name` |
//! | a value that looks like our replacement | `trap_our_own_replacement_stays_and_its_look_alike_goes`, `trap_a_secret_behind_what_looks_like_our_replacement` |
//! | a line of 10 MiB | `trap_a_line_of_ten_mebibytes`, `trap_long_lines_and_no_line_end` |
//! | invalid UTF-8 | `trap_invalid_utf8_and_nul_are_bytes` |
//! | UTF-16 with a byte order mark | `trap_utf16_and_binary` |
//! | gzip in tar in gzip | `an_archive_keeps_its_shape_and_loses_its_secrets` |
//! | bombs | `bombs_and_broken_archives_are_refused`, `members_that_cannot_be_trusted_are_left_out` |
//! | a second value without a comma in broken JSON | `trap_a_second_value_without_a_comma` |
//! | a replacement that moves braces and quotes of a broken document | `trap_broken_documents_are_settled_by_the_first_pass` |
//! | strings of TOML over lines | `trap_strings_of_toml_over_lines` |
//! | a value on the line below its name | `trap_a_value_below_its_name` |

use std::path::Path;
use std::process::Command;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

use super::redaction::{in_pieces, redact, redactor, text};

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

#[test]
fn each_trap_of_the_table_has_its_test() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let files = std::fs::read_dir(dir).unwrap().flatten().filter(|f| f.path().extension().is_some_and(|e| e == "rs"));
    let sources: Vec<String> = files.map(|f| std::fs::read_to_string(f.path()).unwrap()).collect();
    let table = include_str!("redact_traps.rs").lines().filter_map(|l| l.strip_prefix("//! | "));
    let mut tests = 0;
    for row in table.skip(1) {
        let (trap, named) = row.rsplit_once(" | ").unwrap();
        for name in named.trim_end_matches(" |").split(", ").map(|n| n.trim_matches('`')) {
            tests += 1;
            let is_test = format!("#[test]\nfn {name}() {{");
            assert!(sources.iter().any(|s| s.contains(&is_test)), "{trap}: there is no test {name}");
        }
    }
    assert!(tests >= 25, "only {tests} tests in the table");
}

#[test]
fn trap_a_secret_in_the_name_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::create_dir_all(source.join(format!("by-{TOKEN}"))).unwrap();
    std::fs::write(source.join(format!("by-{TOKEN}/a.log")), "fine\n").unwrap();
    std::fs::write(source.join("password=Hunter2xyz.log"), "fine\n").unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .arg("redact")
        .arg(&source)
        .arg("-o")
        .arg(&target)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{stderr}");
    let mut names: Vec<String> =
        std::fs::read_dir(&target).unwrap().flatten().map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("by-REDACTED-") && names[1].starts_with("password=REDACTED-"), "{names:?}");
    assert!(!stderr.contains(TOKEN) && !stderr.contains("Hunter2"), "{stderr}");
}

#[test]
fn trap_a_secret_in_an_error_message() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let message = format!("cannot reach https://u:{TOKEN}@h: login with password=Hunter2xyz failed");
    redactor.note_stub("a.log", &message);
    let report = serde_json::to_string(&redactor.report()).unwrap();
    let stub = String::from_utf8(redactor.stub(&message).into_inner()).unwrap();
    for said in [redactor.text(&message).into_inner(), stub, report] {
        assert!(said.contains("REDACTED-") && !said.contains(TOKEN) && !said.contains("Hunter2"), "{said}");
    }
}

#[test]
fn trap_a_secret_in_an_annotation_and_in_an_event() {
    for (kind, object) in [
        ("Pod", serde_json::json!({"metadata": {"name": "a", "annotations": {"note": format!("use {TOKEN}")}}})),
        ("Pod", serde_json::json!({"metadata": {"name": "a", "annotations": {"db-password": "Hunter2xyz"}}})),
        (
            "Pod",
            serde_json::json!({"metadata": {"name": "a", "annotations": {"config": "{\"password\":\"Hunter2xyz\"}"}}}),
        ),
        ("Event", serde_json::json!({"reason": "Failed", "message": format!("pull with {TOKEN} refused")})),
        ("Event", serde_json::json!({"message": "command \"app --password Hunter2xyz\" exited"})),
        ("Event", serde_json::json!({"note": "postgres://u:Hunter2xyz@h/db is down"})),
    ] {
        let mut out = Redacted::buffer();
        let redactor = redactor();
        let mut list = redactor.objects("a.json", "v1", kind);
        list.push(object.to_string().as_bytes(), &mut out);
        list.finish(&mut out);
        let out = String::from_utf8(out.into_inner()).unwrap();
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
        assert!(out.contains("REDACTED-") && !out.contains(TOKEN) && !out.contains("Hunter2"), "{out}");
    }
}

#[test]
fn trap_a_line_of_ten_mebibytes() {
    let unit = r#"{"level":"info","msg":"reconciled","n":1},"#;
    let filler = unit.repeat((5 << 20) / unit.len());
    let input = format!("[{filler}{{\"password\":\"Hunter2xyz\",\"t\":\"{TOKEN}\"}},{filler}1]");
    assert!(input.len() >= (10 << 20) - 200 && !input.contains('\n'));
    for format in [Format::Text, Format::Json] {
        let out = text(format, &input);
        assert!(!out.contains("Hunter2") && !out.contains(TOKEN), "{format:?}");
        assert_eq!(out.matches("REDACTED-").count(), 2, "{format:?}");
        assert_eq!(out.matches("reconciled").count(), 2 * filler.len() / unit.len(), "{format:?}");
    }
}

#[test]
fn trap_broken_documents_are_settled_by_the_first_pass() {
    for (format, input) in [
        (Format::Json, "{<password>AKIAQWERTYUIOPASDFGH}\"data\":{\"a\":\"YWJjZGVm\"}\"kind\":\"Secret\""),
        (Format::Json, "{12345678\"password\": \"a\\\"b\"-----BEGIN PRIVATE KEY-----"),
        (Format::Json, "N!{zp7\n\"password\": \"a\\\"b\"\n\"\"\"\n\"\"\""),
        (Format::Json, "{\"password\": \"a\\\"b\"token: cGFzc3dvcmQ9SHVudGVyMnh5enp5\"[!VO/"),
        (Format::Json, "mnemonic: /d!pdw{lO+\\n{\"password\": \"a\\\"b\"\"\"\"}"),
        (Format::Toml, "token: ['|\n  x\n"),
        (Format::Toml, "mnemonic: [--password {|\n  x\n"),
        (Format::Toml, "\0token: AKIAQWERTYUIOPASDFGH-----BEGIN PRIVATE KEY-----\n"),
        (Format::Env, "name: DB_PASSWORD\"password\": \"a\\\"b\"\0value: |\n  x\n"),
        (Format::Yaml, "name: DB_PASSWORD\n\"value\":\"zzz9zzz\"{token: name: DB_PASSWORD|\n  x\n"),
        (Format::Yaml, "name: DB_PASSWORD|\n  x\nvalue: [<password>, <password>"),
    ] {
        let once = text(format, input);
        assert_eq!(text(format, &once), once, "{input}");
        let whole = redact(format, input.as_bytes());
        for cut in 0..input.len() {
            assert!(in_pieces(format, input.as_bytes(), &[cut]) == whole, "{input} at {cut}");
        }
    }
}

#[test]
fn trap_strings_of_toml_over_lines() {
    for input in [
        "a = [[\"\"\"\nline\npassword: x y\nend\"\"\", \"password='\"], { password = 'a\"b' }]\n",
        "a = [{ b = \"\"\"\nx\n\"\"\", password = \"password='\" }, 'postgres://u:p\"w@h/db']\n",
        "[a]\nx-api-key = \"DB_PASSWORD\"\n[a.password]\nvalue = 0\n",
        "[[a]]\nprivate_key = \"DB_PASSWORD\"\nvalue = [0]\n",
    ] {
        let out = text(Format::Toml, input);
        let keys = |text: &str| {
            let table = text.parse::<toml::Table>().unwrap_or_else(|e| panic!("{e}: {text}"));
            super::redaction::keys(&serde_json::to_value(table).unwrap())
        };
        assert_eq!(keys(&out), keys(input), "{input}\n{out}");
    }
}

#[test]
fn trap_a_value_below_its_name() {
    for input in [
        "Password:\nZq8vW3rT7yU1\n",
        "Enter passphrase for key:\nZq8vW3rT7yU1\n",
        "password=\nZq8vW3rT7yU1\n",
        "login: app\npassword:\n  Zq8vW3rT7yU1",
    ] {
        let out = text(Format::Text, input);
        assert!(!out.contains("Zq8vW3rT7yU1") && out.contains("REDACTED-password-"), "{out}");
        assert_eq!(text(Format::Text, &out), out);
        let whole = redact(Format::Text, input.as_bytes());
        for cut in 0..input.len() {
            assert!(in_pieces(Format::Text, input.as_bytes(), &[cut]) == whole, "{input} at {cut}");
        }
    }
    for input in [
        "password:\ndone\n",
        "the password:\n2026-11-21T10:00:00Z ready\n",
        "secrets:\ndefault-token-x5gwd\n",
        "token:\nexpires in 3600\n",
        "password:\nuser=app\n",
    ] {
        assert_eq!(text(Format::Text, input), input);
    }
}

#[test]
fn trap_a_second_value_without_a_comma() {
    for (input, secret) in [
        (r#"{"password":"Hunter2xyz" "Hunter3xyz"}"#, "Hunter3xyz"),
        (r#"{"password":"Hunter2xyz""Hunter3xyz"}"#, "Hunter3xyz"),
        (r#"{"password": 1 "Hunter3xyz"}"#, "Hunter3xyz"),
        (r#"{"tokens":["abcDEF12345" "ghiJKL67890"]}"#, "ghiJKL67890"),
        ("{\"password\":\"Hunter2xyz\"\n\"Hunter3xyz\"}", "Hunter3xyz"),
        (r#"{"kind":"Secret","data":{"a":"YWJjZGVmZ2g=" "c2VjcmV0IHR3bw=="}}"#, "c2VjcmV0IHR3bw=="),
        (r#"{"name":"DB_PASSWORD","value":"Hunter2xyz" "Hunter3xyz"}"#, "Hunter3xyz"),
        (r#"{"password":"Hunter2xyz" "Hunter3xyz"#, "Hunter3xyz"),
    ] {
        let out = text(Format::Json, input);
        assert!(!out.contains(secret), "{input} -> {out}");
        assert_eq!(text(Format::Json, &out), out, "{input}");
        for cut in 0..input.len() {
            let pieces = in_pieces(Format::Json, input.as_bytes(), &[cut]);
            assert!(pieces == redact(Format::Json, input.as_bytes()), "{input} at {cut}");
        }
    }
}
