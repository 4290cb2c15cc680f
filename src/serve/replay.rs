//! `replay.json`: what commands and endpoints inside of pods answer. Its schema is described in `docs/serve.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde_json::Value;

use super::server::ServeError;
use crate::bundle::Store;
use crate::model::time::Timestamp;

/// The file at the root of a store.
pub(super) const FILE: &str = "replay.json";
/// How large it may be; larger answers belong into files of their own.
const LIMIT: u64 = 64 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    now: Option<Timestamp>,
    exec: Vec<ExecEntry>,
    proxy: Vec<ProxyEntry>,
    grpc: Vec<GrpcEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrpcEntry {
    pods: String,
    port: u16,
    method: String,
    request: Option<String>,
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
    response: Option<String>,
    response_file: Option<String>,
    #[serde(default)]
    hang: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecEntry {
    pods: String,
    container: Option<String>,
    command: Vec<String>,
    stdout: Option<String>,
    stdout_file: Option<String>,
    stderr: Option<String>,
    stderr_file: Option<String>,
    #[serde(default)]
    exit_code: i32,
    error: Option<Value>,
    #[serde(default)]
    hang: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyEntry {
    pods: Option<String>,
    nodes: Option<String>,
    port: Option<u16>,
    path: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default = "plain")]
    content_type: String,
    body: Option<String>,
    body_file: Option<String>,
}

fn ok() -> u16 {
    200
}

fn plain() -> String {
    "text/plain; charset=utf-8".to_owned()
}

/// Bytes that a replay answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// In the replay file itself.
    Text(String),
    /// A file of the store.
    File(String),
}

/// A recorded command.
#[derive(Debug)]
pub(super) struct Exec {
    pods: GlobMatcher,
    container: Option<String>,
    command: Vec<String>,
    pub(super) stdout: Content,
    pub(super) stderr: Content,
    pub(super) exit_code: i32,
    /// Why it does not start: a message or a whole `Status`.
    pub(super) error: Option<Value>,
    pub(super) hang: bool,
}

/// A recorded HTTP answer.
#[derive(Debug)]
pub(super) struct Proxy {
    subjects: GlobMatcher,
    node: bool,
    port: u16,
    path: String,
    pub(super) status: http::StatusCode,
    pub(super) content_type: http::HeaderValue,
    pub(super) body: Content,
}

/// A recorded gRPC answer.
#[derive(Debug)]
pub(super) struct Grpc {
    pods: GlobMatcher,
    port: u16,
    method: String,
    /// The question that it answers; none answers any.
    request: Option<Vec<u8>>,
    /// Status code; 0 is OK.
    pub(super) code: u32,
    pub(super) message: String,
    /// The encoded message.
    pub(super) response: Vec<u8>,
    pub(super) hang: bool,
}

/// Who an HTTP answer is from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// `<namespace>/<pod>` and the port.
    Pod(&'a str, u16),
    /// A node.
    Node(&'a str),
}

/// A compiled replay file.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// The time for ages and `sinceSeconds`.
    pub(super) now: Option<Timestamp>,
    exec: Vec<Exec>,
    proxy: Vec<Proxy>,
    grpc: Vec<Grpc>,
}

impl Replay {
    /// Reads the replay file of a store; a store without one has nothing to replay.
    ///
    /// # Errors
    /// When it is there but not usable: a fixture with a mistake must not look like a cluster without programs.
    pub(super) fn read(store: &dyn Store) -> Result<Self, ServeError> {
        if !store.contains(FILE) {
            return Ok(Self::default());
        }
        let invalid = |reason: String| ServeError::Replay { path: FILE.to_owned(), reason };
        let bytes = store.read(FILE, LIMIT).map_err(|e| invalid(e.to_string()))?;
        let document: Document = serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
        let content = |text: Option<String>, file: Option<String>| match (text, file) {
            (Some(_), Some(file)) => Err(invalid(format!("both a text and the file {file} for one answer"))),
            (_, Some(file)) if !store.contains(&file) => Err(invalid(format!("there is no file {file}"))),
            (_, Some(file)) => Ok(Content::File(file)),
            (text, None) => Ok(Content::Text(text.unwrap_or_default())),
        };
        let exec = document.exec.into_iter().map(|entry| {
            Ok::<_, ServeError>(Exec {
                pods: Glob::new(&entry.pods)?.compile_matcher(),
                container: entry.container,
                command: entry.command,
                stdout: content(entry.stdout, entry.stdout_file)?,
                stderr: content(entry.stderr, entry.stderr_file)?,
                exit_code: entry.exit_code,
                error: entry.error,
                hang: entry.hang,
            })
        });
        let proxy = document.proxy.into_iter().map(|entry| {
            let (subjects, node) = match (&entry.pods, &entry.nodes) {
                (Some(pods), None) => (pods, false),
                (None, Some(nodes)) => (nodes, true),
                _ => return Err(invalid(format!("{} needs either pods or nodes", entry.path))),
            };
            if !node && entry.port.is_none() {
                return Err(invalid(format!("{} needs a port", entry.path)));
            }
            Ok::<_, ServeError>(Proxy {
                subjects: Glob::new(subjects)?.compile_matcher(),
                node,
                port: entry.port.unwrap_or(0),
                status: http::StatusCode::from_u16(entry.status)
                    .map_err(|e| invalid(format!("{}: {e}", entry.path)))?,
                content_type: http::HeaderValue::from_str(&entry.content_type)
                    .map_err(|e| invalid(format!("{}: {e}", entry.path)))?,
                body: content(entry.body, entry.body_file)?,
                path: entry.path,
            })
        });
        let decoded = |what: &str, text: &str| {
            let text: String = text.split_whitespace().collect();
            BASE64.decode(text).map_err(|e| invalid(format!("{what} is no base64: {e}")))
        };
        let grpc = document.grpc.into_iter().map(|entry| {
            let response = match content(entry.response, entry.response_file)? {
                Content::Text(text) => text,
                Content::File(file) => {
                    let bytes = store.read(&file, LIMIT).map_err(|e| invalid(e.to_string()))?;
                    String::from_utf8_lossy(&bytes).into_owned()
                }
            };
            Ok::<_, ServeError>(Grpc {
                pods: Glob::new(&entry.pods)?.compile_matcher(),
                port: entry.port,
                request: entry.request.map(|text| decoded(&entry.method, &text)).transpose()?,
                response: decoded(&entry.method, &response)?,
                method: entry.method,
                code: entry.code,
                message: entry.message,
                hang: entry.hang,
            })
        });
        Ok(Self {
            now: document.now,
            exec: exec.collect::<Result<_, _>>()?,
            proxy: proxy.collect::<Result<_, _>>()?,
            grpc: grpc.collect::<Result<_, _>>()?,
        })
    }

