//! The configuration of a KMS core: what keeps it from starting, what is dangerous, and what differs from what runs.
//!
//! The running configuration is believed first, then the file that was rendered for the pod, then the ConfigMap. Numbers of parties
//! against the threshold are a rule of the profile (`kms/threshold-mismatch`).

mod drift;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::vaults::version_of;
use crate::triage::draft::Draft;
use crate::triage::facts::{Config, Facts, Key, Template};
use crate::triage::finding::{Category, Evidence, Level, Severity, Subject};
use crate::triage::{text, version};

/// Distance of these rules from the cause. What a log says about a start stands before what could be wrong with it.
pub(in crate::triage) const DEPTHS: [(&str, u8); 5] = [
    ("kms-config-unknown-key", 3),
    ("kms-config-peers", 3),
    ("kms-config-prefix", 1),
    ("kms-config-no-aws", 3),
    ("kms-config-unsafe", 4),
];
/// Names that a title shows.
const SHOWN: usize = 3;

/// One document of a pod, wherever it stands.
#[derive(Clone, Copy)]
enum Source<'a> {
    File(&'a Config),
    Map(&'a Template),
}

impl Source<'_> {
    fn value(&self) -> &Value {
        match self {
            Self::File(config) => &config.value,
            Self::Map(template) => &template.value,
        }
    }

    fn evidence(&self, path: &[&str]) -> Evidence {
        match self {
            Self::File(config) => config.evidence(path),
            Self::Map(template) => template.evidence(path),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(config) => config.file.clone(),
            Self::Map(template) => format!("{} of ConfigMap {}", template.file, template.key.1),
        }
    }
}

/// What is known of one core.
struct Core<'a> {
    pod: &'a Key,
    /// Whether its pod is ready, so that what would keep it from starting did not.
    ready: bool,
    version: String,
    running: Option<&'a Config>,
    rendered: Option<&'a Config>,
    maps: Vec<&'a Template>,
}

impl<'a> Core<'a> {
    fn draft(&self, rule: &str, category: Category, severity: Severity) -> Draft {
        Draft::new(rule, category, severity, Level::Two).about(Subject::new("pod", &self.pod.0, &self.pod.1))
    }

    /// How bad something is that keeps a core from starting.
    fn fatal(&self) -> Severity {
        if self.ready { Severity::Info } else { Severity::Critical }
    }

    /// The document that is believed.
    fn best(&self) -> Option<Source<'a>> {
        let file = self.running.or(self.rendered).map(Source::File);
        file.or_else(|| self.maps.iter().find(|m| m.value.get("service").is_some()).map(|m| Source::Map(m)))
    }

    /// The files as written, where what the server would refuse can stand.
    fn written(&self) -> Vec<Source<'a>> {
        self.rendered.map(Source::File).into_iter().chain(self.maps.iter().map(|m| Source::Map(m))).collect()
    }
}

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for core in cores(facts) {
        unknown(&core, out);
        peers(&core, out);
        prefixes(&core, out);
        no_aws(&core, out);
        dangerous(&core, out);
        limiter(&core, out);
        differences(&core, out);
    }
}

fn cores(facts: &Facts) -> Vec<Core<'_>> {
    let mut all: BTreeMap<&Key, Core<'_>> = BTreeMap::new();
    let core = |pod| Core {
        pod,
        ready: facts.pods.get(pod).is_none_or(crate::triage::facts::Pod::is_ready),
        version: version_of(facts, pod),
        running: None,
        rendered: None,
        maps: Vec::new(),
    };
    for config in facts.configs.iter().filter(|c| c.value.get("service").is_some()) {
        let core = all.entry(&config.pod).or_insert_with(|| core(&config.pod));
        if config.file.ends_with(".json") {
            core.running = Some(config);
        } else if config.file == "kms-server.toml" {
            core.rendered = Some(config);
        }
    }
    for (key, pod) in &facts.pods {
        if pod.labels.get("app").is_none_or(|app| app != "kms-core") {
            continue;
        }
        let maps: Vec<&Template> = facts
            .templates
            .iter()
            .filter(|t| t.key.0 == key.0 && pod.config_maps.contains(&t.key.1) && t.file != "kms-gen-keys.toml")
            .collect();
        if !maps.is_empty() {
            all.entry(key).or_insert_with(|| core(key)).maps = maps;
        }
    }
    all.into_values().collect()
}

