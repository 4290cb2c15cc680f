//! Logs without a secret, in the words and shapes of the programs that write them.

use std::fmt::Write as _;

use super::Random;

/// A writer of one log line, or of a few that belong together.
pub(super) type Line = fn(u64, &mut Random, &mut String);

/// Path and writer of each log.
pub(super) const LOGS: &[(&str, Line)] = &[
    ("logs/controller-klog.log", klog),
    ("logs/controller-zap.json", zap),
    ("logs/audit.json", audit),
    ("logs/nginx-access.log", nginx_access),
    ("logs/nginx-error.log", nginx_error),
    ("logs/postgres.log", postgres),
    ("logs/mysql-slow.log", mysql),
    ("logs/java.log", java),
    ("logs/python.log", python),
    ("logs/go-panic.log", go_panic),
    ("chain/execution.log", execution),
    ("chain/consensus.log", consensus),
    ("chain/contracts.log", contracts),
    ("fhe/kms-core.log", kms_core),
    ("fhe/coprocessor.json", coprocessor),
];

fn time(n: u64, random: &mut Random) -> String {
    format!("2026-11-21T{:02}:{:02}:{:02}.{:06}Z", n / 3_600 % 24, n / 60 % 60, n % 60, random.below(1_000_000))
}

fn klog(n: u64, random: &mut Random, out: &mut String) {
    let clock = format!("1121 {:02}:{:02}:{:02}.{:06}", n / 3_600 % 24, n / 60 % 60, n % 60, random.below(1_000_000));
    let pod = format!("core-{}-{}", random.suffix(9), random.suffix(5));
    let _ = match n % 16 {
        0 => writeln!(
            out,
            "I{clock}       1 reflector.go:368] Caches populated for *v1.Secret from k8s.io/client-go/informers/factory.go:160"
        ),
        1 => writeln!(
            out,
            "I{clock}       1 garbagecollector.go:596] \"Deleting item\" logger=\"garbage-collector-controller\" item=\"[v1/Secret, namespace: kms, name: sh.helm.release.v1.core.v{}, uid: {}]\" propagationPolicy=\"Background\"",
            n % 9,
            random.uuid()
        ),
        2 => writeln!(
            out,
            "E{clock}    2107 pod_workers.go:1301] \"Error syncing pod, skipping\" err=\"failed to \\\"StartContainer\\\" for \\\"core\\\" with CrashLoopBackOff: \\\"back-off 5m0s restarting failed container=core pod={pod}_kms({})\\\"\" pod=\"kms/{pod}\" podUID=\"{}\"",
            random.uuid(),
            random.uuid()
        ),
        3 => writeln!(
            out,
            "W{clock}       1 reflector.go:569] k8s.io/client-go/informers/factory.go:160: failed to list *v1.Secret: secrets is forbidden: User \"system:serviceaccount:kms:default\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"
        ),
        4 => writeln!(
            out,
            "I{clock}    2107 reconciler_common.go:251] \"operationExecutor.VerifyControllerAttachedVolume started for volume \\\"kube-api-access-{}\\\" (UniqueName: \\\"kubernetes.io/projected/{}-kube-api-access-{}\\\") pod \\\"{pod}\\\" (UID: \\\"{}\\\") \" pod=\"kms/{pod}\"",
            random.suffix(5),
            random.uuid(),
            random.suffix(5),
            random.uuid()
        ),
        5 => writeln!(
            out,
            "I{clock}       1 controllermanager.go:739] \"Starting controller\" controller=\"bootstrap-signer-controller\""
        ),
        6 => writeln!(out, "I{clock}       1 shared_informer.go:320] Caches are synced for token_cleaner"),
        7 => writeln!(
            out,
            "I{clock}       1 tokens_controller.go:185] \"Syncing service account tokens\" key=\"kms/default\" secret=\"default-token-{}\"",
            random.suffix(5)
        ),
        8 => writeln!(
            out,
            "I{clock}       1 trace.go:236] Trace[{}]: \"Get\" accept:application/json, */*,audit-id:{},client:10.42.0.{},api-group:,api-version:v1,name:{pod},subresource:,namespace:kms,protocol:HTTP/2.0,resource:secrets,scope:resource,url:/api/v1/namespaces/kms/secrets/core-tls,user-agent:helm/3.16 (total time: {}ms):",
            random.below(2_000_000_000),
            random.uuid(),
            n % 250,
            random.below(900)
        ),
        9 => writeln!(
            out,
            "I{clock}       1 certificate_controller.go:120] \"Issued certificate\" csr=\"csr-{}\" signer=\"kubernetes.io/kubelet-serving\" fingerprint=\"SHA256:{}\"",
            random.suffix(5),
            random.base64(43)
        ),
        10 => writeln!(
            out,
            "I{clock}    2107 kubelet.go:2407] \"SyncLoop (PLEG): event for pod\" pod=\"kms/{pod}\" event={{\"ID\":\"{}\",\"Type\":\"ContainerStarted\",\"Data\":\"{}\"}}",
            random.uuid(),
            random.hex(64)
        ),
        11 => writeln!(
            out,
            "E{clock}       1 authentication.go:74] \"Unable to authenticate the request\" err=\"[invalid bearer token, service account token has expired]\""
        ),
        12 => writeln!(
            out,
            "I{clock}       1 leaderelection.go:268] successfully acquired lease kube-system/kube-controller-manager holder=cp-1_{}",
            random.uuid()
        ),
        13 => writeln!(
            out,
            "I{clock}       1 endpointslice_controller.go:344] \"Error syncing endpoint slices for service, retrying\" key=\"kms/core-{}\" err=\"EndpointSlice informer cache is out of date\"",
            n % 13
        ),
        14 => writeln!(
            out,
            "{{\"level\":\"warn\",\"ts\":\"{}\",\"caller\":\"etcdserver/util.go:170\",\"msg\":\"apply request took too long\",\"took\":\"{}ms\",\"request\":\"key:\\\"/registry/secrets/kms/core-tls\\\" \",\"response\":\"range_response_count:1 size:{}\"}}",
            time(n, random),
            random.below(900),
            random.below(9_000)
        ),
        _ => writeln!(
            out,
            "I{clock}       1 dynamic_serving_content.go:135] \"Starting controller\" name=\"serving-cert::/etc/kubernetes/pki/apiserver.crt::/etc/kubernetes/pki/apiserver.key\""
        ),
    };
}

