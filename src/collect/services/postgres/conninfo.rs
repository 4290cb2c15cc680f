//! How a connection is described: the strings, files and variables that libpq reads, in its order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::files::read_small;
use super::super::target::{Ambient, Secret, percent_decoded};

/// Largest password or service file.
const FILE_MAX: u64 = 1 << 20;
/// Variables and the settings that they give.
const VARIABLES: [(&str, &str); 10] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
];
/// What a connection string may set; the rest of libpq's settings has no meaning here and is passed over.
const KNOWN: [&str; 12] = [
    "dbname",
    "host",
    "hostaddr",
    "passfile",
    "password",
    "port",
    "service",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Where to connect, as whom, and how safely.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// Host and port, in the order in which they are tried. A host that begins with a slash is a directory of sockets.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) dbname: String,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) sslmode: SslMode,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// Something that a person should know, such as a password file that is ignored.
    pub(super) notes: Vec<String>,
}

/// The values of `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            other => {
                return Err(format!(
                    "sslmode {other} is not known (try: disable, allow, prefer, require, verify-ca, verify-full)"
                ));
            }
        })
    }
}

type Settings = BTreeMap<String, String>;

/// Resolves a connection string with the files and variables that complete it.
///
/// # Errors
/// What is wrong with it. The text never repeats the string, which may hold a password.
pub(super) fn resolve(conninfo: &str, password: Option<Secret>, ambient: &Ambient) -> Result<Connection, String> {
    let mut settings = parse(conninfo)?;
    let service = settings.get("service").cloned().or_else(|| ambient.var("PGSERVICE").map(str::to_owned));
    if let Some(service) = service {
        for (key, value) in self::service(&service, ambient)? {
            settings.entry(key).or_insert(value);
        }
    }
    for (variable, key) in VARIABLES {
        if let Some(value) = ambient.var(variable) {
            settings.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    let path = |key: &str| settings.get(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    let user = settings
        .get("user")
        .cloned()
        .or_else(|| ambient.user.clone())
        .ok_or("no user is named (try: user=NAME in the connection string)")?;
    let dbname = settings.get("dbname").filter(|d| !d.is_empty()).cloned().unwrap_or_else(|| user.clone());
    let hosts = hosts(&settings)?;
    let mut notes = Vec::new();
    let given = password.or_else(|| settings.get("password").map(Secret::new));
    let password = match given {
        Some(password) => Some(password),
        None => password_file(&settings, ambient, &hosts, &dbname, &user, &mut notes),
    };
    let sslmode = SslMode::parse(settings.get("sslmode").map_or("prefer", String::as_str))?;
    let own = |name: &str| ambient.home.as_ref().map(|home| home.join(".postgresql").join(name)).filter(|p| p.exists());
    let system = settings.get("sslrootcert").is_some_and(|v| v == "system");
    let ca = if system { None } else { path("sslrootcert").or_else(|| own("root.crt")) };
    if ca.is_none() && !system && matches!(sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Err(
            "sslmode verifies, and there is no file of authorities (try: sslrootcert=FILE or sslrootcert=system)"
                .to_owned(),
        );
    }
    Ok(Connection {
        hosts,
        dbname,
        user,
        password,
        sslmode,
        ca,
        cert: path("sslcert").or_else(|| own("postgresql.crt")),
        key: path("sslkey").or_else(|| own("postgresql.key")),
        notes,
    })
}

/// Hosts and ports, paired as libpq pairs them.
fn hosts(settings: &Settings) -> Result<Vec<(String, u16)>, String> {
    let list = |key: &str| -> Vec<String> {
        let text = settings.get(key).filter(|v| !v.is_empty());
        text.map(|t| t.split(',').map(|p| p.trim().to_owned()).collect()).unwrap_or_default()
    };
    let mut names = list("hostaddr");
    if names.is_empty() {
        names = list("host");
    }
    if names.is_empty() {
        names.push(if cfg!(unix) { default_socket() } else { "localhost".to_owned() });
    }
    let ports: Vec<u16> = list("port")
        .iter()
        .map(
            |p| if p.is_empty() { Ok(5432) } else { p.parse().map_err(|_| format!("port {p} is no port (try: 5432)")) },
        )
        .collect::<Result<_, _>>()?;
    if ports.len() > 1 && ports.len() != names.len() {
        return Err(format!(
            "{} hosts and {} ports do not fit (try: one port for each host)",
            names.len(),
            ports.len()
        ));
    }
    let port = |i: usize| *ports.get(i).or_else(|| ports.first()).unwrap_or(&5432);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(i, n)| (if n.is_empty() { "localhost".to_owned() } else { n }, port(i)))
        .collect())
}

/// Debian's directory of sockets where it exists, else that of the program as its makers ship it.
fn default_socket() -> String {
    let debian = Path::new("/var/run/postgresql");
    if debian.is_dir() { debian.display().to_string() } else { "/tmp".to_owned() }
}

/// Parses a connection string of either kind.
fn parse(text: &str) -> Result<Settings, String> {
    let text = text.trim();
    let settings = match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
        Some(rest) => uri(rest)?,
        None => words(text)?,
    };
    Ok(settings.into_iter().filter(|(key, _)| KNOWN.contains(&key.as_str())).collect())
}

