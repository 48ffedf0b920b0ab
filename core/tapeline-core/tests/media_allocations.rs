//! The tick allocates and frees nothing, whatever is recorded, played and paused meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use media_support::{Stage, Tape, agreement, agreement_on, leg, room, tap_spec, tone};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::counters::LegStats;
use tapeline_core::boundary::digits::DigitString;
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::{Agreement, Codec, MediaCommand};
use tapeline_core::media::leg::{Leg, LegCodec};
use tapeline_core::media::srtp::{MasterKey, Srtp, SrtpKeys, Suite};
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{BeepRule, ChannelLayout, PauseRule, Target};
use tapeline_core::record::tap::TapSpec;

/// Counts what this thread asks for while it is told to.
struct Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn note(asked: usize) {
    if IS_COUNTING.get() {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get() + asked);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; what is counted is in cells without
// destructors, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ticks as [`Stage::run`], counting only inside of them.
fn run(stage: &mut Stage, ticks: usize) {
    for _ in 0..ticks {
        let arrival_ns = stage.now.monotonic_ns - media_support::TICK_NS / 2;
        for phone in &mut stage.phones {
            phone.speak(arrival_ns);
        }
        IS_COUNTING.set(true);
        stage.tick.run(stage.now);
        IS_COUNTING.set(false);
        stage.after_tick();
    }
}

/// Neither do keys pressed, nor SRTP and its change of keys.
#[test]
fn keys_and_srtp_neither_allocate_nor_free() {
    let mut stage = Stage::with_talkers(&[(400.0, 6_000.0)]);
    let keys = |suite: Suite| SrtpKeys {
        tag: 1,
        ours: MasterKey::generate(suite).unwrap(),
        theirs: MasterKey::generate(suite).unwrap(),
    };
    let change = |suite: Suite| {
        let srtp = Some(keys(suite));
        let agreement = Box::new(Agreement { srtp: srtp.clone(), ..agreement(0) });
        let srtp = srtp.map(|keys| Box::new(Srtp::new(keys)));
        MediaCommand::ChangeLeg { leg: leg(0), agreement, codec: None, srtp }
    };
    for suite in Suite::ALL {
        assert!(stage.media.send(change(suite)).is_ok());
        let digits = DigitString::parse("1w#").unwrap();
        let (command, tone_ms, gap_ms) = (900, 60, 40);
        let pressed = MediaCommand::SendDigits { command, leg: leg(0), digits, tone_ms, gap_ms };
        assert!(stage.media.send(pressed).is_ok());
        run(&mut stage, 60);
    }
    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    run(&mut stage, 2);

    assert_eq!(COUNT.get(), 0);
    assert_eq!(stage.count("srtp_forged"), 180, "what the phone says is not protected");
}

#[test]
fn a_tick_neither_allocates_nor_frees() {
    let mut stage = Stage::with_talkers(&[(400.0, 6_000.0), (1_000.0, 6_000.0), (1_700.0, 60.0)]);
    let (one, all) = (Target::Leg(leg(0)), Target::Room(room(0)));
    let layouts = [
        (all, ChannelLayout::Mix),
        (all, ChannelLayout::LegRest),
        (one, ChannelLayout::Rx),
        (one, ChannelLayout::TxRx),
        (Target::Leg(leg(2)), ChannelLayout::RxTx),
    ];
    let tapes: Vec<Tape> = (0..)
        .zip(layouts)
        .map(|(slot, (target, layout))| {
            stage.record_as(TapSpec {
                left_leg: (layout == ChannelLayout::LegRest).then_some(leg(1)),
                silence: SilenceRule { limit_ms: 900, waits_for_speech: false },
                beep: BeepRule { at_start: slot % 2 == 0, every_ms: 300, ..BeepRule::NONE },
                pause: PauseRule { as_silence: slot % 2 == 0, limit_ms: 100 },
                trim_silence: true,
                ..tap_spec(slot, target, layout)
            })
        })
        .collect();
    let spec = TapSpec { trim_silence: true, ..tap_spec(9, all, ChannelLayout::Mix) };
    let (_tape, mut maker, mut readers) = stage.record_tracks(spec);
    stage.play(0, one, &tone(2_200.0, 6_000.0, 0, 8_000));
    stage.play(1, all, &tone(2_200.0, 6_000.0, 0, 4_000));
    run(&mut stage, 20);
    for tape in &tapes {
        stage.room(RoomCommand::PauseRecording { recorder: tape.recorder });
    }
    run(&mut stage, 10);
    for tape in &tapes {
        stage.room(RoomCommand::ResumeRecording { recorder: tape.recorder });
    }
    run(&mut stage, 60);
    stage.room(RoomCommand::Leave { leg: leg(0) });
    stage.room(RoomCommand::Leave { leg: leg(1) });
    run(&mut stage, 3);
    stage.join(1);
    maker.refill(|reader| {
        readers.push(reader);
        true
    });
    stage.room(RoomCommand::StopRecording { recorder: tapes[0].recorder });
    run(&mut stage, 20);
    stage.room(RoomCommand::CloseRoom { room: room(0) });
    run(&mut stage, 20);

    assert_eq!(COUNT.get(), 0);
    assert_eq!(stage.ended().len(), 2);
    let finished = tapes.into_iter().filter_map(|mut tape| tape.wind().is_finished().then_some(()));
    assert_eq!(finished.count(), 2, "the one that was stopped, the one whose room is gone");
}

#[test]
fn neither_do_rooms_that_change_their_rate_and_streams_that_are_shared() {
    let codecs = [
        Codec::Pcmu,
        Codec::G722,
        Codec::Opus(Rate::Wide),
        Codec::Opus(Rate::Full),
        Codec::L16(Rate::Wide),
        Codec::Pcma,
        Codec::Opus(Rate::Wide),
    ];
    let mut stage = Stage::new();
    stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
    for (slot, codec) in (0..).zip(codecs) {
        stage.phone_with(slot, codec);
    }
    stage.phones[0].says = Some((400.0, 6_000.0));
    stage.join(0);
    stage.join(5);
    let room_target = Target::Room(room(0));
    let apart = tap_spec(1, room_target, ChannelLayout::LegRest);
    let tapes = [
        stage.record(0, room_target, ChannelLayout::Mix),
        stage.record_as(TapSpec { left_leg: Some(leg(0)), rate_hz: 16_000, ..apart }),
        stage.record(2, Target::Leg(leg(2)), ChannelLayout::RxTx),
    ];
    run(&mut stage, 20);
    stage.play(0, room_target, &tone(2_200.0, 3_000.0, 0, 16_000));
    for slot in [1, 2, 3, 4, 6] {
        stage.join(slot);
        run(&mut stage, 20);
    }
    for slot in [2, 1] {
        stage.phones[slot].says = Some((900.0, 6_000.0));
        run(&mut stage, 20);
        stage.phones[slot].says = None;
        run(&mut stage, 20);
    }
    let agreement = Box::new(agreement_on(0, Codec::Opus(Rate::Wide)));
    let codec = Some(LegCodec::new(Codec::Opus(Rate::Wide)).unwrap());
    assert!(
        stage
            .media
            .send(MediaCommand::ChangeLeg { leg: leg(0), agreement, codec, srtp: None })
            .is_ok()
    );
    run(&mut stage, 10);
    stage.phones[0].change_codec(Codec::Opus(Rate::Wide));
    run(&mut stage, 30);
    for slot in [3, 1, 2, 4] {
        stage.room(RoomCommand::Leave { leg: leg(slot) });
        run(&mut stage, 5);
    }
    run(&mut stage, 300);

    assert_eq!(COUNT.get(), 0);
    assert_eq!(stage.count("caught_panics"), 0);
    assert!(tapes.into_iter().all(|mut tape| !tape.wind().samples.is_empty()));
}

/// Bytes that a leg of a codec asks the allocator for, in all.
fn bytes_of(codec: Codec) -> usize {
    BYTES.set(0);
    IS_COUNTING.set(true);
    let leg = (Leg::blank(), LegCodec::new(codec).unwrap(), Box::new(LegStats::default()));
    IS_COUNTING.set(false);
    drop(leg);
    BYTES.get()
}

#[test]
fn a_g711_leg_is_small() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::L16(Rate::Wide), Codec::Opus(Rate::Wide)] {
        println!("{codec:?}: {} bytes a leg", bytes_of(codec));
    }
    let bytes = bytes_of(Codec::Pcmu);
    assert!(bytes <= 8_000, "{bytes}");
}
