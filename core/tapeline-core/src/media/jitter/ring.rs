//! The packets that wait, undecoded: found by sequence or by time, bounded in number and bytes, oldest
//! overwritten.

use crate::media::codec::Codec;

/// 320 ms of the shortest usual packets (10 ms).
const SLOTS: usize = 32;
/// 320 ms of G.711 or G.722 (64 kbit/s).
const ARENA_64_KBIT: usize = 2_560;

/// 320 ms of Opus at 200 kbit/s, four times what speech takes.
const ARENA_OPUS: usize = 8_192;

/// Bytes that hold 320 ms of a codec, whatever its packet time: 30,720 for L16 at 48 kHz.
fn arena_bytes(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => ARENA_64_KBIT,
        Codec::L16(rate) => rate.frame() * 2 * 16,
        Codec::Opus(_) => ARENA_OPUS,
    }
}

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
    units: u16,
    codec: Codec,
    state: State,
}

const EMPTY: Slot = Slot {
    sequence: 0,
    timestamp: 0,
    offset: 0,
    bytes: 0,
    units: 0,
    codec: Codec::Pcmu,
    state: State::Empty,
};

/// A packet's place on the sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub sequence: u32,
    pub timestamp: u32,
    /// Length in units of the RTP clock.
    pub units: u16,
}

impl Span {
    pub fn end(&self) -> u32 {
        self.timestamp.wrapping_add(u32::from(self.units))
    }

    /// How far the packet's first sample lies after `timestamp`; negative when before.
    pub fn after(&self, timestamp: u32) -> i32 {
        self.timestamp.wrapping_sub(timestamp) as i32
    }

    fn covers(&self, timestamp: u32) -> bool {
        timestamp.wrapping_sub(self.timestamp) < u32::from(self.units)
    }
}

/// A packet that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    pub span: Span,
    pub codec: Codec,
    pub payload: &'a [u8],
}

pub struct PacketRing {
    slots: [Slot; SLOTS],
    arena: Box<[u8]>,
    head: u32,
    /// Where the next packet is likely found.
    cursor: u32,
}

impl PacketRing {
    /// Allocates what holds the payloads.
    pub fn new(codec: Codec) -> Self {
        Self {
            slots: [EMPTY; SLOTS],
            arena: vec![0; arena_bytes(codec)].into(),
            head: 0,
            cursor: 0,
        }
    }

    pub fn clear(&mut self) {
        self.slots = [EMPTY; SLOTS];
    }

    pub fn holds(&self, sequence: u32) -> bool {
        let slot = self.slots.get(sequence as usize % SLOTS);
        slot.is_some_and(|slot| slot.state != State::Empty && slot.sequence == sequence)
    }

    /// Copies a packet in; false when it is longer than the arena or older than all that is kept.
    pub fn store(&mut self, span: Span, codec: Codec, payload: &[u8]) -> bool {
        let size = self.arena.len();
        let Some(slot) = self.slots.get_mut(span.sequence as usize % SLOTS) else { return false };
        let is_older = (slot.sequence.wrapping_sub(span.sequence) as i32) > 0;
        if payload.len() > size || (slot.state != State::Empty && is_older) {
            return false;
        }
        let wrap = wrap_of(size);
        let mut start = self.head as usize % size;
        if start + payload.len() > size {
            self.head = (self.head + (size - start) as u32) % wrap;
            start = 0;
        }
        let Some(place) = self.arena.get_mut(start..start + payload.len()) else { return false };
        place.copy_from_slice(payload);
        *slot = Slot {
            sequence: span.sequence,
            timestamp: span.timestamp,
            offset: self.head,
            bytes: payload.len() as u16,
            units: span.units,
            codec,
            state: State::Waiting,
        };
        // The head stays congruent to the place in the arena when the counter wraps.
        self.head = (self.head + payload.len() as u32) % wrap;
        true
    }

    fn is_intact(&self, slot: &Slot) -> bool {
        let wrap = wrap_of(self.arena.len());
        let ahead = (self.head + wrap).wrapping_sub(slot.offset);
        let written_since = if ahead >= wrap { ahead - wrap } else { ahead };
        written_since as usize <= self.arena.len()
    }

    fn spans(&self) -> impl Iterator<Item = Span> {
        self.slots
            .iter()
            .filter(|slot| slot.state == State::Waiting && self.is_intact(slot))
            .map(span)
    }

    fn payload(&self, slot: &Slot) -> &[u8] {
        let start = slot.offset as usize % self.arena.len().max(1);
        self.arena.get(start..start + usize::from(slot.bytes)).unwrap_or(&[])
    }

