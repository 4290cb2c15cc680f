//! What triage says about the configuration of a KMS core, and what redaction leaves of it.

use casefile::bundle::overlay::MemStore;
use casefile::redact::{CorrelationKey, Format, Redactor};
use casefile::triage::{self, Finding, Place, Severity, manifest_of};
use serde_json::{Value, json};

/// A configuration that starts, as a chart renders it.
const RENDERED: &str = r#"[service]
listen_address = "0.0.0.0"
listen_port = 50100

[rate_limiter_conf]
bucket_size = 50000
preproc = 50000

[threshold]
listen_address = "0.0.0.0"
listen_port = 50001
my_id = 1
threshold = 1
decryption_mode = "NoiseFloodSmall"

[threshold.tls.manual]
cert.path = "./ca_pem_1"
key.path = "./key_pem"

[[threshold.peers]]
party_id = 1
address = "mpc-node-1.kms.test"
port = 50001
tls_cert.path = "./ca_pem_1"

[[threshold.peers]]
party_id = 2
address = "mpc-node-2.kms.test"
port = 50001
tls_cert.path = "./ca_pem_2"

[[threshold.peers]]
party_id = 3
address = "mpc-node-3.kms.test"
port = 50001
tls_cert.path = "./ca_pem_3"

[[threshold.peers]]
party_id = 4
address = "mpc-node-4.kms.test"
port = 50001
tls_cert.path = "./ca_pem_4"

[threshold.core_to_core_net]
multiplier = 2.0
network_timeout = 300

[aws]
region = "eu-west-1"

[public_vault.storage.s3]
bucket = "mpc-vault-public"
prefix = "PUB-p1"

[private_vault.storage.s3]
bucket = "mpc-vault-private"
prefix = "PRIV-p1"

[private_vault.keychain.aws_kms]
root_key_id = "arn:aws:kms:eu-west-1:123456789012:key/5d0b1d0e-8f8b-4a53-9c2a-2f3f8a1d6e77"
root_key_spec = "symm"
"#;

/// A core with one configuration file.
struct Core {
    store: MemStore,
}

impl Core {
    fn new(version: &str, ready: bool, rendered: &str) -> Self {
        let mut store = MemStore::default();
        store.insert("config/n/core-1/kms-server.toml".to_owned(), rendered.as_bytes().to_vec());
        let status = if ready { "True" } else { "False" };
        let pods = json!({"kind": "PodList", "apiVersion": "v1", "items": [{
            "metadata": {"name": "core-1", "namespace": "n", "creationTimestamp": "2026-11-02T09:00:00Z", "labels": {"app": "kms-core"}},
            "spec": {
                "containers": [{"name": "kms-core", "image": format!("hub/kms/core-service:{version}")}],
                "volumes": [{"name": "c", "configMap": {"name": "core-config"}}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}}]});
        store.insert("cluster-resources/pods/n.json".to_owned(), serde_json::to_vec(&pods).unwrap());
        Self { store }
    }

    fn running(mut self, config: &Value) -> Self {
        let text = serde_json::to_vec(&Value::String(config.to_string())).unwrap();
        self.store.insert("config/n/core-1/running-config.json".to_owned(), text);
        self
    }

    fn map(mut self, content: &str) -> Self {
        let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "items": [{
            "metadata": {"name": "core-config", "namespace": "n", "creationTimestamp": "2026-11-02T09:00:00Z"},
            "data": {"kms-server.toml": content}}]});
        self.store.insert("cluster-resources/configmaps/n.json".to_owned(), serde_json::to_vec(&list).unwrap());
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let (manifest, _) = manifest_of(&self.store, Some("kms")).unwrap();
        let all = triage::run(&self.store, &manifest).unwrap().findings;
        all.into_iter().filter(|f| f.rule.starts_with("kms-config")).collect()
    }

    fn only(&self) -> Finding {
        let mut findings = self.findings();
        assert_eq!(findings.len(), 1, "{:?}", findings.iter().map(|f| (&f.rule, &f.title)).collect::<Vec<_>>());
        findings.remove(0)
    }
}

