"""SIPp, a SIP stack that is not ours, as a telephone that calls and as one that is called."""

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.site import eventually

SCENARIOS = Path(__file__).parent / "sipp"
LIMIT_S = 20


async def run_sipp(
    node: tuple[str, int], scenario: Path, folder: Path, called: str, *more: str
) -> None:
    """One call, or as `more` says; every one of them must go as the scenario says."""
    host, port = node
    process = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{port}", "-sf", str(scenario), "-s", called,
        "-i", host, "-p", str(_free_port()), "-m", "1", "-nostdin", "-trace_err",
        "-timeout", str(LIMIT_S), "-timeout_error", *more,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 0, f"{scenario.stem}: {said.decode()} {errors_in(folder)}"


def errors_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*_errors.log"))


class SippUas:
    """One call, which must go as the scenario says."""

    def __init__(self, scenario: str, folder: Path, *, scenarios: Path = SCENARIOS) -> None:
        self._scenario = scenario
        self._scenarios = scenarios
        self._folder = folder
        self._port = _free_port()

    @property
    def uri(self) -> str:
        return f"sip:sipp@127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "sipp", "-sf", str(self._scenarios / f"{self._scenario}.xml"), "-i", "127.0.0.1",
            "-p", str(self._port), "-m", "1", "-nostdin", "-trace_err",
            "-timeout", str(LIMIT_S), "-timeout_error",
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await eventually(self._is_bound, f"SIPp listens on {self._port}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def finished(self) -> None:
        _, said = await self._process.communicate()
        errors = errors_in(self._folder)
        assert self._process.returncode == 0, f"{self._scenario}: {said.decode()} {errors}"

    async def _is_bound(self) -> bool:
        """Nobody else can have the port any more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError:
                return True
        return False


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
