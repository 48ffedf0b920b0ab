"""A recording: what was asked, where it stands, what its file holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import (
    AccountId,
    CallId,
    ConferenceId,
    EpochMs,
    MemberId,
    NodeId,
    PolicyId,
    RecordingId,
)
from tapeline.domain.signal import PauseAs


class RecordingFormat(StrEnum):
    MP3 = "mp3"
    WAV = "wav"


class Layout(StrEnum):
    """What the file's channels hold."""

    MIX = "mix"
    """Mono: everything that is heard."""
    CALLER_CALLEE = "caller_callee"
    """Stereo, of a call: who called left, who was called right."""
    OWN_REST = "own_rest"
    """Stereo: the recorded call left (of a conference: its creator), everybody else right."""
    INBOUND = "inbound"
    """Mono, of a call: what its phone says."""
    OUTBOUND = "outbound"
    """Mono, of a call: what its phone hears."""

    @property
    def channels(self) -> int:
        return 2 if self in {self.CALLER_CALLEE, self.OWN_REST} else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """That a recording shall be transcribed, and who is told. Without a URL only the dialect's
    own events tell it.
    """

    callback_url: str | None = None
    callback_method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """What a recording shall be, whatever it is of."""

    format: RecordingFormat = RecordingFormat.MP3
    layout: Layout = Layout.MIX
    limit_ms: int = 0
    """Of recorded audio; 0: none."""
    silence_limit_ms: int = 0
    """Ends after so long without speech; 0: never."""
    silence_waits_for_speech: bool = False
    """The silence counts only once somebody has spoken."""
    beep: bool = False
    """A tone at the start, heard and recorded."""
    trim_silence: bool = False
    """Without the silence before the first and after the last sound."""
    custom_name: str | None = None
    """An attribute, never a path."""
    pause_as: PauseAs | None = None
    """None: as the account has it; so is the following."""
    tracks: bool | None = None
    """Every participant of a conference, or each side of a call, in a file of its own, too."""
    transcription: TranscriptionRequest | None = None


class TargetKind(StrEnum):
    CALL = "call"
    CONFERENCE = "conference"


class RecordingState(StrEnum):
    """Moves along its row only (design.md §8)."""

    RECORDING = "recording"
    PAUSED = "paused"
    FINALISING = "finalising"
    COMPLETED = "completed"
    FAILED = "failed"
    ABSENT = "absent"
    DELETED = "deleted"


TERMINAL_STATES = frozenset(
    {
        RecordingState.COMPLETED,
        RecordingState.FAILED,
        RecordingState.ABSENT,
        RecordingState.DELETED,
    },
)


class RecordingEnd(StrEnum):
    """What ended the audio: the core's words (`signal.RecordingFinished`), and two of ours."""

    COMMAND = "command"
    FINISH_KEY = "finish_key"
    """A key that the call program waited for; to the core it is a command."""
    LEG_GONE = "leg_gone"
    ROOM_CLOSED = "room_closed"
    TIME_LIMIT = "time_limit"
    SILENCE_LIMIT = "silence_limit"
    WRITER_FAILED = "writer_failed"
    NODE_LOST = "node_lost"


class Health(StrEnum):
    """A completed recording without any of these is ok."""

    DEGRADED = "degraded"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthNote:
    """One reason for a health flag: `missing_ms` of the timeline hold silence instead of audio,
    `odd_ms` what nobody expects (one_way_audio, silent_channel, clipping).
    """

    flag: Health
    reason: str
    missing_ms: int = 0
    odd_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Who started a recording and how they are told; kept as data with the recording."""

    dialect: str
    request_id: str
    """The id the answer to the start carried (`api_id`)."""
    callback_url: str | None = None
    callback_method: str = "POST"
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect understands; handed back to it with every event."""
    policy_id: PolicyId | None = None
    """Nobody asked: a policy wants calls like this one recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    id: RecordingId
    account_id: AccountId
    node_id: NodeId
    starter: Starter
    target: TargetKind
    call_id: CallId | None
    """The recorded call; for a conference the first member's."""
    conference_id: ConferenceId | None = None
    conference_name: str | None = None
    caller: str = ""
    called: str = ""
    options: RecordingOptions = field(default_factory=RecordingOptions)
    rate_hz: int = 8000
    state: RecordingState
    health: tuple[HealthNote, ...] = ()
    reason: str | None = None
    """Why it failed or is absent."""
    end_reason: RecordingEnd | None = None
    """What ended its audio; None while it runs, and when that is not known."""
    started_at_ms: EpochMs
    """The first sample's wall clock, once armed."""
    ended_at_ms: EpochMs | None = None
    sample_count: int = 0
    """Frames per channel."""
    byte_count: int = 0
    sha256: str | None = None
    storage_key: str
    """Where the bytes are or will be, relative to the store; fixed at the start."""
    deleted_at_ms: EpochMs | None = None
    deleted_because: str | None = None

    @property
    def format(self) -> RecordingFormat:
        return self.options.format

    @property
    def channels(self) -> int:
        return self.options.layout.channels

    @property
    def duration_ms(self) -> int:
        """From the sample counter, rounded to the nearest millisecond."""
        return (self.sample_count * 2000 + self.rate_hz) // (2 * self.rate_hz)

    @property
    def health_words(self) -> str:
        """`ok`, or the flags joined by a comma."""
        return ",".join(sorted({note.flag.value for note in self.health})) or "ok"

    @property
    def is_open(self) -> bool:
        return self.state in {RecordingState.RECORDING, RecordingState.PAUSED}


class TrackSide(StrEnum):
    """Which way the audio of a call's track went, seen from us."""

    INBOUND = "inbound"
    """What the recorded call says."""
    OUTBOUND = "outbound"
    """What it hears: of a bridged call the other one."""

    @property
    def number(self) -> int:
        return 1 if self is TrackSide.INBOUND else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One stay of a participant in a recorded conference, or one side of a recorded call: a mono
    file of its own, of the recording's format and rate.
    """

    recording_id: RecordingId
    number: int
    """From 1, in the order they came; of a call 1 is what it says and 2 what it hears."""
    call_id: CallId | None
    """Who it is; None when that cannot be told any more."""
    member_id: MemberId | None
    offset_ms: int
    """Where its first sample stands in the recording's main file."""
    sample_count: int
    byte_count: int
    sha256: str
    storage_key: str
