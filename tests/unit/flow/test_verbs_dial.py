"""Dialling others: the first who answers talks, and whoever ends it, nobody is left on a line."""

from typing import Any

import pytest
from tests.unit.control.support import World, document

from tapeline.control.conferences import set_free
from tapeline.control.sounds import RING_BACK
from tapeline.domain import event
from tapeline.domain.call import Call, Direction, EndCause, EndSource
from tapeline.domain.command import ListRecordings
from tapeline.domain.recording import Layout
from tapeline.domain.signal import ChannelLayout, LegHandle

ANSWER = "http://customer.example/answer"
ACTION = "http://customer.example/action"
NEXT = "http://customer.example/next"
EVENTS = "http://customer.example/events"
ALICE, BOB, CAROL = "+15550100", "sip:bob@127.0.0.1:5070", "sip:carol@127.0.0.1:5071"


def dial(*targets: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    verb = {
        "targets": [{"uri": uri} for uri in targets],
        "action": {"url": ACTION},
        "callback_url": EVENTS,
    }
    return ("dial", {**verb, **fields})


async def call_with(node: World, *verbs: tuple[str, dict[str, Any]]) -> LegHandle:
    node.asker.answer(ANSWER, document(*verbs))
    node.asker.answer(ACTION, document(("hang_up", {})))
    node.asker.answer(NEXT, document(("hang_up", {})))
    await node.application("n", answer_url=ANSWER)
    return node.engine.arrive(called="n", caller=ALICE)


async def talking(node: World, **fields: Any) -> tuple[LegHandle, LegHandle]:
    """A call and the one that answered it, bridged and told."""
    leg = await call_with(node, dial(BOB, **fields))
    (other,) = await node.dialled()
    node.engine.ring_from_outside(other)
    node.engine.answer_from_outside(other)
    await node.happened(event.ProgramToldCall, 2)
    return leg, other


async def ended(node: World, count: int) -> dict[Direction, Call]:
    """The calls that have ended, this node's and the customer's."""
    events = await node.happened(event.CallEnded, count)
    return {each.call.direction: each.call for each in events}


def topics(node: World) -> list[str]:
    return [each.topic for each in node.seen(event.ProgramToldCall)]


async def test_the_one_who_answers_hears_and_is_heard(node: World) -> None:
    headers = {"headers": {"X-A": "1", "X-B": "1"}}
    target = {"uri": BOB, "headers": {"X-B": "2"}}
    leg, other = await talking(
        node,
        targets=[target],
        caller="+15550199",
        caller_name="Shop",
        ring_limit_ms=20_000,
        **headers,
    )

    spec = node.engine.legs[other].dialled
    assert spec is not None
    assert (spec.uri, spec.caller, spec.caller_name) == (BOB, "+15550199", "Shop")
    assert (dict(spec.headers), spec.ring_limit_ms) == ({"X-A": "1", "X-B": "2"}, 20_000)
    assert sorted(next(iter(node.engine.rooms.values()))) == sorted([leg, other])
    mine, theirs = (node.parts.live.calls[each].call for each in (leg, other))
    assert (theirs.parent_id, theirs.session_id) == (mine.id, mine.session_id)
    assert (theirs.direction, theirs.application_id) == (Direction.OUTBOUND, None)
    answered, connected = node.seen(event.ProgramToldCall)
    assert [each.topic for each in (answered, connected)] == ["dial_answer", "dial_connected"]
    assert (answered.url, answered.call.id) == (EVENTS, mine.id)
    assert answered.extra == {
        "dial_aleg_id": mine.id,
        "dial_bleg_id": theirs.id,
        "dial_bleg_status": "answered",
        "dial_bleg_from": "+15550199",
        "dial_bleg_to": BOB,
        "dial_bleg_position": "1",
    }


async def test_this_call_is_answered_when_somebody_answers_it(node: World) -> None:
    leg = await call_with(node, dial(BOB))
    (other,) = await node.dialled()
    before = node.engine.legs[leg].is_answered

    node.engine.answer_from_outside(other)
    await node.happened(event.CallsBridged, 2)

    assert (before, node.engine.legs[leg].is_answered) == (False, True)


async def test_when_the_other_hangs_up_the_document_goes_on(node: World) -> None:
    _leg, other = await talking(node)
    node.clock.at_ms += 2_500

    node.engine.hang_up_from_outside(other)
    calls = await ended(node, 2)

    mine, theirs = calls[Direction.INBOUND], calls[Direction.OUTBOUND]
    assert (theirs.end_cause, theirs.end_source) == (EndCause.NORMAL, EndSource.CALLEE)
    assert mine.end_cause is EndCause.HANG_UP_VERB
    assert node.asker.asked[-1][0].extra == {
        "verb": "dial",
        "dial_status": "completed",
        "dial_ring_status": "true",
        "dial_hangup_cause": "normal",
        "dial_aleg_id": mine.id,
        "dial_bleg_id": theirs.id,
    }
    told = node.seen(event.ProgramToldCall)[-1]
    assert told.topic == "dial_hangup"
    assert told.extra["dial_bleg_status"] == "ended"
    assert (told.extra["dial_bleg_duration"], told.extra["dial_bleg_bill_duration"]) == ("3", "3")
    assert (told.extra["dial_hangup_cause"], told.extra["dial_hangup_source"]) == (
        "normal",
        "callee",
    )


async def test_when_this_call_ends_so_does_the_other(node: World) -> None:
    leg, other = await talking(node)

    node.engine.hang_up_from_outside(leg)
    calls = await ended(node, 2)
    await node.settled()

    assert other not in node.engine.legs
    assert calls[Direction.OUTBOUND].end_source is EndSource.CALLER
    assert topics(node) == ["dial_answer", "dial_connected", "dial_hangup", "action"]
    told = node.seen(event.ProgramToldCall)[-1]
    assert (told.url, told.extra["dial_status"]) == (ACTION, "completed")
    assert len(node.asker.asked) == 1
    assert not node.parts.live.bridges


async def test_when_this_call_ends_before_an_answer_all_of_them_are_called_off(
    node: World,
) -> None:
    leg = await call_with(node, dial(BOB, CAROL))
    others = await node.dialled(2)
    node.engine.ring_from_outside(others[0])
    await node.happened(event.CallRinging)

    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded, 3)

    assert not node.engine.legs
    (told,) = node.seen(event.ProgramToldCall)
    assert (told.topic, told.extra["dial_status"]) == ("action", "cancel")
    assert (told.extra["dial_ring_status"], told.extra["dial_bleg_id"]) == ("true", "")


