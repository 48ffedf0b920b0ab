"""A table of answer documents and what a call does with each."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.control.support import ExpectedBugs, World, document, world

from tapeline.domain import event
from tapeline.domain.application import Application
from tapeline.domain.call import Call, EndCause, EndSource
from tapeline.domain.command import AddNumber
from tapeline.domain.delivery import Failure, RetryPolicy
from tapeline.domain.error import DiskFull, StoreFailed
from tapeline.domain.id import ApplicationId, EpochMs
from tapeline.domain.recording import RecordingState
from tapeline.flow.documents import Reply
from tapeline.flow.walker import IDLE_DOCUMENTS_LIMIT

ANSWER = "http://customer.example/answer"
NEXT = "http://customer.example/next"
ACTION = "http://customer.example/action"
TOO_LARGE = {"failure": Failure.TOO_LARGE, "reason": "the answer is longer than 102400 bytes"}
TIMEOUT = Reply(status=None, failure=Failure.READ_TIMEOUT, reason="no answer within 40000 ms")
JOIN = document(("join", {"name": "MyConf"}))


async def call_ends(node: World) -> tuple[Call, list[str]]:
    """One call to a number whose application asks ANSWER, and the commands its leg got."""
    await node.application("n", answer_url=ANSWER)
    node.engine.arrive(called="n")
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()
    return ended.call, node.engine.names()


@pytest.mark.parametrize(
    ("text", "cause", "commands"),
    [
        (document(), EndCause.END_OF_DOCUMENT, ["ring", "hang_up"]),
        (document(("hang_up", {})), EndCause.HANG_UP_VERB, ["ring", "hang_up"]),
        (
            document(("hang_up", {"reject_status": 486})),
            EndCause.BUSY,
            ["ring", "reject"],
        ),
        (
            document(("hang_up", {"reject_status": 603})),
            EndCause.REJECTED,
            ["ring", "reject"],
        ),
        (
            document(("wait", {"duration_ms": 5_000}), ("hang_up", {})),
            EndCause.HANG_UP_VERB,
            ["ring", "hang_up"],
        ),
        ("nonsense", EndCause.ANSWER_INVALID, ["ring", "reject"]),
        (
            document(("redirect", {"url": "ftp://x/"})),
            EndCause.ANSWER_INVALID,
            ["ring", "reject"],
        ),
        (
            document(("redirect", {"url": "http://[bad/"})),
            EndCause.ANSWER_INVALID,
            ["ring", "reject"],
        ),
    ],
)
async def test_a_document_s_end(
    node: World, text: str, cause: EndCause, commands: list[str]
) -> None:
    node.asker.answer(ANSWER, text)

    call, asked_of_the_core = await call_ends(node)

    assert call.end_cause is cause
    assert asked_of_the_core == commands


@pytest.mark.parametrize(
    ("replies", "retry", "asked", "cause", "detail"),
    [
        ([Reply(status=404)], {}, 1, EndCause.ANSWER_UNREACHABLE, "answered 404"),
        ([Reply(status=500)], {}, 1, EndCause.ANSWER_UNREACHABLE, "answered 500"),
        ([Reply(status=204)], {}, 1, EndCause.ANSWER_UNREACHABLE, "answered 204"),
        ([TIMEOUT], {}, 2, EndCause.ANSWER_UNREACHABLE, "no answer within"),
        ([Reply(status=200, **TOO_LARGE)], {}, 1, EndCause.ANSWER_INVALID, "102400"),
        ([Reply(status=404, **TOO_LARGE)], {}, 1, EndCause.ANSWER_UNREACHABLE, "102400"),
        ([TIMEOUT, document()], {}, 2, EndCause.END_OF_DOCUMENT, ""),
        (
            [Reply(status=503), Reply(status=503), document()],
            {"waits_ms": (1, 2), "retry_on": frozenset({Failure.SERVER_ERROR})},
            3,
            EndCause.END_OF_DOCUMENT,
            "",
        ),
        (
            [Reply(status=404), document()],
            {"waits_ms": (1,), "retry_on": frozenset({Failure.SERVER_ERROR})},
            1,
            EndCause.ANSWER_UNREACHABLE,
            "answered 404",
        ),
    ],
)
async def test_a_server_that_does_not_do_its_part(
    node: World,
    replies: list[Reply | str],
    retry: dict[str, Any],
    asked: int,
    cause: EndCause,
    detail: str,
) -> None:
    node.asker.answer(ANSWER, *replies)
    node.asker.retry = RetryPolicy(**retry)

    call, _ = await call_ends(node)

    assert call.end_cause is cause
    assert detail in (call.end_detail or "")
    assert node.asker.sent == [ANSWER] * asked


async def test_an_unreachable_server_gives_480_and_an_invalid_answer_500(node: World) -> None:
    node.asker.answer(ANSWER, Reply(status=500), "nonsense")
    await node.application("n", answer_url=ANSWER)

    for count in (1, 2):
        node.engine.arrive(called="n")
        await node.happened(event.CallEnded, count)

    rejects = [c.arguments["status"] for c in node.engine.commands if c.name == "reject"]
    assert rejects == [480, 500]
    sources = {e.call.end_source for e in node.seen(event.CallEnded)}
    assert sources == {EndSource.ERROR}


async def test_a_fallback_is_asked_when_the_answer_url_fails(node: World) -> None:
    application = Application(
        id=ApplicationId("2"),
        account_id=node.account.id,
        dialect="plain",
        name="with a fallback",
        answer_url=ANSWER,
        fallback_url=NEXT,
        created_at_ms=EpochMs(0),
    )
    await node.store.write(lambda tx: tx.applications.add(application))
    await node.control.execute(AddNumber(pattern="n", application_id=application.id))
    node.asker.answer(ANSWER, Reply(status=500), "nonsense")
    node.asker.answer(NEXT, document(("hang_up", {})))

    for count in (1, 2):
        node.engine.arrive(called="n")
        ended = await node.happened(event.CallEnded, count)

    assert {e.call.end_cause for e in ended} == {EndCause.HANG_UP_VERB}


async def test_the_caller_hears_ringing_while_the_document_is_fetched(node: World) -> None:
    node.asker.hold = asyncio.Event()
    node.asker.answer(ANSWER, JOIN)
    await node.application("n", answer_url=ANSWER)

    leg = node.engine.arrive(called="n")
    await node.asker.was_asked()
    before = (node.engine.legs[leg].is_ringing, node.engine.legs[leg].is_answered)
    node.asker.hold.set()
    await node.happened(event.ParticipantJoined)

    assert before == (True, False)
    assert node.engine.legs[leg].is_answered


async def test_a_caller_who_gives_up_ends_the_question(node: World) -> None:
    node.asker.hold = asyncio.Event()
    await node.application("n", answer_url=ANSWER)
    leg = node.engine.arrive(called="n")
    await node.asker.was_asked()

    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is EndCause.CANCELED
    assert node.engine.names() == ["ring"]


async def test_waiting_does_not_answer(node: World) -> None:
    node.asker.answer(ANSWER, document(("wait", {"duration_ms": 2_500}), ("hang_up", {})))

    call, commands = await call_ends(node)

    assert node.pauses.seconds == [2.5]
    assert "answer" not in commands
    assert call.answered_at_ms is None


async def test_redirects_are_followed_from_where_they_stand(node: World) -> None:
    node.asker.answer(ANSWER, document(("redirect", {"url": "next?a=1#rc=2", "method": "GET"})))
    node.asker.answer(NEXT + "?a=1#rc=2", document(("hang_up", {})))

    call, _ = await call_ends(node)

    assert call.end_cause is EndCause.HANG_UP_VERB
    questions = [(q.event, q.method) for q, _call in node.asker.asked]
    assert questions == [("start", "POST"), ("redirect", "GET")]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (Reply(status=500), EndCause.REDIRECT_UNREACHABLE),
        (Reply(status=200, body=b"nonsense"), EndCause.REDIRECT_INVALID),
    ],
)
async def test_a_redirect_that_fails_has_its_own_cause(
    node: World, reply: Reply, cause: EndCause
) -> None:
    node.asker.answer(ANSWER, document(("redirect", {"url": NEXT})))
    node.asker.answer(NEXT, reply)

    call, _ = await call_ends(node)

    assert call.end_cause is cause


async def test_a_circle_of_redirects_ends(node: World) -> None:
    node.asker.answer(ANSWER, document(("redirect", {"url": ANSWER})))

    call, _ = await call_ends(node)

    assert call.end_cause is EndCause.REDIRECT_INVALID
    assert len(node.asker.sent) == IDLE_DOCUMENTS_LIMIT


async def test_a_circle_that_takes_its_time_may_go_on(node: World) -> None:
    rounds = IDLE_DOCUMENTS_LIMIT + 5
    poll = document(("wait", {"duration_ms": 1_000}), ("redirect", {"url": ANSWER}))
    node.asker.answer(ANSWER, *[poll] * rounds, document(("hang_up", {})))

    call, _ = await call_ends(node)

    assert call.end_cause is EndCause.HANG_UP_VERB
    assert len(node.asker.sent) == rounds + 1


async def test_a_scheduled_hang_up_lets_the_document_go_on(node: World) -> None:
    node.asker.answer(
        ANSWER, document(("hang_up", {"after_ms": 60_000}), ("join", {"name": "MyConf"}))
    )
    await node.application("n", answer_url=ANSWER)
    node.pauses.hold = asyncio.Event()

    node.engine.arrive(called="n")
    await node.happened(event.ParticipantJoined)
    node.pauses.hold.set()
    (ended,) = await node.happened(event.CallEnded)

    assert node.pauses.seconds == [60.0]
    assert (ended.call.end_cause, ended.call.end_source) == (
        EndCause.TIME_LIMIT,
        EndSource.DOCUMENT,
    )


async def test_a_carried_document_knows_what_the_star_stood_for(node: World) -> None:
    text = document(("join", {"name": "{{match}}"}))
    await node.application("room-*", answer_document=text)

    node.engine.arrive(called="room-R&D <1>")
    (joined,) = await node.happened(event.ParticipantJoined)

    assert joined.conference.name == "R&amp;D &lt;1&gt;"  # escaped for XML, which this is not
    assert node.asker.asked == []


async def test_a_match_cannot_break_out_of_the_document(node: World) -> None:
    await node.application("room-*", answer_document=document(("join", {"name": "{{match}}"})))

    node.engine.arrive(called='room-"}], ["hang_up", {}]')
    (joined,) = await node.happened(event.ParticipantJoined)

    assert joined.conference.name.startswith("&quot;")


async def test_after_a_conference_the_action_s_answer_is_followed(node: World) -> None:
    join = {"name": "MyConf", "action": {"url": ACTION}, "record": "wav", "time_limit_ms": 1}
    node.asker.answer(ANSWER, document(("join", join), ("wait", {"duration_ms": 99})))
    node.asker.answer(ACTION, document(("hang_up", {})))

    call, _ = await call_ends(node)

    (_, (question, asked_call)) = node.asker.asked
    (recording,) = await node.happened(event.RecordingFinished)
    assert call.end_cause is EndCause.HANG_UP_VERB
    assert (question.url, question.event) == (ACTION, "action")
    assert question.extra["conference_name"] == "MyConf"
    assert question.extra["member_id"] == "1"
    assert question.extra["recording_id"] == recording.recording.id
    assert question.extra["record_url"].startswith(recording.link)
    assert asked_call.answered_at_ms is not None
    assert 99 not in node.pauses.seconds
    assert recording.recording.state is RecordingState.COMPLETED


async def test_an_action_that_is_only_told_lets_the_document_go_on(node: World) -> None:
    join = {"name": "A", "action": {"url": ACTION, "follows": False}, "time_limit_ms": 1}
    node.asker.answer(ANSWER, document(("join", join), ("wait", {"duration_ms": 99_000})))
    node.asker.answer(ACTION, Reply(status=500))

    call, _ = await call_ends(node)

    assert call.end_cause is EndCause.END_OF_DOCUMENT
    assert node.asker.sent == [ANSWER, ACTION]
    assert node.pauses.seconds == [99.0]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (Reply(status=404), EndCause.ACTION_UNREACHABLE),
        (Reply(status=200, body=b"nonsense"), EndCause.ACTION_INVALID),
    ],
)
async def test_an_action_that_fails_has_its_own_cause(
    node: World, reply: Reply, cause: EndCause
) -> None:
    join = {"name": "A", "action": {"url": ACTION}, "time_limit_ms": 1}
    node.asker.answer(ANSWER, document(("join", join)))
    node.asker.answer(ACTION, reply)

    call, commands = await call_ends(node)

    assert call.end_cause is cause
    assert commands[-1] == "hang_up" or "hang_up" in commands


async def test_two_who_ask_for_a_recording_share_one(node: World) -> None:
    node.asker.answer(ANSWER, document(("join", {"name": "MyConf", "record": "mp3"})))
    await node.application("n", answer_url=ANSWER)

    for _ in range(2):
        node.engine.arrive(called="n")
    await node.happened(event.ParticipantJoined, 2)
    await node.happened(event.RecordingStarted)
    await node.settled()

    assert len(node.seen(event.RecordingStarted)) == 1
    assert len(node.engine.legs) == 2


async def test_a_recording_that_cannot_start_harms_no_call(node: World) -> None:
    node.asker.answer(ANSWER, document(("join", {"name": "MyConf", "record": "mp3"})))
    await node.application("n", answer_url=ANSWER)
    node.engine.refuse_next("start_recording", DiskFull("disk space: none"))

    leg = node.engine.arrive(called="n")
    await node.happened(event.ParticipantJoined)
    await node.settled()

    assert leg in node.engine.legs


async def test_events_of_a_seat_carry_the_verb_s_callback(node: World) -> None:
    join = {"name": "A", "callback_url": NEXT, "callback_method": "GET", "time_limit_ms": 1}
    node.asker.answer(ANSWER, document(("join", join)))

    await call_ends(node)

    moved = node.seen(event.ParticipantEvent)
    assert [(e.name, e.callback_url, e.callback_method) for e in moved] == [
        ("participant_joined", NEXT, "GET"),
        ("participant_left", NEXT, "GET"),
    ]


async def test_a_program_with_a_bug_ends_its_own_call_only(tmp_path: Path) -> None:
    async with world(tmp_path, bugs=ExpectedBugs()) as node:
        await node.room_application()
        await node.join("MyConf")
        await node.application("n", answer_url=ANSWER)
        node.asker.breaks = True

        node.engine.arrive(called="n")
        (ended,) = await node.happened(event.CallEnded)

        assert (ended.call.end_cause, ended.call.end_source) == (EndCause.FAULT, EndSource.ERROR)
        assert node.bugs.count == 1
        assert len(node.engine.legs) == 1


async def test_a_database_that_fails_a_program_ends_its_call_and_is_no_bug(node: World) -> None:
    class Unlucky:
        async def run(self) -> None:
            raise StoreFailed("no space left on device")

    await node.room_application()
    leg = await node.join("MyConf")

    await node.programs.hand_over(node.parts.live.calls[leg], Unlucky())
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.FAULT, EndSource.ERROR)
    assert "no space left" in (ended.call.end_detail or "")


async def test_a_call_is_handed_from_one_program_to_the_next(node: World) -> None:
    class Silent:
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            await asyncio.Event().wait()

    await node.room_application()
    leg = await node.join("MyConf")
    live_call, program = node.parts.live.calls[leg], Silent()

    await node.programs.hand_over(live_call, program)
    await asyncio.sleep(0)
    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)
    await node.programs.hand_over(live_call, program)

    assert program.runs == 1
    assert ended.call.end_cause is EndCause.NORMAL
