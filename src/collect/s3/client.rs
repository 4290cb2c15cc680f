//! Finds a bucket, and who we are for it.

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::access::Credentials;
use super::fault::{Refusal, chain, fault, is_region};
use super::listing::{self, Bounds};
use super::{Access, Document, Identity};
use crate::collect::{CollectError, Sink, retry};

/// Region to ask in when nothing names one; the answer says which it is.
const ANY_REGION: &str = "us-east-1";
/// Regions that a bucket may send us through.
const HOPS: usize = 3;
/// Share of the item's deadline after which listing stops, so that what was seen is still written.
const SHARE: f64 = 0.85;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Name of the bucket.
    pub bucket: String,
    /// What the names begin with; a slash at its end is added where it has none.
    pub prefix: String,
    /// Region, where the configuration names it.
    pub region: Option<String>,
    /// Endpoint, where the configuration names it.
    pub endpoint: Option<String>,
    /// Endpoint of the token service, where the configuration names it.
    pub sts_endpoint: Option<String>,
    /// Whether to try without credentials when there are none: some buckets are public on purpose.
    pub anonymous: bool,
    /// Objects that are looked at.
    pub limit: usize,
}

/// A bucket with a client for its region.
pub(super) struct Bucket {
    pub(super) client: Client,
    pub(super) name: String,
    /// With its slash.
    pub(super) prefix: String,
}

impl Bucket {
    pub(super) fn shown(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix)
    }
}

/// Lists a place into the document. What could be found out before an error stays in it; the error is also its `fault`.
///
/// Requests are retried as [`crate::collect::retry`] does it. Listing stops before the item's deadline, and keeps what it has.
///
/// # Errors
/// Why nothing could be listed.
pub async fn list(access: &Access, place: &Place, sink: &Sink, document: &mut Document) -> Result<(), CollectError> {
    let bounds = Bounds { objects: place.limit, until: Instant::now() + sink.limits().item_timeout.mul_f64(SHARE) };
    let work = Box::pin(find_and_list(access, place, sink, document, bounds));
    let left = bounds.until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
    let result = match tokio::time::timeout(left, work).await {
        Ok(result) => result,
        Err(_) => Err(CollectError::TimedOut(format!("s3://{}: no end within the deadline", place.bucket))),
    };
    if let Err(error) = &result {
        document.fault = Some(fault(error));
    }
    result
}

async fn find_and_list(
    access: &Access,
    place: &Place,
    sink: &Sink,
    document: &mut Document,
    bounds: Bounds,
) -> Result<(), CollectError> {
    let config = access.config(sink.limits().request_timeout).await;
    let config = match access.credentials(config).await {
        Credentials::Found => config.clone(),
        Credentials::Missing(_) if place.anonymous => {
            document.identity = Some(Identity::unknown("asked without credentials, because there are none"));
            let mut builder = config.clone().into_builder();
            builder.set_credentials_provider(None);
            builder.build()
        }
        Credentials::Missing(why) => {
            let text = format!(
                "s3://{}: no AWS credentials were found ({why}); try: AWS_PROFILE=<the party's profile>, or: aws sso login",
                place.bucket
            );
            return Err(CollectError::Forbidden(text));
        }
    };
    let given = place.region.clone().filter(|r| is_region(r));
    let region =
        given.or_else(|| config.region().map(|r| r.as_ref().to_owned())).unwrap_or_else(|| ANY_REGION.to_owned());
    let mut bucket = Bucket {
        client: client(access, &config, place, &region),
        name: place.bucket.clone(),
        prefix: folder(&place.prefix),
    };
    document.prefix.clone_from(&bucket.prefix);
    let found = settle(access, &config, place, sink, &mut bucket).await;
    document.region = bucket.client.config().region().map(|r| r.as_ref().to_owned());
    let (who, listed) = futures::join!(
        async {
            match &document.identity {
                Some(known) => known.clone(),
                None => Box::pin(access.identity(identity(&config, place, &region, sink))).await,
            }
        },
        async {
            found?;
            listing::objects(&bucket, sink, bounds).await
        }
    );
    document.identity = Some(who);
    let (objects, cut) = listed?;
    document.listing = objects;
    document.fault = cut.as_ref().map(fault);
    let (siblings, versions) =
        futures::join!(listing::siblings(&bucket, sink, bounds), listing::versions(&bucket, sink, bounds));
    document.listing.siblings = siblings;
    document.versions = Some(versions.as_ref().map(Clone::clone).map_err(fault));
    Ok(())
}

