//! What the clients of a server may do: everything that reads, unless a [`Denial`] takes it away.

use globset::{Glob, GlobMatcher};

use super::path::Target;

/// Takes rights away, both from requests and from the answers of access reviews. Globs: `*` is everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Verb: `get`, `list`, `watch`, `create`.
    pub verb: String,
    /// API group; empty is the core group.
    pub group: String,
    /// Resource with its subresource: `secrets`, `pods/log`.
    pub resource: String,
    /// Namespace; cluster scope is matched by `*` only.
    pub namespace: String,
}

impl Denial {
    /// Denies a verb on a resource of a group in all namespaces and at cluster scope.
    #[must_use]
    pub fn new(verb: &str, group: &str, resource: &str) -> Self {
        Self { verb: verb.into(), group: group.into(), resource: resource.into(), namespace: "*".into() }
    }

    /// Restricts the denial to the namespaces that a glob matches.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }
}

/// A question to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    /// With the subresource behind a slash.
    pub(super) resource: &'a str,
    /// Empty at cluster scope.
    pub(super) namespace: &'a str,
}

/// All denials, compiled.
#[derive(Debug, Default)]
pub(super) struct Access {
    denials: Vec<Denial>,
    matchers: Vec<[GlobMatcher; 4]>,
}

impl Access {
    /// Compiles denials.
    ///
    /// # Errors
    /// When one is not a valid glob.
    pub(super) fn new(denials: Vec<Denial>) -> Result<Self, globset::Error> {
        let compile = |denial: &Denial| -> Result<[GlobMatcher; 4], globset::Error> {
            let glob = |text: &str| Ok(Glob::new(text)?.compile_matcher());
            Ok([glob(&denial.verb)?, glob(&denial.group)?, glob(&denial.resource)?, glob(&denial.namespace)?])
        };
        let matchers = denials.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { denials, matchers })
    }

    /// What is denied.
    pub(super) fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// Whether nothing denies it.
    pub(super) fn allows(&self, question: &Question<'_>) -> bool {
        !self.matchers.iter().any(|[verb, group, resource, namespace]| {
            verb.is_match(question.verb)
                && group.is_match(question.group)
                && resource.is_match(question.resource)
                && namespace.is_match(question.namespace)
        })
    }

    /// Whether a request may be answered.
    pub(super) fn permits(&self, target: &Target, verb: &str) -> bool {
        let resource = target.resource();
        let namespace = match (&target.namespace, target.plural.as_str(), &target.name) {
            (Some(namespace), ..) => namespace,
            (None, "namespaces", Some(name)) if target.group.is_empty() => name,
            _ => "",
        };
        self.allows(&Question { verb, group: &target.group, resource: &resource, namespace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_take_rights_away() {
        let denials = [Denial::new("*", "", "secrets"), Denial::new("get", "", "pods/log").in_namespace("kms*")];
        let access = Access::new(denials.to_vec()).unwrap();
        let asks = |verb, resource, namespace| access.allows(&Question { verb, group: "", resource, namespace });
        assert!(!asks("list", "secrets", "a"));
        assert!(!asks("list", "secrets", ""));
        assert!(!asks("get", "pods/log", "kms-1"));
        assert!(asks("get", "pods/log", "other"));
        assert!(asks("get", "pods", "kms-1"));
        assert!(access.allows(&Question { verb: "list", group: "apps", resource: "secrets", namespace: "" }));
        assert!(Access::new(vec![Denial::new("[", "", "x")]).is_err());
    }
}
