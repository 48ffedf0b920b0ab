"""The call program that follows answer documents, verb by verb.

The caller hears ringing while the first document is fetched; the first verb that needs media
answers the call. What cannot be had ends the call with the cause that says which document it was.
"""

import asyncio
from dataclasses import dataclass

from tapeline.control import calls, conferences
from tapeline.control.control import Control
from tapeline.control.live import End, LiveCall, Seat
from tapeline.domain.account import Account
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import ConferenceRef, RecordingView, StartConferenceRecording
from tapeline.domain.error import (
    AlreadyRecording,
    AnswerInvalid,
    Conflict,
    DestinationFault,
    NotFound,
    Unavailable,
)
from tapeline.domain.id import new_uuid
from tapeline.domain.recording import Starter
from tapeline.domain.verb import (
    AnswerDocument,
    HangUp,
    JoinConference,
    RecordOnJoin,
    Redirect,
    Verb,
    Wait,
)
from tapeline.flow.documents import Documents, Pause, Question, absolute
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

IDLE_DOCUMENTS_LIMIT = 20
"""Documents in a row without media or time: a circle of redirects ends here."""

_UNREACHABLE_STATUS = 480
_INVALID_STATUS = 500
_BUSY_STATUS = 486
_CAUSES = {
    "start": (EndCause.ANSWER_UNREACHABLE, EndCause.ANSWER_INVALID),
    "action": (EndCause.ACTION_UNREACHABLE, EndCause.ACTION_INVALID),
    "redirect": (EndCause.REDIRECT_UNREACHABLE, EndCause.REDIRECT_INVALID),
    "transfer": (EndCause.TRANSFER_UNREACHABLE, EndCause.TRANSFER_INVALID),
}


@dataclass(frozen=True, slots=True)
class _Ended:
    """The document said how the call ends, and the call was hung up."""


_Step = Question | _Ended | None
"""Where the walk goes on: another document, nowhere, or the next verb."""


