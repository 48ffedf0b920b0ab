//! What users of recording systems suffer from, each as a test: phones in memory, the real tick, real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod house;
mod media_support;
mod record_support;

use house::House;
use media_support::{FRAME, Stage, leg, level_of, room};
use record_support::TempFolder;
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::{Event, FinishReason, MediaTrouble};
use tapeline_core::media::command::MediaCommand;
use tapeline_core::record::disk::DiskSpool;
use tapeline_core::record::spec::{ChannelLayout, Format, RecordingSpec, Target};

const VOICE: (f64, f64) = (400.0, 6_000.0);
const OTHER: (f64, f64) = (1_000.0, 6_000.0);
const LAST: (f64, f64) = (1_700.0, 6_000.0);
const FORMATS: [Format; 2] = [Format::Wav, Format::Mp3];

fn everybody() -> Target {
    Target::Room(room(0))
}

fn loud_ticks(hz: f64, samples: &[i16]) -> Vec<usize> {
    let ticks = samples.chunks(FRAME).enumerate();
    ticks.filter(|(_, tick)| level_of(hz, tick) > 0.02).map(|(at, _)| at).collect()
}

/// Stereo of a call, and of a conference.
fn stereo(house: &mut House, format: Format) -> [RecordingSpec; 2] {
    let call = house.spec(format, Target::Leg(leg(0)), ChannelLayout::RxTx);
    let room = house.spec(format, everybody(), ChannelLayout::LegRest);
    [call, RecordingSpec { left_leg: Some(leg(0)), ..room }]
}

#[test]
fn r14_r24_stereo_channels_have_the_whole_time_the_right_pitch_and_only_their_own() {
    for format in FORMATS {
        let mut house = House::with_talkers(&[VOICE, OTHER]);
        let lives = stereo(&mut house, format).map(|spec| house.start(spec));
        house.run(500);
        let finished = house.stop_all(&lives);
        for (live, finished) in lives.iter().zip(finished) {
            assert_eq!(finished.sample_count, 500 * FRAME as u64);
            for (channel, own, foreign) in [(0, VOICE.0, OTHER.0), (1, OTHER.0, VOICE.0)] {
                let side = live.side(channel);
                assert_eq!(side.len(), 500 * FRAME, "{format:?} {channel}");
                let steady = &side[10 * FRAME..490 * FRAME];
                let turns = steady.windows(2).filter(|it| it[0] < 0 && it[1] >= 0).count() as f64;
                let expected = own * 9.6;
                assert!((turns - expected).abs() <= expected / 1_000.0, "{format:?}: {turns}");
                let (own, foreign) = (level_of(own, steady), level_of(foreign, steady));
                let crosstalk = 20.0 * (foreign / own).log10();
                assert!(own > 0.1 && crosstalk <= -60.0, "{format:?} {channel}: {crosstalk} dB");
            }
        }
        house.assert_no_trouble();
    }
}

#[test]
fn r16_the_duration_is_the_time_less_skipped_pauses_whatever_comes_in() {
    for format in FORMATS {
        let mut house = House::with_talkers(&[VOICE, OTHER]);
        let mut lives = Vec::new();
        for as_silence in [false, true] {
            let mut spec = house.spec(format, everybody(), ChannelLayout::Mix);
            spec.pause.as_silence = as_silence;
            lives.push(house.start(spec));
        }
        house.run(100);
        // Nobody sends anything, and some ticks never run.
        house.stage.phones.iter_mut().for_each(|phone| phone.says = None);
        house.run(60);
        house.stage.tick.skip(40);
        house.stage.pass(40);
        house.run(100);
        for live in &lives {
            house.room(RoomCommand::PauseRecording { recorder: live.recorder });
        }
        house.run(30);
        house.stage.tick.skip(20);
        house.stage.pass(20);
        house.run(50);
        for live in &lives {
            house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
        }
        house.run(50);
        let finished = house.stop_all(&lives);

        for ((live, finished), ticks) in lives.iter().zip(finished).zip([350, 450]) {
            assert_eq!(finished.sample_count, ticks * FRAME as u64, "{format:?}");
            assert_eq!(live.samples().len(), ticks as usize * FRAME, "{format:?}");
            assert_eq!(finished.missing_ms, [("skipped_ticks".to_owned(), 800)], "{format:?}");
        }
        house.assert_no_trouble();
    }
}

