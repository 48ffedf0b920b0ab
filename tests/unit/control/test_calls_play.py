import asyncio
from pathlib import Path

from tests.unit.control.support import World, document

from tapeline.control import calls
from tapeline.control.digits import LIMIT
from tapeline.control.live import LiveCall
from tapeline.domain import event, signal
from tapeline.domain.signal import PlaySpec

FILE = Path("/tmp/hello.wav")  # noqa: S108 - never read: the engine of these tests plays nothing


async def a_call(node: World) -> LiveCall:
    await node.application("wait", answer_document=document(("join", {"name": "x"})))
    leg = node.engine.arrive(called="wait")
    await node.happened(event.CallAnswered)
    return node.parts.live.calls[leg]


async def test_a_playback_lasts_until_the_core_says_that_it_ended(node: World) -> None:
    live_call = await a_call(node)

    task = asyncio.ensure_future(calls.play(node.parts, live_call, FILE, loops=2))
    await node.until(lambda: bool(node.engine.playbacks))
    (playback,) = node.engine.playbacks
    assert node.engine.playbacks[playback] == PlaySpec(path=str(FILE), leg=live_call.leg, loops=2)
    assert not task.done()
    node.engine.finish_play(playback, reason="failed", detail="not a sound file")

    assert (await task).detail == "not a sound file"


async def test_a_playback_that_nobody_waits_for_any_more_is_stopped(node: World) -> None:
    live_call = await a_call(node)
    task = asyncio.ensure_future(calls.play(node.parts, live_call, FILE))
    await node.until(lambda: bool(node.engine.playbacks))

    task.cancel()
    await asyncio.wait([task])

    assert not node.engine.playbacks
    assert task.cancelled()


async def test_an_end_that_is_told_before_the_start_has_returned_is_not_lost(node: World) -> None:
    live_call = await a_call(node)
    playbacks = node.parts.live.playbacks

    with playbacks.starting():
        handle = await node.engine.play(PlaySpec(path=str(FILE), leg=live_call.leg))
        node.engine.finish_play(handle)
        await asyncio.sleep(0)
        ended = playbacks.expect(handle)

    assert (await ended).reason == "completed"


async def test_ends_of_playbacks_that_nobody_expects_are_not_kept(node: World) -> None:
    playbacks = node.parts.live.playbacks

    playbacks.finish(signal.PlayFinished(playback=signal.PlaybackHandle(7), reason="stopped"))
    with playbacks.starting():
        ended = playbacks.expect(signal.PlaybackHandle(7))

    assert not ended.done()


async def test_every_listener_hears_every_digit_and_nothing_from_before(node: World) -> None:
    live_call = await a_call(node)
    node.engine.press(live_call.leg, "0")
    await asyncio.sleep(0)

    with calls.listening(live_call) as one, calls.listening(live_call) as other:
        node.engine.press(live_call.leg, "1")
        node.engine.press(live_call.leg, "#")
        heard = [await one.get(), await one.get(), await other.get(), await other.get()]
    node.engine.press(live_call.leg, "2")
    await asyncio.sleep(0)

    assert heard == ["1", "#", "1", "#"]
    assert not live_call.inboxes


async def test_digits_past_the_bound_are_dropped_and_counted(node: World) -> None:
    live_call = await a_call(node)

    with calls.listening(live_call):
        for _ in range(LIMIT + 3):
            node.engine.press(live_call.leg, "5")
        await asyncio.sleep(0)

    assert node.parts.counts.values["digits_dropped"] == 3
