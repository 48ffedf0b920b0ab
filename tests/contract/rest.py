"""The HTTP side over the real control plane and rows, with the engine in memory."""

from dataclasses import dataclass
from typing import Any

from tests.unit.api.asgi import Answer, ask
from tests.unit.api.things import MemoryFiles
from tests.unit.control.support import World

from tapeline.api.app import App, build_app
from tapeline.api.dialect import find_dialects
from tapeline.api.media import MediaApp
from tapeline.api.operations import Surroundings
from tapeline.storage import LinkState


def rest_of(world: World) -> App:
    dialects = find_dialects()
    surroundings = Surroundings(
        control=world.control, clock=world.clock, report_fault=world.bugs.add
    )
    media = MediaApp(
        surroundings=surroundings,
        dialects=dialects,
        files=MemoryFiles({}),
        check_link=lambda *_: LinkState.FORGED,
    )
    return build_app(surroundings=surroundings, dialects=dialects, media=media)


@dataclass
class Client:
    """One account's requests below its own path."""

    world: World
    app: App
    auth_id: str
    auth_token: str

    async def __call__(self, method: str, path: str, **more: Any) -> Answer:
        headers = {"X-Auth-ID": self.auth_id, "X-Auth-Token": self.auth_token}
        target = f"/api/v1/Account/{self.auth_id}/{path}"
        return await ask(self.app, method, target, headers=headers, **more)
