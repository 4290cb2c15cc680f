//! What exit codes and error texts mean.

use crate::triage::finding::Category;

/// What an exit code says by itself.
pub(super) fn explain(code: i64) -> &'static str {
    match code {
        0 => "it ended without an error",
        1 => "the program reports an error of its own",
        2 => "the program was called wrongly, or a shell could not parse its script",
        101 => "a Rust program panicked",
        125 => "the container runtime could not run the container",
        126 => "the command exists and cannot be executed",
        127 => "the command does not exist in the image",
        128 => "the container could not be started",
        130 => "it was interrupted (SIGINT)",
        134 => "it aborted itself (SIGABRT), such as by a failed assertion",
        135 => "it met a bus error (SIGBUS), often a full or vanished volume behind a mapped file",
        136 => "it divided by zero or met another arithmetic fault (SIGFPE)",
        137 => "it was killed (SIGKILL): by the kernel for memory, or by the kubelet after the grace period",
        139 => "it crashed on an invalid memory access (SIGSEGV)",
        141 => "it wrote to a closed pipe (SIGPIPE)",
        143 => "it was asked to end (SIGTERM)",
        255 => "the program reports an error, or the node went away under it",
        129..=192 => "a signal ended it",
        _ => "the program reports an error of its own",
    }
}

/// What kind of trouble an error text shows, with a sentence and a first step.
pub(super) struct Reading {
    pub(super) category: Category,
    pub(super) says: &'static str,
    pub(super) step: &'static str,
}

/// Words of an error text, the category they show, what they say, and what to do first. The first match wins, so the
/// special stand before the general.
const READINGS: [(&[&str], Category, &str, &str); 13] = [
    (
        &["no space left on device", "os error 28", "disk full", "enospc"],
        Category::Storage,
        "a disk is full",
        "Free or enlarge the volume that the error names, then restart the pod",
    ),
    (
        &["read-only file system", "os error 30"],
        Category::Storage,
        "a volume is mounted read-only",
        "Check the volume's mount options and the node's kernel log for disk errors",
    ),
    (
        &["address already in use", "addrinuse", "os error 98"],
        Category::Startup,
        "the port is taken",
        "Look for a second process on the port: a container of the same pod, or hostNetwork on the node",
    ),
    (
        &[
            "no such host",
            "name resolution",
            "dns error",
            "name or service not known",
            "nxdomain",
            "servfail",
            "enotfound",
        ],
        Category::Connectivity,
        "a name cannot be resolved",
        "Check the name in the configuration, then cluster DNS and the network policies for port 53",
    ),
    (
        &["certificate", "x509", "tls handshake", "handshake failure", "unknownissuer", "ssl"],
        Category::Tls,
        "a TLS handshake fails",
        "Compare the certificate's dates, names and issuer on both sides",
    ),
    (
        &["is forbidden: user", "system:serviceaccount"],
        Category::Security,
        "the Kubernetes API refuses the service account",
        "Grant the verb that the error names to the service account, with a Role and a RoleBinding",
    ),
    (
        &[
            "password authentication failed",
            "authentication failed",
            "access denied",
            "unauthorized",
            "invalidaccesskeyid",
            "accessdenied",
            "signaturedoesnotmatch",
        ],
        Category::Configuration,
        "credentials are refused",
        "Compare the credentials that the pod mounts with those of the service that refuses them",
    ),
    (
        &["connection refused", "os error 111", "econnrefused"],
        Category::Connectivity,
        "something it needs refuses connections",
        "Find what listens at the address in the error: is its pod ready, and has its service endpoints?",
    ),
    (
        &[
            "pooltimedout",
            "timed out",
            "timeout",
            "deadline",
            "no route to host",
            "unreachable",
            "connection reset",
            "etimedout",
        ],
        Category::Connectivity,
        "something it needs does not answer",
        "Check what it connects to (database, peer, API), then network policies and firewalls on the way",
    ),
    (
        &["permission denied", "os error 13", "operation not permitted", "eacces"],
        Category::Configuration,
        "a file or a right is denied",
        "Compare runAsUser and fsGroup of the pod with the owner of the file that the error names",
    ),
    (
        &["out of memory", "outofmemoryerror", "cannot allocate memory", "memory allocation of"],
        Category::Resources,
        "it ran out of memory",
        "Raise the memory limit, or lower what the program is told to use",
    ),
    (
        &[
            "unknown field",
            "missing field",
            "missing configuration",
            "invalid config",
            "failed to load",
            "failed to parse",
            "toml",
            "yaml",
            "expected an integer",
            "environment variable",
            "not set",
            "must be",
            "usage:",
            "unrecognized",
            "unknown flag",
            "invalid value",
        ],
        Category::Configuration,
        "the configuration is wrong",
        "Correct the setting that the error names, in the ConfigMap or the values of the chart",
    ),
    (
        &["no such file", "os error 2", "enoent", "file not found"],
        Category::Configuration,
        "a file is missing",
        "Check that the ConfigMap, Secret or volume that should hold the file is mounted at this path",
    ),
];

/// Reads an error text.
pub(super) fn read(text: &str) -> Option<Reading> {
    let lower = text.to_ascii_lowercase();
    READINGS
        .iter()
        .find(|(words, ..)| words.iter().any(|w| lower.contains(w)))
        .map(|(_, category, says, step)| Reading { category: *category, says, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read() {
        for (text, want) in [
            ("Error: tcp connect error: Connection refused (os error 111)", "something it needs refuses connections"),
            ("panic: called Result::unwrap() on an Err value: PoolTimedOut", "something it needs does not answer"),
            ("unknown field `preproc_redis`, expected one of", "the configuration is wrong"),
            ("write: No space left on device (os error 28)", "a disk is full"),
        ] {
            assert_eq!(read(text).map(|r| r.says), Some(want), "{text}");
        }
        assert!(read("segment 7 is bad").is_none());
        assert!(explain(137).contains("SIGKILL"));
        assert!(explain(150).contains("signal"));
    }
}
