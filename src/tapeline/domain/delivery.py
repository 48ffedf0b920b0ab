"""Telling the customer: a message, when it is tried, what came of each attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from tapeline.domain.id import AccountId, DeliveryId, EpochMs, EventId


class Encoding(StrEnum):
    JSON = "json"
    FORM = "form"
    QUERY = "query"
    """All fields in the URL's query: what GET does."""


class Failure(StrEnum):
    """Why an attempt failed; the words of the vendors' retry syntax where they have
    one.
    """

    CONNECT_TIMEOUT = "ct"
    READ_TIMEOUT = "rt"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    REDIRECT = "3xx"
    CONNECT = "connect"
    """Refused or unreachable."""
    DNS = "dns"
    TLS = "tls"
    PROTOCOL = "protocol"
    """It hung up, or what it answered is not HTTP."""
    REFUSED_DESTINATION = "refused"
    """The address is not one we send to (loopback, private, metadata …)."""
    TOO_LARGE = "too_large"
    INVALID_URL = "invalid_url"
    FAULT = "fault"
    """Ours: the request could not even be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The vendor's part of a schedule: same URL again after `waits_ms`, for failures in
    `retry_on`.
    """

    connect_timeout_ms: int = 2_000
    read_timeout_ms: int = 40_000
    total_ms: int = 55_000
    waits_ms: tuple[int, ...] = (1_000,)
    retry_on: frozenset[Failure] = frozenset({Failure.CONNECT_TIMEOUT, Failure.READ_TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackMessage:
    """What is sent, rendered with the state change; what belongs to one attempt is added by
    `seal`.
    """

    url: str
    """Without the retry fragment."""
    method: str
    encoding: Encoding
    fields: Mapping[str, object]
    link_fields: tuple[str, ...] = ()
    """Fields holding a recording's link that gets a fresh signature at each attempt."""
    link_life_s: int | None = None
    """How long those links live from the attempt on; None: as long as the account chose."""
    failover_url: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    announces_finished: bool = False
    """Goes on with the account's durable schedule when the vendor's is used up."""
    order_key: str | None = None
    """Messages of one key go out one after the other (a recording's id)."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect's `seal` understands: the account's choices when it was rendered."""

    @property
    def destination(self) -> str:
        """`host:port` of the URL in lower case: whose slowness it shares; "" for a bad URL."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            return ""
        return f"{parts.hostname or ''}:{port}"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    id: DeliveryId
    event_id: EventId
    account_id: AccountId
    dialect: str
    event_name: str
    message: CallbackMessage
    state: DeliveryState
    attempts: int
    next_attempt_at_ms: EpochMs | None
    created_at_ms: EpochMs
    finished_at_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """`status` is the HTTP status when there was an answer, `failure` why it does not count as
    delivered.
    """

    delivery_id: DeliveryId
    number: int
    """From 1."""
    at_ms: EpochMs
    url: str
    status: int | None
    failure: Failure | None
    reason: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """One HTTP request, ready to be sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What sealing may need; never stored with a message, never in a repr."""

    auth_token: str = field(repr=False)
    signing_seed: bytes = field(repr=False)
