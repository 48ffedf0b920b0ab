"""Verbs that are heard: Play, Speak, GetDigits."""

import asyncio

from tapeline.control import calls
from tapeline.control.digits import DigitInbox
from tapeline.domain.error import DestinationFault, EngineFailed, SynthesiserFailed
from tapeline.domain.verb import GetDigits, Play, Speak, Wait
from tapeline.flow.documents import absolute
from tapeline.flow.sounds import BEEP
from tapeline.flow.walk import Step, Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def play_or_speak(walk: Walk, verb: Play | Speak) -> Step:
    """Until it was heard. What cannot be had is logged, and the document goes on."""
    await calls.answer(walk.parts, walk.live_call)
    await _let_hear(walk, verb)
    return None


async def get_digits(walk: Walk, verb: GetDigits) -> Step:
    """Asks `action` with the digits; without any, after the last try, the next verb follows."""
    await calls.answer(walk.parts, walk.live_call)
    for _ in range(verb.tries):
        with calls.listening(walk.live_call) as inbox:
            digits = await _one_try(walk, verb, inbox)
        if digits and set(digits) <= set(verb.valid_digits):
            walk.note_activity()
            return await walk.act(verb.action, {"verb": "digits", "digits": digits})
        if digits and verb.invalid_prompt is not None:
            await _let_hear(walk, verb.invalid_prompt)
    return None


async def _one_try(walk: Walk, verb: GetDigits, inbox: DigitInbox) -> str:
    """What was keyed, without the finish key; "" when nothing came in time."""
    digits = ""
    digit = await _first_digit(walk, verb, inbox)
    while digit is not None and digit not in verb.finish_keys:
        digits += digit
        if len(digits) >= verb.max_digits:
            break
        digit = await _next_digit(inbox, verb.between_digits_ms)
    return digits


async def _first_digit(walk: Walk, verb: GetDigits, inbox: DigitInbox) -> str | None:
    """The time for it runs from the end of the prompts, which it stops."""
    prompting = asyncio.ensure_future(_prompt(walk, verb))
    keyed = asyncio.ensure_future(inbox.get())
    try:
        await asyncio.wait({prompting, keyed}, return_when=asyncio.FIRST_COMPLETED)
        if not keyed.done():
            await prompting
            if verb.first_digit_ms > 0:
                walk.note_activity()
            await asyncio.wait({keyed}, timeout=verb.first_digit_ms / 1000)
        return keyed.result() if keyed.done() else None
    finally:
        await walk.drop(prompting, keyed)


async def _next_digit(inbox: DigitInbox, within_ms: int) -> str | None:
    try:
        async with asyncio.timeout(within_ms / 1000):
            return await inbox.get()
    except TimeoutError:
        return None


async def _prompt(walk: Walk, verb: GetDigits) -> None:
    for prompt in verb.prompts:
        await _let_hear(walk, prompt)
    if verb.beep:
        async with walk.sounds.tone(BEEP) as path:
            await calls.play(walk.parts, walk.live_call, path)


async def _let_hear(walk: Walk, prompt: Play | Speak | Wait) -> None:
    if isinstance(prompt, Wait):
        if prompt.duration_ms > 0:
            walk.note_activity()
        await walk.pause(prompt.duration_ms / 1000)
        return
    if isinstance(prompt, Play):
        sound = walk.sounds.fetched(absolute(walk.base, prompt.url))
    else:
        sound = walk.sounds.spoken(prompt.text, voice=prompt.voice, language=prompt.language)
    try:
        async with sound as path:
            heard = await calls.play(walk.parts, walk.live_call, path, loops=prompt.loops)
    except (DestinationFault, SynthesiserFailed, EngineFailed, OSError) as error:
        _log.warning("sound_not_heard", call=walk.live_call.call.id, reason=str(error))
        return
    if heard.reason == "failed":
        _log.warning("sound_not_heard", call=walk.live_call.call.id, reason=heard.detail)
        return
    walk.note_activity()
