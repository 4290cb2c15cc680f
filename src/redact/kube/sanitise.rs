//! Walks an object by what Kubernetes means by its fields.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dom::{Node, Parsed};
use super::{certificates, helm};
use crate::redact::layers::{Counts, Layer};
use crate::redact::rules::engine;
use crate::redact::scan::value::{is_placeholder, judge};
use crate::redact::scan::words::{Class, classify};
use crate::redact::token::{self, Id};
use crate::redact::{Format, Redactor};

/// Annotation that says what the values of a Secret were like.
pub(super) const SECRET_DATA: &str = "casefile/secret-data";
/// Annotation that says what a release record of Helm is about.
const HELM_RELEASE: &str = "casefile/helm-release";
/// Annotation that holds the token of a service account.
pub(super) const TOKEN_VALUE: &str = "openshift.io/token-secret.value";
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// JSON inside JSON inside JSON.
const MAX_EMBEDDED: usize = 4;

/// Whether objects of a kind are sanitised as a whole.
pub(super) fn is_typed(kind: &str) -> bool {
    matches!(kind, "Secret" | "ConfigMap" | "TokenReview" | "TokenRequest")
}

/// Sanitises one object.
pub(super) struct Sanitiser<'a> {
    redactor: &'a Redactor,
    file: &'a str,
    counts: Counts,
    ids: Vec<Id>,
    embedded: usize,
    /// Whether something was replaced since this was last cleared.
    changed: bool,
}

impl<'a> Sanitiser<'a> {
    pub(super) fn new(redactor: &'a Redactor, file: &'a str) -> Self {
        Self { redactor, file, counts: BTreeMap::new(), ids: Vec::new(), embedded: 0, changed: false }
    }

    /// Sanitises an object and everything inside it.
    pub(super) fn object(&mut self, node: &mut Node<'_>) {
        match node {
            Node::Object(members) => {
                let mut kind = None;
                let mut has_value = false;
                for (key, value) in members.iter() {
                    match &**key {
                        "kind" if kind.is_none() => kind = Some(value),
                        "value" => has_value = true,
                        _ => {}
                    }
                }
                match kind.and_then(Node::as_text) {
                    Some("Secret") => self.secret(node),
                    Some("ConfigMap") => self.config_map(node),
                    Some("TokenReview") => self.drop_token(node, "spec"),
                    Some("TokenRequest") => self.drop_token(node, "status"),
                    _ => {}
                }
                if has_value {
                    self.pair(node);
                }
                let Node::Object(members) = node else { return };
                for (key, value) in members.iter_mut() {
                    self.member(key, value);
                }
            }
            Node::List(items) => {
                self.arguments(items);
                items.iter_mut().for_each(|item| self.object(item));
            }
            Node::Text(_) | Node::Literal(_) => {}
        }
    }

    fn member(&mut self, key: &str, value: &mut Node<'_>) {
        match key {
            "annotations" => self.annotations(value),
            // Certificates of authorities are public, and triage reads their dates.
            "caBundle" | "ca.crt" => {}
            _ => {
                if let Node::Text(text) = value
                    && text.starts_with('{')
                {
                    self.embedded(text);
                    return;
                }
                self.object(value);
            }
        }
    }

    /// A token in place of a value.
    fn replace(&mut self, rule: u16, value: &[u8]) -> String {
        let inner = self.redactor.inner();
        let id = inner.ids.of(value);
        self.redactor.confirm(rule, value);
        self.changed = true;
        *self.counts.entry((Layer::Objects, rule)).or_default() += 1;
        self.ids.push(id);
        token::replacement(inner.set.kind(rule), id)
    }

    fn is_own(&self, value: &[u8]) -> bool {
        self.redactor.inner().set.is_own(value)
    }

    fn secret(&mut self, node: &mut Node<'_>) {
        let release = helm_release(node);
        let earlier = annotation(node, SECRET_DATA).map(str::to_owned);
        let earlier = earlier.as_deref().and_then(|text| Node::parse(text).ok()).map(|parsed| parsed.node);
        let mut notes: Vec<(Cow<'_, str>, Node<'_>)> = Vec::new();
        for field in ["data", "stringData"] {
            let Some(data) = node.get_mut(field) else { continue };
            let Node::Object(members) = data else {
                // Not what the API knows; nothing of it can be trusted.
                let text = data.to_json();
                *data = Node::text(self.replace(engine::KUBERNETES_SECRET, text.as_bytes()));
                continue;
            };
            for (key, value) in members.iter_mut() {
                let text = value.as_text().map_or_else(|| value.to_json(), str::to_owned);
                let plain = zeroize::Zeroizing::new(if field == "data" {
                    token::base64_bytes(text.as_bytes()).unwrap_or_else(|| text.clone().into_bytes())
                } else {
                    text.clone().into_bytes()
                });
                if self.is_own(plain.trim_ascii()) {
                    if let Some(note) = earlier.as_ref().and_then(|e| e.get(key)) {
                        notes.push((key.clone(), note.clone()));
                    }
                    continue;
                }
                if plain.is_empty() {
                    notes.push((key.clone(), Node::Object(vec![("bytes".into(), Node::Literal("0".into()))])));
                    self.changed |= value.as_text() != Some("");
                    *value = Node::text("");
                    continue;
                }
                let replacement = self.replace(engine::KUBERNETES_SECRET, &plain);
                if let Some(rule) = judge(&self.redactor.inner().set, classify(key.as_bytes()), &plain) {
                    // The key says more than that it is a Secret.
                    self.redactor.confirm(rule, &plain);
                }
                let id = self.redactor.inner().ids.of(&plain).text();
                let mut note = vec![
                    ("bytes".into(), Node::Literal(plain.len().to_string().into())),
                    ("id".into(), Node::text(id)),
                ];
                let certificates = certificates::describe(&plain);
                if !certificates.is_empty() {
                    note.push(("certificates".into(), Node::List(certificates)));
                }
                notes.push((key.clone(), Node::Object(note)));
                *value = Node::text(if field == "data" { STANDARD.encode(replacement) } else { replacement });
            }
        }
        if !notes.is_empty() {
            let notes = Node::Object(notes).to_json();
            self.changed = self.changed || annotation(node, SECRET_DATA) != Some(&notes);
            annotate(node, SECRET_DATA, notes);
        }
        if let Some(release) = release {
            self.changed = true;
            annotate(node, HELM_RELEASE, release);
        }
    }

