//! Properties that hold for any content: the same result however it is split, nothing more in a second pass, and the same
//! structure as before.

use casefile::redact::Format;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::redaction::{in_pieces, keys, redact, text};

fn fragment() -> impl Strategy<Value = String> {
    let fixed: Vec<&'static str> = vec![
        "password=Hunter2x",
        "\"password\": \"a\\\"b\"",
        "token: ",
        "|\n  x\n",
        "\n",
        "\\n",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "name: DB_PASSWORD",
        "\"value\":\"zzz9zzz\"",
        "value: ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "MIIEvQIBADAN",
        "://u:p@h",
        "%3D",
        "\\u0022",
        "AKIAQWERTYUIOPASDFGH",
        "Authorization: Bearer abcdef123456",
        "Cookie: a=b; c=d",
        "REDACTED-password-abcdefghijkl",
        "\u{0}",
        "ü",
        "  ",
        "- ",
        "\"\"\"",
        "kind: Secret",
        "\"data\":{\"a\":\"YWJjZGVm\"}",
        "\"kind\":\"Secret\"",
        "cGFzc3dvcmQ9SHVudGVyMnh5enp5",
        "--password ",
        ", ",
        "=",
        ": ",
        "mnemonic: ",
        "secret",
        "key",
        "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.abc",
        "<password>",
        "12345678",
    ];
    prop_oneof![8 => proptest::sample::select(fixed).prop_map(|s: &'static str| s.to_owned()), 1 => "[ -~]{0,12}"]
}

pub(super) fn json() -> impl Strategy<Value = serde_json::Value> {
    let keys = [
        "password",
        "token",
        "name",
        "value",
        "a",
        "data",
        "kind",
        "tokens",
        "private_key",
        "auth",
        "url",
        "note",
        "x-api-key",
    ];
    let texts = [
        "Hunter2xyz",
        "DB_PASSWORD",
        "a\"b\\c",
        "Secret",
        "password=abc DEF",
        "line\npassword: x y\nend",
        "postgres://u:p\"w@h/db",
        "it's",
        "Cookie: a=bcd; e=fgh",
        "{\"password\":\"in\\\"ner\"}",
        "Bearer abcDEF123456",
        "",
        "x: y",
        "# c",
        "- a",
        "AKIAQWERTYUIOPASDFGH",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n",
        "password='",
        "${X}",
    ];
    let leaf = prop_oneof![
        6 => proptest::sample::select(texts.to_vec()).prop_map(serde_json::Value::from),
        1 => any::<u32>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
        1 => any::<bool>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((proptest::sample::select(keys.to_vec()), inner), 0..5)
                .prop_map(|m| m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn format() -> impl Strategy<Value = Format> {
    proptest::sample::select(vec![Format::Text, Format::Json, Format::Yaml, Format::Toml, Format::Env])
}

/// The same 400 cases for each property in every run, or as many new ones as `CASEFILE_CASES` asks for.
pub(super) fn config() -> ProptestConfig {
    let asked = std::env::var("CASEFILE_CASES").ok().and_then(|n| n.parse().ok());
    let rng_seed = if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(3) };
    let cases = asked.unwrap_or(400);
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_split_of_anything_gives_the_same(parts in proptest::collection::vec(fragment(), 0..24), format in format(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let input = parts.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = redact(format, input.as_bytes());
        let pieces = in_pieces(format, input.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn a_second_pass_changes_nothing(parts in proptest::collection::vec(fragment(), 0..16), format in format()) {
        let once = redact(format, parts.join("\n").as_bytes());
        let twice = redact(format, &once);
        prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    }

    #[test]
    fn a_second_pass_over_glued_fragments_changes_nothing(parts in proptest::collection::vec(fragment(), 0..16), format in format()) {
        let once = redact(format, parts.concat().as_bytes());
        let twice = redact(format, &once);
        prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    }

    #[test]
    fn json_stays_json_with_the_same_keys(value in json(), pretty in any::<bool>()) {
        let input = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let out = text(Format::Json, &input);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&out);
        prop_assert!(parsed.is_ok(), "{}\n{}", input, out);
        prop_assert_eq!(keys(&parsed.unwrap()), keys(&value));
    }

    #[test]
    fn yaml_stays_yaml_with_the_same_keys(value in json()) {
        let input = serde_saphyr::to_string(&value).unwrap();
        let Ok(before) = serde_saphyr::from_str::<serde_json::Value>(&input) else { return Ok(()) };
        let out = text(Format::Yaml, &input);
        let parsed = serde_saphyr::from_str::<serde_json::Value>(&out);
        prop_assert!(parsed.is_ok(), "{}\n{}", input, out);
        prop_assert_eq!(keys(&parsed.unwrap()), keys(&before), "{}\n{}", input, out);
    }

    #[test]
    fn any_bytes_are_survived(input in proptest::collection::vec(any::<u8>(), 0..600), format in format()) {
        // A head of text, so that random bytes are not left out as binary.
        let input = [&b"a line of text that says what follows\n".repeat(14), &input[..]].concat();
        let whole = redact(format, &input);
        prop_assert_eq!(in_pieces(format, &input, &[input.len() / 2]), whole);
    }
}
