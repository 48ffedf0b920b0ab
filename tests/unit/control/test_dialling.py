import asyncio
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, DIALECT, World, document

from tapeline.control import calls
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.limits import end_what_is_due
from tapeline.domain import event
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import (
    CreateApplication,
    CreateCall,
    HangUpCall,
    ListApplications,
    ListCalls,
    RecordOnAnswer,
)
from tapeline.domain.error import (
    ApplicationNotFound,
    Draining,
    EngineFailed,
    Invalid,
    OutOfRange,
)
from tapeline.domain.id import ApplicationId, EpochMs
from tapeline.domain.recording import Starter
from tapeline.domain.signal import LegHandle

PHONE = "sip:alice@phone.example:5070"
HOOK = "http://customer.example/hook"


def instructions(node: World, **fields: Any) -> Application:
    return Application(
        id=ApplicationId(""),
        account_id=node.account.id,
        dialect=DIALECT,
        name="",
        created_at_ms=EpochMs(0),
        **fields,
    )


async def created(node: World, **fields: Any) -> tuple[Call, LegHandle]:
    """A call to PHONE that commands will steer, and its leg."""
    fields = {"dialect": COMMANDED, "target": PHONE, "caller": "+15550100"} | fields
    if "instructions" not in fields and "application_id" not in fields:
        application = await node.control.execute(
            CreateApplication(
                account_id=node.account.id, dialect=COMMANDED, name="a", answer_url=HOOK
            )
        )
        fields["application_id"] = application.id
    call = await node.control.execute(CreateCall(account_id=node.account.id, **fields))
    return call, node.parts.live.calls_by_id[call.id].leg


async def test_a_dialled_call_goes_through_its_states(node: World) -> None:
    call, leg = await created(node, extras={"state": "s1"}, headers={"X-a": "1"})
    node.engine.ring_from_outside(leg)
    node.engine.ring_from_outside(leg, sip_status=183)
    (rang,) = await node.happened(event.CallRinging)
    node.engine.answer_from_outside(leg)
    (answered,) = await node.happened(event.CallAnswered)
    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    (dialled,) = node.seen(event.CallDialled)
    assert [e.call.state for e in (dialled, rang, answered, ended)] == [
        CallState.DIALING,
        CallState.RINGING,
        CallState.ANSWERED,
        CallState.ENDED,
    ]
    assert len(node.seen(event.CallRinging)) == 1
    assert all(e.application is not None for e in (dialled, rang, answered, ended))
    assert call == dialled.call
    assert (call.direction, call.called, call.caller) == (Direction.OUTBOUND, PHONE, "+15550100")
    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.NORMAL, EndSource.CALLEE)
    assert ended.call.extras == {"state": "s1"}
    assert await node.call(call.id) == ended.call
    spec = node.engine.commands[0].arguments["spec"]
    assert spec.uri == PHONE  # type: ignore[attr-defined]
    assert spec.headers == (("X-a", "1"),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "cause", "source"),
    [
        (486, EndCause.BUSY, EndSource.CALLEE),
        (600, EndCause.BUSY, EndSource.CALLEE),
        (603, EndCause.REJECTED, EndSource.CALLEE),
        (403, EndCause.REJECTED, EndSource.CALLEE),
        (488, EndCause.REJECTED, EndSource.CALLEE),
        (404, EndCause.UNKNOWN_NUMBER, EndSource.CALLEE),
        (480, EndCause.NO_ANSWER, EndSource.CALLEE),
        (408, EndCause.NO_ANSWER, EndSource.SYSTEM),
        (503, EndCause.NETWORK, EndSource.CALLEE),
    ],
)
async def test_a_final_response_becomes_a_cause(
    node: World, status: int, cause: EndCause, source: EndSource
) -> None:
    _, leg = await created(node)

    node.engine.reject_from_outside(leg, sip_status=status)
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (cause, source)
    assert not node.seen(event.CallAnswered)


async def test_a_phone_that_answers_before_the_dial_has_returned_is_not_missed(
    node: World,
) -> None:
    original = node.engine.dial

    async def dial(spec: Any) -> LegHandle:
        leg = await original(spec)
        node.engine.ring_from_outside(leg)
        node.engine.answer_from_outside(leg)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return leg

    node.engine.dial = dial  # type: ignore[method-assign]
    call, _ = await created(node)
    await node.happened(event.CallAnswered)
    await node.settled()

    names = [e.name for e in node.events if isinstance(e, event.CallEvent)]
    assert names == ["call_dialled", "call_ringing", "call_answered"]
    assert (await node.call(call.id)).state is CallState.ANSWERED


async def test_an_answered_call_follows_the_document_of_its_instructions(node: World) -> None:
    carried = document(("join", {"name": "MyConf"}))
    wanted = instructions(node, answer_document=carried)
    call, leg = await created(node, dialect=DIALECT, instructions=wanted)

    assert not node.engine.rooms
    node.engine.answer_from_outside(leg)
    (joined,) = await node.happened(event.ParticipantJoined)

    assert joined.call.id == call.id
    assert "ring" not in node.engine.names()
    assert "answer" not in node.engine.names()
    made = joined.application
    assert made is not None
    assert made.is_ad_hoc
    assert made.id == call.application_id
    assert await node.control.execute(ListApplications()) == ()


