//! Secrets in unusual places of a cluster: the whole way from the API server to the archive, searched in every encoding.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use casefile::bundle::overlay::MemStore;
use serde_json::{Value, json};

use crate::support::cli::Casefile;
use crate::support::cluster::{Cluster, fixture};

const NS: &str = "kms-decentralized";
const POD: &str = "kms-party-3-core-0";

/// A cluster with plants. A plant is a text with `{}` in the place of its secret; each gets another secret.
struct Garden {
    store: MemStore,
    secrets: Vec<(String, String)>,
}

impl Garden {
    fn new() -> Self {
        let store = MemStore::below(&*fixture("clusters/recorded"), "").unwrap();
        Self { store, secrets: Vec::new() }
    }

    fn plant(&mut self, text: &str) -> String {
        let secret = format!("Zq{:02}vW3rT7yU1k", self.secrets.len());
        self.secrets.push((text.to_owned(), secret.clone()));
        text.replace("{}", &secret)
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Self, &mut Value)) {
        let mut value: Value = serde_json::from_slice(self.store.get(path).unwrap()).unwrap();
        change(self, &mut value);
        self.store.insert(path, serde_json::to_vec(&value).unwrap());
    }

    fn list(&mut self, kind: &str, change: impl FnOnce(&mut Self, &mut Vec<Value>)) {
        let path = format!("cluster-resources/{kind}/{NS}.json");
        self.change(&path, |garden, list| change(garden, list["items"].as_array_mut().unwrap()));
    }

    fn log(&mut self, lines: &[&str]) {
        let path = format!("cluster-resources/pods/logs/{NS}/{POD}/kms-core.log");
        let mut text = String::from_utf8(self.store.get(&path).unwrap().to_vec()).unwrap();
        for line in lines {
            let line = self.plant(line);
            let _ = writeln!(text, "2026-11-21T06:30:00.000000000Z {line}");
        }
        self.store.insert(path, text.into_bytes());
    }
}

/// All forms in which a secret might still stand somewhere.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut all = vec![secret.as_bytes().to_vec()];
    for shift in 0..3_usize {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let run = engine.encode([&[0; 2][..shift], secret.as_bytes()].concat());
            let (from, to) = ((shift * 8).div_ceil(6), (shift + secret.len()) * 8 / 6);
            all.push(run.as_bytes()[from..to].to_vec());
        }
    }
    all.push(secret.bytes().flat_map(|b| format!("{b:02x}").into_bytes()).collect());
    all.push(secret.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect());
    all.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    all
}

