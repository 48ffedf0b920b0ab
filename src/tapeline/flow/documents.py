"""Where answer documents come from: the customer's server, or the application itself."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin
from xml.sax.saxutils import escape

from tapeline.delivery.attempt import judge
from tapeline.delivery.schedule import vendor_wait_ms
from tapeline.domain.account import Account
from tapeline.domain.call import Call
from tapeline.domain.delivery import Failure, OutgoingRequest, RetryPolicy
from tapeline.domain.error import AnswerInvalid, DestinationFault
from tapeline.domain.verb import AnswerDocument

DOCUMENT_LIMIT_BYTES = 100 * 1024
"""Contract §6."""
CONCURRENT_REQUESTS = 256
"""Questions to customers' servers at once; further calls wait, still ringing."""
_OK = 200
_MATCH = "{{match}}"
_QUOTES = {'"': "&quot;", "'": "&apos;"}

Pause = Callable[[float], Awaitable[None]]
"""Seconds; `asyncio.sleep` but for tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a call program asks of a customer's server; `event` and `extra` as in CallMoment."""

    url: str
    method: str
    event: str
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one request ended: an answer, or why there was none; both when its body was too large."""

    status: int | None
    body: bytes = field(repr=False, default=b"")
    failure: Failure | None = None
    reason: str | None = None


class Asker(Protocol):
    """What the net's client and the call's dialect do together; `node` wires it."""

    def prepare(
        self, question: Question, call: Call, account: Account
    ) -> tuple[OutgoingRequest, RetryPolicy]:
        """The signed request in the dialect's shape, and how often it may be repeated."""

    async def send(self, request: OutgoingRequest, retry: RetryPolicy, limit_bytes: int) -> Reply:
        """One attempt; a failure is a Reply, never an exception."""

    def parse(self, body: bytes, call: Call) -> AnswerDocument:
        """Raises AnswerInvalid."""


class Documents:
    """Asks, repeats as the customer's URL says, and reads the answer."""

    def __init__(
        self,
        asker: Asker,
        *,
        pause: Pause = asyncio.sleep,
        concurrent: int = CONCURRENT_REQUESTS,
    ) -> None:
        self._asker = asker
        self._pause = pause
        self._room = asyncio.Semaphore(concurrent)

    async def fetch(self, question: Question, call: Call, account: Account) -> AnswerDocument:
        """Raises DestinationFault (nothing but 200 is an answer), AnswerInvalid."""
        async with self._room:
            reply = await self._ask(question, call, account)
        if reply.failure is not None:
            raise AnswerInvalid(reason_of(reply))
        return self._asker.parse(reply.body, call)

    async def tell(self, question: Question, call: Call, account: Account) -> None:
        """Asks where the answer does not matter. Raises DestinationFault."""
        async with self._room:
            await self._ask(question, call, account)

    def carried(self, document: str, call: Call) -> AnswerDocument:
        """The application's own document. Raises AnswerInvalid."""
        text = document.replace(_MATCH, escape(call.matched, _QUOTES))
        return self._asker.parse(text.encode(), call)

    async def _ask(self, question: Question, call: Call, account: Account) -> Reply:
        """A reply with status 200; its `failure` is set when its body could not be used."""
        request, retry = self._asker.prepare(question, call, account)
        reply = Reply(status=None, reason=f"no answer within {retry.total_ms} ms")
        try:
            async with asyncio.timeout(retry.total_ms / 1000):
                for repeated in itertools.count():
                    reply = await self._asker.send(request, retry, DOCUMENT_LIMIT_BYTES)
                    if reply.status == _OK:
                        return reply
                    wait_ms = vendor_wait_ms(retry, repeated, failure_of(reply), elapsed_ms=0)
                    if wait_ms is None:
                        break
                    await self._pause(wait_ms / 1000)
        except TimeoutError:
            pass
        # Not the request's URL: with GET its query holds what was keyed.
        raise DestinationFault(question.url, reason_of(reply))


def failure_of(reply: Reply) -> Failure | None:
    """The retry syntax's word for what went wrong."""
    return reply.failure if reply.status is None else judge(reply.status)


def reason_of(reply: Reply) -> str:
    if reply.reason is not None:
        return reply.reason
    return f"answered {reply.status} instead of 200"


def absolute(base: str | None, url: str) -> str:
    """`url` as seen from the document that came from `base`. Raises AnswerInvalid."""
    try:
        found = urljoin(base or "", url)
    except ValueError as error:
        raise AnswerInvalid(f"{url!r} is no URL") from error
    if not found.lower().startswith(("http://", "https://")):
        raise AnswerInvalid(f"{url!r} is no http or https URL")
    return found
