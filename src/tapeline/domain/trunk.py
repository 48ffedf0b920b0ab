"""A way to and from a carrier or a PBX: where calls go, whose come, how numbers are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.e164 import NumberRules
from tapeline.domain.id import AccountId, ApplicationId, EpochMs, TrunkId

CODECS = ("opus", "G722", "PCMU", "PCMA", "L16")
"""That calls of a trunk may be narrowed to."""


class SrtpPolicy(StrEnum):
    """Of calls that we send there."""

    NEVER = "never"
    OFFER = "offer"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkTarget:
    """`sip:host[:port][;transport=…]`. The lowest priority is asked first; among equals the weight
    is a share (RFC 2782).
    """

    uri: str
    priority: int = 10
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRules:
    """Who our calls there say is calling."""

    number: str = ""
    """Of the trunk: for calls whose caller is no telephone number."""
    is_fixed: bool = False
    """It stands in for every caller."""
    is_asserted: bool = False
    """P-Asserted-Identity names the caller (RFC 3325)."""
    is_private: bool = False
    """`Privacy: id`: the carrier keeps the asserted identity to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """`name` is unique in its account."""

    id: TrunkId
    account_id: AccountId
    name: str
    targets: tuple[TrunkTarget, ...] = ()
    """Empty: it only receives calls."""
    priority: int = 10
    """Among the account's trunks the lowest is taken first."""
    username: str = ""
    password: str = field(default="", repr=False)
    """Sealed in its row: a carrier's challenge has to be answered with it."""
    registers: bool = False
    """With the first target, as `username`."""
    register_expires_s: int = 600
    proves_itself: bool = False
    """Its calls are known by the digest of `username`, too, beside its `sources`."""
    sources: tuple[str, ...] = ()
    """Networks whose calls are this trunk's."""
    application_id: ApplicationId | None = None
    """What every call of it is answered with; None: what the called number leads to."""
    watch_every_s: int = 30
    """Between two OPTIONS to each target; 0: none."""
    channel_limit: int = 0
    """Calls at once, both ways; 0: no limit."""
    codecs: tuple[str, ...] = ()
    """Of our calls there, the preferred first; empty: the node's."""
    srtp: SrtpPolicy = SrtpPolicy.NEVER
    numbers: NumberRules = field(default_factory=NumberRules)
    caller: CallerRules = field(default_factory=CallerRules)
    created_at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What the carrier said last."""

    is_registered: bool = False
    expires_s: int = 0
    sip_status: int = 0
    detail: str = ""
    at_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """`is_up` is None until it was asked."""

    is_up: bool | None = None
    sip_status: int = 0
    at_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkState:
    """What a running node knows of a trunk beside its row."""

    registration: Registration = field(default_factory=Registration)
    targets: Mapping[str, TargetState] = field(default_factory=dict)
    """By their URI."""
    channels: int = 0
    """Calls now."""
