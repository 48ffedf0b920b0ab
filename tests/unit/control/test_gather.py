"""Digits that a command collects: valid or not, in time or not, and never kept while paused."""

import asyncio
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, World

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.command import (
    GatherDigits,
    Hearing,
    PauseCallRecording,
    StartCallRecording,
    StopGathering,
)
from tapeline.domain.gather import GatherOutcome, GatherRules
from tapeline.domain.recording import Starter
from tapeline.domain.sound import Fetched, SoundUse

PROMPT = Hearing(sounds=(Fetched("http://customer.example/ask.mp3"),), use=SoundUse.FILE)
QUICK = {"first_digit_ms": 30, "between_digits_ms": 30}


async def gather(node: World, live_call: LiveCall, **more: Any) -> None:
    rules = GatherRules(**{name: more.pop(name) for name in list(more) if name in RULES})
    await node.control.execute(
        GatherDigits(account_id=node.account.id, call_id=live_call.call.id, rules=rules, **more)
    )
    await node.until(lambda: live_call.inboxes)


RULES = set(GatherRules.__dataclass_fields__)


def press(node: World, live_call: LiveCall, digits: str) -> None:
    for digit in digits:
        node.engine.press(live_call.leg, digit)


async def gathered(node: World, count: int = 1) -> tuple[str, GatherOutcome]:
    told = (await node.happened(event.DigitsGathered, count))[-1]
    return told.digits, told.outcome


@pytest.mark.parametrize(
    ("rules", "keyed", "told"),
    [
        ({}, "12#", ("12", GatherOutcome.VALID)),
        ({"maximum": 3}, "1234", ("123", GatherOutcome.VALID)),
        (QUICK, "12", ("12", GatherOutcome.VALID)),
        (QUICK, "", ("", GatherOutcome.TIMEOUT)),
        ({"minimum": 3}, "12#", ("12", GatherOutcome.INVALID)),
        ({"valid_digits": "12"}, "13#", ("13", GatherOutcome.INVALID)),
        ({"finish_keys": "", "maximum": 2}, "1#", ("1#", GatherOutcome.VALID)),
        ({"total_ms": 30, "maximum": 9}, "1", ("1", GatherOutcome.VALID)),
    ],
)
async def test_what_is_keyed_is_judged(
    node: World, rules: dict[str, Any], keyed: str, told: tuple[str, GatherOutcome]
) -> None:
    live_call = await node.commanded()

    await gather(node, live_call, **rules)
    press(node, live_call, keyed)

    assert await gathered(node) == told
    assert not live_call.inboxes


async def test_the_first_key_stops_the_prompt_and_time_runs_from_its_end(node: World) -> None:
    live_call = await node.commanded()
    await gather(node, live_call, prompt=PROMPT, **QUICK)
    playback = await node.playing()
    await asyncio.sleep(0.1)
    assert not node.seen(event.DigitsGathered)

    press(node, live_call, "7#")

    assert await gathered(node) == ("7", GatherOutcome.VALID)
    assert playback not in node.engine.playbacks


async def test_a_wrong_answer_is_asked_for_again(node: World) -> None:
    live_call = await node.commanded()
    await gather(node, live_call, prompt=PROMPT, minimum=2, tries=2)
    await node.playing()
    press(node, live_call, "1#")
    await node.until(lambda: len(node.sounds.made) == 2)
    await node.playing()

    press(node, live_call, "12#")

    assert await gathered(node) == ("12", GatherOutcome.VALID)


async def test_a_stop_or_another_one_cancels_it(node: World) -> None:
    live_call = await node.commanded()
    await gather(node, live_call)
    press(node, live_call, "1")

    await gather(node, live_call)
    first = await gathered(node)
    await node.control.execute(StopGathering(account_id=node.account.id, call_id=live_call.call.id))

    assert first[1] is GatherOutcome.CANCELLED
    assert await gathered(node, 2) == ("", GatherOutcome.CANCELLED)


async def test_the_end_of_the_call_ends_it(node: World) -> None:
    live_call = await node.commanded()
    await gather(node, live_call)

    node.engine.hang_up_from_outside(live_call.leg)

    assert (await gathered(node))[1] is GatherOutcome.CALL_ENDED


async def test_r43_digits_of_a_paused_recording_are_withheld(node: World) -> None:
    live_call = await node.commanded()
    its = {"account_id": node.account.id, "call_id": live_call.call.id}
    await node.control.execute(
        StartCallRecording(**its, starter=Starter(dialect=COMMANDED, request_id="r"))
    )
    await node.control.execute(PauseCallRecording(**its, dialect=COMMANDED))
    await gather(node, live_call)

    press(node, live_call, "4242#")

    assert await gathered(node) == ("withheld", GatherOutcome.VALID)
