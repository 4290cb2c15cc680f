//! Progress of a run: bars on a terminal, lines elsewhere, JSON for programs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, Progress};
use super::traces;
use crate::model::size;
use crate::model::{Event, LedgerEntry, Outcome};

/// Most items that get a line of their own at the same time; a terminal has few lines.
const LINES_MAX: usize = 10;

/// Draws the events of a run.
pub(super) enum Reporter {
    /// Bars that redraw themselves.
    Bars(Box<Bars>),
    /// One line for each item that ended other than `ok` or `empty`, and a line now and then.
    Lines(Lines),
    /// One JSON object an event.
    Json,
    /// Nothing.
    None,
}

impl Reporter {
    /// The reporter that the output settings ask for.
    pub(super) fn new(output: &Output) -> Self {
        match output.progress {
            Progress::Bars => Self::Bars(Box::new(Bars::new(ProgressDrawTarget::stderr_with_hz(10)))),
            Progress::Lines => Self::Lines(Lines::default()),
            Progress::Json => Self::Json,
            Progress::None => Self::None,
        }
    }

    /// Draws one event.
    pub(super) fn event(&mut self, event: &Event) {
        match self {
            Self::Bars(bars) => bars.event(event),
            Self::Lines(lines) => {
                if let Some(line) = lines.event(event) {
                    // What the client sent is known from the beginning.
                    eprintln!("{}", traces::clean(&line));
                }
            }
            Self::Json => {
                if let Ok(line) = serde_json::to_string(event) {
                    eprintln!("{}", traces::clean(&line));
                }
            }
            Self::None => {}
        }
    }

    /// Ends the drawing.
    pub(super) fn finish(self) {
        if let Self::Bars(bars) = self {
            bars.total.finish_and_clear();
            let _ = bars.multi.clear();
        }
    }
}

/// A total bar, and a line for each active item.
pub(super) struct Bars {
    multi: MultiProgress,
    total: ProgressBar,
    active: HashMap<String, (ProgressBar, u64)>,
    bytes: u64,
    lost: u64,
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let total = multi.add(ProgressBar::new(0));
        if let Ok(style) =
            ProgressStyle::with_template("{bar:28.cyan/blue} {pos}/{len} items  {msg}  {elapsed_precise} elapsed")
        {
            total.set_style(style.progress_chars("━━─"));
        }
        total.enable_steady_tick(Duration::from_millis(200));
        Self { multi, total, active: HashMap::new(), bytes: 0, lost: 0 }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Planned { items } => self.total.inc_length(*items as u64),
            Event::Started { item } => {
                if self.active.len() < LINES_MAX {
                    let bar = self.multi.add(ProgressBar::new_spinner());
                    if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix:.dim} {msg}") {
                        bar.set_style(style);
                    }
                    bar.set_prefix(item.to_string());
                    self.active.insert(item.to_string(), (bar, 0));
                }
            }
            Event::Progress { item, bytes } => {
                self.bytes += bytes;
                if let Some((bar, seen)) = self.active.get_mut(item.as_str()) {
                    *seen += bytes;
                    bar.set_message(size::human(*seen));
                    bar.tick();
                }
                self.message();
            }
            Event::Finished { entry } => {
                if let Some((bar, seen)) = self.active.remove(entry.item.as_str()) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                    self.bytes += entry.bytes.saturating_sub(seen);
                } else {
                    self.bytes += entry.bytes;
                }
                self.lost += u64::from(!entry.outcome.is_complete());
                self.total.inc(1);
                self.message();
            }
            Event::Notice { text } => {
                let _ = self.multi.println(traces::clean(text));
            }
            Event::Packing { artifacts } => self.total.set_message(format!("packing {artifacts} files")),
        }
    }

    fn message(&self) {
        let lost = if self.lost > 0 { format!("  {} not readable", self.lost) } else { String::new() };
        self.total.set_message(format!("{}{lost}", size::human(self.bytes)));
    }
}

/// Plain lines, few enough for a CI log.
#[derive(Default)]
pub(super) struct Lines {
    planned: usize,
    ended: usize,
    bytes: u64,
    last: Option<Instant>,
}

impl Lines {
    /// Time between two lines that only count.
    const STEP: Duration = Duration::from_secs(5);

    fn event(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Planned { items } => {
                self.planned += items;
                None
            }
            Event::Finished { entry } => {
                self.ended += 1;
                self.bytes += entry.bytes;
                match entry.outcome {
                    Outcome::Ok | Outcome::Empty | Outcome::NotApplicable => self.count(),
                    _ => Some(outcome_line(entry)),
                }
            }
            Event::Notice { text } => Some(text.clone()),
            Event::Packing { artifacts } => {
                Some(format!("collected {} items, {}; packing {artifacts} files", self.ended, size::human(self.bytes)))
            }
            Event::Started { .. } | Event::Progress { .. } => None,
        }
    }

    fn count(&mut self) -> Option<String> {
        let due = self.last.is_none_or(|last| last.elapsed() >= Self::STEP);
        due.then(|| {
            self.last = Some(Instant::now());
            format!("{}/{} items, {}", self.ended, self.planned, size::human(self.bytes))
        })
    }
}

fn outcome_line(entry: &LedgerEntry) -> String {
    match &entry.reason {
        Some(reason) => format!("{}: {}: {reason}", entry.item, entry.outcome),
        None => format!("{}: {}", entry.item, entry.outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ItemId;

    fn finished(item: &str, outcome: Outcome) -> Event {
        Event::Finished {
            entry: LedgerEntry {
                item: ItemId::new(item),
                collector: "test".to_owned(),
                outcome,
                reason: Some("why".to_owned()),
                started: None,
                duration_ms: 1,
                attempts: 1,
                bytes: 2048,
                artifacts: Vec::new(),
            },
        }
    }

    #[test]
    fn lines_name_what_could_not_be_read_and_count_the_rest_now_and_then() {
        let mut lines = Lines::default();
        assert_eq!(lines.event(&Event::Planned { items: 3 }), None);
        assert_eq!(lines.event(&finished("a", Outcome::Ok)).as_deref(), Some("1/3 items, 2 KiB"));
        assert_eq!(lines.event(&finished("b", Outcome::Ok)), None);
        assert_eq!(lines.event(&finished("c", Outcome::Forbidden)).as_deref(), Some("c: forbidden: why"));
    }

    #[test]
    fn bars_follow_any_order_of_events() {
        let mut bars = Bars::new(ProgressDrawTarget::hidden());
        for event in [
            finished("never-started", Outcome::Cancelled),
            Event::Planned { items: 1 },
            Event::Started { item: ItemId::new("a") },
            Event::Progress { item: ItemId::new("a"), bytes: 2048 },
            finished("a", Outcome::Ok),
            Event::Packing { artifacts: 1 },
        ] {
            bars.event(&event);
        }
        assert_eq!(bars.total.position(), 2);
        assert_eq!(bars.bytes, 4096);
        assert!(bars.active.is_empty());
    }
}
