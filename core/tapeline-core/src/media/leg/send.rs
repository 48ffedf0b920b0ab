//! The leg's own RTP stream: encoded ticks in, packets of the agreed packet time out. Pure.

use std::hash::{BuildHasher, RandomState};

use crate::media::codec::Codec;
use crate::media::command::Agreement;
use crate::media::frame::{TICK_MS, TICKS_PER_SECOND};
use crate::media::leg::bundle::{BUNDLE_BYTES, Bundle};

const HEADER: usize = 12;
/// Longest packet time.
const PACKET_MS: usize = 60;
/// The longest frame of Opus (RFC 6716 §3.2.1) and its first byte.
const OPUS_PAYLOAD: usize = 1_276;
/// Half a tick.
const SHORT_MS: u8 = 10;

/// Bytes that the longest packet of a codec needs, and a tick that begins the next.
pub fn packet_bytes(codec: Codec) -> usize {
    let ticks = PACKET_MS + TICK_MS as usize;
    HEADER + bytes_per_ms(codec).map_or(BUNDLE_BYTES, |bytes| ticks * bytes)
}

/// Bytes that a tick of a codec needs.
pub fn payload_bytes(codec: Codec) -> usize {
    bytes_per_ms(codec).map_or(OPUS_PAYLOAD, |bytes| bytes * TICK_MS as usize)
}

/// `None`: a payload of this codec cannot be divided.
fn bytes_per_ms(codec: Codec) -> Option<usize> {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(8),
        Codec::L16(rate) => Some(rate.hz() as usize / 1_000 * 2),
        Codec::Opus(_) => None,
    }
}

/// What is encoded at once: a tick, or less where packets are shorter.
pub fn frame_ms(agreement: &Agreement) -> u8 {
    let is_short = bytes_per_ms(agreement.codec).is_none() && agreement.packet_ms <= SHORT_MS;
    if is_short { SHORT_MS } else { TICK_MS as u8 }
}

/// Units of the RTP clock in one tick.
fn units_per_tick(codec: Codec) -> u32 {
    codec.clock_hz() / TICKS_PER_SECOND
}

/// Sequence, clock and SSRC begin at random (RFC 3550 §5.1); made off the tick.
pub struct Packetizer {
    ssrc: u32,
    sequence: u16,
    /// Of the first sample that waits.
    timestamp: u32,
    /// The next packet is the first after a pause (RFC 3551 §4.1).
    is_spurt_start: bool,
    /// Bytes that wait, and their length in units of the RTP clock.
    filled: usize,
    units: u32,
    /// Frames of Opus that wait.
    bundle: Bundle,
    pub packets: u32,
    pub octets: u32,
}

