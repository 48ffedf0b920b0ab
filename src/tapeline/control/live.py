"""What is live in this process: calls, conferences and recordings, and the core's handles for
them. Nothing here survives a crash; rows and the spool do.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from tapeline.control.digits import DigitInbox
from tapeline.control.playbacks import Playbacks
from tapeline.control.playlist import Playlist
from tapeline.domain import signal
from tapeline.domain.application import Application
from tapeline.domain.call import Call, EndCause, EndSource
from tapeline.domain.command import RecordOnAnswer
from tapeline.domain.conference import Conference, ConferenceEnd, Participant
from tapeline.domain.id import (
    AccountId,
    CallId,
    ConferenceId,
    EndpointId,
    EpochMs,
    RecordingId,
    TrunkId,
)
from tapeline.domain.policy import RecordPolicy
from tapeline.domain.recording import RecordingEnd
from tapeline.domain.signal import DialSpec, HeardBy, LegHandle, RecorderHandle, RoomHandle
from tapeline.domain.sound import Keys, Sound
from tapeline.domain.trunk import Trunk

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the control plane means a call to end; it wins over what the wire says."""

    cause: EndCause
    source: EndSource
    detail: str | None = None


@dataclass(slots=True, kw_only=True)
class RecordingTarget:
    """What can be recorded: a live call or conference."""

    recordings: dict[RecordingId, "LiveRecording"] = field(default_factory=dict)
    recording_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from the check of a start, stop or pause until the core has applied it."""

    @property
    def is_recording_paused(self) -> bool:
        """While it is, nothing said, heard or keyed may be kept (design.md §5.10)."""
        return any(each.is_paused and not each.is_stopping for each in self.recordings.values())


def _is_set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """By what a call came in, or goes out."""

    endpoint_id: EndpointId | None = None
    trunk_id: TrunkId | None = None
    number: str | None = None
    """The pattern that the called name fitted."""
    host: str = ""
    """What it called us by, with its port if that was said; names there are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a dialled call is tried: everybody in `specs` rings at once."""

    specs: tuple[DialSpec, ...]
    passage: Passage = Passage()
    policy: RecordPolicy | None = None
    trunk: Trunk | None = None


@dataclass(slots=True, kw_only=True)
class Branches:
    """Of a call that we dial, until somebody answers: who rings now, and who is tried when they
    have failed.
    """

    rest: deque[Way]
    since_ms: EpochMs
    legs: set[LegHandle] = field(default_factory=set)
    ends: list[signal.CallEnded] = field(default_factory=list)
    """Of those who rang and did not answer."""


@dataclass(slots=True, kw_only=True)
class LiveCall(RecordingTarget):
    """`call` is the row as last committed."""

    leg: LegHandle
    call: Call
    application: Application | None
    branches: Branches | None = None
    """While it is dialled; `leg` is one of them then."""
    passage: Passage = Passage()
    policy: RecordPolicy | None = None
    """What is to be recorded of it unasked."""
    is_policy_followed: bool = False
    """Its recording was begun, or missed."""
    is_transferring: bool = False
    """Its phone has asked that its party gets somebody else."""
    decided: asyncio.Event = field(default_factory=_is_set)
    """Not set while it may get somebody else: nobody hangs it up because it lost whom it had."""
    seat: "Seat | None" = None
    end: End | None = None
    has_rung: bool = False
    """The phone that we dialled said that it rings."""
    is_answered: bool = False
    is_over: bool = False
    playlist: Playlist = field(default_factory=Playlist)
    gathering: asyncio.Task[None] | None = None
    """What collects digits by command."""
    is_gathering_cancelled: bool = False
    inboxes: list[DigitInbox] = field(default_factory=list)
    """Of those who listen to its keys now."""
    bridge: "Bridge | None" = None
    record_on_answer: RecordOnAnswer | None = None
    keys_on_answer: Keys | None = None
    starts_program: bool = False
    """A call that we dialled gets its program when it is answered."""
    time_limit_ms: int | None = None
    """From its answer."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its row says so; never for a call that was not answered."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its row says so, or when that could not be written."""
    row_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its row changes."""

    @property
    def is_kept(self) -> bool:
        return not self.decided.is_set()

    @property
    def withholds_digits(self) -> bool:
        """A recording that hears it is paused, its own, its conference's or its bridge's other
        call's: its digits are passed on from memory and kept nowhere.
        """
        around: list[RecordingTarget] = [self]
        if self.seat is not None:
            around.append(self.seat.conference)
        if self.bridge is not None:
            around.extend(self.bridge.calls)
        return any(each.is_recording_paused for each in around)


