//! The redaction engine as a whole: nothing secret leaves, everything useful stays.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor, expand};

pub(super) fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

pub(super) fn redact(format: Format, text: &[u8]) -> Vec<u8> {
    redactor().bytes("file", format, text).unwrap().into_inner()
}

pub(super) fn text(format: Format, input: &str) -> String {
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
fn trap_pem_as_a_list_of_lines() {
    let lines: Vec<&str> = PEM.lines().collect();
    let input = serde_json::to_string_pretty(&lines).unwrap();
    for format in [Format::Json, Format::Text] {
        let out = pem_gone(format, &input);
        serde_json::from_str::<Vec<String>>(&out).unwrap();
    }
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
    let lines: Vec<String> =
        PEM.lines().enumerate().map(|(i, l)| format!("2026-11-21T10:00:0{i}.123Z stdout F {l}")).collect();
    let out =
        pem_gone(Format::Text, &format!("{}\n2026-11-21T10:00:09.123Z stdout F ready to serve\n", lines.join("\n")));
    assert!(out.contains("ready to serve"), "{out}");
}

#[test]
fn trap_truncated_pem() {
    let cut = PEM.split("-----END").next().unwrap();
    let out = pem_gone(Format::Text, &format!("{cut}INFO the next line is no key\n"));
    assert!(out.contains("INFO the next line is no key"), "{out}");
    pem_gone(Format::Text, &cut[..cut.len() - 30]);
}

/// What is masked as one begins behind these, so they are looked at by themselves.
#[test]
fn secrets_between_a_name_and_its_value_leave_too() {
    let secret = "AKIAQWERTYUIOPASDFGH";
    for text in [
        format!("<password note=\"{secret}\">Zx81mossLantern01</password>\n"),
        format!("password: | # {secret}\n  Zx81mossLantern01\n"),
        format!(
            "A=-----BEGIN PRIVATE KEY-----\neyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.{secret}\0MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\0"
        ),
        format!("A=-----BEGIN PRIVATE KEY-----\0{secret}\0MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\0LEVEL=info\0"),
    ] {
        gone(Format::Text, &text, secret);
        gone(Format::Text, &text, "Zx81mossLantern01");
    }
}

/// Variables of a process stand between zero bytes, and the lines of a key among them.
#[test]
fn pem_among_the_variables_of_a_process() {
    let out = pem_gone(Format::Text, &format!("HOME=/root\0TLS_KEY={}\0LEVEL=info\0", PEM.trim_end()));
    assert!(out.starts_with("HOME=/root\0") && out.ends_with("\0LEVEL=info\0"), "{out}");
    let cut = PEM.split("-----END").next().unwrap().trim_end();
    let out = pem_gone(Format::Text, &format!("TLS_KEY={cut}\0LEVEL=info\0"));
    assert!(out.ends_with("\0LEVEL=info\0"), "{out}");
}

#[test]
fn trap_wallet_key_and_request_id_have_one_shape() {
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    gone(Format::Text, &format!("KMS_CONNECTOR_PRIVATE_KEY=0x{hex}"), hex);
    stays(Format::Text, &format!("request_id={hex} context_id=0x{hex} epoch_id: {hex}"));
}

/// Lines with very many settings, of which not each is looked at by itself.
#[test]
fn crowded_lines_lose_nothing() {
    let secret = "Hunter2xQ9zTr4";
    for format in [Format::Text, Format::Json, Format::Yaml, Format::Env] {
        for piece in [
            "password=",
            "auth=",
            "token=[",
            "password:{[",
            "cookie: a=b; ",
            "{\"name\":\"token\",",
            "glpat-",
            "x_",
            "private_key",
        ] {
            let crowd = piece.repeat(2_000);
            for end in [
                format!("password={secret}"),
                format!(" password={secret} a"),
                format!("\" password=\"{secret}\""),
                format!("&token={secret}&x=y"),
                format!(" Cookie: sid={secret}; Path=/"),
            ] {
                gone(format, &format!("{crowd}{end}\n"), secret);
            }
        }
    }
}

/// A line that somebody has made slow goes unseen. Nothing of it may come back, and a document stays one.
#[test]
fn lines_that_cost_too_much_go_unseen() {
    let secret = "Hunter2xQ9zTr4";
    for piece in [
        " --user password=password=[ password 'md5${",
        "}}}}}rar a }sshpass -p}}{\"name\":\"token\",\"value\":#",
        "NRII-xoxo-",
        "glc_eyJ",
        "authglptt-&quot;bkua_bkua_auth --user Failing row contains (",
        ": mysqladmin -mariadb -rwcommunity mysqladmin -password&quot;mysqladmin -\\u0070?[",
    ] {
        let crowd = piece.repeat(64 << 10 >> 5);
        let line = format!("{crowd} password={secret} 12345678");
        for format in [Format::Text, Format::Yaml, Format::Env] {
            gone(format, &format!("{line}\nlevel=info\n"), secret);
        }
        let document = serde_json::json!({"a": [1, {"b": line}, null], "c": secret, "password": secret, "d": {"e": 0.5, "f": true}});
        let out = text(Format::Json, &format!("{document}\n"));
        assert!(!leaks(&out.replace(&format!("\"c\":\"{secret}\""), ""), secret), "{piece}");
        let after: serde_json::Value = serde_json::from_str(&out).expect("it is JSON no more");
        assert_eq!(
            (&after["a"][0], &after["a"][2], &after["d"]["f"]),
            (&1.into(), &serde_json::Value::Null, &true.into())
        );
        assert_eq!(text(Format::Json, &out), out, "{piece}");
    }
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
        "PWD=/root",
        "PWD=/",
        "PWD=/app/kms-core",
        "tokens_used=5 max_tokens=4096",
        "DEBUG request{request_id=17eb9055861e0a8b session_id=1}: kms_grpc::rpc: sending message",
        "DEBUG outer{auth=none session_id=7}:inner{round=1 token_type=2}: kms_grpc: sent",
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
        "INFO kms_lib::engine::threshold::service::session: src/session.rs:12: Loaded MPC context 1",
        "Making base session: session_id=329927373708105442165995373675939613794, context_id=0700000",
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
    gone(
        Format::Json,
        "{\n  \"value\": \"S3cretValue\",\n  \"x\": 1,\n  \"name\": \"DB_PASSWORD\"\n}\n",
        "S3cretValue",
    );
}

#[test]
fn trap_our_own_replacement_stays_and_its_look_alike_goes() {
    let out = text(Format::Text, "password=Hunter2x");
    stays(Format::Text, &out);
    gone(Format::Text, "password=REDACTED-password-hunter2", "hunter2");
    gone(Format::Text, "password=REDACTED-nokind-abcdefghijkl", "abcdefghijkl");
}

#[test]
fn trap_a_secret_behind_what_looks_like_our_replacement() {
    let own = "REDACTED-password-abcdefghijkl";
    let jwt = "REDACTED-jwt-abcdefghijkl";
    for (format, input) in [
        (Format::Text, format!("password={own}Hunter2xyz")),
        (Format::Text, format!("password={own}-Hunter2xyz")),
        (Format::Text, format!("password={own}/{own}/Hunter2xyz")),
        (Format::Text, format!("password: {own},Hunter2xyz")),
        (Format::Text, format!("{{\"password\":\"{own} Hunter2xyz\"}}")),
        (Format::Json, format!("{{\"password\":\"{own} Hunter2xyz\"}}")),
        (Format::Json, format!("{{\"name\":\"DB_PASSWORD\",\"value\":\"{own}Hunter2xyz\"}}")),
        (Format::Yaml, format!("password: {own} Hunter2xyz\n")),
        (Format::Yaml, format!("password: |\n  {own}\n  Hunter2xyz\n")),
        (Format::Yaml, format!("kind: Secret\nstringData:\n  a: {own}Hunter2xyz\n")),
        (Format::Toml, format!("password = \"{own}Hunter2xyz\"\n")),
        (Format::Env, format!("DB_PASSWORD={own} Hunter2xyz\n")),
        (Format::Text, format!("Authorization: Bearer {jwt}Hunter2xyz")),
        (Format::Text, format!("Cookie: a={own}Hunter2xyz; b=c")),
        (Format::Text, format!("postgres://u:{own}Hunter2xyz@h/db")),
        (Format::Text, format!("u:{own}Hunter2xyz@tcp(h:1)/db")),
        (Format::Text, format!("config%3Dx%26password%3D{own}Hunter2xyz")),
        (Format::Text, format!("--password {own}Hunter2xyz")),
        (Format::Text, format!("x {own}_password=Hunter2xyz")),
        (Format::Text, format!("{{{own}_password: Hunter2xyz}}")),
    ] {
        gone(format, &input, "Hunter2xyz");
    }
    for input in [
        format!("password={own}"),
        format!("password={own},{jwt}"),
        format!("password: \"{own}\""),
        format!("Authorization: Bearer {jwt}, {own}"),
        format!("{own}={own}"),
        format!("no {own} here: {jwt}"),
    ] {
        stays(Format::Text, &input);
    }
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

#[test]
fn trap_a_value_in_lines_above_its_name() {
    for (format, input) in [
        (
            Format::Yaml,
            "env:\n  - value: S3cretValue\n    name: DB_PASSWORD\n  - value: visible\n    name: LOG_LEVEL\n",
        ),
        (Format::Text, "- value: S3cretValue\n  name: DB_PASSWORD\n"),
        (Format::Text, "- value: \"S3cretValue\"\n  other: x\n  name: \"DB_PASSWORD\"\n"),
        (Format::Text, "{\n  \"value\": \"S3cretValue\",\n  \"x\": 1,\n  \"name\": \"DB_PASSWORD\"\n}\n"),
        (Format::Yaml, "- value: |\n    one\n    S3cretValue\n  name: DB_PASSWORD\n- b: c\n"),
        (Format::Yaml, "- value: >-\n    S3cretValue\n\n  name: db.password\n"),
    ] {
        gone(format, input, "S3cretValue");
        let whole = redact(format, input.as_bytes());
        for cut in 0..input.len() {
            assert!(in_pieces(format, input.as_bytes(), &[cut]) == whole, "{input} split at {cut}");
        }
    }
    stays(Format::Yaml, "- value: S3cretValue\n  name: LOG_LEVEL\n- value: b\nname: DB_PASSWORD\n");
    let out = text(Format::Yaml, "- value: S3cretValue\n  name: DB_PASSWORD\n- value: keep-me\n  name: REGION\n");
    assert!(out.contains("keep-me"), "{out}");
}

#[test]
fn trap_data_of_a_secret_in_flow_style() {
    for input in [
        "kind: Secret\ndata: {user: YWRtaW4=, pass: \"aHVudGVyMnh5eg==\"}\n",
        "data: {pass: aHVudGVyMnh5eg==}\nkind: Secret\n",
        "apiVersion: v1\ndata:   {pass: aHVudGVyMnh5eg==,\n  b: YWJjZA==}\nkind: Secret\n---\nkind: ConfigMap\n",
        "{apiVersion: v1, kind: Secret, data: {pass: aHVudGVyMnh5eg==}}\n",
        "items:\n- {data: {pass: aHVudGVyMnh5eg==}, kind: Secret}\n",
        "got object {\"apiVersion\":\"v1\",\"data\":{\"pass\":\"aHVudGVyMnh5eg==\"},\"kind\":\"Secret\"} from cache\n",
        "log={\\\"kind\\\":\\\"Secret\\\",\\\"data\\\":{\\\"pass\\\":\\\"aHVudGVyMnh5eg==\\\"}}\n",
        "stringData: {pass: aHVudGVyMnh5eg==}\n",
    ] {
        for format in [Format::Yaml, Format::Text] {
            let out = gone(format, input, "aHVudGVyMnh5eg==");
            assert!(!out.contains("YWRtaW4"), "{out}");
            let whole = redact(format, input.as_bytes());
            for cut in 0..input.len() {
                assert!(in_pieces(format, input.as_bytes(), &[cut]) == whole, "{input} split at {cut}");
            }
        }
    }
    stays(Format::Yaml, "kind: ConfigMap\ndata: {a: b, c: \"aHVudGVyMnh5eg==\"}\n---\nkind: Secret\n");
    stays(Format::Text, "got {\"data\":{\"a\":\"b\"},\"kind\":\"Pod\",\"spec\":{\"kind\":\"Secret\"}}\n");
}

#[test]
fn trap_a_long_applied_secret_whose_kind_comes_late() {
    let object = serde_json::json!({
        "metadata": {"ownerReferences": [{"kind": "ExternalSecret"}], "labels": {"pad": "x".repeat(6_000)}},
        "data": {"pass": "aHVudGVyMnh5eg=="},
        "kind": "Secret",
    });
    for text_of in [object.to_string(), object.to_string().replace("}", "} ")] {
        let key = "kubectl.kubernetes.io/last-applied-configuration";
        let input = serde_json::json!({"a": "x".repeat(300_000), "annotations": {key: text_of}, "z": 1}).to_string();
        let out = gone(Format::Json, &input, "aHVudGVyMnh5eg==");
        assert!(out.ends_with("\"z\":1}"));
    }
}

#[test]
fn trap_hexadecimal_and_entities() {
    let hex: String = b"user=abc password=Hunter2xyz".iter().map(|b| format!("{b:02x}")).collect();
    for input in
        [format!("dump {hex} end"), format!("dump 0x{hex} end"), format!("{{\"d\":\"{}\"}}", hex.to_uppercase())]
    {
        let out = gone(Format::Text, &input, &hex[34..]);
        assert!(!leaks(&out.to_lowercase(), &hex), "{out}");
    }
    for input in [
        "<td>{&quot;password&quot;:&quot;Hunter2xyz&quot;}</td>",
        "&lt;password&gt;Hunter2xyz&lt;/password&gt;",
        "password&#61;Hunter2xyz",
        "a&#x70;ass password&#x3D;&#34;Hunter2xyz&#34;",
    ] {
        gone(Format::Text, input, "Hunter2xyz");
    }
    stays(Format::Text, "a &amp; b &lt;c&gt; &#34;d&#34; R&D AT&T; 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c");
}

#[test]
fn trap_a_recovery_phrase_that_nothing_announces() {
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    for input in [
        format!("imported {phrase} into the store"),
        format!("{{\"msg\":\"{phrase}\"}}"),
        format!("[\"{}\"]", phrase.replace(' ', "\", \"")),
        phrase.replace(' ', ","),
    ] {
        let out = gone(Format::Text, &input, "sausage worth useful");
        assert!(out.contains("REDACTED-mnemonic-"), "{out}");
    }
    stays(
        Format::Text,
        "about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic",
    );
}

#[test]
fn trap_glued_fragments_are_settled_by_the_first_pass() {
    for (format, parts) in [
        (Format::Text, &["--password ", "}", "--password ", "value: ", "|\n  x\n"][..]),
        (
            Format::Text,
            &["<password>", "password=Hunter2x", "-----BEGIN PRIVATE KEY-----", "<", "-----END PRIVATE KEY-----"],
        ),
        (Format::Toml, &["kind: Secret", "Authorization: Bearer abcdef123456", "password=Hunter2x"]),
        (Format::Text, &["\"value\":\"zzz9zzz\"", "-----BEGIN PRIVATE KEY-----", "{", "]", "name: DB_PASSWORD"]),
    ] {
        let once = text(format, &parts.concat());
        assert_eq!(text(format, &once), once, "{parts:?}");
    }
}

#[test]
fn trap_utf16_and_binary() {
    let utf16: Vec<u8> = "\u{feff}password=Hunter2xyz\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let out = redact(Format::Text, &utf16);
    let units: Vec<u16> = out.chunks(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect();
    assert!(String::from_utf16(&units).unwrap().contains("password=REDACTED-password-"));
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03password=Hunter2xyz";
    assert!(redactor().bytes("f", Format::Text, gzip).is_err());
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
        (
            Format::Text,
            format!("{{\"a\":\"{{\\\"msg\\\":\\\"{{\\\\\\\"password\\\\\\\":\\\\\\\"{v}\\\\\\\"}}\\\"}}\"}}"),
        ),
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
        let needle =
            if input.contains(v) { v.to_owned() } else { STANDARD.encode(format!("user:{v}"))[8..].to_owned() };
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
        "json-escaped" => {
            (Format::Text, format!("{{\"log\":{}}}", json(&format!("{{\"note\":{}}}", json(&format!("see\n{text}"))))))
        }
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
        if definition.examples.is_empty() || definition.not_examples.is_empty() {
            failures.push(format!("{} needs an example and a counter-example", rule.id));
        }
        for clean in &definition.not_examples {
            let carried = definition.carriers.iter().map(|carrier| carry(carrier, clean));
            for (format, input) in carried.chain([(Format::Text, clean.clone())]) {
                if text(format, &input) != input {
                    failures.push(format!("{} touches {input:?}: {:?}", rule.id, text(format, &input)));
                }
            }
        }
    }
    assert!(cells > 300, "only {cells} cells");
    assert!(failures.is_empty(), "{} of {cells}:\n{}", failures.len(), failures.join("\n"));
}

// ---- streaming -------------------------------------------------------------------------------------------------

pub(super) fn in_pieces(format: Format, input: &[u8], cuts: &[usize]) -> Vec<u8> {
    let redactor = redactor();
    let mut stream = redactor.stream("file", format);
    let mut out = Redacted::buffer();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        stream.push(&input[at..cut], &mut out).unwrap();
        at = cut;
    }
    stream.finish(&mut out).unwrap();
    out.into_inner()
}

/// Everything that keeps state over lines, in one document of less than 4 KiB.
fn mixed() -> String {
    let block: String = PEM.lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "level=info password=Hunter2xyz\\nAKIAQWERTYUIOPASDFGH\n{PEM}a: 1\ntls:\n    key: |\n{block}password: >\n  one two\n  three\nnext: 1\n\
         - name: DB_PASSWORD\n  other: x\n  value: S3cretValue\n- --token\n- abcDEF12345678\n{{\"value\":\"S3cretValue\",\n\"name\":\"DB_PASSWORD\"}}\n\
         {}\npostgres://u:p%40ss@h/db config%3D%7B%22password%22%3A%22Zx9Zx9Zx9%22%7D\r\nCookie: a=bcdefgh; c=d\nend",
        STANDARD.encode(PEM)
    )
}

