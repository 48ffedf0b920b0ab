//! A room takes the rate that its members need, and nobody hears it, through the real tick in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::sync::Arc;

use media_support::{Stage, leg, level_at, room, tap_spec};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::counters::RoomRates;
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::Codec;
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::TapSpec;

const TALKER: (f64, f64) = (1_000.0, 9_000.0);
const OTHER: (f64, f64) = (440.0, 3_000.0);

/// The largest second difference of a sum of tones, and of as much noise as G.711 makes of them.
fn bound(rate: Rate, tones: &[(f64, f64)]) -> i32 {
    let bend = |(hz, amplitude): &(f64, f64)| {
        let half = std::f64::consts::PI * hz / f64::from(rate.hz());
        amplitude * (2.0 * half.sin()).powi(2)
    };
    let noise: f64 = tones.iter().map(|(_, amplitude)| amplitude / 16.0).sum();
    (1.1 * tones.iter().map(bend).sum::<f64>() + 2.0 * noise) as i32
}

fn worst_bend(samples: &[i16]) -> i32 {
    let bend = |w: &[i16]| (i32::from(w[0]) + i32::from(w[2]) - 2 * i32::from(w[1])).abs();
    samples.windows(3).map(bend).max().unwrap()
}

/// Nothing but the tones, unbroken, as loud in every 100 ms as in the first that count; but for the one
/// in which the rate changes, where the same signal is heard 3 ms later or earlier.
fn assert_unbroken(name: &str, rate: Rate, samples: &[i16], tones: &[(f64, f64)], first: usize) {
    let settled = &samples[first * rate.frame()..];
    let worst = worst_bend(settled);
    assert!(worst <= bound(rate, tones), "{name}: {worst} of {}", bound(rate, tones));
    for (hz, amplitude) in tones {
        let levels: Vec<f64> = settled
            .chunks_exact(5 * rate.frame())
            .map(|part| 20.0 * (level_at(rate, *hz, part) * 32_768.0 / amplitude).log10())
            .collect();
        let off = levels.iter().filter(|level| level.abs() > 0.2).count();
        assert!(off <= 2, "{name}, {hz} Hz: {levels:.2?}");
    }
}

#[test]
fn a_change_of_rate_is_unheard_by_everyone_and_in_running_recordings() {
    for wide in [Codec::G722, Codec::Opus(Rate::Wide), Codec::L16(Rate::Wide)] {
        let mut stage = Stage::new();
        let rates = Arc::new(RoomRates::new(16));
        stage.tick.tell_rates_to(rates.clone());
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        stage.phone(0).says = Some(TALKER);
        stage.phone(1).says = Some(OTHER);
        stage.phone(2);
        for slot in 0..3 {
            stage.join(slot);
        }
        stage.run(40);
        let target = Target::Room(room(0));
        let mut mono = stage.record(0, target, ChannelLayout::Mix);
        let apart = tap_spec(1, target, ChannelLayout::LegRest);
        let mut apart = stage.record_as(TapSpec { left_leg: Some(leg(0)), ..apart });
        let mut call = stage.record(2, Target::Leg(leg(1)), ChannelLayout::RxTx);
        let mut high =
            stage.record_as(TapSpec { rate_hz: 16_000, ..tap_spec(3, target, ChannelLayout::Mix) });
        stage.run(50);
        assert_eq!(rates.get(0), 8_000);

        stage.phone_with(3, wide);
        stage.join(3);
        stage.run(100);
        assert_eq!(rates.get(0), 16_000);
        stage.room(RoomCommand::Leave { leg: leg(3) });
        stage.run(200);
        assert_eq!(rates.get(0), 16_000, "not at once");
        for tape in [&mut mono, &mut apart, &mut call, &mut high] {
            tape.wind();
        }
        stage.run(150);
        assert_eq!(rates.get(0), 8_000);

        let both = [TALKER, OTHER];
        for (phone, tones) in [(0, &both[1..]), (1, &both[..1]), (2, &both[..])] {
            let heard = &stage.phones[phone].heard;
            assert_eq!(heard.len(), 540 * 160);
            assert_unbroken(&format!("{wide:?} phone {phone}"), Rate::Narrow, heard, tones, 20);
        }
        let name = |what: &str| format!("{wide:?} {what}");
        for tape in [&mut mono, &mut apart, &mut call, &mut high] {
            tape.wind();
        }
        assert_eq!((mono.samples.len(), high.samples.len()), (500 * 160, 500 * 320));
        assert_unbroken(&name("mono"), Rate::Narrow, &mono.samples, &both, 1);
        assert_unbroken(&name("mono at 16 kHz"), Rate::Wide, &high.samples, &both, 1);
        assert_eq!(apart.side(0).len(), 500 * 160);
        assert_unbroken(&name("left"), Rate::Narrow, &apart.side(0), &both[..1], 1);
        assert_unbroken(&name("rest"), Rate::Narrow, &apart.side(1), &both[1..], 1);
        assert_unbroken(&name("rx"), Rate::Narrow, &call.side(0), &both[1..], 1);
        assert_unbroken(&name("tx"), Rate::Narrow, &call.side(1), &both[..1], 1);
        if !matches!(wide, Codec::Opus(_)) {
            // Opus keeps speech, not the exact level of two tones.
            let heard = &stage.phones[3].heard[..95 * wide.rate().frame()];
            assert_unbroken(&name("the newcomer"), Rate::Wide, heard, &both, 20);
        }
        assert_eq!(stage.count("caught_panics"), 0);
    }
}

