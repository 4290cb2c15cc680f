//! Where each version keeps its PRSS, and what its names look like.

use crate::triage::version::Version;

/// Id of the default epoch since 0.13.10.
pub(super) const EPOCH: &str = "0800000000000000000000000000000000000000000000000000000000000001";
/// Id of the only epoch before that.
pub(super) const FIRST_EPOCH: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// Layouts of the private vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Up to 0.12: one object for Z64 and one for Z128.
    Pair,
    /// 0.13.0 to 0.13.9: one object with a fixed name.
    Combined,
    /// 0.13.10 to 0.14: one object an epoch.
    Epochs,
    /// From 0.15: one object an epoch, in a folder of its own.
    EpochData,
}

impl Layout {
    pub(super) fn of(version: Version) -> Self {
        match version {
            v if v < (0, 13, 0) => Self::Pair,
            v if v < (0, 13, 10) => Self::Combined,
            v if v < (0, 15, 0) => Self::Epochs,
            _ => Self::EpochData,
        }
    }

    /// The folder of the PRSS.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Pair => "PrssSetup",
            Self::Combined | Self::Epochs => "PrssSetupCombined",
            Self::EpochData => "EpochData",
        }
    }

    /// The object that a party has after the first initialisation.
    pub(super) fn first(self) -> &'static str {
        match self {
            Self::Pair => "",
            Self::Combined => FIRST_EPOCH,
            Self::Epochs | Self::EpochData => EPOCH,
        }
    }
}

/// All folders that ever held PRSS, oldest first.
pub(super) const FOLDERS: [&str; 3] = ["PrssSetup", "PrssSetupCombined", "EpochData"];

/// Names of the pair for Z128 and Z64, by the size of the network. The names are digests; for 4 parties only their ends are known.
pub(super) fn pair(parties: usize, threshold: i64) -> Option<[(&'static str, &'static str); 2]> {
    match (parties, threshold) {
        (13, 4) => Some([
            ("14ffe49e9c39c42b3ce8040d58ddb8d8ad90bb80d1ad55f6f1468e2789e2043b", ""),
            ("9cc75accc8f7ddb428884ccee112763e9fbd2ac676da5c337ac833514e73e062", ""),
        ]),
        (4, 1) => Some([("acd760d8", "c14f"), ("7e966960", "35b0")]),
        _ => None,
    }
}

/// Whether a name is an id: 64 lower-case hex digits.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_layout() {
        for (version, folder) in [
            ((0, 12, 1), "PrssSetup"),
            ((0, 13, 3), "PrssSetupCombined"),
            ((0, 13, 22), "PrssSetupCombined"),
            ((0, 14, 1), "PrssSetupCombined"),
            ((0, 15, 0), "EpochData"),
        ] {
            assert_eq!(Layout::of(version).folder(), folder, "{version:?}");
        }
        assert_eq!(Layout::of((0, 13, 3)).first(), FIRST_EPOCH);
        assert!(is_id(EPOCH) && !is_id("README") && !is_id(&EPOCH.replace('8', "A")));
    }
}
