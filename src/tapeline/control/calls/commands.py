"""Use cases about calls that are asked for from outside."""

from dataclasses import replace

from tapeline.control import recordings
from tapeline.control.applications import check_application, own_application
from tapeline.control.calls.dialling import dial
from tapeline.control.calls.ends import cause_of_status
from tapeline.control.calls.legs import answer, hang_up, what_failed
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.calls.rows import merge_extras
from tapeline.control.checks import (
    check_caller,
    check_headers,
    check_method,
    check_range,
    check_target,
    check_url,
)
from tapeline.control.conferences.members import take_over
from tapeline.control.conferences.onanswer import join_when_answered
from tapeline.control.live import End, LiveCall
from tapeline.control.lookup import call_of
from tapeline.control.parts import Parts
from tapeline.control.playing.press import check_keys
from tapeline.domain.application import Application
from tapeline.domain.call import Call, Direction, EndCause, EndSource
from tapeline.domain.command import (
    AnswerCall,
    CreateCall,
    Done,
    GetCall,
    HangUpCall,
    ListCalls,
    RecordingView,
    RejectCall,
    StartCallRecording,
    TransferCall,
    UpdateCall,
)
from tapeline.domain.error import (
    CallNotAnswered,
    CallNotFound,
    Conflict,
    EngineFailed,
    Invalid,
)
from tapeline.domain.id import new_application_id

_LONGEST_RING_MS = 600_000
_LONGEST_CALL_MS = 86_400_000


# What there is.


async def list_calls(parts: Parts, command: ListCalls) -> tuple[Call, ...]:
    return tuple(
        await parts.store.read(
            lambda tx: tx.calls.list(
                command.account_id,
                only_live=command.only_live,
                limit=command.limit,
                state=command.state,
                application_id=command.application_id,
            )
        )
    )


async def get_call(parts: Parts, command: GetCall) -> Call:
    """One that has ended, too."""
    call = await parts.store.read(lambda tx: tx.calls.get(command.call_id))
    if call is None or call.account_id != command.account_id:
        raise CallNotFound(command.call_id)
    return call


# Making one.


async def create_call(parts: Parts, command: CreateCall) -> Call:
    check_target("to", command.target)
    check_caller("from", command.caller)
    check_caller("caller_name", command.caller_name)
    check_headers("headers", command.headers)
    check_range("ring_limit_ms", command.ring_limit_ms, 1_000, _LONGEST_RING_MS)
    check_range("time_limit_ms", command.time_limit_ms, 1_000, _LONGEST_CALL_MS)
    if command.keys is not None:
        check_keys(command.keys)
    application = await _application_for(parts, command)
    live_call = await dial(
        parts,
        Outgoing(
            account_id=command.account_id,
            application=application,
            dialect=command.dialect,
            target=command.target,
            caller=command.caller,
            caller_name=command.caller_name,
            headers=command.headers,
            ring_limit_ms=command.ring_limit_ms,
            time_limit_ms=command.time_limit_ms,
            session_id=command.session_id,
            extras=command.extras,
            record=command.record,
            keys=command.keys,
            starts_program=True,
        ),
    )
    if command.joins is not None:
        parts.tasks.start(
            join_when_answered(parts, live_call, command.joins),
            name=f"call {live_call.call.id} joins when answered",
        )
    return live_call.call


async def _application_for(parts: Parts, command: CreateCall) -> Application:
    if (command.application_id is None) == (command.instructions is None):
        raise Invalid(
            field="application_id",
            value=command.application_id,
            expected="exactly one of an application and instructions",
        )
    if command.instructions is not None:
        return await _add_ad_hoc(parts, command, command.instructions)
    application_id = command.application_id or ""
    return await parts.store.read(
        lambda tx: own_application(tx, command.account_id, application_id, command.dialect)
    )


async def _add_ad_hoc(parts: Parts, command: CreateCall, instructions: Application) -> Application:
    application = replace(
        instructions,
        id=new_application_id(),
        account_id=command.account_id,
        dialect=command.dialect,
        is_ad_hoc=True,
        created_at_ms=parts.clock.now_ms(),
        deleted_at_ms=None,
    )
    check_application(parts, application)
    await parts.store.write(lambda tx: tx.applications.add(application))
    return application


# Steering one.


async def answer_call(parts: Parts, command: AnswerCall) -> RecordingView | None:
    live_call = await call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    if live_call.is_answered:
        return None
    if live_call.call.direction is Direction.OUTBOUND:
        raise CallNotAnswered(command.call_id)
    try:
        await answer(parts, live_call)
    except EngineFailed as error:
        raise await what_failed(live_call, error) from error
    if command.record is None:
        return None
    return await recordings.start_call_recording(
        parts,
        StartCallRecording(
            account_id=command.account_id,
            call_id=command.call_id,
            starter=command.record.starter,
            options=command.record.options,
        ),
    )


async def reject_call(parts: Parts, command: RejectCall) -> Done:
    live_call = await call_of(parts, command.account_id, command.call_id)
    if live_call.is_answered or live_call.call.direction is Direction.OUTBOUND:
        raise Conflict(f"call {command.call_id} cannot be rejected: it is no unanswered call to us")
    await merge_extras(parts, live_call, command.extras)
    end = End(cause=cause_of_status(command.sip_status), source=EndSource.API)
    await hang_up(parts, live_call, end, reject_status=command.sip_status)
    return Done()


async def hang_up_call(parts: Parts, command: HangUpCall) -> Done:
    live_call = await call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    await hang_up(parts, live_call, End(cause=_hang_up_cause(live_call), source=EndSource.API))
    return Done()


def _hang_up_cause(live_call: LiveCall) -> EndCause:
    if live_call.is_answered:
        return EndCause.NORMAL
    is_ours = live_call.call.direction is Direction.OUTBOUND
    return EndCause.CANCELED if is_ours else EndCause.REJECTED


async def update_call(parts: Parts, command: UpdateCall) -> Call:
    live_call = await call_of(parts, command.account_id, command.call_id)
    return await merge_extras(parts, live_call, command.extras)


async def transfer_call(parts: Parts, command: TransferCall) -> Done:
    """Its old program ends first; then it leaves where it is, and the new one starts."""
    check_url("url", command.url)
    check_method("method", command.method)
    live_call = await call_of(parts, command.account_id, command.call_id)
    if parts.dialects[live_call.call.dialect].parse_answer is None:
        raise Invalid(
            field="url",
            value=command.url,
            expected="a command: this call is not steered by documents",
        )
    if live_call.call.direction is Direction.OUTBOUND and not live_call.is_answered:
        raise CallNotAnswered(command.call_id)
    async with parts.live.locks.hold((live_call.call.id, "moves")):
        await take_over(parts, live_call)
        await parts.programs.transfer(live_call, url=command.url, method=command.method)
    return Done()
