//! The packets that wait: found by sequence or by time, bounded in number and bytes, oldest overwritten.

use crate::media::command::Codec;
use crate::media::frame::energy;

/// 64 packets: 640 ms of the shortest packets (10 ms).
const SLOTS: usize = 64;
/// 320 ms of G.711, whatever its packet time.
const ARENA_BYTES: usize = 2_560;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Empty,
    Waiting,
    /// Its samples have been given out; kept to know a duplicate by.
    Played,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Extended sequence number and extended timestamp, lower 32 bits.
    sequence: u32,
    timestamp: u32,
    /// Position in the arena, counted since the start; overwritten when the head is too far ahead.
    offset: u32,
    bytes: u16,
    samples: u16,
    codec: Codec,
    state: State,
}

const EMPTY: Slot = Slot {
    sequence: 0,
    timestamp: 0,
    offset: 0,
    bytes: 0,
    samples: 0,
    codec: Codec::Pcmu,
    state: State::Empty,
};

/// A packet's place on the sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub sequence: u32,
    pub timestamp: u32,
    pub samples: u16,
}

impl Span {
    pub fn end(&self) -> u32 {
        self.timestamp.wrapping_add(u32::from(self.samples))
    }

    /// How far the packet's first sample lies after `timestamp`; negative when before.
    pub fn after(&self, timestamp: u32) -> i32 {
        self.timestamp.wrapping_sub(timestamp) as i32
    }

    fn covers(&self, timestamp: u32) -> bool {
        timestamp.wrapping_sub(self.timestamp) < u32::from(self.samples)
    }
}

pub struct PacketRing {
    slots: [Slot; SLOTS],
    arena: [u8; ARENA_BYTES],
    head: u32,
    /// Where the next packet is likely found.
    cursor: u32,
}

impl Default for PacketRing {
    fn default() -> Self {
        Self { slots: [EMPTY; SLOTS], arena: [0; ARENA_BYTES], head: 0, cursor: 0 }
    }
}

impl PacketRing {
    pub fn clear(&mut self) {
        self.slots = [EMPTY; SLOTS];
    }

    pub fn holds(&self, sequence: u32) -> bool {
        self.slot(sequence)
            .is_some_and(|slot| slot.state != State::Empty && slot.sequence == sequence)
    }

    fn slot(&self, sequence: u32) -> Option<&Slot> {
        self.slots.get(sequence as usize % SLOTS)
    }

    /// Copies a packet in; false when it is longer than the whole arena.
    pub fn store(&mut self, span: Span, codec: Codec, payload: &[u8]) -> bool {
        let mut start = self.head as usize % ARENA_BYTES;
        if start + payload.len() > ARENA_BYTES {
            self.head = self.head.wrapping_add((ARENA_BYTES - start) as u32);
            start = 0;
        }
        let Some(place) = self.arena.get_mut(start..start + payload.len()) else { return false };
        place.copy_from_slice(payload);
        let offset = self.head;
        // The head stays congruent to the place in the arena when the counter wraps.
        self.head = (self.head + payload.len() as u32) % (ARENA_BYTES as u32 * 1_000);
        if let Some(slot) = self.slots.get_mut(span.sequence as usize % SLOTS) {
            *slot = Slot {
                sequence: span.sequence,
                timestamp: span.timestamp,
                offset,
                bytes: payload.len() as u16,
                samples: span.samples,
                codec,
                state: State::Waiting,
            };
        }
        true
    }

    fn is_intact(&self, slot: &Slot) -> bool {
        let wrap = ARENA_BYTES as u32 * 1_000;
        let written_since = (self.head + wrap - slot.offset % wrap) % wrap;
        written_since <= ARENA_BYTES as u32
    }

    fn waiting(&self) -> impl Iterator<Item = (&Slot, Span)> {
        self.slots
            .iter()
            .filter(|slot| slot.state == State::Waiting && self.is_intact(slot))
            .map(|slot| (slot, span(slot)))
    }

    /// Decodes what the ring has of `timestamp` and the samples after it, up to the packet's end.
    /// Returns how many samples were written; 0 when no packet covers the instant.
    pub fn decode_at(&mut self, timestamp: u32, out: &mut [i16]) -> usize {
        let Some(index) = self.find(timestamp) else { return 0 };
        let Some(slot) = self.slots.get(index).copied() else { return 0 };
        let skip = timestamp.wrapping_sub(slot.timestamp) as usize;
        let start = slot.offset as usize % ARENA_BYTES;
        let payload = self.arena.get(start + skip..start + usize::from(slot.bytes)).unwrap_or(&[]);
        let written = slot.codec.decode(payload, out);
        if skip + written >= usize::from(slot.samples)
            && let Some(slot) = self.slots.get_mut(index)
        {
            slot.state = State::Played;
        }
        self.cursor = slot.sequence;
        written
    }

