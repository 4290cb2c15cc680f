//! What one bundle says about its own party.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bundle::{Store, StoreError, format};
use crate::model::Manifest;
use crate::model::time::Timestamp;
use crate::triage::facts::{self, Facts};
use crate::triage::finding::{Evidence, Finding, Place, Severity, Status, Triage};
use crate::triage::rules::Rulebook;
use crate::triage::text;

/// Largest document that is read for one fact.
const DOCUMENT_MAX: u64 = 16 << 20;
/// Objects of a vault that are compared.
const OBJECTS_MAX: usize = 20_000;
/// Characters of a value that is shown.
const VALUE_MAX: usize = 200;

/// One value with the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) value: String,
    pub(super) at: Evidence,
}

/// How a party sees one of its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) reachable: bool,
    pub(super) error: String,
    pub(super) at: Evidence,
}

/// One party, as its own bundle shows it.
#[derive(Debug, Clone)]
pub struct Party {
    /// Name of the bundle, for people.
    pub(super) label: String,
    /// Its id in the network; none when the bundle does not say.
    pub(super) id: Option<String>,
    pub(super) profile: String,
    pub(super) status: Status,
    /// Title of its own root cause, with its severity.
    pub(super) trouble: Option<(String, Severity)>,
    pub(super) finished: Timestamp,
    /// Clock of its cluster minus that of the machine that collected, and how exact that is, in milliseconds.
    pub(super) clock: Option<(i64, i64)>,
    /// Which key redacted the bundle, where it says so.
    pub(super) key: Option<String>,
    /// Whether names and addresses in it are pseudonyms.
    pub(super) pseudonyms: bool,
    pub(super) version: Option<Said>,
    pub(super) threshold: Option<Said>,
    /// Identity of each party by its own peer list, by id.
    pub(super) peers: BTreeMap<String, Said>,
    /// Fingerprint of the certificate that it holds for each party.
    pub(super) certificates: BTreeMap<String, Said>,
    pub(super) limits: Option<Said>,
    /// Peers by id.
    pub(super) reaches: BTreeMap<String, Sight>,
    pub(super) contexts: BTreeMap<String, Evidence>,
    pub(super) epochs: BTreeMap<String, Evidence>,
    pub(super) keys: BTreeMap<String, Evidence>,
    /// Size of each public object that all parties should have alike, by its name.
    pub(super) material: BTreeMap<String, Said>,
    /// What is known at all of the sets above.
    pub(super) knows_epochs: bool,
    pub(super) knows_keys: bool,
}

impl Party {
    /// Reads one bundle: its own triage, and what it says about its party. `label` names the bundle.
    ///
    /// # Errors
    /// When the bundle itself cannot be read.
    pub fn read(
        store: &dyn Store,
        manifest: &Manifest,
        book: &Rulebook,
        label: &str,
    ) -> Result<(Triage, Self), StoreError> {
        let facts = facts::load(store, manifest, book.signatures.clone())?;
        let triage = crate::triage::judge(&facts, store, manifest, book);
        let (key, pseudonyms) = redaction(store);
        let mut party = Self {
            label: text::line(label, VALUE_MAX),
            id: None,
            profile: manifest.profile.clone(),
            status: triage.status,
            trouble: triage.root().map(|r: &Finding| (r.title.clone(), r.severity)),
            finished: manifest.finished,
            clock: (manifest.clocks.iter())
                .find(|c| c.source == "kube-apiserver")
                .map(|c| (c.offset_ms, c.uncertainty_ms)),
            key,
            pseudonyms,
            version: None,
            threshold: None,
            peers: BTreeMap::new(),
            certificates: BTreeMap::new(),
            limits: None,
            reaches: BTreeMap::new(),
            contexts: BTreeMap::new(),
            epochs: BTreeMap::new(),
            keys: BTreeMap::new(),
            material: BTreeMap::new(),
            knows_epochs: false,
            knows_keys: false,
        };
        party.of_configuration(&facts);
        party.of_logs(&facts);
        party.of_health(&facts);
        party.of_probes(&facts);
        party.of_answers(&facts);
        party.of_documents(store);
        if let Some(id) = manifest.parameters.get("party_id") {
            party.id = Some(id.clone());
        }
        Ok((triage, party))
    }

