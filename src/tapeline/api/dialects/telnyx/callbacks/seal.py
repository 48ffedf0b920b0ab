"""What belongs to one attempt: fresh links, its number and destination, the signature over them."""

import base64
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tapeline.domain.delivery import CallbackMessage, OutgoingRequest, Secrets
from tapeline.domain.id import EpochMs

USER_AGENT = "telnyx-webhooks"


def seal(
    message: CallbackMessage,
    attempt: int,
    now_ms: EpochMs,
    secrets: Secrets,
    sign_link: Callable[[str], str],
) -> OutgoingRequest:
    event: Any = message.fields["data"]
    payload = dict(event["payload"])
    for name in message.link_fields:
        payload[name] = {form: sign_link(link) for form, link in payload[name].items()}
    content = {
        "data": {**event, "payload": payload},
        "meta": {"attempt": attempt, "delivered_to": message.url},
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = str(now_ms // 1_000)
    return OutgoingRequest(
        method=message.method,
        url=message.url,
        headers={
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Telnyx-Timestamp": timestamp,
            "Telnyx-Signature-Ed25519": signature(secrets.signing_seed, timestamp, body),
        },
        body=body,
    )


def signature(seed: bytes, timestamp: str, body: bytes) -> str:
    """Base64 of Ed25519 (RFC 8032) over `TIMESTAMP|BODY` (contract §4.5)."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
