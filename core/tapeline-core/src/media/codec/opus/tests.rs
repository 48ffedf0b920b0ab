use super::*;
use Rate::{Full, Narrow, Wide};

/// Something like speech: a buzz of harmonics that rises, falls and pauses.
fn speech(rate: Rate, ticks: usize) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    (0..rate.frame() * ticks)
        .map(|n| {
            let t = n as f64 / hz;
            let pitch = 120.0 * t + 1.2 * (std::f64::consts::TAU * 2.5 * t).sin();
            let voice: f64 = (1..20)
                .map(|k| {
                    let k = f64::from(k);
                    (std::f64::consts::TAU * k * pitch).sin() / (1.0 + (k - 5.0).powi(2) / 8.0)
                })
                .sum();
            let loudness = (std::f64::consts::TAU * 1.3 * t).sin().max(0.0);
            (voice * loudness * 5_000.0) as i16
        })
        .collect()
}

fn encoded(encoder: &mut OpusEncoder, samples: &[i16]) -> Vec<Vec<u8>> {
    let length = encoder.rate.frame();
    let encode = |frame: &[i16]| {
        let mut payload = [0; 1_920];
        let length = encoder.encode(frame, &mut payload);
        assert!(length > 0);
        payload[..length].to_vec()
    };
    samples.chunks(length).map(encode).collect()
}

/// Energy of what differs over energy of `expected`, in dB, at the best delay of up to 20 ms.
fn error_db(heard: &[i16], expected: &[i16], rate: Rate) -> f64 {
    let at = |late: usize| {
        let pairs = heard.iter().skip(late).zip(expected);
        let (error, signal) = pairs.fold((0.0, 0.0), |(error, signal), (a, b)| {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (error + (a - b).powi(2), signal + b * b)
        });
        10.0 * f64::log10(error / signal)
    };
    (0..rate.frame()).map(at).fold(f64::MAX, f64::min)
}

#[test]
fn speech_survives_at_every_rate_and_at_another_one_than_it_was_encoded_at() {
    for (from, to) in [(Narrow, Narrow), (Wide, Wide), (Full, Full), (Full, Wide), (Wide, Narrow)] {
        let packets = encoded(&mut OpusEncoder::new(from).unwrap(), &speech(from, 150));
        let mut decoder = OpusDecoder::new(to).unwrap();
        let mut heard = Vec::new();
        for packet in &packets {
            assert_eq!(duration(packet), 960);
            let mut out = [0; 5_760];
            assert_eq!(decoder.decode(packet, &mut out), to.frame());
            heard.extend_from_slice(&out[..to.frame()]);
        }
        let error = error_db(&heard, &speech(to, 150), to);
        assert!(error < -6.0, "{from:?} to {to:?}: {error:.1} dB");

        let bytes: usize = packets.iter().map(Vec::len).sum();
        let bit_rate = bytes * 8 * 50 / packets.len();
        assert!(bit_rate < bit_rate_bound(from), "{from:?}: {bit_rate} bit/s");
    }
}

fn bit_rate_bound(rate: Rate) -> usize {
    bit_rate(rate) as usize * 6 / 5
}

#[test]
fn a_copied_encoder_goes_on_bit_by_bit_as_the_first() {
    for rate in Rate::ALL {
        let samples = speech(rate, 150);
        let (before, after) = samples.split_at(50 * rate.frame());
        let mut shared = OpusEncoder::new(rate).unwrap();
        encoded(&mut shared, before);
        // One that has been used for something else in between.
        let mut own = OpusEncoder::new(rate).unwrap();
        encoded(&mut own, after);

        own.continue_from(&shared);

        let (one, other) = (encoded(&mut shared, after), encoded(&mut own, after));
        assert_eq!(one.len(), 100);
        assert!(one == other, "{rate:?}");
    }
}

#[test]
fn a_reset_encoder_and_decoder_are_as_new() {
    let samples = speech(Wide, 60);
    let mut encoder = OpusEncoder::new(Wide).unwrap();
    let first = encoded(&mut encoder, &samples);
    encoder.reset();
    assert!(first == encoded(&mut encoder, &samples));

    let mut decoder = OpusDecoder::new(Wide).unwrap();
    let hear = |decoder: &mut OpusDecoder| {
        let mut out = vec![0; samples.len()];
        for (packet, place) in first.iter().zip(out.chunks_mut(Wide.frame())) {
            decoder.decode(packet, place);
        }
        out
    };
    let once = hear(&mut decoder);
    decoder.reset();
    assert!(once == hear(&mut decoder));
}

