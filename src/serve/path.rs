//! Where a request goes.

/// A path of the API, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`.
    Root,
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz` and what lies below them.
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1` or `/apis/<group>/<version>`.
    Resources {
        /// Empty for the core group.
        group: String,
        /// For example `v1`.
        version: String,
    },
    /// Objects of one kind, one object, or a subresource of it.
    Object(Target),
    /// Anything else.
    Unknown,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Target {
    /// Empty for the core group.
    pub(super) group: String,
    /// For example `v1`.
    pub(super) version: String,
    /// None: all namespaces, or a kind without namespaces.
    pub(super) namespace: Option<String>,
    /// For example `pods`.
    pub(super) plural: String,
    /// None: a list.
    pub(super) name: Option<String>,
    /// For example `log`.
    pub(super) subresource: Option<String>,
    /// What lies behind the subresource, with its leading `/`; only `proxy` has any.
    pub(super) rest: String,
}

impl Target {
    /// `deployments.apps`, or `pods` in the core group: how the server names a kind in errors.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `pods/log` or `pods`: how the server names what access rules are about.
    pub(super) fn resource(&self) -> String {
        match &self.subresource {
            Some(sub) => format!("{}/{sub}", self.plural),
            None => self.plural.clone(),
        }
    }
}

impl Route {
    /// Reads the path of a URI.
    pub(super) fn parse(path: &str) -> Self {
        let segments: Vec<String> = path.strip_prefix('/').unwrap_or(path).split('/').map(percent_decode).collect();
        // A trailing slash is nothing, except behind `proxy`, where `rest` is taken from the raw segments.
        let mut parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let slash = parts.len() > 1 && parts.last() == Some(&"");
        if slash {
            parts.pop();
        }
        match parts.as_slice() {
            [] | [""] => Self::Root,
            ["version"] => Self::Version,
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::Resources { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => Self::Resources { group: (*group).to_owned(), version: (*version).to_owned() },
            ["api", version, rest @ ..] => target("", version, rest, slash),
            ["apis", group, version, rest @ ..] => target(group, version, rest, slash),
            _ => Self::Unknown,
        }
    }
}

/// The part behind the version.
fn target(group: &str, version: &str, rest: &[&str], slash: bool) -> Route {
    // A namespace's own subresources look like kinds in it.
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, tail @ ..]
            if !matches!(*plural, "status" | "finalize") || !tail.is_empty() =>
        {
            (Some((*namespace).to_owned()), &rest[2..])
        }
        _ => (None, rest),
    };
    let mut parts = rest.iter();
    let Some(plural) = parts.next().filter(|p| !p.is_empty()) else { return Route::Unknown };
    let name = parts.next().map(|s| (*s).to_owned());
    let subresource = parts.next().map(|s| (*s).to_owned());
    let mut tail = parts.fold(String::new(), |mut path, part| {
        path.push('/');
        path.push_str(part);
        path
    });
    if slash && subresource.is_some() {
        tail.push('/');
    }
    if subresource.as_deref() != Some("proxy") && tail.len() > 1 {
        return Route::Unknown;
    }
    Route::Object(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace,
        plural: (*plural).to_owned(),
        name,
        subresource,
        rest: tail,
    })
}

/// Undoes percent encoding; what is not UTF-8 afterwards becomes U+FFFD, and what is no encoding stays.
pub(super) fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(path: &str) -> Target {
        match Route::parse(path) {
            Route::Object(target) => target,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_are_understood() {
        let log = object("/api/v1/namespaces/kms/pods/core-0/log");
        assert_eq!((log.namespace.as_deref(), log.plural.as_str()), (Some("kms"), "pods"));
        assert_eq!((log.name.as_deref(), log.subresource.as_deref()), (Some("core-0"), Some("log")));
        assert_eq!(log.resource(), "pods/log");
        let namespace = object("/api/v1/namespaces/kms");
        assert_eq!((namespace.plural.as_str(), namespace.name.as_deref()), ("namespaces", Some("kms")));
        assert_eq!(namespace.namespace, None);
        let status = object("/api/v1/namespaces/kms/status");
        assert_eq!((status.plural.as_str(), status.subresource.as_deref()), ("namespaces", Some("status")));
        let deployments = object("/apis/apps/v1/deployments");
        assert_eq!((deployments.qualified().as_str(), deployments.name), ("deployments.apps", None));
        let proxy = object("/api/v1/namespaces/kms/pods/core-0:9646/proxy/a%20b/c/");
        assert_eq!((proxy.name.as_deref(), proxy.rest.as_str()), (Some("core-0:9646"), "/a b/c/"));
        assert_eq!(object("/api/v1/namespaces/kms/pods/core-0:9646/proxy/").rest, "/");
        assert_eq!(Route::parse("/apis/apps/v1/"), Route::Resources { group: "apps".into(), version: "v1".into() });
        assert_eq!(Route::parse("/"), Route::Root);
        assert_eq!(Route::parse("/api/v1/namespaces/a/pods/b/log/c"), Route::Unknown);
    }

    proptest! {
        #[test]
        fn any_path_is_safe(path in "/?[ -~]{0,60}") {
            let _ = Route::parse(&path);
        }

        #[test]
        fn decoding_undoes_encoding(text in ".{0,20}") {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(percent_decode(&encoded), text);
        }
    }
}
