//! One encoding for all who say nothing, and the way out of it and back, through the real tick.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use media_support::{
    CONFIG, Stage, address, leg, level_at, loss_report, room, rtcp, speech, tap_spec,
};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::media::codec::{Decoder, Encoder, PAYLOAD_MAX, Rate};
use tapeline_core::media::command::Codec;
use tapeline_core::media::tick::MediaConfig;
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::TapSpec;

const CODECS: [Codec; 4] =
    [Codec::Pcmu, Codec::G722, Codec::L16(Rate::Wide), Codec::Opus(Rate::Wide)];
const TALKER: (f64, f64) = (500.0, 8_000.0);
const LISTENER: (f64, f64) = (900.0, 8_000.0);

fn encode(encoder: &mut Encoder, frames: &[i16]) -> Vec<Vec<u8>> {
    let frame = encoder.codec().rate().frame();
    let one = |frame: &[i16]| {
        let mut payload = vec![0; PAYLOAD_MAX];
        let length = encoder.encode(frame, &mut payload);
        payload.truncate(length);
        payload
    };
    frames.chunks(frame).map(one).collect()
}

/// The largest second difference, in parts of the tones' own.
fn roughness(rate: Rate, tones: &[(f64, f64)], samples: &[i16]) -> f64 {
    let bend = |w: &[i16]| (i32::from(w[0]) + i32::from(w[2]) - 2 * i32::from(w[1])).abs();
    let own: f64 = tones
        .iter()
        .map(|(hz, amplitude)| {
            amplitude * (2.0 * (std::f64::consts::PI * hz / f64::from(rate.hz())).sin()).powi(2)
        })
        .sum();
    f64::from(samples.windows(3).map(bend).max().unwrap()) / own
}

#[test]
fn a_listener_who_begins_to_speak_goes_on_bit_by_bit_where_the_shared_stream_was() {
    for codec in CODECS {
        let mut stage = Stage::new();
        let rate = codec.rate();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: rate.hz() });
        stage.phone(0).says = Some(TALKER);
        stage.phone_with(1, codec);
        stage.phone_with(2, codec);
        stage.join(0);
        let spec = TapSpec {
            rate_hz: rate.hz(),
            ..tap_spec(0, Target::Room(room(0)), ChannelLayout::Mix)
        };
        let mut mix = stage.record_as(spec);
        let tx = tap_spec(1, Target::Leg(leg(2)), ChannelLayout::Tx);
        let mut tx = stage.record_as(TapSpec { rate_hz: rate.hz(), ..tx });
        stage.join(1);
        stage.run(30);
        // Comes later: what its encoder remembers is another thing until it shares.
        stage.join(2);
        stage.run(60);
        stage.phones[2].says = Some(LISTENER);
        stage.run(60);

        let mut never_shared = Encoder::new(codec).unwrap();
        let expected = encode(&mut never_shared, &mix.wind().samples[..90 * rate.frame()]);
        assert!(stage.phones[1].got[..90] == expected, "{codec:?}: the lead is one more encoder");
        assert!(stage.phones[2].got[45..90] == expected[45..], "{codec:?}: the other shares it");
        // From here on each has its own.
        let expected = encode(&mut never_shared, &tx.wind().samples[90 * rate.frame()..]);
        let alone = stage.phones[2].got[90..].iter().zip(&expected);
        let differing = alone.filter(|(got, expected)| got != expected).count();
        assert_eq!(differing, 0, "{codec:?}: it goes on from there");
        assert!(stage.phones[1].got[95] != stage.phones[2].got[95]);
        let heard = &stage.phones[2].heard;
        let echo = level_at(rate, LISTENER.0, &heard[100 * rate.frame()..]);
        assert!(echo < 0.005, "{codec:?}: it hears itself at {echo}");
        let around = &heard[85 * rate.frame()..110 * rate.frame()];
        assert!(roughness(rate, &[TALKER], around) < 1.6, "{codec:?}");
    }
}

#[test]
fn a_lead_who_begins_to_speak_or_leaves_hands_the_stream_on() {
    for codec in CODECS {
        let mut stage = Stage::new();
        let rate = codec.rate();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: rate.hz() });
        stage.phone(0).says = Some(TALKER);
        for slot in 1..5 {
            stage.phone_with(slot, codec);
        }
        for slot in 0..5 {
            stage.join(slot);
        }
        let spec = tap_spec(0, Target::Room(room(0)), ChannelLayout::Mix);
        let mut mix = stage.record_as(TapSpec { rate_hz: rate.hz(), ..spec });
        stage.run(40);
        stage.phones[1].says = Some(LISTENER);
        stage.run(40);
        stage.room(RoomCommand::Leave { leg: leg(2) });
        stage.run(40);
        stage.phones[1].says = None;
        stage.run(160);

        let got = |phone: usize| &stage.phones[phone].got;
        assert!(got(3)[15..] == got(4)[15..], "{codec:?}");
        assert!(got(2)[15..80] == got(4)[15..80], "{codec:?}");
        assert!(got(1)[250..] == got(4)[250..], "{codec:?}: back in the shared stream");
        let expected = encode(&mut Encoder::new(codec).unwrap(), &mix.wind().samples);
        assert!(got(4)[15..] == expected[15..], "{codec:?}: one stream, whoever makes it");
        let heard = &stage.phones[1].heard;
        let alone = roughness(rate, &[TALKER], &heard[60 * rate.frame()..110 * rate.frame()]);
        let back = roughness(rate, &[TALKER], &heard[110 * rate.frame()..]);
        assert!(back < 1.3 * alone, "{codec:?}: {back} against {alone}");
        assert_eq!(stage.count("caught_panics"), 0);
    }
}

