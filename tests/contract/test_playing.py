"""One suite over every dialect: files and speech for calls and conferences, and what can be wrong
with them.
"""

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
from tapeline.api.dialect import find_dialects
from tapeline.api.dialects.telnyx.words import call_control_id
from tapeline.control.live import LiveCall
from tapeline.domain.signal import PlaySpec

SOUND = "http://cust.example/hello.mp3"
HEARD = str(Path(SOUND))
ROOM = "MyConf"
Request = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """Requests (method, path, body) and the statuses that answer them. `{call}` is the call's id,
    `{member}` its participant's.
    """

    play: Request
    loop: Request
    speak: Request
    stop: Request
    digits: Request
    play_to_room: Request
    play_to_member: Request
    stop_to_room: Request
    bad_body: Mapping[str, Any]
    started: int
    stopped: int
    member_started: int
    missing_value: int
    unreachable: int
    unspeakable: int
    unanswered: int


_CALL, _MEMBER = (
    "/api/v1/Account/{auth_id}/Call/{call}/",
    ("/api/v1/Account/{auth_id}/Conference/MyConf/Member/"),
)
ACCOUNT_STYLE = Says(
    play=("POST", _CALL + "Play/", {"urls": [SOUND]}),
    loop=("POST", _CALL + "Play/", {"urls": SOUND, "loop": True, "mix": False}),
    speak=("POST", _CALL + "Speak/", {"text": "Good morning"}),
    stop=("DELETE", _CALL + "Play/", {}),
    digits=("POST", _CALL + "DTMF/", {"digits": "1w2#"}),
    play_to_room=("POST", _MEMBER + "all/Play/", {"url": SOUND}),
    play_to_member=("POST", _MEMBER + "{member}/Play/", {"url": SOUND}),
    stop_to_room=("DELETE", _MEMBER + "all/Play/", {}),
    bad_body={},
    started=202,
    stopped=204,
    member_started=202,
    missing_value=400,
    unreachable=400,
    unspeakable=503,
    unanswered=404,
)
_ACTION, _CONFERENCE = "/v2/calls/{ccid}/actions/", "/v2/conferences/MyConf/actions/"
TABLE: Mapping[str, Says] = {
    "plivo": ACCOUNT_STYLE,
    "telnyx": Says(
        play=("POST", _ACTION + "playback_start", {"audio_url": SOUND}),
        loop=("POST", _ACTION + "playback_start", {"audio_url": SOUND, "loop": "infinity"}),
        speak=("POST", _ACTION + "speak", {"payload": "Good morning", "voice": "female"}),
        stop=("POST", _ACTION + "playback_stop", {}),
        digits=("POST", _ACTION + "send_dtmf", {"digits": "1w2#"}),
        play_to_room=("POST", _CONFERENCE + "play", {"audio_url": SOUND}),
        play_to_member=(
            "POST",
            _CONFERENCE + "play",
            {"audio_url": SOUND, "call_control_ids": ["{ccid}"]},
        ),
        stop_to_room=("POST", _CONFERENCE + "stop", {}),
        bad_body={},
        started=200,
        stopped=200,
        member_started=200,
        missing_value=422,
        unreachable=404,
        unspeakable=422,
        unanswered=422,
    ),
    "vobiz": ACCOUNT_STYLE,
}


def test_every_dialect_stands_in_the_table() -> None:
    assert set(TABLE) == set(find_dialects())


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    node: World
    app: App
    dialect: str
    says: Says

    async def send(self, request: Request, live_call: LiveCall, **more: Any) -> Answer:
        method, path, body = request
        token = self.node.auth_token
        headers = {
            "Authorization": f"Bearer {self.node.api_key}",
            "X-Auth-ID": self.node.account.id,
            "X-Auth-Token": token,
            "Content-Type": "application/json",
        }
        if self.dialect != "telnyx":
            headers.pop("Authorization")
        values = {
            "auth_id": self.node.account.id,
            "call": live_call.call.id,
            "ccid": call_control_id(live_call.call.id),
            "member": "" if live_call.seat is None else live_call.seat.participant.member_id,
        }
        text = json.dumps(body).replace("{ccid}", values["ccid"])
        return await ask(
            self.app, method, path.format(**values), headers=headers, body=text.encode(), **more
        )

    async def in_room(self) -> LiveCall:
        leg = await self.node.join(ROOM)
        return self.node.parts.live.calls[leg]

    def heard(self) -> list[PlaySpec]:
        return list(self.node.engine.playbacks.values())