async def test_a_call_that_is_taken_back_before_its_answer_was_canceled(node: World) -> None:
    call, leg = await created(node)
    node.engine.ring_from_outside(leg)

    await node.control.execute(
        HangUpCall(account_id=node.account.id, call_id=call.id, extras={"why": "late"})
    )
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.CANCELED, EndSource.API)
    assert ended.call.extras == {"why": "late"}


@pytest.mark.parametrize(
    "fields",
    [
        {"target": "+15550100"},
        {"target": "sips:alice@phone.example"},
        {"target": "sip:phone.example"},
        {"target": "sip:alice@phone.example>\r\nX-Evil: 1"},
        {"target": "sip:alice@phone.example:0"},
        {"caller": 'me"\r\nX-Evil: 1'},
        {"caller": "m" * 129},
        {"caller_name": "a\tb"},
        {"headers": {"From": "x"}},
        {"headers": {"X-a": "1\r\nX-b: 2"}},
    ],
)
async def test_what_cannot_be_dialled_is_invalid_and_makes_no_call(
    node: World, fields: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await created(node, **fields)

    assert await node.control.execute(ListCalls()) == ()
    assert not node.engine.commands


async def test_a_number_says_what_is_needed_instead(node: World) -> None:
    with pytest.raises(Invalid, match="sip:alice@") as told:
        await created(node, target="+15550100")

    assert (told.value.field, told.value.value) == ("to", "+15550100")


async def test_limits_have_bounds(node: World) -> None:
    with pytest.raises(OutOfRange):
        await created(node, ring_limit_ms=0)
    with pytest.raises(OutOfRange):
        await created(node, time_limit_ms=86_400_001)


async def test_only_one_s_own_application_of_that_dialect_steers_a_call(node: World) -> None:
    await node.application("n", answer_url=HOOK)
    (other,) = await node.control.execute(ListApplications())

    with pytest.raises(ApplicationNotFound):
        await created(node, application_id=other.id)
    with pytest.raises(Invalid):
        await created(node, application_id=None)


async def test_a_core_that_refuses_leaves_an_ended_row_and_no_event(node: World) -> None:
    node.engine.refuse_next("dial")

    with pytest.raises(EngineFailed):
        await created(node)
    (row,) = await node.control.execute(ListCalls())
    await node.settled()

    assert (row.state, row.end_cause) == (CallState.ENDED, EndCause.FAULT)
    assert not node.seen(event.CallEvent)
    assert not node.parts.live.calls


async def test_a_node_that_stops_dials_nobody(node: World) -> None:
    application = await node.control.execute(
        CreateApplication(account_id=node.account.id, dialect=COMMANDED, name="a", answer_url=HOOK)
    )
    node.parts.live.is_draining = True

    with pytest.raises(Draining):
        await created(node, application_id=application.id)

    assert "dial" not in node.engine.names()


async def test_a_dial_that_nobody_waits_for_any_more_is_taken_back(node: World) -> None:
    wanted = Outgoing(
        account_id=node.account.id,
        application=None,
        dialect=DIALECT,
        target=PHONE,
        caller="me",
    )

    task = asyncio.ensure_future(calls.dial(node.parts, wanted))
    await node.until(lambda: bool(node.engine.legs))
    task.cancel()
    await asyncio.wait([task])
    (ended,) = await node.happened(event.CallEnded)

    assert task.cancelled()
    assert ended.call.end_cause is EndCause.CANCELED
    assert not node.engine.legs


async def test_a_call_ends_when_its_time_is_up(node: World) -> None:
    _, leg = await created(node, time_limit_ms=60_000)
    node.engine.answer_from_outside(leg)
    await node.happened(event.CallAnswered)
    await node.settled()

    node.clock.at_ms = EpochMs(node.clock.at_ms + 59_999)
    await end_what_is_due(node.parts)
    assert leg in node.engine.legs
    node.clock.at_ms = EpochMs(node.clock.at_ms + 1)
    await end_what_is_due(node.parts)
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.TIME_LIMIT, EndSource.SYSTEM)


async def test_a_call_is_recorded_from_its_answer_on(node: World) -> None:
    wanted = RecordOnAnswer(starter=Starter(dialect=COMMANDED, request_id="r"))
    call, leg = await created(node, record=wanted)
    assert not node.engine.recorders

    node.engine.answer_from_outside(leg)
    (started,) = await node.happened(event.RecordingStarted)

    assert started.recording.call_id == call.id
    (spec,) = node.engine.recorders.values()
    assert spec.leg == leg


async def test_a_recording_that_cannot_start_harms_no_call(node: World) -> None:
    node.engine.refuse_next("start_recording")
    wanted = RecordOnAnswer(starter=Starter(dialect=COMMANDED, request_id="r"))
    carried = document(("join", {"name": "MyConf"}))
    _, leg = await created(
        node,
        dialect=DIALECT,
        instructions=instructions(node, answer_document=carried),
        record=wanted,
    )

    node.engine.answer_from_outside(leg)
    await node.happened(event.ParticipantJoined)

    assert node.parts.counts.values["recordings_not_started"] == 1
