"""A node without sockets: the real control plane and rows over the in-memory engine."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tapeline.cluster import LocalOwnership
from tapeline.control import AccountCache, Control, DialectRules, Dispatcher, Parts, calls
from tapeline.control.live import LiveCall
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.call import Call
from tapeline.domain.command import (
    AccountCreated,
    AddNumber,
    AnswerCall,
    CreateAccount,
    CreateApplication,
    ListNumbers,
    SetAccount,
)
from tapeline.domain.delivery import OutgoingRequest, RetryPolicy
from tapeline.domain.error import AnswerInvalid, DestinationFault, SynthesiserFailed
from tapeline.domain.id import AccountId, CallId, EpochMs, NodeId, RecordingId
from tapeline.domain.port import Store, Transaction
from tapeline.domain.recording import (
    Layout,
    Recording,
    RecordingFormat,
    RecordingOptions,
)
from tapeline.domain.signal import LegHandle, PlaybackHandle
from tapeline.domain.sound import Fetched, Given, Keys, Sound, Spoken
from tapeline.domain.verb import (
    Action,
    AnswerDocument,
    Confirm,
    Dial,
    DialTarget,
    GetDigits,
    HangUp,
    JoinConference,
    Play,
    RecordCall,
    RecordOnJoin,
    Redirect,
    Speak,
    Verb,
    Wait,
)
from tapeline.engine import MemoryEngine
from tapeline.flow import CallPrograms, Commanded, Documents, Program, Walker
from tapeline.flow.documents import Question, Reply
from tapeline.proof import Signer
from tapeline.recording import Prover, recording_event
from tapeline.recording.facts import of_finished, terminal, with_facts
from tapeline.state import SqlStore, Vault
from tapeline.storage import LocalStore
from tapeline.telemetry import Bugs

EventT = TypeVar("EventT", bound=event.Event)
DIALECT = "plain"
HOOK = "http://customer.example/hook"
COMMANDED = "commanded"
"""A dialect whose calls are steered by commands."""
NOW_MS = EpochMs(1_700_000_000_000)
LIMIT_S = 10.0
"""How long a test waits for what must happen; never reached by one that passes."""

VERBS: Mapping[str, type[Any]] = {
    "dial": Dial,
    "digits": GetDigits,
    "join": JoinConference,
    "play": Play,
    "record": RecordCall,
    "speak": Speak,
    "wait": Wait,
    "redirect": Redirect,
    "hang_up": HangUp,
}

NOBODY = AccountCreated(
    account=Account(
        id=AccountId("MA" + "N" * 18),
        name="Nobody",
        auth_token="none",
        api_key_hash="none",
        signing_seed=bytes(32),
        public_key="",
        created_at_ms=NOW_MS,
    ),
    auth_token="none",
    api_key="none",
)


class ExpectedBugs(Bugs):
    """Counts like Bugs, without failing the test that provokes them."""

    def add(self, where: str, error: BaseException) -> None:
        self.count += 1
        self.seen.append(f"{where}: {error!r}")


@dataclass
class FakeClock:
    at_ms: EpochMs = NOW_MS

    def now_ms(self) -> EpochMs:
        return self.at_ms


def document(*verbs: tuple[str, Mapping[str, Any]]) -> str:
    """The tests' own document language: JSON of verbs and their fields."""
    return json.dumps(verbs)


def parse_document(body: bytes) -> AnswerDocument:
    try:
        return AnswerDocument(verbs=tuple(_verb(name, fields) for name, fields in json.loads(body)))
    except (ValueError, KeyError, TypeError) as error:
        raise AnswerInvalid(f"no document: {error}") from error


def _verb(name: str, fields: dict[str, Any]) -> Verb:
    if name == "record":
        options = fields.get("options", {})
        layout = Layout(options.pop("layout", Layout.MIX))
        fields["options"] = RecordingOptions(layout=layout, **options)
    if "targets" in fields:
        fields["targets"] = tuple(_target(**target) for target in fields["targets"])
    if "prompts" in fields:
        fields["prompts"] = tuple(_verb(*prompt) for prompt in fields["prompts"])
    if fields.get("invalid_prompt"):
        fields["invalid_prompt"] = _verb(*fields["invalid_prompt"])
    if "digits_match" in fields:
        fields["digits_match"] = tuple(fields["digits_match"])
    if "record" in fields:
        options = RecordingOptions(format=RecordingFormat(fields["record"]))
        fields["record"] = RecordOnJoin(options=options)
    if "confirm" in fields:
        fields["confirm"] = Confirm(**fields["confirm"])
    if "action" in fields:
        fields["action"] = Action(**fields["action"])
    verb: Verb = VERBS[name](**fields)
    return verb


