//! What codecs and resamplers cost: µs for 20 ms, the least of several runs.
//!
//! `cargo run --release -p tapeline-core --example codec_figures`
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Instant;

use tapeline_core::media::codec::{
    Codec, ComfortNoise, Decoder, Encoder, PACKET_MAX, PAYLOAD_MAX, Rate,
};
use tapeline_core::media::resample::Resampler;

const TICKS: usize = 500;
const RUNS: usize = 15;
/// Ticks that are timed together.
const STRETCH: usize = 10;

fn main() {
    println!("µs for 20 ms; least of {RUNS} runs of {TICKS} ticks of something like speech");
    println!(
        "{:14}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "", "encode", "decode", "PLC", "FEC", "copy", "bytes"
    );
    for codec in [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::L16(Rate::Wide),
        Codec::Opus(Rate::Narrow),
        Codec::Opus(Rate::Wide),
        Codec::Opus(Rate::Full),
    ] {
        codec_row(codec);
    }
    println!();
    for from in Rate::ALL {
        for to in Rate::ALL.into_iter().filter(|to| *to != from) {
            let input = speech(from);
            let mut resampler = Resampler::new(from, to);
            let mut out = [0; 960];
            let cost = least(|tick| {
                resampler.process(frame(&input, from, tick), &mut out[..to.frame()]);
            });
            println!("{:>2} to {:>2} kHz   {cost:9.2}", from.hz() / 1_000, to.hz() / 1_000);
        }
    }
    let mut noise = ComfortNoise::new();
    noise.update(&[45, 90, 130, 127, 140]);
    let mut out = [0; 160];
    println!("comfort noise {:9.2}", least(|_| noise.fill(&mut out)));
}

fn codec_row(codec: Codec) {
    let rate = codec.rate();
    let input = speech(rate);
    let mut encoder = Encoder::new(codec).unwrap();
    let mut payload = [0; PAYLOAD_MAX];
    let encode = least(|tick| {
        encoder.encode(frame(&input, rate, tick), &mut payload);
    });

    encoder.reset();
    let packets: Vec<Vec<u8>> = (0..TICKS)
        .map(|tick| {
            let length = encoder.encode(frame(&input, rate, tick), &mut payload);
            payload[..length].to_vec()
        })
        .collect();
    let bytes = packets.iter().map(Vec::len).sum::<usize>() as f64 / TICKS as f64;

    let mut out = [0; PACKET_MAX];
    let mut decoder = Decoder::new(codec).unwrap();
    let decode = least(|tick| {
        decoder.decode(&packets[tick], &mut out);
    });
    // Every second packet is lost; half of the pair is the packet that was not.
    let mut pair = |fec: bool| {
        2.0 * least(|tick| {
            let place = &mut out[..rate.frame()];
            if tick % 2 == 0 {
                decoder.decode(&packets[tick], place);
            } else if !(fec && decoder.recover(&packets[(tick + 1) % TICKS], place)) {
                decoder.conceal(place);
            }
        }) - decode
    };
    let (made_up, recovered) = match codec {
        Codec::Opus(_) => (pair(false), pair(true)),
        _ => (f64::NAN, f64::NAN),
    };
    let mut copy = Encoder::new(codec).unwrap();
    let copied = least(|_| copy.continue_from(&encoder));
    println!(
        "{:14}{encode:9.2}{decode:9.2}{made_up:9.2}{recovered:9.2}{copied:9.2}{bytes:9.0}",
        format!("{codec:?}"),
    );
}

/// The least that each stretch took in any run, so that what else the machine does is left out.
fn least(mut work: impl FnMut(usize)) -> f64 {
    let mut stretches = [f64::MAX; TICKS / STRETCH];
    for _ in 0..RUNS {
        for (number, least) in stretches.iter_mut().enumerate() {
            let begun = Instant::now();
            (number * STRETCH..(number + 1) * STRETCH).for_each(&mut work);
            *least = least.min(begun.elapsed().as_secs_f64());
        }
    }
    stretches.iter().sum::<f64>() * 1e6 / TICKS as f64
}

fn frame(input: &[i16], rate: Rate, tick: usize) -> &[i16] {
    &input[tick * rate.frame()..][..rate.frame()]
}

/// A buzz of harmonics that rises, falls and pauses, with breath in it.
fn speech(rate: Rate) -> Vec<i16> {
    let (hz, turn) = (f64::from(rate.hz()), std::f64::consts::TAU);
    let mut breath = 1_u32;
    (0..rate.frame() * TICKS)
        .map(|n| {
            let t = n as f64 / hz;
            let pitch = 120.0 * t + 1.2 * (turn * 2.5 * t).sin();
            let formant = |centre: f64| {
                (1..28)
                    .map(|k| {
                        let k = f64::from(k);
                        (turn * k * pitch).sin() / (1.0 + (k - centre).powi(2) / 6.0)
                    })
                    .sum::<f64>()
            };
            breath = breath.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = f64::from(breath as i32) / f64::from(i32::MAX);
            let loudness = (turn * 1.3 * t).sin().max(0.0);
            let voice = formant(5.0 + 2.0 * (turn * 0.7 * t).sin()) + 0.5 * formant(18.0);
            ((voice * 3_500.0 + hiss * 300.0) * loudness + hiss * 20.0) as i16
        })
        .collect()
}
