//! A connection to PostgreSQL: TLS as libpq does it, deadlines, and a bound on what a server may send.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode as Tls;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::http::classify;
use super::super::target::Origin;
use super::super::tls::{self, Verify};
use super::conninfo::{Connection, SslMode};
use crate::collect::CollectError;

/// Bytes that a server may send in one session. The client holds a whole message in memory.
const RECEIVED_MAX: u64 = 32 << 20;
/// Longest time that the server may work on one question.
const STATEMENT_MS: u64 = 5_000;
/// Longest time that a question may wait for a lock; questions take none but those of reading catalogues.
const LOCK_MS: u64 = 1_000;

/// A connection that can only read.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    /// Why the connection ended, once it has.
    ended: Arc<Mutex<Option<String>>>,
    timeout: Duration,
    /// Host and port that answered.
    pub(super) address: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects to the first host that answers.
pub(super) async fn connect(to: &Connection, origin: Origin, timeout: Duration) -> Result<Session, CollectError> {
    let mut last = CollectError::NotApplicable("no host is named".to_owned());
    for (host, port) in &to.hosts {
        let shown = if host.starts_with('/') { format!("{host}/.s.PGSQL.{port}") } else { format!("{host}:{port}") };
        let one = one(to, host, *port, &shown, origin, timeout);
        match tokio::time::timeout(timeout, one).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => last = error,
            Err(_) => {
                last = CollectError::TimedOut(format!(
                    "{shown} accepted the connection and did not answer within {}",
                    humantime::format_duration(timeout)
                ));
            }
        }
    }
    Err(last)
}

async fn one(
    to: &Connection,
    host: &str,
    port: u16,
    shown: &str,
    origin: Origin,
    timeout: Duration,
) -> Result<Session, CollectError> {
    if host.starts_with('/') {
        return unix(to, host, port, shown, origin, timeout).await;
    }
    // What libpq tries, in its order: without TLS, or with it and how much is verified.
    let steps: &[Option<Verify>] = match to.sslmode {
        SslMode::Disable => &[None],
        SslMode::Allow => &[None, Some(Verify::Nothing)],
        SslMode::Prefer => &[Some(Verify::Nothing), None],
        SslMode::Require if to.ca.is_some() => &[Some(Verify::Chain)],
        SslMode::Require => &[Some(Verify::Nothing)],
        SslMode::VerifyCa => &[Some(Verify::Chain)],
        SslMode::VerifyFull => &[Some(Verify::Full)],
    };
    let mut last = None;
    for step in steps {
        let stream = TcpStream::connect((host, port)).await.map_err(|e| reach_error(shown, origin, &e))?;
        let result = match step {
            None => start(to, Tls::Disable, stream, NoTls, host, shown, timeout).await,
            Some(verify) => {
                let files = tls::Files { ca: to.ca.clone(), cert: to.cert.clone(), key: to.key.clone() };
                let make = MakeRustlsConnect::new(tls::config(&files, *verify)?);
                start(to, Tls::Require, stream, make, host, shown, timeout).await
            }
        };
        match result {
            // Credentials that are refused, or a database that is not there, are an answer: another step gives the same.
            Err(CollectError::Forbidden(text)) if steps.len() > 1 && text.contains("no pg_hba.conf entry") => {
                last = Some(CollectError::Forbidden(text));
            }
            Err(CollectError::Failed(text)) if steps.len() > 1 && text.contains("TLS") => {
                last = Some(CollectError::Failed(text));
            }
            other => return other,
        }
    }
    Err(last.unwrap_or_else(|| CollectError::Failed(format!("{shown} cannot be reached"))))
}

#[cfg(unix)]
async fn unix(
    to: &Connection,
    dir: &str,
    port: u16,
    shown: &str,
    origin: Origin,
    timeout: Duration,
) -> Result<Session, CollectError> {
    let path = std::path::Path::new(dir).join(format!(".s.PGSQL.{port}"));
    let stream = tokio::net::UnixStream::connect(path).await.map_err(|e| reach_error(shown, origin, &e))?;
    start(to, Tls::Disable, stream, NoTls, "localhost", shown, timeout).await
}

#[cfg(not(unix))]
async fn unix(_: &Connection, _: &str, _: u16, _: &str, _: Origin, _: Duration) -> Result<Session, CollectError> {
    Err(CollectError::NotApplicable("this system has no Unix sockets".to_owned()))
}

