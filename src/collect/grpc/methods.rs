//! The calls that are made. All of them only read.

use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::messages::{
    Empty, GetMetaStoreInfoResponse, HealthCheckRequest, HealthCheckResponse, HealthStatusResponse,
    KeyMaterialAvailabilityResponse, ListRequestsRequest, ListRequestsResponse, MetaStoreType,
};
use crate::profile::GrpcMethods;

/// Largest answer that is decoded.
const ANSWER_MAX: usize = 16 << 20;
/// Requests that are listed of one store.
const REQUESTS_MAX: i32 = 1_000;

const CORE: &str = "kms_service.v1.CoreServiceEndpoint";
const META: &str = "metastore_status.v1.MetaStoreStatusService";
const HEALTH: &str = "grpc.health.v1.Health";

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// `grpc.health.v1.Health/Check` of a service.
    Check(String),
    /// `GetHealthStatus`.
    HealthStatus,
    /// `GetKeyMaterialAvailability`.
    KeyMaterial,
    /// `GetMetaStoreInfo`.
    MetaStoreInfo,
    /// `ListRequests` of one store.
    Requests(MetaStoreType),
}

impl Question {
    /// The questions of some sets, in the order of the sets.
    pub(super) fn of(sets: &[GrpcMethods], services: &[String]) -> Vec<Self> {
        let mut all = Vec::new();
        for set in sets {
            match set {
                GrpcMethods::Health => all.extend(services.iter().cloned().map(Self::Check)),
                GrpcMethods::KmsCore => all.extend([Self::HealthStatus, Self::KeyMaterial]),
                GrpcMethods::KmsMetaStore => {
                    all.push(Self::MetaStoreInfo);
                    all.extend(MetaStoreType::LISTED.map(Self::Requests));
                }
            }
        }
        all
    }

    /// Service and method, as they stand in a path.
    pub(super) fn method(&self) -> String {
        match self {
            Self::Check(_) => format!("{HEALTH}/Check"),
            Self::HealthStatus => format!("{CORE}/GetHealthStatus"),
            Self::KeyMaterial => format!("{CORE}/GetKeyMaterialAvailability"),
            Self::MetaStoreInfo => format!("{META}/GetMetaStoreInfo"),
            Self::Requests(_) => format!("{META}/ListRequests"),
        }
    }

    /// What is sent, as JSON.
    pub(super) fn request(&self) -> Value {
        match self {
            Self::Check(service) => json!({"service": service}),
            Self::Requests(store) => serde_json::to_value(list(*store)).unwrap_or_default(),
            _ => json!({}),
        }
    }

    /// Asks.
    pub(super) async fn ask(&self, channel: Channel) -> Result<Value, Status> {
        let method = self.method();
        match self {
            Self::Check(service) => {
                let request = HealthCheckRequest { service: service.clone() };
                call::<_, HealthCheckResponse>(channel, &method, request).await
            }
            Self::HealthStatus => call::<_, HealthStatusResponse>(channel, &method, Empty {}).await,
            Self::KeyMaterial => call::<_, KeyMaterialAvailabilityResponse>(channel, &method, Empty {}).await,
            Self::MetaStoreInfo => call::<_, GetMetaStoreInfoResponse>(channel, &method, Empty {}).await,
            Self::Requests(store) => call::<_, ListRequestsResponse>(channel, &method, list(*store)).await,
        }
    }
}

fn list(store: MetaStoreType) -> ListRequestsRequest {
    ListRequestsRequest {
        meta_store_type: store as i32,
        status_filter: None,
        max_results: Some(REQUESTS_MAX),
        page_token: None,
    }
}

/// One unary call; the answer as JSON.
async fn call<Q, A>(channel: Channel, method: &str, request: Q) -> Result<Value, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + serde::Serialize + Send + Sync + 'static,
{
    let path = PathAndQuery::try_from(format!("/{method}"))
        .map_err(|e| Status::new(Code::InvalidArgument, format!("{method} is no path: {e}")))?;
    let mut client = Grpc::new(channel).max_decoding_message_size(ANSWER_MAX);
    client.ready().await.map_err(|e| Status::from_error(e.into()))?;
    let codec = ProstCodec::<Q, A>::default();
    let answer = client.unary(Request::new(request), path, codec).await?.into_inner();
    serde_json::to_value(answer).map_err(|e| Status::new(Code::Internal, format!("the answer is no JSON: {e}")))
}