def _target(*, keys: dict[str, Any] | None = None, **fields: Any) -> DialTarget:
    return DialTarget(**fields, keys=None if keys is None else Keys(**keys))


class ScriptedAsker:
    """The customer's server: answers by URL, the last one for ever; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, deque[Reply]] = {}
        self.asked: list[tuple[Question, Call]] = []
        self.sent: list[str] = []
        self.breaks = False
        self.retry = RetryPolicy()
        self._asked = asyncio.Event()
        self.hold: asyncio.Event | None = None
        """While set and unset, requests stay without an answer."""

    def answer(self, url: str, *replies: Reply | str) -> None:
        self.answers[url] = deque(
            Reply(status=200, body=reply.encode()) if isinstance(reply, str) else reply
            for reply in replies
        )

    def prepare(
        self, question: Question, call: Call, _account: Account
    ) -> tuple[OutgoingRequest, RetryPolicy]:
        if self.breaks:
            raise ZeroDivisionError("a bug in the test's dialect")
        self.asked.append((question, call))
        request = OutgoingRequest(method=question.method, url=question.url, headers={}, body=b"")
        return request, self.retry

    async def send(self, request: OutgoingRequest, _retry: RetryPolicy, _limit: int) -> Reply:
        self.sent.append(request.url)
        self._asked.set()
        if self.hold is not None:
            await self.hold.wait()
        replies = self.answers.get(request.url, deque([Reply(status=404)]))
        return replies.popleft() if len(replies) > 1 else replies[0]

    async def was_asked(self) -> None:
        """Waits for the first request."""
        async with asyncio.timeout(LIMIT_S):
            await self._asked.wait()

    def parse(self, body: bytes, _call: Call) -> AnswerDocument:
        return parse_document(body)


class MemorySounds:
    """`domain.port.SoundSource` of files that nobody ever reads."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.open: list[str] = []
        """What is there now."""
        self.made: list[str] = []
        self.hold: asyncio.Event | None = None
        """While set and unset, nothing is made."""

    @contextlib.asynccontextmanager
    async def file(self, sound: Sound) -> AsyncIterator[Path]:
        if self.hold is not None:
            await self.hold.wait()
        match sound:
            case Fetched(url):
                if url in self.missing:
                    raise DestinationFault(url, "answered 404 instead of 200")
                name = url
            case Spoken(text=text, voice=voice, language=language):
                if text in self.missing:
                    raise SynthesiserFailed("no voice")
                name = f"{language}/{voice}/{text}"
            case Given(content):
                name = f"given {len(content)}"
        with self._there(name) as path:
            yield path

    @contextlib.contextmanager
    def _there(self, name: str) -> Iterator[Path]:
        self.made.append(name)
        self.open.append(name)
        try:
            yield Path(name)
        finally:
            self.open.remove(name)


class MemoryFinaliser:
    """`control.Finaliser` for files that an in-memory engine never wrote."""

    def __init__(self, store: Store, link_of: Any) -> None:
        self._store = store
        self._link_of = link_of
        self.refuses: dict[RecordingId, Exception] = {}

    async def finalise(
        self, recording_id: RecordingId, finished: signal.RecordingFinished
    ) -> Recording:
        if recording_id in self.refuses:
            raise self.refuses[recording_id]

        def work(tx: Transaction) -> Recording:
            row = tx.recordings.get(recording_id)
            assert row is not None
            done = terminal(with_facts(row, of_finished(finished)))
            tx.recordings.update(done)
            tx.emit(recording_event(tx, event.RecordingFinished, done, NOW_MS, self._link_of(done)))
            return done

        return await self._store.write(work)


