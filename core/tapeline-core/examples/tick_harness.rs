//! The tick alone, in virtual time on one thread: what a participant costs, and figures that repeat.
//!
//! `tick_harness [--rooms N] [--legs N] [--codec pcmu|pcma|g722|opus|l16] [--talkers N] [--ticks N]
//! [--recordings N]`: so many rooms of so many legs over memory links; the first so many of each room
//! talk, and each room has so many mono recordings. Prints one line of JSON; times are CPU times of the
//! tick. Everything is seeded: under `valgrind --tool=callgrind --toggle-collect='*Tick::run*'` two runs
//! count the same instructions.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::counters::{Counters, LegStats};
use tapeline_core::boundary::handle::{Handle, LegHandle, RecorderHandle, RoomHandle};
use tapeline_core::boundary::sink::{EventQueue, event_path};
use tapeline_core::media::codec::{Encoder, PAYLOAD_MAX, Rate};
use tapeline_core::media::command::{
    Agreement, Codec, Direction, KeyEvents, MediaCommand, MediaHandle, RtcpPlace,
};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::media::leg::link::{Link, MemoryLink, MemoryPacket, MemoryPeer};
use tapeline_core::media::room::participant::Settings;
use tapeline_core::media::supply::{Stock, supply};
use tapeline_core::media::tick::{MediaConfig, Tick};
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{BeepRule, ChannelLayout, PauseRule, Target};
use tapeline_core::record::tap::{Tap, TapReader, TapSpec, TickTime};
use tapeline_core::sys::eventfd::EventFd;

const TICK_NS: u64 = 20_000_000;
/// Ticks before the clock starts: buffers settle, listeners begin to share, rooms reach their rate.
const WARM_UP: u32 = 100;
/// Encoded ticks that each talker repeats.
const LOOP_TICKS: usize = 50;
const LINK_PACKETS: usize = 4;

struct Setting {
    rooms: u32,
    legs: u32,
    talkers: u32,
    ticks: u32,
    codec: Codec,
    recordings: u32,
}

struct Talker {
    peer: MemoryPeer,
    address: SocketAddr,
    ssrc: u32,
    payloads: Vec<Vec<u8>>,
    is_talking: bool,
}

struct Hall {
    tick: Tick,
    stock: Stock,
    media: MediaHandle,
    queue: EventQueue,
    talkers: Vec<Talker>,
    tapes: Vec<TapReader>,
    now: TickTime,
    number: u32,
    heard: u64,
}

fn main() -> Result<()> {
    let setting = read_setting()?;
    let mut hall = Hall::new(&setting)?;
    for _ in 0..WARM_UP {
        hall.step(setting.codec);
    }
    let heard = hall.heard;
    let mut busy = Duration::ZERO;
    let mut worst = Duration::ZERO;
    for _ in 0..setting.ticks {
        let took = hall.step(setting.codec);
        busy += took;
        worst = worst.max(took);
    }
    let participants = u64::from(setting.rooms * setting.legs);
    let expected = participants * u64::from(setting.ticks);
    let per_tick = busy.as_secs_f64() * 1e6 / f64::from(setting.ticks);
    println!(
        "{{\"codec\": \"{:?}\", \"rooms\": {}, \"legs\": {}, \"talkers\": {}, \"recordings\": {}, \
         \"ticks\": {}, \"us_per_participant_tick\": {:.3}, \"us_per_tick\": {per_tick:.1}, \
         \"worst_tick_us\": {}, \"packets_missing\": {}}}",
        setting.codec,
        setting.rooms,
        setting.legs,
        setting.talkers,
        setting.recordings,
        setting.ticks,
        per_tick / participants as f64,
        worst.as_micros(),
        expected.saturating_sub(hall.heard - heard),
    );
    Ok(())
}

