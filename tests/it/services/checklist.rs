//! The pages of a profile say which artifact answers which line of a guide. Each of those artifacts is in a bundle of the real program.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json as doc;

use super::fake::{Fake, Reply};
use super::{engine, monitoring};
use crate::support::cli::Casefile;

/// A row of a table that names artifacts: what it is about, the artifacts, and the rules.
struct Row {
    line: String,
    artifacts: Vec<String>,
    rules: Vec<String>,
    said: String,
}

/// The rows of all tables of the page.
fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/parthenon/README.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table =
        |line: &&str| line.starts_with("| ") && !line.starts_with("| command or") && !line.starts_with("| line of");
    page.lines().filter(table).map(row).collect()
}

fn row(text: &str) -> Row {
    let cells: Vec<&str> = text.trim_matches('|').split(" | ").map(str::trim).collect();
    assert_eq!(cells.len(), 2, "{text}");
    let at = ["rule `", "rules `"].iter().filter_map(|word| cells[1].find(word)).min();
    let (files, rules) = cells[1].split_at(at.unwrap_or(cells[1].len()));
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut artifacts: Vec<String> = Vec::new();
    for name in quoted(files) {
        let is_file =
            name.ends_with('/') || name.contains('*') || name.rsplit('/').next().is_some_and(|n| n.contains('.'));
        if !is_file || name.contains("://") || name.starts_with("--") {
            continue;
        }
        let whole = ["services/", "host/", "ports/"].iter().any(|dir| name.starts_with(dir));
        // A bare name stands beside the one before it.
        let beside = artifacts.last().and_then(|last: &String| Some(last.rsplit_once('/')?.0.to_owned()));
        artifacts.push(if whole {
            name
        } else {
            format!("{}/{name}", beside.unwrap_or_else(|| panic!("{text}: {name}")))
        });
    }
    Row { line: cells[0].to_owned(), artifacts, rules: quoted(rules), said: cells[1].to_owned() }
}

/// Whether a path is of this pattern: `*` stands for any part of it, and a directory for what is in it.
fn fits(pattern: &str, path: &str) -> bool {
    let open = if pattern.ends_with('/') { "" } else { "$" };
    let text = format!("^{}{open}", regex::escape(pattern).replace("\\*", ".*"));
    regex::Regex::new(&text).unwrap().is_match(path)
}

#[test]
fn each_artifact_of_the_checklist_is_in_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, etc) = (dir.path().join("log"), dir.path().join("etc"));
    for (dir, name, text) in
        [(&logs, "seed.log", "height 1\n"), (&logs, "seed-error.log", "x\n"), (&etc, "seed.conf", "network=main\n")]
    {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    }
    let node = Fake::tcp(|_, body| match body.contains("getblockcount") {
        true => Reply::Json(200, r#"{"result":51230}"#.to_owned()),
        false => Reply::Json(400, r#"{"error":"unknown method"}"#.to_owned()),
    });
    let prometheus = Fake::tcp(|request, _| match request {
        "GET /api/v1/status/tsdb" => {
            Reply::Json(200, doc!({"status": "success", "data": {"seriesCountByMetricName": []}}).to_string())
        }
        other => monitoring::prometheus(other),
    });
    let alertmanager = Fake::tcp(|request, _| monitoring::alertmanager(request));
    let grafana = Fake::tcp(|request, _| monitoring::grafana(request, 200));
    let metrics = Fake::tcp(|_, _| Reply::Bytes(200, "text/plain", b"up 1\n".to_vec()));
    let engine = Fake::unix(&dir.path().join("e.sock"), |request, _| {
        if request.contains("/containers/json") {
            return Reply::Json(
                200,
                doc!([engine::container("b2", "drachma-seed", "running", "parthenon-chain")]).to_string(),
            );
        }
        engine::engine(request)
    });
    let mut call = Casefile::new(&["collect", "--no-progress", "--profile", "parthenon", "--request-timeout", "6s"])
        .env("DOCKER_HOST", format!("unix://{}", engine.address))
        .env("GRAFANA_PW", "made-up-password");
    for (name, value) in [
        ("rpc", node.address.as_str()),
        ("prometheus", &prometheus.address),
        ("alertmanager", &alertmanager.address),
        ("grafana", &grafana.address),
        ("metrics", &metrics.address),
        ("node_exporter", &metrics.address),
        ("grafana_user", "viewer"),
        ("grafana_password", "env:GRAFANA_PW"),
        ("logs", &logs.display().to_string()),
        ("etc", &etc.display().to_string()),
    ] {
        call = call.args(&["--set", &format!("{name}={value}")]);
    }
    let bundle = call.run().bundle();
    let paths: BTreeSet<String> = bundle.manifest.files.iter().map(|f| f.path.clone()).collect();
    // A machine need not run systemd; that its units are asked for is what counts there.
    let units = bundle.manifest.ledger.iter().any(|e| e.item.as_str() == "host/units");
    let rows = rows();
    assert!(rows.len() > 25, "{} rows", rows.len());
    let mut lacking = Vec::new();
    for row in &rows {
        if row.artifacts.is_empty() {
            let reason = ["never", "not collected", "none is sent", "rules of the firewall"];
            let said = row.said.as_str();
            assert!(
                reason.iter().any(|r| said.contains(r)) || !row.rules.is_empty() || said.contains("the same file"),
                "{}: neither an artifact nor a reason: {said}",
                row.line
            );
        }
        for pattern in &row.artifacts {
            let real = pattern.replace("var/log/drachma", logs.to_str().unwrap().trim_start_matches('/'));
            let real = real.replace("etc/drachma", etc.to_str().unwrap().trim_start_matches('/'));
            let there = paths.iter().any(|path| fits(&real, path));
            if !(there || units && pattern.starts_with("host/units/")) {
                lacking.push(format!("{pattern} (for {})", row.line));
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}\nin the bundle: {paths:#?}");
}

#[test]
fn each_rule_of_the_checklist_exists() {
    let read = |id: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{id}/rules.toml")))
            .unwrap()
    };
    let known = read("parthenon") + &read("monitoring");
    for row in rows() {
        for rule in row.rules.iter().filter(|rule| !rule.contains(['/', '=', '.', ' ', '*'])) {
            assert!(known.contains(&format!("id = \"{rule}\"")), "{}: there is no rule {rule}", row.line);
        }
    }
}
