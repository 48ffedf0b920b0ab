//! The receiving half of a leg: packets are checked, latched, sorted into audio and digits, and buffered.

use std::net::SocketAddr;

use rtp_types::RtpPacket;

use crate::boundary::event::{Event, MediaTrouble};
use crate::boundary::handle::LegHandle;
use crate::media::command::{Agreement, Codec, Direction};
use crate::media::jitter::{AudioPacket, Insertion, JitterBuffer, Pulled};
use crate::media::leg::TickContext;
use crate::media::leg::digits::{Digit, DigitReceiver};
use crate::media::leg::latch::{Latch, Step};
use crate::media::leg::link::Link;
use crate::media::leg::rtcp::Reception;
use crate::sys::socket::{BATCH, BatchReader};

/// Batches read in one tick; what is more stays in the kernel until the next.
const BATCHES: usize = 4;
/// No packet for so long is told once.
const NO_PACKETS_NS: u64 = 10_000_000_000;
/// How long a telephone-event stands for audio that does not come.
const EVENT_NS: u64 = 100_000_000;
/// Comfort noise (RFC 3389): the sender pauses.
const COMFORT_NOISE: u8 = 13;

/// Since the leg began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub received: u64,
    pub late: u64,
    pub concealed_frames: u64,
    /// Losses that the counters have been told.
    pub lost_told: u64,
}

pub struct Receiver {
    pub latch: Latch,
    pub reception: Reception,
    pub totals: Totals,
    buffer: JitterBuffer,
    rate_hz: u32,
    digits: DigitReceiver,
    last_packet_ns: u64,
    is_troubled: bool,
}

impl Receiver {
    pub fn new(announced: SocketAddr, rate_hz: u32) -> Self {
        Self {
            latch: Latch::new(announced),
            reception: Reception::default(),
            totals: Totals::default(),
            buffer: JitterBuffer::new(rate_hz),
            rate_hz,
            digits: DigitReceiver::default(),
            last_packet_ns: 0,
            is_troubled: false,
        }
    }

    pub fn open(&mut self, announced: SocketAddr, now_ns: u64) {
        self.latch = Latch::new(announced);
        self.last_packet_ns = now_ns;
    }

    pub fn change(&mut self, announced: SocketAddr, now_ns: u64) -> Step {
        self.last_packet_ns = self.last_packet_ns.max(now_ns);
        self.latch.relearn(announced)
    }

    /// After a caught panic.
    pub fn restart(&mut self) {
        self.buffer = JitterBuffer::new(self.rate_hz);
        self.digits = DigitReceiver::default();
    }

    pub fn delay_ms(&self, now_ns: u64) -> u32 {
        let delay_ns = self.buffer.delay_ns(now_ns).unwrap_or(0).max(0);
        ((delay_ns + 500_000) / 1_000_000) as u32
    }

    /// Takes everything that has arrived, within bounds.
    pub fn read_rtp(
        &mut self,
        link: &mut Link,
        agreement: &Agreement,
        leg: LegHandle,
        reader: &mut BatchReader,
        context: &mut TickContext<'_>,
    ) {
        match link {
            Link::Udp(setup) => {
                for _ in 0..BATCHES {
                    let Ok(count) = reader.read(&setup.rtp) else {
                        // The ICMP answer to something we sent (ECONNREFUSED and its like).
                        context.counts.unreachable += 1;
                        break;
                    };
                    for datagram in reader.datagrams() {
                        let arrival_ns = context.arrival_ns(datagram.arrival_unix_ns);
                        let heard = Heard { source: datagram.source, arrival_ns };
                        self.take(datagram.bytes, heard, agreement, leg, context);
                    }
                    if count < BATCH {
                        break;
                    }
                }
            }
            Link::Memory(memory) => {
                for _ in 0..BATCHES * BATCH {
                    let Some(packet) = memory.receive(context.now.monotonic_ns) else { break };
                    let heard = Heard { source: packet.peer, arrival_ns: packet.arrival_ns };
                    if packet.is_rtcp {
                        self.take_rtcp(packet.bytes(), heard.arrival_ns, context);
                    } else {
                        self.take(packet.bytes(), heard, agreement, leg, context);
                    }
                }
            }
        }
        self.step_latch(link, context.now.monotonic_ns);
        self.watch(agreement, leg, context);
    }

    /// The second socket; most peers send there, some never do.
    pub fn read_rtcp(
        &mut self,
        link: &mut Link,
        reader: &mut BatchReader,
        context: &mut TickContext<'_>,
    ) {
        let Link::Udp(setup) = link else { return };
        // An ICMP answer to a report of ours is no news.
        if reader.read(&setup.rtcp).is_ok() {
            for datagram in reader.datagrams() {
                let arrival_ns = context.arrival_ns(datagram.arrival_unix_ns);
                self.take_rtcp(datagram.bytes, arrival_ns, context);
            }
        }
    }

