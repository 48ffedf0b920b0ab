//! The tick allocates and frees nothing, whatever is recorded, played and paused meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use media_support::{Stage, Tape, leg, room, tap_spec, tone};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::TapSpec;

/// Counts what this thread asks for while it is told to.
struct Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    if IS_COUNTING.get() {
        COUNT.set(COUNT.get() + 1);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; what is counted is in cells without
// destructors, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note();
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
                beep: slot % 2 == 0,
                trim_silence: true,
                ..tap_spec(slot, target, layout)
            })
        })
        .collect();
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
    stage.room(RoomCommand::StopRecording { recorder: tapes[0].recorder });
    run(&mut stage, 20);
    stage.room(RoomCommand::CloseRoom { room: room(0) });
    run(&mut stage, 20);

    assert_eq!(COUNT.get(), 0);
    assert_eq!(stage.ended().len(), 2);
    let finished = tapes.into_iter().filter_map(|mut tape| tape.wind().is_finished().then_some(()));
    assert_eq!(finished.count(), 2, "the one that was stopped, the one whose room is gone");
}