#[test]
fn a_room_has_the_highest_rate_of_its_members_and_never_less_than_asked_for() {
    let mut stage = Stage::new();
    let rates = Arc::new(RoomRates::new(16));
    stage.tick.tell_rates_to(rates.clone());
    for (slot, rate_hz) in [(0, 0), (1, 8_000), (2, 16_000), (3, 48_000)] {
        stage.room(RoomCommand::CreateRoom { room: room(slot), rate_hz });
    }
    stage.run(1);
    assert_eq!([0, 1, 2, 3].map(|slot| rates.get(slot)), [8_000, 8_000, 16_000, 48_000]);
    let codecs = [Codec::Pcma, Codec::Opus(Rate::Narrow), Codec::G722, Codec::Opus(Rate::Full)];
    for (slot, (codec, expected)) in
        (0..).zip(codecs.into_iter().zip([8_000, 8_000, 16_000, 48_000]))
    {
        stage.phone_with(slot, codec);
        stage.join(slot);
        stage.run(2);
        assert_eq!(rates.get(0), expected, "{codec:?}");
    }
    stage.room(RoomCommand::CloseRoom { room: room(0) });
    stage.run(2);
    assert_eq!(rates.get(0), 0);
}

#[test]
fn wide_speech_is_wide_for_wide_legs_beside_narrow_ones() {
    let mut stage = Stage::new();
    stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
    stage.phone_with(0, Codec::G722).says = Some((5_500.0, 8_000.0));
    stage.phone_with(1, Codec::L16(Rate::Wide));
    stage.phone(2).says = Some((700.0, 8_000.0));
    for slot in 0..3 {
        stage.join(slot);
    }
    stage.run(100);

    let heard = |phone: usize, rate: Rate, hz| {
        level_at(rate, hz, &stage.phones[phone].heard[50 * rate.frame()..])
    };
    assert!(heard(1, Rate::Wide, 5_500.0) > 0.2);
    assert!(heard(1, Rate::Wide, 700.0) > 0.2);
    assert!(heard(0, Rate::Wide, 700.0) > 0.2 && heard(0, Rate::Wide, 5_500.0) < 0.01);
    // 5.5 kHz would fold to 2.5 kHz.
    assert!(heard(2, Rate::Narrow, 2_500.0) < 0.001);
    assert!(heard(2, Rate::Narrow, 700.0) < 0.001, "itself");
}
