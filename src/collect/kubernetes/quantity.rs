//! Kubernetes quantities as `kubectl top` shows them.

use crate::model::quantity::parse;

/// A CPU quantity in thousandths, as `kubectl top` shows it.
pub(super) fn cpu(text: Option<&str>) -> String {
    text.and_then(parse).map_or_else(|| "-".to_owned(), |cores| format!("{:.0}m", (cores * 1000.0).ceil()))
}

/// A memory quantity in mebibytes.
pub(super) fn memory(text: Option<&str>) -> String {
    text.and_then(parse).map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}Mi", bytes / (1024.0 * 1024.0)))
}

/// How much of a limit is used.
pub(super) fn share(used: Option<&str>, limit: Option<&str>) -> String {
    match (used.and_then(parse), limit.and_then(parse)) {
        (Some(used), Some(limit)) if limit > 0.0 => format!("{:.0}%", used / limit * 100.0),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_in_thousandths_and_memory_in_mebibytes() {
        assert_eq!(cpu(Some("155540773n")), "156m");
        assert_eq!(memory(Some("433125Ki")), "423Mi");
        assert_eq!(share(Some("64Mi"), Some("128Mi")), "50%");
        assert_eq!((cpu(None), share(Some("1"), Some("0"))), ("-".to_owned(), "-".to_owned()));
    }
}
