"""Endpoints, trunks and policies on a live node: commands of the operator, phones on loopback."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.registering import register

from tapeline.api.localnode import LocalNode
from tapeline.domain.command import CreateCall
from tapeline.domain.id import AccountId, ApplicationId
from tapeline.testing import CallRejected, EndedBy, ServedNode, Softphone, Tone

PASSWORD = "a phone's secret"
NOBODY = {"sip_allow": "192.0.2.0/24", "room": "true"}
"""No network may call by its address alone; loopback is not of the exempted then."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ServedNode]:
    async with ServedNode(tmp_path / "data", NOBODY) as served:
        yield served
    assert served.faults() == []


async def commanded(node: ServedNode) -> tuple[str, ApplicationId]:
    """The first account and an application of it whose calls stay until they are hung up."""
    auth_id = node.first_account().auth_id
    made = await node.command(
        "app", "create", "--account", auth_id, "--dialect", "telnyx", "--name", "c",
        "--answer-url", "http://127.0.0.1:9/hook",
    )  # fmt: skip
    return auth_id, ApplicationId(made["app_id"])


async def dial(node: ServedNode, target: str) -> None:
    auth_id, application_id = await commanded(node)
    await LocalNode(node.data_dir).execute(
        CreateCall(
            account_id=AccountId(auth_id),
            application_id=application_id,
            dialect="telnyx",
            target=target,
            caller="+4940987654",
        )
    )


async def until(holds: Any) -> Any:
    async with asyncio.timeout(10):
        while not (found := await holds()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found


async def completed(node: ServedNode) -> Any:
    """The recordings, once each has its file."""

    async def listed() -> Any:
        found = await node.command("recordings", "list")
        return found if found and all(r["state"] == "completed" for r in found) else None

    return await until(listed)


async def test_an_endpoint_rings_wherever_it_is_even_after_a_restart(node: ServedNode) -> None:
    auth_id = node.first_account().auth_id
    await node.command("endpoint", "add", "alice", "--account", auth_id, "--password", PASSWORD)
    await node.command("policy", "set", "endpoint", "alice", "--format", "wav")
    async with Softphone("desk") as desk, Softphone("mobile") as mobile:
        for phone, algorithm in ((desk, "MD5"), (mobile, "SHA-256")):
            answer = await register(phone, node, "alice", PASSWORD, algorithm=algorithm)
            assert answer.status == 200
        await until(lambda: _is_bound(node, 2))

        await node.stop()
        await node.start()
        await dial(node, "alice")
        rings, other = await desk.incoming(), await mobile.incoming()
        call = await other.answer(play=Tone(440))
        await rings.cancelled()
        await asyncio.sleep(1)
        await call.hang_up()

    (recording,) = await completed(node)
    assert 700 < recording["duration_ms"] < 2_500
    (called, *_) = await node.command("calls", "list")
    assert (called["to"], called["cause"]) == ("alice", "normal")


async def _is_bound(node: ServedNode, count: int) -> bool:
    (endpoint,) = await node.command("endpoint", "list")
    return len(endpoint["registered"]) == count


async def test_a_wrong_password_registers_nobody(node: ServedNode) -> None:
    auth_id = node.first_account().auth_id
    await node.command("endpoint", "add", "alice", "--account", auth_id, "--password", PASSWORD)
    async with Softphone("desk") as desk:
        answer = await register(desk, node, "alice", "another secret")

    assert answer.status in {401, 403}
    assert not await _is_bound(node, 1)


async def test_a_trunk_s_calls_are_known_by_their_source_and_limited(node: ServedNode) -> None:
    auth_id, application_id = await commanded(node)
    await node.command("number", "add", "+4930123456", "--app", application_id)
    async with Softphone("carrier") as carrier:
        with pytest.raises(CallRejected):
            await carrier.call(node.sip_uri("030123456"))
        await node.command(
            "trunk", "add", "gate", "--account", auth_id, "--source", "127.0.0.0/8",
            "--country", "49", "--channels", "1",
        )  # fmt: skip
        first = carrier.dial(node.sip_uri("030123456"))

        async def arrived() -> Any:
            found = await node.command("calls", "list", "--live")
            return found[0] if found else None

        assert (await until(arrived))["to"] == "+4930123456"
        with pytest.raises(CallRejected) as refused:
            await carrier.call(node.sip_uri("030123456"))
        await first.cancel()

    assert refused.value.status == 503
    (full, _) = await node.command("calls", "list")
    assert (full["cause"], "gate has 1 calls" in full["detail"]) == ("busy", True)


async def test_a_number_goes_by_the_next_target_when_the_first_fails(node: ServedNode) -> None:
    auth_id = node.first_account().auth_id
    async with Softphone("first") as first, Softphone("second") as second:
        await node.command(
            "trunk", "add", "carrier", "--account", auth_id, "--watch", "0",
            "--target", f"sip:127.0.0.1:{first.port},1",
            "--target", f"sip:127.0.0.1:{second.port},2",
        )  # fmt: skip
        await node.command("policy", "set", "trunk", "carrier")
        await dial(node, "+4930123456")
        (await first.incoming()).reject(503, "Service Unavailable")
        incoming = await second.incoming()
        call = await incoming.answer(play=Tone(440))
        await asyncio.sleep(1)
        await node.stop()
        assert await call.ended(5) is EndedBy.THEM

    await node.start()
    (recording,) = await completed(node)
    assert recording["health"] == "ok"


async def test_a_check_tells_targets_that_answer_from_those_that_do_not(node: ServedNode) -> None:
    auth_id = node.first_account().auth_id
    async with Softphone("carrier") as carrier:
        await node.command(
            "trunk", "add", "carrier", "--account", auth_id, "--watch", "2",
            "--target", f"sip:127.0.0.1:{carrier.port}",
        )  # fmt: skip

        async def is_up() -> bool:
            found = await node.command("trunk", "list")
            return "up" in found[0]["targets"][0]

        await until(is_up)
    checked = await node.command("trunk", "check", "carrier")

    assert "up (200)" in checked["targets"][0]
