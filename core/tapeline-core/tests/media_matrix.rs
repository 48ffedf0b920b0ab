//! Who hears whom: every role, alone and against each other, through the real tick.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;
mod record_support;

use media_support::{FRAME, Stage, leg, level_of, room};
use record_support::Random;
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::room::participant::{Changes, Listeners, Settings, Voice};
use tapeline_core::record::spec::{ChannelLayout, Target};

/// Of six legs, so far apart that 100 ms tell them from each other.
const TONES: [f64; 6] = [300.0, 600.0, 1_000.0, 1_500.0, 2_100.0, 2_800.0];
const AMPLITUDE: f64 = 3_000.0;

fn only(legs: &[LegHandle]) -> Voice {
    Voice::Only(Listeners::of(legs).unwrap())
}

/// Six legs that speak and are in no room.
fn six() -> Stage {
    six_at(8_000)
}

/// Rooms of another rate than the legs', which stand behind resamplers then.
fn six_at(rate_hz: u32) -> Stage {
    let mut stage = Stage::new();
    for slot in 0..2 {
        stage.room(RoomCommand::CreateRoom { room: room(slot), rate_hz });
    }
    for (slot, hz) in TONES.iter().enumerate() {
        stage.phone(slot as u32).says = Some((*hz, AMPLITUDE));
    }
    stage.run(5);
    stage
}

fn join(stage: &mut Stage, slot: usize, into: u32, settings: Settings) {
    stage.room(RoomCommand::Join { leg: leg(slot as u32), room: room(into), settings });
}

fn change(stage: &mut Stage, slot: usize, changes: Changes) {
    stage.room(RoomCommand::SetParticipant { leg: leg(slot as u32), changes });
}

/// Whose tones are in a signal; each is clearly there or clearly not.
fn tones_in(samples: &[i16], what: &str) -> [bool; 6] {
    TONES.map(|hz| {
        let level = level_of(hz, samples);
        assert!(!(0.01..0.06).contains(&level), "{what}: {hz} Hz at {level}");
        level >= 0.06
    })
}

/// Whom each phone heard in the last 100 ms.
fn heard(stage: &Stage) -> [[bool; 6]; 6] {
    std::array::from_fn(|phone| {
        let heard = &stage.phones[phone].heard;
        tones_in(&heard[heard.len() - 5 * FRAME..], &format!("phone {phone}"))
    })
}

/// Row: who hears; column: whom.
fn expected(rooms: &[u32; 6], settings: &[Settings; 6]) -> [[bool; 6]; 6] {
    std::array::from_fn(|ear| {
        std::array::from_fn(|mouth| {
            let is_heard = match settings[mouth].voice {
                Voice::Everyone => true,
                Voice::Only(listeners) => listeners.iter().any(|it| it == leg(ear as u32)),
                Voice::Nobody => false,
            };
            let is_silent = settings[mouth].is_muted || settings[mouth].is_on_hold;
            let is_deaf = settings[ear].is_deaf || settings[ear].is_on_hold;
            ear != mouth && rooms[ear] == rooms[mouth] && is_heard && !is_silent && !is_deaf
        })
    })
}

fn any_settings(random: &mut Random) -> Settings {
    let mut one_in = |n| random.below(n) == 0;
    let (is_muted, is_deaf, is_on_hold) = (one_in(5), one_in(5), one_in(8));
    let voice = match random.below(4) {
        0 => Voice::Nobody,
        1 | 2 => {
            // The same leg twice, oneself and a leg that is gone do no harm.
            let count = random.below(9);
            let mut legs: Vec<LegHandle> =
                (0..count).map(|_| leg(random.below(7) as u32)).collect();
            legs.dedup();
            only(&legs)
        }
        _ => Voice::Everyone,
    };
    Settings { is_muted, is_deaf, is_on_hold, gain_cdb: 0, voice }
}

