"""The asyncio face of a worker's process: started when needed, one request at a time, bounded."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapeline.telemetry import get_logger

_log = get_logger(__name__)

WORKER = (sys.executable, "-P", "-m", "tapeline.speech.worker")
SECRETS = "TAPELINE_"
"""Variables of this beginning stay with the node: the master key is one."""
LONGEST_ANSWER = 1 << 20
"""Bytes of a line; one passage's words need a few hundred."""

Answer = Mapping[str, Any]


class WorkerFailed(Exception):
    """It died, said nothing for too long, or says itself why it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. A worker tells after each step that it goes on; a step is 30 s of audio at most,
    3 s of one core's time.
    """

    silence_s: float = 120.0
    """Without any word of it; then it is ended."""
    request_s: float = 4 * 3600.0
    """For a whole request."""
    idle_s: float = 60.0
    """Without work; then it goes, with the 300 MB that its model holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A process that runs, with both its pipes."""

    process: asyncio.subprocess.Process
    out: asyncio.StreamWriter
    back: asyncio.StreamReader

    @property
    def is_open(self) -> bool:
        return self.process.returncode is None and not self.out.is_closing()

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self.out.close()


class Worker:
    """A process like `tapeline.speech.worker`; `close` when done."""

    def __init__(
        self, command: Sequence[str] = WORKER, *, patience: Patience | None = None
    ) -> None:
        self._command = tuple(command)
        self._patience = patience or Patience()
        self._line: _Line | None = None
        self._turn = asyncio.Lock()
        self._retirement: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """None while no process runs for us."""
        return self._line.process.pid if self._line is not None and self._line.is_open else None

    async def ask(self, request: Mapping[str, Any]) -> list[Answer]:
        """Its answers up to `done`, those that only say that it goes on left out.

        Who asks while another is being answered waits. A failure or a cancelled request ends the
        process: the next request starts another. Raises WorkerFailed.
        """
        async with self._turn:
            self._stay()
            try:
                async with asyncio.timeout(self._patience.request_s):
                    answers = await self._converse(request)
            except TimeoutError:
                await self._end()
                raise WorkerFailed(f"not done in {self._patience.request_s:g} s") from None
            except BaseException:
                await self._end()
                raise
            self._retirement = asyncio.get_running_loop().call_later(
                self._patience.idle_s, self._retire
            )
            return answers

    async def close(self) -> None:
        """Ends the process, whatever it is doing; whoever waits for it gets WorkerFailed."""
        self._is_closed = True
        self._stay()
        await self._end()

    async def _converse(self, request: Mapping[str, Any]) -> list[Answer]:
        line = await self._open_line()
        answers: list[Answer] = []
        try:
            line.out.write(json.dumps(request).encode() + b"\n")
            await line.out.drain()
            while not (answer := await self._next(line)).get("done"):
                if "failed" in answer:
                    raise WorkerFailed(str(answer["failed"]))
                if answer:
                    answers.append(answer)
        except (ConnectionError, ValueError) as error:
            raise WorkerFailed(f"the worker does not talk: {error}") from error
        return answers

    async def _next(self, line: _Line) -> Answer:
        try:
            async with asyncio.timeout(self._patience.silence_s):
                text = await line.back.readline()
        except TimeoutError:
            raise WorkerFailed(f"no word for {self._patience.silence_s:g} s") from None
        if not text:
            raise WorkerFailed(f"the worker died: status {await line.process.wait()}")
        answer: Answer = json.loads(text)
        return answer

    async def _open_line(self) -> _Line:
        """The process that there is, or a new one. Raises WorkerFailed."""
        if self._line is None or not self._line.is_open:
            await self._end()
            self._line = await self._start()
        if self._is_closed:
            raise WorkerFailed("the node is stopping")
        return self._line

    async def _start(self) -> _Line:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(SECRETS)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=LONGEST_ANSWER,
            )
        except OSError as error:
            raise WorkerFailed(f"the worker cannot be started: {error}") from error
        if process.stdin is None or process.stdout is None:
            raise WorkerFailed("the worker has no pipes")
        _log.info("speech_worker_started", process=process.pid)
        return _Line(process=process, out=process.stdin, back=process.stdout)

    def _stay(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
            self._retirement = None

    def _retire(self) -> None:
        """Idle for long: at the end of its input it goes by itself."""
        self._retirement = None
        if self._line is not None:
            self._line.out.close()

    async def _end(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.end()
