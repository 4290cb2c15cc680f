//! What a KMS says about itself and its peers. Kubernetes and the logs of a party do not show that a peer is down.

use crate::triage::draft::Draft;
use crate::triage::facts::{Facts, Health, HealthSource, NetworkView, Peer, Sample};
use crate::triage::finding::{Call, Category, Level, Severity, Subject, Who};
use crate::triage::text;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for health in &facts.health {
        let cores = || core_pods(facts, health);
        let best = facts.is_best_health(health);
        if !health.connected {
            out.push(
                Draft::new("kms-endpoint-unreachable", Category::Connectivity, Severity::Critical, Level::Two)
                    .about(Subject::new("endpoint", &health.pod.0, "kms-core"))
                    .title(format!("the KMS endpoint does not answer: {}", text::line(&health.connect_error, 140)))
                    .meaning("Nobody can ask this party for a decryption or a key.")
                    .seen_in([health.at("\"error\"").evidence(&health.connect_error)])
                    .because(match health.source {
                        HealthSource::Grpc => format!("nothing listens on the gRPC port of pod {}", health.pod.1),
                        HealthSource::Tool => format!("kms-health-check {} cannot connect", health.place()),
                    })
                    .confidence(0.8)
                    .reaches(cores())
                    .remedy([format!("Look at the core pod: kubectl -n {} get pods -l app=kms-core", health.pod.0)]),
            );
            continue;
        }
        if health.keys_available == Some(false) && !health.key_error.is_empty() {
            out.push(
                Draft::new("kms-endpoint-silent", Category::Connectivity, Severity::Critical, Level::Three)
                    .about(Subject::new("endpoint", &health.pod.0, "kms-core"))
                    .title(format!("the KMS endpoint accepts connections and does not serve: {}", text::line(&health.key_error, 140)))
                    .meaning("The port is open, which is all that \"reachable\" means here; the process hangs, or another program listens there.")
                    .seen_in([health.at("key_material").evidence(&health.key_error)])
                    .because("the call for the key material fails while the connection works")
                    .confidence(0.8)
                    .reaches(cores())
                    .remedy([format!("Read what the server does: kubectl -n {} logs -l app=kms-core -c kms-core --tail 100", health.pod.0), "Check that the address is the gRPC port 50100, not 9646 or 50001".to_owned()]),
            );
        } else if best && health.keys_available.is_some() && health.key_ids == 0 {
            out.push(
                Draft::new("kms-no-keys", Category::KeyManagement, if had_keys(facts, health) { Severity::Warning } else { Severity::Info }, Level::Two)
                    .about(Subject::new("endpoint", &health.pod.0, "kms-core"))
                    .title("the KMS holds no FHE key")
                    .meaning("Before the first key generation this is normal. Later it means that the private vault is not mounted or its prefix is wrong, not that keys were deleted.")
                    .seen_in([health.at("fhe_key_ids").evidence("fhe_key_ids: []")])
                    .confidence(0.6)
                    .reaches(cores())
                    .remedy(["If keys were generated before: compare the private vault's path, bucket and prefix with what they were"]),
            );
        }
        if !best {
            continue;
        }
        for network in health.contexts.iter().flatten() {
            peers(facts, health, network, out);
        }
        if health.contexts.is_none() && health.keys_available == Some(true) {
            out.push(peers_unknown(facts, health));
        }
        if !health.failed_requests.is_empty() {
            out.push(failed_requests(facts, health));
        }
    }
}

/// Whether the core works with keys that it does not list: they are in its memory, or it was asked to use them.
fn had_keys(facts: &Facts, health: &Health) -> bool {
    let uses = |s: &Sample| {
        let operation = s.labels.get("operation").map_or("", String::as_str);
        s.value > 0.0
            && (s.name == "kms_fhe_key_cache_size"
                || s.name == "kms_operations_total"
                    && (operation.ends_with("decrypt_inner") || operation.ends_with("keygen")))
    };
    facts.scrapes.iter().filter(|s| s.pod.0 == health.pod.0).flat_map(|s| &s.samples).any(uses)
}

/// The core serves, and says nothing about its peers.
fn peers_unknown(facts: &Facts, health: &Health) -> Draft {
    let timed_out = health.contexts_error.starts_with("DEADLINE_EXCEEDED");
    let why = match (&*health.contexts_error, timed_out) {
        ("", _) => "the health document has no contexts, which the tool hides behind an overall \"Healthy\"".to_owned(),
        (_, true) => "GetHealthStatus did not end in time while other calls did".to_owned(),
        (error, false) => format!("GetHealthStatus failed: {}", text::line(error, 160)),
    };
    let excerpt = if health.contexts_error.is_empty() { "context_info: null" } else { &health.contexts_error };
    Draft::new("kms-peers-unknown", Category::ThresholdNetwork, Severity::Warning, Level::Two)
        .about(Subject::new("endpoint", &health.pod.0, "kms-core"))
        .title("the core does not say which peers it reaches")
        .meaning("The core waits for each peer as long as its network timeout. One peer that swallows packets makes it answer later than anyone asks, and hides the state of all others.")
        .seen_in([health.at_contexts().evidence(excerpt)])
        .because(why)
        .confidence(if timed_out { 0.7 } else { 0.5 })
        .reaches(core_pods(facts, health))
        .reaches(swallowing_peers(facts, health))
        .remedy([
            "Ask again with a deadline beyond the network timeout, which names the peer: casefile collect --set grpc_timeout=320s --item-timeout 11m --timeout 15m --only 'grpc/*'".to_owned(),
            format!("Look for an error of GetHealthStatus in the core's log: kubectl -n {} logs -l app=kms-core -c kms-core --tail 200", health.pod.0),
        ])
}

