"""The retry rule in a callback's fragment."""

import pytest

from tapeline.api.accountstyle.retry import split_retry
from tapeline.domain.delivery import Failure, RetryPolicy

CONNECT = {Failure.CONNECT_TIMEOUT, Failure.CONNECT, Failure.TLS}
DEFAULT = {*CONNECT, Failure.READ_TIMEOUT}


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://h/p?q=1#rc=3", "https://h/p?q=1"),
        ("https://h/p", "https://h/p"),
        ("https://h/p#section", "https://h/p"),
        ("https://h/p#", "https://h/p"),
    ],
)
def test_the_fragment_is_never_sent(url: str, bare: str) -> None:
    assert split_retry(url)[0] == bare


@pytest.mark.parametrize(
    ("fragment", "connect_ms", "read_ms", "total_ms", "waits_ms", "retry_on"),
    [
        ("", 2_000, 40_000, 55_000, (1_000,), DEFAULT),
        ("ct=500&rt=3000&tt=9000", 500, 3_000, 9_000, (1_000,), DEFAULT),
        ("rc=3", 2_000, 40_000, 55_000, (1_000, 2_000, 4_000), DEFAULT),
        ("rc=0", 2_000, 40_000, 55_000, (), DEFAULT),
        ("rc=5", 2_000, 40_000, 55_000, (1_000, 2_000, 4_000, 8_000, 16_000), DEFAULT),
        ("rc=99&ct=1&rt=999999999999&tt=0", 100, 40_000, 100, None, DEFAULT),
        ("rc=x&ct=-5&rt=1.5&er=nearest", 2_000, 40_000, 55_000, (1_000,), DEFAULT),
        ("rp=5xx", 2_000, 40_000, 55_000, (1_000,), {Failure.SERVER_ERROR}),
        ("rp=4xx,ct", 2_000, 40_000, 55_000, (1_000,), {Failure.CLIENT_ERROR, *CONNECT}),
        ("rp=nonsense", 2_000, 40_000, 55_000, (1_000,), DEFAULT),
        (
            "rp=ALL",
            2_000,
            40_000,
            55_000,
            (1_000,),
            {*DEFAULT, Failure.CLIENT_ERROR, Failure.SERVER_ERROR, Failure.REDIRECT},
        ),
    ],
)
def test_a_rule_is_read_and_clamped(
    fragment: str,
    connect_ms: int,
    read_ms: int,
    total_ms: int,
    waits_ms: tuple[int, ...] | None,
    retry_on: set[Failure],
) -> None:
    _, policy = split_retry(f"https://h/p#{fragment}")

    assert policy == RetryPolicy(
        connect_timeout_ms=connect_ms,
        read_timeout_ms=read_ms,
        total_ms=total_ms,
        waits_ms=(1_000, 2_000, 4_000, 8_000, 16_000) if waits_ms is None else waits_ms,
        retry_on=frozenset(retry_on),
    )
