"""Calls that are recorded because a policy says so."""

from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, DIALECT, World, document

from tapeline.control.lifecycle import drain
from tapeline.domain import event
from tapeline.domain.command import (
    AddEndpoint,
    AddTrunk,
    BridgeCalls,
    ListApplications,
    ListPolicies,
    ListRecordings,
    PauseCallRecording,
    RemovePolicy,
    SetPolicy,
    StartCallRecording,
    StopCallRecording,
)
from tapeline.domain.error import (
    ApplicationNotFound,
    DiskFull,
    EndpointNotFound,
    NotRecording,
    NumberNotFound,
    OutOfRange,
    PolicyNotFound,
    TrunkNotFound,
)
from tapeline.domain.id import AccountId, EpochMs, TrunkId
from tapeline.domain.policy import PolicySubject, RecordFrom
from tapeline.domain.recording import (
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
)
from tapeline.domain.trunk import Trunk

WAV = RecordingOptions(format=RecordingFormat.WAV)
MP3 = RecordingOptions(format=RecordingFormat.MP3)
NUMBER = "room-*"


async def set_policy(node: World, subject: PolicySubject, subject_id: str, **more: Any) -> None:
    await node.control.execute(
        SetPolicy(account_id=None, subject=subject, subject_id=subject_id, **more)
    )


async def of_number(node: World, **more: Any) -> None:
    await node.room_application()
    await set_policy(node, PolicySubject.NUMBER, NUMBER, **more)


def recorded(node: World) -> list[tuple[int | None, str]]:
    return [(spec.leg, spec.format) for spec in node.engine.recorders.values()]


async def test_a_call_is_recorded_from_its_answer_on(node: World) -> None:
    await of_number(node, options=WAV)

    leg = await node.join("a")
    await node.until(lambda: node.engine.recorders)
    assert recorded(node) == [(leg, "wav")]

    node.engine.hang_up_from_outside(leg)
    (finished,) = await node.happened(event.RecordingFinished)
    assert finished.recording.starter.policy_id is not None
    assert finished.recording.call_id == finished.call.id if finished.call else False


async def test_a_policy_of_a_bridge_waits_until_somebody_is_heard(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await set_policy(node, PolicySubject.NUMBER, "commanded-*", begins=RecordFrom.BRIDGE)
    third = await node.commanded()
    assert recorded(node) == []

    for other in (first, second):
        await node.control.execute(
            BridgeCalls(account_id=node.account.id, call_id=third.call.id, other_id=other.call.id)
        )

    assert [leg for leg, _ in recorded(node)] == [third.leg]


async def test_a_conference_is_a_bridge_too(node: World) -> None:
    await of_number(node, begins=RecordFrom.BRIDGE)

    leg = await node.join("a")

    assert [of for of, _ in recorded(node)] == [leg]


async def test_the_nearest_policy_decides(node: World) -> None:
    await node.room_application()
    (application,) = await node.control.execute(ListApplications())
    endpoint = await node.control.execute(
        AddEndpoint(account_id=node.account.id, username="alice", password="long enough")
    )
    trunk = await node.control.execute(
        AddTrunk(
            trunk=Trunk(
                id=TrunkId(""),
                account_id=node.account.id,
                name="carrier",
                sources=("192.0.2.1",),
                created_at_ms=EpochMs(0),
            )
        )
    )
    await set_policy(node, PolicySubject.TRUNK, "carrier", options=WAV)
    await set_policy(node, PolicySubject.ENDPOINT, "alice", begins=RecordFrom.NEVER)

    async def formats(owner: str) -> list[str]:
        known = set(node.engine.recorders)
        node.engine.arrive(called="room-a", owner=owner)
        await node.happened(event.ParticipantJoined, len(node.seen(event.ParticipantJoined)) + 1)
        return [spec.format for key, spec in node.engine.recorders.items() if key not in known]

    assert await formats(trunk.trunk.id) == ["wav"]
    await set_policy(node, PolicySubject.APPLICATION, application.id, options=MP3)
    assert await formats(trunk.trunk.id) == ["mp3"]
    await set_policy(node, PolicySubject.NUMBER, NUMBER, begins=RecordFrom.NEVER)
    assert await formats(trunk.trunk.id) == []
    await set_policy(node, PolicySubject.NUMBER, NUMBER, options=WAV)
    assert await formats(endpoint.id) == []
    await set_policy(node, PolicySubject.ENDPOINT, "alice", options=MP3)
    assert await formats(endpoint.id) == ["mp3"]


async def test_a_call_without_a_policy_is_not_recorded(node: World) -> None:
    await of_number(node)
    await node.application("other", answer_document=document(("join", {"name": "b"})))

    node.engine.arrive(called="other")
    await node.happened(event.ParticipantJoined)

    assert recorded(node) == []


async def test_a_stop_of_everything_leaves_what_a_policy_records(node: World) -> None:
    await of_number(node, options=WAV)
    leg = await node.join("a")
    await node.until(lambda: node.engine.recorders)
    call = node.parts.live.calls[leg].call
    asked = StartCallRecording(
        account_id=node.account.id,
        call_id=call.id,
        starter=Starter(dialect=DIALECT, request_id="r"),
        options=MP3,
    )
    stop = StopCallRecording(account_id=node.account.id, call_id=call.id, dialect=DIALECT)
    await node.control.execute(asked)

    await node.control.execute(stop)

    assert recorded(node) == [(leg, "wav")]
    with pytest.raises(NotRecording):
        await node.control.execute(stop)


async def test_a_pause_of_everything_means_it_too(node: World) -> None:
    await of_number(node)
    leg = await node.join("a")
    await node.until(lambda: node.engine.recorders)
    call = node.parts.live.calls[leg].call

    await node.control.execute(
        PauseCallRecording(account_id=node.account.id, call_id=call.id, dialect=DIALECT)
    )

    assert node.engine.paused == set(node.engine.recorders)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(None, "refused by the test"), (DiskFull("disk space: 3 MB left"), "disk space: 3 MB left")],
)
async def test_a_recording_that_should_be_there_and_is_not_is_told(
    node: World, refusal: DiskFull | None, reason: str
) -> None:
    await of_number(node)
    node.engine.refuse_next("start_recording", refusal)

    leg = await node.join("a")
    (missed,) = await node.happened(event.RecordingMissed)
    page = await node.control.execute(ListRecordings())

    assert leg in node.engine.legs
    assert reason in (missed.recording.reason or "")
    assert [view.recording for view in page.views] == [missed.recording]
    assert missed.recording.state is RecordingState.FAILED
    assert node.parts.counts.values["recordings_missed"] == 1
    assert node.seen(event.RecordingFinished) == []


