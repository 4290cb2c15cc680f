//! Services beside a cluster: which to ask, where, and what for.
//!
//! Every `url` and every credential is a template: `{name}` is a parameter of the profile. A `url` may become a list, separated
//! by commas, each part `NAME=URL` or `URL`; each becomes a source of its own.

use serde::Deserialize;

/// How an HTTP service is asked. All values are templates; one whose parameter is not set counts as not given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// User of basic authentication.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Bearer token.
    pub token: Option<String>,
    /// File with certificates of authorities, instead of the system's.
    pub ca_file: Option<String>,
    /// File with the client's certificate.
    pub cert_file: Option<String>,
    /// File with its key.
    pub key_file: Option<String>,
}

/// A Docker or Podman engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// `unix://...`, `tcp://...` or a path; without a value `DOCKER_HOST` and the usual sockets are tried.
    #[serde(default)]
    pub host: Option<String>,
    /// Compose projects whose containers are read; with [`Docker::containers`], what matches either.
    #[serde(default)]
    pub projects: Vec<String>,
    /// Globs of container names. All containers are read when neither is given.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Environment variables whose values may be kept; of all others only name and length are.
    #[serde(default)]
    pub keep_env: Vec<String>,
}

/// A Prometheus server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// Base URL.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub auth: Auth,
    /// Queries whose values over the time of the run's `--since` (at most a day, else one hour) are kept.
    #[serde(default)]
    pub series: Vec<String>,
}

/// An Alertmanager.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// Base URL.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub auth: Auth,
}

/// A Grafana server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grafana {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// Base URL.
    pub url: String,
    /// How it is asked. Without a user or a token only its health and its metrics are.
    #[serde(default)]
    pub auth: Auth,
}

/// An etcd cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Etcd {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// Client URLs of its members, separated by commas.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub auth: Auth,
    /// Prefixes whose keys are counted and named. Values are never read.
    #[serde(default)]
    pub prefixes: Vec<String>,
}

/// A PostgreSQL database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// Connection string of libpq, as URL or as `key=value` words; what it does not say comes from where libpq takes it.
    pub conninfo: String,
    /// Password, when it stands neither there nor in a password file.
    #[serde(default)]
    pub password: Option<String>,
    /// Questions about the application's own state, beside those about the server.
    #[serde(default)]
    pub queries: Vec<PostgresQuery>,
}

/// A question to a database. It runs in a transaction that can only read, with a deadline of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresQuery {
    /// Name of the artifact.
    pub id: String,
    /// One `SELECT`. It must give counts, states and times, never data of users.
    pub sql: String,
    /// Why it is asked.
    pub why: String,
}

/// A node that speaks JSON-RPC over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRpc {
    /// Part of the artifacts' directory, where a profile has several.
    #[serde(default)]
    pub name: String,
    /// URL of each node.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub auth: Auth,
    /// Methods without parameters, at most nine. The first is asked again at the end, to see whether it moves.
    pub methods: Vec<String>,
}

/// An HTTP endpoint that answers with health or metrics.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Part of the item's id and of the artifacts' directory.
    pub id: String,
    /// Base URL.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub auth: Auth,
    /// Path with its query, beginning with a slash.
    pub path: String,
    /// Last part of the artifact's name; its extension says how it is redacted and, for `.prom`, that it is metrics.
    pub file: String,
    /// Why it is asked.
    pub why: String,
}

/// Files of this host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Part of the item's id.
    pub id: String,
    /// Globs of absolute paths. Keys, wallets and databases are refused whatever they say.
    pub paths: Vec<String>,
    /// Whether the newest part is kept, as for logs, or the oldest, as for configuration.
    #[serde(default)]
    pub kind: FileKind,
    /// Why they are read.
    pub why: String,
}

/// What kind of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// Logs, rotated and compressed ones among them.
    #[default]
    Log,
    /// Configuration.
    Config,
}

