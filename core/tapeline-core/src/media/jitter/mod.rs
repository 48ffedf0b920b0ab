//! The jitter buffer: packets with their arrival instants in, exactly one frame of 20 ms out per tick.
//!
//! Playing is a clock: each pull gives the next 20 ms of the sender's time, whether a packet is there or
//! not. Time is counted in units of the RTP clock, which is not the sample rate for G.722 and Opus.
//! [`stream`] knows whose packets they are, [`ring`] keeps them undecoded, [`voice`] decodes them and
//! gives samples at any instant, [`playout`] puts frames together, [`gap`] fills what is missing.
//!
//! The buffer's delay, `tick - sender's clock`, changes only by explicit steps of a frame ([`adapt`]).
//! How much of it is needed says [`delay::DelayEstimator`].

mod adapt;
mod clock;
pub mod conceal;
pub mod delay;
mod gap;
#[cfg(test)]
mod onsets;
#[cfg(test)]
mod oracle;
mod playout;
mod ring;
#[cfg(test)]
mod scripts;
mod stream;
#[cfg(test)]
mod traces;
mod voice;

use crate::media::codec::{Codec, ComfortNoise, Decoder};
use clock::Clock;
use conceal::Concealer;
use delay::DelayEstimator;
use gap::Pause;
use ring::{PacketRing, Span};
use stream::{Belonging, Position, Stream};
use voice::{PACKET_MAX_MS, Voice};

/// After so many frames without a packet the sender is taken to pause; the next packet anchors anew.
const IDLE_FRAMES: u32 = 3;
/// A sender's clock that jumps so far against the arrivals is a new timeline.
const JUMP_AHEAD_NS: i64 = 300_000_000;
const JUMP_BACK_NS: i64 = 1_000_000_000;

/// One packet of audio.
#[derive(Clone, Copy, Debug)]
pub struct AudioPacket<'a> {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// What its payload type means: the buffer's codec, or G.711 in its place.
    pub codec: Codec,
    pub payload: &'a [u8],
    /// On the clock of the ticks.
    pub arrival_ns: u64,
}

/// A packet that carries no audio, but a sequence number of the same stream.
#[derive(Clone, Copy, Debug)]
pub struct SilentPacket {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    Stored,
    Duplicate,
    /// Its time has been played already.
    Late,
    /// First packet of a stream that nobody announced; believed when the second follows.
    Probation,
    /// Empty, longer than any packet time, or of a codec that has another clock.
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

/// Inline but for what its codec needs, so that a leg pays for no codec but its own.
pub struct JitterBuffer {
    clock: Clock,
    stream: Stream,
    ring: PacketRing,
    voice: Voice,
    estimator: DelayEstimator,
    concealer: Concealer,
    /// Extended timestamp of the next sample to play.
    play: Option<i64>,
    last_pull_ns: u64,
    /// No sample of this spurt has been given out yet: what is missing is not a loss.
    is_leading: bool,
    /// Frames in a row without a packet.
    missing_frames: u32,
    /// The newest packet that came too late since the last pull.
    late: Option<Span>,
    /// Ticks since the last correction, and ticks with superfluous delay.
    settled_ticks: u32,
    surplus_ticks: u32,
    /// The sender sends telephone-events instead of audio until then.
    event_until_ns: u64,
    /// What is missing is missing with the sender's consent: what follows is not touched.
    is_excused: bool,
    pause: Option<Pause>,
    noise: ComfortNoise,
    /// Samples that the decoder made up since the last good one.
    made_up: u32,
    is_quiet: bool,
    /// How far packets begin inside a frame, the last four.
    offsets: [u32; 4],
    corrections: Corrections,
}

impl JitterBuffer {
    /// For a stream of the decoder's codec, whose rate frames have. Allocates.
    pub fn new(decoder: Decoder) -> Self {
        let codec = decoder.codec();
        Self {
            clock: Clock::new(codec.clock_hz(), codec.rate_hz()),
            stream: Stream::default(),
            ring: PacketRing::new(codec),
            voice: Voice::new(decoder),
            estimator: DelayEstimator::default(),
            concealer: Concealer::new(codec.rate_hz()),
            play: None,
            last_pull_ns: 0,
            is_leading: true,
            missing_frames: 0,
            late: None,
            settled_ticks: 0,
            surplus_ticks: 0,
            event_until_ns: 0,
            is_excused: false,
            pause: None,
            noise: ComfortNoise::new(),
            made_up: 0,
            is_quiet: true,
            offsets: [0; 4],
            corrections: Corrections::default(),
        }
    }

    /// The other end is on hold: what is heard until its next packet is silence, no noise and nothing
    /// made up.
    pub fn hush(&mut self) {
        self.restart_timeline();
        self.is_leading = true;
    }