#[test]
fn every_split_in_two_gives_the_same() {
    let input = mixed();
    for format in [Format::Text, Format::Yaml, Format::Json, Format::Toml, Format::Env] {
        let whole = redact(format, input.as_bytes());
        for cut in 0..=input.len() {
            let out = in_pieces(format, input.as_bytes(), &[cut]);
            assert!(
                out == whole,
                "{format:?} split at {cut}:\n{}\n---\n{}",
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(&whole)
            );
        }
        let single: Vec<usize> = (1..input.len()).collect();
        assert!(in_pieces(format, input.as_bytes(), &single) == whole, "{format:?} in single bytes");
    }
}

#[test]
fn splits_of_lines_longer_than_the_window_give_the_same() {
    let unit = r#"{"level":"info","password":"Hunter2xyz","n":1,"value":"abcDEF123","name":"API_TOKEN"},"#;
    let input = unit.repeat(12_000);
    for format in [Format::Text, Format::Json] {
        let whole = redact(format, input.as_bytes());
        assert!(!memmem(&whole, b"Hunter2xyz") && !memmem(&whole, b"abcDEF123"));
        for step in [4_093, 65_536, 300_007] {
            let cuts: Vec<usize> = (step..input.len()).step_by(step).collect();
            assert!(in_pieces(format, input.as_bytes(), &cuts) == whole, "{format:?} in steps of {step}");
        }
    }
}