fn unknown(core: &Core<'_>, out: &mut Vec<Draft>) {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    let mut evidence = Vec::new();
    for source in core.written() {
        for path in schema::unknown(source.value(), version::parse(&core.version)) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            keys.insert(path.join("."));
            evidence.push(source.evidence(&path));
        }
    }
    if keys.is_empty() {
        return;
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let version = if core.version.is_empty() { "its version".to_owned() } else { format!("version {}", core.version) };
    let mut draft = core
        .draft("kms-config-unknown-key", Category::Configuration, core.fatal())
        .title(format!(
            "the configuration of {{who}} has keys that {version} does not know: {}",
            text::names(&keys, SHOWN)
        ))
        .meaning("The server refuses to start with a key that it does not know.")
        .seen_in(evidence)
        .confidence(0.8)
        .remedy([
            "Remove the key, or use the image that the chart was made for: chart and image must be of one release",
        ]);
    if core.ready {
        draft = draft.because("the core runs now, so it started before the key came in; it will not start again");
    }
    out.push(draft);
}

fn peers(core: &Core<'_>, out: &mut Vec<Draft>) {
    let Some(source) = core.best() else { return };
    let Some(threshold) = source.value().get("threshold").filter(|t| t.is_object()) else { return };
    let Some(peers) = threshold.get("peers").and_then(Value::as_array).filter(|p| !p.is_empty()) else { return };
    let count = i64::try_from(peers.len()).unwrap_or(i64::MAX);
    let id = |peer: &Value| peer.get("party_id").and_then(Value::as_i64);
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, party) in peers.iter().enumerate().filter_map(|(i, p)| Some((i, id(p)?))) {
        let at = index.to_string();
        let at = ["threshold", "peers", at.as_str(), "party_id"];
        if !seen.insert(party) {
            problems.push((format!("party {party} is listed twice"), source.evidence(&at)));
        } else if party < 1 || party > count {
            problems
                .push((format!("party {party} of {count} cannot be: ids go from 1 to {count}"), source.evidence(&at)));
        }
    }
    let own = threshold.get("my_id").and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
    if let Some(own) = own.filter(|own| *own > 0 && !seen.contains(own)) {
        let text = format!("its own id {own} is not among the peers");
        problems.push((text, source.evidence(&["threshold", "my_id"])));
    }
    if problems.is_empty() {
        return;
    }
    let texts: Vec<String> = problems.iter().map(|(text, _)| text.clone()).collect();
    let confirmed = core.running.is_some();
    out.push(
        core.draft("kms-config-peers", Category::Configuration, if confirmed { Severity::Critical } else { core.fatal() })
            .title(format!("the list of peers of {{who}} is wrong: {}", text::names(&texts, SHOWN)))
            .meaning("A core that is not in its own list starts, says that it is healthy, and takes part in nothing. One with an id twice does not start.")
            .seen_in(problems.into_iter().map(|(_, evidence)| evidence))
            .remedy([
                "Compare peersList and KMS_CORE__THRESHOLD__MY_ID with the list that the network's coordinator gave to all parties",
            ]),
    );
}

fn prefixes(core: &Core<'_>, out: &mut Vec<Draft>) {
    let Some(source) = core.best() else { return };
    let kinds = [("public_vault", "PUB"), ("private_vault", "PRIV"), ("backup_vault", "BACKUP")];
    let mut problems = Vec::new();
    for (vault, _) in kinds {
        for kind in ["s3", "file"] {
            let Some(prefix) =
                source.value().pointer(&format!("/{vault}/storage/{kind}/prefix")).and_then(Value::as_str)
            else {
                continue;
            };
            let evidence = || source.evidence(&[vault, "storage", kind, "prefix"]);
            if prefix.len() > 1 && prefix.ends_with('/') {
                problems.push((format!("the prefix of {vault} ends with a slash, so names get two"), evidence()));
            }
            let other = kinds.iter().find(|(other, begin)| {
                let rest = prefix.strip_prefix(begin);
                *other != vault && rest.is_some_and(|r| r.is_empty() || r.starts_with(['-', '/', '_']))
            });
            if let Some((other, _)) = other {
                problems.push((format!("{vault} has the prefix {prefix} of {other}"), evidence()));
            }
        }
    }
    if problems.is_empty() {
        return;
    }
    let texts: Vec<String> = problems.iter().map(|(text, _)| text.clone()).collect();
    out.push(
        core.draft("kms-config-prefix", Category::Configuration, Severity::Warning)
            .title(format!("the vaults of {{who}} have wrong prefixes: {}", text::names(&texts, SHOWN)))
            .meaning("With a prefix of another kind the core does not start. With a slash at the end the other parties look for its certificate and keys under another name.")
            .seen_in(problems.into_iter().map(|(_, evidence)| evidence))
            .remedy([
                "Write prefixes without a slash at the end, PUB-p<id>, PRIV-p<id> and BACKUP-p<id>",
                "What was written under the wrong prefix has to be copied to the right one before the core starts with it",
            ]),
    );
}

