//! `[[storage]]`: a bucket or a directory that the system keeps its data in.

use serde::Deserialize;

use super::LabelSelector;

/// A store of the system. Which bucket or directory it is stands in the system's own configuration, or in a parameter.
///
/// `bucket`, `bucket_prefix`, `directory`, `directory_prefix`, `region`, `endpoint` and `sts_endpoint` list places to look, the
/// first that has a value wins: `/a/b` is a JSON pointer into the configuration, `{name}` a parameter of the profile, `$NAME` a
/// variable of the program's environment.
/// Only names, sizes, dates, storage classes and versions are read, never contents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Last part of the item's id: `storage/<namespace>/<pod>/<id>`.
    pub id: String,
    /// Which pods use it.
    pub pods: LabelSelector,
    /// Containers to run a listing in when the store can be seen from there only: the first of these that the pod has.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Artifacts that hold the configuration, in the order in which they are believed. They are read after redaction. The
    /// list of ConfigMaps means those that the pod uses, with the pod's variables filled in.
    #[serde(default)]
    pub from: Vec<String>,
    /// Prefix of environment variables that override the configuration: `APP` for `APP__VAULT__BUCKET`.
    #[serde(default)]
    pub env: Option<String>,
    /// Name of the bucket.
    #[serde(default)]
    pub bucket: Vec<String>,
    /// What the names in the bucket begin with.
    #[serde(default)]
    pub bucket_prefix: Vec<String>,
    /// Directory, where it is no bucket.
    #[serde(default)]
    pub directory: Vec<String>,
    /// Directory below it.
    #[serde(default)]
    pub directory_prefix: Vec<String>,
    /// Prefix where the configuration names none.
    #[serde(default)]
    pub default_prefix: String,
    /// Region of the bucket.
    #[serde(default)]
    pub region: Vec<String>,
    /// Endpoint of the store, where it is not AWS's own.
    #[serde(default)]
    pub endpoint: Vec<String>,
    /// Endpoint of the token service.
    #[serde(default)]
    pub sts_endpoint: Vec<String>,
    /// Whether the bucket may be public, so that it is worth asking without credentials.
    #[serde(default)]
    pub anonymous: bool,
    /// Whether the program of this host has such a store, too, where there is no cluster.
    #[serde(default)]
    pub host: bool,
    /// Objects that are looked at.
    #[serde(default = "default_limit")]
    pub limit_objects: usize,
    /// Where the listing goes; `{namespace}` and `{pod}` are filled in.
    pub artifact: String,
    /// Why it is collected.
    pub why: String,
}

impl Storage {
    /// Says what contradicts itself.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.bucket.is_empty() && self.directory.is_empty() {
            return Err("it needs bucket or directory");
        }
        let lists = [
            &self.bucket,
            &self.bucket_prefix,
            &self.directory,
            &self.directory_prefix,
            &self.region,
            &self.endpoint,
            &self.sts_endpoint,
        ];
        if lists.into_iter().flatten().any(|place| !place.starts_with(['/', '{', '$'])) {
            return Err(
                "a place to look is a JSON pointer such as /vault/bucket, a parameter such as {bucket}, or a variable such as $BUCKET",
            );
        }
        if self.limit_objects == 0 {
            return Err("limit_objects must be at least 1");
        }
        Ok(())
    }
}

fn default_limit() -> usize {
    10_000
}
