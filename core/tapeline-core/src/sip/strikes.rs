//! Sources that ask for calls and cannot say who they are: counted, and not heard for a while.
//!
//! A stranger's request costs it a point, a wrong answer to a challenge of ours twenty; a proof takes
//! the point of its challenge back. Points run out with time. A wrong answer to a challenge that we
//! never sent may come from a forged address, so it counts as any stranger's request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::sip::rate::owner;

/// Sources remembered. When all of them have points, others get none: digest stands before them.
const MAX_SOURCES: usize = 8_192;
/// How long a point counts; 200 points at once are too many.
const POINT: Duration = Duration::from_millis(300);
const LIMIT: u32 = 200;
/// How long nothing is heard from a source that had too many.
const SILENCE: Duration = Duration::from_secs(300);
/// Between two lines in the log, whatever the number of sources.
const LOG_PAUSE: Duration = Duration::from_secs(10);

pub(super) const STRANGER: u32 = 1;
pub(super) const WRONG_ANSWER: u32 = 20;

#[derive(Clone, Copy, Debug)]
struct Source {
    /// When its last point runs out.
    clean_at: Instant,
    silent_until: Option<Instant>,
}

impl Source {
    fn is_over(&self, now: Instant) -> bool {
        self.clean_at <= now && self.silent_until.is_none_or(|until| until <= now)
    }
}

#[derive(Debug)]
pub(super) struct Strikes {
    sources: HashMap<IpAddr, Source>,
    log_at: Instant,
    unlogged: u32,
}

impl Strikes {
    pub fn new(now: Instant) -> Self {
        Self { sources: HashMap::new(), log_at: now, unlogged: 0 }
    }

    pub fn is_silenced(&self, source: IpAddr, now: Instant) -> bool {
        let known = self.sources.get(&owner(source));
        known.and_then(|known| known.silent_until).is_some_and(|until| until > now)
    }

    /// True when this was one too many.
    pub fn add(&mut self, source: IpAddr, points: u32, now: Instant) -> bool {
        let key = owner(source);
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&key) {
            self.sources.retain(|_, known| !known.is_over(now));
            if self.sources.len() >= MAX_SOURCES {
                return false;
            }
        }
        let fresh = Source { clean_at: now, silent_until: None };
        let known = self.sources.entry(key).or_insert(fresh);
        known.clean_at = known.clean_at.max(now) + POINT * points;
        if known.clean_at.saturating_duration_since(now) < POINT * LIMIT {
            return false;
        }
        *known = Source { clean_at: now, silent_until: Some(now + SILENCE) };
        self.log(source, now);
        true
    }

    /// The request was meant well after all.
    pub fn forgive(&mut self, source: IpAddr, points: u32) {
        if let Some(known) = self.sources.get_mut(&owner(source)) {
            known.clean_at = known.clean_at.checked_sub(POINT * points).unwrap_or(known.clean_at);
        }
    }

    fn log(&mut self, source: IpAddr, now: Instant) {
        if now < self.log_at {
            self.unlogged += 1;
            return;
        }
        let others = std::mem::take(&mut self.unlogged);
        let seconds = SILENCE.as_secs();
        log::warn!(
            "SIP from {source} is not heard for {seconds} s: it proves nothing; {others} others"
        );
        self.log_at = now + LOG_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn ten_wrong_answers_silence_a_source_for_five_minutes() {
        let now = Instant::now();
        let mut strikes = Strikes::new(now);
        for _ in 0..9 {
            assert!(!strikes.add(address(1), WRONG_ANSWER, now));
        }
        assert!(!strikes.is_silenced(address(1), now));
        assert!(strikes.add(address(1), WRONG_ANSWER, now));
        assert!(strikes.is_silenced(address(1), now + SILENCE / 2));
        assert!(!strikes.is_silenced(address(2), now));
        assert!(!strikes.is_silenced(address(1), now + SILENCE));
    }

    #[test]
    fn phones_that_prove_who_they_are_may_be_many_behind_one_address() {
        let now = Instant::now();
        let mut strikes = Strikes::new(now);
        for _ in 0..10_000 {
            assert!(!strikes.add(address(1), STRANGER, now));
            strikes.forgive(address(1), STRANGER);
        }
        let over_time = |each: Duration| {
            let mut strikes = Strikes::new(now);
            (0..1_000).any(|n| strikes.add(address(1), WRONG_ANSWER, now + each * n))
        };
        assert!(!over_time(Duration::from_secs(10)), "one phone with an old password");
        assert!(over_time(Duration::from_secs(1)));
    }

    #[test]
    fn the_table_is_bounded_and_empties_with_time() {
        let now = Instant::now();
        let mut strikes = Strikes::new(now);
        for source in 0..MAX_SOURCES as u32 + 100 {
            strikes.add(address(source), LIMIT, now);
        }
        assert_eq!(strikes.sources.len(), MAX_SOURCES);
        assert_eq!(strikes.unlogged, MAX_SOURCES as u32 - 1);
        assert!(!strikes.is_silenced(address(MAX_SOURCES as u32 + 1), now));
        strikes.add(address(1), STRANGER, now + SILENCE);
        strikes.add(address(u32::MAX), STRANGER, now + SILENCE);
        assert_eq!(strikes.sources.len(), 2);
    }
}
