"""What is heard beside the commands that asked for it: fetched once, then played in every place
when its turn there comes.
"""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tapeline.control.parts import Parts
from tapeline.control.playing.places import Heard, Place, tell_ended, tell_started
from tapeline.control.playing.play import play
from tapeline.control.playlist import LONGEST, Playing, stop
from tapeline.control.sounds import NOT_HEARD
from tapeline.domain.command import Before, Hearing
from tapeline.domain.error import DestinationFault, EngineFailed, TooManySounds
from tapeline.domain.signal import PlaySpec
from tapeline.domain.sound import SoundOutcome, SoundUse
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

FILE_LIMIT_S = 5.0
"""How long a command waits for its file; a slower one is heard later, and told of by events."""
BY_COMMAND = frozenset({SoundUse.FILE, SoundUse.SPEECH})

_OUTCOMES = {
    "completed": SoundOutcome.COMPLETED,
    "stopped": SoundOutcome.STOPPED,
    "target_gone": SoundOutcome.TARGET_GONE,
}


@dataclass(slots=True, kw_only=True)
class _Order:
    """One command's sounds, everywhere they are heard."""

    hearing: Hearing
    heard: Sequence[Heard]
    is_waited_for: bool = True
    """Whoever asked is told by an exception what cannot be had; later only events tell."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None


async def let_hear(parts: Parts, places: Sequence[Place], hearing: Hearing) -> list[Playing]:
    """Returns when the files are there, or are still fetched after FILE_LIMIT_S. Raises
    TooManySounds, DestinationFault, CannotBeSpoken, SynthesiserFailed, EngineFailed.
    """
    await _make_way(places, hearing.before)
    heard = [
        Heard(place=each, hearing=hearing, playing=Playing(use=hearing.use)) for each in places
    ]
    for each in heard:
        each.place.playlist.add(each.playing)
    order = _Order(hearing=hearing, heard=heard)
    parts.tasks.start(_serve(parts, order), name=f"{hearing.use} to be heard")
    try:
        async with asyncio.timeout(FILE_LIMIT_S):
            await order.ready.wait()
    except TimeoutError:
        _log.info("sound_is_slow", seconds=FILE_LIMIT_S)
    finally:
        order.is_waited_for = False
    if order.fault is not None:
        raise order.fault
    return [each.playing for each in heard]


async def _make_way(places: Sequence[Place], before: Before) -> None:
    if before is not Before.KEPT:
        only_current = before is Before.CURRENT_STOPS
        for place in places:
            await stop(place.playlist.chosen(BY_COMMAND, only_current=only_current))
    if any(place.playlist.is_full for place in places):
        raise TooManySounds(LONGEST)


async def _serve(parts: Parts, order: _Order) -> None:
    """The files are there until everybody has heard them."""
    async with AsyncExitStack() as files:
        paths: list[Path] = []
        try:
            for sound in order.hearing.sounds:
                path = await files.enter_async_context(parts.sounds.file(sound))
                paths.append(path)
        except NOT_HEARD as error:
            _log.warning("sound_not_there", reason=str(error))
            order.fault = EngineFailed("play", str(error)) if isinstance(error, OSError) else error
        except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
            parts.bugs.add("sound", error)
            order.fault = EngineFailed("play", "an internal error")
        is_answered = order.fault is not None and order.is_waited_for
        order.ready.set()
        async with asyncio.TaskGroup() as group:
            for heard in order.heard:
                work = _run(parts, heard, paths, order.fault, is_told=not is_answered)
                heard.playing.task = group.create_task(work)


async def _run(
    parts: Parts, heard: Heard, paths: Sequence[Path], fault: Exception | None, *, is_told: bool
) -> None:
    try:
        await _in_turn(parts, heard, paths, fault)
    except asyncio.CancelledError:
        if not heard.playing.is_stopped:  # the node stops
            raise
    except NOT_HEARD as error:
        heard.outcome, heard.detail = _outcome_of(heard, error), str(error)
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("sound", error)
        heard.outcome, heard.detail = SoundOutcome.FAILED, "an internal error"
    finally:
        heard.place.playlist.remove(heard.playing)
    if is_told and (heard.has_begun or heard.detail):
        await tell_ended(parts, heard)


def _outcome_of(heard: Heard, error: Exception) -> SoundOutcome:
    if heard.place.is_over:
        return SoundOutcome.TARGET_GONE
    if isinstance(error, DestinationFault):
        return SoundOutcome.NOT_FOUND
    return SoundOutcome.FAILED


async def _in_turn(
    parts: Parts, heard: Heard, paths: Sequence[Path], fault: Exception | None
) -> None:
    if fault is not None:
        raise fault
    await heard.place.playlist.turn(heard.playing)
    if heard.playing.is_stopped:
        return
    if heard.place.is_over:
        heard.outcome = SoundOutcome.TARGET_GONE
        return
    await tell_started(parts, heard)
    reason, heard.detail = await _play_all(parts, heard, paths)
    heard.outcome = _OUTCOMES.get(reason, SoundOutcome.FAILED)


async def _play_all(parts: Parts, heard: Heard, paths: Sequence[Path]) -> tuple[str, str]:
    """To the end of the last round, or of the time: the core's reason and detail."""
    hearing, place = heard.hearing, heard.place
    is_one = len(paths) == 1
    limit_s = None if hearing.limit_ms is None else hearing.limit_ms / 1000
    try:
        async with asyncio.timeout(limit_s):
            for path in paths if is_one else _rounds(paths, hearing.loops):
                spec = PlaySpec(
                    path=str(path),
                    leg=place.leg,
                    room=place.room,
                    loops=hearing.loops if is_one else 1,
                    instead=hearing.instead,
                )
                finished = await play(parts, spec)
                if finished.reason != "completed":
                    return finished.reason, finished.detail
    except TimeoutError:
        pass
    return "completed", ""


def _rounds(paths: Sequence[Path], loops: int) -> Iterable[Path]:
    rounds = itertools.count() if loops == 0 else range(loops)
    return (path for _ in rounds for path in paths)
