"""Which live thing a request means; another account's things are not found."""

import re
from dataclasses import replace
from typing import Any

from tapeline.control.live import LiveCall, LiveConference
from tapeline.control.parts import Parts
from tapeline.domain.command import Command, ConferenceRef, Once
from tapeline.domain.conference import Conference
from tapeline.domain.error import (
    CallHasEnded,
    CallNotAnswered,
    CallNotFound,
    ConferenceHasEnded,
    ConferenceNotFound,
)
from tapeline.domain.id import AccountId, CallId, ConferenceId
from tapeline.domain.port import Transaction

_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
"""What `new_uuid` makes. A conference may be called like that, so rows decide."""


async def conference_of(parts: Parts, ref: ConferenceRef) -> LiveConference:
    """Raises ConferenceNotFound, ConferenceHasEnded (`may_be_id` only)."""
    live = _live_of(parts, ref)
    if live is not None and not live.is_closing:
        return live
    if not ref.may_be_id:
        raise ConferenceNotFound(ref.name)
    ended = await parts.store.read(lambda tx: _by_id(tx, ref))
    by_name = parts.live.conference(ref.account_id, ref.name)
    if ended is None and by_name is not None:
        return by_name
    if ended is None:
        ended = await parts.store.read(lambda tx: tx.conferences.last(ref.account_id, ref.name))
    if ended is None:
        raise ConferenceNotFound(ref.name)
    raise ConferenceHasEnded(ended.name)


def _live_of(parts: Parts, ref: ConferenceRef) -> LiveConference | None:
    """What needs no look at the rows: an id that is live, or a name that can be no id."""
    if ref.may_be_id and _ID.fullmatch(ref.name):
        by_id = parts.live.conferences_by_id.get(ConferenceId(ref.name))
        is_own = by_id is not None and by_id.conference.account_id == ref.account_id
        return by_id if is_own else None
    return parts.live.conferences.get((ref.account_id, ref.name))


def conference_row_of(tx: Transaction, ref: ConferenceRef, *, even_ended: bool) -> Conference:
    """As rows have it. Raises ConferenceNotFound."""
    found = _by_id(tx, ref) if ref.may_be_id else None
    found = found or tx.conferences.live(ref.account_id, ref.name)
    if found is None and even_ended:
        found = tx.conferences.last(ref.account_id, ref.name)
    if found is None or (found.ended_at_ms is not None and not even_ended):
        raise ConferenceNotFound(ref.name)
    return found


def _by_id(tx: Transaction, ref: ConferenceRef) -> Conference | None:
    found = tx.conferences.get(ConferenceId(ref.name))
    return found if found is not None and found.account_id == ref.account_id else None


async def once_of(parts: Parts, command: Command[Any]) -> Once | None:
    """The command's key in the scope of the very conference that is meant: the next one of its
    name is another thing, and its id and its name are the same.
    """
    once, ref = command.once, getattr(command, "conference", None)
    if once is None or not isinstance(ref, ConferenceRef) or once.scope != ref.name:
        return once
    if (live := _live_of(parts, ref)) is not None:
        return replace(once, scope=live.conference.id)
    try:
        row = await parts.store.read(lambda tx: conference_row_of(tx, ref, even_ended=True))
    except ConferenceNotFound:
        return once
    return replace(once, scope=row.id)


async def call_of(parts: Parts, account_id: AccountId, call_id: CallId) -> LiveCall:
    """A call that has not ended and is not being ended. Raises CallNotFound, CallHasEnded."""
    live_call = parts.live.calls_by_id.get(call_id)
    if live_call is None:
        row = await parts.store.read(lambda tx: tx.calls.get(call_id))
        if row is None or row.account_id != account_id:
            raise CallNotFound(call_id)
        raise CallHasEnded(call_id)
    if live_call.call.account_id != account_id:
        raise CallNotFound(call_id)
    if live_call.is_over or live_call.end is not None:
        raise CallHasEnded(call_id)
    return live_call


async def answered_call_of(parts: Parts, account_id: AccountId, call_id: CallId) -> LiveCall:
    """Raises CallNotFound, CallHasEnded, CallNotAnswered."""
    live_call = await call_of(parts, account_id, call_id)
    if not live_call.is_answered:
        raise CallNotAnswered(call_id)
    return live_call
