"""An engine without sockets or threads, for tests of everything above the core.

It keeps the core's rules (who is in which room, what a command on a dead handle gets, which signals
follow which command and in which order) and lets a test play the outside world. It writes no files.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tapeline.domain.error import EngineFailed, Invalid, TapelineError
from tapeline.domain.signal import (
    CallAnswered,
    CallArrived,
    CallEnded,
    CallRinging,
    DialSpec,
    Digit,
    HeardBy,
    LegHandle,
    LegLevels,
    ParticipantJoined,
    ParticipantLeft,
    PlaybackHandle,
    PlayFinished,
    PlaySpec,
    RecorderHandle,
    RecorderSpec,
    RecordingArmed,
    RecordingFinished,
    RecordingResumed,
    RoomEmpty,
    RoomHandle,
    Signal,
    TracedMessage,
    TrackFile,
    TransferAsked,
)
from tapeline.engine.digits import check_digits

_START_UNIX_US = 1_700_000_000_000_000
_TICK_US = 20_000
_RATE_HZ = 8_000
_GAINS_DB = (-60.0, 20.0)
_LISTENERS = 8
_FINAL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is set of a participant, as `Engine.set_participant` says it."""

    muted: bool = False
    deaf: bool = False
    on_hold: bool = False
    gain_db: float = 0.0
    heard_by: HeardBy = "everyone"

    def check(self) -> None:
        if not _GAINS_DB[0] <= self.gain_db <= _GAINS_DB[1]:
            raise Invalid(field="", value=self.gain_db, expected="-60 to 20 dB")
        if self.heard_by != "everyone" and len(self.heard_by) > _LISTENERS:
            raise Invalid(field="", value=self.heard_by, expected="at most eight legs")


