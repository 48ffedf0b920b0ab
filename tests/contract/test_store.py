"""What every store keeps: transactions, events, repositories. The same tests over each back end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID, NODE, OTHER_ID

from tapeline.domain.application import Number
from tapeline.domain.call import CallState
from tapeline.domain.command import RecordingFilter
from tapeline.domain.conference import ConferenceState, ParticipantState
from tapeline.domain.delivery import Attempt, DeliveryState, Failure
from tapeline.domain.error import AlreadyExists, StoreFailed
from tapeline.domain.event import Event
from tapeline.domain.id import (
    ApplicationId,
    CallId,
    ConferenceId,
    DeliveryId,
    EpochMs,
    EventId,
    RecordingId,
    TranscriptId,
)
from tapeline.domain.port import Transaction
from tapeline.domain.recording import RecordingState, TargetKind
from tapeline.domain.transcript import TranscriptLimit, TranscriptState
from tapeline.state import MasterKeyInvalid, RowMissing, SqlStore, Vault, WriteInRead


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    yield opened
    await opened.close()


class Refused(Exception):
    pass


# transactions


async def test_a_write_returns_what_the_work_returns_and_a_read_sees_it(store: SqlStore) -> None:
    def work(tx: Transaction) -> str:
        tx.calls.add(stores.call("call-2"))
        return "done"

    assert await store.write(work) == "done"
    found = await store.read(lambda tx: tx.calls.get(CallId("call-2")))
    assert found == stores.call("call-2")


async def test_an_exception_rolls_back_its_own_work_and_no_neighbour_s(store: SqlStore) -> None:
    def good(tx: Transaction, name: str) -> None:
        tx.calls.add(stores.call(name))

    def bad(tx: Transaction) -> None:
        tx.calls.add(stores.call("call-bad"))
        raise Refused

    results = await asyncio.gather(
        store.write(lambda tx: good(tx, "call-2")),
        store.write(bad),
        store.write(lambda tx: good(tx, "call-3")),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None), Refused, type(None)]
    calls = await store.read(lambda tx: tx.calls.list(None, only_live=False, limit=10))
    assert {c.id for c in calls} == {"call-1", "call-2", "call-3"}


async def test_a_database_error_is_a_store_failed_and_harms_no_neighbour(store: SqlStore) -> None:
    results = await asyncio.gather(
        store.write(lambda tx: tx.calls.add(stores.call("call-1"))),  # the id is taken
        store.write(lambda tx: tx.calls.add(stores.call("call-2"))),
        return_exceptions=True,
    )

    assert isinstance(results[0], StoreFailed)
    assert results[1] is None


async def test_many_writers_at_once_are_all_stored(store: SqlStore) -> None:
    await asyncio.gather(
        *(
            store.write(lambda tx, n=n: tx.calls.add(stores.call(f"many-{n}")))  # type: ignore[misc]
            for n in range(2000)
        )
    )

    calls = await store.read(lambda tx: tx.calls.list(None, only_live=True, limit=5000))
    assert len(calls) == 2001


async def test_a_cancelled_caller_s_work_is_done_all_the_same(store: SqlStore) -> None:
    task = asyncio.create_task(store.write(lambda tx: tx.calls.add(stores.call("call-2"))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await store.write(lambda _: None)
    assert await store.read(lambda tx: tx.calls.get(CallId("call-2"))) is not None


async def test_writing_in_a_read_is_an_error(store: SqlStore) -> None:
    with pytest.raises(WriteInRead):
        await store.read(lambda tx: tx.calls.add(stores.call("call-2")))
    with pytest.raises(WriteInRead):
        await store.read(lambda tx: tx.emit(stores.arrived("event-2")))

    assert await store.read(lambda tx: tx.calls.get(CallId("call-2"))) is None


async def test_a_closed_store_says_so_after_finishing_what_was_queued(tmp_path: Path) -> None:
    store = await stores.open_sqlite(tmp_path)
    pending = asyncio.gather(
        *(store.write(lambda tx: tx.accounts.all()) for _ in range(50)), return_exceptions=True
    )
    await asyncio.sleep(0)
    await store.close()

    assert not [answer for answer in await pending if isinstance(answer, BaseException)]
    with pytest.raises(StoreFailed, match="closed"):
        await store.write(lambda _: None)


async def test_rows_outlive_the_store(tmp_path: Path) -> None:
    first = await stores.open_sqlite(tmp_path)
    await first.write(stores.add_basics)
    await first.close()

    again = await stores.open_sqlite(tmp_path)
    found = await again.read(lambda tx: tx.accounts.get(ACCOUNT_ID))
    await again.close()
    assert found == stores.account()


async def test_another_master_key_is_refused_at_the_start(tmp_path: Path) -> None:
    await (await stores.open_sqlite(tmp_path)).close()

    with pytest.raises(MasterKeyInvalid):
        await stores.open_sqlite(tmp_path, Vault(b"another key of 32 bytes, another"))


# events and subscribers


async def test_a_subscriber_in_the_transaction_adds_to_it(store: SqlStore) -> None:
    def stage(tx: Transaction, event: Event) -> None:
        staged = stores.delivery("delivery-" + event.id, due_at_ms=9)
        tx.deliveries.add(replace(staged, event_id=event.id))

    store.subscribe(in_transaction=stage)
    await store.write(lambda tx: tx.emit(stores.arrived("event-2")))

    found = await store.read(lambda tx: tx.deliveries.get(DeliveryId("delivery-event-2")))
    assert found is not None


async def test_a_subscriber_that_fails_takes_the_state_change_back(store: SqlStore) -> None:
    def refuse(_tx: Transaction, _event: Event) -> None:
        raise Refused

    def work(tx: Transaction) -> None:
        tx.calls.add(stores.call("call-2"))
        tx.emit(stores.arrived("event-2"))

    store.subscribe(in_transaction=refuse)
    with pytest.raises(Refused):
        await store.write(work)

    assert await store.read(lambda tx: tx.calls.get(CallId("call-2"))) is None


async def test_events_are_told_after_the_commit_in_order_and_never_when_rolled_back(
    store: SqlStore,
) -> None:
    told: list[EventId] = []
    ran: list[str] = []

    def work(tx: Transaction, event_id: str, *, fails: bool) -> None:
        tx.emit(stores.arrived(event_id))
        tx.on_commit(lambda: ran.append(event_id))
        if fails:
            raise Refused

    def hear(events: Sequence[Event]) -> None:
        told.extend(event.id for event in events)

    store.subscribe(after_commit=hear)
    await asyncio.gather(
        store.write(lambda tx: work(tx, "event-2", fails=False)),
        store.write(lambda tx: work(tx, "event-3", fails=True)),
        store.write(lambda tx: work(tx, "event-4", fails=False)),
        return_exceptions=True,
    )

    assert told == ["event-2", "event-4"]
    assert ran == ["event-2", "event-4"]


async def test_a_stored_event_holds_no_secret(store: SqlStore, tmp_path: Path) -> None:
    await store.write(lambda tx: tx.emit(stores.finished("event-2", stores.recording())))
    await store.close()

    everything = _bytes_in(tmp_path)
    assert b"event-2" in everything
    assert stores.account().auth_token.encode() not in everything


def _bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# repositories


async def test_accounts(store: SqlStore) -> None:
    changed = replace(stores.account(), name="New name")
    await store.write(lambda tx: tx.accounts.update(changed))

    def look(tx: Transaction) -> None:
        assert [found.id for found in tx.accounts.all()] == [ACCOUNT_ID, OTHER_ID]
        assert tx.accounts.by_api_key_hash(changed.api_key_hash) == changed
        assert tx.accounts.by_api_key_hash("nobody's") is None

    await store.read(look)


async def test_updating_what_was_never_added_is_our_bug(store: SqlStore) -> None:
    with pytest.raises(RowMissing):
        await store.write(lambda tx: tx.calls.update(stores.call("unknown")))


@pytest.mark.parametrize(
    ("called", "pattern"),
    [
        ("7", "7*"),
        ("71", "71"),
        ("712", "7*"),
        ("room-blue", "room-*"),
        ("room-", "room-*"),
        ("room", "*"),
        ("ROOM-1", "*"),
        ("7*", "7*"),
        ("", "*"),
        ("%", "*"),
        ("room-" + "x" * 5000, "room-*"),
    ],
)
async def test_the_longest_literal_part_wins_and_an_exact_number_over_all(
    store: SqlStore, called: str, pattern: str
) -> None:
    def add(tx: Transaction) -> None:
        tx.applications.add(stores.application())
        for each in ("*", "7*", "71", "71*2", "room-*", "710"):
            tx.numbers.add(
                Number(
                    pattern=each,
                    account_id=ACCOUNT_ID,
                    application_id=stores.application().id,
                    created_at_ms=EpochMs(1),
                )
            )

    await store.write(add)

    found = await store.read(lambda tx: tx.numbers.match(called))
    assert found is not None
    assert found.pattern == pattern
    assert found.match(called) is not None


async def test_a_number_is_taken_once(store: SqlStore) -> None:
    number = Number(
        pattern="7*",
        account_id=ACCOUNT_ID,
        application_id=stores.application().id,
        created_at_ms=EpochMs(1),
    )

    def add(tx: Transaction) -> None:
        tx.numbers.add(number)

    await store.write(lambda tx: tx.applications.add(stores.application()))
    await store.write(add)
    with pytest.raises(AlreadyExists):
        await store.write(add)
    assert await store.read(lambda tx: tx.numbers.match("8")) is None
    assert await store.read(lambda tx: tx.numbers.all(ACCOUNT_ID)) == [number]
    assert await store.read(lambda tx: tx.numbers.all(OTHER_ID)) == []


async def test_an_application_s_numbers_are_removed_together(store: SqlStore) -> None:
    other = replace(stores.application(), id=ApplicationId("2"))

    def add(tx: Transaction) -> None:
        for application, patterns in ((stores.application(), ("7*", "8")), (other, ("9",))):
            tx.applications.add(application)
            for pattern in patterns:
                tx.numbers.add(
                    Number(
                        pattern=pattern,
                        account_id=ACCOUNT_ID,
                        application_id=application.id,
                        created_at_ms=EpochMs(1),
                    )
                )

    await store.write(add)
    await store.write(lambda tx: tx.numbers.remove_of(stores.application().id))

    left = await store.read(lambda tx: tx.numbers.all(None))
    assert [number.pattern for number in left] == ["9"]


async def test_calls_are_listed_newest_first_by_account_and_life(store: SqlStore) -> None:
    def add(tx: Transaction) -> None:
        tx.calls.add(replace(stores.call("call-2"), state=CallState.ENDED))
        tx.calls.add(stores.call("call-3", OTHER_ID))

    await store.write(add)

    def ids(account_id: str | None, *, only_live: bool) -> list[str]:
        return [c.id for c in look.calls.list(account_id, only_live=only_live, limit=9)]  # type: ignore[arg-type]

    look: Transaction

    def check(tx: Transaction) -> None:
        nonlocal look
        look = tx
        assert ids(None, only_live=False) == ["call-3", "call-2", "call-1"]
        assert ids(None, only_live=True) == ["call-3", "call-1"]
        assert ids(ACCOUNT_ID, only_live=False) == ["call-2", "call-1"]
        assert [c.id for c in tx.calls.open_of(NODE)] == ["call-1", "call-3"]

    await store.read(check)


async def test_a_conference_name_is_live_once_per_account(store: SqlStore) -> None:
    with pytest.raises(StoreFailed):
        await store.write(lambda tx: tx.conferences.add(stores.conference("conf-2")))

    def end_and_begin(tx: Transaction) -> None:
        tx.conferences.update(replace(stores.conference(), state=ConferenceState.COMPLETED))
        tx.conferences.add(stores.conference("conf-2"))
        tx.conferences.add(stores.conference("conf-3", name="room"))
        tx.conferences.add(stores.conference("conf-4", account_id=OTHER_ID))

    await store.write(end_and_begin)

    def check(tx: Transaction) -> None:
        live = tx.conferences.live(ACCOUNT_ID, "Room")
        assert live is not None
        assert live.id == "conf-2"
        assert tx.conferences.live(ACCOUNT_ID, "ROOM") is None
        assert [c.id for c in tx.conferences.open_of(NODE)] == ["conf-2", "conf-3", "conf-4"]
        listed = tx.conferences.list(ACCOUNT_ID, only_live=False, limit=9)
        assert [c.id for c in listed] == ["conf-3", "conf-2", "conf-1"]

    await store.read(check)


async def test_participants_are_present_in_the_order_they_joined(store: SqlStore) -> None:
    late = stores.participant("1", "call-1", joined_at_ms=200)
    early = stores.participant("2", "call-2", joined_at_ms=100)

    def add(tx: Transaction) -> None:
        tx.calls.add(stores.call("call-2"))
        assert [tx.participants.next_member_id(ACCOUNT_ID) for _ in range(2)] == ["1", "2"]
        assert tx.participants.next_member_id(OTHER_ID) == "1"
        tx.accounts.update(replace(stores.account(), name="counter kept"))
        assert tx.participants.next_member_id(ACCOUNT_ID) == "3"
        tx.participants.add(late)
        tx.participants.add(early)

    await store.write(add)
    present = await store.read(lambda tx: tx.participants.present(ConferenceId("conf-1")))
    assert present == [early, late]

    gone = replace(early, state=ParticipantState.LEFT, left_at_ms=EpochMs(300))
    await store.write(lambda tx: tx.participants.update(gone))
    assert await store.read(lambda tx: tx.participants.of_call(CallId("call-2"))) is None
    assert await store.read(lambda tx: tx.participants.of_call(CallId("call-1"))) == late


async def test_recordings_are_paged_filtered_and_deleted_ones_left_out(store: SqlStore) -> None:
    def add(tx: Transaction) -> None:
        for n in range(5):
            row = stores.recording(f"rec-{n}", started_at_ms=100 * n)
            tx.recordings.add(replace(row, ended_at_ms=EpochMs(1_000 + n) if n else None))
        gone = stores.recording("rec-gone", started_at_ms=900, state=RecordingState.DELETED)
        tx.recordings.add(gone)
        tx.recordings.add(stores.recording("rec-other", account_id=OTHER_ID))

    await store.write(add)

    def check(tx: Transaction) -> None:
        page, total = tx.recordings.list(ACCOUNT_ID, RecordingFilter(), limit=2, offset=1)
        assert ([r.id for r in page], total) == (["rec-3", "rec-2"], 5)
        span = RecordingFilter(from_ms=EpochMs(100), to_ms=EpochMs(300))
        page, total = tx.recordings.list(ACCOUNT_ID, span, limit=9, offset=0)
        assert ([r.id for r in page], total) == (["rec-2", "rec-1"], 2)
        for wanted, count in (
            (RecordingFilter(target=TargetKind.CALL), 0),
            (RecordingFilter(target=TargetKind.CONFERENCE, conference_name="Room"), 5),
            (RecordingFilter(conference_name="' OR 1=1 --"), 0),
            (RecordingFilter(ended_to_ms=EpochMs(9_999)), 4),
            (RecordingFilter(ended_from_ms=EpochMs(1_002), ended_to_ms=EpochMs(1_004)), 2),
            (RecordingFilter(call_id="call-1", conference_id="conf-1", caller="+1"), 5),
        ):
            assert tx.recordings.list(ACCOUNT_ID, wanted, limit=9, offset=0)[1] == count

    await store.read(check)


async def test_recordings_that_are_open_or_unfinished(store: SqlStore) -> None:
    def add(tx: Transaction) -> None:
        for state in RecordingState:
            tx.recordings.add(stores.recording(state.value, state=state))

    await store.write(add)

    def check(tx: Transaction) -> None:
        on_conference = tx.recordings.open_on_conference(ConferenceId("conf-1"))
        assert [r.id for r in on_conference] == ["recording", "paused"]
        unfinished = tx.recordings.unfinished_of(NODE)
        assert [r.id for r in unfinished] == ["recording", "paused", "finalising"]

    await store.read(check)
    ended = replace(
        stores.recording("recording"), state=RecordingState.FAILED, reason="audio not found"
    )
    await store.write(lambda tx: tx.recordings.update(ended))
    assert await store.read(lambda tx: tx.recordings.get(RecordingId("recording"))) == ended


# deliveries


async def test_attempts_are_kept_with_their_delivery(store: SqlStore) -> None:
    message = replace(stores.message(), failover_url="https://example.com/b", link_life_s=600)
    first = stores.delivery("delivery-1", due_at_ms=9, of=message)
    attempt = Attempt(
        delivery_id=first.id,
        number=1,
        at_ms=EpochMs(10),
        url="https://example.com/cb",
        status=500,
        failure=Failure.SERVER_ERROR,
        reason="answered 500",
        duration_ms=12,
    )

    def work(tx: Transaction) -> None:
        tx.deliveries.add(first)
        tx.deliveries.add_attempt(attempt)
        tx.deliveries.update(replace(first, state=DeliveryState.EXHAUSTED, attempts=1))

    await store.write(work)

    def check(tx: Transaction) -> None:
        assert tx.deliveries.attempts(first.id) == [attempt]
        assert tx.deliveries.due(EpochMs(10**15), limit=9) == []
        (row,) = tx.deliveries.list(ACCOUNT_ID, None, limit=9)
        assert (row.id, row.message) == (first.id, message)

    await store.read(check)


async def test_transcripts_come_back_as_they_were_and_are_found_by_their_recording(
    store: SqlStore,
) -> None:
    done = replace(
        stores.transcript("first"),
        state=TranscriptState.DONE,
        text="Gr\u00fc\u00df Gott, \U0001f399",
        finished_at_ms=EpochMs(12),
    )
    refused = replace(
        stores.transcript("third", "rec-2"),
        state=TranscriptState.REFUSED,
        limit=TranscriptLimit.TOO_LONG,
    )
    failed = replace(
        stores.transcript("second"), state=TranscriptState.FAILED, reason="the worker died"
    )

    def work(tx: Transaction) -> None:
        tx.recordings.add(stores.recording("rec-1"))
        tx.recordings.add(stores.recording("rec-2"))
        for each in (done, failed, refused):
            pending = stores.transcript(each.id, each.recording_id)
            tx.transcripts.add(pending)
            assert tx.transcripts.get(each.id) == pending
            tx.transcripts.update(each)

    await store.write(work)

    def check(tx: Transaction) -> None:
        assert tx.transcripts.get(done.id) == done
        assert tx.transcripts.get(TranscriptId("unknown")) is None
        assert tx.transcripts.of_recording(done.recording_id) == failed
        assert tx.transcripts.of_recording(RecordingId("unknown")) is None
        assert tx.transcripts.list(ACCOUNT_ID, None, limit=9) == [refused, failed, done]
        assert tx.transcripts.list(None, done.recording_id, limit=1) == [failed]
        assert tx.transcripts.list(OTHER_ID, None, limit=9) == []

    await store.read(check)
    await store.write(lambda tx: tx.transcripts.delete_of(done.recording_id))
    left = await store.read(lambda tx: tx.transcripts.list(None, None, limit=9))
    assert left == [refused]


async def test_pending_transcripts_oldest_first(store: SqlStore) -> None:
    waiting = [stores.transcript(f"transcript-{n}") for n in range(5)]

    def add(tx: Transaction) -> None:
        tx.recordings.add(stores.recording())
        for each in waiting:
            tx.transcripts.add(each)
        tx.transcripts.update(replace(waiting[0], state=TranscriptState.DONE))

    await store.write(add)

    assert await store.read(lambda tx: tx.transcripts.pending(3)) == waiting[1:4]


async def test_due_deliveries_oldest_first_and_of_one_key_only_the_oldest(store: SqlStore) -> None:
    keyed = stores.message(order_key="rec-1")

    def add(tx: Transaction) -> None:
        tx.deliveries.add(stores.delivery("later", due_at_ms=300))
        tx.deliveries.add(stores.delivery("key-first", due_at_ms=250, of=keyed))
        tx.deliveries.add(stores.delivery("key-second", due_at_ms=100, of=keyed))
        tx.deliveries.add(stores.delivery("now", due_at_ms=200))

    await store.write(add)

    def due(tx: Transaction, now_ms: int) -> list[str]:
        return [d.id for d in tx.deliveries.due(EpochMs(now_ms), limit=9)]

    def check(tx: Transaction) -> None:
        assert due(tx, 99) == []
        assert due(tx, 100) == []
        assert due(tx, 250) == ["now", "key-first"]
        assert due(tx, 1000) == ["now", "key-first", "later"]
        assert tx.deliveries.next_due_ms() == 100
        assert tx.deliveries.next_due_ms(EpochMs(100)) == 200
        assert tx.deliveries.next_due_ms(EpochMs(300)) is None

    await store.read(check)


async def test_a_receiver_with_a_long_queue_hides_nobody_else_s(store: SqlStore) -> None:
    slow, quick = stores.message("https://SLOW.example/"), stores.message("http://quick.example/")

    def add(tx: Transaction) -> None:
        for n in range(500):
            tx.deliveries.add(stores.delivery(f"slow-{n:03}", due_at_ms=n, of=slow))
        tx.deliveries.add(stores.delivery("quick", due_at_ms=900, of=quick))

    await store.write(add)

    def check(tx: Transaction) -> None:
        now = EpochMs(1000)
        found = tx.deliveries.due(now, limit=50, per_destination=3)
        assert [d.id for d in found] == ["slow-000", "slow-001", "slow-002", "quick"]
        under_way = {"slow.example:443": {DeliveryId("slow-000"), DeliveryId("slow-002")}}
        found = tx.deliveries.due(now, limit=50, per_destination=3, under_way=under_way)
        assert [d.id for d in found] == ["slow-001", "quick"]

    await store.read(check)
