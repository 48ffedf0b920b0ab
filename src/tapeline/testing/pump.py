"""Two threads that carry the packets of any number of streams.

The sender sleeps to absolute deadlines kept in a heap, so hundreds of streams cost one thread; the
receiver waits at all sockets and takes the kernel's arrival times.
"""

import contextlib
import heapq
import itertools
import os
import selectors
import threading
import time
from collections import deque

from tapeline.testing.stream import PACKET_NS, RtpStream

LONGEST_SLEEP_NS = 4_000_000
"""How soon a stream that was just added gets its first turn."""
RECEIVE_WAIT_S = 0.05
REALTIME_PRIORITY = 5


class Pump:
    """Start it, add streams, remove them, stop it. Streams are closed by whoever made them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._added: deque[RtpStream] = deque()
        self._removed: set[RtpStream] = set()
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send_loop, name="softphone-tx", daemon=True),
            threading.Thread(target=self._receive_loop, name="softphone-rx", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Blocks until both threads have ended (at most about 60 ms)."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._selector.close()

    def listen(self, stream: RtpStream) -> None:
        """Its arrivals are recorded from now on."""
        with self._guard:
            self._selector.register(stream.rtp, selectors.EVENT_READ, stream.receive)
            self._selector.register(stream.rtcp, selectors.EVENT_READ, stream.receive_rtcp)

    def speak(self, stream: RtpStream) -> None:
        """Its first packet leaves within some milliseconds, then one every 20 ms."""
        self._added.append(stream)

    def remove(self, stream: RtpStream) -> None:
        """Nothing is sent or read of it afterwards."""
        with self._guard:
            self._removed.add(stream)
            for sock in (stream.rtp, stream.rtcp):
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(sock)

    def _send_loop(self) -> None:
        _ask_for_realtime()
        order = itertools.count()
        heap: list[tuple[int, int, RtpStream, bytes | None]] = []
        while not self._stopping.is_set():
            now = time.monotonic_ns()
            while self._added:
                heapq.heappush(heap, (now, next(order), self._added.popleft(), None))
            while heap and heap[0][0] <= now:
                due, _, stream, datagram = heapq.heappop(heap)
                with self._guard:
                    if stream in self._removed:
                        continue
                    later = self._due(stream, due, now, datagram)
                for at, content in later:
                    heapq.heappush(heap, (at, next(order), stream, content))
            until = min(heap[0][0], now + LONGEST_SLEEP_NS) if heap else now + LONGEST_SLEEP_NS
            time.sleep(max(until - time.monotonic_ns(), 0) / 1e9)

    def _due(
        self, stream: RtpStream, due: int, now: int, datagram: bytes | None
    ) -> list[tuple[int, bytes | None]]:
        """One entry of the heap: a held-back packet, or a stream's turn. What is due later."""
        if datagram is not None:
            stream.send(datagram)
            return []
        stream.worst_lateness_ms = max(stream.worst_lateness_ms, (now - due) / 1e6)
        later: list[tuple[int, bytes | None]] = [(due + PACKET_NS, None)]
        packet = stream.turn()
        for leaves in stream.netem.departures(due) if packet else ():
            if leaves <= now:
                stream.send(packet or b"")
            else:
                later.append((leaves, packet))
        return later

    def _receive_loop(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(RECEIVE_WAIT_S):
                with self._guard:
                    if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]
                        key.data()


def _ask_for_realtime() -> None:
    """A sender that is late blames the node; where we may, ask to be woken first."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REALTIME_PRIORITY))
