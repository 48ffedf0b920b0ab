use super::*;
use crate::boundary::handle::{Handle, RoomHandle};

const LEG: LegHandle = LegHandle(Handle { slot: 1, generation: 1 });

const SPEC: TapSpec = TapSpec {
    recorder: RecorderHandle(Handle { slot: 1, generation: 1 }),
    target: Target::Room(RoomHandle(Handle { slot: 1, generation: 1 })),
    layout: ChannelLayout::Mix,
    left_leg: None,
    rate_hz: 8000,
    limit_samples: None,
    silence: SilenceRule { limit_ms: 0, waits_for_speech: false },
    pause: PauseRule { as_silence: false, limit_ms: 0 },
    beep: BeepRule::NONE,
    trim_silence: false,
};

fn tap_of(spec: TapSpec) -> (Tap, TapReader, Arc<EventFd>) {
    let waker = Arc::new(EventFd::new().unwrap());
    let (tap, reader) = Tap::new(spec, waker.clone());
    (tap, reader, waker)
}

fn tap(limit_samples: Option<u64>) -> (Tap, TapReader, Arc<EventFd>) {
    tap_of(TapSpec { limit_samples, ..SPEC })
}

fn marks(reader: &mut TapReader) -> Vec<Mark> {
    std::iter::from_fn(|| reader.marks.pop().ok()).collect()
}

fn push(tap: &mut Tap, value: i16, ticks: usize) -> Vec<TapState> {
    (0..ticks).map(|_| tap.push_mono(&[value; 160])).collect()
}

#[test]
fn a_pause_leaves_nothing_but_its_place_and_length() {
    let (mut tap, mut reader, _waker) = tap(Some(800));
    push(&mut tap, 7, 2);
    assert!(tap.pause() && !tap.pause());
    push(&mut tap, 8, 3);
    tap.skip(160);
    tap.mark(MarkKind::Left { leg: LEG });
    assert!(tap.resume() && !tap.resume());
    push(&mut tap, 9, 1);
    tap.pause();
    push(&mut tap, 8, 1);
    assert!(tap.finish(FinishReason::Command));

    let end = MarkKind::Finished { reason: FinishReason::Command, keep: 480 };
    let expected = [
        (320, MarkKind::PauseBegan { unix_us: 40_000 }),
        (320, MarkKind::PauseEnded { samples: 640 }),
        (480, MarkKind::PauseBegan { unix_us: 140_000 }),
        (480, MarkKind::PauseEnded { samples: 160 }),
        (480, end),
    ];
    assert_eq!(marks(&mut reader), expected.map(|(position, kind)| Mark { position, kind }));
    let samples: Vec<i16> = std::iter::from_fn(|| reader.samples.pop().ok()).collect();
    assert_eq!(samples, [[7; 160], [7; 160], [9; 160]].concat());
}

#[test]
fn trimming_keeps_a_little_before_the_first_sound_and_behind_the_last() {
    let (mut tap, mut reader, _waker) = tap_of(TapSpec { trim_silence: true, ..SPEC });
    push(&mut tap, 1, 50);
    assert_eq!(reader.samples.slots(), 0);
    push(&mut tap, 3000, 10);
    push(&mut tap, 2, 100);
    assert!(tap.finish(FinishReason::Command));

    assert_eq!(tap.position(), (5 + 10 + 100) * 160);
    let end = MarkKind::Finished { reason: FinishReason::Command, keep: (5 + 10 + 4) * 160 };
    let expected = [
        Mark { position: 0, kind: MarkKind::AudioBegan { unix_us: 900_000 } },
        Mark { position: tap.position(), kind: end },
    ];
    assert_eq!(marks(&mut reader), expected);
    assert_eq!(reader.samples.pop(), Ok(1));
}

#[test]
fn an_all_silent_trimmed_recording_is_one_tick() {
    for (ticks, unix_us) in [(0, 0), (1, 0), (400, 7_980_000)] {
        let (mut tap, mut reader, _waker) = tap_of(TapSpec { trim_silence: true, ..SPEC });
        push(&mut tap, 1, ticks);
        assert!(tap.finish(FinishReason::Command));

        assert_eq!((tap.position(), reader.samples.slots()), (160, 160));
        let marks = marks(&mut reader);
        assert_eq!(marks[0].kind, MarkKind::AudioBegan { unix_us });
        let end = MarkKind::Finished { reason: FinishReason::Command, keep: 160 };
        assert_eq!(marks[1].kind, end);
    }
}