fn fill(garden: &mut Garden) {
    garden.list("events", |g, events| {
        for text in [
            "Failed to pull image: rpc error: code = Unknown desc = unauthorized: password={} rejected",
            "MountVolume.SetUp failed: mount.cifs -o username=app,password={} //nas/x failed",
            "Readiness probe failed: Get \"http://app:{}@10.0.0.1:8080/health\": dial tcp",
            "Error: secret \"db\" has token {}=; the new token is {}",
        ] {
            let mut event = events[0].clone();
            event["metadata"]["name"] = format!("planted-{}", g.secrets.len()).into();
            event["message"] = g.plant(text).into();
            events.push(event);
        }
    });
    garden.list("pods", |g, pods| {
        let pod = pods.iter_mut().find(|p| p["metadata"]["name"] == POD).unwrap();
        pod["metadata"]["annotations"] = json!({
            "example.com/note": g.plant("see postgres://app:{}@db:5432/kms"),
            "vault.hashicorp.com/agent-inject-template-db": g.plant("export DB_PASSWORD={}\n"),
            "example.com/config": json!({"inner": json!({"password": g.plant("{}")}).to_string()}).to_string(),
        });
        pod["metadata"]["managedFields"] = json!([{"manager": "x", "fieldsV1": {"f:password": g.plant("{}")}}]);
        let container = &mut pod["spec"]["containers"][0];
        container["env"] = json!([
            {"name": "LEGACY_DB", "value": g.plant("Server=db;User Id=sa;Password={};Encrypt=yes")},
            {"value": g.plant("{}"), "name": "ETH_SIGNER_PASSPHRASE"},
            {"name": "JAVA_OPTS", "value": g.plant("-Xmx1g -Djavax.net.ssl.keyStorePassword={}")},
        ]);
        container["args"] =
            json!(["--basic-auth", g.plant("--web.auth=admin:x --password={}"), "--token", g.plant("{}")]);
        container["command"] = json!(["sh", "-c", g.plant("mysql -uapp -p{} db && sleep 1")]);
        container["livenessProbe"] = json!({"exec": {"command": ["redis-cli", "-a", g.plant("{}"), "ping"]}});
        let status = &mut pod["status"]["containerStatuses"][0];
        status["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error", "containerID": "containerd://x",
            "startedAt": "2026-11-21T06:29:25Z", "finishedAt": "2026-11-21T06:29:26Z",
            "message": g.plant("panic: login failed for app with password '{}'\n\ngoroutine 1 [running]:\n")}});
        pod["status"]["conditions"][0]["message"] = g.plant("{\"error\":\"apiKey: {}\"}").into();
    });
    garden.list("configmaps", |g, maps| {
        let mut map = maps[0].clone();
        map["metadata"]["name"] = "planted".into();
        map["data"] = json!({
            ".netrc": g.plant("machine api.example.com login app password {}\n"),
            ".pgpass": g.plant("db.example.com:5432:kms:app:{}\n"),
            "prometheus.yml": g.plant("remote_write:\n- url: https://prom/api\n  basic_auth:\n    username: a\n    password: {}\n"),
            "url.yml": g.plant("remote_write:\n- url: https://a:{}@prom/api\n"),
            "labels.yml": g.plant("global:\n  external_labels:\n    cluster: a\n    auth_token: {}\n"),
            "NOTES.txt": g.plant("Get the password: it is {}\nInitial admin password: x\n"),
            "nested.yaml": format!("config: '{}'\n", json!({"a": json!({"client_secret": g.plant("{}")}).to_string()})),
            ".dockerconfigjson": json!({"auths": {"r.example.com": {"auth": STANDARD.encode(g.plant("app:{}"))}}}).to_string(),
            "app.properties": g.plant("spring.datasource.password={}\n"),
            "settings.xml": g.plant("<server><id>a</id><password>{}</password></server>\n"),
            "run.sh": g.plant("curl -u admin:{} https://x\n"),
            "hex.txt": format!("blob {}\n", g.plant("db.password={}").bytes().map(|b| format!("{b:02x}")).collect::<String>()),
        });
        map["binaryData"] = json!({"secret.env": STANDARD.encode(g.plant("DB_PASSWORD={}\n"))});
        maps.push(map);
    });
    garden.list("statefulsets", |g, sets| {
        sets[0]["status"]["conditions"] =
            json!([{"type": "Ready", "status": "False", "message": g.plant("vault token={} expired")}]);
    });
    garden.change("cluster-resources/custom-resources/apiservices.apiregistration.k8s.io.json", |g, list| {
        let items = list["items"].as_array_mut().unwrap();
        items[0]["status"]["conditions"][0]["message"] = g.plant("failing: GET https://u:{}@10.0.0.1/apis").into();
    });
    garden.log(&[
        "\u{1b}[2m2026\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m connect: \u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0m{}",
        "\u{1b}[32mINFO\u{1b}[0m db_password\u{1b}[0m: \u{1b}[1m\"{}\"\u{1b}[0m",
        r#"{"level":"info","msg":"\u001b[3mtoken\u001b[0m\u001b[2m=\u001b[0m{}x9"}"#,
        "E1121 06:30:00.1 1 auth.go:1] \"login failed\" \"password\"=\"{}\" err=\"denied\"",
        "INFO Config { user: \"app\", password: \"{}\", port: 5432 }",
        "DEBUG {User:app Password:{} Port:1}",
        "WARN password authentication failed with '{}'",
        "INFO the generated password for app is {}.",
        "INFO executing: sshpass -p {} ssh host",
        "INFO executing: redis-cli -h r -a {} ping",
        "INFO helm upgrade kms --set db.password={},port=1",
        "STATEMENT:  ALTER USER app WITH PASSWORD '{}';",
        "ERROR jdbc:postgresql://h/db?user=app&password={}",
        "INFO GET https://s3.example.com/b/o?X-Amz-Signature={}0123456789abcdef",
        "INFO GET /callback?access_token={}&state=1",
        "INFO cookie: session={}; path=/",
        "ERROR status: Unauthenticated, message: \"bad\", metadata: {\"authorization\": \"Bearer {}\"}",
        "ERROR etcdserver: authentication failed: --user root:{}",
    ]);
    // Known from above, and here without anything that says so; in the name of a file, too.
    let known = garden.secrets[0].1.clone();
    let path = format!("cluster-resources/pods/logs/{NS}/{POD}/kms-core.log");
    let mut text = garden.store.get(&path).unwrap().to_vec();
    let hex: String = known.bytes().map(|b| format!("{b:02x}")).collect();
    let wide = STANDARD.encode(format!("x{known}yz"));
    text.extend(format!("2026-11-21T06:30:01.000000000Z dialing with {known} or {hex} or {wide}\n").bytes());
    garden.store.insert(path, text);
    garden.list("pods", |_, pods| {
        let mut pod = pods[0].clone();
        pod["metadata"]["name"] = format!("job-{known}").into();
        pods.push(pod);
    });
}

#[test]
fn nothing_planted_in_unusual_places_leaves() {
    let mut garden = Garden::new();
    fill(&mut garden);
    let cluster = Cluster::start(Arc::new(garden.store), |builder| builder);
    let call = Casefile::new(&["collect", "--skip", "host/*", "--no-progress", "-v"]);
    let ran = call.over_kms(&cluster).run();
    let bundle = ran.bundle();
    let mut all = bundle.everything();
    all.extend(ran.stdout_bytes());
    let mut leaks = String::new();
    for (i, (place, secret)) in garden.secrets.iter().enumerate() {
        // The first stands in the name of a pod, which progress shows before anything says that it is secret.
        assert!(i == 0 || !ran.stderr().contains(secret), "{place:?}: {}", ran.stderr());
        for form in forms(secret) {
            if let Some(at) = memchr::memmem::find(&all, &form) {
                let near = &all[at.saturating_sub(60)..all.len().min(at + form.len() + 30)];
                let _ = writeln!(leaks, "{place:?}\n    {:?}", String::from_utf8_lossy(near));
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks}");
    assert!(garden.secrets.len() >= 50, "{}", garden.secrets.len());
    // What was collected is there, and the bundle is whole.
    assert!(bundle.text(&format!("cluster-resources/configmaps/{NS}.json")).contains("remote_write"));
    Casefile::new(&["verify"]).arg(ran.archive()).run().code(0);
}
