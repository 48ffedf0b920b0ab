from pathlib import Path

from tests.unit.control.support import DIALECT, World, document, world

from tapeline.control.first_start import make_ready_room
from tapeline.domain import event

ROOM = document(("join", {"name": "{{match}}"}))


async def test_an_account_that_is_there_is_left_alone(node: World) -> None:
    assert await make_ready_room(node.control, dialect=DIALECT, room_document=ROOM) is None


async def test_a_first_start_leaves_a_room_that_can_be_called(tmp_path: Path) -> None:
    async with world(tmp_path, with_account=False) as node:
        created = await make_ready_room(node.control, dialect=DIALECT, room_document=ROOM)
        again = await make_ready_room(node.control, dialect=DIALECT, room_document=ROOM)

        node.engine.arrive(called="room-MyConf")
        (joined,) = await node.happened(event.ParticipantJoined)

        assert created is not None
        assert again is None
        assert joined.conference.name == "MyConf"
        assert joined.account.id == created.account.id
