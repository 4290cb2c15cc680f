//! Large contents of several kinds.

use std::fmt::Write as _;

use casefile::redact::{CorrelationKey, Redactor};

use crate::corpus::{Random, clean, planted};

/// Bytes of each content.
const SIZE: usize = 32 << 20;

/// Repeats a part until there is enough.
fn fill(mut part: impl FnMut(u64, &mut Random, &mut String)) -> Vec<u8> {
    let (mut out, mut random) = (String::with_capacity(SIZE + 8_192), Random::new(1));
    let mut n = 0;
    while out.len() < SIZE {
        n += 1;
        part(n, &mut random, &mut out);
    }
    out.into_bytes()
}

/// What a pod of a threshold key service logs; one line in a thousand has a secret.
pub(crate) fn pod_log() -> Vec<u8> {
    fill(|n, random, out| {
        let (s, id) = (n % 60, random.hex(32));
        let _ = match n % 6 {
            0 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.123456Z  INFO kms_core::threshold: decryption finished request_id={id} key_id={id} epoch_id=1 tokens_used={} peer=core-{}.example.com:50001",
                n % 99,
                n % 13
            ),
            1 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.223456Z DEBUG request{{request_id={id} session_id={}}}: kms_grpc::rpc: sending message round={} party=4 bytes=16384",
                n % 7,
                n % 11
            ),
            2 => writeln!(
                out,
                "I1121 10:00:{s:02}.000000       1 reflector.go:368] Caches populated for *v1.Secret from k8s.io/client-go/informers/factory.go:160 key=kube-system/{id}"
            ),
            3 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.323456Z  WARN kms_lib::engine::keys: key share of session {id} is late, public key digest 0x{id}{id}"
            ),
            4 => writeln!(
                out,
                "10.0.{}.{} - - [21/Nov/2026:10:00:{s:02} +0000] \"GET /api/v1/namespaces/default/pods?limit=500&resourceVersion=0 HTTP/1.1\" 200 {} \"-\" \"kubectl/v1.32.0 (linux/amd64) kubernetes/{id}\"",
                n % 255,
                n % 251,
                n % 90_000
            ),
            _ => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.423456Z  INFO kms_connector::tx: transaction sent, nonce={n} hash=0x{id}{id} gas_used={} endpoint=https://rpc.example.com:8545/",
                n % 90_000
            ),
        };
        if n % 1_000 == 0 {
            let _ = writeln!(out, "level=error msg=\"login failed\" password=Pw{id} url=postgres://u:{id}@db/kms");
        }
    })
}

/// What a controller logs, in JSON; half of the lines have words such as `token`.
pub(crate) fn controller_log() -> Vec<u8> {
    fill(|n, random, out| {
        let (s, id) = (n % 60, random.hex(32));
        let _ = match n % 3 {
            0 => writeln!(
                out,
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{s:02}.123Z\",\"logger\":\"controller\",\"msg\":\"reconciled object\",\"namespace\":\"kms-threshold\",\"name\":\"core-{}\",\"uid\":\"{id}\",\"duration_ms\":{}}}",
                n % 13,
                n % 997
            ),
            1 => writeln!(
                out,
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{s:02}.456Z\",\"msg\":\"token review done\",\"request_id\":\"{id}\",\"auth\":\"webhook\",\"token_type\":\"Bearer\",\"status\":200}}"
            ),
            _ => writeln!(
                out,
                "{{\"level\":\"debug\",\"msg\":\"access granted to session\",\"image\":\"registry.example.com/kms/core@sha256:{id}{id}\",\"path\":\"/var/lib/kubelet/pods/{id}/volumes\",\"secretName\":\"tls-{}\"}}",
                n % 13
            ),
        };
        if n % 1_000 == 0 {
            let _ = writeln!(out, "{{\"level\":\"error\",\"msg\":\"login failed\",\"password\":\"Pw{id}\"}}");
        }
    })
}

