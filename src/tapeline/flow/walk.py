"""What the verbs of one call share: the call, what they may use, and how they ask and tell."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from tapeline.control import calls
from tapeline.control.control import Control
from tapeline.control.live import End, LiveCall
from tapeline.control.parts import Parts
from tapeline.domain import event
from tapeline.domain.account import Account
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.error import DestinationFault, TapelineError
from tapeline.domain.id import EventId, new_uuid
from tapeline.domain.verb import Action, RecordCall
from tapeline.flow.documents import Documents, Pause, Question, absolute
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """The document said how the call ends, and the call was hung up."""


Step = Question | Ended | None
"""Where the walk goes on: another document, nowhere, or the next verb."""


class Walk:
    """Made by the walker, handed to each verb. `base` is where the document came from."""

    def __init__(
        self,
        control: Control,
        documents: Documents,
        live_call: LiveCall,
        *,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.control = control
        self.documents = documents
        self.live_call = live_call
        self.pause = pause
        self.base: str | None = None
        self.idle_documents = 0
        self.at_dial_answer: list[RecordCall] = []
        """Recordings that start when a dialled phone answers."""
        self.scheduled_hang_up: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def parts(self) -> Parts:
        return self.control.parts

    def note_activity(self) -> None:
        """There was media, or time went by: this is no circle of documents."""
        self.idle_documents = 0

    async def account(self) -> Account:
        return await self.parts.accounts.get(self.live_call.call.account_id)

    async def hang_up(
        self,
        cause: EndCause,
        source: EndSource,
        reject_status: int | None = None,
        detail: str | None = None,
    ) -> None:
        end = End(cause=cause, source=source, detail=detail)
        await calls.hang_up(self.parts, self.live_call, end, reject_status=reject_status)

    # Asking and telling.

    async def act(self, action: Action | None, extra: Mapping[str, str]) -> Step:
        """A verb has ended: the question whose answer is the next document, or what is told on the
        way to the next verb. Raises AnswerInvalid for an address that is none.
        """
        if action is None:
            return None
        url = absolute(self.base, action.url)
        question = Question(url=url, method=action.method, event="action", extra=extra)
        if action.follows:
            return question
        try:
            await self.documents.tell(question, self.live_call.call, await self.account())
        except DestinationFault as fault:
            _log.warning("action_not_told", call=self.live_call.call.id, reason=str(fault))
        return None

    async def tell(self, topic: str, url: str, method: str, extra: Mapping[str, str]) -> None:
        """An event for a URL that the document named: stored, and delivered beside the walk. Must
        hold no digit that is withheld. Raises AnswerInvalid for an address that is none.
        """
        call, account = self.live_call.call, await self.account()
        told = event.ProgramToldCall(
            id=EventId(new_uuid()),
            at_ms=self.parts.clock.now_ms(),
            account=account,
            call=call,
            application=self.live_call.application,
            topic=topic,
            url=absolute(self.base, url),
            method=method,
            extra=extra,
        )
        await self.parts.store.write(lambda tx: tx.emit(told))

    async def tell_action(self, action: Action | None, extra: Mapping[str, str]) -> None:
        """An action whose answer cannot be followed: its call is over, or its verb goes on."""
        if action is not None:
            await self.tell("action", action.url, action.method, extra)

    # What goes on beside the verbs.

    def go_on_beside(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Until it ends, or the walk does. An unexpected exception in it is a bug of ours."""
        task = asyncio.create_task(work, name=f"{name} of call {self.live_call.call.id}")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        task.add_done_callback(self._note_end)
        return task

    async def stop(self, *tasks: asyncio.Task[None]) -> None:
        """Ends what `go_on_beside` began."""
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def drop(self, *futures: asyncio.Future[Any]) -> None:
        """Ends what nobody waits for any more."""
        for future in futures:
            future.cancel()
        if futures:
            for future in (await asyncio.wait(futures))[0]:
                self._note_end(future)

    def _note_end(self, task: asyncio.Future[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TapelineError):
            _log.warning("not_done_beside", call=self.live_call.call.id, reason=str(error))
        elif error is not None:
            self.parts.bugs.add("call program", error)

    async def close(self) -> None:
        """Ends what goes on beside."""
        await self.stop(*self._beside)
