"""The composition root: builds every part, wires them, starts and stops them in order.

Start: folder lock, rows, what a dead node left, the core, HTTP, and only then calls.
Stop: nothing new, recordings and calls end, callbacks go out while HTTP still serves the files,
then everything closes in the opposite order.
"""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tapeline.api.app import build_app
from tapeline.api.dialect import Answers, CallMoment, Dialect, find_dialects
from tapeline.api.local import LocalApp, bind_control_socket
from tapeline.api.media import MediaApp
from tapeline.api.operations import Surroundings
from tapeline.api.server import HttpServer, bind_tcp
from tapeline.cluster import LocalOwnership
from tapeline.config import Config, ConfigError
from tapeline.control import AccountCache, Control, DialectRules, Dispatcher, Parts
from tapeline.control.first_start import make_ready_room
from tapeline.control.lifecycle import close_lost, drain
from tapeline.control.limits import watch_limits
from tapeline.control.live import LiveCall
from tapeline.control.recordings import finish_put_off
from tapeline.control.retention import watch_retention
from tapeline.control.sounds import Sounds
from tapeline.control.trunks.commands import take_up
from tapeline.delivery import Deliverer, Outbox, Sender
from tapeline.domain.account import Account
from tapeline.domain.call import Call
from tapeline.domain.command import AccountCreated
from tapeline.domain.delivery import OutgoingRequest, RetryPolicy, Secrets
from tapeline.domain.event import TranscriptFinished
from tapeline.domain.id import CallId, EpochMs, RecordingId
from tapeline.domain.port import Clock, Transaction
from tapeline.domain.recording import Recording
from tapeline.domain.signal import TracedMessage
from tapeline.domain.storage import Bucket
from tapeline.domain.transcript import Transcript
from tapeline.engine import Access, CoreSettings
from tapeline.engine.absent import AbsentEngine
from tapeline.engine.core import CoreEngine
from tapeline.engine.spool import CoreSpoolTools
from tapeline.flow import (
    CallPrograms,
    Commanded,
    Documents,
    HttpAsker,
    Program,
    Voice,
    Walker,
)
from tapeline.flow.documents import Question
from tapeline.net import Destinations, GuardedClient
from tapeline.pipeline import Outfit, Pipeline
from tapeline.proof import Signer
from tapeline.recording import Finaliser, Prover, companion_keys, recording_event, recover
from tapeline.speech import FirstThatSpeaks, MoonshineRecogniser
from tapeline.state import DataFolder, SqlStore, Vault, load_master_key, sqlite_url
from tapeline.storage import Buckets, Links, LocalStore, Places
from tapeline.telemetry import Bugs, SystemClock, get_logger
from tapeline.telemetry.metrics import Figures, render

_log = get_logger(__name__)

DRAIN_LIMIT_S = 8.0
SETTLE_PAUSE_S = 0.05
MASTER_KEY_VARIABLE = "TAPELINE_MASTER_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a running node and the command line beside a folder both stand on."""

    folder: DataFolder
    store: SqlStore
    dialects: Mapping[str, Dialect]
    files: Places
    links: Links
    finaliser: Finaliser
    parts: Parts
    """With an engine that refuses everything; a node puts its own in."""


@contextlib.asynccontextmanager
async def open_ground(
    config: Config, bugs: Bugs, *, link_head: str | None = None
) -> AsyncIterator[Ground]:
    """Takes the data folder and opens what lies in it. Raises TapelineError, OSError."""
    folder = DataFolder(config.data_dir)
    dialects = find_dialects()
    with folder.lock():
        vault = Vault(load_master_key(folder.master_key, os.environ.get(MASTER_KEY_VARIABLE)))
        store = await SqlStore.open(folder.database, vault)
        try:
            yield lay_ground(
                folder=folder,
                store=store,
                dialects=dialects,
                links=Links(link_head or config.link_head, vault.derive("links")),
                bugs=bugs,
                realm=config.sip_realm,
            )
        finally:
            await store.close()


