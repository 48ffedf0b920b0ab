"""The control socket's application and its client, over a real socket in a temporary folder."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.things import ACCOUNT_ID, FixedClock, MemoryControl

from tapeline.api.local import LocalApp, bind_control_socket
from tapeline.api.localnode import LocalNode
from tapeline.api.operations import Surroundings
from tapeline.api.server import HttpServer
from tapeline.domain.command import Command, GetAccount, GetRecording, ListConferences
from tapeline.domain.error import AccountNotFound, RecordingNotFound, Unavailable
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.signal import TracedMessage

MESSAGE = TracedMessage(
    unix_us=1_700_000_000_123_456,
    is_sent=True,
    transport="udp",
    peer="192.0.2.1:5060",
    text="BYE\r\n",
)


def trace_of(call: str) -> list[TracedMessage]:
    return [MESSAGE] if call == "c@1" else []


class _Control(MemoryControl):
    async def execute(self, command: Command[Any]) -> Any:
        if isinstance(command, GetRecording) and command.recording_id == "bug":
            raise KeyError("secret")
        return await super().execute(command)


def app(control: MemoryControl, faults: list[str] | None = None) -> LocalApp:
    found = [] if faults is None else faults
    surroundings = Surroundings(
        control=control,
        clock=FixedClock(),
        report_fault=lambda where, error: found.append(f"{where}: {error!r}"),
    )
    return LocalApp(surroundings=surroundings, stats=lambda: {"legs": 3}, trace=trace_of)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[LocalNode]:
    control = MemoryControl()
    control.open_room("a/b")
    server = HttpServer(app(control), bind_control_socket(tmp_path))
    await server.start()
    yield LocalNode(tmp_path)
    await server.stop()


async def test_a_running_node_executes_commands(node: LocalNode) -> None:
    assert await node.is_there()
    assert await node.stats() == {"legs": 3}

    (view,) = await node.execute(ListConferences(account_id=ACCOUNT_ID))

    assert view.conference.name == "a/b"
    assert view.participants[0].call.caller_name == "Ada"


async def test_the_messages_of_a_call_come_over(node: LocalNode) -> None:
    assert await node.sip_trace("c@1") == [MESSAGE]
    assert await node.sip_trace("another") == []


async def test_errors_come_over_as_their_own_kind(node: LocalNode) -> None:
    with pytest.raises(AccountNotFound, match="account not found: 'MAx'"):
        await node.execute(GetAccount(account_id=AccountId("MAx")))
    with pytest.raises(RecordingNotFound):
        await node.execute(GetRecording(account_id=ACCOUNT_ID, recording_id=RecordingId("none")))


async def test_only_its_owner_opens_the_socket(node: LocalNode, tmp_path: Path) -> None:
    assert await node.is_there()
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


async def test_without_a_node_nobody_answers(tmp_path: Path) -> None:
    node = LocalNode(tmp_path)

    assert not await node.is_there()
    with pytest.raises(Unavailable, match="no node answers"):
        await node.execute(ListConferences())


async def test_a_dead_nodes_socket_is_replaced(tmp_path: Path) -> None:
    bind_control_socket(tmp_path).close()
    assert not await LocalNode(tmp_path).is_there()

    bind_control_socket(tmp_path).close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/execute", b"{", 400, "InvalidBody"),
        ("POST", "/execute", b'{"type": "Explode"}', 400, "InvalidBody"),
        ("POST", "/execute", b"\xff", 400, "InvalidBody"),
        ("GET", "/else", b"", 404, "InvalidBody"),
    ],
)
async def test_what_is_no_command_is_refused(
    method: str, path: str, body: bytes, status: int, kind: str
) -> None:
    answer = await ask(app(MemoryControl()), method, path, body=body)

    assert (answer.status, answer.json["error"]["type"]) == (status, kind)


async def test_a_bug_is_counted_and_says_nothing_of_itself() -> None:
    faults: list[str] = []
    fields = {"account_id": ACCOUNT_ID, "recording_id": "bug"}
    body = json.dumps({"type": "GetRecording", "fields": fields}).encode()

    answer = await ask(app(_Control(), faults), "POST", "/execute", body=body)

    assert (answer.status, answer.json["error"]["type"]) == (500, "InternalFault")
    assert "secret" not in answer.text
    assert len(faults) == 1
