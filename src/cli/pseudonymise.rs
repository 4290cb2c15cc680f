//! `--pseudonymise`: the switch that `collect`, `demo` and `redact` share.

use crate::redact::{Pseudonym, RedactorBuilder};

/// The flag.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct PseudonymArgs {
    /// Replace addresses and names by pseudonyms, too: the same value by the same one everywhere in the bundle
    #[arg(long, value_enum, value_name = "KIND,...", value_delimiter = ',', help_heading = "Redaction")]
    pseudonymise: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// IPv4 and IPv6; common prefixes are kept
    Ip,
    /// Hardware addresses
    Mac,
    /// E-mail addresses
    Email,
    /// Host names with a dot, but not those inside of the cluster
    Host,
}

impl Kind {
    fn pseudonym(self) -> Pseudonym {
        match self {
            Self::Ip => Pseudonym::Ip,
            Self::Mac => Pseudonym::Mac,
            Self::Email => Pseudonym::Email,
            Self::Host => Pseudonym::Host,
        }
    }
}

impl PseudonymArgs {
    /// Tells a redactor.
    pub(super) fn switch_on(&self, builder: RedactorBuilder) -> RedactorBuilder {
        self.pseudonymise.iter().fold(builder, |b, kind| b.with_pseudonym(kind.pseudonym()))
    }

    /// The flag as it would be typed.
    pub(super) fn typed(&self) -> Option<String> {
        let names: Vec<_> = self.pseudonymise.iter().map(|k| k.pseudonym().name()).collect();
        (!names.is_empty()).then(|| format!("--pseudonymise={}", names.join(",")))
    }
}
