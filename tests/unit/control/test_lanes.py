import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.unit.control.support import ExpectedBugs

from tapeline.control.lanes import Lanes
from tapeline.telemetry import Bugs


@asynccontextmanager
async def running(lanes: Lanes) -> AsyncIterator[None]:
    task = asyncio.ensure_future(lanes.run())
    yield
    task.cancel()
    await asyncio.wait([task])


def slow(name: str, log: list[str], gate: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        log.append(f"{name} begins")
        await gate.wait()
        log.append(f"{name} ends")

    return work


def quick(name: str, log: list[str]) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        log.append(name)

    return work


async def test_what_shares_a_key_runs_in_order() -> None:
    log: list[str] = []
    gate = asyncio.Event()
    lanes = Lanes(Bugs())

    async with running(lanes):
        lanes.put(["a"], slow("first", log, gate))
        lanes.put(["a", "b"], quick("second", log))
        lanes.put(["b"], quick("third", log))
        lanes.put(["c"], quick("other", log))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gate.set()
        await lanes.idle()

    assert log == ["first begins", "other", "first ends", "second", "third"]


async def test_a_key_that_comes_twice_in_one_item_does_not_block_it() -> None:
    log: list[str] = []
    lanes = Lanes(Bugs(), workers=1)

    async with running(lanes):
        lanes.put(["a", "a"], quick("only", log))
        await lanes.idle()

    assert log == ["only"]


async def test_nothing_is_remembered_of_what_is_over() -> None:
    lanes = Lanes(Bugs())

    async with running(lanes):
        for number in range(1000):
            lanes.put([number % 7, "all"], quick("x", []))
        assert lanes.depth == 1000
        await lanes.idle()

    assert lanes.depth == 0
    assert not lanes._last


async def test_an_exception_is_counted_and_the_lane_goes_on() -> None:
    bugs = ExpectedBugs()
    log: list[str] = []
    lanes = Lanes(bugs)

    async def fails() -> None:
        raise ValueError("broken")

    async with running(lanes):
        lanes.put(["a"], fails)
        lanes.put(["a"], quick("after", log))
        await lanes.idle()

    assert log == ["after"]
    assert bugs.count == 1
