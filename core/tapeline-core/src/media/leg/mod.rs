//! One call leg on the media thread: what comes in becomes one frame per tick, what the room says goes out.

pub mod digits;
pub mod latch;
pub mod level;
pub mod link;
pub mod receive;
pub mod rtcp;
pub mod send;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::boundary::counters::LegStats;
use crate::boundary::event::Event;
use crate::boundary::handle::{Handle, LegHandle};
use crate::boundary::sink::TickEventSink;
use crate::media::beep::Beep;
use crate::media::command::{Agreement, Codec, Direction};
use crate::media::frame::{Frame, TICK_MS, TICK_NS, TICKS_PER_SECOND, energy};
use crate::media::room::limiter::Limiter;
use crate::record::tap::TickTime;
use crate::sys::socket::BatchReader;
use latch::Step;
use level::{LevelWindow, TalkDetector};
use link::{Link, Sent};
use receive::Receiver;
use rtcp::{REPORT_BYTES, SenderFacts, write_report};
use send::Packetizer;

/// RTCP every five seconds (RFC 3550 §6.2: the least interval).
const REPORT_TICKS: u64 = 5 * TICKS_PER_SECOND as u64;
/// The RTCP socket is read twice a second.
const RTCP_READ_TICKS: u64 = TICKS_PER_SECOND as u64 / 2;
/// Levels and statistics are told ten times a second.
pub const WINDOW_TICKS: u64 = TICKS_PER_SECOND as u64 / 10;

/// What one tick did, added up over all legs and told to the counters once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickCounts {
    pub received: u64,
    pub sent: u64,
    pub ignored: u64,
    pub lost: u64,
    pub late: u64,
    pub concealed_frames: u64,
    pub unreachable: u64,
    pub play_underruns: u64,
}

/// What a tick lends to each leg.
pub struct TickContext<'a> {
    pub now: TickTime,
    /// Number of the tick since the start.
    pub number: u64,
    pub events: &'a mut TickEventSink,
    pub counts: &'a mut TickCounts,
}

impl TickContext<'_> {
    /// Kernel time stamps onto the clock of the ticks.
    pub fn arrival_ns(&self, unix_ns: Option<u64>) -> u64 {
        let offset = self.now.unix_us * 1_000 - self.now.monotonic_ns as i64;
        unix_ns.map_or(self.now.monotonic_ns, |unix| (unix as i64).saturating_sub(offset) as u64)
    }
}

pub struct Leg {
    pub handle: LegHandle,
    /// Slot of the conference it is in; `None`: alone in its private room.
    pub room: Option<u32>,
    pub is_muted: bool,
    pub is_deaf: bool,
    /// Into the room: what it says in this tick.
    pub frame: Frame,
    pub limiter: Limiter,
    /// Only it hears it.
    pub beep: Beep,
    /// Delay that the recordings were told last.
    pub marked_delay_ms: u32,
    /// Concealed samples that the recordings have not been told yet.
    pub unmarked_concealed: u32,
    agreement: Agreement,
    link: Option<Link>,
    stats: Option<Arc<LegStats>>,
    receiver: Receiver,
    packetizer: Packetizer,
    packets_reported: u32,
    rx_level: LevelWindow,
    tx_level: LevelWindow,
    talk: TalkDetector,
}

impl Leg {
    /// A leg without a tenant; made off the tick, because it allocates.
    pub fn blank() -> Box<Self> {
        let nowhere = ([0, 0, 0, 0], 0).into();
        let agreement = Agreement {
            remote: nowhere,
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: None,
            packet_ms: TICK_MS as u8,
            direction: Direction::Inactive,
        };
        Box::new(Self {
            handle: LegHandle(Handle { slot: 0, generation: 0 }),
            room: None,
            is_muted: false,
            is_deaf: false,
            frame: Frame::silence(Codec::Pcmu.rate_hz()),
            limiter: Limiter::default(),
            beep: Beep::default(),
            marked_delay_ms: 0,
            unmarked_concealed: 0,
            receiver: Receiver::new(nowhere, Codec::Pcmu.rate_hz()),
            agreement,
            link: None,
            stats: None,
            packetizer: Packetizer::new(),
            packets_reported: 0,
            rx_level: LevelWindow::default(),
            tx_level: LevelWindow::default(),
            talk: TalkDetector::default(),
        })
    }

    /// Moves a tenant in. Allocates nothing.
    pub fn open(
        &mut self,
        handle: LegHandle,
        link: Link,
        agreement: Agreement,
        stats: Arc<LegStats>,
        now: TickTime,
    ) {
        self.handle = handle;
        self.receiver.open(agreement.remote, now.monotonic_ns);
        self.agreement = agreement;
        self.link = Some(link);
        self.stats = Some(stats);
    }

    /// A re-INVITE: the source may have moved, the codec may differ; the stream's numbers go on.
    pub fn change(&mut self, agreement: Agreement, now: TickTime) {
        if self.receiver.change(agreement.remote, now.monotonic_ns) == Step::Disconnect
            && let Some(link) = &mut self.link
        {
            let _ = link.disconnect();
        }
        self.agreement = agreement;
    }

