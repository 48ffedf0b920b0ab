"""What a dialled phone hears, and must key, before it is connected."""

import asyncio

from tapeline.control import calls
from tapeline.control.digits import DigitInbox
from tapeline.control.live import LiveCall
from tapeline.domain.error import AnswerInvalid, DestinationFault
from tapeline.domain.verb import Confirm
from tapeline.flow.verbs_media import let_hear, prompts_at
from tapeline.flow.walk import Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def confirmed(walk: Walk, live_call: LiveCall, confirm: Confirm) -> bool:
    """False when the key did not come in time. The key stops the sound; a sound that cannot be had
    is passed over.
    """
    with calls.listening(live_call) as inbox:
        hearing = asyncio.ensure_future(_let_hear(walk, live_call, confirm))
        keying = asyncio.ensure_future(_right_key(inbox, confirm.key))
        try:
            if not confirm.key:
                await hearing
                return True
            await asyncio.wait({hearing, keying}, return_when=asyncio.FIRST_COMPLETED)
            if not keying.done():
                await asyncio.wait({keying}, timeout=confirm.timeout_ms / 1000)
            return keying.done()
        finally:
            await walk.drop(hearing, keying)


async def _let_hear(walk: Walk, live_call: LiveCall, confirm: Confirm) -> None:
    if confirm.sound_url is None:
        return
    try:
        base, prompts = await prompts_at(walk, confirm.sound_url, "confirm_sound")
        for prompt in prompts:
            await let_hear(walk, live_call, prompt, base=base)
    except (DestinationFault, AnswerInvalid) as fault:
        _log.warning("confirm_sound_not_heard", call=live_call.call.id, reason=str(fault))


async def _right_key(inbox: DigitInbox, keys: str) -> None:
    while await inbox.get() not in keys:
        pass
