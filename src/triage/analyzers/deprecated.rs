//! Versions of APIs that the next upgrade takes away, or that are gone already.

use super::nodes::minor;
use crate::triage::draft::Draft;
use crate::triage::facts::{Deprecated, Facts, How};
use crate::triage::finding::{Category, Level, Severity};

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let server = minor(&facts.server_version);
    out.extend(facts.deprecated.iter().map(|used| draft(used, server)));
}

fn draft(used: &Deprecated, server: Option<u32>) -> Draft {
    let gone = server.is_some_and(|server| server >= used.removed);
    let next = server.is_some_and(|server| server + 1 >= used.removed);
    let severity = match used.how {
        How::Asked if next => Severity::Warning,
        // Who applies it again is refused; whether anybody will is not known of what was only written once.
        How::Applied if gone => Severity::Warning,
        _ => Severity::Info,
    };
    let what = match used.how {
        How::Asked => "clients ask for".to_owned(),
        How::Applied => "{who} was applied as".to_owned(),
        How::Written if used.client.is_empty() => "{who} was written as".to_owned(),
        How::Written => format!("{{who}} was written by {} as", used.client),
    };
    let release = format!("Kubernetes 1.{}", used.removed);
    let instead = if used.instead.is_empty() { String::new() } else { format!("; use {}", used.instead) };
    let meaning = match (used.how, gone) {
        (How::Applied, true) => {
            "The server does not have this version any more: the same manifest cannot be applied again, and a roll-out or a restore of it fails."
        }
        (_, true) => "The server does not have this version any more: a client that still uses it is refused.",
        (..) => "It works until the upgrade that removes the version; from then on such requests are refused.",
    };
    let step = match used.how {
        How::Asked => format!(
            "Find the client in the audit log of the API server (annotation k8s.io/deprecated, resource {}), and update it before the upgrade",
            used.subject.name().split('.').next().unwrap_or_default()
        ),
        How::Applied => "Change apiVersion in the manifest or chart that it comes from, and apply it again".to_owned(),
        How::Written => "Update the client that writes it, if it is still in use".to_owned(),
    };
    Draft::new("deprecated-api", Category::Configuration, severity, Level::Two)
        .about(used.subject.clone())
        .title(format!(
            "{what} {}, which {release} {}{instead}",
            used.api,
            if gone { "has removed" } else { "removes" }
        ))
        .meaning(meaning)
        .seen_in([used
            .at
            .evidence_at(if used.how == How::Written { "/metadata/managedFields" } else { "" }, &used.api)])
        .same_when(format!("{} {:?} {}", used.api, used.how, used.client))
        .confidence(if used.how == How::Asked { 0.8 } else { 0.6 })
        .remedy([step])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::triage::facts::At;
    use crate::triage::finding::{Place, Subject};

    #[test]
    fn what_breaks_next_is_louder_than_what_may_break_some_day() {
        let used = |how| Deprecated {
            at: At { path: Arc::from("x"), place: Place::Line(1) },
            subject: Subject::new("Ingress", "n", "a"),
            api: "a/v1beta1 B".to_owned(),
            removed: 32,
            instead: "a/v1",
            how,
            client: "helm".to_owned(),
        };
        for (how, server, want) in [
            (How::Asked, Some(30), Severity::Info),
            (How::Asked, Some(31), Severity::Warning),
            (How::Asked, None, Severity::Info),
            (How::Applied, Some(31), Severity::Info),
            (How::Applied, Some(32), Severity::Warning),
            (How::Written, Some(40), Severity::Info),
        ] {
            assert_eq!(draft(&used(how), server).severity, want, "{how:?} {server:?}");
        }
        assert!(
            draft(&used(How::Written), Some(33))
                .title
                .contains("written by helm as a/v1beta1 B, which Kubernetes 1.32 has removed; use a/v1")
        );
    }
}
