//! The time that the served state is looked at, and durations as printer columns show them.

use chrono::{DateTime, Utc};

use crate::model::time::Timestamp;

/// What "now" is for ages and `sinceSeconds`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// The wall clock.
    Real,
    /// The time at which the state was collected, so that an old bundle still shows what was so then.
    Fixed(Timestamp),
}

impl Clock {
    pub(super) fn now(self) -> Timestamp {
        match self {
            Self::Real => Utc::now(),
            Self::Fixed(at) => at,
        }
    }
}

/// A time of an object.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.with_timezone(&Utc))
}

/// `3m17s`, `2d3h`: two units where the first is small.
pub(super) fn human(duration: chrono::TimeDelta) -> String {
    let seconds = duration.num_seconds();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |a: i64, unit_a: char, b: i64, unit_b: char| {
        if b == 0 { format!("{a}{unit_a}") } else { format!("{a}{unit_a}{b}{unit_b}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, 'd', hours % 24, 'h'),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => two(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (95, "95s"),
            (120, "2m"),
            (197, "3m17s"),
            (18 * 60 + 5, "18m"),
            (3 * 3600 + 60, "3h1m"),
            (47 * 3600, "47h"),
            (51 * 3600, "2d3h"),
            (100 * 86400, "100d"),
            (3 * 365 * 86400, "3y"),
        ] {
            assert_eq!(human(TimeDelta::seconds(seconds)), text, "{seconds}");
        }
    }
}