/// What one encodes for all is as redundant as the worst of their paths needs.
#[test]
fn a_listener_s_losses_make_the_shared_stream_redundant() {
    let codec = Codec::Opus(Rate::Wide);
    let mut stage = Stage::new();
    stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 16_000 });
    for slot in 0..3 {
        stage.phone_with(slot, codec);
        stage.join(slot);
    }
    stage.run(5);
    let redundant = |stage: &mut Stage, play: u32, fractions: [u8; 3]| {
        for (slot, fraction) in (0..).zip(fractions) {
            let arrival_ns = stage.now.monotonic_ns;
            let phone = &mut stage.phones[slot as usize];
            let report = loss_report(&phone.heard_ssrc.to_be_bytes(), fraction);
            for _ in 0..20 {
                let packet = rtcp(address(slot), arrival_ns, &report);
                assert!(phone.peer.to_leg.push(packet).is_ok());
            }
        }
        // Each looks every five seconds at what it was told meanwhile.
        stage.run(600);
        stage.play(play, Target::Room(room(0)), &speech());
        let before = stage.phones[0].got.len();
        stage.run(110);
        let [first, others @ ..] = &stage.phones[..] else { panic!() };
        for other in others {
            assert_eq!(other.got[before..], first.got[before..], "one stream for all");
        }
        let mut decoder = Decoder::new(codec).unwrap();
        let packets = first.got[before..].iter();
        packets.filter(|packet| decoder.recover(packet, &mut [0; 320])).count()
    };

    let clean = redundant(&mut stage, 0, [0, 0, 0]);
    let lossy = redundant(&mut stage, 1, [0, 0, 51]);
    assert_eq!(clean, 0);
    assert!(lossy > 20, "{lossy} of 110 packets");
}

#[test]
fn when_nobody_speaks_a_kept_payload_is_sent_and_the_next_word_is_whole() {
    for codec in CODECS {
        let mut stage = Stage::new();
        let rate = codec.rate();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        stage.phone_with(0, codec).says = Some(TALKER);
        stage.phone_with(1, codec);
        for slot in 0..2 {
            stage.join(slot);
        }
        stage.run(40);
        stage.phones[0].says = None;
        stage.run(160);
        let start = stage.phones[1].got.len();
        stage.phones[0].says = Some(TALKER);
        stage.run(40);

        let phone = &stage.phones[1];
        let kept = &phone.got[start - 1];
        // G.722 makes of silence a cycle that no tick divides: it is encoded on, once for all.
        let is_kept = phone.got[start - 50..start].iter().all(|payload| payload == kept);
        assert!(is_kept || codec == Codec::G722, "{codec:?}");
        let silent = phone.heard[start * rate.frame() - 40 * rate.frame()..start * rate.frame()]
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max();
        assert!(silent < Some(40), "{codec:?}: {silent:?}");
        let word = &phone.heard[(start + 3) * rate.frame()..];
        assert!(
            (level_at(rate, TALKER.0, word) * 32_768.0 / 8_000.0 - 1.0).abs() < 0.12,
            "{codec:?}"
        );
    }
}

#[test]
fn a_thousand_in_one_room() {
    const LEGS: u32 = 1_000;
    let mut stage = Stage::sized(MediaConfig { legs: LEGS, ..CONFIG });
    stage.link_packets = 4;
    stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
    for slot in 0..LEGS {
        let codec = match slot {
            7 | 500 => Codec::Opus(Rate::Wide),
            8 | 501 => Codec::G722,
            9 | 502 => Codec::Pcma,
            _ => Codec::Pcmu,
        };
        stage.phone_with(slot, codec);
        stage.join(slot);
    }
    stage.run(30);
    let talkers = [(3, 400.0), (7, 700.0), (8, 1_000.0), (9, 1_300.0)];
    for (slot, hz) in talkers {
        stage.phones[slot].says = Some((hz, 5_000.0));
    }
    stage.run(40);
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    stage.run(20);

    let sampled = [0, 3, 7, 8, 9, 10, 499, 500, 501, 502, 777, 999];
    for slot in sampled {
        let phone = &stage.phones[slot];
        let rate = phone.codec.rate();
        assert_eq!(phone.heard.len(), 20 * rate.frame(), "{slot}");
        for (talker, hz) in talkers {
            let level = level_at(rate, hz, &phone.heard) * 32_768.0 / 5_000.0;
            if talker == slot {
                // What Opus makes up between four tones is below it.
                assert!(level < 0.1, "{slot} hears itself at {level}");
            } else {
                assert!((0.7..1.4).contains(&level), "{slot} hears {talker} at {level}");
            }
        }
    }
    assert_eq!(stage.count("caught_panics"), 0);
    assert_eq!(stage.count("frames_concealed"), 0);
}
