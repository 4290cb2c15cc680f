//! How to reach AWS: loaded once for a run, when the first item needs it.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::ProvideCredentials as _;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::Identity;

/// Longest time that a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time that finding credentials may take: SSO, web identity and the metadata service of a machine are asked in turn.
const CREDENTIALS: Duration = Duration::from_secs(20);

/// Loads the configuration of the SDK: region, endpoint, HTTP client and where credentials come from.
pub type Loader = dyn Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync;

/// How to reach AWS, or a store that speaks like it. Clones share what was loaded.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    load: Box<Loader>,
    path_style: bool,
    config: OnceCell<SdkConfig>,
    credentials: OnceCell<Credentials>,
    identity: OnceCell<Identity>,
}

/// Whether there are credentials.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    Found,
    /// Why not.
    Missing(String),
}

impl std::fmt::Debug for Access {
    /// Credentials may be among what was loaded, so nothing of it is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Access through a loader. `path_style` is for stores that are known not to be AWS's own: the bucket then stands in the path.
    #[must_use]
    pub fn new(load: impl Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync + 'static, path_style: bool) -> Self {
        Self(Arc::new(Inner {
            load: Box::new(load),
            path_style,
            config: OnceCell::new(),
            credentials: OnceCell::new(),
            identity: OnceCell::new(),
        }))
    }

    /// The configuration, with our own limits: no retries, because [`crate::collect::retry`] does them and counts them.
    pub(super) async fn config(&self, request: Duration) -> &SdkConfig {
        let load = async {
            let config = (self.0.load)().await;
            let limits = TimeoutConfig::builder()
                .connect_timeout(CONNECT.min(request))
                .operation_attempt_timeout(request)
                .operation_timeout(request)
                .build();
            config.into_builder().retry_config(RetryConfig::disabled()).timeout_config(limits).build()
        };
        self.0.config.get_or_init(|| load).await
    }

    /// Whether the bucket belongs into the path.
    pub(super) fn path_style(&self) -> bool {
        self.0.path_style
    }

    /// Looks for credentials, once.
    pub(super) async fn credentials(&self, config: &SdkConfig) -> Credentials {
        let find = async {
            let Some(provider) = config.credentials_provider() else {
                return Credentials::Missing("no source of credentials is configured".to_owned());
            };
            match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
                Ok(Ok(_)) => Credentials::Found,
                Ok(Err(error)) => Credentials::Missing(missing(&super::fault::chain(&error))),
                Err(_) => Credentials::Missing(format!(
                    "no source of credentials answered within {}",
                    humantime::format_duration(CREDENTIALS)
                )),
            }
        };
        self.0.credentials.get_or_init(|| find).await.clone()
    }

    /// Who we are, asked once for a run.
    pub(super) async fn identity(&self, ask: impl Future<Output = Identity>) -> Identity {
        self.0.identity.get_or_init(|| ask).await.clone()
    }
}

/// Why there are no credentials, in words that no redactor takes for a setting with its value.
fn missing(said: &str) -> String {
    if said.contains("no credentials found in chain") || said.contains("not enabled") {
        return "neither environment, profiles, SSO, web identity, containers nor the metadata service has any"
            .to_owned();
    }
    said.replace(": ", ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_missing_credentials_is_short_and_has_no_settings_in_it() {
        let chain =
            "the credential provider was not enabled, because no credentials found in chain. Attempted: Environment: x";
        assert!(missing(chain).starts_with("neither environment"));
        assert_eq!(
            missing("failed to load session token: request forbidden"),
            "failed to load session token, request forbidden"
        );
    }
}
