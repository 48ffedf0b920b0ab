"""What an answer document tells a call to do, in tapeline's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeline.domain.recording import RecordingOptions
from tapeline.domain.sound import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A URL that is asked when a verb has ended; its answer is the next document unless `follows`
    is false.
    """

    url: str
    method: str = "POST"
    follows: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOnJoin:
    """A conference recording that a verb asks for; `extras` become its `Starter.extras`."""

    options: RecordingOptions = field(default_factory=RecordingOptions)
    callback_url: str | None = None
    callback_method: str = "POST"
    extras: Mapping[str, str] = field(default_factory=dict)


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
    action: Action | None = None
    callback_url: str | None = None
    callback_method: str = "POST"
    record: RecordOnJoin | None = None
    hang_up_on_star: bool = False
    """`*` leaves the conference and goes on."""
    digits_match: tuple[str, ...] = ()
    """Digit sequences that are told to `callback_url`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A WAV, MP3 or Ogg Opus by http(s), to this call alone. `loops` 0: until the call ends."""

    url: str
    loops: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """`voice` and `language` are the document's own words; one voice speaks them all for now."""

    text: str
    voice: str = ""
    language: str = "en-US"
    loops: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall:
    """Of this call. A session runs beside the verbs that follow; else the verb lasts until silence,
    a key, the limit or the hang-up ends the recording.
    """

    options: RecordingOptions = field(default_factory=RecordingOptions)
    in_background: bool = False
    starts_on_dial_answer: bool = False
    """In the background too, from the moment at which `<Dial>`'s other side answers."""
    finish_keys: str = ""
    """Any of these ends a prompt recording; empty: none does."""
    action: Action | None = None
    callback_url: str | None = None
    callback_method: str = "POST"
    extras: Mapping[str, str] = field(default_factory=dict)
    """`Starter.extras` of the recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialTarget:
    """`uri` is a `sip:` URI, a telephone number or the name of an endpoint."""

    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    keys: Keys | None = None
    """Pressed once it has answered, before it is connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """What a dialled phone hears when it has answered, before it is connected, and what it must
    key then.
    """

    sound_url: str | None = None
    """Of a document with what is heard: Play, Speak and Wait."""
    key: str = ""
    """Any of these; empty: none is needed."""
    timeout_ms: int = 10_000
    """For the key, from the end of the sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Calls the targets at once; the first to answer, and to confirm, hears this call and is heard
    by it.
    """

    targets: tuple[DialTarget, ...]
    caller: str = ""
    """Empty: this call's own caller."""
    caller_name: str = ""
    ring_limit_ms: int = 120_000
    time_limit_ms: int = 14_400_000
    hang_up_on_star: bool = False
    confirm: Confirm | None = None
    music_url: str | None = None
    """Of a document with what this call hears instead of ringing."""
    headers: Mapping[str, str] = field(default_factory=dict)
    action: Action | None = None
    callback_url: str | None = None
    callback_method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDigits:
    """Plays `prompts` meanwhile; a key stops them."""

    prompts: tuple["Play | Speak | Wait", ...] = ()
    action: Action | None = None
    first_digit_ms: int = 5_000
    """How long after the prompts the first digit may take."""
    between_digits_ms: int = 2_000
    finish_keys: str = "#"
    max_digits: int = 99
    valid_digits: str = "1234567890*#"
    tries: int = 1
    invalid_prompt: Play | None = None
    beep: bool = False


Verb = JoinConference | Wait | Redirect | HangUp | Play | Speak | RecordCall | Dial | GetDigits


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDocument:
    verbs: tuple[Verb, ...]
    ignored: tuple[str, ...] = field(default=())
    """Attributes that were accepted but have no effect here; they are logged."""
