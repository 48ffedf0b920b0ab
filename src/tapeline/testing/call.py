"""One call of a softphone: its SIP dialog (RFC 3261 §12) and its audio."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tapeline.testing.g711 import Law
from tapeline.testing.rtp import Heard
from tapeline.testing.sip import (
    Headers,
    MediaDescription,
    SipRequest,
    SipResponse,
    address_uri,
    build_sdp,
    parameter,
    parse_sdp,
    uri_target,
)
from tapeline.testing.srtp import SrtpKey
from tapeline.testing.stream import RtpStream, Spoken
from tapeline.testing.tones import Source
from tapeline.testing.transaction import Address, SipSocket, SoftphoneError

OK, BUSY_HERE, REQUEST_TERMINATED = 200, 486, 487


class CallRejected(SoftphoneError):
    """A final response other than 2xx; `response` has its headers."""

    def __init__(self, response: SipResponse) -> None:
        super().__init__(f"{response.status} {response.reason}")
        self.response = response
        self.status = response.status
        self.reason = response.reason


class CallOver(SoftphoneError):
    """The call has ended already."""


class EndedBy(StrEnum):
    US = "us"
    THEM = "them"
    CANCEL = "cancel"


@dataclass(slots=True)
class Dialog:
    """Who talks to whom; `peer` is where requests of this dialog go."""

    call_id: str
    local: str
    """Our From or To with its tag."""
    remote: str
    target: str
    """The remote's Contact."""
    contact: str
    peer: Address
    route: tuple[str, ...] = ()
    sequence: int = 1

    def request(self, method: str, via: str, *, body: bytes = b"") -> SipRequest:
        """The next request inside the dialog; an ACK repeats the INVITE's number."""
        if method != "ACK":
            self.sequence += 1
        headers: Headers = (
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.sequence} {method}"),
            ("Contact", self.contact),
            *(("Route", route) for route in self.route),
            *((("Content-Type", "application/sdp"),) if body else ()),
        )
        return SipRequest(method=method, uri=self.target, headers=headers, body=body)


class Call:
    """A call that was answered. Made by `Softphone`.

    `stream` has the raw counters and every packet heard. `answered_unix_us` is the wall clock when
    the 200 was here (or was sent).
    """

    def __init__(
        self,
        *,
        dialog: Dialog,
        stream: RtpStream,
        sip: SipSocket,
        via: Callable[[], str],
        on_ended: Callable[["Call"], None],
    ) -> None:
        self.dialog = dialog
        self.stream = stream
        self.answered_unix_us = time.time_ns() // 1000
        self.ended_unix_us = 0
        self.ended_by: EndedBy | None = None
        self.end_reason = ""
        """The Reason header of their BYE."""
        self._sip = sip
        self._via = via
        self._on_ended = on_ended
        self._over = asyncio.Event()
        self._sdp_version = 1
        self.srtp_key: SrtpKey | None = None
        """What we protect with; None: plain RTP."""
        self.peer_key: SrtpKey | None = None

    def __repr__(self) -> str:
        state = f"ended by {self.ended_by}" if self.ended_by else "answered"
        return f"<Call {self.dialog.local} → {self.dialog.remote}: {state}>"

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def play(self, source: Source | None) -> Spoken:
        """Says something else from the next packet on (None: sends no packets)."""
        return self.stream.play(source)

    def send_digits(self, digits: str) -> None:
        self.stream.send_digits(digits)

    def heard(self) -> Heard:
        """What has arrived so far."""
        return self.stream.heard()

    async def hang_up(self) -> None:
        """BYE; returns once it was answered. Nothing happens when the call is over already."""
        if self.is_over:
            return
        self.end(EndedBy.US)
        await self._sip.request(self.dialog.request("BYE", self._via()), self.dialog.peer)

    async def ended(self, timeout_s: float | None = None) -> EndedBy:
        """Waits until the call is over. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._over.wait()
        return self.ended_by or EndedBy.US

    async def renegotiate(self, *, new_key: bool = False) -> SipResponse:
        """A re-INVITE with the same media and a higher SDP version; audio goes on. With `new_key`
        we protect with another key from the answer on.
        """
        if self.is_over:
            raise CallOver(repr(self))
        self._sdp_version += 1
        if new_key and self.srtp_key:
            self.srtp_key = SrtpKey.generate(self.srtp_key.suite)
        request = self.dialog.request("INVITE", self._via(), body=self._sdp())
        response = await self._sip.request(request, self.dialog.peer)
        if response.status >= 300:  # noqa: PLR2004 - a refusal leaves the call as it is
            ack = acknowledge_refusal(request, response).to_bytes()
            self._sip.remember_ack(request.branch, ack, self.dialog.peer)
            self._sip.send(ack, self.dialog.peer)
            raise CallRejected(response)
        self.acknowledge()
        self.use_media(response.body)
        return response

    def acknowledge(self) -> None:
        """ACK for a 2xx, for each copy of it."""
        self._sip.send(self.dialog.request("ACK", self._via()).to_bytes(), self.dialog.peer)

    def answer_request(self, request: SipRequest, source: Address) -> None:
        """A request inside the dialog."""
        match request.method:
            case "ACK":
                self.use_media(request.body)
            case "BYE":
                self._respond(request, source, OK, "OK")
                self.end_reason = request.header("reason")
                self.end(EndedBy.THEM)
            case "INVITE" | "UPDATE":
                self.use_media(request.body)
                self._sdp_version += 1
                self._respond(request, source, OK, "OK", body=self._sdp())
            case "INFO" | "OPTIONS" | "NOTIFY" | "MESSAGE":
                self._respond(request, source, OK, "OK")
            case _:
                self._respond(request, source, 501, "Not Implemented")

    def use_media(self, body: bytes) -> None:
        """Sends where their SDP says, in the first codec of it that we have."""
        media = parse_sdp(body)
        if media is None:
            return
        self.stream.law = _first_law(media) or self.stream.law
        self.stream.digit_type = media.type_of("telephone-event") or self.stream.digit_type
        self.stream.remote = (media.address, media.port) if media.port else None
        theirs = media.keys[0] if media.keys else None
        if theirs and self.srtp_key is None:
            self.srtp_key = SrtpKey.generate(theirs.suite, tag=theirs.tag)
        if theirs and self.srtp_key:
            self.peer_key = theirs
            self.stream.protect(self.srtp_key, theirs)

    def end(self, by: EndedBy) -> None:
        """The call is over: audio stops, waiters wake."""
        if self.is_over:
            return
        self.ended_by = by
        self.ended_unix_us = time.time_ns() // 1000
        self._over.set()
        self._on_ended(self)

    def _sdp(self) -> bytes:
        address = self.stream.rtp.getsockname()[0]
        codecs = [self.stream.law.value]
        return build_sdp(
            address, self.stream.port, codecs, version=self._sdp_version, key=self.srtp_key
        )

    def _respond(
        self, request: SipRequest, source: Address, status: int, reason: str, *, body: bytes = b""
    ) -> None:
        contact = self.dialog.contact if request.method in {"INVITE", "UPDATE"} else ""
        response = build_response(request, status, reason, contact=contact, body=body)
        self._sip.respond(request, response, source)


def build_response(
    request: SipRequest,
    status: int,
    reason: str,
    *,
    to_tag: str = "",
    contact: str = "",
    body: bytes = b"",
) -> SipResponse:
    """A response with the request's own headers as RFC 3261 §8.2.6 wants them."""
    to = request.header("to")
    if to_tag and not parameter(to, "tag"):
        to = f"{to};tag={to_tag}"
    headers: Headers = (
        *(("Via", via) for via in request.all("via")),
        *(("Record-Route", route) for route in request.all("record-route")),
        ("From", request.header("from")),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", request.header("cseq")),
        *((("Contact", contact),) if contact else ()),
        *((("Content-Type", "application/sdp"),) if body else ()),
    )
    return SipResponse(status=status, reason=reason, headers=headers, body=body)


