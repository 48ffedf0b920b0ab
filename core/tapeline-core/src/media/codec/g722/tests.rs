use std::io::{Read, Write};
use std::process::{Command, Stdio};

use audio_codec::{Decoder, Encoder};

use super::*;

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Tones, noise, clicks, full scale, silence: a stretch of each.
fn signal(samples: usize) -> Vec<i16> {
    let mut random = Random(7);
    let at = |n: usize, hz: f64| (std::f64::consts::TAU * hz * n as f64 / 16_000.0).sin();
    (0..samples)
        .map(|n| match n / 1_600 % 7 {
            0 => (at(n, 440.0) * 8_000.0 + at(n, 5_200.0) * 3_000.0) as i16,
            1 => random.next() as i16,
            2 => (random.next() as i16) / 64,
            3 => 0,
            4 if n / 8 % 2 == 0 => i16::MAX,
            4 => i16::MIN,
            5 => (at(n, 200.0 + (n % 1_600) as f64 * 4.0) * 30_000.0) as i16,
            _ if n % 97 == 0 => i16::MIN,
            _ => 3,
        })
        .collect()
}

/// The oracle's decoder begins with scales of zero rather than the Recommendation's 32 and 8; after a
/// byte that both dequantise to nothing they are in step, after the filter's length exactly so.
const STILL: [u8; 16] = [0xff; 16];

#[test]
fn g722_encodes_bit_by_bit_like_another_implementation() {
    // The oracle's encoder begins with four times the Recommendation's scales; noise brings
    // both to the same state.
    let mut random = Random(3);
    let mut samples: Vec<i16> = (0..8_000).map(|_| random.next() as i16).collect();
    samples.extend(signal(160_000));
    let mut oracle = audio_codec::g722::G722Encoder::new();
    let mut expected = vec![0; samples.len() / 2];
    oracle.encode_into(&samples, &mut expected).unwrap();

    let mut bytes = vec![0; samples.len() / 2];
    let mut encoder = G722Encoder::default();
    // In packets of 10 to 60 ms and odd pieces.
    let (mut at, mut sizes) = (0, [160, 320, 480, 640, 960, 2, 34].iter().cycle());
    while at < samples.len() {
        let size = (*sizes.next().unwrap()).min(samples.len() - at);
        let written = encoder.encode(&samples[at..at + size], &mut bytes[at / 2..]);
        assert_eq!(written, size / 2);
        at += size;
    }

    let same = bytes.iter().zip(&expected).rev().take_while(|(a, b)| a == b).count();
    assert!(same >= 80_000, "{same}");
    assert_eq!(encoded_by_ffmpeg(&samples), bytes);
}

#[test]
fn g722_decodes_bit_by_bit_like_another_implementation() {
    let mut payload = STILL.to_vec();
    let mut encoded = vec![0; 80_000];
    G722Encoder::default().encode(&signal(160_000), &mut encoded);
    payload.extend(encoded);
    let mut random = Random(99);
    payload.extend((0..80_000).map(|_| random.next() as u8));
    let mut expected = vec![0; payload.len() * 2];
    audio_codec::g722::G722Decoder::new().decode_into(&payload, &mut expected).unwrap();

    let mut out = vec![0; payload.len() * 2];
    let mut decoder = G722Decoder::default();
    let (mut at, mut sizes) = (0, [80, 160, 240, 320, 480, 1, 17].iter().cycle());
    while at < payload.len() {
        let size = (*sizes.next().unwrap()).min(payload.len() - at);
        let written = decoder.decode(&payload[at..at + size], &mut out[at * 2..]);
        assert_eq!(written, size * 2);
        at += size;
    }

    let settled = STILL.len() * 2;
    assert!(out[settled..] == expected[settled..]);
}

/// What ffmpeg makes of `input`.
fn ffmpeg(arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    feeder.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    output
}

fn encoded_by_ffmpeg(samples: &[i16]) -> Vec<u8> {
    let input = samples.iter().flat_map(|it| it.to_le_bytes()).collect();
    let raw = ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "pipe:0"];
    ffmpeg(&[&raw[..], &["-c:a", "g722", "-f", "g722", "pipe:1"]].concat(), input)
}

#[test]
fn g722_decodes_from_the_first_sample_like_ffmpeg() {
    let mut payload = vec![0; 80_000];
    G722Encoder::default().encode(&signal(160_000), &mut payload);
    let mut random = Random(5);
    payload.extend((0..20_000).map(|_| random.next() as u8));
    let pipe = ["-f", "g722", "-i", "pipe:0", "-f", "s16le", "pipe:1"];
    let bytes = ffmpeg(&pipe, payload.clone());
    let expected: Vec<i16> = bytes.as_chunks().0.iter().map(|it| i16::from_le_bytes(*it)).collect();

    let mut out = vec![0; payload.len() * 2];
    G722Decoder::default().decode(&payload, &mut out);

    assert!(out == expected);
}

#[test]
fn a_decoded_signal_is_the_encoded_one_a_filter_later() {
    let at = |n: usize| (std::f64::consts::TAU * 1_000.0 * n as f64 / 16_000.0).sin() * 10_000.0;
    let samples: Vec<i16> = (0..16_000).map(|n| at(n) as i16).collect();
    let (mut bytes, mut out) = (vec![0; 8_000], vec![0; 16_000]);
    G722Encoder::default().encode(&samples, &mut bytes);
    G722Decoder::default().decode(&bytes, &mut out);

    // Both mirror filters together delay by 22 samples.
    let pairs = || out[2_022..].iter().zip(&samples[2_000..]);
    let error: f64 = pairs().map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let signal: f64 = pairs().map(|(_, b)| f64::from(*b).powi(2)).sum();
    let snr_db = 10.0 * (signal / error).log10();
    assert!(snr_db > 25.0, "{snr_db}");
}

#[test]
fn a_copy_of_an_encoder_goes_on_as_the_first() {
    let samples = signal(64_000);
    let mut first = G722Encoder::default();
    first.encode(&samples[..32_000], &mut vec![0; 16_000]);
    let mut second = first.clone();
    let (mut one, mut two) = (vec![0; 16_000], vec![0; 16_000]);
    first.encode(&samples[32_000..], &mut one);
    second.encode(&samples[32_000..], &mut two);
    assert!(one == two);
}

#[test]
fn too_little_room_ends_it_early() {
    let mut encoder = G722Encoder::default();
    assert_eq!(encoder.encode(&[1; 321], &mut [0; 200]), 160);
    assert_eq!(encoder.encode(&[1; 320], &mut [0; 7]), 7);
    let mut decoder = G722Decoder::default();
    assert_eq!(decoder.decode(&[1; 160], &mut [0; 319]), 318);
    assert_eq!(decoder.decode(&[], &mut [0; 8]), 0);
}
