//! The planted corpus: made-up secrets of every kind in the places where they stand in real life, each with its exact
//! span, between lines that are clean.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casefile::redact::{Redactor, expand};

use super::clean_data::FILES;
use super::clean_logs::{LOGS, Line};
use super::{Document, Random};

/// Where a secret stands.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) span: Range<usize>,
    /// Id of the rule whose example it is, or the name of a shape below.
    pub(crate) kind: String,
}

/// A document and its secrets, in the order of their places.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) document: Document,
    pub(crate) labels: Vec<Label>,
}

/// A carrier: the file that it is in, the writer of clean lines around, and the name of the carrier in rule files that
/// says that an example may stand in it.
struct Carrier {
    path: &'static str,
    like: &'static str,
    clean: &'static str,
    /// `{}` is the example, `#` a running number.
    template: &'static str,
}

const CARRIERS: [Carrier; 12] = [
    Carrier {
        path: "planted/app.log",
        like: "raw",
        clean: "fhe/kms-core.log",
        template: "2026-11-21T10:00:00.123456Z  INFO app: upstream says {} (attempt #)\n",
    },
    Carrier { path: "planted/lines.log", like: "raw", clean: "logs/controller-klog.log", template: "{}\n" },
    Carrier { path: "planted/settings.env", like: "env", clean: "", template: "SETTING_#={}\n" },
    Carrier { path: "planted/named.env", like: "env", clean: "", template: "export SERVICE_#_TOKEN={}\n" },
    Carrier {
        path: "planted/events.json",
        like: "json",
        clean: "logs/controller-zap.json",
        template: "{\"level\":\"info\",\"n\":#,\"msg\":\"connected\",\"note\":{json}}\n",
    },
    Carrier {
        path: "planted/named.json",
        like: "json",
        clean: "logs/controller-zap.json",
        template: "{\"service\":{\"id\":#,\"token\":{json},\"port\":443}}\n",
    },
    Carrier {
        path: "planted/nested.json",
        like: "json-escaped",
        clean: "logs/controller-zap.json",
        template: "{\"n\":#,\"log\":{nested}}\n",
    },
    Carrier {
        path: "planted/values.yaml",
        like: "yaml",
        clean: "objects/services.yaml",
        template: "---\nservice#:\n  port: 443\n  note: {yaml}\n",
    },
    Carrier {
        path: "planted/config.toml",
        like: "json",
        clean: "",
        template: "[service.s#]\nport = 443\nnote = {json}\n\n",
    },
    Carrier {
        path: "planted/access.log",
        like: "url",
        clean: "logs/nginx-access.log",
        template: "10.0.0.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /hook?n=#&note={}&page=2 HTTP/1.1\" 200 17\n",
    },
    Carrier {
        path: "planted/headers.log",
        like: "header",
        clean: "logs/nginx-error.log",
        template: "> GET /v1/items/# HTTP/1.1\n> Host: api.example.com\n> X-Note: {}\n> Accept: */*\n",
    },
    Carrier {
        path: "planted/blobs.log",
        like: "base64",
        clean: "fhe/kms-core.log",
        template: "blob # {base64} stored\n",
    },
];

