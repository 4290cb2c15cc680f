//! Label selectors of the equality kind.

use std::fmt;

use serde::Deserialize;

/// `key=value,other=value`, as Kubernetes reads it in the query parameter `labelSelector`; only equality is needed here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LabelSelector {
    pairs: Vec<(String, String)>,
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.pairs.iter().all(|(key, value)| label(key) == Some(value.as_str()))
    }
}

impl TryFrom<String> for LabelSelector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pairs = text
            .split(',')
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
                _ => Err(format!("`{pair}` is not `label=value`")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pairs })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        f.write_str(&text.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pairs_must_match() {
        let selector = LabelSelector::try_from("app=kms-core, tier=a".to_owned()).unwrap();
        let labels = |key: &str| match key {
            "app" => Some("kms-core"),
            "tier" => Some("a"),
            _ => None,
        };
        assert!(selector.matches(labels));
        assert!(!selector.matches(|key| (key == "app").then_some("kms-core")));
        assert_eq!(selector.to_string(), "app=kms-core,tier=a");
        assert!(LabelSelector::try_from("app".to_owned()).is_err());
    }
}
