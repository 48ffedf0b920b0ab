//! The receiving half of a leg: packets are checked, latched, sorted into audio and digits, and buffered.

use std::net::SocketAddr;

use rtp_types::RtpPacket;

use crate::boundary::event::{Event, MediaTrouble};
use crate::boundary::handle::LegHandle;
use crate::media::command::{Agreement, Codec, Direction};
use crate::media::jitter::{AudioPacket, Insertion, Pulled, SilentPacket};
use crate::media::leg::TickContext;
use crate::media::leg::digits::{Digit, DigitReceiver, KeyMerger, Way};
use crate::media::leg::latch::{Latch, Step};
use crate::media::leg::link::{Heard, Link, Refused, Stream};
use crate::media::leg::rtcp::{Reception, Reports};
use crate::media::leg::speech::{Former, LegCodec};
use crate::record::tap::TickTime;
use crate::sys::socket::BatchReader;

/// No packet for so long is told once.
const NO_PACKETS_NS: u64 = 10_000_000_000;
/// Longer without a packet, silence is no sign of a fault: the peer pauses.
const RECENT_NS: u64 = 1_000_000_000;
/// How long a telephone-event stands for audio that does not come.
const EVENT_NS: u64 = 100_000_000;
/// Comfort noise (RFC 3389): the sender pauses.
const COMFORT_NOISE: u8 = 13;

/// Since the leg began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub received: u64,
    pub late: u64,
    pub concealed_frames: u32,
    /// Since the first packet; enough for years.
    pub frames: u32,
    /// Losses that the counters have been told.
    pub lost_told: u64,
}

/// Where a leg's packets go.
pub struct Intake<'a> {
    pub agreement: &'a Agreement,
    pub codec: &'a mut LegCodec,
    pub former: Option<&'a mut Former>,
    /// Of the present codec before a re-INVITE.
    pub former_type: Option<u8>,
    pub leg: LegHandle,
}

pub struct Receiver {
    pub latch: Latch,
    pub reception: Reception,
    pub reports: Reports,
    pub totals: Totals,
    digits: DigitReceiver,
    pub keys: KeyMerger,
    /// SSRC of our own stream.
    ours: u32,
    last_packet_ns: u64,
    /// SSRC, sequence number and timestamp of the last packet.
    last: Option<(u32, u16, u32)>,
    is_troubled: bool,
}

impl Receiver {
    pub fn new(announced: SocketAddr) -> Self {
        Self {
            latch: Latch::new(announced),
            reception: Reception::default(),
            totals: Totals::default(),
            reports: Reports::default(),
            digits: DigitReceiver::default(),
            keys: KeyMerger::default(),
            ours: 0,
            last_packet_ns: 0,
            last: None,
            is_troubled: false,
        }
    }

    /// `ours` is the SSRC of the leg's own stream.
    pub fn open(&mut self, announced: SocketAddr, ours: u32, now_ns: u64) {
        self.ours = ours;
        self.latch = Latch::new(announced);
        self.last_packet_ns = now_ns;
    }

    pub fn change(&mut self, announced: SocketAddr, now_ns: u64) -> Step {
        self.last_packet_ns = self.last_packet_ns.max(now_ns);
        self.latch.relearn(announced)
    }

    /// After a caught panic.
    pub fn restart(&mut self) {
        self.digits = DigitReceiver::default();
    }

    /// Takes everything that has arrived, within bounds.
    pub fn read_rtp(
        &mut self,
        link: &mut Link,
        intake: &mut Intake<'_>,
        reader: &mut BatchReader,
        context: &mut TickContext<'_>,
    ) {
        let now = context.now;
        let is_protected = link.is_protected();
        let clock = |unix_ns| arrival_ns(now, unix_ns);
        let refused =
            link.receive(reader, now.monotonic_ns, clock, |heard, bytes| match heard.stream {
                Stream::Rtp => self.take(bytes, heard, intake, context),
                Stream::Rtcp => self.take_rtcp(bytes, heard, is_protected, context),
            });
        count(refused, context);
        self.step_latch(link, context.now.monotonic_ns);
        self.watch(intake.agreement, intake.leg, context);
    }

    /// The second socket; most peers send there, some never do.
    pub fn read_rtcp(
        &mut self,
        link: &mut Link,
        reader: &mut BatchReader,
        context: &mut TickContext<'_>,
    ) {
        let now = context.now;
        let is_protected = link.is_protected();
        let clock = |unix_ns| arrival_ns(now, unix_ns);
        let refused = link.receive_rtcp(reader, clock, |heard, bytes| {
            self.take_rtcp(bytes, heard, is_protected, context);
        });
        count(refused, context);
    }

