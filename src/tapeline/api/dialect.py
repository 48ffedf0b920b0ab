"""The seam: what a dialect is. Adding one is adding a folder under `dialects/`; nothing else is
edited.

A dialect is pure: requests become commands, outcomes and events become bytes. Reading sockets,
checking credentials, running commands, storing and sending are done for it by the rest of the
house.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapeline.domain.account import Account, Credentials
from tapeline.domain.call import Call
from tapeline.domain.command import Command
from tapeline.domain.delivery import CallbackMessage, OutgoingRequest, RetryPolicy, Secrets
from tapeline.domain.error import TapelineError
from tapeline.domain.event import Event
from tapeline.domain.id import EpochMs
from tapeline.domain.verb import AnswerDocument

__all__ = [
    "Answers",
    "CallMoment",
    "Credentials",
    "DemoRow",
    "Dialect",
    "Operation",
    "Setting",
    "WireRequest",
    "WireResponse",
    "chosen",
    "fill",
    "find_dialects",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One HTTP request. `params` are the path's segments, split on the raw path and decoded
    after.
    """

    method: str
    path: str
    """Decoded, for messages only."""
    segments: tuple[str, ...]
    """The path's decoded segments below the dialect's prefix, without a last empty one."""
    params: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes = field(repr=False)
    request_id: str
    """Fresh for each request: a UUID."""
    now_ms: EpochMs
    """When it arrived."""
    allowed_methods: tuple[str, ...] = ()
    """For `render_unknown`: what this path can be asked with, when the method is the trouble."""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class WireResponse:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of a dialect's `routes.py`.

    `path` is a template below the dialect's prefix: `/Account/{auth_id}/Conference/{name}/Record/`;
    a trailing slash is optional in requests. `read` raises TapelineErrors for bad input.
    """

    method: str
    path: str
    name: str
    summary: str
    read: Callable[[WireRequest, Account], Command[Any]]
    write: Callable[[Any, WireRequest, Account], WireResponse]
    request_schema: Mapping[str, Any] | None = None
    """JSON schema of the body, for the dialect's OpenAPI."""
    request_types: tuple[str, ...] = ("application/json",)
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema by name of what the query may hold."""
    responses: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema by status; an empty schema means an empty body."""
    text_errors: tuple[int, ...] = ()
    """Statuses whose body is plain text here, whatever the dialect's errors are elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something an account may choose in this dialect: `tapeline account set ID --set
    NAME.KEY=VALUE`.
    """

    key: str
    choices: tuple[str, ...]
    default: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMoment:
    """Why a call program asks a URL now; `event` is start, action, redirect, transfer or hangup.

    `extra` are facts in tapeline's words that the dialect translates. For an action `verb` names
    the verb that ended, and with it the others (all are text; milliseconds are since 1970):

    | verb | words |
    |---|---|
    | conference | conference_name conference_id member_id, recording_id record_url if recorded |
    | record | recording_id record_url recording_start_ms recording_end_ms recording_duration (s) |
    | | recording_duration_ms end_reason (`RecordingEnd`) digits (the key that ended it, or "") |
    | digits | digits |
    | dial | dial_status (completed busy failed cancel timeout no-answer) dial_ring_status (true |
    | | false) dial_hangup_cause (`EndCause`) dial_aleg_id dial_bleg_id ("" when none answered) |

    A recording that only starts has -1 for its durations and its end, and no end_reason.

    `domain.event.ProgramToldCall` carries the same words. Its topics: `action` (an action whose
    answer cannot be followed, because its call is over or its verb goes on), `conference_digits`
    (conference_name conference_id member_id digits), `dial_answer` `dial_connected` `dial_hangup`
    (dial_aleg_id dial_bleg_id dial_bleg_status dial_bleg_from dial_bleg_to dial_bleg_position;
    at the hang-up also dial_bleg_duration dial_bleg_bill_duration, in s, dial_hangup_cause
    dial_hangup_source).
    """

    event: str
    call: Call
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRow:
    """How the demo shows this dialect: one request to start and one to stop a room's recording."""

    start_method: str
    start_path: str
    start_body: str
    stop_method: str
    stop_path: str
    stop_body: str
    headers: Mapping[str, str]
    """All of these are templates: `{auth_id}` `{auth_token}` `{api_key}` `{basic}` `{conference}`
    `{callback_url}` `{format}`, filled in by `fill`; `{basic}` is HTTP Basic's of id and token."""
    link_field: str
    """Where the start's answer holds the recording's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How documents steer a dialect's calls."""

    ask: Callable[
        [str, str, CallMoment, Account, EpochMs, Secrets], tuple[OutgoingRequest, RetryPolicy]
    ]
    """url, method, moment, account, now, secrets -> the signed request whose answer is a
    document."""
    parse: Callable[[bytes], AnswerDocument]
    """Raises AnswerInvalid."""
    room_document: str
    """The default application's answer document: joins the conference `{{match}}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Everything the house needs to know of one vendor's API."""

    name: str
    title: str
    prefix: str
    """Where its operations are mounted: `/api/v1`."""
    operations: tuple[Operation, ...]
    credentials: Callable[[WireRequest], Credentials]
    """Raises Unauthenticated when there are none."""
    check_account: Callable[[WireRequest, Account], None]
    """Whether these credentials may use that path. Raises Unauthenticated or Forbidden."""
    render_error: Callable[[TapelineError, WireRequest], WireResponse]
    """Total: every error of the tree has a status and a body."""
    render_unknown: Callable[[WireRequest], WireResponse]
    """A path or method that is no operation."""
    render_event: Callable[[Event], CallbackMessage | None]
    """What the customer is told of an event about a thing that this dialect started, or None."""
    seal: Callable[[CallbackMessage, int, EpochMs, Secrets, Callable[[str], str]], OutgoingRequest]
    """message, attempt number from 1, now, secrets, `sign_link` -> the request with its
    signatures."""
    demo: DemoRow
    rank: int = 100
    """Where one has to be chosen and nobody chose (the built-in room, the demo), the lowest is."""
    answers: Answers | None = None
    """None: commands steer its calls, which wait in their private room until one comes."""
    settings: tuple[Setting, ...] = ()
    security: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """OpenAPI security schemes by name; a request needs all of them."""
    error_responses: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema by status of the errors that any operation may answer."""


def chosen(account: Account, dialect_name: str, settings: Sequence[Setting], key: str) -> str:
    """What the account chose for one of a dialect's settings, or its default."""
    default = next(setting.default for setting in settings if setting.key == key)
    return account.settings.dialect.get(dialect_name, {}).get(key, default)


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template of `DemoRow` with each `{key}` replaced; other braces stay as they are."""
    for key, value in values.items():
        template = template.replace(f"{{{key}}}", value)
    return template


def find_dialects() -> dict[str, Dialect]:
    """Every dialect folder's DIALECT by name, in the order of their ranks. Raises ValueError when
    two share a name or prefix clash.
    """
    from tapeline.api import dialects

    found: dict[str, Dialect] = {}
    for module in pkgutil.iter_modules(dialects.__path__):
        dialect: Dialect = importlib.import_module(f"{dialects.__name__}.{module.name}").DIALECT
        if dialect.name in found:
            raise ValueError(f"two dialects are called {dialect.name!r}")
        if any(other.prefix == dialect.prefix for other in found.values()):
            raise ValueError(f"two dialects are mounted at {dialect.prefix!r}")
        found[dialect.name] = dialect
    return dict(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))