/// The number of the line that holds this text.
fn line(text: &str, what: &str) -> Place {
    Place::Line(text.lines().zip(1..).find(|(line, _)| line.contains(what)).unwrap().1)
}

fn with(from: &str, to: &str) -> String {
    assert!(RENDERED.contains(from), "{from}");
    RENDERED.replacen(from, to, 1)
}

#[test]
fn a_configuration_that_starts_is_silent_in_every_version() {
    for version in ["v0.12.1", "v0.13.22", "v0.14.1-0", "v0.15.0-0", "latest"] {
        assert!(Core::new(version, true, RENDERED).findings().is_empty(), "{version}");
    }
}

#[test]
fn keys_that_a_version_does_not_know_are_named_with_their_line() {
    let redis =
        with("[threshold.core_to_core_net]", "[threshold.preproc_redis]\nhost = \"x\"\n\n[threshold.core_to_core_net]");
    let found = Core::new("v0.15.0-0", false, &redis).only();
    assert_eq!((found.rule.as_str(), found.severity), ("kms-config-unknown-key", Severity::Critical));
    assert!(found.title.contains("threshold.preproc_redis") && found.title.contains("0.15.0-0"), "{}", found.title);
    assert_eq!(found.evidence[0].path, "config/n/core-1/kms-server.toml");
    assert_eq!(found.evidence[0].place, line(&redis, "preproc_redis"));
    // A core that runs with it has not started again yet; and its own version knows it.
    assert_eq!(Core::new("v0.15.0-0", true, &redis).only().severity, Severity::Info);
    assert!(Core::new("v0.14.1-0", false, &redis).findings().is_empty());
    let typing = with("my_id = 1", "my_id = 1\nmy_idd = 1");
    assert!(Core::new("v0.14.1-0", false, &typing).only().title.contains("threshold.my_idd"));
    let legacy = with("my_id = 1", "my_id = 1\nlegacy_prss_mask_before_user_decrypt_id = 5");
    assert!(Core::new("v0.13.22", false, &legacy).findings().is_empty());
    assert!(Core::new("v0.15.0", false, &legacy).only().title.contains("legacy_prss_mask"));
}

#[test]
fn the_list_of_peers_is_checked() {
    for (from, to, says, at) in [
        ("party_id = 3", "party_id = 2", "party 2 is listed twice", "address = \"mpc-node-3"),
        ("my_id = 1", "my_id = 7", "its own id 7 is not among the peers", ""),
        ("party_id = 4", "party_id = 9", "party 9 of 4 cannot be", ""),
    ] {
        let text = with(from, to);
        let found = Core::new("v0.15.0", false, &text).only();
        assert_eq!((found.rule.as_str(), found.severity), ("kms-config-peers", Severity::Critical), "{to}");
        assert!(found.title.contains(says), "{}", found.title);
        if !at.is_empty() {
            let Place::Line(next) = line(&text, at) else { panic!("no line") };
            assert_eq!(found.evidence[0].place, Place::Line(next - 1));
        }
    }
    // The running configuration says that the core is out of its network, whatever its probes say.
    let mut running: Value = toml::from_str(RENDERED).unwrap();
    running["threshold"]["my_id"] = 7.into();
    let found = Core::new("v0.15.0", true, &with("my_id = 1", "my_id = 7")).running(&running).only();
    assert_eq!(found.severity, Severity::Critical);
    assert_eq!(found.evidence[0].place, Place::Pointer("/threshold/my_id".to_owned()));
}

