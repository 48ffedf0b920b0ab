"""The Vobiz dialect over the real control plane: calls in rooms, rows in SQLite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.rest import Client, rest_of
from tests.unit.control.support import World, world

from tapeline.domain import event
from tapeline.domain.command import CreateAccount, SetAccount


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        await built.room_application()
        yield built


@pytest.fixture
def rest(node: World) -> Client:
    return Client(node, rest_of(node), node.account.id, node.auth_token)


@pytest.mark.parametrize(
    ("name", "raw"), [("MyConf", "MyConf"), ("a/b", "a%2Fb"), ("Zoë 1", "Zo%C3%AB%201")]
)
async def test_a_room_is_recorded_and_its_recording_found(
    node: World, rest: Client, name: str, raw: str
) -> None:
    leg = await node.join(name)

    started = await rest("POST", f"Conference/{raw}/Record/", body=b'{"file_format": "wav"}')
    recording_id = started.json["recording_id"]
    while_running = await rest("GET", f"Recording/{recording_id}/")
    stopped = await rest("DELETE", f"Conference/{raw}/Record/")
    await node.happened(event.RecordingFinished)
    listed = await rest("GET", "Recording/?recording_type=conference&recording_format=wav")

    assert (started.status, stopped.status) == (200, 204)
    assert started.json["message"] == "conference recording started"
    assert started.json["url"].startswith(f"http://node/media/{recording_id}.wav")
    assert while_running.json["recording_end_ms"] is None
    (row,) = listed.json["objects"]
    assert (row["recording_id"], row["conference_name"]) == (recording_id, name)
    assert listed.json["meta"]["total_count"] == 1
    assert (await rest("GET", "Conference/")).json["conferences"] == [name]
    await node.engine.hang_up(leg)


async def test_the_rooms_members_are_shown(node: World, rest: Client) -> None:
    await node.join("MyConf")
    await node.join("MyConf", caller="+15550199")

    room = (await rest("GET", "Conference/MyConf/")).json

    assert room["conference_member_count"] == "2"
    assert [member["from"] for member in room["members"]] == ["+15550100", "+15550199"]


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "Conference/nobody/Record/", "conference not found"),
        ("DELETE", "Conference/nobody/Record/", "conference not found"),
        ("GET", "Conference/nobody/", "conference not found"),
        ("DELETE", "Conference/MyConf/Record/", "recording not found"),
        ("GET", "Recording/none/", "recording not found"),
        ("DELETE", "Recording/none/", "recording not found"),
    ],
)
async def test_what_is_not_there(
    node: World, rest: Client, method: str, path: str, text: str
) -> None:
    await node.join("MyConf")

    answer = await rest(method, path)

    assert (answer.status, answer.json) == (404, {"error": text})


async def test_of_two_starts_at_once_one_wins(node: World, rest: Client) -> None:
    await node.join("MyConf")

    starts = await asyncio.gather(*(rest("POST", "Conference/MyConf/Record/") for _ in range(8)))

    assert sorted(answer.status for answer in starts) == [200] + [400] * 7


async def test_start_stop_start_gives_two_recordings(node: World, rest: Client) -> None:
    await node.join("MyConf")

    for _ in range(2):
        assert (await rest("POST", "Conference/MyConf/Record/")).status == 200
        assert (await rest("DELETE", "Conference/MyConf/Record/")).status == 204

    assert (await rest("GET", "Recording/?limit=1")).json["meta"]["total_count"] == 2


async def test_stopping_twice_is_not_found_unless_the_account_chose_otherwise(
    node: World, rest: Client
) -> None:
    await node.join("MyConf")
    await rest("POST", "Conference/MyConf/Record/")

    first = await rest("DELETE", "Conference/MyConf/Record/")
    second = await rest("DELETE", "Conference/MyConf/Record/")

    assert (first.status, second.status) == (204, 404)


async def test_deleting_a_running_recording_stops_it(node: World, rest: Client) -> None:
    await node.join("MyConf")
    started = (await rest("POST", "Conference/MyConf/Record/")).json

    deleted = await rest("DELETE", f"Recording/{started['recording_id']}/")

    assert deleted.status == 204
    assert (await rest("GET", f"Recording/{started['recording_id']}/")).status == 404
    assert (await rest("DELETE", "Conference/MyConf/Record/")).status == 404


async def test_another_accounts_things_are_not_found(node: World, rest: Client) -> None:
    await node.join("MyConf")
    started = (await rest("POST", "Conference/MyConf/Record/")).json
    other = await node.control.execute(CreateAccount(name="Other"))
    stranger = Client(node, rest.app, other.account.id, other.auth_token)

    for method in ("GET", "DELETE"):
        assert (await stranger(method, f"Recording/{started['recording_id']}/")).status == 404
    assert (await stranger("POST", "Conference/MyConf/Record/")).status == 404
    assert (await stranger("GET", "Conference/")).json["conferences"] == []
    assert (await stranger("GET", "Recording/")).json["objects"] == []


async def test_a_callback_is_rendered_for_who_started(node: World, rest: Client) -> None:
    await node.join("MyConf")
    body = b'{"callback_url": "https://cust.example/done#rc=5", "file_format": "mp3"}'
    started = (await rest("POST", "Conference/MyConf/Record/", body=body)).json
    await rest("DELETE", "Conference/MyConf/Record/")

    (finished,) = await node.happened(event.RecordingFinished)

    starter = finished.recording.starter
    assert (starter.dialect, starter.request_id) == ("vobiz", started["api_id"])
    assert starter.callback_url == "https://cust.example/done#rc=5"


async def test_settings_that_the_dialect_declares_can_be_chosen(node: World) -> None:
    from tapeline.api.dialect import find_dialects
    from tapeline.control import DialectRules

    vobiz = find_dialects()["vobiz"]
    rules = DialectRules(
        parse_answer=vobiz.answers.parse,
        settings={setting.key: setting.choices for setting in vobiz.settings},
    )
    node.parts.dialects["vobiz"] = rules  # type: ignore[index]

    account = await node.control.execute(
        SetAccount(account_id=node.account.id, dialect_settings={"vobiz.callback_encoding": "form"})
    )

    assert account.settings.dialect == {"vobiz": {"callback_encoding": "form"}}
