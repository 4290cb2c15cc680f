//! A read-only command of this host about the program.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::super::command::CommandLine;
use super::super::gather;
use super::{Shared, Work};
use crate::collect::{CollectError, Done, Sink};
use crate::profile::Exec;

/// Runs the command that a profile runs in containers.
pub(super) struct Run(pub(super) Exec);

impl Work for Run {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(shared, sink).boxed()
    }
}

impl Run {
    async fn run(&self, shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
        let words = self.0.command.iter().map(|word| shared.values.fill(word)).collect::<Result<Vec<_>, _>>()?;
        let Some((program, args)) = words.split_first() else {
            return Err(CollectError::NotApplicable("the command is empty".to_owned()));
        };
        let own = self.0.timeout_secs.map(std::time::Duration::from_secs);
        let limit = gather::deadline(sink).min(own.unwrap_or(std::time::Duration::MAX));
        let target = shared.values.fill(&self.0.artifact)?;
        let command = CommandLine::new(&shared.outside.roots, limit, program, args);
        command.store(sink, &target, self.0.limit_bytes).await
    }
}
