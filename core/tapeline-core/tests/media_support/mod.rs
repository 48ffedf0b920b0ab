//! Phones in memory around the real tick, in virtual time: no socket, no thread, no sleep.

#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::Arc;

use rtp_types::RtpPacket;
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::counters::{Counters, LegStats};
use tapeline_core::boundary::event::{Event, PlayEnd};
use tapeline_core::boundary::handle::{
    Handle, LegHandle, PlaybackHandle, RecorderHandle, RoomHandle,
};
use tapeline_core::boundary::sink::{EventQueue, EventSink, event_path};
use tapeline_core::media::codec::{Decoder, Encoder, PACKET_MAX, PAYLOAD_MAX, Rate};
use tapeline_core::media::command::{
    Agreement, Codec, Direction, KeyEvents, MediaCommand, MediaHandle, RtcpPlace,
};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::media::leg::link::{Link, MemoryLink, MemoryPacket, MemoryPeer};
use tapeline_core::media::phases::PHASE_NS;
use tapeline_core::media::room::participant::Settings;
use tapeline_core::media::supply::{Stock, supply};
use tapeline_core::media::tick::{MediaConfig, Tick};
use tapeline_core::play::feed::feed;
use tapeline_core::play::{PlaySource, PlaySpec};
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{BeepRule, ChannelLayout, PauseRule, Target};
use tapeline_core::record::tap::tracks::{TrackMaker, tracks};
use tapeline_core::record::tap::{Mark, MarkKind, Tap, TapReader, TapSpec, TickTime};
use tapeline_core::sys::eventfd::EventFd;

pub const FRAME: usize = 160;
pub const TICK_NS: u64 = 20_000_000;
const START: TickTime = TickTime { unix_us: 1_790_000_000_000_000, monotonic_ns: 60_000_000_000 };
pub const CONFIG: MediaConfig =
    MediaConfig { legs: 64, rooms: 16, taps: 16, plays: 8, realtime: false };

pub fn leg(slot: u32) -> LegHandle {
    LegHandle(Handle { slot, generation: 1 })
}

pub fn room(slot: u32) -> RoomHandle {
    RoomHandle(Handle { slot, generation: 1 })
}

pub fn address(slot: u32) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 20_000 + slot as u16 * 2))
}

pub fn agreement(slot: u32) -> Agreement {
    agreement_on(slot, Codec::Pcmu)
}

pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16(_) => 96,
        Codec::Opus(_) => 111,
    }
}

pub fn agreement_on(slot: u32, codec: Codec) -> Agreement {
    Agreement {
        remote: address(slot),
        codec,
        payload_type: payload_type(codec),
        telephone_event: Some(KeyEvents { payload_type: 101, clock_hz: codec.clock_hz() }),
        packet_ms: 20,
        direction: Direction::SendRecv,
        rtcp: RtcpPlace::default(),
        srtp: None,
    }
}

/// An RTP packet; the SSRC is the slot's.
pub fn rtp(slot: u32, kind: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, kind];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend((0x5000_0000 | slot).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A tone's samples from the sample `from` on.
pub fn tone(hz: f64, amplitude: f64, from: usize, count: usize) -> Vec<i16> {
    tone_at(Rate::Narrow, (hz, amplitude), from, count)
}

/// Frequency and amplitude at any rate.
pub fn tone_at(rate: Rate, says: (f64, f64), from: usize, count: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * says.0 / f64::from(rate.hz());
    (from..from + count).map(|n| (says.1 * (turn * n as f64).sin()) as i16).collect()
}

/// Level of one frequency, relative to full scale (Goertzel).
pub fn level_of(hz: f64, samples: &[i16]) -> f64 {
    level_at(Rate::Narrow, hz, samples)
}

pub fn level_at(rate: Rate, hz: f64, samples: &[i16]) -> f64 {
    let step = 2.0 * (std::f64::consts::TAU * hz / f64::from(rate.hz())).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        let now = f64::from(*sample) + step * last - before;
        (before, last) = (last, now);
    }
    let power = before * before + last * last - step * before * last;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64 / 32_768.0
}

/// Two seconds of something like speech, at 8 kHz.
pub fn speech() -> Vec<i16> {
    let at = |n: usize| {
        let t = n as f64 / 8_000.0;
        let pitch = 120.0 * t + 1.2 * (std::f64::consts::TAU * 2.5 * t).sin();
        let harmonic = |k: i32| (std::f64::consts::TAU * f64::from(k) * pitch).sin();
        let voice: f64 =
            (1..20).map(|k| harmonic(k) / (1.0 + (f64::from(k) - 5.0).powi(2) / 8.0)).sum();
        (voice * (std::f64::consts::TAU * 1.3 * t).sin().max(0.0) * 5_000.0) as i16
    };
    (0..16_000).map(at).collect()
}