async def test_a_start_that_was_not_even_tried_is_told_too(node: World) -> None:
    await of_number(node)
    object.__setattr__(node.account.settings, "max_recordings_per_target", 0)
    node.parts.accounts._accounts[node.account.id] = node.account

    await node.join("a")
    (missed,) = await node.happened(event.RecordingMissed)

    assert "the most allowed" in (missed.recording.reason or "")
    assert await node.recording(missed.recording.id) == missed.recording


async def test_policies_are_listed_replaced_and_removed(node: World) -> None:
    await of_number(node, options=WAV)
    await set_policy(node, PolicySubject.NUMBER, NUMBER, options=MP3)

    (view,) = await node.control.execute(ListPolicies(account_id=node.account.id))
    assert (view.name, view.policy.options) == (NUMBER, MP3)
    assert await node.control.execute(ListPolicies(account_id=AccountId("other"))) == ()

    remove = RemovePolicy(account_id=None, subject=PolicySubject.NUMBER, subject_id=NUMBER)
    await node.control.execute(remove)
    with pytest.raises(PolicyNotFound):
        await node.control.execute(remove)


@pytest.mark.parametrize(
    ("subject", "error"),
    [
        (PolicySubject.ENDPOINT, EndpointNotFound),
        (PolicySubject.TRUNK, TrunkNotFound),
        (PolicySubject.NUMBER, NumberNotFound),
        (PolicySubject.APPLICATION, ApplicationNotFound),
    ],
)
async def test_a_policy_is_of_something_that_is_there(
    node: World, subject: PolicySubject, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await set_policy(node, subject, "nobody")


async def test_a_limit_beyond_a_day_is_refused(node: World) -> None:
    with pytest.raises(OutOfRange):
        await of_number(node, options=RecordingOptions(limit_ms=86_400_001))


async def test_hold_and_another_room_do_not_end_it(node: World) -> None:
    """The recorder follows the leg (R31)."""
    await set_up_commanded(node)
    first, second = await node.commanded(), await node.commanded()
    before = dict(node.engine.recorders)

    await node.control.execute(
        BridgeCalls(
            account_id=node.account.id,
            call_id=first.call.id,
            other_id=second.call.id,
            parks=True,
        )
    )
    node.engine.hang_up_from_outside(second.leg)
    await second.ended.wait()
    await node.until(lambda: first.bridge is None)

    assert {key: spec for key, spec in before.items() if spec.leg == first.leg} == (
        node.engine.recorders
    )


async def set_up_commanded(node: World) -> None:
    await node.commanded()
    await set_policy(node, PolicySubject.NUMBER, "commanded-*")
    assert COMMANDED in node.parts.dialects


async def test_a_node_that_stops_finishes_what_its_policies_record(node: World) -> None:
    await of_number(node)
    await node.join("a")
    await node.until(lambda: node.engine.recorders)

    assert await drain(node.parts, within_s=5)

    (finished,) = node.seen(event.RecordingFinished)
    assert finished.recording.state is RecordingState.COMPLETED
