//! What monitoring shows in clear and must not be kept: user names, query strings and headers in configurations, people.
//!
//! The servers hide passwords of their configuration, but not user names, values of `params` and `headers`, labels for
//! the outside, or tokens in the URLs of webhooks. These are removed by their place, whatever they look like.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use serde_saphyr::{Budget, Options};

use crate::collect::CollectError;

/// Stands where a value was.
const REMOVED: &str = "removed";
/// Keys whose text is removed.
const KEYS: [&str; 25] = [
    "api_key",
    "auth_identity",
    "auth_username",
    "bot_token",
    "channel",
    "chat_id",
    "client_id",
    "client_secret",
    "credentials",
    "from",
    "hello",
    "password",
    "room_id",
    "routing_key",
    "secret",
    "service_key",
    "smarthost",
    "smtp_auth_identity",
    "smtp_auth_username",
    "smtp_from",
    "smtp_smarthost",
    "to",
    "token",
    "user_key",
    "username",
];
/// Keys below which every text is removed.
const TREES: [&str; 7] =
    ["custom_fields", "details", "endpoint_params", "external_labels", "headers", "http_headers", "params"];

/// A configuration in YAML as JSON, without what must not be kept.
///
/// # Errors
/// When it is no YAML: then nothing of it can be kept.
pub(super) fn config(yaml: &str) -> Result<Value, CollectError> {
    let mut budget = Budget::default();
    budget.max_nodes = 200_000;
    budget.max_depth = 64;
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    let mut value: Value = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|_| CollectError::Failed("the configuration is no YAML, so nothing of it was kept".to_owned()))?;
    walk(&mut value, "", false);
    Ok(value)
}

fn walk(value: &mut Value, key: &str, webhook: bool) {
    match value {
        Value::String(text) => {
            if KEYS.contains(&key) || is_file_of_secret(key) {
                *text = REMOVED.to_owned();
            } else if webhook && text.contains("://") {
                *text = host_only(text);
            } else {
                *text = clean_urls(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, key, webhook)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let name = name.to_ascii_lowercase();
                if TREES.contains(&name.as_str()) {
                    blank(member);
                } else {
                    // URLs of receivers hold their token in the path.
                    let inside =
                        webhook || name.ends_with("_configs") && name != "scrape_configs" && name != "static_configs";
                    walk(member, &name, inside || name.ends_with("_api_url") || name == "api_url");
                }
            }
        }
        _ => {}
    }
}

/// Names of files say where a secret is, which helps; anything else beside `_file` is removed.
fn is_file_of_secret(key: &str) -> bool {
    !key.ends_with("_file") && (key.contains("password") || key.contains("secret") || key.ends_with("_key"))
}

fn blank(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(members) => members.values_mut().for_each(blank),
        Value::Null => {}
        other => *other = json!(REMOVED),
    }
}

fn host_only(text: &str) -> String {
    let clean = clean_urls(text);
    match clean.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}/{REMOVED}")
        }
        None => clean,
    }
}

/// Takes user, password and the values of the query out of every URL in a text; names of parameters stay.
pub(super) fn clean_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '\\'))
            .unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        let authority_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        let (authority, path) = url.split_at(authority_end);
        out.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        match path.split_once('?') {
            Some((path, query)) => {
                out.push_str(path);
                out.push('?');
                let names = query.split('&').filter_map(|p| p.split_once('=')).map(|(name, _)| name);
                out.push_str(&names.collect::<Vec<_>>().join("&"));
            }
            None => out.push_str(path),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Labels of metrics whose values are nobody's business: what images and their makers wrote, variables, serial numbers.
const LABELS: [&str; 12] = [
    "address",
    "asset_tag",
    "board_asset_tag",
    "board_serial",
    "broadcast",
    "chassis_asset_tag",
    "chassis_serial",
    "product_serial",
    "product_uuid",
    "serial",
    "serial_number",
    "system_uuid",
];
/// Labels of containers that say to which project and service they belong.
const COMPOSE: [&str; 2] = ["container_label_com_docker_compose_project", "container_label_com_docker_compose_service"];

/// Empties the values of labels of metrics that may hold credentials or tell one machine from all others.
fn clean_labels(lines: &[u8]) -> Cow<'_, [u8]> {
    const MARKS: [&[u8]; 6] = [b"container_label_", b"container_env_", b"serial", b"address=", b"uuid=", b"asset_tag"];
    if !MARKS.iter().any(|mark| memchr::memmem::find(lines, mark).is_some())
        && memchr::memmem::find(lines, b"broadcast=").is_none()
    {
        return Cow::Borrowed(lines);
    }
    let mut out = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|b| *b == b'\n') {
        match memchr::memchr(b'{', line).filter(|_| !line.starts_with(b"#")) {
            Some(open) => {
                out.extend_from_slice(&line[..=open]);
                labels(&line[open + 1..], &mut out);
            }
            None => out.extend_from_slice(line),
        }
    }
    Cow::Owned(out)
}

