"""Names of things: opaque, unguessable, and made here only."""

import secrets
import string
import uuid
from typing import NewType

AccountId = NewType("AccountId", str)
"""`^(MA|SA)[A-Z0-9]{18}$`: the shape that every vendor's SDK accepts."""
ApplicationId = NewType("ApplicationId", str)
CallId = NewType("CallId", str)
ConferenceId = NewType("ConferenceId", str)
MemberId = NewType("MemberId", str)
"""A participant's number inside its account's conferences, decimal."""
RecordingId = NewType("RecordingId", str)
TranscriptId = NewType("TranscriptId", str)
EventId = NewType("EventId", str)
DeliveryId = NewType("DeliveryId", str)
EndpointId = NewType("EndpointId", str)
TrunkId = NewType("TrunkId", str)
PolicyId = NewType("PolicyId", str)
BucketId = NewType("BucketId", str)
NodeId = NewType("NodeId", str)

EpochMs = NewType("EpochMs", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

_ALPHABET = string.ascii_uppercase + string.digits


def new_account_id() -> AccountId:
    return AccountId("MA" + "".join(secrets.choice(_ALPHABET) for _ in range(18)))


def new_auth_token() -> str:
    """40 characters, as the vendors' tokens are."""
    return secrets.token_hex(20)


def new_api_key() -> str:
    return "KEY" + secrets.token_hex(24)


def new_application_id() -> ApplicationId:
    """Decimal, as the vendors' are: 17 digits."""
    return ApplicationId(str(secrets.randbelow(9 * 10**16) + 10**16))


def new_uuid() -> str:
    """Text of a random (version 4) UUID: calls, conferences, recordings, events, deliveries."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
