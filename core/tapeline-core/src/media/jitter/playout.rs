//! The frame of a tick: packets where they are, what was made up between them.

use super::{IDLE_FRAMES, JitterBuffer, Pulled, Span};
use crate::media::frame::{TICK_NS, energy};

/// Below it a frame may be left out or doubled unheard: -50 dBov.
const QUIET_MEAN_SQUARE: u64 = 10_737;
/// Samples that are blended at once.
const PART: usize = 48;

impl JitterBuffer {
    /// The frame of the tick at `now_ns`. `out` holds one frame at the codec's rate; it is always filled.
    pub fn pull(&mut self, now_ns: u64, out: &mut [i16]) -> Pulled {
        self.follow_clock(now_ns);
        self.settled_ticks = self.settled_ticks.saturating_add(1);
        let late = self.late.take();
        self.anchor_if_due(now_ns);
        let Some(play) = self.play else { return self.fill_without_stream(out) };
        let mut is_impatient = false;
        if self.missing_frames < IDLE_FRAMES {
            if let Some(pulled) = self.stretch(play, late, out, now_ns) {
                return pulled;
            }
            is_impatient = self.note_surplus(now_ns);
        } else {
            self.surplus_ticks = 0;
        }
        let may_shorten = self.surplus_ticks > 0 && self.has_two_frames();
        let pulled = if may_shorten && is_impatient {
            self.splice(out)
        } else {
            self.next_frame(may_shorten, out, now_ns)
        };
        self.is_quiet = is_quiet(out);
        pulled
    }

    /// Ticks that were not run have passed for the sender too.
    /// The next pull is at `now_ns`, whatever the time since the last one: no tick has been left out.
    pub fn expect_pull(&mut self, now_ns: u64) {
        if self.last_pull_ns != 0 {
            self.last_pull_ns = now_ns.saturating_sub(TICK_NS);
        }
    }

    fn follow_clock(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.last_pull_ns);
        let skipped = (passed + TICK_NS / 2) / TICK_NS;
        if self.last_pull_ns != 0 && skipped > 1 {
            self.play = self.play.map(|play| play + (skipped as i64 - 1) * self.clock.tick());
        }
        self.last_pull_ns = now_ns;
    }

    fn fill_without_stream(&mut self, out: &mut [i16]) -> Pulled {
        if self.concealer.is_silent() || self.is_leading {
            out.fill(0);
        } else {
            self.concealer.conceal(out);
        }
        Pulled::default()
    }

    /// Too little delay: perhaps the sender's clock waits in this tick.
    fn stretch(
        &mut self,
        play: i64,
        late: Option<Span>,
        out: &mut [i16],
        now_ns: u64,
    ) -> Option<Pulled> {
        if !self.has_next(play) {
            let play = self.play_late_packet(late, play);
            if !self.has_next(play) && self.grow_into_gap(now_ns) {
                self.missing_frames += 1;
                let concealed = self.fill_gap(play, out, now_ns);
                return Some(Pulled { concealed, has_audio: false });
            }
        }
        self.insert_quiet_frame(now_ns).then(|| {
            self.concealer.repeat(out);
            Pulled { concealed: 0, has_audio: true }
        })
    }

    /// Whether any sample of the frame at `play` is here.
    fn has_next(&self, play: i64) -> bool {
        let next = play as u32;
        self.voice.held(next) > 0
            || self.ring.has(next, 1)
            || self.ring.next_after(next, self.clock.tick()).is_some()
    }

    fn has_two_frames(&self) -> bool {
        let (Some(play), units) = (self.play, 2 * self.clock.tick()) else { return false };
        let held = self.voice.held(play as u32).min(units);
        self.ring.has((play + held) as u32, units - held)
    }

    /// The frame that is due; when there is too much delay, a quiet one is left out.
    fn next_frame(&mut self, may_shorten: bool, out: &mut [i16], now_ns: u64) -> Pulled {
        let was_quiet = self.is_quiet;
        let pulled = self.assemble(out, now_ns);
        if may_shorten && was_quiet && is_quiet(out) && self.is_drop_due() {
            self.corrections.dropped_frames += 1;
            self.corrected();
            return self.assemble(out, now_ns);
        }
        pulled
    }

    /// One frame from `play` on.
    fn assemble(&mut self, out: &mut [i16], now_ns: u64) -> Pulled {
        let mut pulled = Pulled::default();
        let Some(play) = self.play else { return pulled };
        let mut filled = 0;
        while filled < out.len() {
            let at = play + self.clock.units_of(filled);
            let rest = out.get_mut(filled..).unwrap_or(&mut []);
            let written = self.voice.read(&mut self.ring, self.clock, at as u32, rest);
            if written > 0 {
                if self.is_excused {
                    self.concealer.settle();
                }
                if let Some(good) = rest.get_mut(..written) {
                    self.concealer.pass(good);
                }
                self.end_gap(at);
                pulled.has_audio = true;
                self.is_leading = false;
                filled += written;
                continue;
            }
            if !self.is_leading && self.voice.recover(&self.ring, self.clock, at as u32) {
                continue;
            }
            let gap = self.gap_at(at, rest.len());
            let Some(missing) = rest.get_mut(..gap) else { break };
            pulled.concealed += self.fill_gap(at, missing, now_ns);
            filled += gap;
        }
        self.play = Some(play + self.clock.tick());
        self.missing_frames = if pulled.has_audio { 0 } else { self.missing_frames + 1 };
        if self.missing_frames == IDLE_FRAMES {
            // What came too late belongs to the spurt that has ended.
            self.ring.pass_over((play + self.clock.tick()) as u32);
        }
        pulled
    }

    /// Samples from `at` to the next packet, `limit` at most.
    fn gap_at(&self, at: i64, limit: usize) -> usize {
        let next = self.ring.next_after(at as u32, self.clock.units_of(limit));
        let gap = next.map(|next| self.clock.samples_in(i64::from(next.after(at as u32))));
        gap.map_or(limit, |gap| gap.clamp(1, limit))
    }

    /// Two frames in the time of one, blended: the price of superfluous delay in unbroken speech.
    fn splice(&mut self, out: &mut [i16]) -> Pulled {
        let Some(play) = self.play else { return Pulled::default() };
        let (tick, length) = (self.clock.tick(), out.len() as i32);
        self.read(play, out);
        let mut next = [0_i16; PART];
        for (part, start) in out.chunks_mut(PART).zip((0..).step_by(PART)) {
            let Some(next) = next.get_mut(..part.len()) else { break };
            let filled = self.read(play + tick + self.clock.units_of(start), next);
            for (offset, (sample, later)) in part.iter_mut().zip(next).enumerate().take(filled) {
                let weight = (start + offset) as i32;
                let mixed = i32::from(*sample) * (length - weight) + i32::from(*later) * weight;
                *sample = (mixed / length) as i16;
            }
        }
        self.play = Some(play + 2 * tick);
        self.concealer.pass(out);
        self.end_gap(play + tick);
        self.corrections.dropped_frames += 1;
        self.corrected();
        Pulled { concealed: 0, has_audio: true }
    }

    /// Reads what is there from `at` on without gaps; returns how much.
    fn read(&mut self, at: i64, out: &mut [i16]) -> usize {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = at + self.clock.units_of(filled);
            match self.voice.read(&mut self.ring, self.clock, at as u32, rest) {
                0 => break,
                written => filled += written,
            }
        }
        filled
    }
}

fn is_quiet(frame: &[i16]) -> bool {
    energy(frame) < QUIET_MEAN_SQUARE * frame.len() as u64
}
