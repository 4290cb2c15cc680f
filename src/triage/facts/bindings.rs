//! Who is given which role.

use serde_json::Value;

use super::value::{list, string, text};
use super::{At, Key};

/// Accounts of one binding that are kept.
const ACCOUNTS_MAX: usize = 200;
/// A group of all service accounts of one namespace.
const ALL_OF: &str = "system:serviceaccounts:";

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) key: Key,
    /// `Role` or `ClusterRole`, and its name.
    pub(crate) role: (String, String),
    /// Service accounts; an empty name stands for all of a namespace.
    pub(crate) accounts: Vec<Key>,
}

impl Binding {
    /// Whether it is about this service account.
    pub(crate) fn is_for(&self, namespace: &str, account: &str) -> bool {
        self.accounts.iter().any(|(at, name)| at == namespace && (name.is_empty() || name == account))
    }
}

/// Reads a binding.
pub(super) fn binding(kind: String, key: Key, at: At, object: &Value) -> Binding {
    let account = |subject: &Value| match text(subject, "/kind") {
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let namespace = if own.is_empty() { key.0.clone() } else { own.to_owned() };
            Some((namespace, string(subject, "/name")))
        }
        "Group" => Some((text(subject, "/name").strip_prefix(ALL_OF)?.to_owned(), String::new())),
        _ => None,
    };
    let accounts = list(object, "/subjects").iter().filter_map(account).take(ACCOUNTS_MAX).collect();
    let role = (string(object, "/roleRef/kind"), string(object, "/roleRef/name"));
    Binding { at, kind, role, accounts, key }
}
