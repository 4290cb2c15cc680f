//! Continue tokens, in the form of the real server: base64 of `{"v":"meta.k8s.io/v1","rv":<version>,"start":"<key>\0"}`.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::status::Status;

const FORMAT: &str = "meta.k8s.io/v1";
/// The resource version of a token that goes on with whatever there is.
const ANY: i64 = -1;

/// Go's decoder: padding or none, and no look at the bits behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, Serialize, Deserialize)]
struct Token {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The key of the last object of the page before.
    pub(super) after: String,
    /// Whether the token is one that an expired list gave out.
    pub(super) resumed: bool,
}

/// Makes the token that goes on after an object.
pub(super) fn token(version: i64, after: &str) -> String {
    // Keys of a consistent list begin with a slash, those of an inconsistent one do not.
    let slash = if version == ANY { "" } else { "/" };
    let token = Token { v: FORMAT.to_owned(), rv: version, start: format!("{slash}{after}\0") };
    URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).unwrap_or_default())
}

/// Reads a token that a client sent. `version` is that of the list now.
///
/// # Errors
/// 400 for a token that is none, 410 with a new token for one from another version of the list.
pub(super) fn parse(text: &str, version: i64) -> Result<Start, Status> {
    let invalid = |why: &str| Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    let bytes = LENIENT.decode(text).map_err(|_| invalid("illegal base64 data"))?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| match bytes.first() {
        Some(byte) => invalid(&format!("invalid character {} looking for beginning of value", quoted(*byte))),
        None => invalid("unexpected end of JSON input"),
    })?;
    if token.v != FORMAT {
        return Err(invalid("server does not recognize this encoded version"));
    }
    let after = token.start.trim_start_matches('/').trim_end_matches('\0').to_owned();
    if after.is_empty() || after.contains("..") {
        return Err(invalid("encoded start key empty or not valid"));
    }
    match token.rv {
        ANY => Ok(Start { after, resumed: true }),
        rv if rv == version => Ok(Start { after, resumed: false }),
        _ => Err(Status::expired(Some(self::token(ANY, &after)))),
    }
}

/// The 410 that a still good token gets when it is told to be too old.
pub(super) fn expire(text: &str, version: i64) -> Status {
    match parse(text, version) {
        Ok(start) => Status::expired(Some(token(ANY, &start.after))),
        Err(status) => status,
    }
}

/// A byte as Go's `%q` writes it in errors of its JSON decoder.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        0x20..0x7f => format!("'{}'", char::from(byte)),
        _ => format!("'\\u{byte:04x}'"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_those_of_the_real_server() {
        let text = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzI0MzEsInN0YXJ0IjoiL2ttcy1iYWRwcm9iZVx1MDAwMCJ9";
        assert_eq!(token(32431, "kms-badprobe"), text);
        assert_eq!(parse(text, 32431), Ok(Start { after: "kms-badprobe".into(), resumed: false }));
    }

    #[test]
    fn a_token_of_another_version_expires_and_gives_one_to_go_on() {
        let status = parse(&token(1, "kms-badprobe"), 32431).unwrap_err().body();
        assert_eq!((&status["code"], &status["reason"]), (&410.into(), &"Expired".into()));
        let next = status["metadata"]["continue"].as_str().unwrap();
        assert_eq!(next, "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0Ijoia21zLWJhZHByb2JlXHUwMDAwIn0");
        assert_eq!(parse(next, 32431), Ok(Start { after: "kms-badprobe".into(), resumed: true }));
    }

    #[test]
    fn garbage_is_refused_as_recorded() {
        assert_eq!(
            parse("garbage", 5).unwrap_err().body()["message"],
            "invalid continue token: continue key is not valid: invalid character '\\u0081' looking for beginning of value"
        );
    }

    proptest! {
        #[test]
        fn any_token_is_safe(text in ".{0,80}") {
            let _ = parse(&text, 1);
        }
    }
}
