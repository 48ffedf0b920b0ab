import asyncio
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, DIALECT, HOOK, World, document

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.call import Call, CallState, EndCause, EndSource
from tapeline.domain.command import (
    AnswerCall,
    Command,
    ConferenceRef,
    CreateAccount,
    CreateCall,
    CreateConference,
    GetCall,
    HangUpCall,
    ListApplications,
    ListCalls,
    PauseCallRecording,
    PauseConferenceRecording,
    RecordOnAnswer,
    RejectCall,
    StartCallRecording,
    StartConferenceRecording,
    TransferCall,
    UpdateCall,
)
from tapeline.domain.error import (
    CallHasEnded,
    CallNotAnswered,
    CallNotFound,
    Conflict,
    Invalid,
)
from tapeline.domain.id import AccountId, CallId
from tapeline.domain.recording import Starter

NEXT = "http://customer.example/next"


def every_command(account_id: AccountId, call_id: CallId) -> list[Command[Any]]:
    its = {"account_id": account_id, "call_id": call_id}
    return [
        AnswerCall(**its),
        RejectCall(**its, sip_status=486),
        HangUpCall(**its),
        UpdateCall(**its, extras={"a": "b"}),
        TransferCall(**its, url=NEXT),
        CreateConference(**its, name="c", dialect=COMMANDED),
    ]


def answer(node: World, live_call: LiveCall, **fields: Any) -> AnswerCall:
    return AnswerCall(account_id=node.account.id, call_id=live_call.call.id, **fields)


async def test_a_commanded_call_rings_and_waits(node: World) -> None:
    live_call = await node.commanded(answered=False)

    await node.until(lambda: node.engine.names() == ["ring"])
    assert live_call.call.state is CallState.RINGING
    assert node.seen(event.CallArrived)[0].application is not None


async def test_an_answer_is_given_once(node: World) -> None:
    live_call = await node.commanded(answered=False)

    await asyncio.gather(
        *(node.control.execute(answer(node, live_call, extras={"n": str(n)})) for n in range(5))
    )
    await node.control.execute(answer(node, live_call))
    (answered,) = await node.happened(event.CallAnswered)
    await node.settled()

    assert node.engine.names().count("answer") == 1
    assert answered.call.extras["n"] in "01234"
    assert live_call.leg in node.engine.legs


async def test_an_answer_with_a_recording_gives_the_recording(node: World) -> None:
    live_call = await node.commanded(answered=False)
    wanted = RecordOnAnswer(starter=Starter(dialect=COMMANDED, request_id="r"))

    view = await node.control.execute(answer(node, live_call, record=wanted))
    again = await node.control.execute(answer(node, live_call, record=wanted))

    assert view is not None
    assert view.recording.call_id == live_call.call.id
    assert again is None
    assert len(node.engine.recorders) == 1


async def test_a_call_that_ends_while_it_is_answered_has_ended(node: World) -> None:
    for turns in range(6):
        live_call = await node.commanded(answered=False)
        answering = asyncio.ensure_future(node.control.execute(answer(node, live_call)))
        for _ in range(turns):
            await asyncio.sleep(0)
        node.engine.hang_up_from_outside(live_call.leg)

        (outcome,) = await asyncio.gather(answering, return_exceptions=True)
        await live_call.ended.wait()

        assert outcome is None or isinstance(outcome, CallHasEnded)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (603, EndCause.REJECTED),
        (486, EndCause.BUSY),
        (404, EndCause.UNKNOWN_NUMBER),
        (480, EndCause.NO_ANSWER),
    ],
)
async def test_a_call_is_rejected_before_its_answer(
    node: World, status: int, cause: EndCause
) -> None:
    live_call = await node.commanded(answered=False)

    await node.control.execute(
        RejectCall(
            account_id=node.account.id,
            call_id=live_call.call.id,
            sip_status=status,
            extras={"s": "1"},
        )
    )
    (ended,) = await node.happened(event.CallEnded)

    assert node.engine.commands[-1].arguments["status"] == status
    assert (ended.call.end_cause, ended.call.end_source) == (cause, EndSource.API)
    assert ended.call.extras == {"s": "1"}


async def test_an_answered_call_cannot_be_rejected(node: World) -> None:
    live_call = await node.commanded()

    with pytest.raises(Conflict):
        await node.control.execute(
            RejectCall(account_id=node.account.id, call_id=live_call.call.id, sip_status=486)
        )

    assert live_call.leg in node.engine.legs


