"""When a message is tried again and where: pure data and one pure function.

A round is one attempt at the message's URL and, if that fails and there is one, one at its failover
URL at once. The vendor's policy gives the first rounds (`waits_ms` between them, for failures in
`retry_on`, within `total_ms`). Messages that announce something finished then go on for a day from
their creation with the durable schedule, whatever the failure was, if the account keeps announcing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tapeline.domain.delivery import Attempt, CallbackMessage, Failure, RetryPolicy
from tapeline.domain.id import EpochMs

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

DURABLE_WAITS_MS = (30 * SECOND_MS, 2 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS)
DURABLE_LAST_WAIT_MS = HOUR_MS
"""The wait between rounds once those are used up."""
DURABLE_LIFE_MS = 24 * HOUR_MS

# Failures that the vendors' words do not name but their policies mean: nothing reached the
# receiver, or it did not answer.
_MEANT_BY = {
    Failure.CONNECT: Failure.CONNECT_TIMEOUT,
    Failure.DNS: Failure.CONNECT_TIMEOUT,
    Failure.PROTOCOL: Failure.READ_TIMEOUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next attempt."""

    url: str
    at_ms: EpochMs


def next_step(
    message: CallbackMessage,
    failed: Sequence[Attempt],
    *,
    created_at_ms: EpochMs,
    keeps_announcing: bool,
) -> Step | None:
    """What follows these failed attempts (in order); None when the schedule is used up."""
    step: Step | None = Step(url=message.url, at_ms=created_at_ms)
    vendor_rounds = 0
    durable_rounds = 0
    is_vendor_phase = True
    is_failover = False
    for attempt in failed:
        ended_ms = attempt.at_ms + attempt.duration_ms
        if message.failover_url is not None and not is_failover:
            is_failover = True
            step = Step(url=message.failover_url, at_ms=EpochMs(ended_ms))
            continue
        is_failover = False
        elapsed_ms = ended_ms - failed[0].at_ms
        wait_ms = vendor_wait_ms(message.retry, vendor_rounds, attempt.failure, elapsed_ms)
        is_vendor_phase = is_vendor_phase and wait_ms is not None
        if is_vendor_phase:
            vendor_rounds += 1
        elif message.announces_finished and keeps_announcing:
            wait_ms = durable_wait_ms(durable_rounds, ended_ms - created_at_ms)
            durable_rounds += 1
        else:
            wait_ms = None
        if wait_ms is None:
            return None
        step = Step(url=message.url, at_ms=EpochMs(ended_ms + wait_ms))
    return step


def vendor_wait_ms(
    policy: RetryPolicy, rounds: int, failure: Failure | None, elapsed_ms: int
) -> int | None:
    """The wait after `rounds` repeated rounds; None when the vendor would give up."""
    if rounds >= len(policy.waits_ms) or failure is None:
        return None
    if failure not in policy.retry_on and _MEANT_BY.get(failure) not in policy.retry_on:
        return None
    wait_ms = policy.waits_ms[rounds]
    return wait_ms if elapsed_ms + wait_ms <= policy.total_ms else None


def durable_wait_ms(rounds: int, age_ms: int) -> int | None:
    """The wait after `rounds` durable rounds, of a message so old; None past its life."""
    is_early = rounds < len(DURABLE_WAITS_MS)
    wait_ms = DURABLE_WAITS_MS[rounds] if is_early else DURABLE_LAST_WAIT_MS
    return wait_ms if age_ms + wait_ms <= DURABLE_LIFE_MS else None


def time_left_ms(policy: RetryPolicy, failed: Sequence[Attempt], now_ms: EpochMs) -> int:
    """How long the next attempt may take: the rest of the vendor's total, or all of it again
    for attempts that come after it.
    """
    elapsed_ms = now_ms - failed[0].at_ms if failed else 0
    if elapsed_ms >= policy.total_ms:
        return policy.total_ms
    return max(policy.total_ms - elapsed_ms, policy.connect_timeout_ms)
