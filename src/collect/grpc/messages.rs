//! The messages of the four services that are asked, written by hand so that no compiler for protocol files is needed.
//!
//! Field numbers and names are those of `kms.v1`, `metastore_status.v1` and `grpc.health.v1`. As JSON they have the names
//! of the proto3 mapping (`myFheKeyIds`), with all fields printed, so that a `false` is seen and not guessed.

use serde::{Serialize, Serializer};

/// `kms.v1.Empty`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
pub struct Empty {}

/// `kms.v1.RequestId`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct RequestId {
    /// 64 hexadecimal digits.
    #[prost(string, tag = "1")]
    pub request_id: String,
}

/// `kms.v1.PeerHealth`: one peer, as the node that was asked sees it.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct PeerHealth {
    /// Id of the party.
    #[prost(uint32, tag = "1")]
    pub peer_id: u32,
    /// Host name without a port.
    #[prost(string, tag = "2")]
    pub endpoint: String,
    /// Whether it answered a ping over the network of the parties.
    #[prost(bool, tag = "3")]
    pub reachable: bool,
    /// Milliseconds of the ping, 0 when there was no answer.
    #[prost(uint32, tag = "4")]
    pub latency_ms: u32,
    /// Why it is not reachable, empty when it is.
    #[prost(string, tag = "5")]
    pub error: String,
}

/// `kms.v1.PeersFromContext`: the peers of one context.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct PeersFromContext {
    /// Id of the context.
    #[prost(message, optional, tag = "1")]
    pub context_id: Option<RequestId>,
    /// Id of the party that was asked.
    #[prost(uint32, tag = "2")]
    pub my_party_id: u32,
    /// Parties that are needed.
    #[prost(uint32, tag = "3")]
    pub threshold_required: u32,
    /// Parties that are reached, this one among them.
    #[prost(uint32, tag = "4")]
    pub nodes_reachable: u32,
    /// The server's own word for it.
    #[prost(enumeration = "HealthStatus", tag = "5")]
    #[serde(serialize_with = "named::<HealthStatus, _>")]
    pub status: i32,
    /// All other parties, in no order.
    #[prost(message, repeated, tag = "6")]
    pub peers: Vec<PeerHealth>,
}

/// `kms.v1.HealthStatusResponse`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatusResponse {
    /// One entry a context; none on a centralized node.
    #[prost(message, repeated, tag = "1")]
    pub peers_from_all_contexts: Vec<PeersFromContext>,
    /// Ids of FHE keys.
    #[prost(string, repeated, tag = "2")]
    pub my_fhe_key_ids: Vec<String>,
    /// Ids of CRS objects that belong to no epoch.
    #[prost(string, repeated, tag = "3")]
    pub my_crs_ids: Vec<String>,
    /// Ids of preprocessing results.
    #[prost(string, repeated, tag = "4")]
    pub my_preprocessing_key_ids: Vec<String>,
    /// Kind and place of the private vault.
    #[prost(string, tag = "5")]
    pub my_storage_info: String,
    /// Centralized or threshold.
    #[prost(enumeration = "NodeType", tag = "6")]
    #[serde(serialize_with = "named::<NodeType, _>")]
    pub node_type: i32,
}

/// `kms.v1.KeyMaterialAvailabilityResponse`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct KeyMaterialAvailabilityResponse {
    /// Ids of FHE keys.
    #[prost(string, repeated, tag = "1")]
    pub fhe_key_ids: Vec<String>,
    /// Ids of CRS objects that belong to no epoch.
    #[prost(string, repeated, tag = "2")]
    pub crs_ids: Vec<String>,
    /// Ids of preprocessing results.
    #[prost(string, repeated, tag = "3")]
    pub preprocessing_ids: Vec<String>,
    /// Kind and place of the private vault.
    #[prost(string, tag = "4")]
    pub storage_info: String,
}

/// `metastore_status.v1.MetaStoreInfo`: how full one store of requests is.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct MetaStoreInfo {
    /// Which store.
    #[prost(enumeration = "MetaStoreType", tag = "1")]
    #[serde(serialize_with = "named::<MetaStoreType, _>")]
    pub r#type: i32,
    /// Requests that fit; -1 when there is no limit.
    #[prost(int32, tag = "2")]
    pub capacity: i32,
    /// Requests in it.
    #[prost(int32, tag = "3")]
    pub current_count: i32,
}

/// `metastore_status.v1.GetMetaStoreInfoResponse`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct GetMetaStoreInfoResponse {
    /// One entry a store.
    #[prost(message, repeated, tag = "1")]
    pub meta_stores: Vec<MetaStoreInfo>,
}

