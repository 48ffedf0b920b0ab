//! One call leg on the media thread: what comes in becomes one frame per tick, what the room says goes out.

mod bundle;
pub mod digits;
pub mod keying;
mod lane;
pub mod latch;
pub mod level;
pub mod link;
mod quality;
pub mod receive;
pub mod rtcp;
mod seat;
pub mod send;
mod speech;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::boundary::command::CommandId;
use crate::boundary::counters::LegStats;
use crate::boundary::digits::DigitString;
use crate::boundary::event::{Event, MediaTrouble};
use crate::boundary::handle::{Handle, LegHandle};
use crate::boundary::sink::TickEventSink;
use crate::media::beep::Beep;
use crate::media::codec::Rate;
use crate::media::command::{Agreement, Codec, Direction, KeyEvents, RtcpPlace};
use crate::media::frame::{FRAME_MAX, TICK_MS, TICK_NS, TICKS_PER_SECOND, energy};
use crate::media::phases::Phase;
use crate::media::room::participant::Participant;
use crate::media::srtp::Srtp;
use crate::record::tap::TickTime;
use crate::sys::socket::BatchReader;
use digits::Way;
use keying::{Keyed, Keying, Pressed};
use latch::Step;
use level::{LevelWindow, SilenceWatch, Sound, TalkDetector};
use link::{Link, Sent};
use quality::mos_x100;
use receive::{Intake, Receiver, hears};
use rtcp::{REPORT_BYTES, SenderFacts, write_report};
use seat::quiet_ticks;
use send::{Packetizer, frame_ms};
use speech::Former;

pub use lane::Lane;
pub use seat::Limiters;
pub use speech::LegCodec;

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
    pub forged: u64,
    pub replayed: u64,
    pub play_underruns: u64,
}

/// What a tick lends to each leg.
pub struct TickContext<'a> {
    pub now: TickTime,
    /// Number of the tick since the start.
    pub number: u64,
    pub events: &'a mut TickEventSink,
    pub counts: &'a mut TickCounts,
    /// Room for one encoded tick ([`crate::media::codec::PAYLOAD_MAX`]) where something is sent; nobody clears it.
    pub payload: &'a mut [u8],
}

