//! How to reach AWS: the environment and the files of the user, as every program of AWS reads them.

use aws_config::meta::region::RegionProviderChain;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};

use crate::collect::s3::Access;

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

/// Access to a store on loopback with made-up credentials; nothing of the user's is read.
pub(super) fn made_up(endpoint: &str) -> Access {
    let endpoint = endpoint.to_owned();
    let load = move || {
        let credentials = Credentials::new("casefile-demo", "casefile-demo", None, None, "demo");
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
