//! Tracks: every stay of a participant in a file of its own that stands at its place, to the sample.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod house;
mod media_support;
mod record_support;

use house::{House, Live, journal, track_folder};
use media_support::{FRAME, Stage, leg, level_at, level_of, room};
use record_support::Random;
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::{Event, FinishReason, RecordingFinished, TrackFile};
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::codec::{Codec, Rate};
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::{ChannelLayout, Format, RecordingSpec, Target};

const TONES: [(f64, f64); 3] = [(400.0, 6_000.0), (1_000.0, 6_000.0), (1_700.0, 6_000.0)];

fn tracked(house: &mut House, format: Format) -> RecordingSpec {
    let spec = house.spec(format, Target::Room(room(0)), ChannelLayout::Mix);
    RecordingSpec { tracks: true, ..spec }
}

/// Where a track begins, in samples of the main file.
fn offset(live: &Live, track: &TrackFile) -> usize {
    let start = &journal(&track_folder(&live.folder, track.number), "start")[0];
    let offset = start["track"]["offset"].as_u64().unwrap();
    assert_eq!(offset * 1000 / 8_000, track.offset_ms);
    assert_eq!(start["track"]["leg"].as_u64(), Some(track.leg));
    offset as usize
}

/// All tracks at their places make up the mix, sample by sample (nothing was limited).
fn assert_adds_up(live: &Live, finished: &RecordingFinished, what: &str) {
    let mix = live.samples();
    assert_eq!(mix.len() as u64, finished.sample_count, "{what}");
    let mut sum = vec![0_i32; mix.len()];
    for track in &finished.tracks {
        let samples = live.track(track.number);
        assert_eq!(samples.len() as u64, track.sample_count, "{what}, track {}", track.number);
        for (sum, sample) in sum.iter_mut().skip(offset(live, track)).zip(samples) {
            *sum += i32::from(sample);
        }
    }
    let wrong = sum.iter().zip(&mix).position(|(sum, mix)| *sum != i32::from(*mix));
    assert_eq!(wrong, None, "{what}: tick {}", wrong.unwrap_or(0) / FRAME);
}

#[test]
fn r13_r20_a_late_participant_is_heard_when_it_came_in_mix_and_track() {
    let mut house = House::with_talkers(&TONES[..1]);
    house.stage.phone(1).says = Some(TONES[1]);
    house.run(10);
    let spec = tracked(&mut house, Format::Wav);
    let live = house.start(spec);
    house.run(37 * 50);
    house.stage.join(1);
    house.run(100);
    house.room(RoomCommand::Leave { leg: leg(1) });
    house.run(50);
    house.stage.join(1);
    house.run(25);
    let finished = house.stop(&live);

    let stays: Vec<_> = finished
        .tracks
        .iter()
        .map(|it| (it.number, LegHandle::from_u64(it.leg), it.offset_ms, it.sample_count / 160))
        .collect();
    let total = 37 * 50 + 175;
    assert_eq!(stays, [(1, leg(0), 0, total), (2, leg(1), 37_000, 100), (3, leg(1), 40_000, 25)]);
    let heard_from = |samples: &[i16]| {
        let loud = |tick: &[i16]| level_of(TONES[1].0, tick) > 0.1;
        samples.chunks(FRAME).position(loud).unwrap()
    };
    assert_eq!(heard_from(&live.samples()), 37 * 50);
    assert_eq!((heard_from(&live.track(2)), heard_from(&live.track(3))), (0, 0));
    assert_adds_up(&live, &finished, "late");
    house.assert_no_trouble();
}

#[test]
fn r13_of_32_who_join_in_one_tick_not_a_sample_is_missing() {
    let mut house = House::with_talkers(&[]);
    let tones: Vec<f64> = (0..32).map(|who| 300.0 + 100.0 * f64::from(who)).collect();
    for (slot, hz) in tones.iter().enumerate() {
        house.stage.phone(slot as u32).says = Some((*hz, 900.0));
    }
    house.run(10);
    let spec = tracked(&mut house, Format::Wav);
    let live = house.start(spec);
    house.run(50);
    for slot in 0..32 {
        house.stage.join(slot);
    }
    house.run(50);
    let finished = house.stop(&live);

    assert_eq!(finished.tracks.len(), 32);
    for track in &finished.tracks {
        assert_eq!((track.offset_ms, track.sample_count), (1_000, 50 * FRAME as u64));
        assert!(track.missing_ms.is_empty());
        let own = LegHandle::from_u64(track.leg).0.slot as usize;
        let first = &live.track(track.number)[..FRAME];
        assert!(level_of(tones[own], first) > 0.02, "track {}", track.number);
    }
    assert_adds_up(&live, &finished, "32 at once");
    house.assert_no_trouble();
}

