"""Domain things and an in-memory control plane for tests of the HTTP side."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.unit.api.memorycalls import MemoryCalls

from tapeline.api.app import App, build_app
from tapeline.api.dialect import Dialect, find_dialects
from tapeline.api.media import MediaApp
from tapeline.api.operations import Surroundings
from tapeline.domain import command as commands
from tapeline.domain.account import Account, AccountSettings, Credentials
from tapeline.domain.call import Call, CallState, Direction
from tapeline.domain.command import (
    Command,
    ConferenceView,
    ParticipantView,
    RecordingPage,
    RecordingView,
    TrackView,
)
from tapeline.domain.conference import (
    Conference,
    ConferenceState,
    Participant,
    ParticipantState,
)
from tapeline.domain.error import (
    AccountNotFound,
    AlreadyRecording,
    ConferenceNotFound,
    NotRecording,
    RecordingNotFound,
    Unauthenticated,
)
from tapeline.domain.id import (
    AccountId,
    CallId,
    ConferenceId,
    EpochMs,
    MemberId,
    NodeId,
    RecordingId,
)
from tapeline.domain.recording import (
    Recording,
    RecordingState,
    Starter,
    TargetKind,
    Track,
)
from tapeline.storage import Links

NOW_MS = EpochMs(1_763_700_000_000)
NODE = NodeId("node-1")
ACCOUNT_ID = AccountId("MA" + "A" * 18)
OTHER_ID = AccountId("MA" + "B" * 18)
TOKEN = "token-of-the-account"


def account(account_id: AccountId = ACCOUNT_ID, **settings: Any) -> Account:
    return Account(
        id=account_id,
        name="Tests",
        auth_token=TOKEN,
        api_key_hash="",
        signing_seed=bytes(32),
        public_key="",
        settings=AccountSettings(**settings),
        created_at_ms=EpochMs(1),
    )


def call(call_id: str = "call-1", **changes: Any) -> Call:
    return replace(
        Call(
            id=CallId(call_id),
            account_id=ACCOUNT_ID,
            application_id=None,
            dialect="vobiz",
            node_id=NODE,
            direction=Direction.INBOUND,
            caller="+15551230000",
            caller_name="Ada",
            called="7001",
            session_id="session-1",
            state=CallState.ANSWERED,
            created_at_ms=EpochMs(NOW_MS - 65_000),
            answered_at_ms=EpochMs(NOW_MS - 61_000),
        ),
        **changes,
    )


def conference(name: str = "MyConf", account_id: AccountId = ACCOUNT_ID) -> Conference:
    return Conference(
        id=ConferenceId("conf-1"),
        account_id=account_id,
        name=name,
        node_id=NODE,
        dialect="vobiz",
        state=ConferenceState.IN_PROGRESS,
        creator_call_id=CallId("call-1"),
        created_at_ms=EpochMs(NOW_MS - 60_000),
    )


def participant(**changes: Any) -> Participant:
    return replace(
        Participant(
            member_id=MemberId("10"),
            conference_id=ConferenceId("conf-1"),
            call_id=CallId("call-1"),
            state=ParticipantState.JOINED,
            muted=True,
            joined_at_ms=EpochMs(NOW_MS - 59_500),
        ),
        **changes,
    )


def recording(**changes: Any) -> Recording:
    return replace(
        Recording(
            id=RecordingId("rec-1"),
            account_id=ACCOUNT_ID,
            node_id=NODE,
            starter=Starter(dialect="vobiz", request_id="api-1"),
            target=TargetKind.CONFERENCE,
            call_id=CallId("call-1"),
            conference_id=ConferenceId("conf-1"),
            conference_name="MyConf",
            caller="+15551230000",
            called="7001",
            state=RecordingState.COMPLETED,
            started_at_ms=EpochMs(NOW_MS - 86_400_000),
            ended_at_ms=EpochMs(NOW_MS - 86_400_000 + 12_345),
            sample_count=98_760,
            byte_count=5,
            sha256="0" * 64,
            storage_key="key/rec-1.mp3",
        ),
        **changes,
    )


class FixedClock:
    def now_ms(self) -> EpochMs:
        return NOW_MS


class MemoryControl:
    """Rooms and recordings as plain dictionaries, with the control plane's own errors."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {each.id: each for each in accounts or (account(), account(OTHER_ID))}
        self.rooms: dict[tuple[AccountId, str], ConferenceView] = {}
        self.recordings: dict[RecordingId, Recording] = {}
        self.tracks: dict[RecordingId, tuple[Track, ...]] = {}
        self.seen: list[Command[Any]] = []
        self.calls = MemoryCalls(self, new_call=call, new_recording=recording)
        self._answers: Mapping[type, Callable[[Any], Any]] = {
            **self.calls.answers,
            commands.StartConferenceRecording: self._start,
            commands.StopConferenceRecording: self._stop,
            commands.ListConferences: lambda c: tuple(
                view for (owner, _), view in self.rooms.items() if owner == c.account_id
            ),
            commands.GetConference: lambda c: self.room(c.conference.account_id, c.conference.name),
            commands.ListRecordings: self._page,
            commands.GetRecording: lambda c: self.view_of(self._recording(c)),
            commands.DeleteRecording: self._delete,
            commands.GetAccount: self._account,
        }

    def open_room(self, name: str, account_id: AccountId = ACCOUNT_ID) -> None:
        self.rooms[account_id, name] = ConferenceView(
            conference=conference(name, account_id),
            participants=(ParticipantView(participant=participant(), call=call()),),
            now_ms=NOW_MS,
        )

    async def execute(self, command: Command[Any]) -> Any:
        self.seen.append(command)
        return self._answers[type(command)](command)

    async def authenticate(self, credentials: Credentials) -> Account:
        found = self.accounts.get(AccountId(credentials.account_id or ""))
        if found is None or found.auth_token != credentials.auth_token:
            raise Unauthenticated
        return found

    def _account(self, command: commands.GetAccount) -> Account:
        if command.account_id not in self.accounts:
            raise AccountNotFound(command.account_id)
        return self.accounts[command.account_id]

    def room(self, account_id: AccountId, name: str) -> ConferenceView:
        if (account_id, name) not in self.rooms:
            raise ConferenceNotFound(name)
        return self.rooms[account_id, name]

    def _running(self, name: str, dialect: str) -> list[Recording]:
        return [
            each
            for each in self.recordings.values()
            if each.is_open and (each.conference_name, each.starter.dialect) == (name, dialect)
        ]

    def _start(self, command: commands.StartConferenceRecording) -> RecordingView:
        owner, name = command.conference.account_id, command.conference.name
        self.room(owner, name)
        if self._running(name, command.starter.dialect):
            raise AlreadyRecording("conference")
        started = recording(
            id=RecordingId(f"rec-{len(self.recordings) + 1}"),
            account_id=owner,
            conference_name=name,
            starter=command.starter,
            options=command.options,
            state=RecordingState.RECORDING,
        )
        self.recordings[started.id] = started
        return self.view_of(started)

    def _stop(self, command: commands.StopConferenceRecording) -> tuple[RecordingId, ...]:
        self.room(command.conference.account_id, command.conference.name)
        running = self._running(command.conference.name, command.dialect)
        if not running and not command.is_idempotent:
            raise NotRecording("conference")
        for each in running:
            self.recordings[each.id] = replace(each, state=RecordingState.COMPLETED)
        return tuple(each.id for each in running)

    def _recording(self, command: commands.GetRecording | commands.DeleteRecording) -> Recording:
        found = self.recordings.get(command.recording_id)
        if found is None or found.account_id != command.account_id:
            raise RecordingNotFound(command.recording_id)
        return found

    def view_of(self, found: Recording) -> RecordingView:
        path = f"/media/Account/{found.account_id}/Recording/{found.id}.{found.format.value}"
        tracks = tuple(
            TrackView(track=each, link=f"http://node{path}/{each.number}")
            for each in self.tracks.get(found.id, ())
        )
        return RecordingView(recording=found, link=f"http://node{path}?signature=s", tracks=tracks)

    def _page(self, command: commands.ListRecordings) -> RecordingPage:
        owned = [r for r in self.recordings.values() if r.account_id == command.account_id]
        part = owned[command.offset : command.offset + command.limit]
        return RecordingPage(
            views=tuple(self.view_of(each) for each in part),
            total=len(owned),
            limit=command.limit,
            offset=command.offset,
        )

    def _delete(self, command: commands.DeleteRecording) -> RecordingView:
        deleted = self.recordings.pop(self._recording(command).id)
        return self.view_of(replace(deleted, state=RecordingState.DELETED))


