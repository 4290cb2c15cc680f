//! PostgreSQL: saturation, locks, deadlocks, roles, TLS.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::super::{Run, assert_absent, json, reason};
use super::{Server, free_port, run};

/// A database with password authentication and TLS, at most 12 connections, and a role that may only look.
struct Database {
    server: Server,
    dir: tempfile::TempDir,
    port: u16,
    runtime: tokio::runtime::Runtime,
}

fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed; .ci/run has the list of packages")
        .map(|e| e.unwrap().path().join("bin"))
        .filter(|p| p.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("no initdb below /usr/lib/postgresql")
}

/// PostgreSQL does not run as root, so it runs as its package's user then.
fn as_server(program: &Path) -> Command {
    if rustix::process::geteuid().is_root() {
        // It becomes the program, so that a signal to it is one to the server.
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

struct Standby {
    server: Server,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Database {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let password = dir.path().join("password");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&password, "planted-Super88\n").unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(dir.path()));
        }
        let bin = programs();
        run(as_server(&bin.join("initdb"))
            .args(["-U", "boss", "-A", "scram-sha-256", "--no-sync", "-D"])
            .arg(&data)
            .arg(format!("--pwfile={}", password.display())));
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(data.join("server.crt"), key.cert.pem()).unwrap();
        std::fs::write(data.join("server.key"), key.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.path().join("root.crt"), key.cert.pem()).unwrap();
        run(Command::new("chmod").arg("600").arg(data.join("server.key")));
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(&data));
        }
        let port = free_port();
        let mut command = as_server(&bin.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-p", &port.to_string(), "-F"]);
        for setting in ["max_connections=12", "superuser_reserved_connections=2", "deadlock_timeout=100ms", "ssl=on"] {
            command.args(["-c", setting]);
        }
        let mut server = Server::start(dir.path(), "postgres", command);
        server.until_port(port);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let database = Self { server, dir, port, runtime };
        let boss = database.boss();
        database.sql(
            &boss,
            "CREATE ROLE looker LOGIN PASSWORD 'planted-Look88x'; GRANT pg_monitor TO looker; \
             CREATE TABLE t (id int primary key, v text); INSERT INTO t VALUES (1, 'planted-Row88'), (2, 'b'); \
             CREATE TABLE transactions (state text); INSERT INTO transactions VALUES ('voting'), ('voting'), ('signed'); \
             GRANT SELECT ON transactions TO looker",
        );
        database
    }

    fn boss(&self) -> Client {
        let text = format!("host=127.0.0.1 port={} user=boss password=planted-Super88 dbname=postgres", self.port);
        self.runtime.block_on(async {
            let mut last = None;
            // The server may still be starting.
            for _ in 0..100 {
                match tokio_postgres::connect(&text, NoTls).await {
                    Ok((client, connection)) => {
                        tokio::spawn(connection);
                        return client;
                    }
                    Err(error) => last = Some(error),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{last:?}");
        })
    }

    fn sql(&self, client: &Client, sql: &str) {
        self.runtime.block_on(client.batch_execute(sql)).unwrap();
    }

    /// A standby of this database, copied with pg_basebackup, that streams through a slot; `settings` are its own.
    fn standby(&self, settings: &[&str]) -> Standby {
        let dir = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(dir.path()));
        }
        let data = dir.path().join("data");
        let source =
            format!("host=127.0.0.1 port={} user=boss password=planted-Super88 application_name=standby", self.port);
        run(as_server(&programs().join("pg_basebackup"))
            .args(["-d", &source, "-R", "-C", "-S", "standby_slot", "--no-sync", "-c", "fast", "-D"])
            .arg(&data));
        let port = free_port();
        let mut command = as_server(&programs().join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-p", &port.to_string(), "-F"]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut server = Server::start(dir.path(), "standby", command);
        server.until_port(port);
        Standby { server, port, _dir: dir }
    }

    /// Waits until a question gives a row.
    #[track_caller]
    fn until_row(&self, client: &Client, sql: &str) {
        for n in 0.. {
            let rows = self.runtime.block_on(client.simple_query(sql)).unwrap();
            if rows.iter().any(|m| matches!(m, tokio_postgres::SimpleQueryMessage::Row(_))) {
                return;
            }
            assert!(n < 600, "{sql}: {}", self.server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn conninfo(&self, more: &str) -> String {
        format!("host=localhost port={} user=looker dbname=postgres {more}", self.port)
    }
}

const TABLES: &str = "[parameters.pg]\ndescription=\"d\"\n[parameters.pw]\ndescription=\"d\"\nsecret=true\n\
    [[postgres]]\nconninfo=\"{pg}\"\npassword=\"{pw}\"\nqueries=[\
    {id=\"app-transactions\", sql=\"SELECT state, count(*) AS n FROM transactions GROUP BY 1 ORDER BY 1\", why=\"w\"},\
    {id=\"app-other\", sql=\"SELECT 1 FROM no_such_table\", why=\"w\"}]\n";

#[test]
#[ignore = "needs PostgreSQL; .ci/run runs it"]
fn services_postgres_locks_deadlocks_and_state() {
    let db = Database::start();
    // A deadlock, then a lock chain behind a session that idles in its transaction.
    let (a, b, c) = (db.boss(), db.boss(), db.boss());
    db.sql(&a, "BEGIN; UPDATE t SET v = 'x' WHERE id = 1");
    db.sql(&b, "BEGIN; UPDATE t SET v = 'y' WHERE id = 2");
    db.runtime.block_on(async {
        let first = a.batch_execute("UPDATE t SET v = 'x' WHERE id = 2");
        let second = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            b.batch_execute("UPDATE t SET v = 'y' WHERE id = 1").await
        };
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err() || second.is_err(), "no deadlock");
    });
    db.sql(&a, "ROLLBACK");
    db.sql(&b, "ROLLBACK");
    // The counter of deadlocks is written when a session is idle for a while, or when it ends.
    drop(b);
    db.sql(&a, "BEGIN; UPDATE t SET v = 'planted-Literal88' WHERE id = 1");
    let waiting =
        db.runtime.spawn(async move { c.batch_execute("UPDATE t SET v = 'planted-Wait88' WHERE id = 1").await });
    let look = db.boss();
    let blocked = "SELECT 1 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0";
    let counted = "SELECT 1 FROM pg_stat_database WHERE deadlocks > 0";
    for sql in [blocked, counted] {
        db.until_row(&look, sql);
    }
    let run = Run::new(TABLES)
        .patient()
        .set("pg", &db.conninfo("sslmode=require"))
        .env("PW", "planted-Look88x")
        .set("pw", "env:PW");
    let bundle = run.run().code(0).bundle();
    assert_eq!(bundle.outcome("services/postgres"), "ok", "{}", reason(&bundle, "services/postgres"));
    assert_absent(&bundle, &["planted-", "UPDATE t"]);
    let blockers = json(&bundle, "services/postgres/blockers.json");
    let blockers = blockers.as_array().unwrap();
    let idle = blockers.iter().find(|r| r["state"] == "idle in transaction").expect("the session that holds the lock");
    let waiter = blockers.iter().find(|r| r["wait_event_type"] == "Lock").expect("the session that waits");
    assert_eq!(waiter["blocked_by"][0], idle["pid"]);
    let databases = json(&bundle, "services/postgres/databases.json");
    let own = databases.as_array().unwrap().iter().find(|r| r["database"] == "postgres").unwrap();
    assert!(own["deadlocks"].as_i64().unwrap() >= 1, "{own}");
    let server = &json(&bundle, "services/postgres/server.json")[0];
    assert_eq!((server["max_connections"].as_i64(), server["monitor"].as_bool()), (Some(12), Some(true)));
    let states = json(&bundle, "services/postgres/app-transactions.json");
    assert_eq!(states.to_string(), r#"[{"state":"signed","n":1},{"state":"voting","n":2}]"#);
    db.sql(&a, "ROLLBACK");
    let _ = db.runtime.block_on(waiting);
}

#[test]
#[ignore = "needs PostgreSQL; .ci/run runs it"]
fn services_postgres_refusals_and_tls() {
    let db = Database::start();
    let root = db.dir.path().join("root.crt").display().to_string();
    let connect = |more: &str, password: &str| {
        let run = Run::new(TABLES).patient().set("pg", &db.conninfo(more)).env("PW", password).set("pw", "env:PW");
        let ran = run.run();
        let bundle = ran.bundle();
        (bundle.outcome("services/postgres"), reason(&bundle, "services/postgres"))
    };
    let good = "planted-Look88x";
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        let more = format!("sslmode={mode} sslrootcert={root}");
        let (outcome, why) = connect(&more, good);
        assert!(matches!(outcome.as_str(), "ok" | "truncated") && !why.contains("TLS"), "{mode}: {outcome} {why}");
    }
    let by_address = format!("sslrootcert={root} hostaddr=127.0.0.1");
    // The certificate names localhost and not the address.
    assert!(connect(&format!("sslmode=verify-full {by_address}"), good).1.contains("TLS"));
    assert!(!connect(&format!("sslmode=verify-ca {by_address}"), good).1.contains("TLS"));
    let (outcome, why) = connect("sslmode=require", "wrong-Password9");
    assert!(outcome == "forbidden" && why.contains("password authentication failed"), "{outcome} {why}");
    let (outcome, why) = connect("dbname=nothing", good);
    assert!(outcome == "not-found" && why.contains("3D000"), "{outcome} {why}");
    // All connections taken.
    let taken: Vec<_> = (0..10).map(|_| db.boss()).collect();
    let (outcome, why) = connect("sslmode=disable", good);
    assert!(outcome == "failed" && why.contains("SQLSTATE 53300"), "{outcome} {why}");
    drop(taken);
}

#[test]
#[ignore = "needs PostgreSQL; .ci/run runs it"]
fn services_postgres_standby_replication_and_recovery() {
    let db = Database::start();
    let boss = db.boss();
    let mut standby = db.standby(&["max_connections=12"]);
    db.until_row(&boss, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'");
    let collect = |port: u16| {
        let conninfo = format!("host=localhost port={port} user=looker dbname=postgres sslmode=disable");
        Run::new(TABLES).patient().set("pg", &conninfo).env("PW", "planted-Look88x").set("pw", "env:PW").run().bundle()
    };
    let row = |bundle: &crate::support::cli::Bundle, file: &str| {
        json(bundle, &format!("services/postgres/{file}.json"))[0].clone()
    };

    // The primary knows its standby and the slot; the standby knows what it is.
    let primary = collect(db.port);
    let replica = row(&primary, "replication");
    assert_eq!((&replica["application"], &replica["state"]), (&"standby".into(), &"streaming".into()), "{replica}");
    let slot = row(&primary, "slots");
    assert_eq!((&slot["slot"], &slot["active"]), (&"standby_slot".into(), &true.into()), "{slot}");
    assert_eq!(row(&primary, "recovery")["in_recovery"], false);
    let streaming = collect(standby.port);
    assert_eq!(streaming.outcome("services/postgres"), "ok", "{}", reason(&streaming, "services/postgres"));
    let recovery = row(&streaming, "recovery");
    assert_eq!((&recovery["in_recovery"], &recovery["receivers"]), (&true.into(), &1.into()), "{recovery}");
    for rule in
        ["postgres-standby-cut-off", "postgres-slot-inactive", "postgres-standby-behind", "postgres-replay-paused"]
    {
        assert!(!primary.text("triage.json").contains(rule) && !streaming.text("triage.json").contains(rule), "{rule}");
    }

    // It receives changes and applies none.
    let paused = db.runtime.block_on(async {
        let text = format!("host=127.0.0.1 port={} user=boss password=planted-Super88 dbname=postgres", standby.port);
        let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
        client
    });
    db.sql(&boss, "INSERT INTO t SELECT g, 'planted-Row88' FROM generate_series(10, 2000) g");
    db.until_row(&boss, "SELECT 1 FROM pg_stat_replication WHERE pg_wal_lsn_diff(sent_lsn, replay_lsn) > 0");
    db.until_row(&paused, "SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused' AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()");
    let behind = collect(standby.port);
    let recovery = row(&behind, "recovery");
    assert_eq!(recovery["replay_paused"], true, "{recovery}");
    assert!(recovery["not_applied_bytes"].as_i64().unwrap() > 0, "{recovery}");
    assert!(behind.text("triage.json").contains("postgres-replay-paused"));
    assert!(row(&collect(db.port), "replication")["behind_bytes"].as_i64().unwrap() > 0);
    db.sql(&paused, "SELECT pg_wal_replay_resume()");
    drop(paused);

    // The primary goes: the standby is cut off.
    let mut db = db;
    db.server.stop();
    let cut = (0..100)
        .find_map(|_| {
            let bundle = collect(standby.port);
            let cut = row(&bundle, "recovery")["receivers"] == 0;
            if !cut {
                std::thread::sleep(Duration::from_millis(100));
            }
            cut.then_some(bundle)
        })
        .expect("the standby still streams");
    assert!(cut.text("triage.json").contains("postgres-standby-cut-off"));
    standby.server.stop();
}

#[test]
#[ignore = "needs PostgreSQL; .ci/run runs it"]
fn services_postgres_in_recovery_has_one_outcome() {
    let db = Database::start();
    let boss = db.boss();
    // A standby that may not be read answers as a database does that recovers after a crash.
    let mut standby = db.standby(&["max_connections=12", "hot_standby=off"]);
    db.until_row(&boss, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'");
    let conninfo = format!("host=127.0.0.1 port={} user=looker dbname=postgres sslmode=disable", standby.port);
    let ran = Run::new(TABLES).patient().set("pg", &conninfo).env("PW", "planted-Look88x").set("pw", "env:PW").run();
    let bundle = ran.code(3).bundle();
    assert_eq!(bundle.outcome("services/postgres"), "failed");
    let why = reason(&bundle, "services/postgres");
    assert!(why.contains("SQLSTATE 57P03") && why.contains("try: wait"), "{why}");
    assert!(bundle.text("triage.json").contains("monitoring/postgres-not-accepting"));
    standby.server.stop();
    // The slot of a standby that is gone holds back the log of the primary.
    db.until_row(&boss, "SELECT 1 FROM pg_replication_slots WHERE NOT active");
    let conninfo = db.conninfo("sslmode=disable");
    let run = Run::new(TABLES).patient().set("pg", &conninfo).env("PW", "planted-Look88x").set("pw", "env:PW");
    let bundle = run.run().bundle();
    assert!(
        bundle.text("triage.json").contains("monitoring/postgres-slot-inactive"),
        "{}",
        bundle.text("services/postgres/slots.json")
    );
}

#[test]
#[ignore = "needs PostgreSQL; .ci/run runs it"]
fn services_postgres_password_and_service_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let db = Database::start();
    let home = tempfile::tempdir().unwrap();
    let pass = home.path().join(".pgpass");
    let service =
        format!("[wallet]\nhost=localhost\nport={}\nuser=looker\ndbname=postgres\nsslmode=require\n", db.port);
    std::fs::write(home.path().join(".pg_service.conf"), service).unwrap();
    std::fs::write(&pass, format!("localhost:{}:*:looker:planted-Look88x\n", db.port)).unwrap();
    let connect = |mode: u32| {
        std::fs::set_permissions(&pass, std::fs::Permissions::from_mode(mode)).unwrap();
        let bundle = Run::new(TABLES).patient().set("pg", "service=wallet").env("HOME", home.path()).run().bundle();
        assert_absent(&bundle, &["planted-Look88x"]);
        (bundle.outcome("services/postgres"), reason(&bundle, "services/postgres"))
    };
    let (outcome, why) = connect(0o600);
    assert_eq!(outcome, "ok", "{why}");
    // As libpq does, a file that others may read is not used, and the reason says so.
    let (outcome, why) = connect(0o644);
    assert!(outcome != "ok" && why.contains("chmod 600"), "{outcome} {why}");
}