#[test]
fn more_than_can_be_served_at_once_wait_and_what_they_miss_is_counted() {
    let mut house = House::with_talkers(&[]);
    for slot in 0..48 {
        house.stage.phone(slot).says = Some((500.0, 400.0));
        house.stage.join(slot);
    }
    house.run(10);
    let spec = tracked(&mut house, Format::Wav);
    let live = house.start(spec);
    house.run(100);
    let finished = house.stop(&live);

    assert_eq!(finished.tracks.len(), 48);
    let whole = finished.tracks.iter().filter(|track| track.missing_ms.is_empty()).count();
    assert!(whole >= 32, "{whole}");
    for track in &finished.tracks {
        assert_eq!((track.offset_ms, track.sample_count), (0, 100 * FRAME as u64));
        let samples = live.track(track.number);
        let missing = track.missing_ms.first().map_or(0, |(_, ms)| *ms as usize * 8);
        assert!(missing < 99 * FRAME, "it came while it ran");
        assert!(samples[..missing].iter().all(|sample| *sample == 0));
        assert!(level_of(500.0, &samples[missing..]) > 0.01);
    }
}

#[test]
fn whatever_happens_the_tracks_add_up_to_the_mix() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let mut house = House::with_talkers(&TONES);
        let mut spec = tracked(&mut house, Format::Wav);
        spec.pause.as_silence = random.below(2) == 0;
        spec.pause.limit_ms = random.below(3) * 300;
        spec.trim_silence = random.below(2) == 0;
        spec.limit_ms = random.below(2) * 4_010;
        if spec.trim_silence {
            house.stage.phones.iter_mut().for_each(|phone| phone.says = None);
            house.run(30);
        }
        let what = format!(
            "seed {seed}: {:?}, trim {}, limit {} ms",
            spec.pause, spec.trim_silence, spec.limit_ms
        );
        let limit_ms = spec.limit_ms;
        let live = house.start(spec);
        for step in 0..40 {
            let who = random.below(3) as u32;
            match random.below(8) {
                0 => _ = house.room(RoomCommand::Leave { leg: leg(who) }),
                1 | 2 => _ = house.stage.join(who),
                3 => _ = house.room(RoomCommand::PauseRecording { recorder: live.recorder }),
                4 => _ = house.room(RoomCommand::ResumeRecording { recorder: live.recorder }),
                5 => {
                    house.stage.tick.skip(1 + random.below(3));
                    house.stage.pass(1);
                }
                _ if step > 5 => house.stage.phones[who as usize].says = Some(TONES[who as usize]),
                _ => {}
            }
            house.run(random.below(12) as usize);
        }
        house.room(RoomCommand::StopRecording { recorder: live.recorder });
        house.stage.tick();
        let finished = house.finished(&live);

        if limit_ms > 0 && finished.reason == FinishReason::TimeLimit {
            assert_eq!(finished.sample_count, limit_ms * 8, "{what}");
        }
        assert_adds_up(&live, &finished, &what);
        assert_eq!(repair(&live.folder).unwrap().tracks, finished.tracks, "{what}");
        house.assert_no_trouble();
    }
}

#[test]
fn tracks_of_an_mp3_are_mp3_and_end_with_the_room() {
    let mut house = House::with_talkers(&TONES);
    let spec = tracked(&mut house, Format::Mp3);
    let live = house.start(spec);
    house.run(100);
    house.room(RoomCommand::CloseRoom { room: room(0) });
    house.run(1);
    let finished = house.finished(&live);

    assert_eq!(finished.reason, FinishReason::RoomClosed);
    assert_eq!(finished.tracks.len(), 3);
    for track in &finished.tracks {
        let samples = live.track(track.number);
        assert_eq!((track.sample_count, samples.len()), (100 * FRAME as u64, 100 * FRAME));
        let own = LegHandle::from_u64(track.leg).0.slot as usize;
        for (other, (hz, _)) in TONES.iter().enumerate() {
            let is_heard = level_of(*hz, &samples[800..15_200]) > 0.1;
            assert_eq!(is_heard, other == own, "track {}, {hz} Hz", track.number);
        }
    }
    house.assert_no_trouble();
}

