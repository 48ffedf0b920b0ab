//! Virtual networks around the jitter buffer, and what the best fixed delay would have done on them.
//!
//! A [`Network`] turns sent packets into arrivals; [`play`] runs the buffer tick by tick and measures from
//! outside: a frame's delay is its tick less the instant its packet was sent less the trace's least
//! transit, and a frame without a sample of the sender counts as concealed whatever the buffer says.
//! The oracle knows the whole trace: a packet is late for it when its transit is above the fixed delay.

use super::*;

pub const RATE: u32 = 8_000;
const MS: f64 = 1e6;
/// The first packet is sent then, milliseconds.
const BEGIN: f64 = 1_000.0;

/// xorshift64*: seeded, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in 0..1.
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }
}

/// What a network does to a packet sent at that millisecond: its delay in ms, or `None` when lost.
pub type Path<'a> = &'a mut dyn FnMut(f64, &mut Random) -> Option<f64>;

#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub packets: usize,
    pub packet_ms: f64,
    /// How much faster the sender's clock runs, parts per million.
    pub ppm: f64,
    /// The first packet's place between two ticks, ms before the second.
    pub phase_ms: f64,
    /// Share of time in which the sender speaks; the rest is quiet.
    pub talks: f64,
    pub seed: u64,
}

/// Five minutes.
pub const CLEAN: Network =
    Network { packets: 15_000, packet_ms: 20.0, ppm: 0.0, phase_ms: 10.0, talks: 0.5, seed: 7 };

#[derive(Debug, Default)]
pub struct Outcome {
    pub concealed_percent: f64,
    pub mean_delay_ms: f64,
    pub max_delay_ms: f64,
    pub last_delay_ms: f64,
    pub corrections: Corrections,
    /// What the best fixed delay of the same mean conceals.
    pub oracle_percent: f64,
}

impl Outcome {
    /// Percentage points above the oracle.
    pub fn above_oracle(&self) -> f64 {
        self.concealed_percent - self.oracle_percent
    }
}

impl Network {
    fn sent_ms(&self, index: usize) -> f64 {
        BEGIN + index as f64 * self.packet_ms * (1.0 - self.ppm * 1e-6)
    }

    fn arrivals(&self, path: Path<'_>) -> Vec<Option<f64>> {
        let mut random = Random::new(self.seed);
        let mut last = 0.0_f64;
        (0..self.packets)
            .map(|index| {
                let sent = self.sent_ms(index);
                let arrival = sent + 20.0 - self.phase_ms + path(sent, &mut random)?;
                // One path keeps the order: a delayed packet holds up those behind it.
                last = last.max(arrival);
                Some(last)
            })
            .collect()
    }

    /// Transit of each packet, ms above the least of all; `None`: lost.
    fn transits(&self, arrivals: &[Option<f64>]) -> (f64, Vec<Option<f64>>) {
        let transit =
            |(index, arrival): (usize, &Option<f64>)| Some((*arrival)? - self.sent_ms(index));
        let transits: Vec<_> = arrivals.iter().enumerate().map(transit).collect();
        let least = transits.iter().flatten().copied().fold(f64::MAX, f64::min);
        (least, transits.into_iter().map(|transit| Some(transit? - least)).collect())
    }

    /// Runs the buffer over what the path makes of the packets.
    pub fn play(&self, path: Path<'_>) -> Outcome {
        let arrivals = self.arrivals(path);
        let (least, transits) = self.transits(&arrivals);
        let samples = (self.packet_ms * f64::from(RATE) / 1_000.0) as usize;
        let mut buffer = JitterBuffer::new(Decoder::new(Codec::Pcmu).unwrap());
        let (mut next, mut missing, mut frames, mut delays) = (0, 0_u64, 0_u64, 0.0);
        let mut outcome = Outcome::default();
        let end = arrivals.iter().flatten().last().copied().unwrap_or(0.0);
        let mut tick = BEGIN + 20.0;
        while tick <= end {
            while let Some(arrival) = arrivals.get(next) {
                if arrival.is_some_and(|arrival| arrival > tick) {
                    break;
                }
                if let Some(arrival) = arrival {
                    self.put(&mut buffer, next, samples, *arrival);
                }
                next += 1;
            }
            let pulled = buffer.pull((tick * MS) as u64, &mut [0; 160]);
            if let Some(play) = buffer.play {
                // The frame of this tick has been played: it began a tick before `play`.
                let units = play - 160 - 0x1_0000_0000;
                let sent = self.sent_ms(0) + units as f64 / 8.0 * (1.0 - self.ppm * 1e-6);
                let delay_ms = tick - sent - least;
                delays += delay_ms;
                outcome.max_delay_ms = outcome.max_delay_ms.max(delay_ms);
                outcome.last_delay_ms = delay_ms;
                frames += 1;
                missing += if pulled.has_audio { u64::from(pulled.concealed) } else { 160 };
            }
            tick += 20.0;
        }
        outcome.corrections = buffer.corrections();
        outcome.concealed_percent = missing as f64 / 160.0 / frames as f64 * 100.0;
        outcome.mean_delay_ms = delays / frames as f64;
        outcome.oracle_percent = fixed(&transits, outcome.mean_delay_ms);
        outcome
    }

    fn put(&self, buffer: &mut JitterBuffer, index: usize, samples: usize, arrival: f64) {
        let cycle = (index as f64 * self.packet_ms / 2_000.0).fract();
        let payload = vec![if cycle < self.talks { 0x90 } else { 0xfe }; samples];
        buffer.insert(&AudioPacket {
            ssrc: 1,
            sequence: index as u16,
            timestamp: (index * samples) as u32,
            codec: Codec::Pcmu,
            payload: &payload,
            arrival_ns: (arrival * MS) as u64,
        });
    }
}

/// What a fixed delay conceals, percent of the packets.
fn fixed(transits: &[Option<f64>], delay_ms: f64) -> f64 {
    let is_late = |transit: &&Option<f64>| transit.is_none_or(|transit| transit > delay_ms + 1e-6);
    transits.iter().filter(is_late).count() as f64 / transits.len() as f64 * 100.0
}
