//! PRSS: what the parties agreed on when the network was initialised. A core that lost it starts, says that it is healthy, and
//! refuses every request.

use std::collections::BTreeSet;

use super::Party;
use super::layout::{FOLDERS, Layout, is_id, pair};
use crate::triage::draft::Draft;
use crate::triage::facts::Vault;
use crate::triage::finding::{Category, Level, Severity};
use crate::triage::text;

pub(super) fn analyze(party: &Party<'_>, out: &mut Vec<Draft>) {
    let Some(private) = party.private.filter(|v| v.is_whole()) else { return };
    if !party.threshold || private.folder("FhePrivateKey").next().is_some() {
        return;
    }
    let layout = party.layout.or_else(|| guess(private));
    let names = |folder: &'static str| -> BTreeSet<&str> {
        private.folder(folder).map(|(_, n)| n).filter(|n| is_id(n)).collect()
    };
    let Some(layout) = layout else {
        out.push(none_at_all(party, private, "in any folder that a version used"));
        return;
    };
    let here = names(layout.folder());
    if here.is_empty() {
        let elsewhere: Vec<&str> =
            FOLDERS.into_iter().filter(|f| *f != layout.folder() && !names(f).is_empty()).collect();
        out.push(match elsewhere.first() {
            Some(folder) => other_layout(party, private, layout, folder),
            None => none_at_all(party, private, &format!("in {}/", layout.folder())),
        });
        return;
    }
    match layout {
        Layout::Pair => partial_pair(party, private, &here, out),
        Layout::Combined => {}
        Layout::Epochs | Layout::EpochData => {
            epochs(party, private, layout, &here, out);
            if layout == Layout::EpochData {
                unmigrated(party, private, &here, &names("PrssSetupCombined"), out);
            }
        }
    }
}

/// The newest layout of which there is something, when the version is not known.
pub(super) fn guess(private: &Vault) -> Option<Layout> {
    let has = |folder| private.folder(folder).any(|(_, name)| is_id(name));
    if has("EpochData") {
        Some(Layout::EpochData)
    } else if has("PrssSetupCombined") {
        let first = private.folder("PrssSetupCombined").any(|(_, n)| n == Layout::Combined.first());
        Some(if first { Layout::Combined } else { Layout::Epochs })
    } else {
        has("PrssSetup").then_some(Layout::Pair)
    }
}

fn none_at_all(party: &Party<'_>, private: &Vault, place: &str) -> Draft {
    let keys = private.folder("FheKeyInfo").next().is_some();
    let mut draft = party
        .draft(
            "kms-prss-missing",
            Category::ThresholdNetwork,
            if keys { Severity::Critical } else { Severity::Warning },
            Level::Two,
        )
        .title(format!("{{who}} has no PRSS {place} of its private vault ({})", party.version_text()))
        .meaning("Every request that needs the other parties ends with NOT_FOUND at this party, while the core starts and says that it is healthy.")
        .seen_in([private.at("/folders", &private.folders())])
        .confidence(0.85)
        .remedy([
            "Compare bucket and prefix of private_vault with where the party was initialised",
            "If it never was: run kms-init with all parties at the same time, agreed with the network's coordinator",
        ]);
    if keys {
        draft = draft
            .because("keys were generated, so the network was initialised once, and this party's part of it is gone")
            .remedy(["Restore it from the backup vault, or from an earlier version of the object; do not initialise this party alone: the others refuse an epoch that they have"]);
    }
    restorable(draft, private, &FOLDERS)
}

fn other_layout(party: &Party<'_>, private: &Vault, layout: Layout, folder: &str) -> Draft {
    party
        .draft("kms-prss-other-layout", Category::ThresholdNetwork, Severity::Critical, Level::Two)
        .title(format!(
            "{{who}} ({}) looks for its PRSS in {}/, and has it in {folder}/ only",
            party.version_text(),
            layout.folder()
        ))
        .meaning("The vault is in the layout of an older version: the migration at the first start did not happen, or the core was not started since the upgrade.")
        .seen_in([private.at("/folders", &private.folders())])
        .confidence(0.8)
        .remedy(if layout == Layout::EpochData {
            [
                "Set [[migration.context_associations]] in the configuration, with every epoch of PrssSetupCombined, and start the core once",
                "Look for `Migration config` in the log of the core's last start",
            ]
        } else {
            ["Start the core once with the version that migrates, and read its log for `migration`", "Do not move objects by hand"]
        })
}

