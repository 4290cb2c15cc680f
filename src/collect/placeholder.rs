//! Names in braces in commands, paths and artifact names of a profile.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::collect::CollectError;
use crate::profile::Profile;

/// What the names in braces stand for. A parameter without a value is known, but cannot be filled in.
#[derive(Clone)]
pub(in crate::collect) struct Values {
    names: BTreeMap<String, Option<String>>,
}

impl Values {
    /// The parameters of a profile: as set, else their defaults.
    pub(in crate::collect) fn of(profile: &Profile, set: &BTreeMap<String, String>) -> Self {
        let mut names: BTreeMap<String, Option<String>> =
            profile.parameters.iter().map(|(name, p)| (name.clone(), p.default.clone())).collect();
        names.extend(set.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        Self { names }
    }

    /// The same, with a pod and a container. Seen from there, the program is at `{address}` = `localhost`.
    pub(in crate::collect) fn within(&self, namespace: &str, pod: &str, container: &str) -> Self {
        let mut names = self.names.clone();
        for (name, value) in
            [("namespace", namespace), ("pod", pod), ("container", container), ("address", "localhost")]
        {
            names.insert(name.to_owned(), Some(value.to_owned()));
        }
        Self { names }
    }

    /// The same, with the host name or address under which the program is reached.
    pub(in crate::collect) fn at(mut self, address: &str) -> Self {
        self.names.insert("address".to_owned(), Some(address.to_owned()));
        self
    }

    /// A length of time such as `30s`, after names in braces were replaced.
    ///
    /// # Errors
    /// When it is none, with what to write instead.
    pub(in crate::collect) fn duration(&self, template: &str) -> Result<Duration, String> {
        let text = self.fill(template).map_err(|e| e.to_string())?;
        humantime::parse_duration(&text)
            .map_err(|e| format!("`{text}` is no length of time: {e} (write 500ms, 30s or 5m)"))
    }

    /// Replaces `{name}` by its value. Braces around anything that is not a known name stay.
    ///
    /// # Errors
    /// When a parameter that is needed has no value.
    pub(in crate::collect) fn fill(&self, template: &str) -> Result<String, CollectError> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let known = rest[1..].find('}').map(|close| &rest[1..=close]).and_then(|n| self.names.get_key_value(n));
            match known {
                Some((name, Some(value))) => {
                    out.push_str(value);
                    rest = &rest[name.len() + 2..];
                }
                Some((name, None)) => {
                    return Err(CollectError::NotApplicable(format!(
                        "the parameter {name} is not set (try: --set {name}=...)"
                    )));
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> Values {
        let text = "schema = 1\nid = \"x\"\ntitle = \"X\"\nprefix = \"x\"\n\
            [parameters.a]\ndescription = \"d\"\ndefault = \"{b}\"\n[parameters.b]\ndescription = \"d\"\n";
        let profile = crate::profile::parse("p", text).unwrap();
        Values::of(&profile, &BTreeMap::new()).within("ns", "p-0", "c")
    }

    #[test]
    fn known_names_are_replaced_once() {
        assert_eq!(values().fill("x/{namespace}/{pod}{container}").unwrap(), "x/ns/p-0c");
        assert_eq!(values().fill("{a}").unwrap(), "{b}");
        assert_eq!(values().fill(r#"{"k": "{pod}", {}}{"#).unwrap(), r#"{"k": "p-0", {}}{"#);
        assert!(values().fill("{b}").unwrap_err().to_string().contains("--set b="));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}apodé]{0,30}") {
            let _ = values().fill(&text);
        }
    }
}