@dataclass(slots=True)
class MemoryLeg:
    """What the engine knows of a call that has not ended."""

    is_ringing: bool = False
    is_answered: bool = False
    has_early_media: bool = False
    transfer: Literal["", "asked", "accepted"] = ""
    room: RoomHandle | None = None
    """None: the leg's private room."""
    dialled: DialSpec | None = None
    """None: it came in."""
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """A command that was handed over, done or not."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


class MemoryEngine:
    """Implements `domain.port.Engine`. Signals are delivered at the loop's next turn, before the
    command that caused them returns.

    `legs`, `rooms` (members in the order they joined), `recorders`, `paused` and `playbacks` are
    what lives now; `commands` is everything that was asked. With `finishes_by_itself` False a
    stopped recorder waits for `finish`. A playback lasts until `finish_play` or a stop.
    """

    def __init__(self, *, finishes_by_itself: bool = True, sample_count: int = 80_000) -> None:
        self.finishes_by_itself = finishes_by_itself
        self.sample_count = sample_count
        self.legs: dict[LegHandle, MemoryLeg] = {}
        self.rooms: dict[RoomHandle, list[LegHandle]] = {}
        self.recorders: dict[RecorderHandle, RecorderSpec] = {}
        self.paused: set[RecorderHandle] = set()
        self.playbacks: dict[PlaybackHandle, PlaySpec] = {}
        self.commands: list[Commanded] = []
        self.is_draining = False
        self.credentials: list[tuple[str, str, str, str]] = []
        self.sources: dict[str, list[str]] = {}
        self.locations: dict[str, list[tuple[str, str, int]]] = {}
        self.registrations: dict[str, str] = {}
        self.watched: dict[str, list[str]] = {}
        self._numbers = itertools.count(1)
        self._ticks = itertools.count(1)
        self._stopping: dict[RecorderHandle, tuple[RecorderSpec, str]] = {}
        self._refusals: dict[str, deque[TapelineError]] = {}
        self._receivers: list[Callable[[Signal], None]] = []
        self._waiting: deque[Signal] = deque()

    # The outside world, played by a test.

    def arrive(  # noqa: PLR0913 an INVITE has many fields
        self,
        *,
        called: str,
        caller: str = "+15550100",
        caller_name: str = "",
        source: str = "127.0.0.1:5062",
        owner: str = "",
        extra_headers: Sequence[tuple[str, str]] = (),
        replaces: LegHandle | None = None,
    ) -> LegHandle:
        """An INVITE came in."""
        leg = LegHandle(next(self._numbers))
        self.legs[leg] = MemoryLeg()
        self._post(
            CallArrived(
                leg=leg,
                called=called,
                caller=caller,
                caller_name=caller_name,
                request_uri=f"sip:{called}@127.0.0.1",
                source=source,
                sip_call_id=f"memory-{leg}@{source}",
                owner=owner,
                replaces=replaces,
                extra_headers=list(extra_headers),
            )
        )
        return leg

    def hang_up_from_outside(self, leg: LegHandle) -> None:
        """The far end sent BYE, or CANCEL when it was not answered yet."""
        if self.legs[leg].is_answered:
            self._end_leg(leg, by="remote_bye", sip_status=200)
        else:
            self._end_leg(leg, by="remote_cancel", sip_status=487)

    def ring_from_outside(self, leg: LegHandle, *, sip_status: int = 180) -> None:
        """The far end of a dialled leg rings."""
        self._post(CallRinging(leg=leg, sip_status=sip_status))

    def answer_from_outside(self, leg: LegHandle) -> None:
        """The far end of a dialled leg answered."""
        self.legs[leg].is_answered = True
        self._post(CallAnswered(leg=leg))

    def reject_from_outside(self, leg: LegHandle, *, sip_status: int = 486) -> None:
        """The far end of a dialled leg refused; 408 when it rang for too long."""
        by = "unanswered" if sip_status == 408 else "rejected"  # noqa: PLR2004
        self._end_leg(leg, by=by, sip_status=sip_status)

    def ask_for_transfer(
        self, leg: LegHandle, target: str, *, replaces: LegHandle | None = None
    ) -> None:
        """The far end sent REFER."""
        self.legs[leg].transfer = "asked"
        self._post(TransferAsked(leg=leg, target=target, replaces=replaces))

    def finish_play(
        self, playback: PlaybackHandle, *, reason: str = "completed", detail: str = ""
    ) -> None:
        """A file was played to its end, or could not be."""
        del self.playbacks[playback]
        self._post(PlayFinished(playback=playback, reason=reason, detail=detail))

    def press(self, leg: LegHandle, digit: str, *, duration_ms: int = 100) -> None:
        """The far end pressed a key."""
        self._post(Digit(leg=leg, digit=digit, duration_ms=duration_ms))

    def finish(
        self,
        recorder: RecorderHandle,
        *,
        reason: str = "time_limit",
        sample_count: int | None = None,
        missing_ms: Sequence[tuple[str, int]] = (),
        notes: Sequence[tuple[str, int]] = (),
        tracks: Sequence[TrackFile] = (),
    ) -> None:
        """The writer closed a recorder's file: after a stop (whose reason stands), or by itself
        (`time_limit`, `writer_failed`).
        """
        if recorder in self._stopping:
            spec, reason = self._stopping.pop(recorder)
        else:
            spec = self.recorders.pop(recorder)
        samples = self.sample_count if sample_count is None else sample_count
        self._post(
            RecordingFinished(
                recorder=recorder,
                reason=reason,
                sample_count=samples,
                rate_hz=spec.rate_hz or _RATE_HZ,
                channels=spec.layout.channels,
                byte_count=44 + samples * spec.layout.channels * 2,
                sha256=f"{recorder:064x}",
                started_unix_us=_START_UNIX_US,
                missing_ms=list(missing_ms),
                notes=list(notes),
                tracks=list(tracks),
            )
        )

    def end_pause(self, recorder: RecorderHandle) -> None:
        """A pause was as long as its recorder's `pause_limit_ms`."""
        self.paused.remove(recorder)
        self._post(RecordingResumed(recorder=recorder))

    def post(self, signal: Signal) -> None:
        """Any other signal, as if the core had sent it."""
        self._post(signal)

    def refuse_next(self, command: str, error: TapelineError | None = None) -> None:
        """The next command of that name fails, with EngineFailed when `error` is None."""
        refusals = self._refusals.setdefault(command, deque())
        refusals.append(error or EngineFailed(command, "refused by the test"))

    def names(self) -> list[str]:
        """The commands' names in the order they came."""
        return [commanded.name for commanded in self.commands]

    # domain.port.Engine

    def subscribe(self, receive: Callable[[Signal], None]) -> None:
        self._receivers.append(receive)

    async def ring(self, leg: LegHandle) -> None:
        self._take("ring", leg=leg)
        self._unanswered("ring", leg).is_ringing = True
        await self._turn()

    async def answer(self, leg: LegHandle) -> None:
        self._take("answer", leg=leg)
        self._unanswered("answer", leg).is_answered = True
        self._post(CallAnswered(leg=leg))
        await self._turn()

    async def reject(self, leg: LegHandle, *, status: int, reason: str) -> None:
        self._take("reject", leg=leg, status=status, reason=reason)
        self._unanswered("reject", leg)
        self._end_leg(leg, by="command", sip_status=status)
        await self._turn()

    async def dial(self, spec: DialSpec) -> LegHandle:
        self._take("dial", spec=spec)
        leg = LegHandle(next(self._numbers))
        self.legs[leg] = MemoryLeg(dialled=spec)
        await self._turn()
        return leg

    async def play(self, spec: PlaySpec) -> PlaybackHandle:
        self._take("play", spec=spec)
        if spec.room is not None:
            self._members("play", spec.room)
        elif spec.leg is not None:
            self._answered("play", spec.leg)
        playback = PlaybackHandle(next(self._numbers))
        self.playbacks[playback] = spec
        await self._turn()
        return playback

    async def stop_play(self, playback: PlaybackHandle) -> None:
        self._take("stop_play", playback=playback)
        if playback not in self.playbacks:
            raise EngineFailed("stop_play", "no such playback")
        self.finish_play(playback, reason="stopped")
        await self._turn()

    async def stop_plays(
        self, *, leg: LegHandle | None = None, room: RoomHandle | None = None
    ) -> None:
        self._take("stop_plays", leg=leg, room=room)
        if room is not None:
            self._members("stop_plays", room)
        elif leg is not None:
            self._answered("stop_plays", leg)
        self._end_plays(leg=leg, room=room, reason="stopped")
        await self._turn()

    async def progress(self, leg: LegHandle) -> None:
        self._take("progress", leg=leg)
        self._unanswered("progress", leg).has_early_media = True
        await self._turn()

    async def accept_transfer(self, leg: LegHandle) -> None:
        self._take("accept_transfer", leg=leg)
        self._asked_for_transfer("accept_transfer", leg).transfer = "accepted"
        await self._turn()

    async def refuse_transfer(self, leg: LegHandle, *, status: int) -> None:
        self._take("refuse_transfer", leg=leg, status=status)
        self._asked_for_transfer("refuse_transfer", leg).transfer = ""
        await self._turn()

    async def report_transfer(self, leg: LegHandle, *, status: int) -> None:
        self._take("report_transfer", leg=leg, status=status)
        present = self._leg("report_transfer", leg)
        if present.transfer != "accepted":
            raise EngineFailed("report_transfer", "no transfer is under way")
        if status >= _FINAL:
            present.transfer = ""
        await self._turn()

    async def hang_up(self, leg: LegHandle, *, cause: int = 0, reason: str = "") -> None:
        said: dict[str, Any] = {"cause": cause, "reason": reason} if cause else {}
        self._take("hang_up", leg=leg, **said)
        is_answered = self._leg("hang_up", leg).is_answered
        self._end_leg(leg, by="command", sip_status=200 if is_answered else 480)
        await self._turn()

    async def send_digits(
        self, leg: LegHandle, digits: str, *, tone_ms: int = 100, gap_ms: int = 80
    ) -> None:
        self._take("send_digits", leg=leg, digits=digits, tone_ms=tone_ms, gap_ms=gap_ms)
        check_digits(digits)
        if not self._leg("send_digits", leg).is_answered:
            raise EngineFailed("send_digits", "the call has no audio any more")
        await self._turn()

    async def create_room(self, *, rate_hz: int) -> RoomHandle:
        self._take("create_room", rate_hz=rate_hz)
        room = RoomHandle(next(self._numbers))
        self.rooms[room] = []
        await self._turn()
        return room

    async def close_room(self, room: RoomHandle) -> None:
        self._take("close_room", room=room)
        members = self._members("close_room", room)
        del self.rooms[room]
        for leg in members:
            self.legs[leg].room = None
            self.legs[leg].settings = Settings()
            self._post(ParticipantLeft(leg=leg, room=room, unix_us=self._now_us()))
        if members:
            self._post(RoomEmpty(room=room))
        for recorder, spec in list(self.recorders.items()):
            if spec.room == room:
                self._stop(recorder, reason="room_closed")
        self._end_plays(leg=None, room=room)
        await self._turn()

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
        settings = Settings(
            muted=muted, deaf=deaf, on_hold=on_hold, gain_db=gain_db, heard_by=heard_by
        )
        self._take("join", leg=leg, room=room, answers=answers, **asdict(settings))
        settings.check()
        if answers:
            self._unanswered("join", leg).is_answered = True
            self._post(CallAnswered(leg=leg))
        present = self._answered("join", leg)
        members = self._members("join", room)
        if present.room != room:
            self._leave_room(leg)
            members.append(leg)
            present.room = room
            self._post(ParticipantJoined(leg=leg, room=room, unix_us=self._now_us()))
        present.settings = settings
        await self._turn()

    async def leave(self, leg: LegHandle) -> None:
        self._take("leave", leg=leg)
        self._answered("leave", leg)
        self._leave_room(leg)
        await self._turn()

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
        asked: dict[str, Any] = {
            "muted": muted,
            "deaf": deaf,
            "on_hold": on_hold,
            "gain_db": gain_db,
            "heard_by": heard_by,
        }
        self._take("set_participant", leg=leg, **asked)
        changes = {name: value for name, value in asked.items() if value is not None}
        Settings(**changes).check()
        present = self._answered("set_participant", leg)
        present.settings = replace(present.settings, **changes)
        await self._turn()

    async def start_recording(self, spec: RecorderSpec) -> RecorderHandle:
        self._take("start_recording", spec=spec)
        if spec.room is not None:
            self._members("start_recording", spec.room)
        elif spec.leg is not None:
            self._answered("start_recording", spec.leg)
        recorder = RecorderHandle(next(self._numbers))
        self.recorders[recorder] = spec
        self._post(RecordingArmed(recorder=recorder, unix_us=self._now_us()))
        await self._turn()
        return recorder

    async def stop_recording(self, recorder: RecorderHandle) -> None:
        self._take("stop_recording", recorder=recorder)
        self._recorder("stop_recording", recorder)
        self._stop(recorder, reason="command")
        await self._turn()

    async def pause_recording(self, recorder: RecorderHandle) -> None:
        self._take("pause_recording", recorder=recorder)
        self._recorder("pause_recording", recorder)
        self.paused.add(recorder)
        await self._turn()

    async def resume_recording(self, recorder: RecorderHandle) -> None:
        self._take("resume_recording", recorder=recorder)
        self._recorder("resume_recording", recorder)
        self.paused.discard(recorder)
        await self._turn()

    async def set_draining(self, *, draining: bool) -> None:
        self._take("set_draining", draining=draining)
        self.is_draining = draining
        await self._turn()

    async def set_credentials(self, table: Sequence[tuple[str, str, str, str]]) -> None:
        self._take("set_credentials", table=table)
        self.credentials = list(table)
        await self._turn()

    async def set_sources(self, table: Sequence[tuple[str, Sequence[str]]]) -> None:
        self._take("set_sources", table=table)
        self.sources = {owner: list(networks) for owner, networks in table}
        await self._turn()

    async def set_locations(
        self, table: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]
    ) -> None:
        self._take("set_locations", table=table)
        self.locations = {owner: list(contacts) for owner, contacts in table}
        await self._turn()

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
        self._take(
            "register",
            trunk=trunk,
            registrar=registrar,
            aor=aor,
            username=username,
            password=password,
            expires_s=expires_s,
        )
        self.registrations[trunk] = registrar
        await self._turn()

    async def unregister(self, trunk: str) -> None:
        self._take("unregister", trunk=trunk)
        if self.registrations.pop(trunk, None) is None:
            raise EngineFailed("unregister", "no such registration")
        await self._turn()

    async def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> None:
        self._take("watch", trunk=trunk, uris=uris, every_s=every_s)
        if not 2 <= every_s <= 3_600:  # noqa: PLR2004 as the core has it
            raise Invalid(field="every_s", value=every_s, expected="2 to 3600")
        self.watched.pop(trunk, None)
        if uris:
            self.watched[trunk] = list(uris)
        await self._turn()

    def sip_trace(self, call: LegHandle | str) -> Sequence[TracedMessage]:
        del call
        return ()

    def levels(self, leg: LegHandle) -> LegLevels | None:
        present = self.legs.get(leg)
        if present is None or not present.is_answered:
            return None
        return LegLevels(
            packets_received=0,
            packets_sent=0,
            packets_lost=0,
            packets_late=0,
            frames_concealed=0,
            remote_lost=0,
            jitter_ms=0,
            round_trip_ms=None,
            mos=None,
            buffer_delay_ms=0,
            level_rx_db=-90.0,
            level_tx_db=-90.0,
        )

    def stats(self) -> Mapping[str, int]:
        return {
            "legs": len(self.legs),
            "rooms": len(self.rooms),
            "recorders": len(self.recorders),
            "caught_panics": 0,
        }

    # The core's rules.

    def _take(self, name: str, **arguments: object) -> None:
        self.commands.append(Commanded(name=name, arguments=arguments))
        refusals = self._refusals.get(name)
        if refusals:
            raise refusals.popleft()

    def _leg(self, command: str, leg: LegHandle) -> MemoryLeg:
        present = self.legs.get(leg)
        if present is None:
            raise EngineFailed(command, "no such leg")
        return present

    def _asked_for_transfer(self, command: str, leg: LegHandle) -> MemoryLeg:
        present = self._leg(command, leg)
        if present.transfer != "asked":
            raise EngineFailed(command, "no transfer is asked for")
        return present

    def _unanswered(self, command: str, leg: LegHandle) -> MemoryLeg:
        present = self._leg(command, leg)
        if present.is_answered:
            raise EngineFailed(command, "the call is answered already")
        return present

    def _answered(self, command: str, leg: LegHandle) -> MemoryLeg:
        present = self._leg(command, leg)
        if not present.is_answered:
            raise EngineFailed(command, "the call is not answered")
        return present

    def _members(self, command: str, room: RoomHandle) -> list[LegHandle]:
        members = self.rooms.get(room)
        if members is None:
            raise EngineFailed(command, "no such room")
        return members

    def _recorder(self, command: str, recorder: RecorderHandle) -> None:
        if recorder not in self.recorders:
            raise EngineFailed(command, "no such recorder")

    def _end_leg(self, leg: LegHandle, *, by: str, sip_status: int) -> None:
        # The SIP thread reports the end at once, the media thread what follows at its next tick.
        self._post(CallEnded(leg=leg, by=by, sip_status=sip_status))
        self._leave_room(leg)
        del self.legs[leg]
        for recorder, spec in list(self.recorders.items()):
            if spec.leg == leg:
                self._stop(recorder, reason="leg_gone")
        self._end_plays(leg=leg, room=None)

    def _leave_room(self, leg: LegHandle) -> None:
        room, self.legs[leg].room = self.legs[leg].room, None
        if room is None:
            return
        self.legs[leg].settings = Settings()
        self.rooms[room].remove(leg)
        self._post(ParticipantLeft(leg=leg, room=room, unix_us=self._now_us()))
        if not self.rooms[room]:
            self._post(RoomEmpty(room=room))

    def _stop(self, recorder: RecorderHandle, *, reason: str) -> None:
        self.paused.discard(recorder)
        self._stopping[recorder] = (self.recorders.pop(recorder), reason)
        if self.finishes_by_itself:
            self.finish(recorder)

    def _end_plays(
        self, *, leg: LegHandle | None, room: RoomHandle | None, reason: str = "target_gone"
    ) -> None:
        for playback, spec in list(self.playbacks.items()):
            if (spec.leg, spec.room) == (leg, room):
                self.finish_play(playback, reason=reason)

    def _now_us(self) -> int:
        return _START_UNIX_US + next(self._ticks) * _TICK_US

    def _post(self, signal: Signal) -> None:
        self._waiting.append(signal)
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._waiting:
            signal = self._waiting.popleft()
            for receive in self._receivers:
                receive(signal)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