#[test]
fn without_participants_there_is_no_trace_of_tracks() {
    let mut house = House::with_talkers(&[]);
    let spec = tracked(&mut house, Format::Mp3);
    let live = house.start(spec);
    house.run(50);
    let finished = house.stop(&live);

    assert!(finished.tracks.is_empty());
    assert!(!live.folder.join("tracks").exists());
    assert_eq!(finished.sample_count, 50 * FRAME as u64);
}

#[test]
fn r07_a_crash_leaves_every_track_at_its_place() {
    for format in [Format::Wav, Format::Mp3] {
        let mut house = House::with_talkers(&TONES[..2]);
        house.stage.phone(2).says = Some(TONES[2]);
        let spec = tracked(&mut house, format);
        let live = house.start(spec);
        house.run(100);
        house.stage.join(2);
        house.room(RoomCommand::Leave { leg: leg(0) });
        house.run(200);
        std::thread::sleep(std::time::Duration::from_millis(500));
        let crashed = Live { folder: house.folder.path.join("crashed"), ..live.clone() };
        copy(&live.folder, &crashed.folder);

        let report = repair(&crashed.folder).unwrap();

        assert!(report.has_audio && !report.was_finished);
        let stays: Vec<_> = report.tracks.iter().map(|it| (it.number, it.offset_ms)).collect();
        assert_eq!(stays, [(1, 0), (2, 0), (3, 2_000)], "{format:?}");
        let one = &report.tracks[0];
        assert_eq!(one.sample_count, 100 * FRAME as u64, "it had finished");
        for track in &report.tracks {
            let samples = crashed.track(track.number);
            assert_eq!(samples.len() as u64, track.sample_count);
            assert!(track.sample_count >= 90 * FRAME as u64, "{format:?} {track:?}");
            let own = LegHandle::from_u64(track.leg).0.slot as usize;
            assert!(level_of(TONES[own].0, &samples[1_600..8_000]) > 0.1);
        }
        assert_eq!(repair(&crashed.folder).unwrap().tracks, report.tracks, "twice is once");
        house.stop(&live);
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            std::fs::copy(&path, &there).unwrap();
        }
    }
}

#[test]
fn a_track_whose_file_cannot_be_made_harms_neither_the_recording_nor_its_sisters() {
    let mut house = House::with_talkers(&TONES[..2]);
    house.stage.phone(2).says = Some(TONES[2]);
    let spec = tracked(&mut house, Format::Wav);
    let live = house.start(spec);
    house.run(20);
    std::thread::sleep(std::time::Duration::from_millis(300));
    std::fs::write(track_folder(&live.folder, 3), b"in the way").unwrap();
    house.stage.join(2);
    house.run(50);
    let trouble = house.wait(|event| match event {
        Event::RecorderTrouble { recorder, detail } => Some((*recorder, detail.clone())),
        _ => None,
    });
    house.run(50);
    let finished = house.stop(&live);

    assert_eq!(trouble.0, live.recorder);
    assert_eq!(finished.reason, FinishReason::Command);
    let counts: Vec<_> = finished.tracks.iter().map(|it| (it.number, it.sample_count)).collect();
    assert_eq!(counts, [(1, 19_200), (2, 19_200), (3, 0)]);
    assert_eq!(finished.tracks[2].sha256, "");
}

