//! Bundles of other tools: the recorded cluster in their layouts gives what it gives in ours.

mod writers;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use casefile::bundle::overlay::MemStore;
use casefile::bundle::{self, Store, layout};
use casefile::triage::{self, Severity, Triage};

use crate::support::cli::Casefile;
use crate::support::cluster::{Cluster, fixture};
use writers::{Recorded, TOOLS, Tool, put};

const NS: &str = "kms-decentralized";

fn triaged(store: &dyn Store) -> Triage {
    let (manifest, made_up) = triage::manifest_of(store, None).unwrap();
    assert!(made_up);
    triage::run(store, &manifest).unwrap()
}

/// The recorded cluster in our layout, without what a tool does not collect.
fn reference(tool: Tool) -> MemStore {
    let store = fixture("clusters/recorded");
    let mut kept = MemStore::new();
    for entry in store.entries() {
        let keep = match layout::parse_objects(&entry.path) {
            Some((_, plural, _)) if tool == Tool::Troubleshoot => {
                plural != "secrets" && plural != "controllerrevisions"
            }
            Some((group, plural, _)) => tool.collects(&group, &plural),
            None => {
                layout::parse_log(&entry.path).is_none_or(|(_, _, _, previous)| !previous || tool.collects_previous())
            }
        };
        // No tool of these asks the metrics API or the kubelet here.
        if keep && !entry.path.starts_with("usage/") {
            kept.insert(entry.path.clone(), store.read(&entry.path, 64 << 20).unwrap());
        }
    }
    kept
}

