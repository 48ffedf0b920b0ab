"""The least that can call: SIP texts written by hand, PCMU computed by formula, two UDP sockets.

Only for tests of the core by itself; what users get is `tapeline.testing`.
"""

import asyncio
import itertools
import re
import socket
import struct
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
FRAME = 160
_FRAME_S = FRAME / RATE_HZ
_ANSWER_LIMIT_S = 5.0
_names = itertools.count(1)

Samples = npt.NDArray[np.float64]


def tone(
    frequency_hz: float, *, seconds: float, amplitude: float = 8000.0, rate_hz: int = RATE_HZ
) -> Samples:
    moments = np.arange(round(seconds * rate_hz)) / rate_hz
    return amplitude * np.sin(2 * np.pi * frequency_hz * moments)


def level_at(samples: Samples, frequency_hz: float, *, rate_hz: int = RATE_HZ) -> float:
    """Amplitude of one frequency in it (Goertzel's question asked of one FFT bin's neighbours)."""
    if len(samples) == 0:
        return 0.0
    window = np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(samples * window)) / (window.sum() / 2)
    bins = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(spectrum[np.abs(bins - frequency_hz) < 10].max())


def encode_pcmu(samples: Samples) -> bytes:
    """G.711 mu-law by its segments (ITU-T G.711 table 2a)."""
    magnitude = np.minimum(np.abs(samples).astype(np.int64) + 132, 32_767)
    exponent = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    codes: npt.NDArray[np.int64] = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return codes.astype(np.uint8).tobytes()


def decode_pcmu(payload: bytes) -> Samples:
    codes = ~np.frombuffer(payload, np.uint8) & 0xFF
    exponent, mantissa = (codes >> 4) & 7, codes & 0x0F
    magnitude = ((mantissa.astype(np.int64) << 3) + 132 << exponent) - 132
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.float64)


class RawPhone:
    """One call. `heard` is all audio that came, in the order it came."""

    def __init__(self, server: str, *, payload_type: int = 0, encoding: str = "PCMU/8000") -> None:
        self._payload_type, self._encoding = payload_type, encoding
        host, port = server.rsplit(":", 1)
        self._server = (host, int(port))
        self._sip = self._socket()
        self._rtp = self._socket()
        self._name = f"raw{next(_names)}"
        self._remote_tag = ""
        self._audio: tuple[str, int] | None = None
        self._heard: list[bytes] = []
        self._source = id(self) & 0xFFFF_FFF0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sip.close()
        self._rtp.close()

    @property
    def heard(self) -> Samples:
        return decode_pcmu(b"".join(self._heard))

    @property
    def payloads(self) -> Sequence[bytes]:
        """What `heard` is made of."""
        return self._heard

    async def invite(self, called: str) -> None:
        """Sends the INVITE; `accept` waits for its answer."""
        self._called = called
        await self._send("INVITE", 1, self._description())

    def _description(self, *, direction: str = "sendrecv", address: str = "127.0.0.1") -> str:
        port = self._rtp.getsockname()[1]
        return (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {self._payload_type}\r\n"
            f"a=rtpmap:{self._payload_type} {self._encoding}\r\na={direction}\r\n"
        )

    async def renegotiate(self, number: int, change: str) -> None:
        """A re-INVITE of that CSeq: with a direction, an address, without a description (""), or
        `moved`: from then on audio leaves and arrives at another port, with another SSRC.
        """
        match change:
            case "":
                body = ""
            case "moved":
                old, self._rtp = self._rtp, self._socket()
                old.close()
                self._source += 1
                body = self._description()
            case _ if change[0].isdigit():
                body = self._description(address=change)
            case _:
                body = self._description(direction=change)
        await self._send("INVITE", number, body)
        status, text = await self.final_response()
        assert status == 200, text
        await self._send("ACK", number, "" if body else self._description())

    async def accept(self) -> None:
        """Waits for the 200 and acknowledges it."""
        status, text = await self.final_response()
        assert status == 200, text
        body = text.split("\r\n\r\n", 1)[1]
        address = re.search(r"c=IN IP4 (\S+)", body)
        media = re.search(rf"m=audio (\d+) RTP/AVP {self._payload_type}\b", body)
        assert address, text
        assert media, text
        self._audio = (address[1], int(media[1]))
        await self._send("ACK", 1)

    async def final_response(self) -> tuple[int, str]:
        while True:
            text = await self.receive()
            status = re.match(r"SIP/2\.0 (\d+)", text)
            tag = re.search(r"^To:.*;tag=(\S+)", text, re.MULTILINE)
            if tag:
                self._remote_tag = tag[1]
            if status and int(status[1]) >= 200:
                return int(status[1]), text

    async def receive(self) -> str:
        loop = asyncio.get_running_loop()
        datagram = await asyncio.wait_for(loop.sock_recv(self._sip, 65_535), _ANSWER_LIMIT_S)
        return datagram.decode()

    async def say(self, samples: Samples) -> None:
        """Sends it as RTP in real time and collects what comes meanwhile."""
        encoded = encode_pcmu(samples)
        frames = range(len(encoded) // FRAME)
        await self.send([encoded[at * FRAME : (at + 1) * FRAME] for at in frames])

    async def send(self, payloads: Sequence[bytes], *, units: int = FRAME) -> None:
        """The same for encoded audio: 20 ms each, which are so many units of the RTP clock."""
        assert self._audio is not None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        kind = self._payload_type
        for number, payload in enumerate(payloads):
            header = struct.pack("!BBHII", 0x80, kind, number, number * units, self._source)
            self._rtp.sendto(header + payload, self._audio)
            self._collect()
            await asyncio.sleep(max(0.0, begun + (number + 1) * _FRAME_S - loop.time()))
        self._collect()

    async def bye(self, number: int = 2) -> None:
        await self._send("BYE", number)
        status, text = await self.final_response()
        assert status == 200, text

    async def answer_bye(self) -> None:
        """Waits for the far end's BYE."""
        text = await self.receive()
        while not text.startswith("BYE"):
            text = await self.receive()
        lines = text.split("\r\n\r\n", 1)[0].split("\r\n")[1:]
        kept = [line for line in lines if re.match(r"(?i)(via|from|to|call-id|cseq)\s*:", line)]
        await self._put("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]))

    def _collect(self) -> None:
        while True:
            try:
                self._heard.append(self._rtp.recv(2048)[12:])
            except BlockingIOError:
                return

    async def _send(self, method: str, number: int, body: str = "") -> None:
        host, port = self._sip.getsockname()
        to_tag = f";tag={self._remote_tag}" if self._remote_tag else ""
        branch = f"z9hG4bK{self._name}{method}{number}"
        lines = [
            f"{method} sip:{self._called}@{self._server[0]}:{self._server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self._name}@{host}>;tag={self._name}",
            f"To: <sip:{self._called}@{self._server[0]}>{to_tag}",
            f"Call-ID: {self._name}-{port}@test",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{self._name}@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        await self._put("\r\n".join([*lines, "", body]))

    async def _put(self, text: str) -> None:
        await asyncio.get_running_loop().sock_sendto(self._sip, text.encode(), self._server)

    @staticmethod
    def _socket() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(("127.0.0.1", 0))
        return made
