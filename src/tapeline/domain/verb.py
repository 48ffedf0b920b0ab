"""What an answer document tells a call to do, in tapeline's words."""

from dataclasses import dataclass, field

from tapeline.domain.recording import RecordingFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOnJoin:
    """A conference recording that a verb asks for."""

    format: RecordingFormat = RecordingFormat.MP3


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConference:
    """Until the call leaves or the room ends; then the next verb, or `action_url`'s document."""

    name: str
    muted: bool = False
    deaf: bool = False
    start_on_enter: bool = True
    end_on_exit: bool = False
    max_members: int | None = None
    time_limit_ms: int = 86_400_000
    action_url: str | None = None
    action_method: str = "POST"
    follows_action: bool = True
    """Whether the action's answer is the next document."""
    callback_url: str | None = None
    callback_method: str = "POST"
    record: RecordOnJoin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    duration_ms: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The next document comes from `url`."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Before the call is answered, `reject_status` is its final response."""

    after_ms: int = 0
    reject_status: int | None = None


Verb = JoinConference | Wait | Redirect | HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDocument:
    verbs: tuple[Verb, ...]
    ignored: tuple[str, ...] = field(default=())
    """Attributes that were accepted but have no effect here; they are logged."""
