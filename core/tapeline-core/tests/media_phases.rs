//! Rooms are spread over the tick: who moves between them is run once in every tick all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use media_support::{FRAME, Stage, Tape, leg, level_of, room};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::media::phases::PHASES;
use tapeline_core::media::room::participant::Settings;
use tapeline_core::record::mark::MarkKind;
use tapeline_core::record::spec::{ChannelLayout, Target};

const ROOMS: u32 = 3;
const LEGS: u32 = 8;

/// Phones that arrive one phase after the other, each with a tone; three rooms.
fn crowd() -> Stage {
    let mut stage = Stage::new();
    for slot in 0..ROOMS {
        stage.room(RoomCommand::CreateRoom { room: room(slot), rate_hz: 8_000 });
    }
    for slot in 0..LEGS {
        stage.phone(slot).says = Some((300.0 + 100.0 * f64::from(slot), 3_000.0));
        stage.step();
    }
    stage
}

fn join(stage: &mut Stage, slot: u32, to: u32) -> u64 {
    let settings = Settings::default();
    stage.room(RoomCommand::Join { leg: leg(slot), room: room(to), settings })
}

/// So many steps, in each of which a quarter of the phones send a packet; before each, `meanwhile`.
fn steps(stage: &mut Stage, count: usize, mut meanwhile: impl FnMut(&mut Stage, usize)) {
    for step in 0..count {
        meanwhile(stage, step);
        let now_ns = stage.now.monotonic_ns;
        for phone in stage.phones.iter_mut().skip(step % PHASES).step_by(PHASES) {
            phone.speak(now_ns - 1_000_000);
        }
        stage.step();
    }
}

/// A generator of no particular worth, the same in each run.
fn random(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *state >> 16
}

#[test]
fn whoever_moves_says_and_hears_one_frame_in_every_tick() {
    let mut stage = crowd();
    let mut tapes: Vec<Tape> = (0..LEGS)
        .map(|slot| stage.record(slot, Target::Leg(leg(slot)), ChannelLayout::Mix))
        .collect();
    steps(&mut stage, PHASES, |_, _| {});
    let heard: Vec<usize> = stage.phones.iter().map(|phone| phone.heard.len()).collect();
    let taped: Vec<usize> = tapes.iter_mut().map(|tape| tape.wind().samples.len()).collect();

    let (mut state, mut open) = (7, Vec::new());
    let ticks = 500;
    for _ in 0..ticks {
        steps(&mut stage, PHASES, |stage, step| {
            let (slot, to) = (random(&mut state) % LEGS, random(&mut state) % (ROOMS + 1));
            if random(&mut state).is_multiple_of(3) {
                open.push(match to {
                    ROOMS => stage.room(RoomCommand::Leave { leg: leg(slot) }),
                    to => join(stage, slot, to),
                });
            }
            assert!(step < PHASES);
        });
        for tape in &mut tapes {
            tape.wind();
        }
    }

    for (slot, before) in heard.iter().enumerate() {
        let frames = (stage.phones[slot].heard.len() - before) as f64 / FRAME as f64;
        assert!((frames - f64::from(ticks)).abs() <= 1.0, "phone {slot} heard {frames} frames");
        let frames = (tapes[slot].samples.len() - taped[slot]) as f64 / FRAME as f64;
        assert!((frames - f64::from(ticks)).abs() <= 1.0, "tape {slot} holds {frames} frames");
    }
    // A tick and a step later everything that was asked for has been done.
    steps(&mut stage, PHASES, |_, _| {});
    let done = |event: &Event| match event {
        Event::CommandDone { command } => Some(*command),
        _ => None,
    };
    let done: Vec<u64> = stage.events().iter().filter_map(done).collect();
    assert!(open.iter().all(|command| done.contains(command)));
    assert_eq!(stage.count("caught_panics"), 0);
    assert_eq!(stage.count("ticks_skipped"), 0);
}

#[test]
fn a_join_is_applied_within_a_tick_and_heard_by_all() {
    for arrives_after in 0..PHASES {
        let mut stage = crowd();
        join(&mut stage, 0, 0);
        steps(&mut stage, 2 * PHASES + arrives_after, |_, _| {});

        for slot in 1..LEGS {
            join(&mut stage, slot, 0);
        }
        steps(&mut stage, 2 * PHASES, |_, _| {});
        let joined = stage.events();
        let joined = joined.iter().filter(|it| matches!(it, Event::ParticipantJoined { .. }));
        assert_eq!(joined.count(), LEGS as usize);

        steps(&mut stage, 60 * PHASES, |_, _| {});
        for phone in &stage.phones {
            let second = &phone.heard[phone.heard.len() - 8_000..];
            for slot in 0..LEGS {
                let level = level_of(300.0 + 100.0 * f64::from(slot), second);
                assert_eq!(level > 0.05, slot != phone.slot, "{} hears {slot}", phone.slot);
            }
        }
    }
}

#[test]
fn packets_leave_in_all_phases() {
    let mut stage = crowd();
    steps(&mut stage, 2 * PHASES, |_, _| {});

    let mut senders = Vec::new();
    for _ in 0..PHASES {
        let before: Vec<usize> = stage.phones.iter().map(|phone| phone.heard.len()).collect();
        steps(&mut stage, 1, |_, _| {});
        let sent = stage.phones.iter().zip(before);
        senders.push(sent.filter(|(phone, before)| phone.heard.len() > *before).count());
    }

    assert_eq!(senders, [2, 2, 2, 2]);
}

#[test]
fn a_recording_is_armed_at_the_time_of_its_first_frame() {
    for wait in 0..PHASES {
        let mut stage = crowd();
        steps(&mut stage, wait, |_, _| {});
        let slot = 1;

        let mut tape = stage.record(0, Target::Leg(leg(slot)), ChannelLayout::Rx);
        let mut first_frame = None;
        for _ in 0..2 * PHASES {
            let at = stage.now;
            steps(&mut stage, 1, |_, _| {});
            if first_frame.is_none() && !tape.wind().samples.is_empty() {
                first_frame = Some(at);
            }
        }

        let armed = tape.marks.iter().find_map(|mark| match mark.kind {
            MarkKind::Armed { at } => Some(at),
            _ => None,
        });
        let (armed, first_frame) = (armed.unwrap(), first_frame.unwrap());
        assert_eq!(armed.monotonic_ns, first_frame.monotonic_ns);
        assert_eq!(armed.unix_us, first_frame.unix_us);
    }
}

#[test]
fn a_recording_that_is_stopped_at_once_holds_a_frame() {
    for wait in 0..PHASES {
        let mut stage = crowd();
        steps(&mut stage, wait, |_, _| {});

        let mut tape = stage.record(0, Target::Leg(leg(1)), ChannelLayout::Rx);
        let stop = stage.room(RoomCommand::StopRecording { recorder: tape.recorder });
        steps(&mut stage, 2 * PHASES, |_, _| {});

        assert_eq!(stage.answer(stop), Some(Ok(())));
        assert!(tape.wind().is_finished());
        assert_eq!(tape.samples.len(), FRAME);
    }
}