#[test]
fn a_lost_packet_is_recovered_from_the_next_one_better_than_it_is_made_up() {
    let samples = speech(Wide, 200);
    let mut encoder = OpusEncoder::new(Wide).unwrap();
    encoder.expect_loss(20);
    let packets = encoded(&mut encoder, &samples);
    let hear = |is_recovered: bool| {
        let mut decoder = OpusDecoder::new(Wide).unwrap();
        let (mut heard, mut recovered) = (Vec::new(), 0);
        for (number, packet) in packets.iter().enumerate() {
            let mut out = [0; 320];
            if number % 5 != 3 {
                assert_eq!(decoder.decode(packet, &mut out), 320);
            } else if is_recovered && decoder.recover(&packets[number + 1], &mut out) {
                recovered += 1;
            } else {
                assert!(decoder.conceal(&mut out));
            }
            heard.extend(out);
        }
        (error_db(&heard, &samples, Wide), recovered)
    };

    let ((made_up, _), (recovered, count)) = (hear(false), hear(true));

    assert!(count > 20, "only {count} of 40 could be recovered");
    assert!(recovered < made_up - 2.0, "{recovered:.1} against {made_up:.1} dB");
}

#[test]
fn packets_carry_their_forerunner_before_anyone_has_reported_a_loss() {
    for rate in Rate::ALL {
        let packets = encoded(&mut OpusEncoder::new(rate).unwrap(), &speech(rate, 150));
        let carrying = packets.iter().filter(|packet| state::has_fec(packet)).count();
        assert!(carrying > 40, "{rate:?}: {carrying} of 150");
    }
}

#[test]
fn without_fec_in_the_successor_nothing_is_recovered() {
    let mut encoder = OpusEncoder::new(Wide).unwrap();
    encoder.expect_loss(0);
    let packets = encoded(&mut encoder, &speech(Wide, 50));
    let mut decoder = OpusDecoder::new(Wide).unwrap();
    for packet in &packets {
        assert!(!decoder.recover(packet, &mut [0; 320]));
        decoder.decode(packet, &mut [0; 320]);
    }
    assert!(!decoder.recover(&[], &mut [0; 320]));
}

#[test]
fn silence_packets_become_noise_of_their_duration() {
    let mut encoder = OpusEncoder::new(Wide).unwrap();
    assert!(encoder.state.set_dtx());
    let mut samples = speech(Wide, 20);
    samples.extend((0..Wide.frame() * 80).map(|n| (n as i16).wrapping_mul(7_919) / 2_048));
    let packets = encoded(&mut encoder, &samples);
    let mut decoder = OpusDecoder::new(Wide).unwrap();

    let silent = packets.iter().filter(|packet| {
        let mut out = [0; 320];
        assert_eq!(decoder.decode(packet, &mut out), 320);
        let is_silence = packet.len() <= 2;
        let loudest = out.iter().map(|it| it.unsigned_abs()).max();
        assert!(!is_silence || loudest < Some(200), "{loudest:?}");
        is_silence
    });

    assert!(silent.count() > 20);
}

#[test]
fn stereo_packets_are_heard_in_mono() {
    // SILK by its low rate, CELT by its high one; a voice on the left, silence on the right.
    for bit_rate in [24_000, 128_000] {
        let samples = speech(Full, 100);
        let mut encoder = state::stereo_encoder(Full, bit_rate);
        let mut decoder = OpusDecoder::new(Wide).unwrap();
        let mut heard = Vec::new();
        for frame in samples.chunks(Full.frame()) {
            let both: Vec<[i16; 2]> = frame.iter().map(|it| [*it, 0]).collect();
            let packet = state::encode_stereo(&mut encoder, &both);
            assert_eq!((duration(&packet), packet[0] & 4), (960, 4), "a stereo packet");
            let mut out = [0; 320];
            assert_eq!(decoder.decode(&packet, &mut out), 320);
            heard.extend(out);
        }
        let half: Vec<i16> = speech(Wide, 100).iter().map(|it| it / 2).collect();
        let error = error_db(&heard, &half, Wide);
        assert!(error < -6.0, "{bit_rate}: {error:.1} dB");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let mut decoder = OpusDecoder::new(Wide).unwrap();
    assert_eq!(decoder.decode(&[], &mut [0; 320]), 0);
    assert_eq!(duration(&[]), 0);
    // Code 3 with no frames, with 63 frames of 20 ms, with a length beyond the packet.
    for packet in [&[0x03, 0x00][..], &[0x7b, 0x3f], &[0x02, 200, 1], &[0x01, 1]] {
        assert_eq!(decoder.decode(packet, &mut [0; 5_760]), 0, "{packet:x?}");
    }
    let packets = encoded(&mut OpusEncoder::new(Wide).unwrap(), &speech(Wide, 1));
    assert_eq!(decoder.decode(&packets[0], &mut [0; 319]), 0);
    assert!(!decoder.conceal(&mut [0; 319]) && !decoder.conceal(&mut [0; 0]));
    assert!(!decoder.conceal(&mut [0; 1_960]) && decoder.conceal(&mut [0; 1_920]));
    let mut encoder = OpusEncoder::new(Wide).unwrap();
    assert_eq!(encoder.encode(&[0; 321], &mut [0; 1_920]), 0);
    assert_eq!(encoder.encode(&[0; 320], &mut []), 0);
}