/// Copies `name="value",...} 1` without the values that must go.
fn labels(mut rest: &[u8], out: &mut Vec<u8>) {
    loop {
        let Some(equals) = rest.windows(2).position(|w| w == b"=\"").filter(|at| !rest[..*at].contains(&b'}')) else {
            out.extend_from_slice(rest);
            return;
        };
        let name = String::from_utf8_lossy(rest[..equals].trim_ascii()).trim_start_matches(['"', ',', ' ']).to_owned();
        out.extend_from_slice(&rest[..equals + 2]);
        rest = &rest[equals + 2..];
        let mut escaped = false;
        let end = rest
            .iter()
            .position(|b| {
                let ends = *b == b'"' && !escaped;
                escaped = *b == b'\\' && !escaped;
                ends
            })
            .unwrap_or(rest.len());
        let hidden = LABELS.contains(&name.as_str())
            || name.starts_with("container_env_")
            || name.starts_with("container_label_") && !COMPOSE.contains(&name.as_str());
        out.extend_from_slice(if hidden && end > 0 { REMOVED.as_bytes() } else { &rest[..end] });
        rest = &rest[end..];
    }
}

/// Cleans metrics: values of some labels, and the URLs in lines. Those of Prometheus have the address of each remote write as a label, with user and query.
pub(super) fn clean_lines(lines: &[u8]) -> Cow<'_, [u8]> {
    let lines = clean_labels(lines);
    if memchr::memmem::find(&lines, b"://").is_none() {
        return lines;
    }
    Cow::Owned(clean_urls(&String::from_utf8_lossy(&lines)).into_bytes())
}

/// Cleans the URLs of every text inside a document.
pub(super) fn clean_document(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("://") => *text = clean_urls(text),
        Value::Array(items) => items.iter_mut().for_each(clean_document),
        Value::Object(members) => members.values_mut().for_each(clean_document),
        _ => {}
    }
}

/// Names people by numbers, in the order in which they first appear in one document.
#[derive(Default)]
pub(super) struct People(BTreeMap<String, usize>);

impl People {
    pub(super) fn number(&mut self, person: &str) -> String {
        let next = self.0.len() + 1;
        format!("person-{}", *self.0.entry(person.to_owned()).or_insert(next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_prometheus_shows_in_clear_is_removed() {
        let yaml = "global:\n  external_labels: {tenant: planted-tenant}\nscrape_configs:\n- job_name: a\n  basic_auth: \
            {username: planted-user, password: <secret>}\n  params: {token: [planted-param]}\n  static_configs: \
            [{targets: ['node-1:8080']}]\nremote_write:\n- url: http://u:planted-pass@h:9/write?key=planted-query\n  \
            headers: {X-Key: planted-header}\n";
        let kept = config(yaml).unwrap();
        let text = kept.to_string();
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains("node-1:8080") && text.contains("http://h:9/write?key"), "{text}");
        assert!(config("a: [").is_err());
    }

    #[test]
    fn what_alertmanager_shows_in_clear_is_removed() {
        let yaml = "global: {smtp_smarthost: 'planted:25', smtp_auth_username: planted, slack_api_url: 'https://hooks.slack.com/services/planted'}\n\
            receivers:\n- name: ops\n  webhook_configs: [{url: 'http://u:planted@h/hook/planted?api-key=planted'}]\n  \
            email_configs: [{to: 'planted@example.com', from: planted}]\nroute: {receiver: ops}\n";
        let text = config(yaml).unwrap().to_string();
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains("http://h/removed") && text.contains(r#""receiver":"ops""#), "{text}");
    }

    #[test]
    fn urls_in_texts_lose_user_and_query() {
        for (text, want) in [
            ("Get \"http://u:p@h:1/m?a=1&b\": dial", "Get \"http://h:1/m?a\": dial"),
            ("x://a@b@c/d", "x://c/d"),
            ("://", "://"),
            ("no url", "no url"),
            ("a{url=\"http://u:xxxxx@h/w?key=v\"} 1\nb 2", "a{url=\"http://h/w?key\"} 1\nb 2"),
            ("http://a http://b?c=d", "http://a http://b?c"),
        ] {
            assert_eq!(clean_urls(text), want);
            assert_eq!(&*clean_lines(text.as_bytes()), want.as_bytes());
        }
    }

    #[test]
    fn labels_that_tell_too_much_are_emptied() {
        for (text, want) in [
            (
                "a{container_label_note=\"planted\",container_label_com_docker_compose_service=\"node-1\",name=\"n\"} 1\n",
                "a{container_label_note=\"removed\",container_label_com_docker_compose_service=\"node-1\",name=\"n\"} 1\n",
            ),
            ("d{product_serial=\"pl\\\"an}ted\", x=\"y\"} 1\nb 2", "d{product_serial=\"removed\", x=\"y\"} 1\nb 2"),
            ("n{address=\"\",device=\"lo\"} 1", "n{address=\"\",device=\"lo\"} 1"),
            ("# HELP address={x}\nplain_address 1\n", "# HELP address={x}\nplain_address 1\n"),
            ("a{container_env_k=\"planted", "a{container_env_k=\"removed"),
        ] {
            assert_eq!(String::from_utf8_lossy(&clean_lines(text.as_bytes())), want);
        }
    }

    #[test]
    fn the_same_person_has_the_same_number() {
        let mut people = People::default();
        assert_eq!([people.number("a"), people.number("b"), people.number("a")], ["person-1", "person-2", "person-1"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a:/?@&= \"é]{0,60}") {
            let _ = clean_urls(&text);
            let _ = clean_lines(format!("container_env_{{a=\"{text}").as_bytes());
            let _ = config(&text);
        }
    }
}