class MemoryFiles:
    """A file that is None cannot be read."""

    def __init__(self, files: Mapping[str, bytes | None]) -> None:
        self.files = dict(files)

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        if storage_key not in self.files:
            raise FileNotFoundError(storage_key)
        content = self.files[storage_key]
        if content is None:
            raise OSError(5, "Input/output error")
        return content[offset : offset + length]


LINKS = Links("http://node", b"secret")


def make_app(
    control: MemoryControl,
    *,
    dialects: Mapping[str, Dialect] | None = None,
    files: Mapping[str, bytes | None] | None = None,
    faults: list[str] | None = None,
    not_ready: Callable[[], str | None] = lambda: None,
    metrics: Callable[[], Awaitable[bytes]] | None = None,
) -> App:
    """Faults fail the test unless it collects them."""

    def report(where: str, error: BaseException) -> None:
        if faults is None:
            raise AssertionError(where) from error
        faults.append(f"{where}: {error!r}")

    surroundings = Surroundings(control=control, clock=FixedClock(), report_fault=report)
    found = find_dialects() if dialects is None else dialects
    media = MediaApp(
        surroundings=surroundings,
        dialects=found,
        files=MemoryFiles(files or {}),
        check_link=LINKS.check,
    )
    return build_app(
        surroundings=surroundings, dialects=found, media=media, not_ready=not_ready, metrics=metrics
    )
