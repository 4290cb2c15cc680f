//! Objects, configuration, lock files, digests and ids without a secret.

use std::fmt::Write as _;

use super::Random;
use super::clean_logs::Line;

/// Path and writer of each file; each call writes one record.
pub(super) const FILES: &[(&str, Line)] = &[
    ("objects/pods.json", pod),
    ("objects/services.yaml", service),
    ("objects/releases.yaml", references),
    ("objects/secrets-metadata.json", secret_metadata),
    ("objects/describe.txt", describe),
    ("locks/go.sum", go_sum),
    ("locks/package-lock.txt", package_lock),
    ("locks/Cargo-more.lock", cargo_lock),
    ("locks/requirements.txt", requirements),
    ("digests/sha256sums.txt", sums),
    ("digests/images.txt", images),
    ("digests/git.log", git),
    ("ids/ids.log", ids),
    ("ids/metrics.txt", metrics),
    ("ids/traces.json", traces),
];

fn pod(n: u64, random: &mut Random, out: &mut String) {
    let hash = random.suffix(10);
    let _ = writeln!(
        out,
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"core-{hash}-{}\",\"generateName\":\"core-{hash}-\",\"namespace\":\"kms\",\"uid\":\"{}\",\"resourceVersion\":\"{}\",\"creationTimestamp\":\"2026-11-21T10:00:00Z\",\"labels\":{{\"pod-template-hash\":\"{hash}\"}},\"annotations\":{{\"checksum/config\":\"{}\",\"checksum/secret\":\"{}\",\"vault.hashicorp.com/agent-inject-secret-db\":\"kms/db\"}},\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"core-{hash}\",\"uid\":\"{}\"}}]}},\"spec\":{{\"imagePullSecrets\":[{{\"name\":\"registry-credentials\"}}],\"volumes\":[{{\"name\":\"tls\",\"secret\":{{\"secretName\":\"core-tls\",\"items\":[{{\"key\":\"tls.key\",\"path\":\"tls.key\"}}]}}}},{{\"name\":\"kube-api-access-{}\",\"projected\":{{\"sources\":[{{\"serviceAccountToken\":{{\"expirationSeconds\":3607,\"path\":\"token\"}}}}]}}}}],\"containers\":[{{\"name\":\"core\",\"image\":\"registry.example.com/core:v{}\",\"args\":[\"--token-file\",\"/var/run/secrets/token\",\"--tls-private-key-file=/etc/tls/tls.key\"],\"env\":[{{\"name\":\"DB_PASSWORD\",\"valueFrom\":{{\"secretKeyRef\":{{\"name\":\"db\",\"key\":\"password\"}}}}}},{{\"name\":\"DATABASE_URL\",\"value\":\"postgres://app:$(DB_PASSWORD)@db:5432/kms\"}},{{\"name\":\"KMS_KEY_ID\",\"value\":\"{}\"}},{{\"name\":\"TOKEN_TTL\",\"value\":\"15m\"}}],\"envFrom\":[{{\"secretRef\":{{\"name\":\"core-env\"}}}}]}}],\"serviceAccountName\":\"core\",\"automountServiceAccountToken\":true}},\"status\":{{\"podIP\":\"10.42.0.{}\",\"containerStatuses\":[{{\"name\":\"core\",\"imageID\":\"registry.example.com/core@sha256:{}\",\"containerID\":\"containerd://{}\"}}]}}}}",
        random.suffix(5),
        random.uuid(),
        random.below(9_000_000),
        random.hex(64),
        random.hex(64),
        random.uuid(),
        random.suffix(5),
        n % 90,
        random.uuid(),
        n % 250,
        random.hex(64),
        random.hex(64)
    );
}

fn service(n: u64, random: &mut Random, out: &mut String) {
    let _ = write!(
        out,
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: core-{n}\n  namespace: kms\n  uid: {}\n  annotations:\n    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:123456789012:certificate/{}\n    meta.helm.sh/release-name: core\nspec:\n  clusterIP: 10.43.0.{}\n  ports:\n    - name: grpc\n      port: 50100\n  sessionAffinity: None\n",
        random.uuid(),
        random.uuid(),
        n % 250
    );
}