@dataclass
class MemoryFiles:
    deleted: list[str] = field(default_factory=list)

    async def delete(self, storage_key: str) -> None:
        self.deleted.append(storage_key)


class Pauses:
    """Stands for `asyncio.sleep`: remembers the seconds; ends at once, or when `hold` is set."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.hold: asyncio.Event | None = None
        self._begun = asyncio.Condition()

    async def begun(self, count: int) -> None:
        """Waits until so many pauses have begun in all."""
        async with asyncio.timeout(LIMIT_S), self._begun:
            await self._begun.wait_for(lambda: len(self.seconds) >= count)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        async with self._begun:
            self._begun.notify_all()
        if self.hold is not None:
            await self.hold.wait()


@dataclass
class World:
    store: SqlStore
    engine: MemoryEngine
    parts: Parts
    control: Control
    dispatcher: Dispatcher
    programs: CallPrograms
    asker: ScriptedAsker
    pauses: Pauses
    sounds: MemorySounds
    files: MemoryFiles
    finaliser: MemoryFinaliser
    clock: FakeClock
    bugs: Bugs
    account: Account
    auth_token: str
    api_key: str
    events: list[event.Event] = field(default_factory=list)

    def seen(self, kind: type[EventT]) -> list[EventT]:
        return [each for each in self.events if isinstance(each, kind)]

    async def happened(self, kind: type[EventT], count: int = 1) -> list[EventT]:
        """Waits until so many events of that kind have been committed in all."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.seen(kind)) < count:
                await self._next()
        return self.seen(kind)

    async def settled(self) -> None:
        """What the core has reported so far has been dealt with."""
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT_S):
            await self.dispatcher.lanes.idle()

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits for what no event tells."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def playing(self) -> PlaybackHandle:
        """Waits for a file that is played, the newest."""
        await self.until(lambda: self.engine.playbacks)
        return max(self.engine.playbacks)

    async def dialled(self, count: int = 1) -> list[LegHandle]:
        """Waits until so many calls of ours are on their way; their legs in order."""
        await self.happened(event.CallDialled, count)
        await self.until(lambda: len(self._outgoing()) >= count)
        return self._outgoing()

    def _outgoing(self) -> list[LegHandle]:
        return [leg for leg, known in self.engine.legs.items() if known.dialled is not None]

    def note(self, events: Sequence[event.Event]) -> None:
        self.events.extend(events)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    _waiters: list[asyncio.Future[None]] = field(default_factory=list)

    async def _next(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def room_application(self, pattern: str = "room-*") -> None:
        """Calls to `room-NAME` join NAME."""
        await self.application(pattern, answer_document=document(("join", {"name": "{{match}}"})))

    async def application(self, pattern: str, **fields: Any) -> None:
        created = await self.control.execute(
            CreateApplication(account_id=self.account.id, dialect=DIALECT, name=pattern, **fields)
        )
        await self.control.execute(AddNumber(pattern=pattern, application_id=created.id))

    async def join(self, name: str, *, caller: str = "+15550100") -> LegHandle:
        """A call that sits in conference `name`, by its number `room-NAME`."""
        before = len(self.seen(event.ParticipantJoined))
        leg = self.engine.arrive(called=f"room-{name}", caller=caller)
        await self.happened(event.ParticipantJoined, before + 1)
        return leg

    async def answered_call(self, *, caller: str = "+15550100") -> LiveCall:
        """A call that was answered and waits in its private room, for as long as the test."""
        self.pauses.hold = asyncio.Event()
        pattern = f"call-{len(self.engine.commands)}"
        await self.application(pattern, answer_document=document(("wait", {"duration_ms": 1_000})))
        leg = self.engine.arrive(called=pattern, caller=caller)
        await self.pauses.begun(len(self.pauses.seconds) + 1)
        await calls.answer(self.parts, self.parts.live.calls[leg])
        await self.settled()
        return self.parts.live.calls[leg]

    async def commanded(self, *, answered: bool = True, caller: str = "+15550100") -> LiveCall:
        """A call that came in to a dialect whose calls commands steer."""
        numbers = await self.control.execute(ListNumbers(account_id=self.account.id))
        if not any(number.pattern == "commanded-*" for number in numbers):
            created = await self.control.execute(
                CreateApplication(
                    account_id=self.account.id, dialect=COMMANDED, name="c", answer_url=HOOK
                )
            )
            await self.control.execute(AddNumber(pattern="commanded-*", application_id=created.id))
        before = len(self.seen(event.CallArrived))
        leg = self.engine.arrive(called=f"commanded-{before}", caller=caller)
        await self.happened(event.CallArrived, before + 1)
        await self.settled()
        live_call = self.parts.live.calls[leg]
        if answered:
            await self.control.execute(
                AnswerCall(account_id=self.account.id, call_id=live_call.call.id)
            )
            await self.settled()
        return live_call

    async def call(self, call_id: CallId) -> Call:
        found = await self.store.read(lambda tx: tx.calls.get(call_id))
        assert found is not None
        return found

    async def recording(self, recording_id: RecordingId) -> Recording:
        found = await self.store.read(lambda tx: tx.recordings.get(recording_id))
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def world(
    folder: Path,
    *,
    bugs: Bugs | None = None,
    engine: MemoryEngine | None = None,
    with_account: bool = True,
) -> AsyncIterator[World]:
    """Everything running, with one account."""
    bugs = bugs or Bugs()
    engine = engine or MemoryEngine()
    store = await SqlStore.open(folder / "tapeline.db", Vault(bytes(range(32))))
    files, clock, asker, pauses = MemoryFiles(), FakeClock(), ScriptedAsker(), Pauses()
    sounds = MemorySounds()

    def link_of(recording: Recording) -> str:
        return f"http://node/media/{recording.id}.{recording.format}"

    finaliser = MemoryFinaliser(store, link_of)
    prover = Prover(
        store=store,
        files=LocalStore(folder / "recordings"),
        signer=Signer(folder / "keys"),
        drafts=folder,
    )
    parts = Parts(
        store=store,
        engine=engine,
        clock=clock,
        ownership=LocalOwnership(NodeId("node-1")),
        finaliser=finaliser,
        files=files,
        prover=prover,
        link_of=link_of,
        track_link_of=lambda recording, track: f"{link_of(recording)}/{track.number}",
        sign_link=lambda url, account, now_ms: f"{url}?for={account.id}&at={now_ms}",
        dialects={
            DIALECT: DialectRules(parse_answer=parse_document, settings={"tone": ("low", "high")}),
            COMMANDED: DialectRules(parse_answer=None),
        },
        spool=folder / "spool",
        bugs=bugs,
        accounts=AccountCache(store),
        sounds=sounds,
    )
    control = Control(parts)
    documents = Documents(asker, pause=pauses)

    def program_of(live_call: LiveCall, first: Question | None) -> Program:
        if parts.dialects[live_call.call.dialect].parse_answer is None:
            return Commanded(parts, live_call)
        return Walker(control, documents, live_call, first=first, pause=pauses)

    programs = CallPrograms(parts, program_of)
    parts.programs.wire(programs)
    dispatcher = Dispatcher(parts)
    engine.subscribe(dispatcher.receive)
    tasks = [
        asyncio.ensure_future(dispatcher.run()),
        asyncio.ensure_future(programs.run()),
        asyncio.ensure_future(parts.tasks.run()),
    ]
    await asyncio.sleep(0)
    created = await control.execute(CreateAccount(name="Test")) if with_account else NOBODY
    built = World(
        store=store,
        engine=engine,
        parts=parts,
        control=control,
        dispatcher=dispatcher,
        programs=programs,
        asker=asker,
        pauses=pauses,
        sounds=sounds,
        files=files,
        finaliser=finaliser,
        clock=clock,
        bugs=bugs,
        account=created.account,
        auth_token=created.auth_token,
        api_key=created.api_key,
    )
    store.subscribe(after_commit=built.note)
    try:
        yield built
    finally:
        programs.close()
        parts.tasks.close()
        await asyncio.gather(*tasks[1:])
        tasks[0].cancel()
        await asyncio.wait(tasks)
        await store.close()


async def set_account(built: World, **fields: Any) -> Account:
    return await built.control.execute(SetAccount(account_id=built.account.id, **fields))
