//! Pseudonyms of host names, label by label.

use super::suffixes::{CLUSTER, DOUBTFUL, EXTENSIONS, KEPT, LIKELY, PROVIDERS, PUBLIC, SERVICES, SURE};
use super::{Mask, is_name};

/// Longest name and longest label.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// What a pseudonym of a label begins with.
const PREFIX: &str = "host-";
/// Labels that get a pseudonym each; those in front of them get one together.
const MAX_LABELS: usize = 10;

/// The length of the host in front of the ends of file names, such as `.json`.
pub(super) fn without_extension(name: &str) -> usize {
    match name.rsplit_once('.') {
        Some((head, end)) if EXTENSIONS.contains(&end.to_ascii_lowercase().as_str()) => without_extension(head),
        _ => name.len(),
    }
}

/// What stands around a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind `//` or `@`, where only hosts stand.
    Address,
    /// In front of a colon and a number, where hosts and source files stand.
    Numbered,
    Text,
}

/// Whether a word with dots is the name of a host.
pub(super) fn is_host(name: &str, place: Place) -> bool {
    let lower = name.to_ascii_lowercase();
    let labels: Vec<&str> = lower.split('.').collect();
    let sound = |l: &&str| {
        !l.is_empty()
            && l.len() <= MAX_LABEL
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let Some(last) = labels.last() else { return false };
    if labels.len() < 2 || lower.len() > MAX_NAME || !labels.iter().all(sound) {
        return false;
    }
    let quiet = !name.bytes().any(|b| b.is_ascii_uppercase());
    SURE.contains(last)
        || LIKELY.contains(last) && (place != Place::Text || quiet && labels.len() > 2)
        || (DOUBTFUL.contains(last) && place == Place::Address)
        || PROVIDERS.iter().any(|p| is_below(&lower, p))
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// The pseudonym of a host's name; none when nothing of it is to be replaced.
pub(super) fn pseudonym(mask: &Mask, name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if CLUSTER.iter().chain(&KEPT).any(|suffix| is_below(&lower, suffix)) {
        return None;
    }
    let labels: Vec<&str> = lower.split('.').collect();
    let longest =
        |table: &[&str]| table.iter().filter(|s| is_below(&lower, s)).map(|s| s.split('.').count()).max().unwrap_or(0);
    let provider = longest(&PROVIDERS);
    let mut kept = provider.max(longest(&PUBLIC)).max(1).min(labels.len());
    if provider > 0 {
        let known = |l: &&str| SERVICES.contains(l) || is_region(l);
        kept += labels[..labels.len() - kept].iter().rev().take_while(|l| known(l)).count();
    }
    let (front, suffix) = labels.split_at(labels.len() - kept);
    let mut out = Vec::new();
    for (i, label) in front.iter().enumerate().rev().take(MAX_LABELS) {
        let own = label.strip_prefix(PREFIX).is_some_and(is_name);
        if own || is_masked_address(label) || label.starts_with('_') {
            out.push((*label).to_owned());
            continue;
        }
        // The first of a long name stands for all in front of it.
        let from = if front.len() - i == MAX_LABELS { 0 } else { i };
        out.push(format!("{PREFIX}{}", mask.name(b"host", labels[from..].join(".").as_bytes())));
    }
    out.reverse();
    out.extend(suffix.iter().map(|l| (*l).to_owned()));
    let text = out.join(".");
    (text != lower).then_some(text)
}

/// `ip-240-1-2-3`: an address that has its pseudonym already, as nodes and pods are named.
fn is_masked_address(label: &str) -> bool {
    let octets: Option<Vec<u8>> = label.trim_start_matches("ip-").split('-').map(|o| o.parse().ok()).collect();
    octets.is_some_and(|o| o.len() == 4 && o[0] >= 240)
}

/// `eu-west-1`, `us-central1`, `cn-north-1a`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    (2..=4).contains(&parts.len())
        && parts[0].len() == 2
        && parts.iter().take(parts.len() - 1).all(|p| p.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.last().is_some_and(|p| p.len() <= 14 && p.bytes().any(|b| b.is_ascii_digit()))
        && label.len() <= 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::CorrelationKey;

    fn of(name: &str) -> String {
        pseudonym(&Mask::new(&CorrelationKey::from_bytes([7; 32])).unwrap(), name).unwrap_or_else(|| name.to_owned())
    }

    #[test]
    fn names_share_their_ends() {
        let (a, b) = (of("db-0.prod.acme.com"), of("db-1.prod.acme.com"));
        assert_ne!(a, b);
        assert_eq!(a.split_once('.').unwrap().1, b.split_once('.').unwrap().1);
        assert!(a.ends_with(".com") && a.split('.').count() == 4 && !a.contains("acme"));
        assert!(of("acme.co.uk").ends_with(".co.uk") && !of("acme.co.uk").contains("acme"));
        assert_eq!(of("DB-0.Prod.Acme.com"), a);
        assert_eq!(of(&a), a);
        assert!(of("_grpc._tcp.acme.com").starts_with("_grpc._tcp.host-"));
        let long = format!("{}acme.com", "x.".repeat(60));
        assert!(of(&long).split('.').count() == MAX_LABELS + 1 && is_host(&of(&long), Place::Text));
    }

    #[test]
    fn what_belongs_to_nobody_stays() {
        for name in [
            "core.kms.svc.cluster.local",
            "core.kms.svc",
            "apps.kubernetes.io",
            "quay.io",
            "registry.k8s.io",
            "s3.eu-west-1.amazonaws.com",
            "storage.googleapis.com",
            "user.example-abc.invalid",
        ] {
            assert_eq!(of(name), name);
        }
        let bucket = of("acme-keys.s3.eu-west-1.amazonaws.com");
        assert!(bucket.ends_with(".s3.eu-west-1.amazonaws.com") && !bucket.contains("acme"), "{bucket}");
        let node = of("ip-10-0-1-2.eu-west-1.compute.internal");
        assert!(node.ends_with(".eu-west-1.compute.internal") && !node.contains("10-0"), "{node}");
    }

    #[test]
    fn words_of_programs_are_no_hosts() {
        for word in [
            "reflector.go",
            "metadata.name",
            "spec.metadata.name",
            "core.toml",
            "java.io",
            "tokio.rs",
            "v1.2.3",
            "a..com",
            "System.IO",
            "main.py",
            "run.sh",
            "1.2.3-rc.1",
            "kms_core.rs",
        ] {
            assert!(!is_host(word, Place::Text), "{word}");
        }
        for word in ["acme.com", "rpc.acme.io", "node-3.acme.internal", "a.b.de", "acme.co.uk"] {
            assert!(is_host(word, Place::Text), "{word}");
        }
        assert!(is_host("acme.io", Place::Numbered) && is_host("acme.sh", Place::Address));
        assert!(!is_host("main.rs", Place::Numbered) && !is_host("acme", Place::Address));
        assert_eq!(without_extension("node-3.acme.internal.json"), "node-3.acme.internal".len());
        assert_eq!(without_extension("a.tar.gz"), "a.tar".len());
    }
}
