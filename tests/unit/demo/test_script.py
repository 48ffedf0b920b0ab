import numpy as np
import pytest

from tapeline.demo.script import Expected, cast, hears, measure
from tapeline.testing import Samples, Sound, Voice

SECONDS = 6.0


def heard(voice: Voice, start_ms: float, end_ms: float) -> Samples:
    samples = np.zeros(int(SECONDS * 8000), dtype=np.float32)
    first, last = int(start_ms * 8), int(end_ms * 8)
    samples[first:last] = np.resize(voice.loop(), last - first)
    return samples


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "gain", "is_ok"),
    [
        (1000, 4000, 1.0, True),
        (1015, 3985, 1.0, True),
        (1030, 4000, 1.0, False),
        (1000, 4030, 1.0, False),
        (1000, 4000, 0.5, False),
    ],
)
def test_a_speaker_is_held_against_what_was_sent(
    start_ms: float, end_ms: float, gain: float, *, is_ok: bool
) -> None:
    speaker = cast(SECONDS)[1]
    samples = heard(speaker.voice, start_ms, end_ms) * np.float32(gain)
    expected = Expected(speaker=speaker, start_ms=1000, end_ms=4000, buffer_delay_ms=0)

    row = measure(expected, Sound(samples=samples[:, None], rate_hz=8000))

    assert row.is_ok is is_ok
    assert row.measured_start_ms == pytest.approx(start_ms, abs=2)


def test_a_speaker_who_is_not_there_is_off() -> None:
    speaker = cast(SECONDS)[0]
    nothing = Sound(samples=np.zeros((8000, 1), np.float32), rate_hz=8000)

    row = measure(Expected(speaker=speaker, start_ms=0, end_ms=None, buffer_delay_ms=0), nothing)

    assert not row.is_ok
    assert row.measured_start_ms is None


def test_a_hole_in_a_speech_is_off() -> None:
    speaker = cast(SECONDS)[0]
    samples = heard(speaker.voice, 500, 6000)
    samples[24_000:25_600] = 0
    expected = Expected(speaker=speaker, start_ms=500, end_ms=None, buffer_delay_ms=0)

    assert not measure(expected, Sound(samples=samples[:, None], rate_hz=8000)).is_ok


def test_who_is_heard() -> None:
    ann, bob, cleo = (speaker.voice for speaker in cast(SECONDS))
    samples = heard(ann, 0, 6000) + heard(cleo, 1000, 6000)

    assert hears(samples, ann)
    assert hears(samples, cleo)
    assert not hears(samples, bob)


def test_one_joins_late_and_one_leaves_early() -> None:
    speakers = cast(10)

    assert len([s for s in speakers if s.joins_at is not None]) == 1
    assert len([s for s in speakers if s.leaves_at is not None]) == 1
    assert all(s.talks_at < (s.leaves_at or 10) for s in speakers)
