//! `kubectl` itself. These tests need it on the PATH, so they run with `--include-ignored`.

use std::process::Output;
use std::time::Duration;

use super::{CORE, Cluster, NS};

/// A `kubectl` with a home of its own, so that no cache and no configuration of the user is touched.
struct Kubectl {
    cluster: Cluster,
    home: tempfile::TempDir,
}

impl Kubectl {
    async fn new() -> Self {
        let cluster = Cluster::with(|b| b.namespace(NS)).await;
        let home = tempfile::tempdir().unwrap();
        cluster.server.kubeconfig(&home.path().join("config")).unwrap();
        Self { cluster, home }
    }

    async fn output(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::new("kubectl");
        command.args(args).env("KUBECONFIG", self.home.path().join("config")).env("HOME", self.home.path());
        command.env_remove("HTTP_PROXY").env_remove("http_proxy").kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        output.expect("kubectl does not end").expect("kubectl is not on the PATH")
    }

    /// Runs a command that must succeed; its output.
    async fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Runs a command that must fail; what it says.
    async fn fails(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(!output.status.success(), "{args:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The line of a table that begins with a name, its columns joined by one space.
fn row(table: &str, name: &str) -> String {
    let line = table.lines().find(|l| l.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{table}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_get_shows_the_recorded_columns() {
    let kubectl = Kubectl::new().await;
    let pods = kubectl.ok(&["get", "pods"]).await;
    assert_eq!(row(&pods, "NAME"), "NAME READY STATUS RESTARTS AGE");
    assert_eq!(row(&pods, "kms-badprobe"), "kms-badprobe 0/1 CrashLoopBackOff 4 (16s ago) 3m17s");
    assert_eq!(pods.lines().count(), 10);
    let wide = kubectl.ok(&["get", "pods", "-o", "wide"]).await;
    assert_eq!(row(&wide, CORE), format!("{CORE} 1/1 Running 0 3m17s 10.245.0.11 real-0 <none> <none>"));
    let all = kubectl.ok(&["get", "all"]).await;
    assert_eq!(row(&all, "statefulset.apps/kms-party-3-core"), "statefulset.apps/kms-party-3-core 1/1 3m17s");
    assert_eq!(row(&all, "job.batch/kms-party-3-threshold-init").split(' ').nth(2), Some("0/1"));
    let nodes = kubectl.ok(&["get", "nodes", "real-0"]).await;
    assert_eq!(row(&nodes, "real-0"), "real-0 Ready <none> 18m v1.36.2");
    let yaml = kubectl.ok(&["get", "pods", "-l", "app=kms-core", "-o", "yaml"]).await;
    assert!(yaml.contains(&format!("    name: {CORE}\n")));
    let pages = kubectl.ok(&["get", "pods", "-A", "--chunk-size", "2", "-o", "name"]).await;
    assert_eq!(pages.lines().count(), 9);
    assert_eq!(kubectl.ok(&["get", "kmsparties"]).await.trim(), "");
    assert!(kubectl.ok(&["get", "crd"]).await.contains("kmsparties.kms.example.com"));
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_get_shows_events_that_a_selector_chooses() {
    let kubectl = Kubectl::new().await;
    let selector = "type=Warning,involvedObject.name=kms-badprobe";
    let events = kubectl.ok(&["get", "events", "--field-selector", selector]).await;
    assert_eq!(events.lines().count(), 4);
    assert!(events.contains("pod/kms-badprobe"));
    assert!(kubectl.ok(&["events", "--for", "pod/kms-badprobe"]).await.contains("Unhealthy"));
    let error = kubectl.fails(&["get", "pods", "--field-selector", "spec.foo=x"]).await;
    assert!(error.contains("field label not supported: spec.foo"), "{error}");
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_describe_reads_protobuf_requests_as_json() {
    let kubectl = Kubectl::new().await;
    let pod = kubectl.ok(&["describe", "pod", "kms-badprobe"]).await;
    for part in
        ["Reason:       CrashLoopBackOff", "Exit Code:    137", "Liveness probe failed", "Node:             real-0/"]
    {
        assert!(pod.contains(part), "{part}\n{pod}");
    }
    assert!(kubectl.ok(&["describe", "statefulset", "kms-party-3-core"]).await.contains("1 Running / 0 Waiting"));
    assert!(kubectl.ok(&["describe", "node", "real-0"]).await.contains("Non-terminated Pods:"));
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_logs_reads_logs() {
    let kubectl = Kubectl::new().await;
    let tail = kubectl.ok(&["logs", CORE, "-c", "kms-core", "--tail", "2"]).await;
    assert_eq!(tail.lines().count(), 2);
    assert!(tail.ends_with("Still waiting to receive from party 9\n"));
    let all = kubectl.ok(&["logs", CORE, "--all-containers", "--since", "1h", "-f"]).await;
    assert!(all.contains("Initializing configuration with prefix"));
    let previous = kubectl.ok(&["logs", "kms-oom", "--previous", "--tail", "5"]).await;
    assert!(previous.starts_with("unable to retrieve container logs"));
    let error = kubectl.fails(&["logs", "kms-badimage"]).await;
    assert!(error.contains("is waiting to start: trying and failing to pull image"), "{error}");
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_top_shows_usage() {
    let kubectl = Kubectl::new().await;
    let pods = kubectl.ok(&["top", "pods"]).await;
    assert_eq!(row(&pods, CORE), format!("{CORE} 367m 324Mi"));
    assert!(kubectl.ok(&["top", "nodes"]).await.lines().count() > 1);
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_exec_runs_recorded_commands() {
    let kubectl = Kubectl::new().await;
    let args = ["exec", CORE, "-c", "kms-core", "--"];
    let out = kubectl.ok(&[&args[..], &["sh", "-c", "echo out; echo err >&2"]].concat()).await;
    assert_eq!(out, "out\n");
    let output = kubectl.output(&[&args[..], &["sh", "-c", "echo bye; exit 3"]].concat()).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), b"bye\n".as_slice()));
    let error = kubectl.fails(&[&args[..], &["nope"]].concat()).await;
    assert!(error.contains("executable file not found in $PATH"), "{error}");
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_auth_asks_for_rights_in_protobuf() {
    let kubectl = Kubectl::new().await;
    assert_eq!(kubectl.ok(&["auth", "can-i", "list", "pods"]).await, "yes\n");
    assert_eq!(kubectl.output(&["auth", "can-i", "delete", "pods"]).await.stdout, b"no\n");
    let list = kubectl.ok(&["auth", "can-i", "--list"]).await;
    assert!(list.contains("selfsubjectaccessreviews.authorization.k8s.io"));
    let posts = kubectl.cluster.server.requests();
    assert_eq!(posts.iter().filter(|r| r.method == "POST" && r.status == 201).count(), 3);
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_sees_the_server_and_its_kinds() {
    let kubectl = Kubectl::new().await;
    assert!(kubectl.ok(&["version"]).await.contains("Server Version: v1.36.2"));
    let kinds = kubectl.ok(&["api-resources"]).await;
    assert_eq!(row(&kinds, "kmsparties"), "kmsparties kp kms.example.com/v1alpha1 true KmsParty");
    assert_eq!(row(&kinds, "pods"), "pods po v1 true Pod");
}

#[tokio::test]
#[ignore = "needs kubectl 1.32 or newer"]
async fn kubectl_cannot_change_anything() {
    let kubectl = Kubectl::new().await;
    let error = kubectl.fails(&["delete", "pod", "kms-oom"]).await;
    assert!(error.contains("MethodNotAllowed"), "{error}");
    let error = kubectl.fails(&["annotate", "pod", "kms-oom", "a=b"]).await;
    assert!(error.contains("does not allow this method"), "{error}");
}