fn zap(n: u64, random: &mut Random, out: &mut String) {
    let at = time(n, random);
    let _ = match n % 9 {
        0 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"logger\":\"controller\",\"msg\":\"reconciled object\",\"namespace\":\"kms\",\"name\":\"core-{}\",\"uid\":\"{}\",\"resourceVersion\":\"{}\",\"duration_ms\":{}}}",
            n % 13,
            random.uuid(),
            random.below(9_000_000),
            random.below(997)
        ),
        1 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"msg\":\"token review done\",\"request_id\":\"{}\",\"auth\":\"webhook\",\"token_type\":\"Bearer\",\"status\":200}}",
            random.hex(32)
        ),
        2 => writeln!(
            out,
            "{{\"level\":\"debug\",\"ts\":\"{at}\",\"msg\":\"access granted to session\",\"image\":\"registry.example.com/kms/core@sha256:{}\",\"path\":\"/var/lib/kubelet/pods/{}/volumes\",\"secretName\":\"tls-{}\"}}",
            random.hex(64),
            random.uuid(),
            n % 13
        ),
        3 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"logger\":\"cert-manager.controller\",\"msg\":\"updated secret\",\"resource_name\":\"core-{}-tls\",\"resource_kind\":\"Secret\",\"related_resource_name\":\"core-{}\",\"serial\":\"{}\",\"notAfter\":\"2027-02-19T10:00:00Z\"}}",
            n % 13,
            n % 13,
            random.hex(36)
        ),
        4 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"logger\":\"external-secrets\",\"msg\":\"secret unchanged\",\"ExternalSecret\":{{\"name\":\"db\",\"namespace\":\"kms\"}},\"SecretStore\":\"vault\",\"remoteRef\":{{\"key\":\"kms/db\",\"property\":\"password\"}},\"hash\":\"{}\"}}",
            random.hex(56)
        ),
        5 => writeln!(
            out,
            "{{\"level\":\"error\",\"ts\":\"{at}\",\"msg\":\"Reconciler error\",\"controller\":\"statefulset\",\"reconcileID\":\"{}\",\"error\":\"secrets \\\"core-tls\\\" not found\",\"stacktrace\":\"sigs.k8s.io/controller-runtime/pkg/internal/controller.(*Controller).processNextWorkItem\\n\\t/go/pkg/mod/sigs.k8s.io/controller-runtime@v0.19.0/pkg/internal/controller/controller.go:{}\"}}",
            random.uuid(),
            random.below(400)
        ),
        6 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"msg\":\"llm call\",\"model\":\"small\",\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{},\"max_tokens\":4096,\"traceparent\":\"00-{}-{}-01\"}}",
            random.below(4_000),
            random.below(900),
            random.below(5_000),
            random.hex(32),
            random.hex(16)
        ),
        7 => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"msg\":\"listed page\",\"nextPageToken\":\"CAUQ{}\",\"continue\":\"\",\"remainingItemCount\":{}}}",
            n % 90,
            random.below(900)
        ),
        _ => writeln!(
            out,
            "{{\"level\":\"info\",\"ts\":\"{at}\",\"msg\":\"password policy checked\",\"passwordMinLength\":12,\"password_policy\":\"strict\",\"passwordChanged\":false,\"user\":\"jane\"}}"
        ),
    };
}