/// Shapes of the detectors that are code: the name, the file and the text; what stands between `<<` and `>>` is the secret.
const SHAPES: &[(&str, &str, &str)] = &[
    ("password-env", "settings.env", "DB_PASSWORD=<<{base62:14}>>\n"),
    ("password-env-quoted", "settings.env", "export PGPASSWORD='<<{base62:8}!{base62:5}>>'\n"),
    ("password-env-symbols", "settings.env", "REDIS_PASS=<<{base62:5}$%^{base62:6}>>\n"),
    ("wallet-key-env", "settings.env", "KMS_CONNECTOR_PRIVATE_KEY=0x<<{hex:64}>>\n"),
    ("aws-secret-env", "settings.env", "AWS_SECRET_ACCESS_KEY=<<{base62:20}/{base62:19}>>\n"),
    (
        "url-env",
        "settings.env",
        "DATABASE_URL=postgres://app:<<{base62:16}>>@db.example.com:5432/kms?sslmode=require\n",
    ),
    ("url-env-redis", "settings.env", "REDIS_URL=redis://:<<{base62:16}>>@redis:6379/0\n"),
    ("jwt-env", "settings.env", "ID_TOKEN=<<eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOi{base62:60}.{base62:86}>>\n"),
    (
        "mnemonic-env",
        "settings.env",
        "MNEMONIC=\"<<legal winner thank year wave sausage worth useful legal winner thank yellow>>\"\n",
    ),
    (
        "password-log",
        "app.log",
        "2026-11-21T10:00:00Z ERROR app: login failed user=jane password=<<{base62:12}>> attempt=3\n",
    ),
    (
        "password-log-colon",
        "app.log",
        "2026-11-21T10:00:00Z DEBUG app: config: user: jane, password: <<{base62:6}#{base62:6}>>, port: 5432\n",
    ),
    (
        "password-debug-rust",
        "app.log",
        "2026-11-21T10:00:00Z DEBUG app: Config { user: \"jane\", password: \"<<{base62:12}>>\", port: 5432 }\n",
    ),
    ("password-debug-go", "app.log", "2026/11/21 10:00:00 cfg={User:jane Password:<<{base62:12}>> Port:5432}\n"),
    (
        "password-debug-java",
        "app.log",
        "2026-11-21 10:00:00 INFO c.e.Config : DbConfig(user=jane, password=<<{base62:12}>>, port=5432)\n",
    ),
    ("password-debug-python", "app.log", "DEBUG:root:{'user': 'jane', 'password': '<<{base62:12}>>', 'port': 5432}\n"),
    ("bearer-log", "app.log", "2026-11-21T10:00:00Z DEBUG http: > Authorization: Bearer <<{base62:40}>>\n"),
    ("basic-log", "app.log", "2026-11-21T10:00:00Z DEBUG http: > authorization: Basic <<YWRtaW46{base62:24}>>\n"),
    (
        "jwt-log",
        "app.log",
        "2026-11-21T10:00:00Z WARN auth: rejected <<eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOi{base62:80}.{base62:86}>>\n",
    ),
    (
        "url-log",
        "app.log",
        "2026-11-21T10:00:00Z INFO db: connecting to mysql://root:<<{base62:8}%21{base62:6}>>@10.0.0.9:3306/shop\n",
    ),
    ("url-amqp-log", "app.log", "2026-11-21T10:00:00Z INFO mq: dial amqp://guest:<<{base62:14}>>@rabbit:5672\n"),
    ("dsn-log", "app.log", "[mysql] 2026/11/21 10:00:00 root:<<{base62:14}>>@tcp(10.0.0.9:3306)/shop\n"),
    (
        "libpq-log",
        "app.log",
        "2026-11-21T10:00:00Z INFO db: host=db port=5432 user=app password='<<{base62:14}>>' dbname=kms\n",
    ),
    (
        "ado-log",
        "app.log",
        "2026-11-21T10:00:00Z INFO db: Server=tcp:db.example.com,1433;Database=shop;User ID=app;Password=<<{base62:14}>>;Encrypt=True\n",
    ),
    (
        "cookie-log",
        "app.log",
        "2026-11-21T10:00:00Z DEBUG http: < Set-Cookie: session=<<{base62:40}>>; Path=/; HttpOnly\n",
    ),
    (
        "flag-log",
        "app.log",
        "2026-11-21T10:00:00Z INFO exec: backup --user app --password <<{base62:14}>> --out /tmp/b\n",
    ),
    ("flag-equals-log", "app.log", "2026-11-21T10:00:00Z INFO exec: backup --db-password=<<{base62:14}>> --verbose\n"),
    ("curl-log", "app.log", "+ curl -sS -u admin:<<{base62:14}>> https://registry.example.com/v2/\n"),
    (
        "query-log",
        "access.log",
        "10.0.0.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /api?access_token=<<{base62:32}>>&page=2 HTTP/1.1\" 200 17\n",
    ),
    (
        "query-key-log",
        "access.log",
        "10.0.0.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /maps?api_key=<<{hex:32}>>&z=3 HTTP/1.1\" 200 17\n",
    ),
    (
        "presigned-log",
        "access.log",
        "10.0.0.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /b/o?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Signature=<<{hex:64}>> HTTP/1.1\" 200 17\n",
    ),
    ("header-api-key", "headers.log", "> X-Api-Key: <<{base62:32}>>\n"),
    ("header-private-token", "headers.log", "> PRIVATE-TOKEN: <<{base62:20}>>\n"),
    ("header-cookie", "headers.log", "> Cookie: theme=dark; JSESSIONID=<<{hex:32}>>\n"),
    (
        "password-json",
        "events.json",
        "{\"level\":\"info\",\"db\":{\"host\":\"db\",\"password\":\"<<{base62:14}>>\",\"port\":5432}}\n",
    ),
    (
        "password-json-escape",
        "events.json",
        "{\"level\":\"info\",\"db\":{\"password\":\"<<{base62:6}\\\"{base62:6}>>\",\"port\":5432}}\n",
    ),
    ("number-json", "events.json", "{\"level\":\"info\",\"password\":<<{digit:12}>>,\"port\":5432}\n"),
    (
        "name-value-json",
        "events.json",
        "{\"env\":[{\"name\":\"DB_PASSWORD\",\"value\":\"<<{base62:14}>>\"},{\"name\":\"PORT\",\"value\":\"5432\"}]}\n",
    ),
    (
        "value-name-json",
        "events.json",
        "{\"env\":[{\"value\":\"<<{base62:14}>>\",\"name\":\"DB_PASSWORD\"},{\"name\":\"PORT\",\"value\":\"5432\"}]}\n",
    ),
    (
        "secret-json",
        "events.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"db\"},\"data\":{\"password\":\"<<{base62:24}>>\",\"extra\":\"<<{base62:16}>>\"}}\n",
    ),
    (
        "client-secret-json",
        "events.json",
        "{\"oidc\":{\"issuer\":\"https://id.example.com\",\"clientId\":\"shop\",\"clientSecret\":\"<<{base62:32}>>\"}}\n",
    ),
    (
        "access-key-json-escape",
        "events.json",
        "{\"level\":\"error\",\"msg\":\"tried\\n<<AKIA{base32:16}>> and failed\"}\n",
    ),
    ("docker-auth-json", "events.json", "{\"auths\":{\"registry.example.com\":{\"auth\":\"<<{base62:32}>>\"}}}\n"),
    (
        "password-json-nested",
        "nested.json",
        "{\"log\":\"{\\\"user\\\":\\\"jane\\\",\\\"password\\\":\\\"<<{base62:14}>>\\\"}\"}\n",
    ),
    (
        "last-applied",
        "nested.json",
        "{\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":\"{\\\"env\\\":[{\\\"name\\\":\\\"API_TOKEN\\\",\\\"value\\\":\\\"<<{base62:24}>>\\\"}]}\\n\"}}}\n",
    ),
    ("password-yaml", "values.yaml", "---\ndb:\n  host: db\n  password: <<{base62:14}>>\n  port: 5432\n"),
    ("password-yaml-quoted", "values.yaml", "---\ndb:\n  rootPassword: \"<<{base62:6}#{base62:6}>>\"\n  port: 5432\n"),
    (
        "secret-yaml",
        "values.yaml",
        "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: <<{base62:24}>>\n  anything: <<{base62:16}>>\ntype: Opaque\n",
    ),
    (
        "string-data-yaml",
        "values.yaml",
        "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  config: <<{base62:18}>>\n",
    ),
    (
        "env-pair-yaml",
        "values.yaml",
        "---\nspec:\n  containers:\n    - name: core\n      env:\n        - name: DB_PASSWORD\n          value: <<{base62:14}>>\n        - name: PORT\n          value: \"5432\"\n",
    ),
    (
        "kubeconfig-token-yaml",
        "values.yaml",
        "---\napiVersion: v1\nkind: Config\nusers:\n  - name: ops\n    user:\n      token: <<{base62:40}>>\n",
    ),
    (
        "basic-auth-yaml",
        "values.yaml",
        "---\nscrape_configs:\n  - job_name: core\n    basic_auth:\n      username: prom\n      password: <<{base62:16}>>\n",
    ),
    ("password-toml", "config.toml", "[database]\nhost = \"db\"\npassword = \"<<{base62:14}>>\"\nport = 5432\n\n"),
    (
        "wallet-key-toml",
        "config.toml",
        "[signer]\nprivate_key = \"0x<<{hex:64}>>\"\naddress = \"0x52908400098527886E0F7030069857D2E4169EE7\"\n\n",
    ),
    ("rpc-url-toml", "config.toml", "[chain]\nrpc_url = \"https://mainnet.infura.io/v3/<<{hex:32}>>\"\n\n"),
    (
        "password-properties",
        "app.properties",
        "spring.datasource.password=<<{base62:14}>>\nspring.datasource.username=app\n",
    ),
    (
        "jaas-properties",
        "app.properties",
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"app\" password=\"<<{base62:14}>>\";\n",
    ),
    (
        "keystore-properties",
        "app.properties",
        "ssl.keystore.location=/etc/kafka/client.p12\nssl.keystore.password=<<{base62:14}>>\n",
    ),
    (
        "password-xml",
        "context.xml",
        "<Resource name=\"jdbc/shop\" username=\"app\" password=\"<<{base62:14}>>\" maxTotal=\"20\"/>\n",
    ),
    (
        "element-xml",
        "context.xml",
        "<server><id>releases</id><username>ci</username><password><<{base62:14}>></password></server>\n",
    ),
    (
        "sql",
        "lines.log",
        "2026-11-21 10:00:00 UTC [77] LOG:  statement: ALTER USER app WITH PASSWORD '<<{base62:14}>>'\n",
    ),
    ("netrc", "lines.log", "machine registry.example.com login ci password <<{base62:14}>>\n"),
    ("redis-auth", "lines.log", "requirepass <<{base62:24}>>\n"),
];

