//! Finding and reading the kubeconfig.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::connect::{ConnectError, ConnectOptions};

/// A kubeconfig is a few kilobytes; whatever is larger than this is something else.
const SIZE_MAX: u64 = 16 << 20;

/// What was found.
pub(super) struct Found {
    pub(super) config: kube::Config,
    pub(super) context: Option<String>,
}

/// Reads the configuration: the file that was asked for, else those of `$KUBECONFIG`, else `~/.kube/config`, else the
/// service account of the pod.
pub(super) async fn find(options: &ConnectOptions) -> Result<Found, ConnectError> {
    let mut tried = Vec::new();
    if let Some((kubeconfig, origin)) = read(options, &mut tried)? {
        return resolve(kubeconfig, &origin, options).await;
    }
    if let Some(name) = &options.context {
        return Err(ConnectError::UnknownContext { name: name.clone(), known: Vec::new() });
    }
    match kube::Config::incluster() {
        Ok(mut config) => {
            config.default_namespace = config.default_namespace.trim().to_owned();
            Ok(Found { config, context: None })
        }
        Err(kube::config::InClusterError::ReadEnvironmentVariable(_)) => {
            tried.push("the service account of a pod".to_owned());
            Err(ConnectError::NoConfig { tried })
        }
        Err(error) => Err(ConnectError::BadConfig {
            path: "the service account of this pod".to_owned(),
            reason: error.to_string(),
            advice: "mount a service account token, or give --kubeconfig".to_owned(),
        }),
    }
}