    fn take_rtcp(&mut self, bytes: &[u8], at_ns: u64, context: &mut TickContext<'_>) {
        if !self.reception.read(bytes, at_ns) {
            context.counts.ignored += 1;
        }
    }

    /// One datagram of the RTP socket. Whatever it is not, it is counted and forgotten.
    pub fn take(
        &mut self,
        bytes: &[u8],
        heard: Heard,
        agreement: &Agreement,
        leg: LegHandle,
        context: &mut TickContext<'_>,
    ) {
        // RFC 5761 §4: RTCP on the RTP port.
        if matches!(bytes, [0x80..=0xbf, 192..=223, ..]) {
            return self.take_rtcp(bytes, heard.arrival_ns, context);
        }
        let Ok(packet) = RtpPacket::parse(bytes) else {
            context.counts.ignored += 1;
            return;
        };
        let Some(kind) = kind_of(packet.payload_type(), agreement) else {
            context.counts.ignored += 1;
            return;
        };
        if !self.latch.accept(heard.source, heard.arrival_ns) {
            context.counts.ignored += 1;
            return;
        }
        self.note_life(heard.arrival_ns, leg, context);
        context.counts.received += 1;
        self.totals.received += 1;
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence_number());
        let timestamp = packet.timestamp();
        self.reception.packet(ssrc, sequence, timestamp, heard.arrival_ns, self.rate_hz);
        match kind {
            Kind::Audio(codec) if hears(agreement) => {
                let payload = packet.payload();
                let arrival_ns = heard.arrival_ns;
                let audio = AudioPacket { ssrc, sequence, timestamp, codec, payload, arrival_ns };
                self.store(&audio, context);
            }
            Kind::Audio(_) => {}
            Kind::Event => {
                self.buffer.pass_event(ssrc, sequence, heard.arrival_ns + EVENT_NS);
                let digit = self.digits.receive(timestamp, packet.payload(), heard.arrival_ns);
                tell_digit(digit, leg, context);
            }
            Kind::Noise => self.buffer.pass_event(ssrc, sequence, heard.arrival_ns + EVENT_NS),
        }
    }

    fn store(&mut self, audio: &AudioPacket<'_>, context: &mut TickContext<'_>) {
        match self.buffer.insert(audio) {
            Insertion::Late => {
                context.counts.late += 1;
                self.totals.late += 1;
            }
            Insertion::Unusable => context.counts.ignored += 1,
            Insertion::Stored | Insertion::Duplicate | Insertion::Probation => {}
        }
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

    /// Time-outs: a key without its end, a peer without a packet.
    fn watch(&mut self, agreement: &Agreement, leg: LegHandle, context: &mut TickContext<'_>) {
        let now_ns = context.now.monotonic_ns;
        let digit = self.digits.tick(now_ns);
        tell_digit(digit, leg, context);
        let silent_ns = now_ns.saturating_sub(self.last_packet_ns);
        if hears(agreement) && !self.is_troubled && silent_ns >= NO_PACKETS_NS {
            self.is_troubled = true;
            context.events.send(Event::MediaTrouble { leg, kind: MediaTrouble::NoPackets });
        }
    }

    /// The frame of this tick: on hold, silence of exact length.
    pub fn pull(&mut self, out: &mut [i16], context: &mut TickContext<'_>) -> Pulled {
        let pulled = self.buffer.pull(context.now.monotonic_ns, out);
        if pulled.concealed > 0 {
            context.counts.concealed_frames += 1;
            self.totals.concealed_frames += 1;
        }
        pulled
    }
}

/// Where and when a datagram came.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub source: SocketAddr,
    pub arrival_ns: u64,
}

enum Kind {
    Audio(Codec),
    Event,
    Noise,
}

/// What a payload type means on this leg. The static ones of RFC 3551 are understood though another was
/// agreed: some peers switch between them without asking.
fn kind_of(payload_type: u8, agreement: &Agreement) -> Option<Kind> {
    if payload_type == agreement.payload_type {
        return Some(Kind::Audio(agreement.codec));
    }
    if Some(payload_type) == agreement.telephone_event {
        return Some(Kind::Event);
    }
    if payload_type == COMFORT_NOISE {
        return Some(Kind::Noise);
    }
    Codec::of_static_payload_type(payload_type).map(Kind::Audio)
}

fn hears(agreement: &Agreement) -> bool {
    matches!(agreement.direction, Direction::SendRecv | Direction::RecvOnly)
}

fn tell_digit(digit: Option<Digit>, leg: LegHandle, context: &mut TickContext<'_>) {
    if let Some(Digit { digit, duration_ms }) = digit {
        context.events.send(Event::Digit { leg, digit, duration_ms });
    }
}