#[test]
fn a_silence_limit_counts_what_trimming_leaves_out_and_no_pause() {
    let silence = SilenceRule { limit_ms: 1000, waits_for_speech: false };
    let spec = TapSpec { silence, trim_silence: true, ..SPEC };
    let (mut tap, _reader, _waker) = tap_of(spec);
    push(&mut tap, 0, 20);
    tap.pause();
    push(&mut tap, 0, 500);
    tap.resume();
    let states = push(&mut tap, 0, 30);
    assert!(states[..29].iter().all(|state| *state == TapState::Running));
    assert_eq!(states[29], TapState::SilentTooLong);
}

#[test]
fn a_beep_begins_the_file_and_is_no_speech() {
    let silence = SilenceRule { limit_ms: 1000, waits_for_speech: true };
    let spec = TapSpec { silence, beep: BeepRule::AT_START, trim_silence: true, ..SPEC };
    let (mut tap, reader, _waker) = tap_of(spec);
    assert!(tap.is_beep_due() && !tap.is_beep_due());
    push(&mut tap, 5000, 15);
    assert_eq!(reader.samples.slots(), 15 * 160);
    assert!(push(&mut tap, 0, 200).iter().all(|state| *state == TapState::Running));
}

#[test]
fn facts_never_take_the_room_of_gaps_and_the_end() {
    let (mut tap, mut reader, _waker) = tap(None);
    for _ in 0..2 * MARKS {
        tap.mark(MarkKind::Left { leg: LEG });
    }
    tap.skip(160);
    assert!(tap.finish(FinishReason::Command));

    let marks: Vec<Mark> = std::iter::from_fn(|| reader.marks.pop().ok()).collect();
    assert_eq!(marks.len(), MARKS - MARKS / 4 + 2);
    let skipped = Mark { position: 0, kind: MarkKind::SkippedTicks { samples: 160 } };
    assert_eq!(marks[marks.len() - 2], skipped);
    assert_eq!(marks[marks.len() - 1].position, 160);
}

#[test]
fn a_gap_that_cannot_be_told_goes_on_until_it_can() {
    let (mut tap, mut reader, _waker) = tap(None);
    for _ in 0..MARKS {
        tap.skip(1);
    }
    tap.skip(160);
    tap.push_mono(&[7; 160]);
    assert_eq!(reader.samples.slots(), 0, "audio behind a gap nobody knows of would be early");
    assert!(!tap.finish(FinishReason::Command));
    while reader.marks.pop().is_ok() {}

    tap.push_mono(&[8; 160]);

    let gap = reader.marks.pop().unwrap();
    let kind = MarkKind::Overflow { samples: 320 };
    assert_eq!(gap, Mark { position: MARKS as u64, kind });
    assert_eq!(reader.samples.slots(), 160);
    assert_eq!(tap.position(), MARKS as u64 + 480);
}

#[test]
fn a_limit_holds_for_silence_too() {
    let (mut tap, _reader, _waker) = tap(Some(400));
    assert_eq!(tap.push_mono(&[1; 160]), TapState::Running);
    assert_eq!(tap.skip(16_000), TapState::LimitReached);
    assert_eq!(tap.position(), 400);
}

#[test]
fn the_writer_is_called_once_when_half_of_the_ring_is_full() {
    let (mut tap, mut reader, waker) = tap(None);
    let is_called = || waker.wait(std::time::Duration::ZERO);
    for _ in 0..200 {
        tap.push_mono(&[0; 160]);
    }
    assert!(!is_called());
    for _ in 0..20 {
        tap.push_mono(&[0; 160]);
    }
    assert!(is_called());
    tap.push_mono(&[0; 160]);
    assert!(!is_called());

    reader.samples.read_chunk(30_000).unwrap().commit_all();
    for _ in 0..220 {
        tap.push_mono(&[0; 160]);
    }
    assert!(is_called());
}
