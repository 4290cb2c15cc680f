//! One pass over the text of an object, which says what of it is not copied as it stands.
//!
//! No tree is made of it. What may matter to the sanitiser is a part: it is read into a tree, sanitised, and written in its
//! place. Whatever is not sure here is such a part.

use super::dom::{MANAGED_FIELDS, Node, Parser, Raw};
use super::look::{APPLIED, MAX_KEY, is_secret, matters, may_be_number};
use super::sanitise::{LAST_APPLIED, SECRET_DATA, Sanitiser, TOKEN_VALUE, is_typed};
use crate::redact::rules::RuleSet;

/// Names of one object that are looked at beside a value; more of them are taken for telling.
const MAX_NAMES: usize = 2;

/// What is done with a part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// It is left out.
    Drop,
    /// A string is written with the escapes that are usual here.
    Rewrite,
    /// JSON in a string is sanitised.
    Embedded,
    Annotations,
    /// An object or a list is sanitised.
    Sanitise,
}

/// How the sanitiser looks at an object or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Fields,
    Annotations,
    /// It does not, because what stands there is public.
    Public,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    from: usize,
    to: usize,
    action: Action,
}

/// What there is to do with the text of an object.
pub(super) struct Pass<'a> {
    text: &'a str,
    /// In the order of the text; none lies in another one.
    parts: Vec<Part>,
    /// Whether there are blanks between tokens.
    spaced: bool,
    /// Whether the walker for JSON may find something in what is copied.
    walk: bool,
    /// Whether the object says its kind, and its version.
    pub(super) has_kind: bool,
    pub(super) has_version: bool,
    /// Whether the sanitiser has to see all of the object.
    pub(super) whole: bool,
}

impl<'a> Pass<'a> {
    /// Reads an object. The error says why it is none.
    pub(super) fn over(text: &'a str) -> Result<Self, String> {
        let mut passer = Passer { parser: Parser::new(text), parts: Vec::new(), walk: false };
        let is_object = passer.parser.begin(0)? == b'{';
        let from = passer.parser.at;
        let mut members = Members::default();
        if is_object {
            passer.object(0, View::Fields, &mut members)?;
        } else {
            passer.value(0, View::Public)?;
        }
        let to = passer.parser.at;
        passer.parser.end()?;
        let mut parts = passer.parts;
        parts.iter_mut().for_each(|p| (p.from, p.to) = (p.from - from, p.to - from));
        Ok(Self {
            text: &text[from..to],
            whole: !is_object || parts.first().is_some_and(|p| p.from == 0),
            parts,
            spaced: passer.parser.spaced,
            walk: passer.walk,
            has_kind: members.has_kind,
            has_version: members.has_version,
        })
    }

    /// Whether a text is JSON.
    pub(super) fn is_json(text: &str) -> bool {
        let mut passer = Passer { parser: Parser::new(text), parts: Vec::new(), walk: true };
        passer.value(0, View::Public).and_then(|()| passer.parser.end()).is_ok()
    }

    /// Appends the members of the object and its closing brace, sanitised where a sanitiser is given. Says whether the
    /// walker may find something in them.
    pub(super) fn write(&self, set: &RuleSet, mut sanitiser: Option<&mut Sanitiser<'_>>, out: &mut Vec<u8>) -> bool {
        let mut walk = self.walk;
        let mut at = 1;
        for part in &self.parts {
            self.copy(at, part.from, out);
            at = part.to;
            // What was read once is read again without an error.
            let text = &self.text[part.from..part.to];
            let Some(mut node) = (part.action != Action::Drop).then(|| Node::parse(text).ok()).flatten() else {
                continue;
            };
            if let Some(sanitiser) = &mut sanitiser {
                match (part.action, &mut node.node) {
                    (Action::Embedded, Node::Text(text)) => {
                        sanitiser.embedded(text);
                    }
                    (Action::Annotations, node) => sanitiser.annotations(node),
                    (Action::Sanitise, node) => sanitiser.object(node),
                    _ => {}
                }
            }
            walk = walk || matters(&node.node, set);
            node.node.write(out);
        }
        self.copy(at, self.text.len(), out);
        walk
    }

    /// Copies what is in no part, without blanks between tokens.
    fn copy(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        let mut rest = &self.text.as_bytes()[from..to];
        if !self.spaced {
            out.extend_from_slice(rest);
            return;
        }
        while let Some((first, more)) = rest.split_first() {
            let len = match first {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    rest = more;
                    continue;
                }
                b'"' => string_len(rest),
                _ => 1,
            };
            out.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
        }
    }
}

