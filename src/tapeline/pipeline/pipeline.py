"""The pipeline as a node has it: its steps, its workflows, and who starts them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tapeline.domain.id import NodeId, RecordingId
from tapeline.domain.port import Clock, Recogniser, Store
from tapeline.domain.storage import Bucket
from tapeline.domain.work import Step
from tapeline.pipeline.afterwork import WAITS_S, Afterwork
from tapeline.pipeline.durable import DurableWorkflows, workflow_engine
from tapeline.pipeline.scanner import PAUSE_S, Scanner
from tapeline.pipeline.storing import Folder, Remote, Storing
from tapeline.pipeline.transcription import MakeEvent, Tools, Transcriber
from tapeline.telemetry import Bugs


class Files(Protocol):
    """`storage.Places`."""

    @property
    def local(self) -> Folder: ...
    def file(self, key: str) -> AbstractAsyncContextManager[Path]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """What a pipeline works with."""

    store: Store
    files: Files
    open_bucket: Callable[[Bucket], Remote]
    companions_of: Callable[[str], Mapping[str, str]]
    """The keys of what lies beside an audio file's."""
    recogniser: Recogniser | None
    make_event: MakeEvent
    clock: Clock
    node_id: NodeId
    bugs: Bugs
    count: Callable[[str], None]
    database_url: str
    """Of the workflows: a database of their own."""
    waits_s: tuple[float, ...] = WAITS_S
    scan_every_s: float = PAUSE_S


class Pipeline:
    """Stages work from its making on; `open` before `run`, which is a task of its owner's."""

    def __init__(self, outfit: Outfit) -> None:
        self._transcriber = Transcriber(
            Tools(
                store=outfit.store,
                recogniser=outfit.recogniser,
                clock=outfit.clock,
                open_file=outfit.files.file,
                make_event=outfit.make_event,
                bugs=outfit.bugs,
                count=outfit.count,
            )
        )
        self._storing = Storing(
            store=outfit.store,
            clock=outfit.clock,
            folder=outfit.files.local,
            open_bucket=outfit.open_bucket,
            companions_of=outfit.companions_of,
        )
        afterwork = Afterwork(
            store=outfit.store,
            clock=outfit.clock,
            steps={
                Step.STORE: self._storing.store_remotely,
                Step.TRANSCRIBE: self._transcriber.transcribe,
                Step.RELEASE: self._storing.release,
            },
            bugs=outfit.bugs,
            wake=self.wake,
            count=outfit.count,
            waits_s=outfit.waits_s,
        )
        self._workflows = DurableWorkflows(
            workflow_engine(outfit.database_url), node_id=outfit.node_id, attempt=afterwork.attempt
        )
        self._scanner = Scanner(
            store=outfit.store,
            workflows=self._workflows,
            clock=outfit.clock,
            node_id=outfit.node_id,
            bugs=outfit.bugs,
            count=outfit.count,
            pause_s=outfit.scan_every_s,
        )
        outfit.store.subscribe(in_transaction=self._transcriber.stage)
        outfit.store.subscribe(in_transaction=afterwork.stage)

    def wake(self, recording_id: RecordingId) -> None:
        """Something follows that recording's end; called on the event loop."""
        self._scanner.wake(recording_id)

    async def open(self) -> None:
        """Goes on with what was under way. Raises Unavailable."""
        await self._workflows.open()

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._scanner.run()

    async def close(self) -> None:
        """What is under way is cut off, and begun anew at the next start."""
        await self._workflows.close()