// ---- Kubernetes ------------------------------------------------------------------------------------------------

fn objects(kind: &str, items: &[&str]) -> (String, serde_json::Value) {
    let redactor = redactor();
    let mut stream = redactor.objects("objects.json", "v1", kind);
    let mut out = Redacted::buffer();
    for item in items {
        stream.push(item.as_bytes(), &mut out);
    }
    stream.finish(&mut out);
    let text = String::from_utf8(out.into_inner()).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (text, value)
}

#[test]
fn a_secret_keeps_names_keys_and_type_and_no_value() {
    let certificate = rcgen::generate_simple_self_signed(["h.example.com".to_owned()]).unwrap();
    let pem = certificate.cert.pem();
    let item = format!(
        r#"{{"metadata":{{"name":"s","managedFields":[{{"f:password":{{}}}}]}},"type":"Opaque","data":{{"password":"{}","tls.crt":"{}","empty":""}},"stringData":{{"x":"plain"}}}}"#,
        STANDARD.encode("Hunter2xyz"),
        STANDARD.encode(&pem)
    );
    let (text, list) = objects("Secret", &[&item]);
    let secret = &list["items"][0];
    assert_eq!(secret["kind"], "Secret");
    assert_eq!(secret["type"], "Opaque");
    assert!(secret["metadata"].get("managedFields").is_none());
    let token = STANDARD.decode(secret["data"]["password"].as_str().unwrap()).unwrap();
    assert!(token.starts_with(b"REDACTED-secret-"), "{text}");
    assert!(secret["stringData"]["x"].as_str().unwrap().starts_with("REDACTED-secret-"));
    let notes: serde_json::Value =
        serde_json::from_str(secret["metadata"]["annotations"]["casefile/secret-data"].as_str().unwrap()).unwrap();
    assert_eq!(notes["password"]["bytes"], 10);
    assert_eq!(
        notes["password"]["id"].as_str().unwrap(),
        String::from_utf8(token).unwrap().rsplit('-').next().unwrap()
    );
    assert_eq!(notes["empty"]["bytes"], 0);
    assert!(notes["tls.crt"]["certificates"][0]["notAfter"].as_str().unwrap().ends_with('Z'), "{notes}");
    assert!(!leaks(&text, &STANDARD.encode("Hunter2xyz")) && !text.contains("Hunter2xyz"));
    // Once more over its own result.
    let again = objects("Secret", &[&secret.to_string()]).1;
    assert_eq!(&again["items"][0], secret);
}

