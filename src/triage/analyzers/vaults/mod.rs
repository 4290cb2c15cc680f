//! The vaults of a KMS: whether key material, PRSS and what the others fetch fit together, by the layout of each version.
//!
//! Only names and sizes are known. An empty folder of another version's layout is normal and says nothing.

mod keys;
mod layout;
mod prss;

use std::collections::BTreeMap;

use serde_json::Value;

use self::layout::Layout;
use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Key, Vault};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::{text, version};

/// Distance of these rules from the cause: what is stored decides whether a core starts.
pub(in crate::triage) const DEPTHS: [(&str, u8); 12] = [
    ("kms-vault-empty", 1),
    ("kms-vault-missing", 1),
    ("kms-prss-missing", 1),
    ("kms-prss-partial", 1),
    ("kms-prss-other-layout", 1),
    ("kms-prss-epoch-missing", 1),
    ("kms-object-empty", 1),
    ("kms-object-stray", 1),
    ("kms-material-unpaired", 1),
    ("kms-signing-key", 1),
    ("kms-backup-incomplete", 4),
    ("kms-private-key-public", 2),
];

/// What is known of one party.
struct Party<'a> {
    pod: Key,
    private: Option<&'a Vault>,
    public: Option<&'a Vault>,
    backup: Option<&'a Vault>,
    /// Parties and threshold, where the configuration says so.
    size: Option<(usize, i64)>,
    /// Whether it is one party of a network; a centralized core has no PRSS.
    threshold: bool,
    layout: Option<Layout>,
    version: String,
}

impl Party<'_> {
    fn subject(&self) -> Subject {
        Subject::new("pod", &self.pod.0, &self.pod.1)
    }

    /// A draft about this party's core.
    fn draft(&self, rule: &str, category: Category, severity: Severity, level: Level) -> Draft {
        Draft::new(rule, category, severity, level).about(self.subject())
    }

    /// The version as a title shows it.
    fn version_text(&self) -> String {
        if self.version.is_empty() { "this version".to_owned() } else { format!("version {}", self.version) }
    }
}

/// What the private vault of one party says about its PRSS, for rules.
pub(in crate::triage) struct Prss<'a> {
    pub(in crate::triage) vault: &'a Vault,
    pub(in crate::triage) version: String,
    /// Folder in which this version has it, empty when the version is not known and no folder says which.
    pub(in crate::triage) folder: &'static str,
    /// `complete`, `missing`, `partial`, `other-layout`, `epoch-missing`, or `unknown` where the vault could not be listed.
    pub(in crate::triage) state: &'static str,
    /// Names of the objects.
    pub(in crate::triage) objects: Vec<&'a str>,
}

/// The PRSS of every party whose private vault was looked at; a centralized core has none.
pub(in crate::triage) fn prss_states(facts: &Facts) -> Vec<Prss<'_>> {
    let states = parties(facts).into_values().filter(|p| p.threshold).filter_map(|party| {
        let vault = party.private?;
        let mut drafts = Vec::new();
        prss::analyze(&party, &mut drafts);
        let state = match drafts.iter().map(|d| d.rule.as_str()).next() {
            _ if !vault.is_whole() => "unknown",
            None => "complete",
            Some("kms-prss-missing") => "missing",
            Some("kms-prss-other-layout") => "other-layout",
            Some("kms-prss-epoch-missing") => "epoch-missing",
            Some(_) => "partial",
        };
        let folder = party.layout.or_else(|| prss::guess(vault)).map_or("", Layout::folder);
        let objects = vault.folder(folder).map(|(_, name)| name).collect();
        Some(Prss { vault, version: party.version, folder, state, objects })
    });
    states.collect()
}

/// The vaults of each pod together.
fn parties(facts: &Facts) -> BTreeMap<&Key, Party<'_>> {
    let mut parties: BTreeMap<&Key, Party<'_>> = BTreeMap::new();
    for vault in &facts.vaults {
        let party = parties.entry(&vault.pod).or_insert_with(|| party(facts, &vault.pod));
        match vault.id.as_str() {
            "private" => party.private = Some(vault),
            "public" => party.public = Some(vault),
            "backup" => party.backup = Some(vault),
            _ => {}
        }
    }
    parties
}

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for party in parties(facts).values() {
        for vault in [party.private, party.public, party.backup].into_iter().flatten() {
            missing(party, vault, out);
        }
        if !empty(party, out) {
            prss::analyze(party, out);
            keys::analyze(party, out);
        }
        keys::objects(party, out);
    }
}

