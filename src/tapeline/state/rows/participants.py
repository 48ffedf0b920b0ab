"""Rows of participants, and the counter their member ids come from."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.conference import Participant, ParticipantState, Role
from tapeline.domain.id import AccountId, CallId, ConferenceId, EpochMs, MemberId
from tapeline.state.rows.base import RowMissing, Rows, Values
from tapeline.state.schema import accounts, participants

_INSERT = participants.insert()
_UPDATE = participants.update().where(
    participants.c.conference_id == sa.bindparam("of_conference"),
    participants.c.member_id == sa.bindparam("of_member"),
)
_COUNT_UP = (
    accounts.update()
    .where(accounts.c.id == sa.bindparam("key"))
    .values(last_member_id=accounts.c.last_member_id + 1)
    .returning(accounts.c.last_member_id)
)
_IS_PRESENT = participants.c.state != ParticipantState.LEFT.value
_PRESENT = (
    sa.select(participants)
    .where(participants.c.conference_id == sa.bindparam("conference_id"), _IS_PRESENT)
    .order_by(participants.c.joined_at_ms, participants.c.seq)
)
_EVER_IN = (
    sa.select(participants)
    .where(participants.c.conference_id == sa.bindparam("conference_id"))
    .order_by(participants.c.joined_at_ms, participants.c.seq)
)
_OF_CALL = (
    sa.select(participants)
    .where(participants.c.call_id == sa.bindparam("call_id"), _IS_PRESENT)
    .order_by(participants.c.seq.desc())
    .limit(1)
)


class ParticipantRows(Rows):
    def next_member_id(self, account_id: AccountId) -> MemberId:
        """Counts up per account. Raises RowMissing for an unknown account."""
        number = self._connection.execute(_COUNT_UP, {"key": account_id}).scalar()
        if number is None:
            raise RowMissing(f"no row {account_id!r} in accounts")
        return MemberId(str(number))

    def add(self, participant: Participant) -> None:
        self._insert(_INSERT, _values(participant))

    def update(self, participant: Participant) -> None:
        """Raises RowMissing."""
        of = {"of_conference": participant.conference_id, "of_member": participant.member_id}
        if self._connection.execute(_UPDATE, {**_values(participant), **of}).rowcount != 1:
            raise RowMissing(
                f"no member {participant.member_id} in conference {participant.conference_id}",
            )

    def present(self, conference_id: ConferenceId) -> Sequence[Participant]:
        """Those that have not left, in the order they joined."""
        rows = self._all(_PRESENT, conference_id=conference_id)
        return [_participant(row) for row in rows]

    def ever_in(self, conference_id: ConferenceId) -> Sequence[Participant]:
        """Those that have left, too, in the order they joined."""
        return [_participant(row) for row in self._all(_EVER_IN, conference_id=conference_id)]

    def of_call(self, call_id: CallId) -> Participant | None:
        """Where the call is now."""
        row = self._one(_OF_CALL, call_id=call_id)
        return None if row is None else _participant(row)


def _values(participant: Participant) -> Values:
    return {
        "member_id": participant.member_id,
        "conference_id": participant.conference_id,
        "call_id": participant.call_id,
        "state": participant.state.value,
        "muted": participant.muted,
        "deaf": participant.deaf,
        "on_hold": participant.on_hold,
        "role": participant.role.value,
        "whispers_to": list(participant.whispers_to),
        "end_conference_on_exit": participant.end_conference_on_exit,
        "hangs_up_on_exit": participant.hangs_up_on_exit,
        "label": participant.label,
        "leg": participant.leg,
        "joined_at_ms": participant.joined_at_ms,
        "left_at_ms": participant.left_at_ms,
    }


def _participant(row: sa.Row[Any]) -> Participant:
    return Participant(
        member_id=MemberId(row.member_id),
        conference_id=ConferenceId(row.conference_id),
        call_id=CallId(row.call_id),
        state=ParticipantState(row.state),
        muted=row.muted,
        deaf=row.deaf,
        on_hold=row.on_hold,
        role=Role(row.role),
        whispers_to=tuple(CallId(call_id) for call_id in row.whispers_to),
        end_conference_on_exit=row.end_conference_on_exit,
        hangs_up_on_exit=row.hangs_up_on_exit,
        label=row.label,
        leg=row.leg,
        joined_at_ms=EpochMs(row.joined_at_ms),
        left_at_ms=row.left_at_ms,
    )
