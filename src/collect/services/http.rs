//! The one HTTP client of services: bounded, within deadlines, read-only.
//!
//! It sends GET, and POST only where a protocol reads with it (the gateway of etcd, JSON-RPC). It follows redirects only within
//! one host and port, asks no proxy, and unpacks nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use reqwest::{Method, Url, redirect};
use serde_json::Value;

use super::target::{Credentials, Origin, Target, authority};
use super::tls::{self, Verify};
use crate::collect::{CollectError, Sink};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest text of a server that an error carries.
const TEXT_MAX: usize = 300;

/// Another way to a service than a connection of our own.
pub(in crate::collect) trait Way: Send + Sync {
    /// Sends one GET, and gives the head of the answer with its body still to read.
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<reqwest::Response, CollectError>>;
}

/// What carries the questions.
enum Wire {
    Own(reqwest::Client),
    Over(Arc<dyn Way>),
}

/// A client of one source.
pub(in crate::collect) struct Http {
    wire: Wire,
    base: Url,
    credentials: Credentials,
    origin: Origin,
    shown: String,
    timeout: Duration,
    seen: tls::Seen,
}

/// A whole answer of bounded size.
pub(in crate::collect) struct Reply {
    pub(in crate::collect) status: u16,
    pub(in crate::collect) body: Vec<u8>,
    /// Whether the body goes on behind the limit.
    pub(in crate::collect) cut: bool,
    pub(super) took: Duration,
    /// When the certificate of the server ends, where there is one.
    pub(super) tls: Option<Value>,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, CollectError> {
        if self.cut {
            return Err(CollectError::Failed(format!(
                "the answer is larger than {} MiB and was not kept",
                self.body.len() >> 20
            )));
        }
        serde_json::from_slice(&self.body).map_err(|e| {
            CollectError::Failed(format!("HTTP {}, and the answer is not JSON ({e}): {}", self.status, self.excerpt()))
        })
    }

    /// The beginning of the body on one line.
    pub(super) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * TEXT_MAX)]).into_owned();
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(TEXT_MAX) {
            Some((cut, _)) => format!("{}...", &line[..cut]),
            None => line,
        }
    }

    /// The error for a status that is no success; none for one that is.
    pub(super) fn refusal(&self) -> Option<CollectError> {
        if self.is_success() {
            return None;
        }
        let text = format!("HTTP {}: {}", self.status, self.excerpt());
        Some(match self.status {
            401 | 403 => CollectError::Forbidden(format!("{text} (try: other credentials)")),
            404 => CollectError::NotFound(text),
            405 | 406 | 410 | 501 => CollectError::NotApplicable(text),
            429 => CollectError::Throttled { reason: text, retry_after: None },
            _ => CollectError::Failed(text),
        })
    }
}

impl Http {
    /// A client of a source.
    pub(super) fn new(target: &Target, timeout: Duration) -> Result<Self, CollectError> {
        let credentials = &target.credentials;
        let builder = builder(timeout);
        let seen = tls::Seen::default();
        let builder = if target.url.scheme() == "https" {
            let files = tls::Files {
                ca: credentials.ca_file.clone(),
                cert: credentials.cert_file.clone(),
                key: credentials.key_file.clone(),
            };
            builder.tls_backend_preconfigured(tls::config_seen(&files, Verify::Full, &seen)?).tls_info(true)
        } else {
            builder.tls_backend_preconfigured(tls::no_tls()?)
        };
        Ok(Self {
            wire: Wire::Own(build(builder)?),
            base: target.url.clone(),
            credentials: credentials.clone(),
            origin: target.origin,
            shown: format!("{}://{}", target.url.scheme(), authority(&target.url)),
            timeout,
            seen,
        })
    }

    /// A client of a program at `host:port`, without credentials. `named` says whether it has to be there.
    ///
    /// # Errors
    /// When that is no address.
    pub(in crate::collect) fn plain(authority: &str, named: bool, timeout: Duration) -> Result<Self, CollectError> {
        let target = Target {
            name: String::new(),
            url: super::target::parse_url(authority)?,
            credentials: Credentials::default(),
            origin: if named { Origin::Named } else { Origin::Guessed },
        };
        Self::new(&target, timeout)
    }

