//! The steps of delay: anchoring at the start of a stream or talk spurt, growing, shrinking.
//!
//! *Growing* puts a frame in where it is quiet, or plays a late packet after all; *shrinking* leaves a
//! frame out where it is quiet, else two are blended. Ticks and packets of 20 ms meet in one of two ways:
//! the packet comes `s` before the tick that plays it, `0 < s <= 20 ms`. That is the least delay there
//! is, and on a clean network it is what is used.

use super::clock::gcd;
use super::delay::TARGET_MAX_NS;
use super::{IDLE_FRAMES, JitterBuffer, Span};
use crate::media::frame::TICK_NS;

/// Least distance of two corrections.
const CORRECTION_TICKS: u32 = 5;
/// Superfluous delay is borne so long before a frame of speech is given up for it: the more frames there
/// are too many, the shorter.
const PATIENCE_TICKS: u32 = 50;
const PATIENCE_MIN_TICKS: u32 = 10;
/// Beyond the largest target so long (the estimator's window and a bit), everything is set anew.
const RESYNC_TICKS: u32 = 150;
/// How much of a talk spurt's start is worth more delay.
const ONSET_NS: i64 = 60_000_000;

impl JitterBuffer {
    /// At the start of a stream or a talk spurt: chooses the delay anew.
    pub(super) fn anchor_if_due(&mut self, now_ns: u64) {
        let is_idle = self.missing_frames >= IDLE_FRAMES;
        if self.play.is_some() && !is_idle {
            return;
        }
        let Some((oldest, newest)) = self.ring.ends() else { return };
        let (Some(minimum), Some(first), Some(last)) = (
            self.estimator.minimum_ns(),
            self.stream.extended(oldest.timestamp),
            self.stream.extended(newest.timestamp),
        ) else {
            return;
        };
        let is_fresh = self.play.is_none();
        let frame = self.clock.tick();
        let packet = i64::from(newest.units);
        // Packets that do not divide into frames begin inside them: up to so far.
        let spread = if packet % frame == 0 { 0 } else { frame - gcd(packet, frame) };
        let target = if is_fresh { 0 } else { self.estimator.target_ns() };
        let due = self.clock.units_in(now_ns as i64 - minimum - target) - spread;
        // A packet shorter than a frame is the end of its frame.
        let align = |start: i64| if packet < frame { start + packet - frame } else { start };
        let at_or_before = |base: i64| base + ((due - base).div_euclid(frame) * frame).min(0);
        let play = if is_fresh {
            at_or_before(align(last))
        } else {
            let onset = self.clock.units_in(now_ns as i64 - minimum - target - ONSET_NS);
            let (first, latest) =
                (at_or_before(align(first)), at_or_before(align(last)).min(onset));
            first + (latest - first).div_euclid(frame).max(0) * frame
        };
        self.play = Some(play);
        self.is_leading = true;
        self.missing_frames = 0;
        self.settled_ticks = 0;
        self.surplus_ticks = 0;
        self.offsets = [spread as u32; 4];
    }

    fn is_below_target(&self, now_ns: u64) -> bool {
        self.delay_ns(now_ns).is_some_and(|delay| delay < self.estimator.target_ns())
    }

    /// Nothing to play, but packets come, each just after its time: the path has become slower. Plays
    /// the newest of them now, which is what growing costs least at. Returns what is played next.
    pub(super) fn play_late_packet(&mut self, late: Option<Span>, play: i64) -> i64 {
        let Some(late) = late else { return play };
        let behind = i64::from((play as u32).wrapping_sub(late.timestamp));
        let frame = self.clock.tick();
        let frames = (behind + frame - 1) / frame;
        let play = play - frames * frame;
        self.play = Some(play);
        self.corrections.inserted_frames += frames as u32;
        self.corrected();
        play
    }

    /// Too little delay, and a frame has to be made up anyway: the sender's clock waits meanwhile, so
    /// that the packet, if it is only late, is played next.
    pub(super) fn grow_into_gap(&mut self, now_ns: u64) -> bool {
        let is_due = self.is_below_target(now_ns) && !self.is_leading;
        if is_due {
            self.corrections.inserted_frames += 1;
            self.corrected();
        }
        is_due
    }

    pub(super) fn corrected(&mut self) {
        self.settled_ticks = 0;
        self.surplus_ticks = 0;
    }

    /// Too little delay, and a quiet moment to take more: true when this tick repeats the last frame.
    pub(super) fn insert_quiet_frame(&mut self, now_ns: u64) -> bool {
        let is_due =
            self.is_below_target(now_ns) && self.is_quiet && self.settled_ticks >= CORRECTION_TICKS;
        if is_due && !self.is_leading {
            self.corrections.inserted_frames += 1;
            self.corrected();
            return true;
        }
        false
    }

    /// Too much delay: counts how long, and far beyond the limit leaves out whatever it takes. True when
    /// a frame of speech shall be given up for it.
    pub(super) fn note_surplus(&mut self, now_ns: u64) -> bool {
        let frame_ns = TICK_NS as i64;
        let surplus = self.delay_ns(now_ns).unwrap_or(0) - frame_ns - self.estimator.target_ns();
        if surplus < frame_ns / 40 {
            self.surplus_ticks = 0;
            return false;
        }
        self.surplus_ticks += 1;
        let frames = (surplus / frame_ns) as u32;
        if surplus > TARGET_MAX_NS && self.surplus_ticks >= RESYNC_TICKS {
            self.play = self.play.map(|play| play + i64::from(frames) * self.clock.tick());
            self.corrections.dropped_frames += frames;
            self.corrected();
            return false;
        }
        self.surplus_ticks >= (PATIENCE_TICKS / frames.max(1)).max(PATIENCE_MIN_TICKS)
    }

    /// The last correction is long enough ago.
    pub(super) fn is_drop_due(&self) -> bool {
        self.settled_ticks >= CORRECTION_TICKS
    }
}