@pytest.fixture(params=sorted(TABLE))
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with world(tmp_path) as node:
        await node.room_application()
        yield Desk(node=node, app=rest_of(node), dialect=request.param, says=TABLE[request.param])


async def test_a_file_is_heard_and_stopped(desk: Desk) -> None:
    live_call = await desk.node.answered_call()

    answered = await desk.send(desk.says.loop, live_call)
    await desk.node.playing()
    (spec,) = desk.heard()
    stopped = await desk.send(desk.says.stop, live_call)

    assert (answered.status, stopped.status) == (desk.says.started, desk.says.stopped)
    assert (spec.path, spec.leg, spec.loops) == (HEARD, live_call.leg, 0)
    assert spec.instead == (desk.dialect != "telnyx")
    assert desk.heard() == []


async def test_a_text_is_spoken_after_the_file_before_it(desk: Desk) -> None:
    live_call = await desk.node.answered_call()

    await desk.send(desk.says.play, live_call)
    answered = await desk.send(desk.says.speak, live_call)
    desk.node.engine.finish_play(await desk.node.playing())
    await desk.node.until(lambda: [s.path for s in desk.heard()] not in ([], [HEARD]))

    assert answered.status == desk.says.started
    assert desk.heard()[0].path.endswith("/Good morning")


async def test_keys_are_pressed(desk: Desk) -> None:
    live_call = await desk.node.answered_call()
    method, path, _ = desk.says.digits

    answered = await desk.send(desk.says.digits, live_call)
    wrong = await desk.send((method, path, {"digits": "x"}), live_call)
    await desk.node.until(lambda: "send_digits" in desk.node.engine.names())
    (pressed,) = [each for each in desk.node.engine.commands if each.name == "send_digits"]

    assert (answered.status, wrong.status) == (desk.says.started, desk.says.missing_value)
    assert (pressed.arguments["leg"], pressed.arguments["digits"]) == (live_call.leg, "1w2#")


async def test_a_conference_and_one_member_hear_a_file(desk: Desk) -> None:
    live_call = await desk.in_room()
    await desk.in_room()
    assert live_call.seat is not None

    everybody = await desk.send(desk.says.play_to_room, live_call)
    await desk.node.until(lambda: len(desk.heard()) == 1)
    one = await desk.send(desk.says.play_to_member, live_call)
    await desk.node.until(lambda: len(desk.heard()) == 2)
    targets = [(spec.room, spec.leg) for spec in desk.heard()]
    stopped = await desk.send(desk.says.stop_to_room, live_call)

    assert (everybody.status, one.status) == (desk.says.member_started,) * 2
    assert stopped.status == desk.says.stopped
    assert targets == [(live_call.seat.conference.room, None), (None, live_call.leg)]
    assert desk.heard() == []


async def test_what_is_wrong_with_it_is_told_at_once(desk: Desk) -> None:
    live_call = await desk.node.answered_call()
    waiting = await desk.node.commanded(answered=False)
    method, path, _ = desk.says.play
    statuses = {
        "missing": (await desk.send((method, path, desk.says.bad_body), live_call)).status,
        "unanswered": (await desk.send(desk.says.play, waiting)).status,
    }
    desk.node.sounds.missing |= {SOUND, "Good morning"}
    statuses |= {
        "unreachable": (await desk.send(desk.says.play, live_call)).status,
        "unspeakable": (await desk.send(desk.says.speak, live_call)).status,
        "member": (await desk.send(desk.says.play_to_room, await desk.in_room())).status,
    }

    assert statuses == {
        "missing": desk.says.missing_value,
        "unanswered": desk.says.unanswered,
        "unreachable": desk.says.unreachable,
        "unspeakable": desk.says.unspeakable,
        "member": desk.says.unreachable,
    }
    assert desk.heard() == []
