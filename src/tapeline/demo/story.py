"""The demo's story: a node, three callers, one recorded room, and the check of every second."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tapeline.api.dialect import DemoRow, Dialect, fill
from tapeline.api.localnode import LocalNode
from tapeline.demo.request import DemoAnswer, DemoRequest, basic_of, send
from tapeline.demo.script import Expected, Speaker, cast, hears, measure
from tapeline.demo.show import Show
from tapeline.domain.command import ListConferences, ListRecordings
from tapeline.domain.recording import Recording
from tapeline.domain.signal import LegLevels
from tapeline.testing import (
    Call,
    NodeAccount,
    Receiver,
    Samples,
    ServedNode,
    Silence,
    Softphone,
    Sound,
    Spoken,
    read_sound,
)

CONFERENCE = "MyConf"
CALLBACK_PATH = "/recording-complete"
CALLBACK_S = 15.0
LOOK_EVERY_S = 0.2
BREATH_S = 0.3
"""Between the last word and hanging up: what a node's jitter buffer holds is still said."""
FETCHED = 200


@dataclass(slots=True, kw_only=True)
class Part:
    """A speaker on stage, and what was seen of it."""

    speaker: Speaker
    call: Call | None = None
    spoken: Spoken | None = None
    levels: LegLevels | None = None
    delays_ms: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    node: ServedNode
    account: NodeAccount
    receiver: Receiver
    phone: Softphone
    local: LocalNode
    dialect: Dialect
    format: str
    seconds: float
    show: Show

    def request(self, method: str, path: str, body: str) -> DemoRequest:
        values: Mapping[str, str] = {
            "auth_id": self.account.auth_id,
            "auth_token": self.account.auth_token,
            "api_key": self.account.api_key,
            "basic": basic_of(self.account.auth_id, self.account.auth_token),
            "conference": CONFERENCE,
            "callback_url": self.receiver.url(CALLBACK_PATH),
            "format": self.format,
        }
        return DemoRequest(
            method=method,
            url=self.node.http_url + fill(path, values),
            headers={k: fill(v, values) for k, v in self.dialect.demo.headers.items()},
            body=fill(body, values),
        )


class StoryBroken(Exception):
    """The story cannot go on; the message says where it stopped."""


async def tell(stage: Stage, keep_at: Path) -> bool:
    """Plays the whole story; whether everything was as it should be. The file is left in
    `keep_at`.

    Raises StoryBroken, and what softphone and HTTP raise when nobody answers.
    """
    show, row = stage.show, stage.dialect.demo
    parts = [Part(speaker=speaker) for speaker in cast(stage.seconds)]
    await _seat_the_first(stage, parts)
    answer = await _start(stage, row)
    await _play(stage, parts)
    await _stop(stage, row)
    heard = {p.speaker.name: p.call.heard().samples for p in parts if p.call is not None}
    received = await stage.receiver.wait_for(CALLBACK_PATH, timeout_s=CALLBACK_S)
    show.step("The callback, as it arrived")
    show.callback(received)

    recording = (await stage.local.execute(ListRecordings())).views[0].recording
    sound = await _fetch(stage, answer.field(row.link_field), keep_at)
    rows = [measure(_expected(part, recording), sound) for part in parts]
    show.step("What is in the file, held against the packets that were sent (±20 ms)")
    show.verdict(rows)
    checks = [
        (f"length {sound.duration_ms:.0f} ms, as the node counted ({recording.duration_ms} ms)",
         abs(sound.duration_ms - recording.duration_ms) <= 1.0),
        (f"health: {recording.health_words}", recording.health_words == "ok"),
        *_room_checks(parts, heard),
    ]  # fmt: skip
    for text, is_ok in checks:
        show.check(text, is_ok=is_ok)
    return all(row.is_ok for row in rows) and all(is_ok for _, is_ok in checks)


async def _seat_the_first(stage: Stage, parts: list[Part]) -> None:
    first = [part for part in parts if part.speaker.joins_at is None]
    names = " and ".join(part.speaker.name for part in first)
    stage.show.step(f"{names} dial {stage.node.sip_uri('room-' + CONFERENCE)}")
    for part in first:
        part.call = await _dial(stage, part, Silence())
    async with asyncio.timeout(5.0):
        while len(await _look(stage, parts)) < len(first):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    stage.show.say(f"  in the room: {names}")


async def _dial(stage: Stage, part: Part, play: Silence | None) -> Call:
    source = play or part.speaker.voice
    call = await stage.phone.call(
        stage.node.sip_uri("room-" + CONFERENCE), play=source, caller=part.speaker.name
    )
    if play is None:
        part.spoken = call.stream.spoken[-1]
    return call