/// The merged file or files, with the name for errors; none where there is nothing to read.
pub(super) fn read(
    options: &ConnectOptions,
    tried: &mut Vec<String>,
) -> Result<Option<(Kubeconfig, String)>, ConnectError> {
    if let Some(path) = &options.kubeconfig {
        return Ok(Some((read_file(path)?, path.display().to_string())));
    }
    let listed: Vec<PathBuf> = options
        .kubeconfig_env
        .as_deref()
        .map(|list| std::env::split_paths(list).filter(|p| !p.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    let paths = if listed.is_empty() {
        options.home.iter().map(|home| home.join(".kube").join("config")).collect()
    } else {
        listed
    };
    let mut merged: Option<Kubeconfig> = None;
    let mut names = Vec::new();
    for path in paths {
        tried.push(path.display().to_string());
        if !path.exists() {
            continue;
        }
        let next = read_file(&path)?;
        names.push(path.display().to_string());
        merged = Some(match merged {
            None => next,
            Some(first) => first.merge(next).map_err(|e| bad(&names.join(", "), &e))?,
        });
    }
    // A file without a single context says as little as no file.
    Ok(merged.filter(|config| !config.contexts.is_empty()).map(|config| (config, names.join(", "))))
}

fn read_file(path: &Path) -> Result<Kubeconfig, ConnectError> {
    let shown = path.display().to_string();
    let refuse = |reason: String| ConnectError::BadConfig {
        path: shown.clone(),
        reason,
        advice: "give another file with --kubeconfig".to_owned(),
    };
    let data = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
    if !data.is_file() {
        return Err(refuse("it is not a file".to_owned()));
    }
    if data.len() > SIZE_MAX {
        return Err(refuse(format!("it has {} bytes, which no kubeconfig has", data.len())));
    }
    Kubeconfig::read_from(path).map_err(|e| bad(&shown, &e))
}

async fn resolve(kubeconfig: Kubeconfig, origin: &str, options: &ConnectOptions) -> Result<Found, ConnectError> {
    let known: Vec<String> = kubeconfig.contexts.iter().map(|c| c.name.clone()).collect();
    let wanted = options.context.clone().or_else(|| kubeconfig.current_context.clone().filter(|c| !c.is_empty()));
    let Some(name) = wanted else {
        return Err(ConnectError::BadConfig {
            path: origin.to_owned(),
            reason: "it names no current context".to_owned(),
            advice: if known.is_empty() {
                "give another file with --kubeconfig".to_owned()
            } else {
                format!("give --context with one of {}", known.join(", "))
            },
        });
    };
    if !known.contains(&name) {
        return Err(ConnectError::UnknownContext { name, known });
    }
    let own_proxy = kubeconfig
        .contexts
        .iter()
        .find(|c| c.name == name)
        .and_then(|c| c.context.as_ref())
        .and_then(|context| kubeconfig.clusters.iter().find(|c| c.name == context.cluster))
        .and_then(|c| c.cluster.as_ref())
        .is_some_and(|c| c.proxy_url.as_deref().is_some_and(|url| !url.is_empty()));
    let choice = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|e| bad(origin, &e))?;
    // A proxy of the environment is for other hosts, as it is for kubectl.
    if !own_proxy && config.cluster_url.host().is_some_and(is_loopback) {
        config.proxy_url = None;
    }
    Ok(Found { config, context: Some(name) })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn bad(origin: &str, error: &KubeconfigError) -> ConnectError {
    // The parser quotes the lines around the mistake, and those may hold a token: only its first line is told.
    let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
    ConnectError::BadConfig {
        path: origin.to_owned(),
        reason,
        advice: "check it with `kubectl config view`, or give another file with --kubeconfig".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1'}\n\
        contexts:\n- name: a\n  context: {cluster: c, namespace: kms}\n- name: b\n  context: {cluster: missing}\n";

    fn options(dir: &Path, text: &str) -> ConnectOptions {
        let path = dir.join("config");
        std::fs::write(&path, text).unwrap();
        ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }
    }

    async fn error(options: &ConnectOptions) -> String {
        find(options).await.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[tokio::test]
    async fn the_context_decides() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), TWO);
        let found = find(&options).await.unwrap();
        assert_eq!((found.context.as_deref(), found.config.default_namespace.as_str()), (Some("a"), "kms"));
        options.context = Some("z".to_owned());
        assert!(error(&options).await.contains("a, b"));
        options.context = Some("b".to_owned());
        assert!(error(&options).await.contains("missing"));
    }

    #[tokio::test]
    async fn a_broken_file_is_told_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let text = "apiVersion: v1\nusers:\n- name: u\n  user: {token: pl4nted-token\n";
        let said = error(&options(dir.path(), text)).await;
        assert!(said.contains("config") && !said.contains("pl4nted"), "{said}");
        let said = error(&options(dir.path(), "apiVersion: v1\nkind: Config\n")).await;
        assert!(said.contains("current context"), "{said}");
        let missing = ConnectOptions { kubeconfig: Some(dir.path().join("none")), ..ConnectOptions::default() };
        assert!(matches!(find(&missing).await, Err(ConnectError::BadConfig { .. })));
    }

    #[tokio::test]
    async fn nothing_found_says_where_it_looked() {
        let dir = tempfile::tempdir().unwrap();
        let options = ConnectOptions { home: Some(dir.path().to_path_buf()), ..ConnectOptions::default() };
        match find(&options).await {
            Err(ConnectError::NoConfig { tried }) => assert!(tried[0].ends_with(".kube/config"), "{tried:?}"),
            other => panic!("{:?}", other.err()),
        }
    }

    #[tokio::test]
    async fn the_first_file_of_a_list_wins() {
        let dir = tempfile::tempdir().unwrap();
        let other = TWO.replace("current-context: a", "current-context: b").replace("namespace: kms", "namespace: x");
        std::fs::write(dir.path().join("1"), TWO).unwrap();
        std::fs::write(dir.path().join("2"), other).unwrap();
        let list = std::env::join_paths([dir.path().join("none"), dir.path().join("1"), dir.path().join("2")]).unwrap();
        let options = ConnectOptions { kubeconfig_env: Some(list), ..ConnectOptions::default() };
        assert_eq!(find(&options).await.unwrap().config.default_namespace, "kms");
    }
}