class Voice(TypedDict):
    """What the core is told of a participant (`Engine.join`, `Engine.set_participant`)."""

    muted: bool
    deaf: bool
    on_hold: bool
    heard_by: HeardBy


@dataclass(slots=True, kw_only=True)
class Seat:
    """A call's place in a conference, from before the join until it has left."""

    live_call: LiveCall
    conference: "LiveConference"
    participant: Participant
    start_on_enter: bool = True
    callback_url: str | None = None
    callback_method: str = "POST"
    is_in_room: bool = False
    """The core has put the leg there."""
    is_leaving: bool = False
    """It is to leave, if it must as soon as it has come."""
    has_joined: bool = False
    """Its row says so."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its row changes."""


@dataclass(slots=True, kw_only=True)
class LiveConference(RecordingTarget):
    """A conference and its room in the core."""

    conference: Conference
    room: RoomHandle
    founder: LiveCall
    """The first leg that joined; kept when it has ended."""
    seats: dict[CallId, Seat] = field(default_factory=dict)
    playlist: Playlist = field(default_factory=Playlist)
    """What everybody in it hears."""
    waiting_sound: Sound | None = None
    """What each hears who waits for its start."""
    end_reason: ConferenceEnd = ConferenceEnd.ALL_LEFT
    is_ending: bool = False
    """Everybody is being sent out of it, and nobody new gets a seat."""
    hangs_up: bool = False
    """It ends with its participants' calls."""
    is_closing: bool = False
    """Nobody is in it any more."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its name is free again."""

    @property
    def creator(self) -> Call:
        """The founder's row as last committed."""
        return self.founder.call

    @property
    def key(self) -> tuple[AccountId, str]:
        """Of the lock under which it is decided whether a conference of that name exists."""
        return (self.conference.account_id, self.conference.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Two legs that hear each other in a room of their own."""

    room: RoomHandle
    calls: tuple[LiveCall, LiveCall]
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class LiveRecording:
    """A recording whose recorder runs or whose file is being finalised."""

    id: RecordingId
    dialect: str
    target: RecordingTarget
    recorder: RecorderHandle | None = None
    is_by_policy: bool = False
    """Nobody asked for it, and a stop of all there is does not mean it."""
    is_stopping: bool = False
    is_paused: bool = False
    """From before the core pauses it until after it has resumed it."""
    end_reason: RecordingEnd | None = None
    """Why we stopped it, when that is more than a command."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing more will happen to it in this process."""


class KeyedLocks:
    """A lock for each key, kept only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)


class Live:
    """The registry. Every method is synchronous: what it changes is changed at once."""

    def __init__(self) -> None:
        self.is_draining = False
        self.locks = KeyedLocks()
        self.calls: dict[LegHandle, LiveCall] = {}
        self.calls_by_id: dict[CallId, LiveCall] = {}
        self.conferences: dict[tuple[AccountId, str], LiveConference] = {}
        self.conferences_by_id: dict[ConferenceId, LiveConference] = {}
        self.rooms: dict[RoomHandle, LiveConference] = {}
        self.bridges: dict[RoomHandle, Bridge] = {}
        self.refused: set[LegHandle] = set()
        """Legs that came in and never got a row; until the core has told their end."""
        self.recordings: dict[RecordingId, LiveRecording] = {}
        self.recorders: dict[RecorderHandle, LiveRecording] = {}
        self.playbacks = Playbacks()
        self.unfinished: dict[RecordingId, signal.RecordingFinished] = {}
        """Recordings whose file could not be finished yet: tried again while the node runs."""
        self._emptied = asyncio.Event()
        self._arming = 0
        self._dialling = 0
        self._claimed = asyncio.Event()

    def add_call(self, live_call: LiveCall) -> None:
        for leg in _legs_of(live_call):
            self.calls[leg] = live_call
        self.calls_by_id[live_call.call.id] = live_call

    def remove_call(self, live_call: LiveCall) -> None:
        for leg in _legs_of(live_call):
            self.calls.pop(leg, None)
        self.calls_by_id.pop(live_call.call.id, None)
        self._note_if_empty()

    def drop_leg(self, leg: LegHandle, *, has_ended: bool) -> None:
        """A branch of a call that goes on without it."""
        self.calls.pop(leg, None)
        if not has_ended:
            self.refused.add(leg)

    @contextmanager
    def dialling(self) -> Iterator[None]:
        """Around the start of an outgoing call, until `add_call`."""
        self._dialling += 1
        try:
            yield
        finally:
            self._dialling -= 1
            self._claimed.set()
            self._claimed = asyncio.Event()

    async def call_of(self, leg: LegHandle) -> LiveCall | None:
        """The call of a leg. The core's signals may come before its dial returns, so this waits
        while any dial is under way whose leg is not known yet.
        """
        while leg not in self.calls and leg not in self.refused and self._dialling:
            await self._claimed.wait()
        return self.calls.get(leg)

    def conference(self, account_id: AccountId, name: str) -> LiveConference | None:
        """The live conference of that name, unless it is ending."""
        found = self.conferences.get((account_id, name))
        return None if found is None or found.is_closing else found

    def add_conference(self, live: LiveConference) -> None:
        self.conferences[live.conference.account_id, live.conference.name] = live
        self.conferences_by_id[live.conference.id] = live
        self.rooms[live.room] = live

    def remove_conference(self, live: LiveConference) -> None:
        self.conferences.pop((live.conference.account_id, live.conference.name), None)
        self.conferences_by_id.pop(live.conference.id, None)
        self.rooms.pop(live.room, None)
        self._note_if_empty()

    def seat(self, leg: LegHandle, room: RoomHandle) -> Seat | None:
        """The seat that this leg has in this very room."""
        live_call = self.calls.get(leg)
        if live_call is None or live_call.seat is None:
            return None
        return live_call.seat if live_call.seat.conference.room == room else None

    def add_recording(self, recording: LiveRecording) -> None:
        self.recordings[recording.id] = recording
        recording.target.recordings[recording.id] = recording

    @contextmanager
    def arming(self, recording: LiveRecording) -> Iterator[None]:
        """Around the start of a recorder, which sets `recording.recorder`."""
        self._arming += 1
        try:
            yield
            if recording.recorder is not None:
                self.recorders[recording.recorder] = recording
        finally:
            self._arming -= 1
            self._claimed.set()
            self._claimed = asyncio.Event()

    async def recording_of(self, recorder: RecorderHandle) -> LiveRecording | None:
        """The recording of a handle. The core's signals may come before its start returns, so
        this waits while any start is under way whose handle is not known yet.
        """
        while recorder not in self.recorders and self._arming:
            await self._claimed.wait()
        return self.recorders.get(recorder)

    def remove_recording(self, recording: LiveRecording) -> None:
        self.recordings.pop(recording.id, None)
        recording.target.recordings.pop(recording.id, None)
        if recording.recorder is not None:
            self.recorders.pop(recording.recorder, None)
        recording.finished.set()
        self._note_if_empty()

    def figures(self) -> dict[str, int]:
        """How many calls, conferences and recordings live."""
        return {
            "calls": len(self.calls),
            "conferences": len(self.conferences),
            "recordings": len(self.recordings),
        }

    async def emptied(self) -> None:
        """Returns when nothing lives."""
        while any(self.figures().values()):
            await self._emptied.wait()

    def _note_if_empty(self) -> None:
        if not any(self.figures().values()):
            self._emptied.set()
            self._emptied = asyncio.Event()


def _legs_of(live_call: LiveCall) -> set[LegHandle]:
    branches = live_call.branches.legs if live_call.branches is not None else set()
    return {live_call.leg, *branches}


async def unbroken(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Awaits `work` to its end even when the caller is cancelled meanwhile; then the
    cancellation goes on. An operation on the core and the rows is never left half done.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled() and (error := task.exception()) is not None:
            raise asyncio.CancelledError from error
        raise


def epoch_ms(unix_us: int) -> EpochMs:
    """The core's microseconds as rows keep them."""
    return EpochMs(unix_us // 1000)
