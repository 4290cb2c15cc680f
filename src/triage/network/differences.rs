//! Where parties differ that should be alike, and who the odd one out is.

use std::collections::{BTreeMap, BTreeSet};

use super::party::{Party, Said};
use super::view::{Aspect, Comparison, Group};
use super::{bundles, groups, odd};
use crate::triage::draft::Draft;
use crate::triage::finding::{Call, Category, Evidence, Level, Severity, Subject, Who};
use crate::triage::text;

/// What stands in place of a secret.
const TOKEN: &str = "REDACTED-";
/// Names that a text shows.
const NAMES: usize = 13;

/// What is compared as one value a party.
struct Compared<'a> {
    aspect: &'a str,
    rule: &'a str,
    category: Category,
    severity: Severity,
    level: Level,
    what: &'a str,
    meaning: &'a str,
    remedy: &'a [&'a str],
    values: BTreeMap<&'a str, &'a Said>,
}

/// Compares everything; gives one comparison an aspect.
pub(super) fn find(parties: &[Party], out: &mut Vec<Draft>) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    bundles::twice(parties, out);
    let of = |get: fn(&Party) -> Option<&Said>| -> BTreeMap<&str, &Said> {
        parties.iter().filter_map(|p| Some((p.name(), get(p)?))).collect()
    };
    let singles = [
        Compared {
            aspect: "version",
            rule: "network-versions-differ",
            category: Category::Configuration,
            severity: Severity::Warning,
            level: Level::Two,
            what: "run another version",
            meaning: "Parties of different versions may refuse each other's messages. While an update goes round this is normal for a while.",
            remedy: &[
                "Ask the coordinator which version is agreed on",
                "Finish the update, or take it back at the odd one out",
            ],
            values: of(|p| p.version.as_ref()),
        },
        Compared {
            aspect: "threshold",
            rule: "network-thresholds-differ",
            category: Category::Configuration,
            severity: Severity::Critical,
            level: Level::Two,
            what: "have another threshold or number of parties",
            meaning: "Protocols between parties with different thresholds do not end.",
            remedy: &["Compare thresholdValue and peersList of the odd one out with those of the others"],
            values: of(|p| p.threshold.as_ref()),
        },
        Compared {
            aspect: "rate limits",
            rule: "network-limits-differ",
            category: Category::Configuration,
            severity: Severity::Warning,
            level: Level::Two,
            what: "have other rate limits",
            meaning: "One party refuses what the others begin, and their sessions wait for it.",
            remedy: &["Give rate_limiter_conf the same values at all parties"],
            values: of(|p| p.limits.as_ref()),
        },
    ];
    for compared in singles {
        comparisons.push(one_value(parties, &compared, out));
    }
    comparisons.push(entries(parties, &IDENTITIES, |p| &p.peers, out));
    comparisons.push(entries(parties, &CERTIFICATES, |p| &p.certificates, out));
    comparisons.push(sets(parties, &CONTEXTS, |p| (!p.contexts.is_empty()).then_some(&p.contexts), out));
    comparisons.push(sets(parties, &EPOCHS, |p| p.knows_epochs.then_some(&p.epochs), out));
    comparisons.push(sets(parties, &KEYS, |p| p.knows_keys.then_some(&p.keys), out));
    comparisons.push(entries(parties, &MATERIAL, |p| &p.material, out));
    comparisons.push(bundles::clocks(parties, out));
    comparisons
}

pub(super) fn subject(party: &str) -> Subject {
    Subject::new("party", "", party)
}

/// `party 4`, `parties 4 and 7`.
pub(super) fn parties_text(names: &[String]) -> String {
    match names {
        [one] => format!("party {one}"),
        many => format!("parties {}", text::names(many, NAMES)),
    }
}

fn about(mut draft: Draft, parties: &[String]) -> Draft {
    for party in parties {
        draft = draft.about(subject(party));
    }
    draft
}

/// Whether two bundles replaced secrets by tokens that can be compared.
fn same_key(a: &Party, b: &Party) -> bool {
    a.key.is_some() && a.key == b.key
}