/// `metastore_status.v1.ListRequestsRequest`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct ListRequestsRequest {
    /// Which store; `ALL` is refused by the server.
    #[prost(enumeration = "MetaStoreType", tag = "1")]
    #[serde(serialize_with = "named::<MetaStoreType, _>")]
    pub meta_store_type: i32,
    /// Only requests in this state.
    #[prost(enumeration = "RequestProcessingStatus", optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_filter: Option<i32>,
    /// Most requests to answer.
    #[prost(int32, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the last page ended.
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// `metastore_status.v1.RequestStatusInfo`: one request and how far it is.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct RequestStatusInfo {
    /// 64 hexadecimal digits.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Which store.
    #[prost(enumeration = "MetaStoreType", tag = "2")]
    #[serde(serialize_with = "named::<MetaStoreType, _>")]
    pub meta_store_type: i32,
    /// How far it is.
    #[prost(enumeration = "RequestProcessingStatus", tag = "3")]
    #[serde(serialize_with = "named::<RequestProcessingStatus, _>")]
    pub status: i32,
    /// The cause of a failure, which the answers to clients hide.
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// `metastore_status.v1.ListRequestsResponse`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub struct ListRequestsResponse {
    /// The requests of one store.
    #[prost(message, repeated, tag = "1")]
    pub requests: Vec<RequestStatusInfo>,
    /// Set when there are more.
    #[prost(string, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
pub struct HealthCheckRequest {
    /// Name of a service; empty for the server as a whole.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
pub struct HealthCheckResponse {
    /// Whether the service is served.
    #[prost(enumeration = "ServingStatus", tag = "1")]
    #[serde(serialize_with = "named::<ServingStatus, _>")]
    pub status: i32,
}

/// An enumeration whose values have names in the protocol.
trait Named: TryFrom<i32> {
    fn name(self) -> &'static str;
}

/// Writes the name of a value, or its number where a newer server sends one that is not known here.
fn named<E: Named, S: Serializer>(value: &i32, out: S) -> Result<S::Ok, S::Error> {
    match E::try_from(*value) {
        Ok(known) => out.serialize_str(known.name()),
        Err(_) => out.serialize_i32(*value),
    }
}

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$what])* $value = $number,)*
        }

        impl Named for $name {
            fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }
        }
    };
}

enumeration! {
    /// `kms.v1.HealthStatus`.
    HealthStatus {
        /// Not set.
        Unspecified = 0 "HEALTH_STATUS_UNSPECIFIED",
        /// All parties are reached.
        Optimal = 1 "HEALTH_STATUS_OPTIMAL",
        /// More than two thirds are.
        Healthy = 2 "HEALTH_STATUS_HEALTHY",
        /// More than are needed.
        Degraded = 3 "HEALTH_STATUS_DEGRADED",
        /// Too few.
        Unhealthy = 4 "HEALTH_STATUS_UNHEALTHY",
    }
}

enumeration! {
    /// `kms.v1.NodeType`.
    NodeType {
        /// Not set.
        Unspecified = 0 "NODE_TYPE_UNSPECIFIED",
        /// One node has the whole key.
        Centralized = 1 "NODE_TYPE_CENTRALIZED",
        /// One party of several.
        Threshold = 2 "NODE_TYPE_THRESHOLD",
    }
}

enumeration! {
    /// `metastore_status.v1.MetaStoreType`.
    MetaStoreType {
        /// All stores; `ListRequests` refuses it.
        All = 0 "ALL",
        /// Requests to make a key.
        KeyGeneration = 1 "KEY_GENERATION",
        /// Public decryptions.
        PublicDecryption = 2 "PUBLIC_DECRYPTION",
        /// Decryptions for a user.
        UserDecryption = 3 "USER_DECRYPTION",
        /// Requests to make a CRS.
        CrsGeneration = 4 "CRS_GENERATION",
        /// Preprocessing; threshold nodes only.
        Preprocessing = 5 "PREPROCESSING",
    }
}

enumeration! {
    /// `metastore_status.v1.RequestProcessingStatus`.
    RequestProcessingStatus {
        /// Not done yet.
        Processing = 0 "PROCESSING",
        /// Done.
        Completed = 1 "COMPLETED",
        /// Failed; the message says why.
        Failed = 2 "FAILED",
        /// Any, in a question.
        Any = 3 "ANY",
        /// Used up, as a preprocessing by its key generation.
        Deleted = 4 "DELETED",
    }
}

enumeration! {
    /// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
    ServingStatus {
        /// Not known.
        Unknown = 0 "UNKNOWN",
        /// Serves.
        Serving = 1 "SERVING",
        /// Does not serve.
        NotServing = 2 "NOT_SERVING",
        /// There is no such service.
        ServiceUnknown = 3 "SERVICE_UNKNOWN",
    }
}

impl MetaStoreType {
    /// The stores that can be listed, one by one.
    pub const LISTED: [Self; 5] =
        [Self::KeyGeneration, Self::PublicDecryption, Self::UserDecryption, Self::CrsGeneration, Self::Preprocessing];
}
