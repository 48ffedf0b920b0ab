"""What the engine uses of `tapeline._core.Core`; tests put a scripted one in its place."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict


class Levels(TypedDict):
    """The fields of `domain.signal.LegLevels`."""

    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_late: int
    frames_concealed: int
    buffer_delay_ms: int
    level_rx_db: float
    level_tx_db: float


class NativeCore(Protocol):
    """Contracts are in `_core.pyi`."""

    def sip_addresses(self) -> list[str]: ...
    def fileno(self) -> int: ...
    def drain(self, limit: int = 4096) -> Sequence[tuple[str, Mapping[str, object]]]: ...
    def ring(self, leg: int) -> int: ...
    def answer(self, leg: int) -> int: ...
    def reject(self, leg: int, status: int, reason: str) -> int: ...
    def hang_up(self, leg: int) -> int: ...
    def dial(
        self,
        *,
        uri: str,
        caller: str,
        caller_name: str,
        headers: Sequence[tuple[str, str]],
        ring_limit_ms: int,
    ) -> tuple[int, int]: ...
    def play(
        self, *, path: str, leg: int | None, room: int | None, loops: int
    ) -> tuple[int, int]: ...
    def stop_play(self, playback: int) -> int: ...
    def create_room(self, rate_hz: int) -> tuple[int, int]: ...
    def close_room(self, room: int) -> int: ...
    def join(self, leg: int, room: int, muted: bool, deaf: bool) -> int: ...  # noqa: FBT001
    def leave(self, leg: int) -> int: ...
    def set_participant(self, leg: int, muted: bool | None, deaf: bool | None) -> int: ...  # noqa: FBT001
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
        beep: bool,
        trim_silence: bool,
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
    def set_draining(self, draining: bool) -> int: ...  # noqa: FBT001
    def levels(self, leg: int) -> Levels | None: ...
    def stats(self) -> dict[str, int]: ...
    def stop(self) -> None: ...
