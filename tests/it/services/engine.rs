//! An engine of containers behind its socket.

use serde_json::{Value, json as doc};

use super::fake::{Fake, Reply};
use super::{Run, assert_absent, json, reason};

const PLANTED: [&str; 4] = ["planted-Env77x", "planted-Arg77x", "planted-Label77x", "planted-Exec77x"];

fn frame(kind: u8, text: &str) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0];
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

pub(super) fn container(id: &str, name: &str, state: &str, project: &str) -> Value {
    doc!({"Id": id, "Names": [format!("/{name}")], "Image": "mpc/node", "State": state, "Status": state,
        "Command": "run --password planted-Arg77x",
        "Labels": {"com.docker.compose.project": project, "com.docker.compose.service": name, "note": "planted-Label77x"}})
}

fn inspected(id: &str, name: &str, tty: bool) -> Value {
    doc!({"Id": id, "Name": format!("/{name}"), "Path": "/app/x", "Args": ["--password", "planted-Arg77x"],
        "RestartCount": 4, "GraphDriver": {"Data": "planted-Label77x"},
        "State": {"Status": "exited", "Running": false, "OOMKilled": true, "ExitCode": 137, "Error": "",
            "Health": {"Status": "unhealthy", "FailingStreak": 3, "Log": [{"ExitCode": 1, "Output": "UNHEALTHY: Port 8080 is not listening"}]}},
        "Config": {"Tty": tty, "Env": ["DB_URL=postgres://u:planted-Env77x@db/x", "PLAIN=planted-Env77x", "NODE_ID=3",
            "POSTGRES_PASSWORD=changeme"], "Labels": {"com.docker.compose.project": "mpc", "x": "planted-Label77x"}}})
}

pub(super) fn engine(request: &str) -> Reply {
    let path = request.strip_prefix("GET ").unwrap_or_else(|| panic!("{request} is no read"));
    let reply = |value: Value| Reply::Json(200, value.to_string());
    match path.split('?').next().unwrap_or_default() {
        "/version" => reply(doc!({"Version": "24.0", "ApiVersion": "1.43"})),
        "/info" => reply(doc!({"Containers": 3, "HttpProxy": "http://u:planted-Env77x@p", "MemTotal": 1})),
        "/networks" => reply(doc!([{"Name": "mpc-internal", "Labels": {"x": "planted-Label77x"}}])),
        "/volumes" => reply(doc!({"Volumes": null})),
        "/containers/json" => reply(doc!([container("a1", "mpc-node-1", "exited", "mpc"),
            container("b2", "mpc-tty", "running", "mpc"), container("c3", "other", "running", "else")])),
        "/containers/a1/json" => reply(inspected("a1", "mpc-node-1", false)),
        "/containers/b2/json" => reply(inspected("b2", "mpc-tty", true)),
        "/containers/b2/stats" => reply(doc!({"read": "x", "memory_stats": {"usage": 5, "limit": 10}})),
        "/containers/a1/logs" => {
            let mut bytes = frame(1, "2026-11-21T10:00:00Z first\n");
            bytes.extend(frame(2, "2026-11-21T10:00:01Z second on stderr\n"));
            Reply::Bytes(200, "application/vnd.docker.multiplexed-stream", bytes)
        }
        "/containers/b2/logs" => Reply::Bytes(200, "application/vnd.docker.raw-stream", b"raw terminal line\n".to_vec()),
        "/events" => Reply::Bytes(
            200,
            "application/json",
            format!(
                "{}\n{}\n",
                doc!({"Type": "container", "Action": "oom", "time": 1, "Actor": {"ID": "a1", "Attributes": {"name": "mpc-node-1", "x": "planted-Label77x"}}}),
                doc!({"Type": "container", "Action": "exec_start: sh -c planted-Exec77x", "time": 2, "Actor": {"ID": "a1", "Attributes": {}}}),
            )
            .into_bytes(),
        ),
        other => panic!("{other} was not expected"),
    }
}

const TABLE: &str = "[[docker]]\nprojects = [\"mpc\"]\nkeep_env = [\"NODE_*\"]\n";