#[test]
fn everybody_hears_exactly_those_whom_the_matrix_says_whatever_the_roles() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut stage = six_at([8_000, 16_000][seed as usize % 2]);
        let mut rooms: [u32; 6] = std::array::from_fn(|_| random.below(2) as u32);
        let mut settings: [Settings; 6] = std::array::from_fn(|_| any_settings(&mut random));
        for slot in 0..6 {
            join(&mut stage, slot, rooms[slot], settings[slot]);
        }
        let mut mix = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        for round in 0..4 {
            stage.run(12);
            assert_eq!(heard(&stage), expected(&rooms, &settings), "seed {seed}, round {round}");
            let all = &mix.wind().samples;
            let mixed: [bool; 6] = std::array::from_fn(|slot| {
                rooms[slot] == 0 && settings[slot].heard_by() == Voice::Everyone
            });
            assert_eq!(tones_in(&all[all.len() - 5 * FRAME..], "the mix"), mixed, "seed {seed}");

            let slot = random.below(6) as usize;
            settings[slot] = any_settings(&mut random);
            if random.below(3) == 0 {
                rooms[slot] = 1 - rooms[slot];
                join(&mut stage, slot, rooms[slot], settings[slot]);
            } else {
                let Settings { is_muted, is_deaf, is_on_hold, gain_cdb, voice } = settings[slot];
                let changes = Changes {
                    is_muted: Some(is_muted),
                    is_deaf: Some(is_deaf),
                    is_on_hold: Some(is_on_hold),
                    gain_cdb: Some(gain_cdb),
                    voice: Some(voice),
                };
                change(&mut stage, slot, changes);
            }
        }
        assert_eq!(stage.count("caught_panics"), 0);
    }
}

/// A caller (0), an agent (1) and a supervisor (2) who listens, whispers to the agent, then barges in.
#[test]
fn monitor_whisper_and_barge_apply_at_the_next_tick() {
    let mut stage = six();
    let monitor = Settings { voice: only(&[]), ..Settings::default() };
    for (slot, settings) in [Settings::default(), Settings::default(), monitor].iter().enumerate() {
        join(&mut stage, slot, 0, *settings);
    }
    let mut mix = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    let mut supervisor = stage.record(1, Target::Leg(leg(2)), ChannelLayout::RxTx);
    stage.run(10);

    for (voice, caller, agent) in [
        (only(&[leg(1)]), false, true),
        (Voice::Everyone, true, true),
        (only(&[leg(0), leg(1)]), true, true),
        (Voice::Nobody, false, false),
    ] {
        stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
        change(&mut stage, 2, Changes { voice: Some(voice), ..Changes::default() });
        stage.run(5);
        let supervised = |phone: usize, tick: usize| {
            let from = tick * FRAME;
            level_of(TONES[2], &stage.phones[phone].heard[from..from + FRAME]) > 0.06
        };
        for tick in 0..5 {
            let found = [supervised(0, tick), supervised(1, tick)];
            assert_eq!(found, [caller, agent], "{voice:?}, tick {tick}");
        }
        assert_eq!(heard(&stage)[2], [true, true, false, false, false, false]);
    }

    // The recording has of the supervisor what everyone heard: 100 ms of barging in.
    let ticks = |samples: &[i16]| {
        samples.chunks(FRAME).filter(|tick| level_of(TONES[2], tick) > 0.06).count()
    };
    assert_eq!(ticks(&mix.wind().samples), 5);
    // Its own leg's recording has all that it said to somebody.
    assert_eq!(ticks(&supervisor.wind().side(0)), 15);
    assert_eq!(stage.count("frames_concealed"), 0);
}

#[test]
fn a_leg_is_never_heard_before_its_mute_and_keeps_nothing_when_it_leaves() {
    let mut stage = six();
    join(&mut stage, 0, 0, Settings::default());
    let muted = Settings { is_muted: true, is_deaf: true, ..Settings::default() };
    join(&mut stage, 1, 0, muted);
    stage.run(10);
    for (phone, hz) in [(0, TONES[1]), (1, TONES[0])] {
        let ticks = stage.phones[phone].heard.chunks(FRAME);
        assert_eq!(ticks.filter(|tick| level_of(hz, tick) > 0.01).count(), 0, "phone {phone}");
    }

    stage.room(RoomCommand::Leave { leg: leg(1) });
    stage.run(1);
    // Only the voice is set: nothing of what it was before may still hold.
    change(&mut stage, 1, Changes::default());
    join(&mut stage, 1, 0, Settings::default());
    stage.run(10);
    assert!(heard(&stage)[0][1]);
    assert!(heard(&stage)[1][0]);
}

