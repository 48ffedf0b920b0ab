"""Words said into a call come back as text: dialled in, mixed, recorded, recognised."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.e2e.site import SILENT, Site, eventually, open_site

from tapeline.domain.command import GetTranscript, SetAccount, TranscribeRecording
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.recording import TERMINAL_STATES
from tapeline.domain.transcript import Transcript, TranscriptLimit, TranscriptState
from tapeline.testing import Call, Tone
from tapeline.testing.words import plain_words, say

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Understood at each of 24 alignments to the MP3's and the model's own frames: they show the way of
# the words, benchmarks/transcription.py how good the model is.
SENTENCES = {
    "Please transfer the payment to my account before Friday morning.": (
        "transfer payment account friday"
    ),
    "The delivery of seven boxes will arrive on Monday afternoon.": "delivery seven boxes monday",
    "The telephone number of the hospital is on the second page.": "telephone number second page",
}
KEYS = {key for keys in SENTENCES.values() for key in keys.split()}
RATE_HZ = 8_000
BREATH_S = 0.8
PATIENCE_S = 60.0
LOWEST_PRIORITY = 19


async def say_all(call: Call) -> None:
    for sentence in SENTENCES:
        clip = await asyncio.to_thread(say, sentence, voice="rms")
        call.play(clip)
        await asyncio.sleep(len(clip.samples) / RATE_HZ)
        call.play(SILENT)
        await asyncio.sleep(BREATH_S)


async def finished(site: Site, recording_id: str) -> None:
    async def is_there() -> bool:
        return (await site.recording(recording_id)).state in TERMINAL_STATES

    await eventually(is_there, f"recording {recording_id} finished")


async def price(site: Site, rate: float) -> None:
    account_id = AccountId(site.account.auth_id)
    await site.local.execute(SetAccount(account_id=account_id, transcription_rate=rate))


async def ask(site: Site, recording_id: str) -> Transcript:
    return await site.local.execute(
        TranscribeRecording(
            account_id=AccountId(site.account.auth_id), recording_id=RecordingId(recording_id)
        )
    )


async def transcript(site: Site, recording_id: str) -> Transcript:
    """Once it is no longer pending."""
    command = GetTranscript(
        account_id=AccountId(site.account.auth_id), recording_id=RecordingId(recording_id)
    )

    async def is_settled() -> bool:
        return (await site.local.execute(command)).state is not TranscriptState.PENDING

    await eventually(is_settled, f"transcript of {recording_id}", within_s=PATIENCE_S)
    return await site.local.execute(command)


async def worker_of(site: Site) -> int:
    """The process id of the node's recogniser, once it runs."""
    node = site.node.process_id

    async def is_there() -> bool:
        return bool(workers(node))

    await eventually(is_there, "a recogniser's worker")
    return workers(node)[0]


def workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task").glob("*/children")
    ids = [int(each) for child in children for each in child.read_text(encoding="ascii").split()]
    return [each for each in ids if "tapeline.speech.worker" in command_line(each)]


def command_line(process_id: int) -> str:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_text(encoding="utf-8")
    except OSError:  # it has ended meanwhile
        return ""


async def is_gone(process_id: int) -> bool:
    return "tapeline.speech.worker" not in command_line(process_id)


async def record(site: Site, room: str, *, words: bool, seconds: float = 0.0, **body: str) -> str:
    """A finished recording of one caller's words, or of a tone; `body` goes into the start."""
    call = await site.sit(room)
    started = await site.start(room, **body)
    if words:
        await say_all(call)
    else:
        call.play(Tone(440))
        await asyncio.sleep(seconds)
    await site.stop(room)
    await call.hang_up()
    recording_id: str = started["recording_id"]
    await finished(site, recording_id)
    return recording_id


