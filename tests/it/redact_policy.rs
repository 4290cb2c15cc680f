//! Layer 0: what is never needed is never asked for, so no other layer has to find it.

use crate::support::cli::Casefile;
use crate::support::cluster::Cluster;

/// Values of the environment of processes are not read: this one has no form and no name that a rule knows.
#[cfg(target_os = "linux")]
#[test]
fn processes_are_collected_without_their_environment() {
    const VALUE: &str = "sunflowers in the meadow behind the mill";
    let mut child = std::process::Command::new("sleep").arg("600").env("MEADOW", VALUE).spawn().unwrap();
    let ran = Casefile::new(&["collect", "--profile", "host", "--only", "host/*", "--no-progress"]).run();
    let id = child.id();
    let _ = child.kill();
    let _ = child.wait();
    let everything = ran.bundle().everything();
    let holds = |text: &str| memchr::memmem::find(&everything, text.as_bytes()).is_some();
    assert!(holds(&format!("{id}")) && holds("sleep"), "the process was not seen");
    assert!(!holds("sunflowers"), "its environment was read");
}

/// Secrets are listed, never fetched one by one, and those of Helm only by their metadata; nothing is written; no command
/// prints an environment or a mounted secret.
#[test]
fn requests_ask_for_nothing_that_is_not_needed() {
    let cluster = Cluster::recorded();
    let ran = Casefile::new(&["collect", "--no-progress", "--skip", "host/*"]).over_kms(&cluster).run();
    drop(ran.bundle());
    let (mut secrets, mut commands) = (0, 0);
    for request in cluster.running().requests() {
        let asked = format!("{} {}?{}", request.method, request.path, request.query);
        let review = request.path.ends_with("reviews");
        assert!(request.method == "GET" || (request.method == "POST" && review), "{asked}");
        if request.path.contains("/secrets") {
            secrets += 1;
            assert!(request.path.ends_with("/secrets"), "one Secret was fetched: {asked}");
            let metadata = request.accept.contains("PartialObjectMetadataList");
            assert!(metadata || request.query.contains("type%21%3Dhelm.sh"), "values of Helm were asked for: {asked}");
        }
        if request.path.ends_with("/exec") {
            commands += 1;
            let words: Vec<&str> = request.query.split('&').filter_map(|p| p.strip_prefix("command=")).collect();
            let text = words.join(" ");
            for word in ["printenv", "environ", "secrets", "%2Fproc%2F1%2F", "id_rsa"] {
                assert!(!text.contains(word), "{asked}");
            }
            assert!(!words.contains(&"env") && !words.contains(&"set"), "{asked}");
        }
    }
    assert!(secrets > 0 && commands > 0, "{secrets} lists of Secrets, {commands} commands");
}