fn audit(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"{}\",\"stage\":\"ResponseComplete\",\"requestURI\":\"/api/v1/namespaces/kms/secrets/core-{}?timeout=10s\",\"verb\":\"{}\",\"user\":{{\"username\":\"system:serviceaccount:kms:operator\",\"uid\":\"{}\",\"groups\":[\"system:serviceaccounts\",\"system:authenticated\"],\"extra\":{{\"authentication.kubernetes.io/credential-id\":[\"JTI={}\"],\"authentication.kubernetes.io/node-name\":[\"node-{}\"]}}}},\"sourceIPs\":[\"10.42.0.{}\"],\"objectRef\":{{\"resource\":\"secrets\",\"namespace\":\"kms\",\"name\":\"core-{}\",\"apiVersion\":\"v1\"}},\"responseStatus\":{{\"metadata\":{{}},\"code\":200}},\"requestReceivedTimestamp\":\"{}\",\"annotations\":{{\"authorization.k8s.io/decision\":\"allow\",\"authorization.k8s.io/reason\":\"RBAC: allowed by RoleBinding \\\"operator/kms\\\" of Role \\\"secret-reader\\\" to ServiceAccount \\\"operator/kms\\\"\"}}}}",
        random.uuid(),
        n % 13,
        random.pick(&["get", "list", "watch"]),
        random.uuid(),
        random.uuid(),
        n % 5,
        n % 250,
        n % 13,
        time(n, random)
    );
}

