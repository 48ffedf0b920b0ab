"""Pages of calls over every store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID, OTHER_ID

from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import CallFilter
from tapeline.domain.id import CallId, EpochMs
from tapeline.domain.port import Transaction
from tapeline.state import SqlStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    yield opened
    await opened.close()


def ended(name: str, at_ms: int, **changes: Any) -> Call:
    parts: dict[str, Any] = {
        "state": CallState.ENDED,
        "ended_at_ms": EpochMs(at_ms),
        "end_cause": EndCause.NORMAL,
        "end_source": EndSource.CALLER,
    }
    return replace(stores.call(name), **{**parts, **changes})


CALLS = (
    ended("call-2", 200, direction=Direction.OUTBOUND, parent_id=CallId("call-1")),
    ended("call-3", 300, end_cause=EndCause.BUSY, end_source=EndSource.CALLEE, caller="+2"),
    replace(stores.call("call-4"), state=CallState.QUEUED, called="sip:a@b"),
    stores.call("call-5", OTHER_ID),
)


def add(tx: Transaction) -> None:
    for call in CALLS:
        tx.calls.add(call)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (CallFilter(), ["call-4", "call-3", "call-2", "call-1"]),
        (CallFilter(is_live=True), ["call-4", "call-1"]),
        (CallFilter(is_live=False), ["call-3", "call-2"]),
        (CallFilter(state=CallState.QUEUED), ["call-4"]),
        (CallFilter(direction=Direction.OUTBOUND), ["call-2"]),
        (CallFilter(caller="+2"), ["call-3"]),
        (CallFilter(called="sip:a@b"), ["call-4"]),
        (CallFilter(parent_id="call-1"), ["call-2"]),
        (CallFilter(end_causes=(EndCause.BUSY, EndCause.FAULT)), ["call-3"]),
        (CallFilter(end_causes=()), []),
        (CallFilter(end_source=EndSource.CALLER), ["call-2"]),
        (CallFilter(ended_from_ms=EpochMs(200), ended_to_ms=EpochMs(300)), ["call-2"]),
    ],
)
async def test_a_page_holds_what_is_asked_for(
    store: SqlStore, wanted: CallFilter, names: list[str]
) -> None:
    await store.write(add)

    page, total = await store.read(lambda tx: tx.calls.page(ACCOUNT_ID, wanted, limit=9, offset=0))

    assert [call.id for call in page] == names
    assert total == len(names)


async def test_a_page_is_a_part_of_all(store: SqlStore) -> None:
    await store.write(add)

    page, total = await store.read(
        lambda tx: tx.calls.page(ACCOUNT_ID, CallFilter(), limit=2, offset=1)
    )

    assert ([call.id for call in page], total) == (["call-3", "call-2"], 4)
