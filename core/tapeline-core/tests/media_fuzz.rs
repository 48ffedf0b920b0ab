//! Packets as nobody would send them, through the real tick: seeded and bounded.
//!
//! Legs of four codecs hear their peer and, from the same address, mutations of what it sends. Nothing
//! panics, the tick allocates nothing, the room's recording has every sample, and afterwards the legs
//! are heard as before. `TAPELINE_SOAK=1` (`make soak`) makes it a million packets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use media_support::{FRAME, Stage, TICK_NS, address, agreement, leg, level_of, room, rtp};
use tapeline_core::boundary::counters::LegStats;
use tapeline_core::boundary::event::Event;
use tapeline_core::media::codec::{Encoder, PAYLOAD_MAX, Rate};
use tapeline_core::media::command::{Agreement, Codec};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::media::leg::link::{Link, MemoryLink, MemoryPacket, MemoryPeer};
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::MarkKind;

const PACKETS: usize = 60_000;
const PACKETS_OF_SOAK: usize = 1_000_000;
/// Between two good packets of a victim.
const MUTATED_A_TICK: usize = 20;

/// Counts what this thread asks for while it is told to.
struct Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    if IS_COUNTING.get() {
        COUNT.set(COUNT.get() + 1);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; what is counted is in cells without
// destructors, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note();
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A peer whose stream is disturbed.
struct Victim {
    slot: u32,
    hz: f64,
    payload_type: u8,
    encoder: Encoder,
    peer: MemoryPeer,
    sequence: u16,
    timestamp: u32,
    spoken: usize,
    sent: Vec<Vec<u8>>,
}

impl Victim {
    fn call(stage: &mut Stage, slot: u32, codec: Codec, payload_type: u8, hz: f64) -> Self {
        let (link, peer) = MemoryLink::pair();
        let agreed = Agreement { codec, payload_type, ..agreement(slot) };
        let agreed = (agreed, LegCodec::new(codec).unwrap());
        let stats = Arc::new(LegStats::default());
        stage.tick.place_leg(leg(slot), Link::memory(link, None), agreed, stats, stage.now);
        stage.join(slot);
        let encoder = Encoder::new(codec).unwrap();
        let (sequence, timestamp) = (65_000, u32::MAX - 70_000);
        let sent = Vec::new();
        Self { slot, hz, payload_type, encoder, peer, sequence, timestamp, spoken: 0, sent }
    }

    fn put(&mut self, arrival_ns: u64, bytes: &[u8]) {
        let packet = MemoryPacket::new(address(self.slot), arrival_ns, bytes);
        assert!(self.peer.to_leg.push(packet).is_ok());
    }