async def _start(stage: Stage, row: DemoRow) -> DemoAnswer:
    stage.show.step(f"Start recording: the request of {stage.dialect.title}'s own documents")
    request = stage.request(row.start_method, row.start_path, row.start_body)
    stage.show.command(request.shown())
    answer = await send(request)
    stage.show.answer(answer.status, answer.text)
    if not answer.is_fine or not answer.field(row.link_field):
        raise StoryBroken("the recording did not start")
    return answer


async def _play(stage: Stage, parts: list[Part]) -> None:
    """The speakers' parts and a look at the room beside them."""
    stage.show.step("Recording; Cleo joins late, Bob leaves early")
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(_perform(stage, part, began))
        while (at_s := time.monotonic() - began) < stage.seconds:
            present = await _look(stage, parts)
            levels = {p.speaker.name: present.get(p.speaker.name) for p in parts}
            stage.show.levels(at_s, stage.seconds, levels)
            await asyncio.sleep(min(LOOK_EVERY_S, max(stage.seconds - at_s, 0.01)))
    stage.show.end_levels()


async def _perform(stage: Stage, part: Part, began: float) -> None:
    speaker = part.speaker
    await _until(began + speaker.talks_at)
    if part.call is None:
        part.call = await _dial(stage, part, None)
    else:
        part.spoken = part.call.play(speaker.voice)
    if speaker.leaves_at is not None:
        await _until(began + speaker.leaves_at)
        part.call.play(Silence())
        await asyncio.sleep(BREATH_S)
        await part.call.hang_up()


async def _until(at: float) -> None:
    await asyncio.sleep(max(at - time.monotonic(), 0.0))


async def _look(stage: Stage, parts: list[Part]) -> Mapping[str, LegLevels]:
    """Levels of those in the room, by speaker; each buffer delay is kept for the verdict."""
    views = await stage.local.execute(ListConferences())
    found: dict[str, LegLevels] = {}
    for view in views:
        for each in view.participants:
            for part in parts:
                if part.speaker.name == each.call.caller and each.levels is not None:
                    found[part.speaker.name] = each.levels
                    if part.spoken is not None and part.spoken.packet_count:
                        part.delays_ms.append(each.levels.buffer_delay_ms)
    return found


async def _stop(stage: Stage, row: DemoRow) -> None:
    stage.show.step("Stop")
    request = stage.request(row.stop_method, row.stop_path, row.stop_body)
    stage.show.command(request.shown())
    answer = await send(request)
    stage.show.answer(answer.status, answer.text)
    if not answer.is_fine:
        raise StoryBroken("the recording did not stop")


async def _fetch(stage: Stage, url: str, keep_at: Path) -> Sound:
    """The file over HTTP, by the address that the start's answer promised."""
    stage.show.step("Fetch the file by the address that the start's answer promised")
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        content = await response.read()
        kind = response.headers.get("content-type", "")
        stage.show.say(f"  GET → {response.status}, {len(content):,} bytes, {kind}")
        if response.status != FETCHED:
            raise StoryBroken(f"the file was not there: {content[:200]!r}")
    await asyncio.to_thread(keep_at.write_bytes, content)
    return await asyncio.to_thread(read_sound, content)


def _expected(part: Part, recording: Recording) -> Expected:
    spoken = part.spoken
    if spoken is None:
        raise StoryBroken(f"{part.speaker.name} said nothing")
    first = part.delays_ms[0] if part.delays_ms else 0
    last = part.delays_ms[-1] if part.delays_ms else 0
    start_ms = spoken.first_unix_us / 1000 - recording.started_at_ms
    end_ms = spoken.end_unix_us / 1000 - recording.started_at_ms
    return Expected(
        speaker=part.speaker,
        start_ms=start_ms + first,
        end_ms=None if part.speaker.leaves_at is None else end_ms + last,
        buffer_delay_ms=first,
    )


def _room_checks(parts: list[Part], heard: Mapping[str, Samples]) -> list[tuple[str, bool]]:
    """Everyone heard all the others and not itself."""
    checks = []
    for part in parts:
        samples = heard[part.speaker.name]
        others = [p.speaker for p in parts if p is not part]
        hears_others = all(hears(samples, other.voice) for other in others)
        hears_itself = hears(samples, part.speaker.voice)
        names = " and ".join(other.name for other in others)
        text = f"{part.speaker.name} heard {names}, and not itself"
        checks.append((text, hears_others and not hears_itself))
    return checks
