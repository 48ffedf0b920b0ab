//! One call leg on the media thread: what comes in becomes one frame per tick, what the room says goes out.

mod account;
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
mod speak;
mod speech;

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
use crate::media::command::{Agreement, Codec, Direction, RtcpPlace};
use crate::media::frame::{TICK_MS, TICKS_PER_SECOND, energy};
use crate::media::phases::Phase;
use crate::media::room::participant::Participant;
use crate::media::srtp::Srtp;
use crate::record::tap::TickTime;
use crate::sys::socket::BatchReader;
use digits::Way;
use keying::Keying;
use latch::Step;
use level::{LevelWindow, SilenceWatch, Sound, TalkDetector};
use link::Link;
use receive::{Intake, Receiver, hears};
use seat::quiet_ticks;
use send::Packetizer;
use speak::may_send;
use speech::Former;

pub use lane::Lane;
pub use seat::Limiters;
pub use speech::LegCodec;

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
