"""What goes on beside a call's verbs, and what becomes of its errors."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.control.support import ExpectedBugs, World, world

from tapeline.domain.error import StoreFailed
from tapeline.flow.documents import Documents
from tapeline.flow.walk import Walk


async def walk_in(node: World) -> Walk:
    live_call = await node.answered_call()
    return Walk(node.control, Documents(node.asker), live_call)


async def fails(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "bugs"), [(StoreFailed("no space left"), 0), (ZeroDivisionError("a bug"), 1)]
)
async def test_what_fails_beside_is_a_bug_unless_it_is_a_fault_we_know(
    tmp_path: Path, error: Exception, bugs: int
) -> None:
    async with world(tmp_path, bugs=ExpectedBugs()) as node:
        walk = await walk_in(node)

        await asyncio.wait([walk.go_on_beside(fails(error), "a trial")])
        await walk.drop(asyncio.ensure_future(asyncio.Event().wait()))
        await walk.close()

        assert node.bugs.count == bugs


async def test_what_nobody_waits_for_any_more_still_counts_its_bugs(tmp_path: Path) -> None:
    async with world(tmp_path, bugs=ExpectedBugs()) as node:
        walk = await walk_in(node)
        failed = asyncio.ensure_future(fails(ZeroDivisionError("a bug")))
        await asyncio.wait([failed])

        await walk.drop(failed)

        assert node.bugs.count == 1


async def test_the_end_of_a_walk_ends_what_goes_on_beside(node: World) -> None:
    walk = await walk_in(node)
    waiting = walk.go_on_beside(asyncio.Event().wait(), "a wait")  # type: ignore[arg-type]

    await walk.close()

    assert waiting.cancelled()
