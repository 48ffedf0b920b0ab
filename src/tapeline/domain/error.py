"""Everything that can be wrong with a request, in one tree.

TapelineError
├─ Unauthenticated            no or wrong credentials
├─ Forbidden                  right credentials, but not for this
├─ NotFound                   resource, name
│   ├─ AccountNotFound  ApplicationNotFound  CallNotFound  ConferenceNotFound
│   ├─ RecordingNotFound  ParticipantNotFound  TranscriptNotFound  DeliveryNotFound
│   └─ EndpointNotFound  TrunkNotFound  NumberNotFound  PolicyNotFound
├─ Invalid                    field, value, expected
│   ├─ MissingValue  InvalidChoice  OutOfRange  InvalidUrl  InvalidBody
│   ├─ AnswerInvalid          an answer document that cannot be followed
│   └─ CannotBeSpoken         a text or a language that no voice takes
├─ Conflict
│   ├─ AlreadyRecording  NotRecording  AlreadyExists  CallHasEnded  CallNotAnswered
│   ├─ ConferenceHasEnded  ConferenceFull  AlreadyInConference  NotInConference
│   ├─ RecordingHeld          a legal hold forbids its deletion
│   └─ TooManyRecordings  TooManySounds  NotBridged
├─ TooLarge                   a body past its bound
├─ DestinationFault           the customer's URL or bucket; a warning, never our error
├─ Unavailable                this node cannot do it now
│   ├─ EngineFailed           the core refused a command
│   ├─ DiskFull
│   ├─ StoreFailed            the database did not take it
│   ├─ RecogniserFailed  SynthesiserFailed
│   ├─ NotRegistered          no phone of that name is there
│   ├─ TrunksFull             as many calls as the account's trunks may have
│   └─ Draining               the node is stopping
└─ InternalFault              a bug of ours; what it was stands in the log only

Messages say what happened, the value, and what to do. No HTTP here: a dialect's total table has
that.
"""


class TapelineError(Exception):
    """Root of the tree; `str()` is for people."""


class Unauthenticated(TapelineError):
    def __init__(self, detail: str = "credentials are missing or wrong") -> None:
        super().__init__(detail)


class Forbidden(TapelineError):
    pass


class NotFound(TapelineError):
    resource = "resource"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{self.resource} not found: {name!r}")


class AccountNotFound(NotFound):
    resource = "account"


class ApplicationNotFound(NotFound):
    resource = "application"


class CallNotFound(NotFound):
    resource = "call"


class ConferenceNotFound(NotFound):
    resource = "conference"


class RecordingNotFound(NotFound):
    resource = "recording"


class TranscriptNotFound(NotFound):
    resource = "transcript"


class DeliveryNotFound(NotFound):
    resource = "delivery"


class ParticipantNotFound(NotFound):
    resource = "participant"


class EndpointNotFound(NotFound):
    resource = "endpoint"


class TrunkNotFound(NotFound):
    resource = "trunk"


class NumberNotFound(NotFound):
    resource = "number"


class PolicyNotFound(NotFound):
    resource = "recording policy of"


class Invalid(TapelineError):
    def __init__(self, *, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}: {expected}, not {value!r}" if field else expected)


class MissingValue(Invalid):
    def __init__(self, field: str) -> None:
        super().__init__(field=field, value=None, expected="a value is required")


class InvalidChoice(Invalid):
    def __init__(self, *, field: str, value: object, choices: tuple[str, ...]) -> None:
        self.choices = choices
        super().__init__(field=field, value=value, expected=f"one of {', '.join(sorted(choices))}")


class OutOfRange(Invalid):
    def __init__(self, *, field: str, value: object, low: int, high: int) -> None:
        self.low = low
        self.high = high
        super().__init__(field=field, value=value, expected=f"from {low} to {high}")


class InvalidUrl(Invalid):
    def __init__(self, *, field: str, value: object) -> None:
        super().__init__(field=field, value=value, expected="an http or https URL")


class InvalidBody(Invalid):
    def __init__(self, detail: str) -> None:
        super().__init__(field="", value=None, expected=detail)


class AnswerInvalid(Invalid):
    """`place` is where in the document, e.g. `line 3, <Record>`."""

    def __init__(self, detail: str, *, place: str = "") -> None:
        self.place = place
        super().__init__(field="", value=None, expected=f"{place}: {detail}" if place else detail)


class CannotBeSpoken(Invalid):
    """`field` is text or language."""


class Conflict(TapelineError):
    pass


class AlreadyRecording(Conflict):
    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(f"{target} is already being recorded")


class NotRecording(Conflict):
    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(f"{target} is not being recorded")


class AlreadyExists(Conflict):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} exists already")


class CallHasEnded(Conflict):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"call {call_id} has ended")


class CallNotAnswered(Conflict):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"call {call_id} has not been answered yet")


class ConferenceFull(Conflict):
    def __init__(self, name: str, limit: int) -> None:
        self.limit = limit
        super().__init__(f"conference {name!r} has {limit} participants already, the most allowed")


class AlreadyInConference(Conflict):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"call {call_id} is in that conference already")


class NotInConference(Conflict):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"call {call_id} is not in that conference")


class ConferenceHasEnded(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(f"conference {name!r} has ended")


class TooManyRecordings(Conflict):
    def __init__(self, target: str, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{target} has {limit} recordings running already, the most allowed")


class RecordingHeld(Conflict):
    def __init__(self, recording_id: str, because: str) -> None:
        super().__init__(
            f"recording {recording_id} is under legal hold ({because}) and cannot be deleted; "
            "release it first"
        )


class TooManySounds(Conflict):
    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{limit} sounds wait to be heard there already, the most allowed")


class NotBridged(Conflict):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"call {call_id} is connected to no other call")


class TooLarge(TapelineError):
    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"the body is larger than {limit_bytes} bytes")


class DestinationFault(TapelineError):
    """The customer's server did not do its part; `reason` says what."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url}: {reason}")


class Unavailable(TapelineError):
    pass


class EngineFailed(Unavailable):
    def __init__(self, command: str, reason: str) -> None:
        self.command = command
        self.reason = reason
        super().__init__(f"{command} failed: {reason}")


class DiskFull(Unavailable):
    pass


class StoreFailed(Unavailable):
    """`reason` is the database's own; nothing of what was asked has been stored."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the database failed: {reason}")


class RecogniserFailed(Unavailable):
    pass


class SynthesiserFailed(Unavailable):
    pass


class NotRegistered(Unavailable):
    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"no phone is registered as {username!r}")


class TrunksFull(Unavailable):
    """`trunks` are their names."""

    def __init__(self, trunks: str) -> None:
        self.trunks = trunks
        super().__init__(f"the trunk has as many calls as it may: {trunks}")


class Draining(Unavailable):
    def __init__(self) -> None:
        super().__init__("this node is stopping and takes nothing new")


class InternalFault(TapelineError):
    """`reference` is what the log calls the request."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"internal error; the log has it under {reference}")