#[test]
fn r21_the_last_half_second_before_a_stop_and_a_hang_up_is_there() {
    for format in FORMATS {
        let mut house = House::with_talkers(&[VOICE, OTHER]);
        let spec = house.spec(format, everybody(), ChannelLayout::Mix);
        let of_room = house.start(spec);
        let spec = house.spec(format, Target::Leg(leg(0)), ChannelLayout::Mix);
        let of_leg = house.start(spec);
        house.run(100);
        house.stage.phones[0].says = Some(LAST);
        house.run(25);
        // The phone hangs up in the tick in which the other recording is stopped.
        let remove = MediaCommand::RemoveLeg { leg: leg(0) };
        house.room(RoomCommand::StopRecording { recorder: of_room.recorder });
        assert!(house.stage.media.send(remove).is_ok());
        house.stage.tick();

        for (live, reason) in [(of_room, FinishReason::Command), (of_leg, FinishReason::LegGone)] {
            let finished = house.finished(&live);
            assert_eq!((finished.reason, finished.sample_count), (reason, 125 * FRAME as u64));
            let last = loud_ticks(LAST.0, &live.samples());
            // What the phone said in the tick of its end is on its way through the jitter buffer.
            assert!(last.len() >= 24 && last.ends_with(&[123, 124]), "{format:?} {last:?}");
        }
        house.assert_no_trouble();
    }
}

#[test]
fn r22_what_is_said_after_the_answer_is_in_the_file() {
    for format in FORMATS {
        let mut house = House::with_talkers(&[VOICE]);
        let spec = house.spec(format, everybody(), ChannelLayout::Mix);
        let live = house.ask(spec).unwrap();
        // The start has been answered: the next packet says something new.
        house.stage.phones[0].says = Some(LAST);
        house.run(100);
        house.stop(&live);

        let heard = loud_ticks(LAST.0, &live.samples());
        assert!(heard[0] <= 2 && heard.len() >= 98, "{format:?}: {heard:?}");
        house.assert_no_trouble();
    }
}

fn note(notes: &[(String, u64)], reason: &str) -> Option<u64> {
    notes.iter().find(|(it, _)| it == reason).map(|(_, ms)| *ms)
}

#[test]
fn r23_a_party_that_cannot_be_heard_is_told_and_marks_the_recording() {
    // Packets with nothing in them, and no packets at all.
    for says in [Some((400.0, 0.0)), None] {
        let mut house = House::with_talkers(&[VOICE, OTHER]);
        let mut lives = stereo(&mut house, Format::Wav).map(|spec| house.start(spec)).to_vec();
        let spec = house.spec(Format::Wav, everybody(), ChannelLayout::Mix);
        lives.push(house.start(spec));
        let before = house.start_in_another_room();
        house.run(100);
        house.stage.phones[0].says = says;
        house.run(700);
        house.stage.phones[0].says = Some(VOICE);
        house.run(100);

        let kinds: Vec<_> = house.events().iter().filter_map(trouble_of(0)).collect();
        let expected = match says {
            Some(_) => [MediaTrouble::Silent, MediaTrouble::SoundAgain],
            None => [MediaTrouble::NoPackets, MediaTrouble::PacketsAgain],
        };
        assert_eq!(kinds, expected);
        let finished = house.stop_all(&lives);
        for (live, finished) in lives.iter().zip(finished) {
            let ms = note(&finished.notes, "one_way_audio").unwrap();
            assert!((13_500..=14_100).contains(&ms), "{says:?} {live:?}: {ms}");
            let line = &live.journal("one_way_audio")[0];
            let at = line["at"].as_u64().unwrap() / 8;
            assert!((1_900..=2_500).contains(&at), "{line}");
            assert_eq!(note(&finished.notes, "silent_channel"), None);
        }
        assert_eq!(house.stop(&before).notes, [], "others are not concerned");
    }
}

fn trouble_of(slot: u32) -> impl Fn(&Event) -> Option<MediaTrouble> {
    move |event| match event {
        Event::MediaTrouble { leg: told, kind } if *told == leg(slot) => Some(*kind),
        _ => None,
    }
}

