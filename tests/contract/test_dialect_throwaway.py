"""A dialect that costs one folder records a real room; nothing else is edited."""

from pathlib import Path

from tests.contract.rest import rest_of
from tests.unit.api.asgi import ask
from tests.unit.api.throwaway import PLAIN, add, dialect_folder
from tests.unit.control.support import world

from tapeline.domain import event


async def test_a_new_folder_records_a_room(tmp_path: Path) -> None:
    add(tmp_path, "throwaway", PLAIN)
    with dialect_folder(tmp_path):
        async with world(tmp_path) as node:
            await node.room_application()
            app = rest_of(node)
            leg = await node.join("a/b")
            headers = {"Authorization": f"{node.account.id} {node.auth_token}"}

            taping = await ask(app, "PUT", "/plain/v3/tape/a%2Fb", headers=headers)
            await node.engine.hang_up(leg)
            (finished,) = await node.happened(event.RecordingFinished)

    assert taping.status == 201
    assert taping.text == f"taping {finished.recording.id}"
    assert finished.recording.starter.dialect == "plain"
    assert finished.recording.conference_name == "a/b"


async def test_two_dialects_record_one_room_each_in_its_own_name(tmp_path: Path) -> None:
    add(tmp_path, "throwaway", PLAIN)
    with dialect_folder(tmp_path):
        async with world(tmp_path) as node:
            await node.room_application()
            app = rest_of(node)
            await node.join("MyConf")
            plain = {"Authorization": f"{node.account.id} {node.auth_token}"}
            other = {"X-Auth-ID": node.account.id, "X-Auth-Token": node.auth_token}
            base = f"/api/v1/Account/{node.account.id}"

            await ask(app, "PUT", "/plain/v3/tape/MyConf", headers=plain)
            started = await ask(app, "POST", f"{base}/Conference/MyConf/Record/", headers=other)
            stopped = await ask(app, "DELETE", f"{base}/Conference/MyConf/Record/", headers=other)
            listed = await ask(app, "GET", f"{base}/Recording/", headers=other)
            finished = await node.happened(event.RecordingFinished)

    assert (started.status, stopped.status) == (200, 204)
    assert listed.json["meta"]["total_count"] == 2
    assert [each.recording.starter.dialect for each in finished] == ["vobiz"]
