//! The Prometheus of a cluster, where nobody said which it is: found by the labels, names and ports of services.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::api::{Cluster, escaped};
use super::list::{self, Form, Query, Visit};
use super::service::{self, Service, ServiceWay};
use crate::collect::placeholder::Values;
use crate::collect::services::{Http, begin_prometheus};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Access, Effect, ItemId};
use crate::profile::{self, Profile};

/// Where a Prometheus usually runs, beside the namespaces of the run.
const USUAL: [&str; 2] = ["monitoring", "observability"];
/// Services that are kept while one is chosen.
const FOUND_MAX: usize = 32;
/// The port of Prometheus, and what it is called.
const PORT: u16 = 9090;
const WEB: [&str; 5] = ["web", "http-web", "https-web", "https", "tls"];
/// Programs beside it whose names hold its name.
const OTHERS: [&str; 5] = ["adapter", "alertmanager", "exporter", "operator", "pushgateway"];

/// Finds the Prometheus and plans the questions to it.
pub(super) struct PrometheusItem {
    id: ItemId,
    cluster: Cluster,
    namespaces: Vec<String>,
    series: Vec<String>,
    /// What to try where it wants a login or cannot be reached.
    advice: String,
}

/// The item for a profile that knows a Prometheus whose address is not set; none for others.
pub(super) fn item(
    cluster: &Cluster,
    profile: &Profile,
    values: &Values,
    namespaces: &[String],
) -> Option<Arc<dyn Item>> {
    let unset = |url: &str| values.fill(url).map_or(true, |filled| filled.trim().is_empty());
    let own = profile.prometheus.iter().find(|own| unset(&own.url))?;
    let dir = if own.name.is_empty() { String::new() } else { format!("-{}", own.name) };
    Some(Arc::new(PrometheusItem {
        id: ItemId::new(format!("services/prometheus{dir}")),
        cluster: cluster.clone(),
        namespaces: namespaces.to_vec(),
        series: own.series.iter().filter_map(|query| values.fill(query).ok()).collect(),
        advice: advice(own),
    }))
}

/// How the user names it, and hands in a token. `NAME=VALUE` of a token would be redacted, whatever the value.
fn advice(own: &profile::Prometheus) -> String {
    let parameter = |template: &str| template.strip_prefix('{')?.strip_suffix('}').map(str::to_owned);
    let url = parameter(&own.url).unwrap_or_else(|| "prometheus".to_owned());
    let token = own.auth.token.as_deref().and_then(parameter);
    let token = token.map_or_else(String::new, |token| format!(", and the parameter {token} with @FILE for its token"));
    format!("try: --set {url}=URL{token}")
}

