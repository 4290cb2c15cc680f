//! Certificates in Secrets: only dates and names are in a bundle, and they are enough.

use chrono::TimeDelta;

use crate::model::time::rfc3339;
use crate::triage::draft::Draft;
use crate::triage::facts::{Certificate, Facts, Key, Pod};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// How long before its end a certificate is worth a word.
const SOON: TimeDelta = TimeDelta::days(14);

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for (key, secret) in &facts.secrets {
        for certificate in &secret.certificates {
            out.extend(check(facts, key, &secret.at, certificate));
        }
    }
}

fn check(facts: &Facts, key: &Key, at: &crate::triage::facts::At, certificate: &Certificate) -> Option<Draft> {
    let now = facts.now;
    let subject = Subject::new("secret", &key.0, &key.1);
    let name = text::line(&certificate.subject, 80);
    let expired = certificate.not_after.filter(|end| *end <= now);
    let early = certificate.not_before.filter(|begin| *begin > now);
    let soon = certificate.not_after.filter(|end| *end > now && *end - now < SOON);
    let (rule, title, since, left) = if let Some(end) = expired {
        (
            "certificate-expired",
            format!(
                "{{who}}: certificate {name} ({}) expired {} ago, at {}",
                certificate.key,
                text::duration(now - end),
                rfc3339(end)
            ),
            Some(end),
            TimeDelta::zero(),
        )
    } else if let Some(begin) = early {
        (
            "certificate-not-yet-valid",
            format!("{{who}}: certificate {name} ({}) is valid from {} only", certificate.key, rfc3339(begin)),
            None,
            TimeDelta::zero(),
        )
    } else {
        let end = soon?;
        (
            "certificate-expiring",
            format!(
                "{{who}}: certificate {name} ({}) expires in {}, at {}",
                certificate.key,
                text::duration(end - now),
                rfc3339(end)
            ),
            None,
            end - now,
        )
    };
    let mounted: Vec<&Pod> =
        facts.pods.values().filter(|p| p.key.0 == key.0 && !p.is_over() && p.secrets.contains(&key.1)).collect();
    let severity = match rule {
        "certificate-expiring" if left > TimeDelta::days(3) => Severity::Warning,
        _ if mounted.is_empty() => Severity::Warning,
        _ => Severity::Critical,
    };
    let users: Vec<&str> = mounted.iter().map(|p| p.key.1.as_str()).collect();
    let used_by = if users.is_empty() {
        "No pod of this bundle mounts it.".to_owned()
    } else {
        format!("Mounted by {}.", text::names(&users, 3))
    };
    let evidence = format!(
        "{} {}: notBefore {}, notAfter {}",
        certificate.key,
        certificate.subject,
        certificate.not_before.map_or_else(|| "?".to_owned(), rfc3339),
        certificate.not_after.map_or_else(|| "?".to_owned(), rfc3339)
    );
    Some(
        Draft::new(rule, Category::Tls, severity, Level::Two)
            .about(subject.clone())
            .title(title)
            .meaning(format!(
                "{used_by} Every peer that checks the certificate outside of its dates ends the connection."
            ))
            .seen_in([at.evidence_at("/metadata/annotations", &evidence)])
            .because("the dates stand in the certificate")
            .confidence(0.9)
            .same_when(format!("{subject} {}", certificate.key))
            .between(since, None)
            .reaches(mounted.iter().map(|p| p.subject()))
            .remedy([
                format!("Renew the certificate and replace the Secret: kubectl -n {} get secret {}", key.0, key.1),
                format!(
                    "If cert-manager issues it, ask why it did not: kubectl -n {} get certificates,certificaterequests",
                    key.0
                ),
                "Restart the pods that mount it, unless they reload it by themselves".to_owned(),
            ]),
    )
}