pub struct Leg {
    pub handle: LegHandle,
    /// Slot of the conference it is in; `None`: alone in its private room.
    pub room: Option<u32>,
    /// When in the tick it is run; its room has the same.
    pub phase: Phase,
    /// It was run once at least: from then on exactly once in every tick.
    pub has_run: bool,
    pub part: Participant,
    pub limiters: Limiters,
    /// It hears the whole mix of its room, encoded once for all who do.
    pub is_sharing: bool,
    /// Between its rate and its room's, where they differ: now, before the room's rate changed in this
    /// tick, and after it will.
    lane: Option<Box<Lane>>,
    former_lane: Option<Box<Lane>>,
    next_lane: Option<Box<Lane>>,
    is_blending: bool,
    /// Sum of squares of what it says in this tick, and for how long that has been hardly anything.
    energy: u64,
    quiet_ticks: u32,
    /// Only it hears it.
    pub beep: Beep,
    /// Delay that the recordings were told last.
    pub marked_delay_ms: u32,
    /// Concealed samples that the recordings have not been told yet.
    pub unmarked_concealed: u32,
    agreement: Agreement,
    codec: Option<Box<LegCodec>>,
    former: Option<Former>,
    /// Payload type of the codec before a re-INVITE that gave it another.
    former_type: Option<u8>,
    link: Option<Link>,
    stats: Option<Arc<LegStats>>,
    receiver: Receiver,
    packetizer: Packetizer,
    keying: Keying,
    /// RTP timestamp at which the key under way was pressed.
    key_timestamp: u32,
    packets_reported: u32,
    /// Received packets and concealed frames at the last report.
    judged: (u64, u64),
    /// The most that anyone loses who hears what it encodes.
    listeners_loss: Option<u8>,
    rx_level: LevelWindow,
    tx_level: LevelWindow,
    talk: TalkDetector,
    silence: SilenceWatch,
    /// What the recordings were told last.
    pub marked_sound: Sound,
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
            rtcp: RtcpPlace::default(),
            srtp: None,
        };
        Box::new(Self {
            handle: LegHandle(Handle { slot: 0, generation: 0 }),
            room: None,
            phase: Phase::FIRST,
            has_run: false,
            part: Participant::default(),
            limiters: Limiters::default(),
            is_sharing: false,
            lane: None,
            former_lane: None,
            next_lane: None,
            is_blending: false,
            energy: 0,
            quiet_ticks: 0,
            beep: Beep::default(),
            marked_delay_ms: 0,
            unmarked_concealed: 0,
            receiver: Receiver::new(nowhere),
            agreement,
            codec: None,
            former: None,
            former_type: None,
            link: None,
            stats: None,
            packetizer: Packetizer::new(),
            keying: Keying::default(),
            key_timestamp: 0,
            packets_reported: 0,
            judged: (0, 0),
            listeners_loss: None,
            rx_level: LevelWindow::default(),
            tx_level: LevelWindow::default(),
            talk: TalkDetector::default(),
            silence: SilenceWatch::default(),
            marked_sound: Sound::default(),
        })
    }

    /// Moves a tenant in. Allocates nothing.
    pub fn open(
        &mut self,
        handle: LegHandle,
        link: Link,
        (agreement, codec): (Agreement, Box<LegCodec>),
        stats: Arc<LegStats>,
        now: TickTime,
    ) {
        self.handle = handle;
        self.receiver.open(agreement.remote, self.packetizer.ssrc(), now.monotonic_ns);
        stats.rate_hz.store(agreement.codec.rate_hz(), Ordering::Relaxed);
        self.agreement = agreement;
        self.codec = Some(codec);
        self.link = Some(link);
        self.stats = Some(stats);
    }

    /// A re-INVITE: the source may have moved, `codec` is there when it is another one; the stream's
    /// numbers go on. Gives back the codec that nobody needs any more.
    pub fn change(
        &mut self,
        agreement: Agreement,
        codec: Option<Box<LegCodec>>,
        now: TickTime,
    ) -> Option<Box<LegCodec>> {
        if self.receiver.change(agreement.remote, now.monotonic_ns) == Step::Disconnect
            && let Some(link) = &mut self.link
        {
            let _ = link.disconnect();
        }
        if let Some(stats) = &self.stats {
            stats.rate_hz.store(agreement.codec.rate_hz(), Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut self.agreement, agreement);
        let is_renumbered = before.payload_type != self.agreement.payload_type;
        self.former_type = (codec.is_none() && is_renumbered).then_some(before.payload_type);
        if !hears(&self.agreement)
            && let Some(codec) = &mut self.codec
        {
            codec.buffer.hush();
        }
        let next = codec?;
        self.packetizer.restart();
        let rate = next.codec.rate();
        let replaced = self.codec.replace(next)?;
        let former = Former::new(&before, replaced, rate);
        self.former.replace(former).map(|older| older.codec)
    }

    /// Other keys after a re-INVITE; gives back what nobody needs any more.
    pub fn protect(&mut self, srtp: Option<Box<Srtp>>) -> Option<Box<Srtp>> {
        match &mut self.link {
            Some(link) => link.protect(srtp),
            None => srtp,
        }
    }

    /// False when the key that SIP INFO tells was heard in the RTP.
    pub fn is_news(&mut self, digit: u8, now: TickTime) -> bool {
        self.receiver.keys.is_news(digit, Way::Info, now.monotonic_ns)
    }

    /// Presses keys from the next tick on; tone and gap in milliseconds.
    pub fn key(
        &mut self,
        command: CommandId,
        digits: DigitString,
        (tone_ms, gap_ms): (u16, u16),
    ) -> Result<(), &'static str> {
        if !may_send(&self.agreement) {
            return Err("the far end holds the call: it hears no digits");
        }
        let queued = self.keying.push(command, digits, tone_ms, gap_ms);
        queued.map_err(|_| "as many digits as the call takes wait already")
    }

    /// The leg ends: commands that will not be done.
    pub fn give_up(&mut self) -> impl Iterator<Item = CommandId> + use<> {
        self.keying.give_up()
    }

    /// What it says in this tick, at its codec's rate.
    pub fn rx(&self) -> &[i16] {
        self.codec.as_ref().map_or(&[], |codec| codec.frame.samples())
    }

    pub fn codec(&self) -> Option<Codec> {
        self.codec.as_ref().map(|codec| codec.codec)
    }

    pub fn rate(&self) -> Rate {
        self.agreement.codec.rate()
    }

    pub fn lend_codec(&mut self) -> Option<Box<LegCodec>> {
        self.codec.take()
    }

    pub fn return_codec(&mut self, codec: Box<LegCodec>) {
        self.codec = Some(codec);
    }

    /// `follower` encodes on as this leg would.
    pub fn tell_encoder(&self, follower: &mut LegCodec) {
        if let Some(codec) = &self.codec {
            follower.continue_from(codec);
        }
    }

    /// The codec of before a re-INVITE, once the new one is heard: to be freed off the tick.
    pub fn take_former(&mut self) -> Option<Box<LegCodec>> {
        self.former.take_if(|former| former.is_over).map(|former| former.codec)
    }

    /// First half of a tick: reads the socket and makes the frame. On a panic call [`Leg::reset`].
    pub fn receive(&mut self, reader: &mut BatchReader, context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, handle, codec, former, former_type, .. } = self;
        let Some(codec) = codec else { return };
        if let Some(link) = link {
            let (former, former_type, leg) = (former.as_mut(), *former_type, *handle);
            let mut intake = Intake { agreement, codec, former, former_type, leg };
            receiver.read_rtp(link, &mut intake, reader, context);
            let phase = u64::from(handle.0.slot);
            if (context.number + phase).is_multiple_of(RTCP_READ_TICKS) {
                receiver.read_rtcp(link, reader, context);
            }
        }
        let pulled = receiver.pull(codec, former.as_mut(), context);
        self.unmarked_concealed += pulled.concealed;
        self.part.shape(&mut codec.frame);
        let samples = codec.frame.samples();
        let energy = energy(samples);
        self.energy = energy;
        self.quiet_ticks = quiet_ticks(self.quiet_ticks, energy, samples.len());
        for lane in [&mut self.lane, &mut self.former_lane].into_iter().flatten() {
            lane.speak(samples, energy == 0);
        }
        self.rx_level.add(energy, samples.len());
        if let Some(is_talking) = self.talk.tick(energy, samples.len()) {
            context.events.send(Event::Talking { leg: self.handle, is_talking });
        }
        let is_expected = self.receiver.has_packets(&self.agreement, context.now.monotonic_ns)
            && self.part.settings().is_heard_by_all();
        if let Some(is_silent) = self.silence.tick(energy, samples.len(), is_expected) {
            let kind = if is_silent { MediaTrouble::Silent } else { MediaTrouble::SoundAgain };
            context.events.send(Event::MediaTrouble { leg: self.handle, kind });
        }
    }

    /// What comes from it now.
    pub fn sound(&self) -> Sound {
        if self.receiver.is_without_packets() {
            Sound::NoPackets
        } else if self.silence.is_silent() {
            Sound::Silent
        } else {
            Sound::Heard
        }
    }

    /// Second half: sends what the room says. `frame` has the codec's rate.
    pub fn send(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        let (keyed, done) = self.keying.tick();
        if let Some(command) = done {
            context.events.send(Event::CommandDone { command });
        }
        match (keyed, self.agreement.telephone_event) {
            (Keyed::Audio, _) => self.send_frame(frame, context),
            (Keyed::Nothing, Some(_)) => self.send_encoded(&[], energy(frame), context),
            (Keyed::Pressed(pressed), Some(events)) => {
                self.send_event(events, pressed, context);
                self.send_encoded(&[], energy(frame), context);
            }
            (keyed, None) => {
                let mut tones = [0; FRAME_MAX];
                let tones = tones.get_mut(..frame.len()).unwrap_or(&mut []);
                if let Keyed::Pressed(pressed) = keyed {
                    pressed.sound(self.agreement.codec.rate_hz(), tones);
                }
                self.send_frame(tones, context);
            }
        }
    }

    /// A telephone-event in the leg's own stream; its time is that of the tick, which passes by itself.
    /// On another clock than the stream's its timestamp goes on from the stream's all the same, as
    /// RFC 7160 has it of clocks that change: only durations are counted on its own.
    fn send_event(&mut self, events: KeyEvents, pressed: Pressed, context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, packetizer, .. } = self;
        if pressed.is_start {
            self.key_timestamp = packetizer.timestamp();
        }
        let target = receiver.latch.target().filter(|_| may_send(agreement));
        let (Some(link), Some(to)) = (link, target) else { return };
        let is_connected = receiver.latch.is_connected();
        let payload = pressed.payload(events.clock_hz / TICKS_PER_SECOND);
        let event = (self.key_timestamp, pressed.is_start, payload);
        packetizer.event(events.payload_type, event, |packet| {
            count(link.send_rtp(to, is_connected, packet), context);
        });
    }

    fn send_frame(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        if !self.takes_ticks() && may_send(&self.agreement) {
            return self.send_halves(frame, context);
        }
        let payload = std::mem::take(&mut context.payload);
        let length = match &mut self.codec {
            Some(codec) if may_send(&self.agreement) => {
                codec.encode(frame, context.number, payload)
            }
            _ => 0,
        };
        self.send_encoded(payload.get(..length).unwrap_or(&[]), energy(frame), context);
        context.payload = payload;
    }

    /// Two frames of half a tick, a packet each.
    fn send_halves(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        self.tx_level.add(energy(frame), frame.len());
        let payload = std::mem::take(&mut context.payload);
        for half in frame.chunks((frame.len() / 2).max(1)) {
            let codec = self.codec.as_mut();
            let length = codec.map_or(0, |codec| codec.encoder.encode(half, payload));
            self.packetize(payload.get(..length).unwrap_or(&[]), context);
        }
        context.payload = payload;
        self.report(context);
    }

    /// Encodes for itself and those who share its stream; returns the bytes written to `payload`.
    pub fn encode_once(&mut self, frame: &[i16], number: u64, payload: &mut [u8]) -> usize {
        self.codec.as_mut().map_or(0, |codec| codec.encode(frame, number, payload))
    }

    /// Sends what is encoded already; `energy` is the sum of squares of what it is.
    pub fn send_encoded(&mut self, payload: &[u8], energy: u64, context: &mut TickContext<'_>) {
        self.tx_level.add(energy, self.rx().len());
        self.packetize(payload, context);
        self.report(context);
    }

    /// A tick of the leg's own stream, or half of one where packets are shorter; an empty one is a pause.
    fn packetize(&mut self, payload: &[u8], context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, packetizer, codec, .. } = self;
        match (link, receiver.latch.target(), codec) {
            (Some(link), Some(to), Some(codec)) if may_send(agreement) => {
                let is_connected = receiver.latch.is_connected();
                packetizer.push(payload, agreement, &mut codec.packet, |packet| {
                    count(link.send_rtp(to, is_connected, packet), context);
                });
            }
            _ => packetizer.pause(agreement.codec, 1),
        }
    }

    fn report(&mut self, context: &mut TickContext<'_>) {
        let phase = u64::from(self.handle.0.slot) * 7;
        if (context.number + phase).is_multiple_of(REPORT_TICKS) {
            self.send_report(context.now, false);
            self.judge(context.now);
            self.expect_loss();
        }
    }

    /// How much is sent twice: as much as the far end loses, or those who share what it encodes.
    fn expect_loss(&mut self) {
        let percent = self.expected_loss().max(std::mem::take(&mut self.listeners_loss));
        if let (Some(codec), Some(percent)) = (&mut self.codec, percent) {
            codec.encoder.expect_loss(percent);
        }
    }

    /// Percent of its packets that the far end is expected to lose; `None` before its first report.
    pub fn expected_loss(&self) -> Option<u8> {
        self.receiver.reports.loss.percent()
    }

    /// Somebody hears what it encodes.
    pub fn note_listener(&mut self, expected_loss: Option<u8>) {
        self.listeners_loss = self.listeners_loss.max(expected_loss);
    }

    /// It takes a tick at once: what others encode suits it.
    pub fn takes_ticks(&self) -> bool {
        u32::from(frame_ms(&self.agreement)) == TICK_MS
    }

    /// The leg ends: the far end is told in RTCP too (RFC 3550 §6.6).
    pub fn farewell(&mut self, now: TickTime) {
        self.send_report(now, true);
    }

    fn send_report(&mut self, now: TickTime, is_last: bool) {
        let target = self.receiver.latch.target();
        let to = target.and_then(|to| rtcp_place(to, &self.agreement));
        let (Some(link), Some((to, with_rtp))) = (&mut self.link, to) else { return };
        let packets = self.packetizer.packets;
        let facts = SenderFacts {
            ssrc: self.packetizer.ssrc(),
            timestamp: self.packetizer.timestamp(),
            packets,
            octets: self.packetizer.octets,
            has_sent: packets != self.packets_reported,
            is_last,
        };
        self.packets_reported = packets;
        let mut buffer = [0; REPORT_BYTES];
        let about = (&mut self.receiver.reception, &mut self.receiver.reports);
        let length = write_report(&mut buffer, facts, about, now.unix_us, now.monotonic_ns);
        // A peer without RTCP answers with ICMP: no fact worth counting.
        let _ = link.send_rtcp(to, with_rtp, buffer.get(..length).unwrap_or(&[]));
    }

    /// How the last five seconds sounded.
    fn judge(&mut self, now: TickTime) {
        let Some(stats) = &self.stats else { return };
        let totals = self.receiver.totals;
        let (received, concealed) = (totals.received, totals.concealed_frames);
        let before = std::mem::replace(&mut self.judged, (received, concealed));
        if received == before.0 {
            stats.mos_x100.store(0, Ordering::Relaxed);
            return;
        }
        let loss_percent = (concealed - before.1) as f32 * 100.0 / REPORT_TICKS as f32;
        let one_way_ms = self.one_way_ms(self.delay_ms(now));
        stats.mos_x100.store(mos_x100(one_way_ms, loss_percent), Ordering::Relaxed);
    }

    /// From the far end's mouth to the room; `delay_ms` is the jitter buffer's.
    fn one_way_ms(&self, delay_ms: u32) -> f32 {
        let way_ns = self.receiver.reports.remote.round_trip_ns.unwrap_or(0) / 2;
        let here_ms = delay_ms + u32::from(self.agreement.packet_ms);
        way_ns as f32 / 1e6 + here_ms as f32
    }

    /// It was given another phase: `due` is its next run, and no tick has been left out.
    pub fn expect_run(&mut self, due: TickTime) {
        let former = self.former.as_mut().map(|former| &mut former.codec);
        for codec in former.into_iter().chain(&mut self.codec) {
            codec.buffer.expect_pull(due.monotonic_ns);
        }
    }

    /// Present delay of the jitter buffer, as the pull at `now` would find it.
    pub fn delay_ms(&self, now: TickTime) -> u32 {
        self.buffer_delay_ms(now.monotonic_ns)
    }

    fn buffer_delay_ms(&self, now_ns: u64) -> u32 {
        let codec = self.former.as_ref().map(|former| &former.codec).or(self.codec.as_ref());
        let delay_ns = codec.and_then(|codec| codec.buffer.delay_ns(now_ns)).unwrap_or(0).max(0);
        ((delay_ns + 500_000) / 1_000_000) as u32
    }

    /// Ten times a second: levels and totals for whoever asks. Returns the buffer's delay.
    pub fn publish(&mut self, context: &mut TickContext<'_>) -> u32 {
        // The frame of this tick has been pulled: the next one's delay is that of the next tick.
        let delay_ms = self.buffer_delay_ms(context.now.monotonic_ns + TICK_NS);
        let (rx, tx) = (self.rx_level.take_cdb(), self.tx_level.take_cdb());
        let totals = &mut self.receiver.totals;
        let lost = self.receiver.reception.lost();
        context.counts.lost += lost.saturating_sub(totals.lost_told);
        totals.lost_told = totals.lost_told.max(lost);
        let totals = *totals;
        let Some(stats) = &self.stats else { return delay_ms };
        stats.packets_received.store(totals.received, Ordering::Relaxed);
        stats.packets_sent.store(u64::from(self.packetizer.packets), Ordering::Relaxed);
        stats.packets_lost.store(lost, Ordering::Relaxed);
        stats.packets_late.store(totals.late, Ordering::Relaxed);
        stats.frames_concealed.store(totals.concealed_frames, Ordering::Relaxed);
        stats.buffer_delay_ms.store(delay_ms, Ordering::Relaxed);
        let receiver = &self.receiver;
        let round_trip_us =
            receiver.reports.remote.round_trip_ns.map_or(0, |ns| ns.max(1_000) / 1_000);
        let jitter_ms = receiver.reception.jitter_ms();
        stats.jitter_ms.store(jitter_ms, Ordering::Relaxed);
        stats.jitter_max_ms.fetch_max(jitter_ms, Ordering::Relaxed);
        if totals.frames > 0 {
            let loss_percent = totals.concealed_frames as f32 * 100.0 / totals.frames as f32;
            let mos_x100 = mos_x100(self.one_way_ms(delay_ms), loss_percent);
            stats.call_mos_x100.store(mos_x100, Ordering::Relaxed);
        }
        stats.round_trip_us.store(round_trip_us as u32, Ordering::Relaxed);
        let remote_lost = receiver.reports.remote.lost.max(0);
        stats.remote_lost.store(remote_lost.unsigned_abs().into(), Ordering::Relaxed);
        stats.level_rx_cdb.store(rx, Ordering::Relaxed);
        stats.level_tx_cdb.store(tx, Ordering::Relaxed);
        delay_ms
    }

    /// After a caught panic: this tick is silent, and what may be half done begins anew.
    pub fn reset(&mut self) {
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
        if let Some(former) = &mut self.former {
            former.is_over = true;
        }
        self.receiver.restart();
    }

    /// Ticks that were not run: the stream's clock goes on.
    pub fn skip(&mut self, ticks: u64) {
        self.packetizer.pause(self.agreement.codec, ticks);
    }
}

fn may_send(agreement: &Agreement) -> bool {
    matches!(agreement.direction, Direction::SendRecv | Direction::SendOnly)
}

fn count(sent: Sent, context: &mut TickContext<'_>) {
    match sent {
        Sent::Gone => context.counts.sent += 1,
        Sent::Unreachable => context.counts.unreachable += 1,
        Sent::Dropped => {}
    }
}

/// Where our reports go when RTP goes to `to`, and whether on the RTP's own port. What the SDP names is
/// good as long as the peer is where the SDP says.
fn rtcp_place(to: SocketAddr, agreement: &Agreement) -> Option<(SocketAddr, bool)> {
    match agreement.rtcp {
        RtcpPlace::Multiplexed => Some((to, true)),
        RtcpPlace::At(place) if to == agreement.remote => Some((place, false)),
        RtcpPlace::At(_) | RtcpPlace::NextPort => {
            let port = to.port().checked_add(1)?;
            Some((SocketAddr::new(to.ip(), port), false))
        }
    }
}