#[test]
fn a_whisper_ends_with_its_listener_and_never_reaches_a_later_tenant_of_its_slot() {
    let mut stage = six();
    for slot in 0..3 {
        join(&mut stage, slot, 0, Settings::default());
    }
    change(&mut stage, 2, Changes { voice: Some(only(&[leg(1)])), ..Changes::default() });
    stage.run(10);
    assert!(heard(&stage)[1][2]);

    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(1) }).is_ok());
    stage.run(1);
    let successor = LegHandle::from_u64((2 << 32) | 1);
    stage.call_again(successor, 1);
    let (room, settings) = (room(0), Settings::default());
    stage.room(RoomCommand::Join { leg: successor, room, settings });
    stage.run(12);
    assert_eq!(heard(&stage)[1], [true, false, false, false, false, false]);
    assert_eq!(heard(&stage)[0], [false, true, false, false, false, false]);
}

#[test]
fn gain_raises_and_lowers_what_others_hear_and_not_what_one_hears_oneself() {
    let mut stage = six();
    let quieter = Settings { gain_cdb: -1_200, ..Settings::default() };
    for (slot, settings) in [quieter, Settings::default()].iter().enumerate() {
        join(&mut stage, slot, 0, *settings);
    }
    let level = |stage: &Stage, phone: usize, hz: f64| {
        let heard = &stage.phones[phone].heard;
        20.0 * (level_of(hz, &heard[heard.len() - 5 * FRAME..]) * 32_768.0 / AMPLITUDE).log10()
    };
    // From 21 dB below full scale.
    for (gain_cdb, expected) in [(-1_200, -12.0), (0, 0.0), (1_900, 19.0), (-3_000, -30.0)] {
        change(&mut stage, 0, Changes { gain_cdb: Some(gain_cdb), ..Changes::default() });
        stage.run(15);
        let (found, other) = (level(&stage, 1, TONES[0]), level(&stage, 0, TONES[1]));
        assert!((found - expected).abs() < 0.5, "{gain_cdb}: {found} dB");
        assert!(other.abs() < 0.5, "{other}");
    }
}

/// What is in a second of signal beside the tones, against all of it, in dB.
fn noise_db(second: &[i16], tones: &[f64]) -> f64 {
    let power = second.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
    let tones: f64 = tones
        .iter()
        .map(|hz| (level_of(*hz, second) * 32_768.0).powi(2) / 2.0 * second.len() as f64)
        .sum();
    10.0 * ((power - tones).max(1.0) / power).log10()
}

/// Through the codec too, whose own noise is 37 dB down.
#[test]
fn r25_a_mix_is_its_sum_and_three_full_scale_talkers_do_not_clip_it() {
    let talkers = &TONES[1..4];
    let rates = [8_000, 16_000, 48_000];
    for (rate_hz, (amplitude, fits)) in
        rates.into_iter().flat_map(|rate| [(rate, (10_000.0, true)), (rate, (32_000.0, false))])
    {
        let mut stage = six_at(rate_hz);
        for (slot, hz) in TONES.iter().enumerate().take(4) {
            join(&mut stage, slot, 0, Settings::default());
            stage.phones[slot].says = (slot > 0).then_some((*hz, amplitude));
        }
        let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        stage.run(70);

        tape.wind();
        for (what, out) in [("the mix", &tape.samples), ("a listener", &stage.phones[0].heard)] {
            let second = &out[out.len() - 50 * FRAME..];
            let noise_db = noise_db(second, talkers);
            assert!(noise_db < -30.0, "{what} of {amplitude} at {rate_hz} Hz: {noise_db} dB");
            let levels = talkers.iter().map(|hz| level_of(*hz, second) * 32_768.0);
            for level in levels.filter(|_| fits) {
                assert!((level / amplitude - 1.0).abs() < 0.02, "{what} at {rate_hz} Hz: {level}");
            }
            let tops = second.windows(3);
            let flat = tops.filter(|top| top.iter().all(|it| it.unsigned_abs() > 32_765));
            assert_eq!(flat.count(), 0, "{what} of {amplitude} at {rate_hz} Hz");
        }
    }
}
