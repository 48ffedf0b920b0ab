"""A callback is shown with its attempts and told again, as an operator asks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID, OTHER_ID

from tapeline.config import Config
from tapeline.control import Control
from tapeline.domain.command import GetDelivery, ReplayDelivery
from tapeline.domain.delivery import Attempt, DeliveryState, Failure
from tapeline.domain.error import Conflict, DeliveryNotFound
from tapeline.domain.id import DeliveryId, EpochMs
from tapeline.domain.port import Transaction
from tapeline.node import open_offline

TOLD = DeliveryId("told")
ATTEMPT = Attempt(
    delivery_id=TOLD,
    number=1,
    at_ms=EpochMs(9),
    url="https://example.com/cb",
    status=503,
    failure=Failure.SERVER_ERROR,
    reason="answered 503",
    duration_ms=4,
)


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    async with open_offline(replace(Config(), data_dir=tmp_path)) as opened:

        def work(tx: Transaction) -> None:
            stores.add_basics(tx)
            pending = stores.delivery("pending", due_at_ms=5)
            given_up = replace(stores.delivery(TOLD, due_at_ms=None), attempts=1)
            tx.deliveries.add(pending)
            tx.deliveries.add(replace(given_up, state=DeliveryState.EXHAUSTED))
            tx.deliveries.add_attempt(ATTEMPT)

        await opened.parts.store.write(work)
        yield opened


async def test_it_is_shown_with_its_attempts(control: Control) -> None:
    view = await control.execute(GetDelivery(account_id=ACCOUNT_ID, delivery_id=TOLD))

    assert (view.delivery.id, view.attempts) == (TOLD, (ATTEMPT,))


async def test_a_replay_is_a_new_delivery_of_the_same_event_and_due_now(control: Control) -> None:
    before = await control.execute(GetDelivery(account_id=None, delivery_id=TOLD))

    again = (await control.execute(ReplayDelivery(account_id=None, delivery_id=TOLD))).delivery

    assert again.id != TOLD
    assert again.event_id == before.delivery.event_id
    assert again.message == before.delivery.message
    assert (again.state, again.attempts) == (DeliveryState.PENDING, 0)
    now_ms = control.parts.clock.now_ms()
    due = await control.parts.store.read(lambda tx: tx.deliveries.due(now_ms, limit=9))
    assert again.id in {each.id for each in due}
    assert await control.execute(GetDelivery(account_id=None, delivery_id=TOLD)) == before


async def test_what_is_under_way_is_not_replayed(control: Control) -> None:
    with pytest.raises(Conflict):
        await control.execute(ReplayDelivery(account_id=None, delivery_id=DeliveryId("pending")))


async def test_another_accounts_is_not_found(control: Control) -> None:
    for command in (GetDelivery, ReplayDelivery):
        with pytest.raises(DeliveryNotFound):
            await control.execute(command(account_id=OTHER_ID, delivery_id=TOLD))
        with pytest.raises(DeliveryNotFound):
            await control.execute(command(account_id=None, delivery_id=DeliveryId("nothing")))