/// One half of the pair of the old layout.
fn partial_pair(party: &Party<'_>, private: &Vault, here: &BTreeSet<&str>, out: &mut Vec<Draft>) {
    let missing: Vec<&str> = match party.size.and_then(|(n, t)| pair(n, t)) {
        Some(names) => names
            .into_iter()
            .zip(["Z128", "Z64"])
            .filter(|((begin, end), _)| !here.iter().any(|n| n.starts_with(begin) && n.ends_with(end)))
            .map(|(_, ring)| ring)
            .collect(),
        None if here.len() == 1 => vec!["Z64 or Z128"],
        None => return,
    };
    if missing.is_empty() {
        return;
    }
    let size = party.size.map_or_else(String::new, |(n, t)| format!(" for {n} parties and threshold {t}"));
    out.push(
        party
            .draft("kms-prss-partial", Category::ThresholdNetwork, Severity::Critical, Level::Two)
            .title(format!("{{who}} lacks the PRSS for {}{size}: {} of 2 objects are there", missing.join(" and "), 2 - missing.len()))
            .meaning("The initialisation was interrupted, or an object was lost. Operations over the missing ring fail, and an upgrade cannot migrate the rest.")
            .seen_in(private.folder("PrssSetup").take(3).map(|(i, _)| private.object(i)))
            .confidence(0.85)
            .remedy([
                "Run kms-init again with all parties at the same time, agreed with the network's coordinator",
                "Check that number of parties and threshold are those of the initialisation: the names of the objects depend on both",
            ]),
    );
}

/// Epochs that keys belong to, without PRSS.
fn epochs(party: &Party<'_>, private: &Vault, layout: Layout, here: &BTreeSet<&str>, out: &mut Vec<Draft>) {
    let mut lacking: BTreeSet<&str> = BTreeSet::new();
    let mut evidence = Vec::new();
    for (index, name) in private.folder("FheKeyInfo").chain(private.folder("CrsInfo")) {
        let Some((epoch, _)) = name.split_once('/') else { continue };
        if is_id(epoch) && !here.contains(epoch) && lacking.insert(epoch) {
            evidence.push(private.object(index));
        }
    }
    if lacking.is_empty() {
        return;
    }
    let shown: Vec<String> = lacking.iter().map(|e| short(e)).collect();
    let present: Vec<String> = here.iter().map(|e| short(e)).collect();
    let draft = party
        .draft("kms-prss-epoch-missing", Category::ThresholdNetwork, Severity::Critical, Level::Two)
        .title(format!("{{who}} has keys of epoch {} and no PRSS for it", text::names(&shown, 3)))
        .meaning("Requests for these keys end with NOT_FOUND at this party, while the core starts and says that it is healthy.")
        .seen_in(evidence)
        .because(format!("{}/ has epoch {} only", layout.folder(), text::names(&present, 3)))
        .confidence(0.85)
        .remedy([
            format!("Compare the names in {}/ with those of the other parties: all have the same epochs", layout.folder()),
            "If an object was renamed by hand, give it its name back; else restore it from the backup vault".to_owned(),
        ]);
    out.push(restorable(draft, private, &[layout.folder()]));
}

/// Epochs of the layout before 0.15 that the new one lacks.
fn unmigrated(party: &Party<'_>, private: &Vault, here: &BTreeSet<&str>, old: &BTreeSet<&str>, out: &mut Vec<Draft>) {
    let lost: Vec<String> =
        old.difference(here).filter(|e| **e != super::layout::FIRST_EPOCH).map(|e| short(e)).collect();
    if lost.is_empty() {
        return;
    }
    out.push(
        party
            .draft("kms-prss-partial", Category::ThresholdNetwork, Severity::Warning, Level::Two)
            .title(format!("{{who}} did not migrate epoch {} to EpochData/", text::names(&lost, 3)))
            .meaning("The core refuses to start while the migration configuration does not cover an epoch, or cannot serve keys of that epoch.")
            .seen_in(private.folder("PrssSetupCombined").take(3).map(|(i, _)| private.object(i)))
            .confidence(0.7)
            .remedy(["Add the epoch to [[migration.context_associations]] and start the core again"]),
    );
}

/// Says that a deleted object can come back, where the bucket keeps versions.
fn restorable(draft: Draft, private: &Vault, folders: &[&str]) -> Draft {
    let gone: Vec<String> =
        private.deleted.iter().filter(|n| folders.iter().any(|f| n.starts_with(f))).cloned().collect();
    if gone.is_empty() {
        return draft;
    }
    draft
        .because(format!("the bucket has a delete marker on {}", text::names(&gone, 2)))
        .seen_in([private.at("/versions/deleted", &text::names(&gone, 2))])
        .remedy(["The bucket keeps versions: removing the delete marker brings the object back"])
}

/// An epoch as people compare it: its ends.
fn short(id: &str) -> String {
    match (id.get(..4), id.get(id.len().saturating_sub(4)..)) {
        (Some(begin), Some(end)) if id.len() > 12 => format!("{begin}..{end}"),
        _ => id.to_owned(),
    }
}