    /// What a command answers in a container.
    pub(super) fn exec(&self, pod: &str, container: &str, command: &[String]) -> Option<&Exec> {
        self.exec.iter().find(|e| {
            e.pods.is_match(pod) && e.container.as_deref().is_none_or(|c| c == container) && e.command == command
        })
    }

    /// What a port answers.
    pub(super) fn proxy(&self, subject: Subject<'_>, path: &str) -> Option<&Proxy> {
        self.proxy.iter().find(|p| p.is_from(subject) && p.path == path)
    }

    /// What a gRPC method of a port answers to an encoded question.
    pub(super) fn grpc(&self, pod: &str, port: u16, method: &str, request: &[u8]) -> Option<&Grpc> {
        let mut from = self.grpc.iter().filter(|g| g.is_from(pod, port) && g.method == method);
        from.find(|g| g.request.as_deref().is_none_or(|known| known == request))
    }

    /// Whether a port speaks gRPC.
    pub(super) fn speaks_grpc(&self, pod: &str, port: u16) -> bool {
        self.grpc.iter().any(|g| g.is_from(pod, port))
    }

    /// Whether something listens.
    pub(super) fn listens(&self, subject: Subject<'_>) -> bool {
        self.proxy.iter().any(|p| p.is_from(subject))
    }
}

impl Grpc {
    fn is_from(&self, pod: &str, port: u16) -> bool {
        self.port == port && self.pods.is_match(pod)
    }
}

impl Proxy {
    fn is_from(&self, subject: Subject<'_>) -> bool {
        match subject {
            Subject::Pod(pod, port) => !self.node && self.port == port && self.subjects.is_match(pod),
            Subject::Node(node) => self.node && self.subjects.is_match(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::DirStore;

    fn read(text: &str) -> Result<Replay, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        std::fs::write(dir.path().join("out.txt"), "x").unwrap();
        Replay::read(&DirStore::open(dir.path()).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn entries_are_found() {
        let replay = read(
            r#"{"exec": [
                {"pods": "kms/core-*", "container": "c", "command": ["a", "b"], "stdout_file": "out.txt", "exit_code": 3},
                {"pods": "*", "command": ["a", "b"], "hang": true}
            ], "proxy": [{"pods": "kms/*", "port": 9646, "path": "/metrics", "body": "m"}, {"nodes": "n-*", "path": "/x"}]}"#,
        )
        .unwrap();
        let command = ["a".to_owned(), "b".to_owned()];
        let found = replay.exec("kms/core-0", "c", &command).unwrap();
        assert_eq!((&found.stdout, found.exit_code), (&Content::File("out.txt".into()), 3));
        assert!(replay.exec("kms/core-0", "other", &command).unwrap().hang);
        assert!(replay.exec("kms/core-0", "c", &command[..1]).is_none());
        assert!(replay.proxy(Subject::Pod("kms/core-0", 9646), "/metrics").is_some());
        assert!(replay.proxy(Subject::Pod("kms/core-0", 9646), "/live").is_none());
        assert!(replay.listens(Subject::Pod("kms/core-0", 9646)));
        assert!(!replay.listens(Subject::Pod("kms/core-0", 50100)));
        assert!(replay.proxy(Subject::Node("n-1"), "/x").is_some());
    }

    #[test]
    fn mistakes_are_told() {
        for (text, part) in [
            ("{", "EOF"),
            (r#"{"exce": []}"#, "unknown field `exce`"),
            (r#"{"exec": [{"pods": "[", "command": []}]}"#, "check the brackets"),
            (r#"{"exec": [{"pods": "*", "command": [], "stdout_file": "no.txt"}]}"#, "there is no file no.txt"),
            (r#"{"exec": [{"pods": "*", "command": [], "stdout": "a", "stdout_file": "out.txt"}]}"#, "both"),
            (r#"{"grpc": [{"pods": "*", "port": 1, "method": "a/B", "response": "?"}]}"#, "a/B is no base64"),
            (r#"{"proxy": [{"path": "/x"}]}"#, "either pods or nodes"),
            (r#"{"proxy": [{"pods": "*", "path": "/x"}]}"#, "needs a port"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