fn references(n: u64, random: &mut Random, out: &mut String) {
    let _ = write!(
        out,
        "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata:\n  name: db-{n}\nspec:\n  refreshInterval: 1h\n  secretStoreRef:\n    name: vault\n    kind: ClusterSecretStore\n  target:\n    name: db\n    creationPolicy: Owner\n  data:\n    - secretKey: password\n      remoteRef:\n        key: kms/db\n        property: password\n---\nvalues:\n  auth:\n    existingSecret: db\n    secretKeys:\n      adminPasswordKey: postgres-password\n      userPasswordKey: password\n    passwordUpdateJob:\n      enabled: false\n  tls:\n    certificatesSecret: core-tls\n    certKeyFilename: tls.key\n  ingress:\n    annotations:\n      cert-manager.io/cluster-issuer: letsencrypt\n      nginx.ingress.kubernetes.io/auth-secret: kms/basic-auth\n  checksum: {}\n",
        random.hex(64)
    );
}

fn secret_metadata(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"name\":\"core-{n}-tls\",\"namespace\":\"kms\",\"uid\":\"{}\",\"resourceVersion\":\"{}\",\"labels\":{{\"controller.cert-manager.io/fao\":\"true\"}},\"annotations\":{{\"cert-manager.io/certificate-name\":\"core-{n}\",\"cert-manager.io/common-name\":\"core-{n}.kms.svc\"}},\"managedFields\":[{{\"manager\":\"cert-manager\",\"operation\":\"Apply\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{{\"f:data\":{{\"f:ca.crt\":{{}},\"f:tls.crt\":{{}},\"f:tls.key\":{{}}}},\"f:type\":{{}}}}}}]}}}}",
        random.uuid(),
        random.below(9_000_000)
    );
}

fn describe(n: u64, random: &mut Random, out: &mut String) {
    let _ = write!(
        out,
        "Name:             core-{n}\nNamespace:        kms\nService Account:  core\nLabels:           controller-revision-hash=core-{}\nContainers:\n  core:\n    Container ID:  containerd://{}\n    Image ID:      registry.example.com/core@sha256:{}\n    Environment Variables from:\n      core-env   Secret  Optional: false\n    Environment:\n      DB_PASSWORD:  <set to the key 'password' in secret 'db'>  Optional: false\n      TOKEN_TTL:    15m\n    Mounts:\n      /etc/tls from tls (ro)\n      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-{} (ro)\nVolumes:\n  tls:\n    Type:        Secret (a volume populated by a Secret)\n    SecretName:  core-tls\n    Optional:    false\n  kube-api-access-{}:\n    Type:                    Projected (a volume that contains injected data from multiple sources)\n    TokenExpirationSeconds:  3607\n    ConfigMapName:           kube-root-ca.crt\nTolerations:                 node.kubernetes.io/not-ready:NoExecute op=Exists for 300s\n\nName:         db\nType:  Opaque\n\nData\n====\npassword:  24 bytes\nusername:  3 bytes\n\n",
        random.suffix(10),
        random.hex(64),
        random.hex(64),
        random.suffix(5),
        random.suffix(5)
    );
}

fn go_sum(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "github.com/acme/token{n} v0.{}.1 h1:{}=\ngithub.com/acme/token{n} v0.{}.1/go.mod h1:{}=",
        n % 20,
        random.base64(43),
        n % 20,
        random.base64(43)
    );
}

fn package_lock(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "    \"node_modules/js-tokens-{n}\": {{\n      \"version\": \"4.0.{n}\",\n      \"resolved\": \"https://registry.example.com/js-tokens/-/js-tokens-4.0.{n}.tgz\",\n      \"integrity\": \"sha512-{}==\",\n      \"license\": \"MIT\"\n    }},",
        random.base64(86)
    );
}

fn cargo_lock(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "[[package]]\nname = \"secret-keys-{n}\"\nversion = \"0.{n}.0\"\nsource = \"registry+https://github.com/acme/index\"\nchecksum = \"{}\"\n",
        random.hex(64)
    );
}

