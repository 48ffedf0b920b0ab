//! When a registration is sent again (RFC 3261 §10.2.4).

use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A registrar that asks for more patience is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// Three quarters of what was granted, a little less for each one of many: they would all come at
    /// once for ever. `dice` is any number.
    pub fn after_success(&mut self, granted_s: u32, dice: u64) -> Duration {
        self.failures = 0;
        let three_quarters = Duration::from_secs(granted_s.into()) * 3 / 4;
        shortened(three_quarters, dice, 10).max(FIRST_WAIT)
    }

    /// Twice as long each time, one second to one minute, and not before `asked` (Retry-After).
    pub fn after_failure(&mut self, asked: Option<Duration>, dice: u64) -> Duration {
        let doubled = FIRST_WAIT * 2_u32.saturating_pow(self.failures.min(6));
        self.failures += 1;
        let own = shortened(doubled.min(LONGEST_WAIT), dice, 4);
        own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// By up to one part of `parts`.
fn shortened(wait: Duration, dice: u64, parts: u32) -> Duration {
    wait - wait / parts * ((dice % 1_024) as u32) / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_renewed_at_three_quarters_of_its_time() {
        let mut pace = Pace::default();
        assert_eq!(pace.after_success(3_600, 0), Duration::from_secs(2_700));
        let early = pace.after_success(3_600, u64::MAX);
        assert!(
            early > Duration::from_secs(2_400) && early < Duration::from_secs(2_440),
            "{early:?}"
        );
        assert_eq!(pace.after_success(0, 0), Duration::from_secs(1));
    }

    #[test]
    fn failures_are_answered_with_patience() {
        let mut pace = Pace::default();
        let waits: Vec<u64> = (0..9).map(|_| pace.after_failure(None, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let shortest = pace.after_failure(None, u64::MAX);
        assert!(shortest > Duration::from_secs(45) && shortest < Duration::from_secs(46));
        let asked = Some(Duration::from_secs(300));
        assert_eq!(pace.after_failure(asked, 0), Duration::from_secs(300));
        let asked = Some(Duration::from_secs(1 << 30));
        assert_eq!(pace.after_failure(asked, 0), Duration::from_secs(3_600));
        pace.after_success(60, 0);
        assert_eq!(pace.after_failure(None, 0), Duration::from_secs(1));
    }
}