fn read_setting() -> Result<Setting> {
    let wrong = |word: &str| Error::new(ErrorKind::InvalidInput, format!("{word:?} is no setting"));
    let mut setting = Setting {
        rooms: 100,
        legs: 10,
        talkers: 10,
        ticks: 500,
        codec: Codec::Pcmu,
        recordings: 0,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| wrong(&word))?;
        let number = value.parse::<u32>().map_err(|_| wrong(&value));
        match word.as_str() {
            "--rooms" => setting.rooms = number?.max(1),
            "--legs" => setting.legs = number?.max(1),
            "--talkers" => setting.talkers = number?,
            "--recordings" => setting.recordings = number?,
            "--ticks" => setting.ticks = number?.max(1),
            "--codec" => {
                setting.codec = match value.as_str() {
                    "pcmu" => Codec::Pcmu,
                    "pcma" => Codec::Pcma,
                    "g722" => Codec::G722,
                    "opus" => Codec::Opus(Rate::Wide),
                    "l16" => Codec::L16(Rate::Wide),
                    _ => return Err(wrong(&value)),
                }
            }
            _ => return Err(wrong(&word)),
        }
    }
    Ok(setting)
}

impl Hall {
    fn new(setting: &Setting) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let (_, events, queue) = event_path(counters.clone())?;
        let (media, commands) = MediaHandle::new();
        let (supply, stock) = supply()?;
        let config = MediaConfig {
            legs: setting.rooms * setting.legs,
            rooms: setting.rooms,
            taps: setting.rooms * setting.recordings,
            plays: 1,
            realtime: false,
        };
        let tick = Tick::new(config, commands, supply, events, counters);
        let now = TickTime { unix_us: 1_790_000_000_000_000, monotonic_ns: 60_000_000_000 };
        let (talkers, tapes) = (Vec::new(), Vec::new());
        let mut hall = Self { tick, stock, media, queue, talkers, tapes, now, number: 0, heard: 0 };
        for room in 0..setting.rooms {
            hall.open_room(room, setting)?;
        }
        Ok(hall)
    }

    fn open_room(&mut self, slot: u32, setting: &Setting) -> Result<()> {
        let room = RoomHandle(Handle { slot, generation: 1 });
        self.command(RoomCommand::CreateRoom { room, rate_hz: 0 })?;
        for member in 0..setting.legs {
            let leg = slot * setting.legs + member;
            self.add_leg(leg, member < setting.talkers, setting.codec)?;
            let handle = LegHandle(Handle { slot: leg, generation: 1 });
            self.command(RoomCommand::Join { leg: handle, room, settings: Settings::default() })?;
        }
        for number in 0..setting.recordings {
            let recorder = slot * setting.recordings + number;
            self.record(recorder, Target::Room(room), setting.codec.rate_hz())?;
        }
        self.step(setting.codec);
        Ok(())
    }

    fn command(&self, action: RoomCommand) -> Result<()> {
        let sent = self.media.send(MediaCommand::Room { command: 1, action });
        sent.map_err(|_| Error::other("the ring of commands is full"))
    }

    fn add_leg(&mut self, slot: u32, is_talking: bool, codec: Codec) -> Result<()> {
        self.stock.restock();
        let [_, a, b, c] = slot.to_be_bytes();
        let address = SocketAddr::from(([10, a, b, c], 4_000));
        let agreement = Agreement {
            remote: address,
            codec,
            payload_type: 96,
            telephone_event: Some(KeyEvents { payload_type: 101, clock_hz: codec.clock_hz() }),
            packet_ms: 20,
            direction: Direction::SendRecv,
            rtcp: RtcpPlace::default(),
            srtp: None,
        };
        let (link, peer) = MemoryLink::pair_of(LINK_PACKETS);
        let state = LegCodec::new(codec).map_err(|fault| Error::other(fault.0))?;
        let handle = LegHandle(Handle { slot, generation: 1 });
        let stats = Arc::new(LegStats::default());
        self.tick.place_leg(handle, Link::memory(link, None), (agreement, state), stats, self.now);
        let payloads = voice(slot, codec).map_err(|fault| Error::other(fault.0))?;
        self.talkers.push(Talker { peer, address, ssrc: slot + 1, payloads, is_talking });
        Ok(())
    }

    fn record(&mut self, slot: u32, target: Target, rate_hz: u32) -> Result<()> {
        let spec = TapSpec {
            recorder: RecorderHandle(Handle { slot, generation: 1 }),
            target,
            layout: ChannelLayout::Mix,
            left_leg: None,
            rate_hz,
            limit_samples: None,
            silence: SilenceRule::default(),
            pause: PauseRule::default(),
            beep: BeepRule::NONE,
            trim_silence: false,
        };
        let (tap, reader) = Tap::new(spec, Arc::new(EventFd::new()?));
        self.tapes.push(reader);
        let sent = self.media.send(MediaCommand::AddTap { tap: Box::new(tap) });
        sent.map_err(|_| Error::other("the ring of commands is full"))
    }

    /// A packet of each talker, the tick, and what others do between two ticks; how long the tick took.
    fn step(&mut self, codec: Codec) -> Duration {
        let arrival_ns = self.now.monotonic_ns - TICK_NS / 2;
        for talker in self.talkers.iter_mut().filter(|it| it.is_talking) {
            talker.speak(self.number, arrival_ns, codec);
        }
        let began = cpu_time();
        self.tick.run(self.now);
        let took = cpu_time().saturating_sub(began);
        self.now.monotonic_ns += TICK_NS;
        self.now.unix_us += (TICK_NS / 1_000) as i64;
        self.number += 1;
        self.stock.restock();
        self.queue.drain(10_000);
        for talker in &mut self.talkers {
            while let Ok(packet) = talker.peer.from_leg.pop() {
                self.heard += u64::from(!packet.is_rtcp);
            }
        }
        for tape in &mut self.tapes {
            while tape.marks.pop().is_ok() {}
            let waiting = tape.samples.slots();
            if let Ok(chunk) = tape.samples.read_chunk(waiting) {
                chunk.commit_all();
            }
        }
        took
    }
}

