//! Printer columns as text, as `kubectl get -o wide` shows them.

use serde::Deserialize;
use serde_json::Value;

use crate::collect::{Artifact, CollectError, Keep, Sink};
use crate::redact::Format;

/// Rows are held back for their widths up to this many bytes; what follows is written with the widths so far.
const HELD_MAX: usize = 4 << 20;
/// Blanks between columns.
const GAP: usize = 3;
/// Longest cell.
const CELL_MAX: usize = 1000;

/// One column of a `Table`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
}

/// A text file of aligned columns.
pub(super) struct TableFile {
    path: String,
    file: Option<Artifact>,
    columns: Vec<String>,
    widths: Vec<usize>,
    held: Vec<Vec<String>>,
    held_bytes: usize,
}

impl TableFile {
    /// A table that is written to `path` if it gets a row.
    pub(super) fn new(path: String) -> Self {
        Self { path, file: None, columns: Vec::new(), widths: Vec::new(), held: Vec::new(), held_bytes: 0 }
    }

    /// Sets the columns. Later pages repeat them; the first ones stay.
    pub(super) fn columns<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        if self.columns.is_empty() {
            self.columns = names.map(|n| one_line(n).to_uppercase()).collect();
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, sink: &Sink, cells: Vec<String>) -> Result<(), CollectError> {
        if self.file.is_some() {
            let line = self.line(&cells);
            return self.write(line.as_bytes());
        }
        self.held_bytes += cells.iter().map(String::len).sum::<usize>() + 24 * cells.len();
        self.held.push(cells);
        if self.held_bytes > HELD_MAX && !self.columns.is_empty() {
            self.release(sink)?;
        }
        Ok(())
    }

    /// Writes what was held back and ends the file.
    pub(super) fn finish(mut self, sink: &Sink) -> Result<(), CollectError> {
        if self.file.is_none() && !self.held.is_empty() && !self.columns.is_empty() {
            self.release(sink)?;
        }
        match self.file.take() {
            Some(file) => file.finish(None),
            None => Ok(()),
        }
    }

    fn release(&mut self, sink: &Sink) -> Result<(), CollectError> {
        self.widths = self.columns.iter().map(|c| c.chars().count()).collect();
        for cells in &self.held {
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.file = Some(sink.create(&self.path, Format::Text, Keep::All)?);
        let head = self.line(&self.columns);
        self.write(head.as_bytes())?;
        for cells in std::mem::take(&mut self.held) {
            let line = self.line(&cells);
            self.write(line.as_bytes())?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CollectError> {
        self.file.as_mut().map_or(Ok(()), |file| file.write(bytes))
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            if at + 1 < cells.len() {
                let width = self.widths.get(at).copied().unwrap_or_default() + GAP;
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()).max(1)));
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// The text of a cell: one line, without control characters.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    let first = text.split(['\n', '\r']).next().unwrap_or_default();
    let mut out: String = first.chars().take(CELL_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if first.len() < text.len() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_cells_stay_on_their_line() {
        let mut table = TableFile::new("x".to_owned());
        table.columns(["Name", "Ready", "Age"].into_iter());
        table.widths = vec![6, 5, 3];
        let cells = ["core-0", "1/1", "3m"].map(str::to_owned);
        assert_eq!(table.line(&table.columns), "NAME     READY   AGE\n");
        assert_eq!(table.line(&cells), "core-0   1/1     3m\n");
        assert_eq!(cell(&Value::from("a\nb")), "a...");
        assert_eq!(cell(&Value::from("a\u{1b}[31m")), "a [31m");
        assert_eq!(cell(&Value::from(14)), "14");
    }
}