    /// First half of a tick: reads the socket and makes `frame`. On a panic call [`Leg::reset`].
    pub fn receive(&mut self, reader: &mut BatchReader, context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, handle, .. } = self;
        if let Some(link) = link {
            receiver.read_rtp(link, agreement, *handle, reader, context);
            let phase = u64::from(handle.0.slot);
            if (context.number + phase).is_multiple_of(RTCP_READ_TICKS) {
                receiver.read_rtcp(link, reader, context);
            }
        }
        let pulled = receiver.pull(self.frame.samples_mut(), context);
        self.unmarked_concealed += pulled.concealed;
        if self.is_muted {
            self.frame.silence_it();
        }
        let samples = self.frame.samples();
        let energy = energy(samples);
        self.rx_level.add(energy, samples.len());
        if let Some(is_talking) = self.talk.tick(energy, samples.len()) {
            context.events.send(Event::Talking { leg: self.handle, is_talking });
        }
    }

    /// Second half: sends what the room says. `frame` has the codec's rate.
    pub fn send(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        self.tx_level.add(energy(frame), frame.len());
        let Self { link, receiver, agreement, packetizer, .. } = self;
        let may_send = matches!(agreement.direction, Direction::SendRecv | Direction::SendOnly);
        match (link, receiver.latch.target()) {
            (Some(link), Some(to)) if may_send => {
                let is_connected = receiver.latch.is_connected();
                packetizer.push(frame, agreement, |packet| {
                    match link.send_rtp(to, is_connected, packet) {
                        Sent::Gone => context.counts.sent += 1,
                        Sent::Unreachable => context.counts.unreachable += 1,
                        Sent::Dropped => {}
                    }
                });
            }
            _ => packetizer.pause(frame.len() as u32),
        }
        let phase = u64::from(self.handle.0.slot) * 7;
        if (context.number + phase).is_multiple_of(REPORT_TICKS) {
            self.send_report(context.now);
        }
    }

    fn send_report(&mut self, now: TickTime) {
        let (Some(link), Some(mut to)) = (&mut self.link, self.receiver.latch.target()) else {
            return;
        };
        let Some(port) = to.port().checked_add(1) else { return };
        to.set_port(port);
        let packets = self.packetizer.packets;
        let facts = SenderFacts {
            ssrc: self.packetizer.ssrc(),
            timestamp: self.packetizer.timestamp(),
            packets,
            octets: self.packetizer.octets,
            has_sent: packets != self.packets_reported,
        };
        self.packets_reported = packets;
        let mut buffer = [0; REPORT_BYTES];
        let reception = &mut self.receiver.reception;
        let length = write_report(&mut buffer, facts, reception, now.unix_us, now.monotonic_ns);
        // A peer without RTCP answers with ICMP: no fact worth counting.
        let _ = link.send_rtcp(to, buffer.get(..length).unwrap_or(&[]));
    }

    /// Present delay of the jitter buffer, as the next pull would find it.
    pub fn delay_ms(&self, now: TickTime) -> u32 {
        self.receiver.delay_ms(now.monotonic_ns)
    }

    /// Ten times a second: levels and totals for whoever asks. Returns the buffer's delay.
    pub fn publish(&mut self, context: &mut TickContext<'_>) -> u32 {
        // The frame of this tick has been pulled: the next one's delay is that of the next tick.
        let delay_ms = self.receiver.delay_ms(context.now.monotonic_ns + TICK_NS);
        let (rx, tx) = (self.rx_level.take_cdb(), self.tx_level.take_cdb());
        let totals = &mut self.receiver.totals;
        let lost = self.receiver.reception.lost();
        context.counts.lost += lost.saturating_sub(totals.lost_told);
        totals.lost_told = totals.lost_told.max(lost);
        let Some(stats) = &self.stats else { return delay_ms };
        stats.packets_received.store(totals.received, Ordering::Relaxed);
        stats.packets_sent.store(u64::from(self.packetizer.packets), Ordering::Relaxed);
        stats.packets_lost.store(lost, Ordering::Relaxed);
        stats.packets_late.store(totals.late, Ordering::Relaxed);
        stats.frames_concealed.store(totals.concealed_frames, Ordering::Relaxed);
        stats.buffer_delay_ms.store(delay_ms, Ordering::Relaxed);
        stats.level_rx_cdb.store(rx, Ordering::Relaxed);
        stats.level_tx_cdb.store(tx, Ordering::Relaxed);
        delay_ms
    }

    /// After a caught panic: this tick is silent, and what may be half done begins anew.
    pub fn reset(&mut self) {
        self.frame.silence_it();
        self.receiver.restart();
    }

    /// Ticks that were not run: the stream's clock goes on.
    pub fn skip(&mut self, ticks: u64) {
        let samples = ticks * self.frame.samples().len() as u64;
        self.packetizer.pause(samples as u32);
    }
}
