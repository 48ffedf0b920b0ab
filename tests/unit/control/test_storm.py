"""Everything at once, by seed: whatever order things happen in, nothing is left behind."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, World, document

from tapeline.control.bridges import bridge
from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.call import CallState
from tapeline.domain.command import (
    AnswerCall,
    Command,
    ConferenceRef,
    CreateCall,
    CreateConference,
    EndConference,
    HangUpCall,
    JoinCall,
    LeaveCall,
    ListApplications,
    ListCalls,
    ListConferences,
    Members,
    RecordOnAnswer,
    RemoveParticipants,
    SetParticipants,
    StartCallRecording,
    StartConferenceRecording,
    StopConferenceRecording,
    TransferCall,
    UpdateCall,
)
from tapeline.domain.error import TapelineError
from tapeline.domain.recording import Starter

NEXT = "http://customer.example/next"
ROUNDS = 250


class Storm:
    def __init__(self, node: World, seed: int) -> None:
        self.node = node
        self.random = random.Random(seed)
        self.refusals: list[TapelineError] = []

    async def blow(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(ROUNDS):
                group.create_task(self._one())
                await asyncio.sleep(self.random.choice([0, 0, 0, 0.001, 0.01]))

    async def _one(self) -> None:
        outside = [self._arrive, self._arrive, self._hang_up_outside, self._answer, self._bridge]
        if self.random.random() < 0.2:
            await self.random.choice(outside)()
            return
        calls = list(self.node.parts.live.calls_by_id.values())
        if not calls:
            return
        try:
            await self.node.control.execute(self._command(self.random.choice(calls)))
        except TapelineError as error:
            self.refusals.append(error)

    def _command(self, live_call: LiveCall) -> Command[Any]:
        its = {"account_id": self.node.account.id, "call_id": live_call.call.id}
        where = ConferenceRef(
            account_id=self.node.account.id, name=self.random.choice("AB"), may_be_id=True
        )
        members = self.random.choice([Members(), Members(call_ids=(live_call.call.id,))])
        flag = self.random.choice([True, False])
        starter = Starter(dialect=COMMANDED, request_id="r")
        record = RecordOnAnswer(starter=starter) if flag else None
        makers: dict[Callable[[], Command[Any]], int] = {
            lambda: AnswerCall(**its, record=record): 6,
            lambda: HangUpCall(**its): 1,
            lambda: UpdateCall(**its, extras={"n": str(self.random.random())}): 2,
            lambda: TransferCall(**its, url=NEXT): 2,
            lambda: CreateConference(
                **its, name=where.name, dialect=COMMANDED, starts_on_create=flag
            ): 6,
            lambda: JoinCall(
                conference=where,
                call_id=live_call.call.id,
                end_on_exit=self.random.random() < 0.2,
                on_hold=flag,
                starts_conference=not flag,
            ): 12,
            lambda: LeaveCall(conference=where, call_id=live_call.call.id): 3,
            lambda: SetParticipants(conference=where, members=members, muted=flag, on_hold=flag): 5,
            lambda: RemoveParticipants(
                conference=where, members=Members(call_ids=(live_call.call.id,)), hang_up=flag
            ): 2,
            lambda: EndConference(conference=where, hang_up=self.random.random() < 0.1): 1,
            lambda: StartConferenceRecording(
                conference=where, starter=starter, allows_parallel=flag
            ): 3,
            lambda: StopConferenceRecording(conference=where, dialect=COMMANDED): 2,
            lambda: StartCallRecording(**its, starter=starter): 2,
            self._dial: 3,
        }
        (chosen,) = self.random.choices(list(makers), weights=list(makers.values()))
        return chosen()

    def _dial(self) -> CreateCall:
        return CreateCall(
            account_id=self.node.account.id,
            application_id=self.application_id,
            target="sip:alice@phone.example",
            caller="me",
            dialect=COMMANDED,
        )

    async def prepare(self) -> None:
        await self.node.application("doc*", answer_url=NEXT)
        self.node.asker.answer(
            NEXT, document(("join", {"name": "A"}), ("join", {"name": "B"}), ("hang_up", {}))
        )
        for _ in range(6):
            await self.node.commanded()
        (application,) = await self.node.control.execute(ListApplications(dialect=COMMANDED))
        self.application_id = application.id

    async def _arrive(self) -> None:
        self.node.engine.arrive(called=self.random.choice(["doc1", "commanded-1"]))

    def _leg(self, *, is_dialled: bool) -> Any:
        legs = [
            leg
            for leg, known in self.node.engine.legs.items()
            if (known.dialled is not None) is is_dialled
        ]
        return self.random.choice(legs) if legs else None

    async def _hang_up_outside(self) -> None:
        leg = self._leg(is_dialled=self.random.random() < 0.3)
        if leg is not None and (
            self.node.engine.legs[leg].is_answered or self.node.engine.legs[leg].dialled is None
        ):
            self.node.engine.hang_up_from_outside(leg)

    async def _answer(self) -> None:
        leg = self._leg(is_dialled=True)
        if leg is not None and not self.node.engine.legs[leg].is_answered:
            self.node.engine.answer_from_outside(leg)

    async def _bridge(self) -> None:
        answered = [each for each in self.node.parts.live.calls.values() if each.is_answered]
        if len(answered) < 2:
            return
        try:
            await bridge(self.node.parts, *self.random.sample(answered, 2))
        except TapelineError as error:
            self.refusals.append(error)

    async def calm(self) -> None:
        """Everybody hangs up."""
        await self.node.settled()
        while self.node.engine.legs or self.node.parts.live.calls:
            for leg, known in list(self.node.engine.legs.items()):
                if known.dialled is not None and not known.is_answered:
                    self.node.engine.reject_from_outside(leg)
                else:
                    self.node.engine.hang_up_from_outside(leg)
            await asyncio.sleep(0.01)
            await self.node.settled()


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_left_behind_whatever_happens_at_once(node: World, seed: int) -> None:
    storm = Storm(node, seed)
    await storm.prepare()

    async with asyncio.timeout(40):
        await storm.blow()
        await storm.calm()

    live = node.parts.live
    assert live.figures() == {"calls": 0, "conferences": 0, "recordings": 0}
    assert (live.bridges, live.rooms, live.conferences_by_id, live.refused) == ({}, {}, {}, set())
    assert (node.engine.rooms, node.engine.recorders, node.engine.legs) == ({}, {}, {})
    rows = await node.control.execute(ListCalls(limit=1000))
    assert {row.state for row in rows} == {CallState.ENDED}
    assert await node.control.execute(ListConferences(limit=1000)) == ()
    shown = await node.control.execute(ListConferences(limit=1000, only_live=False))
    assert all(view.participants == () for view in shown)
    joined, left = node.seen(event.ParticipantJoined), node.seen(event.ParticipantLeft)
    assert sorted(e.participant.member_id for e in joined) == sorted(
        e.participant.member_id for e in left
    )
    assert len(node.seen(event.ConferenceCreated)) == len(node.seen(event.ConferenceEnded))
    answered = [e.call.id for e in node.seen(event.CallAnswered)]
    assert len(answered) == len(set(answered))
    assert len(node.seen(event.CallEnded)) == len(rows)
