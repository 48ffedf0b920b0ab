//! Pauses: of what is said meanwhile nothing reaches the ring.

use crate::record::mark::MarkKind;
use crate::record::tap::{Step, Tap, TapState};

impl Tap {
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// From now on nothing is taken, not even facts. False when it was paused already.
    pub fn pause(&mut self) -> bool {
        if self.is_paused() {
            return false;
        }
        self.paused_at = Some(self.clock);
        self.mark_surely(MarkKind::PauseBegan { unix_us: self.unix_us(self.clock) });
        self.note_in_tracks(MarkKind::PauseBegan { unix_us: self.unix_us(self.clock) });
        true
    }

    /// The pause has lasted for as long as a pause may.
    pub fn is_pause_over(&self) -> bool {
        let limit = self.in_samples(self.spec.pause.limit_ms);
        limit > 0 && self.paused_at.is_some_and(|at| self.clock - at >= limit)
    }

    /// The file goes on, as its [`PauseRule`] says. False when it was not paused.
    pub fn resume(&mut self) -> bool {
        let Some(paused_at) = self.paused_at.take() else { return false };
        if let Some(trim) = &mut self.trim {
            trim.forget();
        }
        self.forget_held_of_tracks();
        self.mark_surely(MarkKind::PauseEnded { samples: self.clock - paused_at });
        self.note_in_tracks(MarkKind::PauseEnded { samples: self.clock - paused_at });
        true
    }

    /// Of the pause nothing but its length goes into the file, if that.
    pub(super) fn push_paused(&mut self, length: usize) -> TapState {
        if !self.spec.pause.as_silence || !self.has_begun() {
            return TapState::Running;
        }
        let from = self.position;
        let state = self.write(length, std::iter::repeat_n(0, length * self.channels));
        self.step = Step::Silent { samples: self.position - from };
        state
    }

    pub(super) fn end_pause(&mut self) {
        if let Some(paused_at) = self.paused_at.take() {
            self.mark_surely(MarkKind::PauseEnded { samples: self.clock - paused_at });
        }
    }
}
