//! A server that quotes what the client sent: its credentials are known, and leave everything.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::fake::{Fake, Reply, list, pod};
use crate::support::cli::Casefile;

/// Without a form that any rule knows.
const TOKEN: &str = "vqT7mJr2LxW9cK4nZb8e";
const SESSION: &str = "pX3vQm8RtY6wLk2NsJ9d";
const PLUGIN: &str = "hF5kWz7CnV4bTq9GxM2s";

/// The token, and whatever else is among the labels of the test, in the forms that programs write.
fn forms(value: &str) -> String {
    let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    let inside = STANDARD.encode(format!("xy{value}z"));
    format!("{value} {} {} {hex} {inside}", STANDARD.encode(value), URL_SAFE_NO_PAD.encode(format!("a{value}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_sent_comes_back_from_nowhere() {
    let fake = Fake::start(|ask| {
        let sent = ask.authorization.trim_start_matches("Bearer ").to_owned();
        let said = format!("{} {} {}", forms(&sent), forms(SESSION), forms(PLUGIN));
        match ask.path.as_str() {
            "/api/v1/namespaces/a/pods" => {
                let mut pod = pod("p");
                pod["metadata"]["annotations"] = json!({"seen": said});
                Some(list(&[pod]))
            }
            "/api/v1/namespaces/a/configmaps" => Some(Reply::status(403, &format!("user {said} may not list"))),
            path if path.ends_with("/log") => Some(Reply::log(format!("client said {said} today\n"))),
            _ => None,
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters: [{{name: t, cluster: {{server: 'http://{}'}}}}]\n\
         users:\n- name: t\n  user: {{token: {TOKEN}}}\n\
         - name: other\n  user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: x, env: [{{name: LOGIN_TOKEN, value: {PLUGIN}}}]}}}}\n\
         contexts: [{{name: t, context: {{cluster: t, user: t, namespace: a}}}}]\n",
        fake.addr
    );
    let path = dir.path().join("config");
    std::fs::write(&path, config).unwrap();
    std::fs::write(dir.path().join("aws"), format!("[other]\naws_session_token = {SESSION}\n")).unwrap();
    let call =
        Casefile::new(&["collect", "--profile", "kubernetes", "-n", "a", "--no-progress", "-vv", "--kubeconfig"])
            .arg(&path)
            .args(&["--skip", "host/*"])
            .env("AWS_SHARED_CREDENTIALS_FILE", dir.path().join("aws"));
    let ran = tokio::task::spawn_blocking(move || call.run()).await.unwrap();
    let bundle = ran.bundle();
    let everything = bundle.everything();
    for value in [TOKEN, SESSION, PLUGIN] {
        for form in forms(value).split(' ') {
            // Base64 that begins with other bytes differs in its first characters.
            let core = &form[6..form.len() - 4];
            for (name, text) in
                [("bundle", &everything[..]), ("stdout", ran.stdout_bytes()), ("stderr", ran.stderr().as_bytes())]
            {
                let found = memchr::memmem::find(text, core.as_bytes());
                let near =
                    found.map(|at| String::from_utf8_lossy(&text[at.saturating_sub(80)..text.len().min(at + 80)]));
                assert!(near.is_none(), "{name} holds {form}: {near:?}");
            }
        }
    }
    // It was said, and what stood around it is there.
    let log = bundle.text("cluster-resources/pods/logs/a/p/main.log");
    assert!(log.starts_with("client said REDACTED-") && log.ends_with(" today\n"), "{log}");
    let pods = bundle.text("cluster-resources/pods/a.json");
    assert!(pods.contains("\"seen\"") && pods.contains("REDACTED-"), "{pods}");
    assert!(bundle.text("manifest.json").contains("may not list"));
}