#[test]
fn objects_are_sanitised_by_type() {
    let applied_value = STANDARD.encode("AppliedValue1");
    let applied =
        serde_json::json!({"kind": "Secret", "apiVersion": "v1", "data": {"p": STANDARD.encode("AppliedValue1")}})
            .to_string();
    let pod = serde_json::json!({
        "metadata": {"name": "p", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied, "openshift.io/token-secret.value": "plainTokenValue"}},
        "spec": {"containers": [{
            "name": "c",
            "env": [{"value": "EnvValue123", "name": "DB_PASSWORD"}, {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
                    {"name": "URL", "value": "postgres://u:UrlValue123@h/db"}, {"name": "KMS_KEY_ID", "value": "abc"}],
            "command": ["sh", "-c", "app --password ShellValue123"],
            "args": ["--password", "ArgValue123", "--api-key=FlagValue123", "--token-file", "/var/run/t"],
            "resources": {"limits": {"cpu": 1.10}}
        }], "volumes": [{"name": "v", "secret": {"secretName": "my-secret"}}]}
    });
    let raw = pod.to_string().replace("1.1}", "1.10}");
    let (text, list) = objects("Pod", &[&raw]);
    for secret in [
        "AppliedValue1",
        applied_value.as_str(),
        "plainTokenValue",
        "EnvValue123",
        "UrlValue123",
        "ShellValue123",
        "ArgValue123",
        "FlagValue123",
    ] {
        assert!(!leaks(&text, secret), "{secret} leaked: {text}");
    }
    assert!(text.contains("1.10}"), "{text}");
    let spec = &list["items"][0]["spec"];
    assert_eq!(spec["volumes"][0]["secret"]["secretName"], "my-secret");
    let container = &spec["containers"][0];
    assert_eq!(container["env"][1]["valueFrom"]["secretKeyRef"]["key"], "password");
    assert_eq!(container["env"][3]["value"], "abc");
    assert_eq!(container["args"][4], "/var/run/t");
}