    fn speak(&mut self, arrival_ns: u64) {
        let codec = self.encoder.codec();
        let rate_hz = f64::from(codec.rate_hz());
        let samples: Vec<i16> = (self.spoken..self.spoken + codec.rate().frame())
            .map(|n| {
                (5_000.0 * (std::f64::consts::TAU * self.hz * n as f64 / rate_hz).sin()) as i16
            })
            .collect();
        self.spoken += samples.len();
        let mut payload = [0; PAYLOAD_MAX];
        let bytes = self.encoder.encode(&samples, &mut payload);
        let (kind, payload) = (self.payload_type, &payload[..bytes]);
        let packet = rtp(self.slot, kind, self.sequence, self.timestamp, payload);
        self.put(arrival_ns, &packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(codec.clock_hz() / 50);
        self.sent.push(packet);
        if self.sent.len() > 64 {
            self.sent.remove(0);
        }
    }

    /// Something like a packet of its own.
    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.sent[random.below(self.sent.len())].clone();
        match random.below(10) {
            0 => bytes = (0..random.below(300)).map(|_| random.next() as u8).collect(),
            // Digits, comfort noise, RTCP, static and unknown types.
            1 => bytes[1] = [101, 13, 200, 201, 203, 0, 8, 9, 96, 0x80][random.below(10)],
            2 => bytes[2..4].copy_from_slice(&(random.next() as u16).to_be_bytes()),
            3 => bytes[4..8].copy_from_slice(&(random.next() as u32).to_be_bytes()),
            4 => bytes[8..12].copy_from_slice(&(random.next() as u32).to_be_bytes()),
            // A sequence that goes on, a little off.
            5 => {
                let near = self.sequence.wrapping_add(random.below(40) as u16).wrapping_sub(20);
                bytes[2..4].copy_from_slice(&near.to_be_bytes());
                let later = self.timestamp.wrapping_add(random.next() as u32 % 10_000);
                bytes[4..8].copy_from_slice(&later.to_be_bytes());
            }
            // Padding, extensions, contributing sources, versions.
            6 => bytes[0] = random.next() as u8,
            7 => bytes.truncate(random.below(bytes.len() + 1)),
            8 => bytes.extend((0..random.below(800)).map(|_| random.next() as u8)),
            _ => {}
        }
        for _ in 0..random.below(5) {
            let at = random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        bytes
    }
}

fn tick(stage: &mut Stage, victims: &mut [Victim], random: &mut Random, mutated: usize) {
    let arrival_ns = stage.now.monotonic_ns - TICK_NS / 2;
    for phone in &mut stage.phones {
        phone.speak(arrival_ns);
    }
    for victim in victims {
        victim.speak(arrival_ns);
        for _ in 0..mutated {
            let bytes = victim.mutated(random);
            victim.put(arrival_ns + random.next() % (TICK_NS / 2), &bytes);
        }
        while victim.peer.from_leg.pop().is_ok() {}
    }
    IS_COUNTING.set(true);
    stage.tick.run(stage.now);
    IS_COUNTING.set(false);
    stage.after_tick();
}

#[test]
fn a_storm_of_mutated_packets_changes_counters_and_nothing_else() {
    let is_soak = std::env::var_os("TAPELINE_SOAK").is_some();
    let packets = if is_soak { PACKETS_OF_SOAK } else { PACKETS };
    let mut stage = Stage::with_talkers(&[(400.0, 5_000.0)]);
    let codecs = [
        (Codec::Pcmu, 0, 700.0),
        (Codec::G722, 9, 1_000.0),
        (Codec::Opus(Rate::Wide), 111, 1_300.0),
        (Codec::L16(Rate::Narrow), 97, 1_600.0),
    ];
    let mut victims: Vec<Victim> = (10..)
        .zip(codecs)
        .map(|(slot, (codec, payload_type, hz))| {
            Victim::call(&mut stage, slot, codec, payload_type, hz)
        })
        .collect();
    let mut random = Random(0x5eed_0001);
    for _ in 0..20 {
        tick(&mut stage, &mut victims, &mut random, 0);
    }
    let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);

    let storm = packets / victims.len() / MUTATED_A_TICK;
    let mut recorded = 0;
    for _ in 0..storm {
        tick(&mut stage, &mut victims, &mut random, MUTATED_A_TICK);
        recorded += tape.wind().samples.len();
        tape.samples.clear();
    }
    assert_eq!(COUNT.get(), 0, "allocations");
    assert_eq!(stage.count("caught_panics"), 0);
    let ignored = stage.count("rtp_ignored");
    assert!(ignored > packets as u64 / 50, "{ignored} were found out");
    assert_eq!(recorded, storm * FRAME);

    for _ in 0..200 {
        tick(&mut stage, &mut victims, &mut random, 0);
        tape.wind();
    }
    let last: Vec<i16> = tape.samples[tape.samples.len() - 50 * FRAME..].to_vec();
    for hz in [400.0].into_iter().chain(codecs.map(|(.., hz)| hz)) {
        let level = level_of(hz, &last);
        assert!(level > 0.05, "{hz} Hz is heard at {level}");
    }
    let is_health =
        |mark: &MarkKind| matches!(mark, MarkKind::Overflow { .. } | MarkKind::SkippedTicks { .. });
    assert_eq!(tape.has(is_health), None);
    assert!(stage.events().iter().all(|event| !matches!(event, Event::RecorderTrouble { .. })));
}