    /// A report is believed from the machine that we talk to; the port may be any.
    fn take_rtcp(
        &mut self,
        bytes: &[u8],
        heard: Heard,
        is_protected: bool,
        context: &mut TickContext<'_>,
    ) {
        let is_stranger = |peer: SocketAddr| peer.ip() != heard.source.ip().to_canonical();
        let is_strange = !is_protected && self.latch.target().is_some_and(is_stranger);
        let Self { reception, reports, ours, .. } = self;
        if is_strange || !reception.read(bytes, *ours, reports, heard.arrival_ns) {
            context.counts.ignored += 1;
        }
    }

    /// One datagram of the RTP socket. Whatever it is not, it is counted and forgotten.
    pub fn take(
        &mut self,
        bytes: &[u8],
        heard: Heard,
        intake: &mut Intake<'_>,
        context: &mut TickContext<'_>,
    ) {
        let Ok(packet) = RtpPacket::parse(bytes) else {
            context.counts.ignored += 1;
            return;
        };
        let pace = self.pace(&packet);
        let Some(kind) = intake.kind_of(packet.payload_type(), pace, packet.payload()) else {
            context.counts.ignored += 1;
            return;
        };
        if !self.latch.accept(heard.source, heard.arrival_ns) {
            context.counts.ignored += 1;
            return;
        }
        self.note_life(heard.arrival_ns, intake.leg, context);
        context.counts.received += 1;
        self.totals.received += 1;
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence_number());
        let timestamp = packet.timestamp();
        self.last = Some((ssrc, sequence, timestamp));
        let clock_hz = intake.agreement.codec.clock_hz();
        self.reception.packet(ssrc, sequence, timestamp, heard.arrival_ns, clock_hz);
        let silent = SilentPacket { ssrc, sequence, timestamp };
        match kind {
            Kind::Audio(codec) if hears(intake.agreement) => {
                let payload = packet.payload();
                let arrival_ns = heard.arrival_ns;
                let audio = AudioPacket { ssrc, sequence, timestamp, codec, payload, arrival_ns };
                self.store(&audio, intake, context);
            }
            Kind::Noise if hears(intake.agreement) => {
                intake.pass_noise(silent, packet.payload());
            }
            Kind::Audio(_) | Kind::Noise => {}
            Kind::Event(clock_hz) => {
                intake.pass_event(silent, heard.arrival_ns + EVENT_NS);
                let payload = packet.payload();
                let digit = self.digits.receive(timestamp, payload, clock_hz, heard.arrival_ns);
                self.tell_digit(digit, intake.leg, context);
            }
        }
    }

    /// By how much the stream's timestamps have risen from packet to packet; `None` where that cannot be
    /// told.
    fn pace(&self, packet: &RtpPacket<'_>) -> Option<u32> {
        let (ssrc, sequence, timestamp) = self.last?;
        let packets = u32::from(packet.sequence_number().wrapping_sub(sequence));
        let units = packet.timestamp().wrapping_sub(timestamp);
        let is_going_on = packet.ssrc() == ssrc && (1..100).contains(&packets);
        (is_going_on && units.is_multiple_of(packets)).then(|| units / packets)
    }

    fn store(
        &mut self,
        audio: &AudioPacket<'_>,
        intake: &mut Intake<'_>,
        context: &mut TickContext<'_>,
    ) {
        match intake.insert(audio) {
            Insertion::Late => {
                context.counts.late += 1;
                self.totals.late += 1;
            }
            Insertion::Unusable => context.counts.ignored += 1,
            Insertion::Stored | Insertion::Duplicate | Insertion::Probation => {}
        }
    }

    /// It was told that none come.
    pub fn is_without_packets(&self) -> bool {
        self.is_troubled
    }

    /// Packets have come within a second from a peer that is to be heard.
    pub fn has_packets(&self, agreement: &Agreement, now_ns: u64) -> bool {
        hears(agreement) && now_ns.saturating_sub(self.last_packet_ns) < RECENT_NS
    }

    fn note_life(&mut self, arrival_ns: u64, leg: LegHandle, context: &mut TickContext<'_>) {
        self.last_packet_ns = self.last_packet_ns.max(arrival_ns);
        if std::mem::take(&mut self.is_troubled) {
            context.events.send(Event::MediaTrouble { leg, kind: MediaTrouble::PacketsAgain });
        }
    }

    fn step_latch(&mut self, link: &mut Link, now_ns: u64) {
        match self.latch.step(now_ns) {
            Step::Stay => {}
            Step::Connect(to) => {
                if link.connect(to).is_err() {
                    self.latch.stay_unconnected(now_ns);
                }
            }
            Step::Disconnect => {
                // Failing leaves it connected to a silent peer; the next step tries nothing else,
                // and a re-INVITE disconnects again.
                let _ = link.disconnect();
            }
        }
    }

    fn tell_digit(&mut self, digit: Option<Digit>, leg: LegHandle, context: &mut TickContext<'_>) {
        let Some(Digit { digit, duration_ms }) = digit else { return };
        if self.keys.is_news(digit, Way::Rtp, context.now.monotonic_ns) {
            context.events.send(Event::Digit { leg, digit, duration_ms });
        }
    }

    /// Time-outs: a key without its end, a peer without a packet.
    fn watch(&mut self, agreement: &Agreement, leg: LegHandle, context: &mut TickContext<'_>) {
        let now_ns = context.now.monotonic_ns;
        let digit = self.digits.tick(now_ns);
        self.tell_digit(digit, leg, context);
        let silent_ns = now_ns.saturating_sub(self.last_packet_ns);
        if hears(agreement) && !self.is_troubled && silent_ns >= NO_PACKETS_NS {
            self.is_troubled = true;
            context.events.send(Event::MediaTrouble { leg, kind: MediaTrouble::NoPackets });
        }
    }

    /// The frame of this tick into `codec`: on hold, silence of exact length. The former codec is
    /// heard until the new one has a frame.
    pub fn pull(
        &mut self,
        codec: &mut LegCodec,
        former: Option<&mut Former>,
        context: &mut TickContext<'_>,
    ) -> Pulled {
        let now_ns = context.now.monotonic_ns;
        let mut pulled = codec.buffer.pull(now_ns, codec.frame.samples_mut());
        if let Some(former) = former {
            if pulled.has_audio {
                former.is_over = true;
            } else {
                pulled = former.pull(now_ns, codec.frame.samples_mut());
            }
        }
        self.totals.frames += u32::from(self.totals.received > 0);
        if pulled.concealed > 0 {
            context.counts.concealed_frames += 1;
            self.totals.concealed_frames += 1;
        }
        pulled
    }
}

