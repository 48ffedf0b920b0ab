"""When a message is tried again: tables of instants, no clock."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from tapeline.delivery.schedule import DURABLE_LIFE_MS, HOUR_MS, next_step, time_left_ms
from tapeline.domain.delivery import Attempt, CallbackMessage, Encoding, Failure, RetryPolicy
from tapeline.domain.id import DeliveryId, EpochMs

PRIMARY = "https://example.com/cb"
FAILOVER = "https://other.example.com/cb"
MESSAGE = CallbackMessage(url=PRIMARY, method="POST", encoding=Encoding.JSON, fields={})
FIVE = RetryPolicy(waits_ms=(1_000, 2_000, 4_000, 8_000, 16_000), retry_on=frozenset(Failure))


def tries(
    message: CallbackMessage,
    failure: Failure = Failure.SERVER_ERROR,
    *,
    took_ms: int = 0,
    keeps_announcing: bool = True,
) -> Iterator[tuple[int, str]]:
    """(instant, URL) of every attempt when all fail."""
    failed: list[Attempt] = []
    while True:
        step = next_step(
            message, failed, created_at_ms=EpochMs(0), keeps_announcing=keeps_announcing
        )
        if step is None:
            return
        yield step.at_ms, step.url
        failed.append(
            Attempt(
                delivery_id=DeliveryId("d"),
                number=len(failed) + 1,
                at_ms=step.at_ms,
                url=step.url,
                status=None,
                failure=failure,
                reason="",
                duration_ms=took_ms,
            )
        )


def instants(message: CallbackMessage, failure: Failure = Failure.SERVER_ERROR) -> list[int]:
    return [at_ms for at_ms, _ in tries(message, failure)]


def test_the_vendor_s_waits_are_kept() -> None:
    assert instants(replace(MESSAGE, retry=FIVE)) == [0, 1000, 3000, 7000, 15_000, 31_000]


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        (Failure.CONNECT_TIMEOUT, 2),
        (Failure.READ_TIMEOUT, 2),
        (Failure.CONNECT, 2),
        (Failure.DNS, 2),
        (Failure.PROTOCOL, 2),
        (Failure.SERVER_ERROR, 1),
        (Failure.CLIENT_ERROR, 1),
        (Failure.REDIRECT, 1),
        (Failure.TLS, 1),
        (Failure.REFUSED_DESTINATION, 1),
        (Failure.INVALID_URL, 1),
        (Failure.FAULT, 1),
    ],
)
def test_by_default_only_silence_is_tried_again(failure: Failure, attempts: int) -> None:
    assert len(instants(MESSAGE, failure)) == attempts


def test_the_vendor_s_total_time_is_kept() -> None:
    slow = replace(MESSAGE, retry=replace(FIVE, total_ms=20_000))
    assert [at for at, _ in tries(slow, took_ms=3_000)] == [0, 4_000, 9_000, 16_000]


def test_news_of_something_finished_goes_on_for_a_day() -> None:
    minute = 60_000
    found = instants(replace(MESSAGE, announces_finished=True))

    assert found[:5] == [0, 30_000, 30_000 + 2 * minute, 30_000 + 12 * minute, 30_000 + 42 * minute]
    hourly = found[4:]
    assert {later - earlier for earlier, later in pairwise(hourly)} == {HOUR_MS}
    assert DURABLE_LIFE_MS - HOUR_MS < found[-1] <= DURABLE_LIFE_MS


def test_the_durable_schedule_follows_the_vendor_s() -> None:
    found = instants(replace(MESSAGE, retry=FIVE, announces_finished=True))
    assert found[:8] == [0, 1000, 3000, 7000, 15_000, 31_000, 61_000, 181_000]


def test_an_account_that_does_not_keep_announcing_stops_with_the_vendor() -> None:
    message = replace(MESSAGE, retry=FIVE, announces_finished=True)
    assert len(list(tries(message, keeps_announcing=False))) == 6


def test_the_failover_url_is_tried_at_once_and_again_in_every_round() -> None:
    message = replace(MESSAGE, retry=replace(FIVE, waits_ms=(1_000, 2_000)), failover_url=FAILOVER)
    assert list(tries(message)) == [
        (0, PRIMARY),
        (0, FAILOVER),
        (1000, PRIMARY),
        (1000, FAILOVER),
        (3000, PRIMARY),
        (3000, FAILOVER),
    ]


def test_the_durable_schedule_knows_the_failover_url_too() -> None:
    message = replace(
        MESSAGE, retry=RetryPolicy(waits_ms=()), failover_url=FAILOVER, announces_finished=True
    )
    assert list(tries(message))[:4] == [
        (0, PRIMARY),
        (0, FAILOVER),
        (30_000, PRIMARY),
        (30_000, FAILOVER),
    ]


def test_an_attempt_has_what_the_total_leaves_and_all_of_it_afterwards() -> None:
    policy = RetryPolicy(total_ms=55_000, connect_timeout_ms=2_000)
    first = Attempt(
        delivery_id=DeliveryId("d"),
        number=1,
        at_ms=EpochMs(1_000),
        url=PRIMARY,
        status=None,
        failure=Failure.READ_TIMEOUT,
        reason=None,
        duration_ms=40_000,
    )
    assert time_left_ms(policy, [], EpochMs(1_000)) == 55_000
    assert time_left_ms(policy, [first], EpochMs(42_000)) == 14_000
    assert time_left_ms(policy, [first], EpochMs(55_500)) == 2_000
    assert time_left_ms(policy, [first], EpochMs(90_000)) == 55_000
