"""Verbs that are heard: Play, Speak, GetDigits."""

import asyncio
from collections.abc import Sequence

from tapeline.control import calls
from tapeline.control.digits import DigitInbox
from tapeline.control.live import LiveCall
from tapeline.control.sounds import BEEP, NOT_HEARD
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.sound import Fetched, Sound, Spoken
from tapeline.domain.verb import GetDigits, Play, Speak, Wait
from tapeline.flow.documents import Question, absolute
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
        await calls.play_tones(walk.parts, walk.live_call, BEEP)


async def _let_hear(walk: Walk, prompt: Play | Speak | Wait) -> None:
    await let_hear(walk, walk.live_call, prompt, base=walk.base)


async def let_hear(
    walk: Walk, live_call: LiveCall, prompt: Play | Speak | Wait, *, base: str | None
) -> None:
    """What cannot be had is logged and passed over. Raises AnswerInvalid for an address that is
    none.
    """
    if isinstance(prompt, Wait):
        if prompt.duration_ms > 0:
            walk.note_activity()
        await walk.pause(prompt.duration_ms / 1000)
        return
    try:
        async with walk.parts.sounds.file(_sound_of(prompt, base)) as path:
            heard = await calls.play(walk.parts, live_call, path, loops=prompt.loops)
    except NOT_HEARD as error:
        _log.warning("sound_not_heard", call=live_call.call.id, reason=str(error))
        return
    if heard.reason == "failed":
        _log.warning("sound_not_heard", call=live_call.call.id, reason=heard.detail)
        return
    walk.note_activity()


def _sound_of(prompt: Play | Speak, base: str | None) -> Sound:
    if isinstance(prompt, Play):
        return Fetched(absolute(base, prompt.url))
    return Spoken(text=prompt.text, voice=prompt.voice, language=prompt.language)


async def prompts_at(walk: Walk, url: str, event: str) -> tuple[str, Sequence[Play | Speak | Wait]]:
    """The address of a document of prompts, and what stands in it. Raises DestinationFault,
    AnswerInvalid for other verbs.
    """
    where = absolute(walk.base, url)
    question = Question(url=where, method="POST", event=event)
    document = await walk.documents.fetch(question, walk.live_call.call, await walk.account())
    prompts = [verb for verb in document.verbs if isinstance(verb, Play | Speak | Wait)]
    if len(prompts) != len(document.verbs):
        raise AnswerInvalid("only what is heard may stand there: Play, Speak and Wait")
    return where, prompts
