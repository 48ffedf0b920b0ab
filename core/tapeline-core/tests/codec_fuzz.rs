//! Payloads as nobody would send them, against every decoder: seeded and bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use tapeline_core::media::codec::{
    Codec, ComfortNoise, Decoder, Encoder, PACKET_MAX, PAYLOAD_MAX, Rate,
};

const PAYLOADS: usize = 200_000;

const CODECS: [Codec; 9] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::L16(Rate::Narrow),
    Codec::L16(Rate::Wide),
    Codec::L16(Rate::Full),
    Codec::Opus(Rate::Narrow),
    Codec::Opus(Rate::Wide),
    Codec::Opus(Rate::Full),
];

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

/// Half a second of a sweep.
fn good_packets(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec).unwrap();
    let frame = codec.rate().frame();
    let mut phase = 0.0_f64;
    (0..25)
        .map(|tick| {
            let samples: Vec<i16> = (0..frame)
                .map(|_| {
                    phase += (200.0 + f64::from(tick) * 90.0) / f64::from(codec.rate_hz());
                    ((phase * std::f64::consts::TAU).sin() * 9_000.0) as i16
                })
                .collect();
            let mut payload = [0; PAYLOAD_MAX];
            let length = encoder.encode(&samples, &mut payload);
            payload[..length].to_vec()
        })
        .collect()
}

fn mutated(packets: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = packets[random.below(packets.len())].clone();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            // The first byte decides what an Opus packet is.
            1 if !bytes.is_empty() => bytes[0] = random.next() as u8,
            2 if bytes.len() > 1 => bytes[1] = random.next() as u8,
            3 => bytes.truncate(at),
            4 => bytes.extend((0..random.below(400)).map(|n| (n * 37) as u8)),
            5 => bytes.iter_mut().skip(at).for_each(|byte| *byte = random.next() as u8),
            6 => bytes = (0..random.below(1_500)).map(|_| random.next() as u8).collect(),
            _ => bytes.extend_from_slice(&packets[random.below(packets.len())]),
        }
    }
    bytes.truncate(1_500);
    bytes
}

#[test]
fn mutated_payloads_are_decoded_or_refused() {
    let mut random = Random(0xc0dec);
    for codec in CODECS {
        let packets = good_packets(codec);
        let mut decoder = Decoder::new(codec).unwrap();
        let mut out = [0; PACKET_MAX + 1];
        let frame = codec.rate().frame();
        let (mut decoded, mut made_up, mut recovered) = (0, 0, 0);
        for number in 0..PAYLOADS / CODECS.len() {
            let payload = mutated(&packets, &mut random);
            out[PACKET_MAX] = 77;
            let written = decoder.decode(&payload, &mut out[..PACKET_MAX]);

            let said = codec.duration_of(&payload) as usize * codec.rate_hz() as usize
                / codec.clock_hz() as usize;
            assert!(written == 0 || written == said.min(PACKET_MAX), "{codec:?} {payload:x?}");
            assert_eq!(out[PACKET_MAX], 77);
            decoded += usize::from(written > 0);
            let length = random.below(2_000);
            match number % 16 {
                0 => assert!(decoder.decode(&payload, &mut out[..length]) <= length),
                1 => made_up += usize::from(decoder.conceal(&mut out[..length / 40 * 40])),
                2 => recovered += usize::from(decoder.recover(&payload, &mut out[..frame])),
                3 if number % 1_024 == 3 => decoder.reset(),
                _ => {}
            }
        }
        assert!(decoded > PAYLOADS / CODECS.len() / 3, "{codec:?}: only {decoded}");
        let conceals = matches!(codec, Codec::Opus(_));
        assert_eq!((made_up > 0, recovered > 0), (conceals, conceals), "{codec:?}");

        decoder.reset();
        let mut fresh = Decoder::new(codec).unwrap();
        for packet in &packets {
            let mut expected = [0; PACKET_MAX];
            let length = fresh.decode(packet, &mut expected);
            assert_eq!(length, codec.rate().frame());
            assert_eq!(decoder.decode(packet, &mut out), length);
            assert!(out[..length] == expected[..length], "{codec:?}");
        }
    }
}

#[test]
fn mutated_noise_descriptions_make_noise() {
    let mut random = Random(13);
    let mut noise = ComfortNoise::new();
    for _ in 0..20_000 {
        let payload: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
        noise.update(&payload);
        noise.fill(&mut [0; 160]);
    }
    noise.update(&[127]);
    let mut out = [0; 1_600];
    noise.fill(&mut out);
    noise.fill(&mut out);
    assert!(out.iter().all(|sample| sample.abs() <= 1));
}