#[test]
fn config_maps_are_read_by_extension() {
    let map = serde_json::json!({"data": {
        "a.toml": "[db]\npassword = 12345678\nroot_key_id = \"alias/x\"\n[t]\npem = \"\"\"\n".to_owned() + PEM + "\"\"\"\n",
        "b.json": "{\"password\": 12345678, \"n\": 1}",
        "c.yaml": "password: TheValue 123\nkey_id: x\n",
        "d.env": "DB_PASSWORD=The Value 456\n",
        "db_password": "TheValue789",
        "ca.crt": "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQk9PVFNUUkFQ\n-----END CERTIFICATE-----\n",
    }});
    let (text, list) = objects("ConfigMap", &[&map.to_string()]);
    for secret in ["12345678", "TheValue 123", "The Value 456", "TheValue789", pem_bodies()[1]] {
        assert!(!leaks(&text, secret), "{secret} leaked: {text}");
    }
    let data = &list["items"][0]["data"];
    let toml: toml::Table = data["a.toml"].as_str().unwrap().parse().unwrap();
    assert_eq!(toml["db"]["root_key_id"].as_str(), Some("alias/x"));
    assert!(toml["t"]["pem"].as_str().unwrap().contains("BEGIN PRIVATE KEY"));
    serde_json::from_str::<serde_json::Value>(data["b.json"].as_str().unwrap()).unwrap();
    assert_eq!(data["ca.crt"], map["data"]["ca.crt"]);
}

#[test]
fn one_broken_object_becomes_one_stub() {
    let (text, list) = objects(
        "Pod",
        &[r#"{"metadata":{"name":"a"}}"#, "{\"password\":\"Hunter2xyz\"", r#"{"metadata":{"name":"b"}}"#],
    );
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert!(list["items"][1]["casefileStub"].as_str().unwrap().contains("not JSON"), "{text}");
    assert!(!text.contains("Hunter2xyz"));
    assert_eq!(objects("Pod", &[]).1["items"].as_array().unwrap().len(), 0);
}

#[test]
fn secrets_in_yaml_and_json_documents_lose_their_data() {
    let encoded = STANDARD.encode("\x01\x02binary value\x03");
    let yaml = format!("apiVersion: v1\ndata:\n  blob: {encoded}\n  empty: \"\"\nkind: Secret\nmetadata:\n  name: s\n");
    gone(Format::Yaml, &yaml, &encoded);
    let list =
        format!("apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    blob: {encoded}\n  kind: Secret\nkind: List\n");
    gone(Format::Yaml, &list, &encoded);
    let first = format!("kind: Secret\nstringData:\n  blob: |\n    {encoded}\n    more\nmetadata:\n  name: s\n");
    gone(Format::Yaml, &first, &encoded);
    stays(Format::Yaml, &yaml.replace("kind: Secret", "kind: ConfigMap"));
    let json =
        format!("{{\n \"apiVersion\":\"v1\",\n \"data\":{{\n  \"blob\":\"{encoded}\"}},\n \"kind\":\"Secret\"}}");
    gone(Format::Json, &json, &encoded);
    stays(Format::Json, &json.replace("\"Secret\"", "\"ConfigMap\""));
    let applied = serde_json::json!({"apiVersion": "v1", "data": {"blob": encoded}, "kind": "Secret"}).to_string();
    let pod =
        serde_json::json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}});
    gone(Format::Json, &pod.to_string(), &encoded);
}

// ---- structure -------------------------------------------------------------------------------------------------

pub(super) fn keys(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), keys(v))).collect(),
        serde_json::Value::Array(items) => items.iter().map(keys).collect(),
        _ => serde_json::Value::Null,
    }
}

