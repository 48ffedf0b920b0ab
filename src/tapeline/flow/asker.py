"""Questions of call programs over the guarded HTTP client, in each dialect's shape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapeline.domain.account import Account
from tapeline.domain.call import Call
from tapeline.domain.delivery import OutgoingRequest, RetryPolicy
from tapeline.domain.verb import AnswerDocument
from tapeline.flow.documents import Question, Reply
from tapeline.net import GuardedClient, Limits, RequestFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How one dialect asks and what it understands; `node` makes it of the dialect."""

    prepare: Callable[[Question, Call, Account], tuple[OutgoingRequest, RetryPolicy]]
    parse_answer: Callable[[bytes], AnswerDocument]
    """Raises AnswerInvalid."""


class HttpAsker:
    """Implements `flow.documents.Asker`. A call speaks the dialect of its application."""

    def __init__(self, client: GuardedClient, voices: Mapping[str, Voice]) -> None:
        self._client = client
        self._voices = voices

    def prepare(
        self, question: Question, call: Call, account: Account
    ) -> tuple[OutgoingRequest, RetryPolicy]:
        return self._voices[call.dialect].prepare(question, call, account)

    async def send(self, request: OutgoingRequest, retry: RetryPolicy, limit_bytes: int) -> Reply:
        limits = Limits(
            connect_timeout_ms=retry.connect_timeout_ms,
            read_timeout_ms=retry.read_timeout_ms,
            total_ms=retry.total_ms,
            body_bytes=limit_bytes,
        )
        try:
            response = await self._client.send(request, limits=limits)
        except RequestFailed as error:
            return Reply(status=error.status, failure=error.failure, reason=error.reason)
        return Reply(status=response.status, body=response.body)

    def parse(self, body: bytes, call: Call) -> AnswerDocument:
        return self._voices[call.dialect].parse_answer(body)