fn requirements(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "tokenizers=={}.{}.0 \\\n    --hash=sha256:{} \\\n    --hash=sha256:{}",
        n % 9,
        n % 40,
        random.hex(64),
        random.hex(64)
    );
}

fn sums(n: u64, random: &mut Random, out: &mut String) {
    let _ = match n % 4 {
        0 => writeln!(out, "{}  keys/public-{n}.bin", random.hex(64)),
        1 => writeln!(out, "{}  backup-{n}.tar.gz", random.hex(128)),
        2 => writeln!(out, "MD5 (token-service-{n}.jar) = {}", random.hex(32)),
        _ => writeln!(out, "SHA256:{} root@core-{n} (ED25519)", random.base64(43)),
    };
}

fn images(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "registry.example.com/kms/secrets-operator@sha256:{}   {}   2 weeks ago   {}MB",
        random.hex(64),
        random.hex(12),
        n % 900
    );
}

fn git(n: u64, random: &mut Random, out: &mut String) {
    let id = random.hex(40);
    let _ = writeln!(
        out,
        "commit {id}\nMerge: {} {}\nAuthor: Jane Doe <jane@example.com>\n\n    Rotate keys, refresh the token cache (#{n})\n\n    Change-Id: I{}\nindex {}..{} 100644\n",
        random.hex(8),
        random.hex(8),
        random.hex(40),
        random.hex(10),
        random.hex(10)
    );
}

fn ids(n: u64, random: &mut Random, out: &mut String) {
    let _ = match n % 6 {
        0 => writeln!(out, "request_id={} correlation-id={} tenant={}", random.uuid(), random.hex(32), random.uuid()),
        1 => writeln!(
            out,
            "traceparent: 00-{}-{}-01 tracestate: vendor={}",
            random.hex(32),
            random.hex(16),
            random.lower(20)
        ),
        2 => writeln!(
            out,
            "arn:aws:kms:eu-west-1:123456789012:key/{} arn:aws:secretsmanager:eu-west-1:123456789012:secret:kms/db-{}",
            random.uuid(),
            random.base62(6)
        ),
        3 => writeln!(
            out,
            "volumeHandle: vol-0{} fsid={} eni-0{} i-0{}",
            random.hex(16),
            random.uuid(),
            random.hex(16),
            random.hex(16)
        ),
        4 => writeln!(
            out,
            "etag \"{}\" md5={} crc32c={} x-amz-request-id: {} x-amz-id-2: {}=",
            random.hex(32),
            random.hex(32),
            random.base64(6),
            random.base62(16).to_uppercase(),
            random.base64(75)
        ),
        _ => writeln!(
            out,
            "ulid={} ksuid={} objectid={} snowflake={}",
            random.base62(26).to_uppercase(),
            random.base62(27),
            random.hex(24),
            random.next()
        ),
    };
}

fn metrics(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "apiserver_request_total{{code=\"200\",resource=\"secrets\",verb=\"LIST\"}} {}\nauthentication_token_cache_request_total{{status=\"hit\"}} {n}\ncontainer_memory_usage_bytes{{container=\"core\",id=\"/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{}.scope\",image=\"registry.example.com/core@sha256:{}\"}} {}\nvault_token_count_by_policy{{policy=\"default\"}} 4",
        random.below(90_000),
        random.uuid().replace('-', "_"),
        random.hex(64),
        random.hex(64),
        random.below(9_000_000)
    );
}

fn traces(n: u64, random: &mut Random, out: &mut String) {
    let _ = writeln!(
        out,
        "{{\"traceId\":\"{}\",\"spanId\":\"{}\",\"parentSpanId\":\"{}\",\"name\":\"token.refresh\",\"startTimeUnixNano\":\"17952{:014}\",\"attributes\":[{{\"key\":\"db.statement\",\"value\":{{\"stringValue\":\"SELECT key_id FROM api_keys WHERE id = $1\"}}}},{{\"key\":\"session.count\",\"value\":{{\"intValue\":\"{n}\"}}}},{{\"key\":\"enduser.id\",\"value\":{{\"stringValue\":\"{}\"}}}}]}}",
        random.hex(32),
        random.hex(16),
        random.hex(16),
        n,
        random.uuid()
    );
}