/// A receiver report: so many 256ths of what the stream `ssrc` sent are lost.
pub fn loss_report(ssrc: &[u8], fraction: u8) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7, 0x50, 0, 0, 0];
    report.extend(ssrc);
    report.extend([fraction, 0, 0, 42, 0, 0, 0, 1, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0]);
    report
}

pub fn rtcp(from: SocketAddr, arrival_ns: u64, bytes: &[u8]) -> MemoryPacket {
    let mut packet = MemoryPacket::new(from, arrival_ns, bytes);
    packet.is_rtcp = true;
    packet
}

/// A recording without limits.
pub fn tap_spec(slot: u32, target: Target, layout: ChannelLayout) -> TapSpec {
    TapSpec {
        recorder: RecorderHandle(Handle { slot, generation: 1 }),
        target,
        layout,
        left_leg: None,
        rate_hz: 8_000,
        limit_samples: None,
        silence: SilenceRule::default(),
        pause: PauseRule::default(),
        beep: BeepRule::NONE,
        trim_silence: false,
    }
}

pub struct Phone {
    pub slot: u32,
    pub stats: Arc<LegStats>,
    pub heard: Vec<i16>,
    /// Frequency and amplitude of what it says; `None`: it sends nothing at all.
    pub says: Option<(f64, f64)>,
    pub peer: MemoryPeer,
    pub sequence: u16,
    pub timestamp: u32,
    pub rtcp_heard: u32,
    /// Payloads that it got.
    pub got: Vec<Vec<u8>>,
    pub codec: Codec,
    /// Where its packets come from; the slot's at first.
    pub source: SocketAddr,
    pub ssrc: u32,
    /// Of the stream that it gets.
    pub heard_ssrc: u32,
    /// Instead of its codec's usual one.
    pub payload_type: Option<u8>,
    encoder: Encoder,
    decoder: Decoder,
    spoken: usize,
}

pub struct Stage {
    pub tick: Tick,
    pub stock: Stock,
    pub media: MediaHandle,
    pub counters: Arc<Counters>,
    pub now: TickTime,
    pub phones: Vec<Phone>,
    pub sink: EventSink,
    /// That the links of phones to come hold.
    pub link_packets: usize,
    queue: EventQueue,
    seen: Vec<Event>,
    next_command: u64,
}

impl Stage {
    pub fn new() -> Self {
        Self::sized(CONFIG)
    }

    pub fn sized(config: MediaConfig) -> Self {
        let counters = Arc::new(Counters::default());
        let (sink, tick_events, queue) = event_path(counters.clone()).unwrap();
        let (media, commands) = MediaHandle::new();
        let (supply, stock) = supply().unwrap();
        let tick = Tick::new(config, commands, supply, tick_events, counters.clone());
        Self {
            tick,
            stock,
            media,
            counters,
            now: START,
            phones: Vec::new(),
            sink,
            link_packets: 64,
            queue,
            seen: Vec::new(),
            next_command: 0,
        }
    }

