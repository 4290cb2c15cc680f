//! What `collect`, `plan` and `doctor` share: which profile, which cluster, which items.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::collect::LimitArgs;
use super::connection::ConnectionArgs;
use super::output::{Output, usage};
use super::select::{SelectArgs, Selection};
use crate::collect::kubernetes::{self, Cluster, ConnectError};
use crate::collect::{CollectError, Done, Item, Lane, Limits, Sink, grpc, host, s3, services};
use crate::model::{ItemId, Outcome};
use crate::profile::{self, Profile, ProfileError};

/// Flags that say what kind of system it is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "What to collect")]
pub(super) struct ProfileArgs {
    /// Profile: the id of a built-in one, a directory with a profile.toml, or auto
    #[arg(long, value_name = "ID|DIR|auto", default_value = "auto")]
    profile: String,
    /// Set a parameter of the profile; repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// Flags of the commands that plan a run without collecting.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

impl PlanArgs {
    /// Opens the session and gives the chosen items; nothing is read beyond discovery.
    pub(super) async fn plan(&self) -> anyhow::Result<(Session, Vec<Arc<dyn Item>>)> {
        let selection = Selection::new(&self.select)?;
        let session = Session::open(&self.profile, &self.connection, &selection).await?;
        let limits = self.limits.resolve(self.connection.request_timeout);
        let mut items = session.items(&limits, &selection).await?;
        items.retain(|item| selection.wants(item.as_ref()));
        Ok((session, items))
    }
}

/// A resolved session: everything that planning needs, nothing collected yet.
pub(super) struct Session {
    /// What to collect.
    pub(super) profile: Profile,
    /// Its parameters, as set or by default.
    pub(super) parameters: BTreeMap<String, String>,
    /// The namespaces to read; empty without a cluster.
    pub(super) namespaces: Vec<String>,
    /// The cluster, where there is one.
    pub(super) cluster: Option<Cluster>,
    /// Why there is no cluster, where one was looked for.
    pub(super) no_cluster: Option<NoCluster>,
    /// How to ask object stores.
    pub(super) aws: s3::Access,
    /// Why the profile and the namespaces are a guess, where they are one.
    doubt: Option<String>,
    /// What showed that this system runs here, where nobody named its profile.
    found_by: Option<String>,
    /// Credentials that stood on the command line in clear, by parameter.
    exposed: Vec<String>,
    /// What services take from outside of the profile.
    ambient: services::Ambient,
    /// What the client proves itself with, to clusters and to AWS.
    credentials: kubernetes::Credentials,
}

/// Why the cluster is not read.
#[derive(Debug, Clone)]
pub(super) struct NoCluster {
    outcome: Outcome,
    /// What happened and what to try.
    pub(super) reason: String,
    /// Whether the user named a cluster, or a kubeconfig names one.
    named: bool,
}

/// Where a program that the user installed is looked up: the absolute directories of `PATH`, before those of the system.
fn command_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let own = own.split(':').filter(|dir| dir.starts_with('/'));
    own.chain([host::HostRoots::default().command_path.as_str()]).collect::<Vec<_>>().join(":")
}

impl Session {
    /// Finds the cluster, the profile and the namespaces.
    ///
    /// No kubeconfig and an unreachable server are not errors: the host is collected instead, and the ledger says why.
    /// What the user typed and got wrong is an error.
    pub(super) async fn open(
        profile: &ProfileArgs,
        connection: &ConnectionArgs,
        selection: &Selection,
    ) -> anyhow::Result<Self> {
        let chosen = choose(&profile.profile)?;
        if let Some(chosen) = &chosen {
            // Refuse a wrong parameter before the first request.
            parameters(chosen, &profile.set)?;
        }
        let on_host = selection.only_host() || chosen.as_ref().is_some_and(|p| p.id == "host");
        let options = connect_options(connection);
        let mut credentials =
            if on_host { kubernetes::Credentials::default() } else { kubernetes::Credentials::of(&options) };
        super::aws::credentials(&mut credentials);
        // Before the first request: a server may quote what it was sent.
        credentials.secrets.iter().chain(&credentials.settings).for_each(|secret| super::traces::remember(secret));
        let (cluster, mut no_cluster) = if on_host { (None, None) } else { connect(connection, options).await? };
        let mut doubt = None;
        let mut found_by = None;
        let ambient = ambient(&profile.set);
        let (found, namespaces) = match (&cluster, chosen) {
            (None, Some(chosen)) => (chosen, Vec::new()),
            (None, None) => {
                let (profile, by) = on_this_host(&ambient).await?;
                found_by = by;
                (profile, Vec::new())
            }
            (Some(cluster), Some(chosen)) => {
                let candidates = std::slice::from_ref(&chosen);
                let detection = cluster.detect(candidates, &connection.namespace).await.map_err(namespace_error)?;
                doubt = detection.doubt;
                (chosen, detection.namespaces)
            }
            (Some(cluster), None) => {
                let detection =
                    cluster.detect(profile::builtin(), &connection.namespace).await.map_err(namespace_error)?;
                doubt = detection.doubt;
                (profile::find_builtin(&detection.profile)?.clone(), detection.namespaces)
            }
        };
        if let Some(no_cluster) = no_cluster.as_mut().filter(|n| !n.named && lives_outside(&found)) {
            no_cluster.outcome = Outcome::NotApplicable;
        }
        let parameters = parameters(&found, &profile.set)?;
        let exposed = exposed(&found, &profile.set);
        let aws = super::aws::access();
        Ok(Self {
            profile: found,
            parameters,
            namespaces,
            cluster,
            no_cluster,
            aws,
            doubt,
            found_by,
            exposed,
            ambient,
            credentials,
        })
    }

