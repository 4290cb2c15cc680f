//! Every artifact that the profile's README promises in place of a guide's command is really planned or produced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use casefile::bundle;
use casefile::profile;

use super::support::cli::Casefile;

/// Artifact patterns of the tables, with the row they stand in.
fn promised() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/kms/README.md")).unwrap();
    let mut found = Vec::new();
    let mut artifacts = false;
    for row in page.lines() {
        if row.starts_with("| command of the guide | artifact |") {
            artifacts = true;
        } else if !row.starts_with('|') {
            artifacts = false;
        }
        if !artifacts || row.starts_with("|---") || row.starts_with("| command of") {
            continue;
        }
        // A pipe of a command is escaped.
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        let patterns: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
        assert!(
            !patterns.is_empty() || cells[1] == "-" && !cells[2].is_empty(),
            "{row}: neither an artifact nor a reason"
        );
        found.extend(patterns.into_iter().map(|p| (p.to_owned(), cells[0].to_owned())));
    }
    found
}

/// Whether a path is of this pattern: `<name>` stands for one segment, or a part of it.
fn fits(pattern: &str, path: &str) -> bool {
    let mut regex = String::from("^");
    let mut rest = pattern;
    while let Some((head, tail)) = rest.split_once('<') {
        regex.push_str(&regex::escape(head));
        regex.push_str("[^/]+");
        rest = tail.split_once('>').map_or("", |(_, tail)| tail);
    }
    regex.push_str(&regex::escape(rest));
    regex.push('$');
    regex::Regex::new(&regex).unwrap().is_match(path)
}

#[test]
fn everything_that_the_readme_promises_is_there() {
    let promised = promised();
    assert!(promised.len() > 30, "{} artifacts are promised", promised.len());
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let mut items: BTreeSet<String> = BTreeSet::new();
    for args in
        [&["demo", "healthy"][..], &["demo", "crash-loop"], &["collect", "--profile", "kms", "--item-timeout", "20s"]]
    {
        let ran = Casefile::new(args).args(&["--output", "x.tar.gz"]).run();
        let path = ran.dir().join("x.tar.gz");
        assert!(path.is_file(), "{args:?}: {}", ran.stderr());
        let store = bundle::open(&path).unwrap();
        paths.extend(store.entries().iter().map(|e| e.path.clone()));
        let manifest = bundle::manifest(store.as_ref()).unwrap();
        items.extend(manifest.ledger.iter().map(|e| e.item.as_str().to_owned()));
    }
    let kms = profile::find_builtin("kms").unwrap();
    // A machine need not have the units that the profile asks for; that they are asked for is what counts.
    let units = !kms.host.units.is_empty() && items.contains("host/units");
    let missing: Vec<String> = (promised.iter())
        .filter(|(pattern, _)| {
            let unit = units && (pattern.starts_with("host/units/") || pattern.starts_with("host/journal/"));
            // The same for an engine of containers, and for a core that runs on the machine itself.
            let engine =
                !kms.docker.is_empty() && items.contains("services/docker") && pattern.starts_with("services/docker/");
            let families = ["config", "grpc", "exec", "probe"].map(|f| format!("{f}/host/kms-server/"));
            let program = pattern.contains("/host/kms-server/")
                && families.iter().all(|family| items.iter().any(|item| item.starts_with(family.as_str())));
            let list = pattern == "cluster-resources/pvcs/<ns>.json"
                && items.iter().any(|i| i.contains("persistentvolumeclaims"));
            !(unit || engine || program || list || paths.iter().any(|path| fits(pattern, path)))
        })
        .map(|(pattern, command)| format!("{pattern} (for {command})"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}\nitems: {items:#?}");
}

#[test]
fn patterns_stand_for_segments() {
    assert!(
        fits("a/<ns>/<pod>.json", "a/x/y-1.json") && !fits("a/<ns>.json", "a/x/y.json") && !fits("a.json", "axjson")
    );
}

/// What the guides tell operators to run in their sections on gathering information, health, logs and diagnostics.
const COMMANDS: &[&str] = &[
    "kubectl version --short",
    "kubectl get nodes",
    "kubectl get pods,svc,pvc",
    "kubectl top pods",
    "kubectl top nodes",
    "netstat -tlnp",
    "docker --version",
    "docker ps -a",
    "docker stats",
    "docker logs",
    "kms-health-check live",
    "kms-health-check --format json live",
    "kms-health-check config",
    "nc -zv",
    "nslookup",
    "kubectl describe pod",
    "kubectl describe node",
    "curl :9646/metrics",
    "curl :50100/health",
    "kubectl logs POD",
    "kubectl logs POD --previous",
    "kubectl logs -f",
    "kubectl logs job/",
    "grep -E \"(ERROR\\|FATAL\\|PANIC\\|WARN)\"",
    "kubectl get events --sort-by",
    "kubectl get configmap",
    "kubectl get svc",
    "helm get values",
    "aws s3 ls",
    "aws sts get-caller-identity",
    "ls -la keys/",
    "uname -a",
    "free -h",
    "df -h",
    "cat /proc/meminfo",
    "ps aux",
    "systemctl status kms",
    "journalctl -u kms --since",
    "ss -tuln",
    "cp config.toml",
    "sed",
    "tar -czf",
];

/// Rows of the page as cells, by the section that they stand in.
fn sections() -> BTreeMap<String, Vec<Vec<String>>> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/kms/README.md")).unwrap();
    let (mut all, mut section) = (BTreeMap::new(), String::new());
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        } else if line.starts_with("| `") {
            let cells =
                line.replace("\\|", "\u{1}").trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
            all.entry(section.clone()).or_insert_with(Vec::new).push(cells);
        }
    }
    all
}

