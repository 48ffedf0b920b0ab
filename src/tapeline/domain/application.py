"""What a call to a number is answered with, and which called numbers lead there."""

from dataclasses import dataclass

from tapeline.domain.id import AccountId, ApplicationId, EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Either an `answer_url` that is asked, or an `answer_document` that it carries itself.

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
    created_at_ms: EpochMs


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
