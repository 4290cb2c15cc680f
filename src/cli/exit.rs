//! Exit codes.

/// How the program ends. When several hold, [`Exit::worst`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and complete.
    Complete,
    /// An error, and no bundle.
    Error,
    /// The command line is wrong.
    Usage,
    /// A bundle was made, and its ledger says what is missing.
    Incomplete,
    /// Findings at or above `--fail-on`.
    Findings,
    /// The leak audit hit; the bundle is quarantined.
    Leak,
    /// Stopped by Ctrl-C; the bundle is valid.
    Interrupted,
    /// Stopped by SIGTERM; the bundle is valid.
    Terminated,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Findings => 4,
            Self::Leak => 5,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Which of two ends the program reports: a leak before an interruption, before findings, before gaps.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Incomplete => 1,
            Self::Findings => 2,
            Self::Interrupted | Self::Terminated => 3,
            Self::Leak => 4,
            Self::Usage => 5,
            Self::Error => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_designed_order_holds() {
        let order = [Exit::Complete, Exit::Incomplete, Exit::Findings, Exit::Interrupted, Exit::Leak];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[1]);
            assert_eq!(pair[1].worst(pair[0]), pair[1]);
        }
    }
}
