//! A file that begins with its first sound: the silence before is held back.

use crate::media::frame::TICKS_PER_SECOND;
use crate::record::mark::MarkKind;
use crate::record::silence::Trim;
use crate::record::tap::{Step, Tap, TapState};

impl Tap {
    /// False while silence before the first sound is being left out.
    pub(super) fn has_begun(&self) -> bool {
        self.trim.as_ref().is_none_or(Trim::has_begun)
    }

    pub(super) fn write_trimmed(
        &mut self,
        is_sound: bool,
        length: usize,
        samples: impl Iterator<Item = i16>,
    ) -> TapState {
        match &mut self.trim {
            Some(trim) if !trim.has_begun() && !is_sound => {
                trim.hold(samples);
                self.step = Step::Held;
                return TapState::Running;
            }
            Some(trim) if !trim.has_begun() => {
                let held = trim.begin();
                let before = held.len() / self.channels;
                self.begin_file(length as u64, held);
                let from = self.position;
                let state = self.write(length, samples);
                self.step = Step::Wrote { before, length: (self.position - from) as usize };
                self.note_sound(true);
                return state;
            }
            _ => {}
        }
        let state = self.write(length, samples);
        self.note_sound(is_sound);
        state
    }

    /// Nothing was heard: a file of one tick says so, and every player takes it.
    pub(super) fn begin_silent_file(&mut self) {
        let Some(trim) = self.trim.as_mut().filter(|trim| !trim.has_begun()) else { return };
        let mut last = trim.begin();
        let tick = (self.spec.rate_hz / TICKS_PER_SECOND) as usize * self.channels;
        last.drain(..last.len().saturating_sub(tick));
        last.resize(tick, 0);
        self.begin_file(0, last);
    }

    fn note_sound(&mut self, is_sound: bool) {
        if let Some(trim) = self.trim.as_mut().filter(|_| is_sound) {
            trim.sound_until(self.position);
        }
    }

    /// The file begins with what was held, `ago` samples before the present clock ends.
    pub(super) fn begin_file(&mut self, ago: u64, held: Vec<i16>) {
        let length = held.len() / self.channels;
        let unix_us = self.unix_us(self.clock.saturating_sub(ago + length as u64));
        self.mark_surely(MarkKind::AudioBegan { unix_us });
        if length > 0 {
            self.write(length, held.iter().copied());
        }
        if let Some(trim) = &mut self.trim {
            trim.keep(held);
        }
    }
}
