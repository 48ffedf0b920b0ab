"""What phones and carriers do within a call, by SIPp against a core alone: no node asks it yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.e2e.line import Line, open_line
from tests.e2e.sippcall import SippUas, run_sipp

from tapeline.domain.signal import CallAnswered, CallArrived, CallEnded, DialSpec, TransferAsked

SCENARIOS = Path(__file__).parent / "sip"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path / "spool") as opened:
        yield opened


async def during(
    line: Line, folder: Path, scenario: str, story: Callable[[Line, CallArrived], Awaitable[None]]
) -> CallEnded:
    """The scenario's call, and what the core is told meanwhile."""
    host, port = line.engine.sip_addresses[0].rsplit(":", 1)
    path = SCENARIOS / f"{scenario}.xml"
    call = asyncio.create_task(run_sipp((host, int(port)), path, folder, "7001"))
    await story(line, await line.wait_for(CallArrived))
    await call
    return await line.wait_for(CallEnded)


async def test_a_caller_hears_reliable_early_media(line: Line, tmp_path: Path) -> None:
    async def story(line: Line, call: CallArrived) -> None:
        await line.engine.progress(call.leg)
        # Waits for the PRACK.
        await line.engine.answer(call.leg)
        assert line.engine.levels(call.leg) is not None

    ended = await during(line, tmp_path, "prack-early-media", story)

    assert ended.by == "remote_bye"


async def test_a_blind_transfer_is_told_to_its_end(line: Line, tmp_path: Path) -> None:
    async def story(line: Line, call: CallArrived) -> None:
        await line.engine.answer(call.leg)
        asked = await line.wait_for(TransferAsked)
        assert (asked.leg, asked.target) == (call.leg, "sip:carol@127.0.0.1:5999")
        await line.engine.accept_transfer(call.leg)
        await line.engine.report_transfer(call.leg, status=200)

    ended = await during(line, tmp_path, "refer-blind", story)

    assert ended.by == "remote_bye"


async def test_the_second_of_two_phones_that_answer_is_hung_up(line: Line, tmp_path: Path) -> None:
    async with SippUas("forked-200-gets-bye", tmp_path, scenarios=SCENARIOS) as phones:
        leg = await line.engine.dial(DialSpec(uri=phones.uri, caller="4711"))
        await line.wait_for(CallAnswered)
        await asyncio.sleep(0.5)
        await line.engine.hang_up(leg)
        await phones.finished()
