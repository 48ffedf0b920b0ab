"""Rows of recordings."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.command import RecordingFilter
from tapeline.domain.id import AccountId, CallId, ConferenceId, EpochMs, NodeId, RecordingId
from tapeline.domain.recording import Recording, RecordingEnd, RecordingState, TargetKind
from tapeline.state.codec import (
    decode_health,
    decode_options,
    decode_starter,
    encode_health,
    encode_options,
    encode_starter,
)
from tapeline.state.rows.base import Rows, Values, by_id, update_by_id
from tapeline.state.schema import calls, recordings

_INSERT = recordings.insert()
_UPDATE = update_by_id(recordings)
_BY_ID = by_id(recordings)
_OPEN_ON_CONFERENCE = (
    sa.select(recordings)
    .where(
        recordings.c.conference_id == sa.bindparam("conference_id"),
        recordings.c.state.in_([RecordingState.RECORDING.value, RecordingState.PAUSED.value]),
    )
    .order_by(recordings.c.seq)
)
_UNFINISHED_OF = (
    sa.select(recordings)
    .where(
        recordings.c.node_id == sa.bindparam("node_id"),
        # Literals, not parameters: only then does the partial index serve.
        sa.literal_column("recordings.state IN ('recording', 'paused', 'finalising')"),
    )
    .order_by(recordings.c.seq)
)


class RecordingRows(Rows):
    def add(self, recording: Recording) -> None:
        self._insert(_INSERT, _values(recording))

    def update(self, recording: Recording) -> None:
        self._update(_UPDATE, recording.id, _values(recording))

    def get(self, recording_id: RecordingId) -> Recording | None:
        row = self._one(_BY_ID, key=recording_id)
        return None if row is None else _recording(row)

    def open_on_conference(self, conference_id: ConferenceId) -> Sequence[Recording]:
        """Recording or paused, in the order they started."""
        rows = self._all(_OPEN_ON_CONFERENCE, conference_id=conference_id)
        return [_recording(row) for row in rows]

    def unfinished_of(self, node_id: NodeId) -> Sequence[Recording]:
        """Neither completed nor failed nor absent nor deleted."""
        return [_recording(row) for row in self._all(_UNFINISHED_OF, node_id=node_id)]

    def list(
        self, account_id: AccountId | None, wanted: RecordingFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[Recording], int]:
        """A page, newest first, and how many there are in all; without deleted ones."""
        matches = sa.and_(*_conditions(account_id, wanted))
        total = self._connection.execute(
            sa.select(sa.func.count()).select_from(recordings).where(matches)
        ).scalar_one()
        page = (
            sa.select(recordings)
            .where(matches)
            .order_by(recordings.c.started_at_ms.desc(), recordings.c.seq.desc())
            .limit(limit)
            .offset(offset)
        )
        return [_recording(row) for row in self._all(page)], total


def _conditions(
    account_id: AccountId | None, wanted: RecordingFilter
) -> Iterator[sa.ColumnElement[bool]]:
    yield recordings.c.state != RecordingState.DELETED.value
    equal = {
        "account_id": account_id,
        "target": wanted.target,
        "format": wanted.format,
        "state": wanted.state,
        "call_id": wanted.call_id,
        "conference_id": wanted.conference_id,
        "conference_name": wanted.conference_name,
        "caller": wanted.caller,
        "called": wanted.called,
    }
    for column, value in equal.items():
        if value is not None:
            yield recordings.c[column] == str(value)
    of_call = {"session_id": wanted.session_id, "application_id": wanted.application_id}
    for column, value in of_call.items():
        if value is not None:
            yield recordings.c.call_id.in_(sa.select(calls.c.id).where(calls.c[column] == value))
    if wanted.from_ms is not None:
        yield recordings.c.started_at_ms >= wanted.from_ms
    if wanted.to_ms is not None:
        yield recordings.c.started_at_ms < wanted.to_ms
    if wanted.ended_from_ms is not None:
        yield recordings.c.ended_at_ms >= wanted.ended_from_ms
    if wanted.ended_to_ms is not None:
        yield recordings.c.ended_at_ms < wanted.ended_to_ms


def _values(recording: Recording) -> Values:
    return {
        "id": recording.id,
        "account_id": recording.account_id,
        "node_id": recording.node_id,
        "starter": encode_starter(recording.starter),
        "target": recording.target.value,
        "call_id": recording.call_id,
        "conference_id": recording.conference_id,
        "conference_name": recording.conference_name,
        "caller": recording.caller,
        "called": recording.called,
        "format": recording.format.value,
        "options": encode_options(recording.options),
        "rate_hz": recording.rate_hz,
        "state": recording.state.value,
        "health": encode_health(recording.health),
        "reason": recording.reason,
        "end_reason": recording.end_reason,
        "started_at_ms": recording.started_at_ms,
        "ended_at_ms": recording.ended_at_ms,
        "sample_count": recording.sample_count,
        "byte_count": recording.byte_count,
        "sha256": recording.sha256,
        "storage_key": recording.storage_key,
        "deleted_at_ms": recording.deleted_at_ms,
        "deleted_because": recording.deleted_because,
    }


def _recording(row: sa.Row[Any]) -> Recording:
    return Recording(
        id=RecordingId(row.id),
        account_id=AccountId(row.account_id),
        node_id=NodeId(row.node_id),
        starter=decode_starter(row.starter),
        target=TargetKind(row.target),
        call_id=None if row.call_id is None else CallId(row.call_id),
        conference_id=None if row.conference_id is None else ConferenceId(row.conference_id),
        conference_name=row.conference_name,
        caller=row.caller,
        called=row.called,
        options=decode_options(row.options),
        rate_hz=row.rate_hz,
        state=RecordingState(row.state),
        health=decode_health(row.health),
        reason=row.reason,
        end_reason=None if row.end_reason is None else RecordingEnd(row.end_reason),
        started_at_ms=EpochMs(row.started_at_ms),
        ended_at_ms=row.ended_at_ms,
        sample_count=row.sample_count,
        byte_count=row.byte_count,
        sha256=row.sha256,
        storage_key=row.storage_key,
        deleted_at_ms=row.deleted_at_ms,
        deleted_because=row.deleted_because,
    )
