"""The two HMAC signatures of account-style callbacks: V2 over the address, V3 over address and
parameters. Pure; checked against the vendors' own validators in the tests.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

Params = Mapping[str, object]


def sign(token: str, message: str) -> str:
    """Base64 of HMAC-SHA256."""
    digest = hmac.new(token.encode(), message.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def address_of(url: str) -> str:
    """Scheme, host, port and path: what both signatures begin with."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def v2_message(url: str, nonce: str) -> str:
    """Method, query and body play no part."""
    return address_of(url) + nonce


def v3_plain_message(url: str, nonce: str) -> str:
    """The form of V3 that leaves the parameters out."""
    return f"{address_of(url)}.{nonce}"


def v3_message(method: str, url: str, params: Params, nonce: str) -> str:
    """With the query's parameters and those of the body (for GET: that will be in the query).

    A POST with parameters has the `?` even without a query, and the dot before the body's
    parameters only with one.
    """
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        query.setdefault(key, []).append(value)
    message = address_of(url)
    if method == "GET":
        merged: dict[str, object] = {**params, **query}
        joined = _join_query(merged)
        message += f"?{joined}" if joined else ""
    else:
        joined, body = _join_query(query), _join_body(params)
        if params:
            message += f"?{joined}{'.' if joined else ''}{body}"
        elif joined:
            message += f"?{joined}"
    return f"{message}.{nonce}"


def _texts(value: object) -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return sorted(str(item) for item in value)
    return [str(value)]


def _join_query(params: Params) -> str:
    return "&".join(f"{key}={text}" for key in sorted(params) for text in _texts(params[key]))


def _join_body(params: Params) -> str:
    return "".join(f"{key}{text}" for key in sorted(params) for text in _texts(params[key]))


def make_nonce(token: str, *parts: str) -> str:
    """20 digits that nobody else can foresee, the same for the same parts: sealing stays pure."""
    digest = hmac.new(token.encode(), "\x00".join(parts).encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(digest) % 10**20:020d}"


def signature_headers(
    brand: str, main: str, token: str, *, nonce: str, v2: str, v3: str
) -> dict[str, str]:
    """`X-{brand}-Signature-…`; `main` is how the dialect spells the main account's headers."""
    head = f"X-{brand}-Signature"
    first, third = sign(token, v2), sign(token, v3)
    return {
        f"{head}-V2": first,
        f"{head}-V2-Nonce": nonce,
        f"{head}-{main}-V2": first,
        f"{head}-V3": third,
        f"{head}-V3-Nonce": nonce,
        f"{head}-{main}-V3": third,
    }