    /// Begins anew, as if nothing had been heard. Allocates and frees nothing.
    pub fn reset(&mut self) {
        self.restart_timeline();
        self.stream = Stream::default();
        self.voice.restart();
        self.concealer.restart();
        self.noise.reset();
        self.is_leading = true;
    }

    pub fn corrections(&self) -> Corrections {
        self.corrections
    }

    /// Delay of the sample that the pull at `now_ns` would give: from its packet's earliest arrival
    /// to that tick. `None` before the first packet.
    pub fn delay_ns(&self, now_ns: u64) -> Option<i64> {
        let transit = now_ns as i64 - self.clock.span_ns(self.play?);
        Some(transit - self.clock.span_ns(self.worst_offset()) - self.estimator.minimum_ns()?)
    }

    fn worst_offset(&self) -> i64 {
        self.offsets.iter().max().copied().map_or(0, i64::from)
    }

    /// Takes a packet in. Never fails; the outcome is for the counters.
    pub fn insert(&mut self, packet: &AudioPacket<'_>) -> Insertion {
        let units = packet.codec.duration_of(packet.payload);
        let is_too_long = units > packet.codec.clock_hz() / 1_000 * PACKET_MAX_MS;
        if units == 0 || is_too_long || !self.voice.can_decode(packet.codec) {
            return Insertion::Unusable;
        }
        let AudioPacket { ssrc, sequence, timestamp, arrival_ns, .. } = *packet;
        match self.stream.admit(ssrc, sequence, arrival_ns) {
            Belonging::Same => {}
            Belonging::Stray => return Insertion::Probation,
            Belonging::Begins => {
                self.restart_timeline();
                self.voice.restart();
            }
        }
        let mut position = self.stream.locate(ssrc, sequence, timestamp, arrival_ns);
        let mut transit = arrival_ns as i64 - self.clock.span_ns(position.timestamp);
        if self.has_jumped(transit) {
            self.restart_timeline();
            position.timestamp = self.stream.recount(timestamp);
            transit = arrival_ns as i64 - self.clock.span_ns(position.timestamp);
        }
        if self.ring.holds(position.sequence) {
            return Insertion::Duplicate;
        }
        self.estimator.add(transit, arrival_ns);
        self.note_offset(position.timestamp);
        self.store(position, units, packet)
    }

    fn store(&mut self, position: Position, units: u32, packet: &AudioPacket<'_>) -> Insertion {
        let Position { sequence, timestamp, .. } = position;
        let span = Span { sequence, timestamp: timestamp as u32, units: units as u16 };
        let is_late = self.play.is_some_and(|play| {
            self.missing_frames < IDLE_FRAMES && timestamp + i64::from(units) <= play
        });
        if !self.ring.store(span, packet.codec, packet.payload) {
            return if is_late { Insertion::Late } else { Insertion::Unusable };
        }
        if !is_late {
            return Insertion::Stored;
        }
        if self.late.is_none_or(|late| span.after(late.timestamp) > 0) {
            self.late = Some(span);
        }
        Insertion::Late
    }

    /// A telephone-event: its sequence number is not a loss, and the audio that it stands for is not
    /// missed until `until_ns`.
    pub fn pass_event(&mut self, packet: SilentPacket, until_ns: u64) {
        if self.stream.pass(packet.ssrc, packet.sequence) {
            self.event_until_ns = until_ns;
        }
    }

    /// Comfort noise (RFC 3389): from its timestamp on the sender pauses, and this is its background.
    pub fn pass_noise(&mut self, packet: SilentPacket, payload: &[u8]) {
        if !self.stream.pass(packet.ssrc, packet.sequence) {
            return;
        }
        let Some(start) = self.stream.extended(packet.timestamp) else { return };
        let is_paused = self.play.is_some_and(|play| self.is_paused(play));
        let former = self.pause.take().filter(|_| is_paused);
        self.pause = Some(Pause::new(start, former));
        self.noise.update(payload);
    }

    /// A sender whose clock jumped (or stood still in a pause) starts a new timeline.
    fn has_jumped(&self, transit: i64) -> bool {
        self.estimator
            .minimum_ns()
            .is_some_and(|minimum| !(-JUMP_AHEAD_NS..=JUMP_BACK_NS).contains(&(transit - minimum)))
    }

    fn restart_timeline(&mut self) {
        self.corrections.restarts += 1;
        self.ring.clear();
        self.voice.forget();
        self.estimator.rebase();
        self.play = None;
        self.pause = None;
        self.late = None;
        self.surplus_ticks = 0;
        self.offsets = [0; 4];
    }

    fn note_offset(&mut self, timestamp: i64) {
        if let Some(play) = self.play {
            let offset = (timestamp - play).rem_euclid(self.clock.tick()) as u32;
            self.offsets.rotate_left(1);
            if let Some(last) = self.offsets.last_mut() {
                *last = offset;
            }
        }
    }
}