    /// The parameters for the manifest: of a credential only that it was set.
    pub(super) fn shown_parameters(&self) -> BTreeMap<String, String> {
        let secret = |name: &str| self.profile.parameters.get(name).is_some_and(|p| p.secret);
        let shown = |name: &str, value: &str| if secret(name) { "set, not shown".to_owned() } else { value.to_owned() };
        self.parameters.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
    }

    /// The credentials among the parameters, in the environment of services, and of the client.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = |name: &str| self.profile.parameters.get(name).is_some_and(|p| p.secret);
        let given = self.parameters.iter().filter(move |(name, _)| secret(name)).map(|(_, value)| value.as_str());
        let client = self.credentials.secrets.iter().chain(&self.credentials.settings).map(|secret| secret.as_str());
        given.chain(self.ambient.env.get("PGPASSWORD").map(String::as_str)).chain(client)
    }

    /// The items to run, before `--only` and `--skip`.
    pub(super) async fn items(&self, limits: &Limits, selection: &Selection) -> anyhow::Result<Vec<Arc<dyn Item>>> {
        let mut items: Vec<Arc<dyn Item>> = Vec::new();
        if let Some(cluster) = &self.cluster {
            let roots = host::HostRoots { command_path: command_path(), ..Default::default() };
            let outside = kubernetes::Outside { aws: Some(self.aws.clone()), roots };
            let planned =
                kubernetes::plan(cluster, &self.profile, &self.parameters, &self.namespaces, limits, outside).await;
            match planned {
                Ok(planned) => items.extend(planned),
                // The server answered a moment ago. Without discovery there is no plan, but there is a host and a reason.
                Err(error) => items.push(Arc::new(Unreached::new(&NoCluster {
                    outcome: error.outcome(),
                    reason: format!("discovery failed: {error}"),
                    named: true,
                }))),
            }
        }
        if let Some(no_cluster) = &self.no_cluster {
            items.push(Arc::new(Unreached::new(no_cluster)));
        }
        if self.cluster.is_none() || selection.names_host() {
            items.extend(host::items(&self.profile));
            let outside = host::program::Outside {
                aws: Some(self.aws.clone()),
                named: self.ambient.named.clone(),
                ..Default::default()
            };
            items.extend(host::program::items(&self.profile, &self.parameters, outside));
        }
        // A service that the cluster is searched for needs no item that says that its address is not set.
        let found: BTreeSet<ItemId> = items.iter().map(|item| item.id().clone()).collect();
        let services = services::items(&self.profile, &self.parameters, &self.ambient, limits);
        items.extend(services.into_iter().filter(|item| !found.contains(item.id())));
        items.extend(grpc::items(&self.profile, &self.parameters));
        Ok(items)
    }

    /// Tells the person what was found, before the work begins.
    pub(super) fn announce(&self, output: &Output) {
        match (&self.cluster, &self.no_cluster) {
            (Some(cluster), _) => output.notice(&format!(
                "{} ({}), profile {}, namespace{} {}",
                cluster.server(),
                cluster.version(),
                self.profile.id,
                if self.namespaces.len() == 1 { "" } else { "s" },
                self.namespaces.join(", ")
            )),
            (None, Some(why)) => output.notice(&format!("no cluster: {}\ncollecting this host instead", why.reason)),
            (None, None) => output.notice(&format!("this host, profile {}", self.profile.id)),
        }
        if let Some(by) = &self.found_by {
            output.notice(&format!(
                "profile {}, found by {by} (try: --profile host for this host alone)",
                self.profile.id
            ));
        }
        if let Some(doubt) = &self.doubt {
            output.notice(doubt);
        }
        for name in &self.exposed {
            output.notice(&format!(
                "--set {name}: the value stood on the command line, where others can read it (try: --set {name}=@FILE or {name}=env:VARIABLE)"
            ));
        }
    }
}

