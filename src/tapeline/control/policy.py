"""Calls that are recorded because a policy says so: which one, from which moment, and what is told
when it did not come to be.
"""

from tapeline.control import recordings
from tapeline.control.applications import own_application
from tapeline.control.checks import check_range
from tapeline.control.endpoints import own_endpoint
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.control.trunks.commands import own_trunk
from tapeline.domain.command import (
    Done,
    ListPolicies,
    PolicyView,
    RemovePolicy,
    SetPolicy,
    StartCallRecording,
)
from tapeline.domain.error import (
    ApplicationNotFound,
    NumberNotFound,
    PolicyNotFound,
    TapelineError,
)
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    EndpointId,
    PolicyId,
    TrunkId,
    new_uuid,
)
from tapeline.domain.policy import PolicySubject, RecordFrom, RecordPolicy
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Starter
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_DAY_MS = 24 * 3600 * 1000


async def set_policy(parts: Parts, command: SetPolicy) -> PolicyView:
    check_range("limit_ms", command.options.limit_ms, 0, _DAY_MS)
    check_range("silence_limit_ms", command.options.silence_limit_ms, 0, _DAY_MS)

    def work(tx: Transaction) -> PolicyView:
        account_id, subject_id, name = _subject(tx, command)
        policy = RecordPolicy(
            id=PolicyId(new_uuid()),
            account_id=account_id,
            subject=command.subject,
            subject_id=subject_id,
            begins=command.begins,
            options=command.options,
            created_at_ms=parts.clock.now_ms(),
        )
        tx.policies.put(policy)
        return PolicyView(policy=policy, name=name)

    return await parts.store.write(work)


async def list_policies(parts: Parts, command: ListPolicies) -> tuple[PolicyView, ...]:
    def work(tx: Transaction) -> tuple[PolicyView, ...]:
        found = tx.policies.all(command.account_id)
        return tuple(PolicyView(policy=each, name=_name(tx, each)) for each in found)

    return await parts.store.read(work)


async def remove_policy(parts: Parts, command: RemovePolicy) -> Done:
    def work(tx: Transaction) -> None:
        _account_id, subject_id, name = _subject(tx, command)
        if not tx.policies.remove(command.subject, subject_id):
            raise PolicyNotFound(f"{command.subject} {name}")

    await parts.store.write(work)
    return Done()


def _subject(tx: Transaction, command: SetPolicy | RemovePolicy) -> tuple[AccountId, str, str]:
    """Whose it is, its id, its name. Raises NotFound."""
    named, account_id = command.subject_id, command.account_id
    match command.subject:
        case PolicySubject.ENDPOINT:
            endpoint = own_endpoint(tx, account_id, named)
            return endpoint.account_id, endpoint.id, endpoint.username
        case PolicySubject.TRUNK:
            trunk = own_trunk(tx, account_id, named)
            return trunk.account_id, trunk.id, trunk.name
        case PolicySubject.NUMBER:
            for number in tx.numbers.all(account_id):
                if number.pattern == named:
                    return number.account_id, named, named
            raise NumberNotFound(named)
        case PolicySubject.APPLICATION:
            found = tx.applications.get(ApplicationId(named))
            if found is None:
                raise ApplicationNotFound(named)
            application = own_application(tx, account_id or found.account_id, named, None)
            return application.account_id, application.id, application.name


def _name(tx: Transaction, policy: RecordPolicy) -> str:
    match policy.subject:
        case PolicySubject.ENDPOINT:
            endpoint = tx.endpoints.get(EndpointId(policy.subject_id))
            return endpoint.username if endpoint is not None else policy.subject_id
        case PolicySubject.TRUNK:
            trunk = tx.trunks.get(TrunkId(policy.subject_id))
            return trunk.name if trunk is not None else policy.subject_id
        case PolicySubject.APPLICATION:
            application = tx.applications.get(ApplicationId(policy.subject_id))
            return application.name if application is not None else policy.subject_id
        case PolicySubject.NUMBER:
            return policy.subject_id


# Calls.


async def record_from(parts: Parts, live_call: LiveCall, moment: RecordFrom) -> None:
    """This is the moment: a call whose policy begins here is recorded from now on, once. What
    hinders it harms no call, and is told.
    """
    policy = live_call.policy
    if policy is None or policy.begins is not moment or live_call.is_policy_followed:
        return
    live_call.is_policy_followed = True
    starter = Starter(dialect=live_call.call.dialect, request_id=new_uuid(), policy_id=policy.id)
    command = StartCallRecording(
        account_id=live_call.call.account_id,
        call_id=live_call.call.id,
        starter=starter,
        options=policy.options,
    )
    try:
        await recordings.start_call_recording(parts, command)
    except TapelineError as fault:
        await _tell_missed(parts, live_call, command, str(fault))
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("recording by policy", error)
        await _tell_missed(parts, live_call, command, "a fault inside the node")


async def inherit(parts: Parts, giver: LiveCall, *heirs: LiveCall) -> None:
    """The giver leaves a conversation that its policy records: that goes on with the first of those
    who stay, unless one of them is recorded by a policy of its own (R31).
    """
    policy = giver.policy
    if policy is None or not giver.is_policy_followed or not heirs:
        return
    if any(each.is_policy_followed for each in heirs):
        return
    heir = heirs[0]
    heir.policy = policy
    await record_from(parts, heir, RecordFrom.ANSWER)


async def _tell_missed(
    parts: Parts, live_call: LiveCall, command: StartCallRecording, reason: str
) -> None:
    try:
        await recordings.missed_recording(
            parts, live_call, command.starter, command.options, reason
        )
    except TapelineError as fault:  # the database, too, does not do its part
        _log.error("recording_missed_untold", call=live_call.call.id, reason=str(fault))
