"""A live call's state changes: the row and its event in one transaction, one after another."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.domain import event
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call
from tapeline.domain.error import AccountNotFound
from tapeline.domain.id import AccountId, EventId, new_uuid
from tapeline.domain.port import Transaction

EventMaker = Callable[..., event.CallEvent]
"""A class of call events, or one with more of its fields filled in."""


async def change_call(
    parts: Parts,
    live_call: LiveCall,
    change: Callable[[Call], Call],
    kind: EventMaker | None = None,
) -> Call:
    """Stores what `change` makes of the row, with an event of that kind if it changed anything."""
    account = await parts.accounts.get(live_call.call.account_id)
    async with live_call.row_lock:
        call = change(live_call.call)
        if call == live_call.call:
            return call

        def work(tx: Transaction) -> None:
            tx.calls.update(call)
            if kind is not None:
                tx.emit(call_event(parts, kind, live_call, account, call))

        await parts.store.write(work)
        live_call.call = call
    return call


async def merge_extras(parts: Parts, live_call: LiveCall, extras: Mapping[str, str]) -> Call:
    """What only the dialect understands, from now on with every event of the call."""
    return await change_call(
        parts, live_call, lambda call: replace(call, extras={**call.extras, **extras})
    )


def call_event(
    parts: Parts,
    kind: EventMaker,
    live_call: LiveCall,
    account: Account,
    call: Call,
) -> event.CallEvent:
    return kind(
        id=EventId(new_uuid()),
        at_ms=parts.clock.now_ms(),
        account=account,
        call=call,
        application=live_call.application,
    )


def application_of(tx: Transaction, call: Call | None) -> Application | None:
    """What steers the call, as rows have it."""
    if call is None or call.application_id is None:
        return None
    return tx.applications.get(call.application_id)


def account_of(tx: Transaction, account_id: AccountId) -> Account:
    """Raises AccountNotFound."""
    account = tx.accounts.get(account_id)
    if account is None:
        raise AccountNotFound(account_id)
    return account