/// One pod as the API server writes it.
fn pod(n: u64, random: &mut Random, out: &mut String) {
    let (a, b) = (random.hex(32), random.hex(32));
    let _ = write!(
        out,
        "{{\"metadata\":{{\"name\":\"core-{n}\",\"namespace\":\"kms-threshold\",\"uid\":\"{a}\",\"resourceVersion\":\"{n}\",\"creationTimestamp\":\"2026-11-21T10:00:00Z\",\"labels\":{{\"app.kubernetes.io/name\":\"kms-core\",\"apps.kubernetes.io/pod-index\":\"{}\",\"controller-revision-hash\":\"core-{}\"}},\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"core\",\"uid\":\"{b}\",\"controller\":true,\"blockOwnerDeletion\":true}}]}},\"spec\":{{\"volumes\":[{{\"name\":\"keys\",\"persistentVolumeClaim\":{{\"claimName\":\"keys-{n}\"}}}},{{\"name\":\"kube-api-access-{}\",\"projected\":{{\"sources\":[{{\"serviceAccountToken\":{{\"expirationSeconds\":3607,\"path\":\"token\"}}}},{{\"configMap\":{{\"name\":\"kube-root-ca.crt\",\"items\":[{{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}}]}}}}],\"defaultMode\":420}}}}],\"containers\":[{{\"name\":\"core\",\"image\":\"registry.example.com/kms/core-service:v0.13.0\",\"args\":[\"--config-file\",\"/app/kms/config/core.toml\"],\"ports\":[{{\"name\":\"grpc\",\"containerPort\":50100,\"protocol\":\"TCP\"}},{{\"name\":\"metrics\",\"containerPort\":9646,\"protocol\":\"TCP\"}}],\"env\":[{{\"name\":\"RUST_LOG\",\"value\":\"info\"}},{{\"name\":\"DB_PASSWORD\",\"valueFrom\":{{\"secretKeyRef\":{{\"name\":\"db\",\"key\":\"password\"}}}}}},{{\"name\":\"KMS_PARTY\",\"value\":\"{}\"}}],\"resources\":{{\"limits\":{{\"cpu\":\"16\",\"memory\":\"64Gi\"}},\"requests\":{{\"cpu\":\"4\",\"memory\":\"16Gi\"}}}},\"volumeMounts\":[{{\"name\":\"keys\",\"mountPath\":\"/app/kms/keys\"}},{{\"name\":\"kube-api-access\",\"readOnly\":true,\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}}],\"terminationMessagePath\":\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}}],\"restartPolicy\":\"Always\",\"dnsPolicy\":\"ClusterFirst\",\"nodeName\":\"node-{}\"}},\"status\":{{\"phase\":\"Running\",\"conditions\":[{{\"type\":\"Ready\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-21T10:00:09Z\"}}],\"podIP\":\"10.42.0.{}\",\"containerStatuses\":[{{\"name\":\"core\",\"ready\":true,\"restartCount\":{},\"imageID\":\"registry.example.com/kms/core-service@sha256:{a}{b}\",\"containerID\":\"containerd://{b}{a}\",\"state\":{{\"running\":{{\"startedAt\":\"2026-11-21T10:00:08Z\"}}}}}}]}}}}",
        n % 13,
        &a[..10],
        &b[..5],
        n % 13,
        n % 40,
        n % 250,
        n % 3
    );
}

pub(crate) fn objects() -> Vec<u8> {
    fill(|n, random, out| {
        pod(n, random, out);
        out.push('\n');
    })
}

/// One document on one line.
pub(crate) fn one_line() -> Vec<u8> {
    let mut all = fill(|n, random, out| {
        out.push_str(if n == 1 { "{\"kind\":\"PodList\",\"items\":[" } else { "," });
        pod(n, random, out);
    });
    all.extend_from_slice(b"]}\n");
    all
}

pub(crate) fn yaml() -> Vec<u8> {
    fill(|n, random, out| {
        let id = random.hex(32);
        let _ = write!(
            out,
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: core-{n}\n  namespace: kms-threshold\n  uid: {id}\n  labels:\n    app.kubernetes.io/name: kms-core\n  annotations:\n    checksum/config: {id}{id}\nspec:\n  clusterIP: 10.43.0.{}\n  ports:\n    - name: grpc\n      port: 50100\n      targetPort: grpc\n  selector:\n    apps.kubernetes.io/pod-index: \"{}\"\n  sessionAffinity: None\n  type: ClusterIP\n",
            n % 250,
            n % 13
        );
    })
}

/// Lines of base64 that is no text.
pub(crate) fn base64() -> Vec<u8> {
    fill(|_, random, out| {
        out.push_str(&random.base64(76));
        out.push('\n');
    })
}

pub(crate) fn binary() -> Vec<u8> {
    let mut random = Random::new(3);
    (0..SIZE / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// The logs of the clean corpus: no secret at all.
pub(crate) fn clean_logs() -> Vec<u8> {
    let logs: Vec<u8> = clean::documents(1 << 20)
        .into_iter()
        .filter(|d| d.path.ends_with(".log") && !d.path.starts_with("recorded"))
        .flat_map(|d| d.content)
        .collect();
    logs.iter().copied().cycle().take(SIZE).collect()
}

/// The logs of the planted corpus: a secret, some clean lines, a secret.
pub(crate) fn secret_dense() -> Vec<u8> {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let logs: Vec<u8> = planted::documents(&redactor, 5)
        .into_iter()
        .filter(|p| p.document.path.ends_with(".log"))
        .flat_map(|p| p.document.content)
        .collect();
    logs.iter().copied().cycle().take(SIZE).collect()
}