    /// The packet that covers `timestamp`.
    pub fn at(&self, timestamp: u32) -> Option<Waiting<'_>> {
        let slot = self.slots.get(self.find(timestamp)?)?;
        Some(Waiting { span: span(slot), codec: slot.codec, payload: self.payload(slot) })
    }

    /// The packet of that sequence number, if it waits.
    pub fn of_sequence(&self, sequence: u32) -> Option<Waiting<'_>> {
        let slot = self.slots.get(sequence as usize % SLOTS)?;
        let fits =
            slot.state == State::Waiting && slot.sequence == sequence && self.is_intact(slot);
        fits.then(|| Waiting { span: span(slot), codec: slot.codec, payload: self.payload(slot) })
    }

    /// Its samples have been given out.
    pub fn played(&mut self, sequence: u32) {
        let slot = self.slots.get_mut(sequence as usize % SLOTS);
        if let Some(slot) = slot.filter(|slot| slot.sequence == sequence) {
            slot.state = State::Played;
        }
        self.cursor = sequence;
    }

    /// What ends before `timestamp` is not played any more.
    pub fn pass_over(&mut self, timestamp: u32) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Waiting) {
            if (span(slot).end().wrapping_sub(timestamp) as i32) <= 0 {
                slot.state = State::Played;
            }
        }
    }

    fn find(&self, timestamp: u32) -> Option<usize> {
        let fits = |slot: &Slot| {
            slot.state == State::Waiting && span(slot).covers(timestamp) && self.is_intact(slot)
        };
        for sequence in [self.cursor.wrapping_add(1), self.cursor] {
            let index = sequence as usize % SLOTS;
            if self.slots.get(index).is_some_and(fits) {
                return Some(index);
            }
        }
        self.slots.iter().position(fits)
    }

    /// The first waiting packet that begins after `timestamp` and before `limit` units later.
    pub fn next_after(&self, timestamp: u32, limit: i64) -> Option<Span> {
        self.spans()
            .filter(|span| (1..limit).contains(&i64::from(span.after(timestamp))))
            .min_by_key(|span| span.after(timestamp))
    }

    /// True when all the `units` from `timestamp` on are here.
    pub fn has(&self, timestamp: u32, units: i64) -> bool {
        let mut at = timestamp;
        let mut left = units;
        while left > 0 {
            let Some(slot) = self.find(at).and_then(|index| self.slots.get(index)) else {
                return false;
            };
            let end = span(slot).end();
            left -= i64::from(end.wrapping_sub(at));
            at = end;
        }
        true
    }

    /// Earliest and latest packet that waits.
    pub fn ends(&self) -> Option<(Span, Span)> {
        let mut spans = self.spans();
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

/// Positions in the arena are counted so far, a multiple of its size.
fn wrap_of(size: usize) -> u32 {
    size as u32 * 1_000
}

fn span(slot: &Slot) -> Span {
    Span { sequence: slot.sequence, timestamp: slot.timestamp, units: slot.units }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> PacketRing {
        PacketRing::new(Codec::Pcmu)
    }

    fn put(ring: &mut PacketRing, sequence: u32, units: u16) {
        let timestamp = sequence.wrapping_mul(u32::from(units));
        let payload = vec![sequence as u8; usize::from(units)];
        assert!(ring.store(Span { sequence, timestamp, units }, Codec::Pcmu, &payload));
    }

    #[test]
    fn packets_are_found_by_time_in_any_order() {
        let mut ring = ring();
        for sequence in [u32::MAX, 1, 0, 2] {
            put(&mut ring, sequence, 160);
        }
        let start = 0_u32.wrapping_sub(160);
        assert!(ring.has(start, 640) && !ring.has(start, 641));
        let (oldest, newest) = ring.ends().unwrap();
        assert_eq!((oldest.sequence, newest.sequence), (u32::MAX, 2));

        let found = ring.at(start.wrapping_add(100)).unwrap();
        assert_eq!((found.span.sequence, found.payload[0]), (u32::MAX, 0xff));
        ring.played(u32::MAX);
        assert!(ring.at(start.wrapping_add(100)).is_none());
        assert!(ring.holds(u32::MAX) && ring.holds(0) && !ring.holds(3));
        assert_eq!(ring.next_after(0, 161).unwrap().sequence, 1);
    }

    #[test]
    fn the_oldest_bytes_are_overwritten_never_misread() {
        let mut ring = ring();
        let last = 2_000_000_u32.div_ceil(480) - 1;
        for sequence in 0..=last {
            put(&mut ring, sequence, 480);
        }
        let held: Vec<u32> = (0..=last).filter(|n| ring.has(n * 480, 1)).collect();
        assert_eq!(held, (last - 4..=last).collect::<Vec<_>>());
        for sequence in held {
            let payload = ring.of_sequence(sequence).unwrap().payload;
            assert_eq!(payload, vec![sequence as u8; 480]);
        }
    }

    #[test]
    fn what_is_too_long_or_too_old_is_refused_and_harms_nothing() {
        let mut ring = ring();
        let span = Span { sequence: 0, timestamp: 0, units: 4_000 };
        assert!(!ring.store(span, Codec::Pcmu, &[0; 4_000]));
        put(&mut ring, 40, 160);
        let old = Span { sequence: 40 - SLOTS as u32, timestamp: 0, units: 160 };
        assert!(!ring.store(old, Codec::Pcmu, &[0; 160]));
        assert!(ring.has(40 * 160, 160));
    }
}
