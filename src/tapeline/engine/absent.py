# ruff: noqa: ARG002 - a refusal needs no arguments
"""The engine of a process that takes no calls: the command line beside a data folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import (
    DialSpec,
    HeardBy,
    LegHandle,
    LegLevels,
    PlaybackHandle,
    PlaySpec,
    RecorderHandle,
    RecorderSpec,
    RoomHandle,
    Signal,
    TracedMessage,
)


class AbsentEngine:
    """Implements `domain.port.Engine`: sends no signal, refuses every command about calls."""

    def subscribe(self, receive: Callable[[Signal], None]) -> None:
        """Nothing will come."""

    async def ring(self, leg: LegHandle) -> None:
        _refuse("ring")

    async def answer(self, leg: LegHandle) -> None:
        _refuse("answer")

    async def reject(self, leg: LegHandle, *, status: int, reason: str) -> None:
        _refuse("reject")

    async def dial(self, spec: DialSpec) -> LegHandle:
        _refuse("dial")

    async def play(self, spec: PlaySpec) -> PlaybackHandle:
        _refuse("play")

    async def stop_play(self, playback: PlaybackHandle) -> None:
        _refuse("stop_play")

    async def stop_plays(
        self, *, leg: LegHandle | None = None, room: RoomHandle | None = None
    ) -> None:
        _refuse("stop_plays")

    async def progress(self, leg: LegHandle) -> None:
        _refuse("progress")

    async def hang_up(self, leg: LegHandle, *, cause: int = 0, reason: str = "") -> None:
        _refuse("hang_up")

    async def accept_transfer(self, leg: LegHandle) -> None:
        _refuse("accept_transfer")

    async def refuse_transfer(self, leg: LegHandle, *, status: int) -> None:
        _refuse("refuse_transfer")

    async def report_transfer(self, leg: LegHandle, *, status: int) -> None:
        _refuse("report_transfer")

    async def send_digits(
        self, leg: LegHandle, digits: str, *, tone_ms: int = 100, gap_ms: int = 80
    ) -> None:
        _refuse("send_digits")

    async def create_room(self, *, rate_hz: int) -> RoomHandle:
        _refuse("create_room")

    async def close_room(self, room: RoomHandle) -> None:
        _refuse("close_room")

    async def join(  # noqa: PLR0913 domain.port.Engine
        self,
        leg: LegHandle,
        room: RoomHandle,
        *,
        muted: bool = False,
        deaf: bool = False,
        on_hold: bool = False,
        gain_db: float = 0.0,
        heard_by: HeardBy = "everyone",
        answers: bool = False,
    ) -> None:
        _refuse("join")

    async def leave(self, leg: LegHandle) -> None:
        _refuse("leave")

    async def set_participant(
        self,
        leg: LegHandle,
        *,
        muted: bool | None = None,
        deaf: bool | None = None,
        on_hold: bool | None = None,
        gain_db: float | None = None,
        heard_by: HeardBy | None = None,
    ) -> None:
        _refuse("set_participant")

    async def start_recording(self, spec: RecorderSpec) -> RecorderHandle:
        _refuse("start_recording")

    async def stop_recording(self, recorder: RecorderHandle) -> None:
        _refuse("stop_recording")

    async def pause_recording(self, recorder: RecorderHandle) -> None:
        _refuse("pause_recording")

    async def resume_recording(self, recorder: RecorderHandle) -> None:
        _refuse("resume_recording")

    async def set_draining(self, *, draining: bool) -> None:
        _refuse("set_draining")

    # What the core is to know of endpoints and trunks is read from the rows when a node starts.

    async def set_credentials(self, table: Sequence[tuple[str, str, str, str]]) -> None: ...
    async def set_sources(self, table: Sequence[tuple[str, Sequence[str]]]) -> None: ...
    async def set_locations(
        self, table: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]
    ) -> None: ...

    async def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> None: ...
    async def unregister(self, trunk: str) -> None: ...
    async def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> None: ...

    def sip_trace(self, call: LegHandle | str) -> Sequence[TracedMessage]:
        del call
        return ()

    def levels(self, leg: LegHandle) -> LegLevels | None:
        return None

    def stats(self) -> Mapping[str, int]:
        return {}


def _refuse(command: str) -> NoReturn:
    raise EngineFailed(command, "no node runs")
