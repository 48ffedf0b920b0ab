import asyncio

import pytest
from tests.unit.control.support import World

from tapeline.control.lookup import answered_call_of, call_of, conference_of
from tapeline.domain import event
from tapeline.domain.command import ConferenceRef, CreateAccount
from tapeline.domain.error import (
    CallHasEnded,
    CallNotAnswered,
    CallNotFound,
    ConferenceHasEnded,
    ConferenceNotFound,
)
from tapeline.domain.id import AccountId, CallId


def ref(node: World, name: str, *, may_be_id: bool = True) -> ConferenceRef:
    return ConferenceRef(account_id=node.account.id, name=name, may_be_id=may_be_id)


async def test_a_conference_is_found_by_name_and_where_it_may_be_by_id(node: World) -> None:
    await node.room_application()
    await node.join("MyConf")
    (live,) = node.parts.live.conferences.values()
    its_id = live.conference.id

    assert await conference_of(node.parts, ref(node, "MyConf", may_be_id=False)) is live
    assert await conference_of(node.parts, ref(node, "MyConf")) is live
    assert await conference_of(node.parts, ref(node, its_id)) is live
    with pytest.raises(ConferenceNotFound):
        await conference_of(node.parts, ref(node, its_id, may_be_id=False))
    with pytest.raises(ConferenceNotFound):
        await conference_of(node.parts, ref(node, "myconf"))


async def test_an_id_wins_over_a_live_conference_of_that_name(node: World) -> None:
    await node.room_application()
    leg = await node.join("first")
    (first,) = node.parts.live.conferences.values()
    await node.join(first.conference.id)

    assert await conference_of(node.parts, ref(node, first.conference.id)) is first
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()
    with pytest.raises(ConferenceHasEnded):
        await conference_of(node.parts, ref(node, first.conference.id))


async def test_a_live_conference_wins_over_ended_ones_of_its_name(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")
    (first,) = node.parts.live.conferences.values()
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()

    with pytest.raises(ConferenceHasEnded):
        await conference_of(node.parts, ref(node, "MyConf"))
    with pytest.raises(ConferenceNotFound):
        await conference_of(node.parts, ref(node, "MyConf", may_be_id=False))
    await node.join("MyConf")
    found = await conference_of(node.parts, ref(node, "MyConf"))

    assert found.conference.id != first.conference.id
    with pytest.raises(ConferenceHasEnded):
        await conference_of(node.parts, ref(node, first.conference.id))


async def test_another_account_s_things_are_not_found(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")
    (live,) = node.parts.live.conferences.values()
    call_id = node.parts.live.calls[leg].call.id
    other = (await node.control.execute(CreateAccount(name="Other"))).account.id

    for name in ("MyConf", live.conference.id):
        with pytest.raises(ConferenceNotFound):
            await conference_of(
                node.parts, ConferenceRef(account_id=other, name=name, may_be_id=True)
            )
    with pytest.raises(CallNotFound):
        await call_of(node.parts, other, call_id)
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded)
    await node.settled()
    with pytest.raises(CallNotFound):
        await call_of(node.parts, other, call_id)


async def test_a_call_is_found_while_it_lives(node: World) -> None:
    await node.application("held", answer_url="http://customer.example/never")
    account: AccountId = node.account.id
    with pytest.raises(CallNotFound):
        await call_of(node.parts, account, CallId("nonsense"))
    node.asker.hold = asyncio.Event()
    leg = node.engine.arrive(called="held")
    await node.asker.was_asked()
    live_call = node.parts.live.calls[leg]

    assert await call_of(node.parts, account, live_call.call.id) is live_call
    with pytest.raises(CallNotAnswered):
        await answered_call_of(node.parts, account, live_call.call.id)
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded)
    await node.settled()
    with pytest.raises(CallHasEnded):
        await call_of(node.parts, account, live_call.call.id)
