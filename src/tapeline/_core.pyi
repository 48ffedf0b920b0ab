"""The native core, as Python sees it. Thread-safe; nothing here blocks unless it says so."""

from collections.abc import Sequence
from typing import Literal, TypedDict

class _LegLevels(TypedDict):
    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_late: int
    frames_concealed: int
    remote_lost: int
    jitter_ms: int
    round_trip_ms: float | None
    mos: float | None
    buffer_delay_ms: int
    level_rx_db: float
    level_tx_db: float

class _TrackFile(TypedDict):
    number: int
    leg: int
    offset_ms: int
    sample_count: int
    byte_count: int
    sha256: str
    missing_ms: list[tuple[str, int]]

class _RepairReport(TypedDict):
    has_audio: bool
    was_finished: bool
    format: str
    sample_count: int
    rate_hz: int
    channels: int
    byte_count: int
    sha256: str
    started_unix_us: int
    missing_ms: list[tuple[str, int]]
    tracks: list[_TrackFile]
    notes: list[tuple[str, int]]

class _AudioShape(TypedDict):
    sample_count: int
    rate_hz: int
    channels: int

class CoreError(Exception):
    """The core could not be built or a command could not be handed over (its ring is full)."""

class Core:
    """A running core: SIP, media and writer threads. Commands return an id; `drain` answers
    them.
    """

    def __init__(
        self,
        *,
        sip_udp: Sequence[str],
        rtp_address: str,
        rtp_ports: tuple[int, int],
        spool: str,
        networks: Sequence[str] = (),
        rate_per_source: int = 0,
        rate_exempt: Sequence[str] = ("127.0.0.0/8", "::1/128"),
        max_unacknowledged: int = 2_000,
        realtime: bool = True,
        max_legs: int = 4096,
        max_rooms: int = 2048,
        max_recorders: int = 2048,
        max_plays: int = 512,
        codecs: Sequence[str] = ("opus", "G722", "PCMU", "PCMA", "L16"),
        room_rate_limit_hz: int = 16_000,
        reserve_bytes: int = 0,
        ring_limit_ms: int = 180_000,
        session_expires_s: int = 1_800,
        srtp: str = "accept",
        sdes_over_plain_sip: bool = False,
        realm: str = "tapeline",
        sip_tcp: Sequence[str] = (),
        sip_tls: Sequence[str] = (),
        sip_ws: Sequence[str] = (),
        sip_wss: Sequence[str] = (),
        tls_certificate: str = "",
        tls_key: str = "",
        tls_client_ca: str = "",
        tls_trust: str = "",
        dns: Sequence[str] = (),
    ) -> None:
        """Binds `sip_udp` and the like (`address:port`, port 0 lets the kernel choose) and starts
        the threads.

        `tls_…` are PEM files: ours and its key (TLS and WSS need them), the authority of callers
        by TLS ("": no certificate is asked for), the authorities of those we call ("": the
        system's). `dns` are name servers, `address` or `address:port`; none: the system's.

        `rtp_address` stands in SDP and Contact; "" takes the address that faces each peer.
        `codecs` (opus, G722, PCMU, PCMA, L16) may be agreed on: offers list them in their order,
        L16 only when there is no other; in answers the peer's order decides. Opus and L16 go
        up to `room_rate_limit_hz`, 16000 or 48000.
        Recordings lie beneath the folder `spool`, which is made when missing.
        `networks` to `max_unacknowledged` are what `set_access` replaces later.
        `session_expires_s`, 90 at least: a call is over whose far end has not shown for so long
        that it lives (RFC 4028).
        `srtp`: calls are protected never, where the caller offers it, or always (`never`,
        `accept`, `require`); its keys travel over SIP that others can read only with
        `sdes_over_plain_sip`.
        `realm` stands in digest challenges.
        Raises OSError when an address cannot be bound, ValueError for something that is no
        address, network, port range, codec or rate, and for SRTP that no call could have,
        CoreError when a thread cannot be started.
        """

    def sip_addresses(self) -> list[str]:
        """The addresses really bound of UDP."""

    def sip_stream_addresses(self) -> list[tuple[str, str]]:
        """(`tcp`, `tls`, `ws` or `wss`, address) of what listens for streams."""

    def reload_tls(self) -> None:
        """Reads the files of certificates again; connections that live keep theirs.

        Blocks for a read. Raises OSError or ValueError when they cannot be used; the old ones stay.
        """

    def fileno(self) -> int:
        """Readable when `drain` has something."""

    def drain(self, limit: int = 4096) -> list[tuple[str, dict[str, object]]]:
        """Events that wait: a name of design.md §9 and its fields. `command_done(command)`,
        `command_failed(command, reason)` answer commands; the others are `domain.signal`'s fields.
        """

    def ring(self, leg: int) -> int: ...
    def answer(self, leg: int) -> int: ...
    def reject(self, leg: int, status: int, reason: str) -> int: ...
    def progress(self, leg: int) -> int:
        """183 with SDP to a ringing caller: it hears what is played before the answer."""

    def hang_up(self, leg: int, *, cause: int = 0, reason: str = "") -> int:
        """BYE; CANCEL for a dialled leg that nobody has answered. A `cause`, a final SIP status, is
        told with its `reason` (RFC 3326). Raises ValueError for another cause.
        """

    def accept_transfer(self, leg: int) -> int:
        """202 to the REFER that `transfer_asked` told of, and the first NOTIFY."""

    def refuse_transfer(self, leg: int, status: int) -> int:
        """300 to 699 to it. When nobody decides within 16 s the core does so with 480."""

    def report_transfer(self, leg: int, status: int) -> int:
        """How the call of an accepted transfer goes (NOTIFY); a final status ends it."""

    def dial(
        self,
        *,
        uri: str,
        caller: str,
        caller_name: str,
        headers: Sequence[tuple[str, str]],
        ring_limit_ms: int,
        route: str = "",
        username: str = "",
        password: str = "",
        asserted: str = "",
        is_private: bool = False,
        codecs: Sequence[str] = (),
        srtp: str = "",
    ) -> tuple[int, int]:
        """(command id, leg handle); done when the INVITE is on its way, or when the host cannot
        be found: then `call_ended(unreachable)` follows. `headers` are named `X-…`. `route` is
        where it goes instead of where its URI says (`tls;192.0.2.1:40000`, or a URI). The others
        are `domain.signal.DialSpec`'s.

        Raises ValueError for something that is no `sip:` or `sips:` URI, no route, for another
        header, and for control characters anywhere.
        """

    def play(
        self,
        *,
        path: str | None,
        tones: Sequence[tuple[int, int, int, int, float]],
        leg: int | None,
        room: int | None,
        loops: int,
        instead: bool,
        level_db: float,
    ) -> tuple[int, int]:
        """(command id, playback handle); done when it is queued, failed when the file cannot be
        opened or is larger than 64 MB; `play_finished` follows, once. `loops` 0: until stopped.

        `path` is a file or a unix socket: then each time it is to be heard the core connects,
        writes one byte and plays what comes as it comes. Who listens there reads the byte when all
        is written; closed before, the sound has broken off and fails. `tones` are two frequencies
        in Hz (0: none), milliseconds on and off, and dBov of each. The other arguments are
        `domain.signal.PlaySpec`'s. Raises ValueError unless there is exactly one source and one
        target, and for tones or a level out of range; CoreError when `max_plays` play or wait.
        """

    def stop_play(self, playback: int) -> int:
        """Whether it plays or waits; failed when it has finished."""

    def stop_plays(self, *, leg: int | None, room: int | None) -> int:
        """Everything that plays or waits there; done also when nothing does. Raises ValueError."""

    def send_digits(self, leg: int, digits: str, *, tone_ms: int, gap_ms: int) -> int:
        """Presses keys (`0-9*#A-D`; `w` waits 0.5 s, `W` 1 s), as telephone-events (RFC 4733)
        where they were agreed, else as sounds; what the leg hears stops meanwhile. Done when the
        last is released; failed on hold, and when four commands wait already. Tones of 40 to
        1,000 ms and gaps of 40 to 2,000 ms are kept to ticks. Raises ValueError for other digits
        or more than 64.
        """

    def create_room(self, rate_hz: int) -> tuple[int, int]:
        """(command id, room handle); the handle is good once the command is done."""

    def close_room(self, room: int) -> int: ...
    def join(
        self,
        leg: int,
        room: int,
        *,
        muted: bool,
        deaf: bool,
        on_hold: bool,
        gain_db: float,
        heard_by: Literal["everyone"] | Sequence[int],
        answers: bool,
    ) -> int:
        """Moves the leg; all of it holds from its first tick in the room. The arguments are
        `domain.port.Engine`'s. Raises ValueError for a gain outside -60 to 20 dB and for more than
        eight legs.
        """

    def leave(self, leg: int) -> int: ...
    def set_participant(
        self,
        leg: int,
        *,
        muted: bool | None,
        deaf: bool | None,
        on_hold: bool | None,
        gain_db: float | None,
        heard_by: Literal["everyone"] | Sequence[int] | None,
    ) -> int:
        """None leaves a thing as it is. Raises ValueError as `join` does."""

    def start_recording(
        self,
        *,
        folder: str,
        format: str,
        room: int | None,
        leg: int | None,
        layout: str,
        left_leg: int | None,
        rate_hz: int,
        limit_ms: int,
        silence_limit_ms: int,
        silence_waits_for_speech: bool,
        pause_as: str,
        pause_limit_ms: int,
        beep: bool,
        beep_every_ms: int,
        beep_level_db: float,
        beep_in_file: bool,
        trim_silence: bool,
        tracks: bool,
        label: str,
    ) -> tuple[int, int]:
        """(command id, recorder handle); done when armed. The arguments are `RecorderSpec`'s;
        `layout` is a name of `ChannelLayout`, `pause_as` of `PauseAs`. Raises ValueError for a bad
        format, layout, target, pause or beep level.
        """

    def stop_recording(self, recorder: int) -> int: ...
    def pause_recording(self, recorder: int) -> int:
        """Until it is resumed not a sample is taken; done when paused, also when it was already.
        After the recorder's `pause_limit_ms` it resumes by itself: `recording_resumed`.
        """

    def resume_recording(self, recorder: int) -> int: ...
    def set_access(
        self,
        *,
        networks: Sequence[str],
        rate_per_source: int,
        rate_exempt: Sequence[str],
        max_unacknowledged: int,
    ) -> int:
        """Raises ValueError for something that is no network."""

    def set_credentials(self, rows: Sequence[tuple[str, str, str, str]]) -> int:
        """Username, owner, and H(user:realm:password) as MD5 and SHA-256 in hex ("": none).
        Replaces the table. Raises ValueError for a row that is wrong or there twice.
        """

    def set_sources(self, rows: Sequence[tuple[str, Sequence[str]]]) -> int:
        """Owner and the networks whose requests are its own. Replaces the table. Raises
        ValueError for something that is no network.
        """

    def set_locations(self, rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> int:
        """Owner and its contacts, each a URI, a route (`tls;192.0.2.1:40000`) and its end in
        milliseconds since 1970. What is registered already stays. Raises ValueError.
        """

    def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> int:
        """Registers with a carrier and keeps it up: renewed at three quarters of what was granted,
        tried again after 1 to 60 s. The arguments are `domain.port.Engine`'s. Raises ValueError.
        """

    def unregister(self, trunk: str) -> int:
        """Takes it back; failed when there is none."""

    def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> int:
        """OPTIONS to each of the trunk's targets; replaces the list. Raises ValueError."""

    def set_draining(self, draining: bool) -> int: ...
    def sip_call_id(self, leg: int) -> str | None:
        """None once the messages of its call are forgotten."""

    def sip_trace(self, sip_call_id: str) -> list[tuple[int, bool, str, str, str]]:
        """The last messages of a call, at most 200: when (microseconds since the epoch), whether it
        was sent, by which transport, from or to whom, and its text without credentials, digits and
        keys. Empty for a call that is unknown, or forgotten: all calls share 32 MB.
        """

    def levels(self, leg: int) -> _LegLevels | None:
        """The fields of `domain.signal.LegLevels`, or None when the leg is gone."""

    def stats(self) -> dict[str, int]:
        """Every counter, and `legs`, `rooms`, `recorders` in use."""

    def stop(self) -> None:
        """BYE to open legs, recorders finish, threads end. Blocks up to 5 s; releases the GIL."""

def repair(folder: str) -> _RepairReport:
    """Makes a spool folder's `audio.part` playable; the fields of `domain.signal.RepairReport`.

    `format` is empty when nothing says what it was. Blocking, releases the GIL. Raises OSError.
    """

def probe(path: str) -> _AudioShape:
    """`sample_count`, `rate_hz`, `channels` of a WAV or MP3 that tapeline wrote.

    Blocking, releases the GIL. Raises ValueError for any other file, OSError.
    """

def free_bytes(path: str) -> int:
    """What an unprivileged writer could still put on that file system. Raises OSError."""
