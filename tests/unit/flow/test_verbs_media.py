"""Files, words and keys: what a call hears, and what it keys meanwhile."""

import asyncio
from typing import Any

import pytest
from tests.unit.control.support import World, document

from tapeline.control.sounds import BEEP
from tapeline.domain import event
from tapeline.domain.call import EndCause
from tapeline.domain.signal import LegHandle
from tapeline.flow.documents import Reply
from tapeline.flow.walker import IDLE_DOCUMENTS_LIMIT

ANSWER = "http://customer.example/answer"
ACTION = "http://customer.example/action"
SOUND = "http://customer.example/sounds/hello.wav"
OTHER = "http://customer.example/sounds/other.wav"


async def call_with(node: World, *verbs: tuple[str, dict[str, Any]]) -> LegHandle:
    node.asker.answer(ANSWER, document(*verbs))
    await node.application("n", answer_url=ANSWER)
    return node.engine.arrive(called="n")


async def test_a_file_is_heard_by_its_call_alone_and_then_forgotten(node: World) -> None:
    leg = await call_with(node, ("play", {"url": "sounds/hello.wav", "loops": 3}))

    playback = await node.playing()
    spec, there = node.engine.playbacks[playback], list(node.sounds.open)
    node.engine.finish_play(playback)
    (ended,) = await node.happened(event.CallEnded)

    assert (spec.leg, spec.room, spec.path, spec.loops) == (leg, None, str(spec.path), 3)
    assert there == [SOUND]
    assert node.sounds.open == []
    assert ended.call.end_cause is EndCause.END_OF_DOCUMENT
    assert ended.call.answered_at_ms is not None


async def test_words_are_spoken_in_the_document_s_voice_and_language(node: World) -> None:
    await call_with(
        node, ("speak", {"text": "Hello", "voice": "MAN", "language": "en-GB", "loops": 2})
    )

    playback = await node.playing()
    loops = node.engine.playbacks[playback].loops
    node.engine.finish_play(playback)
    await node.happened(event.CallEnded)

    assert (node.sounds.made, loops) == (["en-GB/MAN/Hello"], 2)


@pytest.mark.parametrize(
    "trouble", ["no file", "no voice", "the core refuses it", "the core cannot go on"]
)
async def test_what_cannot_be_heard_is_passed_over(node: World, trouble: str) -> None:
    verb: tuple[str, dict[str, Any]] = ("play", {"url": SOUND})
    if trouble == "no file":
        node.sounds.missing.add(SOUND)
    elif trouble == "no voice":
        node.sounds.missing.add("Hello")
        verb = ("speak", {"text": "Hello"})
    elif trouble == "the core refuses it":
        node.engine.refuse_next("play")
    await call_with(node, verb, ("play", {"url": OTHER}))

    if trouble == "the core cannot go on":
        node.engine.finish_play(await node.playing(), reason="failed", detail="not a WAV file")
        await node.until(lambda: not node.engine.playbacks)
    await node.until(lambda: node.sounds.made[-1:] == [OTHER])
    node.engine.finish_play(await node.playing())
    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is EndCause.END_OF_DOCUMENT
    assert node.sounds.open == []


async def test_a_hang_up_within_a_file_ends_it(node: World) -> None:
    leg = await call_with(node, ("play", {"url": SOUND, "loops": 0}))
    await node.playing()

    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    assert ended.call.end_cause is EndCause.NORMAL
    assert (node.sounds.open, node.engine.playbacks) == ([], {})


async def test_documents_whose_files_cannot_be_had_are_no_endless_circle(node: World) -> None:
    node.sounds.missing.add(SOUND)
    node.asker.answer(ACTION, document(("play", {"url": SOUND}), ("redirect", {"url": ACTION})))
    await call_with(node, ("redirect", {"url": ACTION}))

    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is EndCause.REDIRECT_INVALID
    assert len(node.asker.sent) == IDLE_DOCUMENTS_LIMIT


# Keys.


def digits(**fields: Any) -> tuple[str, dict[str, Any]]:
    return (
        "digits",
        {"action": {"url": ACTION}, "first_digit_ms": 400, "between_digits_ms": 100, **fields},
    )


async def keyed(node: World) -> list[str]:
    """What each question after the first said was keyed."""
    await node.happened(event.CallEnded)
    return [question.extra["digits"] for question, _ in node.asker.asked[1:]]


