"""A recording that there should have been: a row, an event and a figure say that it is missing."""

from dataclasses import replace

from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.control.recordings.start import storage_key
from tapeline.control.recordings.targets import facts_of
from tapeline.domain import event
from tapeline.domain.command import RecordingFilter
from tapeline.domain.id import RecordingId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Recording, RecordingOptions, RecordingState, Starter
from tapeline.recording import recording_event
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_MOST_OF_A_CALL = 1_000


async def missed_recording(
    parts: Parts, live_call: LiveCall, starter: Starter, options: RecordingOptions, reason: str
) -> Recording:
    """The failed row that the start left, or else one that is made here."""
    parts.counts.add("recordings_missed")
    made = _row(parts, live_call, starter, options)

    def work(tx: Transaction) -> Recording:
        found, _total = tx.recordings.list(
            made.account_id,
            RecordingFilter(call_id=made.call_id, state=RecordingState.FAILED),
            limit=_MOST_OF_A_CALL,
            offset=0,
        )
        known = [row for row in found if row.starter.request_id == starter.request_id]
        row = replace(known[0] if known else made, reason=f"missed: {reason}")
        if known:
            tx.recordings.update(row)
        else:
            tx.recordings.add(row)
        tx.emit(
            recording_event(
                tx, event.RecordingMissed, row, parts.clock.now_ms(), parts.link_of(row)
            )
        )
        return row

    row = await parts.store.write(work)
    _log.error(
        "recording_missed",
        recording=row.id,
        call=live_call.call.id,
        policy=starter.policy_id,
        reason=reason,
    )
    return row


def _row(
    parts: Parts, live_call: LiveCall, starter: Starter, options: RecordingOptions
) -> Recording:
    recording_id, now_ms = RecordingId(new_uuid()), parts.clock.now_ms()
    facts = facts_of(live_call)
    return Recording(
        id=recording_id,
        node_id=parts.ownership.node_id,
        starter=starter,
        options=options,
        state=RecordingState.FAILED,
        started_at_ms=now_ms,
        ended_at_ms=now_ms,
        storage_key=storage_key(facts["account_id"], recording_id, options.format, now_ms),
        **facts,
    )
