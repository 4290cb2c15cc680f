//! Time as the bundle writes it: UTC, second or millisecond precision, RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time, always UTC.
pub type Timestamp = DateTime<Utc>;

/// `2026-11-21T06:10:00Z`, as the manifest and the reports write times.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `20261121_061000`, the time in an archive's name.
#[must_use]
pub fn file_stamp(at: Timestamp) -> String {
    at.format("%Y%m%d_%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_fixed() {
        let at = DateTime::from_timestamp(1_795_241_400, 0).unwrap();
        assert_eq!(rfc3339(at), "2026-11-21T06:10:00Z");
        assert_eq!(file_stamp(at), "20261121_061000");
    }
}
