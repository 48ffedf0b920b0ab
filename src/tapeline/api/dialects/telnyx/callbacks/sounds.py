"""What is told of what is played: to a call, to a conference, to one of its participants."""

from tapeline.api.dialects.telnyx import words
from tapeline.domain.event import SoundEnded, SoundEvent
from tapeline.domain.sound import SoundOutcome

# A conference's events have no status (contract §4.3).
STATUSES = {
    SoundOutcome.COMPLETED: "completed",
    SoundOutcome.STOPPED: "cancelled",
    SoundOutcome.TARGET_GONE: "call_hangup",
    SoundOutcome.NOT_FOUND: "file_not_found",
    SoundOutcome.FAILED: "failed",
}


def event_type(event: SoundEvent) -> str:
    what = "speak" if event.is_speech else "playback"
    where = "call"
    if event.conference is not None:
        where = "conference" if event.call is None else "conference.participant"
    return f"{where}.{what}.{'ended' if isinstance(event, SoundEnded) else 'started'}"


def payload(event: SoundEvent) -> dict[str, object]:
    """Beside the fields that every event of a call or conference has."""
    media: dict[str, object] = {}
    if not event.is_speech:
        media = {"media_url": event.url, "media_name": None}
    if event.conference is not None:
        creator = event.creator
        return {
            "conference_id": event.conference.id,
            "connection_id": None if creator is None else creator.application_id,
            "creator_call_session_id": None if creator is None else creator.session_id,
            "occurred_at": words.iso(event.at_ms),
            **media,
        }
    if not event.is_speech:
        media["overlay"] = False
    if isinstance(event, SoundEnded):
        media["status"] = STATUSES[event.outcome]
        if not event.is_speech:
            media["status_detail"] = event.detail or None
    return media