def lay_ground(
    *,
    folder: DataFolder,
    store: SqlStore,
    dialects: Mapping[str, Dialect],
    links: Links,
    bugs: Bugs,
    realm: str,
) -> Ground:
    clock, buckets = SystemClock(), Buckets()
    files = Places(LocalStore(folder.recordings), buckets, partial(bucket_of, store))
    prover = Prover(store=store, files=files, signer=Signer(folder.keys), drafts=folder.spool)
    finaliser = Finaliser(
        store=store,
        files=files,
        prover=prover,
        tools=CoreSpoolTools(),
        clock=clock,
        spool=folder.spool,
        link_of=links.link_of,
    )
    parts = Parts(
        store=store,
        engine=AbsentEngine(),
        clock=clock,
        ownership=LocalOwnership.of_folder(folder.root),
        finaliser=finaliser,
        files=files,
        prover=prover,
        link_of=links.link_of,
        track_link_of=links.track_link_of,
        sign_link=links.for_account,
        dialects={name: rules_of(dialect) for name, dialect in dialects.items()},
        spool=folder.spool,
        bugs=bugs,
        accounts=AccountCache(store),
        realm=realm,
        open_bucket=buckets.open,
    )
    return Ground(
        folder=folder,
        store=store,
        dialects=dialects,
        files=files,
        links=links,
        finaliser=finaliser,
        parts=parts,
    )


async def bucket_of(store: SqlStore, recording_id: RecordingId) -> Bucket | None:
    """Where that recording is, or is on its way to."""

    def work(tx: Transaction) -> Bucket | None:
        found = tx.stored.get(recording_id)
        return None if found is None else tx.buckets.get(found.bucket_id)

    return await store.read(work)


@contextlib.asynccontextmanager
async def open_offline(config: Config) -> AsyncIterator[Control]:
    """The control plane beside a folder whose node does not run. Raises DataFolderInUse."""
    async with open_ground(config, Bugs()) as ground:
        yield Control(ground.parts)