/// Leaves out what was replaced under another key than the one of most bundles; gives who was left out. `names` says that the
/// values are names, which pseudonyms may stand for.
fn comparable<'a>(
    parties: &'a [Party],
    values: &BTreeMap<&'a str, String>,
    names: bool,
) -> (BTreeMap<&'a str, String>, Vec<String>) {
    let find = |name: &str| parties.iter().find(|p| p.name() == name);
    let replaced = |(name, value): (&&str, &String)| {
        value.contains(TOKEN) || names && find(name).is_some_and(|party| party.pseudonyms)
    };
    if !values.iter().any(replaced) {
        return (values.clone(), Vec::new());
    }
    // Tokens can be compared within the largest set of bundles under one key.
    let mut best: Vec<&str> = Vec::new();
    for name in values.keys() {
        let Some(party) = find(name) else { continue };
        let same = |other: &&str| other == name || find(other).is_some_and(|o| same_key(party, o));
        let same: Vec<&str> = values.keys().copied().filter(same).collect();
        if same.len() > best.len() {
            best = same;
        }
    }
    let kept = values.iter().filter(|(n, _)| best.contains(n)).map(|(n, v)| (*n, v.clone())).collect();
    let left: Vec<String> = values.keys().filter(|n| !best.contains(n)).map(|n| (*n).to_owned()).collect();
    (kept, left)
}

fn comparison(aspect: &str, groups: &[(String, Vec<String>)], unknown: Vec<String>, hidden: bool) -> Comparison {
    let known: usize = groups.iter().map(|(_, parties)| parties.len()).sum();
    let result = match groups.len() {
        _ if known < 2 && hidden => Aspect::NotComparable,
        _ if known < 2 => Aspect::Unknown,
        1 => Aspect::Same,
        _ => Aspect::Different,
    };
    Comparison {
        aspect: aspect.to_owned(),
        result,
        groups: groups
            .iter()
            .map(|(value, parties)| Group { value: value.clone(), parties: parties.clone() })
            .collect(),
        odd: odd(groups).unwrap_or_default(),
        unknown,
    }
}

/// Who is not among the values.
fn silent(parties: &[Party], values: &BTreeMap<&str, String>) -> Vec<String> {
    parties.iter().map(Party::name).filter(|n| !values.contains_key(n)).map(str::to_owned).collect()
}

fn one_value(parties: &[Party], compared: &Compared<'_>, out: &mut Vec<Draft>) -> Comparison {
    let all: BTreeMap<&str, String> = compared.values.iter().map(|(n, s)| (*n, s.value.clone())).collect();
    let (values, hidden) = comparable(parties, &all, false);
    let groups = groups(&values);
    let mut unknown = silent(parties, &all);
    unknown.extend(hidden.iter().cloned());
    let comparison = comparison(compared.aspect, &groups, unknown, !hidden.is_empty());
    if comparison.result != Aspect::Different {
        return comparison;
    }
    let shown: Vec<String> = groups.iter().map(|(v, p)| format!("{v} at {}", parties_text(p))).collect();
    let (who, title) = match odd(&groups) {
        Some(odd) => (odd.clone(), format!("{} {}: {}", parties_text(&odd), compared.what, shown.join("; "))),
        None => (
            groups.iter().flat_map(|(_, p)| p.clone()).collect(),
            format!("the parties {}, and none is in the majority: {}", compared.what, shown.join("; ")),
        ),
    };
    let call =
        if comparison.odd.is_empty() { Who::NetworkCoordinator.into() } else { Call::peers(comparison.odd.clone()) };
    let draft = Draft::new(compared.rule, compared.category, compared.severity, compared.level)
        .title(title)
        .meaning(compared.meaning)
        .seen_in(groups.iter().filter_map(|(_, p)| Some(compared.values.get(p.first()?.as_str())?.at.clone())))
        .because(format!("{} of {} bundles say it", values.len(), parties.len()))
        .confidence(if comparison.odd.is_empty() { 0.7 } else { 0.9 })
        .call(call)
        .remedy(compared.remedy.iter().copied());
    out.push(about(draft, &who));
    comparison
}