async def test_of_several_the_first_to_answer_wins_and_the_others_are_called_off(
    node: World,
) -> None:
    leg = await call_with(node, dial(BOB, CAROL))
    bob, carol = await node.dialled(2)

    node.engine.answer_from_outside(carol)
    (lost,) = await node.happened(event.CallEnded)
    await node.happened(event.CallsBridged, 2)

    assert (lost.call.called, lost.call.end_cause) == (BOB, EndCause.CANCELED)
    assert bob not in node.engine.legs
    assert node.engine.legs[leg].room == node.engine.legs[carol].room
    (told, *_) = await node.happened(event.ProgramToldCall, 2)
    assert told.extra["dial_bleg_position"] == "2"


@pytest.mark.parametrize(
    ("statuses", "ring", "status", "cause"),
    [
        ([486], "false", "busy", "busy"),
        ([480], "true", "no-answer", "no_answer"),
        ([408], "true", "timeout", "no_answer"),
        ([603], "false", "failed", "rejected"),
        ([404], "false", "failed", "unknown_number"),
        ([404, 486], "false", "busy", "busy"),
        ([408, 404], "true", "timeout", "no_answer"),
    ],
)
async def test_nobody_is_reached(
    node: World, statuses: list[int], ring: str, status: str, cause: str
) -> None:
    await call_with(node, dial(*[BOB, CAROL][: len(statuses)]))
    for leg, sip_status in zip(await node.dialled(len(statuses)), statuses, strict=True):
        if ring == "true":
            node.engine.ring_from_outside(leg)
        node.engine.reject_from_outside(leg, sip_status=sip_status)
    await node.happened(event.CallEnded, 1 + len(statuses))

    extra = node.asker.asked[-1][0].extra
    assert (extra["dial_status"], extra["dial_hangup_cause"]) == (status, cause)
    assert extra["dial_ring_status"] == ring
    assert extra["dial_bleg_id"] == ""
    assert topics(node) == []


