//! Version ranges over image tags: `>=0.13, <0.15`.

/// Major, minor and patch.
pub(super) type Version = (u64, u64, u64);

/// Says what is wrong with a range.
///
/// # Errors
/// The part that is no condition.
pub(super) fn check(range: &str) -> Result<(), String> {
    conditions(range).map(|_| ())
}

/// Whether the tag of an image is in the range. A tag that is no version is in every range: it may be anything.
pub(super) fn admits(range: &str, image: &str) -> bool {
    tag(image).and_then(parse).is_none_or(|version| admits_version(range, version))
}

/// Whether a version is in the range; an empty range has all.
pub(super) fn admits_version(range: &str, version: Version) -> bool {
    let Ok(conditions) = conditions(range) else { return true };
    conditions.into_iter().all(|(operator, bound)| match operator {
        ">=" => version >= bound,
        ">" => version > bound,
        "<=" => version <= bound,
        "<" => version < bound,
        _ => version == bound,
    })
}

fn conditions(range: &str) -> Result<Vec<(&'static str, Version)>, String> {
    range
        .split(',')
        .map(str::trim)
        .map(|part| {
            let operator = [">=", "<=", ">", "<", "="].into_iter().find(|o| part.starts_with(o));
            let bound = operator.and_then(|o| parse(part[o.len()..].trim()));
            operator.zip(bound).ok_or_else(|| format!("`{part}` is no condition; write `>=0.13, <0.15`"))
        })
        .collect()
}

/// The tag of an image, without its digest.
pub(super) fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

/// `v0.13.2-rc1` as 0.13.2; what is missing is 0.
pub(super) fn parse(text: &str) -> Option<Version> {
    let plain = text.strip_prefix('v').unwrap_or(text);
    let plain = plain.split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(|p| p.parse::<u64>().ok());
    let major = parts.next()??;
    let mut next = || parts.next().map_or(Some(0), |p| p);
    let version = (major, next()?, next()?);
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_versions() {
        for (range, image, want) in [
            (">=0.13, <0.15", "ghcr.io/x/kms:v0.13.2", true),
            (">=0.13, <0.15", "ghcr.io/x/kms:0.15.0-rc1", false),
            (">=0.13, <0.15", "host:5000/kms:0.9", false),
            (">0.9", "kms:0.10@sha256:12", true),
            ("=1.2.3", "kms:1.2.3", true),
            ("<1", "kms:latest", true),
            ("<1", "host:5000/kms", true),
        ] {
            assert_eq!(admits(range, image), want, "{range} {image}");
        }
        assert!(check("0.13").is_err() && check(">=a").is_err() && check(">=1, <2").is_ok());
    }
}
