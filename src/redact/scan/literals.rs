//! Finds literals in a few vectorised passes, however many rules there are.

use std::collections::HashMap;

use aho_corasick::packed::{self, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input};

use crate::redact::rules::Anchor;

/// Literals of one pass. More of them cost the vectorised searcher its precision.
const GROUP: usize = 32;

/// Pieces of setting names that can make a value secret, in lower case. What they hit is then classified word by word.
const STEMS: [&str; 66] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "cred",
    "auth",
    "bearer",
    "basic ",
    "cookie",
    "session",
    "signature",
    "mnemonic",
    "seed",
    "privkey",
    "apikey",
    "api_key",
    "api-key",
    "api.key",
    "api key",
    "x-api",
    "te_key",
    "te-key",
    "tekey",
    "te key",
    "te.key",
    "ss_key",
    "ss-key",
    "sskey",
    "ss key",
    "ss.key",
    "nt_key",
    "nt-key",
    "ntkey",
    "nt.key",
    "ng_key",
    "ng-key",
    "ngkey",
    "ng.key",
    "on_key",
    "on-key",
    "onkey",
    "on.key",
    "er_key",
    "er-key",
    "pp_key",
    "se_key",
    "se-key",
    "ed_key",
    "ge_key",
    "al_key",
    "ry_key",
    "h_key",
    "sh-key",
    "requirepass",
    "jwt",
    "sessid",
    "otp",
    "recovery phrase",
    "bindpw",
    "x-vault",
    "signer",
    "deployer",
    "wallet",
    "dsn=",
    "_psk",
    "private",
];

/// One vectorised pass, or an automaton where the processor has no vector instructions for it.
enum Pass {
    Packed(Searcher),
    Automaton(AhoCorasick),
}

impl Pass {
    fn new(group: &[Vec<u8>]) -> Option<Self> {
        let packed = packed::Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(group).build();
        packed.map(Self::Packed).or_else(|| AhoCorasick::new(group).ok().map(Self::Automaton))
    }

    fn find(&self, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        match self {
            Self::Packed(s) => s.find_in(bytes, (at..bytes.len()).into()).map(|m| (m.start(), m.end())),
            Self::Automaton(s) => s.find(Input::new(bytes).range(at..)).map(|m| (m.start(), m.end())),
        }
    }
}

/// A place that is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redact) struct Hit {
    pub(in crate::redact) start: usize,
    pub(in crate::redact) end: usize,
    /// Whether it is a piece of a name rather than an anchor.
    pub(in crate::redact) stem: bool,
}

/// The searchers for anchors and stems.
#[derive(Default)]
pub(in crate::redact) struct Literals {
    anchors: Vec<Pass>,
    stems: Vec<Pass>,
    by_head: HashMap<[u8; 3], Vec<(Vec<u8>, Anchor)>>,
}

impl Literals {
    pub(in crate::redact) fn new<'a>(
        anchors: &[(Vec<u8>, Anchor)],
        user_keys: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Self {
        let mut by_head: HashMap<[u8; 3], Vec<(Vec<u8>, Anchor)>> = HashMap::new();
        for (text, anchor) in anchors {
            if let Some(head) = text.first_chunk::<3>() {
                by_head.entry(*head).or_default().push((text.clone(), *anchor));
            }
        }
        // Three-byte literals weaken a whole group, so they have their own; sorting puts equal heads together.
        let (long, short): (Vec<_>, Vec<_>) = anchors.iter().map(|(t, _)| t.clone()).partition(|t| t.len() > 3);
        let mut stems: Vec<Vec<u8>> = STEMS.iter().map(|s| s.as_bytes().to_vec()).collect();
        // The last four letters of a user's key find it whatever separators it is written with, as long as none of
        // them stands inside those four; the spelled forms cover the rest.
        stems.extend(user_keys.map(|k| k[k.len() - 4..].to_vec()));
        let (long_stems, short_stems): (Vec<_>, Vec<_>) = stems.into_iter().partition(|t| t.len() > 3);
        Self {
            anchors: passes(long).into_iter().chain(passes(short)).collect(),
            stems: passes(long_stems).into_iter().chain(passes(short_stems)).collect(),
            by_head,
        }
    }

    /// What the anchors at a position lead to.
    pub(in crate::redact) fn at<'a>(
        &'a self,
        bytes: &'a [u8],
        at: usize,
    ) -> impl Iterator<Item = (Anchor, usize)> + 'a {
        let rest = &bytes[at..];
        let list = rest.first_chunk::<3>().and_then(|head| self.by_head.get(head)).map_or(&[][..], Vec::as_slice);
        list.iter().filter(|(text, _)| rest.starts_with(text)).map(|(text, anchor)| (*anchor, text.len()))
    }

    /// All hits, in order. `lower` is the lower-case copy of `bytes`.
    pub(in crate::redact) fn hits(&self, bytes: &[u8], lower: &[u8], hits: &mut Vec<Hit>) {
        hits.clear();
        for (passes, bytes, stem) in [(&self.anchors, bytes, false), (&self.stems, lower, true)] {
            for pass in passes {
                let mut at = 0;
                while let Some((start, end)) = pass.find(bytes, at) {
                    hits.push(Hit { start, end, stem });
                    at = start + 1;
                }
            }
        }
        hits.sort_unstable();
        hits.dedup_by_key(|h| (h.start, h.stem));
    }
}

fn passes(mut texts: Vec<Vec<u8>>) -> Vec<Pass> {
    texts.sort();
    texts.dedup();
    // A literal whose head is a literal itself is found with it.
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(texts.len());
    for text in texts {
        if !kept.last().is_some_and(|k| text.starts_with(k)) {
            kept.push(text);
        }
    }
    kept.chunks(GROUP).filter_map(Pass::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_anchors_are_all_found() {
        let anchors = [("sk-ant-", 1), ("sk-", 2), ("AKIA", 3), ("KIAX", 4)];
        let anchors: Vec<_> = anchors.iter().map(|(t, i)| (t.as_bytes().to_vec(), Anchor::Rule(*i))).collect();
        let literals = Literals::new(&anchors, std::iter::empty());
        let text = b"..sk-ant-AKIAX";
        let mut hits = Vec::new();
        literals.hits(text, text, &mut hits);
        let starts: Vec<_> = hits.iter().map(|h| h.start).collect();
        assert_eq!(starts, [2, 9, 10]);
        let rules: Vec<_> = literals.at(text, 2).map(|(a, _)| a).collect();
        assert_eq!(rules, [Anchor::Rule(1), Anchor::Rule(2)]);
    }
}