    /// Whether the bundle says which party of a network it is of, so that it can be compared.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.profile == "kms" && self.id.is_some()
    }

    /// Its id, or else the name of its bundle.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.label)
    }

    /// For sorting: by number where the id is one.
    pub(super) fn number(&self) -> u64 {
        self.id.as_deref().and_then(|id| id.parse().ok()).unwrap_or(u64::MAX)
    }

    /// A place in its bundle, which is one of several.
    fn at(&self, path: &str, place: Place, excerpt: &str) -> Evidence {
        Evidence { path: format!("{}/{path}", self.label), place, excerpt: text::line(excerpt, text::EXCERPT) }
    }

    fn said(&self, path: &str, place: Place, value: &str) -> Said {
        let value = text::line(value, VALUE_MAX);
        Said { at: self.at(path, place, &value), value }
    }

    fn of_configuration(&mut self, facts: &Facts) {
        for config in &facts.configs {
            let Some(threshold) = config.value.get("threshold").filter(|t| t.is_object()) else { continue };
            let at = |pointer: &str, excerpt: &str| self.at(&config.path, place_of(&config.path, pointer), excerpt);
            let said = |pointer: &str, value: String| Said { at: at(pointer, &value), value };
            let id = threshold.get("my_id").and_then(number).filter(|n| *n > 0);
            let mut peers = BTreeMap::new();
            let mut certificates = BTreeMap::new();
            for (i, peer) in threshold.get("peers").and_then(Value::as_array).into_iter().flatten().enumerate() {
                let Some(id) = peer.get("party_id").and_then(number) else { continue };
                let field = |name: &str| peer.get(name).and_then(Value::as_str).filter(|v| !v.is_empty());
                let identity = field("mpc_identity").or_else(|| field("address")).unwrap_or_default();
                let verification = field("verification_address").map(|a| format!(", {a}")).unwrap_or_default();
                let pointer = format!("/threshold/peers/{i}");
                let value = text::line(&format!("{identity}{verification}"), VALUE_MAX);
                peers.insert(id.to_string(), said(&pointer, value));
                if let Some(print) = peer.pointer("/tls_cert/pem").and_then(Value::as_str).and_then(fingerprint) {
                    certificates.insert(id.to_string(), said(&pointer, print));
                }
            }
            let t = threshold.get("threshold").and_then(number);
            let stated =
                t.map(|t| said("/threshold", format!("t={t}, n={}", peers.len()))).filter(|_| !peers.is_empty());
            let limits = config.value.get("rate_limiter_conf").filter(|l| l.is_object());
            let limits = limits.map(|l| said("/rate_limiter_conf", text::line(&l.to_string(), VALUE_MAX)));
            // The running configuration and the rendered file say the same, or the single triage says that they differ.
            self.id = self.id.take().or_else(|| id.map(|n| n.to_string()));
            self.threshold = self.threshold.take().or(stated);
            self.limits = self.limits.take().or(limits);
            if self.peers.is_empty() {
                self.peers = peers;
            }
            for (id, certificate) in certificates {
                self.certificates.entry(id).or_insert(certificate);
            }
        }
    }

    fn of_logs(&mut self, facts: &Facts) {
        for log in facts.logs.values().filter(|l| !l.said.is_empty()) {
            let get = |name: &str| log.said.get(name).cloned();
            let said = |value: String| self.said(log.path(), Place::Line(1), &value);
            let version = get("version").map(said);
            let threshold = get("threshold").zip(get("parties")).map(|(t, n)| format!("t={t}, n={n}")).map(said);
            let at = self.at(log.path(), Place::Line(1), "said at the start");
            self.version = self.version.take().or(version);
            self.threshold = self.threshold.take().or(threshold);
            self.id = self.id.take().or_else(|| get("party"));
            if let Some(context) = get("context") {
                self.contexts.insert(context, at.clone());
            }
            if let Some(epoch) = get("epoch") {
                self.knows_epochs = true;
                self.epochs.insert(epoch, at);
            }
        }
    }

    fn of_health(&mut self, facts: &Facts) {
        let mut best = facts.health.iter().filter(|h| facts.is_best_health(h));
        let Some((health, contexts)) = best.find_map(|h| Some((h, h.contexts.as_ref().filter(|c| !c.is_empty())?)))
        else {
            return;
        };
        for context in contexts {
            if context.party > 0 {
                self.id.get_or_insert_with(|| context.party.to_string());
            }
            for peer in &context.peers {
                let at = health.at(&peer.endpoint).evidence(&format!(
                    "peer {} at {}: {}",
                    peer.id,
                    peer.endpoint,
                    if peer.reachable { "reachable" } else { peer.error.as_str() }
                ));
                let at = Evidence { path: format!("{}/{}", self.label, at.path), ..at };
                let sight = Sight { reachable: peer.reachable, error: text::line(&peer.error, VALUE_MAX), at };
                // One context in which a peer is gone is enough.
                let known = self.reaches.entry(peer.id.to_string()).or_insert_with(|| sight.clone());
                if !sight.reachable {
                    *known = sight;
                }
            }
        }
    }

    /// What was tried from where the bundle was collected, for peers of which no health document speaks: that is another place than
    /// the core, so the core's own word comes first.
    fn of_probes(&mut self, facts: &Facts) {
        let probes = || facts.probes.iter().filter(|p| !p.own && !p.id.is_empty());
        // A place from which nobody is reached shows that place and not the core.
        let place_is_fine = probes().any(|p| p.verdict == "reachable");
        for probe in probes() {
            // Inside of the pod is where the core is. A name that only the cluster knows says nothing from outside of it.
            let reachable = match (probe.inside_connected, probe.verdict.as_str()) {
                (Some(connected), _) => connected,
                (None, "reachable") => true,
                (None, "refused" | "black-holed" | "unreachable" | "not-resolved") if place_is_fine => false,
                (None, _) => continue,
            };
            let error = if reachable { String::new() } else { text::line(&probe.verdict, VALUE_MAX) };
            let said = if reachable { "reachable" } else { error.as_str() };
            let at = probe.at.evidence(&format!("peer {} at {}:{}: {said}", probe.id, probe.host, probe.port));
            let at = Evidence { path: format!("{}/{}", self.label, at.path), ..at };
            self.reaches.entry(probe.id.clone()).or_insert(Sight { reachable, error, at });
        }
    }

    fn of_answers(&mut self, facts: &Facts) {
        let answer = facts.answers.iter().find(|a| a.id == "version" && !a.body.is_empty());
        let metric = || {
            let samples = facts.scrapes.iter().flat_map(|s| s.samples.iter().map(move |m| (s, m)));
            samples.filter(|(_, m)| m.name == "kms_version").find_map(|(s, m)| {
                Some(self.said(&s.path, Place::Line(m.line), m.labels.get("version").filter(|v| !v.is_empty())?))
            })
        };
        let version = answer.map(|a| self.said(&a.path, Place::Line(1), a.body.trim())).or_else(metric);
        self.version = version.or(self.version.take());
    }

    /// Key ids of health documents, and names and sizes of stored objects.
    fn of_documents(&mut self, store: &dyn Store) {
        for entry in store.entries() {
            let path = entry.path.as_str();
            let health = path.starts_with("health/")
                && ["/kms-health-check.txt", "/kms-health-check-local.txt", "/grpc.json"]
                    .iter()
                    .any(|end| path.ends_with(end));
            let vault = path.starts_with("storage/") && path.ends_with(".json");
            if !(health || vault) {
                continue;
            }
            let Ok(bytes) = store.read(path, DOCUMENT_MAX) else { continue };
            let Some(document) = document(&bytes) else { continue };
            if health {
                // An empty list is an answer, too.
                let Some(keys) = key_ids(&document) else { continue };
                self.knows_keys = true;
                for key in keys {
                    let at = self.at(path, Place::Line(1), &format!("key {key}"));
                    self.keys.entry(key).or_insert(at);
                }
            } else if document.get("fault").is_none_or(Value::is_null) {
                self.of_vault(path, &document);
            }
        }
    }

    fn of_vault(&mut self, path: &str, document: &Value) {
        let private = path.ends_with("/private.json");
        let public = path.ends_with("/public.json");
        let whole = document.get("complete").and_then(Value::as_bool).unwrap_or(false);
        self.knows_epochs |= private && whole;
        for object in document.get("objects").and_then(Value::as_array).into_iter().flatten().take(OBJECTS_MAX) {
            let Some(name) = object.get("name").and_then(Value::as_str) else { continue };
            let size = object.get("size").and_then(Value::as_i64).unwrap_or_default();
            let at = |excerpt: &str| self.at(path, Place::Line(1), excerpt);
            let parts: Vec<&str> = name.split('/').collect();
            match parts.as_slice() {
                ["EpochData" | "PrssSetupCombined", epoch] if private && is_id(epoch) && size > 0 => {
                    let at = at(&format!("{name}, {size} bytes"));
                    self.epochs.entry((*epoch).to_owned()).or_insert(at);
                }
                ["Context", context] if private && is_id(context) => {
                    let at = at(name);
                    self.contexts.entry((*context).to_owned()).or_insert(at);
                }
                ["PublicKey" | "ServerKey" | "CompressedXofKeySet" | "CRS", id] if public && is_id(id) => {
                    let value = format!("{size} bytes");
                    let at = at(&format!("{name}, {value}"));
                    self.material.insert(name.to_owned(), Said { value, at });
                }
                _ => {}
            }
        }
    }

    /// All ids that it knows of one kind, sorted.
    pub(super) fn ids(set: &BTreeMap<String, Evidence>) -> BTreeSet<&str> {
        set.keys().map(String::as_str).collect()
    }
}