impl PrometheusItem {
    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let mut found = self.find(sink).await?;
        found.sort_by_key(|f| (!self.namespaces.contains(&f.service.namespace), f.headless, f.place()));
        let others: Vec<String> = found.iter().skip(1).map(Found::place).take(3).collect();
        let Some(first) = found.into_iter().next() else {
            return Err(CollectError::NotApplicable(format!(
                "no service of the cluster is that of a Prometheus ({})",
                self.advice
            )));
        };
        let place = first.place();
        let way = Arc::new(ServiceWay::new(self.cluster.clone(), first.service));
        let http = Http::over(way, format!("service {place}"), self.cluster.request_timeout())?;
        // The API server takes our own credentials off a request, so a login of the service cannot be passed on.
        let began = begin_prometheus(sink, http, self.id.as_str(), &self.series).await;
        let mut done = began.map_err(|error| match error {
            CollectError::Forbidden(text) => CollectError::Forbidden(format!("{text} ({})", self.advice)),
            other => other,
        })?;
        let others = if others.is_empty() { String::new() } else { format!("; not asked: {}", others.join(", ")) };
        done.reason = Some(format!("found as service {place}{others}"));
        Ok(done)
    }

    /// Looks through all namespaces, or through those that may hold one where not all may be listed.
    async fn find(&self, sink: &Sink) -> Result<Vec<Found>, CollectError> {
        let mut look = Look::default();
        let mut refused = match self.list(sink, None, &mut look).await {
            Ok(()) => return Ok(look.found),
            Err(error @ CollectError::Forbidden(_)) => error,
            Err(error) => return Err(error),
        };
        let mut listed = false;
        for namespace in self.places() {
            match self.list(sink, Some(namespace), &mut look).await {
                Ok(()) => listed = true,
                Err(error @ (CollectError::Forbidden(_) | CollectError::NotFound(_))) => refused = error,
                Err(error) => return Err(error),
            }
        }
        if listed { Ok(look.found) } else { Err(refused) }
    }

    async fn list(&self, sink: &Sink, namespace: Option<&str>, look: &mut Look) -> Result<(), CollectError> {
        let place = namespace.map_or_else(String::new, |n| format!("namespaces/{}/", escaped(n)));
        let path = format!("/api/v1/{place}services");
        let query = Query::new(path, list_access(namespace), Form::Plain);
        // A list that broke off has shown what it has shown.
        list::read(&self.cluster, sink, query, look).await.map(drop)
    }

    /// The namespaces of the run, then the usual ones.
    fn places(&self) -> Vec<&str> {
        let own = self.namespaces.iter().map(String::as_str);
        let mut places: Vec<&str> = Vec::new();
        for place in own.chain([self.cluster.default_namespace()]).chain(USUAL) {
            if !place.is_empty() && !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

fn list_access(namespace: Option<&str>) -> Access {
    Access::new("list", "", "services", namespace)
}

impl Item for PrometheusItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/prometheus"
    }

    fn describe(&self) -> String {
        "looks among the services of the cluster for a Prometheus, then asks it for targets, rules, alerts, configuration, series"
            .to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Discover
    }

    fn effect(&self) -> Effect {
        Effect::Proxy
    }

    fn access(&self) -> Vec<Access> {
        let mut all = vec![list_access(None)];
        all.extend(self.places().into_iter().map(service::access));
        all
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

/// A service that may be that of a Prometheus.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    service: Service,
    /// Whether it has no address of its own: those stand beside another one for the same pods.
    headless: bool,
}

impl Found {
    fn place(&self) -> String {
        format!("{}/{}:{}", self.service.namespace, self.service.name, self.service.port)
    }
}

#[derive(Default)]
struct Look {
    found: Vec<Found>,
}

impl Visit for Look {
    fn object(&mut self, _: &Sink, raw: &[u8], _: Option<Vec<String>>) -> Result<(), CollectError> {
        let found = serde_json::from_slice::<Object>(raw).ok().and_then(judge);
        if let Some(found) = found.filter(|f| self.found.len() < FOUND_MAX && !self.found.contains(f)) {
            self.found.push(found);
        }
        Ok(())
    }
}

/// The fields of a Service that show what it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Meta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    selector: Option<BTreeMap<String, String>>,
    ports: Option<Vec<ServicePort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServicePort {
    name: Option<String>,
    app_protocol: Option<String>,
    port: u16,
    target_port: Option<Value>,
}

/// Whether a service is that of a Prometheus, and at which port.
fn judge(object: Object) -> Option<Found> {
    let Object { metadata: Meta { name, namespace, labels }, spec } = object;
    let labels = labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    // Older charts call all their programs `prometheus` and tell them apart by the component.
    let component = [label("app.kubernetes.io/component"), label("component")];
    let other = |text: &str| OTHERS.iter().any(|other| text.contains(other));
    if other(&name) || component.iter().any(|c| other(c)) {
        return None;
    }
    let labelled = label("app.kubernetes.io/name") == "prometheus"
        || label("app") == "prometheus"
        || label("operated-prometheus") == "true";
    let ports = spec.ports.unwrap_or_default();
    let called = |p: &ServicePort, names: &[&str]| p.name.as_deref().is_some_and(|n| names.contains(&n));
    let usual = ports.iter().find(|p| p.port == PORT && called(p, &WEB));
    let port = if labelled {
        let by_name = || ports.iter().find(|p| called(p, &WEB) || called(p, &["http"]));
        usual.or_else(|| ports.iter().find(|p| p.port == PORT)).or_else(by_name)
    } else {
        usual.filter(|_| name.contains("prometheus"))
    }?;
    let target = match &port.target_port {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => port.port.to_string(),
    };
    let https = [&port.name, &port.app_protocol].into_iter().flatten().any(|said| {
        let said = said.to_ascii_lowercase();
        said.contains("https") || said == "tls"
    });
    Some(Found {
        headless: spec.cluster_ip.is_some_and(|ip| ip == "None"),
        service: Service {
            namespace,
            name,
            port: port.port,
            https: https || port.port == 443,
            target,
            selector: spec.selector.unwrap_or_default(),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn port(name: &str, labels: &Value, ports: &Value) -> Option<u16> {
        let object = json!({"metadata": {"name": name, "namespace": "n", "labels": labels}, "spec": {"ports": ports}});
        judge(serde_json::from_value(object).unwrap()).map(|f| f.service.port)
    }

    #[test]
    fn ports_with_tls_are_known_by_their_name_protocol_or_number() {
        let https = |port: Value| {
            let object = json!({"metadata": {"name": "prometheus-k8s", "namespace": "n",
                "labels": {"app.kubernetes.io/name": "prometheus"}}, "spec": {"ports": [port]}});
            judge(serde_json::from_value(object).unwrap()).map(|f| f.service.https)
        };
        assert_eq!(https(json!({"name": "web", "port": 9090})), Some(false));
        assert_eq!(https(json!({"name": "https", "port": 9091})), Some(true));
        assert_eq!(https(json!({"name": "https-web", "port": 9090})), Some(true));
        assert_eq!(https(json!({"name": "web", "port": 9091, "appProtocol": "https"})), Some(true));
        assert_eq!(https(json!({"name": "web", "port": 443})), Some(true));
        assert_eq!(https(json!({"name": "grpc", "port": 10901})), None);
    }

    #[test]
    fn services_of_prometheus_are_told_from_those_beside_it() {
        let web =
            || json!([{"name": "reloader-web", "port": 8080}, {"name": "web", "port": 9090, "targetPort": "web"}]);
        assert_eq!(port("prometheus-k8s", &json!({"app.kubernetes.io/name": "prometheus"}), &web()), Some(9090));
        assert_eq!(port("prometheus-operated", &json!({"operated-prometheus": "true"}), &web()), Some(9090));
        assert_eq!(port("kps-prometheus", &Value::Null, &json!([{"name": "http-web", "port": 9090}])), Some(9090));
        let chart = |component: &str| json!({"app": "prometheus", "component": component});
        let http = || json!([{"name": "http", "port": 80, "targetPort": 9090}]);
        assert_eq!(port("prometheus-server", &chart("server"), &http()), Some(80));
        assert_eq!(port("p-alertmanager", &chart("alertmanager"), &http()), None);
        assert_eq!(port("p", &chart("node-exporter"), &http()), None);
        assert_eq!(port("prometheus-operator", &Value::Null, &web()), None);
        assert_eq!(port("prometheus-thing", &Value::Null, &json!([{"name": "grpc", "port": 9090}])), None);
        assert_eq!(port("thanos", &Value::Null, &web()), None);
        assert_eq!(port("prometheus", &Value::Null, &Value::Null), None);
    }
}
