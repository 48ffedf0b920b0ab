"""Calls that are not answered yet, out and in."""

import asyncio
from collections.abc import Awaitable, Callable

from tapeline.testing.call import (
    BUSY_HERE,
    OK,
    REQUEST_TERMINATED,
    Call,
    CallRejected,
    build_response,
)
from tapeline.testing.sip import SipRequest, SipResponse
from tapeline.testing.tones import Silence, Source
from tapeline.testing.transaction import Address, SoftphoneError

PATIENCE_S = 5.0
SILENT = Silence()
Progress = Callable[[SipResponse], None]


class OutgoingCall:
    """An INVITE on its way: wait until `ringing` or `answered`, or `cancel` it."""

    def __init__(
        self,
        invite: SipRequest,
        complete: Callable[[Progress], Awaitable[Call]],
        send: Callable[[SipRequest], Awaitable[SipResponse]],
    ) -> None:
        self.invite = invite
        self.provisional: list[SipResponse] = []
        self._send = send
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(complete(self._progress))
        self._task.add_done_callback(self._finish)

    async def ringing(self, timeout_s: float = PATIENCE_S) -> SipResponse:
        """The first provisional response other than 100. Raises TimeoutError, SoftphoneError."""
        return await self._provisional(above=100, timeout_s=timeout_s)

    async def answered(self) -> Call:
        """Raises CallRejected, CallTimeout."""
        return await asyncio.shield(self._task)

    async def cancel(self) -> SipResponse:
        """CANCEL; returns the final response that the INVITE then got: 487, or what was faster.

        A call that was answered first is hung up. Waits for a provisional response before, as
        RFC 3261 §9.1 wants.
        """
        if not self._task.done():
            await self._provisional(above=99, timeout_s=PATIENCE_S)
            await self._send(self._cancel_request())
        try:
            call = await self._task
        except CallRejected as rejected:
            return rejected.response
        await call.hang_up()
        return build_response(self.invite, OK, "OK")

    async def _provisional(self, *, above: int, timeout_s: float) -> SipResponse:
        async with asyncio.timeout(timeout_s):
            while (found := self._first(above)) is None and not self._task.done():
                self._news.clear()
                await self._news.wait()
        if found is None:
            raise SoftphoneError(f"{self.invite.uri} sent a final response and none before it")
        return found

    def _first(self, above: int) -> SipResponse | None:
        return next((r for r in self.provisional if r.status > above), None)

    def _cancel_request(self) -> SipRequest:
        kept = {"via", "from", "to", "call-id", "max-forwards", "route"}
        headers = tuple(h for h in self.invite.headers if h[0].lower() in kept)
        cseq = ("CSeq", f"{self.invite.cseq[0]} CANCEL")
        return SipRequest(method="CANCEL", uri=self.invite.uri, headers=(*headers, cseq))

    def _progress(self, response: SipResponse) -> None:
        self.provisional.append(response)
        self._news.set()

    def _finish(self, task: asyncio.Future[Call]) -> None:
        self._news.set()
        # Whoever cares awaits `answered`; an outcome that nobody asked for is no warning.
        if not task.cancelled():
            task.exception()


class IncomingCall:
    """An INVITE that came to us and rings; made by `Softphone.incoming`."""

    def __init__(
        self,
        invite: SipRequest,
        source: Address,
        accept: Callable[[Source | None], Awaitable[Call]],
        refuse: Callable[[int, str], None],
    ) -> None:
        self.invite = invite
        self.source = source
        self._cancelled = asyncio.Event()
        self._accept = accept
        self._refuse = refuse

    async def answer(self, *, play: Source | None = SILENT) -> Call:
        """200 with our SDP, repeated until the ACK is here. Raises CallTimeout, CallOver."""
        return await self._accept(play)

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    async def cancelled(self, timeout_s: float = PATIENCE_S) -> None:
        """Waits until the caller has given up. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._cancelled.wait()

    def cancel(self) -> None:
        """The caller's CANCEL came: 487."""
        self._cancelled.set()
        self.reject(REQUEST_TERMINATED, "Request Terminated")

    def reject(self, status: int = BUSY_HERE, reason: str = "Busy Here") -> None:
        self._refuse(status, reason)
