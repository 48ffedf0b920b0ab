//! What is in the finished files, decoded by ffmpeg: every sample, at its place, in every format.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod record_support;

use std::path::Path;

use record_support::{STARTED_UNIX_US, Studio, decode, onset, sine, tone};
use sha2::{Digest, Sha256};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::codecs::MpaDecoder;
use symphonia::default::formats::MpaReader;
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::record::format::{Shape, wav};
use tapeline_core::record::probe;
use tapeline_core::record::spec::Format;

/// What the header of a WAV says of its samples.
fn data_bytes(bytes: &[u8]) -> u32 {
    let at = bytes.windows(4).position(|word| word == b"data").unwrap() + 4;
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Samples of each channel that a second gapless decoder gives.
fn symphonia_frames(path: &Path, rate_hz: u32, channels: u8) -> u64 {
    let file = Box::new(std::fs::File::open(path).unwrap());
    let stream = MediaSourceStream::new(file, Default::default());
    let mut reader = MpaReader::try_new(stream, FormatOptions::default()).unwrap();
    let track = reader.tracks().first().unwrap();
    let parameters = track.codec_params.as_ref().and_then(|it| it.audio()).unwrap();
    let mut decoder = MpaDecoder::try_new(parameters, &AudioDecoderOptions::default()).unwrap();
    let mut frames = 0;
    while let Some(packet) = reader.next_packet().unwrap() {
        let decoded = decoder.decode(&packet).unwrap();
        let spec = decoded.spec();
        assert_eq!((spec.rate(), spec.channels().count()), (rate_hz, usize::from(channels)));
        frames += decoded.frames() as u64;
    }
    frames
}

const SHAPES: [(u32, u8); 6] =
    [(8000, 1), (8000, 2), (16_000, 1), (16_000, 2), (48_000, 1), (48_000, 2)];

#[test]
fn r17_header_samples_and_count_agree_to_the_sample_for_every_format() {
    let mut studio = Studio::new();
    for format in [Format::Wav, Format::Mp3] {
        for (rate_hz, channels) in SHAPES {
            for milliseconds in [20, 40, 100, 1000, 3260, 20_000] {
                let mut stage = studio.start(format, rate_hz, channels);
                stage.play_ms(milliseconds, tone(rate_hz, 440.0, 0));
                stage.finish(FinishReason::Command);
                let finished = studio.wait_finished(stage.recorder);

                let what = format!("{format:?} {rate_hz} Hz {channels} ch {milliseconds} ms");
                let expected = milliseconds * u64::from(rate_hz) / 1000;
                assert_eq!(finished.sample_count, expected, "{what}");
                let bytes = std::fs::read(stage.audio_path()).unwrap();
                assert_eq!(finished.byte_count, bytes.len() as u64, "{what}");
                assert_eq!(finished.sha256, hex(&Sha256::digest(&bytes)), "{what}");
                let samples = decode(&stage.audio_path(), format);
                assert_eq!(samples.len() as u64, expected * u64::from(channels), "{what}");
                let header = probe(&stage.audio_path()).unwrap();
                let shape = (header.sample_count, header.rate_hz, header.channels);
                assert_eq!(shape, (expected, rate_hz, channels), "{what}");
                let told = match format {
                    Format::Wav => u64::from(data_bytes(&bytes)) / 2 / u64::from(channels),
                    Format::Mp3 => symphonia_frames(&stage.audio_path(), rate_hz, channels),
                };
                assert_eq!(told, expected, "{what}");
            }
        }
    }
    assert_eq!(studio.troubles(), Vec::<String>::new());
}

#[test]
fn a_tone_stands_at_its_place_in_its_channel() {
    let mut studio = Studio::new();
    for format in [Format::Wav, Format::Mp3] {
        for (rate_hz, channels) in SHAPES {
            let millisecond = u64::from(rate_hz) / 1000;
            let (left, right) = (777 * millisecond, 1333 * millisecond);
            let mut stage = studio.start(format, rate_hz, channels);
            stage.play_ms(2000, |at, channel| match channel {
                0 => sine(rate_hz, 1000.0, left, at),
                _ => sine(rate_hz, 700.0, right, at),
            });
            stage.finish(FinishReason::Command);
            studio.wait_finished(stage.recorder);

            let samples = decode(&stage.audio_path(), format);
            for (channel, expected) in [left, right].into_iter().take(channels.into()).enumerate() {
                let found = onset(&samples, channels.into(), channel).unwrap() as u64;
                let error = found.abs_diff(expected);
                let what = format!("{format:?} {rate_hz} Hz {channels} ch, channel {channel}");
                assert!(error <= millisecond, "{what}: {found} instead of {expected}");
            }
        }
    }
}

#[test]
fn a_wav_holds_the_very_samples() {
    let mut studio = Studio::new();
    for channels in [1, 2] {
        let noise =
            |at: u64, channel: usize| (at.wrapping_mul(40_503 + channel as u64) >> 3) as i16;
        let mut stage = studio.start(Format::Wav, 8000, channels);
        stage.play_ms(2500, noise);
        stage.finish(FinishReason::RoomClosed);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!(finished.reason, FinishReason::RoomClosed);
        assert_eq!(finished.started_unix_us, STARTED_UNIX_US);
        let expected: Vec<i16> = (0..20_000)
            .flat_map(|at| (0..usize::from(channels)).map(move |channel| noise(at, channel)))
            .collect();
        assert_eq!(decode(&stage.audio_path(), Format::Wav), expected);
    }
}

/// A sparse file: only its header is on the disk.
#[test]
fn players_see_the_full_length_past_four_gibibytes() {
    let folder = record_support::TempFolder::new();
    let path = folder.path.join("long.wav");
    let shape = Shape { rate_hz: 16_000, channels: 2 };
    let seconds = 100_000;
    let data_bytes = seconds * 64_000;
    std::fs::write(&path, wav::header(shape, data_bytes)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(wav::HEADER_BYTES + data_bytes).unwrap();

    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=duration", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();

    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "100000.000000");
    assert_eq!(probe(&path).unwrap().sample_count, seconds * 16_000);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