/// `[user[:password]@][host[:port],...][/dbname][?key=value&...]`
fn uri(rest: &str) -> Result<Settings, String> {
    let mut settings = Settings::new();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            settings.insert(key.to_owned(), percent_decoded(value));
        }
    };
    let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = main.split_once('/').unwrap_or((main, ""));
    set("dbname", dbname);
    let hosts = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            set("user", user);
            set("password", password);
            hosts
        }
        None => authority,
    };
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
            Some((v6, rest)) => (v6, rest.strip_prefix(':').unwrap_or("")),
            None => host.rsplit_once(':').unwrap_or((host, "")),
        };
        names.push(name);
        ports.push(port);
    }
    set("host", &names.join(","));
    if ports.iter().any(|p| !p.is_empty()) {
        set("port", &ports.join(","));
    }
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("the connection string has a parameter without a value")?;
        set(key, value);
    }
    Ok(settings)
}

/// `key = value` words; values may stand in single quotes, and `\` escapes.
fn words(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        if key.is_empty() && rest.peek().is_none() {
            return Ok(settings);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') || key.is_empty() {
            return Err(
                "the connection string is not made of key=value words (try: host=HOST user=USER dbname=DB)".to_owned()
            );
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\\') => value.extend(rest.next()),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err("the connection string has a quote without an end".to_owned()),
                None => break,
            }
        }
        settings.insert(key, value);
    }
}

/// A section of a service file.
fn service(name: &str, ambient: &Ambient) -> Result<Settings, String> {
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(ambient.var("PGSERVICEFILE").map(PathBuf::from));
    if files.is_empty() {
        files.extend(ambient.home.as_ref().map(|home| home.join(".pg_service.conf")));
    }
    files.extend(ambient.var("PGSYSCONFDIR").map(|dir| PathBuf::from(dir).join("pg_service.conf")));
    for file in &files {
        let Ok(content) = read_small(file, FILE_MAX) else { continue };
        let text = String::from_utf8_lossy(&content);
        let mut inside = false;
        let mut settings = Settings::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                if inside {
                    break;
                }
                inside = section.trim() == name;
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
                settings.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
        if inside {
            settings.retain(|key, _| KNOWN.contains(&key.as_str()));
            return Ok(settings);
        }
    }
    Err(format!("the service {name} stands in no service file (try: ~/.pg_service.conf, or PGSERVICEFILE)"))
}