#[test]
fn what_parsed_before_parses_after_with_the_same_keys() {
    let json = r#"{"password":12345678,"pin":1234,"tokens":["abcDEF123"],"u":"a\"b","auth":{"secret":"it's, \"x\""},"e":[{"value":7654321,"name":"API_KEY"}],"ok":true,"s":null}"#;
    let parse = |t: &str| serde_json::from_str::<serde_json::Value>(t).unwrap_or_else(|e| panic!("{e}: {t}"));
    assert_eq!(keys(&parse(json)), keys(&parse(&gone(Format::Json, json, "12345678"))));
    let yaml = "db:\n  password: abc DEF:1 x\n  pass: 'it''s one'\n  token: \"a \\\" b12\"\n  secret: |-\n    line1\n    line2\n  keys: [a, b]\n  client_secret: >\n    folded\n  n: 1\nl:\n- {name: DB_PASSWORD, value: Zx9Zx9Zx9}\n- name: TOKEN\n  value: 12345678\n";
    let parse = |t: &str| serde_saphyr::from_str::<serde_json::Value>(t).unwrap_or_else(|e| panic!("{e}: {t}"));
    assert_eq!(keys(&parse(yaml)), keys(&parse(&gone(Format::Yaml, yaml, "Zx9Zx9Zx9"))));
    let toml = "password = 12345678\ntoken = 'lit'\n[a]\nsecret = \"x \\\" y\" # c\npem = \"\"\"\nabc\"\"\"\nclient_secret = \"\"\"\nabc\n\"\"\"\nt = { password = \"x1\", n = 1 }\napi_keys = [\"a\", \"b\"]\nd = 1979-05-27\n";
    let parse = |t: &str| t.parse::<toml::Table>().unwrap_or_else(|e| panic!("{e}: {t}"));
    let shape = |t: &str| keys(&serde_json::to_value(parse(t)).unwrap());
    assert_eq!(shape(toml), shape(&gone(Format::Toml, toml, "12345678")));
}

#[test]
fn lists_in_lists_under_a_sensitive_key_stay_json() {
    for json in [
        r#"{"password":[0,[]]}"#,
        r#"{"password":[[],0]}"#,
        r#"{"password":[[12345,["Hunter2xyz",7]],{"a":[1]},[null,true]],"n":[1]}"#,
        r#"{"tokens":[[[["Hunter2xyz"]]],12345678901234567890],"z":1}"#,
        r#"{"name":"DB_PASSWORD","value":[0,["Hunter2xyz",[]]]}"#,
    ] {
        for format in [Format::Json, Format::Text] {
            let out = text(format, json);
            let parsed: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
            assert_eq!(keys(&parsed), keys(&serde_json::from_str(json).unwrap()), "{out}");
            assert!(!out.contains("Hunter2") && !out.contains("12345"), "{out}");
            assert_eq!(text(format, &out), out);
        }
        let inside = serde_json::json!({ "log": json }).to_string();
        let out: serde_json::Value = serde_json::from_str(&text(Format::Json, &inside)).unwrap();
        let text = out["log"].as_str().unwrap();
        serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert!(!text.contains("Hunter2"), "{text}");
    }
}

// ---- rules and report ------------------------------------------------------------------------------------------

#[test]
fn a_users_rule_adds_and_a_rule_can_be_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "schema = 1\n[[rule]]\nid = \"acme-token\"\nkind = \"acme\"\ndescription = \"x\"\nanchors = [\"acme-\"]\nrun = { class = \"a-z0-9\", min = 10 }\nkeys = [\"internal_code\"]\nexamples = [\"acme-{lower:12}\"]\n";
    std::fs::write(dir.path().join("a.toml"), rule).unwrap();
    let key = || CorrelationKey::from_bytes([1; 32]);
    let redactor = Redactor::builder(key()).with_rules(dir.path()).without_rule("jwt").build().unwrap();
    let out = redactor.text("see acme-0123456789ab and InternalCode=xyz").into_inner();
    assert!(out.contains("see REDACTED-acme-") && !out.contains("xyz"), "{out}");
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.abcdef";
    assert!(redactor.text(jwt).into_inner().contains(jwt));
    let report = redactor.report();
    assert_eq!(report.disabled, ["jwt"]);
    assert_ne!(report.rules_sha256, Redactor::new(key()).unwrap().report().rules_sha256);

    std::fs::write(dir.path().join("b.toml"), "schema = 1\n[[rule]]\nid = \"bad-rule\"\nkind = \"x-y\"\ndescription = \"x\"\nanchors = [\"abcd\"]\npattern = '('\nexamples = [\"a\"]\n").unwrap();
    let error = Redactor::builder(key()).with_rules(dir.path()).build().err().unwrap().to_string();
    assert!(error.contains("b.toml:3:6") && error.contains("does not compile"), "{error}");
    assert!(Redactor::builder(key()).with_rules(dir.path().join("none")).build().is_err());
    assert!(Redactor::builder(key()).without_rule("no-such-rule").build().is_err());
}

#[test]
fn the_report_counts_and_tells_nothing() {
    let redactor = redactor();
    redactor.bytes("a.log", Format::Text, b"password=Hunter2xyz\npassword=Hunter2xyz token=abcDEF123456\n").unwrap();
    redactor.note_stub("b.log", "password=Hunter2xyz is broken");
    let report = redactor.report();
    assert_eq!(report.rules["key-password"], BTreeMap::from([("a.log".to_owned(), 2), ("texts".to_owned(), 1)]));
    assert_eq!(report.distinct, 2);
    assert_eq!(report.total(), 4);
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains("Hunter2xyz") && !text.contains("abcDEF"), "{text}");
}

