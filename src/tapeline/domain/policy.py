"""Which calls are recorded without anybody asking: what a thing of the house says of its calls."""

from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, EpochMs, PolicyId
from tapeline.domain.recording import RecordingOptions


class PolicySubject(StrEnum):
    """Whose calls; the nearest to a call first. A call's nearest that says anything decides."""

    ENDPOINT = "endpoint"
    NUMBER = "number"
    APPLICATION = "application"
    TRUNK = "trunk"


class RecordFrom(StrEnum):
    ANSWER = "answer"
    BRIDGE = "bridge"
    """From the moment at which it hears somebody: a bridged call, or a conference."""
    NEVER = "never"
    """What is further away has nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPolicy:
    """At most one for each subject. The recording is of the call, whatever becomes of it: hold,
    park and transfer do not end it.
    """

    id: PolicyId
    account_id: AccountId
    subject: PolicySubject
    subject_id: str
    """An id; of a number its pattern."""
    begins: RecordFrom = RecordFrom.ANSWER
    options: RecordingOptions = field(default_factory=RecordingOptions)
    created_at_ms: EpochMs