def dialog_of_caller(invite: SipRequest, response: SipResponse, peer: Address) -> Dialog:
    """The dialog that a 2xx makes for whoever sent the INVITE (RFC 3261 §12.1.2)."""
    target = address_uri(response.header("contact")) or invite.uri
    route = tuple(reversed(response.all("record-route")))
    return Dialog(
        call_id=invite.call_id,
        local=invite.header("from"),
        remote=response.header("to"),
        target=target,
        contact=invite.header("contact"),
        peer=_peer(route[0] if route else target, peer),
        route=route,
        sequence=invite.cseq[0],
    )


def dialog_of_callee(invite: SipRequest, local_tag: str, contact: str, peer: Address) -> Dialog:
    """The dialog for whoever answers the INVITE (RFC 3261 §12.1.1)."""
    return Dialog(
        call_id=invite.call_id,
        local=f"{invite.header('to')};tag={local_tag}",
        remote=invite.header("from"),
        target=address_uri(invite.header("contact")),
        contact=contact,
        peer=peer,
        route=tuple(invite.all("record-route")),
        sequence=secrets.randbelow(1_000),
    )


def acknowledge_refusal(invite: SipRequest, response: SipResponse) -> SipRequest:
    """The ACK of a refusal belongs to the INVITE's transaction: same branch (§17.1.1.3)."""
    headers: Headers = (
        ("Via", invite.header("via")),
        ("Max-Forwards", "70"),
        ("From", invite.header("from")),
        ("To", response.header("to")),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq[0]} ACK"),
        *(("Route", route) for route in invite.all("route")),
    )
    return SipRequest(method="ACK", uri=invite.uri, headers=headers)


def _first_law(media: MediaDescription) -> Law | None:
    for number in media.payload_types:
        name = media.names.get(number, "").upper()
        if name in Law.__members__:
            return Law[name]
    return None


def _peer(uri: str, fallback: Address) -> Address:
    """Where a URI points; a name that is no address is not looked up."""
    try:
        host, port = uri_target(address_uri(uri))
    except ValueError:
        return fallback
    is_address = host.replace(".", "").isdigit() or ":" in host
    return (host, port) if is_address else fallback
