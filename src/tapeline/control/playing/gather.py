"""Use cases: collect digits from a call, with or without a prompt, and tell of them by an event."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tapeline.control.calls.legs import listening
from tapeline.control.calls.rows import merge_extras
from tapeline.control.digits import DigitInbox
from tapeline.control.live import LiveCall
from tapeline.control.lookup import answered_call_of, call_of
from tapeline.control.parts import Parts
from tapeline.control.playing.places import of_call
from tapeline.control.playing.players import let_hear
from tapeline.control.playlist import Playing
from tapeline.control.sounds import NOT_HEARD
from tapeline.domain import event
from tapeline.domain.command import Done, GatherDigits, Hearing, StopGathering
from tapeline.domain.error import TapelineError, TooManySounds
from tapeline.domain.gather import GatherOutcome, GatherRules, judged
from tapeline.domain.id import EventId, new_uuid
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

WITHHELD = "withheld"
"""What is told instead of digits while a recording is paused (design.md §5.10)."""


async def gather_digits(parts: Parts, command: GatherDigits) -> Done:
    """A second one takes the place of the first."""
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    await _stop(live_call)
    prompt: Sequence[Playing] = ()
    if command.prompt is not None:
        prompt = await let_hear(parts, [of_call(live_call)], command.prompt)
    work = _gather(parts, live_call, command, prompt)
    live_call.gathering = parts.tasks.start(work, name=f"gather of call {live_call.call.id}")
    return Done()


async def stop_gathering(parts: Parts, command: StopGathering) -> Done:
    live_call = await call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    await _stop(live_call)
    return Done()


async def _stop(live_call: LiveCall) -> None:
    task = live_call.gathering
    if task is not None and not task.done():
        live_call.is_gathering_cancelled = True
        task.cancel()
        await asyncio.wait([task])
    live_call.is_gathering_cancelled = False


async def _gather(
    parts: Parts, live_call: LiveCall, command: GatherDigits, prompt: Sequence[Playing]
) -> None:
    collector = _Collector(live_call, command.rules)
    outcome = GatherOutcome.CANCELLED
    try:
        outcome = await _try_often(parts, live_call, command, prompt, collector)
    except asyncio.CancelledError:
        if not live_call.is_gathering_cancelled:  # the node stops
            raise
    except TapelineError as error:
        _log.warning("gather_ended_early", call=live_call.call.id, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("gather", error)
    finally:
        for playing in prompt:
            playing.stop()
    if live_call.is_over:
        outcome = GatherOutcome.CALL_ENDED
    told = event.DigitsGathered(
        id=EventId(new_uuid()),
        at_ms=parts.clock.now_ms(),
        account=await parts.accounts.get(live_call.call.account_id),
        call=live_call.call,
        application=live_call.application,
        digits=WITHHELD if collector.is_withheld else collector.digits,
        outcome=outcome,
    )
    await parts.store.write(lambda tx: tx.emit(told))


async def _try_often(
    parts: Parts,
    live_call: LiveCall,
    command: GatherDigits,
    prompt: Sequence[Playing],
    collector: "_Collector",
) -> GatherOutcome:
    outcome = GatherOutcome.TIMEOUT
    with listening(live_call) as inbox:
        for tried in range(1, command.rules.tries + 1):
            outcome = judged(command.rules, await collector.collect(inbox, prompt))
            if outcome is GatherOutcome.VALID or live_call.is_over:
                break
            again = command.invalid_prompt or command.prompt
            if tried < command.rules.tries and again is not None:
                prompt = await _again(parts, live_call, again)
    return outcome


async def _again(parts: Parts, live_call: LiveCall, hearing: Hearing) -> Sequence[Playing]:
    with suppress(*NOT_HEARD, TooManySounds):
        return await let_hear(parts, [of_call(live_call)], hearing)
    return ()


class _Collector:
    """`digits` are those of the last try."""

    def __init__(self, live_call: LiveCall, rules: GatherRules) -> None:
        self._live_call = live_call
        self._rules = rules
        self.digits = ""
        self.is_withheld = False

    async def collect(self, inbox: DigitInbox, prompt: Sequence[Playing]) -> str:
        """The first key stops the prompt; without one the time runs from the prompt's end."""
        self.digits = ""
        keyed: asyncio.Future[Any] = asyncio.ensure_future(inbox.get())
        ended: asyncio.Future[Any] = asyncio.ensure_future(self._live_call.ended.wait())
        try:
            await self._hear_out(prompt, keyed, ended)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.total_ms / 1000):
                    await self._keys(inbox, keyed, ended)
            return self.digits
        finally:
            keyed.cancel()
            ended.cancel()

    async def _hear_out(
        self,
        prompt: Sequence[Playing],
        keyed: "asyncio.Future[Any]",
        ended: "asyncio.Future[Any]",
    ) -> None:
        for playing in prompt:
            over: asyncio.Future[Any] = asyncio.ensure_future(playing.over.wait())
            try:
                await asyncio.wait({over, keyed, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
            if keyed.done():
                playing.stop()

    async def _keys(
        self,
        inbox: DigitInbox,
        keyed: "asyncio.Future[Any]",
        ended: "asyncio.Future[Any]",
    ) -> None:
        wait_ms = self._rules.first_digit_ms
        try:
            while len(self.digits) < self._rules.maximum:
                await asyncio.wait(
                    {keyed, ended}, timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED
                )
                if not keyed.done() or keyed.result() in self._rules.finish_keys:
                    return
                self.digits += keyed.result()
                self.is_withheld = self.is_withheld or self._live_call.withholds_digits
                keyed = asyncio.ensure_future(inbox.get())
                wait_ms = self._rules.between_digits_ms
        finally:
            keyed.cancel()
