"""Use cases that connect two calls: both are there, or one is dialled first."""

import asyncio

from tapeline.control import recordings
from tapeline.control.bridges import bridge
from tapeline.control.calls.dialling import dial
from tapeline.control.calls.legs import hang_up, what_failed
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.calls.rows import merge_extras
from tapeline.control.calls.transfers import PARTED, end_together
from tapeline.control.checks import check_caller, check_headers, check_range, check_target
from tapeline.control.conferences.members import take_over
from tapeline.control.live import LiveCall
from tapeline.control.lookup import answered_call_of
from tapeline.control.parts import Parts
from tapeline.domain.command import (
    BridgeCalls,
    Done,
    RecordOnAnswer,
    StartCallRecording,
    TransferToAddress,
)
from tapeline.domain.error import CallHasEnded, Conflict, EngineFailed, TapelineError
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_LONGEST_RING_MS = 600_000


async def bridge_calls(parts: Parts, command: BridgeCalls) -> Done:
    if command.call_id == command.other_id:
        raise Conflict(f"call {command.call_id} cannot be connected to itself")
    first = await answered_call_of(parts, command.account_id, command.call_id)
    second = await answered_call_of(parts, command.account_id, command.other_id)
    await merge_extras(parts, first, command.extras)
    await _connect(parts, first, second, parks=command.parks, record=command.record)
    return Done()


async def transfer_to_address(parts: Parts, command: TransferToAddress) -> Done:
    """Answered when the INVITE is on its way; what becomes of it is told by events."""
    check_target("to", command.target)
    check_caller("from", command.caller)
    check_headers("headers", command.headers)
    check_range("ring_limit_ms", command.ring_limit_ms, 1_000, _LONGEST_RING_MS)
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    other = await dial(
        parts,
        Outgoing(
            account_id=command.account_id,
            application=live_call.application,
            dialect=live_call.call.dialect,
            target=command.target,
            caller=command.caller or live_call.call.called,
            caller_name=command.caller_name,
            headers=command.headers,
            ring_limit_ms=command.ring_limit_ms,
            time_limit_ms=command.time_limit_ms,
            session_id=live_call.call.session_id,
            parent_id=live_call.call.id,
            extras=command.target_extras,
        ),
    )
    parts.tasks.start(
        _connect_when_answered(parts, live_call, other, command.record),
        name=f"transfer of call {live_call.call.id}",
    )
    return Done()


async def _connect_when_answered(
    parts: Parts, live_call: LiveCall, other: LiveCall, record: RecordOnAnswer | None
) -> None:
    """Who asked has his answer already: what goes wrong is logged, and nobody is left on a line."""
    waiting = [
        asyncio.ensure_future(each.wait())
        for each in (other.answered, other.ended, live_call.ended)
    ]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    if live_call.is_over:
        await hang_up(parts, other, PARTED)
    elif other.answered.is_set() and not other.is_over:
        try:
            await _connect(parts, live_call, other, parks=False, record=record)
        except TapelineError as error:
            _log.warning("transfer_not_done", call=live_call.call.id, reason=str(error))
            await hang_up(parts, other, PARTED)
        except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
            parts.bugs.add("transfer", error)
            await hang_up(parts, other, PARTED)


async def _connect(
    parts: Parts,
    first: LiveCall,
    second: LiveCall,
    *,
    parks: bool,
    record: RecordOnAnswer | None,
) -> None:
    """From wherever they are. Raises CallHasEnded, EngineFailed."""
    one, other = sorted((first, second), key=lambda each: each.call.id)
    async with (
        parts.live.locks.hold((one.call.id, "moves")),
        parts.live.locks.hold((other.call.id, "moves")),
    ):
        for each in (first, second):
            await take_over(parts, each)
            if each.is_over:
                raise CallHasEnded(each.call.id)
        try:
            made = await bridge(parts, first, second)
        except EngineFailed as error:
            raise await what_failed(first if first.is_over else second, error) from error
    if not parks:
        parts.tasks.start(end_together(parts, made), name="bridge by command")
    if record is not None:
        await recordings.start_call_recording(
            parts,
            StartCallRecording(
                account_id=first.call.account_id,
                call_id=first.call.id,
                starter=record.starter,
                options=record.options,
            ),
        )
