"""What the core reports (design.md §9), as the control plane reads it. Handles are opaque
integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NewType, TypeAlias

from tapeline.domain.call import CallQuality

LegHandle = NewType("LegHandle", int)
RoomHandle = NewType("RoomHandle", int)
RecorderHandle = NewType("RecorderHandle", int)
PlaybackHandle = NewType("PlaybackHandle", int)
HeardBy: TypeAlias = Literal["everyone"] | Sequence[LegHandle]
"""Who hears what a participant says: everyone in its room, or only these legs, at most eight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived:
    leg: LegHandle
    called: str
    caller: str
    caller_name: str
    request_uri: str
    source: str
    sip_call_id: str
    owner: str = ""
    """Whose call it is: the id of an endpoint or a trunk; empty: of a network that may call."""
    transport: str = "udp"
    """Or tcp, tls, ws, wss."""
    replaces: LegHandle | None = None
    """The call whose place it shall take (attended transfer)."""
    extra_headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging:
    """A dialled leg's far end rings; `sip_status` is 180 or 183."""

    leg: LegHandle
    sip_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    leg: LegHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """`by`: remote_bye, remote_cancel, command, no_ack, unreachable, unanswered, expired (its far
    end did not show for so long that it lives) or fault; for a dialled leg also rejected, with the
    far end's final status in `sip_status`.
    """

    leg: LegHandle
    by: str
    sip_status: int
    reason: str = ""
    """The far end's Reason header (RFC 3326)."""
    quality: CallQuality | None = None
    """None: it never had audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedMessage:
    """One SIP message of a call, without credentials, digits and keys."""

    unix_us: int
    is_sent: bool
    transport: str
    peer: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUpdated:
    """The far end has changed its audio within the call; held: it does not want to hear us."""

    leg: LegHandle
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAsked:
    """The far end wants its call to go on with somebody else (REFER). The engine's
    `accept_transfer` or `refuse_transfer` answers it, within seconds.
    """

    leg: LegHandle
    target: str
    """A sip:, sips: or tel: URI."""
    replaces: LegHandle | None = None
    """Attended: the target is the far end of this leg of ours."""
    replaces_header: str = ""
    """What the call to a target elsewhere says in its Replaces header."""


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
    """`kind` is no_packets or packets_again (10 s without any), silent or sound_again (10 s of
    packets without a sound in them).
    """

    leg: LegHandle
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFinished:
    """`reason` is completed, stopped, target_gone or failed (then `detail` says why)."""

    playback: PlaybackHandle
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingArmed:
    recorder: RecorderHandle
    unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResumed:
    """By itself: it was paused for `RecorderSpec.pause_limit_ms`."""

    recorder: RecorderHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProgress:
    recorder: RecorderHandle
    sample_count: int
    byte_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFile:
    """One stay of a participant in a recorded room, or one side of a recorded call: its own mono
    file, `tracks/NNN` in the folder of the recording, in the recording's format and rate.
    """

    number: int
    """The NNN, from 1; of a call 1 is what it says and 2 what it hears."""
    leg: LegHandle
    offset_ms: int
    """Where its first sample stands in the main file."""
    sample_count: int
    byte_count: int
    sha256: str
    missing_ms: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFinished:
    """`reason` is command, room_closed, leg_gone, time_limit, silence_limit or writer_failed;
    `missing_ms` pairs a reason with a span of lost audio, `notes` one with a span that is odd:
    one_way_audio, silent_channel, clipping, or encoder_fault (encoded after the end, from raw
    samples). Sent when all `tracks` are finished too.
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
    notes: list[tuple[str, int]] = field(default_factory=list)
    tracks: list[TrackFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderTrouble:
    recorder: RecorderHandle
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTrouble:
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRegistered:
    """All that is bound now: contact, route, end in milliseconds since 1970."""

    owner: str
    contacts: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkRegistered:
    """For so long, unless it is renewed; told again when that changes."""

    trunk: str
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkUnregistered:
    """`sip_status` 0: no answer; 200: it was given up."""

    trunk: str
    sip_status: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkTarget:
    """A target that is watched answers, or does not any more (`sip_status` 0: nothing came)."""

    trunk: str
    uri: str
    is_up: bool
    sip_status: int


Signal = (
    CallArrived
    | CallRinging
    | CallAnswered
    | CallEnded
    | CallUpdated
    | TransferAsked
    | ParticipantJoined
    | ParticipantLeft
    | RoomEmpty
    | Digit
    | Talking
    | MediaTrouble
    | PlayFinished
    | RecordingArmed
    | RecordingResumed
    | RecordingProgress
    | RecordingFinished
    | RecorderTrouble
    | CoreTrouble
    | EndpointRegistered
    | TrunkRegistered
    | TrunkUnregistered
    | TrunkTarget
)


class ChannelLayout(StrEnum):
    """What a recorder's channels hold. rx is what a leg says, tx what it hears."""

    MIX = "mix"
    """Mono: of a room everybody, of a leg rx and tx together."""
    RX = "rx"
    TX = "tx"
    RX_TX = "rx_tx"
    """Stereo of a leg: rx left, tx right."""
    TX_RX = "tx_rx"
    LEG_REST = "leg_rest"
    """Stereo of a room: `left_leg` left, everybody else right."""

    @property
    def channels(self) -> int:
        return 2 if self in {self.RX_TX, self.TX_RX, self.LEG_REST} else 1


class PauseAs(StrEnum):
    """What a paused span is in the file; nothing of it is kept anywhere, either way."""

    SKIP = "skip"
    """The file goes on where it was."""
    SILENCE = "silence"
    """Silence of the exact span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSpec:
    """What a live recorder shall write; exactly one of `room` and `leg` is set.

    A leg's recorder follows it from room to room and ends with it.
    """

    folder: str
    format: str
    room: RoomHandle | None = None
    leg: LegHandle | None = None
    layout: ChannelLayout = ChannelLayout.MIX
    left_leg: LegHandle | None = None
    """With LEG_REST: who is left; silence there once it has gone."""
    rate_hz: int = 0
    """0: what the room (of a leg: the room that it is in) has at that moment."""
    limit_ms: int = 0
    """Of recorded audio; 0: none."""
    silence_limit_ms: int = 0
    """Stops after so long without speech; 0: never."""
    silence_waits_for_speech: bool = False
    """The silence counts only once somebody has spoken."""
    pause_as: PauseAs = PauseAs.SKIP
    pause_limit_ms: int = 0
    """A pause ends by itself after so long (`RecordingResumed`); 0: never."""
    beep: bool = False
    """A tone at the start that the target hears."""
    beep_every_ms: int = 0
    """And one so often while it runs; 0: never."""
    beep_level_db: float = -15.0
    """Peak of the tones, of full scale: -60 to 0."""
    beep_in_file: bool = True
    trim_silence: bool = False
    """Silence before the first and after the last sound is not in the file."""
    tracks: bool = False
    """Beside the main file every participant of a room, or what a leg says and what it hears, in
    a mono file of its own."""
    label: str = "{}"
    """JSON for the journal's first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSpec:
    """A call to be made."""

    uri: str
    """`sip:user@host[:port]`, with `;transport=tcp` or `tls` where it says so, or `sips:`."""
    caller: str
    caller_name: str = ""
    headers: Sequence[tuple[str, str]] = ()
    """`X-…` headers of the INVITE."""
    ring_limit_ms: int = 120_000
    route: str = ""
    """Where it is sent instead of where its URI says: `tls;192.0.2.1:40000`, or a URI."""
    username: str = ""
    password: str = field(default="", repr=False)
    """Answers 401 and 407."""
    asserted: str = ""
    """URI of P-Asserted-Identity (RFC 3325)."""
    is_private: bool = False
    """`Privacy: id`; with an asserted identity From is anonymous then."""
    codecs: tuple[str, ...] = ()
    """Empty: the node's."""
    srtp: str = ""
    """`never`, `offer` (plain when that is refused), `require`; empty: as the node has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedTone:
    """One or two frequencies sounded together, and the silence behind them."""

    first_hz: int
    second_hz: int = 0
    """0: none."""
    on_ms: int
    off_ms: int = 0
    level_db: float = -20.0
    """dBov of each frequency, -60 to -9.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySpec:
    """What is to be heard: by one `leg` alone, or by everybody in `room` (and in its recordings).

    Exactly one of the two is set, and exactly one of `path` and `tones`. What one target is given
    while something else plays there waits behind it.
    """

    path: str = ""
    """A WAV (PCM or G.711), MP3 or Ogg Opus file, or a socket that gives one (`_core.pyi`)."""
    tones: tuple[PlayedTone, ...] = ()
    """One after the other, at most 32."""
    leg: LegHandle | None = None
    room: RoomHandle | None = None
    loops: int = 1
    """0: until it is stopped."""
    instead: bool = False
    """Its target hears nothing else meanwhile; a room's recordings hold what was heard."""
    level_db: float = 0.0
    """-60 to 0: by how much it is lowered."""


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
    tracks: list[TrackFile] = field(default_factory=list)
    notes: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegLevels:
    """One leg's live figures. Levels are dBov: 0 is full scale, about -90 silence."""

    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_late: int
    frames_concealed: int
    remote_lost: int
    """Packets of ours that the far end missed, by its last report."""
    jitter_ms: int
    round_trip_ms: float | None
    """None until the far end has reported (RTCP)."""
    mos: float | None
    """Estimated from delay and loss of the last five seconds (ITU-T G.107): 1 to 4.4; None before
    their end, and when nothing came in them."""
    buffer_delay_ms: int
    level_rx_db: float
    level_tx_db: float
