"""Ten telephones in a recorded room: late joiners, early leavers, everyone found in the file."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest
from tests.e2e.site import Site, eventually

from tapeline.domain.command import ListConferences
from tapeline.testing import Call, Silence, Sound, Spoken, Tone, find_tone, read_sound

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

TOLERANCE_MS = 20
LEVEL_DBOV = -32.0
"""Ten of them together stay below the room's limiter."""
ABSENT_DBOV = LEVEL_DBOV - 25.0
BREATH_S = 0.3
"""Between the last word and hanging up: what a jitter buffer holds is still said."""
LONGEST_DOUBT_MS = 400
"""Who shared the room for less with a speaker may have heard it or not."""
END_S = 4.6


@dataclass(slots=True, kw_only=True)
class Guest:
    """`joins_at` None: there before the recording starts. Seconds from the recording's start."""

    name: str
    hertz: int
    joins_at: float | None
    talks_at: float
    leaves_at: float | None
    call: Call | None = None
    spoken: Spoken | None = None
    delays_ms: list[int] = field(default_factory=list)

    @property
    def heard(self) -> Call:
        assert self.call is not None
        return self.call

    @property
    def said(self) -> Spoken:
        assert self.spoken is not None
        return self.spoken


def guests() -> list[Guest]:
    """Tones that are no multiples, sums or differences of one another."""
    hertz = (397, 523, 709, 887, 1093, 1301, 1571, 1867, 2203, 2591)
    joins = (None,) * 6 + (1.0, 1.3, 1.6, 1.9)
    leaves = (None, 1.1, None, 3.2, None, 3.6, None, 3.9, None, None)
    return [
        Guest(
            name=f"guest{number}",
            hertz=hertz[number],
            joins_at=joins[number],
            talks_at=0.3 + 0.11 * number if joins[number] is None else joins[number] + 0.3,
            leaves_at=leaves[number],
        )
        for number in range(10)
    ]


async def until(at: float) -> None:
    await asyncio.sleep(max(at - time.monotonic(), 0.0))


async def perform(site: Site, room: str, guest: Guest, began: float) -> None:
    if guest.joins_at is not None:
        await until(began + guest.joins_at)
        guest.call = await site.sit(room, caller=guest.name)
    await until(began + guest.talks_at)
    guest.spoken = guest.heard.play(Tone(guest.hertz, LEVEL_DBOV))
    if guest.leaves_at is not None:
        await until(began + guest.leaves_at)
        guest.heard.play(Silence())
        await asyncio.sleep(BREATH_S)
        await guest.heard.hang_up()


async def watch_delays(site: Site, room: str, crowd: list[Guest]) -> None:
    """Each jitter buffer's delay while its guest talks, as the node reports it."""
    by_name = {guest.name: guest for guest in crowd}
    while True:
        for view in await site.local.execute(ListConferences()):
            for each in view.participants if view.conference.name == room else ():
                guest = by_name[each.call.caller]
                if each.levels is not None and guest.spoken and guest.spoken.packet_count:
                    guest.delays_ms.append(each.levels.buffer_delay_ms)
        await asyncio.sleep(0.1)


def check_place(guest: Guest, sound: Sound, started_at_ms: int) -> None:
    """The tone stands in the file where its packets were sent, plus its buffer's delay."""
    (span,) = find_tone(sound.mono(), guest.hertz, rate_hz=sound.rate_hz)
    starts_ms = guest.said.first_unix_us / 1000 - started_at_ms + guest.delays_ms[0]
    assert span.start_ms == pytest.approx(starts_ms, abs=TOLERANCE_MS), guest.name
    ends_ms = guest.said.end_unix_us / 1000 - started_at_ms + guest.delays_ms[-1]
    if guest.leaves_at is None:
        ends_ms = sound.duration_ms
    assert span.end_ms == pytest.approx(ends_ms, abs=TOLERANCE_MS), guest.name
    assert span.level_dbov == pytest.approx(LEVEL_DBOV, abs=2.0), guest.name


def shared_ms(listener: Guest, speaker: Guest) -> float:
    """How long the listener was there while the speaker talked; negative: how far apart."""
    ends_us = (
        listener.heard.ended_unix_us or listener.heard.stream.packets[-1].arrived_unix_ns / 1e3
    )
    begin = max(listener.heard.answered_unix_us, speaker.said.first_unix_us)
    return (min(ends_us, speaker.said.end_unix_us) - begin) / 1000


def check_hearing(listener: Guest, crowd: list[Guest]) -> None:
    """It heard everyone who talked while it was there, and not itself."""
    samples = listener.heard.heard().samples
    for speaker in crowd:
        is_heard = bool(find_tone(samples, speaker.hertz, threshold_dbov=ABSENT_DBOV))
        together_ms = 0.0 if speaker is listener else shared_ms(listener, speaker)
        if together_ms > LONGEST_DOUBT_MS:
            assert is_heard, f"{listener.name} did not hear {speaker.name}"
        elif speaker is listener or together_ms < -LONGEST_DOUBT_MS:
            assert not is_heard, f"{listener.name} heard {speaker.name}"


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_everyone_is_in_the_file_at_its_time_and_nobody_hears_itself(
    site: Site, file_format: str
) -> None:
    room, done, crowd = f"ten-{file_format}", f"/done-{file_format}", guests()
    for guest in crowd:
        if guest.joins_at is None:
            guest.call = await site.sit(room, caller=guest.name)

    started = await site.start(room, file_format=file_format, callback_url=site.receiver.url(done))
    began = time.monotonic()
    watching = asyncio.create_task(watch_delays(site, room, crowd))
    async with asyncio.TaskGroup() as group:
        for guest in crowd:
            group.create_task(perform(site, room, guest, began))
        group.create_task(until(began + END_S))
    await site.stop(room)
    watching.cancel()
    told = (await site.receiver.wait_for(done)).json()
    reply = await site.fetch(started["url"])

    recording = await site.recording(started["recording_id"])
    sound = await asyncio.to_thread(read_sound, reply.body)
    assert reply.headers["content-type"] == {"wav": "audio/wav", "mp3": "audio/mpeg"}[file_format]
    assert sound.duration_ms == pytest.approx(recording.duration_ms, abs=1)
    assert told["recording_id"] == recording.id
    assert told["recording_duration_ms"] == recording.duration_ms
    assert told["recording_start_ms"] == recording.started_at_ms
    assert (told["recording_health"], told["file_format"]) == ("ok", file_format)
    for guest in crowd:
        check_place(guest, sound, recording.started_at_ms)
    for guest in crowd:
        check_hearing(guest, crowd)
    await asyncio.gather(*(guest.heard.hang_up() for guest in crowd))


async def test_the_room_ends_with_its_last_guest_and_its_recording_with_it(site: Site) -> None:
    first = await site.sit("short", caller="first", play=Tone(440))
    second = await site.sit("short", caller="second")
    started = await site.start("short", callback_url=site.receiver.url("/short"))
    await asyncio.sleep(0.6)
    await first.hang_up()
    await asyncio.sleep(0.3)
    await second.hang_up()

    told = (await site.receiver.wait_for("/short")).json()
    assert told["recording_health"] == "ok"
    assert 850 <= told["recording_duration_ms"] <= 1_500
    assert (await site.fetch(started["url"])).status == 200
    assert (await site.rest("GET", "Conference/short/")).status == 404

    async def is_completed() -> bool:
        views = await site.local.execute(ListConferences(only_live=False))
        return any(
            view.conference.name == "short" and view.conference.end_reason == "all_left"
            for view in views
        )

    await eventually(is_completed, "the conference's row is completed")