/// What is compared entry by entry, or as sets of ids.
struct Kind {
    aspect: &'static str,
    rule: &'static str,
    category: Category,
    severity: Severity,
    level: Level,
    meaning: &'static str,
    remedy: [&'static str; 2],
}

const IDENTITIES: Kind = Kind {
    aspect: "peer list",
    rule: "network-peer-lists-differ",
    category: Category::Configuration,
    severity: Severity::Critical,
    level: Level::Two,
    meaning: "Parties check each other's certificates against these names. A party that has another name for a peer refuses it.",
    remedy: [
        "Compare mpc_identity and the ids in peersList of the odd one out with those of the others",
        "Take the list that the network coordinator keeps",
    ],
};
const CERTIFICATES: Kind = Kind {
    aspect: "certificates",
    rule: "network-certificates-differ",
    category: Category::Tls,
    severity: Severity::Warning,
    level: Level::Two,
    meaning: "Somebody holds an old or a wrong certificate of that party, and refuses its connections.",
    remedy: [
        "Fetch the certificate again at the odd one out",
        "Compare its fingerprint with what the party itself publishes",
    ],
};
const MATERIAL: Kind = Kind {
    aspect: "public material",
    rule: "network-material-differs",
    category: Category::KeyManagement,
    severity: Severity::Critical,
    level: Level::Three,
    meaning: "The public part of a key and a CRS are the same at all parties. Another size is another object, or a part of it.",
    remedy: [
        "Compare it with what the other parties publish, before anything is restored",
        "Restore the object of the odd one out from its backup",
    ],
};
const CONTEXTS: Kind = Kind {
    aspect: "contexts",
    rule: "network-contexts-differ",
    category: Category::ThresholdNetwork,
    severity: Severity::Warning,
    level: Level::Two,
    meaning: "A party without a context of the others takes part in nothing that runs under it.",
    remedy: ["Compare the Context folder of the private vaults", "Ask the coordinator which contexts are in use"],
};
const EPOCHS: Kind = Kind {
    aspect: "epochs (PRSS)",
    rule: "network-prss-differs",
    category: Category::ThresholdNetwork,
    severity: Severity::Critical,
    level: Level::Two,
    meaning: "A party without the PRSS of an epoch fails every request of that epoch, while its health answers look good.",
    remedy: [
        "Look at its private vault first: prefix, EpochData (PrssSetupCombined before 0.15)",
        "The epoch cannot be made for one party alone: agree with the coordinator on what all parties do",
    ],
};
const KEYS: Kind = Kind {
    aspect: "keys",
    rule: "network-keys-differ",
    category: Category::KeyManagement,
    severity: Severity::Critical,
    level: Level::Two,
    meaning: "A party without its share of a key cannot take part in decryptions with it; with more than the threshold of such parties the key is lost.",
    remedy: [
        "Look at its private vault first: a wrong prefix or a volume that is not mounted look the same",
        "Compare FheKeyInfo with its backup vault; do not generate the key again",
    ],
};

/// Compares each entry of maps: the name of each peer, the certificate of each peer, the size of each object.
fn entries(
    parties: &[Party],
    kind: &Kind,
    get: fn(&Party) -> &BTreeMap<String, Said>,
    out: &mut Vec<Draft>,
) -> Comparison {
    let speaking: Vec<&Party> = parties.iter().filter(|p| !get(p).is_empty()).collect();
    let names: BTreeSet<&str> = speaking.iter().flat_map(|p| get(p).keys()).map(String::as_str).collect();
    let mut odd_ones: BTreeSet<String> = BTreeSet::new();
    let mut different = false;
    let mut hidden: BTreeSet<String> = BTreeSet::new();
    let mut shown: Vec<(String, Vec<String>)> = Vec::new();
    for name in names {
        // A peer list that lacks a party is another list; a vault that lacks an object is the matter of its own triage.
        let absent = (kind.rule == IDENTITIES.rule).then(|| "(not in the list)".to_owned());
        let all: BTreeMap<&str, String> = (speaking.iter())
            .filter_map(|p| Some((p.name(), get(p).get(name).map(|s| s.value.clone()).or_else(|| absent.clone())?)))
            .collect();
        let (values, left) = comparable(parties, &all, kind.rule == IDENTITIES.rule);
        hidden.extend(left);
        let groups = groups(&values);
        if groups.len() < 2 {
            continue;
        }
        different = true;
        let odd = odd(&groups);
        odd_ones.extend(odd.iter().flatten().cloned());
        shown.extend(groups.iter().map(|(v, p)| (format!("{name}: {v}"), p.clone())));
        let texts: Vec<String> = groups.iter().map(|(v, p)| format!("{v} at {}", parties_text(p))).collect();
        let subjects = odd.clone().unwrap_or_else(|| groups.iter().flat_map(|(_, p)| p.clone()).collect());
        let what = match kind.rule {
            "network-peer-lists-differ" => format!("the entry of party {name}"),
            "network-certificates-differ" => format!("the certificate of party {name}"),
            _ => text::line(name, 90),
        };
        let title = match &odd {
            Some(odd) => format!(
                "{} differ{} from the others in {what}: {}",
                parties_text(odd),
                if odd.len() == 1 { "s" } else { "" },
                texts.join("; ")
            ),
            None => format!("the parties differ in {what}, and none is in the majority: {}", texts.join("; ")),
        };
        let at = |party: &String| {
            let said = speaking.iter().find(|p| p.name() == party).and_then(|p| get(p).get(name))?;
            Some(said.at.clone())
        };
        let call = odd.clone().map_or_else(|| Who::NetworkCoordinator.into(), Call::peers);
        let draft = Draft::new(kind.rule, kind.category, kind.severity, kind.level)
            .title(title)
            .meaning(kind.meaning)
            .seen_in(groups.iter().filter_map(|(_, p)| p.iter().find_map(at)))
            .confidence(if odd.is_some() { 0.9 } else { 0.7 })
            .same_when(name)
            .call(call)
            .remedy(kind.remedy);
        out.push(about(draft, &subjects));
    }
    let unknown: Vec<String> = (parties.iter().filter(|p| get(p).is_empty()).map(|p| p.name().to_owned()))
        .chain(hidden.iter().cloned())
        .collect();
    let result = match (different, speaking.len()) {
        (true, _) => Aspect::Different,
        (false, 0 | 1) => Aspect::Unknown,
        (false, n) if hidden.len() + 1 >= n => Aspect::NotComparable,
        (false, _) => Aspect::Same,
    };
    if !different {
        let all = speaking.iter().map(|p| p.name().to_owned()).filter(|n| !hidden.contains(n)).collect();
        let count = speaking.first().map_or(0, |p| get(p).len());
        shown.push((format!("{count} entries"), all));
    }
    Comparison {
        aspect: kind.aspect.to_owned(),
        result,
        groups: shown.into_iter().map(|(value, parties)| Group { value, parties }).collect(),
        odd: odd_ones.into_iter().collect(),
        unknown,
    }
}

/// Compares sets of ids: who lacks what the others have.
fn sets<'a>(
    parties: &'a [Party],
    kind: &Kind,
    get: fn(&'a Party) -> Option<&'a BTreeMap<String, Evidence>>,
    out: &mut Vec<Draft>,
) -> Comparison {
    let known: Vec<(&Party, BTreeSet<&str>)> = parties.iter().filter_map(|p| Some((p, Party::ids(get(p)?)))).collect();
    let short = |id: &str| match (id.len(), id.get(..2), id.get(60..)) {
        (64, Some(head), Some(tail)) => format!("{head}..{tail}"),
        _ => text::line(id, 20),
    };
    let values: BTreeMap<&str, String> = (known.iter())
        .map(|(p, ids)| {
            let ids: Vec<String> = ids.iter().map(|id| short(id)).collect();
            (p.name(), if ids.is_empty() { "none".to_owned() } else { ids.join(", ") })
        })
        .collect();
    let groups = groups(&values);
    let comparison = comparison(kind.aspect, &groups, silent(parties, &values), false);
    let ids: BTreeSet<&str> = known.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    for id in ids {
        let (have, lack): (Vec<_>, Vec<_>) = known.iter().partition(|(_, ids)| ids.contains(id));
        if lack.is_empty() {
            continue;
        }
        let names = |of: &[&(&Party, BTreeSet<&str>)]| of.iter().map(|(p, _)| p.name().to_owned()).collect::<Vec<_>>();
        let (have_names, lack_names) = (names(&have), names(&lack));
        // Who has what nobody else has is as odd as who lacks what all others have.
        let (who, title) = if have.len() < lack.len() {
            (
                have_names.clone(),
                format!(
                    "only {} {} {} {}",
                    parties_text(&have_names),
                    if have_names.len() == 1 { "has" } else { "have" },
                    noun(kind),
                    short(id)
                ),
            )
        } else {
            (
                lack_names.clone(),
                format!(
                    "{} lack{} {} {}, which {} {}",
                    parties_text(&lack_names),
                    if lack_names.len() == 1 { "s" } else { "" },
                    noun(kind),
                    short(id),
                    parties_text(&have_names),
                    if have_names.len() == 1 { "has" } else { "have" }
                ),
            )
        };
        let seen = have.iter().filter_map(|(p, _)| Some(get(p)?.get(id)?.clone()));
        let draft = Draft::new(kind.rule, kind.category, kind.severity, kind.level)
            .title(title)
            .meaning(kind.meaning)
            .seen_in(seen.take(4))
            .because(format!("{} of {} bundles say what they have", known.len(), parties.len()))
            .confidence(if have.len() == lack.len() { 0.7 } else { 0.9 })
            .same_when(id)
            .call(Call::peers(who.clone()))
            .remedy(kind.remedy);
        out.push(about(draft, &who));
    }
    comparison
}

fn noun(kind: &Kind) -> &'static str {
    match kind.rule {
        "network-prss-differs" => "the PRSS of epoch",
        "network-keys-differ" => "key",
        _ => "context",
    }
}
