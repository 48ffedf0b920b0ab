"""What tells one account-style dialect from another, as far as the shared functions need it."""

from dataclasses import dataclass

from tapeline.api.dialect import Setting, chosen
from tapeline.domain.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    name: str
    """The dialect's."""
    prefix: str
    """Where it is mounted: `/v1`."""
    platform: str
    """What it calls itself: in a hangup's source, in signature headers."""
    header_prefix: str
    """Of the SIP headers that are passed on in webhooks, and that a call may be made with."""
    settings: tuple[Setting, ...]
    list_limit: int
    """The most objects of one page."""
    end_of_list: str | None
    """What `next` and `previous` hold at the ends: strict clients differ about null."""
    no_conference: str | None
    """The `conference_name` of a call's recording."""

    def chosen(self, account: Account, key: str) -> str:
        """What the account chose for one of the dialect's settings, or its default."""
        return chosen(account, self.name, self.settings, key)

    def uri(self, account: Account, *parts: str) -> str:
        """The relative address of a thing: `/v1/Account/MA…/Recording/…/`."""
        return "/".join([self.prefix, "Account", account.id, *parts, ""])