class Walker:
    """One call's walk. Implements `flow.program.Program`."""

    def __init__(
        self,
        control: Control,
        documents: Documents,
        live_call: LiveCall,
        *,
        first: Question | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """`first` is asked instead of the application: a transfer's."""
        self._control = control
        self._parts = control.parts
        self._documents = documents
        self._live_call = live_call
        self._first = first
        self._pause = pause
        self._idle_documents = 0
        self._base: str | None = None
        self._scheduled: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            await self._walk()
        finally:
            if self._scheduled is not None:
                self._scheduled.cancel()

    async def _walk(self) -> None:
        await calls.ring(self._parts, self._live_call)
        step = self._first or self._first_question()
        event = "start" if step is None else step.event
        try:
            document = await self._document(step)
            while True:
                outcome = await self._follow(document)
                if isinstance(outcome, _Ended):
                    return
                if outcome is None:
                    await self._hang_up(EndCause.END_OF_DOCUMENT, EndSource.DOCUMENT)
                    return
                event = outcome.event
                document = await self._document(outcome)
        except DestinationFault as fault:
            await self._fail(_CAUSES[event][0], str(fault), _UNREACHABLE_STATUS)
        except AnswerInvalid as fault:
            await self._fail(_CAUSES[event][1], str(fault), _INVALID_STATUS)

    # Documents.

    def _first_question(self) -> Question | None:
        """None when the application carries its document."""
        application = self._live_call.application
        if application is None or application.answer_url is None:
            return None
        return Question(url=application.answer_url, method=application.answer_method, event="start")

    async def _document(self, question: Question | None) -> AnswerDocument:
        self._idle_documents += 1
        if self._idle_documents > IDLE_DOCUMENTS_LIMIT:
            raise AnswerInvalid(f"{IDLE_DOCUMENTS_LIMIT} documents in a row did nothing")
        call = self._live_call.call
        if question is None:
            document = self._documents.carried(self._carried_text(), call)
        else:
            document = await self._fetch(question)
        if document.ignored:
            _log.info("attributes_ignored", call=call.id, attributes=list(document.ignored))
        return document

    def _carried_text(self) -> str:
        application = self._live_call.application
        if application is None or application.answer_document is None:
            raise AnswerInvalid("the application has neither answer_url nor answer_document")
        return application.answer_document

    async def _fetch(self, question: Question) -> AnswerDocument:
        """The answer URL has a second chance: the application's fallback (contract §7)."""
        call, account = self._live_call.call, await self._account()
        self._base = question.url
        try:
            return await self._documents.fetch(question, call, account)
        except (DestinationFault, AnswerInvalid) as fault:
            application = self._live_call.application
            fallback = application.fallback_url if application is not None else None
            if question.event != "start" or application is None or fallback is None:
                raise
            _log.warning("fallback_asked", call=call.id, reason=str(fault))
            self._base = fallback
            second = Question(url=fallback, method=application.fallback_method, event="start")
            return await self._documents.fetch(second, call, account)

    async def _account(self) -> Account:
        return await self._parts.accounts.get(self._live_call.call.account_id)

    # Verbs.

    async def _follow(self, document: AnswerDocument) -> _Step:
        for verb in document.verbs:
            step = await self._do(verb)
            if step is not None:
                return step
        return None

    async def _do(self, verb: Verb) -> _Step:
        match verb:
            case JoinConference():
                return await self._conference(verb)
            case Wait(duration_ms=duration_ms):
                if duration_ms > 0:
                    self._idle_documents = 0
                await self._pause(duration_ms / 1000)
                return None
            case Redirect(url=url, method=method):
                return Question(url=absolute(self._base, url), method=method, event="redirect")
            case HangUp(after_ms=after_ms) if after_ms > 0:
                self._schedule_hang_up(after_ms)
                return None
            case HangUp(reject_status=status):
                await self._reject_or_hang_up(status)
                return _Ended()
            case _:
                raise AnswerInvalid(f"{type(verb).__name__} cannot be followed here")

    async def _reject_or_hang_up(self, status: int | None) -> None:
        cause = EndCause.HANG_UP_VERB
        if status is not None and not self._live_call.is_answered:
            cause = EndCause.BUSY if status == _BUSY_STATUS else EndCause.REJECTED
        await self._hang_up(cause, EndSource.DOCUMENT, status)

    def _schedule_hang_up(self, after_ms: int) -> None:
        """The document goes on meanwhile; a second schedule replaces the first."""
        if self._scheduled is not None:
            self._scheduled.cancel()

        async def later() -> None:
            await self._pause(after_ms / 1000)
            await self._hang_up(EndCause.TIME_LIMIT, EndSource.DOCUMENT)

        self._scheduled = asyncio.ensure_future(later())

    async def _conference(self, verb: JoinConference) -> _Step:
        await calls.answer(self._parts, self._live_call)
        seat = await conferences.join_conference(self._parts, self._live_call, verb)
        if seat is None:
            return None
        self._idle_documents = 0
        view = await self._record(seat, verb.record) if verb.record is not None else None
        await self._stay(seat, verb.time_limit_ms)
        return await self._after_conference(verb, seat, view)

    async def _stay(self, seat: Seat, limit_ms: int) -> None:
        """Until the call has left the conference, or its time there is up."""
        try:
            async with asyncio.timeout(limit_ms / 1000):
                await seat.left.wait()
        except TimeoutError:
            await conferences.leave_conference(self._parts, seat)
            await seat.left.wait()

    async def _record(self, seat: Seat, wanted: RecordOnJoin) -> RecordingView | None:
        """A recording that cannot start harms no call."""
        call = self._live_call.call
        command = StartConferenceRecording(
            conference=ConferenceRef(
                account_id=call.account_id, name=seat.conference.conference.name
            ),
            starter=Starter(
                dialect=call.dialect,
                request_id=new_uuid(),
                callback_url=wanted.callback_url,
                callback_method=wanted.callback_method,
                extras=wanted.extras,
            ),
            options=wanted.options,
        )
        try:
            return await self._control.execute(command)
        except AlreadyRecording:
            return None
        except (Conflict, NotFound, Unavailable) as fault:
            _log.warning("recording_not_started", call=call.id, reason=str(fault))
            return None

    async def _after_conference(
        self, verb: JoinConference, seat: Seat, view: RecordingView | None
    ) -> _Step:
        action = verb.action
        if action is None:
            return None
        extra = {
            "conference_name": seat.conference.conference.name,
            "conference_id": seat.conference.conference.id,
            "member_id": seat.participant.member_id,
        }
        if view is not None:
            extra |= {"recording_id": view.recording.id, "record_url": view.link}
        question = Question(
            url=absolute(self._base, action.url),
            method=action.method,
            event="action",
            extra=extra,
        )
        if action.follows:
            return question
        try:
            await self._documents.tell(question, self._live_call.call, await self._account())
        except DestinationFault as fault:
            _log.warning("action_not_told", call=self._live_call.call.id, reason=str(fault))
        return None

    # The end.

    async def _hang_up(
        self,
        cause: EndCause,
        source: EndSource,
        reject_status: int | None = None,
        detail: str | None = None,
    ) -> None:
        end = End(cause=cause, source=source, detail=detail)
        await calls.hang_up(self._parts, self._live_call, end, reject_status=reject_status)

    async def _fail(self, cause: EndCause, detail: str, reject_status: int) -> None:
        _log.warning("document_failed", call=self._live_call.call.id, cause=cause, reason=detail)
        await self._hang_up(cause, EndSource.ERROR, reject_status, detail)