@pytest.mark.parametrize("trouble", ["no SIP address", "bad header", "the core refuses"])
async def test_what_cannot_be_dialled_has_failed_and_harms_nobody(
    node: World, trouble: str
) -> None:
    fields: dict[str, Any] = {}
    target = BOB
    if trouble == "no SIP address":
        target = "+15550123"
    elif trouble == "bad header":
        fields = {"headers": {"Via": "x"}}
    else:
        node.engine.refuse_next("dial")

    await call_with(node, dial(target, **fields))
    await node.happened(event.CallEnded)

    extra = node.asker.asked[-1][0].extra
    assert (extra["dial_status"], extra["dial_bleg_id"]) == ("failed", "")


async def test_too_many_numbers_at_once_are_no_document(node: World) -> None:
    await call_with(node, dial(*[BOB] * 21))

    (told,) = await node.happened(event.CallEnded)

    assert told.call.end_cause is EndCause.ANSWER_INVALID
    assert "dial" not in node.engine.names()


async def test_a_star_parts_them_when_the_document_says_so(node: World) -> None:
    leg, other = await talking(node, hang_up_on_star=True)
    await node.until(lambda: node.parts.live.calls[leg].inboxes)

    node.engine.press(leg, "5")
    node.engine.press(leg, "*")
    calls = await ended(node, 2)

    assert other not in node.engine.legs
    assert calls[Direction.OUTBOUND].end_source is EndSource.DOCUMENT
    assert node.asker.asked[-1][0].extra["dial_status"] == "completed"


async def test_the_time_together_has_a_limit(node: World) -> None:
    await talking(node, time_limit_ms=20)

    calls = await ended(node, 2)

    assert calls[Direction.OUTBOUND].end_cause is EndCause.TIME_LIMIT
    assert calls[Direction.INBOUND].end_cause is EndCause.HANG_UP_VERB


async def test_a_transfer_parts_them_and_tells_no_action(node: World) -> None:
    leg, other = await talking(node)

    await node.programs.transfer(node.parts.live.calls[leg], url=NEXT, method="POST")
    await node.happened(event.CallEnded, 2)

    assert other not in node.engine.legs
    assert [question.url for question, _ in node.asker.asked] == [ANSWER, NEXT]
    assert "action" not in topics(node)


async def test_a_recording_waits_for_the_answer_and_has_the_caller_left(node: World) -> None:
    record = {
        "starts_on_dial_answer": True,
        "action": {"url": "record"},
        "options": {"layout": Layout.CALLER_CALLEE.value},
    }
    leg = await call_with(node, ("record", record), dial(BOB))
    (other,) = await node.dialled()
    before = len(node.engine.recorders)

    node.engine.answer_from_outside(other)
    await node.happened(event.CallsBridged, 2)
    (spec,) = node.engine.recorders.values()
    node.engine.hang_up_from_outside(other)
    await node.happened(event.RecordingFinished)

    assert before == 0
    assert (spec.leg, spec.layout) == (leg, ChannelLayout.RX_TX)
    names = node.engine.names()
    assert names.index("start_recording") < names.index("join")
    told = next(e for e in node.seen(event.ProgramToldCall) if e.extra.get("verb") == "record")
    assert (told.topic, told.extra["recording_duration_ms"]) == ("action", "-1")
    page = await node.control.execute(ListRecordings())
    assert page.total == 1


async def test_a_call_that_was_answered_before_hears_it_ring_until_the_answer(
    node: World,
) -> None:
    leg = await call_with(node, ("record", {"in_background": True}), dial(BOB))
    (other,) = await node.dialled()
    spec = node.engine.playbacks[await node.playing()]

    node.engine.answer_from_outside(other)
    await node.happened(event.CallsBridged, 2)

    assert (spec.leg, spec.tones, spec.loops) == (leg, RING_BACK, 0)
    assert (node.engine.playbacks, node.sounds.open) == ({}, [])
    assert node.engine.names().index("stop_play") < node.engine.names().index("join")


async def test_ringing_that_cannot_be_played_harms_no_call(node: World) -> None:
    node.engine.refuse_next("play")
    await call_with(node, ("record", {"in_background": True}), dial(BOB))
    (other,) = await node.dialled()

    node.engine.answer_from_outside(other)

    await node.happened(event.CallsBridged, 2)


async def test_one_that_is_taken_elsewhere_is_left_there(node: World) -> None:
    _leg, other = await talking(node)

    await set_free(node.parts, node.parts.live.calls[other])
    calls = await ended(node, 1)
    await node.settled()

    assert list(calls) == [Direction.INBOUND]
    assert list(node.engine.legs) == [other]
    assert "dial_hangup" not in topics(node)
