//! What is heard where no packet is: the noise of a pause, or a loss that is concealed.

use super::JitterBuffer;

/// So much of a gap counts as concealed; what is longer is an absence.
const CONCEALED_MS: u32 = 60;
/// A decoder makes up so much at most, its comfort noise included: Opus in a pause sends something every
/// 400 ms.
const MADE_UP_MAX_MS: u32 = 1_000;

/// The sender said that it pauses (RFC 3389).
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    start: i64,
    /// Timestamp of the newest packet that said so.
    newest: i64,
}

impl Pause {
    /// `former`: the pause that it goes on with.
    pub fn new(timestamp: i64, former: Option<Self>) -> Self {
        Self { start: former.map_or(timestamp, |former| former.start), newest: timestamp }
    }
}

impl JitterBuffer {
    pub(super) fn is_paused(&self, at: i64) -> bool {
        self.pause.is_some_and(|pause| at >= pause.start)
    }

    /// Audio was found at `at`: a pause that was said before it is over.
    pub(super) fn end_gap(&mut self, at: i64) {
        self.made_up = 0;
        self.is_excused = false;
        self.pause = self.pause.and_then(|pause| match at {
            _ if at < pause.start => Some(pause),
            _ if at < pause.newest => Some(Pause { start: pause.newest, ..pause }),
            _ => None,
        });
    }

    /// Makes up what is missing from `at` on; returns how many samples of it count as concealed.
    pub(super) fn fill_gap(&mut self, at: i64, missing: &mut [i16], now_ns: u64) -> u32 {
        if self.is_leading {
            missing.fill(0);
            // The silence before a spurt's first sample inside its frame is no loss.
            self.concealer.restart();
            return 0;
        }
        if self.is_paused(at) {
            self.noise.fill(missing);
            self.concealer.remember(missing);
            return 0;
        }
        self.is_excused = now_ns < self.event_until_ns || self.voice.is_pausing();
        let concealed = self.make_up(missing);
        if self.is_excused { 0 } else { concealed }
    }

    fn make_up(&mut self, missing: &mut [i16]) -> u32 {
        let rate_hz = self.clock.rate_hz();
        if self.made_up < rate_hz / 1_000 * MADE_UP_MAX_MS && self.voice.conceal(missing) {
            self.concealer.remember(missing);
            let counted = (rate_hz / 1_000 * CONCEALED_MS).saturating_sub(self.made_up);
            self.made_up += missing.len() as u32;
            return counted.min(missing.len() as u32);
        }
        if self.made_up > 0 || self.concealer.is_silent() {
            missing.fill(0);
            return 0;
        }
        self.concealer.conceal(missing);
        missing.len() as u32
    }
}
