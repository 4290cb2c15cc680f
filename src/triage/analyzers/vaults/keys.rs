//! Keys: whether the private and the public half of each are there, and whether anything lies there that should not.

use std::collections::BTreeSet;

use super::Party;
use super::layout::is_id;
use crate::triage::draft::Draft;
use crate::triage::facts::Vault;
use crate::triage::finding::{Category, Evidence, Level, Severity};
use crate::triage::text;

/// Folders of the private vault that a core lists; one name in them that is no id keeps it from starting.
const LISTED: [&str; 9] = [
    "SigningKey",
    "FheKeyInfo",
    "FhePrivateKey",
    "CrsInfo",
    "Context",
    "EpochData",
    "PrssSetup",
    "PrssSetupCombined",
    "RecoveryMaterial",
];
/// What the backup must have of the private vault.
const BACKED_UP: [&str; 5] = ["SigningKey", "FheKeyInfo", "CrsInfo", "EpochData", "PrssSetupCombined"];
/// Names that a finding shows.
const SHOWN: usize = 3;

pub(super) fn analyze(party: &Party<'_>, out: &mut Vec<Draft>) {
    signing(party, out);
    if let (Some(private), Some(public)) = (whole(party.private), whole(party.public)) {
        pairs(party, private, public, out);
    }
    if let (Some(private), Some(backup)) = (whole(party.private), whole(party.backup)) {
        backup_of(party, private, backup, out);
    }
}

/// Findings about single objects; they hold whatever else is missing.
pub(super) fn objects(party: &Party<'_>, out: &mut Vec<Draft>) {
    exposed(party, out);
    for vault in [party.private, party.public, party.backup].into_iter().flatten() {
        empty(party, vault, out);
    }
    if let Some(private) = party.private {
        stray(party, private, out);
        readable(party, private, out);
    }
}

fn whole(vault: Option<&Vault>) -> Option<&Vault> {
    vault.filter(|v| v.is_whole())
}

/// The private key of TLS in the bucket that everybody may read.
fn exposed(party: &Party<'_>, out: &mut Vec<Draft>) {
    let Some(public) = party.public else { return };
    let keys: Vec<usize> = public.folder("PrivateKey").map(|(i, _)| i).collect();
    if keys.is_empty() {
        return;
    }
    out.push(
        party
            .draft("kms-private-key-public", Category::Security, Severity::Critical, Level::Two)
            .title(format!("the private TLS key of {{who}} lies in its public vault, {}", public.shown()))
            .meaning("Everybody who can read the bucket can pretend to be this party towards the others. The certificate job of the chart puts it there, and the public bucket is made readable for all.")
            .seen_in(keys.iter().take(SHOWN).map(|i| public.object(*i)))
            .confidence(0.95)
            .remedy([
                "Delete the object, with all its versions, and check the bucket's access log for who has read it",
                "Make a new key and certificate, and let the other parties fetch the new certificate before this core restarts",
            ]),
    );
}

/// Objects of no bytes.
fn empty(party: &Party<'_>, vault: &Vault, out: &mut Vec<Draft>) {
    // Consoles make objects of no bytes that end with a slash, to show folders.
    let found: Vec<usize> = vault
        .objects
        .iter()
        .enumerate()
        .filter(|(_, o)| o.size == 0 && !o.name.ends_with('/'))
        .map(|(i, _)| i)
        .collect();
    let Some(first) = found.first().and_then(|i| vault.objects.get(*i)) else { return };
    let more = if found.len() > 1 { format!(" and {} more", found.len() - 1) } else { String::new() };
    out.push(
        party
            .draft("kms-object-empty", Category::Storage, Severity::Critical, Level::Three)
            .title(format!("{}{more} in the {} vault of {{who}} has no content", first.name, vault.id))
            .meaning(
                "A write was cut off. The core does not start with it: it reads every object of these folders at boot.",
            )
            .seen_in(found.iter().take(SHOWN).map(|i| vault.object(*i)))
            .same_when(vault.id.clone())
            .remedy([
                "Restore the object from the backup vault, or from an earlier version of it",
                "Do not delete it and do not restart the core before that: a running core still has it in memory",
            ]),
    );
}

