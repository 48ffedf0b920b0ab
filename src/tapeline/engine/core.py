"""The live engine: commands become futures, events become signals, one reader on the event loop.

A command is handed to the core and its future registered in the same turn of the loop; answers are
drained on the loop too, so no answer can be missed. What the core sends is dispatched in its order.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from tapeline import _core
from tapeline.domain.error import DiskFull, EngineFailed, Invalid, TapelineError
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
from tapeline.engine.digits import check_digits
from tapeline.engine.native import NativeCore
from tapeline.engine.settings import Access, CoreSettings
from tapeline.engine.table import UnknownEvent, signal_of
from tapeline.telemetry.bugs import Bugs
from tapeline.telemetry.logs import get_logger

AnswerT = TypeVar("AnswerT")

_log = get_logger(__name__)

# What the core's refusal begins with when a file system has too little room (`record/disk.rs`).
_DISK_FULL = ("disk space:", "no space left", "the disk quota")
_STOPPED = "the core has stopped"


@dataclass(slots=True)
class _Open:
    """A command that the core has not answered."""

    name: str
    done: asyncio.Future[None]
    undo: Callable[[], int] | None = None
    """What to ask of the core when it is done and its caller has given up meanwhile."""


class CoreEngine:
    """Implements `domain.port.Engine` over `tapeline._core.Core`.

    Owned by the node: `start` and `stop` are called on the event loop that uses it. Every exception
    that a subscriber lets out, every event that nobody knows and every panic that the core caught
    is added to `bugs`.
    """

    def __init__(self, core: NativeCore, *, bugs: Bugs) -> None:
        self._core = core
        self._bugs = bugs
        self._open: dict[int, _Open] = {}
        self._receivers: list[Callable[[Signal], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Future[None] | None = None

    @classmethod
    def build(cls, settings: CoreSettings, *, bugs: Bugs) -> Self:
        """Binds the sockets and starts the core's threads. Raises OSError, ValueError for a
        network or an address that is none, CoreError.
        """
        access = settings.access
        core = _core.Core(
            sip_udp=settings.sip_udp,
            sip_tcp=settings.sip_tcp,
            sip_tls=settings.sip_tls,
            sip_ws=settings.sip_ws,
            sip_wss=settings.sip_wss,
            tls_certificate=settings.tls_certificate,
            tls_key=settings.tls_key,
            tls_client_ca=settings.tls_client_ca,
            tls_trust=settings.tls_trust,
            dns=settings.dns,
            rtp_address=settings.rtp_address,
            rtp_ports=settings.rtp_ports,
            codecs=settings.codecs,
            room_rate_limit_hz=settings.room_rate_limit_hz,
            spool=str(settings.spool),
            networks=access.networks,
            rate_per_source=access.rate_per_source,
            rate_exempt=access.rate_exempt,
            max_unacknowledged=access.max_unacknowledged,
            realtime=settings.realtime,
            max_legs=settings.max_legs,
            max_rooms=settings.max_rooms,
            max_recorders=settings.max_recorders,
            reserve_bytes=settings.reserve_bytes,
            ring_limit_ms=settings.ring_limit_ms,
            session_expires_s=settings.session_expires_s,
            srtp=settings.srtp,
            sdes_over_plain_sip=settings.sdes_over_plain_sip,
            realm=settings.realm,
        )
        return cls(core, bugs=bugs)

    @property
    def sip_addresses(self) -> Sequence[str]:
        """`host:port` of the sockets, as bound."""
        return self._core.sip_addresses()

    @property
    def sip_streams(self) -> Sequence[tuple[str, str]]:
        """(`tcp`, `tls`, `ws` or `wss`, `host:port`) of what listens for streams, as bound."""
        return self._core.sip_stream_addresses()

    def reload_tls(self) -> None:
        """Reads the files of certificates again; calls keep their connections.

        Raises OSError or ValueError where they cannot be used: the old ones stay.
        """
        self._core.reload_tls()

    def start(self) -> None:
        """Begins to deliver; what the core has sent so far comes first."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._core.fileno(), self._drain)

    async def stop(self) -> None:
        """Ends calls and recordings, delivers what that causes, then fails what is still open.

        Takes up to 5 s. Calling it again waits for the first.
        """
        if self._stopped is not None:
            await asyncio.shield(self._stopped)
            return
        loop = asyncio.get_running_loop()
        self._stopped = loop.create_future()
        try:
            await asyncio.to_thread(self._core.stop)
            while self._drain():
                pass
        finally:
            if self._loop is not None:
                self._loop.remove_reader(self._core.fileno())
            self._fail_open()
            self._stopped.set_result(None)
        panics = self._core.stats().get("caught_panics", 0)
        if panics:
            self._bugs.add("core", RuntimeError(f"{panics} panics were caught"))

    # domain.port.Engine

    def subscribe(self, receive: Callable[[Signal], None]) -> None:
        self._receivers.append(receive)

    async def ring(self, leg: LegHandle) -> None:
        await self._answered("ring", lambda: self._core.ring(leg))

    async def answer(self, leg: LegHandle) -> None:
        await self._answered("answer", lambda: self._core.answer(leg))

    async def reject(self, leg: LegHandle, *, status: int, reason: str) -> None:
        await self._answered("reject", lambda: self._core.reject(leg, status, reason))

    async def dial(self, spec: DialSpec) -> LegHandle:
        def call() -> tuple[int, int]:
            return self._core.dial(
                uri=spec.uri,
                caller=spec.caller,
                caller_name=spec.caller_name,
                headers=list(spec.headers),
                ring_limit_ms=spec.ring_limit_ms,
                route=spec.route,
                username=spec.username,
                password=spec.password,
                asserted=spec.asserted,
                is_private=spec.is_private,
                codecs=spec.codecs,
                srtp=spec.srtp,
            )

        dialled = await self._made(
            "dial", lambda: _checked(call, value=spec.uri), undo=self._core.hang_up
        )
        return LegHandle(dialled)

    async def play(self, spec: PlaySpec) -> PlaybackHandle:
        def play() -> tuple[int, int]:
            return self._core.play(
                path=spec.path or None,
                tones=[
                    (tone.first_hz, tone.second_hz, tone.on_ms, tone.off_ms, tone.level_db)
                    for tone in spec.tones
                ],
                leg=spec.leg,
                room=spec.room,
                loops=spec.loops,
                instead=spec.instead,
                level_db=spec.level_db,
            )

        made = await self._made(
            "play",
            lambda: _checked(play, value=spec),
            undo=self._core.stop_play,
        )
        return PlaybackHandle(made)

    async def stop_play(self, playback: PlaybackHandle) -> None:
        await self._answered("stop_play", lambda: self._core.stop_play(playback))

    async def stop_plays(
        self, *, leg: LegHandle | None = None, room: RoomHandle | None = None
    ) -> None:
        await self._answered("stop_plays", lambda: self._core.stop_plays(leg=leg, room=room))

    async def progress(self, leg: LegHandle) -> None:
        await self._answered("progress", lambda: self._core.progress(leg))

    async def hang_up(self, leg: LegHandle, *, cause: int = 0, reason: str = "") -> None:
        def hang_up() -> int:
            return self._core.hang_up(leg, cause=cause, reason=reason)

        await self._answered("hang_up", lambda: _checked(hang_up, value=cause))

    async def accept_transfer(self, leg: LegHandle) -> None:
        await self._answered("accept_transfer", lambda: self._core.accept_transfer(leg))

    async def refuse_transfer(self, leg: LegHandle, *, status: int) -> None:
        await self._answered("refuse_transfer", lambda: self._core.refuse_transfer(leg, status))

    async def report_transfer(self, leg: LegHandle, *, status: int) -> None:
        await self._answered("report_transfer", lambda: self._core.report_transfer(leg, status))

    async def send_digits(
        self, leg: LegHandle, digits: str, *, tone_ms: int = 100, gap_ms: int = 80
    ) -> None:
        check_digits(digits)
        await self._answered(
            "send_digits",
            lambda: self._core.send_digits(leg, digits, tone_ms=tone_ms, gap_ms=gap_ms),
        )

    async def create_room(self, *, rate_hz: int) -> RoomHandle:
        made = await self._made(
            "create_room",
            lambda: self._core.create_room(rate_hz),
            undo=self._core.close_room,
        )
        return RoomHandle(made)

    async def close_room(self, room: RoomHandle) -> None:
        await self._answered("close_room", lambda: self._core.close_room(room))

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
        def join() -> int:
            return self._core.join(
                leg,
                room,
                muted=muted,
                deaf=deaf,
                on_hold=on_hold,
                gain_db=gain_db,
                heard_by=heard_by,
                answers=answers,
            )

        await self._answered("join", lambda: _checked(join, value=(gain_db, heard_by)))

    async def leave(self, leg: LegHandle) -> None:
        await self._answered("leave", lambda: self._core.leave(leg))

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
        def change() -> int:
            return self._core.set_participant(
                leg, muted=muted, deaf=deaf, on_hold=on_hold, gain_db=gain_db, heard_by=heard_by
            )

        await self._answered("set_participant", lambda: _checked(change, value=(gain_db, heard_by)))

    async def start_recording(self, spec: RecorderSpec) -> RecorderHandle:
        made = await self._made(
            "start_recording",
            lambda: self._core.start_recording(
                folder=spec.folder,
                format=spec.format,
                room=spec.room,
                leg=spec.leg,
                layout=spec.layout.value,
                left_leg=spec.left_leg,
                rate_hz=spec.rate_hz,
                limit_ms=spec.limit_ms,
                silence_limit_ms=spec.silence_limit_ms,
                silence_waits_for_speech=spec.silence_waits_for_speech,
                pause_as=spec.pause_as.value,
                pause_limit_ms=spec.pause_limit_ms,
                beep=spec.beep,
                beep_every_ms=spec.beep_every_ms,
                beep_level_db=spec.beep_level_db,
                beep_in_file=spec.beep_in_file,
                trim_silence=spec.trim_silence,
                tracks=spec.tracks,
                label=spec.label,
            ),
            undo=self._core.stop_recording,
        )
        return RecorderHandle(made)

    async def stop_recording(self, recorder: RecorderHandle) -> None:
        await self._answered("stop_recording", lambda: self._core.stop_recording(recorder))

    async def pause_recording(self, recorder: RecorderHandle) -> None:
        await self._answered("pause_recording", lambda: self._core.pause_recording(recorder))

    async def resume_recording(self, recorder: RecorderHandle) -> None:
        await self._answered("resume_recording", lambda: self._core.resume_recording(recorder))

    async def set_access(self, access: Access) -> None:
        """Replaces who may call. Raises ValueError for something that is no network."""
        await self._answered(
            "set_access",
            lambda: self._core.set_access(
                networks=access.networks,
                rate_per_source=access.rate_per_source,
                rate_exempt=access.rate_exempt,
                max_unacknowledged=access.max_unacknowledged,
            ),
        )

    async def set_credentials(self, table: Sequence[tuple[str, str, str, str]]) -> None:
        # Without the table in the error: a hash is as good as its password.
        await self._answered(
            "set_credentials",
            lambda: _checked(lambda: self._core.set_credentials(table), value="credentials"),
        )

    async def set_sources(self, table: Sequence[tuple[str, Sequence[str]]]) -> None:
        await self._answered(
            "set_sources", lambda: _checked(lambda: self._core.set_sources(table), value=table)
        )

    async def set_locations(
        self, table: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]
    ) -> None:
        await self._answered(
            "set_locations", lambda: _checked(lambda: self._core.set_locations(table), value=table)
        )

    async def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> None:
        def register() -> int:
            return self._core.register(
                trunk,
                registrar=registrar,
                aor=aor,
                username=username,
                password=password,
                expires_s=expires_s,
            )

        value = (registrar, aor, expires_s)
        await self._answered("register", lambda: _checked(register, value=value))

    async def unregister(self, trunk: str) -> None:
        await self._answered("unregister", lambda: self._core.unregister(trunk))

    async def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> None:
        def watch() -> int:
            return self._core.watch(trunk, uris, every_s=every_s)

        await self._answered("watch", lambda: _checked(watch, value=(uris, every_s)))

    async def set_draining(self, *, draining: bool) -> None:
        await self._answered("set_draining", lambda: self._core.set_draining(draining))

    def sip_trace(self, call: LegHandle | str) -> Sequence[TracedMessage]:
        call_id = call if isinstance(call, str) else self._core.sip_call_id(call)
        return [
            TracedMessage(unix_us=at, is_sent=is_sent, transport=transport, peer=peer, text=text)
            for at, is_sent, transport, peer, text in self._core.sip_trace(call_id or "")
        ]

    def levels(self, leg: LegHandle) -> LegLevels | None:
        levels = self._core.levels(leg)
        return None if levels is None else LegLevels(**levels)

    def stats(self) -> Mapping[str, int]:
        return self._core.stats()

    # Commands out.

    async def _answered(self, name: str, command: Callable[[], int]) -> None:
        await self._register(name, self._hand_over(name, command)).done

    async def _made(
        self, name: str, command: Callable[[], tuple[int, int]], *, undo: Callable[[int], int]
    ) -> int:
        """The handle of what was made; a caller that gives up leaves nothing behind."""
        number, handle = self._hand_over(name, command)
        await self._register(name, number, undo=lambda: undo(handle)).done
        return handle

    def _hand_over(self, name: str, command: Callable[[], AnswerT]) -> AnswerT:
        if self._loop is None or (self._stopped is not None and self._stopped.done()):
            raise EngineFailed(name, _STOPPED if self._loop else "the engine has not been started")
        try:
            return command()
        except _core.CoreError as error:
            raise EngineFailed(name, str(error)) from error

    def _register(self, name: str, number: int, *, undo: Callable[[], int] | None = None) -> _Open:
        waiting = _Open(name, asyncio.get_running_loop().create_future(), undo)
        self._open[number] = waiting
        return waiting

    # Answers and signals in.

    def _drain(self) -> int:
        """How many events there were."""
        events = self._core.drain()
        for name, fields in events:
            if name == "command_done":
                self._finish(fields["command"], None)
            elif name == "command_failed":
                self._finish(fields["command"], str(fields["reason"]))
            else:
                self._dispatch(name, fields)
        return len(events)

    def _finish(self, number: object, reason: str | None) -> None:
        waiting = self._open.pop(number, None) if isinstance(number, int) else None
        if waiting is None:
            self._bugs.add("engine", UnknownEvent("command_done", f"no open command {number!r}"))
        elif waiting.done.cancelled():
            if reason is None and waiting.undo is not None:
                self._undo(waiting.name, waiting.undo)
        elif reason is None:
            waiting.done.set_result(None)
        else:
            waiting.done.set_exception(_refusal(waiting.name, reason))

    def _undo(self, name: str, undo: Callable[[], int]) -> None:
        try:
            number = undo()
        except _core.CoreError as error:
            _log.warning("abandoned_command_not_undone", command=name, reason=str(error))
            return
        # Nobody waits for this answer; a refusal means that the thing is gone already.
        self._register(f"undo {name}", number).done.cancel()

    def _dispatch(self, name: str, fields: Mapping[str, object]) -> None:
        try:
            signal = signal_of(name, fields)
        except UnknownEvent as error:
            self._bugs.add("engine", error)
            return
        for receive in self._receivers:
            try:
                receive(signal)
            except Exception as error:  # noqa: BLE001 one subscriber's bug must not stop the others
                self._bugs.add("engine subscriber", error)

    def _fail_open(self) -> None:
        for waiting in self._open.values():
            if not waiting.done.done():
                waiting.done.set_exception(EngineFailed(waiting.name, _STOPPED))
        self._open.clear()


def _checked(command: Callable[[], AnswerT], *, value: object) -> AnswerT:
    """What the core refuses to understand of `value` is Invalid."""
    try:
        return command()
    except ValueError as error:
        raise Invalid(field="", value=value, expected=str(error)) from error


def _refusal(name: str, reason: str) -> TapelineError:
    return DiskFull(reason) if reason.startswith(_DISK_FULL) else EngineFailed(name, reason)