    /// A client of a service that was found and is reached another way; `shown` names it for people.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub(in crate::collect) fn over(way: Arc<dyn Way>, shown: String, timeout: Duration) -> Result<Self, CollectError> {
        let base = Url::parse("http://localhost/").map_err(|e| CollectError::Failed(e.to_string()))?;
        Ok(Self {
            wire: Wire::Over(way),
            base,
            credentials: Credentials::default(),
            origin: Origin::Guessed,
            shown,
            timeout,
            seen: tls::Seen::default(),
        })
    }

    /// A client that speaks through a Unix socket.
    #[cfg(unix)]
    pub(super) fn unix(socket: &Path, origin: Origin, timeout: Duration) -> Result<Self, CollectError> {
        use std::os::unix::fs::FileTypeExt as _;
        let base = Url::parse("http://localhost/").map_err(|e| CollectError::Failed(e.to_string()))?;
        // The kernel says of any other file that nothing listens there. What cannot be looked at shows itself when it is opened.
        if std::fs::metadata(socket).is_ok_and(|m| !m.file_type().is_socket()) {
            let why = format!("unix:{} is no socket (try: the path of the engine's socket)", socket.display());
            return Err(match origin {
                Origin::Guessed => CollectError::NotApplicable(why),
                Origin::Named => CollectError::Failed(why),
            });
        }
        let builder = builder(timeout).tls_backend_preconfigured(tls::no_tls()?);
        Ok(Self {
            wire: Wire::Own(build(builder.unix_socket(PathBuf::from(socket)))?),
            base,
            credentials: Credentials::default(),
            origin,
            shown: format!("unix:{}", socket.display()),
            timeout,
            seen: tls::Seen::default(),
        })
    }

    /// As [`Http::unix`], where there are no such sockets.
    #[cfg(not(unix))]
    pub(super) fn unix(socket: &Path, _: Origin, _: Duration) -> Result<Self, CollectError> {
        let _: PathBuf = socket.to_owned();
        Err(CollectError::NotApplicable("this system has no Unix sockets".to_owned()))
    }

    /// The address without credentials, for people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// What the last handshake showed, where there was one.
    pub(super) fn tls(&self) -> Option<tls::Shown> {
        self.seen.lock().ok().and_then(|seen| seen.clone())
    }

    /// One GET; the body up to `cap` bytes.
    pub(in crate::collect) async fn get(&self, sink: &Sink, path: &str, cap: usize) -> Result<Reply, CollectError> {
        self.ask(Some(sink), Method::GET, path, None, cap).await
    }

    /// As [`Http::get`], before there is a run that counts requests.
    pub(super) async fn look(&self, path: &str, cap: usize) -> Result<Reply, CollectError> {
        self.ask(None, Method::GET, path, None, cap).await
    }

    /// One POST of a protocol that reads with it.
    pub(super) async fn read_by_post(
        &self,
        sink: &Sink,
        path: &str,
        body: &Value,
        cap: usize,
    ) -> Result<Reply, CollectError> {
        self.ask(Some(sink), Method::POST, path, Some(body), cap).await
    }

    async fn ask(
        &self,
        sink: Option<&Sink>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        cap: usize,
    ) -> Result<Reply, CollectError> {
        let began = Instant::now();
        let whole = async {
            let mut response = self.send(sink, method, path, body).await?;
            let status = response.status().as_u16();
            let tls = response.extensions().get::<reqwest::tls::TlsInfo>().and_then(certificate);
            let mut body = Vec::new();
            let mut cut = false;
            while let Some(chunk) = response.chunk().await.map_err(|e| self.error(e))? {
                if let Some(sink) = sink {
                    sink.received(chunk.len() as u64);
                }
                let room = cap - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    cut = true;
                    break;
                }
            }
            Ok(Reply { status, body, cut, took: began.elapsed(), tls })
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(reply) => reply,
            Err(_) => Err(self.late()),
        }
    }

    /// Opens an answer that is read piece by piece, each within the deadline of a request.
    pub(super) async fn open(&self, sink: &Sink, path: &str) -> Result<Stream<'_>, CollectError> {
        match tokio::time::timeout(self.timeout, self.send(Some(sink), Method::GET, path, None)).await {
            Ok(response) => Ok(Stream { http: self, response: response? }),
            Err(_) => Err(self.late()),
        }
    }

    async fn send(
        &self,
        sink: Option<&Sink>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::Response, CollectError> {
        if let Some(sink) = sink {
            sink.attempt();
        }
        let client = match &self.wire {
            Wire::Own(client) => client,
            Wire::Over(way) if method == Method::GET => return way.get(path).await,
            Wire::Over(_) => {
                return Err(CollectError::NotApplicable(format!("{} takes GET only on this way", self.shown)));
            }
        };
        let prefix = self.base.path().trim_end_matches('/');
        let url = self
            .base
            .join(&format!("{prefix}{path}"))
            .map_err(|e| CollectError::Failed(format!("{path} is no path: {e}")))?;
        let mut request = client.request(method, url);
        if let Some((user, password)) = &self.credentials.basic {
            request = request.basic_auth(user, Some(password.expose()));
        }
        if let Some(token) = &self.credentials.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.map_err(|e| self.error(e))
    }

    fn late(&self) -> CollectError {
        CollectError::TimedOut(format!(
            "{} accepted the connection and gave no whole answer within {}",
            self.shown,
            humantime::format_duration(self.timeout)
        ))
    }

    /// Says what went wrong with a connection, and what to try.
    fn error(&self, error: reqwest::Error) -> CollectError {
        // The URL may hold a token in its path or query.
        let error = error.without_url();
        let mut causes = vec![error.to_string()];
        let mut source = std::error::Error::source(&error);
        let mut io = None;
        while let Some(cause) = source {
            causes.push(cause.to_string());
            if let Some(found) = cause.downcast_ref::<std::io::Error>() {
                io = Some(found.kind());
            }
            source = cause.source();
        }
        let last = causes.last().cloned().unwrap_or_default();
        let all = causes.join(": ");
        if let Some(says) = self.tls().filter(|_| error.is_connect()).and_then(|shown| shown.says()) {
            return CollectError::Failed(format!("{}: TLS failed: {says}", self.shown));
        }
        classify(&self.shown, self.origin, io, &all, &last, error.is_timeout(), error.is_connect())
    }
}

