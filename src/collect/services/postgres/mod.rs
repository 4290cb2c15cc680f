//! PostgreSQL: connections, locks, counters, replication, sizes and settings, in transactions that can only read.

mod conninfo;
mod questions;
mod session;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use self::conninfo::Connection;
use super::item::{directory, put_json};
use super::target::{Ambient, Origin, Resolver, Secret};
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Limits, Sink};
use crate::model::Outcome;
use crate::profile;

/// Rows that are kept of one answer.
const ROWS_MAX: usize = 500;
/// Deadline of connecting, and of one question.
const ANSWER_MAX: Duration = Duration::from_secs(10);

struct Postgres {
    dir: String,
    connection: Result<Connection, CollectError>,
    origin: Origin,
    queries: Vec<profile::PostgresQuery>,
    timeout: Duration,
}

/// The item of a database.
pub(super) fn item(
    own: &profile::Postgres,
    resolver: &Resolver<'_>,
    ambient: &Ambient,
    limits: &Limits,
) -> Arc<dyn Item> {
    let dir = directory("postgres", &own.name);
    let password = resolver.optional(own.password.as_ref()).map(Secret::new);
    let connection = resolver
        .fill(&own.conninfo)
        .and_then(|text| conninfo::resolve(&text, password, ambient).map_err(CollectError::Failed));
    let from_environment = ["PGHOST", "PGHOSTADDR", "PGSERVICE"].iter().any(|v| ambient.var(v).is_some());
    let origin = if from_environment { Origin::Named } else { resolver.origin(&own.conninfo) };
    let source = Postgres {
        dir: dir.clone(),
        connection,
        origin,
        queries: own.queries.clone(),
        timeout: limits.request_timeout.min(ANSWER_MAX),
    };
    let what = "PostgreSQL: connections, locks, counters, replication, sizes, settings; read-only";
    Arc::new(SourceItem::new(&dir, "services/postgres", what, Lane::Probe, source))
}

impl Postgres {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let to = match &self.connection {
            Ok(to) => to,
            Err(CollectError::NotApplicable(text)) => return Err(CollectError::NotApplicable(text.clone())),
            Err(error) => return Err(CollectError::Failed(error.to_string())),
        };
        sink.attempt();
        let session = match session::connect(to, self.origin, self.timeout).await {
            Ok(session) => session,
            Err(error) => {
                let address = to.hosts.first().map(|(h, p)| format!("{h}:{p}")).unwrap_or_default();
                self.note(sink, &address, Some(&error))?;
                let notes = to.notes.join("; ");
                return Err(match error {
                    CollectError::Forbidden(text) if !notes.is_empty() => {
                        CollectError::Forbidden(format!("{text}; {notes}"))
                    }
                    other => other,
                });
            }
        };
        self.note(sink, &session.address, None)?;
        let own = questions::QUESTIONS.iter().map(|q| (q.id, q.sql, true));
        let all = own.chain(self.queries.iter().map(|q| (q.id.as_str(), q.sql.as_str(), false)));
        let mut problems = to.notes.clone();
        let mut answered = 0;
        for (id, sql, of_server) in all {
            sink.attempt();
            match session.rows(sql, ROWS_MAX).await {
                Ok(rows) => {
                    answered += 1;
                    sink.received(rows.len() as u64);
                    let cut = rows.len() == ROWS_MAX;
                    put_json(sink, &format!("{}/{id}.json", self.dir), &Value::Array(rows))?;
                    if cut {
                        problems.push(format!("{id}: only {ROWS_MAX} rows are kept"));
                    }
                }
                // Another version of the application has other tables.
                Err(CollectError::NotFound(_)) if !of_server => {}
                Err(error @ CollectError::Spool(_)) => return Err(error),
                // What does not answer one question in time, or closes the connection, answers no other either.
                Err(error) if session.is_over() || is_late(&error) => {
                    if answered == 0 {
                        return Err(error);
                    }
                    problems.push(format!("{id}: {error}"));
                    break;
                }
                Err(error) => problems.push(format!("{id}: {error}")),
            }
        }
        if problems.is_empty() {
            return Ok(Done::ok());
        }
        Ok(Done::with(Outcome::Truncated, problems.join("; ")))
    }

    fn note(&self, sink: &Sink, address: &str, error: Option<&CollectError>) -> Result<(), CollectError> {
        let document = match error {
            None => json!({"address": address, "reachable": true}),
            Some(error) => json!({
                "address": address,
                "reachable": matches!(error, CollectError::Forbidden(_)) || error.to_string().contains("SQLSTATE"),
                "outcome": error.outcome(),
                "error": error.to_string(),
            }),
        };
        put_json(sink, &format!("{}/connection.json", self.dir), &document)
    }
}

/// Whether the wait for an answer ended, and not the server the question.
fn is_late(error: &CollectError) -> bool {
    matches!(error, CollectError::TimedOut(text) if !text.contains("SQLSTATE"))
}

impl Source for Postgres {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}