    fn config_map(&mut self, node: &mut Node<'_>) {
        for field in ["data", "binaryData"] {
            let Some(Node::Object(members)) = node.get_mut(field) else { continue };
            for (key, value) in members.iter_mut() {
                let Node::Text(text) = value else { continue };
                let set = &self.redactor.inner().set;
                if let Some(rule) = judge(set, classify(key.as_bytes()), text.as_bytes())
                    && !text.contains('\n')
                {
                    *text = Cow::Owned(self.replace(rule, text.as_bytes()));
                } else if field == "data" && !public(key, text) {
                    let format = format_of(key, text);
                    self.document(format, text);
                } else if field == "binaryData" {
                    let plain = token::base64_bytes(text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec());
                    let clean = self.redactor.bytes(self.file, format_of(key, ""), &plain);
                    match clean.map(crate::redact::Redacted::into_inner) {
                        Ok(clean) if clean == plain => {}
                        Ok(clean) => {
                            *text = Cow::Owned(STANDARD.encode(clean));
                            self.changed = true;
                        }
                        Err(_) => *text = Cow::Owned(self.replace(engine::SECRET, &plain)),
                    }
                }
            }
        }
    }

    /// A document inside a string. One that cannot be redacted is replaced as a whole.
    fn document(&mut self, format: Format, text: &mut Cow<'_, str>) {
        let clean = self.redactor.bytes(self.file, format, text.as_bytes()).ok();
        let clean = clean.and_then(|c| String::from_utf8(c.into_inner()).ok());
        let clean = clean.unwrap_or_else(|| self.replace(engine::SECRET, text.as_bytes()));
        if clean != **text {
            *text = Cow::Owned(clean);
            self.changed = true;
        }
    }

    fn drop_token(&mut self, node: &mut Node<'_>, part: &str) {
        if let Some(Node::Text(token)) = node.get_mut(part).and_then(|p| p.get_mut("token"))
            && !token.is_empty()
            && !self.is_own(token.as_bytes())
        {
            *token = self.replace(engine::TOKEN, token.as_bytes()).into();
        }
    }

    pub(super) fn annotations(&mut self, node: &mut Node<'_>) {
        let Node::Object(members) = node else { return };
        for (key, value) in members.iter_mut() {
            let Node::Text(text) = value else { continue };
            if key == SECRET_DATA {
                continue;
            }
            if key == TOKEN_VALUE && !self.is_own(text.as_bytes()) {
                *text = Cow::Owned(self.replace(engine::TOKEN, text.as_bytes()));
            } else if self.embedded(text) {
                continue;
            } else if key == LAST_APPLIED && !self.is_own(text.as_bytes()) {
                // Cut or broken, so its structure protects nothing.
                *text = Cow::Owned(self.replace(engine::SECRET, text.as_bytes()));
            } else {
                let set = &self.redactor.inner().set;
                if let Some(rule) =
                    judge(set, classify(key.rsplit('/').next().unwrap_or(key).as_bytes()), text.as_bytes())
                {
                    *text = Cow::Owned(self.replace(rule, text.as_bytes()));
                }
            }
        }
    }

    /// Sanitises JSON inside a string; says whether it is an object or a list.
    pub(super) fn embedded(&mut self, text: &mut Cow<'_, str>) -> bool {
        if self.embedded >= MAX_EMBEDDED || !text.trim_start().starts_with(['{', '[']) {
            return false;
        }
        let Ok(Parsed { mut node, shortened }) = Node::parse(text) else { return false };
        let outside = std::mem::replace(&mut self.changed, shortened);
        self.embedded += 1;
        self.object(&mut node);
        self.embedded -= 1;
        let changed = self.changed;
        self.changed |= outside;
        if changed {
            let newline = if text.ends_with('\n') { "\n" } else { "" };
            let clean = node.to_json() + newline;
            *text = Cow::Owned(clean);
        }
        true
    }

