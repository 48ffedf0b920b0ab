"""Events about recordings, with everything that whoever renders them needs."""

from typing import Any, TypeVar

from tapeline.domain.error import AccountNotFound
from tapeline.domain.event import RecordingEvent
from tapeline.domain.id import EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Recording

EventT = TypeVar("EventT", bound=RecordingEvent)


def recording_event(
    tx: Transaction,
    kind: type[EventT],
    recording: Recording,
    at_ms: EpochMs,
    link: str,
    **more: Any,
) -> EventT:
    """`recording` as it stands now, its call (a conference's creator's), what steers that, and its
    conference, as their rows stand in `tx`. `more` are the kind's own fields.

    Raises AccountNotFound.
    """
    account = tx.accounts.get(recording.account_id)
    if account is None:
        raise AccountNotFound(recording.account_id)
    call = tx.calls.get(recording.call_id) if recording.call_id else None
    application_id = call.application_id if call is not None else None
    conference_id = recording.conference_id
    return kind(
        id=EventId(new_uuid()),
        at_ms=at_ms,
        account=account,
        recording=recording,
        link=link,
        call=call,
        application=tx.applications.get(application_id) if application_id else None,
        conference=tx.conferences.get(conference_id) if conference_id else None,
        **more,
    )
