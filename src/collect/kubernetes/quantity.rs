//! Kubernetes quantities: `250m`, `1Gi`, `155540773n`, `1e3`.

/// The value of a quantity; none when the text is not one.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_f64.powi(exponent)
        }
    };
    Some(number * factor).filter(|v| v.is_finite())
}

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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn suffixes_and_exponents() {
        for (text, want) in
            [("250m", 0.25), ("1Gi", 1_073_741_824.0), ("2", 2.0), ("1e3", 1000.0), ("1E", 1e18), ("-1k", -1000.0)]
        {
            assert_eq!(parse(text), Some(want), "{text}");
        }
        for text in ["", "x", "1Xi", "1e", "--1", "1e999"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(cpu(Some("155540773n")), "156m");
        assert_eq!(memory(Some("433125Ki")), "423Mi");
        assert_eq!(share(Some("64Mi"), Some("128Mi")), "50%");
        assert_eq!((cpu(None), share(Some("1"), Some("0"))), ("-".to_owned(), "-".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