/// Packs a directory with GNU tar.
fn tar(top: &Path) -> PathBuf {
    let archive = top.with_extension("tar.gz");
    let status = Command::new("tar")
        .arg("czf")
        .arg(&archive)
        .arg("-C")
        .arg(top.parent().unwrap())
        .arg(top.file_name().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    archive
}

/// Rule and subjects of all findings that are critical.
fn critical(triage: &Triage) -> BTreeSet<(String, Vec<String>)> {
    let found = triage.findings.iter().filter(|f| f.severity == Severity::Critical);
    found.map(|f| (f.rule.clone(), f.subjects.iter().map(|s| s.as_str().to_owned()).collect())).collect()
}

#[track_caller]
fn same(found: &Triage, want: &Triage, what: &str) {
    assert_eq!(found.root().map(|f| &f.id), want.root().map(|f| &f.id), "{what}: root cause");
    assert_eq!(critical(found), critical(want), "{what}");
    assert_eq!(found.status, want.status, "{what}");
}

#[test]
fn every_layout_gives_the_root_cause_of_ours() {
    let recorded = Recorded::read();
    for tool in TOOLS {
        let want = triaged(&reference(tool));
        assert!(want.root().is_some() && critical(&want).len() > 3, "{tool:?}: {:?}", critical(&want));
        let dir = tempfile::tempdir().unwrap();
        let top = tool.write(&recorded, dir.path());
        for path in [top.clone(), tar(&top)] {
            let store = bundle::open(&path).unwrap();
            assert!(store.problems().iter().any(|p| p.contains(tool.title())), "{:?}", store.problems());
            let found = triaged(&*store);
            assert_eq!(store.damage(), [], "{tool:?}");
            same(&found, &want, &format!("{tool:?} from {}", path.display()));
        }
    }
}

#[test]
fn objects_and_logs_are_the_recorded_ones() {
    let recorded = Recorded::read();
    for tool in TOOLS {
        let dir = tempfile::tempdir().unwrap();
        let store = bundle::open(&tool.write(&recorded, dir.path())).unwrap();
        let mut compared = 0;
        for object in recorded.objects.iter().filter(|o| tool.collects(&o.group, &o.plural)) {
            let path = layout::objects(&object.group, &object.plural, object.namespace.as_deref());
            let Ok(bytes) = store.read(&path, 64 << 20) else {
                assert!(
                    tool == Tool::Troubleshoot && matches!(object.plural.as_str(), "secrets" | "controllerrevisions"),
                    "{tool:?}: {path}"
                );
                continue;
            };
            let list: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let items = list["items"].as_array().or(list.as_array()).unwrap();
            let found = items.iter().find(|i| i["metadata"]["name"] == object.name.as_str());
            assert_eq!(found, Some(&object.value), "{tool:?}: {path}");
            compared += 1;
        }
        assert!(compared > 20, "{tool:?}: {compared} objects");
        for log in recorded.logs.iter().filter(|l| !l.previous || tool.collects_previous()) {
            let path = layout::log(&log.namespace, &log.pod, &log.container, log.previous);
            let text = store.read(&path, 64 << 20).unwrap();
            if tool == Tool::MustGather {
                // It has a time before every line.
                let lines = |text: &[u8]| String::from_utf8_lossy(text).lines().count();
                assert_eq!(lines(&text), lines(&log.text), "{path}");
            } else {
                assert_eq!(text, log.text, "{tool:?}: {path}");
            }
        }
    }
}

#[test]
fn the_program_triages_shows_and_serves_them() {
    let recorded = Recorded::read();
    for tool in TOOLS {
        let dir = tempfile::tempdir().unwrap();
        let archive = tar(&tool.write(&recorded, dir.path()));
        let ran = Casefile::new(&["triage", "--format", "json"]).arg(&archive).run().code(0);
        let found: Triage = serde_json::from_str(&ran.stdout()).unwrap();
        same(&found, &triaged(&reference(tool)), &format!("{tool:?}"));
        Casefile::new(&["triage"]).arg(&archive).run().code(0).says(tool.title());
        let pods = format!("cluster-resources/pods/{NS}.json");
        let ran = Casefile::new(&["show"]).arg(&archive).args(&[&pods]).run().code(0).says(tool.title());
        assert!(ran.stdout().contains("kms-party-3-core-0"));

        let cluster = Cluster::start(bundle::open(&archive).unwrap().into(), |b| b.namespace(NS));
        let names = |path: &str| {
            let mut response = http_get(&format!("{}{path}", cluster.running().url()));
            let list: serde_json::Value = serde_json::from_slice(&std::mem::take(&mut response)).unwrap();
            let items = list["items"].as_array().unwrap_or_else(|| panic!("{tool:?}: {list}")).clone();
            items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut want: Vec<&str> = (recorded.objects.iter())
            .filter(|o| o.group.is_empty() && o.plural == "pods" && o.namespace.as_deref() == Some(NS))
            .map(|o| o.name.as_str())
            .collect();
        want.sort_unstable();
        assert_eq!(names(&format!("/api/v1/namespaces/{NS}/pods")), want, "{tool:?}");
        assert_eq!(names("/api/v1/nodes"), ["real-0"], "{tool:?}");
        let log = http_get(&format!(
            "{}/api/v1/namespaces/{NS}/pods/kms-party-3-core-0/log?container=kms-core&tailLines=1",
            cluster.running().url()
        ));
        assert!(String::from_utf8_lossy(&log).ends_with("Still waiting to receive from party 9\n"), "{tool:?}");
    }
}

/// The body of an answer of a server on loopback.
fn http_get(url: &str) -> Vec<u8> {
    use std::io::Read;
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap();
    answer.split_off(at + 4)
}

/// A crust-gather archive as the tool itself writes it: every file is one byte longer than its content.
#[test]
fn archives_with_padded_files_are_read() {
    let recorded = Recorded::read();
    let dir = tempfile::tempdir().unwrap();
    let top = Tool::CrustGather.write(&recorded, dir.path());
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut swallowed = 0;
    let mut files = files_below(&top);
    files.sort();
    for file in files {
        let mut content = fs::read(&file).unwrap();
        if content.len() % 512 == 0 {
            // Such a file takes the next header with it; that is tested with damaged archives.
            swallowed += 1;
            continue;
        }
        content.push(0);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, file.strip_prefix(dir.path()).unwrap(), content.as_slice()).unwrap();
    }
    assert!(swallowed < 3);
    let archive = dir.path().join("padded.tar.gz");
    fs::write(&archive, tar.into_inner().unwrap().finish().unwrap()).unwrap();
    let store = bundle::open(&archive).unwrap();
    same(&triaged(&*store), &triaged(&reference(Tool::CrustGather)), "padded");
    assert_eq!(store.damage(), []);
    let path = layout::log(NS, "kms-party-3-core-0", "kms-core", false);
    assert!(store.read(&path, 64 << 20).unwrap().ends_with(b"party 9\n"));
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_cut_archive_is_read_as_far_as_it_goes() {
    let recorded = Recorded::read();
    for tool in TOOLS {
        let dir = tempfile::tempdir().unwrap();
        let archive = tar(&tool.write(&recorded, dir.path()));
        let bytes = fs::read(&archive).unwrap();
        let (mut opened, mut triaged_some) = (0, 0);
        for part in 1..8 {
            fs::write(&archive, &bytes[..bytes.len() * part / 8]).unwrap();
            // Where nothing of a layout is left, it may be no bundle at all; it must not be a panic.
            let Ok(store) = bundle::open(&archive) else { continue };
            opened += 1;
            assert!(!store.problems().is_empty());
            let (manifest, _) = triage::manifest_of(&*store, None).unwrap();
            triaged_some += usize::from(!triage::run(&*store, &manifest).unwrap().findings.is_empty());
        }
        assert!(opened > 3 && triaged_some > 0, "{tool:?}: {opened} opened, {triaged_some} triaged");
    }
}

#[test]
fn broken_objects_cost_themselves_and_are_a_finding() {
    let recorded = Recorded::read();
    let dir = tempfile::tempdir().unwrap();
    let top = Tool::CrustGather.write(&recorded, dir.path());
    put(&top, &format!("namespaces/{NS}/v1/pod/broken.yaml"), b"metadata:\n  name: [broken\n");
    put(&top, &format!("namespaces/{NS}/v1/pod/binary.yaml"), b"\xff\xfe\x00\x01");
    put(&top, &format!("namespaces/{NS}/v1/pod/bomb.yaml"), b"a: &a [x,x]\nb: &b [*a,*a]\nmetadata: {name: [*b,*b]}\n");
    let store = bundle::open(&top).unwrap();
    let found = triaged(&*store);
    same(&found, &triaged(&reference(Tool::CrustGather)), "with broken objects");
    assert_eq!(store.damage().len(), 3, "{:?}", store.damage());
    let lost = found.findings.iter().find(|f| f.evidence.iter().any(|e| e.excerpt.contains("broken.yaml")));
    assert!(lost.is_some(), "{:?}", found.findings.iter().map(|f| &f.id).collect::<Vec<_>>());
    let ran = Casefile::new(&["show"]).arg(&top).args(&[&format!("cluster-resources/pods/{NS}.json")]).run().code(0);
    ran.says("bomb.yaml");
}

#[cfg(unix)]
#[test]
fn links_are_never_followed() {
    let recorded = Recorded::read();
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("outside.yaml");
    fs::write(&secret, "metadata:\n  name: outside\n").unwrap();
    let top = Tool::CrustGather.write(&recorded, &dir.path().join("x"));
    std::os::unix::fs::symlink(&secret, top.join(format!("namespaces/{NS}/v1/pod/link.yaml"))).unwrap();
    for path in [top.clone(), tar(&top)] {
        let store = bundle::open(&path).unwrap();
        let pods = store.read(&format!("cluster-resources/pods/{NS}.json"), 64 << 20).unwrap();
        assert!(memchr::memmem::find(&pods, b"outside").is_none());
        assert!(store.problems().iter().any(|p| p.contains("link.yaml")), "{:?}", store.problems());
    }
}

#[test]
fn of_mixed_trees_the_larger_one_is_read() {
    let recorded = Recorded::read();
    let dir = tempfile::tempdir().unwrap();
    let top = Tool::CrustGather.write(&recorded, dir.path());
    put(&top, "namespaces/other/core/pods.yaml", b"items: []\nkind: PodList\n");
    put(&top, "cluster-resources/nodes.json", b"not a list");
    put(&top, "triage.json", b"{\"status\":\"healthy\"}");
    let store = bundle::open(&top).unwrap();
    same(&triaged(&*store), &triaged(&reference(Tool::CrustGather)), "mixed");
    // What only looks like a file of ours is not taken for one, and the rest keeps its place.
    assert!(!store.contains("triage.json") && store.contains("namespaces/other/core/pods.yaml"));
    assert!(store.problems().iter().any(|p| p.contains("are not shown")), "{:?}", store.problems());

    // A bundle of ours stays one, whatever else lies in it.
    put(&top, "manifest.json", b"{}");
    let store = bundle::open(&top).unwrap();
    assert!(store.contains("manifest.json") && store.contains("triage.json") && store.problems().is_empty());
}

#[test]
fn parts_of_trees_are_read() {
    let recorded = Recorded::read();
    let dir = tempfile::tempdir().unwrap();
    let top = Tool::MustGather.write(&recorded, dir.path());
    let image = fs::read_dir(&top).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    // `oc adm inspect` of one namespace has no objects of the cluster; then only one directory is left.
    fs::remove_dir_all(image.join("cluster-scoped-resources")).unwrap();
    fs::remove_file(image.join("version")).unwrap();
    fs::remove_file(image.join(format!("namespaces/{NS}/core/events.yaml"))).unwrap();
    // The list of pods is damaged, and the pods' own files make up for it.
    put(&image, &format!("namespaces/{NS}/core/pods.yaml"), b"apiVersion: v1\nitems:\n- metadata: [\nkind: PodList\n");
    let store = bundle::open(&image).unwrap();
    let pods: serde_json::Value =
        serde_json::from_slice(&store.read(&format!("cluster-resources/pods/{NS}.json"), 64 << 20).unwrap()).unwrap();
    assert_eq!(pods["items"].as_array().unwrap().len(), 9);
    assert!(!store.contains("cluster-resources/nodes.json"));
    let found = triaged(&*store);
    assert!(found.findings.iter().any(|f| f.rule == "container-oom-killed"));
    assert_eq!(store.damage().len(), 1);
}

#[test]
#[ignore = "needs kubectl 1.32 or newer"]
fn kubectl_itself_dumps_what_is_read() {
    let cluster = Cluster::recorded();
    let dir = tempfile::tempdir().unwrap();
    for format in ["json", "yaml"] {
        let dump = dir.path().join(format);
        let status = Command::new("kubectl")
            .args(["cluster-info", "dump", "--namespaces", NS, "-o", format, "--output-directory"])
            .arg(&dump)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", dir.path())
            .status()
            .unwrap();
        assert!(status.success());
        let store = bundle::open(&dump).unwrap();
        assert!(store.problems()[0].contains(Tool::ClusterDump.title()), "{:?}", store.problems());
        same(&triaged(&*store), &triaged(&reference(Tool::ClusterDump)), format);
    }
}
