"""The call program that follows answer documents, verb by verb.

The caller hears ringing while the first document is fetched; the first verb that needs media
answers the call. What cannot be had ends the call with the cause that says which document it was.
What each verb does lives in `verbs_*.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tapeline.control import calls
from tapeline.control.control import Control
from tapeline.control.live import LiveCall
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.error import AnswerInvalid, DestinationFault
from tapeline.domain.verb import (
    AnswerDocument,
    Dial,
    GetDigits,
    HangUp,
    JoinConference,
    Play,
    RecordCall,
    Redirect,
    Speak,
    Verb,
    Wait,
)
from tapeline.flow.documents import Documents, Pause, Question
from tapeline.flow.verbs_conference import join_conference
from tapeline.flow.verbs_dial import dial
from tapeline.flow.verbs_media import get_digits, play_or_speak
from tapeline.flow.verbs_plain import hang_up, redirect, wait
from tapeline.flow.verbs_record import record_call
from tapeline.flow.walk import Ended, Step, Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

IDLE_DOCUMENTS_LIMIT = 20
"""Documents in a row without media or time: a circle of redirects ends here."""

_UNREACHABLE_STATUS = 480
_INVALID_STATUS = 500
_CAUSES = {
    "start": (EndCause.ANSWER_UNREACHABLE, EndCause.ANSWER_INVALID),
    "action": (EndCause.ACTION_UNREACHABLE, EndCause.ACTION_INVALID),
    "redirect": (EndCause.REDIRECT_UNREACHABLE, EndCause.REDIRECT_INVALID),
    "transfer": (EndCause.TRANSFER_UNREACHABLE, EndCause.TRANSFER_INVALID),
}

VERBS: Mapping[type[Verb], Callable[[Walk, Any], Awaitable[Step]]] = {
    Dial: dial,
    GetDigits: get_digits,
    HangUp: hang_up,
    JoinConference: join_conference,
    Play: play_or_speak,
    RecordCall: record_call,
    Redirect: redirect,
    Speak: play_or_speak,
    Wait: wait,
}


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
        self._live_call = live_call
        self._first = first
        self._walk = Walk(control, documents, live_call, pause=pause)

    async def run(self) -> None:
        try:
            await self._follow_documents()
        finally:
            await self._walk.close()

    async def _follow_documents(self) -> None:
        await calls.ring(self._walk.parts, self._live_call)
        step = self._first or self._first_question()
        event = "start" if step is None else step.event
        try:
            document = await self._document(step)
            while True:
                outcome = await self._follow(document)
                if isinstance(outcome, Ended):
                    return
                if outcome is None:
                    await self._walk.hang_up(EndCause.END_OF_DOCUMENT, EndSource.DOCUMENT)
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
        self._walk.idle_documents += 1
        if self._walk.idle_documents > IDLE_DOCUMENTS_LIMIT:
            raise AnswerInvalid(f"{IDLE_DOCUMENTS_LIMIT} documents in a row did nothing")
        call = self._live_call.call
        if question is None:
            document = self._walk.documents.carried(self._carried_text(), call)
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
        call, account = self._live_call.call, await self._walk.account()
        self._walk.base = question.url
        try:
            return await self._walk.documents.fetch(question, call, account)
        except (DestinationFault, AnswerInvalid) as fault:
            application = self._live_call.application
            fallback = application.fallback_url if application is not None else None
            if question.event != "start" or application is None or fallback is None:
                raise
            _log.warning("fallback_asked", call=call.id, reason=str(fault))
            self._walk.base = fallback
            second = Question(url=fallback, method=application.fallback_method, event="start")
            return await self._walk.documents.fetch(second, call, account)

    # Verbs.

    async def _follow(self, document: AnswerDocument) -> Step:
        for verb in document.verbs:
            step = await VERBS[type(verb)](self._walk, verb)
            if step is not None:
                return step
        return None

    async def _fail(self, cause: EndCause, detail: str, reject_status: int) -> None:
        _log.warning("document_failed", call=self._live_call.call.id, cause=cause, reason=detail)
        await self._walk.hang_up(cause, EndSource.ERROR, reject_status, detail)