fn nginx_access(n: u64, random: &mut Random, out: &mut String) {
    let path = match n % 8 {
        0 => format!("/api/v1/namespaces/default/pods?limit=500&resourceVersion={}", random.below(900_000)),
        1 => format!("/assets/app.{}.js", random.hex(8)),
        2 => format!("/orders/{}?sort=key&order=asc&page={}", random.uuid(), n % 90),
        3 => "/oauth2/token".to_owned(),
        4 => "/login?next=%2Faccount%2Fpassword%2Fchange".to_owned(),
        5 => format!("/v1/keys/{}/rotate?key_id={}", random.uuid(), random.uuid()),
        6 => format!("/blobs/sha256:{}", random.hex(64)),
        _ => format!("/tx/0x{}?block=0x{:x}", random.hex(64), random.below(20_000_000)),
    };
    let _ = writeln!(
        out,
        "10.{}.{}.{} - - [21/Nov/2026:10:{:02}:{:02} +0000] \"GET {path} HTTP/1.1\" {} {} \"https://shop.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\" {} {:.3} [shop-web-80] [] 10.42.0.{}:8080 {} {:.3} 200 {}",
        n % 200,
        n % 250,
        random.below(250),
        n / 60 % 60,
        n % 60,
        random.pick(&["200", "304", "404", "401", "502"]),
        random.below(90_000),
        random.below(2_000),
        n as f64 / 997.0 % 3.0,
        n % 250,
        random.below(9_000),
        n as f64 / 991.0 % 3.0,
        random.hex(32)
    );
}

fn nginx_error(n: u64, random: &mut Random, out: &mut String) {
    let text = match n % 5 {
        0 => "connect() failed (111: Connection refused) while connecting to upstream".to_owned(),
        1 => "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed:unable to get local issuer certificate) while SSL handshaking to upstream".to_owned(),
        2 => "open() \"/etc/nginx/secrets/session.key\" failed (2: No such file or directory)".to_owned(),
        3 => "cannot load certificate key \"/etc/tls/tls.key\": BIO_new_file() failed".to_owned(),
        _ => format!("upstream sent too big header while reading response header, request id: {}", random.hex(32)),
    };
    let _ = writeln!(
        out,
        "2026/11/21 10:{:02}:{:02} [error] 31#31: *{n} {text}, client: 10.0.0.{}, server: shop.example.com, request: \"POST /login HTTP/2.0\", upstream: \"http://10.42.0.{}:8080/login\", host: \"shop.example.com\"",
        n / 60 % 60,
        n % 60,
        n % 250,
        n % 250
    );
}

fn postgres(n: u64, random: &mut Random, out: &mut String) {
    let at = format!("2026-11-21 10:{:02}:{:02}.{:03} UTC [{}]", n / 60 % 60, n % 60, n % 1_000, random.below(30_000));
    let _ = match n % 11 {
        0 => writeln!(
            out,
            "{at} FATAL:  password authentication failed for user \"app\"\n{at} DETAIL:  Connection matched file \"/var/lib/postgresql/data/pg_hba.conf\" line 100: \"host all all all scram-sha-256\""
        ),
        1 => writeln!(
            out,
            "{at} LOG:  statement: SELECT o.id, o.idempotency_key, o.token_count FROM orders o JOIN api_keys k ON k.id = o.key_id WHERE k.owner = 'acme' AND o.created_at > now() - interval '1 day'"
        ),
        2 => writeln!(
            out,
            "{at} LOG:  duration: {}.{} ms  execute <unnamed>: UPDATE sessions SET last_seen = $1 WHERE session_id = $2 AND secret_version = $3",
            random.below(900),
            random.below(999)
        ),
        3 => writeln!(
            out,
            "{at} ERROR:  duplicate key value violates unique constraint \"orders_pkey\"\n{at} DETAIL:  Key (id)=({}) already exists.",
            random.uuid()
        ),
        4 => writeln!(
            out,
            "{at} LOG:  checkpoint complete: wrote {} buffers (0.2%); 0 WAL file(s) added, 0 removed, 1 recycled; lsn=0/{}, redo lsn=0/{}",
            random.below(900),
            random.hex(7).to_uppercase(),
            random.hex(7).to_uppercase()
        ),
        5 => writeln!(
            out,
            "{at} ERROR:  column \"password_hash\" of relation \"users\" does not exist at character 8\n{at} STATEMENT:  SELECT password_hash, password_changed_at FROM users WHERE email = $1"
        ),
        6 => writeln!(
            out,
            "{at} LOG:  CREATE TABLE tokens (id uuid PRIMARY KEY, secret_name text NOT NULL, token_type text, key_id bigint REFERENCES keys (id), FOREIGN KEY (owner) REFERENCES users (id))"
        ),
        7 => writeln!(
            out,
            "{at} LOG:  connection authorized: user=app database=shop application_name=api SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)"
        ),
        8 => writeln!(
            out,
            "{at} ERROR:  deadlock detected\n{at} DETAIL:  Process {} waits for ShareLock on transaction {}; blocked by process {}.",
            random.below(9_999),
            random.below(999_999),
            random.below(9_999)
        ),
        9 => writeln!(out, "{at} LOG:  automatic vacuum of table \"shop.public.api_keys\": index scans: 1"),
        _ => writeln!(out, "{at} LOG:  statement: ALTER ROLE app SET password_encryption = 'scram-sha-256'"),
    };
}