/// Bytes of the string at the beginning.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at.min(text.len())..]) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The fields that are not like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Kind,
    Version,
    Name,
    Value,
    /// A value by another name.
    OtherValue,
    StringData,
    Annotations,
    /// Certificates of authorities, which are public; triage reads their dates.
    Public,
    Managed,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        // By length first, because nearly all names are others.
        match (name.len(), name) {
            (3, "key" | "Key") | (4, "name" | "Name") => Self::Name,
            (3, "val") | (5, "Value") => Self::OtherValue,
            (4, "kind") => Self::Kind,
            (5, "value") => Self::Value,
            (6, "ca.crt") | (8, "caBundle") => Self::Public,
            (10, "apiVersion") => Self::Version,
            (10, "stringData") => Self::StringData,
            (11, "annotations") => Self::Annotations,
            (13, MANAGED_FIELDS) => Self::Managed,
            _ => Self::Other,
        }
    }
}

/// What the members of an object say about it.
#[derive(Default)]
struct Members<'a> {
    has_kind: bool,
    has_version: bool,
    /// Whether the sanitiser has to see the object, for its kind or because something is not sure here.
    matters: bool,
    /// Whether there is a `value`, one with escapes, and one by another name.
    value: bool,
    escaped: bool,
    other: bool,
    /// Names beside the value.
    names: [&'a str; MAX_NAMES],
    count: usize,
    /// A name that cannot be told here.
    unsure: bool,
}

impl<'a> Members<'a> {
    fn name(&mut self, name: Raw<'a>) {
        match self.names.get_mut(self.count) {
            Some(free) if !name.escaped && !name.text.starts_with('{') => *free = name.text,
            _ => self.unsure = true,
        }
        self.count += 1;
    }

    /// Whether a name may make the value secret. Names are many and each is another one, so they are classified only here.
    fn is_telling(&self) -> bool {
        (self.value || self.other) && (self.unsure || self.names.iter().take(self.count).any(|name| is_secret(name)))
    }
}

struct Passer<'a> {
    parser: Parser<'a>,
    parts: Vec<Part>,
    walk: bool,
}

impl<'a> Passer<'a> {
    fn part(&mut self, from: usize, action: Action) {
        // Nothing that was found inside of it counts.
        while self.parts.last().is_some_and(|p| p.from >= from) {
            self.parts.pop();
        }
        self.parts.push(Part { from, to: self.parser.at, action });
    }

    /// Passes over any value.
    fn value(&mut self, depth: usize, view: View) -> Result<(), String> {
        match self.parser.begin(depth)? {
            b'{' => self.object(depth, view, &mut Members::default()),
            b'[' => self.list(depth, view),
            b'"' => self.string().map(drop),
            _ => self.parser.literal().map(drop),
        }
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Raw<'a>, String> {
        let from = self.parser.at;
        let raw = self.parser.raw()?;
        if raw.foreign {
            self.parser.unescaped(from)?;
            self.part(from, Action::Rewrite);
        }
        Ok(raw)
    }

    fn object(&mut self, depth: usize, view: View, members: &mut Members<'a>) -> Result<(), String> {
        let (from, walk) = (self.parser.at, self.walk);
        self.parser.at += 1;
        // Where the last member has ended that stays. One that does not stay goes with the comma in front of it, or
        // behind it where there is none.
        let mut stayed = None;
        let mut first = true;
        while self.parser.key_follows(first)? {
            first = false;
            let start = self.parser.at;
            let key = self.string()?;
            let field = Field::of(key.text);
            let managed = field == Field::Managed || key.foreign && self.parser.unescaped(start)? == MANAGED_FIELDS;
            self.parser.colon()?;
            if managed {
                self.parser.skip(depth + 1)?;
            } else {
                self.member(depth + 1, view, (key, field), members)?;
                stayed = Some(self.parser.at);
            }
            let end = self.parser.at;
            let goes_on = self.parser.goes_on(b'}', "an object is not closed")?;
            if managed {
                self.part(stayed.unwrap_or(start), Action::Drop);
                if let Some(part) = self.parts.last_mut().filter(|_| stayed.is_some() || !goes_on) {
                    part.to = end;
                }
            }
            if !goes_on {
                break;
            }
        }
        self.parser.at += 1;
        let telling = members.is_telling();
        let action = if view == View::Annotations { Action::Annotations } else { Action::Sanitise };
        if view != View::Public && (members.matters || members.value && (telling || members.escaped)) {
            self.part(from, action);
            // The tree tells.
            self.walk = walk;
        } else {
            self.walk |= telling;
        }
        Ok(())
    }