class Node:
    """One node in one process. `start` once, then `stop`, on the loop that it lives on."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bugs = Bugs()
        self.sip_addresses: list[str] = []
        self.sip_streams: list[tuple[str, str]] = []
        self.http_url = ""
        self._why_not_ready: str | None = "it is starting"
        self._open = contextlib.AsyncExitStack()
        self._parts: Parts | None = None
        self._engine: CoreEngine | None = None
        self._dispatcher: Dispatcher | None = None
        self._is_stopping = False

    def not_ready(self) -> str | None:
        """Why calls cannot come in, or None when they can."""
        return self._why_not_ready

    async def start(self) -> AccountCreated | None:
        """Returns when calls can come in; the first account, when this start made one.

        Raises OSError (an address is taken), ValueError, TapelineError (the folder is in use, the
        rows cannot be opened). What was opened is closed again then.
        """
        try:
            return await self._start()
        except BaseException:
            await self._open.aclose()
            raise

    async def _start(self) -> AccountCreated | None:
        self.bugs.watch(asyncio.get_running_loop())
        listening = bind_tcp(*self.config.http_address)
        self._open.callback(listening.close)
        self.http_url = url_of(listening)
        head = self.config.link_head if self.config.http_address[1] else self.http_url
        ground = await self._open.enter_async_context(
            open_ground(self.config, self.bugs, link_head=self.config.public_url or head)
        )
        client = await self._open.enter_async_context(
            GuardedClient(Destinations(self.config.outgoing_allow))
        )
        deliverer = self._deliverer(ground, client)
        pipeline = self._pipeline(ground)
        await close_lost(ground.parts)
        await recover(ground.finaliser, ground.parts.ownership.node_id)
        engine = self._build_engine(ground)
        self._parts = replace(
            ground.parts,
            engine=engine,
            sounds=self._sounds(ground, client),
            accepts_transfers=self.config.sip_transfers == "accept",
            wake_deliverer=deliverer.wake,
            wake_work=pipeline.wake,
        )
        control = Control(self._parts)
        created = await self._ready_room(ground, control)
        await self._serve_http(ground, control, engine, listening)
        self._run(deliverer.run(), "deliverer")
        self._open.push_async_callback(deliverer.stop)
        await pipeline.open()
        self._run(pipeline.run(), "scanner of workflows")
        await self._take_calls(ground, control, engine, client)
        self._why_not_ready = None
        return created

    async def stop(self) -> None:
        """Ends calls and recordings, lets callbacks go out, then closes everything."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._why_not_ready = "it is stopping"
        try:
            if self._parts is not None:
                await drain(self._parts, within_s=DRAIN_LIMIT_S)
                await self._stop_core()
                await settle_deliveries(self._parts, within_s=self.config.stop_grace_s)
        finally:
            await self._open.aclose()

    def reload_tls(self) -> None:
        """New connections get the certificates that the files hold now.

        Raises OSError or ValueError where they cannot be used: the old ones stay.
        """
        if self._engine is not None:
            self._engine.reload_tls()

    async def _stop_core(self) -> None:
        """What it still reports is dealt with before anything else closes."""
        if self._engine is None or self._dispatcher is None:
            return
        await self._engine.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await self._dispatcher.lanes.idle()

    # Parts.

    def _deliverer(self, ground: Ground, client: GuardedClient) -> Deliverer:
        sender = Sender(
            seals={name: dialect.seal for name, dialect in ground.dialects.items()},
            sign_link=ground.links.for_account,
            send=client.send,
            clock=ground.parts.clock,
            bugs=self.bugs,
        )
        deliverer = Deliverer(ground.store, sender, count=ground.parts.counts.add)
        renders = {name: dialect.render_event for name, dialect in ground.dialects.items()}
        ground.store.subscribe(in_transaction=Outbox(renders, deliverer.wake).stage)
        return deliverer

    def _pipeline(self, ground: Ground) -> Pipeline:
        """Its recogniser's worker process ends after it."""
        recogniser = recogniser_of(self.config)
        if recogniser is not None:
            self._open.push_async_callback(recogniser.close)
        parts = ground.parts
        pipeline = Pipeline(
            Outfit(
                store=ground.store,
                files=ground.files,
                open_bucket=ground.files.buckets.open,
                companions_of=companion_keys,
                recogniser=recogniser,
                make_event=partial(transcript_event, parts.link_of),
                clock=parts.clock,
                node_id=parts.ownership.node_id,
                bugs=self.bugs,
                count=parts.counts.add,
                database_url=sqlite_url(ground.folder.workflows),
            )
        )
        self._open.push_async_callback(pipeline.close)
        return pipeline

    def _sounds(self, ground: Ground, client: GuardedClient) -> Sounds:
        speaker = FirstThatSpeaks()
        self._open.push_async_callback(speaker.close)
        return Sounds(client, speaker, ground.folder.spool)

    def _build_engine(self, ground: Ground) -> CoreEngine:
        settings = core_settings(self.config, ground.folder)
        try:
            engine = CoreEngine.build(settings, bugs=self.bugs)
        except ValueError as error:
            raise ConfigError(f"the core does not take the configuration: {error}") from error
        self._open.push_async_callback(engine.stop)
        self._engine = engine
        self.sip_addresses = list(engine.sip_addresses)
        self.sip_streams = list(engine.sip_streams)
        return engine

    async def _ready_room(self, ground: Ground, control: Control) -> AccountCreated | None:
        if not self.config.room:
            return None
        dialect = default_dialect(self.config, ground.dialects)
        return await make_ready_room(
            control, dialect=dialect.name, room_document=answers_of(dialect).room_document
        )

    async def _serve_http(
        self, ground: Ground, control: Control, engine: CoreEngine, listening: socket.socket
    ) -> None:
        around = Surroundings(control=control, clock=ground.parts.clock, report_fault=self.bugs.add)
        media = MediaApp(
            surroundings=around,
            dialects=ground.dialects,
            files=ground.files,
            check_link=ground.links.check,
        )
        app = build_app(
            surroundings=around,
            dialects=ground.dialects,
            media=media,
            not_ready=self.not_ready,
            metrics=partial(self._metrics, ground, engine, control.parts)
            if self.config.metrics
            else None,
        )
        local = LocalApp(
            surroundings=around,
            stats=partial(figures, engine, control.parts),
            trace=partial(sip_trace, engine, control.parts),
        )
        servers = (
            HttpServer(app, listening),
            HttpServer(local, bind_control_socket(ground.folder.root)),
        )
        for server in servers:
            self._open.push_async_callback(server.stop)
            await server.start()

    async def _metrics(self, ground: Ground, engine: CoreEngine, parts: Parts) -> bytes:
        stored, works, pending = await parts.store.read(
            lambda tx: (tx.stored.counts(), tx.works.counts(), tx.deliveries.pending_count())
        )
        return render(
            Figures(
                core=engine.stats(),
                live=parts.live.figures(),
                counted={**parts.counts.values, "bugs": parts.bugs.count},
                stored=stored,
                works=works,
                deliveries_pending=pending,
                disk_free_bytes=shutil.disk_usage(ground.folder.root).free,
                disk_reserve_bytes=self.config.disk_reserve_mb * 1_000_000,
                is_ready=self._why_not_ready is None,
            )
        )

    async def _take_calls(
        self, ground: Ground, control: Control, engine: CoreEngine, client: GuardedClient
    ) -> None:
        voices = {
            name: voice_of(dialect.answers, ground.parts.clock)
            for name, dialect in ground.dialects.items()
            if dialect.answers is not None
        }
        documents = Documents(HttpAsker(client, voices))

        def program_of(live_call: LiveCall, first: Question | None) -> Program:
            if ground.dialects[live_call.call.dialect].answers is None:
                return Commanded(control.parts, live_call)
            return Walker(control, documents, live_call, first=first)

        programs = CallPrograms(control.parts, program_of)
        control.parts.programs.wire(programs)
        dispatcher = Dispatcher(control.parts)
        self._run(dispatcher.run(), "dispatcher")
        self._run(programs.run(), "call programs")
        self._run(control.parts.tasks.run(), "sounds to be heard")
        self._run(finish_put_off(control.parts), "second tries of recordings")
        self._run(watch_limits(control.parts), "watch on limits")
        self._run(watch_retention(control.parts), "watch on retention")
        await asyncio.sleep(0)  # both run before the first signal
        self._dispatcher = dispatcher
        engine.subscribe(dispatcher.receive)
        engine.start()
        await take_up(control.parts)

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A task of the node's, cancelled when it closes; it must not end before."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._note_end, name))
        self._open.push_async_callback(cancel, task)

    def _note_end(self, name: str, task: asyncio.Task[None]) -> None:
        if self._is_stopping or task.cancelled():
            return
        self._why_not_ready = f"its {name} has ended"
        self.bugs.add(name, task.exception() or RuntimeError(f"the {name} ended by itself"))