#[test]
fn prefixes_belong_to_their_vault_and_have_no_slash() {
    let swapped = with("prefix = \"PUB-p1\"", "prefix = \"PRIV-p1\"");
    let found = Core::new("v0.15.0", true, &swapped).only();
    assert!(
        found.rule == "kms-config-prefix"
            && found.title.contains("public_vault has the prefix PRIV-p1 of private_vault"),
        "{}",
        found.title
    );
    assert_eq!(found.evidence[0].place, line(&swapped, "prefix = \"PRIV-p1\""));
    let slash = with("prefix = \"PUB-p1\"", "prefix = \"PUB-p1/\"");
    assert!(Core::new("v0.15.0", true, &slash).only().title.contains("ends with a slash"));
    assert!(Core::new("v0.15.0", true, &with("prefix = \"PUB-p1\"", "prefix = \"\"")).findings().is_empty());
}

#[test]
fn settings_of_development_and_missing_sections_are_told() {
    let no_aws = with("[aws]\nregion = \"eu-west-1\"\n", "");
    let found = Core::new("v0.15.0", false, &no_aws).only();
    assert_eq!((found.rule.as_str(), found.severity), ("kms-config-no-aws", Severity::Critical));
    let mock = format!("mock_enclave = true\n{RENDERED}");
    let found = Core::new("v0.15.0", true, &mock).only();
    assert_eq!(
        (found.rule.as_str(), found.severity, &found.evidence[0].place),
        ("kms-config-unsafe", Severity::Critical, &Place::Line(1))
    );
    let plain = with("[threshold.tls.manual]\ncert.path = \"./ca_pem_1\"\nkey.path = \"./key_pem\"\n", "");
    let found = Core::new("v0.15.0", true, &plain).only();
    assert!(found.title.contains("without TLS") && found.severity == Severity::Warning, "{}", found.title);
    let never = with("preproc = 50000", "preproc = 60000");
    assert!(Core::new("v0.15.0", true, &never).only().title.contains("can never serve preproc"));
}

#[test]
fn differences_between_map_file_and_process_are_told() {
    let mut running: Value = toml::from_str(RENDERED).unwrap();
    running["threshold"]["core_to_core_net"]["network_timeout"] = 120.into();
    running["threshold"]["tls"] = json!({"manual": {}});
    let found = Core::new("v0.15.0", true, RENDERED).running(&running).only();
    assert_eq!((found.rule.as_str(), found.severity), ("kms-config-drift", Severity::Info));
    assert!(
        found.title.contains("threshold.core_to_core_net.network_timeout (300 there, 120 here)"),
        "{}",
        found.title
    );
    assert_eq!(found.evidence[0].place, line(RENDERED, "network_timeout"));
    let template = RENDERED.replace("my_id = 1", "my_id = ${KMS_CORE__THRESHOLD__MY_ID}").replace("= 300", "= 301");
    let found = Core::new("v0.15.0", true, RENDERED).map(&template).findings();
    let drift = found.iter().find(|f| f.rule == "kms-config-drift").unwrap();
    assert!(
        drift.title.contains("ConfigMap") && drift.title.contains("network_timeout (301 there, 300 here)"),
        "{}",
        drift.title
    );
    assert!(
        drift.evidence[0].path.ends_with("configmaps/n.json")
            && drift.evidence[0].excerpt.contains("network_timeout = 301")
    );
}

