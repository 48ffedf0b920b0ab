"""A worker's process, played by small programs that speak its protocol."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tapeline.speech.process import Patience, Worker, WorkerFailed

PROGRAM = """
import json, os, sys, time
def tell(**fields):
    print(json.dumps(fields), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    match request["do"]:
        case "greet":
            tell()
            tell(heard=f"hello {request['name']}")
            tell(done=True)
        case "name": tell(pid=os.getpid()); tell(done=True)
        case "variables": tell(names=sorted(os.environ)); tell(done=True)
        case "refuse": tell(failed="the file is no file")
        case "die": os._exit(7)
        case "babble": print("no JSON", flush=True)
        case "flood": print("x" * (2 << 20), flush=True)
        case "hang": tell(); time.sleep(600)
        case "chatter":
            while True: tell()
"""
GREETING = {"do": "greet", "name": "Ann"}
LIMIT_S = 20.0


@asynccontextmanager
async def running(patience: Patience | None = None) -> AsyncIterator[Worker]:
    worker = Worker((sys.executable, "-c", PROGRAM), patience=patience)
    try:
        async with asyncio.timeout(LIMIT_S):
            yield worker
    finally:
        await worker.close()
        assert worker.process_id is None


async def test_the_process_is_started_by_the_first_request_and_serves_the_next() -> None:
    async with running() as worker:
        assert worker.process_id is None

        assert await worker.ask(GREETING) == [{"heard": "hello Ann"}]
        first = worker.process_id
        assert await worker.ask({"do": "name"}) == [{"pid": first}]


async def test_requests_are_answered_one_after_the_other() -> None:
    async with running() as worker:
        names = [f"guest {number}" for number in range(20)]

        answers = await asyncio.gather(
            *(worker.ask({"do": "greet", "name": name}) for name in names)
        )

    assert answers == [[{"heard": f"hello {name}"}] for name in names]


async def test_the_node_s_own_variables_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_MASTER_KEY", "secret")
    async with running() as worker:
        (answer,) = await worker.ask({"do": "variables"})

    assert "PATH" in answer["names"]
    assert not [name for name in answer["names"] if name.startswith("TAPELINE_")]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("refuse", "^the file is no file$"),
        ("die", "died: status 7"),
        ("babble", "does not talk"),
        ("flood", "does not talk"),
    ],
)
async def test_a_failure_is_told_and_the_next_request_gets_a_new_process(
    does: str, said: str
) -> None:
    async with running() as worker:
        await worker.ask(GREETING)
        first = worker.process_id

        with pytest.raises(WorkerFailed, match=said):
            await worker.ask({"do": does})

        assert await worker.ask(GREETING) == [{"heard": "hello Ann"}]
        assert worker.process_id != first


async def test_a_process_that_falls_silent_is_ended() -> None:
    async with running(Patience(silence_s=0.3)) as worker:
        await worker.ask(GREETING)
        first = worker.process_id
        assert first is not None

        with pytest.raises(WorkerFailed, match=r"no word for 0\.3 s"):
            await worker.ask({"do": "hang"})

        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


async def test_a_request_that_never_comes_to_an_end_is_ended() -> None:
    async with running(Patience(request_s=0.5)) as worker:
        with pytest.raises(WorkerFailed, match=r"not done in 0\.5 s"):
            await worker.ask({"do": "chatter"})

        assert worker.process_id is None


async def test_a_cancelled_request_ends_the_process_and_nobody_gets_its_answer() -> None:
    async with running() as worker:
        await worker.ask(GREETING)
        first = worker.process_id
        task = asyncio.create_task(worker.ask({"do": "hang"}))
        await asyncio.sleep(0)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await worker.ask(GREETING) == [{"heard": "hello Ann"}]
        assert worker.process_id != first


async def test_one_that_was_killed_between_requests_is_replaced() -> None:
    async with running() as worker:
        (answer,) = await worker.ask({"do": "name"})
        os.kill(answer["pid"], 9)
        while worker.process_id is not None:  # noqa: ASYNC110 - the system tells the loop
            await asyncio.sleep(0)

        assert await worker.ask(GREETING) == [{"heard": "hello Ann"}]


async def test_an_idle_process_goes_and_comes_back() -> None:
    async with running(Patience(idle_s=0.0)) as worker:
        await worker.ask(GREETING)
        while worker.process_id is not None:  # noqa: ASYNC110 - the loop's own timer
            await asyncio.sleep(0)

        assert await worker.ask(GREETING) == [{"heard": "hello Ann"}]


async def test_closing_ends_it_in_the_middle_of_a_request() -> None:
    async with running() as worker:
        await worker.ask(GREETING)
        task = asyncio.create_task(worker.ask({"do": "hang"}))
        waiting = asyncio.create_task(worker.ask(GREETING))
        await asyncio.sleep(0)

        await worker.close()

        for each in (task, waiting):
            with pytest.raises(WorkerFailed):
                await each


async def test_a_command_that_is_not_there_is_a_failure() -> None:
    worker = Worker(("/no/such/command",))

    with pytest.raises(WorkerFailed, match="cannot be started"):
        await worker.ask(GREETING)
