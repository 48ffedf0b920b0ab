"""Which recording policy decides about a call."""

from tapeline.control.live import Passage
from tapeline.domain.id import ApplicationId
from tapeline.domain.policy import PolicySubject, RecordPolicy
from tapeline.domain.port import Transaction


def policy_of(
    tx: Transaction, passage: Passage, application_id: ApplicationId | None
) -> RecordPolicy | None:
    """The nearest that says anything (`PolicySubject`)."""
    around = {
        PolicySubject.ENDPOINT: passage.endpoint_id,
        PolicySubject.NUMBER: passage.number,
        PolicySubject.APPLICATION: application_id,
        PolicySubject.TRUNK: passage.trunk_id,
    }
    for subject in PolicySubject:
        subject_id = around[subject]
        found = tx.policies.of(subject, subject_id) if subject_id is not None else None
        if found is not None:
            return found
    return None
