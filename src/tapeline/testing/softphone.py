"""A telephone for tests: real SIP and RTP over UDP, many calls at once.

async with Softphone("alice") as phone:
    call = await phone.call("sip:room-standup@127.0.0.1:5060", play=Tone(440))
    await asyncio.sleep(2)
    await call.hang_up()
    samples = call.heard().samples
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tapeline.testing.call import (
    BUSY_HERE,
    OK,
    Call,
    CallOver,
    CallRejected,
    acknowledge_refusal,
    build_response,
    dialog_of_callee,
    dialog_of_caller,
)
from tapeline.testing.g711 import Law
from tapeline.testing.netem import PERFECT, NetworkQuality
from tapeline.testing.pump import Pump
from tapeline.testing.ringing import PATIENCE_S, SILENT, IncomingCall, OutgoingCall, Progress
from tapeline.testing.sip import (
    Headers,
    SipRequest,
    SipResponse,
    build_sdp,
    parameter,
    uri_target,
)
from tapeline.testing.srtp import SrtpKey
from tapeline.testing.stream import RtpStream
from tapeline.testing.tones import Source
from tapeline.testing.transaction import (
    T1_S,
    T2_S,
    TRANSACTION_S,
    Address,
    CallTimeout,
    SipSocket,
    SoftphoneError,
)

AGENT = "tapeline-softphone"
BRANCH_COOKIE = "z9hG4bK"
FIRST_FINAL = 200
FIRST_REFUSAL = 300


class Softphone:
    """A SIP user agent on one UDP socket. Each call has its own RTP socket, SSRC and recording.

    `srtp` names the suite that its calls offer; an incoming offer of SRTP is always taken.
    `quality` and `seed` make its sending network bad (each call gets its own dice from the seed).
    Leaving the context hangs up what is open.
    """

    def __init__(
        self,
        name: str = "softphone",
        *,
        address: str = "127.0.0.1",
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        quality: NetworkQuality = PERFECT,
        seed: int | None = None,
        srtp: str | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self.codecs = tuple(codecs)
        self.quality = quality
        self.seed = seed
        self.srtp = srtp
        self.sip = SipSocket(self._on_request, self._on_late_ok)
        self._pump = Pump()
        self._calls: dict[str, Call] = {}
        self._streams: list[RtpStream] = []
        self._incoming: asyncio.Queue[IncomingCall] = asyncio.Queue(maxsize=64)
        self._ringing: dict[str, IncomingCall] = {}
        self._acknowledged: dict[str, asyncio.Event] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self.sip, local_addr=(self.address, 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        self._pump.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await asyncio.gather(*(_leave(call) for call in self.calls))
        finally:
            await asyncio.to_thread(self._pump.stop)
            for stream in self._streams:
                stream.close()
            if self._transport is not None:
                self._transport.close()

    @property
    def uri(self) -> str:
        """Where this phone can be called."""
        return f"sip:{self.name}@{self._host}:{self.port}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Those that are not over."""
        return tuple(self._calls.values())

    async def call(
        self,
        uri: str,
        *,
        play: Source | None = SILENT,
        caller: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """Dials, waits for the answer, and talks. Raises CallRejected, CallTimeout."""
        return await self.dial(uri, play=play, caller=caller, headers=headers).answered()

    def dial(
        self,
        uri: str,
        *,
        play: Source | None = SILENT,
        caller: str | None = None,
        headers: Mapping[str, str] | None = None,
        media_port: int | None = None,
        media_codec: str | None = None,
    ) -> OutgoingCall:
        """Sends the INVITE. `play` None sends no packets; `headers` are added to the INVITE.

        With `media_port` the audio is another program's: it has that port, the call's
        `stream.remote` says where it must send, and `srtp_key` and `peer_key` how. It may speak
        `media_codec` instead of ours: PCMU, PCMA or opus.
        """
        stream = self._new_stream(play)
        key = SrtpKey.generate(self.srtp) if self.srtp else None
        codecs = (media_codec,) if media_codec else self.codecs
        to = uri_target(uri)
        invite = SipRequest(
            method="INVITE",
            uri=uri,
            headers=(
                *self._first_headers("INVITE", uri, caller or self.name),
                ("Contact", f"<{self.uri}>"),
                ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO"),
                ("Content-Type", "application/sdp"),
                *(headers or {}).items(),
            ),
            body=build_sdp(self.address, media_port or stream.port, codecs, key=key),
        )

        async def complete(progress: Progress) -> Call:
            call = await self._complete(invite, to, (stream, key), progress)
            if media_port is None:
                self._pump.speak(stream)
            return call

        return OutgoingCall(invite, complete, lambda request: self.sip.request(request, to))

    async def incoming(self, timeout_s: float = PATIENCE_S) -> IncomingCall:
        """The next call to us; it hears ringing already. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return await self._incoming.get()

    async def options(self, uri: str) -> SipResponse:
        """The answer to an OPTIONS outside any call. Raises CallTimeout."""
        headers = self._first_headers("OPTIONS", uri, self.name)
        request = SipRequest(method="OPTIONS", uri=uri, headers=headers)
        return await self.sip.request(request, uri_target(uri))

    def send_raw(self, datagram: bytes, to: Address) -> None:
        """Any bytes from our SIP port."""
        self.sip.send(datagram, to)

    @property
    def _host(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    def _via(self) -> str:
        branch = BRANCH_COOKIE + secrets.token_hex(8)
        return f"SIP/2.0/UDP {self._host}:{self.port};rport;branch={branch}"

    def _first_headers(self, method: str, uri: str, caller: str) -> Headers:
        return (
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{caller}@{self._host}:{self.port}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{uri}>"),
            ("Call-ID", f"{secrets.token_hex(12)}@{self._host}"),
            ("CSeq", f"1 {method}"),
            ("User-Agent", AGENT),
        )

    def _new_stream(self, play: Source | None) -> RtpStream:
        seed = None if self.seed is None else self.seed * 10_007 + len(self._streams)
        stream = RtpStream(self.address, quality=self.quality, seed=seed)
        stream.law = Law[self.codecs[0]]
        stream.play(play)
        self._streams.append(stream)
        self._pump.listen(stream)
        return stream

    async def _complete(
        self,
        invite: SipRequest,
        to: Address,
        media: tuple[RtpStream, SrtpKey | None],
        progress: Progress,
    ) -> Call:
        """The INVITE's transaction to its end; a call when it was answered."""
        stream, key = media
        try:
            response = await self.sip.request(invite, to, on_provisional=progress)
            if response.status >= FIRST_REFUSAL:
                ack = acknowledge_refusal(invite, response).to_bytes()
                self.sip.remember_ack(invite.branch, ack, to)
                self.sip.send(ack, to)
                raise CallRejected(response)
        except SoftphoneError:
            self._pump.remove(stream)
            raise
        call = self._open(
            Call(
                dialog=dialog_of_caller(invite, response, to),
                stream=stream,
                sip=self.sip,
                via=self._via,
                on_ended=self._on_ended,
            )
        )
        call.acknowledge()
        call.srtp_key = key
        call.use_media(response.body)
        return call

    def _open(self, call: Call) -> Call:
        self._calls[call.dialog.call_id] = call
        return call

    def _on_ended(self, call: Call) -> None:
        self._calls.pop(call.dialog.call_id, None)
        self._pump.remove(call.stream)

    def _on_late_ok(self, response: SipResponse, _: Address) -> None:
        if call := self._calls.get(response.call_id):
            call.acknowledge()

    def _on_request(self, request: SipRequest, source: Address) -> None:
        if request.method == "ACK" and request.call_id in self._acknowledged:
            self._acknowledged[request.call_id].set()
        if call := self._calls.get(request.call_id):
            call.answer_request(request, source)
        elif request.method == "INVITE" and not parameter(request.header("to"), "tag"):
            self._ring(request, source)
        elif request.method == "CANCEL":
            self._cancelled(request, source)
        elif request.method == "OPTIONS":
            self.sip.respond(request, build_response(request, OK, "OK"), source)
        elif request.method != "ACK":
            response = build_response(request, 481, "Call/Transaction Does Not Exist")
            self.sip.respond(request, response, source)

    def _ring(self, invite: SipRequest, source: Address) -> None:
        tag = secrets.token_hex(4)

        def respond(status: int, reason: str) -> None:
            response = build_response(invite, status, reason, to_tag=tag)
            self.sip.respond(invite, response, source)
            if status >= FIRST_FINAL:
                self._ringing.pop(invite.call_id, None)

        async def accept(play: Source | None) -> Call:
            return await self._accept(incoming, tag, play)

        incoming = IncomingCall(invite, source, accept, respond)
        if self._incoming.full():
            respond(BUSY_HERE, "Busy Here")
            return
        self._ringing[invite.call_id] = incoming
        respond(180, "Ringing")
        self._incoming.put_nowait(incoming)

    def _cancelled(self, request: SipRequest, source: Address) -> None:
        self.sip.respond(request, build_response(request, OK, "OK"), source)
        if incoming := self._ringing.get(request.call_id):
            incoming.cancel()

    async def _accept(self, incoming: IncomingCall, tag: str, play: Source | None) -> Call:
        invite = incoming.invite
        if self._ringing.pop(invite.call_id, None) is None:
            raise CallOver(invite.call_id)
        stream = self._new_stream(play)
        contact = f"<{self.uri}>"
        call = self._open(
            Call(
                dialog=dialog_of_callee(invite, tag, contact, incoming.source),
                stream=stream,
                sip=self.sip,
                via=self._via,
                on_ended=self._on_ended,
            )
        )
        call.use_media(invite.body)
        body = build_sdp(self.address, stream.port, [stream.law.value], key=call.srtp_key)
        ok = build_response(invite, OK, "OK", to_tag=tag, contact=contact, body=body)
        await self._until_acknowledged(invite, ok, incoming.source)
        self._pump.speak(stream)
        return call

    async def _until_acknowledged(
        self, invite: SipRequest, ok: SipResponse, source: Address
    ) -> None:
        """A 2xx is repeated by us, not by its transaction (RFC 3261 §13.3.1.4)."""
        acknowledged = self._acknowledged[invite.call_id] = asyncio.Event()
        interval, deadline = T1_S, time.monotonic() + TRANSACTION_S
        try:
            while time.monotonic() < deadline:
                self.sip.respond(invite, ok, source)
                try:
                    async with asyncio.timeout(interval):
                        await acknowledged.wait()
                    return  # noqa: TRY300 - the loop's way out
                except TimeoutError:
                    interval = min(2 * interval, T2_S)
            raise CallTimeout("200", invite.uri)
        finally:
            del self._acknowledged[invite.call_id]


async def _leave(call: Call) -> None:
    """Hangs up; a peer that is gone already is no error when leaving."""
    try:
        await asyncio.wait_for(call.hang_up(), PATIENCE_S)
    except (SoftphoneError, TimeoutError):
        call.end_reason = "no answer to BYE"