/// A pointer into JSON, or the beginning of a file of another kind.
fn place_of(path: &str, pointer: &str) -> Place {
    if path.ends_with(".json") { Place::Pointer(pointer.to_owned()) } else { Place::Line(1) }
}

/// 64 hex digits.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The first 16 digits of the SHA-256 of a certificate, whatever its line ends.
fn fingerprint(pem: &str) -> Option<String> {
    let body: String =
        pem.lines().filter(|l| !l.starts_with("-----")).flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    if !pem.contains("CERTIFICATE") || body.is_empty() {
        return None;
    }
    let digest = Sha256::digest(body.as_bytes());
    Some(digest.iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// JSON, also behind lines of a tool that prints it.
fn document(bytes: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some(value);
    }
    let content = String::from_utf8_lossy(bytes);
    let at = if content.starts_with("{\n") { 0 } else { content.find("\n{\n")? + 1 };
    serde_json::Deserializer::from_str(content.get(at..)?).into_iter().next()?.ok()
}

/// Ids of keys in either form of health document; none where it could not list them.
fn key_ids(document: &Value) -> Option<Vec<String>> {
    let ids =
        |list: &Value| list.as_array().map(|ids| ids.iter().filter_map(|i| i.as_str().map(str::to_owned)).collect());
    if let Some(material) = document.get("key_material") {
        return material.get("available")?.as_bool()?.then(|| material.get("fhe_key_ids")).flatten().and_then(ids);
    }
    let calls = document.get("calls")?.as_array()?;
    calls.iter().find_map(|c| c.pointer("/response/fheKeyIds")).and_then(ids)
}

/// Which key redacted the bundle, where it says so, and whether names were replaced by pseudonyms, which look like names.
fn redaction(store: &dyn Store) -> (Option<String>, bool) {
    let report = store.read(format::REDACTION, DOCUMENT_MAX).ok();
    let report: Value = report.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let key = report.get("key_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let names = report.get("pseudonyms").and_then(Value::as_object).is_some_and(|kinds| !kinds.is_empty());
    (key.map(str::to_owned), names)
}