/// Peers that swallow packets, as seen from here: each of them makes the core wait.
fn swallowing_peers(facts: &Facts, health: &Health) -> Vec<Subject> {
    let probes = facts.probes.iter().filter(|p| p.pod.0 == health.pod.0 && !p.own && p.verdict == "black-holed");
    probes.map(|p| peer_subject(facts, &p.host)).collect()
}

/// The causes that the answers to clients hide.
fn failed_requests(facts: &Facts, health: &Health) -> Draft {
    let failed = &health.failed_requests;
    let seen = failed.iter().take(5).map(|r| health.at(&r.id).evidence(&format!("{} {}: {}", r.store, r.id, r.error)));
    Draft::new("kms-requests-failed", Category::Performance, Severity::Warning, Level::Two)
        .about(Subject::new("endpoint", &health.pod.0, "kms-core"))
        .title(format!("{} request{} failed: {}", failed.len(), if failed.len() == 1 { "" } else { "s" }, text::line(&failed[0].error, 140)))
        .meaning("Clients see a masked error only. The core remembers the cause until it forgets the request.")
        .seen_in(seen)
        .because("ListRequests of the core shows them as FAILED, with the cause")
        .confidence(0.6)
        .reaches(core_pods(facts, health))
        .remedy([format!("Look for the id of the request in the core's log: kubectl -n {} logs -l app=kms-core -c kms-core --tail=-1 | grep {}", health.pod.0, failed[0].id)])
}

/// The pods that serve what was asked.
fn core_pods(facts: &Facts, health: &Health) -> Vec<Subject> {
    facts
        .pods
        .values()
        .filter(|p| p.key.0 == health.pod.0)
        .filter(|p| {
            p.labels.get("app").is_some_and(|a| a == "kms-core")
                || p.labels.get("app.kubernetes.io/name").is_some_and(|a| a == "kms-core")
        })
        .map(crate::triage::facts::Pod::subject)
        .collect()
}

fn peers(facts: &Facts, health: &Health, network: &NetworkView, out: &mut Vec<Draft>) {
    let down: Vec<&Peer> = network.peers.iter().filter(|p| !p.reachable).collect();
    if down.is_empty() {
        return;
    }
    let all = network.peers.len() + 1;
    let too_few = network.status() == "unhealthy" || network.health == "Unhealthy";
    let names: Vec<String> = down.iter().map(|p| format!("{} ({})", p.id, p.error)).collect();
    let everyone = down.len() == network.peers.len();
    let mut draft = Draft::new(
        "kms-peers-unreachable",
        Category::ThresholdNetwork,
        if too_few { Severity::Critical } else { Severity::Warning },
        Level::Two,
    )
    .title(format!(
        "party {} reaches {} of {all} parties ({} are needed); not party {}",
        network.party,
        network.reachable,
        network.required,
        text::names(&names, 5)
    ))
    .meaning(if too_few {
        "Fewer parties than the threshold: nothing can be decrypted, and no key can be made."
    } else {
        "The network works with less reserve: each further party that is lost brings it nearer to the threshold, and some protocols wait for the missing ones until they time out."
    })
    .seen_in(down.iter().map(|p| health.at(&p.endpoint).evidence(&format!("peer {} at {}: reachable false, error {}", p.id, p.endpoint, p.error))))
    .because("the core's own health document says so; its logs and Kubernetes do not show it")
    .confidence(0.9)
    .same_when(format!("{} {}", health.pod.0, network.party))
    .reaches(core_pods(facts, health));
    for peer in &down {
        draft = draft.about(peer_subject(facts, &peer.endpoint));
    }
    draft = match down.len() {
        _ if everyone => draft.call(Who::OwnTeam),
        1..=3 => draft.call(Call::peers(down.iter().map(|p| p.id.to_string()))),
        // What takes many parties away at once is seldom the fault of each of them.
        _ => draft.call(Who::NetworkCoordinator),
    };
    if everyone {
        draft = draft.because("it reaches none of them, so the cause is rather here than there");
        draft = draft.remedy([
            format!("Check this party first: egress rules, DNS and its own certificate: kubectl -n {} get networkpolicies,services", health.pod.0),
        ]);
    } else {
        let parties = if down.len() == 1 { "party" } else { "parties" };
        draft = draft.remedy([format!("Ask the operators of {parties} {} whether their core runs", ids(&down))]);
    }
    let transport = down.iter().any(|p| p.error.contains("transport error"));
    draft = draft.remedy([
        format!("From this cluster, try each address: kubectl -n {} get services | grep mpc-node", health.pod.0),
        if transport {
            "\"transport error\" is what a stopped peer and a refused certificate have in common under TLS: look for TLS errors in the core's log on either side".to_owned()
        } else {
            "\"tcp connect error\" means refused, \"dns error\" a wrong name, a timeout a firewall or a process that hangs".to_owned()
        },
    ]);
    out.push(draft);
}

/// The service that stands for the peer in this cluster, or else its address.
fn peer_subject(facts: &Facts, endpoint: &str) -> Subject {
    let mut parts = endpoint.split('.');
    let key = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
    if facts.services.contains_key(&(key.1.clone(), key.0.clone())) {
        Subject::new("service", &key.1, &key.0)
    } else {
        Subject::new("peer", "", endpoint)
    }
}

fn ids(down: &[&Peer]) -> String {
    let ids: Vec<String> = down.iter().map(|p| p.id.to_string()).collect();
    text::names(&ids, 12)
}