    /// `{name, value}` members, in any order.
    fn pair(&mut self, node: &mut Node<'_>) {
        if node.get("value").is_none() {
            return;
        }
        let name = |key: &&str| if let Some(Node::Text(name)) = node.get(key) { Some(name.clone()) } else { None };
        let name = ["name", "key"].iter().find_map(name).unwrap_or_default();
        let class = classify(name.as_bytes());
        let Some(value) = node.get_mut("value") else { return };
        match value {
            Node::Text(text) => {
                let set = &self.redactor.inner().set;
                if matches!(class, Class::Secret(engine::AUTHORIZATION | engine::COOKIE)) {
                    let mut header = Cow::Owned(format!("{name}: {text}"));
                    self.document(Format::Text, &mut header);
                    let clean = header.strip_prefix(&format!("{name}: ")).map(str::to_owned);
                    *text = clean.unwrap_or_else(|| self.replace(engine::AUTHORIZATION, text.as_bytes())).into();
                } else if let Some(rule) = judge(set, class, text.as_bytes()) {
                    *text = self.replace(rule, text.as_bytes()).into();
                } else if text.contains('\n') {
                    self.document(format_of(&name, text), text);
                }
            }
            Node::Literal(text) => {
                let set = &self.redactor.inner().set;
                if let Some(rule) = judge(set, class, text.as_bytes()) {
                    *value = Node::text(self.replace(rule, text.as_bytes()));
                }
            }
            Node::List(_) | Node::Object(_) => {}
        }
    }

    /// Flags and their values in a list of arguments; scripts behind `sh -c`.
    fn arguments(&mut self, items: &mut [Node<'_>]) {
        let mut secret: Option<Class> = None;
        // Its flag for the password has no name.
        let redis = matches!(items.first(), Some(Node::Text(tool)) if tool.ends_with("redis-cli"));
        for item in items {
            let Node::Text(text) = item else {
                secret = None;
                continue;
            };
            if let Some(class) = secret.take() {
                let rule = judge(&self.redactor.inner().set, class, text.as_bytes());
                if let Some(rule) = rule.filter(|_| !text.starts_with('-')) {
                    *text = self.replace(rule, text.as_bytes()).into();
                    continue;
                }
            }
            if text.contains('\n') {
                self.document(Format::Text, text);
            } else if redis && text == "-a" {
                secret = Some(Class::Secret(engine::PASSWORD));
            } else if text.starts_with('-') && !text.contains(['=', ' ']) {
                let class = classify(text.trim_start_matches('-').as_bytes());
                secret = matches!(class, Class::Secret(_) | Class::Hex(_)).then_some(class);
            } else if let Some((flag, value)) = text.split_once('=')
                && !flag.is_empty()
                && !flag.contains(' ')
                && !is_placeholder(value.as_bytes())
            {
                let class = classify(flag.trim_start_matches('-').as_bytes());
                if let Some(rule) = judge(&self.redactor.inner().set, class, value.as_bytes()) {
                    *text = format!("{flag}={}", self.replace(rule, value.as_bytes())).into();
                }
            }
        }
    }
}

impl Drop for Sanitiser<'_> {
    fn drop(&mut self) {
        self.redactor.count(self.file, std::mem::take(&mut self.counts), &self.ids);
    }
}

fn annotation<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n str> {
    node.get("metadata")?.get("annotations")?.get(key)?.as_text()
}

fn annotate(node: &mut Node<'_>, key: &'static str, text: String) {
    let Node::Object(members) = node else { return };
    let place = |members: &mut Vec<(Cow<'_, str>, Node<'_>)>, key: &'static str| -> usize {
        let at = members.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            members.push((key.into(), Node::Object(Vec::new())));
            members.len() - 1
        });
        if !matches!(members[at].1, Node::Object(_)) {
            members[at].1 = Node::Object(Vec::new());
        }
        at
    };
    let at = place(members, "metadata");
    let Node::Object(metadata) = &mut members[at].1 else { return };
    let at = place(metadata, "annotations");
    let Node::Object(annotations) = &mut metadata[at].1 else { return };
    annotations.retain(|(k, _)| k != key);
    annotations.push((key.into(), Node::text(text)));
}

/// What a release record of Helm says about itself.
fn helm_release(node: &Node<'_>) -> Option<String> {
    let is_release = node.get("type").and_then(Node::as_text) == Some("helm.sh/release.v1");
    helm::describe(node.get("data").filter(|_| is_release)?.get("release")?.as_text()?)
}

/// A certificate and nothing else.
fn public(key: &str, text: &str) -> bool {
    (key.ends_with(".crt") || key.ends_with(".pem"))
        && text.starts_with("-----BEGIN CERTIFICATE")
        && !text.contains("PRIVATE")
}

fn format_of(key: &str, text: &str) -> Format {
    match Format::of_path(key) {
        Format::Text if text.trim_start().starts_with('{') => Format::Json,
        Format::Text if key == "kubeconfig" || key == "config" => Format::Yaml,
        format => format,
    }
}