/// Names that are no ids, in folders that the core lists.
fn stray(party: &Party<'_>, private: &Vault, out: &mut Vec<Draft>) {
    let is_stray = |name: &str| {
        let mut parts = name.split('/');
        let listed = parts.next().is_some_and(|folder| LISTED.contains(&folder));
        listed && !name.ends_with('/') && parts.any(|part| !is_id(part))
    };
    let found: Vec<usize> =
        private.objects.iter().enumerate().filter(|(_, o)| is_stray(&o.name)).map(|(i, _)| i).collect();
    let names: Vec<String> = found.iter().filter_map(|i| private.objects.get(*i)).map(|o| o.name.clone()).collect();
    if found.is_empty() {
        return;
    }
    out.push(
        party
            .draft("kms-object-stray", Category::Storage, Severity::Critical, Level::Two)
            .title(format!("the private vault of {{who}} has names that are no ids: {}", text::names(&names, SHOWN)))
            .meaning("One such name keeps the core from starting, and makes the key listing of a running core fail. The core's own error does not name it.")
            .seen_in(found.iter().take(SHOWN).map(|i| private.object(*i)))
            .remedy([
                "If it is an object that was renamed by hand, give it its name back; the name is its id",
                "Move anything else out of the folder; directly below the prefix it does no harm",
            ]),
    );
}

/// Private files that others on the machine may read.
fn readable(party: &Party<'_>, private: &Vault, out: &mut Vec<Draft>) {
    let open = |mode: &str| mode.len() == 10 && mode.as_bytes().get(7) == Some(&b'r');
    let found: Vec<usize> = private.objects.iter().enumerate().filter(|(_, o)| open(&o.mode)).map(|(i, _)| i).collect();
    if found.is_empty() {
        return;
    }
    out.push(
        party
            .draft("kms-private-files-readable", Category::Security, Severity::Info, Level::One)
            .title(format!("every user of the machine may read {} of the private vault of {{who}}", text::count(found.len(), "file")))
            .meaning("Releases before 0.14 write them so. Whoever has an account on the machine, or mounts the volume, has the key shares.")
            .seen_in(found.iter().take(SHOWN).map(|i| private.at(&format!("/objects/{i}/mode"), &private.objects[*i].mode)))
            .remedy(["Take the right to read away from others: chmod -R o-rwx on the private vault"]),
    );
}

/// Exactly one signing key belongs into the private vault.
fn signing(party: &Party<'_>, out: &mut Vec<Draft>) {
    let Some(private) = whole(party.private) else { return };
    let keys: Vec<usize> = private.folder("SigningKey").filter(|(_, name)| is_id(name)).map(|(i, _)| i).collect();
    let published = whole(party.public).is_some_and(|p| p.folder("VerfKey").any(|(_, name)| is_id(name)));
    let (severity, title, meaning, remedy) = match keys.len() {
        1 => return,
        0 if published => (
            Severity::Critical,
            "the signing key of {who} is not in its private vault, though its verification key is published".to_owned(),
            "The core starts in recovery mode without TLS, says that it is healthy, and cannot answer a request.",
            "Compare bucket and prefix of private_vault; then restore the key from the backup. Never generate a new one: the other parties know the old one",
        ),
        0 => (
            Severity::Warning,
            "{who} has no signing key".to_owned(),
            "Before the keys are generated this is normal; the core cannot start without them.",
            "Run kms-gen-keys once for this party, with the same bucket and prefix as the core",
        ),
        n => (
            Severity::Critical,
            format!("{{who}} has {n} signing keys where one belongs"),
            "The core does not start: it cannot know which identity is its own.",
            "Find out which one belongs to the published VerfKey, with the development team; do not delete any before",
        ),
    };
    let evidence: Vec<Evidence> = if keys.is_empty() {
        vec![private.at("/folders", "no SigningKey")]
    } else {
        keys.iter().take(SHOWN).map(|i| private.object(*i)).collect()
    };
    out.push(
        party
            .draft("kms-signing-key", Category::KeyManagement, severity, Level::Two)
            .title(title)
            .meaning(meaning)
            .seen_in(evidence)
            .remedy([remedy]),
    );
}

/// Ids in a folder, with or without an epoch above them.
fn ids<'a>(vault: &'a Vault, folder: &'a str) -> BTreeSet<&'a str> {
    vault.folder(folder).filter_map(|(_, name)| name.rsplit('/').next()).filter(|id| is_id(id)).collect()
}

