"""What can be played into a call or a conference."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Fetched:
    """A WAV, MP3 or Ogg Opus file or station on the customer's server."""

    url: str


@dataclass(frozen=True, slots=True)
class Given:
    """A WAV, MP3 or Ogg Opus file that came with the request."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A text; an empty `voice` is the default one. `language` is a tag like `en-GB`."""

    text: str = field(repr=False)
    voice: str = ""
    language: str = "en-US"


Sound = Fetched | Given | Spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys to be pressed: `0-9*#A-D`, at most 64; `w` waits half a second, `W` a second."""

    digits: str
    tone_ms: int = 100
    """From 40 to 2000."""


class SoundUse(StrEnum):
    """Why something is played; what is stopped is stopped by its use."""

    FILE = "file"
    SPEECH = "speech"
    HOLD = "hold"
    """Music for who is on hold; it ends with the hold."""


class SoundOutcome(StrEnum):
    COMPLETED = "completed"
    STOPPED = "stopped"
    """A command stopped it, or another took its place."""
    TARGET_GONE = "target_gone"
    """The call or conference ended, or the participant left."""
    NOT_FOUND = "not_found"
    """The customer's server did not give it."""
    FAILED = "failed"
