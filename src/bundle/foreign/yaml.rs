//! YAML as Kubernetes tools write it: one object, or a list whose items are cut apart without decoding the list.

use std::io::{self, BufRead, Read};

use serde_json::Value;
use serde_saphyr::{Budget, Options};

/// Bytes of one object; etcd keeps objects of 1.5 MiB, and indentation makes them larger.
pub(super) const OBJECT_MAX: usize = 8 << 20;
/// Values in one object.
const NODES_MAX: usize = 1 << 20;
/// Levels of nesting; the schemas of large custom resources have about 40.
const DEPTH_MAX: usize = 64;
/// Text of an error of the decoder.
const REASON_MAX: usize = 200;

/// Decodes one object: JSON, or YAML without anchors, which no tool writes for Kubernetes.
///
/// # Errors
/// Why it cannot be decoded.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    // Some archives pad files with a NUL.
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    let bytes = &bytes[..end];
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| format!("it is not UTF-8 at byte {}", e.valid_up_to()))?;
    let mut budget = Budget::default();
    budget.max_nodes = NODES_MAX;
    budget.max_events = 3 * NODES_MAX;
    budget.max_depth = DEPTH_MAX;
    budget.flow_nesting_limit = DEPTH_MAX;
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    // Writers for Go quote `yes`, those for YAML 1.2 do not.
    options.strict_booleans = true;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let reason = e.to_string();
        reason.lines().next().unwrap_or_default().chars().take(REASON_MAX).collect()
    })
}

/// Whether a document is JSON, by its first character.
///
/// # Errors
/// What reading meets.
pub(super) fn is_json(reader: &mut impl BufRead) -> io::Result<bool> {
    let bytes = reader.fill_buf()?;
    Ok(bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{'))
}

/// The texts of the items of a list in block style, each as a document of its own.
pub(super) struct Items<R> {
    reader: R,
    line: Vec<u8>,
    /// Whether `line` was read and not used yet.
    kept: bool,
    /// Columns before the dash of each item.
    indent: Option<usize>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    /// Before the line `items:`.
    Before,
    Inside,
    Over,
}

impl<R: BufRead> Items<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), kept: false, indent: None, state: State::Before }
    }

    /// Reads a line, unless the last one was put back; false at the end.
    fn read_line(&mut self) -> Result<bool, String> {
        if std::mem::take(&mut self.kept) {
            return Ok(true);
        }
        self.line.clear();
        let limit = OBJECT_MAX as u64;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line).map_err(|e| e.to_string())?;
        if read as u64 == limit && self.line.last() != Some(&b'\n') {
            return Err("a line of it is too long".to_owned());
        }
        Ok(read > 0)
    }

    /// Goes to the first item.
    fn find(&mut self) -> Result<(), String> {
        let mut content = false;
        while self.read_line()? {
            let line = self.line.trim_ascii_end();
            if line == b"items:" {
                self.state = State::Inside;
                return Ok(());
            }
            if matches!(line, b"items: []" | b"items: null" | b"items: {}") {
                self.state = State::Over;
                return Ok(());
            }
            content |= !matches!(line, b"" | b"---") && !line.starts_with(b"#");
        }
        self.state = State::Over;
        // The tools write nothing where there is nothing.
        if content { Err("it is not a list of objects".to_owned()) } else { Ok(()) }
    }

    fn item(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut item: Option<Vec<u8>> = None;
        let mut oversized = false;
        while self.read_line()? {
            let columns = self.line.iter().take_while(|b| **b == b' ').count();
            let rest = &self.line[columns..];
            let blank = rest.trim_ascii().is_empty() || rest == [0];
            let dash = rest.first() == Some(&b'-') && rest.get(1).is_none_or(|b| matches!(b, b' ' | b'\n' | b'\r'));
            if !blank && dash && self.indent.is_none_or(|indent| indent == columns) {
                if item.is_some() {
                    self.kept = true;
                    break;
                }
                self.indent = Some(columns);
                self.line[columns] = b' ';
            } else if !blank && self.indent.is_none_or(|indent| columns <= indent) {
                self.state = State::Over;
                break;
            }
            // Without its dash, an item is a document that is indented by two columns.
            let item = item.get_or_insert_with(Vec::new);
            if item.len() + self.line.len() > OBJECT_MAX {
                oversized = true;
                item.clear();
            }
            if !oversized {
                item.extend_from_slice(&self.line);
            }
        }
        if oversized {
            return Err(format!("it is larger than {OBJECT_MAX} bytes"));
        }
        Ok(item.filter(|text| !text.trim_ascii().is_empty()))
    }
}