#[test]
fn every_command_of_the_guides_has_a_row() {
    let sections = sections();
    for title in ["Information gathering", "Health assessment", "Log analysis", "Automated diagnostics"] {
        assert!(sections.get(title).is_some_and(|rows| rows.len() > 5), "{title}: {:?}", sections.keys());
    }
    let rows: Vec<String> = sections.values().flatten().map(|cells| cells[0].replace('\u{1}', "\\|")).collect();
    let lacking: Vec<&&str> = COMMANDS.iter().filter(|c| !rows.iter().any(|row| row.contains(**c))).collect();
    assert!(lacking.is_empty(), "profiles/kms/README.md has no row for {lacking:?}");
    // The other way round: no row is of something that the guides do not say.
    let unknown: Vec<&String> = (sections.iter())
        .filter(|(title, _)| *title != "Alerts and rules")
        .flat_map(|(_, rows)| rows.iter().map(|cells| &cells[0]))
        .filter(|row| !COMMANDS.iter().any(|c| row.replace('\u{1}', "\\|").contains(c)))
        .collect();
    assert!(unknown.is_empty(), "commands of no guide, or not in the list of this test: {unknown:?}");
}

/// What the profile collects from a pod and from the program of a host, as the page writes it.
fn collected() -> Vec<String> {
    let kms = profile::find_builtin("kms").unwrap();
    let mut all: Vec<&String> = kms.exec.iter().map(|e| &e.artifact).collect();
    all.extend(kms.http.iter().map(|h| &h.artifact));
    all.extend(kms.grpc.iter().filter(|g| g.pods.is_some()).map(|g| &g.artifact));
    all.extend(kms.probe.iter().map(|p| &p.artifact));
    all.extend(kms.storage.iter().map(|s| &s.artifact));
    let program = kms.host.program.as_ref().unwrap();
    all.extend([&program.artifact].into_iter().chain(&program.environment));
    all.into_iter().map(|artifact| artifact.replace("{namespace}", "<ns>").replace("{pod}", "<pod>")).collect()
}

#[test]
fn everything_that_the_profile_collects_is_on_the_page() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/kms/README.md")).unwrap();
    let said: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let named = |artifact: &str| {
        // The same file of the program of a host, and any vault.
        let host = artifact.replace("<ns>/<pod>", "host/kms-server");
        said.iter().any(|own| *own == artifact || *own == host || fits(own, artifact))
    };
    let lacking: Vec<String> = collected().into_iter().filter(|artifact| !named(artifact)).collect();
    assert!(
        collected().len() > 15 && lacking.is_empty(),
        "profiles/kms/README.md does not say where {lacking:?} comes in"
    );
}
