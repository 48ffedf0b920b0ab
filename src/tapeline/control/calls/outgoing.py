"""What a call to be made is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeline.domain.application import Application
from tapeline.domain.command import RecordOnAnswer
from tapeline.domain.id import AccountId, CallId
from tapeline.domain.sound import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """`target` is a `sip:` URI, a telephone number or an endpoint's name
    (`checks.check_target`).
    """

    account_id: AccountId
    application: Application | None
    dialect: str
    target: str
    caller: str
    caller_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ring_limit_ms: int = 120_000
    time_limit_ms: int | None = None
    """From the answer."""
    session_id: str | None = None
    """None: a conversation of its own."""
    parent_id: CallId | None = None
    extras: Mapping[str, str] = field(default_factory=dict)
    record: RecordOnAnswer | None = None
    keys: Keys | None = None
    starts_program: bool = False
    """Once answered it is steered as its application says; else whoever dialled it does."""