async def test_a_recording_that_asks_for_its_words_is_told_them_once(site: Site) -> None:
    await price(site, 0.5)
    recording_id = await record(
        site,
        "told",
        words=True,
        callback_url=site.receiver.url("/told"),
        transcription_type="auto",
        transcription_url=site.receiver.url("/told-words"),
    )

    request = await site.receiver.wait_for("/told-words", timeout_s=PATIENCE_S)

    fields = request.fields()
    recording = await site.recording(recording_id)
    assert request.method == "POST"
    assert set(plain_words(fields["transcription"])) >= KEYS, fields
    assert fields["error"] == ""
    assert fields["recording_id"] == recording_id
    assert fields["call_uuid"] == recording.call_id
    assert float(fields["transcription_rate"]) == 0.5
    assert float(fields["transcription_charge"]) == 0.5
    assert int(fields["duration"]) == round(recording.duration_ms / 1000)
    announced = await site.receiver.wait_for("/told")
    assert announced.arrived_unix_us < request.arrived_unix_us
    assert len(site.receiver.received("/told-words")) == 1


async def test_silence_is_told_as_an_empty_text(site: Site) -> None:
    await record(
        site,
        "silent",
        words=False,
        seconds=2.0,
        transcription_type="auto",
        transcription_url=site.receiver.url("/silent-words"),
    )

    request = await site.receiver.wait_for("/silent-words", timeout_s=PATIENCE_S)

    assert (request.fields()["transcription"], request.fields()["error"]) == ("", "")


async def test_what_is_too_short_is_refused_and_told_why(site: Site) -> None:
    recording_id = await record(
        site,
        "short",
        words=False,
        seconds=0.25,
        transcription_type="auto",
        transcription_url=site.receiver.url("/short-words"),
    )

    request = await site.receiver.wait_for("/short-words", timeout_s=PATIENCE_S)

    fields = request.fields()
    assert (fields["transcription"], float(fields["transcription_charge"])) == ("", 0.0)
    assert "too short" in fields["error"]
    refused = await transcript(site, recording_id)
    assert (refused.state, refused.limit) == (TranscriptState.REFUSED, TranscriptLimit.TOO_SHORT)


async def test_a_kept_recording_can_be_asked_for_its_words_later(site: Site) -> None:
    await price(site, 0.0)
    recording_id = await record(site, "later", words=True, file_format="wav")

    asked = await ask(site, recording_id)
    done = await transcript(site, recording_id)

    assert done.id == asked.id
    assert done.state is TranscriptState.DONE, done.reason
    assert set(plain_words(done.text)) >= KEYS, done.text
    assert done.duration_ms == (await site.recording(recording_id)).duration_ms
    listed = {row["recording_id"]: row for row in await site.node.command("transcripts", "list")}
    assert (listed[recording_id]["state"], listed[recording_id]["text"]) == ("done", done.text)


async def test_a_node_killed_meanwhile_tells_the_words_once_after_its_next_start(
    site: Site,
) -> None:
    recording_id = await record(
        site,
        "again",
        words=True,
        transcription_type="auto",
        transcription_url=site.receiver.url("/again-words"),
    )
    worker = await worker_of(site)

    await site.node.kill()
    await eventually(lambda: is_gone(worker), "the worker ends with its node")
    await site.node.start()

    request = await site.receiver.wait_for("/again-words", timeout_s=PATIENCE_S)
    assert set(plain_words(request.fields()["transcription"])) >= KEYS
    assert (await transcript(site, recording_id)).state is TranscriptState.DONE
    assert len(site.receiver.received("/again-words")) == 1


async def test_the_worker_stays_behind_what_is_live_and_ends_with_a_stop(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        recording_id = await record(site, "behind", words=False, seconds=2.0)
        await ask(site, recording_id)
        worker = await worker_of(site)

        await transcript(site, recording_id)

        assert os.getpriority(os.PRIO_PROCESS, worker) == LOWEST_PRIORITY
    assert await is_gone(worker)


async def test_switched_off_it_says_so(tmp_path: Path) -> None:
    async with open_site(tmp_path, {"transcription": "none"}) as site:
        recording_id = await record(site, "off", words=False, seconds=1.0)

        await ask(site, recording_id)

        failed = await transcript(site, recording_id)
        assert failed.state is TranscriptState.FAILED
        assert failed.reason == "transcription is switched off on this node"
