"""SIP transactions over one UDP socket (RFC 3261 §17): retransmission, matching, no dialogs."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tapeline.testing.sip import SipRequest, SipResponse, SipSyntaxError, parse_sip

T1_S, T2_S = 0.5, 4.0
TRANSACTION_S = 64 * T1_S
RING_S = 180.0
MOST_REMEMBERED = 4_096
Address = tuple[str, int]
log = logging.getLogger(__name__)


class SoftphoneError(Exception):
    """Something that a call ran into.

    SoftphoneError
    ├─ CallRejected      a final response other than 2xx
    ├─ CallTimeout       no final response in time
    └─ CallOver          the call has ended already
    """


class CallTimeout(SoftphoneError):
    """No final response in time."""

    def __init__(self, method: str, uri: str) -> None:
        super().__init__(f"no final response to {method} {uri}")
        self.method = method
        self.uri = uri


@dataclass(slots=True)
class SipCounters:
    """What came that nobody waited for."""

    garbage: int = 0
    stray_responses: int = 0
    retransmissions_seen: int = 0
    retransmissions_sent: int = 0


class SipSocket(asyncio.DatagramProtocol):
    """Sends requests until they are answered, answers retransmissions from memory.

    `on_request` gets each new request with its source; `on_late_ok` each 2xx to an INVITE whose
    transaction is over (RFC 3261 §13.2.2.4).
    """

    def __init__(
        self,
        on_request: Callable[[SipRequest, Address], None],
        on_late_ok: Callable[[SipResponse, Address], None],
    ) -> None:
        self.counters = SipCounters()
        self._on_request = on_request
        self._on_late_ok = on_late_ok
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[tuple[str, str], asyncio.Queue[SipResponse]] = {}
        self._answered: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._refusal_acks: OrderedDict[str, tuple[bytes, Address]] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A datagram transport, though not of that class in every asyncio.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        source = (str(addr[0]), addr[1])
        try:
            message = parse_sip(data)
        except SipSyntaxError:
            self.counters.garbage += 1
            return
        if isinstance(message, SipResponse):
            self._receive_response(message, source)
        else:
            self._receive_request(message, source)

    def error_received(self, exc: Exception) -> None:
        log.debug("SIP socket: %s", exc)

    def send(self, datagram: bytes, to: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, to)

    def respond(self, request: SipRequest, response: SipResponse, to: Address) -> None:
        """Sends a response and keeps it for the request's retransmissions."""
        datagram = response.to_bytes()
        self._answered[request.branch, request.method] = datagram
        self.send(datagram, to)

    def remember_ack(self, branch: str, ack: bytes, to: Address) -> None:
        """What answers each copy of a refusal to the INVITE of that branch."""
        self._refusal_acks[branch] = (ack, to)
        while len(self._refusal_acks) > MOST_REMEMBERED:
            self._refusal_acks.popitem(last=False)

    async def request(
        self,
        request: SipRequest,
        to: Address,
        *,
        on_provisional: Callable[[SipResponse], None] | None = None,
    ) -> SipResponse:
        """The final response. Raises CallTimeout."""
        inbox: asyncio.Queue[SipResponse] = asyncio.Queue(maxsize=64)
        key = (request.branch, request.method)
        self._waiting[key] = inbox
        try:
            return await self._until_final(request, to, inbox, on_provisional)
        except TimeoutError:
            raise CallTimeout(request.method, request.uri) from None
        finally:
            del self._waiting[key]

    async def _until_final(
        self,
        request: SipRequest,
        to: Address,
        inbox: asyncio.Queue[SipResponse],
        on_provisional: Callable[[SipResponse], None] | None,
    ) -> SipResponse:
        is_invite = request.method == "INVITE"
        interval, is_proceeding = T1_S, False
        self.send(request.to_bytes(), to)
        async with asyncio.timeout(TRANSACTION_S) as limit:
            while True:
                response = await _next(inbox, None if is_invite and is_proceeding else interval)
                if response is None:
                    self.counters.retransmissions_sent += 1
                    self.send(request.to_bytes(), to)
                    interval = interval * 2 if is_invite else min(interval * 2, T2_S)
                elif response.status >= 200:  # noqa: PLR2004 - final
                    return response
                else:
                    if is_invite and not is_proceeding:
                        limit.reschedule(asyncio.get_running_loop().time() + RING_S)
                    is_proceeding = True
                    if on_provisional is not None:
                        on_provisional(response)

    def _receive_response(self, response: SipResponse, source: Address) -> None:
        inbox = self._waiting.get((response.branch, response.cseq[1]))
        if inbox is not None and not inbox.full():
            inbox.put_nowait(response)
        elif response.cseq[1] == "INVITE" and 200 <= response.status < 300:  # noqa: PLR2004
            self._on_late_ok(response, source)
        elif response.branch in self._refusal_acks and response.status >= 300:  # noqa: PLR2004
            self.send(*self._refusal_acks[response.branch])
        else:
            self.counters.stray_responses += 1

    def _receive_request(self, request: SipRequest, source: Address) -> None:
        key = (request.branch, request.method)
        if request.method != "ACK" and key in self._answered:
            self.counters.retransmissions_seen += 1
            datagram = self._answered[key]
            if datagram is not None:
                self.send(datagram, source)
            return
        if request.method != "ACK":
            self._answered[key] = None
            while len(self._answered) > MOST_REMEMBERED:
                self._answered.popitem(last=False)
        self._on_request(request, source)


async def _next(inbox: asyncio.Queue[SipResponse], wait_s: float | None) -> SipResponse | None:
    """The next response, or None after `wait_s`."""
    try:
        async with asyncio.timeout(wait_s):
            return await inbox.get()
    except TimeoutError:
        return None
