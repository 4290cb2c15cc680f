//! Connecting to a cluster, as the user's kubeconfig says or as the service account of a pod.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use http::{HeaderMap, Method};
use kube::client::{AuthError, Body};

use super::api::{Cluster, Target};
use super::{answer, kubeconfig};
use crate::collect::error::chain;
use crate::collect::{CollectError, retry};

/// Longest wait for a credential plugin, which may open a browser.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for a TCP and TLS connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer of `/version` that is read.
const VERSION_MAX: usize = 64 << 10;

/// Which cluster, and as whom.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The kubeconfig that the user named.
    pub kubeconfig: Option<PathBuf>,
    /// Value of `$KUBECONFIG`, a list of files of which the first to set a value wins. Files that do not exist are skipped.
    pub kubeconfig_env: Option<OsString>,
    /// The home directory, in which `.kube/config` is looked for.
    pub home: Option<PathBuf>,
    /// Context of the kubeconfig; its current one where none is given.
    pub context: Option<String>,
    /// User to impersonate.
    pub as_user: Option<String>,
    /// Groups to impersonate; only together with a user.
    pub as_groups: Vec<String>,
    /// Longest wait for one answer, and for the next piece of one.
    pub request_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            kubeconfig_env: None,
            home: None,
            context: None,
            as_user: None,
            as_groups: Vec::new(),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Why there is no cluster to collect from.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no kubeconfig, and this is not a pod.
    #[error("no kubeconfig found (looked at {}); give --kubeconfig, or set KUBECONFIG", tried.join(", "))]
    NoConfig {
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// The kubeconfig, or something it points to, cannot be used.
    #[error("cannot use {path}: {reason}; {advice}")]
    BadConfig {
        /// The file or files.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to try.
        advice: String,
    },
    /// The kubeconfig has no such context.
    #[error("there is no context `{name}`; {}", if known.is_empty() { "the kubeconfig has none".to_owned() } else { format!("known ones are {}", known.join(", ")) })]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// What exists.
        known: Vec<String>,
    },
    /// The server does not answer as an API server does.
    #[error("cannot reach the API server {server}: {reason}; check the address, the network and the proxy")]
    Unreachable {
        /// URL of the server.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The server does not accept the credentials.
    #[error(
        "the API server {server} does not accept the credentials: {reason}; log in again, or choose another --context"
    )]
    Unauthorized {
        /// URL of the server.
        server: String,
        /// What the server said.
        reason: String,
    },
}