/// Kinds with a body of several lines.
fn blocks(random: &mut Random) -> Vec<(&'static str, &'static str, String)> {
    let mut seed = |head: &[u8], tail: &[u8]| {
        let body: Vec<u8> = (0..32).map(|_| random.below(256) as u8).collect();
        STANDARD.encode([head, &body, tail].concat())
    };
    // Every 32 bytes are a valid Ed25519 key, and nearly all of them a valid one of P-256.
    let edwards = seed(&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20], &[]);
    let curve = seed(&[0x30, 0x31, 2, 1, 1, 4, 0x20], &[0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    let rsa: Vec<String> = (0..12).map(|_| random.base64(64)).collect();
    let lines = |lead: &str| rsa.iter().map(|l| format!("{lead}<<{l}>>\n")).collect::<String>();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{edwards}\n-----END PRIVATE KEY-----\n");
    vec![
        ("pem-lines", "lines.log", format!("-----BEGIN PRIVATE KEY-----\n<<{edwards}>>\n-----END PRIVATE KEY-----\n")),
        ("pem-ec", "lines.log", format!("-----BEGIN EC PRIVATE KEY-----\n<<{curve}>>\n-----END EC PRIVATE KEY-----\n")),
        (
            "pem-rsa",
            "lines.log",
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----\n", lines("")),
        ),
        (
            "pem-log-prefix",
            "app.log",
            format!(
                "2026-11-21T10:00:00Z stdout F -----BEGIN RSA PRIVATE KEY-----\n{}2026-11-21T10:00:00Z stdout F -----END RSA PRIVATE KEY-----\n",
                lines("2026-11-21T10:00:00Z stdout F ")
            ),
        ),
        (
            "pem-escaped",
            "events.json",
            format!(
                "{{\"tls\":{{\"key\":\"-----BEGIN PRIVATE KEY-----\\n<<{curve}>>\\n-----END PRIVATE KEY-----\\n\"}}}}\n"
            ),
        ),
        (
            "pem-block-scalar",
            "values.yaml",
            format!(
                "---\ntls:\n  key: |\n    -----BEGIN RSA PRIVATE KEY-----\n{}    -----END RSA PRIVATE KEY-----\n",
                lines("    ")
            ),
        ),
        (
            "pem-base64",
            "values.yaml",
            format!("---\nusers:\n  - user:\n      client-key-data: <<{}>>\n", STANDARD.encode(&pem)),
        ),
        ("pem-base64-log", "blobs.log", format!("loaded key <<{}>> from disk\n", STANDARD.encode(&pem))),
        ("pem-truncated", "lines.log", format!("-----BEGIN RSA PRIVATE KEY-----\n{}", lines(""))),
    ]
}

/// The corpus; each shape `rounds` times with other values.
pub(crate) fn documents(redactor: &Redactor, rounds: usize) -> Vec<Planted> {
    let mut files = Files { all: Vec::new(), random: Random::new(77), number: 0 };
    for rule in redactor.rules() {
        let Some(definition) = &rule.definition else { continue };
        for example in &definition.examples {
            for carrier in CARRIERS.iter().filter(|c| definition.carriers.iter().any(|have| have == c.like)) {
                // What has line ends of its own stands on lines of its own.
                if !example.contains('\n') || carrier.path.ends_with("lines.log") {
                    files.example(&rule.id, example, carrier);
                }
            }
        }
    }
    for _ in 0..rounds {
        for (kind, file, shape) in SHAPES {
            files.shape(kind, &format!("planted/{file}"), shape);
        }
        for (kind, file, shape) in blocks(&mut Random::new(files.number)) {
            files.shape(kind, &format!("planted/{file}"), &shape);
        }
    }
    files.all
}

struct Files {
    all: Vec<Planted>,
    random: Random,
    number: u64,
}

impl Files {
    fn file(&mut self, path: &str) -> &mut Planted {
        let at = self.all.iter().position(|p| p.document.path == path).unwrap_or_else(|| {
            self.all.push(Planted { document: Document::new(path, Vec::new()), labels: Vec::new() });
            self.all.len() - 1
        });
        &mut self.all[at]
    }

    /// An example of a rule in a carrier.
    fn example(&mut self, kind: &str, example: &str, carrier: &Carrier) {
        self.number += 1;
        let (text, secrets) = fill(example, self.number);
        let json = |t: &str| serde_json::to_string(t).expect("a string");
        let number = self.number.to_string();
        let whole = carrier.template.replace('#', &number);
        let (open, placeholder) = ["{}", "{json}", "{nested}", "{yaml}", "{base64}"]
            .iter()
            .find_map(|p| whole.find(p).map(|at| (at, *p)))
            .expect("a template with a place");
        let (head, tail) = (&whole[..open], &whole[open + placeholder.len()..]);
        let lead = "see here: ";
        let carried = match placeholder {
            "{json}" => json(&text),
            "{nested}" => json(&format!("{{\"note\":{}}}", json(&format!("see\n{text}")))),
            "{yaml}" => format!("'{}'", text.replace('\'', "''")),
            "{base64}" => STANDARD.encode(format!("{lead}{text} ok")),
            _ => text.clone(),
        };
        let spans: Vec<Range<usize>> = if placeholder == "{base64}" {
            secrets.iter().map(|s| (lead.len() + s.start) * 4 / 3..((lead.len() + s.end) * 4).div_ceil(3)).collect()
        } else {
            let mut from = 0;
            let mut spans = Vec::new();
            for secret in &secrets {
                let piece = &text[secret.clone()];
                let at = from + carried[from..].find(piece).expect("a carrier does not change letters and digits");
                from = at + piece.len();
                spans.push(at..from);
            }
            spans
        };
        self.write(kind, carrier.path, carrier.clean, (head, &carried, tail), &spans);
    }

    fn shape(&mut self, kind: &str, path: &str, shape: &str) {
        self.number += 1;
        let (text, spans) = fill(shape, self.number);
        let clean = CARRIERS.iter().find(|c| c.path == path).map_or("", |c| c.clean);
        self.write(kind, path, clean, ("", &text, ""), &spans);
    }

    fn write(&mut self, kind: &str, path: &str, clean: &str, text: (&str, &str, &str), spans: &[Range<usize>]) {
        let mut between = String::new();
        let line: Option<Line> = LOGS.iter().chain(FILES).find(|(p, _)| *p == clean).map(|(_, line)| *line);
        if let Some(line) = line {
            for _ in 0..4 {
                let n = self.random.below(9_999);
                line(n, &mut self.random, &mut between);
            }
        } else if path.ends_with(".env") {
            between =
                format!("LOG_LEVEL=info\nPARTY_ID={}\nCACHE_KEY_PREFIX=kms:{}\n", self.number % 13, self.random.hex(8));
        } else if path.ends_with(".toml") {
            between =
                format!("[peer.p{}]\nid = \"{}\"\nroot_key_id = \"alias/kms\"\n\n", self.number, self.random.hex(64));
        }
        let file = self.file(path);
        file.document.content.extend_from_slice(between.as_bytes());
        let start = file.document.content.len() + text.0.len();
        for span in spans {
            file.labels.push(Label { span: start + span.start..start + span.end, kind: kind.to_owned() });
        }
        for part in [text.0, text.1, text.2] {
            file.document.content.extend_from_slice(part.as_bytes());
        }
    }
}

/// Expands a template; the number makes its values unlike those of any other. Gives the spans of the secrets: what
/// stands between `<<` and `>>`, or else the generated pieces of eight characters or more.
fn fill(template: &str, number: u64) -> (String, Vec<Range<usize>>) {
    let salt = format!("\u{1}{number}");
    let example = expand(&format!("{template}{salt}"));
    let text = example.text.strip_suffix(&salt).unwrap_or(&example.text);
    let mut spans = Vec::new();
    if !template.contains("<<") {
        let mut from = 0;
        for secret in &example.secrets {
            let at = from + text[from..].find(secret.as_str()).expect("the text holds its pieces");
            from = at + secret.len();
            if secret.len() >= 8 {
                spans.push(at..from);
            }
        }
        return (text.to_owned(), spans);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, secret, after)) =
        rest.split_once("<<").and_then(|(b, r)| r.split_once(">>").map(|(s, a)| (b, s, a)))
    {
        out.push_str(before);
        spans.push(out.len()..out.len() + secret.len());
        out.push_str(secret);
        rest = after;
    }
    out.push_str(rest);
    (out, spans)
}
