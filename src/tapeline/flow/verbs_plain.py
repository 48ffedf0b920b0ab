"""Verbs without media: Wait, Redirect, HangUp."""

from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.verb import HangUp, Redirect, Wait
from tapeline.flow.documents import Question, absolute
from tapeline.flow.walk import Ended, Step, Walk

_BUSY_STATUS = 486


async def wait(walk: Walk, verb: Wait) -> Step:
    if verb.duration_ms > 0:
        walk.note_activity()
    await walk.pause(verb.duration_ms / 1000)
    return None


async def redirect(walk: Walk, verb: Redirect) -> Step:
    return Question(url=absolute(walk.base, verb.url), method=verb.method, event="redirect")


async def hang_up(walk: Walk, verb: HangUp) -> Step:
    """At once, or later while the document goes on; a second schedule replaces the first."""
    if verb.after_ms == 0:
        status, cause = verb.reject_status, EndCause.HANG_UP_VERB
        if status is not None and not walk.live_call.is_answered:
            cause = EndCause.BUSY if status == _BUSY_STATUS else EndCause.REJECTED
        await walk.hang_up(cause, EndSource.DOCUMENT, status)
        return Ended()
    if walk.scheduled_hang_up is not None:
        walk.scheduled_hang_up.cancel()
    walk.scheduled_hang_up = walk.go_on_beside(_later(walk, verb.after_ms), "scheduled hang-up")
    return None


async def _later(walk: Walk, after_ms: int) -> None:
    await walk.pause(after_ms / 1000)
    await walk.hang_up(EndCause.TIME_LIMIT, EndSource.DOCUMENT)
