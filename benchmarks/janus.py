"""The same load on Janus' AudioBridge (Debian's package) and on a node, one after the other.

Both hold rooms of ten PCMU talkers and record every room to WAV. Needs `janus`.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from conference import show
from load import LOAD_CORE, NODE_CORE, SETTLE_S, TICKS_PER_S, Load, build_example, run
from node_cpu import by_thread, pin, prefer, spent_between

HTTP_PORT = 18_088
START_S = 10.0
PLUGIN = "janus.plugin.audiobridge"
CONFIG = """
general: {{
  configs_folder = "{folder}"
  debug_level = 3
  disable_stdout = false
}}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
HTTP_CONFIG = f"""
general: {{
  json = "compact"
  base_path = "/janus"
  http = true
  port = {HTTP_PORT}
  ip = "127.0.0.1"
}}
"""
PLUGIN_CONFIG = 'general: { local_ip = "127.0.0.1" rtp_port_range = "30000-39999" }\n'
OTHER_PLUGINS = [
    f"libjanus_{name}.so"
    for name in (
        "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "streaming", "textroom",
        "videocall", "videoroom", "voicemail",
    )
]  # fmt: skip
OTHER_TRANSPORTS = [
    f"libjanus_{name}.so" for name in ("mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets")
]


class Janus:
    """One session by HTTP, a handle a participant."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._base = f"http://127.0.0.1:{HTTP_PORT}/janus"
        self._session = ""

    async def open(self) -> None:
        async with asyncio.timeout(START_S):
            while True:
                try:
                    self._session = f"/{(await self._post('', janus='create'))['data']['id']}"
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def handle(self) -> str:
        answer = await self._post(self._session, janus="attach", plugin=PLUGIN)
        return f"{self._session}/{answer['data']['id']}"

    async def say(self, handle: str, **body: Any) -> dict[str, Any]:
        """What the plugin answers at once; for a join, what it says to that handle later."""
        answer = await self._post(handle, janus="message", body=body)
        own = int(handle.rpartition("/")[2])
        while answer["janus"] in {"ack", "keepalive"} or answer["sender"] != own:
            async with self._client.get(self._base + self._session) as response:
                answer = await response.json(content_type=None)
        found: dict[str, Any] = answer["plugindata"]["data"]
        if "error" in found:
            raise SystemExit(f"janus: {found['error']}")
        return found

    async def _post(self, path: str, **message: Any) -> dict[str, Any]:
        message["transaction"] = "bench"
        async with self._client.post(self._base + path, json=message) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        if answer["janus"] == "error":
            raise SystemExit(f"janus: {answer['error']}")
        return answer


async def measure(load: Load) -> tuple[dict[str, int], dict[str, int]]:
    """CPU in nanoseconds by thread, and what the phones say."""
    binary = await asyncio.to_thread(build_example, "rtp_load")
    with tempfile.TemporaryDirectory(prefix="janus-bench-") as name:
        folder = Path(name)
        _write_config(folder)
        with (folder / "log").open("wb") as log:
            server = await asyncio.create_subprocess_exec(
                "janus", "--configs-folder", str(folder), stdout=log, stderr=log
            )
        phones = await asyncio.create_subprocess_exec(
            str(binary),
            str(load.participants),
            str(int(load.seconds + 2 * SETTLE_S)),
            str(load.room_size),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with aiohttp.ClientSession() as client:
                return await _talk(Janus(client), server.pid, phones, load, folder)
        finally:
            for process in (phones, server):
                if process.returncode is None:
                    process.terminate()
                    await process.wait()


def _write_config(folder: Path) -> None:
    plugins, transports = ",".join(OTHER_PLUGINS), ",".join(OTHER_TRANSPORTS)
    text = CONFIG.format(folder=folder, plugins=plugins, transports=transports)
    (folder / "janus.jcfg").write_text(text)
    (folder / "janus.transport.http.jcfg").write_text(HTTP_CONFIG)
    (folder / f"{PLUGIN}.jcfg").write_text(PLUGIN_CONFIG)


async def _talk(
    janus: Janus,
    process_id: int,
    phones: asyncio.subprocess.Process,
    load: Load,
    folder: Path,
) -> tuple[dict[str, int], dict[str, int]]:
    assert phones.stdin is not None  # noqa: S101 - it is a pipe
    assert phones.stdout is not None  # noqa: S101
    ports = [int(await phones.stdout.readline()) for _ in range(load.participants)]
    await janus.open()
    keeper = await janus.handle()
    peers = []
    for number, port in enumerate(ports):
        room = number // load.room_size + 1
        if number % load.room_size == 0:
            await janus.say(
                keeper, request="create", room=room, permanent=False, sampling_rate=8_000,
                allow_rtp_participants=True, record=True, record_file=str(folder / f"{room}.wav"),
            )  # fmt: skip
        rtp = {"ip": "127.0.0.1", "port": port, "payload_type": 0}
        joined = await janus.say(
            await janus.handle(), request="join", room=room, codec="pcmu", rtp=rtp
        )
        peers.append(f"127.0.0.1:{joined['rtp']['port']}\n")
    pin(process_id, NODE_CORE)
    pin(phones.pid, LOAD_CORE)
    prefer(phones.pid)
    phones.stdin.write("".join(peers).encode())
    await phones.stdin.drain()
    await asyncio.sleep(SETTLE_S)
    before = by_thread(process_id)
    await asyncio.sleep(load.seconds)
    spent = spent_between(before, by_thread(process_id))
    return spent, json.loads(await phones.stdout.readline())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    if shutil.which("janus") is None:
        print("janus: skipped, it is not installed (Debian: apt-get install janus)")
        return 0
    load = Load(participants=options.participants, seconds=options.seconds, recorded_as="wav")
    spent, heard = asyncio.run(measure(load))
    ticks = load.participants * load.seconds * TICKS_PER_S
    theirs = sum(spent.values()) / 1000 / ticks
    print(f"Janus AudioBridge, {load.participants} PCMU participants, rooms recorded to WAV:")
    print(f"  {theirs:.2f} µs per participant and 20 ms tick; {heard}")
    ours = asyncio.run(run(load))
    status = show(ours)
    print(f"a node costs 1/{theirs / ours.total_us:.1f} of Janus in the same run")
    return status


if __name__ == "__main__":
    sys.exit(main())
