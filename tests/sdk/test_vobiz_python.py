"""`vobiz-python` 0.1.1, unmodified, with only `base_uri` set, over HTTP on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import vobiz
from tests.contract.rest import rest_of
from tests.unit.control.support import World, world
from vobiz.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError

from tapeline.api.server import HttpServer, bind_tcp
from tapeline.domain import event

RECORD = ("Conference", "MyConf", "Record")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        await built.room_application()
        await built.join("MyConf")
        yield built


@pytest.fixture
async def base(node: World) -> AsyncIterator[str]:
    server = HttpServer(rest_of(node), bind_tcp("127.0.0.1", 0), grace_s=1)
    await server.start()
    yield f"http://127.0.0.1:{server.port}/api/v1/Account"
    await server.stop()


@pytest.fixture
def client(node: World, base: str) -> Any:
    made = vobiz.RestClient(node.account.id, node.auth_token)
    made.base_uri = base
    yield made
    made.session.close()
    made.multipart_session.close()


async def call(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """The SDK blocks, and the server runs in this loop."""
    return await asyncio.to_thread(function, *args, **more)


@pytest.mark.parametrize("file_format", ["mp3", "wav"])
async def test_a_conference_is_recorded(node: World, client: Any, file_format: str) -> None:
    started = await call(client.request, "POST", RECORD, data={"file_format": file_format})

    assert started.message == "conference recording started"
    assert started.url.endswith(f".{file_format}?for={node.account.id}&at={node.clock.now_ms()}")
    stopped = await call(client.request, "DELETE", RECORD, data={})
    assert stopped is None
    (finished,) = await node.happened(event.RecordingFinished)
    assert finished.recording.id == started.recording_id
    one = await call(client.recordings.get, started.recording_id)
    assert (one.recording_format, one.conference_name) == (file_format, "MyConf")
    listed = await call(client.recordings.list, limit=5, recording_type="conference")
    assert [each.recording_id for each in listed.objects] == [started.recording_id]
    await call(client.recordings.delete, started.recording_id)
    with pytest.raises(ResourceNotFoundError, match="recording not found"):
        await call(client.recordings.get, started.recording_id)


async def test_conferences_are_read(client: Any) -> None:
    listed = await call(client.request, "GET", ("Conference",))
    room = await call(client.request, "GET", ("Conference", "MyConf"))

    assert listed.conferences == ["MyConf"]
    assert room.conference_member_count == "1"


@pytest.mark.parametrize(
    ("method", "path", "body", "error", "text"),
    [
        ("POST", RECORD, {"file_format": "ogg"}, ValidationError, "file_format"),
        ("POST", RECORD, {"callback_url": "nowhere"}, ValidationError, "callback_url"),
        (
            "POST",
            ("Conference", "none", "Record"),
            {},
            ResourceNotFoundError,
            "conference not found",
        ),
        ("DELETE", RECORD, {}, ResourceNotFoundError, "recording not found"),
    ],
)
async def test_errors_are_the_sdks_own(
    client: Any, method: str, path: tuple[str, ...], body: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await call(client.request, method, path, data=body)


async def test_a_second_start_is_a_validation_error(client: Any) -> None:
    await call(client.request, "POST", RECORD, data={})

    with pytest.raises(ValidationError, match="already being recorded"):
        await call(client.request, "POST", RECORD, data={})


async def test_wrong_credentials_are_an_authentication_error(client: Any) -> None:
    client.session.headers["X-Auth-Token"] = "wrong"

    with pytest.raises(AuthenticationError, match="credentials"):
        await call(client.request, "GET", ("Conference",))