#[test]
fn containers_are_read_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::unix(&dir.path().join("e.sock"), |request, _| engine(request));
    let ran = Run::new(TABLE).env("DOCKER_HOST", format!("unix://{}", fake.address)).run().code(0);
    let bundle = ran.bundle();
    assert_absent(&bundle, &PLANTED);
    let inspect = json(&bundle, "services/docker/inspect.json");
    assert_eq!(inspect["items"].as_array().unwrap().len(), 2, "the container of another project is not read");
    let node = &inspect["items"][0];
    assert_eq!((node["State"]["ExitCode"].as_i64(), node["State"]["OOMKilled"].as_bool()), (Some(137), Some(true)));
    assert_eq!(node["well_known_values"], doc!(["POSTGRES_PASSWORD"]));
    assert!(node["Config"]["Env"].to_string().contains(r#"{"name":"NODE_ID","value":"3"}"#), "{node}");
    let log = bundle.text("services/docker/logs/mpc-node-1.log");
    assert_eq!(log, "2026-11-21T10:00:00Z first\n2026-11-21T10:00:01Z second on stderr\n");
    assert_eq!(bundle.text("services/docker/logs/mpc-tty.log"), "raw terminal line\n");
    assert!(bundle.text("services/docker/events.jsonl").contains(r#""action":"oom""#));
    assert_eq!(json(&bundle, "services/docker/stats.json")["items"][0]["name"], "mpc-tty");
    assert!(fake.requests().iter().all(|r| r.starts_with("GET ")));
    assert!(fake.requests().iter().any(|r| r.contains("/logs?") && r.contains("tail=")));
}

#[test]
fn an_engine_that_cannot_be_used_has_one_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.sock");
    let bundle = Run::new(TABLE).env("DOCKER_HOST", format!("unix://{}", missing.display())).run().code(3).bundle();
    assert_eq!(bundle.outcome("services/docker"), "failed");
    assert!(reason(&bundle, "services/docker").contains("does not exist"));
    let bundle = Run::new(TABLE).env("DOCKER_HOST", "ssh://user@host").run().code(0).bundle();
    assert_eq!(bundle.outcome("services/docker"), "not-applicable");
    let other = Fake::tcp(|_, _| Reply::Json(200, r#"{"version":"1"}"#.to_owned()));
    let bundle = Run::new(TABLE).env("DOCKER_HOST", format!("tcp://{}", other.address)).run().code(3).bundle();
    assert!(reason(&bundle, "services/docker").contains("no engine"));
}

#[test]
fn a_socket_without_rights_or_without_an_engine_has_one_outcome() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let collect = |path: &std::path::Path, code: i32| {
        let run = Run::new(TABLE).without_override().env("DOCKER_HOST", format!("unix://{}", path.display()));
        let bundle = run.run().code(code).bundle();
        let entries = bundle.manifest.ledger.iter().filter(|e| e.item.as_str().starts_with("services/docker"));
        assert_eq!(entries.count(), 1, "nothing else is asked of it");
        (bundle.outcome("services/docker"), reason(&bundle, "services/docker"))
    };

    // The mode of the socket keeps others out, as that of Docker does without its group.
    let closed = dir.path().join("closed.sock");
    let fake = Fake::unix(&closed, |request, _| engine(request));
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let (outcome, why) = collect(&closed, 3);
    assert!(
        outcome == "forbidden" && why.contains("may not be opened") && why.contains("its group"),
        "{outcome} {why}"
    );
    assert_eq!(fake.requests(), Vec::<String>::new());

    // A proxy in front of the engine lets nobody through.
    let guarded = Fake::unix(&dir.path().join("guarded.sock"), |_, _| {
        Reply::Json(403, r#"{"message":"permission denied while trying to connect to the engine"}"#.to_owned())
    });
    let (outcome, why) = collect(guarded.address.as_ref(), 3);
    assert!(
        outcome == "forbidden" && why.contains("HTTP 403: ") && why.contains("permission denied"),
        "{outcome} {why}"
    );
    assert_eq!(guarded.requests(), ["GET /version"]);

    // One that shows its version and no containers.
    let half = Fake::unix(&dir.path().join("half.sock"), |request, _| match request {
        "GET /version" => engine(request),
        _ => Reply::Json(403, r#"{"message":"authorization denied by plugin"}"#.to_owned()),
    });
    let (outcome, why) = collect(half.address.as_ref(), 3);
    assert!(outcome == "forbidden" && why.contains("denied by plugin"), "{outcome} {why}");

    let file = dir.path().join("file.sock");
    std::fs::write(&file, "").unwrap();
    for no_socket in [file.as_path(), dir.path()] {
        let (outcome, why) = collect(no_socket, 3);
        assert!(outcome == "failed" && why.contains("is no socket"), "{outcome} {why}");
    }

    // Its engine is gone and left it behind.
    let dead = dir.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let (outcome, why) = collect(&dead, 3);
    assert!(outcome == "failed" && why.contains("nothing listens there"), "{outcome} {why}");
}

#[test]
fn a_log_that_is_no_log_is_cut_off_and_said_to_be() {
    let fake = Fake::tcp(|request, _| {
        if request.contains("/logs") {
            let mut bytes = frame(1, "good\n");
            bytes.extend_from_slice(b"\x01\0\0\0\0\0\0\x40half");
            return Reply::Bytes(200, "application/vnd.docker.multiplexed-stream", bytes);
        }
        engine(request)
    });
    let ran = Run::new(TABLE).env("DOCKER_HOST", format!("tcp://{}", fake.address)).run();
    let bundle = ran.bundle();
    assert_eq!(bundle.outcome("services/docker/logs/mpc-node-1"), "truncated");
    assert_eq!(bundle.text("services/docker/logs/mpc-node-1.log"), "good\nhalf");
}
