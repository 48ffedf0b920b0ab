"""Recordings' addresses and what opens them: pure signing, no clock, no I/O.

    {PUBLIC_URL}/media/Account/{account}/Recording/{recording}.{mp3|wav}?expires=…&signature=…
    …/Recording/{recording}/tracks/{number}.{mp3|wav}?…

The path never changes; `expires` is in seconds since 1970 and `signature` the URL-safe Base64 of
HMAC-SHA256 over path and expiry, with a key derived from the master key.
"""

import base64
import hashlib
import hmac
from enum import StrEnum
from urllib.parse import urlencode

from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.id import EpochMs
from tapeline.domain.recording import Recording, Track

_BEGIN = "/media/Account/"
_MOST_DIGITS = 12


class LinkState(StrEnum):
    """What a presented link is worth; expired only when it was genuine."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


class Links:
    """Made by `node` with the configuration's `link_head` and a key of its own."""

    def __init__(self, head: str, secret: bytes) -> None:
        """`head` without a slash at its end; `secret` is `Vault.derive("links")`."""
        self._head = head
        self._secret = secret

    def link_of(self, recording: Recording) -> str:
        """The address without a signature."""
        return (
            f"{self._head}{_BEGIN}{recording.account_id}/Recording/"
            f"{recording.id}.{recording.format.value}"
        )

    def track_link_of(self, recording: Recording, track: Track) -> str:
        """`…/Recording/{recording}/tracks/{number}.{mp3|wav}`, without a signature."""
        head = self.link_of(recording).removesuffix(f".{recording.format.value}")
        return f"{head}/tracks/{track.number}.{recording.format.value}"

    def for_account(
        self, link: str, account: Account, now_ms: EpochMs, *, life_s: int | None = None
    ) -> str:
        """The address as the account's policy wants it: signed for `life_s` (None: for the
        account's `link_life_s`), or bare.
        """
        if account.settings.link_policy is not LinkPolicy.SIGNED:
            return link
        seconds = account.settings.link_life_s if life_s is None else life_s
        return sign(link, EpochMs(now_ms + seconds * 1000), self._secret)

    def check(self, path: str, expires: str, signature: str, now_ms: EpochMs) -> LinkState:
        """`path` as it was asked for, `/media/…`."""
        return check(path, expires, signature, now_ms=now_ms, secret=self._secret)


def sign(link: str, expires_ms: EpochMs, secret: bytes) -> str:
    """The link with a fresh signature in place of any that it has; the expiry in whole
    seconds, rounded up.
    """
    bare = link.split("?", 1)[0]
    expires = str(-(-expires_ms // 1000))
    signature = _signature(bare[bare.index(_BEGIN) :], expires, secret)
    return f"{bare}?{urlencode({'expires': expires, 'signature': signature})}"


def check(path: str, expires: str, signature: str, *, now_ms: EpochMs, secret: bytes) -> LinkState:
    """Whether that signature was made here for that path and expiry. In constant time."""
    is_number = expires.isascii() and expires.isdigit() and len(expires) <= _MOST_DIGITS
    expected = _signature(path, expires, secret)
    is_genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
    if not (is_number and is_genuine):
        return LinkState.FORGED
    return LinkState.VALID if now_ms < int(expires) * 1000 else LinkState.EXPIRED


def _signature(path: str, expires: str, secret: bytes) -> str:
    signed = f"{path}\n{expires}".encode("utf-8", "surrogatepass")
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