    /// A stage with one room and a talker per tone, all joined and settled.
    pub fn with_talkers(tones: &[(f64, f64)]) -> Self {
        let mut stage = Self::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 8_000 });
        for (slot, says) in tones.iter().enumerate() {
            stage.phone(slot as u32).says = Some(*says);
            stage.join(slot as u32);
        }
        stage.run(5);
        stage
    }

    pub fn phone(&mut self, slot: u32) -> &mut Phone {
        self.phone_with(slot, Codec::Pcmu)
    }

    pub fn phone_with(&mut self, slot: u32, codec: Codec) -> &mut Phone {
        self.stock.restock();
        let (link, peer) = MemoryLink::pair_of(self.link_packets);
        let stats = Arc::new(LegStats::default());
        let link = Link::memory(link, None);
        let agreed = (agreement_on(slot, codec), LegCodec::new(codec).unwrap());
        self.tick.place_leg(leg(slot), link, agreed, stats.clone(), self.now);
        self.phones.push(Phone {
            slot,
            stats,
            heard: Vec::new(),
            says: None,
            peer,
            sequence: 65_500,
            timestamp: u32::MAX - 3_000,
            rtcp_heard: 0,
            got: Vec::new(),
            codec,
            source: address(slot),
            ssrc: 0x5000_0000 | slot,
            heard_ssrc: 0,
            payload_type: None,
            encoder: Encoder::new(codec).unwrap(),
            decoder: Decoder::new(codec).unwrap(),
            spoken: 0,
        });
        self.phones.last_mut().unwrap()
    }

    /// The phone hangs on to its tone and makes another call.
    pub fn call_again(&mut self, handle: LegHandle, phone: usize) {
        let (link, peer) = MemoryLink::pair();
        let phone = &mut self.phones[phone];
        (phone.peer, phone.stats) = (peer, Arc::new(LegStats::default()));
        let (stats, link) = (phone.stats.clone(), Link::memory(link, None));
        let agreed = (agreement(phone.slot), LegCodec::new(Codec::Pcmu).unwrap());
        self.tick.place_leg(handle, link, agreed, stats, self.now);
    }

    /// Sends a room command; its id.
    pub fn room(&mut self, action: RoomCommand) -> u64 {
        self.next_command += 1;
        let command = self.next_command;
        assert!(self.media.send(MediaCommand::Room { command, action }).is_ok());
        command
    }

    pub fn join(&mut self, slot: u32) -> u64 {
        self.room(RoomCommand::Join {
            leg: leg(slot),
            room: room(0),
            settings: Settings::default(),
        })
    }

    /// Starts a recording of the target; the writer's end.
    pub fn record(&mut self, slot: u32, target: Target, layout: ChannelLayout) -> Tape {
        self.record_as(tap_spec(slot, target, layout))
    }

    pub fn record_as(&mut self, spec: TapSpec) -> Tape {
        self.record_with(spec, |tap, _waker| tap)
    }

    /// As [`Stage::record_as`], with tracks; their maker, and the writer's ends as it makes them.
    pub fn record_tracks(&mut self, spec: TapSpec) -> (Tape, TrackMaker, Vec<TapReader>) {
        let mut made = None;
        let tape = self.record_with(spec, |tap, waker| {
            let (ours, maker) = tracks(&spec, waker, Arc::new(EventFd::new().unwrap()));
            let maker = made.insert((maker, Vec::new()));
            maker.0.refill(|reader| {
                maker.1.push(reader);
                true
            });
            tap.with_tracks(ours)
        });
        let (maker, readers) = made.unwrap();
        (tape, maker, readers)
    }

    fn record_with(
        &mut self,
        spec: TapSpec,
        finish: impl FnOnce(Tap, Arc<EventFd>) -> Tap,
    ) -> Tape {
        let waker = Arc::new(EventFd::new().unwrap());
        let (tap, reader) = Tap::new(spec, waker.clone());
        let tap = Box::new(finish(tap, waker));
        assert!(self.media.send(MediaCommand::AddTap { tap }).is_ok());
        let channels = usize::from(spec.layout.channels());
        Tape { recorder: spec.recorder, channels, reader, samples: Vec::new(), marks: Vec::new() }
    }

    /// Plays decoded samples, at most two seconds; the command and the handle.
    pub fn play(&mut self, slot: u32, target: Target, samples: &[i16]) -> (u64, PlaybackHandle) {
        self.play_as(slot, &PlaySpec::new(PlaySource::File("".into()), target), samples)
    }

    /// As [`Stage::play`], with what `spec` says beside its source.
    pub fn play_as(
        &mut self,
        slot: u32,
        spec: &PlaySpec,
        samples: &[i16],
    ) -> (u64, PlaybackHandle) {
        let playback = PlaybackHandle(Handle { slot, generation: 1 });
        let (play, mut feed) = feed(playback, spec, Rate::Narrow);
        assert_eq!(feed.push(samples), samples.len());
        feed.end(Ok(()));
        self.next_command += 1;
        let command = self.next_command;
        let play = Box::new(play);
        assert!(self.media.send(MediaCommand::AddPlay { command, play }).is_ok());
        (command, playback)
    }

    /// Playbacks that ended since the last call of [`Stage::events`].
    pub fn ended(&self) -> Vec<(u32, PlayEnd, &'static str)> {
        let end = |event: &Event| match event {
            Event::PlayFinished { playback, reason, detail } => {
                Some((playback.0.slot, *reason, *detail))
            }
            _ => None,
        };
        self.seen.iter().filter_map(end).collect()
    }

    /// One packet of every phone that says something, 10 ms before the tick, then the tick.
    pub fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            let arrival_ns = self.now.monotonic_ns - TICK_NS / 2;
            for phone in &mut self.phones {
                phone.speak(arrival_ns);
            }
            self.tick();
        }
    }

    /// The tick alone.
    pub fn tick(&mut self) {
        self.tick.run(self.now);
        self.after_tick();
    }

    /// The next phase alone, and the 5 ms until the one after it.
    pub fn step(&mut self) {
        self.tick.step(self.now);
        self.stock.restock();
        self.now.monotonic_ns += PHASE_NS;
        self.now.unix_us += (PHASE_NS / 1_000) as i64;
        for phone in &mut self.phones {
            phone.listen();
        }
        self.drain();
    }

    /// What other threads and the phones do between two ticks.
    pub fn after_tick(&mut self) {
        self.stock.restock();
        self.pass(1);
        for phone in &mut self.phones {
            phone.listen();
        }
        self.seen.extend(self.queue.drain(10_000));
    }

    /// Time goes by without a tick.
    pub fn pass(&mut self, ticks: u64) {
        self.now.monotonic_ns += ticks * TICK_NS;
        self.now.unix_us += (ticks * TICK_NS / 1_000) as i64;
    }

    /// What other threads have said since the last tick.
    pub fn drain(&mut self) {
        self.seen.extend(self.queue.drain(10_000));
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.seen)
    }

    pub fn count(&self, name: &str) -> u64 {
        self.counters.snapshot().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// How a command was answered; `None` while it is not.
    pub fn answer(&self, id: u64) -> Option<Result<(), String>> {
        self.seen.iter().find_map(|event| match event {
            Event::CommandDone { command } if *command == id => Some(Ok(())),
            Event::CommandFailed { command, reason } if *command == id => {
                Some(Err(reason.to_string()))
            }
            _ => None,
        })
    }
}

