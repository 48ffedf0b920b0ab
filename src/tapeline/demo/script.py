"""Who says what and when, and what must therefore be in the file. Pure."""

from dataclasses import dataclass

from tapeline.testing import Samples, Sound, Voice, find_tone

TOLERANCE_MS = 20.0
LEVEL_TOLERANCE_DB = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """`joins_at` None: sits in the room, silent, before the recording starts. Times in seconds
    from the recording's start; `leaves_at` None: talks until after its end.
    """

    name: str
    voice: Voice
    joins_at: float | None
    talks_at: float
    leaves_at: float | None


def cast(seconds: float) -> tuple[Speaker, ...]:
    """Three speakers for a recording of so many seconds: one joins late, one leaves early."""
    return (
        Speaker(
            name="Ann",
            voice=Voice(seed=1, fundamental_hz=205, mark_hz=1_800),
            joins_at=None,
            talks_at=0.08 * seconds,
            leaves_at=None,
        ),
        Speaker(
            name="Bob",
            voice=Voice(seed=2, fundamental_hz=110, mark_hz=2_200),
            joins_at=None,
            talks_at=0.16 * seconds,
            leaves_at=0.66 * seconds,
        ),
        Speaker(
            name="Cleo",
            voice=Voice(seed=3, fundamental_hz=165, mark_hz=2_600),
            joins_at=0.40 * seconds,
            talks_at=0.40 * seconds,
            leaves_at=None,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Where a speaker should be in the file, in ms. `end_ms` None: to the file's end.

    The times are those of the packets on the network plus the delay of the node's jitter buffer
    for that caller.
    """

    speaker: Speaker
    start_ms: float
    end_ms: float | None
    buffer_delay_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the verdict; `error_ms` is the larger of both ends' errors."""

    name: str
    expected_start_ms: float
    measured_start_ms: float | None
    expected_end_ms: float
    measured_end_ms: float | None
    error_ms: float
    level_db: float | None
    is_ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkRow:
    """One line of the second act's table."""

    name: str
    call: str
    answer: str
    callback: str
    is_signed: bool
    file: str
    is_ok: bool


def measure(expected: Expected, sound: Sound) -> Row:
    """Finds the speaker's mark in the decoded file and holds it against what was sent."""
    speaker = expected.speaker
    end_ms = sound.duration_ms if expected.end_ms is None else expected.end_ms
    spans = find_tone(sound.mono(), speaker.voice.mark_hz, rate_hz=sound.rate_hz)
    if not spans:
        return Row(
            name=speaker.name,
            expected_start_ms=expected.start_ms,
            measured_start_ms=None,
            expected_end_ms=end_ms,
            measured_end_ms=None,
            error_ms=float("inf"),
            level_db=None,
            is_ok=False,
        )
    start, end = spans[0].start_ms, spans[-1].end_ms
    error_ms = max(start - expected.start_ms, end - end_ms, key=abs)
    off_db = abs(spans[0].level_dbov - speaker.voice.mark_dbov)
    return Row(
        name=speaker.name,
        expected_start_ms=expected.start_ms,
        measured_start_ms=start,
        expected_end_ms=end_ms,
        measured_end_ms=end,
        error_ms=error_ms,
        level_db=spans[0].level_dbov,
        is_ok=abs(error_ms) <= TOLERANCE_MS and off_db <= LEVEL_TOLERANCE_DB and len(spans) == 1,
    )


def hears(samples: Samples, voice: Voice) -> bool:
    """Whether that voice's mark is anywhere in what somebody heard."""
    return bool(find_tone(samples, voice.mark_hz, threshold_dbov=voice.mark_dbov - 20.0))
