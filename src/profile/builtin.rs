//! The profiles that are part of the binary.

use std::sync::LazyLock;

use super::{Profile, ProfileError, parse};

/// Id and text of each `profiles/<id>/profile.toml`. A test walks the folder, so that none can be forgotten here.
const SOURCES: [(&str, &str); 7] = [
    ("host", include_str!("../../profiles/host/profile.toml")),
    ("kms", include_str!("../../profiles/kms/profile.toml")),
    ("kubernetes", include_str!("../../profiles/kubernetes/profile.toml")),
    ("kvstore", include_str!("../../profiles/kvstore/profile.toml")),
    ("monitoring", include_str!("../../profiles/monitoring/profile.toml")),
    ("mpc-wallet", include_str!("../../profiles/mpc-wallet/profile.toml")),
    ("parthenon", include_str!("../../profiles/parthenon/profile.toml")),
];

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    SOURCES.iter().filter_map(|(id, text)| parse(&format!("profiles/{id}/profile.toml"), text).ok()).collect()
});

/// All built-in profiles, sorted by id.
#[must_use]
pub fn all() -> &'static [Profile] {
    &PROFILES
}

/// The built-in profile with this id.
///
/// # Errors
/// When there is none; the error names those that exist.
pub fn find(id: &str) -> Result<&'static Profile, ProfileError> {
    all().iter().find(|p| p.id == id).ok_or_else(|| ProfileError::Unknown {
        id: id.to_owned(),
        known: all().iter().map(|p| p.id.as_str()).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_built_in_and_parses() {
        let mut folders: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        folders.sort();
        let listed: Vec<&str> = SOURCES.iter().map(|(id, _)| *id).collect();
        assert_eq!(folders, listed);
        for (id, text) in SOURCES {
            assert_eq!(parse(id, text).unwrap().id, id);
        }
        assert_eq!(all().len(), SOURCES.len());
    }
}
