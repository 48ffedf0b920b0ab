"""What the core reports (design.md §9), as the control plane reads it. Handles are opaque
integers.
"""

from dataclasses import dataclass, field
from typing import NewType

LegHandle = NewType("LegHandle", int)
RoomHandle = NewType("RoomHandle", int)
RecorderHandle = NewType("RecorderHandle", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived:
    leg: LegHandle
    called: str
    caller: str
    caller_name: str
    request_uri: str
    source: str
    sip_call_id: str
    extra_headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    leg: LegHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """`by`: remote_bye, remote_cancel, command, no_ack, unreachable, unanswered or fault."""

    leg: LegHandle
    by: str
    sip_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantJoined:
    leg: LegHandle
    room: RoomHandle
    unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft:
    leg: LegHandle
    room: RoomHandle
    unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEmpty:
    room: RoomHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class Digit:
    leg: LegHandle
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Talking:
    leg: LegHandle
    is_talking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTrouble:
    """`kind` is no_packets or packets_again."""

    leg: LegHandle
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingArmed:
    recorder: RecorderHandle
    unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProgress:
    recorder: RecorderHandle
    sample_count: int
    byte_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFinished:
    """`reason` is command, room_closed, time_limit or writer_failed; `missing_ms` pairs a reason
    with a span.
    """

    recorder: RecorderHandle
    reason: str
    sample_count: int
    rate_hz: int
    channels: int
    byte_count: int
    sha256: str
    started_unix_us: int
    missing_ms: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderTrouble:
    recorder: RecorderHandle
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTrouble:
    detail: str


Signal = (
    CallArrived
    | CallAnswered
    | CallEnded
    | ParticipantJoined
    | ParticipantLeft
    | RoomEmpty
    | Digit
    | Talking
    | MediaTrouble
    | RecordingArmed
    | RecordingProgress
    | RecordingFinished
    | RecorderTrouble
    | CoreTrouble
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSpec:
    """What a live recorder shall write; exactly one of `room` and `leg` is set."""

    folder: str
    format: str
    room: RoomHandle | None = None
    leg: LegHandle | None = None
    rate_hz: int = 8000
    channels: int = 1
    limit_ms: int = 0
    label: str = "{}"
    """JSON for the journal's first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What was found in a recording's spool folder (the core's `repair`)."""

    has_audio: bool
    was_finished: bool
    """The journal ends with the core's own last line: nothing had to be mended."""
    format: str
    sample_count: int
    rate_hz: int
    channels: int
    byte_count: int
    sha256: str
    started_unix_us: int
    missing_ms: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegLevels:
    """One leg's live figures. Levels are dBov: 0 is full scale, about -90 silence."""

    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_late: int
    frames_concealed: int
    buffer_delay_ms: int
    level_rx_db: float
    level_tx_db: float
