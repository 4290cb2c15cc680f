//! Why an image cannot be pulled.

use crate::triage::draft::Draft;
use crate::triage::facts::{Container, Facts, Pod};
use crate::triage::finding::{Category, Level, Severity};
use crate::triage::text;

/// One way in which a pull fails.
struct Kind {
    rule: &'static str,
    category: Category,
    says: &'static str,
    steps: &'static [&'static str],
}

const RATE_LIMIT: Kind = Kind {
    rule: "image-pull-rate-limit",
    category: Category::ExternalDependency,
    says: "the registry limits how often this address may pull",
    steps: &[
        "Wait for the limit to pass, or pull with credentials that have a higher one",
        "Use a mirror of the registry",
    ],
};
const DNS: Kind = Kind {
    rule: "image-pull-dns",
    category: Category::Connectivity,
    says: "the node cannot resolve the registry's name",
    steps: &[
        "Check the registry's name for typing errors",
        "On the node: check /etc/resolv.conf and that its DNS server answers",
    ],
};
const TLS: Kind = Kind {
    rule: "image-pull-tls",
    category: Category::Tls,
    says: "the node does not trust the registry's certificate, or the certificate is not valid",
    steps: &[
        "Check the registry's certificate: dates, name, issuer",
        "Install the issuer for the container runtime of the nodes",
    ],
};
const AUTH: Kind = Kind {
    rule: "image-pull-auth",
    category: Category::Security,
    says: "the registry refuses the credentials, or wants some",
    steps: &[
        "Check that the pull secret of the pod or its service account exists and is of type kubernetes.io/dockerconfigjson",
        "Renew its credentials, and check that they may read this repository",
    ],
};
const NOT_FOUND: Kind = Kind {
    rule: "image-pull-not-found",
    category: Category::Configuration,
    says: "the registry does not have this image or tag",
    steps: &[
        "Compare repository and tag with what was released",
        "Correct the image in the workload, or push the image",
    ],
};
const NETWORK: Kind = Kind {
    rule: "image-pull-network",
    category: Category::Connectivity,
    says: "the node cannot reach the registry",
    steps: &[
        "From the node: try to reach the registry on port 443",
        "Check proxy settings of the container runtime, firewalls and routes",
    ],
};
const UNKNOWN: Kind = Kind {
    rule: "image-pull-failed",
    category: Category::Startup,
    says: "the container runtime cannot pull it",
    steps: &["Read the runtime's message in the evidence"],
};
const INVALID: Kind = Kind {
    rule: "image-name-invalid",
    category: Category::Configuration,
    says: "the image's name is not a valid reference",
    steps: &["Correct the image in the workload"],
};
const NEVER: Kind = Kind {
    rule: "image-never-pull",
    category: Category::Configuration,
    says: "the image is not on the node, and imagePullPolicy is Never",
    steps: &["Load the image on the node, or change imagePullPolicy"],
};

/// Words of the runtime's message, in order of how much they say.
fn kind(reason: &str, message: &str) -> &'static Kind {
    match reason {
        "InvalidImageName" => return &INVALID,
        "ErrImageNeverPull" => return &NEVER,
        _ => {}
    }
    let message = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| message.contains(w));
    if has(&["toomanyrequests", "too many requests", "rate limit", "429"]) {
        &RATE_LIMIT
    } else if has(&["no such host", "dial tcp: lookup", "server misbehaving", "name resolution"]) {
        &DNS
    } else if has(&["x509", "tls:", "certificate", "http: server gave http response"]) {
        &TLS
    } else if has(&["unauthorized", "authentication required", "no basic auth", "denied", "forbidden", "401", "403"]) {
        &AUTH
    } else if has(&["not found", "manifest unknown", "name unknown", "does not exist", "404"]) {
        &NOT_FOUND
    } else if has(&["timeout", "refused", "deadline", "no route", "unreachable", "reset by peer", "eof"]) {
        &NETWORK
    } else {
        &UNKNOWN
    }
}

/// Whether a waiting reason is about an image.
pub(super) fn is_image_reason(reason: &str) -> bool {
    matches!(
        reason,
        "ImagePullBackOff"
            | "ErrImagePull"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    )
}

/// A draft for a container that waits for its image.
pub(super) fn draft(facts: &Facts, pod: &Pod, container: &Container, reason: &str, message: &str) -> Draft {
    let event = facts
        .events_about(&pod.subject())
        .rev()
        .find(|e| e.reason == "Failed" && e.message.contains("pull") && e.message.contains(&container.image));
    // The back-off message repeats the error only in newer versions; the event always has it.
    let full = event.map_or(message, |e| if message.len() > e.message.len() { message } else { &e.message });
    let kind = kind(reason, full);
    let (namespace, name) = &pod.key;
    let mut draft = Draft::new(kind.rule, kind.category, Severity::Critical, Level::Two)
        .about(pod.subject())
        .title(format!("{{who}}: image {} cannot be pulled: {}", container.image, kind.says))
        .meaning(format!("Container {} cannot start without its image: {}.", container.name, kind.says))
        .same_when(format!("{} {}", container.image, kind.rule))
        .seen_in([pod.at.evidence_at(
            &format!("{}/state/waiting", container.pointer),
            &format!("{}: waiting, {reason}: {message}", container.name),
        )])
        .remedy(kind.steps.iter().copied())
        .remedy([format!("Watch it recover: kubectl -n {namespace} get pod {name} -w")])
        .between(pod.created, event.and_then(|e| e.last));
    if let Some(event) = event {
        draft = draft.seen_in([event.evidence()]).times(event.count);
    }
    let error = full.rsplit(": ").take(2).collect::<Vec<_>>();
    let error: Vec<&str> = error.into_iter().rev().collect();
    draft.because(format!("the container runtime says: {}", text::line(&error.join(": "), 160)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_runtimes_are_told_apart() {
        for (message, want) in [
            (
                "failed to do request: Head \"https://r/v2\": dial tcp: lookup r on 10.0.0.1:53: read udp: i/o timeout",
                "image-pull-dns",
            ),
            ("dial tcp 10.0.0.1:443: i/o timeout", "image-pull-network"),
            ("unexpected status from HEAD request to https://r/v2/x/manifests/1: 401 Unauthorized", "image-pull-auth"),
            ("pull access denied, repository does not exist or may require authorization", "image-pull-auth"),
            (
                "rpc error: code = NotFound desc = failed to resolve reference \"r/x:1\": r/x:1: not found",
                "image-pull-not-found",
            ),
            ("toomanyrequests: You have reached your pull rate limit", "image-pull-rate-limit"),
            ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "image-pull-tls"),
            ("something new", "image-pull-failed"),
        ] {
            assert_eq!(kind("ErrImagePull", message).rule, want, "{message}");
        }
        assert_eq!(kind("InvalidImageName", "x").rule, "image-name-invalid");
    }
}
