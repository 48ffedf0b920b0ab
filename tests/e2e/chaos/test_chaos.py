"""Recordings while the node is killed at seeded moments, the store refuses for a while and the
receiver flaps: nothing is lost, nothing stored twice, every callback came.

`CHAOS_SEED` repeats a run; `CHAOS_ROUNDS` and `CHAOS_ROOMS` make it longer (200 recordings, twenty
kills: 20 and 10).
"""

import asyncio
import hashlib
import os
import random
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import obstore
import pytest
from tests.contract.s3 import S3, SECRETS, serve_s3
from tests.e2e.site import Site, eventually, open_site

from tapeline.api.accountstyle.signature import sign, v2_message
from tapeline.domain.command import GetRecording, ListDeliveries, SetBucket
from tapeline.domain.delivery import DeliveryState
from tapeline.domain.error import Unavailable
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import TERMINAL_STATES, Recording, RecordingState
from tapeline.domain.storage import BucketKind, Place
from tapeline.domain.work import WorkState
from tapeline.storage import RemoteStore
from tapeline.testing import Answer, Tone

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
ROOMS = int(os.environ.get("CHAOS_ROOMS", "3"))
TERMINAL_WITHIN_S = 10.0
STORED_WITHIN_S = 60.0
pytestmark = [pytest.mark.alone, pytest.mark.timeout(120 + ROUNDS * 60)]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    seed = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - for whom it fails
    chance, port = random.Random(seed), _free_port()
    started: list[dict[str, Any]] = []
    with ExitStack() as store:
        async with open_site(tmp_path, {"transcription": "none"}) as site:
            await site.local.execute(
                SetBucket(
                    account_id=None,
                    kind=BucketKind.S3,
                    name="recordings",
                    options={"endpoint": f"http://127.0.0.1:{port}", "region": "us-east-1"},
                    secrets=SECRETS,
                )
            )
            s3 = None
            for number in range(ROUNDS):
                started += await _record(site, chance, number)
                await asyncio.sleep(chance.uniform(0.0, 0.8))
                await site.node.kill()
                if s3 is None:  # it refused until now
                    s3 = store.enter_context(serve_s3(port))
                await site.node.start()
            assert s3 is not None
            await _check(site, s3, started)


async def _record(site: Site, chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Begins one in each room, and ends some of them."""
    names = [f"room{number}x{room}" for room in range(ROOMS)]
    await asyncio.gather(*(site.sit(name, caller=name, play=Tone(440)) for name in names))
    started = []
    for name in names:
        path = f"/{name}"
        flaps = [Answer(status=503)] * chance.randrange(3)
        site.receiver.script(path, *flaps, Answer())
        url = site.receiver.url(f"{path}#rc=5&rp=5xx,ct,rt")
        started.append({**await site.start(name, callback_url=url), "path": path})
    await asyncio.sleep(1.2)
    for name in names:
        if chance.random() < 0.6:
            await site.stop(name)
    return started


async def _check(site: Site, s3: S3, started: list[dict[str, Any]]) -> None:
    ids = [RecordingId(each["recording_id"]) for each in started]

    async def are_terminal() -> bool:
        rows = [await site.recording(each) for each in ids]
        return all(row.state in TERMINAL_STATES for row in rows)

    await eventually(are_terminal, "all have ended", within_s=TERMINAL_WITHIN_S)
    rows = [await site.recording(each) for each in ids]
    assert {row.state for row in rows} == {RecordingState.COMPLETED}

    async def are_stored() -> bool:
        try:
            return all([await _is_stored(site, each) for each in ids])
        except Unavailable:
            return False

    await eventually(are_stored, "all are in the bucket", within_s=STORED_WITHIN_S)
    await _check_bytes(site, s3, rows, started)
    await asyncio.gather(*(_check_told(site, each) for each in started))


async def _is_stored(site: Site, recording_id: RecordingId) -> bool:
    view = await site.local.execute(GetRecording(account_id=None, recording_id=recording_id))
    assert view.stored is not None
    assert view.work is not None
    assert view.work.state is not WorkState.STUCK, view.work.reason
    return view.stored.place is Place.REMOTE and view.work.state is WorkState.DONE


async def _check_bytes(
    site: Site, s3: S3, rows: list[Recording], started: list[dict[str, Any]]
) -> None:
    """Each once, under its own key; no local copy; by the link that was promised at the start."""
    listed = obstore.list(RemoteStore(s3.bucket())._store).collect()
    audio = [str(each["path"]) for each in listed if str(each["path"]).endswith(".mp3")]
    assert sorted(audio) == sorted(row.storage_key for row in rows)
    assert not list((site.node.data_dir / "recordings").rglob("*.mp3"))
    for row, each in zip(rows, started, strict=True):
        reply = await site.fetch(each["url"])
        assert (reply.status, hashlib.sha256(reply.body).hexdigest()) == (200, row.sha256)


async def _check_told(site: Site, started: dict[str, Any]) -> None:
    """At least once, with one id, each attempt validly signed."""

    async def is_delivered() -> bool:
        found = await site.local.execute(
            ListDeliveries(recording_id=RecordingId(started["recording_id"]))
        )
        assert len({view.delivery.event_id for view in found}) == 1
        return all(view.delivery.state is DeliveryState.DELIVERED for view in found)

    await eventually(is_delivered, "it was told", within_s=STORED_WITHIN_S)
    came = site.receiver.received(started["path"])
    assert came
    for request in came:
        assert request.json()["recording_id"] == started["recording_id"]
        url = site.receiver.url(started["path"])
        nonce = request.headers["x-vobiz-signature-v2-nonce"]
        expected = sign(site.account.auth_token, v2_message(url, nonce))
        assert request.headers["x-vobiz-signature-v2"] == expected