/// The system of this host: by its processes, its containers, its units; and what showed it. The host alone where none does.
async fn on_this_host(ambient: &services::Ambient) -> anyhow::Result<(Profile, Option<String>)> {
    let roots = host::HostRoots::default();
    let all = profile::builtin();
    if let Some(found) = host::detect(all, &roots) {
        return Ok((found.clone(), Some("its process".to_owned())));
    }
    if let Some(found) = services::detect(all, ambient).await {
        return Ok((found.profile.clone(), Some(found.by)));
    }
    // What watches a system stands beside it, so it counts only where nothing else is found.
    let (systems, watching): (Vec<Profile>, Vec<Profile>) = all.iter().cloned().partition(|p| p.id != "monitoring");
    for candidates in [&systems, &watching] {
        if let Some((found, unit)) = host::detect_by_units(candidates, &roots).await {
            return Ok((found.clone(), Some(format!("unit {unit}"))));
        }
    }
    Ok((profile::find_builtin("host")?.clone(), None))
}

/// The profile that the user named; none for `auto`.
fn choose(name: &str) -> anyhow::Result<Option<Profile>> {
    if name == "auto" {
        return Ok(None);
    }
    if name.contains(['/', '.', '\\']) {
        return Ok(Some(profile::load_dir(Path::new(name))?));
    }
    match profile::find_builtin(name) {
        Ok(profile) => Ok(Some(profile.clone())),
        Err(error @ ProfileError::Unknown { .. }) => Err(usage(format!("--profile: {error}"))),
        Err(error) => Err(error.into()),
    }
}

/// Parameters from `--set` and the profile's defaults.
fn parameters(profile: &Profile, set: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut values: BTreeMap<String, String> = profile
        .parameters
        .iter()
        .filter_map(|(name, parameter)| Some((name.clone(), parameter.default.clone()?)))
        .collect();
    for pair in set {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(usage(format!("--set '{pair}' has no '=' (try: --set name=value)")));
        };
        let Some(parameter) = profile.parameters.get(name) else {
            let known = profile.parameters.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(usage(format!("--set: profile {} has no parameter '{name}' (it has: {known})", profile.id)));
        };
        let value = &given(name, value)?;
        if let Some(pattern) = &parameter.pattern {
            let fits = regex::Regex::new(&format!("^(?:{pattern})$"))?.is_match(value);
            if !fits {
                return Err(usage(format!(
                    "--set {name}: the value does not match {pattern} ({})",
                    parameter.description
                )));
            }
        }
        values.insert(name.to_owned(), value.to_owned());
    }
    Ok(values)
}

