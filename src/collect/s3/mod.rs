//! Object stores that speak S3: what lies in a bucket, never what is in it.
//!
//! [`Access`] says how to reach AWS, or a store that speaks like it; the command line makes it, because only the command line
//! reads the environment. [`list`] finds the bucket's region, asks who we are, and lists one prefix page by page. The requests are
//! HeadBucket, ListObjectsV2, ListObjectVersions and GetCallerIdentity; nothing here can read an object.

mod access;
mod client;
mod document;
mod fault;
mod listing;

pub use access::{Access, Loader};
pub use client::{Place, list};
pub use document::{Document, Fault, Identity, Listing, Object, Versions};
