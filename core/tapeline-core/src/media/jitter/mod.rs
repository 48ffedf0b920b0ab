//! The jitter buffer: packets with their arrival instants in, exactly one frame of 20 ms out per tick.
//!
//! Playing is a clock: each pull gives the next 20 ms of the sender's time, whether a packet is there or
//! not. The buffer's delay, `tick - sender's clock`, therefore changes only by explicit steps of a frame:
//! *growing* (a frame is put in where it is quiet, or a late packet is played after all), *shrinking* (a
//! frame is left out where it is quiet, else two are blended), and *anchoring* anew at the start of a
//! stream or talk spurt. How much delay is needed says [`delay::DelayEstimator`].
//!
//! Ticks and packets of 20 ms meet in one of two ways: the packet comes `s` before the tick that plays
//! it, `0 < s <= 20 ms`. That is the least delay there is, and on a clean network it is what is used.

pub mod conceal;
pub mod delay;
pub mod ring;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod traces;

use crate::media::command::Codec;
use crate::media::frame::{TICK_NS, energy, frame_length};
use conceal::Concealer;
use delay::{DelayEstimator, TARGET_MAX_NS};
use ring::{PacketRing, Span};

/// After so many frames without a packet the sender is taken to pause; the next packet anchors anew.
const IDLE_FRAMES: u32 = 3;
/// Least distance of two corrections.
const CORRECTION_TICKS: u32 = 5;
/// So many ticks in a row with nothing but late packets mean a slower path.
const LATE_TICKS: u32 = 2;
/// Superfluous delay is borne so long before a frame of speech is given up for it.
const PATIENCE_TICKS: u32 = 50;
/// Beyond the largest target so long (the estimator's window and a bit), everything is set anew.
const RESYNC_TICKS: u32 = 150;
/// Below it a frame may be left out or doubled unheard: -50 dBov.
const QUIET_MEAN_SQUARE: u64 = 10_737;
/// A sequence number so far off belongs to another stream (RFC 3550 A.1: MAX_DROPOUT, MAX_MISORDER).
const MAX_DROPOUT: i32 = 3_000;
const MAX_MISORDER: i32 = 100;
/// A sender's clock that jumps so far against the arrivals is a new timeline.
const JUMP_AHEAD_NS: i64 = 300_000_000;
const JUMP_BACK_NS: i64 = 1_000_000_000;
/// How much of a talk spurt's start is worth more delay.
const ONSET_NS: i64 = 60_000_000;
/// A stream that has been silent so long gives way to another at its first packet.
const ABANDONED_NS: u64 = 100_000_000;

/// One packet of audio.
#[derive(Clone, Copy, Debug)]
pub struct AudioPacket<'a> {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub codec: Codec,
    pub payload: &'a [u8],
    /// On the clock of the ticks.
    pub arrival_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    Stored,
    Duplicate,
    /// Its time has been played already.
    Late,
    /// First packet of a stream that nobody announced; believed when the second follows.
    Probation,
    /// Empty, or longer than any packet time.
    Unusable,
}

/// What a frame consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Samples that were made up because their packet is missing.
    pub concealed: u32,
    /// The frame holds samples of the sender.
    pub has_audio: bool,
}

/// What the stream did, for RTCP and the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    pub inserted_frames: u32,
    pub dropped_frames: u32,
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// Highest sequence number and its timestamp, extended beyond their wrap.
    sequence: u32,
    timestamp: i64,
    last_arrival_ns: u64,
}

pub struct JitterBuffer {
    rate_hz: u32,
    frame: usize,
    ring: PacketRing,
    estimator: DelayEstimator,
    concealer: Concealer,
    stream: Option<Stream>,
    /// SSRC and sequence number that would confirm a new stream.
    probation: Option<(u32, u16)>,
    /// Extended timestamp of the next sample to play.
    play: Option<i64>,
    last_pull_ns: u64,
    /// No sample of this spurt has been given out yet: what is missing is not a loss.
    is_leading: bool,
    /// Frames in a row without a packet.
    missing_frames: u32,
    /// Timestamp of the newest packet that came too late since the last pull.
    late: Option<Span>,
    late_ticks: u32,
    /// Ticks since the last correction, and ticks with superfluous delay.
    settled_ticks: u32,
    surplus_ticks: u32,
    /// The sender sends telephone-events instead of audio until then.
    event_until_ns: u64,
    is_quiet: bool,
    /// How far packets begin inside a frame, the last four.
    offsets: [u32; 4],
    corrections: Corrections,
}