/// The error for a connection that did not come about or broke.
pub(super) fn classify(
    shown: &str,
    origin: Origin,
    io: Option<std::io::ErrorKind>,
    all: &str,
    last: &str,
    timeout: bool,
    connecting: bool,
) -> CollectError {
    use std::io::ErrorKind;
    let absent = |text: String| match origin {
        Origin::Guessed => CollectError::NotApplicable(text),
        Origin::Named => CollectError::Failed(text),
    };
    let has = |words: &[&str]| words.iter().any(|w| all.contains(w));
    if has(&["dns error", "failed to lookup address"]) {
        return absent(format!("{shown} cannot be found: {last} (try: another host name)"));
    }
    if has(&[
        "tls handshake",
        "certificate",
        "Certificate",
        "UnknownIssuer",
        "InvalidContentType",
        "HandshakeFailure",
        "corrupt message",
    ]) {
        return CollectError::Failed(format!(
            "{shown}: TLS failed: {last} (try: the right scheme, or the file of its authority)"
        ));
    }
    match io {
        Some(ErrorKind::ConnectionRefused) => {
            absent(format!("{shown} refuses connections: nothing listens there (try: another address)"))
        }
        Some(ErrorKind::NotFound) => absent(format!("{shown} does not exist (try: another address)")),
        Some(ErrorKind::PermissionDenied) => CollectError::Forbidden(format!(
            "{shown} may not be opened by this user (try: run as root or in its group)"
        )),
        _ if timeout && connecting => CollectError::TimedOut(format!(
            "{shown} does not accept connections within {} (try: another address; a firewall may drop packets)",
            humantime::format_duration(CONNECT_MAX)
        )),
        _ if timeout => CollectError::TimedOut(format!("{shown} does not answer: {last}")),
        _ if connecting => absent(format!("{shown} cannot be reached: {last}")),
        _ => CollectError::Failed(format!("{shown}: the connection broke: {last} (try: is this the right port?)")),
    }
}

/// An answer that is read piece by piece.
pub(super) struct Stream<'a> {
    http: &'a Http,
    response: reqwest::Response,
}

impl Stream<'_> {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn content_type(&self) -> String {
        let value = self.response.headers().get("content-type").and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, CollectError> {
        match tokio::time::timeout(self.http.timeout, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk.map(|c| c.to_vec())),
            Ok(Err(error)) => Err(self.http.error(error)),
            Err(_) => Err(self.http.late()),
        }
    }

    /// The whole body of a refusal, bounded.
    pub(super) async fn refusal(mut self) -> CollectError {
        let status = self.status();
        let mut body = Vec::new();
        while body.len() < 4 * TEXT_MAX {
            match self.next().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                _ => break,
            }
        }
        let reply = Reply { status, body, cut: false, took: Duration::ZERO, tls: None };
        reply.refusal().unwrap_or_else(|| CollectError::Failed(format!("HTTP {status}")))
    }
}

fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    let within_host = redirect::Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| {
            first.host() == attempt.url().host()
                && first.port_or_known_default() == attempt.url().port_or_known_default()
                && first.scheme() == attempt.url().scheme()
        });
        if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
    });
    reqwest::Client::builder()
        .redirect(within_host)
        .no_proxy()
        .connect_timeout(CONNECT_MAX.min(timeout))
        .pool_max_idle_per_host(2)
        .user_agent(concat!("casefile/", env!("CARGO_PKG_VERSION")))
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, CollectError> {
    builder.build().map_err(|e| CollectError::Failed(format!("the HTTP client cannot be made: {e}")))
}

/// What the certificate of an answer says.
fn certificate(info: &reqwest::tls::TlsInfo) -> Option<Value> {
    tls::certificate(info.peer_certificate()?)
}
