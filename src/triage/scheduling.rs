//! What the scheduler says about a pod that no node fits.

/// `0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint {a: b}.`, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Nodes that were looked at.
    pub(crate) nodes: u64,
    /// How many nodes each reason ruled out, most first. A reason that names no number has none.
    pub(crate) reasons: Vec<(Option<u64>, String)>,
}

impl Refusal {
    /// Whether a reason has this text in it, in any case.
    pub(crate) fn has(&self, what: &str) -> bool {
        self.reasons.iter().any(|(_, reason)| reason.to_ascii_lowercase().contains(what))
    }

    /// Key and value of the taints that it names.
    pub(crate) fn taints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reasons.iter().filter(|(_, reason)| reason.contains(" taint {")).filter_map(|(_, reason)| {
            let (_, rest) = reason.split_once('{')?;
            let inner = rest.split('}').next()?;
            let (key, value) = inner.split_once(':').unwrap_or((inner, ""));
            Some((key.trim(), value.trim()))
        })
    }

    /// `3 x Insufficient cpu, 2 x node(s) had untolerated taint`.
    pub(crate) fn summary(&self) -> String {
        let parts: Vec<String> = self
            .reasons
            .iter()
            .map(|(n, reason)| n.map_or_else(|| reason.clone(), |n| format!("{n} x {reason}")))
            .collect();
        parts.join(", ")
    }
}

/// Parses the scheduler's message; none when it has another form.
#[must_use]
pub(crate) fn parse(message: &str) -> Option<Refusal> {
    let (head, rest) = message.split_once(" nodes are available")?;
    let nodes = head.rsplit(['/', ' ']).next()?.parse().ok()?;
    let rest = rest.trim_start_matches([':', '.', ' ']);
    // What follows is about preemption and claims, not about why the nodes were ruled out.
    let end = ["preemption:", "no new claims to deallocate"].iter().filter_map(|m| rest.find(m)).min();
    let rest = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ',', ' ']);
    let mut reasons: Vec<(Option<u64>, String)> = split(rest)
        .map(|part| match part.split_once(' ') {
            Some((n, reason)) if n.parse::<u64>().is_ok() => (n.parse().ok(), reason.trim().to_owned()),
            _ => (None, part.to_owned()),
        })
        // The scheduler adds "not found" without saying what of; the reason before it does.
        .filter(|(_, reason)| !reason.is_empty() && reason != "not found")
        .collect();
    reasons.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Some(Refusal { nodes, reasons })
}

/// Splits at commas and full stops outside of braces and parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let mut parts = Vec::new();
    let mut from = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' | b'(' => depth += 1,
            b'}' | b')' => depth = depth.saturating_sub(1),
            b',' | b'.' if depth == 0 && bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.into_iter().map(str::trim).filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recorded_messages() {
        let refusal = parse(
            "0/21 nodes are available: 1 node(s) had untolerated taint(s), 20 Insufficient cpu, 20 Insufficient memory. \
             no new claims to deallocate, preemption: 0/21 nodes are available: 21 Preemption is not helpful for scheduling.",
        )
        .unwrap();
        assert_eq!(refusal.nodes, 21);
        assert_eq!(
            refusal.summary(),
            "20 x Insufficient cpu, 20 x Insufficient memory, 1 x node(s) had untolerated taint(s)"
        );
        let refusal =
            parse("0/21 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found").unwrap();
        assert!(refusal.has("unbound immediate persistentvolumeclaims"));
        assert_eq!(refusal.reasons.len(), 1, "what is not found is not said");
    }

    #[test]
    fn taints_keep_their_commas() {
        let refusal = parse(
            "0/5 nodes are available: 2 node(s) had untolerated taint {a.b/c: x, y}, 3 Insufficient cpu. preemption: no",
        )
        .unwrap();
        assert_eq!(refusal.summary(), "3 x Insufficient cpu, 2 x node(s) had untolerated taint {a.b/c: x, y}");
        assert_eq!(refusal.taints().collect::<Vec<_>>(), [("a.b/c", "x, y")]);
        let plain = parse(
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }, 1 node(s) had untolerated taint(s).",
        )
        .unwrap();
        assert_eq!(plain.taints().collect::<Vec<_>>(), [("gpu", "")]);
        assert_eq!(parse("something else"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = parse(&text);
            let _ = parse(&format!("0/3 nodes are available: {text}"));
        }

        #[test]
        fn counts_are_kept(cpu in 1_u64..99, mem in 1_u64..99) {
            let refusal = parse(&format!("0/99 nodes are available: {cpu} Insufficient cpu, {mem} Insufficient memory.")).unwrap();
            prop_assert_eq!(refusal.nodes, 99);
            prop_assert_eq!(refusal.reasons.iter().filter_map(|r| r.0).sum::<u64>(), cpu + mem);
        }
    }
}
