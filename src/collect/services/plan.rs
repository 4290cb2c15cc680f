//! The items of a profile's services.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::item::{Unusable, directory};
use super::target::{Ambient, Resolver, Target};
use super::{alertmanager, docker, endpoint, etcd, files, grafana, jsonrpc, postgres, prometheus};
use crate::collect::placeholder::Values;
use crate::collect::source::SourceItem;
use crate::collect::{CollectError, Item, Lane, Limits};
use crate::profile::Profile;

/// The items that collect the services that a profile names. `parameters` are those that are set, with defaults.
#[must_use]
pub fn items(
    profile: &Profile,
    parameters: &BTreeMap<String, String>,
    ambient: &Ambient,
    limits: &Limits,
) -> Vec<Arc<dyn Item>> {
    let values = Values::of(profile, parameters);
    let resolver = Resolver { values: &values, named: &ambient.named };
    let timeout = limits.request_timeout;
    let mut items: Vec<Arc<dyn Item>> = Vec::new();
    for own in &profile.docker {
        items.push(docker::item(own, &resolver, ambient, limits));
    }
    for own in &profile.prometheus {
        let targets = resolver.targets(&own.name, &own.url, &own.auth);
        let series: Vec<String> = own.series.iter().filter_map(|s| resolver.fill(s).ok()).collect();
        each(&mut items, "prometheus", &own.name, targets, |t| prometheus::item(t, &series));
    }
    for own in &profile.alertmanager {
        let targets = resolver.targets(&own.name, &own.url, &own.auth);
        each(&mut items, "alertmanager", &own.name, targets, |t| alertmanager::item(t, timeout));
    }
    for own in &profile.grafana {
        let targets = resolver.targets(&own.name, &own.url, &own.auth);
        each(&mut items, "grafana", &own.name, targets, |t| grafana::item(t, timeout));
    }
    for own in &profile.etcd {
        match resolver.targets("", &own.url, &own.auth) {
            Ok(members) => items.push(etcd::item(&own.name, members, &own.prefixes, limits)),
            Err(error) => items.push(unusable("etcd", &own.name, error)),
        }
    }
    for own in &profile.postgres {
        items.push(postgres::item(own, &resolver, ambient, limits));
    }
    for own in &profile.jsonrpc {
        let targets = resolver.targets(&own.name, &own.url, &own.auth);
        each(&mut items, "jsonrpc", &own.name, targets, |t| jsonrpc::item(own, t, timeout));
    }
    for own in &profile.endpoint {
        let targets = resolver.targets("", &own.url, &own.auth);
        let path = resolver.fill(&own.path).unwrap_or_else(|_| own.path.clone());
        each(&mut items, "endpoint", &own.id, targets, |t| endpoint::item(own, t, path.clone(), timeout));
    }
    for own in &profile.files {
        let paths: Result<Vec<String>, CollectError> = own.paths.iter().map(|p| resolver.fill(p)).collect();
        match paths {
            Ok(paths) => items.push(files::item(own, &paths)),
            Err(error) => items.push(unusable("files", &own.id, error)),
        }
    }
    items
}

fn each(
    items: &mut Vec<Arc<dyn Item>>,
    kind: &'static str,
    name: &str,
    targets: Result<Vec<Target>, CollectError>,
    make: impl Fn(Target) -> Arc<dyn Item>,
) {
    match targets {
        Ok(targets) => items.extend(targets.into_iter().map(make)),
        Err(error) => items.push(unusable(kind, name, error)),
    }
}

/// The item that stands for a source that cannot be named, so that the ledger has an entry for it.
fn unusable(kind: &'static str, name: &str, error: CollectError) -> Arc<dyn Item> {
    let what = format!("cannot be asked: {error}");
    Arc::new(SourceItem::new(&directory(kind, name), "services", what, Lane::Probe, Unusable(Mutex::new(Some(error)))))
}
