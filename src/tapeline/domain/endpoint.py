"""A phone that proves itself by digest: its user, what its calls are answered with, where it is."""

import hashlib
from dataclasses import dataclass, field

from tapeline.domain.id import AccountId, ApplicationId, EndpointId, EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordHashes:
    """`H(user:realm:password)` in lower-case hex (RFC 7616 §3.4.2): as good as the password to who
    speaks digest with us, useless elsewhere.
    """

    md5: str = field(repr=False)
    sha256: str = field(repr=False)


def hash_password(username: str, realm: str, password: str) -> PasswordHashes:
    secret = f"{username}:{realm}:{password}".encode()
    return PasswordHashes(
        md5=hashlib.md5(secret, usedforsecurity=False).hexdigest(),  # RFC 2617 phones
        sha256=hashlib.sha256(secret).hexdigest(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`username` is unique on a node. The password itself is never kept."""

    id: EndpointId
    account_id: AccountId
    username: str
    realm: str
    """That the hashes were made with."""
    hashes: PasswordHashes = field(repr=False)
    application_id: ApplicationId | None = None
    """What every call of it is answered with; None: what the called number leads to."""
    caller: str = ""
    """What its calls say is calling; empty: its username."""
    created_at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One place where an endpoint is (RFC 3261 §10), kept so that a restart does not lose it."""

    endpoint_id: EndpointId
    contact: str
    route: str
    """How its REGISTER came, and calls go back: `tls;192.0.2.1:40000`."""
    expires_unix_ms: int
