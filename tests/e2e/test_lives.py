"""How a recording's life ends: by its limit, by deletion while it runs, by the node's stop."""

import asyncio
from pathlib import Path

import pytest
from tests.e2e.site import Site, open_site

from tapeline.domain.call import EndCause
from tapeline.domain.command import ListCalls, ListConferences
from tapeline.domain.conference import ConferenceEnd
from tapeline.testing import Answer, EndedBy, Tone, find_tone, read_sound

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROOF = ["manifest", "tombstone"]
"""What stays of a deleted recording: that there was one, and who deleted it."""


def left_of(site: Site, recording_id: str) -> list[str]:
    """Second names of the files that carry the recording's id."""
    found = site.node.data_dir.rglob(f"*{recording_id}*")
    return sorted(path.name.split(".")[1] for path in found)


async def test_a_running_recording_can_be_deleted_and_the_room_goes_on(site: Site) -> None:
    call = await site.sit("erased", play=Tone(440))
    started = await site.start("erased")
    path = f"Recording/{started['recording_id']}/"
    await asyncio.sleep(0.3)
    assert (await site.rest("GET", path)).json["recording_end_ms"] is None

    deleted = await site.rest("DELETE", path)

    assert (deleted.status, deleted.body) == (204, b"")
    assert (await site.rest("GET", path)).status == 404
    assert (await site.rest("DELETE", path)).status == 404
    assert (await site.fetch(started["url"])).status == 404
    assert left_of(site, started["recording_id"]) == PROOF
    again = await site.start("erased", callback_url=site.receiver.url("/again"))
    await asyncio.sleep(0.3)
    await site.stop("erased")
    assert (await site.receiver.wait_for("/again")).json()["recording_health"] == "ok"
    assert (await site.fetch(again["url"])).status == 200
    await call.hang_up()


async def test_a_finished_recording_can_be_deleted(site: Site) -> None:
    call = await site.sit("kept", play=Tone(440))
    started = await site.start("kept", callback_url=site.receiver.url("/kept"))
    await asyncio.sleep(0.3)
    await site.stop("kept")
    await call.hang_up()
    await site.receiver.wait_for("/kept")
    assert (await site.fetch(started["url"])).status == 200

    assert (await site.rest("DELETE", f"Recording/{started['recording_id']}/")).status == 204

    assert (await site.fetch(started["url"])).status == 404
    assert left_of(site, started["recording_id"]) == PROOF


async def test_a_limit_ends_a_recording_by_itself(site: Site) -> None:
    call = await site.sit("limited", play=Tone(440))
    await site.start("limited", time_limit=1, callback_url=site.receiver.url("/limited"))

    told = (await site.receiver.wait_for("/limited")).json()

    assert told["recording_duration_ms"] == 1_000
    assert (told["recording_duration"], told["recording_health"]) == (1, "ok")
    assert not call.is_over
    await call.hang_up()


async def test_a_clean_stop_finishes_recordings_with_file_and_callback(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        node = site.node
        calls, started = [], {}
        for file_format in ("wav", "mp3"):
            calls.append(await site.sit(file_format, caller=file_format, play=Tone(440)))
            started[file_format] = await site.start(
                file_format,
                file_format=file_format,
                callback_url=site.receiver.url(f"/{file_format}"),
            )
        slow = await site.phone.call(site.node.sip_uri("room-idle"), caller="idle")
        await asyncio.sleep(1.0)

        assert await node.stop() == 0

        assert [call.ended_by for call in (*calls, slow)] == [EndedBy.THEM] * 3
        assert list((node.data_dir / "spool").rglob("*")) == []
        for file_format, answer in started.items():
            (told,) = site.receiver.received(f"/{file_format}")  # it came before the node ended
            assert told.json()["recording_id"] == answer["recording_id"]
            assert told.json()["recording_health"] == "ok"
            (file,) = (node.data_dir / "recordings").rglob(
                f"{answer['recording_id']}.{file_format}"
            )
            sound = await asyncio.to_thread(read_sound, file)
            assert 1_000 <= sound.duration_ms <= 2_500
            assert sound.duration_ms == pytest.approx(told.json()["recording_duration_ms"], abs=1)
            (span,) = find_tone(sound.mono(), 440)
            assert span.duration_ms == pytest.approx(sound.duration_ms, abs=40)

        await node.start()
        for file_format, answer in started.items():
            assert (await site.fetch(answer["url"])).status == 200
            assert len(site.receiver.received(f"/{file_format}")) == 1
        rows = await site.local.execute(ListCalls())
        assert {row.end_cause for row in rows} == {EndCause.NODE_STOPPED}
        views = await site.local.execute(ListConferences(only_live=False))
        assert {view.conference.end_reason for view in views} == {ConferenceEnd.NODE_STOPPED}


async def test_a_callback_that_was_due_at_the_stop_goes_out_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with open_site(tmp_path, {"stop_grace_s": "1"}) as site:
        node = site.node
        site.receiver.script("/late", Answer(delay_s=20.0), Answer())
        await site.sit("late", play=Tone(440))
        started = await site.start("late", callback_url=site.receiver.url("/late"))
        await asyncio.sleep(0.3)
        await node.stop()
        assert len(site.receiver.received("/late")) == 1

        await node.start()

        told = (await site.receiver.wait_for("/late", count=2)).json()
        assert told["recording_id"] == started["recording_id"]
        assert (await site.fetch(told["recording_url"])).status == 200
