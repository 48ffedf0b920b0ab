"""A softphone that registers, its digest made by hand (RFC 7616 §3.4)."""

import hashlib
import re
import secrets
from collections.abc import Mapping

from tapeline.testing import ServedNode, Softphone
from tapeline.testing.sip import SipRequest, SipResponse

REALM = "tapeline"
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


async def register(
    phone: Softphone,
    node: ServedNode,
    username: str,
    password: str,
    *,
    algorithm: str = "SHA-256",
    expires_s: int = 300,
) -> SipResponse:
    """The answer to the second REGISTER, which answers the challenge of the first."""
    uri = f"sip:{node.sip_address[0]}:{node.sip_port}"
    call_id = secrets.token_hex(8)
    first = await _ask(phone, node, _request(phone, uri, username, call_id, 1, expires_s))
    assert first.status == 401, first
    said = challenge(first, algorithm)
    proof = _proof(said, username, password, uri)
    again = _request(phone, uri, username, call_id, 2, expires_s, Authorization=proof)
    return await _ask(phone, node, again)


def challenge(response: SipResponse, algorithm: str) -> Mapping[str, str]:
    for header in response.all("WWW-Authenticate"):
        found = dict(re.findall(r'(\w+)="?([^",]+)"?', header.partition(" ")[2]))
        if found.get("algorithm", "MD5") == algorithm:
            return found
    raise AssertionError(f"no challenge of {algorithm}: {response}")


def _proof(said: Mapping[str, str], username: str, password: str, uri: str) -> str:
    def digest(text: str) -> str:
        return _HASHES[said.get("algorithm", "MD5")](text.encode()).hexdigest()

    ours, count = secrets.token_hex(8), "00000001"
    first = digest(f"{username}:{said['realm']}:{password}")
    second = digest(f"REGISTER:{uri}")
    answer = digest(f"{first}:{said['nonce']}:{count}:{ours}:auth:{second}")
    return (
        f'Digest username="{username}", realm="{said["realm"]}", nonce="{said["nonce"]}",'
        f' uri="{uri}", response="{answer}", algorithm={said.get("algorithm", "MD5")},'
        f' cnonce="{ours}", qop=auth, nc={count}'
    )


def _request(
    phone: Softphone,
    uri: str,
    username: str,
    call_id: str,
    number: int,
    expires_s: int,
    **more: str,
) -> SipRequest:
    address = f"{phone.address}:{phone.port}"
    aor = f"<{uri.replace('sip:', f'sip:{username}@', 1)}>"
    headers = (
        ("Via", f"SIP/2.0/UDP {address};rport;branch=z9hG4bK{secrets.token_hex(8)}"),
        ("Max-Forwards", "70"),
        ("From", f"{aor};tag={secrets.token_hex(4)}"),
        ("To", aor),
        ("Call-ID", call_id),
        ("CSeq", f"{number} REGISTER"),
        ("Contact", f"<sip:{username}@{address}>"),
        ("Expires", str(expires_s)),
        *more.items(),
    )
    return SipRequest(method="REGISTER", uri=uri, headers=headers)


async def _ask(phone: Softphone, node: ServedNode, request: SipRequest) -> SipResponse:
    return await phone.sip.request(request, node.sip_address)
