"""One suite over every dialect: starting and stopping a room's recording, and all that can be wrong
with it. What each answers stands in one table.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.rest import rest_of
from tests.unit.api.asgi import Answer, ask
from tests.unit.control.support import World, world

from tapeline.api.app import App
from tapeline.api.dialect import Dialect, fill, find_dialects
from tapeline.domain import event
from tapeline.domain.command import SetAccount

ROOM = "MyConf"
HOOK = "http://cust.example/hook"
ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """Statuses, and a word that the body must hold where there is one. None: cannot happen."""

    started: int
    stopped: int
    unknown: tuple[int, str]
    bad_value: tuple[int, str]
    missing_value: tuple[int, str] | None
    unauthenticated: int
    wrong_case: int
    twice: int
    nothing_to_stop: tuple[int, str]
    gone: tuple[int, ...]
    """What a start or stop may be told when the conference is just ending."""
    has_keys: bool
    """Whether a start may carry a key that makes it happen once."""
    bad_body: bytes = b'{"file_format": "ogg"}'
    empty_body: bytes = b"{}"


TABLE: Mapping[str, Says] = {
    "plivo": Says(
        started=202,
        stopped=204,
        unknown=(404, "conference not found"),
        bad_value=(400, "file_format"),
        missing_value=None,
        unauthenticated=401,
        wrong_case=404,
        twice=400,
        nothing_to_stop=(204, ""),
        gone=(404,),
        has_keys=False,
    ),
    "telnyx": Says(
        started=200,
        stopped=200,
        unknown=(404, "90058"),
        bad_value=(422, "10032"),
        missing_value=(422, "10004"),
        unauthenticated=401,
        wrong_case=404,
        twice=200,
        nothing_to_stop=(422, "90033"),
        gone=(404, 422),
        has_keys=True,
        bad_body=b'{"format": "ogg"}',
    ),
    "vobiz": Says(
        started=200,
        stopped=204,
        unknown=(404, "conference not found"),
        bad_value=(400, "file_format"),
        missing_value=None,
        unauthenticated=401,
        wrong_case=401,
        twice=400,
        nothing_to_stop=(404, "recording not found"),
        gone=(404,),
        has_keys=False,
    ),
}


def test_every_dialect_stands_in_the_table() -> None:
    assert set(TABLE) == set(find_dialects())


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A customer of one dialect."""

    node: World
    app: App
    dialect: Dialect
    says: Says

    async def start(self, room: str = ROOM, *, body: bytes | None = None, **more: Any) -> Answer:
        row = self.dialect.demo
        text = fill(row.start_body, self._values(room)).encode() if body is None else body
        return await self.send(row.start_method, row.start_path, room, text, **more)

    async def stop(self, room: str = ROOM) -> Answer:
        row = self.dialect.demo
        text = fill(row.stop_body, self._values(room)).encode()
        return await self.send(row.stop_method, row.stop_path, room, text)

    async def send(
        self,
        method: str,
        path: str,
        room: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        lower: bool = False,
    ) -> Answer:
        values = self._values(room)
        target = fill(path, values)
        given = {k: fill(v, values) for k, v in self.dialect.demo.headers.items()}
        if lower:
            target = target.replace("/Account/", "/account/").replace(
                "/conferences/", "/Conferences/"
            )
        return await ask(
            self.app, method, target, headers=given if headers is None else headers, body=body
        )

    def _values(self, room: str) -> dict[str, str]:
        pair = f"{self.node.account.id}:{self.node.auth_token}".encode()
        return {
            "auth_id": self.node.account.id,
            "auth_token": self.node.auth_token,
            "api_key": self.node.api_key,
            "basic": base64.b64encode(pair).decode(),
            "conference": room,
            "callback_url": HOOK,
            "format": "wav",
        }


@pytest.fixture(params=sorted(TABLE))
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with world(tmp_path) as node:
        await node.room_application()
        await node.control.execute(SetAccount(account_id=node.account.id, webhook_url=HOOK))
        dialect = find_dialects()[request.param]
        yield Desk(node=node, app=rest_of(node), dialect=dialect, says=TABLE[request.param])
        assert node.bugs.count == 0


