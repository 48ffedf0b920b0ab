"""A node's start and stop, as far as calls, conferences and recordings are concerned."""

import asyncio
from dataclasses import replace

from tapeline.control import calls, recordings
from tapeline.control.calls.ends import UNAVAILABLE, ended_call
from tapeline.control.calls.rows import account_of, application_of
from tapeline.control.calls.signals import close_call
from tapeline.control.conferences.seats import close_conference, completed_conference
from tapeline.control.live import End
from tapeline.control.parts import Parts
from tapeline.domain import event
from tapeline.domain.account import Account
from tapeline.domain.call import Call, EndCause, EndSource
from tapeline.domain.conference import Conference, ConferenceEnd, Participant, ParticipantState
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

LOST = End(
    cause=EndCause.NODE_LOST,
    source=EndSource.SYSTEM,
    detail="the node ended without closing this call",
)
STOPPED = End(cause=EndCause.NODE_STOPPED, source=EndSource.SYSTEM, detail="the node was stopped")


async def close_lost(parts: Parts) -> tuple[int, int]:
    """Closes what this node had open when it died: (calls, conferences).

    Before the core takes calls. Everybody leaves, calls end, conferences complete, in one
    transaction with their events.
    """
    node_id, now_ms = parts.ownership.node_id, parts.clock.now_ms()

    def work(tx: Transaction) -> tuple[int, int]:
        open_conferences = list(tx.conferences.open_of(node_id))
        open_calls = list(tx.calls.open_of(node_id))
        for conference in open_conferences:
            account = account_of(tx, conference.account_id)
            _all_left(tx, conference, account, now_ms)
            completed = completed_conference(conference, ConferenceEnd.NODE_LOST, now_ms)
            creator = tx.calls.get(conference.creator_call_id)
            application = application_of(tx, creator)
            close_conference(tx, completed, account, creator=creator, application=application)
        for call in open_calls:
            ended = ended_call(call, LOST, now_ms)
            close_call(tx, ended, account_of(tx, call.account_id), application_of(tx, call))
        return len(open_calls), len(open_conferences)

    closed = await parts.store.write(work)
    if any(closed):
        _log.warning("lost_things_closed", calls=closed[0], conferences=closed[1])
    return closed


def _all_left(tx: Transaction, conference: Conference, account: Account, now_ms: EpochMs) -> None:
    present = list(tx.participants.present(conference.id))
    for number, participant in enumerate(present, start=1):
        left = replace(participant, state=ParticipantState.LEFT, left_at_ms=now_ms)
        tx.participants.update(left)
        call = tx.calls.get(participant.call_id)
        if call is not None and participant.state is ParticipantState.JOINED:
            tx.emit(_left(tx, account, conference, left, call, is_last=number == len(present)))


def _left(
    tx: Transaction,
    account: Account,
    conference: Conference,
    participant: Participant,
    call: Call,
    *,
    is_last: bool,
) -> event.ParticipantLeft:
    creator = tx.calls.get(conference.creator_call_id)
    return event.ParticipantLeft(
        id=EventId(new_uuid()),
        at_ms=participant.left_at_ms or participant.joined_at_ms,
        account=account,
        conference=conference,
        creator=creator,
        application=application_of(tx, creator),
        participant=participant,
        call=call,
        is_last=is_last,
    )


async def drain(parts: Parts, *, within_s: float) -> bool:
    """Takes nothing new, stops what records, hangs up, and waits for the rows and files.

    False when something was still open after `within_s` seconds; the next start closes that.
    """
    parts.live.is_draining = True
    try:
        async with asyncio.timeout(within_s):
            await _stop_everything(parts)
            await parts.live.emptied()
    except TimeoutError:
        _log.warning("drain_cut_short", **parts.live.figures())
        return False
    return True


async def _stop_everything(parts: Parts) -> None:
    try:
        await parts.engine.set_draining(draining=True)
    except EngineFailed as error:
        _log.warning("core_not_draining", reason=error.reason)
    await recordings.stop_all(parts)
    for conference in parts.live.conferences.values():
        conference.is_ending, conference.end_reason = True, ConferenceEnd.NODE_STOPPED
    await asyncio.gather(
        *(
            calls.hang_up(parts, live_call, STOPPED, reject_status=UNAVAILABLE)
            for live_call in list(parts.live.calls.values())
        )
    )