/// Each detector in code is needed: without it, what it finds stays.
#[test]
fn deleting_any_detector_in_code_is_noticed() {
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.abcdef";
    let cases = [
        ("key-password", "password=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("key-token", "token=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("key-secret", "client_secret=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("key-api-key", "api_key=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("key-private-key", format!("private_key=0x{hex}"), hex),
        ("key-credential", "credentials=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("key-session", "PHPSESSID=Hunter2xyzw".to_owned(), "Hunter2xyzw"),
        ("key-mnemonic", format!("imported {phrase} now"), phrase),
        ("key-signature", "signature=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("pem-private-key", PEM.to_owned(), pem_bodies()[0]),
        ("url-password", "postgres://u:Hunter2xyz@h/db".to_owned(), "Hunter2xyz"),
        ("jwt", format!("got {jwt}"), jwt),
        ("authorization", "Authorization: Bearer Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("cookie", "Cookie: a=Hunter2xyz".to_owned(), "Hunter2xyz"),
        ("kubernetes-secret", "kind: Secret\nstringData:\n  a: some words\n".to_owned(), "some words"),
    ];
    let build = |id: &str| Redactor::builder(CorrelationKey::from_bytes([7; 32])).without_rule(id).build().unwrap();
    for (id, input, secret) in &cases {
        gone(Format::Yaml, input, secret);
        let out = build(id).bytes("f", Format::Yaml, input.as_bytes()).unwrap().into_inner();
        assert!(memmem(&out, secret.as_bytes()), "without {id}: {}", String::from_utf8_lossy(&out));
    }
    let swept = |redactor: &Redactor| {
        let _ = redactor.text("password=Hunter2xyz9Q");
        redactor.sweep().is_some()
    };
    assert!(swept(&redactor()) && !swept(&build("known-value")));
    // `encoded` only labels: what is found inside of an encoding has the rule of what was found.
    let named = |id: &str| cases.iter().any(|(n, _, _)| *n == id) || matches!(id, "known-value" | "encoded");
    for rule in redactor().rules().iter().filter(|r| r.definition.is_none()) {
        assert!(named(&rule.id), "{} has no case here", rule.id);
    }
}

#[test]
fn trap_a_putty_key() {
    let body = "AAAAgQDBm4g1cE3Xg0Y5tS9lJk2nQvW8xZ7rT6uP5oI4aH3fG2dC1bN0\nmK9jL8hV7gF6tD5sR4eW3qX2zY1\n";
    let input = format!("PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 2\n{body}Private-MAC: {}\n", "ab".repeat(32));
    let out = gone(Format::Text, &input, &body[..40]);
    assert!(!leaks(&out, "mK9jL8hV7gF6tD5sR4eW3qX2zY1") && out.contains("\nPrivate-MAC: "), "{out}");
    let whole = redact(Format::Text, input.as_bytes());
    for cut in 0..input.len() {
        assert!(in_pieces(Format::Text, input.as_bytes(), &[cut]) == whole, "split at {cut}");
    }
}

#[test]
fn trap_nesting_to_the_limit_and_beyond() {
    for (depth, fine) in [(9_990, true), (10_001, false)] {
        let input = format!("{}{{\"password\":\"Hunter2xyz\"}}{}", "[".repeat(depth), "]".repeat(depth));
        match redactor().bytes("f", Format::Json, input.as_bytes()) {
            Ok(out) => assert!(fine && !memmem(out.get(), b"Hunter2xyz"), "{depth}"),
            Err(e) => assert!(!fine && e.to_string().contains("nested"), "{depth}: {e}"),
        }
    }
}

#[test]
fn planted_secrets_leave_in_no_carrier() {
    let list: toml::Table = include_str!("../../fixtures/secrets/planted.toml").parse().unwrap();
    let mut failures = Vec::new();
    for secret in list["secret"].as_array().unwrap() {
        let value = expand(secret["value"].as_str().unwrap()).text;
        let key = secret.get("key").and_then(toml::Value::as_str);
        let texts = match key {
            Some(key) => vec![
                format!("{key}={value}"),
                format!("{key}: {value}"),
                format!("{{\"{key}\":\"{value}\"}}"),
                format!("--{key} {value}"),
            ],
            None => vec![value.clone(), format!("error: cannot use {value}, giving up")],
        };
        for text in texts {
            for carrier in ["raw", "env", "json", "json-escaped", "yaml", "header", "base64"] {
                let (format, input) = carry(carrier, &text);
                let out = self::text(format, &input);
                let encoded = STANDARD.encode(format!("see here: {text} ok"));
                if leaks(&out, &value) || leaks(&out, &encoded) {
                    failures.push(format!("{} in {carrier}: {input:?} -> {out:?}", secret["kind"]));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn lines_that_people_really_write() {
    let phrase = "abandon ability able about above absent absorb abstract absurd abuse access accident";
    let hex = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    for (input, secret) in [
        ("Authorization=[Bearer abcDEF123456ghi] foo".to_owned(), "abcDEF123456ghi"),
        (r#"{"headers":{"cookie":["sid=abcdef12345; a=b"]}}"#.to_owned(), "abcdef12345"),
        ("password: correct horse battery staple".to_owned(), "horse"),
        ("Server=tcp:h;Password=ab,c;d!ef;User=x".to_owned(), "ab,c;d!ef"),
        ("mongodb://user:p@ss/w0rd@cluster0.example.net/db?x=1".to_owned(), "ss/w0rd"),
        (format!("Your seed phrase is: {phrase}"), phrase),
        (format!("seed phrase: {phrase}"), phrase),
        (format!("PrivateKey({hex})"), hex),
        (format!("private key 0x{hex}"), hex),
        ("password is hunter2".to_owned(), "hunter2"),
        ("password: Some(Secret(\"hunter2\"))".to_owned(), "hunter2"),
        ("secret: SecretString(\"hunter2x\")".to_owned(), "hunter2x"),
    ] {
        gone(Format::Text, &input, secret);
    }
}

fn casefile(args: &[&std::path::Path], stdin: &str) -> (i32, String, String) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .arg("redact")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A usage error closes the pipe before it is read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn the_command_redacts_files_directories_and_standard_input() {
    use std::path::Path;
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("in");
    std::fs::create_dir_all(source.join("a")).unwrap();
    std::fs::write(source.join("a/x.json"), "{\"password\":12345678}").unwrap();
    std::fs::write(source.join("y.log"), "fine\n").unwrap();
    let target = dir.path().join("out");
    let (code, _, err) = casefile(&[&source, Path::new("-o"), &target], "");
    assert_eq!(code, 0, "{err}");
    assert!(std::fs::read_to_string(target.join("a/x.json")).unwrap().starts_with("{\"password\":\"REDACTED-"));
    assert_eq!(std::fs::read_to_string(target.join("y.log")).unwrap(), "fine\n");
    let (code, _, err) = casefile(&[&source, Path::new("-o"), &target], "");
    assert_eq!((code, err.contains("exists")), (2, true), "{err}");

    let (code, out, _) = casefile(&[], "password=Hunter2xyz\n");
    assert!(code == 0 && out.starts_with("password=REDACTED-password-"), "{out}");
    let key = dir.path().join("key");
    std::fs::write(&key, [9; 32]).unwrap();
    let with_key = [Path::new("--correlation-key"), &key];
    assert_eq!(casefile(&with_key, "password=Hunter2xyz\n").1, casefile(&with_key, "password=Hunter2xyz\n").1);
    let (code, out, err) =
        casefile(&[Path::new("--redaction-rules"), &dir.path().join("none")], "password=Hunter2xyz\n");
    assert!(code == 1 && out.is_empty() && err.contains("none"), "{code} {err}");

    let (code, out, err) = casefile(&[Path::new("rules"), Path::new("check")], "");
    assert!(code == 0 && out.contains(" 0 examples failed"), "{out}{err}");
    let (code, out, _) = casefile(&[Path::new("rules"), Path::new("explain"), Path::new("github-token")], "");
    assert!(code == 0 && out.contains("REDACTED-github-token-"), "{out}");
    assert_eq!(casefile(&[Path::new("rules"), Path::new("explain"), Path::new("nope")], "").0, 2);
}

// ---- where a name decides against a value ------------------------------------------------------------------------

#[test]
fn names_of_keys_and_parameters_of_shells_stay() {
    // The field names a key of a Secret; a password that is called so is one all the same.
    stays(Format::Yaml, "secretKeyRef:\n  name: db\n  secretKey: password\n");
    stays(Format::Yaml, "secretKey: postgres-password\n");
    stays(Format::Text, "login --password $1 --token ${2}\n");
    stays(Format::Env, "DB_PASSWORD=$1\nTOKEN=$API_TOKEN\n");
    for (format, input) in [
        (Format::Yaml, "password: password\n"),
        (Format::Env, "DB_PASSWORD=password\n"),
        (Format::Env, "DB_PASSWORD=$1x2\n"),
        (Format::Json, "{\"adminPassword\":\"$1$salt$hash\"}"),
    ] {
        assert!(text(format, input).contains("REDACTED-password-"), "{input}");
    }
}

// ---- sentences and colours ---------------------------------------------------------------------------------------

#[test]
fn a_value_that_a_sentence_names() {
    for input in [
        "login failed for app with password 'Zq8vW3rT7yU1'",
        "wrong password Zq8vW3rT7yU1 for app",
        "Password for app set to Zq8vW3rT7yU1",
        "the generated password is: Zq8vW3rT7yU1.",
        "Your new token is Zq8vW3rT7yU1",
        "the secret is \"Zq8vW3rT7yU1\"",
    ] {
        gone(Format::Text, input, "Zq8vW3rT7yU1");
    }
    for input in [
        "password authentication failed for user \"app\"",
        "the token is invalid",
        "token 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48 was listed",
        "secret is mounted at /run/Secrets1A2b",
        "password hash algorithm changed to argon2id",
        "Password reset for user 42 of Tenant7Alpha",
    ] {
        stays(Format::Text, input);
    }
}

#[test]
fn a_setting_in_the_colours_of_a_terminal() {
    for input in [
        "\u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0mZq8vW3rT7yU1 \u{1b}[3mport\u{1b}[0m\u{1b}[2m=\u{1b}[0m1",
        "\u{1b}[36mdb_password:\u{1b}[0m \u{1b}[1m\"Zq8vW3rT7yU1\"\u{1b}[0m",
        r#"{"m":"\u001b[3mpassword\u001b[0m\u001b[2m=\u001b[0mZq8vW3rT7yU1"}"#,
    ] {
        gone(Format::Text, input, "Zq8vW3rT7yU1");
    }
    let out = text(Format::Text, "\u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0mhunter2\u{1b}[0m end");
    assert!(out.ends_with("\u{1b}[0m end"), "{out}");
}

#[test]
fn a_text_that_ends_with_a_name_and_a_sign_has_no_value() {
    for input in [
        r#"{"msg":"enter password:","z":[1]}"#,
        r#"{"msg":"enter password:", "z":"hello"}"#,
        r#"{"a":["enter token=" ],"z":1}"#,
        r#"{"a":{"b":"Password:"},"z":1}"#,
        r#"{"log":"{\"msg\":\"enter password:\",\"z\":\"hello\"}"}"#,
        r#"{"h":"Authorization:","z":"hello"}"#,
        "{'msg': 'enter password:', 'z': 'hello'}",
        "FATAL: login failed, password authentication failed for user \"app\"",
        "the login page asks for a password twice",
    ] {
        for format in [Format::Json, Format::Text, Format::Yaml] {
            assert_eq!(text(format, input), input, "{format:?}");
        }
    }
    // Where the text does not begin or end like that, it is a value.
    for input in [
        r#"login password:",abcdef12""#,
        r#"{"cmd": login password:",abcdef12"}"#,
        r#"{"a":"x", "password":",abcdef12"}"#,
        r#"{"a":"password:\",abcdef12\" y"}"#,
        "machine h login u password ,abcdef12\n",
    ] {
        for format in [Format::Json, Format::Text] {
            assert!(!text(format, input).contains("abcdef12"), "{format:?}: {}", text(format, input));
        }
    }
}
