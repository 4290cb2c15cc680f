//! A kubeconfig for one or more servers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::server::ServeError;

/// One context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Name of the context, its cluster and its user.
    pub name: String,
    /// For example `http://127.0.0.1:40123`.
    pub server: String,
    /// Namespace of commands without `-n`.
    pub namespace: Option<String>,
    /// Bearer token.
    pub token: Option<String>,
}

/// The text of a kubeconfig with some contexts; the first is the current one.
#[must_use]
pub fn render(contexts: &[Context]) -> String {
    // A JSON text is a YAML text, so quoting needs nothing else.
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut out = String::from("apiVersion: v1\nkind: Config\npreferences: {}\nclusters:\n");
    for context in contexts {
        let _ = writeln!(out, "- name: {}\n  cluster:\n    server: {}", quote(&context.name), quote(&context.server));
    }
    out.push_str("users:\n");
    for context in contexts {
        let user = match &context.token {
            Some(token) => format!("\n    token: {}", quote(token)),
            None => " {}".to_owned(),
        };
        let _ = writeln!(out, "- name: {}\n  user:{user}", quote(&context.name));
    }
    out.push_str("contexts:\n");
    for context in contexts {
        let name = quote(&context.name);
        let _ = writeln!(out, "- name: {name}\n  context:\n    cluster: {name}\n    user: {name}");
        if let Some(namespace) = &context.namespace {
            let _ = writeln!(out, "    namespace: {}", quote(namespace));
        }
    }
    if let Some(first) = contexts.first() {
        let _ = writeln!(out, "current-context: {}", quote(&first.name));
    }
    out
}

/// Writes a kubeconfig that only its owner can read. An existing file is never overwritten.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), ServeError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| ServeError::Kubeconfig { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubeconfigs_are_yaml_that_clients_read() {
        let context = Context {
            name: "a \"bundle\": x".into(),
            server: "http://127.0.0.1:1".into(),
            namespace: Some("kms".into()),
            token: Some("t".into()),
        };
        let other = Context { name: "b".into(), namespace: None, token: None, ..context.clone() };
        let config = kube::config::Kubeconfig::from_yaml(&render(&[context, other])).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("a \"bundle\": x"));
        assert_eq!(config.contexts.len(), 2);
        assert_eq!(config.clusters[1].cluster.as_ref().unwrap().server.as_deref(), Some("http://127.0.0.1:1"));
    }
}