/// JSON-RPC methods that would read or move what a wallet holds, or change the node. A part of the name is enough.
const REFUSED_METHODS: [&str; 21] = [
    "wallet",
    "dump",
    "send",
    "sign",
    "balance",
    "utxo",
    "unspent",
    "import",
    "export",
    "key",
    "passphrase",
    "encrypt",
    "stop",
    "submit",
    "deploy",
    "call_",
    "mint",
    "transfer",
    "settle",
    "invalidate",
    "ban",
];

/// Whether a JSON-RPC method may be called: it is short, plain, and neither touches a wallet nor changes anything.
#[must_use]
pub fn is_read_method(method: &str) -> bool {
    let lower = method.to_ascii_lowercase();
    (1..=64).contains(&method.len())
        && method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !REFUSED_METHODS.iter().any(|part| lower.contains(part))
}

/// What is wrong with the services of a profile, if anything.
pub(super) fn check(profile: &super::Profile) -> Result<(), String> {
    for rpc in &profile.jsonrpc {
        if rpc.methods.is_empty() || rpc.methods.len() > 9 {
            return Err("[[jsonrpc]] methods must name one to nine methods".to_owned());
        }
        if let Some(method) = rpc.methods.iter().find(|m| !is_read_method(m)) {
            return Err(format!("[[jsonrpc]] method \"{method}\" is refused: it does more than read the node's state"));
        }
    }
    for endpoint in &profile.endpoint {
        if !endpoint.path.starts_with('/') {
            return Err(format!("[[endpoint]] id = \"{}\": path must begin with a slash", endpoint.id));
        }
        if endpoint.file.contains('/') || endpoint.file.is_empty() {
            return Err(format!("[[endpoint]] id = \"{}\": file must be a name without a slash", endpoint.id));
        }
    }
    for query in profile.postgres.iter().flat_map(|p| &p.queries) {
        let sql = query.sql.trim_start().to_ascii_lowercase();
        if !(sql.starts_with("select ") || sql.starts_with("with ")) || sql.contains(';') {
            return Err(format!("[[postgres]] query \"{}\": sql must be one SELECT without a semicolon", query.id));
        }
    }
    for files in &profile.files {
        if files.paths.is_empty() || files.paths.iter().any(|p| !p.starts_with(['/', '{'])) {
            return Err(format!("[[files]] id = \"{}\": paths must be absolute", files.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::is_read_method;

    const HEAD: &str = "schema = 1\nid = \"x\"\ntitle = \"X\"\nprefix = \"x\"\n";

    #[test]
    fn methods_that_do_more_than_read_are_refused() {
        for method in ["getblockcount", "getassetpolicy", "estimatefee", "getblockchaininfo", "getconnectioncount"] {
            assert!(is_read_method(method), "{method}");
        }
        for method in ["dumpprivkey", "getwalletinfo", "sendtx", "getbalance", "stop", "a b", "", "setban"] {
            assert!(!is_read_method(method), "{method}");
        }
        assert!(!is_read_method(&"m".repeat(65)));
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, want) in [
            ("[[jsonrpc]]\nurl=\"http://h\"\nmethods=[\"sendtx\"]\n", "sendtx"),
            ("[[jsonrpc]]\nurl=\"http://h\"\nmethods=[]\n", "one to nine"),
            ("[[endpoint]]\nid=\"e\"\nurl=\"http://h\"\npath=\"x\"\nfile=\"f\"\nwhy=\"w\"\n", "slash"),
            ("[[endpoint]]\nid=\"e\"\nurl=\"http://h\"\npath=\"/x\"\nfile=\"a/f\"\nwhy=\"w\"\n", "slash"),
            ("[[files]]\nid=\"f\"\npaths=[\"x\"]\nwhy=\"w\"\n", "absolute"),
            ("[[postgres]]\nconninfo=\"\"\nqueries=[{id=\"q\", sql=\"DELETE FROM t\", why=\"w\"}]\n", "SELECT"),
            ("[[postgres]]\nconninfo=\"\"\nqueries=[{id=\"q\", sql=\"select 1; drop x\", why=\"w\"}]\n", "semicolon"),
        ] {
            let error = parse("p.toml", &format!("{HEAD}{text}")).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
