"""A dialect's demo row as one HTTP request, sent by curl where there is one."""

import asyncio
import base64
import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

TIMEOUT_S = 15.0
FIRST_ERROR = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    method: str
    url: str
    headers: Mapping[str, str]
    body: str

    def as_curl(self) -> list[str]:
        """The words of the command, as the vendors' documents print it."""
        words = ["curl", "-X", self.method, self.url]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        return [*words, "-d", self.body] if self.body else words

    def shown(self) -> str:
        """For a terminal: an option a line."""
        words = self.as_curl()
        lines = [" ".join(shlex.quote(word) for word in words[:4])]
        rest = words[4:]
        lines += [
            f"{option} {shlex.quote(value)}"
            for option, value in zip(rest[::2], rest[1::2], strict=True)
        ]
        return " \\\n  ".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAnswer:
    status: int
    text: str
    was_curl: bool

    @property
    def is_fine(self) -> bool:
        return self.status < FIRST_ERROR

    def field(self, name: str) -> str:
        """A field of the JSON object, or of the object under `data`; empty when there is none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return ""
        for place in (found, found.get("data")) if isinstance(found, dict) else ():
            if isinstance(place, dict) and name in place:
                return str(place[name])
        return ""


def basic_of(name: str, secret: str) -> str:
    """What HTTP Basic has behind its scheme."""
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


async def send(request: DemoRequest) -> DemoAnswer:
    """Raises OSError or aiohttp.ClientError when nobody answers."""
    if shutil.which("curl"):
        return await _by_curl(request)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as client,
        client.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body or None,
        ) as response,
    ):
        return DemoAnswer(status=response.status, text=await response.text(), was_curl=False)


async def _by_curl(request: DemoRequest) -> DemoAnswer:
    extra = ["-sS", "-m", str(TIMEOUT_S), "-w", "\n%{http_code}"]
    process = await asyncio.create_subprocess_exec(
        *request.as_curl(),
        *extra,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise OSError(err.decode(errors="replace").strip())
    text, _, status = out.decode(errors="replace").rpartition("\n")
    return DemoAnswer(status=int(status), text=text, was_curl=True)
