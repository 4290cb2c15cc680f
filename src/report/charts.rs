//! What pods and nodes use, beside what they ask for and may use: one lane each, drawn as inline SVG.

use std::cmp::Reverse;

use minijinja::{Value, context};

use super::view::View;
use crate::model::size::human as bytes;
use crate::triage::{NodeRow, PodRow, Severity, Use};

/// Lanes of one chart.
const LANES: usize = 12;
/// Width of a drawing, in its own units.
const WIDTH: f64 = 1000.0;
/// Share of the limit from which a bar is drawn as high.
const HIGH: f64 = 0.9;

/// The charts; none when nothing was measured.
pub(super) fn charts(view: &View<'_>) -> Vec<Value> {
    [nodes(&view.triage.nodes), pods(&view.triage.pods)].into_iter().flatten().collect()
}

fn nodes(all: &[NodeRow]) -> Option<Value> {
    let mut rows: Vec<&NodeRow> = all.iter().filter(|n| n.memory.used.is_some() || n.cpu.used.is_some()).collect();
    rows.sort_by_key(|n| (Reverse(n.severity), Reverse(worst(&[n.memory, n.cpu])), n.name.clone()));
    let lanes: Vec<Value> = rows
        .iter()
        .take(LANES)
        .map(|n| {
            let state = match (n.ready, n.cordoned) {
                (false, _) => "not ready, ",
                (true, true) => "cordoned, ",
                (true, false) => "",
            };
            let note = format!("{state}{}", crate::triage::text::count(n.pods, "pod"));
            lane(&n.name, &note, n.severity, &n.memory, &n.cpu)
        })
        .collect();
    chart("Nodes", "Of what the node has to give; the mark is what its pods in this bundle ask for.", all.len(), lanes)
}

fn pods(all: &[PodRow]) -> Option<Value> {
    let both = |p: &PodRow| {
        let memory = Use { used: p.memory, request: p.memory_request, limit: p.memory_limit };
        (memory, Use { used: p.cpu, request: p.cpu_request, limit: p.cpu_limit })
    };
    let mut rows: Vec<(&PodRow, Use, Use)> =
        all.iter().map(|p| (p, both(p))).map(|(p, (memory, cpu))| (p, memory, cpu)).collect();
    rows.retain(|(p, memory, cpu)| !p.over && (memory.used.is_some() || cpu.used.is_some()));
    rows.sort_by_key(|(p, memory, cpu)| (Reverse(worst(&[*memory, *cpu])), Reverse(p.memory), p.name.clone()));
    let measured = rows.len();
    let many = all.iter().any(|p| p.namespace != all[0].namespace);
    let lanes: Vec<Value> = rows
        .iter()
        .take(LANES)
        .map(|(p, memory, cpu)| lane(&p.name, if many { &p.namespace } else { "" }, p.severity, memory, cpu))
        .collect();
    chart("Pods", "Of their limits, nearest to a limit first; the mark is the request.", measured, lanes)
}

fn chart(title: &str, note: &str, all: usize, lanes: Vec<Value>) -> Option<Value> {
    let hidden = all.saturating_sub(lanes.len());
    (!lanes.is_empty()).then(|| context! { title => title, note => note, hidden => hidden, lanes => lanes })
}

/// The larger share of a limit that is used, in thousandths.
fn worst(all: &[Use]) -> u64 {
    let share = |u: &Use| u.used?.saturating_mul(1000).checked_div(u.limit?);
    all.iter().filter_map(share).max().unwrap_or_default()
}

fn lane(name: &str, note: &str, severity: Option<Severity>, memory: &Use, cpu: &Use) -> Value {
    let tone = severity.filter(|s| *s > Severity::Info).map_or_else(String::new, |s| s.to_string());
    context! {
        name => name,
        note => note,
        tone => tone,
        meters => vec![meter("memory", memory, bytes), meter("CPU", cpu, cores)],
    }
}

/// One bar. Its full length is the limit; without one, the larger of what is used and asked for.
#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn meter(what: &str, of: &Use, show: fn(u64) -> String) -> Value {
    let full = of.limit.or(of.request.max(of.used)).filter(|f| *f > 0);
    let at = |n: u64| full.map_or(0.0, |f| (n as f64 / f as f64).min(1.0) * WIDTH);
    let share = of.used.zip(of.limit).filter(|(_, limit)| *limit > 0).map(|(used, limit)| used as f64 / limit as f64);
    let used = of.used.map_or_else(|| "not measured".to_owned(), show);
    let of_limit = match (of.limit, share) {
        (Some(limit), Some(share)) => format!(" of {} ({:.0} %)", show(limit), share * 100.0),
        (Some(limit), None) => format!(" of {}", show(limit)),
        (None, _) => ", no limit".to_owned(),
    };
    let asked = of.request.filter(|r| *r > 0).map_or_else(String::new, |r| format!(", asked {}", show(r)));
    context! {
        what => what,
        fill => format!("{:.0}", of.used.map_or(0.0, at)),
        ask => of.request.filter(|r| *r > 0).map_or_else(String::new, |r| format!("{:.0}", at(r))),
        class => if share.is_some_and(|s| s >= HIGH) { "high" } else { "use" },
        text => format!("{used}{of_limit}{asked}"),
    }
}

/// Thousandths of a CPU as people write them: `250m`, `1.5`.
#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn cores(milli: u64) -> String {
    if milli < 1000 { format!("{milli}m") } else { format!("{:.1}", milli as f64 / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_of_their_track() {
        for (used, request, limit, fill, ask) in [
            (Some(50), Some(20), Some(100), "500", "200"),
            (Some(300), Some(200), Some(100), "1000", "1000"),
            (Some(50), None, None, "1000", ""),
            (None, None, None, "0", ""),
            (Some(1), Some(1), Some(0), "0", "0"),
        ] {
            let drawn = meter("memory", &Use { used, request, limit }, bytes);
            let get = |key: &str| drawn.get_attr(key).unwrap().to_string();
            assert_eq!((get("fill").as_str(), get("ask").as_str()), (fill, ask), "{used:?} {request:?} {limit:?}");
        }
        assert_eq!((cores(250), cores(1500)), ("250m".to_owned(), "1.5".to_owned()));
    }
}
