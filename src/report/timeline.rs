//! The timeline as inline SVG: one lane a subject, one mark a moment.

use std::collections::BTreeMap;

use crate::model::time::{Timestamp, rfc3339};
use crate::triage::{Moment, Severity};

/// Lanes that are drawn: the subjects with the worst and most moments.
const LANES: usize = 12;
/// Marks of one lane that are drawn, by place: more would cover each other.
const SLOTS: usize = 240;
const WIDTH: f64 = 960.0;
const LABEL: f64 = 250.0;
const LANE: f64 = 26.0;
const HEAD: f64 = 30.0;

/// Draws the timeline; none when nothing has a time. Everything inside is escaped.
#[expect(clippy::cast_precision_loss, reason = "a drawing")]
pub(super) fn svg(moments: &[Moment]) -> Option<String> {
    let (first, last) = (moments.first()?.at, moments.last()?.at);
    let start = window_start(moments, first, last);
    let span = (last - start).num_milliseconds().max(1) as f64;
    let mut lanes: BTreeMap<&str, (Severity, usize, Vec<&Moment>)> = BTreeMap::new();
    for moment in moments.iter().filter(|m| m.at >= start) {
        let lane = lanes.entry(moment.subject.as_str()).or_insert((Severity::Info, 0, Vec::new()));
        lane.0 = lane.0.max(moment.severity);
        lane.1 += 1;
        lane.2.push(moment);
    }
    let mut order: Vec<_> = lanes.into_iter().collect();
    order.sort_by(|(a, x), (b, y)| y.0.cmp(&x.0).then(y.1.cmp(&x.1)).then(a.cmp(b)));
    order.truncate(LANES);
    let height = HEAD + LANE * order.len() as f64 + 8.0;
    let x = |at: Timestamp| LABEL + (at - start).num_milliseconds() as f64 / span * (WIDTH - LABEL - 16.0);
    let mut out = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"Timeline from {} to {}\">",
        rfc3339(start),
        rfc3339(last)
    );
    for i in 0..=4 {
        let at = start + (last - start) * i / 4;
        let anchor = match i {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{0:.1}\" y1=\"{1}\" x2=\"{0:.1}\" y2=\"{height:.0}\"/><text class=\"tick\" x=\"{0:.1}\" y=\"16\" text-anchor=\"{anchor}\">{2}</text>",
            x(at), HEAD - 8.0, tick(at, last - start)
        ));
    }
    for (row, (subject, (_, _, marks))) in order.iter().enumerate() {
        let y = HEAD + LANE * row as f64 + LANE / 2.0;
        out.push_str(&format!(
            "<text class=\"lane\" x=\"4\" y=\"{:.1}\">{}<title>{}</title></text><line class=\"row\" x1=\"{LABEL}\" y1=\"{y:.1}\" x2=\"{:.0}\" y2=\"{y:.1}\"/>",
            y + 4.0, escape(&short(subject)), escape(subject), WIDTH - 8.0
        ));
        // Marks that would cover each other are drawn once, by the worst of them.
        let mut slots: BTreeMap<i64, &Moment> = BTreeMap::new();
        for mark in marks {
            let slot = ((mark.at - start).num_milliseconds() as f64 / span * SLOTS as f64) as i64;
            let kept = slots.entry(slot).or_insert(mark);
            if mark.severity > kept.severity {
                *kept = mark;
            }
        }
        for mark in slots.values() {
            out.push_str(&format!(
                "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"{}\"><title>{} {}</title></circle>",
                mark.severity,
                x(mark.at),
                if mark.severity == Severity::Info { "3.5" } else { "5" },
                rfc3339(mark.at),
                escape(&mark.what)
            ));
        }
    }
    out.push_str("</svg>");
    Some(out)
}

/// Where the drawing begins: old conditions of nodes would squeeze the incident into one pixel, so it shows the last
/// stretch that holds the trouble; where there is none, the last day.
fn window_start(moments: &[Moment], first: Timestamp, last: Timestamp) -> Timestamp {
    let Some(trouble) = moments.iter().find(|m| m.severity > Severity::Info).map(|m| m.at) else {
        return (last - chrono::TimeDelta::days(1)).max(first);
    };
    let room = (last - trouble) / 10 + chrono::TimeDelta::minutes(1);
    (trouble - room).max(first)
}

fn tick(at: Timestamp, span: chrono::TimeDelta) -> String {
    if span > chrono::TimeDelta::days(2) {
        at.format("%m-%d %H:%M").to_string()
    } else {
        at.format("%H:%M:%S").to_string()
    }
}

fn short(subject: &str) -> String {
    let mut parts = subject.splitn(3, '/');
    let (kind, _, name) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
    crate::triage::text::line(&format!("{kind} {name}"), 36)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Subject;

    #[test]
    fn texts_are_escaped() {
        let at = chrono::DateTime::from_timestamp(1_795_241_400, 0).unwrap();
        let moment = Moment {
            at,
            subject: Subject::new("pod", "a", "<b>"),
            what: "</title><script>x</script>".to_owned(),
            severity: Severity::Critical,
        };
        let svg = svg(&[moment]).unwrap();
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;") && !svg.contains("<b>"), "{svg}");
        assert_eq!(super::svg(&[]), None);
    }
}
