//! Sizes as people type them: `20MiB`, `500MB`, `1g`, `4096`.

/// Parses a size into bytes. Units of 1000 (`kB`, `MB`, `GB`) and 1024 (`KiB`, `MiB`, `GiB`, and the bare letters `k`, `m`, `g`).
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        other => return Err(format!("`{other}` is not a unit of size (try: 20MiB, 500MB or 1GiB)")),
    };
    let number: u64 = number.parse().map_err(|_| "a size begins with a number (try: 20MiB)".to_owned())?;
    match number.checked_mul(factor) {
        Some(0) => {
            Err("a size of 0 would keep nothing (try: 1MiB, or --skip for items that you do not want)".to_owned())
        }
        Some(bytes) => Ok(bytes),
        None => Err("this size is too large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_written() {
        for (text, bytes) in
            [("4096", 4096), ("20MiB", 20 << 20), ("500MB", 500_000_000), ("1g", 1 << 30), ("2 k", 2048)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "5 apples", "0", "99999999999999999999", "18446744073709551615k"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