/// A call's tracks: what it says, and what it hears, each as long as the recording.
#[test]
fn tracks_of_a_call_are_its_two_sides_to_the_sample() {
    for (format, rate_hz) in [(Format::Wav, 8_000), (Format::Wav, 48_000), (Format::Mp3, 16_000)] {
        let mut house = House::with_talkers(&TONES[..2]);
        let spec = house.spec(format, Target::Leg(leg(0)), ChannelLayout::RxTx);
        let live = house.start(RecordingSpec { tracks: true, rate_hz, ..spec });
        house.run(100);
        house.room(RoomCommand::PauseRecording { recorder: live.recorder });
        house.run(30);
        house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
        house.room(RoomCommand::Leave { leg: leg(1) });
        house.run(50);
        house.stage.join(1);
        house.run(50);
        let finished = house.stop(&live);

        let what = format!("{format:?} {rate_hz}");
        let sides: Vec<_> =
            finished.tracks.iter().map(|it| (it.number, it.leg, it.offset_ms)).collect();
        assert_eq!(sides, [(1, leg(0).to_u64(), 0), (2, leg(0).to_u64(), 0)], "{what}");
        for (channel, track) in finished.tracks.iter().enumerate() {
            assert_eq!(track.sample_count, finished.sample_count, "{what}");
            let (alone, side) = (live.track(track.number), live.side(channel));
            assert_eq!(alone.len(), side.len(), "{what}");
            if format == Format::Wav {
                assert_eq!(alone, side, "{what}");
            }
            let second = &alone[rate_hz as usize / 2..rate_hz as usize];
            let rate = Rate::of(rate_hz).unwrap();
            let (own, other) = (TONES[channel].0, TONES[1 - channel].0);
            assert!(level_at(rate, own, second) > 0.1, "{what}");
            assert!(level_at(rate, other, second) < 0.001, "{what}");
            let line = &journal(&track_folder(&live.folder, track.number), "start")[0];
            assert_eq!(line["track"]["is_heard"], channel == 1, "{what}");
        }
        house.assert_no_trouble();
    }
}

#[test]
fn a_crash_leaves_both_sides_of_a_call() {
    let mut house = House::with_talkers(&TONES[..2]);
    let spec = house.spec(Format::Wav, Target::Leg(leg(0)), ChannelLayout::Mix);
    let live = house.start(RecordingSpec { tracks: true, ..spec });
    house.run(200);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let crashed = Live { folder: house.folder.path.join("crashed"), ..live.clone() };
    copy(&live.folder, &crashed.folder);

    let report = repair(&crashed.folder).unwrap();

    assert!(report.has_audio && !report.was_finished);
    assert_eq!(report.tracks.len(), 2);
    for (track, (hz, _)) in report.tracks.iter().zip(TONES) {
        assert!(track.sample_count >= 150 * FRAME as u64, "{track:?}");
        assert!(level_of(hz, &crashed.track(track.number)[1_600..8_000]) > 0.1);
    }
    house.stop(&live);
}

/// What each says in a room of a higher rate is in its own track at that rate.
#[test]
fn tracks_of_wide_and_full_rooms_are_at_the_recordings_rate_and_place() {
    for (rate, format) in [
        (Rate::Wide, Format::Wav),
        (Rate::Full, Format::Wav),
        (Rate::Wide, Format::Mp3),
        (Rate::Full, Format::Mp3),
    ] {
        let mut stage = Stage::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: rate.hz() });
        let codecs = [Codec::L16(rate), Codec::G722, Codec::Pcmu];
        for (slot, (codec, says)) in codecs.into_iter().zip(TONES).enumerate() {
            stage.phone_with(slot as u32, codec).says = Some(says);
        }
        for slot in [0, 1] {
            stage.join(slot);
        }
        stage.run(20);
        let mut house = House::of(stage);
        let spec = RecordingSpec { rate_hz: rate.hz(), ..tracked(&mut house, format) };
        let live = house.start(spec);
        house.run(100);
        house.stage.join(2);
        house.run(100);
        let finished = house.stop(&live);

        let what = format!("{rate:?} {format:?}");
        let frame = rate.frame() as u64;
        let stays: Vec<_> =
            finished.tracks.iter().map(|it| (it.offset_ms, it.sample_count / frame)).collect();
        assert_eq!(stays, [(0, 200), (0, 200), (2_000, 100)], "{what}");
        for (track, (hz, _)) in finished.tracks.iter().zip(TONES) {
            let samples = live.track(track.number);
            assert_eq!(samples.len() as u64, track.sample_count, "{what}");
            let middle = &samples[20 * rate.frame()..70 * rate.frame()];
            assert!(level_at(rate, hz, middle) > 0.1, "{what} {hz}");
            for (other, _) in TONES.iter().filter(|(other, _)| *other != hz) {
                assert!(level_at(rate, *other, middle) < 0.002, "{what} {hz} {other}");
            }
        }
        house.assert_no_trouble();
    }
}
