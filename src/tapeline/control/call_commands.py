"""Use cases about calls that are asked for from outside."""

from tapeline.control.parts import Parts
from tapeline.domain.call import Call
from tapeline.domain.command import ListCalls


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
