//! What is known of the ends of host names. Flat tables, in lower case.

/// Last labels that make a host of two labels.
pub(super) const SURE: [&str; 24] = [
    "arpa",
    "biz",
    "com",
    "corp",
    "edu",
    "example",
    "gov",
    "home",
    "int",
    "internal",
    "intra",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "mil",
    "net",
    "online",
    "org",
    "private",
    "site",
    "tech",
    "test",
    "xyz",
];

/// Last labels that also end names in programs: they make a host of three labels, or behind `//` and `@`, or in front of
/// a port.
pub(super) const LIKELY: [&str; 62] = [
    "ae", "ai", "ar", "at", "au", "be", "bg", "br", "ca", "ch", "cl", "cloud", "cn", "co", "cz", "de", "dev", "dk",
    "ee", "es", "eu", "fi", "fr", "gr", "hk", "hr", "hu", "ie", "il", "in", "io", "ir", "it", "jp", "kr", "lt", "lu",
    "lv", "mx", "my", "network", "nl", "no", "nz", "ph", "pt", "ro", "ru", "se", "sg", "si", "sk", "th", "tr", "tv",
    "tw", "ua", "uk", "us", "vn", "ws", "za",
];

/// Last labels that end file names and fields more often than hosts: only behind `//` and `@`, or in front of a port.
pub(super) const DOUBTFUL: [&str; 22] = [
    "ac", "am", "app", "cc", "fm", "host", "id", "info", "is", "me", "name", "pl", "ps", "py", "rs", "run", "sh", "so",
    "st", "to", "vip", "zone",
];

/// Public suffixes of two labels, below which anyone may have a name.
pub(super) const PUBLIC: [&str; 24] = [
    "ac.uk", "co.id", "co.il", "co.in", "co.jp", "co.kr", "co.nz", "co.th", "co.uk", "co.za", "com.ar", "com.au",
    "com.br", "com.cn", "com.hk", "com.mx", "com.my", "com.sg", "com.tr", "com.tw", "com.vn", "gov.uk", "net.au",
    "org.uk",
];

/// Domains of infrastructure that many share. The names of its services and regions stay.
pub(super) const PROVIDERS: [&str; 18] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "azure.com",
    "azure.net",
    "azurecr.io",
    "azmk8s.io",
    "azurewebsites.net",
    "cloudapp.net",
    "cloudflarestorage.com",
    "cloudfront.net",
    "compute.internal",
    "digitaloceanspaces.com",
    "ec2.internal",
    "googleapis.com",
    "googleusercontent.com",
    "in-addr.arpa",
    "ip6.arpa",
    "windows.net",
];

/// Labels below a provider's domain that name a service.
pub(super) const SERVICES: [&str; 36] = [
    "api",
    "aps",
    "blob",
    "bc",
    "compute",
    "core",
    "database",
    "dfs",
    "dkr",
    "dualstack",
    "ec2",
    "ecr",
    "efs",
    "eks",
    "elb",
    "file",
    "gr7",
    "internal",
    "kms",
    "lambda",
    "management",
    "queue",
    "rds",
    "s3",
    "s3-accesspoint",
    "s3-control",
    "secretsmanager",
    "sqs",
    "sns",
    "storage",
    "sts",
    "table",
    "vault",
    "vpce",
    "web",
    "yl4",
];

/// Domains of public software: API groups, registries, sources. They say nothing about a site, and programs look for
/// them by name.
pub(super) const KEPT: [&str; 49] = [
    "argoproj.io",
    "cert-manager.io",
    "cilium.io",
    "cloud.google.com",
    "cncf.io",
    "container-registry.oracle.com",
    "containerd.io",
    "coreos.com",
    "crates.io",
    "crossplane.io",
    "crunchydata.com",
    "docker.com",
    "docker.io",
    "docs.rs",
    "eks.amazonaws.com",
    "elastic.co",
    "external-secrets.io",
    "fluxcd.io",
    "gcr.io",
    "ghcr.io",
    "github.com",
    "githubusercontent.com",
    "golang.org",
    "grafana.com",
    "helm.sh",
    "istio.io",
    "jetstack.io",
    "k3s.io",
    "k8s.io",
    "karpenter.sh",
    "kubernetes.azure.com",
    "kubernetes.io",
    "letsencrypt.org",
    "linkerd.io",
    "longhorn.io",
    "mcr.microsoft.com",
    "min.io",
    "open-telemetry.io",
    "openshift.io",
    "operatorframework.io",
    "projectcalico.org",
    "prometheus.io",
    "public.ecr.aws",
    "quay.io",
    "rancher.io",
    "redhat.com",
    "rook.io",
    "traefik.io",
    "w3.org",
];

/// Ends of names that Kubernetes gives. They are made of the names of objects, which stay everywhere else.
pub(super) const CLUSTER: [&str; 6] =
    ["cluster.local", "svc", "pod.cluster.local", "invalid", "localhost", "localhost.localdomain"];

/// Ends of file names, taken off before a name is looked at.
pub(super) const EXTENSIONS: [&str; 16] = [
    "conf", "crt", "csv", "gz", "html", "ini", "json", "key", "log", "md", "pem", "prom", "toml", "txt", "yaml", "yml",
];

/// Last labels of an e-mail address's look-alikes: units of systemd.
pub(super) const UNITS: [&str; 11] =
    ["automount", "device", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer"];