/// A value as it stands on the command line, or from `@FILE` or `env:VARIABLE`.
fn given(name: &str, value: &str) -> anyhow::Result<String> {
    if let Some(file) = value.strip_prefix('@') {
        let text = std::fs::read_to_string(file)
            .map_err(|e| usage(format!("--set {name}=@{file}: the file cannot be read: {e} (try: another file)")))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Some(variable) = value.strip_prefix("env:") {
        return std::env::var(variable)
            .map_err(|_| usage(format!("--set {name}=env:{variable}: the variable is not set (try: export it)")));
    }
    Ok(value.to_owned())
}

/// Credentials whose value was typed.
fn exposed(profile: &Profile, set: &[String]) -> Vec<String> {
    let typed = set.iter().filter_map(|pair| pair.split_once('='));
    typed
        .filter(|(name, value)| {
            let secret = profile.parameters.get(*name).is_some_and(|p| p.secret);
            let harmless = value.is_empty() || value.starts_with('@') || value.starts_with("env:");
            !harmless && if secret { !is_address(value) } else { has_userinfo(value) }
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Whether a value says where something is and holds no password: it is no secret, although its parameter may hold one.
fn is_address(value: &str) -> bool {
    const KEYS: [&str; 10] =
        ["dbname", "host", "hostaddr", "passfile", "port", "service", "sslcert", "sslmode", "sslrootcert", "user"];
    if value.contains("://") {
        return !has_userinfo(value) && !value.contains("password=");
    }
    value.contains('=')
        && value.split_whitespace().all(|w| w.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key)))
}

/// Whether one of the URLs in a value has a password: `scheme://user:password@host`.
fn has_userinfo(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ',']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// What services take from the environment, as their usual clients do.
fn ambient(set: &[String]) -> services::Ambient {
    let env: BTreeMap<String, String> =
        services::VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    services::Ambient {
        user: env.get("USER").or_else(|| env.get("LOGNAME")).cloned(),
        home: std::env::home_dir(),
        named: set.iter().filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect(),
        env,
    }
}

/// Whether a system runs beside clusters only: it has services and nothing that lies in pods. It lacks nothing without one.
fn lives_outside(profile: &Profile) -> bool {
    let in_pods = !profile.kubernetes.detect.is_empty() || !profile.exec.is_empty() || !profile.http.is_empty();
    let services = !profile.docker.is_empty()
        || !profile.prometheus.is_empty()
        || !profile.endpoint.is_empty()
        || !profile.jsonrpc.is_empty();
    services && !in_pods
}

fn connect_options(args: &ConnectionArgs) -> kubernetes::ConnectOptions {
    kubernetes::ConnectOptions {
        kubeconfig: args.kubeconfig.clone(),
        kubeconfig_env: std::env::var_os("KUBECONFIG"),
        home: std::env::home_dir(),
        context: args.context.clone(),
        as_user: args.as_user.clone(),
        as_groups: args.as_group.clone(),
        request_timeout: args.request_timeout,
    }
}

async fn connect(
    args: &ConnectionArgs,
    options: kubernetes::ConnectOptions,
) -> anyhow::Result<(Option<Cluster>, Option<NoCluster>)> {
    let asked = args.kubeconfig.is_some() || args.context.is_some() || options.kubeconfig_env.is_some();
    let (outcome, named) = match Cluster::connect(options).await {
        Ok(cluster) => return Ok((Some(cluster), None)),
        Err(error) => match &error {
            ConnectError::NoConfig { .. } => ((Outcome::Failed, error.to_string()), asked),
            ConnectError::Unreachable { .. } => ((Outcome::Failed, error.to_string()), true),
            ConnectError::Unauthorized { .. } => ((Outcome::Forbidden, error.to_string()), true),
            ConnectError::UnknownContext { .. } => return Err(usage(error.to_string())),
            ConnectError::BadConfig { .. } => return Err(error.into()),
        },
    };
    Ok((None, Some(NoCluster { outcome: outcome.0, reason: outcome.1, named })))
}

fn namespace_error(error: CollectError) -> anyhow::Error {
    match error {
        CollectError::NotFound(text) => usage(text),
        other => other.into(),
    }
}

/// The item that stands for a cluster that could not be read, so that the ledger has an entry for it.
struct Unreached {
    id: ItemId,
    outcome: Outcome,
    reason: String,
}

impl Unreached {
    fn new(why: &NoCluster) -> Self {
        Self { id: ItemId::new("kubernetes/connect"), outcome: why.outcome, reason: why.reason.clone() }
    }
}

impl Item for Unreached {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/connect"
    }

    fn describe(&self) -> String {
        format!("no cluster: {}", self.reason)
    }

    fn lane(&self) -> Lane {
        Lane::State
    }

    fn run<'a>(&'a self, _sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        Box::pin(async { Ok(Done::with(self.outcome, self.reason.clone())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kms() -> Profile {
        profile::find_builtin("kms").unwrap().clone()
    }

    #[test]
    fn parameters_come_from_flags_and_defaults() {
        let values = parameters(&kms(), &["party_id=3".to_owned()]).unwrap();
        assert_eq!(values["party_id"], "3");
        assert!(values.contains_key("grpc_port"));
    }

    #[test]
    fn wrong_parameters_say_what_to_try() {
        for (set, want) in [("party_id", "name=value"), ("nope=1", "party_id"), ("party_id=x", "does not match")] {
            let error = parameters(&kms(), &[set.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_credential_that_was_typed_is_noticed() {
        let wallet = profile::find_builtin("mpc-wallet").unwrap();
        let typed = |pair: &str| !exposed(wallet, &[pair.to_owned()]).is_empty();
        for pair in [
            "postgres_password=abc",
            "postgres_password=ab=cd",
            "postgres=host=h password=x",
            "postgres=postgresql://u:p@h/d",
            "postgres=postgresql://u@h/d?password=x",
            "prometheus=http://u:p@h:9090",
            "nodes=a=http://h:1,b=http://u:p@h:2",
        ] {
            assert!(typed(pair), "{pair}");
        }
        for pair in [
            "postgres_password=@file",
            "postgres_password=env:PW",
            "postgres=host=h port=5432 user=mpc sslmode=require",
            "postgres=postgresql://u@h/d",
            "prometheus=http://h:9090/a@b:c",
            "nodes=a=http://h:1,b=http://h:2",
        ] {
            assert!(!typed(pair), "{pair}");
        }
    }

    #[test]
    fn an_unknown_profile_names_the_known_ones() {
        let error = choose("kmz").unwrap_err().to_string();
        assert!(error.contains("kms") && error.contains("kubernetes"), "{error}");
    }
}
