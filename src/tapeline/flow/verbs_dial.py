"""The verb that calls others: the first who answers hears this call and is heard by it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapeline.control import calls
from tapeline.control.bridges import bridge
from tapeline.control.checks import check_caller, check_headers, check_target
from tapeline.control.digits import DigitInbox
from tapeline.control.live import Bridge, End, LiveCall
from tapeline.control.playing.press import press
from tapeline.control.sounds import RING_BACK
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.error import (
    AnswerInvalid,
    DestinationFault,
    EngineFailed,
    Invalid,
    Unavailable,
)
from tapeline.domain.sound import Keys
from tapeline.domain.verb import Dial, DialTarget
from tapeline.flow import dial_words
from tapeline.flow.confirm import confirmed
from tapeline.flow.verbs_media import let_hear, prompts_at
from tapeline.flow.verbs_record import record_beside
from tapeline.flow.walk import Step, Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

MOST_TARGETS = 20
ROW_LIMIT_S = 3.0
"""How long the row of a call that was hung up is waited for."""
BREATH_S = 0.02
"""Between two rounds of music, so that a document without any length is no busy circle."""
_PART_KEY = "*"
_NOT_CONFIRMED = End(
    cause=EndCause.NORMAL, source=EndSource.DOCUMENT, detail="the called side did not confirm"
)
_LOST_RACE = End(
    cause=EndCause.CANCELED, source=EndSource.SYSTEM, detail="somebody else answered first"
)


@dataclass(frozen=True, slots=True)
class _Leg:
    position: int
    """From 1, as the document has it."""
    live_call: LiveCall
    keys: Keys | None = None

    @property
    def is_over(self) -> bool:
        return self.live_call.is_over


async def dial(walk: Walk, verb: Dial) -> Step:
    """Until the other side is gone, or nobody could be reached; then the document goes on. When
    this call ends first, so do those it has dialled. Raises AnswerInvalid.
    """
    if len(verb.targets) > MOST_TARGETS:
        raise AnswerInvalid(f"{len(verb.targets)} numbers to dial at once, {MOST_TARGETS} allowed")
    attempt = _Attempt(walk, verb)
    try:
        await attempt.run()
    except asyncio.CancelledError:
        await attempt.give_up()
        if walk.live_call.is_over:
            await walk.tell_action(verb.action, attempt.facts())
        raise
    except BaseException:
        await attempt.give_up()
        raise
    return await walk.act(verb.action, attempt.facts())


class _Attempt:
    """One `Dial`: who was called, who answered."""

    def __init__(self, walk: Walk, verb: Dial) -> None:
        self._walk = walk
        self._verb = verb
        self._legs: list[_Leg] = []
        self._winner: _Leg | None = None
        self._is_told_of_end = False

    async def run(self) -> None:
        for position, target in enumerate(self._verb.targets, start=1):
            await self._call(position, target)
        self._winner = await self._first_answer_while_ringing()
        if any(leg.live_call.has_rung for leg in self._legs):
            self._walk.note_activity()
        for leg in self._legs:
            if leg is not self._winner:
                await calls.hang_up(self._walk.parts, leg.live_call, _LOST_RACE)
        if self._winner is None:
            return
        await self._tell("dial_answer", self._winner)
        await self._connect(self._winner)
        await self._walk.live_call.decided.wait()
        await self._tell_end(self._winner)

    async def give_up(self) -> None:
        """This call is over, or follows another program: nobody is left on a line."""
        source = EndSource.CALLER if self._walk.live_call.is_over else EndSource.SYSTEM
        for leg in self._legs:
            if leg.live_call.is_kept:
                continue
            cause = EndCause.NORMAL if leg.live_call.is_answered else EndCause.CANCELED
            await calls.hang_up(self._walk.parts, leg.live_call, End(cause=cause, source=source))
        if self._winner is not None:
            await self._tell_end(self._winner)

    def facts(self) -> Mapping[str, str]:
        """What the action is told."""
        return dial_words.outcome(
            self._walk.live_call.call,
            self._winner.live_call.call if self._winner is not None else None,
            [leg.live_call.call for leg in self._legs],
            is_over=self._walk.live_call.is_over,
            has_rung=any(leg.live_call.has_rung for leg in self._legs),
        )

    # Reaching somebody.

    async def _call(self, position: int, target: DialTarget) -> None:
        """One that cannot be called at all has failed; the others may answer."""
        call, verb = self._walk.live_call.call, self._verb
        headers = {**verb.headers, **target.headers}
        caller = verb.caller or call.caller
        try:
            check_target("target", target.uri)
            check_caller("caller", caller)
            check_caller("caller_name", verb.caller_name)
            check_headers("headers", headers)
            live_call = await calls.dial(
                self._walk.parts,
                calls.Outgoing(
                    account_id=call.account_id,
                    application=None,
                    dialect=call.dialect,
                    target=target.uri,
                    caller=caller,
                    caller_name=verb.caller_name,
                    headers=headers,
                    ring_limit_ms=verb.ring_limit_ms,
                    session_id=call.session_id,
                    parent_id=call.id,
                ),
            )
        except (Invalid, Unavailable) as fault:
            _log.warning("not_dialled", call=call.id, position=position, reason=str(fault))
            return
        self._legs.append(_Leg(position, live_call, target.keys))

    async def _first_answer_while_ringing(self) -> _Leg | None:
        """A call that was answered before would hear nothing meanwhile, and music needs an answer;
        the phone of another one rings by itself.
        """
        if self._verb.music_url is not None:
            await calls.answer(self._walk.parts, self._walk.live_call)
        elif not self._walk.live_call.is_answered:
            return await self._first_answer()
        ringing = self._walk.go_on_beside(self._let_hear_ringing(), "ringing")
        try:
            return await self._first_answer()
        finally:
            await self._walk.stop(ringing)

    async def _let_hear_ringing(self) -> None:
        walk = self._walk
        if self._verb.music_url is not None:
            await self._let_hear_music(self._verb.music_url)
        try:
            await calls.play_tones(walk.parts, walk.live_call, RING_BACK, loops=0)
        except EngineFailed as error:
            _log.warning("sound_not_heard", call=walk.live_call.call.id, reason=str(error))

    async def _let_hear_music(self, url: str) -> None:
        """Again and again; returns when there is none."""
        walk = self._walk
        try:
            base, prompts = await prompts_at(walk, url, "dial_music")
            while prompts:
                for prompt in prompts:
                    await let_hear(walk, walk.live_call, prompt, base=base)
                await walk.pause(BREATH_S)
        except (DestinationFault, AnswerInvalid) as fault:
            _log.warning("dial_music_not_heard", call=walk.live_call.call.id, reason=str(fault))

    async def _is_won_by(self, leg: _Leg) -> bool:
        """Returns when it was answered and confirmed, or has ended."""
        if not await _is_reached(self._walk, leg.live_call):
            return False
        await self._press(leg)
        confirm = self._verb.confirm
        if confirm is None or await confirmed(self._walk, leg.live_call, confirm):
            return not leg.is_over
        await calls.hang_up(self._walk.parts, leg.live_call, _NOT_CONFIRMED)
        return False

    async def _press(self, leg: _Leg) -> None:
        if leg.keys is None:
            return
        try:
            await press(self._walk.parts, leg.live_call, leg.keys)
        except (EngineFailed, Invalid) as error:
            _log.warning("digits_not_sent", call=leg.live_call.call.id, reason=str(error))

    async def _first_answer(self) -> _Leg | None:
        """None when all of them have ended, or have not confirmed."""
        walk = self._walk
        waiting = {asyncio.ensure_future(self._is_won_by(leg)): leg for leg in self._legs}
        try:
            while waiting:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda task: waiting[task].position):
                    leg = waiting.pop(task)
                    if task.result():
                        return leg
            return None
        finally:
            await walk.drop(*waiting)

    # Talking.

    async def _connect(self, winner: _Leg) -> None:
        walk = self._walk
        await calls.answer(walk.parts, walk.live_call)
        for recording in walk.at_dial_answer:
            await record_beside(walk, recording)
        walk.at_dial_answer.clear()
        try:
            bridged = await bridge(walk.parts, walk.live_call, winner.live_call)
        except EngineFailed as error:
            if not winner.is_over:
                raise
            _log.info("dialled_call_gone_before_bridge", reason=error.reason)
            return
        walk.note_activity()
        await self._tell("dial_connected", winner)
        await self._talk(bridged, winner)

    async def _talk(self, bridged: Bridge, winner: _Leg) -> None:
        """Until they are parted: by a hang-up, by a key, by the time, or from outside."""
        with calls.listening(self._walk.live_call) as inbox:
            parted = asyncio.ensure_future(bridged.ended.wait())
            waiting: set[asyncio.Future[Any]] = {parted}
            if self._verb.hang_up_on_star:
                waiting.add(asyncio.ensure_future(_part_key(inbox)))
            try:
                done, _ = await asyncio.wait(
                    waiting,
                    timeout=self._verb.time_limit_ms / 1000,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                await self._walk.drop(*waiting)
        if not bridged.ended.is_set():
            cause = EndCause.NORMAL if done else EndCause.TIME_LIMIT
            end = End(cause=cause, source=EndSource.DOCUMENT)
            await calls.hang_up(self._walk.parts, winner.live_call, end)
            await bridged.ended.wait()

    # Telling.

    async def _tell(self, topic: str, leg: _Leg, more: Mapping[str, str] | None = None) -> None:
        verb, mine, other = self._verb, self._walk.live_call.call, leg.live_call.call
        if verb.callback_url is not None:
            extra = {**dial_words.progress(mine, other, leg.position), **(more or {})}
            await self._walk.tell(topic, verb.callback_url, verb.callback_method, extra)

    async def _tell_end(self, leg: _Leg) -> None:
        """Once. One that somebody has taken elsewhere goes on, and has no end to tell."""
        if self._is_told_of_end or (not leg.is_over and leg.live_call.end is None):
            return
        self._is_told_of_end = True
        try:
            async with asyncio.timeout(ROW_LIMIT_S):
                await leg.live_call.ended.wait()
        except TimeoutError:
            _log.warning("dialled_call_not_ended_yet", call=leg.live_call.call.id)
        more = dial_words.end(leg.live_call.call, self._walk.parts.clock.now_ms())
        await self._tell("dial_hangup", leg, more)


async def _is_reached(walk: Walk, live_call: LiveCall) -> bool:
    """Returns when it was answered, or has ended."""
    answered = asyncio.ensure_future(live_call.answered.wait())
    ended = asyncio.ensure_future(live_call.ended.wait())
    try:
        await asyncio.wait({answered, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await walk.drop(answered, ended)
    return live_call.answered.is_set() and not live_call.is_over


async def _part_key(inbox: DigitInbox) -> None:
    while await inbox.get() != _PART_KEY:
        pass