/// Goes to the region that the bucket is in.
///
/// # Errors
/// When there is no such bucket, or nobody answers. A refusal is none: the listing gets an answer with a reason in it.
async fn settle(
    access: &Access,
    config: &SdkConfig,
    place: &Place,
    sink: &Sink,
    bucket: &mut Bucket,
) -> Result<(), CollectError> {
    for _ in 0..HOPS {
        let answer = retry::retry(sink, || async {
            match bucket.client.head_bucket().bucket(&bucket.name).send().await {
                Ok(answer) => Ok(answer.bucket_region().map(str::to_owned)),
                Err(error) => {
                    let refusal = Refusal::of(&error);
                    if refusal.status == 404 {
                        return Err(refusal.into_error(&bucket.shown()));
                    }
                    // A refusal without a body; its header may name the region.
                    if refusal.is_elsewhere() || matches!(refusal.status, 400..=499) {
                        return Ok(refusal.region);
                    }
                    Err(refusal.into_error(&bucket.shown()))
                }
            }
        })
        .await?;
        match answer.filter(|region| is_region(region) && !listing::is_same(&bucket.client, region)) {
            Some(region) => bucket.client = client(access, config, place, &region),
            None => return Ok(()),
        }
    }
    Err(CollectError::Failed(format!("{}: each region sends to another one", bucket.shown())))
}

fn client(access: &Access, config: &SdkConfig, place: &Place, region: &str) -> Client {
    let mut builder = aws_sdk_s3::config::Builder::from(config).region(Region::new(region.to_owned()));
    if let Some(endpoint) = &place.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    let in_path = access.path_style()
        || place.endpoint.is_some()
        || config.endpoint_url().is_some()
        // A wildcard certificate covers one label.
        || place.bucket.contains('.');
    builder = builder.force_path_style(in_path && !place.bucket.starts_with("arn:"));
    if config.credentials_provider().is_none() {
        builder = builder.allow_no_auth();
    }
    Client::from_conf(builder.build())
}

/// Who the credentials belong to. A store that is not AWS's own has no token service, unless one is named.
async fn identity(config: &SdkConfig, place: &Place, region: &str, sink: &Sink) -> Identity {
    if place.endpoint.is_some() && place.sts_endpoint.is_none() && config.endpoint_url().is_none() {
        return Identity::unknown("not asked, because the store is not AWS's own");
    }
    let mut builder = aws_sdk_sts::config::Builder::from(config).region(Region::new(region.to_owned()));
    if let Some(endpoint) = &place.sts_endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    sink.attempt();
    match aws_sdk_sts::Client::from_conf(builder.build()).get_caller_identity().send().await {
        Ok(who) => Identity {
            account: who.account().unwrap_or_default().to_owned(),
            arn: who.arn().unwrap_or_default().to_owned(),
            reason: None,
        },
        Err(error) => Identity::unknown(chain(&error)),
    }
}

/// A prefix as names have it: the system puts one slash behind it.
fn folder(prefix: &str) -> String {
    let plain = prefix.trim_end_matches('/');
    if plain.is_empty() { String::new() } else { format!("{plain}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_with_one_slash() {
        assert_eq!([folder("PUB-p1"), folder("PUB-p1/"), folder(""), folder("/")], ["PUB-p1/", "PUB-p1/", "", ""]);
    }
}
