"""What those hear who wait for each other: music for the caller, a question for the called side."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.unit.control.support import World, document
from tests.unit.flow.test_verbs_dial import BOB, CAROL, call_with, dial, ended

from tapeline.api.accountstyle.answer import Node, Reading, parse_xml
from tapeline.api.accountstyle.dialverb import read_dial
from tapeline.control.sounds import RING_BACK
from tapeline.domain import event
from tapeline.domain.call import Direction
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.signal import LegHandle
from tapeline.domain.verb import Confirm

QUESTION, MUSIC = "http://customer.example/question", "http://customer.example/music"
SOUND = "http://customer.example/sound.mp3"


async def answered(node: World, confirm: Confirm) -> tuple[LegHandle, LegHandle]:
    """Two dialled phones; the first has answered."""
    node.asker.answer(QUESTION, document(("play", {"url": "/sound.mp3"})))
    await call_with(node, dial(BOB, CAROL, confirm=asdict(confirm)))
    first, second = await node.dialled(2)
    node.engine.answer_from_outside(first)
    return first, second


def heard(node: World) -> list[tuple[str, int | None]]:
    return [(spec.path, spec.leg) for spec in node.engine.playbacks.values()]


async def test_who_keys_what_is_asked_for_is_connected(node: World) -> None:
    first, second = await answered(node, Confirm(sound_url=QUESTION, key="15"))
    await node.playing()
    assert heard(node) == [(str(Path(SOUND)), first)]
    assert not node.seen(event.CallsBridged)

    node.engine.press(first, "2")
    node.engine.press(first, "5")
    await node.happened(event.CallsBridged, 2)

    assert not heard(node)
    assert second not in node.engine.legs
    (question, _) = node.asker.asked[-1]
    assert (question.url, question.event) == (QUESTION, "confirm_sound")


async def test_who_does_not_is_hung_up_and_the_others_may_answer(node: World) -> None:
    first, second = await answered(node, Confirm(sound_url=QUESTION, key="1", timeout_ms=10))
    node.engine.finish_play(await node.playing())
    await node.until(lambda: first not in node.engine.legs)
    assert second in node.engine.legs

    node.engine.answer_from_outside(second)
    await node.until(lambda: heard(node))
    node.engine.press(second, "1")
    bridged = await node.happened(event.CallsBridged, 2)

    assert {each.call.called for each in bridged} == {"n", CAROL}


async def test_a_sound_alone_is_heard_to_its_end(node: World) -> None:
    first, _second = await answered(node, Confirm(sound_url=QUESTION))
    playback = await node.playing()
    assert not node.seen(event.CallsBridged)

    node.engine.finish_play(playback)
    bridged = await node.happened(event.CallsBridged, 2)

    assert node.parts.live.calls[first].call.id in {each.call.id for each in bridged}


@pytest.mark.parametrize("answer", ["no document", document(("hang_up", {}))])
async def test_a_question_that_cannot_be_had_is_passed_over(node: World, answer: str) -> None:
    node.asker.answer(QUESTION, answer)
    await call_with(node, dial(BOB, confirm=asdict(Confirm(sound_url=QUESTION, key="1"))))
    (first,) = await node.dialled()
    node.engine.answer_from_outside(first)
    await node.until(lambda: first in node.parts.live.calls)
    await node.until(lambda: node.parts.live.calls[first].inboxes)

    node.engine.press(first, "1")

    await node.happened(event.CallsBridged, 2)


async def test_the_caller_hears_music_again_and_again_until_somebody_answers(node: World) -> None:
    node.pauses.hold = None
    node.asker.answer(MUSIC, document(("play", {"url": SOUND}), ("wait", {"duration_ms": 10})))
    leg = await call_with(node, dial(BOB, music_url=MUSIC))
    (other,) = await node.dialled()
    for _ in range(2):
        playback = await node.playing()
        assert heard(node) == [(str(Path(SOUND)), leg)]
        node.engine.finish_play(playback)
        await node.until(lambda before=playback: before not in node.engine.playbacks)

    node.engine.answer_from_outside(other)
    await node.happened(event.CallsBridged, 2)
    await node.until(lambda: not heard(node))


async def test_without_its_music_the_caller_hears_ringing(node: World) -> None:
    leg = await call_with(node, dial(BOB, music_url=MUSIC))
    (other,) = await node.dialled()

    ringing = node.engine.playbacks[await node.playing()]
    assert (ringing.tones, ringing.leg) == (RING_BACK, leg)
    node.engine.reject_from_outside(other)
    calls = await ended(node, 2)

    assert Direction.INBOUND in calls


def test_what_a_dial_says_of_it_is_read() -> None:
    def read(attributes: str) -> Any:
        text = f"<Dial {attributes}><User>{BOB}</User></Dial>"
        return read_dial(Node(parse_xml(text.encode()), Reading()), header_prefix="X-PH-")

    full = read(f'confirmSound="{QUESTION}" confirmKey="1" confirmTimeout="7" dialMusic="{MUSIC}"')
    assert full.confirm == Confirm(sound_url=QUESTION, key="1", timeout_ms=7_000)
    assert full.music_url == MUSIC
    plain = read('dialMusic="real"')
    assert (plain.confirm, plain.music_url) == (None, None)
    for wrong in ('confirmKey="x"', 'dialMusic="loud"', 'confirmTimeout="0"'):
        with pytest.raises(AnswerInvalid):
            read(wrong)