/// Each key and each CRS has a private and a public part.
fn pairs(party: &Party<'_>, private: &Vault, public: &Vault, out: &mut Vec<Draft>) {
    let keys: BTreeSet<&str> = ids(private, "FheKeyInfo").union(&ids(private, "FhePrivateKey")).copied().collect();
    let evaluation: BTreeSet<&str> =
        ids(public, "ServerKey").union(&ids(public, "CompressedXofKeySet")).copied().collect();
    let public_keys = ids(public, "PublicKey");
    let mut report = |folder: &str, wanted: &BTreeSet<&str>, there: &BTreeSet<&str>, lacking: &Vault, of: &Vault| {
        let missing: Vec<&str> = wanted.difference(there).copied().collect();
        let Some(first) = missing.first() else { return };
        let evidence = of.objects.iter().position(|o| o.name.ends_with(first)).map(|i| of.object(i));
        let is_private = lacking.id == "private";
        let more = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        let gone: Vec<String> = lacking.deleted.iter().filter(|n| n.ends_with(first)).cloned().collect();
        let mut draft = party
            .draft("kms-material-unpaired", Category::KeyManagement, Severity::Critical, if is_private { Level::Three } else { Level::Two })
            .title(format!("{folder} {first}{more} is not in the {} vault of {{who}}, its other part is in the {} vault", lacking.id, of.id))
            .meaning(if is_private {
                "This party lost its share of a key that is published. It starts and says that it is healthy, and cannot take part in requests for that key."
            } else {
                "Clients cannot fetch it, and a core from 0.13.22 on does not start when what it recorded is not published."
            })
            .seen_in(evidence)
            .seen_in([lacking.at("/folders", &format!("no {folder}/{first}"))])
            .confidence(0.85)
            .same_when(format!("{folder} {}", lacking.id))
            .remedy(["Compare bucket and prefix of both vaults first: they must belong to the same party"]);
        draft = if is_private {
            draft.remedy(["Restore the object from the backup vault; do not generate the key again"])
        } else {
            draft.remedy(["Copy the object from another party's public vault or from an earlier version; it is the same at all parties"])
        };
        if !gone.is_empty() {
            draft = draft
                .because(format!("the bucket has a delete marker on {}", gone[0]))
                .remedy(["The bucket keeps versions: removing the delete marker brings the object back"]);
        }
        out.push(draft);
    };
    report("PublicKey", &keys, &public_keys, public, private);
    report("ServerKey or CompressedXofKeySet", &keys, &evaluation, public, private);
    report("FheKeyInfo", &public_keys, &keys, private, public);
    let (info, crs) = (ids(private, "CrsInfo"), ids(public, "CRS"));
    report("CRS", &info, &crs, public, private);
    // A centralized core of an old version keeps no record of a CRS.
    if party.threshold {
        report("CrsInfo", &crs, &info, private, public);
    }
}

/// What the backup lacks. A custodian's backup has folders of its own above the same names.
fn backup_of(party: &Party<'_>, private: &Vault, backup: &Vault, out: &mut Vec<Draft>) {
    let there: BTreeSet<&str> = backup
        .objects
        .iter()
        .flat_map(|o| {
            let below = o.name.split_once('/').map(|(_, rest)| rest);
            [Some(o.name.as_str()), below].into_iter().flatten()
        })
        .collect();
    let wanted = private.objects.iter().enumerate().filter(|(_, o)| {
        BACKED_UP.iter().any(|f| o.name.starts_with(f)) && o.name.rsplit('/').next().is_some_and(is_id)
    });
    let missing: Vec<(usize, String)> =
        wanted.filter(|(_, o)| !there.contains(o.name.as_str())).map(|(i, o)| (i, o.name.clone())).collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<String> = missing.iter().map(|(_, n)| n.clone()).collect();
    out.push(
        party
            .draft("kms-backup-incomplete", Category::KeyManagement, Severity::Warning, Level::Two)
            .title(format!(
                "the backup vault of {{who}} lacks {}: {}",
                text::count(missing.len(), "object"),
                text::names(&names, 2)
            ))
            .meaning("If the private vault is lost now, these are lost with it.")
            .seen_in(missing.iter().take(SHOWN).map(|(i, _)| private.object(*i)))
            .seen_in([backup.at("/folders", &backup.shown())])
            .confidence(0.8)
            .remedy([
                "Check that the core may write there, and its counter kms_backup_errors_total",
                "A start of the core copies what is missing: look for `Successfully updated backup vault` in its log",
            ]),
    );
}