impl Packetizer {
    pub fn new() -> Self {
        let random = RandomState::new();
        Self {
            ssrc: random.hash_one(1) as u32,
            // In the lower half: who misses our first packets cannot mistake SRTP's roll-over
            // counter (RFC 3711 §3.3.1).
            sequence: random.hash_one(2) as u16 >> 1,
            timestamp: random.hash_one(3) as u32,
            is_spurt_start: true,
            filled: 0,
            units: 0,
            bundle: Bundle::default(),
            packets: 0,
            octets: 0,
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// RTP timestamp of the present instant.
    pub fn timestamp(&self) -> u32 {
        self.timestamp.wrapping_add(self.units)
    }

    /// Time passes without a packet.
    pub fn pause(&mut self, codec: Codec, ticks: u64) {
        self.restart();
        let passed = (ticks as u32).wrapping_mul(units_per_tick(codec));
        self.timestamp = self.timestamp.wrapping_add(passed);
    }

    /// What waits is never sent: the codec is another one.
    pub fn restart(&mut self) {
        self.timestamp = self.timestamp();
        (self.filled, self.units) = (0, 0);
        self.bundle = Bundle::default();
        self.is_spurt_start = true;
    }

    /// One encoded tick; an empty one is a pause (DTX). `send` gets each packet that it completes;
    /// `buffer` has [`packet_bytes`] and is the same each time.
    pub fn push(
        &mut self,
        payload: &[u8],
        agreement: &Agreement,
        buffer: &mut [u8],
        mut send: impl FnMut(&[u8]),
    ) {
        let codec = agreement.codec;
        let Some(bytes_per_ms) = bytes_per_ms(codec) else {
            return self.push_frame(payload, agreement, buffer, send);
        };
        let start = HEADER + self.filled;
        match buffer.get_mut(start..start + payload.len()) {
            Some(place) if !payload.is_empty() => place.copy_from_slice(payload),
            _ => return self.pause(codec, 1),
        }
        self.filled += payload.len();
        self.units += units_per_tick(codec);
        let packet_ms = usize::from(agreement.packet_ms).clamp(10, PACKET_MS);
        let bytes = packet_ms * bytes_per_ms;
        let units = packet_ms as u32 * codec.clock_hz() / 1_000;
        while self.filled >= bytes && bytes > 0 {
            self.write_header(agreement.payload_type, buffer);
            if let Some(packet) = buffer.get(..HEADER + bytes) {
                send(packet);
            }
            self.advance(bytes, units, buffer);
        }
    }

    /// One encoded frame of Opus, which is half a tick where packets are: it waits until it and its
    /// forerunners are a packet.
    fn push_frame(
        &mut self,
        payload: &[u8],
        agreement: &Agreement,
        buffer: &mut [u8],
        mut send: impl FnMut(&[u8]),
    ) {
        if payload.is_empty() {
            return self.pause(agreement.codec, 1);
        }
        let frame_ms = u32::from(frame_ms(agreement));
        let packet_ms = usize::from(agreement.packet_ms).clamp(10, PACKET_MS) as u32;
        let room = buffer.get_mut(HEADER..).unwrap_or(&mut []);
        let mut is_taken = self.bundle.push(payload, room);
        if !is_taken {
            self.send_bundle(agreement.payload_type, buffer, &mut send);
            let room = buffer.get_mut(HEADER..).unwrap_or(&mut []);
            is_taken = self.bundle.push(payload, room);
        }
        let units = agreement.codec.clock_hz() / 1_000 * frame_ms;
        if !is_taken {
            // Longer than any frame: its time passes.
            self.timestamp = self.timestamp.wrapping_add(units);
            return;
        }
        self.units += units;
        if !self.bundle.is_open() || self.bundle.count() as u32 * frame_ms >= packet_ms {
            self.send_bundle(agreement.payload_type, buffer, &mut send);
        }
    }

    fn send_bundle(&mut self, payload_type: u8, buffer: &mut [u8], send: &mut impl FnMut(&[u8])) {
        if self.bundle.count() == 0 {
            return;
        }
        let range = self.bundle.close(buffer.get_mut(HEADER..).unwrap_or(&mut []));
        let Some(packet) = buffer.get_mut(range.start..HEADER + range.end) else { return };
        self.write_header(payload_type, packet);
        send(packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(std::mem::take(&mut self.units));
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(range.len() as u32);
    }

    /// A telephone-event (RFC 4733 §2.3) between the audio packets: the timestamp of its start, whether
    /// it is the first of its key, and its payload. It takes a sequence number and no time.
    pub fn event(
        &mut self,
        payload_type: u8,
        (timestamp, is_start, payload): (u32, bool, [u8; 4]),
        send: impl FnOnce(&[u8]),
    ) {
        let mut packet = [0; HEADER + 4];
        let now = std::mem::replace(&mut self.timestamp, timestamp);
        self.is_spurt_start = is_start;
        self.write_header(payload_type, &mut packet);
        self.timestamp = now;
        if let Some(place) = packet.last_chunk_mut() {
            *place = payload;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(4);
        send(&packet);
    }

    fn write_header(&mut self, payload_type: u8, buffer: &mut [u8]) {
        let marker = if std::mem::take(&mut self.is_spurt_start) { 0x80 } else { 0 };
        let sequence = self.sequence.to_be_bytes();
        let timestamp = self.timestamp.to_be_bytes();
        let ssrc = self.ssrc.to_be_bytes();
        let fields = [0x80, marker | (payload_type & 0x7f)];
        let header = fields.iter().chain(&sequence).chain(&timestamp).chain(&ssrc);
        for (place, byte) in buffer.iter_mut().zip(header) {
            *place = *byte;
        }
    }

    fn advance(&mut self, bytes: usize, units: u32, buffer: &mut [u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(units);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(bytes as u32);
        let end = HEADER + self.filled;
        buffer.copy_within((HEADER + bytes).min(end)..end, HEADER);
        self.filled -= bytes.min(self.filled);
        self.units -= units.min(self.units);
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
    use crate::media::codec::Rate;
    use crate::media::command::{Direction, RtcpPlace};
    use rtp_types::RtpPacket;

    /// Marker, sequence, timestamp and payload.
    type Packet = (bool, u16, u32, Vec<u8>);

    /// Counts on from what the packetizer began with.
    struct Stream {
        packetizer: Packetizer,
        buffer: Box<[u8]>,
        agreement: Agreement,
        first: (u16, u32),
        packets: Vec<Packet>,
    }

    impl Stream {
        fn new(codec: Codec, packet_ms: u8) -> Self {
            let packetizer = Packetizer::new();
            Self {
                first: (packetizer.sequence, packetizer.timestamp),
                packetizer,
                buffer: vec![0; packet_bytes(codec)].into_boxed_slice(),
                agreement: Agreement {
                    remote: "127.0.0.1:4000".parse().unwrap(),
                    codec,
                    payload_type: 8,
                    telephone_event: None,
                    packet_ms,
                    direction: Direction::SendRecv,
                    rtcp: RtcpPlace::default(),
                    srtp: None,
                },
                packets: Vec::new(),
            }
        }

        fn push(&mut self, payload: &[u8]) {
            let Self { packetizer, buffer, agreement, first, packets } = self;
            packetizer.push(payload, agreement, buffer, |bytes| {
                let packet = RtpPacket::parse(bytes).unwrap();
                packets.push((
                    packet.marker_bit(),
                    packet.sequence_number().wrapping_sub(first.0),
                    packet.timestamp().wrapping_sub(first.1),
                    packet.payload().to_vec(),
                ));
            });
        }
    }

    fn numbered(count: usize, tick: usize) -> Vec<u8> {
        (0..count).map(|n| (tick * count + n) as u8).collect()
    }

    #[test]
    fn every_packet_time_gives_one_gapless_stream() {
        let codecs =
            [(Codec::Pcma, 160, 160), (Codec::G722, 160, 160), (Codec::L16(Rate::Wide), 640, 320)];
        for (codec, bytes, units) in codecs {
            for packet_ms in [10, 20, 30, 40, 60] {
                let mut stream = Stream::new(codec, packet_ms);
                (0..12).for_each(|tick| stream.push(&numbered(bytes, tick)));

                let sent: Vec<u8> = (0..12).flat_map(|tick| numbered(bytes, tick)).collect();
                let size = bytes * usize::from(packet_ms) / 20;
                let step = units * u32::from(packet_ms) / 20;
                assert_eq!(stream.packets.len(), sent.len() / size, "{codec:?} {packet_ms} ms");
                for (n, (packet, expected)) in
                    stream.packets.iter().zip(sent.chunks(size)).enumerate()
                {
                    assert_eq!(*packet, (n == 0, n as u16, step * n as u32, expected.to_vec()));
                }
            }
        }
    }

    #[test]
    fn the_packet_time_may_change_between_any_two_ticks() {
        let times = [10, 20, 30, 40, 60];
        for (before, after) in times.iter().flat_map(|a| times.map(|b| (*a, b))) {
            for ticks in 1..=6 {
                let mut stream = Stream::new(Codec::Pcmu, before);
                (0..ticks).for_each(|tick| stream.push(&numbered(160, tick)));
                stream.agreement.packet_ms = after;
                (ticks..18).for_each(|tick| stream.push(&numbered(160, tick)));

                let mut at = 0;
                for (n, (marker, sequence, timestamp, payload)) in stream.packets.iter().enumerate()
                {
                    assert_eq!((*marker, usize::from(*sequence), *timestamp), (n == 0, n, at));
                    let whole: Vec<u8> = (0..18).flat_map(|tick| numbered(160, tick)).collect();
                    assert_eq!(*payload, whole[at as usize..at as usize + payload.len()]);
                    at += payload.len() as u32;
                }
                assert!(18 * 160 - at < 480, "{before} to {after}: {at}");
            }
        }
    }

    #[test]
    fn frames_of_opus_wait_for_their_packet_time() {
        let frame = |n: u8| vec![0x48, n, n, n];
        for (packet_ms, ticks) in [(20, 1), (40, 2), (60, 3)] {
            let mut stream = Stream::new(Codec::Opus(Rate::Wide), packet_ms);
            (0..12).for_each(|tick| stream.push(&frame(tick)));

            assert_eq!(stream.packets.len(), 12 / ticks, "{packet_ms} ms");
            for (n, (marker, sequence, timestamp, payload)) in stream.packets.iter().enumerate() {
                let at = (n * ticks * 960) as u32;
                assert_eq!((*marker, usize::from(*sequence), *timestamp), (n == 0, n, at));
                let tail = &payload[payload.len() - 3 * ticks..];
                let expected: Vec<u8> =
                    (0..ticks).flat_map(|tick| [(n * ticks + tick) as u8; 3]).collect();
                assert_eq!(tail, expected);
            }
        }
        let mut halves = Stream::new(Codec::Opus(Rate::Wide), 10);
        (0..4).for_each(|half| halves.push(&frame(half)));
        assert_eq!(halves.packets.iter().map(|it| it.2).collect::<Vec<_>>(), [0, 480, 960, 1_440]);
    }

    #[test]
    fn what_cannot_be_bundled_goes_before_and_nothing_is_late() {
        let mut stream = Stream::new(Codec::Opus(Rate::Wide), 60);
        stream.push(&[0x48, 1]);
        stream.push(&[0x50, 2]);
        stream.push(&[0x50, 3]);
        stream.agreement.packet_ms = 20;
        stream.push(&[0x50, 4]);
        stream.push(&[0x51, 5]);
        stream.push(&[0x48, 6]);
        let sent: Vec<_> = stream.packets.iter().map(|it| (it.2, it.3.clone())).collect();
        assert_eq!(
            sent,
            [
                (0, vec![0x48, 1]),
                (960, vec![0x53, 0x83, 1, 1, 2, 3, 4]),
                (3_840, vec![0x51, 5]),
                (4_800, vec![0x48, 6]),
            ]
        );
    }

    #[test]
    fn opus_is_on_a_48_khz_clock_and_dtx_is_a_pause() {
        let mut stream = Stream::new(Codec::Opus(Rate::Wide), 20);
        for payload in [&[1; 40][..], &[2; 7], &[], &[], &[3; 100]] {
            stream.push(payload);
        }

        let expected = [(true, 0, 0, vec![1; 40]), (false, 1, 960, vec![2; 7])];
        assert_eq!(stream.packets[..2], expected);
        assert_eq!(stream.packets[2..], [(true, 2, 3_840, vec![3; 100])]);
    }

    #[test]
    fn a_pause_takes_its_time_and_ends_with_a_marker() {
        let mut stream = Stream::new(Codec::Pcma, 20);
        for _ in 0..2 {
            stream.push(&[0; 160]);
            stream.packetizer.pause(Codec::Pcma, 2);
        }
        assert!(stream.packets[0].0 && stream.packets[1].0);
        assert_eq!(stream.packets[1].2, 480);
    }
}
