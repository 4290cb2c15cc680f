//! How to reach AWS: the environment and the files of the user, as every program of AWS reads them.

use std::path::Path;

use aws_config::meta::region::RegionProviderChain;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials as AwsCredentials, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use zeroize::Zeroizing;

use crate::collect::kubernetes::Credentials;
use crate::collect::s3::Access;

/// Largest file of credentials that is read.
const FILE_MAX: u64 = 1 << 20;
/// Region where nobody names one. The bucket says which one it is in.
const ANY_REGION: &str = "us-east-1";

/// Access with the SDK's default chain: environment, profiles, SSO, web identity, processes, and the metadata service of the machine.
///
/// Nothing is read before the first item needs it.
pub(super) fn access() -> Access {
    let custom = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let custom = custom.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    Access::new(|| Box::pin(default_chain()), custom)
}

/// Adds the credentials of the environment and of the user's files, all profiles of them.
pub(super) fn credentials(found: &mut Credentials) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"] {
        found.secrets.extend(variable(name).map(Zeroizing::new));
    }
    for name in ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
        found.secrets.extend(variable(name).and_then(|path| small(Path::new(&path))));
    }
    let home = std::env::home_dir().unwrap_or_default().join(".aws");
    for (name, file) in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")] {
        let path = variable(name).map_or_else(|| home.join(file), Into::into);
        let Some(text) = small(&path) else { continue };
        found.secrets.extend(text.lines().filter_map(secret_of_profile).map(|value| Zeroizing::new(value.to_owned())));
    }
}

/// The text of a file of credentials; none when it cannot be read, or is too large to be one.
fn small(path: &Path) -> Option<Zeroizing<String>> {
    let fits = std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() <= FILE_MAX);
    if fits { std::fs::read_to_string(path).ok().map(Zeroizing::new) } else { None }
}

/// The secret in a line of a profile.
fn secret_of_profile(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    ["aws_secret_access_key", "aws_session_token", "aws_security_token"]
        .contains(&name.trim().to_ascii_lowercase().as_str())
        .then_some(value.trim())
        .filter(|value| !value.is_empty())
}

/// Access to a store on loopback with made-up credentials; nothing of the user's is read.
pub(super) fn made_up(endpoint: &str) -> Access {
    let endpoint = endpoint.to_owned();
    let load = move || {
        let credentials = AwsCredentials::new("casefile-demo", "casefile-demo", None, None, "demo");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(ANY_REGION))
            .endpoint_url(endpoint.clone())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client(ProxyConfig::disabled()))
            .build()
    };
    Access::new(
        move || {
            let config = load();
            Box::pin(async move { config })
        },
        true,
    )
}

async fn default_chain() -> SdkConfig {
    // The SDK's own chain would also ask the metadata service for a region, which takes seconds where there is none.
    let region =
        RegionProviderChain::first_try(aws_config::environment::region::EnvironmentVariableRegionProvider::new())
            .or_else(aws_config::profile::region::ProfileFileRegionProvider::new())
            .or_else(ANY_REGION);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .http_client(http_client(ProxyConfig::from_env()));
    if let Ok(name) = AppName::new("casefile") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// The client with our TLS provider, through a proxy where there is one.
fn http_client(proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_profiles_are_read() {
        let lines = [
            "[default]",
            "aws_access_key_id = AKIAX",
            "AWS_Secret_Access_Key= s3 ",
            "aws_session_token=t=1",
            "region = r",
        ];
        assert_eq!(lines.into_iter().filter_map(secret_of_profile).collect::<Vec<_>>(), ["s3", "t=1"]);
    }
}