# How the parts see each other.


def rules_of(dialect: Dialect) -> DialectRules:
    return DialectRules(
        parse_answer=None if dialect.answers is None else dialect.answers.parse,
        settings={setting.key: setting.choices for setting in dialect.settings},
    )


def voice_of(answers: Answers, clock: Clock) -> Voice:
    def prepare(
        question: Question, call: Call, account: Account
    ) -> tuple[OutgoingRequest, RetryPolicy]:
        return answers.ask(
            question.url,
            question.method,
            CallMoment(event=question.event, call=call, extra=question.extra),
            account,
            clock.now_ms(),
            Secrets(auth_token=account.auth_token, signing_seed=account.signing_seed),
        )

    return Voice(prepare=prepare, parse_answer=answers.parse)


def recogniser_of(config: Config) -> MoonshineRecogniser | None:
    return MoonshineRecogniser() if config.transcription == "moonshine" else None


def transcript_event(
    link_of: Callable[[Recording], str],
    tx: Transaction,
    transcript: Transcript,
    recording: Recording,
    at_ms: EpochMs,
) -> TranscriptFinished:
    return recording_event(
        tx, TranscriptFinished, recording, at_ms, link_of(recording), transcript=transcript
    )


def default_dialect(config: Config, dialects: Mapping[str, Dialect]) -> Dialect:
    """The one whose document answers the built-in room's calls.

    Raises ConfigError for one that is not there or has no documents.
    """
    answering = [name for name, each in dialects.items() if each.answers is not None]
    name = config.default_dialect or answering[0]
    if name not in answering:
        raise ConfigError(f"default_dialect: {name!r} is none of {', '.join(answering)}")
    return dialects[name]


