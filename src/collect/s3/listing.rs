//! Pages of objects and versions, up to a limit.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::EncodingType;
use tokio::time::Instant;

use super::client::Bucket;
use super::document::NAMES_MAX;
use super::fault::Refusal;
use super::{Listing, Object, Versions};
use crate::collect::{CollectError, Sink, retry};

/// What bounds one listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Objects, or versions, that are looked at.
    pub(super) objects: usize,
    /// When to stop and keep what is there.
    pub(super) until: Instant,
}

impl Bounds {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Why a listing ended before its end; what was read until then is kept.
pub(super) type Cut = Option<CollectError>;

/// Lists the objects below the prefix. An error of the first page is an error; one of a later page cuts the list off.
pub(super) async fn objects(bucket: &Bucket, sink: &Sink, bounds: Bounds) -> Result<(Listing, Cut), CollectError> {
    let mut listing = Listing::default();
    let mut token: Option<String> = None;
    loop {
        let request = || async {
            let page = bucket
                .client
                .list_objects_v2()
                .bucket(&bucket.name)
                .set_prefix(prefix(&bucket.prefix))
                .set_continuation_token(token.clone())
                .encoding_type(EncodingType::Url)
                .send();
            page.await.map_err(|e| Refusal::of(&e).into_error(&bucket.shown()))
        };
        let page = match within(bounds, retry::retry(sink, request)).await {
            Ok(page) => page,
            Err(error) if listing.requests == 0 => return Err(error),
            Err(error) => return Ok((listing, Some(error))),
        };
        listing.requests += 1;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        for object in page.contents() {
            if listing.objects.len() >= bounds.objects {
                return Ok((listing, None));
            }
            let key = decoded(object.key().unwrap_or_default(), encoded);
            listing.objects.push(Object {
                name: below(&bucket.prefix, &key),
                size: object.size().unwrap_or_default(),
                modified: object.last_modified().and_then(shown),
                class: object.storage_class().map(|c| c.as_str().to_owned()),
                mode: None,
            });
        }
        let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        match next {
            None => {
                listing.complete = true;
                return Ok((listing, None));
            }
            // A store that repeats itself, or sends pages without objects for ever, is not followed.
            Some(next) if token.as_ref() == Some(&next) || listing.requests as usize > bounds.objects => {
                let text = format!("{}: the store repeats itself after {} pages", bucket.shown(), listing.requests);
                return Ok((listing, Some(CollectError::Failed(text))));
            }
            Some(next) => token = Some(next),
        }
    }
}

/// The names at the top of the bucket, one request.
pub(super) async fn siblings(bucket: &Bucket, sink: &Sink, bounds: Bounds) -> Vec<String> {
    let request = || async {
        let page = bucket.client.list_objects_v2().bucket(&bucket.name).delimiter("/").encoding_type(EncodingType::Url);
        page.send().await.map_err(|e| Refusal::of(&e).into_error(&bucket.shown()))
    };
    // They are a help for who compares prefixes; the listing itself says what is wrong.
    let Ok(page) = within(bounds, retry::retry(sink, request)).await else { return Vec::new() };
    let encoded = page.encoding_type() == Some(&EncodingType::Url);
    let names = page.common_prefixes().iter().filter_map(|p| p.prefix()).take(NAMES_MAX);
    names.map(|p| decoded(p, encoded)).collect()
}

/// Counts versions and delete markers below the prefix.
pub(super) async fn versions(bucket: &Bucket, sink: &Sink, bounds: Bounds) -> Result<Versions, CollectError> {
    let mut found = Versions::default();
    let mut marker: (Option<String>, Option<String>) = (None, None);
    let mut seen = 0;
    loop {
        let request = || async {
            let page = bucket
                .client
                .list_object_versions()
                .bucket(&bucket.name)
                .set_prefix(prefix(&bucket.prefix))
                .set_key_marker(marker.0.clone())
                .set_version_id_marker(marker.1.clone())
                .encoding_type(EncodingType::Url);
            page.send().await.map_err(|e| Refusal::of(&e).into_error(&bucket.shown()))
        };
        let page = match within(bounds, retry::retry(sink, request)).await {
            Ok(page) => page,
            Err(error) if seen == 0 => return Err(error),
            Err(_) => return Ok(found),
        };
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        for version in page.versions() {
            found.versions += 1;
            if version.is_latest() == Some(false) {
                found.superseded += 1;
                found.superseded_bytes = found.superseded_bytes.saturating_add(version.size().unwrap_or_default());
            }
        }
        for gone in page.delete_markers() {
            found.delete_markers += 1;
            if gone.is_latest() == Some(true) && found.deleted.len() < NAMES_MAX {
                let key = decoded(gone.key().unwrap_or_default(), encoded);
                found.deleted.push(below(&bucket.prefix, &key));
            }
        }
        seen += page.versions().len() + page.delete_markers().len();
        let next =
            (page.next_key_marker().map(|k| decoded(k, encoded)), page.next_version_id_marker().map(str::to_owned));
        if page.is_truncated() != Some(true) || next.0.is_none() {
            found.complete = true;
            return Ok(found);
        }
        if seen >= bounds.objects || next == marker {
            return Ok(found);
        }
        marker = next;
    }
}

/// A request, as long as there is time.
async fn within<T>(bounds: Bounds, work: impl Future<Output = Result<T, CollectError>>) -> Result<T, CollectError> {
    match tokio::time::timeout(bounds.left(), work).await {
        Ok(result) => result,
        Err(_) => Err(CollectError::TimedOut("the deadline of the item passed".to_owned())),
    }
}

fn prefix(prefix: &str) -> Option<String> {
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

fn below(prefix: &str, key: &str) -> String {
    key.strip_prefix(prefix).unwrap_or(key).to_owned()
}

fn shown(at: &DateTime) -> Option<String> {
    at.fmt(DateTimeFormat::DateTime).ok()
}

/// A name as it was before `encoding-type=url`; names with control characters could not stand in XML otherwise.
fn decoded(text: &str, encoded: bool) -> String {
    if !encoded || !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The client of a listing is one for its region.
pub(super) fn is_same(client: &Client, region: &str) -> bool {
    client.config().region().is_some_and(|r| r.as_ref() == region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_decoded_where_the_store_says_that_they_are_encoded() {
        assert_eq!(decoded("PUB-p1%2FCRS/a+b%C3%A9%0A", true), "PUB-p1/CRS/a bé\n");
        assert_eq!(decoded("a%2Fb+c", false), "a%2Fb+c");
        assert_eq!(decoded("100%", true), "100%");
        assert_eq!(below("PUB-p1/", "PUB-p1//CACert/x"), "/CACert/x");
    }

    proptest! {
        #[test]
        fn any_name_is_decoded(text in "[%+0-9a-zé]{0,40}") {
            let _ = decoded(&text, true);
        }
    }
}