/// The password from a password file. As libpq does, a file that others may read is ignored.
fn password_file(
    settings: &Settings,
    ambient: &Ambient,
    hosts: &[(String, u16)],
    dbname: &str,
    user: &str,
    notes: &mut Vec<String>,
) -> Option<Secret> {
    let named = settings.get("passfile").map(String::as_str).or_else(|| ambient.var("PGPASSFILE"));
    let file = match named {
        Some(file) => PathBuf::from(file),
        None => ambient.home.as_ref()?.join(".pgpass"),
    };
    if !file.exists() {
        return None;
    }
    if is_open_to_others(&file) {
        notes.push(format!("{} is ignored because others may read it (try: chmod 600)", file.display()));
        return None;
    }
    let content = read_small(&file, FILE_MAX).ok()?;
    let text = std::str::from_utf8(&content).ok()?;
    for (host, port) in hosts {
        let host = if host.starts_with('/') { "localhost" } else { host };
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let fields = fields(line);
            let [own_host, own_port, own_db, own_user, password] = fields.as_slice() else { continue };
            let fits = |own: &str, value: &str| own == "*" || own == value;
            if fits(own_host, host) && fits(own_port, &port.to_string()) && fits(own_db, dbname) && fits(own_user, user)
            {
                return Some(Secret::new(password.as_str()));
            }
        }
    }
    None
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// Fields between colons; `\` escapes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        };
        if let Some(last) = fields.last_mut() {
            last.push(c);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(conninfo: &str, ambient: &Ambient) -> String {
        match resolve(conninfo, None, ambient) {
            Ok(c) => {
                let hosts: Vec<String> = c.hosts.iter().map(|(h, p)| format!("{h}:{p}")).collect();
                let password = c.password.as_ref().map_or("-", Secret::expose).to_owned();
                format!("{} {} {} {password} {:?}", hosts.join(","), c.dbname, c.user, c.sslmode)
            }
            Err(error) => error,
        }
    }

    fn env(pairs: &[(&str, &str)]) -> Ambient {
        let env = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Ambient { env, user: Some("me".to_owned()), ..Ambient::default() }
    }

    #[test]
    fn both_kinds_of_strings_are_read() {
        let none = env(&[]);
        for (text, want) in [
            ("postgres://u:p%40@h:1/d?sslmode=require", "h:1 d u p@ Require"),
            ("postgresql://a,b:2/", "a:5432,b:2 me me - Prefer"),
            ("postgresql://[::1]:7/d", "::1:7 d me - Prefer"),
            ("postgresql://%2Frun%2Fpg/d", "/run/pg:5432 d me - Prefer"),
            ("host=h port = 1 user='a b' password='p\\'q\\\\' dbname=d connect_timeout=3", "h:1 d a b p'q\\ Prefer"),
            ("host=a,b port=1,2 user=u", "a:1,b:2 u u - Prefer"),
        ] {
            assert_eq!(shown(text, &none), want, "{text}");
        }
    }

    #[test]
    fn what_the_string_does_not_say_comes_from_the_environment() {
        let ambient =
            env(&[("PGHOST", "e"), ("PGPORT", "9"), ("PGUSER", "eu"), ("PGSSLMODE", "disable"), ("PGPASSWORD", "ep")]);
        assert_eq!(shown("", &ambient), "e:9 eu eu ep Disable");
        assert_eq!(shown("host=h user=u", &ambient), "h:9 u u ep Disable");
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for (text, want) in [
            ("host", "key=value"),
            ("host='a", "quote"),
            ("host=a port=x", "port"),
            ("host=a,b,c port=1,2", "do not fit"),
            ("host=a sslmode=maybe", "sslmode"),
            ("host=a sslmode=verify-full", "sslrootcert"),
            ("service=none", "service file"),
        ] {
            let error = shown(&format!("password=Hunter2xyz {text}"), &env(&[]));
            assert!(error.contains(want) && !error.contains("Hunter2"), "{error}");
        }
    }

    #[test]
    fn passwords_and_services_come_from_their_files() {
        let home = tempfile::tempdir().unwrap();
        let pass = home.path().join(".pgpass");
        std::fs::write(&pass, "# c\nother:*:*:*:x\nh:5432:*:u:pa\\:ss\n*:*:*:*:any\n").unwrap();
        std::fs::write(home.path().join(".pg_service.conf"), "[a]\nhost=x\n[b]\n# c\nhost=h\nuser=u\n[c]\nhost=y\n")
            .unwrap();
        let ambient = Ambient { home: Some(home.path().to_owned()), ..env(&[]) };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&pass, std::fs::Permissions::from_mode(0o644)).unwrap();
            let open = resolve("service=b", None, &ambient).unwrap();
            assert!(open.password.is_none() && open.notes[0].contains("chmod 600"), "{open:?}");
            std::fs::set_permissions(&pass, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(shown("service=b", &ambient), "h:5432 u u pa:ss Prefer");
        assert_eq!(shown("host=z user=q", &ambient), "z:5432 q q any Prefer");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(postgres://)?[a:/?@&= '\\\\%,\\[\\]é]{0,40}") {
            let _ = resolve(&text, None, &env(&[]));
        }
    }
}