fn mysql(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "# Time: {}\n# User@Host: app[app] @ api-{} [10.42.0.{}]  Id: {n}\n# Query_time: {}.{:06}  Lock_time: 0.000002 Rows_sent: 1  Rows_examined: {}\nSET timestamp=17956{:05};\nSELECT `id`,`key_name`,`public_key`,`token_expires_at` FROM `api_tokens` WHERE `fingerprint` = '{}' AND `primary_key` > {};",
        time(n, random),
        random.suffix(5),
        n % 250,
        random.below(9),
        random.below(999_999),
        random.below(99_999),
        n % 99_999,
        random.hex(40),
        n
    );
}

fn java(n: u64, random: &mut Random, out: &mut String) {
    let at = time(n, random);
    let _ = match n % 4 {
        0 => writeln!(
            out,
            "{at}  INFO 1 --- [nio-8080-exec-{}] o.s.s.w.a.AnonymousAuthenticationFilter : Set SecurityContextHolder to AnonymousAuthenticationToken [Principal=anonymousUser, Credentials=[PROTECTED], Authenticated=true, Details=WebAuthenticationDetails [RemoteIpAddress=10.42.0.{}, SessionId=null], Granted Authorities=[ROLE_ANONYMOUS]]",
            n % 10,
            n % 250
        ),
        1 => writeln!(
            out,
            "{at} ERROR 1 --- [main] c.e.shop.KeyStoreLoader : could not read keystore /etc/ssl/app.p12\njava.io.IOException: keystore password was incorrect\n\tat java.base/sun.security.pkcs12.PKCS12KeyStore.engineLoad(PKCS12KeyStore.java:{})\n\tat com.example.shop.token.TokenService$$SpringCGLIB$${}.issueToken(TokenService.java:{})",
            random.below(3_000),
            n % 9,
            random.below(400)
        ),
        2 => writeln!(
            out,
            "{at}  INFO 1 --- [main] o.a.k.clients.producer.ProducerConfig : ProducerConfig values: \n\tkey.serializer = class org.apache.kafka.common.serialization.StringSerializer\n\tsasl.jaas.config = null\n\tsasl.login.refresh.buffer.seconds = 300\n\tssl.key.password = null\n\tssl.keystore.location = /etc/kafka/client.p12\n\tssl.keystore.password = null\n\tssl.truststore.password = null\n\tpartitioner.ignore.keys = false"
        ),
        _ => writeln!(
            out,
            "{at} DEBUG 1 --- [pool-{}] c.e.shop.Cache : evicted cacheKey=orders:{} partitionKey={} hash={}",
            n % 20,
            random.uuid(),
            random.below(64),
            random.hex(32)
        ),
    };
}