impl JitterBuffer {
    /// `rate_hz` is both the RTP clock and the rate of the frames.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            frame: frame_length(rate_hz),
            ring: PacketRing::default(),
            estimator: DelayEstimator::default(),
            concealer: Concealer::new(rate_hz),
            stream: None,
            probation: None,
            play: None,
            last_pull_ns: 0,
            is_leading: true,
            missing_frames: 0,
            late: None,
            late_ticks: 0,
            settled_ticks: 0,
            surplus_ticks: 0,
            event_until_ns: 0,
            is_quiet: true,
            offsets: [0; 4],
            corrections: Corrections::default(),
        }
    }

    pub fn corrections(&self) -> Corrections {
        self.corrections
    }

    fn span_ns(&self, samples: i64) -> i64 {
        samples * 1_000_000_000 / i64::from(self.rate_hz)
    }

    fn samples_in(&self, span_ns: i64) -> i64 {
        (i128::from(span_ns) * i128::from(self.rate_hz)).div_euclid(1_000_000_000) as i64
    }

    /// Delay of the sample that the pull at `now_ns` would give: from its packet's earliest arrival
    /// to that tick. `None` before the first packet.
    pub fn delay_ns(&self, now_ns: u64) -> Option<i64> {
        let transit = now_ns as i64 - self.span_ns(self.play?);
        Some(transit - self.span_ns(self.worst_offset()) - self.estimator.minimum_ns()?)
    }

    fn worst_offset(&self) -> i64 {
        self.offsets.iter().max().copied().map_or(0, i64::from)
    }

    /// Takes a packet in. Never fails; the outcome is for the counters.
    pub fn insert(&mut self, packet: &AudioPacket<'_>) -> Insertion {
        let samples = packet.codec.samples_in(packet.payload.len());
        if samples == 0 || samples > self.rate_hz as usize / 10 {
            return Insertion::Unusable;
        }
        if !self.belongs(packet.ssrc, packet.sequence, packet.arrival_ns) {
            self.probation = Some((packet.ssrc, packet.sequence.wrapping_add(1)));
            return Insertion::Probation;
        }
        let (sequence, timestamp) = self.extend(packet);
        let transit = packet.arrival_ns as i64 - self.span_ns(timestamp);
        self.follow_jump(transit);
        let span = Span { sequence, timestamp: timestamp as u32, samples: samples as u16 };
        if self.ring.holds(sequence) {
            return Insertion::Duplicate;
        }
        self.estimator.add(transit, packet.arrival_ns);
        self.note_offset(timestamp);
        if !self.ring.store(span, packet.codec, packet.payload) {
            return Insertion::Unusable;
        }
        let is_late = self.play.is_some_and(|play| {
            self.missing_frames < IDLE_FRAMES && timestamp + samples as i64 <= play
        });
        if !is_late {
            return Insertion::Stored;
        }
        if self.late.is_none_or(|late| span.after(late.timestamp) > 0) {
            self.late = Some(span);
        }
        Insertion::Late
    }

    /// A packet of the same stream that carries no audio (telephone-event): its sequence number is not
    /// a loss, and the audio that it stands for is not missed until `until_ns`.
    pub fn pass_event(&mut self, ssrc: u32, sequence: u16, until_ns: u64) {
        if let Some(stream) = &mut self.stream
            && stream.ssrc == ssrc
        {
            let ahead = i32::from(sequence.wrapping_sub(stream.sequence as u16) as i16);
            if (1..MAX_DROPOUT).contains(&ahead) {
                stream.sequence = stream.sequence.wrapping_add(ahead as u32);
                // The timestamp stays: the event's own is that of its start.
            }
            self.event_until_ns = until_ns;
        }
    }

    /// Whether a packet belongs to the present stream, or begins one that may be believed.
    fn belongs(&mut self, ssrc: u32, sequence: u16, arrival_ns: u64) -> bool {
        let Some(stream) = &self.stream else { return true };
        let ahead = i32::from(sequence.wrapping_sub(stream.sequence as u16) as i16);
        if stream.ssrc == ssrc && (-MAX_MISORDER..MAX_DROPOUT).contains(&ahead) {
            return true;
        }
        let is_abandoned = arrival_ns.saturating_sub(stream.last_arrival_ns) >= ABANDONED_NS;
        if !is_abandoned && self.probation != Some((ssrc, sequence)) {
            return false;
        }
        self.restart_timeline();
        self.stream = None;
        true
    }

    /// Extended sequence number and timestamp; moves the stream's highest.
    fn extend(&mut self, packet: &AudioPacket<'_>) -> (u32, i64) {
        self.probation = None;
        // Far from zero, so that reordered first packets do not become negative.
        let stream = self.stream.get_or_insert(Stream {
            ssrc: packet.ssrc,
            sequence: 0x1_0000 | u32::from(packet.sequence),
            timestamp: 0x1_0000_0000 | i64::from(packet.timestamp),
            last_arrival_ns: packet.arrival_ns,
        });
        let ahead = i32::from(packet.sequence.wrapping_sub(stream.sequence as u16) as i16);
        let sequence = stream.sequence.wrapping_add(ahead as u32);
        let later = packet.timestamp.wrapping_sub(stream.timestamp as u32) as i32;
        let timestamp = stream.timestamp + i64::from(later);
        if ahead > 0 {
            stream.sequence = sequence;
            stream.timestamp = timestamp;
        }
        stream.last_arrival_ns = stream.last_arrival_ns.max(packet.arrival_ns);
        (sequence, timestamp)
    }

    /// A sender whose clock jumped (or stood still in a pause) starts a new timeline.
    fn follow_jump(&mut self, transit: i64) {
        let Some(minimum) = self.estimator.minimum_ns() else { return };
        if !(-JUMP_AHEAD_NS..=JUMP_BACK_NS).contains(&(transit - minimum)) {
            self.restart_timeline();
        }
    }

    fn restart_timeline(&mut self) {
        self.corrections.restarts += 1;
        self.ring.clear();
        self.estimator.rebase();
        self.play = None;
        self.late = None;
        self.late_ticks = 0;
        self.surplus_ticks = 0;
        self.offsets = [0; 4];
    }

    fn note_offset(&mut self, timestamp: i64) {
        if let Some(play) = self.play {
            let offset = (timestamp - play).rem_euclid(self.frame as i64) as u32;
            self.offsets.rotate_left(1);
            if let Some(last) = self.offsets.last_mut() {
                *last = offset;
            }
        }
    }

    /// The frame of the tick at `now_ns`. `out` holds one frame; it is always filled.
    pub fn pull(&mut self, now_ns: u64, out: &mut [i16]) -> Pulled {
        self.follow_clock(now_ns);
        self.settled_ticks = self.settled_ticks.saturating_add(1);
        let late = self.late.take();
        self.anchor_if_due(now_ns);
        let Some(mut play) = self.play else {
            return self.fill_without_stream(out);
        };
        if self.missing_frames < IDLE_FRAMES {
            if !self.has_next(play) {
                self.play_late_packet(late, &mut play);
                if !self.has_next(play) && self.grow_into_gap(now_ns) {
                    self.missing_frames += 1;
                    let concealed = self.fill_gap(out, now_ns);
                    return Pulled { concealed, has_audio: false };
                }
            } else {
                self.late_ticks = 0;
            }
            if self.insert_quiet_frame(now_ns) {
                self.concealer.repeat(out);
                return Pulled { concealed: 0, has_audio: true };
            }
            self.drop_frame_if_due(now_ns, &mut play);
        }
        let is_splice = self.surplus_ticks >= PATIENCE_TICKS
            && self.ring.has(play as u32, 2 * self.frame)
            && out.len() == self.frame;
        let pulled = if is_splice {
            self.splice(&mut play, out)
        } else {
            let pulled = self.assemble(play, out, now_ns);
            play += self.frame as i64;
            pulled
        };
        self.play = Some(play);
        self.is_quiet = energy(out) < QUIET_MEAN_SQUARE * out.len() as u64;
        pulled
    }

    /// Ticks that were not run have passed for the sender too.
    fn follow_clock(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.last_pull_ns);
        let skipped = (passed + TICK_NS / 2) / TICK_NS;
        if self.last_pull_ns != 0 && skipped > 1 {
            self.play = self.play.map(|play| play + (skipped as i64 - 1) * self.frame as i64);
        }
        self.last_pull_ns = now_ns;
    }

    /// At the start of a stream or a talk spurt: chooses the delay anew.
    fn anchor_if_due(&mut self, now_ns: u64) {
        let is_idle = self.missing_frames >= IDLE_FRAMES;
        if self.play.is_some() && !is_idle {
            return;
        }
        let Some((oldest, newest)) = self.ring.ends() else { return };
        let (Some(minimum), Some(stream)) = (self.estimator.minimum_ns(), self.stream) else {
            return;
        };
        let full = |span: Span| {
            stream.timestamp
                + i64::from(span.timestamp.wrapping_sub(stream.timestamp as u32) as i32)
        };
        let (first, last) = (full(oldest), full(newest));
        let is_fresh = self.play.is_none();
        let frame = self.frame as i64;
        let packet = i64::from(newest.samples);
        // Packets that do not divide into frames begin inside them: up to so far.
        let spread = if packet % frame == 0 { 0 } else { frame - gcd(packet, frame) };
        let target = if is_fresh { 0 } else { self.estimator.target_ns() };
        let due = self.samples_in(now_ns as i64 - minimum - target) - spread;
        // A packet shorter than a frame is the end of its frame.
        let align = |start: i64| if packet < frame { start + packet - frame } else { start };
        let at_or_before = |base: i64| base + ((due - base).div_euclid(frame) * frame).min(0);
        let play = if is_fresh {
            at_or_before(align(last))
        } else {
            let onset = self.samples_in(now_ns as i64 - minimum - target - ONSET_NS);
            at_or_before(align(first)).max(at_or_before(align(last)).min(onset))
        };
        self.play = Some(play);
        self.is_leading = true;
        self.missing_frames = 0;
        self.late_ticks = 0;
        self.surplus_ticks = 0;
        self.settled_ticks = 0;
        self.offsets = [spread as u32; 4];
    }

    fn fill_without_stream(&mut self, out: &mut [i16]) -> Pulled {
        if self.concealer.is_silent() || self.is_leading {
            out.fill(0);
        } else {
            self.concealer.conceal(out);
        }
        Pulled::default()
    }

    /// Whether any sample of the frame at `play` is here.
    fn has_next(&self, play: i64) -> bool {
        let next = play as u32;
        self.ring.has(next, 1) || self.ring.next_after(next, self.frame).is_some()
    }

    fn is_below_target(&self, now_ns: u64) -> bool {
        self.delay_ns(now_ns).is_some_and(|delay| delay < self.estimator.target_ns())
    }

    /// Nothing to play, but packets come, each just after its time: the path has become slower. Plays
    /// the newest of them now, which is what growing costs least at.
    fn play_late_packet(&mut self, late: Option<Span>, play: &mut i64) {
        let Some(late) = late else { return };
        self.late_ticks += 1;
        if self.late_ticks < LATE_TICKS {
            return;
        }
        let behind = i64::from((*play as u32).wrapping_sub(late.timestamp));
        let frames = (behind + self.frame as i64 - 1) / self.frame as i64;
        *play -= frames * self.frame as i64;
        self.corrections.inserted_frames += frames as u32;
        self.late_ticks = 0;
        self.corrected();
    }

    /// Too little delay, and a frame has to be made up anyway: the sender's clock waits meanwhile, so
    /// that the packet, if it is only late, is played next.
    fn grow_into_gap(&mut self, now_ns: u64) -> bool {
        let is_due = self.is_below_target(now_ns) && !self.is_leading;
        if is_due {
            self.corrections.inserted_frames += 1;
            self.corrected();
        }
        is_due
    }

    fn corrected(&mut self) {
        self.settled_ticks = 0;
        self.surplus_ticks = 0;
    }

    /// Too little delay, and a quiet moment to take more: true when this tick repeats the last frame.
    fn insert_quiet_frame(&mut self, now_ns: u64) -> bool {
        let is_due =
            self.is_below_target(now_ns) && self.is_quiet && self.settled_ticks >= CORRECTION_TICKS;
        if is_due && !self.is_leading {
            self.corrections.inserted_frames += 1;
            self.corrected();
            return true;
        }
        false
    }

    /// Too much delay: leaves out a frame that is quiet, or, far beyond the limit, whatever it takes.
    fn drop_frame_if_due(&mut self, now_ns: u64, play: &mut i64) {
        let frame_ns = TICK_NS as i64;
        let surplus = self.delay_ns(now_ns).unwrap_or(0) - frame_ns - self.estimator.target_ns();
        if surplus < frame_ns / 40 {
            self.surplus_ticks = 0;
            return;
        }
        self.surplus_ticks += 1;
        if surplus > TARGET_MAX_NS && self.surplus_ticks >= RESYNC_TICKS {
            let frames = surplus / frame_ns;
            *play += frames * self.frame as i64;
            self.corrections.dropped_frames += frames as u32;
            self.corrected();
            return;
        }
        let is_due = self.is_quiet && self.settled_ticks >= CORRECTION_TICKS;
        if is_due && self.is_next_quiet(*play) {
            *play += self.frame as i64;
            self.corrections.dropped_frames += 1;
            self.corrected();
        }
    }

    /// Whether the frame at `play` is here and quiet; it is given up if so.
    fn is_next_quiet(&mut self, play: i64) -> bool {
        if !self.ring.has(play as u32, self.frame) {
            return false;
        }
        self.ring.energy_at(play as u32, self.frame) < QUIET_MEAN_SQUARE * self.frame as u64
    }

    /// Two frames in the time of one, blended: the price of superfluous delay in unbroken speech.
    fn splice(&mut self, play: &mut i64, out: &mut [i16]) -> Pulled {
        self.read(*play, out);
        let mut index = 0_usize;
        let length = self.frame as i32;
        let mut next = [0_i16; 48];
        while index < self.frame {
            let count = next.len().min(self.frame - index);
            let Some(part) = next.get_mut(..count) else { break };
            let filled = self.read(*play + (self.frame + index) as i64, part);
            for (offset, sample) in part.iter().enumerate().take(filled) {
                if let Some(out) = out.get_mut(index + offset) {
                    let weight = (index + offset) as i32;
                    let mixed = i32::from(*out) * (length - weight) + i32::from(*sample) * weight;
                    *out = (mixed / length) as i16;
                }
            }
            index += count;
        }
        *play += 2 * self.frame as i64;
        self.concealer.pass(out);
        self.corrections.dropped_frames += 1;
        self.corrected();
        Pulled { concealed: 0, has_audio: true }
    }

    /// Reads what is there from `timestamp` on without gaps; returns how much.
    fn read(&mut self, timestamp: i64, out: &mut [i16]) -> usize {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.ring.decode_at((timestamp + filled as i64) as u32, rest) {
                0 => break,
                written => filled += written,
            }
        }
        filled
    }

    /// One frame from `play` on: packets where they are, concealment between.
    fn assemble(&mut self, play: i64, out: &mut [i16], now_ns: u64) -> Pulled {
        let mut pulled = Pulled::default();
        let mut filled = 0;
        while filled < out.len() {
            let at = play + filled as i64;
            let rest = out.get_mut(filled..).unwrap_or(&mut []);
            let written = self.ring.decode_at(at as u32, rest);
            if written > 0 {
                if let Some(good) = rest.get_mut(..written) {
                    self.concealer.pass(good);
                }
                pulled.has_audio = true;
                self.is_leading = false;
                filled += written;
                continue;
            }
            let gap = self
                .ring
                .next_after(at as u32, rest.len())
                .map_or(rest.len(), |next| next.after(at as u32) as usize);
            let Some(missing) = rest.get_mut(..gap) else { break };
            pulled.concealed += self.fill_gap(missing, now_ns);
            filled += gap;
        }
        self.missing_frames = if pulled.has_audio { 0 } else { self.missing_frames + 1 };
        pulled
    }

    /// Makes up what is missing; returns how many samples of it count as concealed.
    fn fill_gap(&mut self, missing: &mut [i16], now_ns: u64) -> u32 {
        if self.is_leading {
            missing.fill(0);
            // The silence before a spurt's first sample inside its frame is no loss.
            self.concealer.restart();
            return 0;
        }
        if self.concealer.is_silent() {
            missing.fill(0);
            return 0;
        }
        self.concealer.conceal(missing);
        if now_ns < self.event_until_ns { 0 } else { missing.len() as u32 }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