async fn start<S, T>(
    to: &Connection,
    mode: Tls,
    stream: S,
    mut make: T,
    host: &str,
    shown: &str,
    timeout: Duration,
) -> Result<Session, CollectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: MakeTlsConnect<Limited<S>>,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
{
    let mut config = Config::new();
    config
        .user(&to.user)
        .dbname(&to.dbname)
        .application_name("casefile")
        .options(format!(
            "-c default_transaction_read_only=on -c statement_timeout={STATEMENT_MS} -c lock_timeout={LOCK_MS}"
        ))
        .ssl_mode(mode);
    if let Some(password) = &to.password {
        config.password(password.expose());
    }
    let connector =
        make.make_tls_connect(host).map_err(|e| CollectError::Failed(format!("{shown}: TLS: {}", e.into())))?;
    let stream = Limited { inner: stream, left: RECEIVED_MAX };
    let (client, connection) = config.connect_raw(stream, connector).await.map_err(|e| error(shown, &e))?;
    let ended: Arc<Mutex<Option<String>>> = Arc::default();
    let says = Arc::clone(&ended);
    let driver = tokio::spawn(async move {
        let result = connection.await;
        if let (Err(error), Ok(mut ended)) = (result, says.lock()) {
            *ended = Some(chain(&error));
        }
    });
    Ok(Session { client, driver, ended, timeout, address: shown.to_owned() })
}

impl Session {
    /// Whether the connection has ended, so that no question can be asked any more.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_closed() || self.driver.is_finished()
    }

    /// The rows of a question, each an object, at most `limit` of them.
    pub(super) async fn rows(&self, sql: &str, limit: usize) -> Result<Vec<Value>, CollectError> {
        let asked = async {
            self.client
                .batch_execute(&format!(
                    "BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {STATEMENT_MS}; SET LOCAL lock_timeout = {LOCK_MS}"
                ))
                .await?;
            let sql = format!("SELECT row_to_json(q)::text FROM ({sql}) q LIMIT {limit}");
            let result = self.client.simple_query(&sql).await;
            // A failed transaction must end as well before the next question.
            self.client.batch_execute("ROLLBACK").await?;
            result
        };
        let messages = match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(e)) => {
                let why = self.ended.lock().ok().and_then(|e| e.clone()).filter(|_| self.is_over());
                return Err(why.map_or_else(
                    || error(&self.address, &e),
                    |why| CollectError::Failed(format!("{}: the connection ended: {why}", self.address)),
                ));
            }
            Err(_) => return Err(CollectError::TimedOut(format!("{} did not answer in time", self.address))),
        };
        let rows = messages.iter().filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        rows.map(|text| {
            serde_json::from_str(text)
                .map_err(|e| CollectError::Failed(format!("{}: a row is not JSON: {e}", self.address)))
        })
        .collect()
    }
}

/// The error of a socket that could not be opened.
fn reach_error(shown: &str, origin: Origin, error: &io::Error) -> CollectError {
    let text = error.to_string();
    classify(shown, origin, Some(error.kind()), &text, &text, error.kind() == io::ErrorKind::TimedOut, true)
}

/// What the server or the connection said, in classes.
fn error(shown: &str, error: &tokio_postgres::Error) -> CollectError {
    if let Some(db) = error.as_db_error() {
        // Detail and hint may hold rows, so only the message is kept.
        let text = format!("{shown}: {} (SQLSTATE {})", db.message(), db.code().code());
        return match db.code().code() {
            "28P01" | "28000" => CollectError::Forbidden(format!("{text} (try: other credentials)")),
            "42501" => CollectError::Forbidden(format!("{text} (try: a role with pg_monitor)")),
            "3D000" | "42P01" | "42703" | "42883" => CollectError::NotFound(text),
            "57014" => CollectError::TimedOut(text),
            "57P03" => CollectError::Failed(format!(
                "{text} (try: wait until its recovery or start ends; a standby that should be read needs hot_standby = on)"
            )),
            _ => CollectError::Failed(text),
        };
    }
    let text = chain(error);
    if text.contains("password missing") {
        return CollectError::Forbidden(format!(
            "{shown} asks for a password and none is given (try: .pgpass, PGPASSWORD, or the password parameter of the profile)"
        ));
    }
    let tls = ["certificate", "tls", "TLS", "CorruptMessage"].iter().any(|w| text.contains(w));
    if tls {
        CollectError::Failed(format!("{shown}: TLS failed: {text} (try: another sslmode or sslrootcert)"))
    } else {
        CollectError::Failed(format!("{shown}: {text} (try: is this the port of PostgreSQL?)"))
    }
}

/// An error with its causes.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.join(": ")
}

/// A stream that ends with an error when more arrives than a session may need.
pub(super) struct Limited<S> {
    inner: S,
    left: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!(
                "the server sent more than {} MiB, which no answer needs",
                RECEIVED_MAX >> 20
            ))));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.left = self.left.saturating_sub((buf.filled().len() - before) as u64);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