fn no_aws(core: &Core<'_>, out: &mut Vec<Draft>) {
    let Some(source) = core.best() else { return };
    let value = source.value();
    let wants = |vault: &str| {
        let vault = value.get(vault);
        vault.is_some_and(|v| {
            v.pointer("/storage/s3").is_some_and(Value::is_object)
                || v.pointer("/keychain/aws_kms").is_some_and(Value::is_object)
        })
    };
    let Some(vault) = ["public_vault", "private_vault", "backup_vault"].into_iter().find(|v| wants(v)) else { return };
    let elsewhere = matches!(source, Source::Map(_)) && core.maps.iter().any(|m| m.value.get("aws").is_some());
    if elsewhere || value.get("aws").is_some_and(Value::is_object) {
        return;
    }
    out.push(
        core.draft("kms-config-no-aws", Category::Configuration, core.fatal())
            .title(format!("{{who}} keeps its {vault} with AWS, and {} has no [aws] section", source.name()))
            .meaning("The server ends at its start: `AWS configuration must be provided`.")
            .seen_in([source.evidence(&[vault])])
            .remedy(["Add [aws] with the region of the buckets"]),
    );
}

/// Settings for development.
fn dangerous(core: &Core<'_>, out: &mut Vec<Draft>) {
    let Some(source) = core.best() else { return };
    let value = source.value();
    if value.get("mock_enclave").and_then(Value::as_bool) == Some(true) {
        out.push(
            core.draft("kms-config-unsafe", Category::Security, Severity::Critical)
                .title("{who} runs with mock_enclave = true")
                .meaning("It only pretends to run in an enclave: the attestation that the other parties rely on is made up.")
                .seen_in([source.evidence(&["mock_enclave"])])
                .same_when("mock")
                .remedy(["Remove mock_enclave, and find out since when it was there: what the party did meanwhile was not protected"]),
        );
    }
    let threshold = value.get("threshold").filter(|t| t.is_object());
    // A ConfigMap may leave a section to another file.
    if let (Some(threshold), Source::File(_)) = (threshold, source)
        && threshold.get("tls").is_none_or(Value::is_null)
    {
        out.push(
            core.draft("kms-config-unsafe", Category::Security, Severity::Warning)
                .title("{who} talks to the other parties without TLS: [threshold.tls] is missing")
                .meaning("Shares of secrets cross the network in the clear, and nobody proves who he is.")
                .seen_in([source.evidence(&["threshold"])])
                .same_when("tls")
                .confidence(0.8)
                .remedy(["Configure threshold.tls.auto in an enclave, threshold.tls.manual elsewhere; agree on the moment with all parties"]),
        );
    }
}

/// A request that needs the whole bucket excludes all others.
fn limiter(core: &Core<'_>, out: &mut Vec<Draft>) {
    let Some(source) = core.best() else { return };
    let Some(limits) = source.value().get("rate_limiter_conf") else { return };
    let get = |key: &str| limits.get(key).and_then(Value::as_i64);
    let Some(size) = get("bucket_size").filter(|s| *s > 0) else { return };
    for key in ["preproc", "keygen", "crsgen", "new_epoch", "user_decrypt", "pub_decrypt"] {
        let Some(cost) = get(key).filter(|cost| *cost > size) else { continue };
        out.push(
            core.draft("kms-config-limiter", Category::Configuration, Severity::Warning)
                .title(format!("{{who}} can never serve {key}: it costs {cost} tokens, and the bucket holds {size}"))
                .meaning("Every such request is refused with resource_exhausted. All parties must have the same costs.")
                .seen_in([source.evidence(&["rate_limiter_conf", key])])
                .same_when(key)
                .remedy([
                    "Use the same rate_limiter_conf as the other parties, with a bucket that holds the largest cost",
                ]),
        );
    }
}

fn differences(core: &Core<'_>, out: &mut Vec<Draft>) {
    let mut told = |what: &str, from: Source<'_>, to: &Config, why: &str| {
        let found = drift::differences(from.value(), &to.value);
        let Some((key, _, _)) = found.first() else { return };
        let shown: Vec<String> = found.iter().map(|(key, a, b)| format!("{key} ({a} there, {b} here)")).collect();
        let path: Vec<&str> = key.split('.').collect();
        out.push(
            core.draft("kms-config-drift", Category::Configuration, Severity::Info)
                .title(format!("{what} of {{who}}: {}", text::names(&shown, SHOWN)))
                .meaning(why)
                .seen_in([from.evidence(&path), to.evidence(&path)])
                .same_when(what)
                .remedy([
                    "If the difference is not meant: restart the core after the configuration is right everywhere",
                ]),
        );
    };
    if let (Some(rendered), Some(running)) = (core.rendered, core.running) {
        told(
            "the running configuration differs from the rendered file",
            Source::File(rendered),
            running,
            "Environment variables override the file, and the file is rendered anew with every start of the pod only.",
        );
    }
    for map in &core.maps {
        if let Some(file) = core.rendered.or(core.running) {
            told(
                "the configuration differs from the ConfigMap",
                Source::Map(map),
                file,
                "The ConfigMap was changed after the pod started; the next start takes the change.",
            );
        }
    }
}
