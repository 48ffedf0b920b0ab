"""Keys in a conference: leaving it, and sequences that are told."""

from typing import Any

from tests.unit.control.support import World, document

from tapeline.domain import event
from tapeline.domain.command import (
    ConferenceRef,
    PauseConferenceRecording,
    StartConferenceRecording,
)
from tapeline.domain.recording import Starter
from tapeline.domain.signal import LegHandle

ANSWER = "http://customer.example/answer"
NEXT = "http://customer.example/next"
EVENTS = "http://customer.example/events"


async def joined(node: World, **fields: Any) -> LegHandle:
    verb = {"name": "MyConf", "callback_url": EVENTS, **fields}
    node.asker.answer(ANSWER, document(("join", verb), ("redirect", {"url": NEXT})))
    node.asker.answer(NEXT, document(("hang_up", {})))
    await node.application("n", answer_url=ANSWER)
    leg = node.engine.arrive(called="n")
    await node.happened(event.ParticipantJoined)
    await node.until(lambda: node.parts.live.calls[leg].inboxes)
    return leg


async def test_a_star_leaves_and_the_document_goes_on(node: World) -> None:
    leg = await joined(node, hang_up_on_star=True)

    node.engine.press(leg, "5")
    node.engine.press(leg, "*")
    await node.happened(event.CallEnded)

    assert [question.url for question, _ in node.asker.asked] == [ANSWER, NEXT]
    assert node.seen(event.ProgramToldCall) == []
    assert "leave" in node.engine.names()


async def test_sequences_are_told_each_once(node: World) -> None:
    leg = await joined(node, digits_match=["12", "3*", "912"])

    for digit in "0121293*":
        node.engine.press(leg, digit)
    told = await node.happened(event.ProgramToldCall, 3)
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded)

    assert [each.extra["digits"] for each in told] == ["12", "12", "3*"]
    assert {(each.topic, each.url, each.method) for each in told} == {
        ("conference_digits", EVENTS, "POST")
    }
    assert {each.extra["conference_name"] for each in told} == {"MyConf"}
    assert {each.extra["member_id"] for each in told} == {"1"}


async def test_the_longest_sequence_that_ends_here_is_told(node: World) -> None:
    leg = await joined(node, digits_match=["12", "912"])

    for digit in "912":
        node.engine.press(leg, digit)
    (told,) = await node.happened(event.ProgramToldCall)

    assert told.extra["digits"] == "912"


async def test_while_a_recording_is_paused_no_digit_is_stored(node: World) -> None:
    leg = await joined(node, digits_match=["12"])
    where = ConferenceRef(account_id=node.account.id, name="MyConf")
    starter = Starter(dialect="plain", request_id="request-1")
    await node.control.execute(StartConferenceRecording(conference=where, starter=starter))
    await node.control.execute(PauseConferenceRecording(conference=where, dialect="plain"))

    for digit in "12":
        node.engine.press(leg, digit)
    (told,) = await node.happened(event.ProgramToldCall)

    assert told.extra["digits"] == "withheld"