async def test_start_and_stop(desk: Desk) -> None:
    await desk.node.join(ROOM)

    started = await desk.start()
    stopped = await desk.stop()

    assert (started.status, stopped.status) == (desk.says.started, desk.says.stopped)
    (finished,) = await desk.node.happened(event.RecordingFinished)
    assert finished.recording.starter.dialect == desk.dialect.name
    assert finished.recording.format == "wav"
    message = desk.dialect.render_event(finished)
    assert message is not None
    assert message.url == HOOK
    assert message.announces_finished


async def test_an_unknown_target(desk: Desk) -> None:
    status, word = desk.says.unknown

    for answer in (await desk.start("nobody"), await desk.stop("nobody")):
        assert answer.status == status
        assert word in answer.text


async def test_a_bad_value(desk: Desk) -> None:
    await desk.node.join(ROOM)

    answer = await desk.start(body=desk.says.bad_body)
    broken = await desk.start(body=b'{"form')

    assert (answer.status, desk.says.bad_value[1] in answer.text) == (desk.says.bad_value[0], True)
    assert broken.status == 400
    assert not desk.node.engine.recorders


async def test_a_missing_value(desk: Desk) -> None:
    await desk.node.join(ROOM)

    answer = await desk.start(body=desk.says.empty_body)

    if desk.says.missing_value is None:  # nothing is required: the defaults serve
        assert answer.status == desk.says.started
        return
    status, word = desk.says.missing_value
    assert answer.status == status
    assert word in answer.text


async def test_bad_credentials(desk: Desk) -> None:
    await desk.node.join(ROOM)
    wrong = {name: "wrong" for name in desk.dialect.demo.headers if name != "Content-Type"}

    for headers in ({}, wrong):
        answer = await desk.start(headers=headers)
        assert answer.status == desk.says.unauthenticated
        assert desk.node.auth_token not in answer.text
    assert not desk.node.engine.recorders


async def test_the_wrong_case(desk: Desk) -> None:
    await desk.node.join(ROOM)

    answer = await desk.start(lower=True)

    assert answer.status == desk.says.wrong_case
    assert (await desk.start(ROOM.lower())).status == desk.says.unknown[0]


async def test_twice(desk: Desk) -> None:
    await desk.node.join(ROOM)
    nothing = await desk.stop()
    first, second = await desk.start(), await desk.start()
    stopped, again = await desk.stop(), await desk.stop()

    status, word = desk.says.nothing_to_stop
    assert (nothing.status, word in nothing.text) == (status, True)
    assert (first.status, second.status) == (desk.says.started, desk.says.twice)
    assert (stopped.status, again.status) == (desk.says.stopped, status)
    running = 2 if desk.says.twice == desk.says.started else 1
    assert len(await desk.node.happened(event.RecordingFinished, running)) == running


async def test_while_the_conference_is_ending(desk: Desk) -> None:
    for number in range(ROUNDS):
        leg = await desk.node.join(ROOM)
        if number % 2:
            assert (await desk.start()).status == desk.says.started
            request = desk.stop()
            fine = (desk.says.stopped, desk.says.nothing_to_stop[0], *desk.says.gone)
        else:
            request = desk.start()
            fine = (desk.says.started, *desk.says.gone)

        answer, _ = await asyncio.gather(request, desk.node.engine.hang_up(leg))
        await desk.node.settled()

        assert answer.status in fine, answer.text
    await desk.node.until(lambda: not desk.node.parts.live.recordings)
    assert not desk.node.engine.recorders


async def test_the_same_key_twice_at_once(desk: Desk) -> None:
    if not desk.says.has_keys:  # the dialect has no such field: there is nothing to be repeated
        return
    await desk.node.join(ROOM)
    body = json.dumps({"format": "mp3", "command_id": "once"}).encode()

    answers = await asyncio.gather(*(desk.start(body=body) for _ in range(5)))
    later = await desk.start(body=body)
    other = await desk.start(body=body.replace(b"once", b"next"))

    assert {answer.status for answer in answers} == {desk.says.started}
    assert len({answer.text for answer in (*answers, later)}) == 1
    assert other.text != later.text
    assert len(desk.node.engine.recorders) == 2