    /// The value of a member.
    fn member(
        &mut self,
        depth: usize,
        view: View,
        (key, field): (Raw<'a>, Field),
        members: &mut Members<'a>,
    ) -> Result<(), String> {
        // In other escapes it may be any name.
        members.matters |= key.foreign;
        members.has_kind |= field == Field::Kind;
        members.has_version |= field == Field::Version;
        members.value |= field == Field::Value;
        members.other |= field == Field::OtherValue;
        self.walk |= key.escaped || key.text.len() > MAX_KEY || field == Field::StringData;
        match self.parser.begin(depth)? {
            b'"' => {
                let from = self.parser.at;
                let value = self.string()?;
                self.text(view, (key, field), value, members);
                if view == View::Fields && (value.text.starts_with('{') || value.text.starts_with("\\u007")) {
                    self.part(from, Action::Embedded);
                }
                Ok(())
            }
            b'{' | b'[' => {
                self.walk = self.walk || self.parser.peek() == Some(b'[') && is_secret(key.text);
                self.walk |= key.text.ends_with(APPLIED);
                let view = match (view, field) {
                    (View::Fields, Field::Annotations) => View::Annotations,
                    (View::Fields, Field::Public) | (View::Annotations, _) => View::Public,
                    _ => view,
                };
                self.value(depth, view)
            }
            _ => {
                let literal = self.parser.literal()?;
                self.walk = self.walk || may_be_number(literal) && is_secret(key.text);
                Ok(())
            }
        }
    }

    fn text(&mut self, view: View, (key, field): (Raw<'a>, Field), value: Raw<'a>, members: &mut Members<'a>) {
        match field {
            Field::Kind => {
                members.matters |= value.foreign || is_typed(value.text);
                self.walk |= value.foreign || value.text == "Secret";
            }
            Field::Value => members.escaped |= value.escaped,
            Field::Name => members.name(value),
            _ => {}
        }
        if view == View::Annotations {
            members.matters |= annotation_matters(key, value);
        }
        self.walk = self.walk || !value.text.is_empty() && (is_secret(key.text) || key.text.ends_with(APPLIED));
    }

    fn list(&mut self, depth: usize, view: View) -> Result<(), String> {
        let (from, walk) = (self.parser.at, self.walk);
        // Annotations are an object.
        let view = if view == View::Annotations { View::Public } else { view };
        self.parser.at += 1;
        let (mut first, mut matters) = (true, false);
        loop {
            self.parser.blank();
            if first && self.parser.peek() == Some(b']') {
                break;
            }
            if self.parser.begin(depth + 1)? == b'"' {
                let item = self.string()?;
                matters |= argument_matters(item, first);
            } else {
                self.value(depth + 1, view)?;
            }
            first = false;
            if !self.parser.goes_on(b']', "a list is not closed")? {
                break;
            }
        }
        self.parser.at += 1;
        if matters && view != View::Public {
            self.part(from, Action::Sanitise);
            self.walk = walk;
        }
        Ok(())
    }
}

/// Whether an annotation may be secret, or holds JSON.
fn annotation_matters(key: Raw<'_>, value: Raw<'_>) -> bool {
    let name = key.text.rsplit('/').next().unwrap_or(key.text);
    key.text != SECRET_DATA
        && (key.escaped
            || value.text.trim_start().starts_with(['{', '[', '\\'])
            || matches!(key.text, TOKEN_VALUE | LAST_APPLIED)
            || is_secret(name))
}

/// Whether an item of a list may be a script, or a flag with a secret behind it.
fn argument_matters(item: Raw<'_>, first: bool) -> bool {
    let flag = item.text.split_once('=').map(|(flag, _)| flag).or(item.text.starts_with('-').then_some(item.text));
    item.escaped
        || first && item.text.ends_with("redis-cli")
        || flag.is_some_and(|flag| is_secret(flag.trim_start_matches('-')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::{CorrelationKey, Redactor};

    /// The text without the opening brace that the caller writes, through a tree or through the pass; or why there is none.
    fn both(text: &str, sanitised: bool) -> [Result<String, String>; 2] {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        let sanitiser = || sanitised.then(|| Sanitiser::new(&redactor, "a"));
        let tree = |text: &str| {
            let mut node = Node::parse(text)?.node;
            if let Some(mut sanitiser) = sanitiser() {
                sanitiser.object(&mut node);
            }
            Ok(node.to_json())
        };
        let pass = || {
            let pass = Pass::over(text)?;
            if pass.whole {
                return tree(text);
            }
            let mut out = b"{".to_vec();
            pass.write(&redactor.inner().set, sanitiser().as_mut(), &mut out);
            Ok(String::from_utf8(out).unwrap())
        };
        [tree(text), pass()]
    }

    #[test]
    fn parts_that_go_take_their_commas_with_them() {
        for (text, want) in [
            (r#"{"managedFields":[{"a":"}"}]}"#, "{}"),
            (r#"{"managedFields":1,"a":2}"#, r#"{"a":2}"#),
            (r#" { "a" : 2 , "managedFields" : { } } "#, r#"{"a":2}"#),
            (
                r#"{"managedFields":1,"managedFields":1,"a":{"managedFields":0,"b":[ 1, "c d\\" ]}}"#,
                r#"{"a":{"b":[1,"c d\\"]}}"#,
            ),
            (r#"{"a":1,"managedFields":1,"m\u0061nagedFields":1,"b":"\u0041\/"}"#, r#"{"a":1,"b":"A/"}"#),
            (r#"{"a":1,"kind":"\u0053ecret","managedFields":1}"#, r#"{"a":1,"kind":"Secret"}"#),
        ] {
            let [tree, pass] = both(text, false);
            assert_eq!(pass.as_deref(), Ok(want), "{text}");
            assert_eq!(tree, pass);
        }
    }

    const PIECES: [&str; 48] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "1",
        "-0.5e3",
        "true",
        "null",
        "\"a\"",
        "\"kind\"",
        "\"Secret\"",
        "\"ConfigMap\"",
        "\"data\"",
        "\"stringData\"",
        "\"annotations\"",
        "\"managedFields\"",
        "\"name\"",
        "\"value\"",
        "\"DB_PASSWORD\"",
        "\"Hunter2x9\"",
        "\"caBundle\"",
        "\"ca.crt\"",
        "\"args\":[\"--password\",\"Hunter2x9\"]",
        "\"--token=Hunter2x9\"",
        "\"{\\\"password\\\":\\\"Hunter2x9\\\"}\"",
        "\" [1,2]\"",
        "\"\\u007b}\"",
        "\"\\u006bind\"",
        "\"a\\nb: c\"",
        "\"metadata\":{\"annotations\":{\"a\":\"{}\"}}",
        "\"password\"",
        "\"openshift.io/token-secret.value\"",
        "\"kubectl.kubernetes.io/last-applied-configuration\"",
        "\"TokenReview\"",
        "\"spec\":{\"token\":\"Hunter2x9\"}",
        "{\"name\":\"A_TOKEN\",\"value\":\"Hunter2x9\"}",
        "{\"name\":\"A\",\"value\":\"x\\ny\"}",
        "{\"val\":7,\"key\":\"pin\"}",
        "\"a\":{",
        "\"b\":[",
        "},",
        "],",
        "\"c\":",
        "\"redis-cli\",\"-a\",\"Hunter2x9\"",
    ];

    fn json() -> impl Strategy<Value = String> {
        let text = prop::sample::select(&PIECES[..])
            .prop_filter_map("a string", |p| serde_json::from_str::<String>(p).ok().map(|_| p.to_owned()));
        let leaf =
            prop_oneof![text.clone(), prop::sample::select(&["1", "true", "null", "-0.5"][..]).prop_map(str::to_owned)];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let member = (text.clone(), inner.clone(), prop::bool::ANY)
                .prop_map(|(key, value, spaced)| format!("{key}:{}{value}", if spaced { " " } else { "" }));
            prop_oneof![
                2 => prop::collection::vec(member, 0..5).prop_map(|m| format!("{{{}}}", m.join(","))),
                1 => prop::collection::vec(inner, 0..4).prop_map(|i| format!("[{}]", i.join(","))),
            ]
        })
    }

    proptest! {
        /// What the pass leaves to be copied is what a tree of all would give, and it refuses what a tree refuses.
        #[test]
        fn the_pass_gives_what_a_tree_gives(
            text in prop_oneof![
                json().prop_map(|inner| format!("{{\"x\":{inner}}}")),
                prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30).prop_map(|p| p.concat()),
                prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30).prop_map(|p| format!("{{{}}}", p.concat())),
            ],
        ) {
            for sanitised in [false, true] {
                let [tree, pass] = both(&text, sanitised);
                prop_assert_eq!(tree, pass);
            }
        }
    }
}