async def test_a_call_that_is_answered_while_it_is_rejected_ends_all_the_same(node: World) -> None:
    for turns in range(6):
        live_call = await node.commanded(answered=False)
        reject = RejectCall(account_id=node.account.id, call_id=live_call.call.id, sip_status=486)
        answering = asyncio.ensure_future(node.control.execute(answer(node, live_call)))
        for _ in range(turns):
            await asyncio.sleep(0)

        await asyncio.gather(answering, node.control.execute(reject), return_exceptions=True)
        await node.settled()

        if live_call.end is not None:
            async with asyncio.timeout(5):
                await live_call.ended.wait()
        assert (live_call.leg in node.engine.legs) is (live_call.end is None)


@pytest.mark.parametrize(
    ("answered", "cause"), [(True, EndCause.NORMAL), (False, EndCause.REJECTED)]
)
async def test_a_call_is_hung_up(node: World, *, answered: bool, cause: EndCause) -> None:
    live_call = await node.commanded(answered=answered)
    command = HangUpCall(account_id=node.account.id, call_id=live_call.call.id)

    await node.control.execute(command)
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    assert (ended.call.end_cause, ended.call.end_source) == (cause, EndSource.API)
    with pytest.raises(CallHasEnded):
        await node.control.execute(command)


async def test_extras_are_merged_and_told_with_every_later_event(node: World) -> None:
    live_call = await node.commanded(answered=False)
    its = {"account_id": node.account.id, "call_id": live_call.call.id}

    await asyncio.gather(
        *(node.control.execute(UpdateCall(**its, extras={str(n): "x"})) for n in range(8)),
        node.control.execute(answer(node, live_call)),
    )
    updated = await node.control.execute(UpdateCall(**its, extras={"0": "y"}))
    await node.settled()

    assert updated.extras == {"0": "y"} | {str(n): "x" for n in range(1, 8)}
    shown = await node.control.execute(GetCall(**its))
    assert shown == live_call.call
    assert (shown.state, shown.extras) == (CallState.ANSWERED, updated.extras)


async def test_ended_unknown_and_others_calls(node: World) -> None:
    live_call = await node.commanded()
    call_id = live_call.call.id
    other = (await node.control.execute(CreateAccount(name="Other"))).account.id

    for command in every_command(other, call_id):
        with pytest.raises(CallNotFound):
            await node.control.execute(command)
    for command in every_command(node.account.id, CallId("nonsense")):
        with pytest.raises(CallNotFound):
            await node.control.execute(command)
    with pytest.raises(CallNotFound):
        await node.control.execute(GetCall(account_id=other, call_id=call_id))
    node.engine.hang_up_from_outside(live_call.leg)
    await live_call.ended.wait()
    for command in every_command(node.account.id, call_id):
        with pytest.raises(CallHasEnded):
            await node.control.execute(command)
    for command in every_command(other, call_id):
        with pytest.raises(CallNotFound):
            await node.control.execute(command)

    shown: Call = await node.control.execute(GetCall(account_id=node.account.id, call_id=call_id))
    assert shown.state is CallState.ENDED


async def test_calls_are_listed_by_state_and_application(node: World) -> None:
    await node.application("held", answer_document=document(("join", {"name": "x"})))
    ringing, answered = await node.commanded(answered=False), await node.commanded()
    node.engine.arrive(called="held")
    await node.happened(event.ParticipantJoined)

    async def listed(**fields: Any) -> set[str]:
        found = await node.control.execute(ListCalls(account_id=node.account.id, **fields))
        return {call.id for call in found}

    assert await listed(state=CallState.RINGING) == {ringing.call.id}
    assert ringing.call.application_id is not None
    assert await listed(application_id=ringing.call.application_id) == {
        ringing.call.id,
        answered.call.id,
    }
    assert len(await listed()) == 3


# Transfers.


async def steered(node: World, text: str) -> LiveCall:
    await node.application("n", answer_document=text)
    leg = node.engine.arrive(called="n")
    await node.happened(event.ParticipantJoined)
    return node.parts.live.calls[leg]


def transfer(node: World, live_call: LiveCall, url: str = NEXT) -> TransferCall:
    return TransferCall(account_id=node.account.id, call_id=live_call.call.id, url=url)