fn python(n: u64, random: &mut Random, out: &mut String) {
    let _ = match n % 3 {
        0 => writeln!(
            out,
            "Traceback (most recent call last):\n  File \"/app/auth/tokens.py\", line {}, in refresh_token\n    token = self.session.get_token(client_id, timeout=timeout)\n  File \"/usr/lib/python3.12/json/decoder.py\", line 337, in decode\n    obj, end = self.raw_decode(s, idx=_w(s, 0).end())\nKeyError: 'access_token'",
            random.below(400)
        ),
        1 => writeln!(
            out,
            "[{}] INFO in app: loaded {} secrets from /run/secrets, {} keys, tokenizer=bpe vocab_size=50257 pad_token_id=0",
            time(n, random),
            n % 9,
            n % 40
        ),
        _ => writeln!(
            out,
            "[{}] WARNING in pool: connection pool {} is full, key=({}, {}, None) author=jane monkey=patched keyboard=us turkey=roast",
            time(n, random),
            n % 9,
            random.below(9),
            random.below(9)
        ),
    };
}

fn go_panic(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x{:x} pc=0x{}]\n\ngoroutine {n} [running]:\ngithub.com/acme/app/internal/secrets.(*Store).Token(0xc000{}, {{0x{}, 0x{}}})\n\t/src/internal/secrets/store.go:{} +0x{:x}\nmain.main()\n\t/src/cmd/app/main.go:{} +0x{:x}\nexit status 2",
        random.below(4_096),
        random.hex(6),
        random.hex(6),
        random.hex(7),
        random.hex(2),
        random.below(900),
        random.below(4_096),
        random.below(200),
        random.below(4_096)
    );
}

fn execution(n: u64, random: &mut Random, out: &mut String) {
    let clock = format!("[11-21|10:{:02}:{:02}.{:03}]", n / 60 % 60, n % 60, n % 1_000);
    let _ = match n % 9 {
        0 => writeln!(
            out,
            "INFO {clock} Imported new potential chain segment     number={} hash={}..{} blocks=1 txs={} mgas={}.{} elapsed={}.{}ms mgasps={}.{} triedirty=0.00B",
            20_000_000 + n,
            random.hex(6),
            random.hex(6),
            random.below(300),
            random.below(30),
            random.below(999),
            random.below(90),
            random.below(999),
            random.below(300),
            random.below(999)
        ),
        1 => writeln!(
            out,
            "INFO {clock} Chain head was updated                   number={} hash=0x{} root=0x{} elapsed={}.{}µs",
            20_000_000 + n,
            random.hex(64),
            random.hex(64),
            random.below(900),
            random.below(999)
        ),
        2 => writeln!(
            out,
            "DEBUG{clock} Submitted transaction                    hash=0x{} from=0x{} nonce={} recipient=0x{} value=0",
            random.hex(64),
            random.hex(40),
            random.below(9_999),
            random.hex(40)
        ),
        3 => writeln!(
            out,
            "INFO {clock} Looking for peers                        peercount={} tried={} static=0 enode=enode://{}@10.0.0.{}:30303",
            n % 50,
            n % 200,
            random.hex(128),
            n % 250
        ),
        4 => writeln!(
            out,
            "WARN {clock} Served eth_getTransactionReceipt         reqid={n} duration={}.{}µs err=\"transaction 0x{} not found\"",
            random.below(900),
            random.below(999),
            random.hex(64)
        ),
        5 => writeln!(
            out,
            "INFO {clock} Loaded JWT secret file                   path=/data/jwt.hex crc32=0x{}",
            random.hex(8)
        ),
        6 => writeln!(
            out,
            "{{\"jsonrpc\":\"2.0\",\"id\":{n},\"result\":{{\"blockHash\":\"0x{}\",\"blockNumber\":\"0x{:x}\",\"transactionHash\":\"0x{}\",\"logs\":[{{\"address\":\"0x{}\",\"topics\":[\"0x{}\",\"0x{}\"],\"data\":\"0x{}\"}}],\"stateRoot\":\"0x{}\"}}}}",
            random.hex(64),
            20_000_000 + n,
            random.hex(64),
            random.hex(40),
            random.hex(64),
            random.hex(64),
            random.hex(128),
            random.hex(64)
        ),
        7 => writeln!(
            out,
            "2026-11-21T10:00:{:02}Z  INFO reth::cli: Status connected_peers={} latest_block={} key=0x{} slot=0x{}",
            n % 60,
            n % 50,
            20_000_000 + n,
            random.hex(64),
            random.hex(64)
        ),
        _ => writeln!(
            out,
            "TRACE{clock} Trie node                                 owner={} path={} key={} keccak={}",
            random.hex(64),
            random.hex(8),
            random.hex(64),
            random.hex(64)
        ),
    };
}

