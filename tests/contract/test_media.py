"""Links as the API hands them out, opened over the real folder of recordings."""

from pathlib import Path

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.things import NOW_MS, FixedClock, MemoryControl, account, recording

from tapeline.api.app import App, build_app
from tapeline.api.dialect import find_dialects
from tapeline.api.media import MediaApp
from tapeline.api.operations import Surroundings
from tapeline.domain.id import EpochMs
from tapeline.storage import Links, LocalStore
from tapeline.telemetry import Bugs

LINKS = Links("https://rec.example:8443/behind/a/proxy", b"k" * 32)
CONTENT = bytes(range(256)) * 4_000


@pytest.fixture
async def app(tmp_path: Path) -> App:
    control, store = MemoryControl(), LocalStore(tmp_path / "recordings")
    row = recording(byte_count=len(CONTENT))
    control.recordings[row.id] = row
    source = tmp_path / "audio.part"
    source.write_bytes(CONTENT)
    await store.put(source, row.storage_key)
    surroundings = Surroundings(control=control, clock=FixedClock(), report_fault=Bugs().add)
    media = MediaApp(
        surroundings=surroundings, dialects=find_dialects(), files=store, check_link=LINKS.check
    )
    return build_app(surroundings=surroundings, dialects={}, media=media)


def link(now_ms: EpochMs = NOW_MS, **settings: int) -> str:
    url = LINKS.for_account(LINKS.link_of(recording()), account(**settings), now_ms)
    return url.removeprefix("https://rec.example:8443/behind/a/proxy")


async def test_a_link_opens_its_recording(app: App) -> None:
    answer = await ask(app, "GET", link())

    assert (answer.status, answer.body) == (200, CONTENT)


async def test_parts_come_from_their_place(app: App) -> None:
    answer = await ask(app, "GET", link(), headers={"Range": "bytes=300000-900000"})

    assert (answer.status, answer.body) == (206, CONTENT[300_000:900_001])


@pytest.mark.parametrize("age_s", [61, 86_400])
async def test_a_link_expires_and_says_so(app: App, age_s: int) -> None:
    answer = await ask(app, "GET", link(EpochMs(NOW_MS - age_s * 1_000), link_life_s=60))

    assert answer.status == 403
    assert "expired" in answer.text


async def test_a_later_expiry_is_a_forgery(app: App) -> None:
    target = link(EpochMs(NOW_MS - 61_000), link_life_s=60)
    expires = target.partition("expires=")[2].partition("&")[0]

    answer = await ask(app, "GET", target.replace(expires, str(int(expires) + 1_000)))

    assert answer.status == 403
    assert "wrong" in answer.text
