from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tapeline.speech.sound import (
    FRAME,
    LONGEST_FRAMES,
    RATE_HZ,
    Passage,
    Resampler,
    SoundUnreadable,
    passages,
    read_mono,
)

Samples = NDArray[np.float32]


def sine(hertz: float, seconds: float, rate: int = RATE_HZ, amplitude: float = 0.3) -> Samples:
    at = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def found(*parts: Samples) -> list[Passage]:
    return list(passages(parts))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_place_and_shape_at_any_rate(rate: int) -> None:
    resampler = Resampler(rate)

    out = np.concatenate([resampler.push(sine(1_000, 1.0, rate)), resampler.rest()])

    assert abs(len(out) - RATE_HZ) <= 1
    inner = slice(200, RATE_HZ - 200)
    assert np.abs(out[inner] - sine(1_000, 1.1)[: len(out)][inner]).max() < 0.003


def test_what_16_khz_cannot_hold_is_filtered_out_and_not_mirrored() -> None:
    out = Resampler(48_000).push(sine(11_000, 1.0, 48_000))

    assert np.abs(out[200:]).max() < 0.003


@pytest.mark.parametrize("size", [1, 7, 160, 441, 5_000])
def test_pieces_of_any_size_give_what_the_whole_gives(size: int) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 5_000).astype(np.float32)
    whole, pieces = Resampler(44_100), Resampler(44_100)

    expected = np.concatenate([whole.push(sound), whole.rest()])
    parts = [pieces.push(sound[at : at + size]) for at in range(0, len(sound), size)]

    assert np.array_equal(np.concatenate([*parts, pieces.rest()]), expected)


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_file_is_read_as_16_khz_mono(tmp_path: Path, suffix: str) -> None:
    stereo = np.stack([sine(500, 2.0, 8_000, 0.4), np.zeros(16_000, np.float32)], axis=1)
    path = tmp_path / f"call.{suffix}"
    soundfile.write(path, stereo, 8_000)

    sound = np.concatenate(list(read_mono(path)))

    assert abs(len(sound) / RATE_HZ - 2.0) < 0.2  # an MP3 may be padded
    assert abs(np.abs(sound).max() - 0.2) < 0.02


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio at all" * 100])
def test_what_is_no_audio_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)

    with pytest.raises(SoundUnreadable):
        list(read_mono(path))


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(SoundUnreadable):
        list(read_mono(tmp_path / "gone.wav"))


def test_silence_and_clicks_are_no_passage() -> None:
    click = sine(1_000, 0.02)

    assert found(quiet(60)) == []
    assert found(*[quiet(1.5), click] * 20) == []
    assert found() == []
    assert found(sine(440, 5, amplitude=0.0005)) == []


def test_what_is_loud_is_found_with_a_little_before_and_after() -> None:
    first, second = found(quiet(3), sine(300, 2), quiet(4), sine(300, 1), quiet(0.1))

    assert first.start_ms == 2_700
    assert len(first.samples) == int(2.6 * RATE_HZ)
    assert first.loud_frames(0.0, 2.6) == 100
    assert first.loud_frames(0.0, 0.3) == 0
    assert first.loud_frames(-0.5, 0.7) == 0
    assert second.start_ms == 8_700


def test_a_short_pause_does_not_part_a_passage() -> None:
    (only,) = found(sine(300, 1), quiet(0.5), sine(300, 1), quiet(2))

    assert len(only.samples) == int(2.8 * RATE_HZ)


def test_the_same_passages_come_out_however_the_audio_comes_in() -> None:
    sound = np.concatenate([quiet(2), sine(300, 3), quiet(1.3), sine(300, 40), quiet(5)])

    whole = [(p.start_ms, len(p.samples)) for p in passages([sound])]
    for size in (999, 16_000, 160_000):
        parts = (sound[at : at + size] for at in range(0, len(sound), size))
        assert [(p.start_ms, len(p.samples)) for p in passages(parts)] == whole


def test_long_speech_is_cut_where_it_is_quietest_and_nothing_is_lost() -> None:
    dip = slice(int(25 * RATE_HZ), int(25.02 * RATE_HZ))
    sound = sine(300, 70)
    sound[dip] *= 0.2

    cut = found(sound)

    assert len(cut[0].samples) == dip.start
    assert max(len(each.samples) for each in cut) <= LONGEST_FRAMES * FRAME
    assert np.array_equal(np.concatenate([each.samples for each in cut]), sound)
