//! Which profile fits the cluster, and in which namespaces.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::answer::Refusal;
use super::api::{Cluster, escaped};
use crate::collect::CollectError;
use crate::model::Access;
use crate::profile::{LabelSelector, Profile};

/// Profile that fits any cluster.
const GENERIC: &str = "kubernetes";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
/// Pages of pods that are looked through for one selector, of 500 pods each.
const PAGES_MAX: usize = 200;
const PAGE_SIZE: usize = 500;
const SIZE_MAX: usize = 64 << 20;
/// Namespaces that an error names.
const NAMED_MAX: usize = 12;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Id of the profile; `kubernetes` where no profile recognised its system.
    pub profile: String,
    /// Namespaces to read: never empty, without repetitions.
    pub namespaces: Vec<String>,
    /// Whether a profile recognised its system.
    pub matched: bool,
    /// Why the search could not be finished, if so. The result is then a guess, and the collection goes on with it.
    pub doubt: Option<String>,
}

/// The error for a namespace that does not exist; `known` has the most similar ones first.
fn unknown(name: &str, known: &[String]) -> CollectError {
    CollectError::NotFound(format!("there is no namespace `{name}`{}", suggestion(known)))
}

fn suggestion(known: &[String]) -> String {
    if known.is_empty() {
        return " (try: kubectl get namespaces)".to_owned();
    }
    let more = if known.len() > NAMED_MAX { ", ..." } else { "" };
    format!("; there are {}{more}", known.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", "))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List {
    metadata: ListMeta,
    items: Vec<Found>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListMeta {
    r#continue: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Found {
    metadata: FoundMeta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FoundMeta {
    name: String,
    namespace: String,
}

impl Cluster {
    /// Finds the first of `profiles` whose system runs here, and its namespaces. With `namespaces` (those of `-n`), only
    /// these are looked at, and they are the result.
    ///
    /// Where pods cannot be listed in all namespaces, the profile's own namespaces and the context's are asked one by
    /// one. Where nothing is recognised, the result is the profile `kubernetes` with the context's namespace and `default`.
    /// A server that fails or hangs here does not end the run: the search is given up after two request timeouts.
    ///
    /// # Errors
    /// [`CollectError::NotFound`] with suggestions when a namespace of `namespaces` does not exist.
    pub async fn detect(&self, profiles: &[Profile], namespaces: &[String]) -> Result<Detection, CollectError> {
        for name in namespaces {
            self.must_exist(name).await?;
        }
        let search = self.first_match(profiles, namespaces);
        let doubt = match tokio::time::timeout(2 * self.request_timeout(), search).await {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(format!("the pods could not be looked through: {error}")),
            Err(_) => Some("the pods could not be looked through in time".to_owned()),
        };
        let namespaces = if namespaces.is_empty() {
            let own = self.default_namespace();
            unique([own, "default"].into_iter().filter(|n| !n.is_empty()).map(str::to_owned))
        } else {
            unique(namespaces.iter().cloned())
        };
        Ok(Detection { profile: GENERIC.to_owned(), namespaces, matched: false, doubt })
    }

    async fn first_match(&self, profiles: &[Profile], only: &[String]) -> Result<Option<Detection>, CollectError> {
        for profile in profiles.iter().filter(|p| !p.kubernetes.detect.is_empty()) {
            let found = self.namespaces_of(profile, only).await?;
            if !found.is_empty() {
                let namespaces = if only.is_empty() { found } else { unique(only.iter().cloned()) };
                return Ok(Some(Detection { profile: profile.id.clone(), namespaces, matched: true, doubt: None }));
            }
        }
        Ok(None)
    }

    async fn must_exist(&self, name: &str) -> Result<(), CollectError> {
        let path = format!("/api/v1/namespaces/{}", escaped(name));
        match self.get(None, &path, "application/json", SIZE_MAX).await {
            Ok(Err(refusal)) if refusal.code == 404 => {
                let mut known = self.namespace_names().await.unwrap_or_default();
                known.sort_by_key(|other| (distance(name, other), other.clone()));
                Err(unknown(name, &known))
            }
            // Whoever may read a namespace's objects need not be allowed to read the namespace itself, and a server that
            // stumbles here may answer the next question.
            _ => Ok(()),
        }
    }

    async fn namespace_names(&self) -> Option<Vec<String>> {
        let body = self.get(None, "/api/v1/namespaces?limit=500", METADATA, SIZE_MAX).await.ok()?.ok()?;
        let list: List = serde_json::from_slice(&body).ok()?;
        Some(list.items.into_iter().map(|i| i.metadata.name).collect())
    }

    /// Namespaces with a pod of the profile, those that the profile names first.
    async fn namespaces_of(&self, profile: &Profile, only: &[String]) -> Result<Vec<String>, CollectError> {
        let mut found = BTreeSet::new();
        for selector in &profile.kubernetes.detect {
            if only.is_empty() {
                match self.pods(None, selector).await? {
                    Ok(namespaces) => {
                        found.extend(namespaces);
                        continue;
                    }
                    Err(refusal) if refusal.code != 403 => return Err(refusal.into_error()),
                    Err(_) => {}
                }
            }
            let own = profile.kubernetes.namespaces.iter().cloned().chain([self.default_namespace().to_owned()]);
            let places = if only.is_empty() { unique(own) } else { only.to_vec() };
            for place in places {
                // A refusal here says that this is not a place to collect from.
                if let Ok(namespaces) = self.pods(Some(&place), selector).await? {
                    found.extend(namespaces);
                }
            }
        }
        let order = &profile.kubernetes.namespaces;
        let mut namespaces: Vec<String> = found.into_iter().collect();
        namespaces.sort_by_key(|name| order.iter().position(|n| n == name).unwrap_or(order.len()));
        Ok(namespaces)
    }

    /// Namespaces of the pods that a selector selects, in one namespace or in all.
    async fn pods(
        &self,
        namespace: Option<&str>,
        selector: &LabelSelector,
    ) -> Result<Result<BTreeSet<String>, Refusal>, CollectError> {
        let access = Access::new("list", "", "pods", namespace);
        if let Err(error) = self.allowed(&access) {
            let message = error.to_string();
            return Ok(Err(Refusal { code: 403, message, from_api: true, retry_after: None, continue_token: None }));
        }
        let place = namespace.map_or_else(String::new, |n| format!("namespaces/{}/", escaped(n)));
        let limit = if namespace.is_some() { 1 } else { PAGE_SIZE };
        let query = format!("labelSelector={}&limit={limit}", escaped(&selector.to_string()));
        let mut found = BTreeSet::new();
        let mut token = String::new();
        for _ in 0..PAGES_MAX {
            let path = format!("/api/v1/{place}pods?{query}{token}");
            let body = match self.get(None, &path, METADATA, SIZE_MAX).await? {
                Ok(body) => body,
                // An expired list has shown enough to go by.
                Err(refusal) if refusal.code == 410 && !token.is_empty() => break,
                Err(refusal) => {
                    self.deny(&access, &refusal);
                    return Ok(Err(refusal));
                }
            };
            let list: List = serde_json::from_slice(&body)
                .map_err(|e| CollectError::Failed(format!("the list of pods is not JSON: {e}")))?;
            found.extend(list.items.into_iter().map(|i| i.metadata.namespace).filter(|n| !n.is_empty()));
            match list.metadata.r#continue.filter(|t| !t.is_empty()) {
                Some(next) if namespace.is_none() => token = format!("&continue={}", escaped(&next)),
                _ => break,
            }
        }
        Ok(Ok(found))
    }
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|n| seen.insert(n.clone())).collect()
}

/// Edits between two names. Only names of namespaces come here, and those are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(100).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = corner + usize::from(ca != *cb);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_near() {
        assert_eq!(distance("kms", "kms"), 0);
        assert_eq!(distance("kms-thershold", "kms-threshold"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert!(distance("kms", "kms-decentralized") > distance("kms", "kmx"));
    }

    #[test]
    fn an_unknown_namespace_is_told_with_those_that_exist() {
        assert_eq!(unknown("kmss", &["kms".to_owned()]).to_string(), "there is no namespace `kmss`; there are kms");
        assert!(unknown("kmss", &[]).to_string().contains("kubectl get namespaces"));
    }
}
