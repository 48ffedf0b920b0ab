"""Calls that come in: whose they are, their row, their program."""

from dataclasses import dataclass, replace

from tapeline.control.calls.ends import FORBIDDEN, NOT_FOUND, REASONS, UNAVAILABLE, ended_call
from tapeline.control.calls.transfers import take_place
from tapeline.control.live import End, LiveCall, Passage
from tapeline.control.parts import Parts
from tapeline.control.precedence import policy_of
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.e164 import to_e164
from tapeline.domain.endpoint import Endpoint
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    CallId,
    EndpointId,
    EventId,
    TrunkId,
    new_uuid,
)
from tapeline.domain.policy import RecordPolicy
from tapeline.domain.port import Transaction
from tapeline.domain.trunk import Trunk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


class _Stranger(Exception):
    """Its endpoint or trunk was removed in this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Whose the call is, and what it is answered with."""

    account: Account
    application: Application
    called: str
    caller: str
    passage: Passage
    policy: RecordPolicy | None
    trunk: Trunk | None = None
    matched: str = ""
    """What the `*` of the number's pattern stood for."""


async def arrive(parts: Parts, arrived: signal.CallArrived) -> None:
    """Finds application and account; adds the row; hands the call to its program."""
    if parts.live.is_draining:
        await _refuse(parts, arrived, UNAVAILABLE)
        return
    try:
        found = await parts.store.read(lambda tx: _find(tx, arrived))
    except _Stranger:
        await _refuse(parts, arrived, FORBIDDEN)
        return
    if found is None:
        parts.counts.add("calls_to_unknown_numbers")
        _log.info("call_refused", reason="unknown number", source=arrived.source)
        await _refuse(parts, arrived, NOT_FOUND)
        return
    call = _new_call(parts, arrived, found)
    if found.trunk is not None and not parts.trunks.take_channel(found.trunk):
        await _refuse_for_full_trunk(parts, arrived, call, found.trunk)
        return
    try:
        await _store(parts, call, found)
    except BaseException:
        if found.trunk is not None:
            parts.trunks.free_channel(found.trunk.id)
        await _refuse(parts, arrived, UNAVAILABLE)
        raise
    live_call = LiveCall(
        leg=arrived.leg,
        call=call,
        application=found.application,
        passage=found.passage,
        policy=found.policy,
    )
    parts.live.add_call(live_call)
    _log.info(
        "call_arrived",
        call=call.id,
        application=found.application.id,
        source=arrived.source,
        endpoint=found.passage.endpoint_id,
        trunk=found.passage.trunk_id,
    )
    replaced = _replaced(parts, live_call, arrived)
    if replaced is not None:
        parts.tasks.start(take_place(parts, live_call, replaced), name="a call in another's place")
    else:
        parts.programs.start(live_call)


def _replaced(parts: Parts, live_call: LiveCall, arrived: signal.CallArrived) -> LiveCall | None:
    """Only a call of the same account gives up its place, and only where transfers are accepted;
    else it is a call like any other.
    """
    found = parts.live.calls.get(arrived.replaces) if arrived.replaces is not None else None
    if found is None or not parts.accepts_transfers:
        return None
    return found if found.call.account_id == live_call.call.account_id else None


async def _store(parts: Parts, call: Call, found: _Found) -> None:
    def work(tx: Transaction) -> None:
        tx.calls.add(call)
        tx.emit(
            event.CallArrived(
                id=EventId(new_uuid()),
                at_ms=call.created_at_ms,
                account=found.account,
                call=call,
                application=found.application,
            )
        )

    await parts.store.write(work)


# Whose it is.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is known of the call before its number was looked for."""

    called: str
    caller: str
    passage: Passage
    trunk: Trunk | None = None


def _find(tx: Transaction, arrived: signal.CallArrived) -> _Found | None:
    """None: nothing answers there. Raises _Stranger."""
    passage = Passage(host=host_of(arrived.request_uri))
    asked = _Asked(called=arrived.called, caller=arrived.caller, passage=passage)
    if not arrived.owner:
        return _by_number(tx, asked)
    endpoint = tx.endpoints.get(EndpointId(arrived.owner))
    if endpoint is not None:
        return _of_endpoint(tx, asked, endpoint)
    trunk = tx.trunks.get(TrunkId(arrived.owner))
    if trunk is not None:
        return _of_trunk(tx, asked, trunk)
    raise _Stranger