#[test]
fn r23_a_pause_in_speech_and_a_short_call_are_no_trouble() {
    let mut house = House::with_talkers(&[VOICE, OTHER]);
    let lives = stereo(&mut house, Format::Wav).map(|spec| house.start(spec));
    house.stage.phones[0].says = Some((400.0, 0.0));
    house.run(450);
    house.stage.phones[0].says = Some(VOICE);
    house.run(50);
    for finished in house.stop_all(&lives) {
        assert_eq!(finished.notes, []);
    }
    assert!(house.events().iter().filter_map(trouble_of(0)).next().is_none());
}

/// Nobody sends a packet: the files are as long as the call, and say why they are empty.
#[test]
fn r27_a_call_without_a_packet_is_recorded_as_silence_of_its_length() {
    for format in FORMATS {
        let mut house = House::of(Stage::new());
        house.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 8_000 });
        for slot in [0, 1] {
            house.stage.phone(slot);
            house.stage.join(slot);
        }
        house.run(5);
        let mut lives = stereo(&mut house, format).map(|spec| house.start(spec)).to_vec();
        let spec = house.spec(format, everybody(), ChannelLayout::Mix);
        lives.push(house.start(spec));
        house.run(600);

        for (live, finished) in lives.iter().zip(house.stop_all(&lives)) {
            assert_eq!(finished.reason, FinishReason::Command);
            assert_eq!((finished.sample_count, finished.missing_ms.len()), (600 * 160, 0));
            let channels = if live.folder == lives[2].folder { 1 } else { 2 };
            let samples = live.samples();
            assert_eq!(samples.len(), channels * 600 * FRAME, "{format:?}");
            assert!(samples.iter().all(|sample| *sample == 0), "{format:?}");
            assert!(note(&finished.notes, "silent_channel").is_some(), "{:?}", finished.notes);
        }
    }
}

#[test]
fn r32_start_stop_start_gives_two_whole_recordings_and_overwrites_none() {
    let mut house = House::with_talkers(&[VOICE]);
    let spec = house.spec(Format::Wav, everybody(), ChannelLayout::Mix);
    let first = house.start(spec.clone());
    house.run(50);
    let one = house.stop(&first);
    let bytes = std::fs::read(first.folder.join("audio.part")).unwrap();

    let again = house.ask(spec).unwrap_err();
    assert!(again.contains("there is a recording already"), "{again}");
    let spec = house.spec(Format::Wav, everybody(), ChannelLayout::Mix);
    let second = house.start(spec);
    house.run(70);
    let two = house.stop(&second);

    assert_eq!((one.sample_count, two.sample_count), (50 * 160, 70 * 160));
    assert_eq!(std::fs::read(first.folder.join("audio.part")).unwrap(), bytes);
    assert!(loud_ticks(VOICE.0, &second.samples()).len() == 70);
}

#[test]
fn r34_a_start_that_cannot_write_is_refused_and_one_that_is_answered_is_armed() {
    let folder = TempFolder::new();
    let disk = DiskSpool::open(&folder.path).unwrap();
    let stage = Stage::with_talkers(&[VOICE]);
    let mut full = House::on(stage, folder, disk, 1 << 60);
    let spec = full.spec(Format::Wav, everybody(), ChannelLayout::Mix);
    let folder = spec.folder.clone();
    let refusal = full.ask(spec).unwrap_err();
    assert!(refusal.starts_with("disk space:"), "{refusal}");
    assert!(!folder.exists());

    let mut house = House::with_talkers(&[VOICE]);
    let spec = house.spec(Format::Mp3, everybody(), ChannelLayout::Mix);
    std::fs::write(&spec.folder, b"in the way").unwrap();
    let refusal = house.ask(spec).unwrap_err();
    assert!(refusal.contains("rec_1"), "{refusal}");

    let spec = house.spec(Format::Mp3, everybody(), ChannelLayout::Mix);
    let live = house.ask(spec).unwrap();
    house.run(1);
    let armed = house.events().iter().any(
        |event| matches!(event, Event::RecordingArmed { recorder, .. } if *recorder == live.recorder),
    );
    assert!(armed, "in the first tick after the answer");
    assert_eq!(house.stop(&live).sample_count, FRAME as u64);
}
