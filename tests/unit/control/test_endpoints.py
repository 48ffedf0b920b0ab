"""Phones that prove themselves: their rows, what the core is told of them, their calls."""

from typing import Any

import pytest
from tests.unit.control.support import World, document, world

from tapeline.control.trunks.commands import take_up
from tapeline.domain import event
from tapeline.domain.command import (
    AddEndpoint,
    CreateAccount,
    EndpointView,
    ListApplications,
    ListEndpoints,
    RemoveEndpoint,
    SetEndpointPassword,
)
from tapeline.domain.endpoint import hash_password
from tapeline.domain.error import (
    AccountNotFound,
    AlreadyExists,
    ApplicationNotFound,
    EndpointNotFound,
    Invalid,
)
from tapeline.domain.id import AccountId, ApplicationId
from tapeline.domain.signal import EndpointRegistered

PASSWORD = "correct horse"
LATER_MS = 1_900_000_000_000
AT_HOME = ("sip:alice@192.0.2.1:5060", "udp;192.0.2.1:5060", LATER_MS)
ON_THE_WAY = ("sip:alice@192.0.2.2;transport=tls", "tls;198.51.100.7:40000", LATER_MS)


async def added(node: World, username: str = "alice", **more: Any) -> EndpointView:
    fields = {"account_id": node.account.id, "password": PASSWORD, **more}
    return await node.control.execute(AddEndpoint(username=username, **fields))


async def registered(node: World, owner: str, *contacts: tuple[str, str, int]) -> None:
    node.engine.post(EndpointRegistered(owner=owner, contacts=list(contacts)))
    await node.settled()


async def application_id(node: World) -> ApplicationId:
    """Of one that no number leads to, but `room`."""
    await node.application("room", answer_document=document(("wait", {"duration_ms": 1_000})))
    (found,) = await node.control.execute(ListApplications())
    return found.id


async def test_the_core_gets_the_hashes_of_a_running_node_s_endpoints(node: World) -> None:
    early = await added(node, "early")
    assert node.engine.credentials == []

    await take_up(node.parts)
    late = await added(node, "late")

    def row(view: EndpointView) -> tuple[str, str, str, str]:
        hashes = hash_password(view.username, "tapeline", PASSWORD)
        return view.username, view.id, hashes.md5, hashes.sha256

    assert node.engine.credentials == [row(early), row(late)]


async def test_a_new_password_and_a_removal_reach_the_core(node: World) -> None:
    await take_up(node.parts)
    view = await added(node)
    await registered(node, view.id, AT_HOME)

    await node.control.execute(
        SetEndpointPassword(account_id=None, username="alice", password="battery staple")
    )
    ((_, _, md5, _),) = node.engine.credentials
    assert md5 == hash_password("alice", "tapeline", "battery staple").md5

    await node.control.execute(RemoveEndpoint(account_id=None, username="alice"))
    assert node.engine.credentials == []
    assert node.engine.locations == {}
    assert await node.control.execute(ListEndpoints()) == ()


async def test_a_password_of_another_realm_is_not_taken_for_ours(node: World) -> None:
    await added(node)
    object.__setattr__(node.parts, "realm", "elsewhere")

    await take_up(node.parts)

    assert node.engine.credentials == []


async def test_where_an_endpoint_is_survives_a_restart(tmp_path: Any) -> None:
    async with world(tmp_path) as node:
        view = await added(node)
        gone = ("sip:alice@192.0.2.3", "udp;192.0.2.3:5060", node.clock.at_ms - 1)
        await registered(node, view.id, AT_HOME, ON_THE_WAY, gone)
        (shown,) = await node.control.execute(ListEndpoints(account_id=node.account.id))
        assert [each.contact for each in shown.registered] == [AT_HOME[0], ON_THE_WAY[0]]

    async with world(tmp_path, with_account=False) as node:
        await take_up(node.parts)
        assert node.engine.locations == {view.id: [AT_HOME, ON_THE_WAY]}


async def test_a_registration_of_a_removed_endpoint_is_nothing(node: World) -> None:
    await registered(node, "nobody", AT_HOME)

    assert node.bugs.count == 0
    assert await node.store.read(lambda tx: tx.endpoints.bindings(None)) == []


async def test_a_call_of_an_endpoint_is_its_account_s_and_its_application_s(node: World) -> None:
    view = await added(node, application_id=await application_id(node), caller="+4930123456")

    node.engine.arrive(called="anything", caller="somebody-else", owner=view.id)
    (arrived,) = await node.happened(event.CallArrived)

    assert arrived.account.id == node.account.id
    assert (arrived.call.called, arrived.call.caller) == ("anything", "+4930123456")
    assert arrived.application is not None
    assert arrived.application.id == view.application_id


async def test_without_an_application_the_called_number_leads_its_calls(node: World) -> None:
    await node.room_application()
    view = await added(node)

    node.engine.arrive(called="room-a", caller="forged", owner=view.id)
    (arrived,) = await node.happened(event.CallArrived)

    assert (arrived.call.matched, arrived.call.caller) == ("a", "alice")


async def test_an_endpoint_does_not_call_another_account_s_numbers(node: World) -> None:
    await node.room_application()
    other = await node.control.execute(CreateAccount(name="Other"))
    view = await added(node, account_id=other.account.id)

    node.engine.arrive(called="room-a", owner=view.id)
    await node.settled()

    assert [each.arguments["status"] for each in node.engine.commands] == [404]
    assert node.seen(event.CallArrived) == []


async def test_a_call_of_nobody_s_endpoint_is_forbidden(node: World) -> None:
    await node.room_application()

    node.engine.arrive(called="room-a", owner="removed-meanwhile")
    await node.settled()

    assert [each.arguments["status"] for each in node.engine.commands] == [403]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"username": "al ice"}, Invalid),
        ({"username": "alice@home"}, Invalid),
        ({"username": 'al"ice'}, Invalid),
        ({"username": ""}, Invalid),
        ({"username": "x" * 65}, Invalid),
        ({"password": "short"}, Invalid),
        ({"password": "x" * 129}, Invalid),
        ({"password": "line\r\nbreak!"}, Invalid),
        ({"caller": "line\r\nbreak"}, Invalid),
        ({"account_id": AccountId("MA" + "Z" * 18)}, AccountNotFound),
        ({"application_id": ApplicationId("1" * 17)}, ApplicationNotFound),
    ],
)
async def test_what_cannot_be_an_endpoint_is_refused(
    node: World, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        await added(node, **fields)

    assert fields.get("password", "nothing") not in str(refused.value)
    assert await node.control.execute(ListEndpoints()) == ()


async def test_a_username_is_taken_once(node: World) -> None:
    await added(node)

    with pytest.raises(AlreadyExists):
        await added(node)


async def test_another_account_s_endpoint_is_not_found(node: World) -> None:
    await added(node)
    stranger = AccountId("MA" + "Z" * 18)

    with pytest.raises(EndpointNotFound):
        await node.control.execute(RemoveEndpoint(account_id=stranger, username="alice"))
    with pytest.raises(EndpointNotFound):
        await node.control.execute(
            SetEndpointPassword(account_id=stranger, username="alice", password=PASSWORD)
        )


async def test_no_password_is_in_a_command_s_repr() -> None:
    command = AddEndpoint(account_id=AccountId("a"), username="alice", password=PASSWORD)

    assert PASSWORD not in repr(command)
