"""What a call to a number is answered with, and which called numbers lead there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeline.domain.id import AccountId, ApplicationId, EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Either an `answer_url` that is asked, or an `answer_document` that it carries itself.

    In a dialect whose calls are driven by commands `answer_url` is where its events are sent, and
    `fallback_url` where they go when that fails.

    In a carried document `{{match}}` stands for the part of the called number that the
    pattern's `*` matched, escaped for XML.
    """

    id: ApplicationId
    account_id: AccountId
    dialect: str
    name: str
    answer_url: str | None = None
    answer_method: str = "POST"
    answer_document: str | None = None
    fallback_url: str | None = None
    fallback_method: str = "POST"
    hangup_url: str | None = None
    hangup_method: str = "POST"
    ring_url: str | None = None
    ring_method: str = "POST"
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect understands."""
    is_ad_hoc: bool = False
    """Made with one call, for it alone; not listed."""
    created_at_ms: EpochMs
    deleted_at_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A called SIP user part, or its beginning with `*` behind it (`room-*`), and its
    application.
    """

    pattern: str
    account_id: AccountId
    application_id: ApplicationId
    created_at_ms: EpochMs

    @property
    def literal(self) -> str:
        """The part before the `*`."""
        return self.pattern.removesuffix("*")

    def match(self, called: str) -> str | None:
        """What the `*` stands for in `called` ("" when there is no `*`), or None."""
        if self.pattern.endswith("*"):
            return called[len(self.literal) :] if called.startswith(self.literal) else None
        return "" if called == self.pattern else None
