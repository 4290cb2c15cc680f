//! Kubernetes quantities: `500m`, `24Mi`, `1e3`, `387715410n`.

/// The value of a quantity; none when it is not one.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "exact to 53 bits, and used for comparisons and display")]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
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
        "Ki" => (1_u64 << 10) as f64,
        "Mi" => (1_u64 << 20) as f64,
        "Gi" => (1_u64 << 30) as f64,
        "Ti" => (1_u64 << 40) as f64,
        "Pi" => (1_u64 << 50) as f64,
        "Ei" => (1_u64 << 60) as f64,
        exponent if exponent.starts_with(['e', 'E']) => 10_f64.powi(exponent[1..].parse::<i32>().ok()?),
        _ => return None,
    };
    let value = number * factor;
    value.is_finite().then_some(value)
}

/// A quantity of bytes, when it is a plausible one. A kubelet reports "no limit" as the largest number it has.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
pub fn bytes(text: &str) -> Option<u64> {
    parse(text).filter(|v| (0.0..=9e15).contains(v)).map(|v| v as u64)
}

/// A quantity of CPUs, in thousandths.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
pub fn milli(text: &str) -> Option<u64> {
    parse(text).map(|v| v * 1000.0).filter(|v| (0.0..=9e15).contains(v)).map(|v| v.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_suffixes() {
        for (text, want) in [
            ("24Mi", 24.0 * 1_048_576.0),
            ("500m", 0.5),
            ("2", 2.0),
            ("1e3", 1000.0),
            ("1.5G", 1.5e9),
            ("387715410n", 0.387_715_41),
        ] {
            assert!((parse(text).unwrap() - want).abs() < 1e-6 * want, "{text}");
        }
        assert_eq!((milli("250m"), milli("2"), milli("387715410n")), (Some(250), Some(2000), Some(388)));
        for text in ["", "Mi", "1X", "1ee", "--1", "1e9999"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(bytes("9007199254740988Ki"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_finite(text in ".{0,20}") {
            prop_assert!(parse(&text).is_none_or(f64::is_finite));
        }
    }
}