impl Phone {
    pub fn put(&mut self, arrival_ns: u64, bytes: &[u8]) {
        let packet = MemoryPacket::new(self.source, arrival_ns, bytes);
        assert!(self.peer.to_leg.push(packet).is_ok());
    }

    pub fn speak(&mut self, arrival_ns: u64) {
        let Some((hz, amplitude)) = self.says else { return };
        let rate = self.codec.rate();
        let samples = tone_at(rate, (hz, amplitude), self.spoken, rate.frame());
        self.spoken += rate.frame();
        let mut payload = [0; PAYLOAD_MAX];
        let length = self.encoder.encode(&samples, &mut payload);
        let kind = self.payload_type.unwrap_or_else(|| payload_type(self.codec));
        let mut bytes = rtp(self.slot, kind, self.sequence, self.timestamp, &payload[..length]);
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        self.put(arrival_ns, &bytes);
        self.advance(1, self.codec.clock_hz() / 50);
    }

    /// Speaks and hears another codec from now on; the tone goes on.
    pub fn change_codec(&mut self, codec: Codec) {
        self.spoken = self.spoken / self.codec.rate().frame() * codec.rate().frame();
        self.codec = codec;
        self.encoder = Encoder::new(codec).unwrap();
        self.decoder = Decoder::new(codec).unwrap();
    }

    pub fn advance(&mut self, packets: u16, samples: u32) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(samples);
    }

    fn listen(&mut self) {
        while let Ok(packet) = self.peer.from_leg.pop() {
            if packet.is_rtcp {
                self.rtcp_heard += 1;
                continue;
            }
            let parsed = RtpPacket::parse(packet.bytes()).unwrap();
            self.heard_ssrc = parsed.ssrc();
            let mut samples = [0; PACKET_MAX];
            let length = self.decoder.decode(parsed.payload(), &mut samples);
            self.heard.extend(&samples[..length]);
            self.got.push(parsed.payload().to_vec());
        }
    }
}

/// The writer's end of a recording.
pub struct Tape {
    pub recorder: RecorderHandle,
    channels: usize,
    pub reader: TapReader,
    pub samples: Vec<i16>,
    pub marks: Vec<Mark>,
}

impl Tape {
    /// Takes over what has been recorded since the last call.
    pub fn wind(&mut self) -> &mut Self {
        while let Ok(mark) = self.reader.marks.pop() {
            self.marks.push(mark);
        }
        while let Ok(sample) = self.reader.samples.pop() {
            self.samples.push(sample);
        }
        self
    }

    /// One channel of what was wound so far.
    pub fn side(&self, channel: usize) -> Vec<i16> {
        self.samples.iter().skip(channel).step_by(self.channels).copied().collect()
    }

    pub fn has(&self, wanted: impl Fn(&MarkKind) -> bool) -> Option<u64> {
        self.marks.iter().find(|mark| wanted(&mark.kind)).map(|mark| mark.position)
    }

    pub fn is_finished(&self) -> bool {
        self.has(|kind| matches!(kind, MarkKind::Finished { .. })).is_some()
    }
}
