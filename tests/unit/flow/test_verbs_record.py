"""Recording by a document: as a prompt, and beside what follows."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.control.support import World, document

from tapeline.domain import event
from tapeline.domain.call import EndCause
from tapeline.domain.command import ListRecordings
from tapeline.domain.error import DiskFull
from tapeline.domain.recording import Recording, RecordingEnd, RecordingState
from tapeline.domain.signal import LegHandle

ANSWER = "http://customer.example/answer"
ACTION = "http://customer.example/action"
NEXT = "http://customer.example/next"


async def call_with(node: World, *verbs: tuple[str, dict[str, Any]]) -> LegHandle:
    node.asker.answer(ANSWER, document(*verbs))
    node.asker.answer(ACTION, document(("hang_up", {})))
    node.asker.answer(NEXT, document(("hang_up", {})))
    await node.application("n", answer_url=ANSWER)
    leg = node.engine.arrive(called="n")
    await node.until(lambda: node.engine.recorders)
    return leg


async def the_recording(node: World) -> Recording:
    (view,) = (await node.control.execute(ListRecordings())).views
    return view.recording


PROMPT = {
    "action": {"url": "action"},
    "finish_keys": "1#",
    "callback_url": "http://customer.example/done",
    "extras": {"verb": "record"},
    "options": {"beep": True, "silence_limit_ms": 15_000, "limit_ms": 60_000},
}


@pytest.mark.parametrize(
    ("how", "reason", "digits"),
    [
        ("key", "finish_key", "#"),
        ("silence_limit", "silence_limit", ""),
        ("time_limit", "time_limit", ""),
    ],
)
async def test_a_prompt_ends_and_its_action_says_how(
    node: World, how: str, reason: str, digits: str
) -> None:
    leg = await call_with(node, ("record", PROMPT))
    ((recorder, spec),) = node.engine.recorders.items()

    if how == "key":
        node.engine.press(leg, "5")
        node.engine.press(leg, "#")
    else:
        node.engine.finish(recorder, reason=how)
    (ended,) = await node.happened(event.CallEnded)

    assert (spec.leg, spec.beep, spec.silence_limit_ms, spec.limit_ms) == (
        leg,
        True,
        15_000,
        60_000,
    )
    recording = await the_recording(node)
    assert recording.end_reason == reason
    assert (recording.starter.callback_url, recording.starter.extras) == (
        "http://customer.example/done",
        {"verb": "record"},
    )
    question, _call = node.asker.asked[-1]
    start_ms = recording.started_at_ms
    assert (question.url, question.event) == (ACTION, "action")
    assert question.extra == {
        "verb": "record",
        "recording_id": recording.id,
        "record_url": f"http://node/media/{recording.id}.mp3?for={node.account.id}"
        f"&at={node.clock.at_ms}",
        "recording_duration": "10",
        "recording_duration_ms": "10000",
        "recording_start_ms": str(start_ms),
        "recording_end_ms": str(recording.ended_at_ms),
        "end_reason": reason,
        "digits": digits,
    }
    assert ended.call.end_cause is EndCause.HANG_UP_VERB


async def test_a_prompt_ended_by_the_hang_up_tells_its_action_afterwards(node: World) -> None:
    leg = await call_with(node, ("record", PROMPT))

    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)

    (told,) = node.seen(event.ProgramToldCall)
    assert (told.topic, told.url, told.method) == ("action", ACTION, "POST")
    assert (told.extra["verb"], told.extra["end_reason"]) == ("record", "leg_gone")
    assert told.extra["recording_duration_ms"] == "10000"
    assert ended.call.end_cause is EndCause.NORMAL
    assert len(node.asker.asked) == 1


async def test_a_transfer_ends_a_prompt_without_its_action(node: World) -> None:
    leg = await call_with(node, ("record", PROMPT))

    await node.programs.transfer(node.parts.live.calls[leg], url=NEXT, method="POST")
    await node.happened(event.CallEnded)
    await node.happened(event.RecordingFinished)

    assert (await the_recording(node)).end_reason is RecordingEnd.COMMAND
    assert [question.url for question, _ in node.asker.asked] == [ANSWER, NEXT]
    assert node.seen(event.ProgramToldCall) == []


async def test_an_action_that_is_not_followed_is_told_and_the_document_goes_on(
    node: World,
) -> None:
    action = {"url": ACTION, "follows": False}
    leg = await call_with(
        node, ("record", {**PROMPT, "action": action}), ("redirect", {"url": NEXT})
    )

    node.engine.press(leg, "1")
    await node.happened(event.CallEnded)

    assert [question.url for question, _ in node.asker.asked] == [ANSWER, ACTION, NEXT]


async def test_a_session_is_recorded_beside_what_follows(node: World) -> None:
    leg = await call_with(
        node, ("record", {**PROMPT, "in_background": True}), ("join", {"name": "MyConf"})
    )
    await node.happened(event.ParticipantJoined)
    (told,) = node.seen(event.ProgramToldCall)
    running = dict(node.engine.recorders)

    node.engine.press(leg, "#")
    node.engine.hang_up_from_outside(leg)
    (finished,) = await node.happened(event.RecordingFinished)

    assert len(running) == 1
    assert (told.topic, told.url) == ("action", ACTION)
    assert told.extra["recording_id"] == finished.recording.id
    for field in ("recording_duration", "recording_duration_ms", "recording_end_ms"):
        assert told.extra[field] == "-1"
    assert finished.recording.end_reason is RecordingEnd.LEG_GONE


async def test_a_recording_that_cannot_start_is_passed_over(node: World) -> None:
    node.engine.refuse_next("start_recording", DiskFull("disk space: 12 bytes are free"))
    node.asker.answer(ANSWER, document(("record", PROMPT), ("hang_up", {})))
    await node.application("n", answer_url=ANSWER)
    node.engine.arrive(called="n")

    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is EndCause.HANG_UP_VERB
    assert len(node.asker.asked) == 1


@pytest.mark.parametrize("how", ["time_limit", "hang_up"])
async def test_a_prompt_whose_recording_is_deleted_is_passed_over(node: World, how: str) -> None:
    leg = await call_with(node, ("record", PROMPT), ("hang_up", {}))
    ((recorder, _spec),) = node.engine.recorders.items()
    await node.happened(event.RecordingStarted)
    deleted = replace(await the_recording(node), state=RecordingState.DELETED)
    node.finaliser.refuses[deleted.id] = OSError("it is gone")
    await node.store.write(lambda tx: tx.recordings.update(deleted))

    if how == "hang_up":
        node.engine.hang_up_from_outside(leg)
    else:
        node.engine.finish(recorder, reason=how)
    await node.happened(event.CallEnded)

    assert len(node.asker.asked) == 1
    assert node.seen(event.ProgramToldCall) == []