fn party<'a>(facts: &'a Facts, pod: &Key) -> Party<'a> {
    let config = facts.configs.iter().find(|c| c.pod == *pod && c.value.get("service").is_some());
    let threshold = config.and_then(|c| c.value.get("threshold")).filter(|t| t.is_object());
    let size = threshold.and_then(|t| {
        let peers = t.get("peers").and_then(Value::as_array).map(Vec::len).filter(|n| *n > 0)?;
        Some((peers, t.get("threshold").and_then(Value::as_i64)?))
    });
    let version = version_of(facts, pod);
    Party {
        pod: pod.clone(),
        private: None,
        public: None,
        backup: None,
        size,
        threshold: config.is_none() || threshold.is_some(),
        layout: version::parse(&version).map(Layout::of),
        version,
    }
}

/// The version that the core says it has, or else that of its image.
pub(super) fn version_of(facts: &Facts, pod: &Key) -> String {
    let said = facts.answers.iter().find(|a| a.pod == *pod && a.id == "version").map(|a| a.body.trim().to_owned());
    if let Some(said) = said.filter(|v| version::parse(v).is_some()) {
        return said.trim_start_matches('v').to_owned();
    }
    let containers = || facts.pods.get(pod).into_iter().flat_map(|p| &p.containers);
    let main = containers().filter(|c| matches!(c.name.as_str(), "kms-core" | "kms-core-enclave"));
    // Init containers have images of their own, with versions of other programs.
    let core = main.chain(containers().filter(|c| c.image.contains("core-service")));
    let mut tags = core.filter_map(|c| version::tag(&c.image)).filter(|tag| version::parse(tag).is_some());
    tags.next().map(|tag| tag.trim_start_matches('v').to_owned()).unwrap_or_default()
}

/// A bucket or directory that does not exist.
fn missing(party: &Party<'_>, vault: &Vault, out: &mut Vec<Draft>) {
    let Some((code, why)) = vault.fault.as_ref().filter(|(code, _)| code == "not-found") else { return };
    let place = vault.shown();
    out.push(
        party
            .draft("kms-vault-missing", Category::Storage, Severity::Critical, Level::Two)
            .title(format!("the {} vault of {{who}} is not there: {place}", vault.id))
            .meaning("The core cannot read what it keeps there, and cannot write.")
            .seen_in([vault.at("/fault", &format!("{code}: {why}"))])
            .because(format!("the configuration names it as {place}"))
            .confidence(0.8)
            .same_when(vault.id.clone())
            .remedy([
                "Compare bucket, path and prefix in the configuration with what was made for this party",
                "If the volume is gone from the node, mount it again before the core is restarted; do not generate keys anew",
            ]),
    );
}

/// A private vault without anything in it, when others have something: nearly always a wrong prefix.
fn empty(party: &Party<'_>, out: &mut Vec<Draft>) -> bool {
    let Some(private) = party.private.filter(|v| v.is_whole() && v.objects.is_empty()) else { return false };
    let published = party.public.is_some_and(|p| p.folder("VerfKey").next().is_some());
    let mut draft = party
        .draft(
            "kms-vault-empty",
            Category::Storage,
            if published { Severity::Critical } else { Severity::Warning },
            Level::Two,
        )
        .title(format!("the private vault of {{who}} is empty: nothing is below {}", private.shown()))
        .meaning("Without its signing key a core starts in recovery mode, says that it is healthy, and can do nothing.")
        .seen_in([private.at("/objects", "no object")])
        .remedy([
            "Compare bucket and prefix of private_vault in the configuration with where the keys were generated",
            "Only if this party never had keys: run kms-gen-keys. Never run it to replace keys that cannot be found",
        ]);
    if published {
        draft = draft.because("the public vault has the verification key of a signing key that should be here");
    }
    if !private.siblings.is_empty() {
        draft = draft
            .because(format!("the bucket has other prefixes: {}", text::names(&private.siblings, 6)))
            .seen_in([private.at("/siblings", &text::names(&private.siblings, 6))]);
    }
    out.push(draft);
    true
}
