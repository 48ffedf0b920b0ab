import asyncio

import pytest
from tests.unit.control.support import COMMANDED, FakeClock, World

from tapeline.control.once import LEAST_MS, MOST_MS, OnceKeeper
from tapeline.domain import event
from tapeline.domain.command import (
    ConferenceRef,
    CreateApplication,
    ListApplications,
    Once,
    StartConferenceRecording,
)
from tapeline.domain.error import Invalid
from tapeline.domain.id import AccountId, EpochMs
from tapeline.domain.recording import Starter

ACCOUNT = AccountId("MA" + "A" * 18)


def key(name: str = "k", scope: str = "call-1") -> Once:
    return Once(account_id=ACCOUNT, scope=scope, key=name)


class Work:
    """Counts how often it is carried out."""

    def __init__(self, *, fails: bool = False) -> None:
        self.runs = 0
        self.fails = fails
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> int:
        self.runs += 1
        await self.may_end.wait()
        if self.fails:
            raise Invalid(field="x", value=self.runs, expected="something else")
        return self.runs


async def test_who_comes_later_gets_the_first_outcome_whatever_it_asks() -> None:
    keeper, first, other = OnceKeeper(FakeClock()), Work(), Work()

    outcomes = [await keeper.run(key(), work) for work in (first, first, other)]

    assert outcomes == [1, 1, 1]
    assert (first.runs, other.runs) == (1, 0)


async def test_keys_of_other_things_are_other_keys() -> None:
    keeper, work = OnceKeeper(FakeClock()), Work()

    for once in (key(), key(scope="call-2"), key("k2")):
        await keeper.run(once, work)

    assert work.runs == 3


async def test_who_comes_meanwhile_waits_for_the_first() -> None:
    keeper, work = OnceKeeper(FakeClock()), Work()
    work.may_end.clear()

    tasks = [asyncio.ensure_future(keeper.run(key(), work)) for _ in range(20)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    work.may_end.set()

    assert await asyncio.gather(*tasks) == [1] * 20
    assert work.runs == 1


async def test_a_waiter_that_goes_away_takes_nothing_from_the_others() -> None:
    keeper, work = OnceKeeper(FakeClock()), Work()
    work.may_end.clear()
    tasks = [asyncio.ensure_future(keeper.run(key(), work)) for _ in range(3)]
    await asyncio.sleep(0)

    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    work.may_end.set()

    assert await tasks[0] == await tasks[2] == 1


async def test_a_failure_is_shared_by_those_who_waited_and_leaves_the_key_free() -> None:
    keeper, work = OnceKeeper(FakeClock()), Work(fails=True)
    work.may_end.clear()
    tasks = [asyncio.ensure_future(keeper.run(key(), work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.may_end.set()

    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    work.fails = False

    assert all(isinstance(outcome, Invalid) for outcome in outcomes)
    assert await keeper.run(key(), work) == 2


async def test_outcomes_are_kept_for_a_day() -> None:
    clock = FakeClock()
    keeper, work = OnceKeeper(clock), Work()
    await keeper.run(key(), work)

    clock.at_ms = EpochMs(clock.at_ms + MOST_MS - 1)
    assert await keeper.run(key(), work) == 1
    clock.at_ms = EpochMs(clock.at_ms + 1)
    assert await keeper.run(key(), work) == 2


async def test_when_there_are_too_many_the_oldest_go_but_none_that_is_young() -> None:
    clock = FakeClock()
    keeper, work = OnceKeeper(clock, kept=2), Work()
    for name in "abcd":
        await keeper.run(key(name), work)
        clock.at_ms = EpochMs(clock.at_ms + 1_000)

    assert [await keeper.run(key(name), work) for name in "abcd"] == [1, 2, 3, 4]
    clock.at_ms = EpochMs(clock.at_ms + LEAST_MS - 4_000)  # a is just old enough now
    await keeper.run(key("e"), work)
    assert [await keeper.run(key(name), work) for name in "bcd"] == [2, 3, 4]
    assert await keeper.run(key("a"), work) == 6


async def test_commands_with_the_same_key_at_once_are_carried_out_once(node: World) -> None:
    command = CreateApplication(
        account_id=node.account.id,
        dialect=COMMANDED,
        name="once",
        answer_url="http://customer.example/",
        once=Once(account_id=node.account.id, scope="applications", key="1"),
    )

    made = await asyncio.gather(*(node.control.execute(command) for _ in range(10)))

    assert len({application.id for application in made}) == 1
    assert len(await node.control.execute(ListApplications())) == 1


async def test_a_command_that_failed_may_be_sent_again_with_its_key(node: World) -> None:
    once = Once(account_id=node.account.id, scope="applications", key="1")

    def command(url: str) -> CreateApplication:
        return CreateApplication(
            account_id=node.account.id, dialect=COMMANDED, name="n", answer_url=url, once=once
        )

    with pytest.raises(Invalid):
        await node.control.execute(command("nonsense"))
    made = await node.control.execute(command("http://customer.example/"))

    assert made.answer_url == "http://customer.example/"


async def test_a_conference_is_one_thing_by_its_id_and_name_and_the_next_is_another(
    node: World,
) -> None:
    await node.room_application()

    async def record(name: str) -> str:
        view = await node.control.execute(
            StartConferenceRecording(
                conference=ConferenceRef(account_id=node.account.id, name=name, may_be_id=True),
                starter=Starter(dialect=COMMANDED, request_id="r"),
                allows_parallel=True,
                once=Once(account_id=node.account.id, scope=name, key="1"),
            )
        )
        return view.recording.id

    leg = await node.join("MyConf")
    (first,) = node.parts.live.conferences.values()
    recordings = [await record("MyConf"), await record(first.conference.id)]
    node.engine.hang_up_from_outside(leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()
    recordings.append(await record("MyConf"))
    await node.join("MyConf")
    another = await record("MyConf")

    assert len(set(recordings)) == 1
    assert another not in recordings
