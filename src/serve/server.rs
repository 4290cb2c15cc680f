//! The server's life: built, started on loopback, observed, shut down.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Denial;
use super::api;
use super::fault::Fault;
use super::kubeconfig::{self, Context};
use super::state::State;
use crate::bundle::Store;
use crate::model::time::Timestamp;

/// Connections at the same time; more wait.
const CONNECTIONS: usize = 256;
/// A connection that sends no request for so long is closed.
const IDLE: Duration = Duration::from_secs(120);
/// Bytes of a request's head.
const HEAD: usize = 64 << 10;
/// Headers of a request.
const HEADERS: usize = 100;
/// How long a shutdown waits for open connections after it told them to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken or may not be bound.
    #[error("cannot listen on {address}: {source}; choose another --port, or leave it out to get a free one")]
    Bind {
        /// Where it should listen.
        address: SocketAddr,
        /// Why it cannot.
        source: io::Error,
    },
    /// A path of a fault or a field of a denial is not a glob.
    #[error("{0}; check the brackets and braces of the pattern")]
    Glob(#[from] globset::Error),
    /// The replay file is not what it should be.
    #[error("cannot use {path}: {reason}; its fields are described in docs/serve.md")]
    Replay {
        /// The file inside the store.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A kubeconfig cannot be written.
    #[error("cannot write {path}: {source}; choose a path that does not exist in a directory that can be written")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The runtime is shutting down.
    #[error("the server could not read its bundle: {0}; run it again")]
    Runtime(String),
}

/// What can be chosen about a server.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) port: u16,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) token: Option<String>,
    pub(super) user: String,
    pub(super) faults: Vec<Fault>,
    pub(super) denials: Vec<Denial>,
    pub(super) now: Option<Timestamp>,
    pub(super) date_offset: chrono::TimeDelta,
    pub(super) page_limit: Option<usize>,
    pub(super) forwards: Vec<(String, u16, SocketAddr)>,
}

/// A read-only Kubernetes API server over a bundle.
pub struct Server;

impl Server {
    /// A server for a bundle; [`Builder::start`] starts it.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> Builder {
        let options = Options { name: "casefile".into(), user: "casefile".into(), ..Options::default() };
        Builder { store, options }
    }
}

/// A server that is not started yet.
pub struct Builder {
    store: Arc<dyn Store>,
    options: Options,
}

impl Builder {
    /// Port on 127.0.0.1; 0, the default, takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = port;
        self
    }

    /// Name of the context in kubeconfigs.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.options.name);
        self
    }

    /// Namespace of the context in kubeconfigs.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.options.namespace = Some(namespace.to_owned());
        self
    }

    /// Bearer token that every request must carry. `kubectl` sends none to a server without TLS.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.options.token = Some(token.to_owned());
        self
    }

    /// Name of the user in errors about missing rights.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.options.user);
        self
    }

    /// Lets a real program answer on a port of a pod, given as `<namespace>/<pod>`; port forwarding reaches it.
    #[must_use]
    pub fn forward(mut self, pod: &str, port: u16, to: SocketAddr) -> Self {
        self.options.forwards.push((pod.to_owned(), port, to));
        self
    }

    /// Adds faults; all that match a request hit it, in their order.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.options.faults.extend(faults);
        self
    }

    /// Takes rights away.
    #[must_use]
    pub fn deny(mut self, denials: impl IntoIterator<Item = Denial>) -> Self {
        self.options.denials.extend(denials);
        self
    }

    /// The time for ages and `sinceSeconds`. Default: when the bundle was collected; the wall clock where that is unknown.
    #[must_use]
    pub fn now(mut self, now: Timestamp) -> Self {
        self.options.now = Some(now);
        self
    }

    /// How far the `Date` header is ahead of the wall clock; negative is behind.
    #[must_use]
    pub fn date_offset(mut self, offset: chrono::TimeDelta) -> Self {
        self.options.date_offset = offset;
        self
    }

    /// The largest page that the server gives, whatever `limit` says. Default: none.
    #[must_use]
    pub fn page_limit(mut self, objects: usize) -> Self {
        self.options.page_limit = Some(objects.max(1));
        self
    }

    /// Binds 127.0.0.1 and starts to answer.
    ///
    /// # Errors
    /// When the port is taken, a glob is invalid, or the replay file is not usable.
    pub async fn start(self) -> Result<Running, ServeError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, self.options.port));
        let bind = |source| ServeError::Bind { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (store, options) = (self.store, self.options);
        let context = Context {
            name: options.name.clone(),
            server: format!("http://{address}"),
            namespace: options.namespace.clone(),
            token: options.token.clone(),
        };
        let state = tokio::task::spawn_blocking(move || State::new(store, options, address))
            .await
            .map_err(|e| ServeError::Runtime(e.to_string()))??;
        let state = Arc::new(state);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, Arc::clone(&state), stop.clone(), tasks.clone()));
        tasks.close();
        Ok(Running { state, context, stop, tasks })
    }
}

/// A server that answers. Dropping it ends it.
pub struct Running {
    state: Arc<State>,
    context: Context,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.state.address
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.context.server.clone()
    }

    /// The context of this server, to be joined with others in one kubeconfig.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Writes a kubeconfig (mode 0600) for this server and returns its text. An existing file is not overwritten.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn kubeconfig(&self, path: &Path) -> Result<String, ServeError> {
        let text = kubeconfig::render(std::slice::from_ref(&self.context));
        kubeconfig::write(path, &text)?;
        Ok(text)
    }

    /// The requests that came so far, oldest first; at most 100 000 are remembered.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.records()
    }

    /// Ends all connections and waits, for two seconds at most, until they are gone.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(GOODBYE, self.tasks.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// For example `GET`.
    pub method: String,
    /// Path, still encoded.
    pub path: String,
    /// Query without the `?`, still encoded.
    pub query: String,
    /// `Accept` header.
    pub accept: String,
    /// `User-Agent` header.
    pub user_agent: String,
    /// `Impersonate-User` header.
    pub impersonate: Option<String>,
    /// Status of the answer; 0 when there was none.
    pub status: u16,
}

async fn accept(listener: TcpListener, state: Arc<State>, stop: CancellationToken, tasks: TaskTracker) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = listener.accept() => stream,
        };
        let Ok((stream, _)) = stream else {
            // Out of file descriptors: wait for a connection to end instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, state, stop.clone()) => {}
            }
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| api::answer(Arc::clone(&state), request, stop.clone()));
    // What goes wrong on a connection is the client's to notice.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}