impl Intake<'_> {
    /// What a payload type means on this leg. Both kinds of G.711 are understood though the other was
    /// agreed: some peers switch between them without asking.
    fn kind_of(&self, payload_type: u8, pace: Option<u32>, payload: &[u8]) -> Option<Kind> {
        let former = self.former.as_ref().filter(|it| it.payload_type == payload_type);
        let former = former.map(|it| it.codec.codec);
        if payload_type == self.agreement.payload_type {
            let present = self.agreement.codec;
            // The peer gave the number to another codec (RFC 3264 §8.3.2 forbids it), and what comes may
            // be of before: the clock and the length of the payload say which.
            let is_of = |codec: &Codec| pace == Some(codec.duration_of(payload));
            let was = former.filter(|former| is_of(former) && !is_of(&present));
            return Some(Kind::Audio(was.unwrap_or(present)));
        }
        let events = self.agreement.telephone_event;
        if let Some(events) = events.filter(|events| events.payload_type == payload_type) {
            return Some(Kind::Event(events.clock_hz));
        }
        if payload_type == COMFORT_NOISE {
            return Some(Kind::Noise);
        }
        if let Some(former) = former {
            return Some(Kind::Audio(former));
        }
        if self.former_type == Some(payload_type) {
            return Some(Kind::Audio(self.agreement.codec));
        }
        let is_alike = |codec: &Codec| codec.clock_hz() == self.agreement.codec.clock_hz();
        Codec::of_static_payload_type(payload_type).filter(is_alike).map(Kind::Audio)
    }

    /// Into the buffer of its codec.
    fn insert(&mut self, audio: &AudioPacket<'_>) -> Insertion {
        match &mut self.former {
            Some(former)
                if audio.codec == former.codec.codec && audio.codec != self.agreement.codec =>
            {
                former.codec.buffer.insert(audio)
            }
            _ => self.codec.buffer.insert(audio),
        }
    }

    fn pass_noise(&mut self, packet: SilentPacket, payload: &[u8]) {
        self.codec.buffer.pass_noise(packet, payload);
        if let Some(former) = &mut self.former {
            former.codec.buffer.pass_noise(packet, payload);
        }
    }

    fn pass_event(&mut self, packet: SilentPacket, until_ns: u64) {
        self.codec.buffer.pass_event(packet, until_ns);
        if let Some(former) = &mut self.former {
            former.codec.buffer.pass_event(packet, until_ns);
        }
    }
}

enum Kind {
    Audio(Codec),
    /// Its clock.
    Event(u32),
    Noise,
}

pub(super) fn hears(agreement: &Agreement) -> bool {
    matches!(agreement.direction, Direction::SendRecv | Direction::RecvOnly)
}

/// Kernel time stamps onto the clock of the ticks.
fn arrival_ns(now: TickTime, unix_ns: Option<u64>) -> u64 {
    let offset = now.unix_us * 1_000 - now.monotonic_ns as i64;
    unix_ns.map_or(now.monotonic_ns, |unix| (unix as i64).saturating_sub(offset) as u64)
}

fn count(refused: Refused, context: &mut TickContext<'_>) {
    context.counts.unreachable += refused.unreachable;
    context.counts.forged += refused.forged;
    context.counts.replayed += refused.replayed;
}