/// Values whose names look like secrets and that are none: a diagnosis needs them.
const SURVIVES: [(&str, &str); 23] = [
    ("root_key_id", "arn:aws:kms:eu-west-1:123456789012:key/5d0b1d0e-8f8b-4a53-9c2a-2f3f8a1d6e77"),
    ("root_key_spec", "symm"),
    ("KMS_CORE__PRIVATE_VAULT__KEYCHAIN__AWS_KMS__ROOT_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/5d0b1d0e"),
    ("KMS_CORE__BACKUP_VAULT__KEYCHAIN__AWS_KMS__ROOT_KEY_SPEC", "asymm"),
    ("KMS_CONNECTOR_AWS_KMS_CONFIG__KEY_ID", "alias/tx-sender"),
    ("KMS_CONNECTOR__TX_SENDER_AWS_KMS_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/7a1c2b3d"),
    ("verification_address", "0x9239c2b1b14ac8fc0cb5293ae264e891cf378e4c"),
    ("mpc_identity", "mpc-node-3.kms-decentralized.svc.cluster.local"),
    ("attest_private_vault_root_key", "true"),
    ("pcr0", "9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f9a3f"),
    ("web_identity_token_port", "4100"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/kms-party-3"),
    ("KMS_KEY_ID", "0400000000000000000000000000000000000000000000000000000000000001"),
    ("KMS_CRS_ID", "0500000000000000000000000000000000000000000000000000000000000001"),
    ("KMS_SIGNER_ADDRESS_1", "0x9239c2b1b14ac8fc0cb5293ae264e891cf378e4c"),
    ("key_id", "0400000000000000000000000000000000000000000000000000000000000001"),
    ("request_id", "0600000000000000000000000000000000000000000000000000000000000009"),
    ("context_id", "0700000000000000000000000000000000000000000000000000000000000001"),
    ("epoch_id", "0800000000000000000000000000000000000000000000000000000000000001"),
    (
        "public_key_hex",
        "04bfcab8722991ae774db48f934ca79cfb7dd991229153b9f732ba5334aafcd8e7266e47076996b55a14bf9913ee3145ce0cfc1372ada8ada74bd287450313534a",
    ),
    ("kms_fhe_key_cache_size", "5"),
    ("eifSignKey", "arn:aws:kms:eu-west-1:123456789012:key/0c0c0c0c"),
];

#[test]
fn what_a_diagnosis_needs_survives_redaction() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let clean = |name: &str, format: Format, text: &str| {
        String::from_utf8(redactor.bytes(name, format, text.as_bytes()).unwrap().into_inner()).unwrap()
    };
    for (key, value) in SURVIVES {
        for (name, format, text) in [
            ("a.toml", Format::of_path("a.toml"), format!("[t]\n{key} = \"{value}\"\n")),
            ("a.json", Format::Json, format!("{{\"{key}\": \"{value}\"}}")),
            ("a.env", Format::of_path("a.env"), format!("{key}={value}\n")),
            ("a.yaml", Format::of_path("a.yaml"), format!("{key}: \"{value}\"\n")),
        ] {
            assert_eq!(clean(name, format, &text), text, "{name}");
        }
    }
    let rest = "[private_vault.keychain.aws_kms]\n[backup_vault.keychain.secret_sharing]\nkey.path = \"./key_pem\"\n\
                cert.path = \"./ca_pem_3\"\ntls_cert.path = \"./ca_pem_1\"\n";
    assert_eq!(clean("b.toml", Format::of_path("b.toml"), rest), rest);
    assert_eq!(clean("kms-server.toml", Format::of_path("kms-server.toml"), RENDERED), RENDERED);
    let names = "{\"name\": \"FhePrivateKey/0800000000000000000000000000000000000000000000000000000000000001/0400000000000000000000000000000000000000000000000000000000000001\", \"more\": [\"PublicKey\", \"ServerKey\", \"VerfKey\", \"SigningKey\", \"PrivateKey/key.pem\"]}";
    assert_eq!(clean("storage/n/p/private.json", Format::Json, names), names);
}

#[test]
fn a_file_that_is_no_toml_costs_itself_and_is_said() {
    let mut store = MemStore::default();
    store.insert("config/n/core/kms-server.toml", &b"[service\nlisten_port = "[..]);
    store.insert("config/n/core/running-config.json", &b"DEBUG: SETTINGS\n{\"service\": "[..]);
    store.insert("health/n/core/http-version.txt", &b"0.15.0"[..]);
    let (manifest, _) = casefile::triage::manifest_of(&store, Some("kms")).unwrap();
    let triage = casefile::triage::run(&store, &manifest).unwrap();
    for file in ["kms-server.toml", "running-config.json"] {
        let said = triage.findings.iter().flat_map(|f| &f.evidence).any(|e| e.path.ends_with(file));
        assert!(said, "{file}: {:#?}", triage.findings);
    }
}