def answers_of(dialect: Dialect) -> Answers:
    """Raises ConfigError for one whose calls are steered by commands."""
    if dialect.answers is None:
        raise ConfigError(f"default_dialect: {dialect.name!r} has no answer documents")
    return dialect.answers


def core_settings(config: Config, folder: DataFolder) -> CoreSettings:
    return CoreSettings(
        sip_udp=config.sip_udp,
        sip_tcp=config.sip_tcp,
        sip_tls=config.sip_tls,
        sip_ws=config.sip_ws,
        sip_wss=config.sip_wss,
        tls_certificate=config.sip_tls_certificate,
        tls_key=config.sip_tls_key,
        tls_client_ca=config.sip_tls_client_ca,
        tls_trust=config.sip_tls_trust,
        dns=config.sip_dns,
        rtp_address=config.rtp_address,
        rtp_ports=config.rtp_ports,
        codecs=config.codecs,
        room_rate_limit_hz=config.room_rate_limit_hz,
        spool=folder.spool,
        access=Access(
            networks=config.sip_allow,
            rate_per_source=config.sip_rate_limit,
            rate_exempt=config.sip_rate_limit_exempt,
            max_unacknowledged=config.sip_max_unacknowledged,
        ),
        realtime=config.realtime,
        max_legs=config.max_calls,
        max_rooms=config.max_calls,
        max_recorders=config.max_recordings,
        reserve_bytes=config.disk_reserve_mb * 1_000_000,
        ring_limit_ms=config.sip_ring_limit_s * 1_000,
        session_expires_s=config.session_expires_s,
        srtp=config.srtp,
        realm=config.sip_realm,
        sdes_over_plain_sip=config.sdes_over_plain_sip,
    )


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def figures(engine: CoreEngine, parts: Parts) -> Mapping[str, int]:
    """What the control socket's `stats` shows."""
    live = {f"live_{name}": value for name, value in parts.live.figures().items()}
    return {**engine.stats(), **live, **parts.counts.values, "bugs": parts.bugs.count}


def sip_trace(engine: CoreEngine, parts: Parts, call: str) -> Sequence[TracedMessage]:
    """What the control socket's `sip-trace` shows."""
    live_call = parts.live.calls_by_id.get(CallId(call))
    return engine.sip_trace(call if live_call is None else live_call.leg)


async def settle_deliveries(parts: Parts, *, within_s: float) -> None:
    """Waits until no callback is due now; what is due later is the next start's."""
    try:
        async with asyncio.timeout(within_s):
            while await parts.store.read(  # noqa: ASYNC110 - only while stopping
                lambda tx: tx.deliveries.due(parts.clock.now_ms(), limit=1)
            ):
                await asyncio.sleep(SETTLE_PAUSE_S)
    except TimeoutError:
        _log.warning("callbacks_left_for_the_next_start")


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