fn consensus(n: u64, random: &mut Random, out: &mut String) {
    let _ = match n % 4 {
        0 => writeln!(
            out,
            "Nov 21 10:{:02}:{:02}.000 INFO  Synced                                  slot: {}, block: 0x{}…{}, epoch: {}, finalized_root: 0x{}, peers: {}",
            n / 60 % 60,
            n % 60,
            9_000_000 + n,
            random.hex(4),
            random.hex(4),
            n / 32,
            random.hex(64),
            n % 90
        ),
        1 => writeln!(
            out,
            "time=\"2026-11-21 10:{:02}:{:02}\" level=info msg=\"Submitted new attestation\" AggregatorIndices=[] BeaconBlockRoot=0x{} PubKey=0x{} Slot={}",
            n / 60 % 60,
            n % 60,
            random.hex(12),
            random.hex(96),
            9_000_000 + n
        ),
        2 => writeln!(
            out,
            "10:{:02}AM INF received proposal module=consensus proposal=\"Proposal{{{}/0 ({}:1:{}, -1) {} @ 2026-11-21T10:00:00Z}}\" validator=cosmosvaloper1{}",
            n % 60,
            900_000 + n,
            random.hex(64).to_uppercase(),
            random.hex(12).to_uppercase(),
            random.hex(12).to_uppercase(),
            random.lower(38)
        ),
        _ => writeln!(
            out,
            "2026-11-21T10:00:{:02}Z INFO op_node: Inserted new L2 unsafe block hash=0x{} number={} state_root=0x{} timestamp=1795250{:03} parent=0x{} prev_randao=0x{} fee_recipient=0x4200000000000000000000000000000000000011",
            n % 60,
            random.hex(64),
            40_000_000 + n,
            random.hex(64),
            n % 1_000,
            random.hex(64),
            random.hex(64)
        ),
    };
}

fn contracts(n: u64, random: &mut Random, out: &mut String) {
    let _ = match n % 4 {
        0 => writeln!(
            out,
            "event PublicDecryptionRequest(decryptionId={}, snsCtMaterials=[(ctHandle=0x{}, keyId={}, snsCiphertextDigest=0x{}, coprocessorTxSenderAddresses=[0x{}])])",
            random.below(u64::MAX),
            random.hex(64),
            random.below(u64::MAX),
            random.hex(64),
            random.hex(40)
        ),
        1 => writeln!(
            out,
            "[OK] Contract deployed: KMSVerifier proxy=0x{} implementation=0x{} admin=0x{} init_code_hash=0x{}",
            random.hex(40),
            random.hex(40),
            random.hex(40),
            random.hex(64)
        ),
        2 => writeln!(
            out,
            "0x{} input=0x{} v=27 r=0x{} s=0x{}",
            random.hex(64),
            random.hex(200),
            random.hex(64),
            random.hex(64)
        ),
        _ => writeln!(
            out,
            "kmsSigners: [0x{}, 0x{}] threshold: 2 domainSeparator: 0x{} verifyingContract: 0x{}",
            random.hex(40),
            random.hex(40),
            random.hex(64),
            random.hex(40)
        ),
    };
}

