//! A KMS core that speaks gRPC on loopback: a real server with the same messages.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use casefile::collect::grpc::messages::{
    Empty, GetMetaStoreInfoResponse, HealthCheckRequest, HealthCheckResponse, HealthStatus, HealthStatusResponse,
    KeyMaterialAvailabilityResponse, ListRequestsRequest, ListRequestsResponse, MetaStoreInfo, NodeType, PeerHealth,
    PeersFromContext, RequestId,
};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::codegen::{Body, Service, StdError};
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// How the core behaves.
#[derive(Debug, Clone)]
pub(crate) enum Core {
    /// Answers with this.
    Answers(HealthStatusResponse),
    /// `GetHealthStatus` takes longer than anyone waits; the others answer.
    Slow,
    /// Every call ends in this status.
    Refuses(Status),
}

/// A healthy party 1 of four, whose peers come in no order.
pub(crate) fn healthy() -> HealthStatusResponse {
    let peer = |id: u32| PeerHealth {
        peer_id: id,
        endpoint: format!("mpc-node-{id}.kms.test"),
        reachable: true,
        latency_ms: 0,
        error: String::new(),
    };
    HealthStatusResponse {
        peers_from_all_contexts: vec![PeersFromContext {
            context_id: Some(RequestId { request_id: format!("07{:0>62}", 1) }),
            my_party_id: 1,
            threshold_required: 2,
            nodes_reachable: 4,
            status: HealthStatus::Optimal as i32,
            peers: vec![peer(3), peer(4), peer(2)],
        }],
        my_fhe_key_ids: vec![format!("04{:0>62}", 1)],
        my_storage_info: "Threshold KMS - file storage with root_path '/vault/PRIV-p1'".to_owned(),
        node_type: NodeType::Threshold as i32,
        ..HealthStatusResponse::default()
    }
}

/// Starts a core; it ends with the runtime.
pub(crate) async fn start(core: Core) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let core = core.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let core = core.clone();
                    async move { Ok::<_, Infallible>(answer(&core, request).await) }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
            });
        }
    });
    address
}

/// An answer after some time.
struct Answer<A>(Duration, Result<A, Status>);

impl<Q, A: Clone + Send + 'static> Service<Request<Q>> for Answer<A> {
    type Response = Response<A>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<A>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Q>) -> Self::Future {
        let (wait, result) = (self.0, self.1.clone());
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            result.map(Response::new)
        })
    }
}

const CORE: &str = "kms_service.v1.CoreServiceEndpoint";

async fn answer<B>(core: &Core, request: http::Request<B>) -> http::Response<tonic::body::Body>
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    let now = Duration::ZERO;
    let path = request.uri().path().to_owned();
    if let Core::Refuses(status) = core {
        return status.clone().into_http();
    }
    match path.strip_prefix('/').unwrap_or_default() {
        "grpc.health.v1.Health/Check" => {
            unary::<HealthCheckRequest, _, _>(request, Answer(now, Ok(HealthCheckResponse { status: 1 }))).await
        }
        path if path == format!("{CORE}/GetHealthStatus") => {
            let wait = if matches!(core, Core::Slow) { Duration::from_secs(600) } else { now };
            let document = if let Core::Answers(document) = core { document.clone() } else { healthy() };
            unary::<Empty, _, _>(request, Answer(wait, Ok(document))).await
        }
        path if path == format!("{CORE}/GetKeyMaterialAvailability") => {
            let keys = KeyMaterialAvailabilityResponse {
                fhe_key_ids: healthy().my_fhe_key_ids,
                storage_info: healthy().my_storage_info,
                ..KeyMaterialAvailabilityResponse::default()
            };
            unary::<Empty, _, _>(request, Answer(now, Ok(keys))).await
        }
        "metastore_status.v1.MetaStoreStatusService/GetMetaStoreInfo" => {
            let stores = vec![MetaStoreInfo { r#type: 1, capacity: -1, current_count: 1 }];
            unary::<Empty, _, _>(request, Answer(now, Ok(GetMetaStoreInfoResponse { meta_stores: stores }))).await
        }
        "metastore_status.v1.MetaStoreStatusService/ListRequests" => {
            unary::<ListRequestsRequest, _, _>(request, Answer(now, Ok(ListRequestsResponse::default()))).await
        }
        _ => Status::unimplemented("").into_http(),
    }
}

async fn unary<Q, A, B>(request: http::Request<B>, answer: Answer<A>) -> http::Response<tonic::body::Body>
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Clone + Send + 'static,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    Grpc::new(ProstCodec::<A, Q>::default()).unary(answer, request).await
}
