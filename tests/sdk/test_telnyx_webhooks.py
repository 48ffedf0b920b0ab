"""`telnyx` 4.189.0, unmodified: where webhooks go, and the applications that say so."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import telnyx
from tests.e2e.site import eventually
from tests.sdk.telnyx_desk import SPARE, Desk, open_desk

from tapeline.domain.command import AddNumber
from tapeline.domain.id import ApplicationId
from tapeline.testing import Answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE, LATER_STATE = "Zmlyc3Q=", "c2Vjb25k"
LEVEL = -20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("node")) as opened:
        yield opened


async def test_a_webhook_fails_over_and_comes_again(desk: Desk) -> None:
    """Each attempt is signed anew and says its number and where it went."""
    receiver = desk.site.receiver
    receiver.script("/down", Answer(status=500))
    receiver.script("/flaky", Answer(status=503), Answer())
    call, call_control_id = await desk.talk(
        "desk-fail",
        caller="fail",
        webhook_urls={"call.hangup": [receiver.url("/down"), receiver.url("/flaky")]},
    )
    await call.hang_up()

    await receiver.wait_for("/flaky", count=2)
    ended = [
        each
        for each in (*desk.events("/down"), *desk.events("/flaky"))
        if each["payload"]["call_control_id"] == call_control_id
    ]
    ended.sort(key=lambda each: each["meta"]["attempt"])

    assert len({each["id"] for each in ended}) == 1
    assert [each["meta"]["attempt"] for each in ended] == [1, 2, 3, 4]
    assert [each["meta"]["delivered_to"].rpartition("/")[2] for each in ended] == [
        "down",
        "flaky",
        "down",
        "flaky",
    ]
    first, second = receiver.received("/down")
    assert second.arrived_unix_us - first.arrived_unix_us > 900_000

    async def is_kept() -> bool:
        listed = await desk.ask(
            desk.client.webhook_deliveries.list, filter={"event_type": "call.hangup"}
        )
        return any(
            each.webhook.id == ended[0]["id"]
            and each.status == "delivered"
            and [tried.status for tried in each.attempts]
            == ["failed", "failed", "failed", "delivered"]
            for each in listed.data
        )

    await eventually(is_kept, "the delivery with its attempts")


async def test_the_applications_failover_is_used(desk: Desk) -> None:
    made = await desk.ask(
        desk.client.call_control_applications.create,
        application_name="Failing",
        webhook_event_url=desk.site.receiver.url("/failing"),
        webhook_event_failover_url=desk.site.receiver.url(SPARE),
    )
    application_id = ApplicationId(made.data.id)
    await desk.site.local.execute(AddNumber(pattern="failing", application_id=application_id))
    desk.site.receiver.script("/failing", Answer(status=500), Answer())
    dialled = desk.site.phone.dial(desk.site.node.sip_uri("failing"), caller="spare")

    initiated = await desk.event("call.initiated", lambda p: p["from"] == "spare", path=SPARE)

    assert initiated["meta"] == {"attempt": 2, "delivered_to": desk.site.receiver.url(SPARE)}
    await dialled.cancel()


async def test_applications_are_changed_and_deleted(desk: Desk) -> None:
    applications = desk.client.call_control_applications
    made = (
        await desk.ask(
            applications.create,
            application_name="Spare room",
            webhook_event_url="https://cust.example/a",
            webhook_event_failover_url="https://cust.example/b",
            inbound={"channel_limit": 2},
        )
    ).data
    changed = (
        await desk.ask(
            applications.update,
            made.id,
            application_name="Spare room",
            webhook_event_url="https://cust.example/c",
            webhook_event_failover_url="",
            webhook_timeout_secs=5,
        )
    ).data
    listed = await desk.ask(applications.list, filter={"application_name": {"contains": "spare"}})
    deleted = (await desk.ask(applications.delete, made.id)).data

    assert made.webhook_event_failover_url == "https://cust.example/b"
    assert (changed.webhook_event_url, changed.webhook_event_failover_url) == (
        "https://cust.example/c",
        None,
    )
    assert (changed.webhook_timeout_secs, changed.inbound.channel_limit) == (5, 2)
    assert [each.id for each in listed.data] == [made.id]
    assert deleted.id == made.id
    with pytest.raises(telnyx.NotFoundError, match="10007"):
        await desk.ask(applications.retrieve, made.id)
    assert await desk.fault_of(
        desk.client.calls.dial,
        connection_id=made.id,
        from_="+15550001",
        to=desk.site.phone.uri,
    ) == ("10015", "/connection_id")


async def test_an_application_made_by_the_command_line_works_too(desk: Desk) -> None:
    app = await desk.site.node.command(
        "app",
        "create",
        *("--account", desk.site.account.auth_id, "--dialect", "telnyx", "--name", "CLI"),
        *("--answer-url", desk.site.receiver.url("/cli")),
    )
    await desk.site.node.command("number", "add", "cli-desk", "--app", app["app_id"])
    dialled = desk.site.phone.dial(desk.site.node.sip_uri("cli-desk"), caller="cli")
    initiated = await desk.event("call.initiated", path="/cli")

    shown = await desk.ask(desk.client.call_control_applications.retrieve, app["app_id"])

    assert initiated["payload"]["connection_id"] == app["app_id"]
    assert shown.data.application_name == "CLI"
    await dialled.cancel()


async def test_another_accounts_things_are_not_there(desk: Desk) -> None:
    call, call_control_id = await desk.talk("desk-mine", caller="mine")
    other = await desk.site.node.create_account("Other")
    stranger = desk.client.copy(api_key=other.api_key)

    fault = await desk.fault_of(stranger.calls.actions.hangup, call_control_id)
    with pytest.raises(telnyx.NotFoundError):
        await desk.ask(stranger.calls.retrieve_status, call_control_id)
    applications = await desk.ask(stranger.call_control_applications.list)

    assert fault == ("90015", "/call_control_id")
    assert applications.data == []
    assert not call.is_over
    await call.hang_up()
