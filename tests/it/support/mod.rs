//! What several tests share.

pub(crate) mod cli;
pub(crate) mod cluster;
pub(crate) mod corpus;
pub(crate) mod grpc;
pub(crate) mod names;