impl<R: BufRead> Iterator for Items<R> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = match self.state {
            State::Over => return None,
            State::Before => {
                self.find().and_then(|()| if self.state == State::Inside { self.item() } else { Ok(None) })
            }
            State::Inside => self.item(),
        };
        match result {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                self.state = State::Over;
                None
            }
            Err(reason) => {
                // A reader that failed, or a line without end, does not get better. An item that is too large does.
                if !reason.starts_with("it is larger") {
                    self.state = State::Over;
                }
                Some(Err(reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn items(text: &str) -> Vec<Result<Value, String>> {
        Items::new(text.as_bytes()).map(|item| item.and_then(|text| decode(&text))).collect()
    }

    #[test]
    fn lists_are_cut_into_their_items() {
        let text = "---\napiVersion: v1\nitems:\n- a: |\n    - not an item\n\n    items:\n  b:\n  - 1\n  - 2\n- a: \"x\"\nkind: PodList\nmetadata:\n  name: x\n";
        let want = [json!({"a": "- not an item\n\nitems:\n", "b": [1, 2]}), json!({"a": "x"})];
        assert_eq!(items(text), want.clone().map(Ok));
        let indented = "kind: List\nitems:\n  - a: |\n      - not an item\n\n      items:\n    b:\n      - 1\n      - 2\n  - a: x\n";
        assert_eq!(items(indented), want.map(Ok));
        for empty in
            ["", "---\n", "items: []\nkind: PodList\n", "items:\nkind: PodList\n", "kind: PodList\nitems: null\n"]
        {
            assert!(items(empty).is_empty(), "{empty:?}");
        }
        assert!(items("just text\n")[0].is_err());
    }

    #[test]
    fn a_broken_item_costs_itself() {
        let found = items("items:\n- a: 1\n- b: [\n- c: 3\n");
        assert_eq!(found.len(), 3);
        assert_eq!((&found[0], &found[2]), (&Ok(json!({"a": 1})), &Ok(json!({"c": 3}))));
        assert!(found[1].is_err());
        let large = format!("items:\n- a: 1\n- b:\n{}- c: 3\n", "  - xxxxxxxxxxxxxxxx\n".repeat(OBJECT_MAX / 20 + 1));
        let found = items(&large);
        assert_eq!(found.len(), 3);
        assert!(found[1].as_ref().is_err_and(|e| e.contains("larger")) && found[2].is_ok());
    }

    #[test]
    fn values_keep_their_types() {
        let text =
            "a: \"yes\"\nb: yes\nc: true\nd: 1\ne: \"1\"\nf: 1.5\ng: null\nh: '2026-11-21T06:32:42Z'\ni: {}\nj: []\n\0";
        let want = json!({"a": "yes", "b": "yes", "c": true, "d": 1, "e": "1", "f": 1.5, "g": null,
            "h": "2026-11-21T06:32:42Z", "i": {}, "j": []});
        assert_eq!(decode(text.as_bytes()), Ok(want));
        assert_eq!(decode(b"{\"a\": 1}\0"), Ok(json!({"a": 1})));
    }

    #[test]
    fn bombs_are_refused() {
        assert!(decode(b"a: &a [x, x]\nb: [*a, *a]\n").is_err());
        assert!(decode(format!("a: {}", "[".repeat(10_000)).as_bytes()).is_err());
        for depth in [DEPTH_MAX / 2, 2_000] {
            let deep: String = (0..depth).map(|n| format!("{}- \n", " ".repeat(n))).collect();
            assert_eq!(decode(deep.as_bytes()).is_err(), depth > DEPTH_MAX);
            let deep: String = (0..depth).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
            assert_eq!(decode(deep.as_bytes()).is_err(), depth > DEPTH_MAX);
        }
        assert!(decode(b"\xff\xfe").is_err());
        assert!(decode(b"a: 1\n---\nb: 2\n").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let n = Items::new(bytes.as_slice()).count();
            prop_assert!(n <= bytes.len() + 1);
        }

        #[test]
        fn any_lines_end(text in "(items:\n)?([ ]{0,3}[-a:#\"|]{0,3} ?[a-c]{0,3}:?\n){0,12}") {
            let n = Items::new(text.as_bytes()).count();
            prop_assert!(n <= text.lines().count() + 1);
        }
    }
}
