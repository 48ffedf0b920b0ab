import numpy as np
import pytest

from tapeline.testing.detect import find_tone, tone_level
from tapeline.testing.g711 import Law, Samples, decode, encode
from tapeline.testing.tones import RATE_HZ, Tone, Voice, level_dbov, sine


def placed(loop: Samples, start_ms: float, end_ms: float, total_ms: float) -> Samples:
    signal = np.zeros(int(total_ms * 8), dtype=np.float32)
    first, last = int(start_ms * 8), int(end_ms * 8)
    signal[first:last] = np.resize(loop, last - first)
    return signal


@pytest.mark.parametrize("start_ms", [0, 100, 313.25, 1999])
@pytest.mark.parametrize("frequency", [350, 440, 1230, 3100])
def test_a_tone_is_found_to_two_milliseconds(start_ms: float, frequency: int) -> None:
    signal = placed(Tone(frequency).loop(), start_ms, 3000.5, 4000)

    (span,) = find_tone(signal, frequency)

    assert span.start_ms == pytest.approx(start_ms, abs=2)
    assert span.end_ms == pytest.approx(3000.5, abs=2)
    assert span.level_dbov == pytest.approx(-20, abs=0.2)


def test_a_tone_to_the_end_of_the_signal_ends_there() -> None:
    signal = placed(Tone(500).loop(), 500, 2000, 2000)

    (span,) = find_tone(signal, 500)

    assert span.end_ms == 2000


def test_ten_tones_are_told_apart_through_g711() -> None:
    tones = [400 + 90 * n for n in range(10)]
    parts = [
        placed(Tone(hz, -26.0).loop(), 300 + 150 * n, 3000 + 77 * n, 4500)
        for n, hz in enumerate(tones)
    ]
    mixed = decode(encode(np.sum(parts, axis=0), Law.PCMU), Law.PCMU)

    for n, hz in enumerate(tones):
        (span,) = find_tone(mixed, hz)
        assert span.start_ms == pytest.approx(300 + 150 * n, abs=2)
        assert span.end_ms == pytest.approx(3000 + 77 * n, abs=2)


def test_marks_are_found_under_three_voices() -> None:
    voices = [
        Voice(seed=n, fundamental_hz=hz, mark_hz=mark)
        for n, (hz, mark) in enumerate([(110, 1800), (150, 2200), (210, 2600)])
    ]
    mixed = sum(
        (placed(v.loop(), 200 + 700 * n, 5000 - 600 * n, 6000) for n, v in enumerate(voices)),
        start=np.zeros(48_000, np.float32),
    )
    mixed = decode(encode(np.asarray(mixed, np.float32)))

    for n, voice in enumerate(voices):
        (span,) = find_tone(mixed, voice.mark_hz)
        assert span.start_ms == pytest.approx(200 + 700 * n, abs=2)
        assert span.end_ms == pytest.approx(5000 - 600 * n, abs=2)


def test_lost_packets_do_not_split_a_tone_and_pauses_do() -> None:
    signal = placed(Tone(700).loop(), 500, 3000, 4000)
    signal[8000:8320] = 0
    signal[16000:17600] = 0

    spans = find_tone(signal, 700)

    assert [round(s.start_ms / 10) for s in spans] == [50, 220]


def test_silence_and_other_tones_hold_nothing() -> None:
    assert find_tone(np.zeros(8000, np.float32), 440) == []
    assert find_tone(np.zeros(0, np.float32), 440) == []
    assert find_tone(sine(530, -10, 16_000)[400:], 440) == []


def test_levels() -> None:
    signal = sine(440, -12, RATE_HZ)

    assert level_dbov(signal) == pytest.approx(-12, abs=0.01)
    assert tone_level(signal, 440) == pytest.approx(-12, abs=0.05)
    assert tone_level(signal, 700) < -90
    assert level_dbov(np.zeros(10, np.float32)) == -127


def test_voices_are_the_same_for_the_same_seed_and_differ_otherwise() -> None:
    voice = Voice(seed=1, fundamental_hz=120, mark_hz=1900)

    assert np.array_equal(voice.loop(), voice.loop())
    other = Voice(seed=2, fundamental_hz=120, mark_hz=1900)
    assert not np.array_equal(voice.loop(), other.loop())
    assert level_dbov(voice.loop()) == pytest.approx(-22, abs=0.5)
    assert len(voice.loop()) % 160 == 0
