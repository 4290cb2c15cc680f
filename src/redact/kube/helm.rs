//! What a release record of Helm says about itself: chart, versions, status. Its values and its manifest are passed over.

use std::io::Read;

use serde::Deserialize;
use serde_json::json;

use crate::redact::token;

/// Largest record that is unpacked; the API server stores none above 1.5 MiB.
const PACKED_MAX: usize = 2 << 20;
/// Where unpacking stops.
const UNPACKED_MAX: u64 = 64 << 20;
/// Characters of a text that are kept.
const TEXT_MAX: usize = 300;

/// The members of a record that are read. The decoder skips all others, without keeping them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Release {
    name: String,
    version: i64,
    info: Info,
    chart: Chart,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    first_deployed: String,
    last_deployed: String,
    status: String,
    description: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chart {
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    version: String,
    app_version: String,
}

/// Describes the value of `release` in a Secret of type `helm.sh/release.v1`, as it stands there: base64 of base64 of gzip of
/// JSON. None when it is something else, or too large.
pub(super) fn describe(value: &str) -> Option<String> {
    if value.len() > PACKED_MAX {
        return None;
    }
    let inner = token::base64_bytes(value.as_bytes())?;
    let packed = token::base64_bytes(inner.trim_ascii())?;
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    let unpacked = std::io::BufReader::new(flate2::read::GzDecoder::new(packed.as_slice()).take(UNPACKED_MAX));
    let release: Release = serde_json::from_reader(unpacked).ok()?;
    let text = |text: &str| text.chars().take(TEXT_MAX).collect::<String>();
    let facts = json!({
        "name": text(&release.name),
        "revision": release.version,
        "status": text(&release.info.status),
        "chart": text(&release.chart.metadata.name),
        "chart_version": text(&release.chart.metadata.version),
        "app_version": text(&release.chart.metadata.app_version),
        "first_deployed": text(&release.info.first_deployed),
        "last_deployed": text(&release.info.last_deployed),
        "description": text(&release.info.description),
    });
    Some(facts.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn packed(text: &str) -> String {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        STANDARD.encode(STANDARD.encode(gzip.finish().unwrap()))
    }

    #[test]
    fn chart_and_status_are_kept_and_values_are_not() {
        let record = r#"{"name": "kms-party-3", "version": 2, "namespace": "n",
            "info": {"status": "failed", "first_deployed": "2026-11-02T08:00:00Z", "last_deployed": "2026-11-20T09:12:03Z",
                     "description": "Upgrade failed: timed out", "notes": "the password is hunter2"},
            "chart": {"metadata": {"name": "kms-core", "version": "1.9.1", "appVersion": "0.15.0"}, "values": {"password": "hunter2"},
                      "templates": [{"name": "x", "data": "aHVudGVyMg=="}]},
            "config": {"password": "hunter2"}, "manifest": "password: hunter2"}"#;
        let text = describe(&packed(record)).unwrap();
        for want in ["kms-core", "1.9.1", "0.15.0", "failed", "Upgrade failed: timed out"] {
            assert!(text.contains(want), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn what_is_no_record_says_nothing() {
        for value in
            ["", "%%%", &STANDARD.encode("plain"), &STANDARD.encode(STANDARD.encode("plain")), &packed("not json")]
        {
            assert!(describe(value).is_none(), "{value}");
        }
        assert!(describe(&"A".repeat(PACKED_MAX + 4)).is_none());
        // A record that unpacks for ever ends at the limit.
        assert!(describe(&packed(&format!("{{\"x\": \"{}", "a".repeat(1 << 20)))).is_none());
    }

    proptest! {
        #[test]
        fn any_value_is_looked_at(value in "[A-Za-z0-9+/=]{0,100}", text in ".{0,100}") {
            let _ = describe(&value);
            let _ = describe(&packed(&text));
        }
    }
}
