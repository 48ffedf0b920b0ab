"""What the engine uses of `tapeline._core.Core`; tests put a scripted one in its place."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypedDict


class Levels(TypedDict):
    """The fields of `domain.signal.LegLevels`."""

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


class NativeCore(Protocol):
    """Contracts are in `_core.pyi`."""

    def sip_addresses(self) -> list[str]: ...
    def sip_stream_addresses(self) -> list[tuple[str, str]]: ...
    def reload_tls(self) -> None: ...
    def fileno(self) -> int: ...
    def drain(self, limit: int = 4096) -> Sequence[tuple[str, Mapping[str, object]]]: ...
    def ring(self, leg: int) -> int: ...
    def answer(self, leg: int) -> int: ...
    def reject(self, leg: int, status: int, reason: str) -> int: ...
    def progress(self, leg: int) -> int: ...
    def hang_up(self, leg: int, *, cause: int = 0, reason: str = "") -> int: ...
    def accept_transfer(self, leg: int) -> int: ...
    def refuse_transfer(self, leg: int, status: int) -> int: ...
    def report_transfer(self, leg: int, status: int) -> int: ...
    def dial(  # noqa: PLR0913 the native core takes the spec apart
        self,
        *,
        uri: str,
        caller: str,
        caller_name: str,
        headers: Sequence[tuple[str, str]],
        ring_limit_ms: int,
        route: str,
        username: str,
        password: str,
        asserted: str,
        is_private: bool,
        codecs: Sequence[str],
        srtp: str,
    ) -> tuple[int, int]: ...
    def play(  # noqa: PLR0913 the native core takes the spec apart
        self,
        *,
        path: str | None,
        tones: Sequence[tuple[int, int, int, int, float]],
        leg: int | None,
        room: int | None,
        loops: int,
        instead: bool,
        level_db: float,
    ) -> tuple[int, int]: ...
    def stop_play(self, playback: int) -> int: ...
    def stop_plays(self, *, leg: int | None, room: int | None) -> int: ...
    def send_digits(self, leg: int, digits: str, *, tone_ms: int, gap_ms: int) -> int: ...
    def create_room(self, rate_hz: int) -> tuple[int, int]: ...
    def close_room(self, room: int) -> int: ...
    def join(  # noqa: PLR0913 the native core takes the settings apart
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
    ) -> int: ...
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
    ) -> int: ...
    def start_recording(  # noqa: PLR0913 the native core takes a recording apart
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
    ) -> tuple[int, int]: ...
    def stop_recording(self, recorder: int) -> int: ...
    def pause_recording(self, recorder: int) -> int: ...
    def resume_recording(self, recorder: int) -> int: ...
    def set_access(
        self,
        *,
        networks: Sequence[str],
        rate_per_source: int,
        rate_exempt: Sequence[str],
        max_unacknowledged: int,
    ) -> int: ...
    def set_credentials(self, rows: Sequence[tuple[str, str, str, str]]) -> int: ...
    def set_sources(self, rows: Sequence[tuple[str, Sequence[str]]]) -> int: ...
    def set_locations(self, rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> int: ...
    def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> int: ...
    def unregister(self, trunk: str) -> int: ...
    def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> int: ...
    def set_draining(self, draining: bool) -> int: ...  # noqa: FBT001
    def sip_call_id(self, leg: int) -> str | None: ...
    def sip_trace(self, sip_call_id: str) -> Sequence[tuple[int, bool, str, str, str]]: ...
    def levels(self, leg: int) -> Levels | None: ...
    def stats(self) -> dict[str, int]: ...
    def stop(self) -> None: ...
