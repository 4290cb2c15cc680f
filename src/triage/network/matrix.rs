//! Who reaches whom, and what the pattern says: one party down, one that is cut off, one-way links, a split network.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::party::{Party, Sight};
use crate::triage::draft::Draft;
use crate::triage::finding::{Call, Category, Evidence, Level, Severity, Subject, Who};
use crate::triage::text;

/// Evidence of one finding about links.
const EVIDENCE_MAX: usize = 6;

/// What one party sees of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Who looks.
    pub from: String,
    /// What it sees, one cell for each party of the network, sorted by id.
    pub cells: Vec<Cell>,
}

/// One party as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Who is looked at.
    pub to: String,
    /// Whether it is reached.
    pub state: State,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Whether one party reaches another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The party itself.
    Itself,
    /// It is reached.
    Reachable,
    /// It is not.
    Unreachable,
    /// The bundle does not say.
    Unknown,
}

/// The matrix: a row for each party, the silent ones too.
pub(super) fn rows(parties: &[Party]) -> Vec<Row> {
    let mut all: Vec<&str> = (parties.iter())
        .flat_map(|p| std::iter::once(p.name()).chain(p.reaches.keys().map(String::as_str)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    all.sort_by_key(|id| (id.parse::<u64>().unwrap_or(u64::MAX), *id));
    let cell = |from: &Party, to: &str| {
        let (state, error) = match from.reaches.get(to) {
            _ if from.name() == to => (State::Itself, String::new()),
            Some(sight) if sight.reachable => (State::Reachable, String::new()),
            Some(sight) => (State::Unreachable, sight.error.clone()),
            None => (State::Unknown, String::new()),
        };
        Cell { to: to.to_owned(), state, error }
    };
    parties
        .iter()
        .map(|p| Row { from: p.name().to_owned(), cells: all.iter().map(|to| cell(p, to)).collect() })
        .collect()
}

/// All that is seen, by who looks and at whom.
struct Links<'a> {
    seen: BTreeMap<(&'a str, &'a str), &'a Sight>,
    watchers: BTreeSet<&'a str>,
}

impl<'a> Links<'a> {
    fn new(parties: &'a [Party]) -> Self {
        let seen: BTreeMap<_, _> = (parties.iter())
            .flat_map(|p| p.reaches.iter().map(move |(to, sight)| ((p.name(), to.as_str()), sight)))
            .filter(|((from, to), _)| from != to)
            .collect();
        let watchers = seen.keys().map(|(from, _)| *from).collect();
        Self { seen, watchers }
    }

    /// Those who look at a party: who reaches it, and who does not.
    fn seen_by(&self, party: &str) -> (Vec<&'a str>, Vec<&'a str>) {
        let of = |reachable: bool| {
            let here = self.seen.iter().filter(|((_, to), s)| *to == party && s.reachable == reachable);
            here.map(|((from, _), _)| *from).collect()
        };
        (of(true), of(false))
    }

    /// Those that a party looks at: whom it reaches, and whom it does not.
    fn sees(&self, party: &str) -> (Vec<&'a str>, Vec<&'a str>) {
        let of = |reachable: bool| {
            let here = self.seen.iter().filter(|((from, _), s)| *from == party && s.reachable == reachable);
            here.map(|((_, to), _)| *to).collect()
        };
        (of(true), of(false))
    }

    fn fails(&self, from: &str, to: &str) -> Option<&'a Sight> {
        self.seen.get(&(from, to)).copied().filter(|s| !s.reachable)
    }

    fn works(&self, from: &str, to: &str) -> bool {
        self.seen.get(&(from, to)).is_some_and(|s| s.reachable)
    }

    fn evidence(&self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Evidence> {
        pairs.filter_map(|pair| self.seen.get(&pair)).map(|s| s.at.clone()).take(EVIDENCE_MAX).collect()
    }
}

/// Looks for patterns in the matrix.
pub(super) fn find(parties: &[Party], rows: &[Row], out: &mut Vec<Draft>) {
    let links = Links::new(parties);
    let all = rows.first().map_or(0, |r| r.cells.len());
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    let split = split(&links, all, out);
    if !split {
        down(parties, &links, rows, &mut said, out);
        isolated(&links, &mut said, out);
    }
    single_links(&links, split, &said, out);
}

fn about(name: &str) -> Subject {
    Subject::new("party", "", name)
}

/// Two or more groups that reach their own members and nobody else.
fn split(links: &Links<'_>, all: usize, out: &mut Vec<Draft>) -> bool {
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    for watcher in &links.watchers {
        let (reached, _) = links.sees(watcher);
        let mut group: BTreeSet<&str> = reached.into_iter().filter(|p| links.watchers.contains(p)).collect();
        group.insert(watcher);
        let (touching, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| !g.is_disjoint(&group));
        group.extend(touching.into_iter().flatten());
        groups = apart;
        groups.push(group);
    }
    groups.retain(|g| g.len() > 1);
    if groups.len() < 2 {
        return false;
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let shown: Vec<String> =
        groups.iter().map(|g| format!("{{{}}}", g.iter().copied().collect::<Vec<_>>().join(", "))).collect();
    let pairs = groups[0].iter().flat_map(|a| groups[1].iter().map(move |b| (*a, *b)));
    let mut draft = Draft::new("network-split", Category::ThresholdNetwork, Severity::Critical, Level::Two)
        .title(format!("the network is split: {} do not reach each other", shown.join(" and ")))
        .meaning(format!("Each side sees its own members only. None of them can finish what needs the others ({all} parties are known)."))
        .seen_in(links.evidence(pairs))
        .because("each party of one side reaches the others of its side, and nobody of the other side")
        .confidence(0.9)
        .call(Who::NetworkCoordinator)
        .remedy(["Look for what lies between the two sides: a provider, a region, a firewall, a peering that was changed"]);
    for party in groups.iter().flatten() {
        draft = draft.about(about(party));
    }
    out.push(draft);
    true
}

/// Parties that nobody reaches.
fn down(
    parties: &[Party],
    links: &Links<'_>,
    rows: &[Row],
    said: &mut BTreeSet<(String, String)>,
    out: &mut Vec<Draft>,
) {
    let cells = rows.first().map(|r| r.cells.as_slice()).unwrap_or_default();
    let gone: Vec<&str> = (cells.iter().map(|c| c.to.as_str()))
        .filter(|to| {
            let (by, not_by) = links.seen_by(to);
            by.is_empty() && !not_by.is_empty() && (not_by.len() > 1 || links.watchers.len() == 1)
        })
        .collect();
    let n = cells.len();
    // With n = 3t + 1 parties, t may be gone.
    let spare = n.saturating_sub(1) / 3;
    for to in &gone {
        let (_, by) = links.seen_by(to);
        said.extend(by.iter().map(|from| ((*from).to_owned(), (*to).to_owned())));
        let own = parties.iter().find(|p| p.name() == *to);
        let errors: BTreeSet<&str> = by.iter().filter_map(|from| Some(links.fails(from, to)?.error.as_str())).collect();
        let errors: Vec<&str> = errors.into_iter().filter(|e| !e.is_empty()).collect();
        let (sees, _) = links.sees(to);
        let mut draft = Draft::new(
            "network-party-unreachable",
            Category::ThresholdNetwork,
            if gone.len() > spare { Severity::Critical } else { Severity::Warning },
            Level::One,
        )
        .about(about(to))
        .title(format!(
            "party {to} is reached by none of the {} that look ({})",
            text::count(by.len(), "party").replace("partys", "parties"),
            text::names(&errors, 3)
        ))
        .meaning(format!(
            "{} of {n} parties cannot be reached; {spare} may be gone before nothing works any more.",
            gone.len()
        ))
        .seen_in(links.evidence(by.iter().map(|from| (*from, *to))))
        .because(format!("parties {} all say so", text::names(&by, 12)))
        .confidence(0.9)
        .call(Call::peers([*to]));
        draft = match own {
            None => draft.because("it sent no bundle").remedy([
                format!("Ask the operators of party {to} whether their core runs, and for a bundle: casefile collect --profile kms"),
                "If it runs, its load balancer, PrivateLink endpoint or certificate keeps all others out".to_owned(),
            ]),
            Some(own) => {
                if let Some((trouble, _)) = &own.trouble {
                    draft = draft.because(format!("its own bundle says: {trouble}"));
                }
                if !sees.is_empty() {
                    draft = draft.because(format!("it reaches {} of the others itself, so its core runs", sees.len()));
                }
                draft.remedy([
                    format!("Read its own triage: casefile triage {}", own.label),
                    "If its core runs: load balancer, PrivateLink endpoint and security group in front of port 50001, then its certificate".to_owned(),
                ])
            }
        };
        out.push(draft);
    }
}

/// Parties that reach nobody although others are reached by others.
fn isolated(links: &Links<'_>, said: &mut BTreeSet<(String, String)>, out: &mut Vec<Draft>) {
    for from in &links.watchers {
        let (sees, not) = links.sees(from);
        let fine = |to: &&&str| links.seen_by(to).0.iter().any(|other| other != from);
        let lost: Vec<&str> = not.iter().filter(fine).copied().collect();
        if !sees.is_empty() || lost.len() < 2 {
            continue;
        }
        said.extend(lost.iter().map(|to| ((*from).to_owned(), (*to).to_owned())));
        let (by, _) = links.seen_by(from);
        let errors: BTreeSet<&str> = lost.iter().filter_map(|to| Some(links.fails(from, to)?.error.as_str())).collect();
        let errors: Vec<&str> = errors.into_iter().filter(|e| !e.is_empty()).collect();
        out.push(
            Draft::new("network-party-isolated", Category::Connectivity, Severity::Critical, Level::Two)
                .about(about(from))
                .title(format!(
                    "party {from} reaches nobody, while the others reach each other ({})",
                    text::names(&errors, 3)
                ))
                .meaning("The cause is at this party, not at its peers: its egress, its DNS, or its own certificate.")
                .seen_in(links.evidence(lost.iter().map(|to| (*from, *to))))
                .because(if by.is_empty() {
                    "nobody reaches it either".to_owned()
                } else {
                    format!("it is reached by {}, so the way in works and the way out does not", text::names(&by, 6))
                })
                .confidence(0.9)
                .call(Call::peers([*from]))
                .remedy([
                    "At this party: egress rules, DNS and network policies of the core's namespace",
                    "Under TLS (transport error): compare its certificate with what the others hold for it",
                ]),
        );
    }
}

/// Links that fail although both ends are reached by others: in one direction, or in both.
fn single_links(links: &Links<'_>, split: bool, said: &BTreeSet<(String, String)>, out: &mut Vec<Draft>) {
    let known = |from: &str, to: &str| said.contains(&(from.to_owned(), to.to_owned()));
    for ((from, to), sight) in &links.seen {
        if sight.reachable || known(from, to) {
            continue;
        }
        let one_way = links.works(to, from);
        let both = links.fails(to, from).is_some();
        if both && (split || from > to || known(to, from)) {
            continue;
        }
        let (rule, title, meaning) = if one_way {
            (
                "network-one-way",
                format!(
                    "party {to} reaches party {from}, and party {from} does not reach party {to} ({})",
                    sight.error
                ),
                "A link that works in one direction only is a firewall, a route or a name at one of its ends. What needs both directions hangs.",
            )
        } else if both {
            (
                "network-link-down",
                format!("parties {from} and {to} do not reach each other ({})", sight.error),
                "Others reach both of them, so both run: what lies between the two is broken, or one holds an old certificate of the other.",
            )
        } else {
            (
                "network-link-down",
                format!("party {from} does not reach party {to}, which others reach ({})", sight.error),
                "The other direction is not known. Others reach it, so it runs.",
            )
        };
        // Somebody must reach the far end, or nothing is known of it.
        if !one_way && links.seen_by(to).0.is_empty() && !both {
            continue;
        }
        out.push(
            Draft::new(rule, Category::Connectivity, Severity::Warning, Level::Two)
                .about(about(from))
                .about(about(to))
                .title(title)
                .meaning(meaning)
                .seen_in(links.evidence([(*from, *to), (*to, *from)].into_iter()))
                .because(format!(
                    "of the others, {} reach party {to}",
                    links.seen_by(to).0.iter().filter(|p| *p != from).count()
                ))
                .confidence(0.8)
                .call(Call::peers([*from, *to]))
                .remedy([
                    format!("At party {from}: name, route and egress to party {to}, port 50001"),
                    format!(
                        "At party {to}: whether its rules let party {from} in, and whether it knows its certificate"
                    ),
                ]),
        );
    }
}
