//! Servers that refuse, hang, flood, cut off or speak something else: one clear outcome each.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::fake::{Fake, Reply, closed_port};
use super::{Run, assert_absent, json, reason};

/// A raw server that does one thing with every connection.
fn raw(act: impl Fn(std::net::TcpStream) + Send + Sync + Copy + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || act(stream));
        }
    });
    address
}

#[test]
fn each_misbehaviour_of_an_endpoint_has_one_outcome() {
    let elsewhere = Fake::tcp(|_, _| Reply::Json(200, "{}".to_owned()));
    let target = elsewhere.address.clone();
    let fake = Fake::tcp(move |request, _| match request {
        "GET /ok" => Reply::Json(200, r#"{"status":"ok"}"#.to_owned()),
        "GET /degraded" => Reply::Json(503, r#"{"status":"unhealthy"}"#.to_owned()),
        "GET /refused" => Reply::Json(401, r#"{"error":"no"}"#.to_owned()),
        "GET /missing" => Reply::Json(404, "{}".to_owned()),
        "GET /html" => Reply::Bytes(200, "text/html", b"<html>not json</html>".to_vec()),
        "GET /no-metrics" => Reply::Json(200, r#"{"status":"healthy"}"#.to_owned()),
        "GET /metrics" => Reply::Bytes(200, "text/plain", b"# TYPE a counter\na 1\n".to_vec()),
        "GET /hang" => Reply::Hang,
        "GET /huge" => Reply::Huge,
        "GET /cut" => Reply::Cut,
        "GET /elsewhere" => Reply::Redirect(format!("http://{target}/")),
        "GET /here" => Reply::Redirect("/ok".to_owned()),
        "GET /garbage" => Reply::Raw(b"\x00\x01\x02 no http\r\n\r\n".to_vec()),
        "GET /empty" => Reply::Bytes(200, "text/plain", Vec::new()),
        other => panic!("{other} was not expected"),
    });
    let silent = raw(|stream| {
        std::thread::sleep(std::time::Duration::from_secs(60));
        drop(stream);
    });
    let cases = [
        ("ok", "x.json", "ok", ""),
        ("degraded", "x.json", "ok", "HTTP 503"),
        ("refused", "x.json", "forbidden", "HTTP 401"),
        ("missing", "x.json", "not-found", "HTTP 404"),
        ("html", "x.json", "failed", "not JSON"),
        ("no-metrics", "x.prom", "failed", "no metrics"),
        ("metrics", "x.prom", "ok", ""),
        ("hang", "x.json", "timed-out", "no whole answer within 6s"),
        ("huge", "x.json", "truncated", "8 MiB"),
        ("cut", "x.json", "failed", "broke"),
        ("elsewhere", "x.json", "empty", "HTTP 302"),
        ("here", "x.json", "ok", ""),
        ("garbage", "x.json", "failed", "is this the right port"),
        ("empty", "x.txt", "empty", "without a body"),
    ];
    let table = |id: &str, url: &str, path: &str, file: &str| {
        format!("[[endpoint]]\nid=\"{id}\"\nurl=\"{url}\"\npath=\"/{path}\"\nfile=\"{file}\"\nwhy=\"w\"\n")
    };
    let mut tables: String = "[parameters.named]\ndescription=\"d\"\n".to_owned();
    for (id, file, ..) in cases {
        tables.push_str(&table(id, &format!("http://{}", fake.address), id, file));
    }
    tables.push_str(&table("tls", &format!("https://{}", fake.address), "ok", "x.json"));
    tables.push_str(&table("silent", &format!("http://{silent}"), "ok", "x.json"));
    tables.push_str(&table("guessed", &format!("http://{}", closed_port()), "ok", "x.json"));
    tables.push_str(&table("named", "{named}", "ok", "x.json"));
    tables.push_str(&table("nowhere", "http://no-such-host.invalid:1", "ok", "x.json"));
    let ran = Run::new(&tables).set("named", &closed_port()).run().code(3);
    let bundle = ran.bundle();
    let more = [
        ("tls", "", "failed", "TLS failed"),
        ("silent", "", "timed-out", "no whole answer"),
        ("guessed", "", "not-applicable", "refuses connections"),
        ("named", "", "failed", "refuses connections"),
        ("nowhere", "", "not-applicable", "cannot be found"),
    ];
    for (id, _, outcome, why) in cases.into_iter().chain(more) {
        let item = format!("services/endpoint-{id}");
        let said = reason(&bundle, &item);
        assert_eq!(bundle.outcome(&item), outcome, "{id}: {said}");
        assert!(said.contains(why), "{id}: {said}");
        let connection = json(&bundle, &format!("{item}/connection.json"));
        let answered = !matches!(id, "hang" | "cut" | "garbage" | "tls" | "silent" | "guessed" | "named" | "nowhere");
        assert_eq!(connection["reachable"], answered, "{id}: {connection}");
    }
    assert_eq!(json(&bundle, "services/endpoint-degraded/x.json")["status"], "unhealthy");
    assert!(bundle.text("services/endpoint-html/x.json.txt").contains("not json"));
    assert!(elsewhere.requests().is_empty(), "a redirect to another port was followed");
    assert!(fake.requests().iter().all(|r| r.starts_with("GET ")));
    // Endpoints may write when they are asked, so each is asked once.
    assert_eq!(fake.requests().iter().filter(|r| *r == "GET /degraded").count(), 1);
}

#[test]
fn each_misbehaviour_of_a_database_has_one_outcome() {
    let hang = raw(|stream| {
        std::thread::sleep(std::time::Duration::from_secs(60));
        drop(stream);
    });
    let after_handshake = raw(|mut stream| {
        answer_startup(&mut stream);
        std::thread::sleep(std::time::Duration::from_secs(60));
    });
    let flood = raw(|mut stream| {
        answer_startup(&mut stream);
        // One message that promises a gigabyte.
        let _ = stream.write_all(&[b'D', 0x40, 0, 0, 0]);
        let piece = vec![0; 1 << 20];
        for _ in 0..100 {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let http = raw(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let refuses = raw(|mut stream| {
        startup(&mut stream);
        let body = b"SFATAL\0C28P01\0Mpassword authentication failed for user \"u\"\0\0";
        let _ = stream.write_all(&message(b'E', body));
    });
    let full = raw(|mut stream| {
        startup(&mut stream);
        let body = b"SFATAL\0C53300\0Msorry, too many clients already\0\0";
        let _ = stream.write_all(&message(b'E', body));
    });
    let starting = raw(|mut stream| {
        startup(&mut stream);
        let body = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0";
        let _ = stream.write_all(&message(b'E', body));
    });
    let conninfo = |address: &str, mode: &str| format!("postgres://u:planted-Pass99@{address}/d?sslmode={mode}");
    let cases = [
        ("hang", conninfo(&hang, "disable"), "timed-out", "did not answer"),
        ("after", conninfo(&after_handshake, "disable"), "timed-out", ""),
        ("flood", conninfo(&flood, "disable"), "failed", "32 MiB"),
        ("http", conninfo(&http, "disable"), "failed", "port of PostgreSQL"),
        ("refuses", conninfo(&refuses, "disable"), "forbidden", "password authentication failed"),
        ("full", conninfo(&full, "disable"), "failed", "too many clients"),
        ("starting", conninfo(&starting, "disable"), "failed", "try: wait"),
        ("tls", conninfo(&refuses, "require"), "failed", "TLS"),
        ("verify", conninfo(&refuses, "verify-full"), "failed", "sslrootcert"),
        ("port", conninfo(&closed_port(), "disable"), "not-applicable", "refuses connections"),
    ];
    let tables: String = cases
        .iter()
        .map(|(id, conninfo, ..)| format!("[[postgres]]\nname=\"{id}\"\nconninfo=\"{conninfo}\"\n"))
        .collect();
    let ran = Run::new(&tables).run().code(3);
    let bundle = ran.bundle();
    for (id, _, outcome, why) in &cases {
        let item = format!("services/postgres-{id}");
        let said = reason(&bundle, &item);
        assert_eq!(bundle.outcome(&item), *outcome, "{id}: {said}");
        assert!(said.contains(why), "{id}: {said}");
    }
    assert_absent(&bundle, &["planted-Pass99"]);
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// Reads the first message of a client; one that asks for TLS is told that there is none.
fn startup(stream: &mut std::net::TcpStream) {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).is_err() {
        return;
    }
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    let _ = stream.read_exact(&mut body);
    if body == [4, 0xd2, 0x16, 0x2f] {
        let _ = stream.write_all(b"N");
    }
}

/// Lets a client in.
fn answer_startup(stream: &mut std::net::TcpStream) {
    startup(stream);
    let _ = stream.write_all(&message(b'R', &[0, 0, 0, 0]));
    let _ = stream.write_all(&message(b'Z', b"I"));
}

#[test]
fn credentials_come_from_files_and_the_environment_and_stay_out_of_the_bundle() {
    let fake = Fake::tcp(|_, _| Reply::Json(200, "{}".to_owned()));
    let tables = format!(
        "[parameters.pw]\ndescription=\"d\"\nsecret=true\n[parameters.user]\ndescription=\"d\"\n\
         [[endpoint]]\nid=\"e\"\nurl=\"http://{}\"\npath=\"/\"\nfile=\"x.json\"\nwhy=\"w\"\nauth={{user=\"{{user}}\", password=\"{{pw}}\"}}\n",
        fake.address
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "planted-Pass99x\n").unwrap();
    let from_file = Run::new(&tables).set("user", "u").set("pw", &format!("@{}", file.path().display())).run().code(0);
    assert!(!from_file.stderr().contains("command line"), "{}", from_file.stderr());
    assert_absent(&from_file.bundle(), &["planted-Pass99x"]);
    assert_eq!(from_file.bundle().manifest.parameters["pw"], "set, not shown");
    let typed = Run::new(&tables).set("user", "u").set("pw", "planted-Pass99x").run().code(0);
    assert!(typed.stderr().contains("--set pw=@FILE"), "{}", typed.stderr());
    assert_absent(&typed.bundle(), &["planted-Pass99x"]);
    let env = Run::new(&tables).env("MY_PW", "planted-Pass99x").set("user", "u").set("pw", "env:MY_PW").run().code(0);
    assert!(!env.stderr().contains("command line"), "{}", env.stderr());
    Run::new(&tables).set("pw", "env:NOT_SET").run().code(2).says("NOT_SET");
    Run::new(&tables).set("pw", "@/no/such/file").run().code(2).says("/no/such/file");
}