    /// Energy of what the ring has of the `samples` from `timestamp` on; they stay where they are.
    pub fn energy_at(&self, timestamp: u32, samples: usize) -> u64 {
        let mut at = timestamp;
        let mut left = samples;
        let mut sum = 0;
        let mut part = [0_i16; 160];
        while left > 0 {
            let Some(slot) = self.find(at).and_then(|index| self.slots.get(index)) else { break };
            let skip = at.wrapping_sub(slot.timestamp) as usize;
            let start = slot.offset as usize % ARENA_BYTES;
            let payload =
                self.arena.get(start + skip..start + usize::from(slot.bytes)).unwrap_or(&[]);
            let wanted = left.min(part.len());
            let written = slot.codec.decode(payload, part.get_mut(..wanted).unwrap_or(&mut []));
            if written == 0 {
                break;
            }
            sum += energy(part.get(..written).unwrap_or(&[]));
            at = at.wrapping_add(written as u32);
            left -= written;
        }
        sum
    }

    fn find(&self, timestamp: u32) -> Option<usize> {
        let fits = |slot: &Slot| {
            slot.state == State::Waiting && span(slot).covers(timestamp) && self.is_intact(slot)
        };
        for sequence in [self.cursor, self.cursor.wrapping_add(1)] {
            let index = sequence as usize % SLOTS;
            if self.slots.get(index).is_some_and(fits) {
                return Some(index);
            }
        }
        self.slots.iter().position(fits)
    }

    /// The first waiting packet that begins after `timestamp` and before `limit` samples later.
    pub fn next_after(&self, timestamp: u32, limit: usize) -> Option<Span> {
        self.waiting()
            .map(|(_, span)| span)
            .filter(|span| (1..limit as i32).contains(&span.after(timestamp)))
            .min_by_key(|span| span.after(timestamp))
    }

    /// True when `samples` from `timestamp` on are all here.
    pub fn has(&self, timestamp: u32, samples: usize) -> bool {
        let mut at = timestamp;
        let mut left = samples as i32;
        while left > 0 {
            let Some(index) = self.find(at) else { return false };
            let Some(slot) = self.slots.get(index) else { return false };
            let end = span(slot).end();
            left -= end.wrapping_sub(at) as i32;
            at = end;
        }
        true
    }

    /// Earliest and latest packet that waits.
    pub fn ends(&self) -> Option<(Span, Span)> {
        let mut spans = self.waiting().map(|(_, span)| span);
        let first = spans.next()?;
        Some(spans.fold((first, first), |(oldest, newest), span| {
            if span.after(oldest.timestamp) < 0 {
                (span, newest)
            } else if span.after(newest.timestamp) > 0 {
                (oldest, span)
            } else {
                (oldest, newest)
            }
        }))
    }
}

fn span(slot: &Slot) -> Span {
    Span { sequence: slot.sequence, timestamp: slot.timestamp, samples: slot.samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ring: &mut PacketRing, sequence: u32, samples: u16) {
        let timestamp = sequence.wrapping_mul(u32::from(samples));
        let payload = vec![0x80 | (sequence as u8 & 0x7f); usize::from(samples)];
        assert!(ring.store(Span { sequence, timestamp, samples }, Codec::Pcmu, &payload));
    }

    #[test]
    fn packets_are_found_by_time_in_any_order_and_given_out_once() {
        let mut ring = PacketRing::default();
        for sequence in [u32::MAX, 1, 0, 2] {
            put(&mut ring, sequence, 160);
        }
        let start = 0_u32.wrapping_sub(160);
        assert!(ring.has(start, 640) && !ring.has(start, 641));
        let (oldest, newest) = ring.ends().unwrap();
        assert_eq!((oldest.sequence, newest.sequence), (u32::MAX, 2));

        let mut out = [0; 160];
        assert_eq!(ring.decode_at(start.wrapping_add(100), &mut out), 60);
        assert_eq!(ring.decode_at(start.wrapping_add(100), &mut out), 0);
        assert_eq!(ring.decode_at(0, &mut out[..40]), 40);
        assert_eq!(ring.decode_at(40, &mut out), 120);
        assert!(ring.holds(0) && !ring.holds(3));
        assert_eq!(ring.next_after(0, 161).unwrap().sequence, 1);
    }

    #[test]
    fn the_oldest_bytes_are_overwritten_never_misread() {
        let mut ring = PacketRing::default();
        for sequence in 0..2_000_000_u32.div_ceil(480) {
            put(&mut ring, sequence, 480);
        }
        let last = 2_000_000_u32.div_ceil(480) - 1;
        let mut out = [0; 480];
        let held = (0..=last).filter(|n| ring.has(n * 480, 1)).count();
        assert_eq!(held, 5);
        for sequence in last - 4..=last {
            assert_eq!(ring.decode_at(sequence * 480, &mut out), 480);
            let byte = 0x80 | (sequence as u8 & 0x7f);
            let mut expected = [0];
            Codec::Pcmu.decode(&[byte], &mut expected);
            assert!(out.iter().all(|sample| *sample == expected[0]));
        }
    }

    #[test]
    fn a_packet_longer_than_the_arena_is_refused() {
        let mut ring = PacketRing::default();
        let span = Span { sequence: 0, timestamp: 0, samples: 4_000 };
        assert!(!ring.store(span, Codec::Pcmu, &[0; 4_000]));
    }
}
