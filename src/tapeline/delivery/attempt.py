"""One attempt: the message is sealed, sent, and what came of it put into words."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tapeline.delivery.schedule import next_step, time_left_ms
from tapeline.domain.account import Account
from tapeline.domain.delivery import (
    Attempt,
    CallbackMessage,
    Delivery,
    DeliveryState,
    Failure,
    OutgoingRequest,
    Secrets,
)
from tapeline.domain.id import EpochMs
from tapeline.domain.port import Clock
from tapeline.net import Limits, RequestFailed, Response
from tapeline.telemetry import Bugs

Seal = Callable[[CallbackMessage, int, EpochMs, Secrets, Callable[[str], str]], OutgoingRequest]


_REDIRECT = range(300, 400)
_CLIENT_ERROR = range(400, 500)
_FINE = range(200, 300)


class SignLink(Protocol):
    """`Links.for_account`."""

    def __call__(
        self, link: str, account: Account, now_ms: EpochMs, *, life_s: int | None = None
    ) -> str: ...


class Send(Protocol):
    """`GuardedClient.send`."""

    def __call__(self, request: OutgoingRequest, *, limits: Limits) -> Awaitable[Response]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery whose time has come, with what an attempt needs to know."""

    delivery: Delivery
    account: Account
    failed: Sequence[Attempt] = ()

    @property
    def url(self) -> str:
        step = next_step(
            self.delivery.message,
            self.failed,
            created_at_ms=self.delivery.created_at_ms,
            keeps_announcing=self.account.settings.keep_announcing,
        )
        return self.delivery.message.url if step is None else step.url


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What sending takes, wired by `node`."""

    seals: Mapping[str, Seal]
    """Each dialect's `seal` by its name."""
    sign_link: SignLink
    send: Send
    clock: Clock
    bugs: Bugs

    async def attempt(self, due: Due) -> Attempt:
        """Never raises for what the receiver or a dialect does wrong."""
        began_ms = self.clock.now_ms()
        number = due.delivery.attempts + 1
        status, failure, reason = None, None, None
        try:
            request = self._seal(due, number, began_ms)
        except Exception as error:  # noqa: BLE001  a dialect's fault must not stop the others
            self.bugs.add(f"seal {due.delivery.event_name}", error)
            failure, reason = Failure.FAULT, f"the request could not be made: {error!r}"
        else:
            status, failure, reason = await self._send(request, due, began_ms)
        return Attempt(
            delivery_id=due.delivery.id,
            number=number,
            at_ms=began_ms,
            url=due.url,
            status=status,
            failure=failure,
            reason=reason,
            duration_ms=max(self.clock.now_ms() - began_ms, 0),
        )

    def _seal(self, due: Due, number: int, now_ms: EpochMs) -> OutgoingRequest:
        account, life_s = due.account, due.delivery.message.link_life_s
        return self.seals[due.delivery.dialect](
            replace(due.delivery.message, url=due.url),
            number,
            now_ms,
            Secrets(auth_token=account.auth_token, signing_seed=account.signing_seed),
            lambda link: self.sign_link(link, account, now_ms, life_s=life_s),
        )

    async def _send(
        self, request: OutgoingRequest, due: Due, now_ms: EpochMs
    ) -> tuple[int | None, Failure | None, str | None]:
        policy = due.delivery.message.retry
        limits = Limits(
            connect_timeout_ms=policy.connect_timeout_ms,
            read_timeout_ms=policy.read_timeout_ms,
            total_ms=time_left_ms(policy, due.failed, now_ms),
            body_bytes=None,
        )
        try:
            response = await self.send(request, limits=limits)
        except RequestFailed as failed:
            return None, failed.failure, failed.reason
        failure = judge(response.status)
        reason = None if failure is None else f"answered {response.status}"
        return response.status, failure, reason


def judge(status: int) -> Failure | None:
    """Only 2xx counts as delivered; a redirect is not followed."""
    if status in _FINE:
        return None
    if status in _REDIRECT:
        return Failure.REDIRECT
    return Failure.CLIENT_ERROR if status in _CLIENT_ERROR else Failure.SERVER_ERROR


def after_attempt(
    delivery: Delivery, attempts: Sequence[Attempt], *, keeps_announcing: bool
) -> Delivery:
    """The delivery once the last of `attempts` has been made."""
    last = attempts[-1]
    ended_ms = EpochMs(last.at_ms + last.duration_ms)
    tried = replace(delivery, attempts=last.number, next_attempt_at_ms=None)
    if last.failure is None:
        return replace(tried, state=DeliveryState.DELIVERED, finished_at_ms=ended_ms)
    step = next_step(
        delivery.message,
        attempts,
        created_at_ms=delivery.created_at_ms,
        keeps_announcing=keeps_announcing,
    )
    if step is None:
        return replace(tried, state=DeliveryState.EXHAUSTED, finished_at_ms=ended_ms)
    return replace(tried, next_attempt_at_ms=step.at_ms)