fn kms_core(n: u64, random: &mut Random, out: &mut String) {
    let at = time(n, random);
    let _ = match n % 12 {
        0 => writeln!(
            out,
            "{at}  INFO kms_core::threshold: decryption finished request_id={} key_id={} epoch_id={} tokens_used={} peer=core-{}.example.com:50001",
            random.hex(64),
            random.hex(64),
            random.hex(64),
            n % 99,
            n % 13
        ),
        1 => writeln!(
            out,
            "{at}  INFO kms_lib::engine::threshold::service::session: core/service/src/engine/threshold/service/session.rs:{}: Loaded MPC context {}",
            random.below(300),
            random.hex(64)
        ),
        2 => writeln!(out, "{at}  INFO kms_lib::cryptography::signatures: KMS verifying key is {}", random.hex(130)),
        3 => writeln!(
            out,
            "{at}  INFO kms_lib::vault::storage: Storing public key material under PUB-p{}/PublicKey/{} size={}",
            n % 13,
            random.hex(64),
            random.below(99_999_999)
        ),
        4 => writeln!(
            out,
            "{at}  INFO kms_lib::engine::keyset: fhe_key_ids=[{}, {}] preprocessing_key_ids=[{}] crs_ids=[]",
            random.hex(64),
            random.hex(64),
            random.hex(64)
        ),
        5 => writeln!(
            out,
            "{at} DEBUG threshold_fhe::networking::grpc: Making base session: session_id={}{}, context_id={} key_share=late",
            random.next(),
            random.next(),
            random.hex(64)
        ),
        6 => writeln!(
            out,
            "{at}  INFO kms_lib::attestation: pcr0={} pcr1={} pcr2={} attest_private_vault_root_key=false",
            random.hex(96),
            random.hex(96),
            random.hex(96)
        ),
        7 => writeln!(
            out,
            "{at}  WARN kms_lib::engine::keys: key share of session {} is late, public key digest 0x{}",
            random.hex(32),
            random.hex(64)
        ),
        8 => writeln!(
            out,
            "{at}  INFO kms_connector::tx: transaction sent, nonce={n} hash=0x{} gas_used={} endpoint=https://rpc.example.com:8545/",
            random.hex(64),
            random.below(90_000)
        ),
        9 => writeln!(
            out,
            "{at}  INFO kms_lib::cryptography: verification_address: 0x{} mpc_identity=core-{}.example.com public_key_hex={}",
            random.hex(40),
            n % 13,
            random.hex(66)
        ),
        10 => writeln!(
            out,
            "{at}  INFO kms_lib::backup: backup_vault.keychain=secret_sharing custodian_context_id={} recovery_material=PUB-p{}/RecoveryMaterial/{}",
            random.hex(64),
            n % 13,
            random.hex(64)
        ),
        _ => writeln!(
            out,
            "kms_fhe_key_cache_size {n}\nkms_operations_total{{operation=\"keygen_request\",party_id=\"{}\",key_id=\"{}\"}} {}",
            n % 13,
            random.hex(64),
            n % 999
        ),
    };
}

fn coprocessor(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "{{\"timestamp\":\"{}\",\"level\":\"INFO\",\"fields\":{{\"message\":\"computed handle\",\"handle\":\"0x{}\",\"ciphertext_digest\":\"{}\",\"tenant_id\":{},\"keyset_id\":\"{}\",\"inputs\":\"[0x{}, 0x{}]\"}},\"target\":\"tfhe_worker\",\"span\":{{\"txn_hash\":\"0x{}\",\"name\":\"fhe_add\"}}}}",
        time(n, random),
        random.hex(64),
        random.hex(64),
        n % 5,
        random.hex(64),
        random.hex(64),
        random.hex(64),
        random.hex(64)
    );
}
