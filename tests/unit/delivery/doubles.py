"""A clock that stands still until it is set, and customers that live in this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.contract import stores

from tapeline.delivery import Sender
from tapeline.domain.account import Account
from tapeline.domain.delivery import CallbackMessage, Failure, OutgoingRequest, Secrets
from tapeline.domain.event import Event, RecordingFinished
from tapeline.domain.id import EpochMs
from tapeline.net import Limits, RequestFailed, Response
from tapeline.telemetry import Bugs

Answer = Callable[[OutgoingRequest, EpochMs], int | Failure]


START = EpochMs(1_000_000)


@dataclass
class StandingClock:
    now: EpochMs = START

    def now_ms(self) -> EpochMs:
        return self.now


@dataclass
class Customers:
    """`answer` decides from the request and the instant: a status, or a failure."""

    clock: StandingClock
    answer: Answer = lambda _request, _now: 200
    got: list[tuple[EpochMs, OutgoingRequest]] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Response:
        self.got.append((self.clock.now, request))
        self.limits.append(limits)
        answer = self.answer(request, self.clock.now)
        if isinstance(answer, Failure):
            raise RequestFailed(request.url, answer, "said so")
        return Response(status=answer, body=b"", headers={})

    @property
    def instants(self) -> list[int]:
        return [at_ms for at_ms, _ in self.got]


class NotedBugs(Bugs):
    """Counts without failing the test that means it."""

    def add(self, where: str, error: BaseException) -> None:
        self.count += 1
        self.seen.append(f"{where}: {error!r}")


def seal(
    message: CallbackMessage,
    attempt: int,
    now_ms: EpochMs,
    secrets: Secrets,
    sign_link: Callable[[str], str],
) -> OutgoingRequest:
    assert secrets.auth_token == stores.account().auth_token
    body = f"{message.fields['id']} {attempt} {now_ms} {sign_link('link')}"
    return OutgoingRequest(
        method=message.method,
        url=message.url,
        headers={"X-Attempt": str(attempt)},
        body=body.encode(),
    )


def sign_link(link: str, account: Account, now_ms: EpochMs, *, life_s: int | None = None) -> str:
    life = "" if life_s is None else f"&for={life_s}"
    return f"{link}?of={account.id}&at={now_ms}{life}"


def render(event: Event) -> CallbackMessage | None:
    """Tells of finished recordings; where to stands in the recording's starter."""
    if not isinstance(event, RecordingFinished) or event.recording.starter.callback_url is None:
        return None
    plain = stores.message(event.recording.starter.callback_url, order_key=event.recording.id)
    return CallbackMessage(
        url=plain.url,
        method=plain.method,
        encoding=plain.encoding,
        fields={"id": event.recording.id},
        announces_finished=True,
        order_key=plain.order_key,
    )


def sender(
    customers: Customers, *, bugs: Bugs | None = None, seals: Mapping[str, object] | None = None
) -> Sender:
    return Sender(
        seals={"plain": seal} if seals is None else seals,  # type: ignore[arg-type]
        sign_link=sign_link,
        send=customers.send,
        clock=customers.clock,
        bugs=bugs or Bugs(),
    )
