//! `casefile serve`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::Exit;
use super::output::{Format, Output, usage};
use crate::bundle::{self, Store};
use crate::serve::{self, Running, Server};

/// Arguments of `casefile serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bundles to serve, archives or directories: one server and one kubeconfig context each
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Port of the first bundle on 127.0.0.1; the others follow. Without it, free ports are taken
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let plan = plan(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime; too many processes or too little memory?")?;
    runtime.block_on(serve_until_stopped(plan, output))
}

/// A bundle with the context and the port that it gets.
struct Served {
    store: Arc<dyn Store>,
    path: PathBuf,
    name: String,
    namespace: Option<String>,
    port: u16,
}

/// Opens the bundles and gives each a name and a port of its own.
fn plan(args: Args) -> anyhow::Result<Vec<Served>> {
    let mut names = BTreeSet::new();
    let mut plan = Vec::new();
    for (at, path) in args.bundles.into_iter().enumerate() {
        let port = match args.port {
            0 => 0,
            first => u16::try_from(at).ok().and_then(|at| first.checked_add(at)).ok_or_else(|| {
                usage(format!("--port {first} leaves no port for bundle {}; choose a lower one", at + 1))
            })?,
        };
        let store: Arc<dyn Store> =
            Arc::from(bundle::open(&path).with_context(|| format!("cannot serve {}", path.display()))?);
        let stem = path.file_name().map_or_else(|| "bundle".to_owned(), |n| n.to_string_lossy().into_owned());
        let stem = stem.trim_end_matches(".gz").trim_end_matches(".tar").trim_end_matches(".tgz").to_owned();
        let mut name = stem.clone();
        let mut number = 2;
        while !names.insert(name.clone()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        let namespace = serve::only_namespace(&*store);
        plan.push(Served { store, path, name, namespace, port });
    }
    Ok(plan)
}

async fn serve_until_stopped(plan: Vec<Served>, output: &Output) -> anyhow::Result<Exit> {
    let stop = Stop::listen().context("cannot wait for signals")?;
    let mut running: Vec<(PathBuf, Running)> = Vec::new();
    for served in plan {
        let mut builder = Server::builder(served.store).port(served.port).name(&served.name);
        if let Some(namespace) = &served.namespace {
            builder = builder.namespace(namespace);
        }
        running.push((served.path, builder.start().await?));
    }
    // The directory goes away with the command; the user's own kubeconfig is never touched.
    let directory =
        tempfile::Builder::new().prefix("casefile-").tempdir().context("cannot make a temporary directory")?;
    let kubeconfig = directory.path().join("kubeconfig");
    let contexts: Vec<_> = running.iter().map(|(_, r)| r.context()).collect();
    serve::write_kubeconfig(&kubeconfig, &serve::render_kubeconfig(&contexts))?;

    if output.format == Format::Json {
        let servers: Vec<_> = running
            .iter()
            .map(|(path, r)| serde_json::json!({"bundle": path, "context": r.context().name, "server": r.url()}))
            .collect();
        println!("{}", serde_json::json!({"kubeconfig": kubeconfig, "servers": servers}));
    } else {
        let mut text = String::new();
        for (path, server) in &running {
            let _ = writeln!(text, "{}  {}  (context {})", server.url(), path.display(), server.context().name);
        }
        let _ = write!(text, "export KUBECONFIG={}", shell_quoted(&kubeconfig.display().to_string()));
        println!("{text}");
    }
    output.notice("read-only; press Ctrl-C to stop");
    stop.wait().await;
    for (_, server) in running {
        server.shutdown().await;
    }
    // To be stopped is how a server ends, so that is no failure.
    Ok(Exit::Complete)
}

/// The signals that end the command. They are caught from the moment this is made, before anyone knows the address.
struct Stop {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Stop {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signals: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the other platform can fail")]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn wait(mut self) {
        let [interrupt, terminate] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// A text as one word of a POSIX shell.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_get_one_word() {
        assert_eq!(shell_quoted("/tmp/casefile-x/kubeconfig"), "/tmp/casefile-x/kubeconfig");
        assert_eq!(shell_quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn bundles_of_one_name_get_contexts_of_their_own() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bundles: Vec<PathBuf> = [&a, &b].map(|d| d.path().join("kms.tar")).to_vec();
        for path in &bundles {
            std::fs::create_dir(path).unwrap();
        }
        let plan = plan(Args { bundles, port: 40_000 }).unwrap();
        let named: Vec<_> = plan.iter().map(|s| (s.name.as_str(), s.port)).collect();
        assert_eq!(named, [("kms", 40_000), ("kms-2", 40_001)]);
    }
}