def _of_endpoint(tx: Transaction, asked: _Asked, endpoint: Endpoint) -> _Found | None:
    """Who it is, it has proved; what its From says is not taken for it."""
    asked = replace(
        asked,
        caller=endpoint.caller or endpoint.username,
        passage=replace(asked.passage, endpoint_id=endpoint.id),
    )
    if endpoint.application_id is not None:
        return _by_application(tx, asked, endpoint.account_id, endpoint.application_id)
    found = _by_number(tx, asked)
    return found if found is not None and found.account.id == endpoint.account_id else None


def _of_trunk(tx: Transaction, asked: _Asked, trunk: Trunk) -> _Found | None:
    """A number may have been added as the carrier writes it, too."""
    as_written = replace(
        asked,
        caller=to_e164(asked.caller, trunk.numbers),
        passage=replace(asked.passage, trunk_id=trunk.id),
        trunk=trunk,
    )
    asked = replace(as_written, called=to_e164(asked.called, trunk.numbers))
    if trunk.application_id is not None:
        return _by_application(tx, asked, trunk.account_id, trunk.application_id)
    return _by_number(tx, asked) or _by_number(tx, as_written)


def _by_number(tx: Transaction, asked: _Asked) -> _Found | None:
    number = tx.numbers.match(asked.called)
    if number is None:
        return None
    asked = replace(asked, passage=replace(asked.passage, number=number.pattern))
    found = _by_application(tx, asked, number.account_id, number.application_id)
    return None if found is None else replace(found, matched=number.match(asked.called) or "")


def _by_application(
    tx: Transaction, asked: _Asked, account_id: AccountId, application_id: ApplicationId
) -> _Found | None:
    application = tx.applications.get(application_id)
    account = tx.accounts.get(account_id)
    if application is None or application.deleted_at_ms is not None or account is None:
        return None
    return _Found(
        account=account,
        application=application,
        called=asked.called,
        caller=asked.caller,
        passage=asked.passage,
        policy=policy_of(tx, asked.passage, application.id),
        trunk=asked.trunk,
    )


def host_of(request_uri: str) -> str:
    """`host[:port]`, as the caller has it of us."""
    return request_uri.rpartition("@")[2].partition(";")[0]


def _new_call(parts: Parts, arrived: signal.CallArrived, found: _Found) -> Call:
    return Call(
        id=CallId(new_uuid()),
        account_id=found.account.id,
        application_id=found.application.id,
        dialect=found.application.dialect,
        node_id=parts.ownership.node_id,
        direction=Direction.INBOUND,
        caller=found.caller,
        caller_name=arrived.caller_name,
        called=found.called,
        matched=found.matched,
        session_id=new_uuid(),
        state=CallState.RINGING,
        headers=dict(arrived.extra_headers),
        created_at_ms=parts.clock.now_ms(),
    )


# Refusals.


async def _refuse_for_full_trunk(
    parts: Parts, arrived: signal.CallArrived, call: Call, trunk: Trunk
) -> None:
    """Its row says so to people; programs hear of calls that they could steer."""
    parts.counts.add("calls_refused_by_full_trunks")
    detail = f"trunk {trunk.name} has {trunk.channel_limit} calls already, the most allowed"
    end = End(cause=EndCause.BUSY, source=EndSource.SYSTEM, detail=detail)
    _log.warning("call_refused", reason=detail, call=call.id, source=arrived.source)
    try:
        await _refuse(parts, arrived, UNAVAILABLE)
    finally:
        row = ended_call(call, end, parts.clock.now_ms())
        await parts.store.write(lambda tx: tx.calls.add(row))


async def _refuse(parts: Parts, arrived: signal.CallArrived, status: int) -> None:
    parts.live.refused.add(arrived.leg)
    try:
        await parts.engine.reject(arrived.leg, status=status, reason=REASONS[status])
    except EngineFailed as error:  # the caller gave up first
        _log.info("call_gone_before_refusal", reason=error.reason)