/// Of this thread: what other programs do meanwhile does not count.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and a thread may always ask for its own clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Talker {
    fn speak(&mut self, number: u32, arrival_ns: u64, codec: Codec) {
        let Some(payload) = self.payloads.get(number as usize % LOOP_TICKS) else { return };
        let mut bytes = vec![0x80, 96];
        bytes.extend((number as u16).to_be_bytes());
        bytes.extend(number.wrapping_mul(codec.clock_hz() / 50).to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(payload);
        let packet = MemoryPacket::new(self.address, arrival_ns, &bytes);
        // A link that is full has lost a packet: the figure says so.
        let _ = self.peer.to_leg.push(packet);
    }
}

/// A second of three partials and seeded noise, encoded.
fn voice(
    slot: u32,
    codec: Codec,
) -> std::result::Result<Vec<Vec<u8>>, tapeline_core::media::codec::CodecFault> {
    let mut encoder = Encoder::new(codec)?;
    let rate = codec.rate();
    let hz = f64::from(110 + slot * 37 % 190);
    let mut seed = slot.wrapping_mul(2_654_435_761) | 1;
    let mut at = 0;
    let mut tick = || {
        let frame: Vec<i16> = (0..rate.frame())
            .map(|_| {
                let turn = std::f64::consts::TAU * f64::from(at) / f64::from(rate.hz());
                at += 1;
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(seed >> 16) / 65_536.0 - 0.5;
                let partials = [(1.0, 900.0), (3.0, 600.0), (7.0, 300.0)];
                let tone: f64 = partials.iter().map(|(n, a)| a * (turn * hz * n).sin()).sum();
                (tone + 200.0 * noise) as i16
            })
            .collect();
        let mut payload = vec![0; PAYLOAD_MAX];
        let length = encoder.encode(&frame, &mut payload);
        payload.truncate(length);
        payload
    };
    Ok((0..LOOP_TICKS).map(|_| tick()).collect())
}
