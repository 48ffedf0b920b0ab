"""Starts every workflow that should exist and does not: at once when it is woken for a recording,
and at the start and every minute whatever was forgotten.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tapeline.domain.error import TapelineError
from tapeline.domain.id import NodeId, RecordingId
from tapeline.domain.port import Clock, Store, Workflows
from tapeline.domain.work import Work, WorkState
from tapeline.pipeline.afterwork import begin_anew
from tapeline.telemetry import Bugs, get_logger

_log = get_logger(__name__)

PAUSE_S = 60.0
MOST_AT_ONCE = 1_000
"""Workflows; a thousand that sleep cost 9 MiB and 3.7 % of a core. The rest waits in the rows."""
STRANDED_MS = 2 * 3_600_000
"""Longer than the longest wait between two tries: nobody carries this one out any more."""


class Scanner:
    """`run` is a task of its owner's."""

    def __init__(  # noqa: PLR0913 what it works with
        self,
        *,
        store: Store,
        workflows: Workflows,
        clock: Clock,
        node_id: NodeId,
        bugs: Bugs,
        count: Callable[[str], None] = lambda _name: None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`count` is told `workflows_stranded`."""
        self._store = store
        self._workflows = workflows
        self._clock = clock
        self._node_id = node_id
        self._bugs = bugs
        self._count = count
        self._pause_s = pause_s
        self._woken: dict[RecordingId, None] = {}
        self._wake = asyncio.Event()
        self._since_ms: dict[str, int] = {}
        """When this process first had a workflow that is pending still."""

    def wake(self, recording_id: RecordingId) -> None:
        """That recording has new work; called on the event loop."""
        if len(self._woken) < MOST_AT_ONCE:
            self._woken[recording_id] = None
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; what the database refuses is tried again."""
        await self._guarded(self.scan)
        while True:
            try:
                async with asyncio.timeout(self._pause_s):
                    await self._wake.wait()
            except TimeoutError:
                await self._guarded(self.scan)
            else:
                self._wake.clear()
                await self._guarded(self._start_woken)

    async def scan(self) -> None:
        """Everything that is pending on this node, as far as there is room. Raises StoreFailed."""
        rows = await self._store.read(
            lambda tx: tx.works.pending_of(self._node_id, limit=MOST_AT_ONCE)
        )
        for row in rows:
            await self._ensure(row)
        pending = {row.workflow_id for row in rows}
        self._since_ms = {id_: at for id_, at in self._since_ms.items() if id_ in pending}
        await self._workflows.forget_ended()

    async def _start_woken(self) -> None:
        while self._woken:
            recording_id = next(iter(self._woken))
            row = await self._row(recording_id)
            self._woken.pop(recording_id, None)
            if row is not None and row.state is WorkState.PENDING:
                await self._ensure(row)

    async def _row(self, recording_id: RecordingId) -> Work | None:
        return await self._store.read(lambda tx: tx.works.get(recording_id))

    async def _ensure(self, row: Work) -> None:
        now_ms = self._clock.now_ms()
        since_ms = max(self._since_ms.setdefault(row.workflow_id, now_ms), row.changed_at_ms)
        is_stranded = now_ms - since_ms > STRANDED_MS
        if is_stranded or await self._workflows.has_ended(row.workflow_id):
            again = await self._store.write(lambda tx: begin_anew(tx, row, now_ms))
            if again is None:
                return
            self._count("workflows_stranded")
            _log.warning("workflow_begun_anew", recording=row.recording_id, round=again.round)
            row = again
        await self._workflows.start(row.workflow_id, row.recording_id)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except TapelineError as error:
            _log.warning("works_not_started", reason=str(error))
        except Exception as error:  # noqa: BLE001  the next scan tries again
            self._bugs.add("scanner of workflows", error)
