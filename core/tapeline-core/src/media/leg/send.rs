//! The leg's own RTP stream: frames of 20 ms in, packets of the agreed packet time out. Pure.

use std::hash::{BuildHasher, RandomState};

use crate::media::command::{Agreement, Codec};

const HEADER: usize = 12;
/// The longest packet and a frame that begins the next, at one byte a sample.
const PAYLOAD: usize = 640;

/// Sequence, clock and SSRC begin at random (RFC 3550 §5.1); made off the tick.
pub struct Packetizer {
    ssrc: u32,
    sequence: u16,
    /// Of the first sample in `buffer`.
    timestamp: u32,
    /// The next packet is the first after a pause (RFC 3551 §4.1).
    is_spurt_start: bool,
    filled: usize,
    /// Room for the header, then the payload so far.
    buffer: [u8; HEADER + PAYLOAD],
    pub packets: u32,
    pub octets: u32,
}

impl Packetizer {
    pub fn new() -> Self {
        let random = RandomState::new();
        Self {
            ssrc: random.hash_one(1) as u32,
            sequence: random.hash_one(2) as u16,
            timestamp: random.hash_one(3) as u32,
            is_spurt_start: true,
            filled: 0,
            buffer: [0; HEADER + PAYLOAD],
            packets: 0,
            octets: 0,
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// RTP timestamp of the present instant.
    pub fn timestamp(&self) -> u32 {
        self.timestamp.wrapping_add(self.filled as u32)
    }

    /// Time passes without a packet.
    pub fn pause(&mut self, samples: u32) {
        self.timestamp = self.timestamp.wrapping_add(self.filled as u32 + samples);
        self.filled = 0;
        self.is_spurt_start = true;
    }

    /// One frame; `send` gets each packet that it completes.
    pub fn push(&mut self, frame: &[i16], agreement: &Agreement, mut send: impl FnMut(&[u8])) {
        self.encode(agreement.codec, frame);
        let packet_ms = usize::from(agreement.packet_ms.clamp(10, 60));
        let payload = packet_ms * agreement.codec.rate_hz() as usize / 1_000;
        while self.filled >= payload {
            self.write_header(agreement.payload_type);
            if let Some(packet) = self.buffer.get(..HEADER + payload) {
                send(packet);
            }
            self.advance(payload);
        }
    }

    fn encode(&mut self, codec: Codec, frame: &[i16]) {
        if let Some(place) = self.buffer.get_mut(HEADER + self.filled..) {
            self.filled += codec.encode(frame, place);
        }
    }

    fn write_header(&mut self, payload_type: u8) {
        let marker = if std::mem::take(&mut self.is_spurt_start) { 0x80 } else { 0 };
        let sequence = self.sequence.to_be_bytes();
        let timestamp = self.timestamp.to_be_bytes();
        let ssrc = self.ssrc.to_be_bytes();
        let fields = [0x80, marker | (payload_type & 0x7f)];
        let header = fields.iter().chain(&sequence).chain(&timestamp).chain(&ssrc);
        for (place, byte) in self.buffer.iter_mut().zip(header) {
            *place = *byte;
        }
    }

    fn advance(&mut self, payload: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(payload as u32);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
        let end = HEADER + self.filled;
        self.buffer.copy_within((HEADER + payload).min(end)..end, HEADER);
        self.filled -= payload.min(self.filled);
    }
}

impl Default for Packetizer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::Direction;
    use rtp_types::RtpPacket;

    fn agreement(packet_ms: u8) -> Agreement {
        Agreement {
            remote: "127.0.0.1:4000".parse().unwrap(),
            codec: Codec::Pcma,
            payload_type: 8,
            telephone_event: None,
            packet_ms,
            direction: Direction::SendRecv,
        }
    }

    #[test]
    fn every_packet_time_gives_one_gapless_stream() {
        for packet_ms in [10, 20, 30, 40, 60] {
            let mut packetizer = Packetizer::new();
            let mut packets: Vec<Vec<u8>> = Vec::new();
            let mut sent: Vec<i16> = Vec::new();
            for tick in 0..12_i16 {
                let frame: Vec<i16> = (0..160).map(|n| (tick * 160 + n) * 8).collect();
                packetizer.push(&frame, &agreement(packet_ms), |p| packets.push(p.to_vec()));
                sent.extend(frame);
            }

            let mut heard = vec![0; sent.len()];
            let mut at = 0;
            for (index, bytes) in packets.iter().enumerate() {
                let packet = RtpPacket::parse(bytes).unwrap();
                let first = RtpPacket::parse(&packets[0]).unwrap();
                assert_eq!(packet.payload().len(), usize::from(packet_ms) * 8);
                assert_eq!(packet.marker_bit(), index == 0);
                let ahead = packet.sequence_number().wrapping_sub(first.sequence_number());
                assert_eq!(usize::from(ahead), index);
                assert_eq!(packet.timestamp().wrapping_sub(first.timestamp()) as usize, at);
                at += Codec::Pcma.decode(packet.payload(), &mut heard[at..]);
            }
            assert_eq!(at, 1_920);
            assert!(sent.iter().zip(heard).all(|(a, b)| (a - b).abs() <= a.abs() / 16 + 16));
        }
    }

    #[test]
    fn a_pause_takes_its_time_and_ends_with_a_marker() {
        let mut packetizer = Packetizer::new();
        let mut seen = Vec::new();
        for _ in 0..2 {
            packetizer.push(&[0; 160], &agreement(20), |bytes| {
                let packet = RtpPacket::parse(bytes).unwrap();
                seen.push((packet.marker_bit(), packet.timestamp()));
            });
            packetizer.pause(320);
        }
        assert!(seen[0].0 && seen[1].0);
        assert_eq!(seen[1].1.wrapping_sub(seen[0].1), 480);
    }
}