impl Cluster {
    /// Connects: reads the configuration, runs a credential plugin if there is one, and asks the server for its version.
    ///
    /// Beside what `options` say, `kube` itself reads `HTTPS_PROXY`, `NO_PROXY`, the variables of the service account, and
    /// passes the environment on to credential plugins. The texts of errors may hold what a server said; whoever shows
    /// or stores them redacts them.
    ///
    /// # Errors
    /// When there is no usable configuration, or no API server that answers within the request timeout.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        install_tls_provider();
        let kubeconfig::Found { mut config, context } = kubeconfig::find(&options).await?;
        if !options.as_groups.is_empty() && options.as_user.is_none() {
            return Err(ConnectError::BadConfig {
                path: "the impersonation".to_owned(),
                reason: "groups can only be impersonated together with a user".to_owned(),
                advice: "add --as".to_owned(),
            });
        }
        if options.as_user.is_some() {
            config.auth_info.impersonate = options.as_user.clone();
            config.auth_info.impersonate_groups = Some(options.as_groups.clone()).filter(|g| !g.is_empty());
        }
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT.min(options.request_timeout));
        config.read_timeout = None;
        config.write_timeout = Some(options.request_timeout);
        let server = shown_url(&config.cluster_url);
        let namespace = config.default_namespace.clone();
        let client = build_client(config).await.map_err(|reason| ConnectError::BadConfig {
            path: context.as_ref().map_or_else(|| "the service account".to_owned(), |c| format!("the context `{c}`")),
            reason,
            advice: "check the credentials with `kubectl auth whoami`".to_owned(),
        })?;
        let target =
            Target { client, server: server.clone(), context, namespace, request_timeout: options.request_timeout };
        let probe = Cluster::new(target, serde_json::Value::Null);
        let limit = options.request_timeout;
        match tokio::time::timeout(limit, probe.ask_version()).await {
            Ok(Ok(version)) => Ok(probe.with_version(version)),
            Ok(Err(CollectError::Forbidden(reason))) => Err(ConnectError::Unauthorized { server, reason }),
            Ok(Err(error)) => Err(ConnectError::Unreachable { server, reason: error.to_string() }),
            Err(_) => Err(ConnectError::Unreachable {
                server,
                reason: format!("no answer within {}", humantime::format_duration(limit)),
            }),
        }
    }

    /// Asks for the version, a few times where an error may pass. A server that keeps its version to itself is fine.
    async fn ask_version(&self) -> Result<serde_json::Value, CollectError> {
        let mut attempt = 1;
        loop {
            let error = match self.ask_version_once().await {
                Ok(version) => return Ok(version),
                Err(error) => error,
            };
            let Some(wait) = retry::wait_after(&error, attempt) else { return Err(error) };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn ask_version_once(&self) -> Result<serde_json::Value, CollectError> {
        let response = self.send(Method::GET, "/version", HeaderMap::new(), Body::empty()).await?;
        match self.success(response).await? {
            Ok(response) => {
                let body = self.collect(response, VERSION_MAX).await?;
                serde_json::from_slice(&body)
                    .map_err(|_| CollectError::Failed("it answers, but not as an API server does".to_owned()))
            }
            Err(refusal) if refusal.code == 403 => Ok(serde_json::Value::Null),
            Err(refusal) => Err(refusal.into_error()),
        }
    }
}

/// Builds the client on a thread of its own: a credential plugin blocks, and one that hangs must not keep the runtime
/// from ending.
async fn build_client(config: kube::Config) -> Result<kube::Client, String> {
    let runtime = tokio::runtime::Handle::current();
    let (give, take) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("credentials".to_owned())
        .spawn(move || {
            let _entered = runtime.enter();
            // The receiver is gone when the wait ran out; nobody needs the client then.
            let _ = give.send(kube::Client::try_from(config));
        })
        .map_err(|e| e.to_string())?;
    match tokio::time::timeout(PLUGIN_TIMEOUT, take).await {
        Ok(Ok(Ok(client))) => Ok(client),
        Ok(Ok(Err(kube::Error::Auth(error)))) => Err(auth_text(&error)),
        Ok(Ok(Err(error))) => Err(chain(&error)),
        Ok(Err(_)) => Err("the client could not be built".to_owned()),
        Err(_) => {
            Err(format!("the credential plugin did not end within {}", humantime::format_duration(PLUGIN_TIMEOUT)))
        }
    }
}

/// The text of a failed authentication. A plugin's standard output may be a token, so only its standard error is told.
pub(super) fn auth_text(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { cmd, out } => {
            let said = answer::shortened(String::from_utf8_lossy(&out.stderr).trim());
            format!("the credential plugin `{cmd}` failed with {}: {said}", out.status)
        }
        AuthError::AuthExecParse(_) => "the credential plugin printed something that is no credential".to_owned(),
        other => chain(other),
    }
}

/// The URL without a password in it.
fn shown_url(url: &http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("https");
    let authority = url.authority().map_or("", |a| a.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", url.path().trim_end_matches('/'))
}

fn install_tls_provider() {
    static ONCE: Once = Once::new();
    // An error means that somebody installed one before, and one is all that is needed.
    ONCE.call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let url = "https://u:pl4nted@api.example.com:6443/base/".parse().unwrap();
        assert_eq!(shown_url(&url), "https://api.example.com:6443/base");
    }

    #[test]
    fn what_a_plugin_printed_is_not_told() {
        let out =
            std::process::Command::new("sh").args(["-c", "echo pl4nted; echo expired >&2; exit 3"]).output().unwrap();
        let text = auth_text(&AuthError::AuthExecRun { cmd: "login".to_owned(), out: Box::new(out) });
        assert!(text.contains("login") && text.contains("expired") && !text.contains("pl4nted"), "{text}");
    }
}