async def test_a_transferred_call_leaves_and_follows_the_new_document(node: World) -> None:
    hung_up_if_it_went_on = document(("join", {"name": "A"}), ("hang_up", {}))
    live_call = await steered(node, hung_up_if_it_went_on)
    node.asker.answer(NEXT, document(("join", {"name": "B"})))

    await node.control.execute(transfer(node, live_call))
    await node.happened(event.ParticipantJoined, 2)
    await node.settled()

    assert list(node.parts.live.conferences) == [(node.account.id, "B")]
    (question, _call) = node.asker.asked[0]
    assert (question.event, question.url) == ("transfer", NEXT)
    assert live_call.leg in node.engine.legs


@pytest.mark.parametrize(
    ("body", "cause"),
    [("nonsense", EndCause.TRANSFER_INVALID), (None, EndCause.TRANSFER_UNREACHABLE)],
)
async def test_a_transfer_to_nowhere_ends_the_call(
    node: World, body: str | None, cause: EndCause
) -> None:
    live_call = await steered(node, document(("join", {"name": "A"})))
    if body is not None:
        node.asker.answer(NEXT, body)

    await node.control.execute(transfer(node, live_call))
    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is cause


async def test_two_transfers_at_once_leave_one_program(node: World) -> None:
    live_call = await steered(node, document(("join", {"name": "A"})))
    for name in ("B", "C"):
        node.asker.answer(f"{NEXT}/{name}", document(("join", {"name": name})))

    await asyncio.gather(
        *(node.control.execute(transfer(node, live_call, f"{NEXT}/{name}")) for name in "BC")
    )
    await node.settled()
    await asyncio.sleep(0.05)
    await node.settled()

    assert len(node.parts.live.conferences) == 1
    assert live_call.seat is not None
    assert live_call.leg in node.engine.legs


async def test_what_cannot_be_transferred(node: World) -> None:
    commanded = await node.commanded()
    with pytest.raises(Invalid):
        await node.control.execute(transfer(node, commanded))
    with pytest.raises(Invalid):
        await node.control.execute(transfer(node, commanded, "ftp://customer.example/"))
    await node.application("doc", answer_url=HOOK)
    application = next(
        each for each in await node.control.execute(ListApplications(dialect=DIALECT))
    )
    call = await node.control.execute(
        CreateCall(
            account_id=node.account.id,
            application_id=application.id,
            target="sip:a@b",
            caller="me",
            dialect=DIALECT,
        )
    )
    with pytest.raises(CallNotAnswered):
        await node.control.execute(
            TransferCall(account_id=node.account.id, call_id=call.id, url=NEXT)
        )


# Digits.


async def test_digits_of_a_commanded_call_are_events(node: World) -> None:
    live_call = await node.commanded()

    for digit in "12#":
        node.engine.press(live_call.leg, digit)
    heard = await node.happened(event.DigitReceived, 3)

    assert [each.digit for each in heard] == ["1", "2", "#"]
    assert heard[0].application is not None


async def test_digits_of_a_call_that_a_document_steers_are_no_events(node: World) -> None:
    live_call = await steered(node, document(("join", {"name": "A"})))

    node.engine.press(live_call.leg, "1")
    await node.settled()

    assert not node.seen(event.DigitReceived)


@pytest.mark.parametrize("of_conference", [True, False])
async def test_digits_are_withheld_while_a_recording_that_hears_them_is_paused(
    node: World, *, of_conference: bool
) -> None:
    live_call = await node.commanded()
    await node.control.execute(
        CreateConference(
            account_id=node.account.id, call_id=live_call.call.id, name="c", dialect=COMMANDED
        )
    )
    await node.settled()
    starter = Starter(dialect=COMMANDED, request_id="r")
    conference = ConferenceRef(account_id=node.account.id, name="c")
    its = {"account_id": node.account.id, "call_id": live_call.call.id}
    if of_conference:
        await node.control.execute(StartConferenceRecording(conference=conference, starter=starter))
    else:
        await node.control.execute(StartCallRecording(**its, starter=starter))

    async def pause(*, resumes: bool) -> None:
        if of_conference:
            await node.control.execute(
                PauseConferenceRecording(conference=conference, dialect=COMMANDED, resumes=resumes)
            )
        else:
            await node.control.execute(
                PauseCallRecording(**its, dialect=COMMANDED, resumes=resumes)
            )

    await pause(resumes=False)
    node.engine.press(live_call.leg, "1")
    await node.settled()
    await pause(resumes=True)
    node.engine.press(live_call.leg, "2")
    heard = await node.happened(event.DigitReceived)

    assert [each.digit for each in heard] == ["2"]