async def listening(node: World, leg: LegHandle) -> None:
    await node.until(lambda: leg in node.parts.live.calls and node.parts.live.calls[leg].inboxes)


@pytest.mark.parametrize(
    ("fields", "pressed", "told"),
    [
        ({"first_digit_ms": 5_000, "between_digits_ms": 5_000}, "12#", ["12"]),
        ({"first_digit_ms": 5_000, "between_digits_ms": 5_000, "max_digits": 2}, "12", ["12"]),
        ({"first_digit_ms": 5_000}, "123", ["123"]),
        ({"finish_keys": "", "first_digit_ms": 5_000}, "1#", ["1#"]),
        ({"first_digit_ms": 5_000}, "#", []),
        ({"valid_digits": "12", "first_digit_ms": 5_000}, "13#", []),
        ({}, "", []),
    ],
)
async def test_what_is_keyed_is_told_to_the_action(
    node: World, fields: dict[str, Any], pressed: str, told: list[str]
) -> None:
    node.asker.answer(ACTION, document(("hang_up", {})))
    leg = await call_with(node, digits(**fields), ("hang_up", {}))
    await listening(node, leg)

    for digit in pressed:
        node.engine.press(leg, digit)

    assert await keyed(node) == told
    assert all(question.extra["verb"] == "digits" for question, _ in node.asker.asked[1:])


async def test_the_first_key_stops_the_prompts(node: World) -> None:
    prompts = [
        ["speak", {"text": "Press"}],
        ["wait", {"duration_ms": 10}],
        ["play", {"url": SOUND}],
    ]
    node.asker.answer(ACTION, document(("hang_up", {})))
    leg = await call_with(node, digits(prompts=prompts, beep=True))
    node.engine.finish_play(await node.playing())
    await node.until(lambda: node.sounds.open == [SOUND])
    await node.playing()

    node.engine.press(leg, "7")

    assert await keyed(node) == ["7"]
    assert node.sounds.made == ["en-US//Press", SOUND]
    assert node.engine.names().count("stop_play") == 1
    assert node.sounds.open == []


async def test_the_time_for_the_first_digit_begins_after_the_prompts_and_the_beep(
    node: World,
) -> None:
    node.asker.answer(ACTION, document(("hang_up", {})))
    leg = await call_with(
        node, digits(prompts=[["play", {"url": SOUND}]], beep=True, first_digit_ms=5_000)
    )
    node.engine.finish_play(await node.playing())
    await node.until(lambda: not node.sounds.open)
    beep = await node.playing()
    assert node.engine.playbacks[beep].tones == BEEP
    node.engine.finish_play(beep)
    await node.until(lambda: not node.engine.playbacks)

    node.engine.press(leg, "7")

    assert await keyed(node) == ["7"]


async def test_what_is_not_valid_is_asked_for_again_as_often_as_allowed(node: World) -> None:
    node.asker.answer(ACTION, document(("hang_up", {})))
    leg = await call_with(
        node,
        digits(valid_digits="12", tries=2, invalid_prompt=["play", {"url": OTHER}], max_digits=1),
    )
    await listening(node, leg)
    node.engine.press(leg, "9")
    node.engine.finish_play(await node.playing())
    await listening(node, leg)

    node.engine.press(leg, "2")

    assert await keyed(node) == ["2"]
    assert node.sounds.made == [OTHER]


async def test_a_hang_up_while_keys_are_awaited_leaves_nobody_listening(node: World) -> None:
    leg = await call_with(node, digits(first_digit_ms=60_000))
    await listening(node, leg)
    live_call = node.parts.live.calls[leg]

    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded)

    assert live_call.inboxes == []


async def test_digits_in_a_question_s_url_are_in_no_message(node: World) -> None:
    node.asker.answer(ACTION, Reply(status=500))
    leg = await call_with(node, digits(max_digits=4, action={"url": ACTION, "method": "GET"}))
    await listening(node, leg)
    for digit in "4711":
        node.engine.press(leg, digit)

    (ended,) = await node.happened(event.CallEnded)
    await asyncio.sleep(0)

    assert ended.call.end_cause is EndCause.ACTION_UNREACHABLE
    assert ended.call.end_detail == f"{ACTION}: answered 500 instead of 200"
