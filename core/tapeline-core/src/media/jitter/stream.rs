//! Whose packets are played: the SSRC, and sequence numbers and timestamps beyond their wrap. Pure.

/// A sequence number so far off belongs to another stream (RFC 3550 A.1: MAX_DROPOUT, MAX_MISORDER).
const MAX_DROPOUT: i32 = 3_000;
const MAX_MISORDER: i32 = 100;
/// A stream that has been silent so long gives way to another at its first packet.
const ABANDONED_NS: u64 = 100_000_000;

/// Whether a packet is of the stream that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// The first of all, or the next of the same stream.
    Same,
    /// It begins another, which is believed.
    Begins,
    /// It may begin another; the next packet tells.
    Stray,
}

/// A packet's place in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub sequence: u32,
    /// Units of the RTP clock.
    pub timestamp: i64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    ssrc: u32,
    /// Of the highest packet.
    sequence: u32,
    timestamp: i64,
    last_arrival_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Stream {
    known: Option<Known>,
    /// SSRC and sequence number that would confirm a new stream.
    probation: Option<(u32, u16)>,
}

impl Stream {
    pub fn admit(&mut self, ssrc: u32, sequence: u16, arrival_ns: u64) -> Belonging {
        let Some(known) = &self.known else { return Belonging::Same };
        let ahead = i32::from(sequence.wrapping_sub(known.sequence as u16) as i16);
        if known.ssrc == ssrc && (-MAX_MISORDER..MAX_DROPOUT).contains(&ahead) {
            return Belonging::Same;
        }
        let is_abandoned = arrival_ns.saturating_sub(known.last_arrival_ns) >= ABANDONED_NS;
        if !is_abandoned && self.probation != Some((ssrc, sequence)) {
            self.probation = Some((ssrc, sequence.wrapping_add(1)));
            return Belonging::Stray;
        }
        self.known = None;
        Belonging::Begins
    }

    /// Where an admitted packet belongs; the highest so far is remembered.
    pub fn locate(
        &mut self,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        arrival_ns: u64,
    ) -> Position {
        self.probation = None;
        let known = self.known.get_or_insert(Known {
            ssrc,
            sequence: 0x1_0000 | u32::from(sequence),
            timestamp: far(timestamp),
            last_arrival_ns: arrival_ns,
        });
        known.last_arrival_ns = known.last_arrival_ns.max(arrival_ns);
        let ahead = i32::from(sequence.wrapping_sub(known.sequence as u16) as i16);
        let position = Position {
            sequence: known.sequence.wrapping_add(ahead as u32),
            timestamp: extend(known.timestamp, timestamp),
        };
        if ahead > 0 {
            (known.sequence, known.timestamp) = (position.sequence, position.timestamp);
        }
        position
    }

    /// The sender's clock has jumped: wraps are counted anew, so that no number of jumps adds up. Where
    /// the packet that jumped belongs.
    pub fn recount(&mut self, timestamp: u32) -> i64 {
        let Some(known) = &mut self.known else { return far(timestamp) };
        known.timestamp = far(known.timestamp as u32);
        extend(known.timestamp, timestamp)
    }

    /// A packet of the same stream that carries no audio: its sequence number is not a loss. False: it
    /// is of another. The timestamp stays, since an event's is that of its start.
    pub fn pass(&mut self, ssrc: u32, sequence: u16) -> bool {
        let Some(known) = self.known.as_mut().filter(|known| known.ssrc == ssrc) else {
            return false;
        };
        let ahead = i32::from(sequence.wrapping_sub(known.sequence as u16) as i16);
        if (1..MAX_DROPOUT).contains(&ahead) {
            known.sequence = known.sequence.wrapping_add(ahead as u32);
        }
        true
    }

    /// The timestamp beyond its wrap; `None` before the first packet.
    pub fn extended(&self, timestamp: u32) -> Option<i64> {
        Some(extend(self.known?.timestamp, timestamp))
    }
}

/// Far from zero, so that reordered first packets do not become negative.
fn far(timestamp: u32) -> i64 {
    0x1_0000_0000 | i64::from(timestamp)
}

fn extend(near: i64, timestamp: u32) -> i64 {
    near + i64::from(timestamp.wrapping_sub(near as u32) as i32)
}
